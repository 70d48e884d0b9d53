"""Data of pandas' as parts: taken apart into arrays, and rebuilt from these as the very same type.

pandas is no dependency: it is looked for when a value of it is met, and imported when one arrives.
"""

import importlib
import re
from collections.abc import Callable, Set
from types import NoneType
from typing import Any

import numpy as np

from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import NotPlainError

_ZONE = re.compile(r"(?!dateutil)[A-Za-z0-9_+:-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,2}")
_MASKED = {"b": "BooleanArray", "f": "FloatingArray", "i": "IntegerArray", "u": "IntegerArray"}  # by the kind of dtype


class UnknownPartError(NotPlainError):
    """A value has an array, or a time zone, of a kind that is not known here."""

    def __init__(self) -> None:
        super().__init__("data of pandas' with an array, or a time zone, of a kind that cannot be sent")


def kind_of(cls: type) -> str:
    """Name the kind of pandas' data that the instances of a class are; "" where they are none."""
    return _KINDS.get(cls.__name__, "") if str(cls.__module__).partition(".")[0] == "pandas" else ""


def take_apart(value: Any) -> list[Any]:
    """Return the parts of a value of pandas'. Raise UnknownPartError where one of them cannot be taken apart."""
    return _TABLE[kind_of(type(value))][1](value)


def build(kind: Any, parts: list[Any]) -> Any:
    """Build a value from its parts; raise ProtocolError, or what pandas raises, where they are not of its kind."""
    *_, wanted, make = _TABLE[kind]
    for part, kinds in zip(parts, wanted, strict=True):
        if kinds:
            _require([part], kinds)
    return make(*parts)


def pandas() -> Any:
    """Return pandas itself."""
    return importlib.import_module("pandas")


# ------------------------------------------------------------------------------------------------------ taken apart


def values_of(value: Any) -> Any:
    """Return the values of a series or an index as an array of NumPy's, or of pandas' own."""
    if isinstance(value.dtype, np.dtype) and value.dtype.kind not in "mM":
        return value.to_numpy()
    if not kind_of(type(value.array)):
        raise UnknownPartError
    return value.array


def _frame(value: Any) -> list[Any]:
    return [value.columns, value.index, [values_of(column) for _, column in value.items()]]


def _instants(value: Any) -> list[Any]:
    return [value.array, value.name, _frequency(value.freq)]


def _frequency(offset: Any) -> str | None:
    """Return the name of a frequency where it says all of that."""
    try:
        named = offset is not None and pandas().tseries.frequencies.to_offset(offset.freqstr) == offset
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
    """Return the name of a time zone."""
    if zone is not None and not _ZONE.fullmatch(str(zone)):
        raise UnknownPartError
    return None if zone is None else str(zone)


# ------------------------------------------------------------------------------------------------------ built again


def build_series(array: Any, index: Any, name: Any) -> Any:
    """Build a series of the very kind that the array has."""
    return pandas().Series(array, index=index, name=name, dtype=array.dtype)


def build_frame(columns: Any, index: Any, arrays: list[Any]) -> Any:
    """Build a frame; columns may have names that are not unique."""
    _require(arrays, _ARRAY)
    if any(len(array) != len(index) for array in arrays):
        raise ProtocolError("columns of different lengths")
    series = {place: pandas().Series(array, dtype=array.dtype) for place, array in enumerate(arrays)}
    frame = pandas().DataFrame(series, index=range(len(index)))
    frame.index, frame.columns = index, columns
    return frame


def _build_index(array: Any, name: Any) -> Any:
    return pandas().Index(array, dtype=array.dtype, name=name, tupleize_cols=False)


def _build_instants(array: Any, name: Any, frequency: Any) -> Any:
    index = _build_index(array, name)
    index.freq = frequency
    return index


def _build_multi(levels: list[Any], codes: list[Any], names: list[Any]) -> Any:
    _require(levels, _INDEX)
    _require(codes, {np.ndarray})
    return pandas().MultiIndex(levels=levels, codes=codes, names=names)


def _build_masked(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any]) -> Any:
    array = getattr(pandas().arrays, _MASKED[values.dtype.kind])(values, missing)
    if not hasattr(array.dtype, "numpy_dtype"):
        raise ProtocolError("numbers of a kind that cannot be missing")
    return array


def _build_strings(storage: str, floating: bool, words: list[Any]) -> Any:
    _require(words, {str, NoneType})
    more = {"na_value": np.nan} if floating else {}
    return pandas().array(words, dtype=pandas().StringDtype(storage, **more))


def _build_times(values: np.ndarray[Any, Any], zone: str | None) -> Any:
    index = pandas().Index(values)
    return (index if zone is None else index.tz_localize("UTC").tz_convert(_checked_zone(zone))).array


def _build_moment(value: Any, zone: str | None) -> Any:
    moment = pandas().Timestamp(value)
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(_checked_zone(zone))


def _checked_zone(name: str) -> str:
    if not _ZONE.fullmatch(name):
        raise ProtocolError("no time zone")
    return name


def _build_missing(name: Any) -> Any:
    return {"NaTType": pandas().NaT, "NAType": pandas().NA}[name]


def _require(parts: list[Any], wanted: Set[Any]) -> None:
    """Raise ProtocolError unless the parts are what is wanted: of a class, or of a kind of pandas' data."""
    for part in parts:
        if (kind_of(type(part)) or type(part)) not in wanted or (type(part) is np.ndarray and part.ndim != 1):
            raise ProtocolError("data made of something else than they should")


_ANY: frozenset[Any] = frozenset()
_NAME = {str, NoneType}
_INDEX = {"index", "range", "instants", "multi"}
ARRAYS = {"categories", "masked", "strings", "times", "periods", "intervals", "sparse"}
_ARRAY = {np.ndarray, *ARRAYS}

_Take = Callable[[Any], list[Any]]
_Wanted = tuple[Set[Any], ...]
_TABLE: dict[str, tuple[tuple[str, ...], _Take, _Wanted, Callable[..., Any]]] = {
    "frame": (("DataFrame",), _frame, (_INDEX, _INDEX, {list}), build_frame),
    "series": (
        ("Series",),
        lambda value: [values_of(value), value.index, value.name],
        (_ARRAY, _INDEX, _ANY),
        build_series,
    ),
    "range": (
        ("RangeIndex",),
        lambda value: [value.start, value.stop, value.step, value.name],
        ({int}, {int}, {int}, _ANY),
        lambda start, stop, step, name: pandas().RangeIndex(start, stop, step, name=name),
    ),
    "index": (
        ("Index", "PeriodIndex", "CategoricalIndex", "IntervalIndex"),
        lambda value: [values_of(value), value.name],
        (_ARRAY, _ANY),
        _build_index,
    ),
    "instants": (("DatetimeIndex", "TimedeltaIndex"), _instants, ({"times"}, _ANY, _NAME), _build_instants),
    "multi": (("MultiIndex",), _multi, ({list}, {list}, {list}), _build_multi),
    "categories": (
        ("Categorical",),
        lambda value: [np.asarray(value.codes), value.categories, bool(value.ordered)],
        ({np.ndarray}, _INDEX, {bool}),
        lambda codes, categories, ordered: pandas().Categorical.from_codes(codes, categories, ordered=ordered),
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
        lambda ordinals, frequency: pandas().arrays.PeriodArray(ordinals, pandas().PeriodDtype(frequency)),
    ),
    "intervals": (
        ("IntervalArray",),
        lambda value: [values_of(value.left), values_of(value.right), value.closed],
        (_ARRAY, _ARRAY, {str}),
        lambda left, right, closed: pandas().arrays.IntervalArray.from_arrays(left, right, closed),
    ),
    "sparse": (
        ("SparseArray",),
        _sparse,
        ({np.ndarray}, {np.ndarray}),
        lambda values, fill: pandas().arrays.SparseArray(values, fill_value=fill.item()),
    ),
    "moment": (("Timestamp",), _moment, ({np.datetime64}, _NAME), _build_moment),
    "duration": (
        ("Timedelta",),
        lambda value: [value.asm8],
        ({np.timedelta64},),
        lambda value: pandas().Timedelta(value),
    ),
    "period": (
        ("Period",),
        lambda value: [value.ordinal, value.freqstr],
        ({int}, {str}),
        lambda ordinal, frequency: pandas().Period(ordinal=ordinal, freq=frequency),
    ),
    "interval": (
        ("Interval",),
        lambda value: [value.left, value.right, value.closed],
        (_ANY, _ANY, {str}),
        lambda left, right, closed: pandas().Interval(left, right, closed),
    ),
    "missing": (("NaTType", "NAType"), lambda value: [type(value).__name__], ({str},), _build_missing),
}
_KINDS = {name: kind for kind, (names, *_) in _TABLE.items() for name in names}
