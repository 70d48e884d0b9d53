"""A small RoBERTa, made of PyTorch's own encoder layers; the positions come from the lesson's reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5  # of every LayerNorm


@dataclass(frozen=True)
class Sizes:
    """The sizes of an encoder: `length` is the longest row, `pad` the id that fills rows up."""

    vocabulary: int
    length: int
    pad: int = 0
    width: int = 64
    layers: int = 2
    heads: int = 4
    hidden: int = 256


class Roberta(nn.Module):
    """RoBERTa (Liu et al. 2019) without dropout: the logits (B, T, V) of every position's token, for ids (B, T).

    It is BERT's encoder without segments. The output is the paper's: a dense layer with GELU and LayerNorm, then the
    word table once more. position_ids(ids, pad): the row of the position table for each token, (B, T).
    """

    def __init__(self, sizes: Sizes, position_ids: Callable[[Tensor, int], Tensor], *, seed: int = 0) -> None:
        super().__init__()
        self.sizes, self.position_ids = sizes, position_ids
        width = sizes.width
        self.words = nn.Embedding(sizes.vocabulary, width)
        self.positions = nn.Embedding(sizes.pad + 1 + sizes.length, width)
        self.norm = nn.LayerNorm(width, EPS)
        with torch.random.fork_rng(devices=[]):  # the layers draw their first values from the global generator
            self.layers = nn.ModuleList(self._layer() for _ in range(sizes.layers))
            self.transform = nn.Linear(width, width)
        self.transform_norm = nn.LayerNorm(width, EPS)
        self.bias = nn.Parameter(torch.zeros(sizes.vocabulary))
        self._initialise(torch.Generator().manual_seed(seed))

    def _layer(self) -> nn.TransformerEncoderLayer:
        sizes = self.sizes
        return nn.TransformerEncoderLayer(
            sizes.width, sizes.heads, sizes.hidden, 0.0, "gelu", EPS, batch_first=True, norm_first=False
        )

    def _initialise(self, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:  # 0.02 is meant for a width of 768
                nn.init.normal_(parameter, std=0.8 * self.sizes.width**-0.5, generator=generator)
            elif "norm" not in name:
                nn.init.zeros_(parameter)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits (B, T, V) of the token at every position, for ids (B, T)."""
        x = self.norm(self.words(ids) + self.positions(self.position_ids(ids, self.sizes.pad)))
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=ids == self.sizes.pad)
        x = self.transform_norm(F.gelu(self.transform(x)))
        return x @ self.words.weight.T + self.bias
