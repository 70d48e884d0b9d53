"""Exceptions over the wire: as the library's own class where both sides have it, else as a class of that name."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.library import is_library
from studium_graders.engine.remote.objects import RemoteClass
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.peer import Peer

LONGEST = 2000  # characters of a message
MOST_IN_GROUPS = 100  # exceptions, in a group and in the groups within it, and causes
MOST_ATTRIBUTES = 50
MOST_HELD = 1000  # items of an attribute or argument, and of what it holds
_PLAIN = frozenset({str, int, float, complex, bytes, bool, type(None), Decimal, Fraction, date, datetime, timedelta})
_HOLDERS = frozenset({list, tuple, dict, set, frozenset})
_LIBRARIES = ("builtins", "numpy", "torch", "pandas", "scipy", "sklearn", "matplotlib")
# Not those whose exceptions tell a test suite that all is well, or to stop.
_STANDARD = frozenset(sys.stdlib_module_names) - {"__main__", "unittest", "doctest", "asyncio", "bdb", "pdb"}


def error_node(
    error: BaseException,
    encoder: "Encoder",
    peer: "Peer",
    *,
    value: bool = False,
    room: Iterator[int] | None = None,
) -> Any:
    """Give the node of an exception: its classes, arguments and text, the line that raised it, and what it holds.

    That is a group's members, attributes and the cause; of what a test raises, attributes where it is of a class that
    the course wrote. An exception that came from the other side goes back as itself. ``room`` is for how many more
    there is room.
    """
    echo = getattr(error, "echo", None)
    if type(echo) is int and peer.trusting:
        return [echo]
    lineage = [cls for cls in type(error).__mro__ if issubclass(cls, BaseException) and not is_ours(cls)]
    own = [cls for cls in lineage if library_error(cls.__module__, cls.__qualname__) is not cls]
    names = [[cls.__module__, cls.__qualname__] for cls in lineage if cls not in own]
    name = encoder.text(str(lineage[0].__name__))
    room = _room() if room is None else room
    members = [
        error_node(member, encoder, peer, value=value, room=room)
        for member, _ in zip(_members(error), room, strict=False)
    ]
    if not peer.trusting and not value:
        hidden = isinstance(error, AssertionError)
        written = [] if hidden else [cls for cls in own if not is_library(cls.__module__)]
        said = "" if hidden else _text(error, encoder)
        message = _arguments(error, encoder) if members or written else []
        node = [name, names[:1], None, message, said, "", peer.remember(error), members]
        if written:
            node[2] = encoder.encode(written[0])
            node += [_attributes(error, written, encoder), None]
        return node
    cls_node = encoder.encode(own[0]) if own else None
    arguments, said, line = _arguments(error, encoder), _text(error, encoder), _line(error, peer)
    node = [name, names[:1], cls_node, arguments, said, line, None, members]
    held, cause = _attributes(error, own, encoder), error.__cause__
    if cause is None or next(room, None) is None:
        return [*node, held, None] if held else node
    return [*node, held, error_node(cause, encoder, peer, value=value, room=room)]


def is_ours(cls: type) -> bool:
    """Tell whether a class is the engine's own, whose name would tell a student nothing."""
    return str(cls.__module__).partition(".")[0] == __name__.partition(".")[0]


def _room() -> Iterator[int]:
    return iter(range(MOST_IN_GROUPS))


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if not isinstance(error, BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = BaseExceptionGroup.exceptions.__get__(error)
    return members


def _all_arguments(error: BaseException) -> tuple[Any, ...]:
    """Give what Python's own class is made from; the name of a file is not among the ``args`` of an OSError."""
    if isinstance(error, BaseExceptionGroup):
        return (BaseExceptionGroup.message.__get__(error),)
    return OSError.__reduce__(error)[1] if isinstance(error, OSError) else error.args  # type: ignore[return-value]


def _arguments(error: BaseException, encoder: "Encoder") -> list[Any]:
    """Give the plain arguments of an exception."""
    given = []
    for value in _all_arguments(error)[:10]:
        if not _is_plain(value):
            value = _safe_text(value)
        given.append(encoder.encode(value[:LONGEST] if isinstance(value, (str, bytes)) else value))
    return given


def _attributes(error: BaseException, own: list[type[BaseException]], encoder: "Encoder") -> list[list[Any]]:
    """Give the plain values among the public attributes of an exception and of its own classes, properties included."""
    held = (name for space in (error, *own) for name in vars(space) if type(name) is str and not name.startswith("_"))
    rows = []
    for name in islice(dict.fromkeys(held), MOST_ATTRIBUTES):
        with suppress(BaseException):
            value = getattr(error, name)
            if _is_plain(value):
                rows.append([encoder.text(name[:LONGEST]), encoder.apart(value)])
    return rows


def _is_plain(value: Any) -> bool:
    waiting, left = [value], MOST_HELD
    while waiting and left:
        item = waiting.pop()
        left -= 1
        if type(item) in _HOLDERS and len(item) <= left:
            waiting += [*item, *item.values()] if type(item) is dict else item
        elif type(item) not in _PLAIN:
            return False
    return not waiting


def _text(error: BaseException, encoder: "Encoder") -> Any:
    return encoder.text(_safe_text(error))


def _safe_text(value: Any) -> str:
    try:
        return str(value)[:LONGEST]
    except BaseException:
        return ""


def _line(error: BaseException, peer: "Peer") -> str:
    """Give the last line of the student's own cells that the exception went through."""
    lines = [
        frame.line or "" for frame in traceback.extract_tb(error.__traceback__) if peer.is_own_file(frame.filename)
    ]
    return lines[-1].encode("utf-8", "replace").decode()[:200] if lines else ""


def error_of(node: list[Any], decoder: "Decoder", peer: "Peer", room: Iterator[int] | None = None) -> BaseException:
    """Build an exception that ordinary handlers catch."""
    if len(node) == 1:
        return peer.remembered(node[0])
    name, names, cls_node, arguments, text, line, echo, member_nodes, *more = node
    attributes, cause_node = more or ([], None)
    values = [decoder.decode(item) for item in arguments]
    room = _room() if room is None else room
    members = [error_of(member, decoder, peer, room) for member, _ in zip(member_nodes, room, strict=False)]
    named = ((str(decoder.decode(key)), value) for key, value in attributes)
    held = {key: decoder.attribute(key, value, apart=True) for key, value in named}
    if not all(map(_is_plain, (*values, *held.values()))) or any(key.startswith("_") for key in held):
        raise ProtocolError("an exception with arguments or attributes that are not plain")
    base = _base(names)
    if cls_node is not None:
        cls = _described(cls_node, decoder)
    elif base.__name__ == name:
        cls = base
    else:
        cls = error_class(name, base)
    said = str(decoder.decode(text))[:LONGEST]
    error = _group(cls, values, members, said) if members else _built(cls, values, said)
    vars(error).update({**held, **vars(error)})
    if cause_node is not None and next(room, None) is not None:
        error.__cause__ = error_of(cause_node, decoder, peer, room)
    error.student_line = str(line)[:200]  # type: ignore[attr-defined]
    if peer.trusting:
        error.echo = echo  # type: ignore[attr-defined]
    return error


def _described(node: list[Any], decoder: "Decoder") -> type[Exception]:
    """Give the class of an exception; it is made here and asks nothing of the other side, so that any is admitted."""
    peer: Any = decoder.peer
    cls = peer.class_of(node, decoder) if node[0] == Tag.MINE else decoder.decode(node)
    if not isinstance(cls, type) or isinstance(cls, RemoteClass) or not issubclass(cls, Exception):
        raise ProtocolError("an exception of a class that is none")
    return cls


def _base(names: Any) -> type[Exception]:
    for module, name in names:
        cls = library_error(module, name)
        if cls is not None and issubclass(cls, Exception):
            return cls
    return Exception


def library_error(module: Any, name: Any) -> type[BaseException] | None:
    """Give an exception class that a loaded library defines under this name, or None."""
    if type(module) is not str or type(name) is not str:
        return None
    top = module.partition(".")[0]
    if top not in _LIBRARIES and top not in _STANDARD:
        return None
    cls = vars(sys.modules.get(module, sys)).get(name) if module in sys.modules else None
    return cls if isinstance(cls, type) and issubclass(cls, BaseException) else None


def error_class(name: Any, *bases: type[Exception]) -> type[Exception]:
    """Make a class of exceptions of the given name, under other classes of exceptions."""
    if type(name) is not str or not name.isidentifier():
        name = "Error"
    return type(name, bases or (Exception,), {"__module__": "__main__", "__str__": _shown, "student_line": ""})


def made_there(name: str, bases: list[type[Exception]], make: Callable[..., Any]) -> type[Exception]:
    """Make a class of exceptions of which the other side makes the instances, with all that its own ``__init__`` sets.

    ``make`` asks for one, given the class and the arguments.
    """
    cls = error_class(name, *bases)

    def new(kind: type[Exception], *args: Any, **kwargs: Any) -> Any:
        made = make(cls, *args, **kwargs) if kind is cls else None
        return made if isinstance(made, kind) else _of_python(kind).__new__(kind, *args)

    def init(error: Exception, *args: Any, **_: Any) -> None:
        if type(error) is not cls:  # it is of a test's own class
            _of_python(cls).__init__(error, *args)

    cls.__new__, cls.__init__ = new, init  # type: ignore[method-assign,assignment]
    return cls


def _shown(error: BaseException) -> str:
    said = error.__dict__.get("student_text")
    return _of_python(type(error)).__str__(error) if said is None else str(said)


def _group(cls: type[Exception], values: list[Any], members: list[BaseException], text: str) -> BaseException:
    """Build a group; it is an ExceptionGroup where all its members are exceptions, whatever class was named."""
    plain = all(isinstance(member, Exception) for member in members)  # one that went out from here need not be
    base = cls if plain and issubclass(cls, ExceptionGroup) else BaseExceptionGroup
    error: BaseException = _of_python(base).__new__(base, str(values[0]), members)
    error.student_text = text  # type: ignore[attr-defined]
    return error


def _built(cls: type[Exception], values: list[Any], text: str) -> Exception:
    """Build an exception that says what the other side's says; Python's own classes are used as far as they do."""
    if cls.__module__ == "builtins":
        with suppress(Exception):
            error = cls(*(values or [text] * bool(text)))
            if str(error)[:LONGEST] == text:
                return error
    if cls.__str__ is not _shown and (cls.__module__ == "builtins" or _custom(cls)):
        cls = error_class(cls.__name__, cls)
    error = _bare(cls, values)
    error.args = tuple(values)
    error.student_text = text  # type: ignore[attr-defined]
    return error


def _bare(cls: type[Exception], values: list[Any]) -> Exception:
    for arguments in (values, []):
        with suppress(Exception):
            return _of_python(cls).__new__(cls, *arguments)
    return error_class(cls.__name__)()  # such as a group without members


def _custom(cls: type[Exception]) -> bool:
    """Tell whether a class does more than the builtin one that it extends: its instances need what __init__ sets."""
    base = _of_python(cls)
    return any(getattr(cls, name) is not getattr(base, name) for name in ("__init__", "__new__", "__str__"))


def _of_python(cls: type[BaseException]) -> type[BaseException]:
    return next(base for base in cls.__mro__ if base.__module__ == "builtins")
