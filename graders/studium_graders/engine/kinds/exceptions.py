"""Exceptions over the wire: as the library's own class where both sides have it, else as a class of that name."""

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

from studium_graders.engine.kinds.library import is_library
from studium_graders.engine.kinds.proxies import ProxyClass
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind
from studium_graders.engine.wire.messages import Node

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
    error: BaseException, encoder: Encoder, *, value: bool = False, room: Iterator[int] | None = None
) -> Node:
    """Return the node of an exception: its classes, arguments and text, the line that raised it, and what it holds.

    That is a group's members, attributes and the cause; of what a test raises, attributes where it is of a class that
    the course wrote. An exception that came from the other side goes back as itself. ``room`` is for how many more
    there is room.
    """
    side, trusting = encoder.context.side, encoder.context.trusting
    echo = getattr(error, "echo", None)
    if type(echo) is int and trusting:
        return [echo]
    lineage = [cls for cls in type(error).__mro__ if issubclass(cls, BaseException) and not is_ours(cls)]
    own = [cls for cls in lineage if library_error(cls.__module__, cls.__qualname__) is not cls]
    names = [[cls.__module__, cls.__qualname__] for cls in lineage if cls not in own]
    room = _room() if room is None else room
    held = zip(_members(error), room, strict=False)
    members = [error_node(member, encoder, value=value, room=room) for member, _ in held]
    if not trusting and not value:
        return [encoder.text(lineage[0].__name__), names[:1], members, *_of_test(error, own, encoder, members)]
    cls = encoder.context.classes.node(own[0], encoder) if own else None
    parts = [cls, _arguments(error, encoder), _text(error, encoder), _line(error, side.is_own_file), None]
    cause = error.__cause__ if error.__cause__ is not None and next(room, None) is not None else None
    why = None if cause is None else error_node(cause, encoder, value=value, room=room)
    return [encoder.text(lineage[0].__name__), names[:1], members, *parts, _attributes(error, own, encoder), why]


def _of_test(error: BaseException, own: list[type[BaseException]], encoder: Encoder, members: list[Node]) -> list[Node]:
    """Return what the student's code may know of an exception that a test raises: of an assertion, nothing."""
    hidden = isinstance(error, AssertionError)
    written = [] if hidden else [cls for cls in own if not is_library(cls.__module__)]
    said = "" if hidden else _text(error, encoder)
    message = _arguments(error, encoder) if members or written else []
    cls = encoder.context.classes.node(written[0], encoder) if written else None
    encoder.context.side.echoes.append(error)
    held = _attributes(error, written, encoder) if written else []
    return [cls, message, said, "", len(encoder.context.side.echoes) - 1, held, None]


def is_ours(cls: type) -> bool:
    """Return whether a class is the engine's own, whose name would tell a student nothing."""
    return str(cls.__module__).partition(".")[0] == __name__.partition(".")[0]


def _room() -> Iterator[int]:
    return iter(range(MOST_IN_GROUPS))


def _members(error: BaseException) -> tuple[BaseException, ...]:
    if not isinstance(error, BaseExceptionGroup):
        return ()
    members: tuple[BaseException, ...] = BaseExceptionGroup.exceptions.__get__(error)
    return members


def _all_arguments(error: BaseException) -> tuple[Any, ...]:
    """Return what Python's own class is made from; the name of a file is not among the ``args`` of an OSError."""
    if isinstance(error, BaseExceptionGroup):
        return (BaseExceptionGroup.message.__get__(error),)
    return OSError.__reduce__(error)[1] if isinstance(error, OSError) else error.args  # type: ignore[return-value]


def _arguments(error: BaseException, encoder: Encoder) -> list[Any]:
    """Return the plain arguments of an exception."""
    given = []
    for value in _all_arguments(error)[:10]:
        if not _is_plain(value):
            value = _safe_text(value)
        given.append(encoder.encode(value[:LONGEST] if isinstance(value, (str, bytes)) else value))
    return given


def _attributes(error: BaseException, own: list[type[BaseException]], encoder: Encoder) -> list[list[Any]]:
    """Return the plain ones among the public attributes of an exception and of its own classes, properties too."""
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


def _text(error: BaseException, encoder: Encoder) -> Any:
    return encoder.text(_safe_text(error))


def _safe_text(value: Any) -> str:
    try:
        return str(value)[:LONGEST]
    except BaseException:
        return ""


def _line(error: BaseException, is_own_file: Callable[[str], bool]) -> str:
    """Return the last line of the student's own cells that the exception went through."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.line or "" for frame in frames if is_own_file(frame.filename)]
    return lines[-1].encode("utf-8", "replace").decode()[:200] if lines else ""


def error_of(node: Node, decoder: Decoder, room: Iterator[int] | None = None) -> BaseException:
    """Build an exception that ordinary handlers catch."""
    side = decoder.context.side
    if len(node) == 1:
        return _echo(side.echoes, node[0])
    name, names, member_nodes, cls_node, arguments, text, line, echo, attributes, cause_node = node
    room = _room() if room is None else room
    members = [error_of(member, decoder, room) for member, _ in zip(member_nodes, room, strict=False)]
    values = [decoder.decode(item) for item in arguments]
    held = {str(decoder.decode(key)): decoder.apart(value) for key, value in attributes}
    if not all(map(_is_plain, (*values, *held.values()))) or any(key.startswith("_") for key in held):
        raise ProtocolError("an exception with arguments or attributes that are not plain")
    cls, said = _class_of(name, names, cls_node, decoder), str(decoder.decode(text))[:LONGEST]
    error = _group(cls, values, members, said) if members else _built(cls, values, said)
    vars(error).update({**held, **vars(error)})
    if cause_node is not None and next(room, None) is not None:
        error.__cause__ = error_of(cause_node, decoder, room)
    error.student_line = str(line)[:200]  # type: ignore[attr-defined]
    if decoder.context.trusting:
        error.echo = echo  # type: ignore[attr-defined]
    return error


def _echo(echoes: list[BaseException], number: Any) -> BaseException:
    """Return an exception that went to the other side during this request."""
    if type(number) is not int or not 0 <= number < len(echoes):
        raise ProtocolError("no such exception")
    return echoes[number]


def _class_of(name: Any, names: Any, node: Node, decoder: Decoder) -> type[Exception]:
    """Return the class of an exception; it is made here and asks nothing of the other side, so that any is admitted."""
    if node is None:
        base = _base(names)
        return base if base.__name__ == name else error_class(name, base)
    cls = decoder.context.classes.read_class(node, decoder)
    if not isinstance(cls, type) or isinstance(cls, ProxyClass) or not issubclass(cls, Exception):
        raise ProtocolError("an exception of a class that is none")
    return cls


def _base(names: Any) -> type[Exception]:
    for module, name in names:
        cls = library_error(module, name)
        if cls is not None and issubclass(cls, Exception):
            return cls
    return Exception


def library_error(module: Any, name: Any) -> type[BaseException] | None:
    """Return an exception class that a loaded library defines under this name, or None."""
    if type(module) is not str or type(name) is not str:
        return None
    if module not in sys.modules or not _is_known(module):
        return None
    cls = vars(sys.modules[module]).get(name)
    return cls if isinstance(cls, type) and issubclass(cls, BaseException) and _is_of_known(cls) else None


def _is_known(module: str) -> bool:
    top = module.partition(".")[0]
    return top in _LIBRARIES or top in _STANDARD


def _is_of_known(cls: type[BaseException]) -> bool:
    """Return whether a class, and what it extends, is of a known module: the one that has the name may be another."""
    return all(_is_known(str(base.__module__)) for base in cls.__mro__)


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
    """Return whether a class does more than the builtin one that it extends: its instances need what __init__ sets."""
    base = _of_python(cls)
    return any(getattr(cls, name) is not getattr(base, name) for name in ("__init__", "__new__", "__str__"))


def _of_python(cls: type[BaseException]) -> type[BaseException]:
    return next(base for base in cls.__mro__ if base.__module__ == "builtins")


def _read(decoder: Decoder, node: list[Any]) -> Any:
    return error_of(node, decoder)


KINDS = (Kind("error", (BaseException,), lambda encoder, value: error_node(value, encoder, value=True), _read),)
