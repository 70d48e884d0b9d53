"""The compression dial: which directions of the digits survive in a linear VAE, exact, and what comes back."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from traitlets import Enum, Float, Int

from studium_topics.kits.digits import all_digits

REDUCTIONS = ("sum", "mean")
SHOWN = 8  # digits


class CompressionDial(Widget):
    """A linear VAE of images at its optimum: the spectrum of the data, the latents in use, and the reconstructions.

    mean (D,) of the data; variances (D,) along its principal directions, falling; directions (D, D), one in each row;
    images (n, D), square, with values from -1 to 1. latents: d. weight: of the KL divergence beside the squared error.
    reduction: "sum", both terms are sums over an image, or "mean", both are means over their own numbers.
    Nothing is trained: the optimum has a closed form (Lucas et al. 2019, arXiv 1911.02469).
    """

    _script = "dial.js"
    _style = "dial.css"

    mean = Array("float32", ("pixels",))
    variances = Array("float32", ("pixels",))
    directions = Array("float32", ("pixels", "pixels"))
    images = Array("float32", ("images", "pixels"))
    latents = Int(16, min=1, max=63).tag(sync=True, between=(1, "pixels"))
    weight = Float(1.0).tag(sync=True, between=(1e-6, 100))
    reduction = Enum(REDUCTIONS, "sum").tag(sync=True)

    @classmethod
    def of_digits(cls, **options: Any) -> Self:
        """Return the dial for scikit-learn's digits, 8 × 8 pixels; options are latents, weight and reduction."""
        pixels = all_digits().images.flatten(1).double()
        mean = pixels.mean(0)
        variances, columns = np.linalg.eigh(np.cov(pixels.numpy().T, bias=True))
        falling = np.ascontiguousarray(columns[:, ::-1].T)
        state = {"mean": mean, "variances": variances[::-1].clip(min=0), "directions": falling}
        return cls(images=pixels[:SHOWN], **state, **options)

    @classmethod
    def example(cls) -> Self:
        return cls.of_digits()

    @property
    def alt(self) -> str:
        data: Any = self.variances
        size = len(data) if self.reduction == "mean" else self.latents
        active = int((data[: self.latents] > self.weight * size / self.latents / 2).sum())
        how = f"KL weight {self.weight:g}, {self.reduction}s"
        return f"A linear VAE with {self.latents} latents, {how}: {active} of them carry something."
