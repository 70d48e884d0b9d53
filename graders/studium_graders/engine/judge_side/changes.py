"""What the student's code changes of a test's arguments, and what a test changes after it has crossed.

A change is made here where the reference makes one, else it is withheld: a test that passes then runs once more with
it applied. While a callback of the test runs it sees what the student's code sees.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from studium_graders.engine.judge_side.permissions import CHANGES, KEPT, Watch
from studium_graders.engine.kinds.contents import (
    Watched,
    content_of,
    copied,
    is_content,
    is_same,
    overwrite,
    walk,
)
from studium_graders.engine.kinds.generators import CLASSES as GENERATORS
from studium_graders.engine.kinds.generators import moved_on
from studium_graders.engine.kinds.plain import Facts
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Open
from studium_graders.engine.wire.messages import Node


def _nothing(_: Any) -> bool:
    return False


class Arguments:
    """The arguments of the calls that are open; with *kept* those of the whole test."""

    def __init__(self, watch: Watch, is_open: Open) -> None:
        self._watch = watch
        self._is_open = is_open
        self._watched = Watched(is_open)
        self._open: list[list[int]] = []
        self._before: dict[int, Any] = {}  # of what is to be withheld at the end of the call
        self._told: frozenset[int] = frozenset()
        self._next = 0
        self._crossed = Crossed(is_open)

    @property
    def keeps(self) -> bool:
        """Whether numbers hold to the end of the test."""
        return self._watch.would_allow(KEPT)

    def open(self, roots: Iterable[Any]) -> int:
        """Open a call; return the number of its first argument that may change."""
        values = walk(roots, self._is_open, _nothing)
        if self._watch.allowed is None and not self._open:
            self._watch.changed_later |= self._crossed.have_changed(values)
        first, self._next = self._next, self._next + len(values)
        self._open.append(self._watched.add(first, values))
        return first

    def close(self) -> None:
        """Close the call that was opened last; take back what is withheld."""
        numbers = self._open.pop()
        for number in [number for number in numbers if number in self._before]:
            overwrite(self._watched.value(number), self._before.pop(number), self._is_open)
        if self._watch.allowed is None:
            self._crossed.note(map(self._watched.value, numbers))
        if not self.keeps:
            self._watched.forget(numbers)

    def value(self, number: int) -> Any:
        """Return the argument of a number."""
        try:
            value = self._watched.value(number)
        except KeyError:
            raise ProtocolError("no such argument") from None
        if not any(number in numbers for numbers in self._open):
            self._watch.allows(KEPT)
        return value

    def expect(self, changes: Sequence[tuple[int, Node]]) -> None:
        """Hear what has changed before the value of a reply is read, which may be one of these arguments."""
        self._told = frozenset(number for number, _ in changes)

    def holds(self, value: Any) -> bool:
        """Whether an argument will be here what it is for the student's code: nothing in it is withheld."""
        if self._watch.applied or self._watch.would_allow(CHANGES):
            return True
        withheld = self._told | self._before.keys()
        return not withheld or withheld.isdisjoint(map(self.number_of, walk([value], self._is_open, _nothing)))

    def count(self) -> int:
        """Return how many arguments of the call that was opened last may change."""
        return len(self._open[-1]) if self._open else 0

    def take(self, changes: Sequence[tuple[int, Node]], decoder: Decoder, *, for_now: bool) -> None:
        """Make the changes that have permission. ``for_now``: the others as well, to the end of the call."""
        for number, node in changes:
            value = self.value(number)
            allowed = self._watch.allows(CHANGES) or self._watch.applied
            self._watch.withheld |= not allowed
            if allowed or for_now:
                if not is_content(value, node, self._is_open):
                    raise self._watch.refuse("your code made of an argument what the judge cannot take over")
                if not allowed:
                    self._before.setdefault(number, copied(value))
                held = decoder.change(node)
                if type(value) in GENERATORS and not moved_on(value, held):
                    raise self._watch.refuse("your code set a random generator of the test to another state")
                overwrite(value, held, self._is_open)
                self._watched.agree([number])

    def changed(self) -> dict[int, Any]:
        """Return what the test has changed of arguments of open calls since both sides agreed."""
        opened = [number for numbers in self._open for number in numbers]
        return {number: copied(value) for number, value in self._watched.changed(opened).items()}

    def number_of(self, value: Any) -> int | None:
        """Return the number of an argument."""
        return self._watched.number_of(value)

    def came(self, value: Any) -> None:
        """Hear of a value that came."""
        if self._watch.allowed is None:
            self._crossed.note(walk([value], self._is_open, _nothing))

    def end(self) -> None:
        """Look for the last time at what has crossed."""
        if self._watch.allowed is None:
            self._watch.changed_later |= self._crossed.have_changed(everything=True)


class Crossed:
    """What has crossed in a test, and each content that it crossed with.

    Generators move on, and gradients are what a test computes: both are left out.
    """

    def __init__(self, is_open: Open) -> None:
        self._is_open = is_open
        self._values: dict[int, Any] = {}
        self._contents: dict[int, list[Any]] = {}
        self._new: set[int] = set()

    def note(self, parts: Iterable[Any]) -> None:
        """Note what crosses, each part by itself."""
        for part in parts:
            if type(part) is not torch.Generator:
                self._values[id(part)] = part
                self._contents.setdefault(id(part), []).append(self._content(part))
                self._new.add(id(part))

    def have_changed(self, sent: Iterable[Any] = (), *, everything: bool = False) -> bool:
        """Return whether anything has another content than it crossed with, but for what is sent anew."""
        known, self._new = self._values.keys() if everything else self._new, set()
        return any(self._has_changed(number) for number in known - {id(value) for value in sent})

    def _has_changed(self, number: int) -> bool:
        now = self._content(self._values[number])
        return not any(is_same(content, now) for content in self._contents[number])

    def _content(self, value: Any) -> Any:
        content = content_of(value, self._is_open)
        return Facts(content[:-1]) if isinstance(value, torch.Tensor) and content else content
