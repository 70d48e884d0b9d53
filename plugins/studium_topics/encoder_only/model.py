"""A small BERT, put together from functions that the lesson's reader writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LINEAR = ("query", "key", "value", "output", "up", "down")
NORMS = ("attention_norm", "mlp_norm")


@dataclass(frozen=True)
class Sizes:
    """The sizes of an encoder: `length` is the longest sequence, `pad` the id that fills up a batch."""

    vocabulary: int
    width: int = 64
    layers: int = 2
    heads: int = 4
    hidden: int = 256
    length: int = 16
    pad: int = 0


def block(width: int, hidden: int) -> nn.ModuleDict:
    """Return the parameters of one layer; `dict(block.named_parameters())` is the `weights` of `bert_layer`."""
    shapes = {"up": (width, hidden), "down": (hidden, width)}
    linear = {name: nn.Linear(*shapes.get(name, (width, width))) for name in LINEAR}
    return nn.ModuleDict({**linear, **{name: nn.LayerNorm(width) for name in NORMS}})


class Encoder(nn.Module):
    """BERT (Devlin et al. 2018) without dropout: embeddings, layers, and the word table once more as the output.

    bert_embed, bert_layer, pad_mask: the building blocks, as the exercises of this topic define them.
    causal: every word sees itself and the words to its left alone, the ablation of the paper's table 5.
    The paper's output has one more dense layer with GELU and LayerNorm, which this size does not need.
    """

    def __init__(
        self,
        sizes: Sizes,
        *,
        bert_embed: Callable[..., Tensor],
        bert_layer: Callable[..., Tensor],
        pad_mask: Callable[..., Tensor],
        causal: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sizes, self.causal = sizes, causal
        self.bert_embed, self.bert_layer, self.pad_mask = bert_embed, bert_layer, pad_mask
        rows = {"word": sizes.vocabulary, "position": sizes.length, "segment": 2}
        self.tables = nn.ParameterDict({name: torch.empty(count, sizes.width) for name, count in rows.items()})
        self.norm = nn.LayerNorm(sizes.width)
        with torch.random.fork_rng(devices=[]):  # nn.Linear draws its first values from the global generator
            self.blocks = nn.ModuleList(block(sizes.width, sizes.hidden) for _ in range(sizes.layers))
        self.bias = nn.Parameter(torch.zeros(sizes.vocabulary))
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # BERT's 0.02 is meant for a width of 768; at 64 it is so small that the layers begin to learn late
                nn.init.normal_(parameter, std=0.8 * self.sizes.width**-0.5, generator=generator)
            elif "norm" not in name:
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return the logits (B, T, V) of every position's word, for ids (B, T) and segments (B, T), 0 if left out."""
        return self.states(ids, segments)[-1] @ self.tables["word"].T + self.bias

    def states(self, ids: Tensor, segments: Tensor | None = None) -> list[Tensor]:
        """Return what enters the first layer and what leaves each layer, (B, T, D) each."""
        segments = torch.zeros_like(ids) if segments is None else segments
        found = [self.bert_embed(ids, segments, self.tables, self.norm.weight, self.norm.bias)]
        mask = self.mask(ids)
        for layer in self.blocks:
            found.append(self.bert_layer(found[-1], mask, dict(layer.named_parameters()), self.sizes.heads))
        return found

    def mask(self, ids: Tensor) -> Tensor:
        """Return the mask, true where a query may look at a key: (B, 1, 1, T), or (B, 1, T, T) if causal."""
        mask = self.pad_mask(ids, self.sizes.pad)
        if not self.causal:
            return mask
        length = ids.shape[1]
        return mask & torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()

    @torch.no_grad()
    def scores(self, ids: Tensor) -> Tensor:
        """Return one sentence's scores before the softmax, without any mask: ids (T,) -> (layers, heads, T, T)."""
        rows = []
        for states, layer in zip(self.states(ids[None])[:-1], self.blocks, strict=True):
            query, key = (torch.stack(layer[name](states[0]).chunk(self.sizes.heads, -1)) for name in ("query", "key"))
            rows.append(query @ key.mT / query.shape[-1] ** 0.5)  # (H, T, T)
        return torch.stack(rows)
