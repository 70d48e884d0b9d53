"""What the judge lent: functions, iterators, and shells of modules whose ``forward`` runs in the judge.

They can be called and nothing else. Where a look inside ends in an error, the judge cannot tell what is right.
"""

from collections.abc import Callable
from typing import Any, Self

from torch import nn

Ask = Callable[[int, tuple[Any, ...] | None, dict[str, Any]], Any]
Look = Callable[[str], None]


class Lent:
    """A function of a test."""

    __slots__ = ("__weakref__", "_ask", "_look", "number")

    def __init__(self, ask: Ask, look: Look, number: int) -> None:
        self._ask, self._look, self.number = ask, look, number

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask(self.number, args, kwargs)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: Any) -> Self:
        return self

    def __getattr__(self, name: str) -> Any:
        self._look(f"your code looks at {name} of a function of the test")
        raise AttributeError(f"a function of the test can be called, and has no {name!r} here")


class LentIterator:
    """An iterator of a test."""

    __slots__ = ("__weakref__", "_ask", "number")

    def __init__(self, ask: Ask, _: Look, number: int) -> None:
        self._ask, self.number = ask, number

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._ask(self.number, None, {})


class Shell(nn.Module):
    """A module of a test's own class: its parameters, buffers and mode are here, and ``forward`` runs in the judge."""

    is_shell = True

    def __init__(self, ask: Ask, look: Look, number: int) -> None:
        super().__init__()
        vars(self).update(_lent=Lent(ask, look, number), _look=look)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the test's own ``forward``."""
        return vars(self)["_lent"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            vars(self)["_look"](f"your code looks at {name} of a module of the test")
            raise

    def __deepcopy__(self, _: Any) -> Self:
        vars(self)["_look"]("your code copies a module of the test")
        raise TypeError("a module of the test's own class cannot be copied here")

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def number_of(value: Any) -> int | None:
    """Return the number of what was lent; None for anything else."""
    if type(value) is Shell:
        value = vars(value)["_lent"]
    return value.number if type(value) in (Lent, LentIterator) else None
