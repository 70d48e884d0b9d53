"""A meter for what code that computes with tensors moves to and from slow memory.

It sees every operation of PyTorch in its own process, whatever function of the library it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from studium_topics.kits.peak import address, numbers


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_iter(values) if isinstance(value, Tensor))


class Traffic(TorchDispatchMode):
    """Counts the numbers that are read from and written to slow memory, beside a fast one of `sram` numbers.

    Tensors of more than sram numbers, and the inputs, live in slow memory; all others in the fast one, for nothing. An
    operation reads each slow tensor, or the slice of one, that it is given, and writes each that it makes or changes.
    The fast memory has one place for each input: a slice that fits, and that was the last one used of its input, is
    still there. Constants (zeros, ranges, masks made of them) are made on the chip. Call `results` at the end.
    """

    def __init__(self, sram: int, *inputs: Tensor) -> None:
        super().__init__()
        self.sram = sram
        self.read = self.written = 0
        self._slow = {address(tensor): tensor for tensor in inputs}  # kept alive, so that no place is used again
        self._inputs = set(self._slow)
        self._held: dict[int, tuple[int, int]] = {}

    @property
    def moved(self) -> int:
        """All numbers read and written."""
        return self.read + self.written

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        given = list(_tensors((args, kwargs)))
        places = {address(tensor) for tensor in given}
        made = [tensor for tensor in _tensors(out) if address(tensor) not in places]
        constant = not given or _is_constant(func)
        if func._schema.is_mutable:
            self._change(func, args)
        elif made and not constant:
            for tensor in given:
                self._read(tensor)
        for tensor in made:
            if numbers(tensor) > self.sram:
                self._slow[address(tensor)] = tensor
                self.written += 0 if constant else tensor.numel()
        return out

    def _change(self, func: Any, args: Any) -> None:
        target, *others = args
        for tensor in _tensors(others):
            self._read(tensor)
        if address(target) in self._slow:
            self.written += target.numel()
            self.read += 0 if func.__name__.startswith(("copy_", "fill_", "zero_")) else target.numel()

    def _read(self, tensor: Tensor) -> None:
        place = address(tensor)
        if place not in self._slow:
            return
        block = (tensor.storage_offset(), tensor.numel())
        fits = place in self._inputs and tensor.numel() <= self.sram
        if not (fits and self._held.get(place) == block):
            self.read += tensor.numel()
        if fits:
            self._held[place] = block

    def results(self, *tensors: Tensor) -> None:
        """Bring the results home: those that are in fast memory are written once."""
        self.written += sum(tensor.numel() for tensor in tensors if address(tensor) not in self._slow)


def _is_constant(func: Any) -> bool:
    """Whether an operation makes a tensor of which no number depends on its arguments."""
    name = func.__name__.split(".")[0].removeprefix("new_").removesuffix("_like")
    return name in {"empty", "zeros", "ones", "full", "empty_strided"}
