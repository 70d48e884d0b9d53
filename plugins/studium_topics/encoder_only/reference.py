"""BERT in full: the exercises' functions as one would ship them, and the model with its two pre-training heads.

Devlin et al. 2018 (arXiv 1810.04805). Everything follows the device of its inputs; `bert_layer` uses PyTorch's fused
attention, which on CUDA is FlashAttention or its memory-efficient sibling, also under bfloat16 autocast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.encoder_only.model import Encoder, Sizes

Pair = tuple[list[int], list[int], int]


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Return masked scaled dot-product attention, (..., Tq, dv).

    query (..., Tq, d), key (..., Tk, d), value (..., Tk, dv).
    mask: bool, broadcastable to (..., Tq, Tk), True where allowed. A row without any allowed key gives zeros.
    """
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def pad_mask(ids: Tensor, pad: int) -> Tensor:
    """Return True where the key is a real token: ids (B, T) -> bool (B, 1, 1, T)."""
    return (ids != pad)[:, None, None, :]


def bert_embed(
    ids: Tensor, segments: Tensor, tables: Mapping[str, Tensor], gamma: Tensor, beta: Tensor, eps: float = 1e-12
) -> Tensor:
    """Return LayerNorm(word + position + segment): ids and segments (B, T) -> (B, T, D)."""
    x = F.embedding(ids, tables["word"]) + F.embedding(segments, tables["segment"])
    return F.layer_norm(x + tables["position"][: ids.shape[1]], gamma.shape, gamma, beta, eps)


def bert_layer(x: Tensor, mask: Tensor, weights: Mapping[str, Tensor], heads: int, eps: float = 1e-12) -> Tensor:
    """Return x after one post-norm layer: x (B, T, D) -> (B, T, D); `weights` as in the exercise of this name."""

    def linear(name: str, z: Tensor) -> Tensor:
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, z: Tensor) -> Tensor:
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    q, k, v = (linear(name, x).unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("query", "key", "value"))
    mixed = attention(q, k, v, mask).transpose(1, 2).flatten(2)  # (B, T, D)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


def mlm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats over the labels other than -100: logits (B, T, V), labels (B, T)."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def corrupt(
    ids: Tensor, mask_id: int, first: int, vocabulary: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the noisy ids and the labels of BERT's noise (section 3.1), (B, T) each; -100 where nothing was chosen.

    Ids below `first` are special tokens and never chosen. generator: on the CPU; the draws follow ids to its device.
    """
    chance, kind = torch.rand(2, *ids.shape, generator=generator).to(ids.device)
    random = torch.randint(vocabulary, ids.shape, generator=generator).to(ids.device)
    chosen = (chance < 0.15) & (ids >= first)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, ids)
    return torch.where(chosen & (kind >= 0.9), random, noisy), ids.masked_fill(~chosen, -100)


def pretrain(
    model: nn.Module, batches: Sequence[Tensor], task: Callable[[Tensor], tuple[Tensor, Tensor]], lr: float
) -> list[float]:
    """Return the loss of each step of AdamW with BERT's recipe (appendix A.2): warm-up, linear decay, weight decay.

    task(ids) gives inputs and labels. Biases and norms do not decay; the gradient's norm is clipped at 1.
    """
    parameters = list(model.parameters())
    groups = [{"params": [p], "weight_decay": 0.01 if p.ndim >= 2 else 0.0} for p in parameters]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    steps, warm = len(batches), max(1, len(batches) // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min((done + 1) / warm, (steps - done) / (steps + 1 - warm))
    )
    losses = []
    for ids in batches:
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def best_loss(sentences: Sequence[Sequence[str]], place: int, seen: Sequence[int]) -> float:
    """Return the conditional entropy H(word at place | words at seen) in nats: what the best model's loss is."""

    def entropy(places: Sequence[int]) -> float:
        counts = torch.tensor([*Counter(tuple(s[i] for i in places) for s in sentences).values()], dtype=torch.float64)
        return float(torch.distributions.Categorical(counts).entropy())

    return entropy([*seen, place]) - entropy(seen)


def nsp_pairs(docs: list[list[list[int]]], generator: torch.Generator, cls: int, sep: int) -> list[Pair]:
    """Return the pairs (ids, segments, label) of next sentence prediction (appendix A.1); label 0 is IsNext."""

    def draw(below: int) -> int:
        return int(torch.randint(below, (), generator=generator))

    def pair(number: int, first: list[int], second: list[int]) -> Pair:
        if label := draw(2):
            others = docs[number + 1 :] + docs[:number]
            document = others[draw(len(others))]
            second = document[draw(len(document))]
        left, right = [cls, *first, sep], [*second, sep]
        return left + right, [0] * len(left) + [1] * len(right), label

    return [pair(number, *both) for number, document in enumerate(docs) for both in pairwise(document)]


@torch.no_grad()
def pseudo_ll(logits_fn: Callable[[Tensor], Tensor], ids: Tensor, mask_id: int, special: Collection[int]) -> Tensor:
    """Return the sum of log p(word | all others) in nats, of ids (T,), in one batch: Salazar et al. 2019, (1)."""
    places = torch.tensor([place for place, word in enumerate(ids.tolist()) if word not in special], device=ids.device)
    rows = torch.arange(len(places), device=ids.device)
    batch = ids.repeat(len(places), 1)
    batch[rows, places] = mask_id
    return logits_fn(batch)[rows, places].log_softmax(-1)[rows, ids[places]].sum()


class Bert(Encoder):
    """The encoder with the paper's two heads: `forward` returns the words' logits, `next_sentence` those of the pair.

    device, compile: where it runs, and whether its layers are fused by torch.compile (which pays on CUDA alone). For
    bfloat16 call it under `torch.autocast("cuda", torch.bfloat16)`.
    """

    def __init__(self, sizes: Sizes, *, seed: int = 0, device: str = "cpu", compile: bool = False) -> None:  # noqa: A002
        super().__init__(sizes, bert_embed=bert_embed, bert_layer=bert_layer, pad_mask=pad_mask, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.transform = nn.Linear(sizes.width, sizes.width)
            self.transform_norm = nn.LayerNorm(sizes.width, eps=1e-12)
            self.pooler = nn.Linear(sizes.width, sizes.width)
            self.is_next = nn.Linear(sizes.width, 2)
        self.to(device)
        if compile and device.startswith("cuda"):
            self.bert_layer = torch.compile(bert_layer)

    def forward(self, ids: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return the logits (B, T, V) of the word at every position."""
        x = self.transform_norm(F.gelu(self.transform(self.states(ids, segments)[-1])))
        return x @ self.tables["word"].T + self.bias

    def next_sentence(self, ids: Tensor, segments: Tensor) -> Tensor:
        """Return the logits (B, 2) of IsNext and NotNext, read off the first token."""
        return self.is_next(torch.tanh(self.pooler(self.states(ids, segments)[-1][:, 0])))
