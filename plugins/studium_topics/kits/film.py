"""A film of images that come out of noise: a small trained U-Net runs in the page and samples there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from torch import Tensor
from traitlets import Enum, Float, Int, List, TraitError, Unicode

from studium_topics.kits import shapes_unet
from studium_topics.kits.diffusion import UNet

MISTAKES = ("none", "noise-at-0", "no-noise", "sigma-squared", "sqrt-one-minus-alpha", "first-timesteps")
LARGEST = 600_000  # weights of a network that a page carries


class DenoisingFilm(Widget):
    """Images that come out of noise, step by step, as a trained network draws them in the page.

    `trained()` is of shapes in 16 × 16 pixels; `of(model, betas)` takes any `UNet`, such as the one that you trained.
    tensors: name and shape of each tensor of the network, "enter.weight 16 3 3 3"; weights: their numbers, one byte
    each, where 128 is 0; scales: what a unit of a byte is, one for each first index of each tensor. abar (T,): the
    share of signal at each of T levels. widths, channels, side: as of the `UNet` and its images. names: the labels that
    it knows, beside one more for "not told". kind: the label to draw, -1 for anything. scale: of classifier-free
    guidance, 1 for none. sampling_steps; eta: 1 for DDPM, 0 for DDIM; seed; images: how many. mistake: one of MISTAKES.
    step: the step that is shown; the first view plays up to it. Raises TraitError where they do not fit together.
    """

    _script = "film.js"
    _style = "film.css"

    tensors = List(Unicode()).tag(sync=True)
    weights = Array("uint8", ("weights",))
    scales = Array("float32", ("rows",))
    abar = Array("float64", ("levels",))
    widths = List(Int(min=8, max=128), minlen=1, maxlen=5).tag(sync=True)
    channels = Int(3, min=1, max=3).tag(sync=True)
    side = Int(16, min=4, max=64).tag(sync=True)
    names = List(Unicode()).tag(sync=True)
    kind = Int(-1).tag(sync=True, between=(-1, "names"))
    scale = Float(1.0).tag(sync=True, between=(0, 20))
    sampling_steps = Int(50, min=1, max=1000).tag(sync=True)
    eta = Float(1.0).tag(sync=True, between=(0, 1))
    mistake = Enum(MISTAKES, "none").tag(sync=True)
    seed = Int(0, min=0, max=999).tag(sync=True)
    images = Int(6, min=1, max=16).tag(sync=True)
    step = Int(50, min=0, max=1000).tag(sync=True)

    @classmethod
    def trained(cls, **options: Any) -> Self:
        """Return the film of the network that comes with this package, which draws shapes."""
        return cls.of(
            shapes_unet.trained(), shapes_unet.betas(), side=shapes_unet.SIDE, names=shapes_unet.KINDS, **options
        )

    @classmethod
    def of(cls, model: UNet, betas: Tensor, *, side: int, names: Sequence[str] = (), **options: Any) -> Self:
        """Return the film of a `UNet` that predicts the noise of images with `side` pixels a side; betas (T,).

        names: one for each label but the last, which stands for "not told".
        """
        kept = shapes_unet.packed(model.state_dict())
        tensors = [name for name in kept if not name.endswith("/scale")]
        levels = len(betas)
        state = {
            "tensors": [f"{name} {' '.join(map(str, kept[name].shape))}" for name in tensors],
            "weights": np.concatenate([kept[name].ravel() for name in tensors]).astype(np.int16) + 128,
            "scales": np.concatenate([kept[f"{name}/scale"] for name in tensors]),
            "abar": (1 - betas).cumprod(0).double().numpy(),
            "widths": [block.first.out_channels for block in model.down],
            "channels": model.enter.in_channels,
            "sampling_steps": min(50, levels),
            "step": min(options.get("sampling_steps", 50), levels),
        }
        return cls(side=side, names=list(names), **(state | options))

    @classmethod
    def example(cls) -> Self:
        return cls.trained(kind=7, sampling_steps=10, images=2, seed=1)

    @property
    def alt(self) -> str:
        what = f"{self.images} images of {self.side} × {self.side} pixels"
        kind = f" of {self.names[self.kind]}" if self.kind >= 0 else ""
        wrong = f", with a mistake in the sampler: {self.mistake}" if self.mistake != "none" else ""
        return f"A film of {what}{kind} that come out of noise in {self.sampling_steps} steps{wrong}; step {self.step}."

    def check(self) -> None:
        shapes = [[int(length) for length in text.split()[1:]] for text in self.tensors]
        weights, rows = sum(map(math.prod, shapes)), sum(shape[0] for shape in shapes)
        _require(weights <= LARGEST, f"a page carries a network of at most {LARGEST:,} weights, got {weights:,}")
        got = (self.weights.size, self.scales.size)
        _require(got == (weights, rows), f"the tensors need {weights} weights and {rows} scales, got {got}")
        _require(
            self.sampling_steps <= self.abar.size,
            f"sampling_steps goes up to {self.abar.size}, the levels, got {self.sampling_steps}: choose fewer",
        )


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise TraitError(sentence)
