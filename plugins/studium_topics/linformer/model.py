"""A model that fills gaps: tables, an encoder that the learner writes, and one prediction for each position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studium_topics.linformer.tasks import WORDS, Texts

Attend = Callable[..., Tensor]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a reader: length is that of all its texts, slots that of its projections, 0 for full attention."""

    length: int = 128
    slots: int = 0
    width: int = 64
    layers: int = 1
    heads: int = 2
    hidden: int = 128


class Reader(nn.Module):
    """Tables of names, words and positions, layers, a norm and a linear output.

    encode: as the exercise defines it. random_projection: draws the first e and f. attend: what encode gets; None, for
    projected attention, if there are slots.
    """

    def __init__(
        self, sizes: Sizes, encode: Callable[..., Tensor], random_projection: Callable[..., Tensor], *, seed: int = 0
    ) -> None:
        super().__init__()
        self.sizes, self.encode = sizes, encode
        self.attend: Attend | None = None if sizes.slots else full_attention
        width, generator = sizes.width, torch.Generator().manual_seed(seed)
        rows = {"name": sizes.length, "word": WORDS + 1, "place": sizes.length}
        self.tables = nn.ParameterDict({name: torch.empty(count, width) for name, count in rows.items()})
        with torch.random.fork_rng(devices=[]):  # nn.Linear draws its first values from the global generator
            self.blocks = nn.ModuleList(_block(sizes) for _ in range(sizes.layers))
            self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, WORDS)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                scale = {"tables.place": 0.02, "tables.name": 0.5, "tables.word": 0.5}.get(name, 0.6 * width**-0.5)
                nn.init.normal_(parameter, std=scale, generator=generator)
            elif "norm" not in name:
                nn.init.zeros_(parameter)
        for block in self.blocks if sizes.slots else ():
            block.e, block.f = (nn.Parameter(random_projection(sizes.slots, sizes.length, generator)) for _ in range(2))

    def forward(self, texts: Texts) -> Tensor:
        """Return the logits (B, n, WORDS) of the word at each position."""
        return self.output(self.norm(self.encode(self.states(texts), None, self.layers, self.sizes.heads, self.attend)))

    def states(self, texts: Texts) -> Tensor:
        """Return what enters the first layer, (B, n, D)."""
        return self.tables["name"][texts.names] + self.tables["word"][texts.words] + self.tables["place"]

    @property
    def layers(self) -> list[dict[str, Tensor]]:
        """The parameters of each layer, under the names that `encode` knows."""
        return [dict(block.named_parameters()) for block in self.blocks]


def _block(sizes: Sizes) -> nn.ModuleDict:
    linear = {name: nn.Linear(sizes.width, sizes.width) for name in "qkvo"}
    around = {"up": nn.Linear(sizes.width, sizes.hidden), "down": nn.Linear(sizes.hidden, sizes.width)}
    return nn.ModuleDict({**linear, **around, **{f"norm{i}": nn.LayerNorm(sizes.width) for i in (1, 2)}})


def full_attention(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
    """Return ordinary attention, (B, H, n, d), to all tokens that are no padding."""
    mask = None if pad is None else ~pad[:, None, None, :]
    return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """Return the matrices P of full attention without padding, (B, H, n, n)."""
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)


def truncated(rank: int) -> Attend:
    """Return an attention that replaces each of its matrices P by the best one of a rank. It saves nothing."""

    def attend(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
        left, values, right = torch.linalg.svd(attention_weights(q, k), full_matrices=False)
        return left[..., :rank] @ (values[..., :rank, None] * (right[..., :rank, :] @ v))

    return attend


@torch.no_grad()
def matrices(reader: Reader, texts: Texts) -> tuple[list[Tensor], list[Tensor]]:
    """Return each layer's P (B, H, n, n) and V (B, H, n, d) of a reader with full attention."""
    weights, values = [], []

    def attend(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None) -> Tensor:
        weights.append(attention_weights(q, k))
        values.append(v)
        return full_attention(q, k, v, pad)

    reader.encode(reader.states(texts), None, reader.layers, reader.sizes.heads, attend)
    return weights, values
