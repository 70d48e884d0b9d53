"""Models that read tokens behind those in their cache: a small transformer, a table of pairs, and a table for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.kits.tiny_lm import Layer, TinyLM, rotated


class Reader(Protocol):
    """A language model with a cache of the first `length` tokens of a text."""

    length: int

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read t tokens behind those in the cache; return the distribution of the token after each, (t, V)."""

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing happens where there are no more."""


def distribution(logits: Tensor, temperature: float) -> Tensor:
    """Return softmax(logits / temperature) over the last axis in double precision; at 0, all weight on the largest."""
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).double()
    return (logits.double() / temperature).softmax(-1)


class CachedLM:
    """A TinyLM and its cache. passes: the calls of `read`; temperature: of the distributions that it returns."""

    def __init__(self, model: TinyLM, *, temperature: float = 1.0) -> None:
        self.model, self.temperature = model, temperature
        self.passes = 0
        self._cache: list[tuple[Tensor, Tensor]] = []

    @property
    def length(self) -> int:
        """How many tokens are in the cache."""
        return self._cache[0][0].shape[2] if self._cache else 0

    @torch.no_grad()
    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read t tokens behind those in the cache; return the distribution of the token after each, (t, V)."""
        if not tokens:
            raise ValueError("a pass needs at least one token, got none: the last token of the text has to be read")
        self.passes += 1
        table = self.model.embedding.weight
        x = self.model.embedding(torch.tensor([list(tokens)], device=table.device))  # (1, t, D)
        past = self._cache or [None] * len(self.model.layers)
        self._cache = []
        for layer, old in zip(self.model.layers, past, strict=True):
            mixed, kept = _attention(layer, layer.attention_norm(x), old)
            self._cache.append(kept)
            x = x + mixed
            x = x + layer.mlp(layer.mlp_norm(x))
        return distribution(self.model.head(self.model.norm(x))[0], self.temperature)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing happens where there are no more."""
        self._cache = [(keys[:, :, :length], values[:, :, :length]) for keys, values in self._cache]


def _attention(layer: Layer, z: Tensor, old: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return what t tokens z (1, t, D) read from the text, and its keys and values (1, H, length + t, d)."""
    part = layer.attention
    q, k, v = (linear(z).unflatten(-1, (part.heads, -1)).transpose(1, 2) for linear in (part.q, part.k, part.v))
    start = 0 if old is None else old[0].shape[2]
    q, k = (rotated(F.pad(x, (0, 0, start, 0)))[:, :, start:] for x in (q, k))
    if old is not None:
        k, v = torch.cat([old[0], k], 2), torch.cat([old[1], v], 2)
    t, length = q.shape[2], k.shape[2]
    visible = torch.ones(t, length, dtype=torch.bool, device=z.device).tril(length - t)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
    return part.o(mixed.transpose(1, 2).flatten(2)), (k, v)


class PairTable:
    """A draft that costs nothing: the next token's frequencies after the last token, counted in a text."""

    def __init__(self, ids: Tensor, vocabulary: int, *, temperature: float = 1.0) -> None:
        pairs = torch.bincount(ids[:-1] * vocabulary + ids[1:], minlength=vocabulary**2).double()
        counts = pairs.view(vocabulary, vocabulary) + 0.01  # no pair is impossible
        self._rows = distribution(counts.log(), temperature)
        self.length, self.passes = 0, 0

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Return the row of each of t tokens, (t, V)."""
        self.length += len(tokens)
        self.passes += 1
        return self._rows[torch.tensor(list(tokens))]

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing happens where there are no more."""
        self.length = min(self.length, length)


@dataclass
class TableReader:
    """A model for tests whose distributions depend on all tokens in its cache: rows (K, V), one for each remainder.

    held: the tokens in its cache. reads: how many tokens each call of `read` brought.
    """

    rows: Tensor
    held: list[int] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """How many tokens are in the cache."""
        return len(self.held)

    def row(self, tokens: Sequence[int]) -> Tensor:
        """Return the distribution (V,) of the token after a whole text."""
        state = 1
        for token in tokens:
            state = (state * 3 + int(token) + 1) % len(self.rows)
        return self.rows[state]

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read t tokens behind those in the cache; return the distribution of the token after each, (t, V)."""
        if not len(tokens):
            raise ValueError("a pass needs at least one token, got none: the last token of the text has to be read")
        self.reads.append(len(tokens))
        found = []
        for token in tokens:
            self.held.append(int(token))
            found.append(self.row(self.held))
        return torch.stack(found)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing happens where there are no more."""
        del self.held[length:]

    def continuations(self, text: Sequence[int], new: int, stop: int = -1) -> dict[tuple[int, ...], float]:
        """Return the exact probability of each continuation of a text by `new` tokens, or up to `stop`."""
        if new == 0:
            return {(): 1.0}
        found = {}
        for token, probability in enumerate(self.row(text).tolist()):
            rest = {(): 1.0} if token == stop else self.continuations([*text, token], new - 1, stop)
            found |= {(token, *tail): probability * weight for tail, weight in rest.items()}
        return found


def random_rows(count: int, vocabulary: int, generator: torch.Generator, sharpness: float = 1.5) -> Tensor:
    """Return `count` random distributions (count, V) in double precision."""
    return (sharpness * torch.randn(count, vocabulary, generator=generator, dtype=torch.float64)).softmax(-1)
