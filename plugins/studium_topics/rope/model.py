"""A decoder of attention alone, which knows of order what it is given: turned vectors, a table, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Turn = Callable[[Tensor, Tensor], Tensor]  # x (B, H, T, d) and positions (T,) or (B, T) to (B, H, T, d)
EPS = 1e-6
VOCABULARY = 32  # of the experiments' random tokens


def turning(apply_rope: Callable[..., Tensor], inv: Tensor, gain: float = 1.0) -> Turn:
    """A turn at fixed speeds inv (d/2,), its result times gain."""
    return lambda x, positions: gain * apply_rope(x, positions, inv)


@dataclass(frozen=True)
class Sizes:
    """How big a decoder is."""

    vocabulary: int
    width: int = 64
    layers: int = 2
    heads: int = 4

    @property
    def head(self) -> int:
        """d, the width of one head."""
        return self.width // self.heads


class Decoder(nn.Module):
    """Next-token logits (B, T, V) for ids (B, T) that stand at positions (T,) or (B, T).

    turn: turns queries and keys, and may be changed after training. table: how many positions a learned table has,
    whose rows are added to the embeddings. With neither of the two, the causal mask is all that the model knows.
    """

    def __init__(self, sizes: Sizes, *, turn: Turn | None = None, table: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.sizes, self.turn = sizes, turn
        width = sizes.width
        self.embedding = nn.Parameter(torch.empty(sizes.vocabulary, width))
        self.table = nn.Parameter(torch.empty(table, width)) if table else None
        self.layers = nn.ParameterList(torch.empty(4, width, width) for _ in range(sizes.layers))  # q, k, v, o
        self.norms = nn.ParameterList(torch.ones(width) for _ in range(sizes.layers + 1))
        self.head = nn.Parameter(torch.empty(sizes.vocabulary, width))
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                std = 1.0 if name in ("embedding", "table") else width**-0.5
                nn.init.normal_(parameter, std=std, generator=generator)

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        return self.logits(ids, positions, Cache(self.sizes.layers))

    def logits(self, ids: Tensor, positions: Tensor, cache: Cache, padding: Tensor | None = None) -> Tensor:
        """The logits of ids (B, new) that follow what is in the cache, which keeps their keys and values too.

        padding (B, L): True where a column, cached ones included, holds no token and is seen by nobody.
        """
        x = self.embedding[ids]
        if self.table is not None:
            x = x + self.table[positions]
        for number, (weights, norm) in enumerate(zip(self.layers, self.norms, strict=False)):
            z = F.rms_norm(x, norm.shape, norm, EPS)
            q, k, v = (F.linear(z, w).unflatten(-1, (self.sizes.heads, -1)).transpose(1, 2) for w in weights[:3])
            if self.turn is not None:
                q, k = self.turn(q, positions), self.turn(k, positions)
            k, v = cache.extended(number, k, v)
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen(q, k, padding))
            x = x + F.linear(mixed.transpose(1, 2).flatten(2), weights[3])
        return F.rms_norm(x, self.norms[-1].shape, self.norms[-1], EPS) @ self.head.T


def seen(q: Tensor, k: Tensor, padding: Tensor | None) -> Tensor:
    """Who may look at whom, True where: the new queries q (…, new, d) are the last of the columns of k (…, L, d)."""
    new, length = q.shape[-2], k.shape[-2]
    causal = torch.ones(new, length, dtype=torch.bool, device=q.device).tril(length - new)
    if padding is None:
        return causal
    itself = torch.eye(length, dtype=torch.bool, device=q.device)[-new:]  # padding looks at itself, not at nothing
    return causal & ~padding[:, None, None, :] | itself


class Cache:
    """The turned keys and the values of each layer, one column a token."""

    def __init__(self, layers: int) -> None:
        self._kept: list[tuple[Tensor, Tensor] | None] = [None] * layers

    def extended(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add new keys and values (B, H, new, d) of a layer, and give all of them (B, H, L, d)."""
        before = self._kept[layer]
        if before is not None:
            k, v = (torch.cat([old, new], -2) for old, new in zip(before, (k, v), strict=True))
        self._kept[layer] = k, v
        return k, v
