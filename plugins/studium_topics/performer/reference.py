"""FAVOR+ in full (Choromanski et al. 2020, sections 2.2 to 2.4), on the CPU and on CUDA, and token by token.

Beside the exercises' functions, which compute all chunks at once here: attention in half precision with sums in
float32, compiled on CUDA, and decoding with a state whose size does not grow with the text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.kits.training import train
from studium_topics.performer.model import Decoder


def linear_attention(qf: Tensor, kf: Tensor, v: Tensor) -> Tensor:
    """Return the mean of v (..., s, dv) with weights qf (..., n, m) times kf (..., s, m), as (..., n, dv)."""
    sums = qf @ (kf.mT @ _with_ones(v))
    return sums[..., :-1] / sums[..., -1:]


def log_features(x: Tensor, w: Tensor) -> Tensor:
    """Return the logarithms (..., n, m) of positive features of x (..., n, d) with w (m, d) (lemma 1, equation 6)."""
    return x @ w.mT - x.square().sum(-1, keepdim=True) / 2 - math.log(len(w)) / 2


def variance(q: Tensor, k: Tensor, m: int, kind: str) -> Tensor:
    """Return the variance of the estimate of exp(q · k) from m independent vectors, q and k (..., d) (lemma 2)."""
    product = (q * k).sum(-1)
    if kind == "positive":
        return torch.exp(2 * product) * torch.expm1((q + k).square().sum(-1)) / m
    sizes = q.square().sum(-1) + k.square().sum(-1)
    return torch.exp(sizes) * torch.expm1(-(q - k).square().sum(-1)).square() / (2 * m)


def orthogonal_gaussian(m: int, d: int, generator: torch.Generator) -> Tensor:
    """Return w (m, d): rows orthogonal within each block of d, directions uniform, lengths those of normal vectors.

    All blocks are decomposed at once. The factor of signs makes Q uniform on the orthogonal group (Mezzadri 2007).
    """
    blocks = -(-m // d)
    square, sizes = (torch.randn(blocks, d, d, generator=generator, device=generator.device) for _ in range(2))
    q, r = torch.linalg.qr(square)
    signed = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    return (signed.mT * sizes.norm(dim=-1, keepdim=True)).flatten(0, 1)[:m]


def stabilise(logs: Tensor, keys: bool) -> Tensor:
    """Return exp(logs) (..., n, m) with the largest feature at 1: of each query, or of all keys of a head."""
    return torch.exp(logs - logs.detach().amax((-2, -1) if keys else (-1,), keepdim=True))


def causal_attention(qf: Tensor, kf: Tensor, v: Tensor, chunk: int) -> Tensor:
    """Return causal attention (..., n, dv) for features qf, kf (..., n, m) and values v (..., n, dv).

    All chunks are computed at once: their own sums, a running total over chunks, and small masked tables. The running
    total is kept in float32 or better, whatever the dtype of the features.
    """
    length = qf.shape[-2]
    padded = (0, 0, 0, -length % chunk)
    q, k, values = (F.pad(part, padded).unflatten(-2, (-1, chunk)) for part in (qf, kf, _with_ones(v)))
    sums = (k.mT @ values).to(torch.promote_types(v.dtype, torch.float32))  # (..., chunks, m, dv + 1)
    before = F.pad(sums[..., :-1, :, :].cumsum(-3), (0, 0, 0, 0, 1, 0)).to(v.dtype)
    read = ((q @ k.mT).tril() @ values + q @ before).flatten(-3, -2)[..., :length, :]
    return read[..., :-1] / read[..., -1:]


def _with_ones(v: Tensor) -> Tensor:
    """Return v (..., n, dv) with a column of ones, in which the denominator is summed."""
    return F.pad(v, (0, 1), value=1.0)


def favor(q: Tensor, k: Tensor, v: Tensor, w: Tensor, chunk: int = 128, causal: bool = True) -> Tensor:
    """Return FAVOR+ attention of q, k, v (..., n, d) with vectors w (m, d), in the dtype of q.

    Exponents are computed in float32 or better. On CUDA the products of features follow the dtype of q, and the
    function is compiled.
    """
    return (_compiled() if q.is_cuda else _favor)(q, k, v, w, chunk, causal)


def _favor(q: Tensor, k: Tensor, v: Tensor, w: Tensor, chunk: int, causal: bool) -> Tensor:
    fine = torch.promote_types(q.dtype, torch.float32)
    scale = q.shape[-1] ** -0.25
    logs = [log_features(part.to(fine) * scale, w.to(fine)) for part in (q, k)]
    qf, kf = stabilise(logs[0], False).to(q.dtype), stabilise(logs[1], True).to(q.dtype)
    return causal_attention(qf, kf, v, chunk) if causal else linear_attention(qf, kf, v)


@cache
def _compiled() -> Callable[..., Tensor]:
    return torch.compile(_favor, dynamic=False)


def train_performer(
    model: Decoder,
    batches: Sequence[tuple[Tensor, Tensor]],
    vectors: Sequence[Tensor],
    redraw: int,
    chunk: int,
    lr: float,
) -> list[float]:
    """Train a decoder that attends by FAVOR+, a batch a step, with vectors[i] for steps i · redraw and on.

    Return the loss of each step. bf16 autocast on CUDA.
    """
    steps = iter(enumerate(batches))

    def loss(_: torch.Generator) -> Tensor:
        step, (ids, labels) = next(steps)
        w = vectors[step // redraw]
        logits = model(ids, lambda q, k, v: favor(q, k, v, w, chunk))
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    return train(model, loss, len(batches), lr, schedule="constant", bf16=True, quiet=True)


@dataclass(frozen=True)
class State:
    """What decoding keeps of the text so far: sums (..., m, dv + 1) of features divided by exp(top) (..., 1, 1)."""

    sums: Tensor
    top: Tensor

    @classmethod
    def empty(cls, batch: tuple[int, ...], features: int, width: int, dtype: torch.dtype = torch.float32) -> State:
        """Return the state before the first token."""
        return cls(torch.zeros(*batch, features, width + 1, dtype=dtype), torch.full((*batch, 1, 1), -math.inf))


def decode(state: State, q_logs: Tensor, k_logs: Tensor, v: Tensor) -> tuple[Tensor, State]:
    """Read one token: q_logs, k_logs (..., 1, m), v (..., 1, dv). Return its output (..., 1, dv) and the new state.

    The maximum of the keys is not known beforehand: as in FlashAttention's softmax, the sums shrink whenever it rises.
    """
    top = torch.maximum(state.top, k_logs.amax((-2, -1), keepdim=True))
    kf = torch.exp(k_logs - top)
    sums = state.sums * torch.exp(state.top - top) + kf.mT @ _with_ones(v)
    read = stabilise(q_logs, False) @ sums
    return read[..., :-1] / read[..., -1:], State(sums, top)
