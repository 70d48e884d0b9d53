"""How fast the Triton kernels are beside PyTorch's own FlashAttention and its standard attention, where CUDA is.

Run `python -m studium_topics.flash_attention.measure_gpu`: causal, bfloat16, 16384 tokens in all, 2048 / d heads,
medians of many runs after tuning. It prints and judges nothing; the aim is 0.6 of PyTorch's flash backend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

LENGTHS, WIDTHS, TOKENS, MODEL = (1024, 4096, 16384), (64, 128), 16384, 2048
Direction = Callable[[], Any]


def operations(q: Tensor, backward: bool) -> float:
    """Floating-point operations of causal attention, as papers count: 4 N² d a head, half for the mask, 2.5 back."""
    batch, heads, length, width = q.shape
    return 4 * batch * heads * length**2 * width / 2 * (2.5 if backward else 1)


def torchs(parts: tuple[Tensor, ...], do: Tensor, backend: SDPBackend) -> tuple[Direction, Direction]:
    """Forward and backward of PyTorch's attention with one backend."""
    q, k, v = (part.detach().requires_grad_() for part in parts)

    def forward() -> Tensor:
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    o = forward()
    return forward, lambda: torch.autograd.grad(o, (q, k, v), do, retain_graph=True)


def ours(parts: tuple[Tensor, ...], do: Tensor) -> tuple[Direction, Direction]:
    """Forward and backward of the Triton kernels."""
    from studium_topics.flash_attention import triton_kernels

    o, lse = triton_kernels.forward(*parts, causal=True)
    return (
        lambda: triton_kernels.forward(*parts, causal=True),
        lambda: triton_kernels.backward(*parts, o, lse, do, causal=True),
    )


def largest_error(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    """The largest difference, so that no speed is reported of a wrong result."""
    return max(float((one.double() - other.double()).abs().max()) for one, other in zip(found, expected, strict=True))


def rows(length: int, width: int) -> list[tuple[str, ...]]:
    """Two rows of the table, forward and backward: TFLOP/s of each, our share of flash, extra memory, our error."""
    from triton.testing import do_bench

    generator = torch.Generator("cuda").manual_seed(0)
    shape = (TOKENS // length, MODEL // width, length, width)
    q, k, v, do = (torch.randn(shape, generator=generator, device="cuda", dtype=torch.bfloat16) for _ in range(4))
    mine, flash = ours((q, k, v), do), torchs((q, k, v), do, SDPBackend.FLASH_ATTENTION)
    standard = torchs((q, k, v), do, SDPBackend.MATH) if length <= 4096 else None  # 4 heads' P of 16k fill a card
    errors = largest_error((mine[0]()[0],), (flash[0](),)), largest_error(mine[1](), flash[1]())
    table = []
    for index, name in enumerate(("forward", "backward")):
        work = operations(q, backward=bool(index)) / 1e9
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        mine[index]()
        extra = (torch.cuda.max_memory_allocated() - before) / 2**20
        ms, theirs = do_bench(mine[index], return_mode="median"), do_bench(flash[index], return_mode="median")
        slow = "–" if standard is None else f"{work / do_bench(standard[index], return_mode='median'):.0f}"
        numbers = f"{work / ms:.0f}", f"{work / theirs:.0f}", slow, f"{theirs / ms:.2f}", f"{extra:.0f}"
        table.append((f"{length}", f"{width}", name, *numbers, f"{errors[index]:.3f}"))
    return table


def main() -> int:
    """Print the table; 1 where there is no CUDA."""
    console = Console()
    if not torch.cuda.is_available():
        console.print("the kernels are measured on CUDA, and this machine has none: run it where there is a GPU")
        return 1
    title = f"causal, bfloat16, on {torch.cuda.get_device_name()}: TFLOP/s (more is better)"
    table = Table("N", "d", "", "Triton", "flash", "math", "share of flash", "MB made", "error", title=title)
    for length in LENGTHS:
        for width in WIDTHS:
            for row in rows(length, width):
                table.add_row(*row)
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
