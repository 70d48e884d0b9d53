"""Values of the standard library and random generators: rebuilt from plain arguments, as the very same type."""

import array
import datetime
import random
import struct
import uuid
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from studium_graders.engine.remote.decode import READERS, Decoder, fill
from studium_graders.engine.remote.encode import BASES, WRITERS, Encoder, pairs
from studium_graders.engine.remote.policy import FACTORY
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError


def _fraction(top: int, bottom: int) -> Fraction:
    return Fraction(top, bottom)


def _timezone(seconds: float, name: str | None) -> datetime.tzinfo:
    offset = datetime.timedelta(seconds=seconds)
    return datetime.timezone(offset) if name is None else datetime.timezone(offset, name)


def _parts_of_time(value: datetime.datetime | datetime.time) -> list[Any]:
    offset = value.utcoffset()
    zone = None if offset is None else _timezone(offset.total_seconds(), value.tzname())
    zone = datetime.UTC if zone == datetime.UTC else zone
    return [
        value.isoformat().removesuffix("+00:00") if zone is None else value.replace(tzinfo=None).isoformat(),
        zone,
        value.fold,
    ]


def _moment(cls: type[datetime.datetime] | type[datetime.time]) -> Callable[..., Any]:
    def build(text: str, zone: Any, fold: int) -> Any:
        return cls.fromisoformat(text).replace(tzinfo=zone, fold=fold)

    return build


_Parts = Callable[[Any], list[Any]]

STANDARD: dict[str, tuple[type, _Parts, Callable[..., Any]]] = {
    "date": (datetime.date, lambda value: [datetime.date.isoformat(value)], datetime.date.fromisoformat),
    "datetime": (datetime.datetime, _parts_of_time, _moment(datetime.datetime)),
    "time": (datetime.time, _parts_of_time, _moment(datetime.time)),
    "timedelta": (
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        datetime.timedelta,
    ),
    "timezone": (
        datetime.timezone,
        lambda value: [value.utcoffset(None).total_seconds(), value.tzname(None)],
        lambda seconds, name: datetime.UTC if (seconds, name) == (0, "UTC") else _timezone(seconds, name),
    ),
    "decimal": (Decimal, lambda value: [Decimal.__str__(value)], Decimal),
    "fraction": (Fraction, lambda value: [value.numerator, value.denominator], _fraction),
    "uuid": (uuid.UUID, lambda value: [value.int], lambda number: uuid.UUID(int=number)),
}
_PATHS: dict[str, type[PurePath]] = {
    "path": Path,
    "posix": PurePosixPath,
    "windows": PureWindowsPath,
}
_MOST_PATH = 10_000
_OF_PARTS = frozenset(STANDARD)  # nothing is missing where one of their parts is None


def _writer(name: str, parts: _Parts) -> Callable[[Encoder, Any], Any]:
    return lambda encoder, value: [Tag.STANDARD, name, *[encoder.encode(part) for part in parts(value)]]


def _read_standard(decoder: Decoder, node: list[Any]) -> Any:
    with decoder.inside() if node[1] in _OF_PARTS else nullcontext():
        parts = [decoder.decode(part) for part in node[2:]]
    if node[1] in _PATHS:
        return _PATHS[node[1]](parts[0])
    return decoder.missing(STANDARD[node[1]][2](*parts))


def _write_path(encoder: Encoder, value: PurePath) -> Any:
    kind = "path" if isinstance(value, Path) else "windows" if isinstance(value, PureWindowsPath) else "posix"
    return [Tag.STANDARD, kind, encoder.text(PurePath.__str__(value)[:_MOST_PATH])]


for _name, (_cls, _parts, _) in STANDARD.items():
    WRITERS[_cls] = _writer(_name, _parts)
READERS[Tag.STANDARD] = _read_standard
BASES += [
    (PurePath, _write_path),
    *((cls, WRITERS[cls]) for cls in (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)),
    *((cls, WRITERS[cls]) for cls in (Decimal, Fraction)),
]

# ------------------------------------------------------------------------------------------------------ containers


def _mapping(tag: int) -> Callable[[Encoder, Any], Any]:
    def write(encoder: Encoder, value: Any) -> Any:
        encoder.register(value)
        return [tag, *pairs(encoder, value)]

    return write


def _write_default(encoder: Encoder, value: defaultdict[Any, Any]) -> Any:
    encoder.register(value)
    factory = encoder.encode(value.default_factory)
    return [Tag.DEFAULT_DICT, factory, *pairs(encoder, value)]


def _read_default(decoder: Decoder, node: list[Any]) -> Any:
    value: defaultdict[Any, Any] = decoder.put(defaultdict())
    factory = decoder.attribute(FACTORY, node[1])
    value.default_factory = factory if callable(factory) else None
    return fill(decoder, value, node[2:])


def _write_deque(encoder: Encoder, value: deque[Any]) -> Any:
    encoder.register(value)
    return [Tag.DEQUE, value.maxlen, *[encoder.encode(item) for item in deque.__iter__(value)]]


def _read_deque(decoder: Decoder, node: list[Any]) -> Any:
    value: deque[Any] = decoder.put(deque(maxlen=node[1]))
    value.extend(decoder.items(node[2:]))
    return value


_VIEWS: dict[str, tuple[type, Callable[[list[Any]], Iterable[tuple[Any, Any]]]]] = {
    "keys": (type({}.keys()), lambda keys: [(key, None) for key in keys]),
    "values": (type({}.values()), enumerate),
    "items": (type({}.items()), lambda items: items),
}


def _view_writer(name: str, rows: Callable[[list[Any]], Iterable[tuple[Any, Any]]]) -> Callable[[Encoder, Any], Any]:
    return lambda encoder, view: [Tag.VIEW, name, *[encoder.encode(part) for row in rows(list(view)) for part in row]]


def _read_view(decoder: Decoder, node: list[Any]) -> Any:
    if node[1] not in _VIEWS:
        raise ProtocolError("no view")
    return getattr(fill(decoder, {}, node[2:]), node[1])()


BASES += [(cls, _view_writer(name, rows)) for name, (cls, rows) in _VIEWS.items()]
READERS[Tag.VIEW] = _read_view
WRITERS |= {
    OrderedDict: _mapping(Tag.ORDERED),
    Counter: _mapping(Tag.COUNTER),
    defaultdict: _write_default,
    deque: _write_deque,
}
BASES[:0] = [(cls, WRITERS[cls]) for cls in (OrderedDict, Counter, defaultdict, deque)]
READERS |= {
    Tag.ORDERED: lambda decoder, node: fill(decoder, decoder.put(OrderedDict()), node[1:]),
    Tag.COUNTER: lambda decoder, node: fill(decoder, decoder.put(Counter()), node[1:]),
    Tag.DEFAULT_DICT: _read_default,
    Tag.DEQUE: _read_deque,
}

# ------------------------------------------------------------------------------------------- what holds plain values

_NUMBERS = frozenset("bBhHiIlLqQfd")  # formats of an array or a view of memory


def _memory(code: Any, data: Any) -> memoryview:
    if code not in _NUMBERS or type(data) is not bytes:
        raise ProtocolError("no numbers")
    return memoryview(data).cast(code)


def _parts_of_memory(value: memoryview) -> list[Any]:
    return [value.format if value.ndim == 1 and value.format in _NUMBERS else "B", bytes(value)]


def _parts_of_array(value: "array.array[Any]") -> list[Any]:
    if value.typecode not in _NUMBERS:
        raise TypeError("an array of letters cannot be sent; use a string")
    return [value.typecode, value.tobytes()]


def _holder(cls: Callable[..., Any], kind: type) -> Callable[..., Any]:
    def build(*held: Any) -> Any:
        if not all(type(value) is kind for value in held):
            raise ProtocolError("what holds something else than it should")
        return cls(*held)

    return build


def _from_student(write: Callable[[Encoder, Any], Any]) -> Callable[[Encoder, Any], Any]:
    """Send what the student's code gives; what a test gives stays in the judge, to be changed there."""
    return lambda encoder, value: (
        write(encoder, value) if encoder.peer.trusting else encoder.peer.export(value, encoder)
    )


_HOLDERS: dict[type, tuple[_Parts, Callable[..., Any]]] = {
    UserList: (lambda value: [list(value.data)], _holder(UserList, list)),
    UserDict: (lambda value: [dict(value.data)], _holder(UserDict, dict)),
    UserString: (lambda value: [str(value.data)], _holder(UserString, str)),
    ChainMap: (lambda value: [dict(part) for part in value.maps], _holder(ChainMap, dict)),
    MappingProxyType: (lambda value: [dict(value)], _holder(MappingProxyType, dict)),
    array.array: (_parts_of_array, lambda code, data: array.array(code, _memory(code, data).tobytes())),
}
for _cls, (_parts, _build) in _HOLDERS.items():
    STANDARD[_cls.__name__] = _cls, _parts, _build
    WRITERS[_cls] = _from_student(_writer(_cls.__name__, _parts))
STANDARD["memoryview"] = memoryview, _parts_of_memory, _memory
WRITERS[memoryview] = _writer("memoryview", _parts_of_memory)

# ------------------------------------------------------------------------------------------------ random generators


def _write_generator(encoder: Encoder, value: torch.Generator) -> Any:
    encoder.register(value)
    return [Tag.GENERATOR, value.get_state().numpy().tobytes()]


def _read_generator(decoder: Decoder, node: list[Any]) -> Any:
    value: torch.Generator = decoder.put(torch.Generator())
    left, upcoming = struct.unpack_from("<8xi4xQ", node[1])
    if left + upcoming > _WORDS + 1:
        raise ProtocolError("a random state out of range")  # torch would read beyond its memory
    value.set_state(torch.from_numpy(np.frombuffer(bytearray(node[1]), np.uint8)))
    return value


def _write_random(encoder: Encoder, value: random.Random) -> Any:
    encoder.register(value)
    return [Tag.RANDOM, encoder.encode(value.getstate())]


def _read_random(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    value = random.Random()
    value.setstate(decoder.decode(node[1]))
    return put(value)


_WORDS = 624  # of a Mersenne twister's state
_BITS = {cls.__name__: cls for cls in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937)}


def _write_numpy(encoder: Encoder, value: Any) -> Any:
    encoder.register(value)
    bits = value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator
    if type(bits).__name__ not in _BITS:
        raise TypeError(f"a random generator over {type(bits).__name__} cannot be sent; use numpy.random.default_rng")
    state = bits.state if isinstance(value, np.random.Generator) else value.get_state(legacy=False)
    return [Tag.NUMPY_RANDOM, isinstance(value, np.random.Generator), encoder.encode(state)]


def _read_numpy(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    state = decoder.decode(node[2])
    if state["bit_generator"] == "MT19937" and not 0 <= state["state"]["pos"] <= _WORDS:
        raise ProtocolError("a random state out of range")  # NumPy would read beyond its memory
    bits = _BITS[state["bit_generator"]]()
    bits.state = state
    if type(node[1]) is not bool:
        raise ProtocolError("no random generator")
    if node[1]:
        return put(np.random.Generator(bits))
    made = np.random.RandomState(bits)
    made.set_state(state)
    return put(made)


WRITERS |= {
    torch.Generator: _write_generator,
    random.Random: _write_random,
    np.random.Generator: _write_numpy,
    np.random.RandomState: _write_numpy,
}
READERS |= {Tag.GENERATOR: _read_generator, Tag.RANDOM: _read_random, Tag.NUMPY_RANDOM: _read_numpy}
