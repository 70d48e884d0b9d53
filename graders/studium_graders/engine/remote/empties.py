"""Arrays without elements where the reference gives some: with them ``np.allclose`` and ``all`` hold in any case.

A test that passes with one is run again with others in its place, and earns the lesser.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.frames import filled, kind_of
from studium_graders.engine.remote.policy import ITEM

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

ELEMENTS = (math.nan, 1.0, 0.0, math.nan)
"""Not all of them hold, and some do; some are missing; they are in no order, and not all different."""


def received(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give an array that has arrived, or what takes the place of one without elements."""
    size = value.numel() if isinstance(value, torch.Tensor) else value.size
    if size or policy.expects_empty(decoder.path + (ITEM if decoder.depth else "")):
        return value
    return _filled(value) if policy.filling else value


def _filled(value: Any) -> Any:
    if kind_of(type(value)):
        return filled(value, ELEMENTS)
    shape = (1,) * (value.ndim - 1) + (-1,)
    return (torch.tensor if isinstance(value, torch.Tensor) else np.array)(ELEMENTS).reshape(shape)
