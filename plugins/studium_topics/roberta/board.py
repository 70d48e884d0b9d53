"""The recipe board: one text under each recipe, epoch by epoch, and what the held-out loss does."""

from __future__ import annotations

import numpy as np
from studium_widgets import Array, Widget
from traitlets import Enum, Float, Int, List, TraitError, Unicode

FORMATS = ("nsp", "pairs", "full")
MASKINGS = ("once", "copies", "dynamic")
MOST_WORDS = 160

SENTENCES = (
    "the old lighthouse stands on a cliff .",
    "its keeper lights the lamp every evening .",
    "ships see the light from far away .",
    "bread needs flour , water and salt .",
    "the dough rests for an hour .",
    "then the oven does its work .",
)
DOCUMENTS = (0, 0, 0, 1, 1, 1)


class RecipeBoard(Widget):
    """The rows that a recipe makes of a text, the tokens that each epoch asks for, and measured losses.

    sentences: words separated by spaces, up to 160 in all; documents: the document of each sentence, in order.
    recipe: how rows are made, one of FORMATS: pairs with next sentence prediction, pairs of neighbours, full sentences.
    masking: one of MASKINGS: drawn once, drawn `copies` times, drawn in each epoch. length: tokens in a full row.
    rate: the probability with which a mask chooses a token. epoch, epochs: the epoch that is shown, and their number.
    losses (3, points): the held-out loss under each masking, in nats, after the epochs in `measured`, which rise.
    Left out, no curve is shown. nouns (3,): the loss of a hidden noun under each recipe, in nats. seed: of the masks.
    """

    _script = "board.js"
    _style = "board.css"

    sentences = List(Unicode(), list(SENTENCES), minlen=1, maxlen=40).tag(sync=True)
    documents = List(Int(min=0), list(DOCUMENTS), minlen=1, maxlen=40).tag(sync=True)
    recipe = Enum(FORMATS, "full").tag(sync=True)
    masking = Enum(MASKINGS, "once").tag(sync=True)
    length = Int(26, min=8, max=64).tag(sync=True)
    copies = Int(10, min=1, max=40).tag(sync=True)
    rate = Float(0.15, min=0.05, max=0.5).tag(sync=True)
    epochs = Int(40, min=2, max=60).tag(sync=True)
    epoch = Int(1, min=1, max=60).tag(sync=True)
    seed = Int(0, min=0, max=10**6).tag(sync=True)
    measured = List(Int(min=1, max=60), list(range(4, 41, 4)), minlen=1, maxlen=60).tag(sync=True)
    losses = Array("float32", ("maskings", "points"), optional=True)
    nouns = Array("float32", ("recipes",))

    @classmethod
    def example(cls) -> RecipeBoard:
        after = np.arange(4, 41, 4) / 10 + 0.3
        return cls(
            losses=np.stack([1.6 + 0.5 * after, 1.7 + 2 / after, 1.6 + 2 / after]), nouns=[1.9, 1.8, 0.8], epoch=6
        )

    @property
    def alt(self) -> str:
        rows = {"nsp": "sentence pairs with NSP", "pairs": "sentence pairs", "full": "full sentences"}[self.recipe]
        masks = {"once": "one static mask", "copies": f"{self.copies} static masks", "dynamic": "dynamic masking"}
        return (
            f"A text of {len(self.sentences)} sentences as {rows} with {masks[self.masking]}, epoch {self.epoch} of "
            f"{self.epochs}, and held-out losses under each masking and each recipe."
        )

    def check(self) -> None:
        counts = len(self.sentences), len(self.documents)
        _require(counts[0] == counts[1], f"each sentence needs its document, got {counts[0]} and {counts[1]}: add some")
        words = [sentence.split() for sentence in self.sentences]
        _require(all(words), "a sentence needs one word at least, got none: leave it out")
        total = sum(map(len, words))
        _require(total <= MOST_WORDS, f"the text needs {MOST_WORDS} words at most, got {total}: shorten it")
        longest = max(map(len, words))
        _require(longest <= self.length - 2, f"a row of {self.length} holds {self.length - 2} words, got {longest}")
        _require(self.epoch <= self.epochs, f"epoch goes up to {self.epochs}, the number of epochs, got {self.epoch}")
        _require(self.nouns.shape == (3,), f"nouns need shape (3,), one loss a recipe, got {self.nouns.shape}")
        points = len(self.measured)
        shape = (3, points) if self.losses is None else self.losses.shape
        _require(shape == (3, points), f"losses need shape (3, {points}), got {shape}")
        rising = list(self.measured) == sorted(set(self.measured))
        _require(rising and self.measured[-1] <= self.epochs, f"measured needs rising epochs up to {self.epochs}")


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise TraitError(sentence)
