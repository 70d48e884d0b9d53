"""NaN where the reference gives none: no comparison with it is true, so what a test says may not be is not.

``if abs(x - 5) > 1e-6: raise`` is passed by it, and by a time that is none. Data of pandas' leave it out, so that the
largest of them is the largest of those that are there. A test that passes with one is run again with numbers in its
place.
"""

import array
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.frame_parts import build, build_frame, build_series, kind_of, pandas, take_apart
from studium_graders.engine.remote.frame_parts import values_of as column_of
from studium_graders.engine.remote.policy import CONTAINER, NAN, item_of

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

_LARGE = 1e18  # in place of an infinity: what is computed with that may be NaN again
_FAR = 1 << 62  # steps of a time from 1970
_TABLES = ("frame", "series", "index", "instants")
_COLUMNS = (*_TABLES[1:], "masked", "sparse", "times")


def received(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give numbers that have arrived, with others for those that are none where the reference's all are.

    Where that gives None, something empty or data of pandas' that lack some, an answer may give NaN.
    """
    if _stays(value):
        return value
    if policy.recording and decoder.depth and has_nan(value):
        policy.empties.add(_of_items(decoder.path))
    known = isinstance(value, float | complex | Decimal) or _of_items(decoder.path) not in policy.empties
    return checked(value, decoder.places, policy) if known or policy.recording else value


def _of_items(path: str) -> str:
    """Give the entry of where items of a container are none: an array may be an answer's form of that."""
    return item_of(path) + NAN + NAN


def checked(value: Any, places: tuple[str, ...], policy: "Policy") -> Any:
    """Give numbers from one of these places, with others for those that are none there with the reference."""
    if not (has_nan(value) or (value is None and policy.recording)):
        return value
    expected = policy.expects_empty(*(place + sign for sign in (NAN, CONTAINER) for place in places))
    return value if expected or policy.filling is None else replaced(value, policy.filling)


def _stays(value: Any) -> bool:
    """Tell whether a tensor is one that both sides have, of which the contents are looked at as they come."""
    return isinstance(value, torch.Tensor) and value.is_leaf and value.requires_grad


def has_nan(value: Any) -> bool:
    """Tell whether a value is or holds a number, or a time, that is none."""
    if isinstance(value, float | complex):
        return bool(value != value)
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, torch.Tensor):
        return _tensor_has_nan(value)
    if isinstance(value, array.array | memoryview):
        return bool(np.isnan(np.asarray(value)).any()) if _code(value) in "fd" else False
    if kind := kind_of(type(value)):
        return _data_have_nan(kind, value)
    return isinstance(value, np.ndarray | np.generic) and _array_has_nan(np.asarray(value))


def replaced(value: Any, filling: float) -> Any:
    """Give the same with another number in place of each that is none."""
    filling = math.copysign(_LARGE, filling) if math.isinf(filling) else filling
    if isinstance(value, torch.Tensor):
        return _tensor_without(value, filling)
    if isinstance(value, array.array | memoryview):
        found = _array_without(np.asarray(value), filling)
        return array.array(value.typecode, found) if isinstance(value, array.array) else memoryview(found.data)
    if kind := kind_of(type(value)):
        return _data_without(kind, value, filling)
    if isinstance(value, np.ndarray):
        return _array_without(value, filling)
    if isinstance(value, np.generic):
        return _array_without(np.asarray(value), filling)[()]
    return Decimal(filling) if isinstance(value, Decimal) else filling


def _code(value: Any) -> str:
    return str(value.typecode if isinstance(value, array.array) else value.format)


# ------------------------------------------------------------------------------------------------ tensors and arrays


def _tensor_has_nan(value: torch.Tensor) -> bool:
    if not (value.is_floating_point() or value.is_complex()):
        return False
    elements = value._values() if value.layout is torch.sparse_coo else value
    if elements.layout is not torch.strided:
        return False
    plain = elements.float() if elements.element_size() == 1 else elements
    return bool(torch.isnan(plain).any())


def _tensor_without(value: torch.Tensor, filling: float) -> torch.Tensor:
    if value.layout is not torch.strided:
        values = _tensor_without(value._values(), filling)
        return torch.sparse_coo_tensor(value._indices(), values, value.shape).coalesce()
    if value.element_size() == 1:
        return _tensor_without(value.float(), filling).to(value.dtype)
    return torch.where(torch.isnan(value), filling, value)


def _array_has_nan(value: np.ndarray[Any, Any]) -> bool:
    if value.dtype.names:
        return any(_array_has_nan(value[name]) for name in value.dtype.names)
    if value.dtype.kind in "mM":
        return bool(np.isnat(value).any())
    return value.dtype.kind in "fc" and bool(np.isnan(value).any())


def _array_without(value: np.ndarray[Any, Any], filling: float) -> np.ndarray[Any, Any]:
    if not _array_has_nan(value):
        return value
    found = value.copy()
    for name in found.dtype.names or ():
        found[name] = _array_without(found[name], filling)
    if found.dtype.kind in "mM":
        found.view(np.int64)[np.isnat(found)] = _step(filling)
    elif not found.dtype.names:
        found[np.isnan(found)] = filling
    return found


def _step(filling: float) -> int:
    if math.isnan(filling):
        return int(np.datetime64("NaT").view(np.int64))
    return int(math.copysign(_FAR, filling)) if filling else 0


# ------------------------------------------------------------------------------------------------ data of pandas'


def _data_have_nan(kind: str, value: Any) -> bool:
    if kind == "missing":
        return value is pandas().NaT
    if kind == "frame":
        return any(_missing(column_of(column)).any() for _, column in value.items())
    return kind in _COLUMNS and bool(_missing(_values(value)).any())


def _values(value: Any) -> Any:
    return column_of(value) if kind_of(type(value)) in _TABLES else value


def _missing(column: Any) -> Any:
    """Tell of each number or time in a column whether it is none; of texts and categories nothing is."""
    if column.dtype == object:
        return np.array([item is pandas().NA or (isinstance(item, float) and item != item) for item in column], bool)
    if kind_of(type(column)) in ("", *_COLUMNS):
        return np.asarray(pandas().isna(column))
    return np.zeros(len(column), bool)


def _data_without(kind: str, value: Any, filling: float) -> Any:
    if kind == "missing":
        return pandas().Timestamp(_step(filling))
    if kind == "frame":
        columns = [_column_without(column_of(column), filling) for _, column in value.items()]
        return build_frame(value.columns, value.index, columns)
    found = _column_without(_values(value), filling)
    if kind == "series":
        return build_series(found, value.index, value.name)
    return pandas().Index(found, name=value.name) if kind in _TABLES else found


def _column_without(column: Any, filling: float) -> Any:
    missing = _missing(column)
    if not missing.any():
        return column
    if kind_of(type(column)) == "times":
        values, zone = take_apart(column)
        return build("times", [_array_without(values, filling), zone])
    numbers = column.astype(object) if column.dtype == object else np.asarray(column.astype(float))
    return np.where(missing, filling, numbers)
