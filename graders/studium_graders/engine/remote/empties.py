"""Arrays without elements where the reference gives some: with them ``np.allclose`` and ``all`` hold in any case.

So they do with what pandas leaves out because it is missing. A test that passes with one is run again with others in
its place, and earns the lesser.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.frames import filled, kind_of, lacks
from studium_graders.engine.remote.policy import ITEM

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

FILLINGS = (math.nan, 0.0)
"""What an array is filled with, once with each: not all zeros hold, and some NaN does."""
_OF_PANDAS = (math.nan, 1.0, 0.0, math.nan)
"""Elements of data of pandas', which leaves out what is missing: in no order, and not all of them different."""


def received(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give an array that has arrived, or what takes the place of one without elements."""
    if not _lacks(value, policy) or policy.expects_empty(decoder.path + (ITEM if decoder.depth else "")):
        return value
    return value if policy.filling is None else _filled(value, policy.filling)


def _lacks(value: Any, policy: "Policy") -> bool:
    """Tell whether a value lacks elements; an array of NaN of the reference's may be a series in an answer."""
    if kind_of(type(value)):
        return lacks(value)
    if isinstance(value, torch.Tensor):
        return not value.numel()
    return not value.size or (policy.recording and value.dtype.kind in "fc" and bool(np.isnan(value).all()))


def _filled(value: Any, filling: float) -> Any:
    if kind_of(type(value)):
        return filled(value, _OF_PANDAS)
    shape = (1,) * value.ndim
    return torch.full(shape, filling) if isinstance(value, torch.Tensor) else np.full(shape, filling)
