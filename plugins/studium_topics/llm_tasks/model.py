"""A tiny decoder that is told the positions and the attention mask of its tokens, and its low-rank adapters."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

SCALE = 2.0  # α / r of every adapter


class TapeLM(nn.Module):
    """Next-token logits (B, T, V) for ids (B, T).

    positions (B, T) long: which row of the learned table each token adds, 0 to T - 1 if left out. mask (B, T, T) bool:
    True where the token of a row may look at the token of a column, the causal triangle if left out.
    """

    def __init__(self, vocabulary: int, length: int = 96, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.table = nn.Embedding(length, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        for table in (self.embedding, self.table):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, ids: Tensor, positions: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        length = ids.shape[1]
        if positions is None:
            positions = torch.arange(length, device=ids.device)
        if mask is None:
            mask = torch.ones(1, length, length, dtype=torch.bool, device=ids.device).tril()
        x = self.embedding(ids) + self.table(positions)  # (B, T, D)
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(self.norm(x))


class Layer(nn.Module):
    """Attention and a feed-forward network, each added to its own input (B, T, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        z = self.attention_norm(x)
        q, k, v = (linear(z).unflatten(-1, (self.heads, -1)).transpose(1, 2) for linear in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])  # (B, H, T, D / H)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.mlp_norm(x))))


def base_model(vocabulary: int, seed: int = 0, **sizes: int) -> TapeLM:
    """Return a TapeLM with the weights of `seed`; the global random state is left as it was."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)
        return TapeLM(vocabulary, **sizes)


class LowRank(nn.Module):
    """What torch puts in the place of a weight W (out, in): W + 2 B A, where A (r, in) and B (out, r) are trained."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        size_out, size_in = weight.shape
        self.a = nn.Parameter((torch.randn(rank, size_in, generator=generator) / size_in**0.5).to(weight))
        self.b = nn.Parameter(weight.new_zeros(size_out, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + SCALE * self.b @ self.a


def adapt(base: nn.Module, rank: int, generator: torch.Generator) -> nn.Module:
    """Return a copy of a model in which every Linear has a LoRA update, and nothing else asks for a gradient.

    The updates are zero at the start; generator draws their factors A.
    """
    model = copy.deepcopy(base).requires_grad_(False)
    for linear in [module for module in model.modules() if isinstance(module, nn.Linear)]:
        parametrize.register_parametrization(linear, "weight", LowRank(linear.weight, rank, generator))
    return model
