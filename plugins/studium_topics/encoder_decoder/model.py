"""A small T5: its weights by the names of published checkpoints, the encoder, and the decoder around your layer.

Raffel et al. 2020 (arXiv 1910.10683). Every function takes the learner's building blocks, so nothing here computes
attention by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Block = Callable[..., Tensor]
Pair = tuple[Tensor, Tensor]
Weights = Mapping[str, Tensor]
EPS = 1e-6
PAD, EOS, FIRST = 0, 1, 2  # T5 also begins its answers with PAD; FIRST is the first token that is a letter
BUCKETS = 32
ENCODER_TABLE, DECODER_TABLE = (
    f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight" for side in ("encoder", "decoder")
)
SHORT = {"self": "0.SelfAttention", "cross": "1.EncDecAttention"}


@dataclass(frozen=True)
class Blocks:
    """The functions of this topic's exercises that the model is made of."""

    remember: Callable[..., Pair]
    cross_attention: Block
    position_bias: Block
    decoder_layer: Callable[..., tuple[Tensor, Pair]]


@dataclass(frozen=True)
class Sizes:
    """How big an encoder-decoder is: V tokens, width D, layers on each side, heads, width F of the hidden layer."""

    vocabulary: int
    width: int = 32
    layers: int = 1
    heads: int = 4
    hidden: int = 64


def rmsnorm(x: Tensor, gain: Tensor, eps: float = EPS) -> Tensor:
    """Return x (..., D) over its root mean square, times gain (D,): the norm of T5, without a mean and a bias."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * gain


def feed_forward(x: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Return down · relu(up · x) for x (B, T, D), with up (F, D) and down (D, F)."""
    return F.linear(F.relu(F.linear(x, up)), down)


def fresh_checkpoint(sizes: Sizes, *, seed: int = 0, device: str = "cpu") -> dict[str, Tensor]:
    """Return untrained weights under the names of T5's checkpoints, each asking for a gradient.

    Standard deviations are those of T5: matrices 1 / √(their inputs), queries by another 1 / √d smaller, because the
    scores are not divided by √d; embeddings 1; tables of positions 1 / √D. One thing is ours: in the encoder, heads
    begin with a bias of 4 for the distances -1, 1, -2, 2, …, one each, and in the decoder for 0, -1, -2, …. T5 learns
    its tables from near zero, but in a few hundred steps Adam moves no bias that far.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {f"{name}.weight": _drawn(name, shape, sizes, generator) for name, shape in _shapes(sizes).items()}
    for head in range(sizes.heads):
        found[ENCODER_TABLE][head // 2 + 1 + BUCKETS // 2 * (head % 2), head] += 4
        found[DECODER_TABLE][head, head] += 4
    return {name: weight.to(device).requires_grad_() for name, weight in found.items()}


def _shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    width, hidden = sizes.width, sizes.hidden
    shapes: dict[str, tuple[int, ...]] = {"shared": (sizes.vocabulary, width)}
    for side, parts in (("encoder", ("SelfAttention",)), ("decoder", ("SelfAttention", "EncDecAttention"))):
        for layer in range(sizes.layers):
            block = f"{side}.block.{layer}.layer"
            for number, part in enumerate(parts):
                shapes |= {f"{block}.{number}.{part}.{name}": (width, width) for name in "qkvo"}
                shapes[f"{block}.{number}.layer_norm"] = (width,)
            last = f"{block}.{len(parts)}"
            shapes |= {f"{last}.DenseReluDense.wi": (hidden, width), f"{last}.DenseReluDense.wo": (width, hidden)}
            shapes[f"{last}.layer_norm"] = (width,)
        shapes[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"] = (BUCKETS, sizes.heads)
        shapes[f"{side}.final_layer_norm"] = (width,)
    return shapes


def _drawn(name: str, shape: tuple[int, ...], sizes: Sizes, generator: torch.Generator) -> Tensor:
    if len(shape) == 1:
        return torch.ones(shape)
    std = shape[-1] ** -0.5
    if name == "shared":
        std = 1.0
    elif name.endswith("relative_attention_bias"):
        std = sizes.width**-0.5
    elif name.endswith("Attention.q"):
        std = (sizes.width * sizes.width / sizes.heads) ** -0.5
    return std * torch.randn(shape, generator=generator)


class T5:
    """An encoder-decoder made of the learner's blocks and a checkpoint.

    checkpoint: tensors by T5's names; feed-forward networks with relu, the embedding is the head. slots: "all", or
    "last": then the decoder sees of the source its last vector alone, as in the models before attention.
    """

    def __init__(self, checkpoint: Weights, heads: int, blocks: Blocks, slots: str = "all") -> None:
        self.checkpoint, self.heads, self.blocks, self.slots = checkpoint, heads, blocks, slots
        self.layers = len({name.split(".")[2] for name in checkpoint if name.startswith("decoder.block.")})

    def __call__(self, source: Tensor, ids: Tensor) -> Tensor:
        """Return logits (B, T, V) for source (B, S) and what the decoder reads, ids (B, T)."""
        return self.decode(ids, self.memory(source), self.closed(source))[0]

    def encode(self, source: Tensor) -> Tensor:
        """Return one vector for each token of source (B, S): (B, S, D). Padding is not read."""
        table, length = self.checkpoint[ENCODER_TABLE], source.shape[1]
        bias = self.blocks.position_bias(table, length, length, False)
        bias = bias.masked_fill((source == PAD)[:, None, None], -torch.inf)
        states = self.checkpoint["shared.weight"][source]
        for layer in range(self.layers):
            own = _named(self.checkpoint, f"encoder.block.{layer}.layer")
            normed = rmsnorm(states, own["0.layer_norm"])
            pair = self.blocks.remember(normed, own["0.SelfAttention.k"], own["0.SelfAttention.v"], self.heads)
            matrices = own["0.SelfAttention.q"], own["0.SelfAttention.o"]
            states = states + self.blocks.cross_attention(normed, *pair, *matrices, bias)
            matrices = own["1.DenseReluDense.wi"], own["1.DenseReluDense.wo"]
            states = states + feed_forward(rmsnorm(states, own["1.layer_norm"]), *matrices)
        return rmsnorm(states, self.checkpoint["encoder.final_layer_norm.weight"])

    def memory(self, source: Tensor) -> list[Pair]:
        """Return the keys and values (B, H, S, d) that each layer of the decoder reads, computed once."""
        states, layers = self.encode(source), (self.layer(number) for number in range(self.layers))
        return [self.blocks.remember(states, own["cross_k"], own["cross_v"], self.heads) for own in layers]

    def closed(self, source: Tensor) -> Tensor:
        """Return the bias (B, 1, 1, S) that closes padding or, with one slot, all but the last token."""
        is_open = source == EOS if self.slots == "last" else source != PAD
        closed = ~is_open[:, None, None]
        return torch.zeros(closed.shape, device=source.device).masked_fill(closed, -torch.inf)

    def decode(
        self, ids: Tensor, memory: list[Pair], closed: Tensor, kept: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return logits (B, T, V) for new ids (B, T), and the cache: keys and values of each layer, in one list."""
        stream, before = self.checkpoint["shared.weight"][ids], kept[0].shape[2] if kept else 0
        new = ids.shape[1]
        bias = self.blocks.position_bias(self.checkpoint[DECODER_TABLE], new, before + new, True)
        cache: list[Tensor] = []
        for layer in range(self.layers):
            pair = (kept[2 * layer], kept[2 * layer + 1]) if kept else None
            stream, pair = self.blocks.decoder_layer(stream, self.layer(layer), pair, memory[layer], bias, closed)
            cache += pair
        stream = rmsnorm(stream, self.checkpoint["decoder.final_layer_norm.weight"])
        return F.linear(stream * stream.shape[-1] ** -0.5, self.checkpoint["shared.weight"]), cache

    def reader(self, source: Tensor) -> Callable[..., tuple[Tensor, list[Tensor]]]:
        """Return `step` for `greedy` and `beam_search`: it has read source (B, S) once, and holds what it says."""
        memory, closed = self.memory(source), self.closed(source)

        def step(newest: Tensor, kept: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
            logits, kept = self.decode(newest.to(source.device)[:, None], memory, closed, kept)
            return logits[:, 0].to(newest.device), kept

        return step

    def layer(self, number: int) -> dict[str, Tensor]:
        """Return the weights of a layer of the decoder under the names that `decoder_layer` uses."""
        own = _named(self.checkpoint, f"decoder.block.{number}.layer")
        found = {f"{kind}_{name}": own[f"{part}.{name}"] for kind, part in SHORT.items() for name in "qkvo"}
        found |= {f"{kind}_norm": own[f"{at}.layer_norm"] for at, kind in enumerate(("self", "cross", "mlp"))}
        return found | {"up": own["2.DenseReluDense.wi"], "down": own["2.DenseReluDense.wo"]}

    @torch.no_grad()
    def looks(self, source: Tensor, ids: Tensor) -> Tensor:
        """Return the weights (B, H, T, S) with which the first layer of the decoder reads the source."""
        own, stream = self.layer(0), self.checkpoint["shared.weight"][ids]
        normed, length = rmsnorm(stream, own["self_norm"]), ids.shape[1]
        pair = self.blocks.remember(normed, own["self_k"], own["self_v"], self.heads)
        bias = self.blocks.position_bias(self.checkpoint[DECODER_TABLE], length, length, True)
        stream = stream + self.blocks.cross_attention(normed, *pair, own["self_q"], own["self_o"], bias)
        asking, _ = self.blocks.remember(rmsnorm(stream, own["cross_norm"]), own["cross_q"], own["cross_q"], self.heads)
        scores = torch.einsum("bhtd,bhsd->bhts", asking, self.memory(source)[0][0])
        return torch.softmax(scores + self.closed(source), dim=-1)


def _named(checkpoint: Weights, start: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with start, without it and without ".weight"."""
    return {
        name.removeprefix(f"{start}.").removesuffix(".weight"): weight
        for name, weight in checkpoint.items()
        if name.startswith(f"{start}.")
    }
