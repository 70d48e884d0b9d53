"""What a call may change: both sides walk its arguments in one order, number what may change, and look again later.

No identities cross, only numbers; the judge compares how many there are. A change is found by content.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch

from studium_graders.engine.kinds.objects import held_by
from studium_graders.engine.kinds.plain import PLAIN, Facts
from studium_graders.engine.kinds.table import KINDS
from studium_graders.engine.wire.codec import Open


def walk(roots: Iterable[Any], is_open: Open, closed: Callable[[Any], bool]) -> list[Any]:
    """Return what may change among values and what is in them, each once, in an order that both sides have.

    ``is_open`` tells of which classes the instances are looked into, ``closed`` which objects are left out.
    """
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [*reversed([*roots])]
    kept = []  # a tuple that a property makes must live as long as its id counts
    while waiting:
        value = waiting.pop()
        if type(value) in PLAIN or id(value) in seen or closed(value):
            continue
        seen.add(id(value))
        kept.append(value)
        kind = KINDS.kind_of(type(value), is_open)
        if kind is not None and kind.content is not None:
            found.append(value)
        if kind is not None and kind.children is not None:
            waiting += reversed([*kind.children(value)])
    return found


def content_of(value: Any, is_open: Open) -> Any:
    """Return what tells whether a value has changed."""
    return _reader_of(value, is_open)(value)


def _reader_of(value: Any, is_open: Open) -> Callable[[Any], Any]:
    kind = KINDS.kind_of(type(value), is_open)
    return _no_content if kind is None or kind.content is None else kind.content


def _no_content(_: Any) -> None:
    return None


def is_content(value: Any, node: Any, is_open: Open) -> bool:
    """Return whether a node is of the kind of a value, which it may overwrite."""
    kind = KINDS.kind_of(type(value), is_open)
    return kind is not None and type(node) is list and node[:1] == [kind.tag]


def overwrite(value: Any, other: Any, is_open: Open) -> None:
    """Give a value the content of another of its kind."""
    kind = KINDS.kind_of(type(value), is_open)
    assert kind is not None
    assert kind.overwrite is not None
    kind.overwrite(value, other)


def copied(value: Any) -> Any:
    """Return what a value holds now, in a value of its own."""
    if isinstance(value, torch.Tensor):
        made = value.detach().clone().requires_grad_(value.requires_grad)
        made.grad = value.grad if value.is_leaf else None
        return made
    if isinstance(value, torch.Generator):
        return value.clone_state()
    return held_by(value) if hasattr(value, "__dict__") else copy.copy(value)


def is_same(before: Any, now: Any) -> bool:
    """Return whether two contents are one: plain parts by value, all others by identity."""
    if before is now:
        return True
    if type(before) is not type(now):
        return False
    if type(before) is Facts:
        return bool(before == now)
    if type(before) in (list, tuple):
        return len(before) == len(now) and all(map(is_same, before, now))
    if type(before) is float:
        return before == now or (before != before and now != now)
    return type(before) in PLAIN | {frozenset} and bool(before == now)


class Watched:
    """The numbered arguments of the calls that are open, and how they were when both sides last agreed."""

    def __init__(self, is_open: Open) -> None:
        self._is_open = is_open
        self._values: dict[int, Any] = {}
        self._contents: dict[int, Any] = {}
        self._readers: dict[int, Callable[[Any], Any]] = {}
        self._numbers: dict[int, int] = {}

    def add(self, first: int, values: Iterable[Any]) -> list[int]:
        """Number values from ``first`` on; return the numbers. One that has a number keeps that one as well."""
        numbers = []
        for number, value in enumerate(values, first):
            self._values[number] = value
            self._readers[number] = read = _reader_of(value, self._is_open)
            self._contents[number] = read(value)
            self._numbers[id(value)] = number
            numbers.append(number)
        return numbers

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget the arguments of a call that has ended."""
        for number in numbers:
            value = self._values.pop(number)
            del self._contents[number], self._readers[number]
            if self._numbers.get(id(value)) == number:
                earlier = [key for key, other in self._values.items() if other is value]
                self._numbers.pop(id(value))
                self._numbers.update({id(value): key for key in earlier})

    def number_of(self, value: Any) -> int | None:
        """Return the number of a value."""
        return self._numbers.get(id(value))

    def value(self, number: int) -> Any:
        """Return the value of a number; KeyError where there is none."""
        return self._values[number]

    def changed(self, numbers: Iterable[int] | None = None) -> dict[int, Any]:
        """Return the numbers and values of what has changed since the last time, of these or of all."""
        found = {}
        for number in [*self._values] if numbers is None else numbers:
            value = self._values[number]
            now = self._readers[number](value)
            if not is_same(self._contents[number], now):
                self._contents[number] = now
                found[number] = value
        return found

    def agree(self, numbers: Iterable[int]) -> None:
        """Remember what values hold now, as both sides know it."""
        for number in numbers:
            self._contents[number] = self._readers[number](self._values[number])
