"""Arrays without elements where the reference gives some: with them ``np.allclose`` and ``all`` hold in any case.

So they do with what pandas leaves out because it is missing. A test that passes with one is run again with others in
its place, and earns the lesser.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.frame_parts import build_frame, build_series, kind_of, pandas, values_of
from studium_graders.engine.remote.policy import FULL

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

FILLINGS = (math.nan, 0.0, math.inf, -math.inf)
"""What an array is filled with, once with each: none holds in all tests, as NaN does where one says what may not be."""
_MOST_AXES = 3  # along which an array gets several elements


def mixed(filling: float) -> tuple[float, ...]:
    """Give elements in no order, and not all of them different: a test may ask nothing but how they follow."""
    return filling, 1.0, 0.0, filling


def received(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give an array that has arrived, or what takes the place of one without elements."""
    return checked(value, decoder.places, policy)


def checked(value: Any, places: tuple[str, ...], policy: "Policy") -> Any:
    """Give an array from one of these places, or what takes the place of one without elements."""
    if not _lacks(value, policy) or (not policy.expects(FULL, *places) and policy.expects_empty(*places)):
        return value
    return value if policy.filling is None else _filled(value, policy.filling)


def _lacks(value: Any, policy: "Policy") -> bool:
    """Tell whether a value lacks elements; an array of NaN of the reference's may be a series in an answer."""
    if kind_of(type(value)):
        return _frame_lacks(value)
    if isinstance(value, torch.Tensor):
        return not value.numel()
    return not value.size or (policy.recording and value.dtype.kind in "fc" and bool(np.isnan(value).all()))


def _filled(value: Any, filling: float) -> Any:
    if kind_of(type(value)):
        return _filled_frame(value, mixed(math.nan))
    elements, shape = mixed(filling), [1] * value.ndim
    for axis in [axis for axis, size in enumerate(value.shape) if not size][:_MOST_AXES]:
        shape[axis] = len(elements)  # where it is compared with what one without elements can be compared with
    array = np.resize(elements, shape)
    return torch.tensor(array, dtype=torch.float32) if isinstance(value, torch.Tensor) else array


def _frame_lacks(value: Any) -> bool:
    """Tell whether data have no elements, or have some that are left out where all are asked for: these hold anyway."""
    if kind_of(type(value)) == "frame":
        return not value.size or any(_has_na(column) for _, column in value.items())
    return _is_all_missing(value) or _has_na(value)


def _filled_frame(value: Any, elements: tuple[float, ...]) -> Any:
    """Give what takes the place of data that lack something: these elements, or NaN for each that is left out."""
    if kind_of(type(value)) == "frame":
        if value.size:
            return build_frame(value.columns, value.index, [_with_nan(column) for _, column in value.items()])
        columns = value.columns if len(value.columns) else [0]
        return pandas().DataFrame(np.tile(np.array(elements), (len(columns), 1)).T, columns=columns)
    array = np.array(elements) if _is_all_missing(value) else _with_nan(value)
    if kind_of(type(value)) == "series":
        return build_series(array, value.index if len(array) == len(value) else None, value.name)
    return pandas().Index(array) if hasattr(value, "nlevels") else array


def _is_all_missing(value: Any) -> bool:
    return not value.size or (not hasattr(value, "nlevels") and bool(value.isna().all()))


def _has_na(values: Any) -> bool:
    """Tell whether values have a missing one of which no comparison is false, as one with NaN is."""
    if values.dtype == object:
        return any(item is pandas().NA for item in np.asarray(values))
    return getattr(values.dtype, "na_value", None) is pandas().NA and bool(values.isna().any())


def _with_nan(values: Any) -> Any:
    """Give the array of values, with NaN for each missing one of which no comparison is false."""
    if not _has_na(values):
        return values_of(values) if hasattr(values, "array") else values
    found = np.array([np.nan if missing else item for item, missing in zip(values, values.isna(), strict=True)], object)
    return values_of(pandas().Series(found).infer_objects())
