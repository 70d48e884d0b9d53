"""ALBERT in full: the exercises' functions as one would ship them, both pre-training heads, and what a step costs.

Lan et al. 2019 (arXiv 1909.11942). Everything follows the device of the parts. On CUDA, `Albert` runs under bfloat16
autocast, and `compile=True` compiles the one layer that it repeats, once for all its uses; both do nothing on the CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from studium_topics.albert.model import Sizes, parts

Pair = tuple[Sequence[int], Sequence[int], int]
Part = Callable[..., Tensor]


def break_even(vocabulary: int, width: int) -> int:
    """Return the largest E with V E + E H < V H (section 3.1), 0 if there is none."""
    return (vocabulary * width - 1) // (vocabulary + width)


def albert_embed(ids: Tensor, segments: Tensor, parts: Mapping[str, Part]) -> Tensor:
    """Return the projected, normalised sum of word, position and segment: ids and segments (B, T) -> (B, T, H)."""
    places = torch.arange(ids.shape[1], device=ids.device)
    return parts["project"](parts["norm"](parts["word"](ids) + parts["position"](places) + parts["segment"](segments)))


def parameter_bill(
    vocabulary: int, embedding: int | None, width: int, hidden: int, layers: int, positions: int, groups: int
) -> dict[str, int]:
    """Return the parameters of an encoder by part; embedding None is BERT. `layers` costs nothing, `groups` do."""
    e = width if embedding is None else embedding
    shapes = [(width, width)] * 4 + [(hidden, width), (width, hidden)]
    layer = sum(out * (into + 1) for out, into in shapes) + 4 * width
    return {
        "tables": e * (vocabulary + positions + 2 + 2),
        "projection": 0 if embedding is None else width * (e + 1),
        "layers": groups * layer,
        "pooler": width * (width + 1),
    }


def shared_stack(x: Tensor, real: Tensor, groups: Sequence[Part], layers: int) -> list[Tensor]:
    """Return x and what leaves each of the layers, (B, T, H) each; neighbours share a group (section 3.1)."""
    states = [x]
    for group in groups:
        for _ in range(layers // len(groups)):
            states.append(group(states[-1], real))
    return states


def gradient_by_use(
    layer: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, uses: int, loss: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the gradient of the loss in each use of a shared weight, (uses, *weight.shape)."""
    unrolled = weight.detach().expand(uses, *weight.shape).clone().requires_grad_()
    for one in unrolled.unbind():
        x = layer(x, one)
    return torch.autograd.grad(loss(x), unrolled)[0]


def albert(ids: Tensor, segments: Tensor, parts: Mapping[str, Part], layers: int, pad: int) -> tuple[Tensor, Tensor]:
    """Return the last states (B, T, H) and the pooled first tokens (B, H) for ids and segments (B, T)."""
    groups: Sequence[Part] = parts["groups"]  # type: ignore[assignment]
    last = shared_stack(albert_embed(ids, segments, parts), ids != pad, groups, layers)[-1]
    return last, torch.tanh(parts["pooler"](last[:, 0]))


def sop_pairs(
    docs: Sequence[Sequence[Sequence[int]]], generator: torch.Generator, cls: int, sep: int
) -> list[tuple[list[int], list[int], int]]:
    """Return the pairs (ids, segments, label) of sentence-order prediction (section 3.1); label 1 is swapped."""
    pairs = []
    for document in docs:
        for both in pairwise(document):
            label = int(torch.randint(2, (), generator=generator))
            first, second = both[::-1] if label else both
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


def rectangle(pairs: Sequence[Pair], pad: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Return ids and segments (B, T), filled up, and labels (B,) of a batch of pairs."""
    ids, segments = ([torch.tensor(list(pair[part])) for pair in pairs] for part in (0, 1))
    labels = torch.tensor([int(pair[2]) for pair in pairs])
    columns = pad_sequence(ids, batch_first=True, padding_value=pad), pad_sequence(segments, batch_first=True), labels
    return tuple(column.to(device) for column in columns)  # type: ignore[return-value]


def train_order(
    parts: nn.ModuleDict, layers: int, batches: Sequence[Sequence[Pair]], lr: float, pad: int
) -> list[float]:
    """Return the loss of each step of Adam on sentence order, before the step; gradients are clipped at norm 1."""
    weights = list(parts.parameters())
    optimizer = torch.optim.Adam(weights, lr=lr)
    losses = []
    for pairs in batches:
        ids, segments, labels = rectangle(pairs, pad, weights[0].device)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


class Albert(nn.Module):
    """The encoder with the paper's two heads: words from the table that reads them, and the order of two sentences."""

    def __init__(
        self,
        sizes: Sizes,
        layers: int,
        *,
        pad: int = 0,
        seed: int = 0,
        device: str = "cpu",
        compile: bool = False,  # noqa: A002 - torch's own word for it
    ) -> None:
        super().__init__()
        self.layers, self.pad = layers, pad
        self.parts = parts(sizes, seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.transform = nn.Linear(sizes.width, sizes.embedding)
            self.transform_norm = nn.LayerNorm(sizes.embedding, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(sizes.vocabulary))
        self.to(device)
        if compile and device.startswith("cuda"):
            for group in self.parts["groups"]:  # type: ignore[union-attr]
                group.compile()

    def forward(self, ids: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of every word (B, T, V), and of "in order" and "swapped" (B, 2), in float32."""
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.device.type == "cuda"):
            last, pooled = albert(ids, segments, self.parts, self.layers, self.pad)
            narrow = self.transform_norm(F.gelu(self.transform(last), approximate="tanh"))
            words = narrow @ self.parts["word"].weight.T + self.bias
            return words.float(), self.parts["order"](pooled).float()


@dataclass(frozen=True)
class Cost:
    """What a training step costs: stored parameters, seconds, and the peak of memory in bytes."""

    parameters: int
    seconds: float
    peak_bytes: int


def step_cost(model: Albert, ids: Tensor, segments: Tensor, labels: Tensor, *, steps: int = 20) -> Cost:
    """Return the cost of a step of Adam on both losses, the mean over `steps` after as many to warm up.

    labels (B,): the order. The words are predicted where they are seen, which costs as much as masked ones do. On CUDA
    the peak is what torch had allocated; on the CPU it is the resident size of the process, which says little.
    """
    device = ids.device
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=device.type == "cuda")
    began = 0.0
    for step in range(2 * steps):
        if step == steps:
            _wait(device)
            began = time.perf_counter()
        words, order = model(ids, segments)
        loss = F.cross_entropy(words.flatten(0, 1), ids.flatten()) + F.cross_entropy(order, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    _wait(device)
    stored = sum(weight.numel() for weight in model.parameters())
    return Cost(stored, (time.perf_counter() - began) / steps, _peak(device))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)
