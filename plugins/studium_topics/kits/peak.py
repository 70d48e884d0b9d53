"""A memory meter that works on every device: the size of the largest tensor that was created."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class PeakTensor(TorchDispatchMode):
    """Tracks the largest tensor created inside the with block, and how many operations there were.

    largest: numbers in the memory it took; a view takes none. made: its shape. operations: calls of PyTorch's kernels.
    Whatever NumPy does, or a kernel inside one operation, is not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.made: tuple[int, ...] = ()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        given = {address(value) for value in tree_iter((args, kwargs)) if isinstance(value, Tensor)}
        for tensor in tree_iter(out):
            if isinstance(tensor, Tensor) and address(tensor) not in given and numbers(tensor) > self.largest:
                self.largest, self.made = numbers(tensor), tuple(tensor.shape)
        return out


def address(tensor: Tensor) -> int:
    """Return the address of a tensor's memory, which its views share."""
    return tensor.untyped_storage().data_ptr()


def numbers(tensor: Tensor) -> int:
    """Return how many numbers the memory of a tensor holds."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()
