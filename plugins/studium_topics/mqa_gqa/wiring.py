"""Which query head is wired to which shared head, and what each head's result loses by that."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from torch import Tensor
from traitlets import Enum, Int, TraitError

from studium_topics.kits.tiny_lm import TinyLM

MOST_HEADS, MOST_TOKENS, MOST_SIZE = 32, 128, 64


class HeadWiring(Widget):
    """Query heads wired to fewer heads of keys and values: the wires, and the error of each head's result.

    query (H, d), key and value (H, T, d): what one position of a multi-head model asks, and what it looks at. They
    are merged into `groups` shared heads, 0 for as many as there are query heads; merge: "mean" of a group or its
    "first" head. order: "grouped" (query head h looks at h // (H / G)) or "tiled" (at h % G, the classic mistake).
    The error of a head is that of its result against the multi-head one, relative to the latter's length.
    Source: Ainslie et al. 2023, arXiv 2305.13245. Raises TraitError where they do not fit together.
    """

    _script = "wiring.js"

    query = Array("float32", ("heads", "size"))
    key = Array("float32", ("heads", "tokens", "size"))
    value = Array("float32", ("heads", "tokens", "size"))
    groups = Int(0, min=0, max=MOST_HEADS).tag(sync=True)
    order = Enum(("grouped", "tiled"), "grouped").tag(sync=True)
    merge = Enum(("mean", "first"), "mean").tag(sync=True)

    @classmethod
    def of(cls, model: TinyLM, ids: Tensor, layer: int = 0, **options: Any) -> Self:
        """Take what the last position of ids (T,) asks and sees in a layer of a multi-head model; options as above."""
        sizes = model.layers[layer].attention.sizes
        if sizes.groups != sizes.heads:
            raise TraitError(f"the wiring needs a multi-head model, got {sizes.groups} shared heads: merge them here")
        q, k, v = (
            part[0].numpy(force=True) for part in model.layers[layer].attention.heads(_stream(model, ids, layer))
        )
        return cls(**{"query": q[:, -1], "key": k, "value": v} | options)

    @classmethod
    def example(cls) -> Self:
        return cls.drawn(8, 24, 8, groups=4)

    @classmethod
    def largest(cls) -> Self:
        return cls.drawn(MOST_HEADS, MOST_TOKENS, MOST_SIZE, groups=8, order="tiled")

    @classmethod
    def drawn(cls, heads: int, tokens: int, size: int, **options: Any) -> Self:
        """Random queries, keys and values: heads are alike, neighbours in fours more, pairs most; options as above."""
        random = np.random.default_rng(0)
        key, value = sum(
            part * random.normal(size=(2, -(-heads // alike), tokens, size)).repeat(alike, 1)[:, :heads]
            for alike, part in ((heads, 1.0), (4, 0.6), (2, 0.35), (1, 0.15))
        )
        return cls(**{"query": random.normal(size=(heads, size)), "key": key, "value": value} | options)

    @property
    def shared(self) -> int:
        """G."""
        query: Any = self.query
        return self.groups or len(query)

    @property
    def alt(self) -> str:
        query: Any = self.query
        order = "neighbours share a head" if self.order == "grouped" else "in the order of repeat, h % G"
        return f"{len(query)} query heads wired to {self.shared} shared heads, {order}, merged by {self.merge}."

    def check(self) -> None:
        query: Any = self.query
        key: Any = self.key
        value: Any = self.value
        heads, size = query.shape
        if key.shape != value.shape:
            raise TraitError(f"value needs the shape of key, {key.shape}, got {value.shape}")
        if (key.shape[0], key.shape[2]) != (heads, size):
            raise TraitError(f"key needs shape ({heads}, T, {size}), got {key.shape}: one head for each query head")
        most = (MOST_HEADS, MOST_TOKENS, MOST_SIZE)
        if not all(1 <= length <= limit for length, limit in zip(key.shape, most, strict=True)):
            raise TraitError(f"the wiring has room for {most} heads, tokens and numbers, got {key.shape}")
        if heads % self.shared:
            raise TraitError(f"groups need to divide the {heads} heads, got {self.groups}: choose a divisor")


def _stream(model: TinyLM, ids: Tensor, layer: int) -> Tensor:
    x = model.embedding(ids[None])
    for earlier in model.layers[:layer]:
        x = earlier(x)
    return model.layers[layer].attention_norm(x)
