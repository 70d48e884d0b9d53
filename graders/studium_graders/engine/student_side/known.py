"""What this side knows of one test: objects that stay here, arguments, and what was lent."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from studium_graders.engine.kinds.contents import Watched, overwrite, walk
from studium_graders.engine.kinds.remote import LENT, LONGEST_WORD, REMOTE
from studium_graders.engine.student_side.graph import Graph, Pull
from studium_graders.engine.student_side.lent import Ask, Lent, LentIterator, Shell, number_of
from studium_graders.engine.wire.codec import Open
from studium_graders.engine.wire.sending import loads, tensor_of

_MAKERS: dict[str, Any] = {"function": Lent, "iterator": LentIterator, "shell": Shell}


class Known:
    """The objects of one test. The encoder and the unpickler ask it what they need to know."""

    def __init__(self, number: int, is_open: Open, ask: Ask, pull: Pull) -> None:
        self.number = number
        self.graph = Graph(pull)
        self.watched = Watched(self.is_open_class)
        self._is_open = is_open
        self.depends_on: list[torch.Tensor] | None = None  # of the results of a callback that are being read
        self.looked = ""  # inside of what the judge lent: the sentence for it
        self._ask = ask
        self._objects: list[Any] = []
        self._handles: dict[int, int] = {}
        self._lent: dict[int, Any] = {}
        self._frames: list[tuple[list[int], bool]] = []

    def is_open_class(self, cls: type) -> bool:
        """Return whether instances of a class are looked into."""
        return self._is_open(cls) or cls is Shell

    # ------------------------------------------------------------------------------------------------ what goes out

    def argument_number(self, value: Any) -> int | None:
        """Return the number of an argument of the judge's."""
        return self.watched.number_of(value)

    def stay(self, value: Any) -> list[Any]:
        """Return the node of what stays here."""
        if (number := number_of(value)) is not None:
            return [LENT, number]
        return [REMOTE, self._handle(value), word_for(value)]

    def enter(self, tensor: torch.Tensor) -> int:
        """Number a tensor of this side's graph."""
        return self.graph.enter(tensor)

    def has_made(self, leaf: torch.Tensor) -> bool:
        """Return whether a leaf is this side's own."""
        return self.graph.has_made(leaf)

    def _handle(self, value: Any) -> int:
        if id(value) not in self._handles:
            self._handles[id(value)] = len(self._objects)
            self._objects.append(value)
        return self._handles[id(value)]

    def object(self, handle: int) -> Any:
        """Return what stayed here."""
        return self._objects[handle]

    # ------------------------------------------------------------------------------------------------ arguments

    def open(self, first: int, roots: Iterable[Any], *, keep: bool) -> None:
        """Open a call with these arguments."""
        values = walk(roots, self.is_open_class, self.has_stayed)
        self._frames.append((self.watched.add(first, values), keep))

    def has_stayed(self, value: Any) -> bool:
        """Return whether an object stays here: the judge does not look into it."""
        return id(value) in self._handles

    def close(self) -> None:
        """Close the call that was opened last."""
        numbers, keep = self._frames.pop()
        if not keep:
            self.watched.forget(numbers)

    def changed(self, *, everything: bool) -> dict[int, Any]:
        """Return the arguments that have changed: of all calls whose numbers hold, or of those that are open."""
        opened = [number for numbers, _ in self._frames for number in numbers]
        return self.watched.changed(None if everything else opened)

    def walked(self) -> int:
        """Return how many arguments of the call that was opened last may change."""
        return len(self._frames[-1][0]) if self._frames else 0

    def take(self, changes: dict[int, Any]) -> None:
        """Take over what the test changed of arguments."""
        for number, content in changes.items():
            overwrite(self.watched.value(number), content, self.is_open_class)
        self.watched.agree(changes)

    # ------------------------------------------------------------------------------------------------ what comes in

    def read(self, data: memoryview, inputs: list[torch.Tensor]) -> Any:
        """Return an answer of the judge's: tensors in it depend on what the question gave."""
        before, self.depends_on = self.depends_on, inputs
        try:
            return loads(data, self)
        finally:
            self.depends_on = before

    def build(self, how: str, *parts: Any) -> Any:
        """Return what parts of a pickle describe."""
        if how in _MAKERS:
            (number,) = parts
            if number not in self._lent:
                self._lent[number] = _MAKERS[how](self._ask, self._look, number)
            return self._lent[number]
        return getattr(self, f"_build_{how}")(*parts)

    def _look(self, sentence: str) -> None:
        self.looked = self.looked or sentence

    def _build_argument(self, number: int) -> Any:
        return self.watched.value(number)

    def _build_handle(self, number: int) -> Any:
        return self._objects[number]

    def _build_data(self, dtype: Any, shape: Any, data: bytes, parameter: bool) -> torch.Tensor:
        tensor = tensor_of(dtype, shape, data)
        return nn.Parameter(tensor, requires_grad=False) if parameter else tensor

    def _build_entered(self, *parts: Any) -> torch.Tensor:
        dtype, shape, data, parameter, number, is_leaf, grad = parts
        tensor = tensor_of(dtype, shape, data)
        if self.depends_on is not None and not parameter:
            return self.graph.hang(number, tensor, self.depends_on)
        tensor = nn.Parameter(tensor) if parameter else tensor.requires_grad_()
        tensor.grad = None if grad is None else tensor_of(*grad)
        return self.graph.leaf(number, tensor, is_leaf=is_leaf, own=self.depends_on is not None)

    def _build_made(self, *parts: Any) -> torch.Tensor:
        return self._build_entered(*parts)

    def _build_generator(self, state: bytes) -> torch.Generator:
        return torch.Generator().set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))

    def _build_error(self, name: str, text: str) -> Exception:
        made: Exception = type(name, (Exception,), {})(text)
        return made


def word_for(value: Any) -> str:
    """Return a word for what stays here; it decides nothing."""
    name = "function" if callable(value) and hasattr(value, "__code__") else type(value).__name__
    return name[:LONGEST_WORD].encode("utf-8", "replace").decode()
