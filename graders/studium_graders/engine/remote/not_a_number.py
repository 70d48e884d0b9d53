"""NaN where the reference gives none: no comparison with it is true, so what a test says may not be is not.

``if abs(x - 5) > 1e-6: raise`` is passed by it. A test that passes with one is run again with numbers in its place.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.frame_parts import kind_of
from studium_graders.engine.remote.policy import CONTAINER, NAN

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy


def received(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give numbers that have arrived, with others for those that are none where the reference's all are.

    Where that gives None, something empty or data of pandas' that lack some, an answer may give NaN.
    """
    if decoder.changing or not (_lacks(value) if policy.recording else _has_nan(value)):
        return value
    expected = policy.expects_empty(*(place + sign for sign in (NAN, CONTAINER) for place in decoder.places))
    return value if expected or policy.filling is None else _replaced(value, policy.filling)


def _lacks(value: Any) -> bool:
    if kind_of(type(value)) in ("frame", "series"):
        return bool(np.any(value.isna()))
    return value is None or _has_nan(value)


def _has_nan(value: Any) -> bool:
    if isinstance(value, float | complex):
        return bool(value != value)
    if isinstance(value, torch.Tensor):
        stays = value.is_leaf and value.requires_grad
        known = value.layout is torch.strided and (value.is_floating_point() or value.is_complex())
        return known and not stays and bool(torch.isnan(value).any())
    if kind_of(type(value)) or not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fc":
        return False
    return bool(np.isnan(value).any())


def _replaced(value: Any, filling: float) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.where(torch.isnan(value), filling, value)
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.type(filling) if value.ndim == 0 else np.where(np.isnan(value), filling, value)
    return filling
