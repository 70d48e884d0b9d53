"""A bench for prompts: a trained model draws in the page what is typed, one image for each seed."""

from __future__ import annotations

from typing import Any, Self

from studium_widgets import Array, Widget
from torch import Tensor, nn
from traitlets import Enum, Float, Int, List, TraitError, Unicode

from studium_topics.kits import packing
from studium_topics.text_to_image.model import WORDS, Patches, painter

SPACINGS = ("straight", "DDIM")
MOST_STEPS, LONGEST = 32, 80
LEVELS = 1000


class PromptBench(Widget):
    """A prompt, and what a model makes of it: eight images of eight seeds, drawn step by step in the browser.

    tensors, weights, scales: the model, as `kits.packing` lays it out and packs it. vocabulary: V words, the first one
    empty. mean (12,), basis (12, channels): what decodes a latent position to 2 × 2 pixels. levels (1000,): the times
    of DDPM's timesteps on the straight path.
    prompt, negative: up to 80 characters. scale: of the guidance, 0 to 10. steps: 1 to 32. spacing: "straight" for
    even times, "DDIM" for those of evenly spaced timesteps. seed: of the first image, 0 to 999.
    Raises TraitError where the parts do not fit together.
    """

    _script = "bench.js"
    _style = "bench.css"

    weights = Array("uint8", ("bytes",))
    scales = Array("float32", ("rows",))
    tensors = List(Unicode()).tag(sync=True)
    vocabulary = List(Unicode()).tag(sync=True)
    mean = Array("float32", (12,))
    basis = Array("float32", (12, "channels"))
    levels = Array("float32", (LEVELS,))
    prompt = Unicode("a large red ring").tag(sync=True)
    negative = Unicode("").tag(sync=True)
    scale = Float(3.0).tag(sync=True, between=(0, 10))
    steps = Int(12, min=1, max=MOST_STEPS).tag(sync=True)
    spacing = Enum(SPACINGS, "straight").tag(sync=True)
    seed = Int(0, min=0, max=999).tag(sync=True)

    @classmethod
    def of(cls, model: nn.Module, patches: Patches, levels: Tensor, **options: Any) -> Self:
        """Take a model like `painter`, its autoencoder and the times (1000,) of DDPM's timesteps; options as above."""
        weights, scales = packing.packed(model)
        return cls(
            tensors=packing.layout(model),
            weights=weights,
            scales=scales,
            vocabulary=list(WORDS),
            mean=patches.mean,
            basis=patches.basis * patches.scale,
            levels=levels,
            **options,
        )

    @classmethod
    def opening(cls, **options: Any) -> Self:
        """Take the model that the lesson opens with; `trained_model` of the reference trained it."""
        kept = packing.read(__package__, "opening.npz")
        return cls(tensors=packing.layout(painter(0)), vocabulary=list(WORDS), **kept | options)

    @classmethod
    def example(cls) -> Self:
        return cls.opening(steps=4)

    @property
    def alt(self) -> str:
        away = f", away from “{self.negative}”" if self.negative else ""
        return (
            f"Eight images that a model draws of “{self.prompt}”{away}: guidance {self.scale:g}, {self.steps} steps, "
            f"{self.spacing} times, seeds {self.seed} to {self.seed + 7}."
        )

    def check(self) -> None:
        for name in ("prompt", "negative"):
            if (length := len(getattr(self, name))) > LONGEST:
                raise TraitError(f"{name} needs at most {LONGEST} characters, got {length}: say it in fewer words")
        needed, got = packing.sizes(self.tensors), (self.weights.size, self.scales.size)
        if needed != got:
            raise TraitError(f"the tensors need {needed[0]} weights and {needed[1]} scales, got {got[0]} and {got[1]}")
