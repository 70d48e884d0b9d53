"""Exceptions over the wire: as the library's own class where both sides have it, else as a class of that name."""

import sys
import traceback
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.peer import Peer

LONGEST = 2000  # characters of a message
_LIBRARIES = ("builtins", "numpy", "torch")
# Not those whose exceptions tell a test suite that all is well, or to stop.
_STANDARD = frozenset(sys.stdlib_module_names) - {"__main__", "unittest", "doctest", "asyncio", "bdb", "pdb"}


def error_node(error: BaseException, encoder: "Encoder", peer: "Peer", *, value: bool = False) -> Any:
    """Give the node of an exception: its classes, its arguments, its attributes, the line that raised it.

    An exception that came from the other side goes back as itself.
    """
    echo = getattr(error, "echo", None)
    if type(echo) is int and peer.trusting:
        return [echo]
    lineage = [cls for cls in type(error).__mro__ if issubclass(cls, BaseException)]
    own = [cls for cls in lineage if library_error(cls.__module__, cls.__qualname__) is not cls]
    names = [[cls.__module__, cls.__qualname__] for cls in lineage if cls not in own]
    name = encoder.text(str(type(error).__name__))
    if not peer.trusting and not value:
        silent = isinstance(error, AssertionError)
        return [name, names[:1], None, [], "" if silent else _text(error, encoder), "", peer.remember(error)]
    cls_node = encoder.encode(own[0]) if own else None
    return [name, names[:1], cls_node, _arguments(error, encoder), _text(error, encoder), _line(error, peer), None]


def _arguments(error: BaseException, encoder: "Encoder") -> list[Any]:
    """Give the plain arguments of an exception."""
    given = []
    for value in error.args[:10]:
        if type(value) not in (str, int, float, bytes, bool, type(None)):
            value = _safe_text(value)
        given.append(encoder.encode(value[:LONGEST] if isinstance(value, (str, bytes)) else value))
    return given


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


def error_of(node: list[Any], decoder: "Decoder", peer: "Peer") -> BaseException:
    """Build an exception that ordinary handlers catch."""
    if len(node) == 1:
        return peer.remembered(node[0])
    name, names, cls_node, arguments, text, line, echo = node
    values = [decoder.decode(item) for item in arguments]
    if not all(type(value) in (str, int, float, bytes, bool, type(None)) for value in values):
        raise ProtocolError("an exception with arguments that are not plain")
    base = _base(names)
    if cls_node is not None:
        cls = decoder.decode(cls_node)
        if not (isinstance(cls, type) and issubclass(cls, Exception)):
            raise ProtocolError("an exception of a class that is none")
    elif base.__name__ == name:
        cls = base
    else:
        cls = error_class(name, base)
    error = _built(cls, values, decoder.decode(text))
    error.student_line = str(line)[:200]  # type: ignore[attr-defined]
    if peer.trusting:
        error.echo = echo  # type: ignore[attr-defined]
    return error


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


def _shown(error: BaseException) -> str:
    return str(
        error.__dict__["student_text"] if "student_text" in error.__dict__ else error.args[0] if error.args else ""
    )


def _built(cls: type[Exception], values: list[Any], text: Any) -> Exception:
    if cls.__module__ == "builtins":
        try:
            return cls(*values)
        except TypeError:
            pass
    elif cls.__str__ is not _shown and _custom(cls):
        cls = error_class(cls.__name__, cls)
    try:
        error = cls.__new__(cls, *values)
    except TypeError:
        error = cls.__new__(cls)
    error.args = tuple(values)
    error.student_text = str(text)[:LONGEST]  # type: ignore[attr-defined]
    return error


def _custom(cls: type[Exception]) -> bool:
    """Tell whether a class does more than the builtin one that it extends: its instances need what __init__ sets."""
    base = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    return any(getattr(cls, name) is not getattr(base, name) for name in ("__init__", "__new__", "__str__"))
