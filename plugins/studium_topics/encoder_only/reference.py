"""BERT in full: the exercises' functions as one would ship them, and the model with its two pre-training heads.

Devlin et al. 2018 (arXiv 1810.04805). Everything follows the device of its inputs; `bert_layer` uses PyTorch's fused
attention, which on CUDA is FlashAttention or its memory-efficient sibling, also under bfloat16 autocast.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.encoder_only.model import Encoder, Sizes

Pair = tuple[list[int], list[int], int]


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Masked scaled dot-product attention: query (..., Tq, d), key (..., Tk, d), value (..., Tk, dv) -> (..., Tq, dv).

    mask: bool, broadcastable to (..., Tq, Tk), True where allowed. A row without any allowed key gives finite numbers.
    """
    blocked = torch.zeros(mask.shape, dtype=query.dtype, device=query.device)
    blocked = blocked.masked_fill(~mask, torch.finfo(query.dtype).min)  # -inf would make a row without keys nan
    return F.scaled_dot_product_attention(query, key, value, attn_mask=blocked)


def pad_mask(ids: Tensor, pad: int) -> Tensor:
    """True where the key is a real token: ids (B, T) -> bool (B, 1, 1, T)."""
    return (ids != pad)[:, None, None, :]


def bert_embed(
    ids: Tensor, segments: Tensor, tables: Mapping[str, Tensor], gamma: Tensor, beta: Tensor, eps: float = 1e-12
) -> Tensor:
    """Word + position + segment, then LayerNorm: ids and segments (B, T) -> (B, T, D)."""
    x = F.embedding(ids, tables["word"]) + F.embedding(segments, tables["segment"])
    return F.layer_norm(x + tables["position"][: ids.shape[1]], gamma.shape, gamma, beta, eps)


def bert_layer(x: Tensor, mask: Tensor, weights: Mapping[str, Tensor], heads: int, eps: float = 1e-12) -> Tensor:
    """One post-norm layer: x (B, T, D) -> (B, T, D); `weights` as in the exercise of this name."""

    def linear(name: str, z: Tensor) -> Tensor:
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, z: Tensor) -> Tensor:
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    q, k, v = (linear(name, x).unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("query", "key", "value"))
    mixed = attention(q, k, v, mask).transpose(1, 2).flatten(2)  # (B, T, D)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


def mlm_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats over the positions whose label is not -100: (B, T, V) and (B, T) -> one number."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def nsp_pairs(docs: list[list[list[int]]], generator: torch.Generator, cls: int, sep: int) -> list[Pair]:
    """Pairs for next sentence prediction (appendix A.1): (ids, segments, label), label 0 = IsNext, 1 = NotNext."""

    def draw(below: int) -> int:
        return int(torch.randint(below, (), generator=generator))

    pairs = []
    for number, document in enumerate(docs):
        for first, following in pairwise(document):
            label, second = draw(2), following
            if label:
                other = docs[(number + 1 + draw(len(docs) - 1)) % len(docs)]
                second = other[draw(len(other))]
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


@torch.no_grad()
def pseudo_ll(logits_fn: Callable[[Tensor], Tensor], ids: Tensor, mask_id: int, special: Collection[int]) -> Tensor:
    """Sum of log p(word | all others) in nats (Salazar et al. 2019, equation 1), all words of ids (T,) in one batch."""
    places = torch.tensor([place for place, word in enumerate(ids.tolist()) if word not in special], device=ids.device)
    rows = torch.arange(len(places), device=ids.device)
    batch = ids.repeat(len(places), 1)
    batch[rows, places] = mask_id
    return logits_fn(batch)[rows, places].log_softmax(-1)[rows, ids[places]].sum()


class Bert(Encoder):
    """The encoder with the paper's heads: `forward` gives the words' logits, `next_sentence` those of the pair.

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
        """Logits (B, T, V) of the word at every position."""
        x = self.transform_norm(F.gelu(self.transform(self.states(ids, segments)[-1])))
        return x @ self.tables["word"].T + self.bias

    def next_sentence(self, ids: Tensor, segments: Tensor) -> Tensor:
        """Logits (B, 2) of IsNext and NotNext, read off the first token."""
        return self.is_next(torch.tanh(self.pooler(self.states(ids, segments)[-1][:, 0])))
