"""Values to nodes in the student's process, and back in the judge, where nothing that a message holds is trusted.

What a kind does about it is in ``kinds/``; nothing here knows any of them. The decoder imports nothing, and looks up
nothing by a name that a message chose freely.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from studium_graders.engine.wire.channel import Buffer, ProtocolError, TooLargeError
from studium_graders.engine.wire.messages import Node

DEEPEST = 100
MOST_VALUES = 1_000_000
SAME, ARGUMENT = "same", "argument"

Open = Callable[[type], bool]

_PLAIN = frozenset({type(None), bool, float})
_READ = frozenset({type(None), bool, int, float, str})
_UNFINISHED = object()


class RefusedError(TypeError):
    """A use of a student's value that the judge refuses. The test is for review, whoever catches this."""


class StaysError(TypeError):
    """A value of a kind cannot cross after all. A kind raises this before it writes any part."""


class Giving(Protocol):
    """What the encoder may ask of the student's side."""

    def argument_number(self, value: Any) -> int | None:
        """Return the number of an argument of the judge's."""

    def stay(self, value: Any) -> list[Node]:
        """Return the node of what stays on this side."""

    def enter(self, tensor: torch.Tensor) -> int:
        """Number a tensor of this side's graph."""

    def has_made(self, leaf: torch.Tensor) -> bool:
        """Return whether a leaf is this side's own, and stands for none of the judge's."""

    def is_open_class(self, cls: type) -> bool:
        """Return whether instances of a class cross by their ``__dict__``."""


class Taking(Protocol):
    """What the decoder may ask of the judge's side."""

    def allow(self, word: str) -> None:
        """Raise RefusedError where a test may not receive what the word stands for."""

    def allows(self, word: str) -> bool:
        """Return whether a test may receive it."""

    def refuse(self, sentence: str) -> RefusedError:
        """Return a refusal that sticks."""

    def argument(self, number: int) -> Any:
        """Return the judge's own object that was an argument."""

    def holds(self, value: Any) -> bool:
        """Return whether an argument is here what it is for the student's code."""

    def lent(self, number: int) -> Any:
        """Return the judge's own object that was lent."""

    def remote(self, handle: int, word: str) -> Any:
        """Return the Remote of an object that stayed."""

    def output(self, number: int, data: torch.Tensor) -> torch.Tensor:
        """Return a tensor that the student computed, linked to the leaves of its call."""

    def leaf(self, number: int, made: torch.Tensor) -> torch.Tensor:
        """Return the judge's tensor for a leaf that the student made."""

    def open_class(self, module: str, name: str) -> type:
        """Return the judge's own class of this name whose instances cross; raise ProtocolError where there is none."""


def _is_text(value: str) -> bool:
    """Return whether a string has no lone surrogates."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True


@dataclass(frozen=True)
class Kind:
    """How values of some classes cross: ``write`` returns the parts of a node, ``read`` builds a value from them.

    ``applies`` finds classes that cannot be listed. Of values that code may change in place, ``content`` returns what
    tells a change, and ``overwrite`` gives one the content of another. ``children`` are the values inside.
    """

    tag: str
    classes: tuple[type, ...]
    write: Callable[["Encoder", Any], list[Node]]
    read: Callable[["Decoder", list[Node]], Any]
    applies: Callable[[type, Open], bool] | None = None
    children: Callable[[Any], Iterable[Any]] | None = None
    content: Callable[[Any], Any] | None = None
    overwrite: Callable[[Any, Any], None] | None = None


class KindTable:
    """Finds the kind of a value by its exact class, and the kind of a node by its tag."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        kinds = tuple(kinds)
        self.by_tag = {kind.tag: kind for kind in kinds}
        self._by_class = {cls: kind for kind in kinds for cls in kind.classes}
        self._found = [kind for kind in kinds if kind.applies is not None]

    def kind_of(self, cls: type, is_open: Open) -> Kind | None:
        """Return the kind of the instances of a class. ``is_open`` tells which objects cross by their ``__dict__``."""
        kind = self._by_class.get(cls)
        return kind or next((found for found in self._found if found.applies and found.applies(cls, is_open)), None)


class Encoder:
    """Encodes the values of one message. ``buffers`` is what the nodes refer to."""

    def __init__(self, kinds: KindTable, giving: Giving) -> None:
        self.giving = giving
        self.buffers: list[Buffer] = []
        self.graph: dict[int, torch.Tensor] = {}
        self._kinds = kinds
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # what is numbered must live as long as its number is known
        self._depth = 0
        self._arguments: Literal["both", "named", "copied"] = "both"

    def part(self, value: Any) -> Node:
        """Return the node of a value."""
        cls = type(value)
        if cls in _PLAIN or (cls is int and -(2**63) <= value < 2**63) or (cls is str and _is_text(value)):
            return value
        if (index := self._seen.get(id(value))) is not None:
            return [SAME, index]
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        number = None if self._arguments == "copied" else self.giving.argument_number(value)
        if number is None:
            return self._content(value)
        return [ARGUMENT, number, self._copied(value) if self._arguments == "both" else None]

    def change(self, value: Any) -> Node:
        """Return the node of what an argument holds now; other arguments in it are meant as such."""
        before, self._arguments = self._arguments, "named"
        self._seen[-len(self._seen) - 1] = len(self._seen)  # the decoder numbers it as well, and nothing refers to it
        try:
            return self._content(value)
        finally:
            self._arguments = before

    def _content(self, value: Any) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooLargeError(f"a value is nested more than {DEEPEST} levels deep; use fewer levels")
        try:
            kind = self._kinds.kind_of(type(value), self.giving.is_open_class)
            return self.giving.stay(value) if kind is None else [kind.tag, *kind.write(self, value)]
        except StaysError:
            return self.giving.stay(value)
        finally:
            self._depth -= 1

    def _copied(self, value: Any) -> Node:
        """Return the node of an argument's content, for a reader who may leave it out: its parts have own numbers."""
        before, self._seen, self._arguments = self._seen, {id(value): 0}, "copied"
        try:
            return self._content(value)
        finally:
            self._seen, self._arguments = before, "both"

    def buffer(self, data: Buffer) -> int:
        """Add a buffer to the message; return its index."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    def enter(self, tensor: torch.Tensor) -> int:
        """Number a tensor of the student's graph."""
        number = self.giving.enter(tensor)
        self.graph[number] = tensor
        return number

    @property
    def is_change(self) -> bool:
        """Whether what is written now is what an argument holds, and no part of it."""
        return self._arguments == "named" and self._depth == 1


class Decoder:
    """Decodes the nodes of one message. A kind has ``part``, ``argument`` and ``allows`` of it, and no peer."""

    def __init__(self, kinds: KindTable, taking: Taking, buffers: list[memoryview]) -> None:
        self.taking = taking
        self.graph: dict[int, torch.Tensor] = {}
        self._kinds = kinds
        self._buffers = buffers
        self._built: list[Any] = []
        self._places: list[int] = []
        self._left = MOST_VALUES
        self._own_arguments = False

    def value(self, node: Node) -> Any:
        """Return the value of a node. Raise ProtocolError or RefusedError, and nothing else."""
        return self.guarded(self.part, node)

    def guarded(self, read: Callable[..., Any], *args: Any) -> Any:
        """Return what ``read`` makes of parts of a message. Raise ProtocolError or RefusedError, and nothing else."""
        try:
            return read(*args)
        except (ProtocolError, RefusedError):
            raise
        except (Exception, RecursionError) as error:  # whatever a kind makes of malformed parts
            raise ProtocolError("what came is no value") from error

    def change(self, node: Node) -> Any:
        """Return what an argument holds now. Other arguments in it are the judge's own."""
        self._own_arguments = True
        try:
            return self.value(node)
        finally:
            self._own_arguments = False

    @property
    def is_change(self) -> bool:
        """Whether what is read now is what an argument holds, and no part of it."""
        return self._own_arguments and len(self._places) == 1

    def part(self, node: Node) -> Any:
        """Return the value of a node inside another."""
        if type(node) is not list:
            if type(node) in _READ:
                return node
            raise ProtocolError("no value")
        if not node or type(node[0]) is not str:
            raise ProtocolError("no tag")
        return self._same(node) if node[0] == SAME else self._new(node)

    def allows(self, word: str) -> None:
        """Raise RefusedError where the test may not receive what the word stands for; an argument itself it has."""
        if not self.is_change:
            self.taking.allow(word)

    def refuse(self, sentence: str) -> RefusedError:
        """Return a refusal of what is sound, and what an honest student's process may say."""
        return self.taking.refuse(sentence)

    def begun(self, value: Any) -> Any:
        """Return a container that is about to be filled: what is inside may refer to it."""
        self._built[self._places[-1]] = value
        return value

    def buffer(self, index: Any) -> memoryview:
        """Return a buffer of the message."""
        if type(index) is not int or not 0 <= index < len(self._buffers):
            raise ProtocolError("no buffer")
        return self._buffers[index]

    def _new(self, node: list[Node]) -> Any:
        self._left -= 1
        self._places.append(len(self._built))
        self._built.append(_UNFINISHED)
        if len(self._places) > DEEPEST + 2 or self._left < 0:
            raise ProtocolError("a value is nested too deeply, or has too many parts")
        value = self.argument(*node[1:]) if node[0] == ARGUMENT else self._kind(node[0]).read(self, node[1:])
        self._built[self._places.pop()] = value
        return value

    def _kind(self, tag: str) -> Kind:
        kind = self._kinds.by_tag.get(tag)
        if kind is None:
            raise ProtocolError("no such kind")
        return kind

    def _same(self, node: list[Node]) -> Any:
        _, index = node
        if type(index) is not int or not 0 <= index < len(self._built) or self._built[index] is _UNFINISHED:
            raise ProtocolError("no such object")
        return self._built[index]

    def argument(self, number: Any, content: Node) -> Any:
        """Return the judge's own object where the reference gives it back and no change of it is withheld.

        Else return a copy of what the student's code sees in it.
        """
        if type(number) is not int:
            raise ProtocolError("no argument")
        own = self.taking.argument(number)
        if self._own_arguments or (self.taking.holds(own) and self.taking.allows(ARGUMENT)):
            return own
        before = self._built, self._places
        self._built, self._places = [_UNFINISHED], [0]
        try:
            tag, *parts = content
            return self._kind(tag).read(self, parts)
        finally:
            self._built, self._places = before
