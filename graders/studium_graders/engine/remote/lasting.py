"""Data that outlive the request with which they crossed: what becomes of them later counts as well.

A class that keeps the list it was given, and changes it in a method, changes the test's list in a notebook. And who
changes a list that is an attribute of an object changes that object. So each side looks at what it has before each
message, and the other side knows by number what was sent: arguments by their request's, answers by other numbers.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.peer import Peer
from studium_graders.engine.remote.writeback import Frame, may_change

if TYPE_CHECKING:
    from studium_graders.engine.limits import Limits
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.wire import Channel

MOST_CALLS = 32
ANSWERS = 1 << 48  # above it are the numbers of answers
_MOST_OF_AN_ANSWER = 1 << 20  # bytes of arrays
_MOST_COMPARED = 1 << 24  # bytes, about, of the arguments of one call
_EVERY = 16  # messages: so often it is asked again who refers to the arguments of a call
_HERE = 1  # reference to an object while it is counted


class Lasting(Peer):
    """A peer that tells what became of data of earlier requests, and takes it in."""

    def __init__(self, channel: "Channel", limits: "Limits") -> None:
        super().__init__(channel, limits)
        self.kept = Kept()
        self.sent: dict[int, Frame] = {}  # what the other side may have kept

    def asked(self, number: int, frame: Frame) -> None:
        """Remember arguments until a message says that they were not kept."""
        if any(may_change(type(value)) for value in frame.objects):
            self.sent[number] = frame
            _make_room(self.sent, number)

    def told(self, number: int, objects: list[Any]) -> None:
        """Remember an answer until a message says that it was not kept."""
        if type(number) is int and is_followed(objects):
            self.asked(ANSWERS + number, Frame(objects))

    def heard(self, number: int, objects: list[Any]) -> None:
        """Look after an answer as long as somebody keeps it."""
        if is_followed(objects):
            self.kept.add(ANSWERS + number, Frame(objects, kept=True))

    def earlier(self, number: int) -> Frame | None:
        """Give the objects of an earlier request or answer."""
        return self.sent.get(number)

    def show_kept(self, numbers: Any) -> None:
        """Forget what the other side has not kept."""
        self.sent = {number: self.sent[number] for number in numbers if number in self.sent}

    def take_kept(self) -> list[int] | None:
        """Give the numbers of what is kept here."""
        return self.kept.numbers()

    def later_changes(self, encoder: "Encoder") -> Iterator[list[Any]]:
        """Give what became of what is kept here."""
        return self.kept.changes(encoder)

    def resend_changes(self) -> None:
        """Tell again what a message told that could not be sent."""
        super().resend_changes()
        self.kept.resend()


def is_followed(objects: list[Any]) -> bool:
    """Tell whether changes in an answer count: something can change there, and it is not much to look through."""
    changing = any(may_change(type(value)) for value in objects)
    return changing and sum(getattr(value, "nbytes", 0) for value in objects) <= _MOST_OF_AN_ANSWER


def _make_room(frames: dict[int, Frame], number: int) -> list[int]:
    """Forget the oldest of so many requests, or answers, as this number is of; give what was forgotten."""
    alike = [one for one in frames if (one > ANSWERS) == (number > ANSWERS)]
    forgotten = alike[:-MOST_CALLS]
    for one in forgotten:
        del frames[one]
    return forgotten


class Kept:
    """Objects of earlier requests and answers, as long as somebody else refers to them."""

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._compared: Counter[int] = Counter()
        self._ended: set[int] = set()  # of which the last message told the last change
        self._messages = 0

    def add(self, number: int, frame: Frame) -> None:
        """Look after the arguments of a call that has ended, or an answer that has come."""
        self._frames[number] = frame
        for forgotten in _make_room(self._frames, number):
            self._compared.pop(forgotten, None)
            self._ended.discard(forgotten)

    def _forget(self, number: int) -> None:
        del self._frames[number]
        self._compared.pop(number, None)
        self._ended.discard(number)

    def numbers(self) -> list[int]:
        """Give the numbers of the requests and answers that are kept."""
        return list(self._frames)

    def changes(self, encoder: "Encoder") -> Iterator[list[Any]]:
        """Give number, index and content of what has changed. Forget what nobody keeps once its last change is told."""
        self._messages += 1
        for number, frame in list(self._frames.items()):
            if number in self._ended or self._compared[number] > _MOST_COMPARED:
                self._forget(number)
                continue
            if self._is_over(number, frame):
                self._ended.add(number)
            self._compared[number] += _size(frame)
            yield from ([-number, *change] for change in frame.changes(encoder))

    def _is_over(self, number: int, frame: Frame) -> bool:
        """Tell whether nobody keeps it; that is asked now and then, and an answer is compared once in any case."""
        compared = self._compared[number]
        if number > ANSWERS and not compared:
            return False
        looked_at = compared and self._messages % _EVERY
        return not (looked_at or _is_kept(frame))

    def resend(self) -> None:
        """Tell again what could not be sent."""
        self._compared.clear()
        self._ended.clear()
        for frame in self._frames.values():
            frame.resend()


def _is_kept(frame: Frame) -> bool:
    """Tell whether anything refers to a changeable argument but the call's other arguments and what is noted of it."""
    counted = Counter(id(part) for parts in frame.holding() for part in parts)
    objects = frame.objects
    return any(
        state is not None and sys.getrefcount(objects[index]) - _HERE > counted[id(objects[index])]
        for index, state in enumerate(frame.states)
    )


def _size(frame: Frame) -> int:
    """Give how much is compared, in bytes."""
    return sum(
        int(state[2].nbytes) if type(state) is tuple else 8 * len(state) if type(state) in (list, str, bytes) else 8
        for state in frame.states
    )
