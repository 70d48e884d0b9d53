"""Two lanes: what a draft proposes and what the target makes of it, token by token, for tables of word pairs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from traitlets import Bool, Enum, Float, Int, List, TraitError, Unicode

MISTAKES = ("none", "replaced-from-target", "kept-always", "ratio-upside-down")
LONGEST = 8  # drafted tokens in a pass
SENTENCES = (
    "the cat sat on the mat . the dog sat on the rug . the cat saw the dog . the dog saw the cat and ran . "
    "a cat ran on the mat . the dog ran and a cat sat . "
)


class SpeculativeLanes(Widget):
    """Passes of speculative decoding: the drafted tokens, the bar that decided each, and the text that comes out.

    words: V texts. target, draft (V, V): row i is the distribution of the word after word i. prompt: numbers of words
    to begin with. agreement: from 0, the draft as given, to 1, a draft that equals the target. gamma: drafted tokens in
    a pass. turns: the passes shown. greedy: the target takes its likeliest word, and the draft proposes its own.
    seed: of all draws. cost: of a pass of the draft, in passes of the target. mistake: one of MISTAKES.
    Raises TraitError where they do not fit together.
    """

    _script = "speculation.js"
    _style = "speculation.css"

    words = List(Unicode(), minlen=2, maxlen=32).tag(sync=True)
    target = Array("float32", ("words", "following"))
    draft = Array("float32", ("words", "following"))
    prompt = List(Int(min=0), minlen=1, maxlen=16).tag(sync=True)
    agreement = Float(0.5, min=0.0, max=1.0).tag(sync=True)
    gamma = Int(4, min=1, max=LONGEST).tag(sync=True)
    turns = Int(1, min=1, max=12).tag(sync=True)
    greedy = Bool(False).tag(sync=True)
    seed = Int(0, min=0, max=99).tag(sync=True)
    cost = Float(0.1, min=0.0, max=0.5).tag(sync=True)
    mistake = Enum(MISTAKES, "none").tag(sync=True)

    @classmethod
    def of_sentences(cls, sentences: str = SENTENCES, prompt: str = "the cat", **options: Any) -> Self:
        """Return a target that counts pairs of words in sentences, and a draft that counts words alone."""
        text = sentences.split()
        words = sorted(set(text))
        missing = sorted(set(prompt.split()) - set(words))
        _require(not missing, f"the prompt needs words of the sentences, got {missing}: leave them out")
        ids = [words.index(word) for word in text]
        pairs = np.full((len(words), len(words)), 0.02)
        np.add.at(pairs, (ids, [*ids[1:], ids[0]]), 1.0)
        alone = np.tile(np.bincount(ids, minlength=len(words)) + 0.02, (len(words), 1))
        options = {"words": words, "prompt": [words.index(word) for word in prompt.split()]} | options
        return cls(target=_normalised(pairs), draft=_normalised(alone), **options)

    @classmethod
    def example(cls) -> Self:
        return cls.of_sentences(turns=2)

    @property
    def alt(self) -> str:
        wrong = "" if self.mistake == "none" else f", with a mistake: {self.mistake}"
        way = "greedy" if self.greedy else "sampled"
        return (
            f"Two lanes, draft and target: {self.turns} passes with {self.gamma} drafted words each, {way}, at an "
            f"agreement of {self.agreement:.2f}{wrong}."
        )

    def check(self) -> None:
        size = len(self.words)
        for name in ("target", "draft"):
            table = getattr(self, name)
            _require(table.shape == (size, size), f"{name} needs shape {(size, size)}, got {table.shape}")
            _require(bool((table >= 0).all()), f"{name} needs probabilities from 0 on, got {table.min():.3g}")
            sums = table.sum(1)
            _require(bool(np.allclose(sums, 1, atol=1e-3)), f"rows of {name} need to sum to 1, got {sums.min():.3g}")
        _require(max(self.prompt) < size, f"words go up to {size - 1}, got {max(self.prompt)} in prompt")


def _normalised(counts: Any) -> Any:
    return counts / counts.sum(1, keepdims=True)


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise TraitError(sentence)
