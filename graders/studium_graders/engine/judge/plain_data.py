"""Which values are plain data, of which a copy is as good."""

from collections import deque
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.dataframe_parts import kind_of
from studium_graders.engine.kinds.proxies import is_proxy

_ARRAYS = (np.ndarray, torch.Tensor)
_SEQUENCES = (list, tuple, deque)
_DATA = (*_ARRAYS, *_SEQUENCES, dict, set, frozenset, bytearray, str, bytes, bool, int, float, complex, type(None))


def is_plain_data(value: Any, deepest: int = 20, *, objects: bool = False) -> bool:
    """Return whether a value is plain data, not None: it may be no value. ``objects``: the student's may be in it."""
    kind = type(value)
    if kind in _SEQUENCES or kind in (set, frozenset):
        inside = deepest - 1
        return deepest > 0 and all(item is None or is_plain_data(item, inside, objects=objects) for item in value)
    if kind is dict:
        return all(is_plain_data(list(part), deepest, objects=objects) for part in (value.keys(), value.values()))
    if kind in _ARRAYS:
        return not (value.requires_grad if kind is torch.Tensor else value.dtype.hasobject)
    known = kind in _DATA or issubclass(kind, np.generic) or bool(kind_of(kind))
    return value is not None and (known or (objects and is_proxy(value)))
