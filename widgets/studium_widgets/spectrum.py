"""Singular values or eigenvalues with a cut to drag: the energy kept, and what the cut makes of the data."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Enum, Int, List, TraitError, Unicode

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["Spectrum"]

SIDE, VALUES, CASES = 128, 512, 6


class Spectrum(Widget):
    """The spectrum of a matrix, cut where you drag it, with the matrix or the images reconstructed from the kept part.

    Exactly one of matrix, (cases, rows, columns), up to 6 × 128 × 128, with one of `names` for each case, and values,
    (n,), falling, up to 512. kind: "singular" (values s, energy s²) or "eigenvalues" (of the covariance of the rows,
    s²/(rows − 1) after the mean of each column is subtracted; energy λ). case: which matrix is shown. cut: how many
    values are kept, from 0. image: [height, width] where each row of the matrix is an image; the first 8 are shown.
    logarithmic: the axis of the values. Theory: Eckart and Young 1936. Raises TraitError if they do not fit together.
    """

    _script = "spectrum.js"
    _style = "spectrum.css"

    matrix = Array("float32", ("cases", "rows", "columns"), optional=True)
    values = Array("float32", ("values",), optional=True)
    names = List(Unicode()).tag(sync=True, each_if_any="cases")
    kind = Enum(("singular", "eigenvalues"), "singular").tag(sync=True)
    case = Int(0).tag(sync=True, between=(0, "cases"))
    cut = Int(4).tag(sync=True, between=(0, 1024))
    image = List(Int()).tag(sync=True, between=(1, 4096))
    logarithmic = Bool(False).tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        """Return an instance with the attention of 48 tokens that look at their sentence, their neighbourhood, and one
        neighbour.
        """
        place = np.arange(48)
        apart = np.abs(np.subtract.outer(place, place))
        sentence = np.repeat(np.arange(5), (12, 7, 11, 8, 10))
        scores = (6.0 * np.equal.outer(sentence, sentence), -((apart / 6) ** 2), -3.0 * apart)
        attention = [np.exp(each) / np.exp(each).sum(-1, keepdims=True) for each in scores]
        return cls(matrix=attention, names=["sentences", "neighbourhood", "one neighbour"], cut=4)

    @classmethod
    def largest(cls) -> Self:
        return cls(matrix=np.random.default_rng(0).normal(size=(1, SIDE, SIDE)), names=["noise"], cut=40)

    @property
    def alt(self) -> str:
        spectrum = self.spectrum()
        energy = spectrum**2 if self.kind == "singular" else spectrum
        kept = energy[: self.cut].sum() / energy.sum() if energy.sum() else 1.0
        what = "singular values" if self.kind == "singular" else "eigenvalues"
        of = f" of “{self.names[self.case]}”" if self.names else ""
        return f"{len(spectrum)} {what}{of}; the first {self.cut} keep {100 * kept:.1f} % of the energy."

    def spectrum(self) -> NDArray[np.float64]:
        """The values shown, falling."""
        values: Any = self.values
        if values is not None:
            return np.asarray(values, dtype=np.float64)
        given: Any = self.matrix
        rows = given[self.case].astype(np.float64)
        if self.kind == "singular":
            return np.linalg.svd(rows, compute_uv=False)
        return np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2 / max(1, len(rows) - 1)

    def check(self) -> None:
        given = [name for name in ("matrix", "values") if getattr(self, name) is not None]
        if len(given) != 1:
            raise TraitError(f"one of matrix and values is needed, got {' and '.join(given) or 'neither'}: give one")
        count = self._check_values() if given == ["values"] else self._check_matrix()
        if not 0 <= self.cut <= count:
            raise TraitError(f"cut needs to be from 0 to {count}, got {self.cut}")

    def _check_values(self) -> int:
        values: Any = self.values
        if not 1 <= len(values) <= VALUES:
            raise TraitError(f"values need 1 to {VALUES} numbers, got {len(values)}: leave out the smallest")
        if values.min() < 0 or (np.diff(values) > 0).any():
            raise TraitError("values need to fall and be 0 or above: sort them, largest first")
        if self.image:
            raise TraitError("image needs a matrix, got only values: pass matrix=")
        return len(values)

    def _check_matrix(self) -> int:
        given: Any = self.matrix
        cases, rows, columns = given.shape
        if not (1 <= cases <= CASES and 2 <= rows <= SIDE and 2 <= columns <= SIDE):
            size = f"1 to {CASES} cases of 2 to {SIDE} rows and columns"
            raise TraitError(f"matrix needs {size}, got {given.shape}: cut out a part of it")
        if len(self.names) != cases and (self.names or cases > 1):
            raise TraitError(f"names need one for each of {cases} cases, got {self.names}")
        if not 0 <= self.case < cases:
            raise TraitError(f"case needs to be from 0 to {cases - 1}, got {self.case}")
        if self.image and (len(self.image) != 2 or self.image[0] * self.image[1] != columns):
            raise TraitError(f"image needs [height, width] with height × width = {columns} columns, got {self.image}")
        return int(min(rows, columns))
