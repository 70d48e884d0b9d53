"""Arrays of many numbers where the reference gives one: among them there may be one that is right.

``np.sum([f(x) == y for x, y in cases])`` counts each that equals something, and ``.any()`` is content with one. A test
that passes with such an array is run again with single elements of it. Where these do not pass, their mean or their sum
may: no answer gains by that, for it could have given this number itself, and ``f(x).mean()`` is right for an answer
that gives the losses of all samples.
"""

import array
import math
from collections import UserList, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.frame_parts import kind_of
from studium_graders.engine.remote.policy import ONE, item_of

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

REDUCTIONS = ("mean", "sum")
_ARRAYS = (np.ndarray, torch.Tensor)
_SEQUENCES = (list, tuple, deque, UserList, range, array.array, memoryview)
_NUMBERS = (int, float, complex, np.number, np.bool_, Decimal, Fraction)


def note(value: Any, path: str, policy: "Policy") -> None:
    """Note whether the reference gives a number at a path, or something else."""
    policy.met(ONE, path, alone=is_number(value))
    if isinstance(value, _ARRAYS) and value.ndim:
        policy.met(ONE, item_of(path), alone=value.ndim == 1)


def note_items(container: Iterable[Any], path: str, policy: "Policy") -> None:
    """Note what the items of a container are."""
    items = list(container.values() if isinstance(container, Mapping) else container)
    if items:
        policy.met(ONE, item_of(path), alone=all(map(is_number, items)))


def is_number(value: Any) -> bool:
    """Tell whether a value is a number, or an array of one."""
    if isinstance(value, _ARRAYS):
        return math.prod(value.shape) == 1
    return isinstance(value, _NUMBERS)


def received(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give an array that has arrived, or one of its elements where the reference gives a number alone."""
    if decoder.changing or not _has_several(value) or not policy.expects(ONE, decoder.origin):
        return value
    return value if policy.filling is None else _one_of(_flat(value), policy.filling, policy.reduction)


def given(value: Any, path: str, policy: "Policy") -> Any:
    """Give what a request gave, or an item of a list where the reference gives a number: it may become an array."""
    if not isinstance(value, _SEQUENCES) or len(value) <= 1 or not policy.expects(ONE, path):
        return value
    return value if policy.filling is None else _one_of(value, policy.filling, policy.reduction)


def _has_several(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.layout is torch.strided and value.numel() > 1
    return bool(isinstance(value, np.ndarray) or kind_of(type(value))) and value.size > 1


def _flat(value: Any) -> Any:
    return (value if isinstance(value, torch.Tensor) else np.asarray(value)).reshape(-1)


def _one_of(items: Any, filling: float, reduction: str) -> Any:
    """Give what a reduction makes of the items where it can, else one of them."""
    if reduction:
        with suppress(TypeError, ValueError, RuntimeError):  # they are no numbers
            whole = isinstance(items, torch.Tensor) and not (items.is_floating_point() or items.is_complex())
            numbers = items.double() if whole else items if isinstance(items, torch.Tensor) else np.asarray(items)
            return getattr(numbers, reduction)()
    return _at(items, filling)


def _at(items: Any, filling: float) -> Any:
    """Give an item for each of ``FILLINGS``: the first, the last, and two in between."""
    if not filling:
        return items[0]
    return items[-1] if math.isnan(filling) else items[len(items) // (2 if filling > 0 else 3)]
