"""Two meters: the largest tensor that a function makes, and the multiplications of its matrix products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode


class LargestTensor(TorchDispatchMode):
    """Knows how many numbers the largest tensor has that was made inside the with block; a view makes none."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = {_place(tensor) for tensor in tree_iter((args, kwargs)) if isinstance(tensor, Tensor)}
        for tensor in tree_iter(out):
            if isinstance(tensor, Tensor) and _place(tensor) not in given:
                self.numbers = max(self.numbers, tensor.untyped_storage().nbytes() // tensor.element_size())
        return out


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def measured(function: Callable[[], Tensor]) -> tuple[int, int]:
    """Return the multiplications and the largest tensor, in numbers, of one call.

    PyTorch's counter sees nothing of its fused attention on CPUs, so the call uses the plain one.
    """
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            function()
        with LargestTensor() as largest:
            function()
    return counter.get_total_flops() // 2, largest.numbers
