"""A grid of images, or a film of them over the steps of a sampler with every step in a strip below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Float, Int, List, TraitError, Unicode

from studium_widgets.arrays import Array, as_numpy
from studium_widgets.base import Widget

__all__ = ["ImageGrid"]

LARGEST = 2**21  # numbers: 2 MB
MOST = {"steps": 200, "images": 256}


class ImageGrid(Widget):
    """Images side by side, with a caption each; or, over steps, a film with a slider, Play, and a strip of all steps.

    images: (N, C, H, W), or (T, N, C, H, W) for a film of T steps, C = 1 (grey) or 3 (red, green, blue): a torch
    tensor, an array or lists. low is drawn black and high white, −1 and 1 by default; values outside are clipped, and
    NaN and infinity are drawn as low; both are counted. Values are kept in 256 levels, two million of them at most.
    uint8 is used as it is, with 0 and 255. captions: one for each image. steps: one name for each step, such as "t =
    20". columns: images in a row, 0 for as many as fit. label: what the images are. step, image: the step shown, by
    default the last, and the image in the strip, both from 0. Raises TraitError if they do not fit together.
    """

    _script = "image_grid.js"
    _style = "image_grid.css"

    images = Array("uint8", ("times", "places", "channels", "height", "width"))
    captions = List(Unicode()).tag(sync=True, each_if_any="places")
    steps = List(Unicode()).tag(sync=True, each_if_any="times")
    columns = Int(0).tag(sync=True, between=(0, 64))
    label = Unicode("images").tag(sync=True)
    low = Float(-1.0).tag(sync=True, between=(-1e30, 1e30))
    high = Float(1.0).tag(sync=True, between=(-1e30, 1e30))
    step = Int(0).tag(sync=True, between=(0, "times"))
    image = Int(0).tag(sync=True, between=(0, "places"))
    clipped = Int(0).tag(sync=True, between=(0, LARGEST))
    missing = Int(0).tag(sync=True, between=(0, LARGEST))

    def __init__(
        self,
        images: Any,
        *,
        captions: Sequence[str] = (),
        steps: Sequence[str] = (),
        low: float | None = None,
        high: float | None = None,
        **state: Any,
    ) -> None:
        values = _five_axes(_gathered(images))
        whole = values.dtype == np.uint8
        low = (0.0 if whole else -1.0) if low is None else low
        high = (255.0 if whole else 1.0) if high is None else high
        if not low < high:
            raise TraitError(f"low needs to be below high, got {low:g} and {high:g}: swap them")
        found = {} if whole else _levels(values, low, high)
        told = {"captions": list(map(str, captions)), "steps": list(map(str, steps)), "step": len(values) - 1}
        super().__init__(**({"images": values, "low": low, "high": high} | told | found | state))

    @classmethod
    def example(cls) -> Self:
        steps = [100, 80, 60, 40, 20, 10, 0]
        shapes = _shapes(size=16)
        noise = np.random.default_rng(0).normal(size=shapes.shape)
        mixed = [np.sqrt(1 - (t / 100) ** 2) * shapes + t / 100 * noise for t in steps]
        captions = ["disc", "ring", "spot", "square", "cross", "bars", "slope", "corner"]
        return cls(
            mixed, steps=[f"t = {t}" for t in steps], captions=captions, columns=8, label="eight shapes, denoised"
        )

    @classmethod
    def largest(cls) -> Self:
        frames = np.random.default_rng(0).integers(0, 256, (40, 16, 3, 32, 32), dtype=np.uint8)
        return cls(frames, steps=[f"step {i}" for i in range(40)], columns=8, label="noise")

    @property
    def alt(self) -> str:
        steps, count, _, height, width = self._shape()
        size = f"{count} image{'s' if count != 1 else ''} of {height} × {width} pixels"
        when = f" at step {self.step + 1} of {steps}" + (f" ({self.steps[self.step]})" if self.steps else "")
        return f"{self.label[:1].upper()}{self.label[1:]}: {size}{when if steps > 1 else ''}, mean {self._mean():.2f}."

    def check(self) -> None:
        shape = self._shape()
        steps, count, channels, *_ = shape
        advice = "give all or none"
        if channels not in (1, 3):
            raise TraitError(f"images need 1 or 3 channels before height and width, got {channels}: permute the axes")
        if 0 in shape or steps > MOST["steps"] or count > MOST["images"]:
            raise TraitError(f"images need 1 to {MOST['images']} images, and 1 to {MOST['steps']} steps, got {shape}")
        if self.captions and len(self.captions) != count:
            raise TraitError(
                f"captions need one for each of {count} images, got {len(self.captions)}: give all or none"
            )
        if self.steps and len(self.steps) != steps:
            raise TraitError(f"steps need one name for each of {steps} steps, got {len(self.steps)}: {advice}")

    def _shape(self) -> tuple[int, ...]:
        given: Any = self.images
        return tuple(given.shape)

    def _mean(self) -> float:
        given: Any = self.images
        return float(self.low + (self.high - self.low) * given[self.step].mean() / 255)


def _gathered(images: Any) -> NDArray[Any]:
    """Return one array, also for a list of tensors."""
    if isinstance(images, list | tuple) and len({getattr(one, "shape", None) for one in images}) == 1:
        return np.stack([as_numpy(one) for one in images])
    return as_numpy(images)


def _five_axes(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind not in "fiub" or values.ndim not in (4, 5):
        got = f"{values.dtype} of shape {values.shape}"
        raise TraitError(
            f"images need numbers (N, C, H, W), or (T, N, C, H, W) for a film, got {got}: add or remove an axis"
        )
    if values.size > LARGEST:
        advice = "show fewer images or steps, such as frames[::5, :8]"
        raise TraitError(f"images need at most {LARGEST:,} numbers, got {values.size:,}: {advice}")
    return values if values.ndim == 5 else values[None]


def _levels(values: NDArray[Any], low: float, high: float) -> dict[str, Any]:
    """Return the values in 256 levels, and how many were clipped or not finite."""
    share = (values.astype(np.float64) - low) / (high - low)
    finite = np.isfinite(share)
    inside = np.where(finite, share, 0.0)
    clipped = ((inside < -0.5 / 255) | (inside > 1 + 0.5 / 255)).sum()
    images = np.rint(255 * inside.clip(0, 1)).astype(np.uint8)
    return {"images": images, "clipped": int(clipped), "missing": int((~finite).sum())}


def _shapes(size: int) -> NDArray[np.float64]:
    """Return eight white shapes on black, (8, 1, size, size), in −1 to 1."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    far, wide = np.hypot(x, y), np.maximum(abs(x), abs(y))
    near = np.minimum(abs(x), abs(y))
    round_ones = [far < 0.75, abs(far - 0.6) < 0.2, np.hypot(x - 0.4, y + 0.4) < 0.35]
    straight_ones = [wide < 0.65, near < 0.2, np.sin(9 * x) > 0, y > x, (x < 0) & (y < 0)]
    return np.where([*round_ones, *straight_ones], 1.0, -1.0)[:, None]
