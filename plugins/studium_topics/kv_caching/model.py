"""A small language model that reads new tokens alone, with attention that the learner writes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from studium_topics.kits.tiny_lm import TinyLM
from studium_topics.kv_caching.rotary import rotate

Block = Callable[..., Tensor]
Cache = list[tuple[Tensor, Tensor]]
Mask = Callable[[int, int], Tensor | None]
CHUNK = 8  # tokens of a prompt that are read in one call
VOCABULARY = 31
SIZES = {"width": 32, "layers": 3, "heads": 4, "hidden": 96}  # of the models that are not trained


def causal(queries: int, keys: int) -> None:
    """Leave the mask to `cached_attention`."""


class CachedLM:
    """A TinyLM whose `step` takes the newest tokens and a cache, where the model itself takes the whole text.

    cached_attention: as the exercise of this topic defines it. capacity: the tokens for which caches have room.
    turn, mask: what is handed to it as `rotate` and `visible`; mask(queries, keys) gives None or a bool tensor that
    broadcasts to (B, heads, queries, keys). Change them to see what goes wrong.
    """

    def __init__(
        self, model: TinyLM, cached_attention: Block, capacity: int, *, turn: Block = rotate, mask: Mask = causal
    ) -> None:
        self.model, self.cached_attention, self.capacity = model, cached_attention, capacity
        self.turn, self.mask = turn, mask

    @torch.no_grad()
    def step(self, ids: Tensor, start: int, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Return logits (B, t, V) for ids (B, t) from position start on, and the cache with them in it.

        A cache is used in place: what a step gives is the one that it was given, or a new one for None.
        """
        cache = cache or self._empty(len(ids))
        visible = self.mask(ids.shape[1], start + ids.shape[1])
        x = self.model.embedding(ids)  # (B, t, D)
        for layer, (keys, values) in zip(self.model.layers, cache, strict=True):
            part = layer.attention
            weights = (linear.weight for linear in (part.q, part.k, part.v, part.o))
            z = layer.attention_norm(x)
            x = x + self.cached_attention(z, *weights, part.heads, self.turn, keys, values, start, visible)
            x = x + layer.mlp(layer.mlp_norm(x))
        return self.model.head(self.model.norm(x)), cache

    def logits(self, ids: Tensor, chunk: int, cache: Cache | None = None, start: int = 0) -> Tensor:
        """Return the logits (B, T, V) of ids (B, T), read chunk by chunk behind `start` tokens of a cache."""
        found = []
        for part in ids.split(chunk, dim=1):
            logits, cache = self.step(part, start, cache)
            start += part.shape[1]
            found.append(logits)
        return torch.cat(found, 1)

    def _empty(self, batch: int) -> Cache:
        table, heads = self.model.embedding.weight, self.model.layers[0].attention.heads
        shape = (batch, heads, self.capacity, table.shape[1] // heads)
        return [(table.new_empty(shape), table.new_empty(shape)) for _ in self.model.layers]
