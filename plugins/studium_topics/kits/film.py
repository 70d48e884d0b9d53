"""A film of images that emerge from noise: a small trained U-Net runs in the page and samples there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from studium_widgets import Array, Widget
from torch import Tensor
from traitlets import Enum, Float, Int, List, TraitError, Unicode

from studium_topics.kits import packing, shapes_unet
from studium_topics.kits.diffusion import UNet

MISTAKES = ("none", "noise-at-0", "no-noise", "sigma-squared", "sqrt-one-minus-alpha", "first-timesteps")
LARGEST = 600_000  # weights of a network that a page can carry


class DenoisingFilm(Widget):
    """Images that emerge from noise, step by step, drawn by a trained network in the page.

    `trained()` is of shapes in 16 × 16 pixels; `of(model, betas)` takes any `UNet`, such as the one that you trained.
    tensors: name and shape of each tensor of the network, "enter.weight 16 3 3 3"; weights: their numbers, one byte
    each, where 128 is 0; scales: what one unit of a byte is worth, one for each first index of each tensor. abar (T,):
    the share of signal at each of T levels. channels, side: of the images. names: the labels it knows, besides one for
    "not told". kind: the label to draw, -1 for anything. scale: of classifier-free guidance, 1 for none.
    sampling_steps; eta: 1 for DDPM, 0 for DDIM; seed; images: how many. mistake: one of MISTAKES. step: the step that
    is shown; the first view plays up to it. Raises TraitError if they do not fit together.
    """

    _script = "film.js"
    _style = "film.css"

    tensors = List(Unicode()).tag(sync=True)
    weights = Array("uint8", ("weights",))
    scales = Array("float32", ("rows",))
    abar = Array("float64", ("levels",))
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
        weights, scales = packing.packed(model)
        levels = len(betas)
        state = {
            "tensors": packing.layout(model),
            "weights": weights,
            "scales": scales,
            "abar": (1 - betas).cumprod(0).double().numpy(),
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
        return f"A film of {what}{kind} that emerge from noise in {self.sampling_steps} steps{wrong}; step {self.step}."

    def check(self) -> None:
        weights, rows = packing.sizes(self.tensors)
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
