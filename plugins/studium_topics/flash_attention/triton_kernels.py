"""FlashAttention-2 in Triton: one forward kernel, two backward kernels, for any lengths and half or single precision.

Written for tensor cores and float32 accumulators: exponentials in base 2, tiles that no mask touches take a loop of
their own, block sizes are tuned at the first call of a shape. With TRITON_INTERPRET=1 in the environment before Triton
is imported, the same code runs on a CPU, slowly, and exactly enough to be tested.

Source: Dao 2023, arXiv 2307.08691. q (B, H, N, d) meets k, v (B, H, M, d); causal is aligned at the lower right.
"""

from __future__ import annotations

import math
import os

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2E: tl.constexpr = tl.constexpr(math.log2(math.e))
LN2: tl.constexpr = tl.constexpr(math.log(2.0))
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
LARGEST = 128  # no block is larger, so lengths that are multiples of it have no ragged tile
WIDTHS = (16, 32, 64, 128)
KEY = ["N", "M", "D", "CAUSAL"]


def _configs(*choices: tuple[int, int, int, int]) -> list[triton.Config]:
    """Rows, columns, warps and stages to choose from; the interpreter, which measures nothing, gets small tiles."""
    if INTERPRETED:
        return [triton.Config({"ROWS": 16, "COLUMNS": 32})]
    return [triton.Config({"ROWS": r, "COLUMNS": c}, num_warps=w, num_stages=s) for r, c, w, s in choices]


@triton.jit
def _block(base, positions, dims, length, D: tl.constexpr, EVEN: tl.constexpr):
    """Load rows `positions` of a matrix (length, D); beyond its end they are 0."""
    at = base + positions[:, None] * D + dims[None, :]
    return tl.load(at, mask=None if EVEN else positions[:, None] < length, other=None if EVEN else 0.0)


@triton.jit
def _scores(q, k, query, key, scale, N, M, CAUSAL: tl.constexpr, MASKED: tl.constexpr, PRECISION: tl.constexpr):
    """q kᵀ in base 2 (rows, columns), and -inf where a tile that is MASKED hides it."""
    s = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
    if MASKED:
        seen = key[None, :] < M
        if CAUSAL:
            seen = seen & (key[None, :] <= query[:, None] + (M - N))
        s = tl.where(seen, s, -float("inf"))
    return s


@triton.jit
def _meet(
    acc, m, l, q, k_base, v_base, query, dims, first, last, scale, N, M,
    D: tl.constexpr, COLUMNS: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr, EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Let a block of queries meet the keys from `first` up to `last`."""
    for left in range(first, last, COLUMNS):
        key = left + tl.arange(0, COLUMNS)
        k = _block(k_base, key, dims, M, D, EVEN or not MASKED)
        s = _scores(q, k, query, key, scale, N, M, CAUSAL, MASKED, PRECISION)
        highest = tl.maximum(m, tl.max(s, 1))
        base = highest
        if MASKED:  # a row that has seen nothing subtracts 0
            base = tl.where(highest == -float("inf"), 0.0, highest)
        decay = tl.exp2(m - base)
        p = tl.exp2(s - base[:, None])
        l = l * decay + tl.sum(p, 1)
        v = _block(v_base, key, dims, M, D, EVEN or not MASKED)
        acc = tl.dot(p.to(v.dtype), v, acc * decay[:, None], input_precision=PRECISION)
        m = highest
    return acc, m, l


@triton.jit
def _bounds(top, N, M, ROWS: tl.constexpr, COLUMNS: tl.constexpr, CAUSAL: tl.constexpr):
    """For queries from `top`: where keys that all of them see in full tiles end, and where those that any sees do."""
    whole = M // COLUMNS * COLUMNS
    last = M
    if CAUSAL:
        seen_by_first = tl.maximum(top + 1 + M - N, 0)
        whole = tl.minimum(whole, seen_by_first // COLUMNS * COLUMNS)
        last = tl.maximum(tl.minimum(M, tl.minimum(top + ROWS, N) + M - N), 0)
    return whole, last


@triton.autotune(
    _configs((128, 64, 4, 3), (128, 64, 8, 3), (128, 128, 8, 2), (128, 128, 8, 3), (128, 32, 4, 4), (64, 64, 4, 3)), KEY
)
@triton.jit
def _forward(
    Q, K, V, O, LSE, scale, N, M,
    D: tl.constexpr, CAUSAL: tl.constexpr, EVEN: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """o and lse of one block of queries of one head."""
    top = (tl.num_programs(0) - 1 - tl.program_id(0)) * ROWS  # the long rows of a causal mask start first
    head = tl.program_id(1).to(tl.int64)
    query, dims = top + tl.arange(0, ROWS), tl.arange(0, D)
    k_base, v_base = K + head * M * D, V + head * M * D
    q = _block(Q + head * N * D, query, dims, N, D, EVEN)
    m = tl.full([ROWS], -float("inf"), tl.float32)
    l = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, D], tl.float32)
    whole, last = _bounds(top, N, M, ROWS, COLUMNS, CAUSAL)
    acc, m, l = _meet(acc, m, l, q, k_base, v_base, query, dims, 0, whole, scale, N, M, D, COLUMNS, CAUSAL, False, EVEN, PRECISION)  # noqa: E501  # fmt: skip
    acc, m, l = _meet(acc, m, l, q, k_base, v_base, query, dims, whole, last, scale, N, M, D, COLUMNS, CAUSAL, True, EVEN, PRECISION)  # noqa: E501  # fmt: skip
    safe = tl.where(l == 0.0, 1.0, l)
    inside = query < N
    at = O + head * N * D + query[:, None] * D + dims[None, :]
    tl.store(at, (acc / safe[:, None]).to(O.dtype.element_ty), mask=inside[:, None])
    tl.store(LSE + head * N + query, (m + tl.log2(safe)) * LN2, mask=inside)


@triton.jit
def _row_numbers(LSE, DELTA, query, N):
    """lse in base 2 and delta of rows; a row that sees nothing, or does not exist, gets +inf, so that its p is 0."""
    inside = query < N
    lse = tl.load(LSE + query, mask=inside, other=float("inf"))
    lse = tl.where(lse == -float("inf"), float("inf"), lse * LOG2E)
    return lse, tl.load(DELTA + query, mask=inside, other=0.0)


@triton.jit
def _gather(
    dk, dv, k, v, q_base, do_base, LSE, DELTA, key, dims, first, last, scale, N, M,
    D: tl.constexpr, ROWS: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr, EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Let a block of keys gather from the queries from `first` up to `last`."""
    for top in range(first, last, ROWS):
        query = top + tl.arange(0, ROWS)
        q = _block(q_base, query, dims, N, D, EVEN)
        do = _block(do_base, query, dims, N, D, EVEN)
        lse, delta = _row_numbers(LSE, DELTA, query, N)
        p = tl.exp2(_scores(q, k, query, key, scale, N, M, CAUSAL, MASKED, PRECISION) - lse[:, None])
        dv = tl.dot(tl.trans(p.to(do.dtype)), do, dv, input_precision=PRECISION)
        ds = p * (tl.dot(do, tl.trans(v), input_precision=PRECISION) - delta[:, None])
        dk = tl.dot(tl.trans(ds.to(q.dtype)), q, dk, input_precision=PRECISION)
    return dk, dv


@triton.autotune(_configs((32, 128, 4, 3), (64, 64, 4, 3), (64, 128, 8, 2), (64, 128, 8, 3), (128, 128, 8, 2)), KEY)
@triton.jit
def _backward_keys(
    Q, K, V, DO, LSE, DELTA, DK, DV, scale, softmax_scale, N, M,
    D: tl.constexpr, CAUSAL: tl.constexpr, EVEN: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """dk and dv of one block of keys of one head."""
    left = tl.program_id(0) * COLUMNS
    head = tl.program_id(1).to(tl.int64)
    key, dims = left + tl.arange(0, COLUMNS), tl.arange(0, D)
    k = _block(K + head * M * D, key, dims, M, D, EVEN)
    v = _block(V + head * M * D, key, dims, M, D, EVEN)
    dk, dv = tl.zeros([COLUMNS, D], tl.float32), tl.zeros([COLUMNS, D], tl.float32)
    q_base, do_base, LSE, DELTA = Q + head * N * D, DO + head * N * D, LSE + head * N, DELTA + head * N
    first, masked = 0, 0
    if CAUSAL:  # the first query that sees the first key, and the first that sees the last one, in whole blocks
        first = tl.maximum(left - (M - N), 0) // ROWS * ROWS
        masked = tl.minimum(tl.cdiv(tl.maximum(left + COLUMNS - 1 - (M - N), 0), ROWS) * ROWS, tl.cdiv(N, ROWS) * ROWS)
    if not EVEN:
        masked = tl.where(left + COLUMNS > M, tl.cdiv(N, ROWS) * ROWS, masked)
    dk, dv = _gather(dk, dv, k, v, q_base, do_base, LSE, DELTA, key, dims, first, masked, scale, N, M, D, ROWS, CAUSAL, True, EVEN, PRECISION)  # noqa: E501  # fmt: skip
    dk, dv = _gather(dk, dv, k, v, q_base, do_base, LSE, DELTA, key, dims, masked, N, scale, N, M, D, ROWS, CAUSAL, False, EVEN, PRECISION)  # noqa: E501  # fmt: skip
    at = head * M * D + key[:, None] * D + dims[None, :]
    inside = key[:, None] < M
    tl.store(DK + at, (dk * softmax_scale).to(DK.dtype.element_ty), mask=inside)
    tl.store(DV + at, dv.to(DV.dtype.element_ty), mask=inside)


@triton.jit
def _collect(
    dq, q, do, lse, delta, k_base, v_base, query, dims, first, last, scale, N, M,
    D: tl.constexpr, COLUMNS: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr, EVEN: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Let a block of queries collect its gradient from the keys from `first` up to `last`."""
    for left in range(first, last, COLUMNS):
        key = left + tl.arange(0, COLUMNS)
        k = _block(k_base, key, dims, M, D, EVEN or not MASKED)
        v = _block(v_base, key, dims, M, D, EVEN or not MASKED)
        p = tl.exp2(_scores(q, k, query, key, scale, N, M, CAUSAL, MASKED, PRECISION) - lse[:, None])
        ds = p * (tl.dot(do, tl.trans(v), input_precision=PRECISION) - delta[:, None])
        dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)
    return dq


@triton.autotune(_configs((128, 32, 4, 3), (64, 64, 4, 3), (128, 64, 8, 2), (128, 64, 8, 3), (128, 128, 8, 2)), KEY)
@triton.jit
def _backward_queries(
    Q, K, V, DO, LSE, DELTA, DQ, scale, softmax_scale, N, M,
    D: tl.constexpr, CAUSAL: tl.constexpr, EVEN: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """dq of one block of queries of one head."""
    top = (tl.num_programs(0) - 1 - tl.program_id(0)) * ROWS
    head = tl.program_id(1).to(tl.int64)
    query, dims = top + tl.arange(0, ROWS), tl.arange(0, D)
    k_base, v_base = K + head * M * D, V + head * M * D
    q = _block(Q + head * N * D, query, dims, N, D, EVEN)
    do = _block(DO + head * N * D, query, dims, N, D, EVEN)
    lse, delta = _row_numbers(LSE + head * N, DELTA + head * N, query, N)
    dq = tl.zeros([ROWS, D], tl.float32)
    whole, last = _bounds(top, N, M, ROWS, COLUMNS, CAUSAL)
    dq = _collect(dq, q, do, lse, delta, k_base, v_base, query, dims, 0, whole, scale, N, M, D, COLUMNS, CAUSAL, False, EVEN, PRECISION)  # noqa: E501  # fmt: skip
    dq = _collect(dq, q, do, lse, delta, k_base, v_base, query, dims, whole, last, scale, N, M, D, COLUMNS, CAUSAL, True, EVEN, PRECISION)  # noqa: E501  # fmt: skip
    at = DQ + head * N * D + query[:, None] * D + dims[None, :]
    tl.store(at, (dq * softmax_scale).to(DQ.dtype.element_ty), mask=query[:, None] < N)


@triton.jit
def _row_sums(O, DO, DELTA, rows, D: tl.constexpr, ROWS: tl.constexpr):
    """delta = Σ do · o of a block of rows of all heads."""
    row, dims = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS), tl.arange(0, D)
    at, inside = row[:, None] * D + dims[None, :], row[:, None] < rows
    o = tl.load(O + at, mask=inside, other=0.0).to(tl.float32)
    do = tl.load(DO + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(DELTA + row, tl.sum(o * do, 1), mask=row < rows)


def _sizes(q: Tensor, k: Tensor, causal: bool) -> dict[str, object]:
    """What all kernels are told of a problem."""
    (length, width), keys = q.shape[-2:], k.shape[-2]
    if width not in WIDTHS:
        raise ValueError(f"the kernels need heads of width {', '.join(map(str, WIDTHS))}, got {width}: use torch's")
    if INTERPRETED and q.dtype == torch.bfloat16:
        raise ValueError("Triton's interpreter cannot multiply bfloat16: take float16 or float32, or a GPU")
    even = length % LARGEST == 0 and keys % LARGEST == 0
    precision = "ieee" if q.dtype == torch.float32 else "tf32"
    problem = {"N": length, "M": keys, "D": width, "CAUSAL": causal, "EVEN": even, "PRECISION": precision}
    return problem | {"enable_fp_fusion": True}  # one multiply-add for score · scale - maximum


def forward(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """o (B, H, N, d) of q's dtype and lse (B, H, N) in float32, of q (B, H, N, d) and k, v (B, H, M, d)."""
    sizes = _sizes(q, k, causal)
    q, k, v = (part.contiguous() for part in (q, k, v))
    o, lse = torch.empty_like(q), q.new_empty(q.shape[:-1], dtype=torch.float32)
    scale = q.shape[-1] ** -0.5 * math.log2(math.e)
    heads = q.shape[0] * q.shape[1]
    _forward[lambda found: (triton.cdiv(q.shape[-2], found["ROWS"]), heads)](q, k, v, o, lse, scale, **sizes)
    return o, lse


def backward(
    q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, do: Tensor, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """dq, dk, dv, of what `forward` took and gave and of do, the gradient of a loss by o."""
    sizes = _sizes(q, k, causal)
    q, k, v, o, do = (part.contiguous() for part in (q, k, v, o, do))
    delta = torch.empty_like(lse)
    _row_sums[(triton.cdiv(lse.numel(), 64),)](o, do, delta, lse.numel(), D=q.shape[-1], ROWS=64)
    dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    scales = q.shape[-1] ** -0.5 * math.log2(math.e), q.shape[-1] ** -0.5
    heads = q.shape[0] * q.shape[1]
    shared = (q, k, v, do, lse, delta)
    _backward_keys[lambda found: (triton.cdiv(k.shape[-2], found["COLUMNS"]), heads)](*shared, dk, dv, *scales, **sizes)
    _backward_queries[lambda found: (triton.cdiv(q.shape[-2], found["ROWS"]), heads)](*shared, dq, *scales, **sizes)
    return dq, dk, dv
