"""The span press: your own text, corrupted in the browser, with inputs, targets and what a training step reads."""

from __future__ import annotations

from typing import Self

from studium_widgets import Widget
from traitlets import Enum, Float, Int, TraitError, Unicode

LONGEST = 600  # characters
TEXT = (
    "Every morning the old lighthouse keeper climbs ninety steps with a can of oil , cleans the great lamp , "
    "and writes the weather of the night into a thick blue book that nobody has ever asked to read ."
)


class SpanPress(Widget):
    """A text with hidden tokens, its inputs and targets with sentinels, and the tokens that a training step reads.

    text: words separated by spaces, up to 600 characters. rate: per cent of the words that are hidden. mean: the mean
    length of spans in words. seed: which mask. hiding: "spans" of exact counts, or a "coin" for each word. task: the
    decoder writes what is "missing", or the "whole" text. back: how many spans are put back into their gaps.
    Source: Raffel et al. 2020, arXiv 1910.10683, figure 2. Raises TraitError where text is too long.
    """

    _script = "press.js"
    _style = "press.css"

    text = Unicode(TEXT).tag(sync=True)
    rate = Int(15, min=5, max=60).tag(sync=True)
    mean = Float(3.0, min=1, max=8).tag(sync=True)
    seed = Int(4, min=0, max=99).tag(sync=True)
    hiding = Enum(("spans", "coin"), "spans").tag(sync=True)
    task = Enum(("missing", "whole"), "missing").tag(sync=True)
    back = Int(0, min=0, max=20).tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        return cls()

    @property
    def alt(self) -> str:
        how = f"in spans of mean length {self.mean:g}" if self.hiding == "spans" else "by a coin for each word"
        what = "the missing words" if self.task == "missing" else "the whole text"
        words = len(self.text.split())
        return f"A text of {words} words, {self.rate} per cent of them hidden {how}; the decoder writes {what}."

    def check(self) -> None:
        if len(self.text) > LONGEST:
            raise TraitError(f"text needs at most {LONGEST} characters, got {len(self.text)}: take fewer words")
