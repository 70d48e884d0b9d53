"""Grouped-query attention as one would ship it, and what one decoding step costs on a GPU.

Shazeer 2019 (arXiv 1911.02150), Ainslie et al. 2023 (arXiv 2305.13245). Everything follows the device and dtype of its
inputs; attention is PyTorch's fused one with `enable_gqa`, which on CUDA reads each shared head without a copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

KEYS_AND_VALUES = ("k_proj", "v_proj")


def repeat_kv(x: Tensor, repeats: int) -> Tensor:
    """Heads (B, G, T, d) as (B, G · repeats, T, d), each beside its own copies; only what needs a copy should ask."""
    return x.repeat_interleave(repeats, 1)


def gqa(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    """Attention of q (B, H, Tq, d) on shared k, v (B, G, Tk, d); causal: the queries are the last positions."""
    queries, keys = q.shape[2], k.shape[2]
    square = causal and queries == keys
    mask = None
    if causal and not square and queries > 1:  # one query sees all that is there; is_causal starts at the upper left
        mask = torch.ones(queries, keys, dtype=torch.bool, device=q.device).tril(keys - queries)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=square, enable_gqa=True)


def decode_intensity(batch: int, tokens: int, heads: int, groups: int, head_dim: int, number_bytes: float) -> float:
    """Operations for each byte of attention in a decoding step: keys and values are read once a shared head."""
    operations = 4 * batch * heads * tokens * head_dim
    moved = number_bytes * 2 * batch * head_dim * (groups * tokens + heads)
    return operations / moved


def groups_that_fit(
    heads: int, memory: int, layers: int, head_dim: int, tokens: int, batch: int, number_bytes: int
) -> int:
    """The largest divisor of heads whose keys and values take at most `memory` bytes, 0 if none does."""
    room = memory // (2 * layers * head_dim * tokens * batch * number_bytes)
    return max((groups for groups in range(1, min(heads, room) + 1) if heads % groups == 0), default=0)


def pool_heads(weight: Tensor, bias: Tensor | None, heads: int, groups: int) -> tuple[Tensor, Tensor | None]:
    """Mean of the heads of each group: weight (heads · d, D) to (groups · d, D), and the bias likewise."""
    members = (groups, heads // groups, -1)
    pooled = weight.unflatten(0, members).mean(1).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, members).mean(1).flatten()


def convert_checkpoint(state: Mapping[str, Tensor], heads: int, groups: int) -> dict[str, Tensor]:
    """A checkpoint with Llama's names whose keys and values have `groups` heads; all else is shared, not copied."""
    converted = dict(state)
    for name in state:
        module, _, parameter = name.rpartition(".")
        if module.rpartition(".")[2] in KEYS_AND_VALUES and parameter == "weight":
            pooled = pool_heads(state[name], state.get(f"{module}.bias"), heads, groups)
            entries = zip((name, f"{module}.bias"), pooled, strict=True)
            converted |= {key: tensor for key, tensor in entries if tensor is not None}
    return converted


def to_grouped_order(wq: Tensor, wo: Tensor, heads: int, groups: int) -> tuple[Tensor, Tensor]:
    """Query heads that used shared head h % G, moved so that they use h // (H / G): rows of wq, columns of wo."""
    order = torch.arange(heads, device=wq.device).view(-1, groups).T.flatten()
    rows, columns = wq.unflatten(0, (heads, -1)), wo.unflatten(1, (heads, -1))
    return rows[order].flatten(0, 1), columns[:, order].flatten(1, 2)


def decode_seconds(
    groups: int, *, heads: int = 32, head_dim: int = 128, tokens: int = 8192, batch: int = 16, device: str = "cuda",
    steps: int = 50,
) -> float:  # fmt: skip
    """Seconds that the attention of one decoding step takes, on random queries and a cache of `groups` heads.

    bfloat16; on CUDA FlashAttention alone may answer, so that no backend copies the shared heads unseen.
    """
    shape = {"dtype": torch.bfloat16, "device": device}
    q = torch.randn(batch, heads, 1, head_dim, **shape)
    k, v = (torch.randn(batch, groups, tokens, head_dim, **shape) for _ in range(2))

    def run() -> None:
        for _ in range(steps):
            gqa(q, k, v, True)

    if not q.is_cuda:
        return _timed(run, lambda: None) / steps
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return _timed(run, torch.cuda.synchronize) / steps


def _timed(run: Callable[[], Any], wait: Callable[[], None]) -> float:
    run()  # compiled kernels, caches and clocks are warm after the first one
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start
