"""What the judge lent: functions, iterators, and shells of modules whose ``forward`` runs in the judge."""

from collections.abc import Callable
from typing import Any

from torch import nn

Ask = Callable[[int, tuple[Any, ...] | None, dict[str, Any]], Any]


class Lent:
    """A function of a test: it can be called, and a look inside is refused."""

    __slots__ = ("__weakref__", "_ask", "number")

    def __init__(self, ask: Ask, number: int) -> None:
        self._ask, self.number = ask, number

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask(self.number, args, kwargs)


class LentIterator:
    """An iterator of a test."""

    __slots__ = ("__weakref__", "_ask", "number")

    def __init__(self, ask: Ask, number: int) -> None:
        self._ask, self.number = ask, number

    def __iter__(self) -> "LentIterator":
        return self

    def __next__(self) -> Any:
        return self._ask(self.number, None, {})


class Shell(nn.Module):
    """A module of a test's own class: its parameters, buffers and mode are here, and ``forward`` runs in the judge."""

    is_shell = True

    def __init__(self, ask: Ask, number: int) -> None:
        super().__init__()
        object.__setattr__(self, "_lent", Lent(ask, number))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the test's own ``forward``."""
        return self.__dict__["_lent"](*args, **kwargs)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def number_of(value: Any) -> int | None:
    """Return the number of what was lent; None for anything else."""
    if type(value) is Shell:
        value = value.__dict__["_lent"]
    return value.number if type(value) in (Lent, LentIterator) else None
