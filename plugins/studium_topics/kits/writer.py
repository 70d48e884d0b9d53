"""A small trained language model that writes in the page, character by character."""

from __future__ import annotations

from typing import Any, Self

from studium_widgets import Array, Widget
from traitlets import Float, Int, List, TraitError, Unicode

from studium_topics.kits import packing, tales_lm
from studium_topics.kits.tiny_lm import TinyLM

MOST_WEIGHTS = 600_000  # how many a page can carry
MOST_CHARACTERS, LONGEST_PROMPT = 280, 38  # with the hidden start, at most as many as the model was trained on


class PageWriter(Widget):
    """The state of each widget in which a `TinyLM` writes: the model, and how it chooses.

    tensors: name and shape of each tensor of the model, "embedding.weight 44 96"; weights: their numbers, one byte
    each, where 128 is 0; scales: what one unit of a byte is worth, one for each first index of each tensor. heads: of
    its attention. vocabulary: the characters that tokens stand for. prompt: what the text begins with, up to 38
    characters; unknown ones are left out. temperature: 0 takes the likeliest character. top_k: how many characters may
    be drawn, 0 for all. seed: of the draw. length: characters to write, up to 280. written: how many of them are shown;
    the first view plays up to it. Raises TraitError if they do not fit together.
    """

    tensors = List(Unicode()).tag(sync=True)
    weights = Array("uint8", ("weights",))
    scales = Array("float32", ("rows",))
    heads = Int(4, min=1, max=64).tag(sync=True)
    vocabulary = List(Unicode()).tag(sync=True)
    prompt = Unicode("").tag(sync=True)
    temperature = Float(0.8).tag(sync=True, between=(0, 5))
    top_k = Int(0).tag(sync=True, between=(0, 1000))
    seed = Int(0, min=0, max=999).tag(sync=True)
    length = Int(MOST_CHARACTERS, min=1, max=MOST_CHARACTERS).tag(sync=True)
    written = Int(MOST_CHARACTERS, min=0).tag(sync=True, between=(0, "length"))

    @classmethod
    def trained(cls, **options: Any) -> Self:
        """Return the widget with the model that comes with this package, which writes tales."""
        return cls.of(tales_lm.trained(), tales_lm.CHARACTERS, **options)

    @classmethod
    def of(cls, model: TinyLM, characters: str, **options: Any) -> Self:
        """Return the widget for a model whose tokens are `characters`; options as above."""
        weights, scales = packing.packed(model)
        heads = model.layers[0].attention.heads
        state = {"tensors": packing.layout(model), "weights": weights, "scales": scales, "heads": heads}
        written = options.get("length", MOST_CHARACTERS)
        return cls(**state | {"vocabulary": list(characters), "written": written} | options)

    def check(self) -> None:
        weights, rows = packing.sizes(self.tensors)
        require(weights <= MOST_WEIGHTS, f"a page carries a model of at most {MOST_WEIGHTS:,} weights, got {weights:,}")
        got = (self.weights.size, self.scales.size)
        require(got == (weights, rows), f"the tensors need {weights} weights and {rows} scales, got {got}")
        require(
            len(self.prompt) <= LONGEST_PROMPT,
            f"prompt needs at most {LONGEST_PROMPT} characters, got {len(self.prompt)}: shorten it",
        )

    @property
    def settings(self) -> str:
        """The settings of the draw in words."""
        begin = f" behind “{self.prompt}”" if self.prompt else ""
        return (
            f"{self.written} of {self.length} characters{begin} at temperature {self.temperature:g}, seed {self.seed}"
        )


class CharacterWriter(PageWriter):
    """A text that a small model writes in the page, and what else it might have written; options: see `PageWriter`."""

    _script = "writer.js"
    _style = "paper.css"

    @classmethod
    def example(cls) -> Self:
        return cls.trained(length=60, seed=1)

    @classmethod
    def largest(cls) -> Self:
        return cls.trained()

    @property
    def alt(self) -> str:
        return f"A small language model writes in the page: {self.settings}; below, what else it might have written."


def require(fine: bool, sentence: str) -> None:
    """Raise TraitError with the sentence unless all is fine."""
    if not fine:
        raise TraitError(sentence)
