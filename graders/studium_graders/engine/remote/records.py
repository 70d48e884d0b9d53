"""Dataclasses, named tuples and enums that hold data and nothing else: plain on both sides, of a class of that shape.

Where the receiver's own namespace has a class of the same name and fields, its instances are used.
"""

import dataclasses
import enum
import keyword
import reprlib
import types
from collections import namedtuple
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote import library
from studium_graders.engine.remote.decode import READERS, Decoder
from studium_graders.engine.remote.encode import KINDS, Encoder
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.exports import Side

_GENERATED = ("<string>", dataclasses.__file__, reprlib.__file__)  # where the methods come from that dataclasses writes
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_MOST = 200
_ENUMS: dict[str, type[enum.Enum]] = {
    cls.__name__: cls for cls in (enum.Enum, enum.IntEnum, enum.StrEnum, enum.Flag, enum.IntFlag)
}


def kind_of(cls: type) -> str | None:
    """Tell what kind of plain data the instances of a class are: "record", "tuple", "enum", or None."""
    if issubclass(cls, enum.Enum):
        return "enum" if _is_plain_enum(cls) else None
    if issubclass(cls, tuple):
        return "tuple" if cls is not tuple and _field_names(cls) else None
    return "record" if dataclasses.is_dataclass(cls) and _is_plain_record(cls) else None


def _field_names(cls: type) -> tuple[str, ...]:
    fields = getattr(cls, "_fields", None)
    return fields if type(fields) is tuple and all(type(name) is str for name in fields) else ()


def _is_plain_enum(cls: type[enum.Enum]) -> bool:
    return (
        cls.__base__ in _ENUMS.values()
        and not any(
            isinstance(value, types.FunctionType | property) and name[0] != "_" for name, value in vars(cls).items()
        )
        and all(type(member._value_) in _PLAIN for member in cls.__members__.values())
    )


def _is_plain_record(cls: type) -> bool:
    if cls.__mro__[1:] != (object,):
        return False
    methods = [value for value in vars(cls).values() if isinstance(value, types.FunctionType)]
    others = [value for value in vars(cls).values() if isinstance(value, property | classmethod | staticmethod)]
    return (
        not others
        and all(method.__code__.co_filename in _GENERATED for method in methods)
        and all(_is_plain_field(field) for field in dataclasses.fields(cls))
    )


def _is_plain_field(field: Any) -> bool:
    default = field.default is dataclasses.MISSING or type(field.default) in _PLAIN
    factory = field.default_factory is dataclasses.MISSING or field.default_factory in library.NAMES
    return default and factory and field.init and not field.kw_only


def describe(cls: Any, kind: str, encoder: Encoder) -> list[Any]:
    """Give the shape of a class of plain data."""
    name = encoder.text(cls.__name__[:_MOST])
    if kind == "enum":
        base = next(name for name, base in _ENUMS.items() if cls.__base__ is base)
        return [
            name,
            base,
            [[encoder.text(key), encoder.encode(item._value_)] for key, item in cls.__members__.items()],
        ]
    if kind == "tuple":
        defaults = getattr(cls, "_field_defaults", {})
        plain = [value for value in defaults.values() if type(value) in _PLAIN]
        return [name, list(_field_names(cls)), [encoder.encode(value) for value in plain]]
    options = cls.__dataclass_params__
    fields = [[field.name, *_default(field, encoder)] for field in dataclasses.fields(cls)]
    return [name, fields, [options.eq, options.order, options.frozen]]


def _default(field: Any, encoder: Encoder) -> list[Any]:
    if field.default is not dataclasses.MISSING:
        return ["value", encoder.encode(field.default)]
    if field.default_factory is not dataclasses.MISSING:
        return ["factory", library.NAMES[field.default_factory]]
    return ["", None]


def stand_in(peer: "Side", kind: str, facts: list[Any], decoder: Decoder) -> type:
    """Give the class for a described one: the receiver's own of this name and shape, or a new one."""
    name = _identifier(decoder.decode(facts[0]))
    here = peer.given_class(name)
    if isinstance(here, type) and kind_of(here) == kind and _shape(here, kind) == _described_shape(kind, facts):
        return here
    made = {"enum": _make_enum, "tuple": _make_tuple, "record": _make_record}[kind](name, facts, decoder)
    made.__module__ = "__main__"
    return made


def _shape(cls: Any, kind: str) -> list[str]:
    if kind == "enum":
        return list(cls.__members__)
    return list(_field_names(cls)) if kind == "tuple" else [field.name for field in dataclasses.fields(cls)]


def _described_shape(kind: str, facts: list[Any]) -> list[Any]:
    return list(facts[1]) if kind == "tuple" else [item[0] for item in facts[2 if kind == "enum" else 1]]


def _identifier(name: Any) -> str:
    """Give a name that may be used in a class; the standard library puts field names into source text."""
    if type(name) is not str or not name.isidentifier() or keyword.iskeyword(name) or len(name) > _MOST:
        raise ProtocolError("no name")
    if name.startswith("__"):
        raise ProtocolError("a name with two underscores")
    return name


def _names(names: list[Any]) -> list[str]:
    checked = [_identifier(name) for name in names]
    if len(set(checked)) != len(checked) or len(checked) > _MOST:
        raise ProtocolError("names that are not unique")
    return checked


def _make_enum(name: str, facts: list[Any], decoder: Decoder) -> type:
    members = list(
        zip(_names([key for key, _ in facts[2]]), [decoder.decode(value) for _, value in facts[2]], strict=True)
    )
    if any(key.startswith("_") or key == "mro" for key, _ in members) or any(
        type(value) not in _PLAIN for _, value in members
    ):
        raise ProtocolError("no enum")
    return _ENUMS[facts[1]](name, members)  # type: ignore[call-arg,return-value]


def _make_tuple(name: str, facts: list[Any], decoder: Decoder) -> type:
    fields = _names(facts[1])
    if any(field.startswith("_") for field in fields):
        raise ProtocolError("no named tuple")
    return namedtuple(name, fields, defaults=[decoder.decode(value) for value in facts[2]])


def _make_record(name: str, facts: list[Any], decoder: Decoder) -> type:
    eq, order, frozen = (option is True for option in facts[2])
    fields = [
        (field, object, _read_default(kind, value, decoder))
        for field, (_, kind, value) in zip(_names([row[0] for row in facts[1]]), facts[1], strict=True)
    ]
    return dataclasses.make_dataclass(name, fields, eq=eq, order=order and eq, frozen=frozen)


def _read_default(kind: Any, value: Any, decoder: Decoder) -> Any:
    if kind == "value":
        return dataclasses.field(default=decoder.decode(value))
    return dataclasses.field(default_factory=library.TYPES[value]) if kind == "factory" else dataclasses.field()


def _write_record(encoder: Encoder, value: Any) -> Any:
    encoder.register(value)
    cls: Any = type(value)
    kind = kind_of(cls)
    node = encoder.peer.class_node(cls, encoder)  # type: ignore[attr-defined]
    if kind == "enum":
        return [Tag.MEMBER, node, encoder.text(value._name_ or "")]
    if kind == "tuple":
        return [Tag.NAMED_TUPLE, node, *[encoder.encode(item) for item in tuple.__iter__(value)]]
    return [Tag.RECORD, node, *[encoder.encode(_field(value, field.name)) for field in dataclasses.fields(cls)]]


def _field(value: Any, name: str) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:
        return None


def _read_member(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    cls = _class(decoder, node[1], "enum")
    return put(cls.__members__[decoder.decode(node[2])])


def _read_tuple(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    cls = _class(decoder, node[1], "tuple")
    items = decoder.items(node[2:])
    if len(items) != len(cls._fields):
        raise ProtocolError("a named tuple of another length")
    return put(tuple.__new__(cls, items))


def _read_record(decoder: Decoder, node: list[Any]) -> Any:
    cls = _class(decoder, node[1], "record")
    value = decoder.put(object.__new__(cls))
    items = decoder.items(node[2:])
    for field, item in zip(dataclasses.fields(cls), items, strict=True):
        object.__setattr__(value, field.name, item)
    return value


def _class(decoder: Decoder, node: Any, kind: str) -> Any:
    peer: Any = decoder.peer
    cls = peer.own(node[1]) if node[0] == Tag.YOURS else peer.class_of(node, decoder)
    if not isinstance(cls, type) or kind_of(cls) != kind:
        raise ProtocolError("data of no class")
    return cls


KINDS.append((lambda cls: kind_of(cls) is not None, _write_record))
READERS |= {Tag.MEMBER: _read_member, Tag.NAMED_TUPLE: _read_tuple, Tag.RECORD: _read_record}
