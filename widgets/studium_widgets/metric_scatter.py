"""Models plotted by two of their figures, with filters, details, and the front of those that none beats."""

from __future__ import annotations

import math
from typing import Any, Self

from traitlets import Bool, Dict, List, TraitError, Unicode

from studium_widgets.base import Widget

__all__ = ["MetricScatter"]

POINTS, FAMILIES = 500, 6


class MetricScatter(Widget):
    """Named points, distinguished by shape and colour, to filter, look up and compare.

    points: [{"name": str, field: number, text or None, ...}], up to 500; everything about a point is shown when you
    point at it (put a paper's id there as text). x, y: the fields of the axes; axes: the fields of numbers that may be
    chosen for them, [] for all. colour: a field of text with at most 6 values. size: a field of numbers for the area,
    or "". log_x, log_y: logarithmic axes. filters: fields of text whose values can be hidden; hidden: {field: [value,
    ...]}. limits: {field: the largest number shown}, a slider each. lower: the fields in which less, or earlier, is
    better (of the others more is); front: draws the line of the points that no other beats in both. labels: units or
    longer names of fields. chosen: the name of the point whose details stay, or "". Raises TraitError for an unknown
    field.
    """

    _script = "metric_scatter.js"
    _style = "metric_scatter.css"

    points = List(Dict()).tag(sync=True)
    x = Unicode("year").tag(sync=True)
    y = Unicode("fid").tag(sync=True)
    axes = List(Unicode()).tag(sync=True)
    colour = Unicode("family").tag(sync=True)
    size = Unicode().tag(sync=True)
    log_x = Bool(False).tag(sync=True)
    log_y = Bool(False).tag(sync=True)
    filters = List(Unicode()).tag(sync=True)
    hidden = Dict().tag(sync=True)
    limits = Dict().tag(sync=True)
    lower = List(Unicode()).tag(sync=True)
    front = Bool(False).tag(sync=True)
    labels = Dict().tag(sync=True)
    chosen = Unicode().tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        fields = ("name", "year", "fid", "parameters", "family", "training", "paper")
        points = [dict(zip(fields, row, strict=True)) for row in EXAMPLE]
        labels = {"fid": "FID-30k on COCO", "parameters": "parameters, billions", "year": "year of first preprint"}
        return cls(
            points=points,
            size="parameters",
            log_y=True,
            filters=["training"],
            limits={"year": 2023, "parameters": 20},
            lower=["fid", "parameters", "year"],
            front=True,
            labels=labels,
        )

    @classmethod
    def largest(cls) -> Self:
        points = [
            {"name": f"model {i}", "year": 2016 + i % 9, "fid": 2 + 40 / (1 + i % 37), "family": f"kind {i % 5}"}
            for i in range(POINTS)
        ]
        return cls(points=points, lower=["fid", "year"], front=True, filters=["family"])

    @property
    def alt(self) -> str:
        shown = [point for point in self.points if self._is_shown(point)]
        if not shown:
            return f"No point of {len(self.points)} passes the filters."
        best = (min if self.y in self.lower else max)(shown, key=lambda point: point[self.y])
        how = "lowest" if self.y in self.lower else "highest"
        return (
            f"{len(shown)} of {len(self.points)} points, {self.y} over {self.x}; "
            f"{how} {self.y}: {best['name']} with {best[self.y]:g}."
        )

    def check(self) -> None:
        if not 1 <= len(self.points) <= POINTS:
            raise TraitError(f"points need 1 to {POINTS} entries, got {len(self.points)}")
        names = [point.get("name") for point in self.points]
        if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
            raise TraitError('points need a "name" each, all different: add it, or number the repeated ones')
        self._check_fields()
        for axis, log in ((self.x, self.log_x), (self.y, self.log_y)):
            low = min(point[axis] for point in self.points if _is_number(point.get(axis)))
            if log and low <= 0:
                raise TraitError(
                    f"a logarithmic axis needs {axis} above 0, got {low:g}: leave log off, or the point out"
                )
        if len({str(point.get(self.colour, "")) for point in self.points}) > FAMILIES:
            raise TraitError(f"colour needs a field with at most {FAMILIES} values, because more cannot be told apart")
        if self.chosen and self.chosen not in names:
            raise TraitError(f"chosen needs the name of a point or an empty text, got {self.chosen!r}")

    def numbers(self) -> list[str]:
        """Return the fields that contain only numbers, in the order of their first appearance."""
        return [field for field in self._fields() if all(map(_is_number, self._values(field)))]

    def _check_fields(self) -> None:
        numbers, fields = self.numbers(), self._fields()
        for trait, wanted in (("x", [self.x]), ("y", [self.y]), ("axes", self.axes), ("limits", list(self.limits))):
            if missing := [field for field in wanted if field not in numbers]:
                raise TraitError(
                    f"{trait} needs a field of numbers, got {missing[0]!r}: choose from {', '.join(numbers)}"
                )
        if self.size and self.size not in numbers:
            raise TraitError(f"size needs a field of numbers, got {self.size!r}: choose from {', '.join(numbers)}")
        for trait, wanted in (("colour", [self.colour]), ("filters", self.filters)):
            if missing := [field for field in wanted if field not in fields]:
                raise TraitError(
                    f"{trait} needs a field of the points, got {missing[0]!r}: choose from {', '.join(fields)}"
                )

    def _fields(self) -> list[str]:
        return list(dict.fromkeys(field for point in self.points for field in point))

    def _values(self, field: str) -> list[Any]:
        return [point[field] for point in self.points if point.get(field) is not None]

    def _is_shown(self, point: dict[str, Any]) -> bool:
        if not (_is_number(point.get(self.x)) and _is_number(point.get(self.y))):
            return False
        if any(str(point.get(field, "")) in values for field, values in self.hidden.items()):
            return False
        return all(point.get(field) is None or point[field] <= most for field, most in self.limits.items())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


EXAMPLE = [  # name, year of the first preprint, zero-shot or trained COCO FID-30k as the papers report it, billions, …
    ("AttnGAN", 2017.87, 35.49, 0.23, "GAN", "trained on COCO", "arXiv:1711.10485"),
    ("DF-GAN", 2020.62, 21.42, 0.019, "GAN", "trained on COCO", "arXiv:2008.05865"),
    ("XMC-GAN", 2021.04, 9.33, 0.17, "GAN", "trained on COCO", "arXiv:2101.04702"),
    ("DALL-E", 2021.13, 17.89, 12.0, "autoregressive tokens", "zero-shot", "arXiv:2102.12092"),
    ("GLIDE", 2021.95, 12.24, 5.0, "diffusion", "zero-shot", "arXiv:2112.10741"),
    ("LDM", 2021.96, 12.63, 1.45, "latent diffusion", "zero-shot", "arXiv:2112.10752"),
    ("DALL-E 2", 2022.29, 10.39, 6.5, "diffusion", "zero-shot", "arXiv:2204.06125"),
    ("Imagen", 2022.39, 7.27, 3.0, "diffusion", "zero-shot", "arXiv:2205.11487"),
    ("Parti-20B", 2022.46, 7.23, 20.0, "autoregressive tokens", "zero-shot", "arXiv:2206.10789"),
    ("Muse-3B", 2023.0, 7.88, 3.0, "masked tokens", "zero-shot", "arXiv:2301.00704"),
]
