"""What a dataclass says of its fields goes with the class: ``fields``, ``asdict`` and ``match`` are Python's own.

A test asks for the values one by one, as attributes; what they are is the object's to say, which fields there are is
the class's.
"""

import dataclasses
import inspect
import keyword
from typing import TYPE_CHECKING, Any, NoReturn

from studium_graders.engine.remote import library
from studium_graders.engine.remote.encode import INLINE
from studium_graders.engine.remote.functions import annotation_node, read_annotation
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder

PLAIN = (bool, int, float, complex, str, bytes, type(None))
MOST = 200
_EMPTY = (list, dict, set)
_FLAGS = ("init", "repr", "compare", "kw_only")
_PLAIN_FLAGS = [True, True, True, False]
_OPTIONS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
_USUAL = {"init": True, "repr": True, "unsafe_hash": False}


def is_usual(cls: Any) -> bool:
    """Tell whether a dataclass and its fields are shown and compared as they are where nothing is said about it."""
    fields = dataclasses.fields(cls)
    options = all(getattr(cls.__dataclass_params__, name) is value for name, value in _USUAL.items())
    return options and all(field.repr and field.compare and field.hash is None for field in fields)


def factory_name(field: Any, *, made: bool = True) -> str:
    """Name the type that makes the default of a field; with ``made`` also where a function makes an empty one."""
    name: str = library.NAMES.get(field.default_factory, "")
    if not name and made:
        empty = field.default_factory()
        name = library.NAMES[type(empty)] if type(empty) in _EMPTY and not empty else ""
    return name


def plain_rows(cls: Any, encoder: "Encoder") -> list[list[Any]]:
    """Give name, default and type of each field of a class of plain data; all are shown and compared."""
    return [_row(field, encoder, _PLAIN_FLAGS, made=True) for field in dataclasses.fields(cls)]


def _row(field: Any, encoder: "Encoder", flags: list[bool], *, made: bool) -> list[Any]:
    note = annotation_node(field.type, encoder) if encoder.peer.trusting else None
    return [field.name, *_default(field, encoder, made=made), note, flags]


def _rows(cls: Any, encoder: "Encoder") -> list[list[Any]]:
    """Give name, default, type and flags of each field. What ``__init__`` alone takes (InitVar) has no flags."""
    shown = dataclasses.fields(cls)
    waiting = [field for field in cls.__dataclass_fields__.values() if type(field.type) is dataclasses.InitVar]
    flags = {field.name: [getattr(field, name) is True for name in _FLAGS] for field in shown}
    fields = (field for field in cls.__dataclass_fields__.values() if field in shown or field in waiting)
    return [_row(field, encoder, flags.get(field.name, []), made=False) for field in fields]


def _default(field: Any, encoder: "Encoder", *, made: bool) -> list[Any]:
    if field.default is not dataclasses.MISSING:
        return _default_value(field.default, encoder, made=made)
    if field.default_factory is not dataclasses.MISSING:
        name = factory_name(field, made=made)
        return ["factory", name] if name else ["maker", None]
    return ["", None]


def _default_value(value: Any, encoder: "Encoder", *, made: bool) -> list[Any]:
    if type(value) in PLAIN and (made or type(value) is not bytes or len(value) < INLINE):  # read with a later message
        return ["value", encoder.encode(value)]
    if type(value) is tuple and all(type(item) in PLAIN and type(item) is not bytes for item in value):
        return ["values", [encoder.encode(item) for item in value]]
    return ["object", None]


def read_rows(found: list[Any], decoder: "Decoder") -> list[tuple[str, Any, Any]]:
    """Give the fields as ``make_dataclass`` takes them."""
    return [_read_row(row, name, decoder) for name, row in zip(names([row[0] for row in found]), found, strict=True)]


def _read_row(row: list[Any], name: str, decoder: "Decoder") -> tuple[str, Any, Any]:
    _, kind, value, note, given = row
    default = _read_default(kind, value, decoder)
    if not given:
        return name, dataclasses.InitVar[object], dataclasses.field(**default)
    kept = read_annotation(note, decoder)
    options: dict[str, Any] = dict(zip(_FLAGS, (flag is True for flag in given), strict=True))
    field = dataclasses.field(**default, **options)
    return name, object if kept is inspect.Parameter.empty else kept, field


def _read_default(kind: Any, value: Any, decoder: "Decoder") -> dict[str, Any]:
    if kind == "value":
        return {"default": decoder.decode(value)}
    if kind == "values":
        return {"default": tuple(map(decoder.decode, value))}
    if kind == "object":
        return {"default": _ELSEWHERE}
    if kind == "factory":
        return {"default_factory": library.TYPES[value]}
    return {"default_factory": _made_elsewhere} if kind == "maker" else {}


_ELSEWHERE = object()  # a default that is an object of the student's


def _made_elsewhere() -> NoReturn:
    raise TypeError("a function of the submission makes this default")


def identifier(name: Any) -> str:
    """Give a name that may be used in a class; the standard library puts field names into source text."""
    if type(name) is not str or not name.isidentifier() or keyword.iskeyword(name) or len(name) > MOST:
        raise ProtocolError("no name")
    if name.startswith("__"):
        raise ProtocolError("a name with two underscores")
    return name


def names(found: list[Any]) -> list[str]:
    """Give names that may be used in one class."""
    checked = [identifier(name) for name in found]
    if len(set(checked)) != len(checked) or len(checked) > MOST:
        raise ProtocolError("names that are not unique")
    return checked


def describe(cls: Any, encoder: "Encoder") -> list[Any] | None:
    """Give what a class says to ``match``, and itself says of its fields; None where it says neither."""
    own = vars(cls)
    patterns = next((vars(base)["__match_args__"] for base in cls.__mro__ if "__match_args__" in vars(base)), None)
    if not (type(patterns) is tuple and all(map(_is_plain_name, patterns))):
        patterns = None
    if "__dataclass_params__" not in own or not _is_described(own.get("__dataclass_fields__")):
        return None if patterns is None else [list(patterns), None]
    options = [getattr(cls.__dataclass_params__, name, None) is True for name in _OPTIONS]
    return [patterns and list(patterns), [_rows(cls, encoder), options, _own_names(cls)]]


def _own_names(cls: Any) -> list[str]:
    """Name the fields that no base has."""
    bases = [vars(base).get("__dataclass_fields__", {}) for base in cls.__mro__[1:]]
    inherited = {id(field) for fields in bases for field in fields.values()}
    return [name for name, field in cls.__dataclass_fields__.items() if id(field) not in inherited]


def _is_described(fields: Any) -> bool:
    """Tell whether these are fields as dataclasses note them, with names that can go into another class."""
    return (
        type(fields) is dict
        and len(fields) <= MOST
        and all(type(field) is dataclasses.Field for field in fields.values())
        and all(_is_plain_name(field.name) for field in fields.values())
    )


def _is_plain_name(name: Any) -> bool:
    return type(name) is str and name.isidentifier() and not (keyword.iskeyword(name) or name.startswith("__"))


def has_fields(facts: list[Any]) -> bool:
    """Tell whether what ``describe`` gave has a field that is more than an argument of ``__init__``."""
    return facts[1] is None or any(flags for *_, flags in facts[1][0])


def read(facts: list[Any], decoder: "Decoder") -> dict[str, Any]:
    """Give what ``describe`` gave as attributes of a class."""
    patterns, described = facts
    found: dict[str, Any] = {} if patterns is None else {"__match_args__": tuple(names(patterns))}
    if described is None:
        return found
    fields, options, own = described
    made: Any = dataclasses.make_dataclass(
        "Described", read_rows(fields, decoder), init=False, repr=False, eq=False, namespace={"__doc__": "-"}
    )
    for name, value in zip(_OPTIONS, options, strict=True):
        setattr(made.__dataclass_params__, name, value is True)
    notes = {field.name: field.type for field in dataclasses.fields(made) if field.name in own}
    kept = {name: vars(made)[name] for name in _KEPT if name in vars(made)}
    return found | kept | {"__annotations__": notes}


_KEPT = ("__dataclass_fields__", "__dataclass_params__", "__replace__")
