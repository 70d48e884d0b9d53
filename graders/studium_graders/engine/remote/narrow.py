"""Numbers of few digits where the reference gives others: what a test compares with them is rounded as they are.

An infinity of half precision is equal to each plain number above 65504, a zero to each near 0, and a number of eight
bits to all that lie around it; torch leaves out what an integer of few bits cannot hold, so that 0 is equal to 1024. A
test that passes with one is run again with the same number in more digits.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.frame_parts import build_frame, build_series, kind_of, values_of
from studium_graders.engine.remote.policy import NARROW

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

_SINGLE = 4  # bytes; numbers of this size round beyond 1e38 alone


def received(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give a number, an array or data of pandas' that have arrived, or the same with more digits."""
    if decoder.changing or not _is_narrow(value) or policy.expects_empty(*(place + NARROW for place in decoder.places)):
        return value
    return value if policy.filling is None else _widened(value)


def _is_narrow(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        stays = isinstance(value, torch.nn.Parameter) or (value.is_leaf and value.requires_grad)
        return _is_narrow_tensor(value) and not stays
    if isinstance(value, np.ndarray | np.generic):
        known = value.dtype.kind == "f" and value.dtype.itemsize <= _SINGLE
        return known and (value.dtype.itemsize < _SINGLE or bool(np.isinf(value).any()))
    if kind_of(type(value)) == "frame":
        return any(_is_narrow(values_of(column)) for _, column in value.items())
    return kind_of(type(value)) == "series" and _is_narrow(values_of(value))


def _is_narrow_tensor(value: torch.Tensor) -> bool:
    kind = value.dtype
    if kind.is_floating_point or kind.is_complex or kind is torch.bool:
        return kind.is_floating_point and value.element_size() < _SINGLE
    mask = kind is torch.uint8 and value.numel() > 0 and (int(value.min()), int(value.max())) == (0, 1)
    return value.element_size() < torch.int64.itemsize and not mask


def _widened(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(torch.float32 if value.dtype.is_floating_point else torch.int64)
    if isinstance(value, np.ndarray | np.generic):
        return value.astype(np.float64)
    if kind_of(type(value)) == "series":
        return build_series(_widened(values_of(value)), value.index, value.name)
    columns = [values_of(column) for _, column in value.items()]
    wide = [_widened(column) if _is_narrow(column) else column for column in columns]
    return build_frame(value.columns, value.index, wide)
