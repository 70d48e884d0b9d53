"""What the judge may ask of the student's process, operation by operation."""

import collections
import copy
import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from studium_graders.engine.kinds.gradients import differentiate
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.sections import Rebound
from studium_graders.engine.wire.codec import Context

_DATA = (
    list, tuple, dict, set, frozenset, collections.deque, str, bytes, int, float, complex, Decimal, Fraction,
    datetime.date, datetime.time, datetime.timedelta, np.ndarray,
)  # fmt: skip


class Operations:
    """Does what is asked for with the objects of the student's namespace. ``called`` are classes of data and enums."""

    def __init__(self, cells: Cells, rebound: Rebound, peer: Context) -> None:
        self._rebound, self._peer = rebound, peer
        self._namespace: dict[str, Any] = cells.shell.user_ns
        self.called: set[type] = set()

    def do_get(self, name: str) -> Any:
        """Return what a name stands for."""
        if name not in self._namespace:
            raise NameError(f"name {name!r} is not defined")
        return self._rebound.noted(name, self._namespace[name])

    def do_set(self, name: str, value: Any) -> None:
        """Bind a name."""
        self._namespace[name] = value

    def do_delete(self, name: str) -> None:
        """Delete a name."""
        if name not in self._namespace:
            raise NameError(f"name {name!r} is not defined")
        del self._namespace[name]

    def do_has(self, name: str) -> bool:
        """Return whether there is a name."""
        return name in self._namespace

    def do_call(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function or a class; of a class of data, note that the judge makes instances."""
        if isinstance(target, type) and issubclass(target, _DATA):
            self.called.add(target)
        return target(*args, **kwargs)

    def do_method(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method."""
        return getattr(target, name)(*args, **kwargs)

    def do_special(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a dunder method, as an operator does."""
        return getattr(type(target), name)(target, *args, **kwargs)

    def do_getattr(self, target: Any, name: str) -> Any:
        """Return an attribute."""
        return getattr(target, name)

    def do_setattr(self, target: Any, name: str, value: Any) -> None:
        """Set an attribute."""
        setattr(target, name, value)

    def do_delattr(self, target: Any, name: str) -> None:
        """Delete an attribute."""
        delattr(target, name)

    def do_vars(self, target: Any) -> dict[str, Any]:
        """Return the attributes of an instance."""
        return dict(vars(target))

    def do_copy(self, target: Any) -> Any:
        """Copy an object with all that is in it."""
        return copy.deepcopy(target)

    def do_shallow_copy(self, target: Any) -> Any:
        """Copy an object."""
        return copy.copy(target)

    def do_next(self, target: Any) -> Any:
        """Return the next item of an iterator."""
        return next(target)

    def do_backward(self, number: Any, grads: list[Any], needed: list[bool], create: bool) -> list[Any]:
        """Return gradients through a graph of this side."""
        return differentiate(self._peer, number, grads, needed, create)
