"""The parts of a small ALBERT: its tables, its layers and its heads, which the lesson's functions put together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Sizes:
    """The sizes of an encoder: `embedding` is E, `width` H, `hidden` the perceptron's width, `groups` N.

    `length` is the longest sequence, and `causal` hides what stands to the right, which ALBERT never does.
    """

    vocabulary: int
    embedding: int = 16
    width: int = 64
    hidden: int = 128
    heads: int = 4
    groups: int = 1
    length: int = 16
    causal: bool = False


class Layer(nn.TransformerEncoderLayer):
    """PyTorch's own post-norm layer with ALBERT's GELU and no dropout: `layer(x, real)` is (B, T, H), like x.

    real: bool (B, T), True at tokens and False at padding. The GELU is the tanh approximation, as in the paper's code.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, causal: bool = False) -> None:
        gelu = partial(F.gelu, approximate="tanh")
        super().__init__(width, heads, hidden, dropout=0.0, activation=gelu, layer_norm_eps=1e-12, batch_first=True)
        self.causal = causal

    def forward(self, x: Tensor, real: Tensor) -> Tensor:  # type: ignore[override]
        ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1) if self.causal else None
        return super().forward(x, src_mask=ahead, src_key_padding_mask=~real)


def parts(sizes: Sizes, seed: int = 0) -> nn.ModuleDict:
    """Return every part of an ALBERT, drawn from a seed; the global random state stays as it was.

    | name | what it is |
    |---|---|
    | word, position, segment | tables (V, E), (length, E) and (2, E) |
    | norm, project | LayerNorm of E, and the Linear from E to H |
    | groups | N layers, each for the tokens of L / N layers |
    | pooler, order | Linear from H to H for the first token, and from H to 2: in order or swapped |
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        layers = [Layer(sizes.width, sizes.heads, sizes.hidden, causal=sizes.causal) for _ in range(sizes.groups)]
        return nn.ModuleDict(
            {
                "word": nn.Embedding(sizes.vocabulary, sizes.embedding),
                "position": nn.Embedding(sizes.length, sizes.embedding),
                "segment": nn.Embedding(2, sizes.embedding),
                "norm": nn.LayerNorm(sizes.embedding, eps=1e-12),
                "project": nn.Linear(sizes.embedding, sizes.width),
                "groups": nn.ModuleList(layers),
                "pooler": nn.Linear(sizes.width, sizes.width),
                "order": nn.Linear(sizes.width, 2),
            }
        )
