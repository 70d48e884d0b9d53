"""The full implementation: tiled attention with any leading axes, in any precision, and as a function with a gradient.

On CUDA `attention` runs the kernels of `triton_kernels`; elsewhere it walks the tiles in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

BLOCK = 128


def _accumulator(dtype: torch.dtype) -> torch.dtype:
    """Half precision adds up in float32; float64 stays."""
    return torch.promote_types(dtype, torch.float32)


def online_update(m: Tensor, l: Tensor, acc: Tensor, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: E741
    """Rows with m, l (..., R) and acc (..., R, dv) meet the scores s (..., R, C) of keys with values v (..., C, dv)."""
    highest = torch.maximum(m, s.amax(-1))
    base = torch.where(highest == -math.inf, 0.0, highest)
    decay = torch.exp(m - base)
    p = torch.exp(s - base[..., None])
    return highest, torch.addcmul(p.sum(-1), l, decay), torch.addcmul(p @ v, acc, decay[..., None])


def causal_tiles(queries: int, keys: int, block_rows: int, block_columns: int) -> list[tuple[int, int]]:
    """The tiles (i, j) in which a causal mask, aligned at the lower right, leaves a score."""
    return [
        (top // block_rows, left // block_columns)
        for top in range(0, queries, block_rows)
        for left in range(0, min(top + block_rows, queries) + keys - queries, block_columns)
    ]


def _tiles(q: Tensor, k: Tensor, sizes: tuple[int, int], causal: bool) -> Iterator[tuple[slice, slice, Tensor | None]]:
    """The rows and columns of each tile, row block by row block, and what its mask hides (None: nothing)."""
    (queries, keys), (block_rows, block_columns) = (q.shape[-2], k.shape[-2]), sizes
    offset = keys - queries
    for top in range(0, queries, block_rows):
        rows = slice(top, min(top + block_rows, queries))
        for left in range(0, min(keys, rows.stop + offset) if causal else keys, block_columns):
            columns = slice(left, min(left + block_columns, keys))
            crossed = causal and columns.stop - 1 > top + offset
            hidden = None
            if crossed:
                last = torch.arange(rows.start, rows.stop, device=q.device)[:, None] + offset
                hidden = torch.arange(columns.start, columns.stop, device=q.device) > last
            yield rows, columns, hidden


def flash_forward(
    q: Tensor, k: Tensor, v: Tensor, block_rows: int = BLOCK, block_columns: int = BLOCK, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Attention of q (..., N, d) to k (..., M, d), v (..., M, dv): o (..., N, dv) of q's dtype and lse (..., N).

    Source: Dao 2023, arXiv 2307.08691, algorithm 1. causal: aligned at the lower right. Half precision is multiplied as
    it is and added up in float32; lse is float32 then.
    """
    wide = _accumulator(q.dtype)
    o = q.new_zeros(*q.shape[:-1], v.shape[-1])
    lse = q.new_full(q.shape[:-1], -math.inf, dtype=wide)
    for rows, tiles in groupby(_tiles(q, k, (block_rows, block_columns), causal), key=itemgetter(0)):
        qi = q[..., rows, :]
        m = qi.new_full(qi.shape[:-1], -math.inf, dtype=wide)
        l, acc = torch.zeros_like(m), qi.new_zeros(*m.shape, v.shape[-1], dtype=wide)  # noqa: E741
        for _, columns, hidden in tiles:
            s = (qi @ k[..., columns, :].mT).to(wide) / math.sqrt(q.shape[-1])
            if hidden is not None:
                s = s.masked_fill(hidden, -math.inf)
            m, l, acc = online_update(m, l, acc, s, v[..., columns, :].to(wide))  # noqa: E741
        o[..., rows, :] = acc / torch.where(l == 0, 1.0, l)[..., None]
        lse[..., rows] = m + l.log()
    return o, lse


def flash_backward(
    q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, do: Tensor,
    block_rows: int = BLOCK, block_columns: int = BLOCK, causal: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients (dq, dk, dv) of attention from what `flash_forward` took and gave, and do (..., N, dv)."""
    wide = _accumulator(q.dtype)
    gradients = tuple(torch.zeros_like(part, dtype=wide) for part in (q, k, v))
    dq, dk, dv = gradients
    scale = q.shape[-1] ** -0.5
    delta = (do.to(wide) * o.to(wide)).sum(-1, keepdim=True)
    for rows, columns, hidden in _tiles(q, k, (block_rows, block_columns), causal):
        qi, doi = q[..., rows, :].to(wide), do[..., rows, :].to(wide)
        kj, vj = k[..., columns, :].to(wide), v[..., columns, :].to(wide)
        p = torch.exp(qi @ kj.mT * scale - lse[..., rows, None])
        if hidden is not None:
            p = p.masked_fill(hidden, 0.0)
        ds = p * (doi @ vj.mT - delta[..., rows, :]) * scale
        dq[..., rows, :] += ds @ kj
        dk[..., columns, :] += ds.mT @ qi
        dv[..., columns, :] += p.mT @ doi
    return tuple(part.to(q.dtype) for part in gradients)  # type: ignore[return-value]


def merge_partials(o: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over all keys from parts o (S, R, dv) and lse (S, R): o (R, dv) and lse (R,). Flash-decoding."""
    total = lse.logsumexp(0)
    share = torch.exp(lse - torch.where(total == -math.inf, 0.0, total))
    return torch.einsum("sr,srd->rd", share, o), total


def hbm_floats(length: int, width: int, sram: int) -> tuple[int, int]:
    """Numbers that standard and tiled attention move between slow memory and a fast one of sram numbers."""
    block = max(1, min(length, sram // (4 * width)))
    blocks = (length + block - 1) // block
    return 4 * length * (width + length), length * (2 * width * (1 + blocks) + 1)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, backend: str) -> Tensor:
        if backend == "triton":
            from studium_topics.flash_attention import triton_kernels

            o, lse = triton_kernels.forward(q, k, v, causal)
        else:
            o, lse = flash_forward(q, k, v, causal=causal)
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.causal, ctx.backend = causal, backend
        return o

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved, (do,) = ctx.saved_tensors, gradients
        if ctx.backend == "triton":
            from studium_topics.flash_attention import triton_kernels

            return *triton_kernels.backward(*saved, do, ctx.causal), None, None
        return *flash_backward(*saved, do, causal=ctx.causal), None, None


def attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, backend: str | None = None) -> Tensor:
    """Attention of q (B, H, N, d) to k, v (B, H, M, d), with a gradient: (B, H, N, d).

    backend: "triton" or "torch"; by default "triton" on CUDA where the kernels can do it, which is for d = 16, 32, 64
    or 128 in half precision or float32. Memory beyond inputs and outputs is one float32 number a row.
    """
    if backend is None:
        fits = q.is_cuda and q.shape[-1] in (16, 32, 64, 128) and q.dtype != torch.float64
        backend = "triton" if fits else "torch"
    return _Attention.apply(q, k, v, causal, backend)
