"""What the lesson's models are made of: the tensors of a Llama by name, and a decoder of attention alone."""

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


def fresh_checkpoint(sizes: Sizes, *, seed: int = 0, device: str = "cpu") -> dict[str, Tensor]:
    """Return untrained weights of a Llama under the names of its published checkpoints, each asking for a gradient.

    Matrices are drawn with standard deviation 1 / √(their inputs), so that a projection keeps the size of what it
    reads; embeddings with 1, because at 1 / √D the sums of the first layer would drown the tokens. Gains are ones.
    """
    width, hidden = sizes.width, sizes.hidden
    shapes = {"model.embed_tokens": (sizes.vocabulary, width)}
    for layer in range(sizes.layers):
        layer_name = f"model.layers.{layer}"
        shapes |= {f"{layer_name}.self_attn.{name}_proj": (width, width) for name in "qkvo"}
        shapes |= {f"{layer_name}.mlp.gate_proj": (hidden, width), f"{layer_name}.mlp.up_proj": (hidden, width)}
        shapes[f"{layer_name}.mlp.down_proj"] = (width, hidden)
        shapes |= {f"{layer_name}.input_layernorm": (width,), f"{layer_name}.post_attention_layernorm": (width,)}
    shapes |= {"model.norm": (width,), "lm_head": (sizes.vocabulary, width)}
    generator = torch.Generator().manual_seed(seed)
    return {f"{name}.weight": _drawn(name, shape, generator).to(device) for name, shape in shapes.items()}


def _drawn(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if len(shape) == 1:
        return torch.ones(shape, requires_grad=True)
    std = 1.0 if name == "model.embed_tokens" else shape[-1] ** -0.5
    return (std * torch.randn(shape, generator=generator)).requires_grad_()


class Copier(nn.Module):
    """A decoder of attention alone: next-token logits (B, T, V) for ids (B, T).

    rmsnorm, causal_attention: the building blocks, as the exercises of this topic define them.
    silent: (layer, head) pairs whose heads add nothing, to see what they were for.
    """

    def __init__(self, sizes: Sizes, *, rmsnorm: Block, causal_attention: Block, seed: int = 0) -> None:
        super().__init__()
        self.sizes = sizes
        self.rmsnorm, self.causal_attention = rmsnorm, causal_attention
        self.silent: frozenset[tuple[int, int]] = frozenset()
        self.embedding = nn.Parameter(torch.empty(sizes.vocabulary, sizes.width))
        self.blocks = nn.ModuleList(_attention_weights(sizes.width) for _ in range(sizes.layers))
        self.norm = nn.Parameter(torch.ones(sizes.width))
        self.head = nn.Parameter(torch.empty(sizes.vocabulary, sizes.width))
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                std = 1.0 if name == "embedding" else parameter.shape[-1] ** -0.5  # as in fresh_checkpoint
                nn.init.normal_(parameter, std=std, generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        return self.read_out(self.streams(ids)[-1])

    def read_out(self, x: Tensor) -> Tensor:
        """Return the next-token logits (..., V) that the stream (..., D) holds."""
        return self.rmsnorm(x, self.norm, self.sizes.eps) @ self.head.T

    def streams(self, ids: Tensor) -> list[Tensor]:
        """Return the stream (B, T, D) before the first layer and after each."""
        found = [self.embedding[ids]]
        for number, weights in enumerate(self.blocks):
            z = self.rmsnorm(found[-1], weights["attention_norm"], self.sizes.eps)
            out = self._audible(weights["o"], number)
            projections = weights["q"], weights["k"], weights["v"], out
            found.append(found[-1] + self.causal_attention(z, *projections, self.sizes.heads, rotate))
        return found

    def _audible(self, out: Tensor, layer: int) -> Tensor:
        """Return the output weights (D, D) without the columns of silent heads."""
        size = self.sizes.width // self.sizes.heads
        for head in (head for at, head in self.silent if at == layer):
            out = out.index_fill(1, torch.arange(head * size, (head + 1) * size, device=out.device), 0.0)
        return out

    @torch.no_grad()
    def attention(self, ids: Tensor) -> Tensor:
        """Return the weights (layers, heads, T, T) of one text ids (T,); each row, a query, sums to 1."""
        ahead = torch.ones(len(ids), len(ids), dtype=torch.bool, device=ids.device).triu(1)
        return self.scores(ids).masked_fill(ahead, float("-inf")).softmax(-1)

    @torch.no_grad()
    def scores(self, ids: Tensor) -> Tensor:
        """Return the scores of all queries and keys, before mask and softmax: (layers, heads, T, T)."""
        rows = []
        for x, layer in zip(self.streams(ids[None])[:-1], self.blocks, strict=True):
            z = self.rmsnorm(x, layer["attention_norm"], self.sizes.eps)[0]
            q, k = (rotate((z @ layer[name].T).unflatten(-1, (self.sizes.heads, -1)).transpose(0, 1)) for name in "qk")
            rows.append(q @ k.mT / q.shape[-1] ** 0.5)
        return torch.stack(rows)


def _attention_weights(width: int) -> nn.ParameterDict:
    matrices = {name: torch.empty(width, width) for name in ("q", "k", "v", "o")}
    return nn.ParameterDict(matrices | {"attention_norm": torch.ones(width)})
