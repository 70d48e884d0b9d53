"""A random spotlight: softmax attention beside its estimate from random features, with error bars, in the browser."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from traitlets import Bool, Enum, Float, Int, List, TraitError, Unicode

KINDS = ("positive", "sine-cosine")
MOST = 12  # queries or keys
WIDEST = 16
WORDS = ["once", "a", "small", "fox", "lost", "her", "kite", "near", "the", "well"]


class RandomSpotlight(Widget):
    """Exact attention, one estimate of it, and how much the weights of one query change from draw to draw.

    q (n, d), k (s, d): queries and keys, n and s up to 12, d up to 16; attention is softmax(q kᵀ / √d). kind: of the
    features, "positive" or "sine-cosine". vectors: how many random vectors there are, 4 to 128. orthogonal: whether
    each d of them are orthogonal. size: what q and k are multiplied by, 0.25 to 2. draw: which random vectors are
    shown. query: whose weights have error bars, from 1. words: of
    the queries and keys, or none. Raises TraitError where the arrays do not fit together.
    """

    _script = "spotlight.js"
    _style = "spotlight.css"

    q = Array("float32", ("queries", "width"))
    k = Array("float32", ("keys", "width"))
    kind = Enum(KINDS, "positive").tag(sync=True)
    vectors = Int(32, min=4, max=128).tag(sync=True)
    orthogonal = Bool(False).tag(sync=True)
    size = Float(1.0, min=0.25, max=2.0).tag(sync=True)
    draw = Int(1, min=1, max=99).tag(sync=True)
    query = Int(1, min=1, max=MOST).tag(sync=True)
    words = List(Unicode()).tag(sync=True)

    @classmethod
    def example(cls) -> Self:
        """Return ten queries, of which each resembles the key before it: a head that looks one word back."""
        return cls.resembling(len(WORDS), 8, query=3, words=WORDS)

    @classmethod
    def largest(cls) -> Self:
        return cls.resembling(MOST, WIDEST, vectors=128)

    @classmethod
    def resembling(cls, tokens: int, width: int, **options: Any) -> Self:
        """Return the widget for random keys, and queries that are the key of the token before, with noise."""
        random = np.random.default_rng(3)
        keys = random.standard_normal((tokens, width))
        queries = 0.8 * np.roll(keys, 1, 0) + 0.6 * random.standard_normal((tokens, width))
        return cls(q=queries, k=keys, **options)

    @property
    def alt(self) -> str:
        return (
            f"Softmax attention of {len(self.q)} queries beside its estimate from {self.vectors} "
            f"{'orthogonal' if self.orthogonal else 'independent'} random vectors with {self.kind} features, draw "
            f"{self.draw}, for queries and keys of {self.size:g} times their size; error bars for query {self.query}."
        )

    def check(self) -> None:
        for name in ("q", "k"):
            count, width = getattr(self, name).shape
            if count > MOST or width > WIDEST:
                raise TraitError(f"{name} needs shape ({MOST}, {WIDEST}) at most, got ({count}, {width}): take fewer")
        if self.words and not len(self.words) == len(self.q) == len(self.k):
            raise TraitError(
                f"words need one for each of {len(self.q)} queries and {len(self.k)} keys, got {len(self.words)}"
            )
        if self.query > len(self.q):
            raise TraitError(f"query goes up to {len(self.q)}, the number of queries, got {self.query}")
