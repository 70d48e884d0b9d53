"""What became of the arguments: the receiver of a request finds what changed in them, its sender takes that over.

A class that keeps the list it was given, and changes it in a method, changes the test's list in a notebook. So does
code that changes a list which is an attribute of a test's object. So the student's side looks at what it has got as
long as anything there refers to it, and the judge's remembers for a while what it has sent.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Context, Encoder
from studium_graders.engine.wire.messages import Change, Node

ARGUMENT = "argument"
_MOST_KEPT = 32  # requests, and answers
_MOST_COMPARED = 1 << 24  # bytes, about, of the arguments of one request
_HERE = 1  # reference to an object while it is counted


class Frame:
    """The objects that came with one request, in the order of their numbers, and what they held at first."""

    def __init__(self, objects: list[Any], context: Context) -> None:
        self._objects, self._context = objects, context
        self._indices = {id(value): index for index, value in enumerate(objects)}
        self._states = [state_of(value, context) for value in objects]
        self._told: dict[int, Any] = {}  # what the last message told the changes of, as it was before
        self.compared = 0
        self._size = sum(map(_size_of, self._states))

    @property
    def may_change(self) -> bool:
        """Whether code may change one of the objects in place."""
        return any(state is not None for state in self._states)

    def is_kept(self) -> bool:
        """Return whether anything refers to a changeable object but the other ones, and what is noted of them."""
        counted = Counter(id(part) for parts in self._holding() for part in parts)
        objects = self._objects
        return any(
            state is not None and sys.getrefcount(objects[index]) - _HERE > counted[id(objects[index])]
            for index, state in enumerate(self._states)
        )

    def _holding(self) -> Iterator[Any]:
        """Yield what refers to the objects here: their list, containers among them, and what is noted of these."""
        yield self._objects
        for value, state in zip(self._objects, self._states, strict=True):
            now = value if type(value) is tuple else state_of(value, self._context)
            yield from (parts for parts in (state, now) if type(parts) is list or parts is value)

    def index_of(self, value: Any) -> int | None:
        """Return the number of an object that came with the request."""
        return self._indices.get(id(value))

    def changes(self, encoder: Encoder) -> Iterator[tuple[int, Node]]:
        """Yield number and content of each object that has changed since the last time."""
        self._told.clear()
        self.compared += self._size
        for index, before in enumerate(self._states):
            now = None if before is None else state_of(self._objects[index], self._context)
            if now is not None and not same_state(before, now):
                self._states[index] = now
                node = encoder.change(self._objects[index])  # where that cannot be sent, it is said once
                self._told[index] = before
                yield index, node

    def resend(self) -> None:
        """Report again what a message held that could not be sent."""
        for index, state in self._told.items():
            self._states[index] = state


class Arguments:
    """The arguments of the requests that are open, of this side's and of the other's, the outermost first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.incoming: list[Frame] = []
        self.outgoing: list[list[Any]] = []
        self._kept: dict[int, Frame] = {}  # what came with requests and answers that are over, by a number below 0
        self._sent: dict[int, list[Any]] = {}  # what the other side may have kept

    @property
    def depth(self) -> int:
        """How many requests are open, one within another."""
        return len(self.incoming) + len(self.outgoing)

    def enter(self, objects: list[Any]) -> None:
        """Begin to answer a request that came with these objects."""
        self.incoming.append(Frame(objects, self._context))

    def left(self, number: int) -> None:
        """Hear that a request of the other side's has been answered."""
        self._keep(-2 * number - 1, self.incoming.pop())

    def answered(self, number: int, objects: list[Any]) -> None:
        """Hear that a request of this side's has been answered with these objects."""
        self._remember(-2 * number - 1, self.outgoing.pop())
        if objects:
            self._keep(-2 * number - 2, Frame(objects, self._context))

    def told(self, number: int, objects: list[Any]) -> None:
        """Hear that this side has answered a request with these objects."""
        self._remember(-2 * number - 2, objects)

    def _keep(self, place: int, frame: Frame) -> None:
        if self._context.trusting and frame.may_change:
            self._kept[place] = frame
            _make_room(self._kept)

    def _remember(self, place: int, objects: list[Any]) -> None:
        if objects and not self._context.trusting:
            self._sent[place] = objects
            _make_room(self._sent)

    def node_of(self, value: Any) -> Node | None:
        """Return the node of an object that came with an open request."""
        for depth, frame in enumerate(self.incoming):
            if (index := frame.index_of(value)) is not None:
                return [ARGUMENT, depth, index]
        return None

    def get(self, depth: Any, index: Any) -> Any:
        """Return an object that this side has sent; None where it is forgotten here."""
        if type(depth) is not int or depth >= len(self.outgoing):
            raise ProtocolError("no such request")
        if depth < 0 and depth not in self._sent:
            return None  # of a request that is forgotten here
        objects = self.outgoing[depth] if depth >= 0 else self._sent[depth]
        if type(index) is not int or not 0 <= index < len(objects):
            raise ProtocolError("no such argument")
        return objects[index]

    def changes(self, encoder: Encoder) -> list[Change]:
        """Return what became of the arguments that came here."""
        frames = [*enumerate(self.incoming), *self._kept.items()]
        ended = [number for number, frame in self._kept.items() if _is_over(frame)]
        told = [(depth, index, node) for depth, frame in frames for index, node in frame.changes(encoder)]
        for number in ended:
            del self._kept[number]
        return told

    def resend(self) -> None:
        """Report again what a message held that could not be sent."""
        for frame in (*self.incoming, *self._kept.values()):
            frame.resend()

    def overwrite(self, value: Any, content: Any) -> None:
        """Overwrite an argument of this side with the contents of another value of its kind."""
        kind = self._context.kinds.changing(type(value), self._context)
        if kind is None or kind.overwrite is None or type(content) is not type(value):
            raise ProtocolError("an argument that became another kind of object")
        kind.overwrite(value, content)


def _is_over(frame: Frame) -> bool:
    return frame.compared > _MOST_COMPARED or not frame.is_kept()


def _size_of(state: Any) -> int:
    """Return how much is compared, in bytes, about."""
    if type(state) is tuple:
        return sum(len(part) for part in state if isinstance(part, bytes))
    return 8 * len(state) if isinstance(state, list | str | bytes) else 8


def _make_room(kept: dict[int, Any]) -> None:
    """Forget the oldest requests."""
    for number in list(kept)[:-_MOST_KEPT]:
        del kept[number]


def state_of(value: Any, context: Context) -> Any:
    """Return what tells later whether an object was changed in place; None where it cannot be."""
    kind = context.kinds.changing(type(value), context)
    return None if kind is None or kind.state is None else kind.state(value)


def same_state(before: Any, now: Any) -> bool:
    """Return whether two states are of equal contents; the items of a list count by identity."""
    if type(before) is list and type(now) is list:
        return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
    return type(before) is type(now) and bool(before == now)
