"""Values of the standard library: rebuilt from plain arguments, as the very same type."""

import array
import datetime
import io
import uuid
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

from studium_graders.engine.kinds.scalars_containers import fill, items_of, pairs, parts_of, refill
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, NotPlainError
from studium_graders.engine.wire.paths import FACTORY

_Parts = Callable[[Any], list[Any]]
_Build = Callable[..., Any]
_MOST_PATH = 10_000


def _of_parts(tag: str, cls: type, parts: _Parts, types: tuple[Any, ...], build: _Build, **more: Any) -> Kind:
    """Return a kind of values that plain ``parts`` of these ``types`` say all of."""

    def read(decoder: Decoder, node: list[Any]) -> Any:
        found = [decoder.decode(part) for part in node]
        if len(found) != len(types) or not all(map(isinstance, found, types)):
            raise ProtocolError(f"these are no parts of a {tag}")
        return build(*found)

    return Kind(tag, (cls,), lambda encoder, value: [encoder.encode(part) for part in parts(value)], read, **more)


# ------------------------------------------------------------------------------------------------------------ times


def _timezone(seconds: float, name: str | None) -> datetime.tzinfo:
    if (seconds, name) == (0, "UTC"):
        return datetime.UTC
    offset = datetime.timedelta(seconds=seconds)
    return datetime.timezone(offset) if name is None else datetime.timezone(offset, name)


def _parts_of_time(value: datetime.datetime | datetime.time) -> list[Any]:
    offset = value.utcoffset()
    zone = None if offset is None else _timezone(offset.total_seconds(), value.tzname())
    return [value.replace(tzinfo=None).isoformat(), datetime.UTC if zone == datetime.UTC else zone, value.fold]


def _moment(cls: type[datetime.datetime] | type[datetime.time]) -> _Build:
    return lambda text, zone, fold: cls.fromisoformat(text).replace(tzinfo=zone, fold=fold)


# ------------------------------------------------------------------------------------------------------- containers


def _write_default(encoder: Encoder, value: defaultdict[Any, Any]) -> list[Any]:
    encoder.register(value)
    factory = encoder.encode(value.default_factory)
    return [factory, *pairs(encoder, value)]


def _read_default(decoder: Decoder, node: list[Any]) -> Any:
    value: defaultdict[Any, Any] = decoder.put(defaultdict())
    factory = decoder.attribute(FACTORY, node[0])
    value.default_factory = factory if callable(factory) else None
    return fill(decoder, value, node[1:])


def _write_deque(encoder: Encoder, value: deque[Any]) -> list[Any]:
    encoder.register(value)
    return [value.maxlen, *[encoder.encode(item) for item in deque.__iter__(value)]]


def _read_deque(decoder: Decoder, node: list[Any]) -> Any:
    value: deque[Any] = decoder.put(deque(maxlen=node[0]))
    value.extend(decoder.items(node[1:]))
    return value


def _overwrite_deque(value: deque[Any], content: deque[Any]) -> None:
    value.clear()
    value.extend(content)


def _mapping(tag: str, cls: Any) -> Kind:
    def write(encoder: Encoder, value: Any) -> list[Any]:
        encoder.register(value)
        return pairs(encoder, value)

    def read(decoder: Decoder, node: list[Any]) -> Any:
        return fill(decoder, decoder.put(cls()), node)

    return Kind(tag, (cls,), write, read, state=parts_of, overwrite=refill)


_VIEWS: dict[str, tuple[type, Callable[[list[Any]], Iterable[tuple[Any, Any]]]]] = {
    "keys": (type({}.keys()), lambda keys: [(key, None) for key in keys]),
    "values": (type({}.values()), enumerate),
    "items": (type({}.items()), lambda items: items),
}


def _view(name: str) -> Kind:
    cls, rows = _VIEWS[name]
    return Kind(
        name,
        (cls,),
        lambda encoder, view: [encoder.encode(part) for row in rows(list(view)) for part in row],
        lambda decoder, node: getattr(fill(decoder, {}, node), name)(),
    )


# ------------------------------------------------------------------------------------------- what holds plain values

_NUMBERS = frozenset("bBhHiIlLqQfd")  # formats of an array or a view of memory


def _memory(code: Any, data: Any) -> memoryview:
    if code not in _NUMBERS:
        raise ProtocolError("no numbers")
    return memoryview(data).cast(code)


def _parts_of_memory(value: memoryview) -> list[Any]:
    return [value.format if value.ndim == 1 and value.format in _NUMBERS else "B", bytes(value)]


def _parts_of_array(value: "array.array[Any]") -> list[Any]:
    if value.typecode not in _NUMBERS:
        raise TypeError("an array of letters cannot be sent; use a string")
    return [value.typecode, value.tobytes()]


def _holder(cls: Callable[..., Any], held: type, parts: _Parts) -> Kind:
    """Return the kind of what holds other data. What a test gives stays in the judge, to be changed there."""

    def write(encoder: Encoder, value: Any) -> list[Any]:
        if not encoder.context.trusting:
            raise NotPlainError
        return [encoder.encode(part) for part in parts(value)]

    def read(decoder: Decoder, node: list[Any]) -> Any:
        found = [decoder.decode(part) for part in node]
        if not all(type(value) is held for value in found):
            raise ProtocolError("what holds something else than it should")
        return cls(*found)

    return Kind(cls.__name__, (cls,), write, read, exact=True)  # type: ignore[arg-type]


def _write_stream(encoder: Encoder, value: Any) -> list[Any]:
    encoder.register(value)
    return [] if value.closed else [encoder.encode(part) for part in value.__getstate__()[:-1]]


def _stream(cls: type[Any], of: type[str] | type[bytes]) -> Kind:
    def read(decoder: Decoder, node: list[Any]) -> Any:
        value = decoder.put(cls())
        if not node:
            value.close()
            return value
        held, *rest = [decoder.decode(part) for part in node]
        if not isinstance(held, of) or type(rest[-1]) is not int:
            raise ProtocolError("no stream")
        rest[-1] = min(rest[-1], len(held))  # what is written beyond the end fills the memory up to there
        value.__setstate__((held, *rest, None))
        return value

    return Kind(
        cls.__name__, (cls,), _write_stream, read, exact=True, state=_state_of_stream, overwrite=_overwrite_stream
    )


def _state_of_stream(value: Any) -> str:
    return "closed" if value.closed else repr(value.__getstate__()[:-1])


def _overwrite_stream(value: Any, content: Any) -> None:
    if content.closed:
        value.close()
    else:
        value.__setstate__((*content.__getstate__()[:-1], None))


def _path(tag: str, cls: type[PurePath]) -> Kind:
    return _of_parts(tag, cls, lambda value: [PurePath.__str__(value)[:_MOST_PATH]], (str,), cls)


_TIME = (str, datetime.tzinfo | None, int)

KINDS = (
    _of_parts("datetime", datetime.datetime, _parts_of_time, _TIME, _moment(datetime.datetime)),
    _of_parts(
        "date", datetime.date, lambda value: [datetime.date.isoformat(value)], (str,), datetime.date.fromisoformat
    ),
    _of_parts("time", datetime.time, _parts_of_time, _TIME, _moment(datetime.time)),
    _of_parts(
        "timedelta",
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        (int, int, int),
        datetime.timedelta,
    ),
    _of_parts(
        "timezone",
        datetime.timezone,
        lambda value: [value.utcoffset(None).total_seconds(), value.tzname(None)],
        (float, str | None),
        _timezone,
    ),
    _of_parts("decimal", Decimal, lambda value: [Decimal.__str__(value)], (str,), Decimal),
    _of_parts("fraction", Fraction, lambda value: [value.numerator, value.denominator], (int, int), Fraction),
    _of_parts("uuid", uuid.UUID, lambda value: [value.int], (int,), lambda number: uuid.UUID(int=number)),
    _of_parts(
        "normal distribution",
        NormalDist,
        lambda value: [value.mean, value.stdev],
        (float, float),
        NormalDist,
        exact=True,
    ),
    _path("path", Path),
    _path("windows path", PureWindowsPath),
    _path("posix path", PurePosixPath),
    _mapping("ordered", OrderedDict),
    _mapping("counter", Counter),
    Kind("defaultdict", (defaultdict,), _write_default, _read_default, state=parts_of, overwrite=refill),
    Kind("deque", (deque,), _write_deque, _read_deque, state=items_of, overwrite=_overwrite_deque),
    *map(_view, _VIEWS),
    _holder(UserList, list, lambda value: [list(value.data)]),
    _holder(UserDict, dict, lambda value: [dict(value.data)]),
    _holder(UserString, str, lambda value: [str(value.data)]),
    _holder(ChainMap, dict, lambda value: [dict(part) for part in value.maps]),
    _holder(MappingProxyType, dict, lambda value: [dict(value)]),
    _of_parts(
        "array.array",
        array.array,
        _parts_of_array,
        (str, bytes),
        lambda code, data: array.array(code, _memory(code, data).tobytes()),
        exact=True,
    ),
    _of_parts("memoryview", memoryview, _parts_of_memory, (str, bytes), _memory),
    _stream(io.StringIO, str),
    _stream(io.BytesIO, bytes),
)
