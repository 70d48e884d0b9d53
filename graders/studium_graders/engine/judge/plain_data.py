"""Which values are plain data, of which a copy is as good."""

from collections import deque
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.dataframe_parts import kind_of

_ARRAYS = (np.ndarray, torch.Tensor)
_SEQUENCES = (list, tuple, deque)
_DATA = (*_ARRAYS, *_SEQUENCES, dict, set, frozenset, bytearray, str, bytes, bool, int, float, complex, type(None))


def is_plain_data(value: Any, deepest: int = 20) -> bool:
    """Return whether a value is plain data; None is not: it may be no value."""
    kind = type(value)
    if kind in _SEQUENCES or kind in (set, frozenset):
        return deepest > 0 and all(item is None or is_plain_data(item, deepest - 1) for item in value)
    if kind is dict:
        return is_plain_data(list(value.keys()), deepest) and is_plain_data(list(value.values()), deepest)
    if kind in _ARRAYS:
        return not (value.requires_grad if kind is torch.Tensor else value.dtype.hasobject)
    return value is not None and (kind in _DATA or issubclass(kind, np.generic) or bool(kind_of(kind)))
