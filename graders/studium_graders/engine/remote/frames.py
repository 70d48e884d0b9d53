"""Data of pandas' as plain data: taken apart into arrays, and rebuilt from these as the very same type.

pandas is no dependency: it is looked for when a value of it is met, and imported when one arrives.
"""

import importlib
import re
from collections.abc import Callable, Iterator, Sequence, Set
from types import NoneType
from typing import Any

import numpy as np

from studium_graders.engine.remote.decode import READERS, Decoder
from studium_graders.engine.remote.encode import KINDS, Encoder
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

_ZONE = re.compile(r"(?!dateutil)[A-Za-z0-9_+:-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,2}")
_MASKED = {"b": "BooleanArray", "f": "FloatingArray", "i": "IntegerArray", "u": "IntegerArray"}  # by the kind of dtype


class _UnknownArrayError(Exception):
    """A value has an array, or a time zone, of a kind that is not known here."""


def is_mutable(cls: type) -> bool:
    """Tell whether the instances of a class are frames or series, which code may change in place."""
    return kind_of(cls) in ("frame", "series")


def kind_of(cls: type) -> str:
    """Name the kind of pandas' data that the instances of a class are; "" where they are none."""
    return _KINDS.get(cls.__name__, "") if str(cls.__module__).partition(".")[0] == "pandas" else ""


def flat(value: Any) -> Iterator[Any]:
    """Give what a value holds, item by item, to be compared later."""
    kind = kind_of(type(value))
    if kind == "strings":
        yield repr(_strings(value))
    elif kind or isinstance(value, list | tuple):
        parts = _taken(kind, value) if kind else value
        yield from (kind, len(parts))
        for part in parts:
            yield from flat(part)
    elif isinstance(value, np.ndarray):
        yield from (value.dtype.str, len(value))
        yield from _cells(value.tolist()) if value.dtype.hasobject else [value.tobytes()]
    else:
        yield value


def _cells(values: list[Any]) -> Iterator[Any]:
    """Give objects, and what is directly in those that code may change in place."""
    for value in values:
        yield value
        if type(value) in (list, set):
            yield from value
        elif type(value) is dict:
            yield from (part for item in value.items() for part in item)
        elif type(value) is np.ndarray and not value.dtype.hasobject:
            yield value.tobytes()


def _taken(kind: str, value: Any) -> list[Any]:
    """Take a value apart; of one that cannot be, nothing is known."""
    try:
        return _TAKE[kind](value)
    except _UnknownArrayError:
        return []


def overwrite(value: Any, content: Any) -> None:
    """Give a frame or series the contents of another, in place."""
    value.__setstate__(content.__getstate__())


def lacks(value: Any) -> bool:
    """Tell whether data have no elements, or have some that are left out where all are asked for: these hold anyway."""
    if kind_of(type(value)) == "frame":
        return not value.size or any(_has_na(column) for _, column in value.items())
    return _is_all_missing(value) or _has_na(value)


def filled(value: Any, elements: Sequence[float]) -> Any:
    """Give what takes the place of data that lack something: these elements, or NaN for each that is left out."""
    pandas = _pandas()
    if kind_of(type(value)) == "frame":
        if value.size:
            return _build_frame(value.columns, value.index, [_with_nan(column) for _, column in value.items()])
        columns = value.columns if len(value.columns) else [0]
        return pandas.DataFrame(np.tile(np.array(elements), (len(columns), 1)).T, columns=columns)
    array = np.array(elements) if _is_all_missing(value) else _with_nan(value)
    if kind_of(type(value)) == "series":
        return _build_series(array, value.index if len(array) == len(value) else None, value.name)
    return pandas.Index(array) if hasattr(value, "nlevels") else array


def _is_all_missing(value: Any) -> bool:
    return not value.size or (not hasattr(value, "nlevels") and bool(value.isna().all()))


def _has_na(values: Any) -> bool:
    """Tell whether values have a missing one of which no comparison is false, as one with NaN is."""
    if values.dtype == object:
        return any(item is _pandas().NA for item in np.asarray(values))
    return getattr(values.dtype, "na_value", None) is _pandas().NA and bool(values.isna().any())


def _with_nan(values: Any) -> Any:
    """Give the array of values, with NaN for each missing one of which no comparison is false."""
    if not _has_na(values):
        return _values(values) if hasattr(values, "array") else values
    found = np.array([np.nan if missing else item for item, missing in zip(values, values.isna(), strict=True)], object)
    return _values(_pandas().Series(found).infer_objects())


# ------------------------------------------------------------------------------------------------------ taken apart


def _values(value: Any) -> Any:
    """Give the values of a series or an index as an array of NumPy's, or of pandas' own."""
    if isinstance(value.dtype, np.dtype) and value.dtype.kind not in "mM":
        return value.to_numpy()
    if not kind_of(type(value.array)):
        raise _UnknownArrayError
    return value.array


def _frame(value: Any) -> list[Any]:
    return [value.columns, value.index, [_values(column) for _, column in value.items()]]


def _instants(value: Any) -> list[Any]:
    return [value.array, value.name, _frequency(value.freq)]


def _frequency(offset: Any) -> str | None:
    """Give the name of a frequency where it says all of that."""
    try:
        named = offset is not None and _pandas().tseries.frequencies.to_offset(offset.freqstr) == offset
    except ValueError:  # the text is of no name
        named = False
    return str(offset.freqstr) if named else None


def _multi(value: Any) -> list[Any]:
    return [list(value.levels), [np.asarray(codes) for codes in value.codes], list(value.names)]


def _masked(value: Any) -> list[Any]:
    missing = np.asarray(value.isna())
    return [value.to_numpy(value.dtype.numpy_dtype, na_value=value.dtype.numpy_dtype.type(0)), missing]


def _strings(value: Any) -> list[Any]:
    missing = getattr(value.dtype, "na_value", None)
    return [value.dtype.storage, isinstance(missing, float), value.to_numpy(object, na_value=None).tolist()]


def _sparse(value: Any) -> list[Any]:
    return [value.to_dense(), np.array([value.fill_value])]


def _times(value: Any) -> list[Any]:
    return [value.asi8.view(f"{value.dtype.kind}8[{value.unit}]"), _zone(getattr(value, "tz", None))]


def _moment(value: Any) -> list[Any]:
    return [value.asm8, _zone(value.tzinfo)]


def _zone(zone: Any) -> str | None:
    """Give the name of a time zone."""
    if zone is not None and not _ZONE.fullmatch(str(zone)):
        raise _UnknownArrayError
    return None if zone is None else str(zone)


# ------------------------------------------------------------------------------------------------------ built again


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _build_series(array: Any, index: Any, name: Any) -> Any:
    return _pandas().Series(array, index=index, name=name, dtype=array.dtype)


def _build_frame(columns: Any, index: Any, arrays: list[Any]) -> Any:
    pandas = _pandas()
    _require(arrays, _ARRAY)
    if any(len(array) != len(index) for array in arrays):
        raise ProtocolError("columns of different lengths")
    series = {place: pandas.Series(array, dtype=array.dtype) for place, array in enumerate(arrays)}
    frame = pandas.DataFrame(series, index=range(len(index)))
    frame.index, frame.columns = index, columns
    return frame


def _build_index(array: Any, name: Any) -> Any:
    return _pandas().Index(array, dtype=array.dtype, name=name, tupleize_cols=False)


def _build_instants(array: Any, name: Any, frequency: Any) -> Any:
    index = _build_index(array, name)
    index.freq = frequency
    return index


def _build_multi(levels: list[Any], codes: list[Any], names: list[Any]) -> Any:
    _require(levels, _INDEX)
    _require(codes, {np.ndarray})
    return _pandas().MultiIndex(levels=levels, codes=codes, names=names)


def _build_masked(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> Any:
    array = getattr(_pandas().arrays, _MASKED[values.dtype.kind])(values, missing)
    if not hasattr(array.dtype, "numpy_dtype"):
        raise ProtocolError("numbers of a kind that cannot be missing")
    return array


def _build_strings(storage: str, floating: bool, words: list[Any]) -> Any:
    pandas = _pandas()
    _require(words, {str, NoneType})
    more = {"na_value": np.nan} if floating else {}
    return pandas.array(words, dtype=pandas.StringDtype(storage, **more))


def _build_times(values: np.ndarray[Any, Any], zone: str | None) -> Any:
    index = _pandas().Index(values)
    return (index if zone is None else index.tz_localize("UTC").tz_convert(_checked_zone(zone))).array


def _build_moment(value: Any, zone: str | None) -> Any:
    moment = _pandas().Timestamp(value)
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(_checked_zone(zone))


def _checked_zone(name: str) -> str:
    if not _ZONE.fullmatch(name):
        raise ProtocolError("no time zone")
    return name


def _build_missing(name: Any) -> Any:
    return {"NaTType": _pandas().NaT, "NAType": _pandas().NA}[name]


def _require(parts: list[Any], wanted: Set[Any]) -> None:
    """Raise ProtocolError unless the parts are what is wanted: of a class, or of a kind of pandas' data."""
    for part in parts:
        if (kind_of(type(part)) or type(part)) not in wanted or (type(part) is np.ndarray and part.ndim != 1):
            raise ProtocolError("data made of something else than they should")


_ANY: frozenset[Any] = frozenset()
_NAME = {str, NoneType}
_INDEX = {"index", "range", "instants", "multi"}
_ARRAY = {np.ndarray, "categories", "masked", "strings", "times", "periods", "intervals", "sparse"}

_Take = Callable[[Any], list[Any]]
_Wanted = tuple[Set[Any], ...]
_TABLE: dict[str, tuple[tuple[str, ...], _Take, _Wanted, Callable[..., Any]]] = {
    "frame": (("DataFrame",), _frame, (_INDEX, _INDEX, {list}), _build_frame),
    "series": (
        ("Series",),
        lambda value: [_values(value), value.index, value.name],
        (_ARRAY, _INDEX, _ANY),
        _build_series,
    ),
    "range": (
        ("RangeIndex",),
        lambda value: [value.start, value.stop, value.step, value.name],
        ({int}, {int}, {int}, _ANY),
        lambda start, stop, step, name: _pandas().RangeIndex(start, stop, step, name=name),
    ),
    "index": (
        ("Index", "PeriodIndex", "CategoricalIndex", "IntervalIndex"),
        lambda value: [_values(value), value.name],
        (_ARRAY, _ANY),
        _build_index,
    ),
    "instants": (("DatetimeIndex", "TimedeltaIndex"), _instants, ({"times"}, _ANY, _NAME), _build_instants),
    "multi": (("MultiIndex",), _multi, ({list}, {list}, {list}), _build_multi),
    "categories": (
        ("Categorical",),
        lambda value: [np.asarray(value.codes), value.categories, bool(value.ordered)],
        ({np.ndarray}, _INDEX, {bool}),
        lambda codes, categories, ordered: _pandas().Categorical.from_codes(codes, categories, ordered=ordered),
    ),
    "masked": (
        ("BooleanArray", "FloatingArray", "IntegerArray"),
        _masked,
        ({np.ndarray}, {np.ndarray}),
        _build_masked,
    ),
    "strings": (
        ("StringArray", "StringArrayNumpySemantics", "ArrowStringArray", "ArrowStringArrayNumpySemantics"),
        _strings,
        ({str}, {bool}, {list}),
        _build_strings,
    ),
    "times": (("DatetimeArray", "TimedeltaArray"), _times, ({np.ndarray}, _NAME), _build_times),
    "periods": (
        ("PeriodArray",),
        lambda value: [value.asi8, value.freqstr],
        ({np.ndarray}, {str}),
        lambda ordinals, frequency: _pandas().arrays.PeriodArray(ordinals, _pandas().PeriodDtype(frequency)),
    ),
    "intervals": (
        ("IntervalArray",),
        lambda value: [_values(value.left), _values(value.right), value.closed],
        (_ARRAY, _ARRAY, {str}),
        lambda left, right, closed: _pandas().arrays.IntervalArray.from_arrays(left, right, closed),
    ),
    "sparse": (
        ("SparseArray",),
        _sparse,
        ({np.ndarray}, {np.ndarray}),
        lambda values, fill: _pandas().arrays.SparseArray(values, fill_value=fill.item()),
    ),
    "moment": (("Timestamp",), _moment, ({np.datetime64}, _NAME), _build_moment),
    "duration": (
        ("Timedelta",),
        lambda value: [value.asm8],
        ({np.timedelta64},),
        lambda value: _pandas().Timedelta(value),
    ),
    "period": (
        ("Period",),
        lambda value: [value.ordinal, value.freqstr],
        ({int}, {str}),
        lambda ordinal, frequency: _pandas().Period(ordinal=ordinal, freq=frequency),
    ),
    "interval": (
        ("Interval",),
        lambda value: [value.left, value.right, value.closed],
        (_ANY, _ANY, {str}),
        lambda left, right, closed: _pandas().Interval(left, right, closed),
    ),
    "missing": (("NaTType", "NAType"), lambda value: [type(value).__name__], ({str},), _build_missing),
}
_KINDS = {name: kind for kind, (names, *_) in _TABLE.items() for name in names}
_TAKE = {kind: take for kind, (_, take, *_) in _TABLE.items()}


# ------------------------------------------------------------------------------------------------------ on the wire


def _write(encoder: Encoder, value: Any) -> Any:
    """Give the node of a value, or that of an object which stays where a part of it is of an unknown kind."""
    if encoder.in_frame:
        return _node(encoder, value)
    encoder.in_frame = True
    try:
        with encoder.peer.all_or_nothing(encoder):
            return _node(encoder, value)
    except _UnknownArrayError:
        if encoder.peer.known(value, encoder):
            raise TypeError(f"what was put into this {type(value).__name__} cannot be sent back") from None
        return encoder.peer.export(value, encoder)
    finally:
        encoder.in_frame = False


def _node(encoder: Encoder, value: Any) -> Any:
    kind = kind_of(type(value))
    parts = _TAKE[kind](value)
    encoder.register(value)
    return [Tag.FRAME, kind, *[encoder.apart(part) for part in parts]]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    with decoder.inside():
        parts = [decoder.apart(part) for part in node[2:]]
    *_, wanted, build = _TABLE[node[1]]
    for part, kinds in zip(parts, wanted, strict=True):
        if kinds:
            _require([part], kinds)
    value = build(*parts)
    return put(decoder.received(value) if hasattr(value, "size") else value)


KINDS.append((lambda _, cls: bool(kind_of(cls)), _write))
READERS[Tag.FRAME] = _read
