"""A small Llama, and one of attention alone, put together from functions that somebody else writes: the learner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studium_topics.decoder_only.rotary import rotate

Block = Callable[..., Tensor]
Rotate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Sizes:
    """How big a decoder is; `hidden` is the width of the feed-forward network, 0 for attention alone."""

    vocabulary: int
    width: int = 64
    layers: int = 2
    heads: int = 4
    hidden: int = 0
    eps: float = 1e-6


def block(sizes: Sizes) -> nn.ParameterDict:
    """The parameters of one layer by name: `dict(block.named_parameters())` is the `weights` of `llama_block`."""
    width, hidden = sizes.width, sizes.hidden
    shapes = dict.fromkeys(("q", "k", "v", "o"), (width, width))
    if hidden:
        shapes |= {"gate": (hidden, width), "up": (hidden, width), "down": (width, hidden)}
    norms = {name: torch.ones(width) for name in (("attention_norm", "mlp_norm") if hidden else ("attention_norm",))}
    return nn.ParameterDict({name: torch.empty(shape) for name, shape in shapes.items()} | norms)


class Decoder(nn.Module):
    """Next-token logits (B, T, V) for ids (B, T): embedding, layers that add to the stream, norm, head.

    rmsnorm, causal_attention, llama_block: the building blocks, as the exercises of this topic define them; the last
    one is needed only where there is a feed-forward network.
    silent: (layer, head) pairs whose heads add nothing, to see what they were for.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        rmsnorm: Block,
        causal_attention: Block,
        llama_block: Block | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.rmsnorm, self.causal_attention, self.llama_block = rmsnorm, causal_attention, llama_block
        self.silent: frozenset[tuple[int, int]] = frozenset()
        self.embedding = nn.Parameter(torch.empty(sizes.vocabulary, sizes.width))
        self.blocks = nn.ModuleList(block(sizes) for _ in range(sizes.layers))
        self.norm = nn.Parameter(torch.ones(sizes.width))
        self.head = nn.Parameter(torch.empty(sizes.vocabulary, sizes.width))
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if (
                parameter.ndim == 2
            ):  # tokens of length √D: at 1/√D the first layer's sums drown them, and learning waits
                std = 1.0 if name == "embedding" else parameter.shape[-1] ** -0.5
                nn.init.normal_(parameter, std=std, generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        return self.read_out(self.streams(ids)[-1])

    def read_out(self, x: Tensor) -> Tensor:
        """What the stream (..., D) says of the next token: logits (..., V)."""
        return self.rmsnorm(x, self.norm, self.sizes.eps) @ self.head.T

    def streams(self, ids: Tensor) -> list[Tensor]:
        """The stream before the first layer and after each: (B, T, D) each."""
        found = [self.embedding[ids]]
        for number in range(self.sizes.layers):
            found.append(self._layer(found[-1], number))
        return found

    def _layer(self, x: Tensor, number: int) -> Tensor:
        weights = dict(self.blocks[number].named_parameters())
        if self.llama_block is not None:
            return self.llama_block(x, weights, self.sizes.heads, rotate, self.sizes.eps)
        z = self.rmsnorm(x, weights["attention_norm"], self.sizes.eps)
        out = self._audible(weights["o"], number)
        return x + self.causal_attention(z, weights["q"], weights["k"], weights["v"], out, self.sizes.heads, rotate)

    def _audible(self, out: Tensor, layer: int) -> Tensor:
        """The output weights (D, D) without the columns of silent heads."""
        size = self.sizes.width // self.sizes.heads
        for head in (head for at, head in self.silent if at == layer):
            out = out.index_fill(1, torch.arange(head * size, (head + 1) * size, device=out.device), 0.0)
        return out

    @torch.no_grad()
    def attention(self, ids: Tensor) -> Tensor:
        """Who looks at whom in one text ids (T,): weights (layers, heads, T, T), each row sums to 1."""
        return self.scores(ids).softmax(-1)

    @torch.no_grad()
    def scores(self, ids: Tensor) -> Tensor:
        """What stands before that softmax, -inf where a token lies ahead: (layers, heads, T, T)."""
        ahead = torch.ones(len(ids), len(ids), dtype=torch.bool, device=ids.device).triu(1)
        rows = []
        for x, layer in zip(self.streams(ids[None])[:-1], self.blocks, strict=True):
            z = self.rmsnorm(x, layer["attention_norm"], self.sizes.eps)[0]
            q, k = (rotate((z @ layer[name].T).unflatten(-1, (self.sizes.heads, -1)).transpose(0, 1)) for name in "qk")
            rows.append((q @ k.mT / q.shape[-1] ** 0.5).masked_fill(ahead, float("-inf")))
        return torch.stack(rows)
