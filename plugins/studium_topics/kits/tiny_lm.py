"""A tiny decoder-only language model, as a base for topics that adapt, compress or speed up a model.

Two pre-norm layers of width 64 with rotary positions: 112 448 weights for the 108 characters of `text`. Its Linears
have the names that adapters look for: q, k, v, o, up and down in each layer, and head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TinyLM(nn.Module):
    """Next-token logits (B, T, V) for ids (B, T)."""

    def __init__(self, vocabulary: int, width: int = 64, layers: int = 2, heads: int = 4, hidden: int = 256) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"width needs to be a multiple of twice the heads, got width {width} and {heads} heads")
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads, hidden) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)  # (B, T, D)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))  # (B, T, V)


class Layer(nn.Module):
    """Attention, then a feed-forward network, each added to its own input (B, T, D)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.RMSNorm(width)
        self.mlp = MLP(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Attention(nn.Module):
    """Causal self-attention of (B, T, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, width, bias=False)
        self.o = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for linear in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)  # (B, H, T, D / H)
        return self.o(y.transpose(1, 2).flatten(2))  # (B, T, D)


class MLP(nn.Module):
    """The feed-forward network of (B, T, D)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))


def rotated(x: Tensor) -> Tensor:
    """Queries or keys (..., T, d), turned by rotary positions 0 to T - 1; neighbouring numbers form the pairs."""
    length, size = x.shape[-2:]
    rate = 10_000.0 ** -(torch.arange(0, size, 2, device=x.device) / size)
    angle = torch.outer(torch.arange(length, device=x.device), rate)  # (T, D / 2H)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def base_model(vocabulary: int, seed: int = 0, **sizes: int) -> TinyLM:
    """Return a TinyLM with the weights of `seed`; the global random state is unchanged."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        return TinyLM(vocabulary, **sizes)
