"""A sentence token by token with the probabilities of the next: temperature, filters, a draw, a checked draft."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Enum, Float, Int, List, TraitError, Unicode, default

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["TokenStrip"]

LARGEST = 4 * 2**20  # logits: 16 MB in a notebook
MISTAKES = ("none", "resample-target", "swapped-ratio", "always-accept")
PROSE = (
    "the cat sat on the mat . the dog sat on the log . the cat saw the dog . a bird sat in the tree and "
    "the cat saw a bird . the dog ran to the tree . the bird flew to the log and the cat ran to the mat ."
)


class TokenStrip(Widget):
    """A line of tokens, each with its probability, and what a decoder does with the logits at the selected one.

    vocabulary: V strings. logits (positions, V), -inf allowed: row t predicts token t. text: token numbers, one for
    each row, or one fewer if the last row predicts what comes next. position: the row shown in detail. temperature: 0
    (only the largest) to 5; top_k: 0 is off; top_p: above 0, 1 is off; min_p: a fraction of the likeliest, 0 is off; in
    this order, each on the renormalised remainder. greedy: take the likeliest, otherwise draw by seed. The perplexity
    and the bits per byte are those of text at this temperature, with no filter. draft (len(text), V): logits of a
    smaller model that drafted text; then the strip shows which tokens the target keeps (Leviathan et al. 2022), cost is
    a draft's share of a target call, trials how many single checks are counted, and mistake one of MISTAKES. source,
    attention (positions, source): the encoder's tokens, and the weight of each. Raises TraitError if they do not fit
    together.
    """

    _script = "token_strip.js"
    _style = "token_strip.css"

    vocabulary = List(Unicode()).tag(sync=True, each="vocabulary")
    logits = Array("float32", ("positions", "vocabulary"), finite=False)
    text = List(Int()).tag(sync=True, between=(0, "vocabulary"))
    position = Int().tag(sync=True, between=(0, "positions"))
    temperature = Float(1.0).tag(sync=True, between=(0, 5))
    top_k = Int(0).tag(sync=True, between=(0, LARGEST))
    top_p = Float(1.0).tag(sync=True, between=(1e-6, 1))
    min_p = Float(0.0).tag(sync=True, between=(0, 1))
    greedy = Bool(False).tag(sync=True)
    seed = Int(0).tag(sync=True, between=(0, 2**31))
    draft = Array("float32", ("drafted", "vocabulary"), optional=True, finite=False)
    cost = Float(0.1).tag(sync=True, between=(0, 1))
    trials = Int(1000).tag(sync=True, between=(0, 100000))
    mistake = Enum(MISTAKES, "none").tag(sync=True)
    source = List(Unicode()).tag(sync=True, each_if_any="source")
    attention = Array("float32", ("tokens", "source"), optional=True)

    @classmethod
    def example(cls) -> Self:
        vocabulary, logits = _counted()
        start, *text = (vocabulary.index(word) for word in [".", "the", "cat", "sat", "on", "the"])
        return cls(vocabulary=vocabulary, logits=logits[[start, *text]], text=text)

    @classmethod
    def speculative(cls, **state: Any) -> Self:
        """Return a draft that knows how frequent words are, checked by a target that knows which word follows which."""
        vocabulary, logits = _counted()
        start, *text = (vocabulary.index(word) for word in [".", "the", "cat", ".", "the", "dog"])
        rows = logits[[start, *text]]
        draft = 0.5 * rows[:-1] + 0.5 * logits.mean(0)
        return cls(
            **{"vocabulary": vocabulary, "logits": rows, "text": text, "draft": draft, "position": 1, "seed": 3} | state
        )

    @classmethod
    def largest(cls) -> Self:
        drawn = np.random.default_rng(0).normal(0, 2, (65, 1024)).astype(np.float32)
        return cls(vocabulary=[f"t{i}" for i in range(1024)], logits=drawn, text=drawn[:-1].argmax(1).tolist())

    @property
    def alt(self) -> str:
        likeliest = self.vocabulary[int(self.logits[self.position].argmax())]
        start = f"{len(self.text)} tokens of {len(self.vocabulary)} and their probabilities"
        here = f"at position {self.position}, “{likeliest}” is the likeliest"
        settings = f"temperature {self.temperature:g}, top-k {self.top_k or 'off'}, top-p {self.top_p:g}"
        against = "" if self.draft is None else " A draft is checked against the target."
        return f"Token strip: {start}; {here} ({settings}, min-p {self.min_p:g}).{against}"

    def check(self) -> None:
        self._check_sizes()
        for name, low, high in (("temperature", 0, 5), ("top_p", 0, 1), ("min_p", 0, 1), ("cost", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise TraitError(f"{name} needs to be from {low} to {high}, got {getattr(self, name)}: choose another")
        if self.top_p == 0:
            raise TraitError("top_p needs to be above 0, got 0: 1 switches it off, and greedy takes the likeliest")
        for name, high in (("top_k", len(self.vocabulary)), ("trials", 100_000)):
            if not 0 <= getattr(self, name) <= high:
                raise TraitError(f"{name} needs to be from 0 to {high}, got {getattr(self, name)}: choose another")
        if not np.isfinite(self.logits).any(1).all():
            raise TraitError("logits need a finite number in each row, got a row of -inf: one token has to be possible")

    @default("position")  # type: ignore[untyped-decorator]
    def _last(self) -> int:
        return len(self.logits) - 1

    def _check_sizes(self) -> None:
        given: Any = self.logits
        rows, size = given.shape
        if given.size > LARGEST:
            raise TraitError(f"logits need at most {LARGEST} numbers, got {given.size}: pass fewer positions")
        if len(self.vocabulary) != size or size < 2:
            raise TraitError(f"vocabulary needs one string for each of {size} columns, got {len(self.vocabulary)}")
        if not 1 <= len(self.text) <= rows <= len(self.text) + 1:
            raise TraitError(
                f"text needs {rows} or {rows - 1} tokens for {rows} rows, got {len(self.text)}: row t is t's"
            )
        if wrong := [token for token in self.text if not 0 <= token < size]:
            raise TraitError(
                f"text needs token numbers from 0 to {size - 1}, got {wrong[0]}: is it another vocabulary?"
            )
        if not 0 <= self.position < rows:
            raise TraitError(f"position needs to be from 0 to {rows - 1}, got {self.position}: it is a row of logits")
        if self.draft is not None and self.draft.shape != (len(self.text), size):
            raise TraitError(f"draft needs shape ({len(self.text)}, {size}), one row per token, got {self.draft.shape}")
        if self.attention is not None and self.attention.shape != (rows, len(self.source)):
            raise TraitError(
                f"attention needs shape ({rows}, {len(self.source)}), got {self.attention.shape}: give source"
            )


def _counted() -> tuple[list[str], NDArray[np.float64]]:
    """Return the words of PROSE, and the logs of how often each follows another, smoothed by its frequency: (V, V)."""
    words = PROSE.split()
    vocabulary = sorted(set(words), key=words.index)
    numbers = [vocabulary.index(word) for word in words]
    counts = np.zeros((len(vocabulary), len(vocabulary)))
    np.add.at(counts, (numbers[:-1], numbers[1:]), 1)
    shares = np.bincount(numbers) / len(numbers)
    return vocabulary, np.log((counts + 2 * shares) / (counts.sum(1, keepdims=True) + 2))
