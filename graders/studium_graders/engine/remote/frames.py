"""Data of pandas' as plain data: taken apart into arrays, and rebuilt from these as the very same type.

pandas is no dependency: it is looked for when a value of it is met, and imported when one arrives.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from studium_graders.engine.remote.decode import READERS, Decoder
from studium_graders.engine.remote.encode import KINDS, Encoder
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

_ZONE = re.compile(r"(?!dateutil)[A-Za-z0-9_+:-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,2}")
_MASKED = {"b": "BooleanArray", "f": "FloatingArray", "i": "IntegerArray", "u": "IntegerArray"}  # by the kind of dtype


class _UnknownArrayError(Exception):
    """A value has an array of a kind that is not known here."""


def is_mutable(cls: type) -> bool:
    """Tell whether the instances of a class are frames or series, which code may change in place."""
    return kind_of(cls) in ("frame", "series")


def kind_of(cls: type) -> str:
    """Name the kind of pandas' data that the instances of a class are; "" where they are none."""
    return _KINDS.get(cls.__name__, "") if cls.__module__.partition(".")[0] == "pandas" else ""


def flat(value: Any) -> Iterator[Any]:
    """Give what a value holds, item by item, to be compared later."""
    kind = kind_of(type(value))
    if kind == "strings":
        yield repr(_strings(value))
    elif kind or isinstance(value, list | tuple):
        parts = _TAKE[kind](value) if kind else value
        yield from (kind, len(parts))
        for part in parts:
            yield from flat(part)
    elif isinstance(value, np.ndarray):
        yield from (value.dtype.str, len(value))
        yield from value.tolist() if value.dtype.hasobject else [value.tobytes()]
    else:
        yield value


def overwrite(value: Any, content: Any) -> None:
    """Give a frame or series the contents of another, in place."""
    value.__setstate__(content.__getstate__())


def with_missing(value: Any) -> Any:
    """Give a frame, series or index like one without rows that has one of missing values."""
    return value.reindex([0]) if is_mutable(type(value)) else type(value)([np.nan])


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
    """Take apart an index of moments or durations, with its frequency where a name says all of that."""
    named = value.freq is not None and _pandas().tseries.frequencies.to_offset(value.freqstr) == value.freq
    return [value.array, value.name, value.freqstr if named else None]


def _multi(value: Any) -> list[Any]:
    return [list(value.levels), [np.asarray(codes) for codes in value.codes], list(value.names)]


def _masked(value: Any) -> list[Any]:
    missing = np.asarray(value.isna())
    return [value.to_numpy(value.dtype.numpy_dtype, na_value=value.dtype.numpy_dtype.type(0)), missing]


def _strings(value: Any) -> list[Any]:
    missing = getattr(value.dtype, "na_value", None)
    return [value.dtype.storage, isinstance(missing, float), value.to_numpy(object, na_value=None).tolist()]


def _times(value: Any) -> list[Any]:
    zone = getattr(value, "tz", None)
    return [value.asi8.view(f"{value._ndarray.dtype.kind}8[{value.unit}]"), None if zone is None else str(zone)]


def _moment(value: Any) -> list[Any]:
    zone = getattr(value, "tzinfo", None)
    return [value.asm8, None if zone is None else str(zone)]


# ------------------------------------------------------------------------------------------------------ built again


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _build_series(array: Any, index: Any, name: Any) -> Any:
    return _pandas().Series(array, index=index, name=name, dtype=array.dtype)


def _build_frame(columns: Any, index: Any, arrays: list[Any]) -> Any:
    pandas = _pandas()
    series = {place: pandas.Series(array, dtype=array.dtype) for place, array in enumerate(arrays)}
    frame = pandas.DataFrame(series, index=range(len(index)))
    frame.index, frame.columns = index, columns
    if any(len(array) != len(index) for array in arrays):
        raise ProtocolError("columns of different lengths")
    return frame


def _build_index(array: Any, name: Any) -> Any:
    return _pandas().Index(array, dtype=array.dtype, name=name, tupleize_cols=False)


def _build_instants(array: Any, name: Any, frequency: Any) -> Any:
    index = _build_index(array, name)
    index.freq = frequency
    return index


def _build_multi(levels: Any, codes: Any, names: Any) -> Any:
    return _pandas().MultiIndex(levels=levels, codes=codes, names=names)


def _build_masked(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> Any:
    return getattr(_pandas().arrays, _MASKED[values.dtype.kind])(values, missing)


def _build_strings(storage: Any, floating: Any, words: list[Any]) -> Any:
    pandas = _pandas()
    more = {"na_value": np.nan} if floating is True else {}
    return pandas.array(words, dtype=pandas.StringDtype(storage, **more))


def _build_times(values: np.ndarray[Any, Any], zone: Any) -> Any:
    index = _pandas().Index(values)
    return (index if zone is None else index.tz_localize("UTC").tz_convert(_checked_zone(zone))).array


def _build_moment(value: Any, zone: Any) -> Any:
    moment = _pandas().Timestamp(value)
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(_checked_zone(zone))


def _checked_zone(name: Any) -> str:
    if type(name) is not str or not _ZONE.fullmatch(name):
        raise ProtocolError("no time zone")
    return name


def _build_missing(name: Any) -> Any:
    return {"NaTType": _pandas().NaT, "NAType": _pandas().NA}[name]


_Take = Callable[[Any], list[Any]]
_TABLE: dict[str, tuple[_Take, Callable[..., Any], tuple[str, ...]]] = {
    "frame": (_frame, _build_frame, ("DataFrame",)),
    "series": (lambda value: [_values(value), value.index, value.name], _build_series, ("Series",)),
    "range": (
        lambda value: [value.start, value.stop, value.step, value.name],
        lambda start, stop, step, name: _pandas().RangeIndex(start, stop, step, name=name),
        ("RangeIndex",),
    ),
    "index": (
        lambda value: [_values(value), value.name],
        _build_index,
        ("Index", "PeriodIndex", "CategoricalIndex", "IntervalIndex"),
    ),
    "instants": (_instants, _build_instants, ("DatetimeIndex", "TimedeltaIndex")),
    "multi": (_multi, _build_multi, ("MultiIndex",)),
    "categories": (
        lambda value: [np.asarray(value.codes), value.categories, bool(value.ordered)],
        lambda codes, categories, ordered: _pandas().Categorical.from_codes(codes, categories, ordered=ordered),
        ("Categorical",),
    ),
    "masked": (_masked, _build_masked, ("BooleanArray", "FloatingArray", "IntegerArray")),
    "strings": (
        _strings,
        _build_strings,
        ("StringArray", "StringArrayNumpySemantics", "ArrowStringArray", "ArrowStringArrayNumpySemantics"),
    ),
    "times": (_times, _build_times, ("DatetimeArray", "TimedeltaArray")),
    "periods": (
        lambda value: [value.asi8, value.freqstr],
        lambda ordinals, frequency: _pandas().arrays.PeriodArray(ordinals, _pandas().PeriodDtype(frequency)),
        ("PeriodArray",),
    ),
    "intervals": (
        lambda value: [_values(value.left), _values(value.right), value.closed],
        lambda left, right, closed: _pandas().arrays.IntervalArray.from_arrays(left, right, closed),
        ("IntervalArray",),
    ),
    "moment": (_moment, _build_moment, ("Timestamp",)),
    "duration": (lambda value: [value.asm8], lambda value: _pandas().Timedelta(value), ("Timedelta",)),
    "period": (
        lambda value: [value.ordinal, value.freqstr],
        lambda ordinal, frequency: _pandas().Period(ordinal=ordinal, freq=frequency),
        ("Period",),
    ),
    "interval": (
        lambda value: [value.left, value.right, value.closed],
        lambda left, right, closed: _pandas().Interval(left, right, closed),
        ("Interval",),
    ),
    "missing": (lambda value: [type(value).__name__], _build_missing, ("NaTType", "NAType")),
}
_KINDS = {name: kind for kind, (_, _, names) in _TABLE.items() for name in names}
_TAKE = {kind: take for kind, (take, _, _) in _TABLE.items()}


# ------------------------------------------------------------------------------------------------------ on the wire


def _write(encoder: Encoder, value: Any) -> Any:
    kind = kind_of(type(value))
    try:
        parts = _TAKE[kind](value)
    except _UnknownArrayError:
        return encoder.peer.export(value, encoder)
    encoder.register(value)
    return [Tag.FRAME, kind, *[encoder.apart(part) for part in parts]]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    with decoder.inside():
        parts = [decoder.apart(part) for part in node[2:]]
    value = _TABLE[node[1]][1](*parts)
    return put(decoder.received(value) if hasattr(value, "reindex") else value)


KINDS.append((lambda _, cls: bool(kind_of(cls)), _write))
READERS[Tag.FRAME] = _read
