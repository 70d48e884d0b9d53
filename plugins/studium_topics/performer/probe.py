"""A meter for code that computes with tensors: the largest tensor that was made."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LargestTensor(TorchDispatchMode):
    """Sees each operation of PyTorch inside the with block, and remembers the largest tensor that one of them made.

    numbers: how many numbers it holds; a view of memory that was there before counts as nothing. shape: its shape.
    operations: how many operations there were. Work that NumPy does is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.shape: tuple[int, ...] = ()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        known = {_memory(value) for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)}
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor) and _memory(tensor) not in known:
                held = tensor.untyped_storage().nbytes() // tensor.element_size()
                if held > self.numbers:
                    self.numbers, self.shape = held, tuple(tensor.shape)
        return result


def _memory(tensor: Tensor) -> int:
    """Return the address at which the numbers of a tensor begin; views of one tensor share it."""
    return tensor.untyped_storage().data_ptr()
