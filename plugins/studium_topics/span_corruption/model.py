"""A small T5: an encoder that reads a text with gaps, and a decoder that writes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Sizes:
    """The sizes of a model: two tokens of a text are less than `reach` apart, `pad` fills up a batch."""

    vocabulary: int
    width: int = 64
    layers: int = 2
    heads: int = 4
    hidden: int = 128
    reach: int = 64
    pad: int = 0


class Attention(nn.Module):
    """Multi-head attention as T5 has it: no bias and no 1/sqrt(d), which its initial values contain."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        """Return (B, T, D) for x (B, T, D) that looks at memory (B, S, D); bias is added to scores (B, H, T, S)."""
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = (part(memory).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.k, self.v))
        y = (q @ k.mT + bias).softmax(-1) @ v
        return self.o(y.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Self-attention, in a decoder cross-attention, and a perceptron; each reads a normalised copy of its input."""

    def __init__(self, sizes: Sizes, *, crosses: bool) -> None:
        super().__init__()
        width = sizes.width
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.attention = Attention(width, sizes.heads)
        self.cross_norm = nn.RMSNorm(width, eps=1e-6) if crosses else None
        self.cross = Attention(width, sizes.heads) if crosses else None
        self.mlp_norm = nn.RMSNorm(width, eps=1e-6)
        self.up = nn.Linear(width, sizes.hidden, bias=False)
        self.down = nn.Linear(sizes.hidden, width, bias=False)

    def forward(self, x: Tensor, bias: Tensor, memory: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
        """Return (B, T, D); bias belongs to self-attention, memory (B, S, D) and seen to cross-attention."""
        y = self.norm(x)
        x = x + self.attention(y, y, bias)
        if self.cross is not None:
            x = x + self.cross(self.cross_norm(x), memory, seen)
        return x + self.down(F.relu(self.up(self.mlp_norm(x))))


class Stack(nn.Module):
    """Layers with one table of relative positions for all of them: one number for each distance and head."""

    def __init__(self, sizes: Sizes, *, decoder: bool) -> None:
        super().__init__()
        self.reach, self.decoder = sizes.reach, decoder
        self.distances = nn.Parameter(torch.empty(2 * sizes.reach - 1, sizes.heads))
        self.layers = nn.ModuleList(Layer(sizes, crosses=decoder) for _ in range(sizes.layers))
        self.norm = nn.RMSNorm(sizes.width, eps=1e-6)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
        """Return (B, T, D); mask is True where a query may look, seen is added to the scores of cross-attention."""
        at = torch.arange(x.shape[1], device=x.device)
        bias = self.distances[at - at[:, None] + self.reach - 1].permute(2, 0, 1)  # (H, T, T)
        bias = bias.masked_fill(~mask, -torch.inf)
        for layer in self.layers:
            x = layer(x, bias, memory, seen)
        return self.norm(x)


class TinyT5(nn.Module):
    """Logits (B, T, V) of the next target token, for inputs (B, S) and decoder inputs (B, T); no dropout.

    With distances below 64 it is T5 (Raffel et al. 2020) with enough buckets that each distance has its own.
    """

    def __init__(self, sizes: Sizes, seed: int = 0) -> None:
        super().__init__()
        self.sizes = sizes
        self.table = nn.Parameter(torch.empty(sizes.vocabulary, sizes.width))
        with torch.random.fork_rng(devices=[]):  # nn.Linear draws its first values from the global generator
            self.encoder, self.decoder = Stack(sizes, decoder=False), Stack(sizes, decoder=True)
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        width, head = self.sizes.width, self.sizes.width // self.sizes.heads
        special = {"table": 1.0, "q.weight": (width * head) ** -0.5, "down.weight": self.sizes.hidden**-0.5}
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                std = next((std for end, std in special.items() if name.endswith(end)), width**-0.5)
                nn.init.normal_(parameter, std=std, generator=generator)

    def forward(self, inputs: Tensor, decoder_inputs: Tensor) -> Tensor:
        return self.write(*self.read(inputs), decoder_inputs)

    def read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the encoder's vectors (B, S, D), and what is added to the scores of a query that looks at them."""
        real = (inputs != self.sizes.pad)[:, None, None, :]
        memory = self.encoder(self.table[inputs], real)
        return memory, torch.zeros_like(real, dtype=memory.dtype).masked_fill(~real, -torch.inf)

    def write(self, memory: Tensor, seen: Tensor, decoder_inputs: Tensor) -> Tensor:
        """Return the logits (B, T, V) of the decoder, which sees its own tokens up to each position."""
        length = decoder_inputs.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=memory.device).tril()
        x = self.decoder(self.table[decoder_inputs], causal, memory, seen)
        return x * self.sizes.width**-0.5 @ self.table.T
