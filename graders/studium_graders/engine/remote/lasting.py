"""Arguments that a student's code has kept after the call: what it makes of them later counts as well.

A class that keeps the list it was given, and changes it in a method, changes the test's list in a notebook. So the
student's side looks at what it has kept before each message, and the judge's side knows by number what was sent.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.writeback import Frame

if TYPE_CHECKING:
    from studium_graders.engine.remote.encode import Encoder

MOST_CALLS = 32
_MOST_COMPARED = 1 << 24  # bytes, about, of the arguments of one call
_EVERY = 16  # messages: so often it is asked again who refers to the arguments of a call
_HERE = 1  # reference to an object while it is counted


class Kept:
    """The student's part: the arguments of earlier calls, as long as somebody else refers to them."""

    def __init__(self) -> None:
        self._frames: dict[int, Frame] = {}
        self._compared: Counter[int] = Counter()
        self._messages = 0

    def add(self, number: int, frame: Frame) -> None:
        """Look after the arguments of a call that has ended."""
        self._frames[number] = frame
        if len(self._frames) > MOST_CALLS:
            self._forget(next(iter(self._frames)))

    def _forget(self, number: int) -> None:
        del self._frames[number]
        self._compared.pop(number, None)

    def numbers(self) -> list[int]:
        """Give the numbers of the calls whose arguments are kept."""
        return list(self._frames)

    def changes(self, encoder: "Encoder") -> Iterator[list[Any]]:
        """Give number, index and content of what has changed. Forget the calls whose arguments nobody has kept."""
        self._messages += 1
        for number, frame in list(self._frames.items()):
            if self._is_over(number, frame):
                self._forget(number)
                continue
            self._compared[number] += _size(frame)
            yield from ([-number, *change] for change in frame.changes(encoder))

    def _is_over(self, number: int, frame: Frame) -> bool:
        """Tell whether nobody has kept the arguments of a call, or they were compared often enough."""
        compared = self._compared[number]
        looked_at = compared and self._messages % _EVERY
        return compared > _MOST_COMPARED or not (looked_at or _is_kept(frame))

    def resend(self) -> None:
        """Tell again what could not be sent."""
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
