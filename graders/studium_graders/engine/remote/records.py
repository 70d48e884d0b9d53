"""Dataclasses, named tuples and enums that hold data and nothing else: plain on both sides, of a class of that shape.

Where the receiver's own namespace has a class of the same name and fields, its instances are used. Where the
reference's class is plain, a student's of that name may have methods beside its data: no test knows them.
"""

import dataclasses
import enum
import reprlib
import types
from collections import namedtuple
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote import dataclass_fields, instances, library
from studium_graders.engine.remote.dataclass_fields import MOST, PLAIN, factory_name, identifier, is_usual, names
from studium_graders.engine.remote.decode import READERS, Decoder, RefusedError
from studium_graders.engine.remote.encode import KINDS, Encoder
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.exports import Side

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


def kind_of(cls: type, *, methods: bool = False, given: bool = False) -> str | None:
    """Tell what kind of plain data the instances of a class are: "record", "tuple", "enum", ``instances.KIND`` or None.

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
    return instances.KIND if given and instances.is_plain(cls) else None


def _methods(cls: type) -> set[str]:
    """Name the methods of a class that dataclasses did not write."""
    found = {name: value for name, value in vars(cls).items() if isinstance(value, _METHODS)}
    return {name for name, value in found.items() if not _is_generated(value)}


def _is_generated(method: Any) -> bool:
    return isinstance(method, types.FunctionType) and method.__code__.co_filename in _GENERATED


def _is_plain_tuple(cls: type) -> bool:
    """Tell whether a tuple has no methods, or is what a library's function gives, whose names alone are sent."""
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
        and all(type(member._value_) in PLAIN for member in cls.__members__.values())
    )


def _is_member_name(name: Any) -> bool:
    reserved = name == "mro" or name[:2] == "__" or (name[:1] == name[-1:] == "_")
    return type(name) is str and 0 < len(name) <= MOST and not reserved


def _is_plain_record(cls: type, *, methods: bool, given: bool) -> bool:
    own = _methods(cls)
    harmless = {name for name in own if methods and (name in _SHOWING or name[:2] != "__")}
    plain = cls.__mro__[1:] == (object,) and (given or (own == harmless and (methods or is_usual(cls))))
    return plain and all(_is_plain_field(field, made=methods, given=given) for field in dataclasses.fields(cls))


def _is_plain_field(field: Any, *, made: bool, given: bool) -> bool:
    default = field.default is dataclasses.MISSING or type(field.default) in PLAIN
    none = field.default_factory is dataclasses.MISSING
    made_so = given or (field.init and not field.kw_only)
    return default and (none or bool(factory_name(field, made=made))) and made_so


def describe(cls: Any, kind: str, encoder: Encoder) -> list[Any]:
    """Give the shape of a class of plain data."""
    name = encoder.text(cls.__name__[:MOST])
    if kind == instances.KIND:
        return [name, []]
    if kind == "enum":
        base = _enum_base(cls).__name__
        return [
            name,
            base,
            [[encoder.text(key), encoder.encode(item._value_)] for key, item in cls.__members__.items()],
        ]
    if kind == "tuple":
        defaults = getattr(cls, "_field_defaults", {})
        plain = [value for value in defaults.values() if type(value) in PLAIN]
        return [name, list(_field_names(cls)), [encoder.encode(value) for value in plain]]
    options = cls.__dataclass_params__
    return [name, dataclass_fields.plain_rows(cls, encoder), [options.eq, options.order, options.frozen]]


def stand_in(peer: "Side", kind: str, facts: list[Any], decoder: Decoder) -> type:
    """Give the class for a described one: the receiver's own of this name and shape, or a new one."""
    name = identifier(decoder.decode(facts[0]))
    here = peer.given_class(name)
    if isinstance(here, type) and peer.kind_of(here) == kind and _shape(here, kind) == _described_shape(kind, facts):
        return here
    if kind == instances.KIND:
        raise RefusedError(f"an object of a class {name} that is not the given one")
    if not peer.takes_fields(name, some=bool(_described_shape(kind, facts))):
        raise RefusedError(f"a class {name} without fields or members, where a right answer's has some")
    peer.met_plain(name)
    made = {"enum": _make_enum, "tuple": _make_tuple, "record": _make_record}[kind](name, facts, decoder)
    made.__module__ = "__main__"
    if kind == "record":
        peer.met_record(made)
    return made


def _shape(cls: Any, kind: str) -> list[str]:
    if kind == instances.KIND:
        return []
    if kind == "enum":
        return list(cls.__members__)
    return list(_field_names(cls)) if kind == "tuple" else [field.name for field in dataclasses.fields(cls)]


def is_record(cls: type) -> bool:
    """Tell whether the instances of a class are those of a dataclass or named tuples."""
    return hasattr(cls, "__dataclass_fields__") or (issubclass(cls, tuple) and bool(_field_names(cls)))


def parts_of(value: Any) -> dict[str, Any]:
    """Give what a record holds, by the name of the field."""
    cls = type(value)
    names = _field_names(cls) if issubclass(cls, tuple) else getattr(cls, "__dataclass_fields__", ())
    return {name: _field(value, name) for name in names}


def _described_shape(kind: str, facts: list[Any]) -> list[Any]:
    return list(facts[1]) if kind == "tuple" else [item[0] for item in facts[2 if kind == "enum" else 1]]


def _make_enum(name: str, facts: list[Any], decoder: Decoder) -> type:
    members = [(decoder.decode(key), decoder.decode(value)) for key, value in facts[2]]
    if len(members) > MOST or len({key for key, _ in members}) != len(members):
        raise ProtocolError("names that are not unique")
    if not all(type(key) is str and _is_member_name(key) and type(value) in PLAIN for key, value in members):
        raise ProtocolError("no enum")
    return _ENUMS[facts[1]](name, members)  # type: ignore[call-arg,return-value]


def _make_tuple(name: str, facts: list[Any], decoder: Decoder) -> type:
    fields = names(facts[1])
    if any(field.startswith("_") and field != f"_{place}" for place, field in enumerate(fields)):
        raise ProtocolError("no named tuple")
    return namedtuple(name, fields, rename=True, defaults=[decoder.decode(value) for value in facts[2]])


def _make_record(name: str, facts: list[Any], decoder: Decoder) -> type:
    eq, order, frozen = (option is True for option in facts[2])
    fields = dataclass_fields.read_rows(facts[1], decoder)
    return dataclasses.make_dataclass(name, fields, eq=eq, order=order and eq, frozen=frozen)


def _write_record(encoder: Encoder, value: Any) -> Any:
    encoder.register(value)
    cls: Any = type(value)
    kind = encoder.peer.kind_of(cls)
    node = encoder.peer.class_node(cls, encoder)  # type: ignore[attr-defined]
    if kind == "enum":
        named = value._name_ in cls.__members__
        return [Tag.MEMBER, node, encoder.text(value._name_) if named else encoder.encode(value._value_)]
    if kind == instances.KIND:
        return instances.write(encoder, value, node)
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
    member = decoder.decode(node[2])
    flags = issubclass(cls, enum.Flag) and type(member) is int
    return put(cls(member) if flags else cls.__members__[member])


def _read_tuple(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    cls = _class(decoder, node[1], "tuple")
    items = decoder.items(node[2:], of_tuple=True)
    if len(items) != len(_field_names(cls)):
        raise ProtocolError("a named tuple of another length")
    decoder.peer.met_object(decoder.origin)
    return put(cls(items) if hasattr(cls, "n_sequence_fields") else tuple.__new__(cls, items))


def _read_record(decoder: Decoder, node: list[Any]) -> Any:
    cls = _class(decoder, node[1], "record")
    value = decoder.put(object.__new__(cls))
    for field, item in zip(dataclasses.fields(cls), node[2:], strict=True):
        object.__setattr__(value, field.name, decoder.attribute(field.name, item))
    decoder.peer.met_object(decoder.origin)
    return value


def _class(decoder: Decoder, node: Any, kind: str) -> Any:
    peer: Any = decoder.peer
    cls = peer.own(node[1]) if node[0] == Tag.YOURS else peer.class_of(node, decoder)
    if not isinstance(cls, type) or peer.kind_of(cls) != kind:
        raise ProtocolError("data of no class")
    return cls


def _write_extended(encoder: Encoder, value: Any) -> Any:
    encoder.register(value)
    peer: Any = encoder.peer
    return instances.write(encoder, value, peer.class_node(peer.given_base(type(value)), encoder))


KINDS += [
    (lambda peer, cls: peer.kind_of(cls) is not None, _write_record),
    (lambda peer, cls: peer.given_base(cls) is not None, _write_extended),
]
READERS |= {Tag.MEMBER: _read_member, Tag.NAMED_TUPLE: _read_tuple, Tag.RECORD: _read_record}
READERS[Tag.INSTANCE] = lambda decoder, node: instances.read(decoder, node, _class(decoder, node[1], instances.KIND))
