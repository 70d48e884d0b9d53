"""Values to nodes and back. What a kind of value does about it is in a table of kinds; nothing here knows any of them.

Of an instance of a subclass nothing that the subclass overrides is asked: it leaves as the base type that it extends.
Nothing here runs a name or a type that a message chose freely.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from studium_graders.engine.wire.channel import Buffer, ProtocolError, TooLargeError
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.paths import item_of, step

DEEPEST = 150
INLINE = 1 << 12  # bytes; longer ones go as a buffer
SEEN = "seen"

_PLAIN = frozenset({type(None), bool, float})
_READ = frozenset({type(None), bool, int, float, str, bytes})
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__index__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
)
_UNFINISHED = object()


class RefusedError(TypeError):
    """The message is sound, and holds what is not wanted here: the call that brought it fails."""


class NotPlainError(TypeError):
    """A value cannot cross by copy after all: it stays where it is, and a handle crosses."""


class Context(Protocol):
    """What a kind may ask of the conversation that its values cross in."""

    trusting: bool
    """Whether this is the student's side, to which nothing can be done."""
    kinds: "KindTable"
    objects: Any
    arguments: Any
    tensors: Any
    modules: Any
    classes: Any
    limits: Any
    side: Any

    def known(self, value: Any, encoder: "Encoder") -> Node | None:
        """Return the node of an object that both sides know."""

    def keeps(self, value: Any, encoder: "Encoder") -> bool:
        """Return whether an instance that extends plain data stays on this side all the same."""

    def hand_out(self, value: Any, encoder: "Encoder") -> Node:
        """Return the node of an object that stays on this side."""

    def request(self, operation: str, *operands: Any, path: str = "") -> Any:
        """Ask the other side to do something. ``path``: where what it gives comes from."""


Write = Callable[["Encoder", Any], list[Node]]
Read = Callable[["Decoder", list[Node]], Any]


@dataclass(frozen=True)
class Kind:
    """How values of some classes cross: ``write`` returns the parts of a node, ``read`` builds a value from them.

    ``applies`` finds classes that are not there to be named, such as those of a library that nobody has imported.
    ``exact``: an instance of a subclass is no such value. Of values that code may change in place, ``state`` returns
    what tells later whether that has happened (the items of a list count by identity), and ``overwrite`` gives one the
    contents of another.
    """

    tag: str
    classes: tuple[type, ...] = ()
    write: Write | None = None
    read: Read | None = None
    applies: Callable[[type, Context], bool] | None = None
    exact: bool = False
    state: Callable[[Any], Any] | None = None
    overwrite: Callable[[Any, Any], None] | None = None


class KindTable:
    """Finds the kind of a value by its class, and the kind of a node by its tag."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.kinds = tuple(kinds)
        self.by_tag = {kind.tag: kind for kind in self.kinds}
        self.by_class = {cls: kind for kind in self.kinds for cls in kind.classes}
        self._found = [kind for kind in self.kinds if kind.applies is not None]
        self._extended = [(cls, kind) for kind in self.kinds if not kind.exact for cls in kind.classes]

    def found(self, cls: type, context: Context) -> Kind | None:
        """Return the kind that says of itself that it is for this class."""
        return next((kind for kind in self._found if kind.applies is not None and kind.applies(cls, context)), None)

    def changing(self, cls: type, context: Context) -> Kind | None:
        """Return the kind of the instances of a class if code may change these in place."""
        kind = self.by_class.get(cls) or self.found(cls, context)
        return kind if kind is not None and kind.state is not None else None

    def extended(self, cls: type) -> Kind | None:
        """Return the kind of a class that this one extends."""
        return next((kind for base, kind in self._extended if issubclass(cls, base)), None)


class Encoder:
    """Encodes the values of one message. ``objects`` are those with an index, ``buffers`` what the nodes refer to."""

    def __init__(self, context: Context, *, reply: bool = False) -> None:
        self.context = context
        self.reply = reply
        self.objects: list[Any] = []
        self.buffers: list[Buffer] = []
        self.collected: dict[str, list[Any]] = {}
        self._seen: dict[int, int] = {}
        self._depth = 0

    def encode(self, value: Any) -> Node:
        """Return the node of a value."""
        cls = type(value)
        if cls in _PLAIN or (cls is int and -(2**63) <= value < 2**63) or (cls is bytes and len(value) < INLINE):
            return value
        if cls is str:
            return self.text(value)
        if (index := self._seen.get(id(value))) is not None:
            return [SEEN, index]
        if (known := self.context.known(value, self)) is not None:
            return known
        return self.content(value)

    def content(self, value: Any) -> Node:
        """Return the node of what an object holds now."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooLargeError(f"a value is nested more than {DEEPEST} levels deep; use fewer levels")
        try:
            return self._content(value)
        finally:
            self._depth -= 1

    def _content(self, value: Any) -> Node:
        kinds, cls = self.context.kinds, type(value)
        kind = kinds.by_class.get(cls) or kinds.found(cls, self.context)
        if kind is None and not self.context.keeps(value, self):
            kind = kinds.extended(cls)
            for base, plain in _BASES if kind is None else ():
                if issubclass(cls, base):
                    return self.encode(plain(value))
        if kind is None or kind.write is None:
            return self.context.hand_out(value, self)
        first = len(self.objects)
        try:
            return [kind.tag, *kind.write(self, value)]
        except NotPlainError:
            self.unregister(first)
            return self.context.hand_out(value, self)

    def text(self, value: str) -> Node:
        """Return the node of a string, lone surrogates included."""
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return ["text", value.encode("utf-8", "surrogatepass")]
        return value

    def buffer(self, data: Buffer) -> int:
        """Add a buffer to the message; return its index."""
        self.buffers.append(data)
        return len(self.buffers) - 1

    @property
    def at_top(self) -> bool:
        """Whether the value that is being encoded is the message's own, and no item of another."""
        return self._depth <= 1

    def register(self, value: Any) -> None:
        """Number a value, so that it is sent once."""
        self._seen[id(value)] = len(self.objects)
        self.objects.append(value)

    def unregister(self, first: int) -> None:
        """Take back the numbers of all values from this one on."""
        del self.objects[first:]
        self._seen = {key: index for key, index in self._seen.items() if index < first}

    def apart(self, value: Any) -> Node:
        """Return the node of a value whose parts have no number in the message: it is not read where it is written."""
        before = self.objects, self._seen
        self.objects, self._seen = [], {}
        try:
            return self.encode(value)
        finally:
            self.objects, self._seen = before

    def change(self, value: Any) -> Node:
        """Return the node of what an argument holds now. Its number is not used again: the argument itself is meant."""
        kind = self.context.kinds.changing(type(value), self.context)
        assert kind is not None
        assert kind.write is not None
        try:
            node = [kind.tag, *kind.write(self, value)]
        except NotPlainError as error:
            name = type(value).__name__
            raise TypeError(f"what was put into this {name} cannot be sent back") from error
        self._seen.pop(id(value), None)
        return node

    def collect(self, name: str, value: Any) -> None:
        """Note something that a section of the message tells the receiver."""
        self.collected.setdefault(name, []).append(value)


class Decoder:
    """Decodes the values of one message. ``path`` is where handles in it come from."""

    def __init__(self, context: Context, buffers: list[memoryview], path: str) -> None:
        self.context = context
        self.buffers = buffers
        self.path = path
        self.objects: list[Any] = []
        self.outputs: tuple[Any, ...] = ()
        self.depth = 0

    def decode(self, node: Node) -> Any:
        """Return the value of a node."""
        if type(node) is not list:
            if type(node) in _READ:
                return node
            raise ProtocolError("no value")
        if not node or type(node[0]) is not str:
            raise ProtocolError("no tag")
        if node[0] == SEEN:
            return self._seen(node[1])
        kind = self.context.kinds.by_tag.get(node[0])
        if kind is None or kind.read is None:
            raise ProtocolError("no tag")
        return kind.read(self, node[1:])

    def items(self, nodes: list[Node]) -> Iterator[Any]:
        """Yield the values of nodes inside a container, one by one."""
        self.depth += 1
        for node in nodes:
            yield self.decode(node)
        self.depth -= 1

    @property
    def origin(self) -> str:
        """The path of the value that is being read."""
        return item_of(self.path) if self.depth else self.path

    def buffer(self, index: Any) -> memoryview:
        """Return a buffer of the message."""
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise ProtocolError("no buffer")
        return self.buffers[index]

    def put(self, value: Any) -> Any:
        """Number a value, and return it."""
        self.objects.append(value)
        return value

    def place(self) -> Callable[[Any], Any]:
        """Keep the next number for a value that is built after its items; return the function that puts it there."""
        index = len(self.objects)
        self.objects.append(_UNFINISHED)

        def put(value: Any) -> Any:
            self.objects[index] = value
            return value

        return put

    def attribute(self, name: str, node: Node) -> Any:
        """Return the value of a node that is an attribute of the value that is being read."""
        with self.at(step(self.origin, name)):
            return self.decode(node)

    @contextmanager
    def at(self, path: str) -> Iterator[None]:
        """Read what comes from another path."""
        before = self.path, self.depth
        self.path, self.depth = path, 0
        try:
            yield
        finally:
            self.path, self.depth = before

    def apart(self, node: Node) -> Any:
        """Return the value of a node that ``Encoder.apart`` made."""
        before, self.objects = self.objects, []
        try:
            return self.decode(node)
        finally:
            self.objects = before

    def _seen(self, index: Any) -> Any:
        if type(index) is not int or not 0 <= index < len(self.objects):
            raise ProtocolError("no such object")
        if self.objects[index] is _UNFINISHED:
            raise ProtocolError("a tuple that holds itself")
        return self.objects[index]
