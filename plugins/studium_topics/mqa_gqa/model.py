"""A tiny decoder whose query heads share key and value heads, built around the attention that the learner writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studium_topics.kits.tiny_lm import TinyLM, rotated

Attention = Callable[..., Tensor]  # gqa(q, k, v, causal)


@dataclass(frozen=True)
class Sizes:
    """How many heads there are for queries, how many for keys and values, and how many numbers each holds."""

    heads: int = 8
    groups: int = 8
    head: int = 8
    width: int = 64
    layers: int = 2


class GroupedAttention(nn.Module):
    """Causal self-attention (B, T, D) of H query heads and G key and value heads; names as in Llama's checkpoints."""

    def __init__(self, sizes: Sizes, gqa: Attention) -> None:
        super().__init__()
        self.sizes, self.gqa = sizes, gqa
        queries, shared = sizes.heads * sizes.head, sizes.groups * sizes.head
        self.q_proj = nn.Linear(sizes.width, queries, bias=False)
        self.k_proj = nn.Linear(sizes.width, shared, bias=False)
        self.v_proj = nn.Linear(sizes.width, shared, bias=False)
        self.o_proj = nn.Linear(queries, sizes.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.o_proj(self.gqa(*self.heads(x), True).transpose(1, 2).flatten(2))  # (B, T, D)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, d), and the keys and values (B, G, T, d) that a decoder would keep."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (linear(x).unflatten(-1, (-1, self.sizes.head)).transpose(1, 2) for linear in projections)
        return rotated(q), rotated(k), v


def grouped_lm(vocabulary: int, sizes: Sizes, gqa: Attention, seed: int = 0) -> TinyLM:
    """A TinyLM with grouped attention and the weights of `seed`; the global random state is left as it was found."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        model = TinyLM(vocabulary, sizes.width, sizes.layers)
        for layer in model.layers:
            layer.attention = GroupedAttention(sizes, gqa)
    return model


@torch.no_grad()
def cache_of(model: TinyLM, ids: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What a decoder keeps of ids (B, T): for each layer its keys and values, (B, G, T, d) each."""
    kept, x = [], model.embedding(ids)
    for layer in model.layers:
        _, k, v = layer.attention.heads(layer.attention_norm(x))
        kept.append((k, v))
        x = layer(x)
    return kept
