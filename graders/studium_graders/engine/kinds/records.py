"""Dataclasses, named tuples and enums that hold data and nothing else: plain on both sides, of a class of that shape.

Where the receiver's own namespace has a class of the same name and fields, its instances are used. Where the
reference's class is plain, a student's of that name may have methods beside its data: no test knows them.
"""

import dataclasses
import enum
import inspect
import keyword
import reprlib
import types
from collections import namedtuple
from typing import Any

from studium_graders.engine.kinds import given_instances, library
from studium_graders.engine.kinds.functions import annotation_node, read_annotation
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import INLINE, Context, Decoder, Encoder, Kind, RefusedError
from studium_graders.engine.wire.messages import Node

KIND_NAMES = ("record", "tuple", "enum", given_instances.KIND)
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_MOST = 200
_EMPTY = (list, dict, set)
_GENERATED = ("<string>", dataclasses.__file__, reprlib.__file__)  # where the methods come from that dataclasses writes
_NAMED = namedtuple("_NAMED", ())  # kept: else it may be collected, and emptied, while its names are read
_OF_TUPLES = frozenset(vars(_NAMED))
_SHOWING = ("__repr__", "__str__")
_METHODS = (types.FunctionType, property, classmethod, staticmethod)


class _OfInt(int, enum.Enum):
    """What ``class Color(int, Enum)`` extends."""


class _OfStr(str, enum.Enum):  # noqa: UP042  no StrEnum: its members are shown in another way
    """What ``class Color(str, Enum)`` extends."""


_ENUMS: dict[str, type[enum.Enum]] = {
    cls.__name__: cls for cls in (enum.Enum, enum.IntEnum, enum.StrEnum, enum.Flag, enum.IntFlag, _OfInt, _OfStr)
}
_MIXED = {cls.__bases__: cls for cls in (_OfInt, _OfStr)}


# ------------------------------------------------------------------------------------------------- what is plain data


def kind_of(cls: type, *, methods: bool = False, given: bool = False) -> str | None:
    """Return what kind of plain data the instances of a class are, one of ``KIND_NAMES`` or None.

    ``methods`` allows methods beside the data, as long as they do not decide what the data are or what equals them.
    ``given`` allows all methods: the receiver has the class itself, and runs its own.
    """
    methods = methods or given
    if issubclass(cls, enum.Enum):
        public = any(name[0] != "_" for name in _methods(cls))
        return "enum" if _is_plain_enum(cls) and (methods or not public) else None
    if issubclass(cls, tuple):
        return "tuple" if _field_names(cls) and (methods or _is_plain_tuple(cls)) else None
    if dataclasses.is_dataclass(cls):
        return "record" if _is_plain_record(cls, methods=methods, given=given) else None
    return given_instances.KIND if given and given_instances.is_plain(cls) else None


def _methods(cls: type) -> set[str]:
    """Name the methods of a class that dataclasses did not write."""
    found = {name: value for name, value in vars(cls).items() if isinstance(value, _METHODS)}
    return {name for name, value in found.items() if not _is_generated(value)}


def _is_generated(method: Any) -> bool:
    return isinstance(method, types.FunctionType) and method.__code__.co_filename in _GENERATED


def _is_plain_tuple(cls: type) -> bool:
    """Return whether a tuple has no methods, or is what a library's function gives, whose names alone are sent."""
    return not _methods(cls) - _OF_TUPLES or library.is_library(str(cls.__module__))


def _field_names(cls: Any) -> tuple[str, ...]:
    """Name the items of a named tuple, or of what is made like one in C; of others there are none."""
    in_c = hasattr(cls, "n_sequence_fields")
    fields = getattr(cls, "__match_args__" if in_c else "_fields", None)
    if in_c and len(fields or ()) != cls.n_sequence_fields:  # some have no name
        return ()
    return fields if type(fields) is tuple and all(type(name) is str for name in fields) else ()


def _enum_base(cls: type) -> Any:
    return _MIXED.get(cls.__bases__, cls.__base__)


def _is_plain_enum(cls: type[enum.Enum]) -> bool:
    return (
        _enum_base(cls) in _ENUMS.values()
        and all(map(_is_member_name, cls.__members__))
        and all(type(member._value_) in _PLAIN for member in cls.__members__.values())
    )


def _is_member_name(name: Any) -> bool:
    reserved = name == "mro" or name[:2] == "__" or (name[:1] == name[-1:] == "_")
    return type(name) is str and 0 < len(name) <= _MOST and not reserved


def _is_plain_record(cls: type, *, methods: bool, given: bool) -> bool:
    own = _methods(cls)
    harmless = {name for name in own if methods and (name in _SHOWING or name[:2] != "__")}
    plain = cls.__mro__[1:] == (object,) and (given or (own == harmless and (methods or _is_usual(cls))))
    return plain and all(_is_plain_field(field, made=methods, given=given) for field in dataclasses.fields(cls))


def _is_usual(cls: Any) -> bool:
    """Return whether a dataclass and its fields are shown and compared as they are where nothing is said about it."""
    options = cls.__dataclass_params__
    fields = dataclasses.fields(cls)
    usual = options.init and options.repr and not options.unsafe_hash
    return usual and all(field.repr and field.compare and field.hash is None for field in fields)


def _is_plain_field(field: Any, *, made: bool, given: bool) -> bool:
    default = field.default is dataclasses.MISSING or type(field.default) in _PLAIN
    none = field.default_factory is dataclasses.MISSING
    made_so = given or (field.init and not field.kw_only)
    return default and (none or bool(_factory_name(field, made=made))) and made_so


def _factory_name(field: Any, *, made: bool = True) -> str:
    """Name the type that makes the default of a field; with ``made`` also where a function makes an empty one."""
    name: str = library.NAMES.get(field.default_factory, "")
    if not name and made:
        empty = field.default_factory()
        name = library.NAMES[type(empty)] if type(empty) in _EMPTY and not empty else ""
    return name


# ------------------------------------------------------------------------------------------------- describing a class


def describe(cls: Any, kind: str, encoder: Encoder) -> list[Node]:
    """Return the shape of a class of plain data."""
    name = encoder.text(cls.__name__[:_MOST])
    if kind == given_instances.KIND:
        return [name, []]
    if kind == "enum":
        members = [[encoder.text(key), encoder.encode(item._value_)] for key, item in cls.__members__.items()]
        return [name, members, _enum_base(cls).__name__]
    if kind == "tuple":
        plain = [value for value in getattr(cls, "_field_defaults", {}).values() if type(value) in _PLAIN]
        return [name, [[field] for field in _field_names(cls)], [encoder.encode(value) for value in plain]]
    options = cls.__dataclass_params__
    rows = [_row(field, encoder) for field in dataclasses.fields(cls)]
    return [name, rows, [options.eq, options.order, options.frozen]]


def _row(field: Any, encoder: Encoder) -> list[Node]:
    note = annotation_node(field.type, encoder) if encoder.context.trusting else None
    if field.default is not dataclasses.MISSING:
        short = type(field.default) is not bytes or len(field.default) < INLINE  # a buffer is read with a later message
        return [field.name, note, "value", encoder.encode(field.default) if short else None]
    if field.default_factory is not dataclasses.MISSING:
        return [field.name, note, "factory", _factory_name(field)]
    return [field.name, note, "", None]


def class_of(context: Context, kind: str, facts: list[Node], decoder: Decoder) -> type:
    """Return the class for a described one: the receiver's own of this name and shape, or a new one."""
    name = _identifier(decoder.decode(facts[0]))
    here = context.side.given_class(name)
    if (
        isinstance(here, type)
        and context.side.kind_of(here) == kind
        and _shape(here, kind) == [row[0] for row in facts[1]]
    ):
        return here
    if kind == given_instances.KIND:
        raise RefusedError(f"an object of a class {name} that is not the given one")
    context.side.met_plain(name)
    made = {"enum": _make_enum, "tuple": _make_tuple, "record": _make_record}[kind](name, facts, decoder)
    made.__module__ = "__main__"
    return made


def _shape(cls: Any, kind: str) -> list[str]:
    if kind == given_instances.KIND:
        return []
    if kind == "enum":
        return list(cls.__members__)
    return list(_field_names(cls)) if kind == "tuple" else [field.name for field in dataclasses.fields(cls)]


def _identifier(name: Any) -> str:
    """Return a name that may be used in a class; the standard library puts field names into source text."""
    if type(name) is not str or not name.isidentifier() or keyword.iskeyword(name) or len(name) > _MOST:
        raise ProtocolError("no name")
    if name.startswith("__"):
        raise ProtocolError("a name with two underscores")
    return name


def _names(found: list[Any]) -> list[str]:
    """Return names that may be used in one class."""
    checked = [_identifier(name) for name in found]
    if len(set(checked)) != len(checked) or len(checked) > _MOST:
        raise ProtocolError("names that are not unique")
    return checked


def _make_enum(name: str, facts: list[Node], decoder: Decoder) -> type:
    members = [(decoder.decode(key), decoder.decode(value)) for key, value in facts[1]]
    if len(members) > _MOST or len({key for key, _ in members}) != len(members):
        raise ProtocolError("names that are not unique")
    if not all(type(key) is str and _is_member_name(key) and type(value) in _PLAIN for key, value in members):
        raise ProtocolError("no enum")
    return _ENUMS[facts[2]](name, members)  # type: ignore[call-arg,return-value]


def _make_tuple(name: str, facts: list[Node], decoder: Decoder) -> type:
    fields = _names([field for (field,) in facts[1]])
    if any(field.startswith("_") and field != f"_{place}" for place, field in enumerate(fields)):
        raise ProtocolError("no named tuple")
    return namedtuple(name, fields, rename=True, defaults=[decoder.decode(value) for value in facts[2]])


def _make_record(name: str, facts: list[Node], decoder: Decoder) -> type:
    eq, order, frozen = (option is True for option in facts[2])
    fields = [
        _read_row(row, field, decoder)
        for row, field in zip(facts[1], _names([row[0] for row in facts[1]]), strict=True)
    ]
    return dataclasses.make_dataclass(name, fields, eq=eq, order=order and eq, frozen=frozen)


def _read_row(row: list[Node], name: str, decoder: Decoder) -> tuple[str, Any, Any]:
    _, note, kind, value = row
    kept = read_annotation(note, decoder)
    default: dict[str, Any] = {}
    if kind == "value":
        default["default"] = decoder.decode(value)
    elif kind == "factory":
        default["default_factory"] = library.TYPES[value]
    return name, object if kept is inspect.Parameter.empty else kept, dataclasses.field(**default)


# ------------------------------------------------------------------------------------------------------------- values


def parts_of(value: Any) -> dict[str, Any]:
    """Return what a record holds, by the name of the field."""
    cls = type(value)
    names = _field_names(cls) if issubclass(cls, tuple) else getattr(cls, "__dataclass_fields__", ())
    return {name: _field(value, name) for name in names}


def _field(value: Any, name: str) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return None


def _write(encoder: Encoder, value: Any) -> list[Any]:
    encoder.register(value)
    cls: Any = type(value)
    context = encoder.context
    kind = context.side.kind_of(cls)
    if kind is None:  # it extends a given class, whose data it is sent as
        cls, kind = context.side.given_base(cls), given_instances.KIND
    node = context.classes.node(cls, encoder)
    if kind == "enum":
        named = value._name_ in cls.__members__
        return [kind, node, encoder.text(value._name_) if named else encoder.encode(value._value_)]
    if kind == given_instances.KIND:
        return [kind, node, *given_instances.write(encoder, value)]
    if kind == "tuple":
        return [kind, node, *[encoder.encode(item) for item in tuple.__iter__(value)]]
    return [kind, node, *[encoder.encode(_field(value, field.name)) for field in dataclasses.fields(cls)]]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    kind, cls_node, *rest = node
    if kind not in KIND_NAMES:
        raise ProtocolError("no kind of data")
    put = decoder.place() if kind in ("enum", "tuple") else None
    cls = decoder.context.classes.read_class(cls_node, decoder)
    if not isinstance(cls, type) or decoder.context.side.kind_of(cls) != kind:
        raise ProtocolError("data of no class")
    if kind in ("record", "tuple"):
        decoder.context.side.met_record(decoder.origin)
    if kind == given_instances.KIND:
        return given_instances.read(decoder, rest, cls)
    if put is None:
        return _read_record(decoder, rest, cls)
    return put(_read_member(decoder, rest, cls) if kind == "enum" else _read_tuple(decoder, rest, cls))


def _read_member(decoder: Decoder, node: list[Any], cls: Any) -> Any:
    member = decoder.decode(node[0])
    flags = issubclass(cls, enum.Flag) and type(member) is int
    return cls(member) if flags else cls.__members__[member]


def _read_tuple(decoder: Decoder, node: list[Any], cls: Any) -> Any:
    items = list(decoder.items(node))
    if len(items) != len(_field_names(cls)):
        raise ProtocolError("a named tuple of another length")
    return cls(items) if hasattr(cls, "n_sequence_fields") else tuple.__new__(cls, items)


def _read_record(decoder: Decoder, node: list[Any], cls: Any) -> Any:
    value = decoder.put(object.__new__(cls))
    for field, item in zip(dataclasses.fields(cls), node, strict=True):
        object.__setattr__(value, field.name, decoder.attribute(field.name, item))
    return value


def _applies(cls: type, context: Context) -> bool:
    return context.side.kind_of(cls) is not None or context.side.given_base(cls) is not None


def _state(value: Any) -> Any:
    if isinstance(value, tuple | enum.Enum) or not hasattr(value, "__dict__"):
        return None
    return given_instances.parts_of(value)


KINDS = (Kind("record", (), _write, _read, _applies, state=_state, overwrite=given_instances.overwrite),)
