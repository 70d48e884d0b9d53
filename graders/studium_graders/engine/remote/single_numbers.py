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
from studium_graders.engine.remote.policy import ONE, PLAINLY, item_of

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

REDUCTIONS = ("mean", "sum")
_ARRAYS = (np.ndarray, torch.Tensor)
_SEQUENCES = (list, tuple, deque, UserList, range, array.array, memoryview)
_WITH_ARGUMENTS = 3  # what is called, arguments by place, and by name
_NUMBERS = (int, float, complex, np.number, np.bool_, Decimal, Fraction)


def note(value: Any, path: str, parts: tuple[Any, ...], policy: "Policy") -> None:
    """Note whether the reference gives a number at a path, in a request with these parts, or something else."""
    for place in (path, path + kind_of_call(parts)):
        policy.met(ONE, place, alone=is_number(value))
    if isinstance(value, _ARRAYS) and value.ndim:
        policy.met(ONE, item_of(path), alone=value.ndim == 1)


def kind_of_call(parts: tuple[Any, ...]) -> str:
    """Give what follows a path where nothing but numbers and texts is passed: of an array, there may be many."""
    if len(parts) < _WITH_ARGUMENTS or not (isinstance(parts[-2], tuple) and isinstance(parts[-1], dict)):
        return ""
    passed = (*parts[-2], *parts[-1].values())
    return PLAINLY if all(is_number(value) or isinstance(value, str) for value in passed) else ""


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
    """Give an array that has arrived, or one of its elements where the reference gives a number alone.

    Where it gives a row of numbers, this may be one of the columns of many rows.
    """
    if decoder.changing or not _has_several(value):
        return value
    if policy.expects(ONE, decoder.origin, decoder.origin + decoder.peer.kind_of_call()):
        return value if policy.filling is None else _one_of(_flat(value), policy)
    if _has_rows(value) and policy.expects(ONE, item_of(decoder.origin)):
        return value if policy.filling is None else _one_of(_columns(value), policy)
    return value


def given(value: Any, path: str, parts: tuple[Any, ...], policy: "Policy") -> Any:
    """Give what a request gave, or an item of a list where the reference gives a number: it may become an array.

    So it is with the items of a list of lists where the reference gives a list of numbers.
    """
    if not isinstance(value, _SEQUENCES) or len(value) <= 1:
        return value
    if policy.expects(ONE, path, path + kind_of_call(parts)):
        return value if policy.filling is None else _one_of(value, policy)
    rows = all(isinstance(row, _SEQUENCES) and len(row) > 1 for row in value)
    if rows and policy.expects(ONE, item_of(path)):
        return value if policy.filling is None else [_one_of(row, policy) for row in value]
    return value


def _has_several(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.layout is torch.strided and value.numel() > 1
    return bool(isinstance(value, np.ndarray) or kind_of(type(value))) and value.size > 1


def _has_rows(value: Any) -> bool:
    return len([size for size in value.shape if size > 1]) > 1


def _columns(value: Any) -> Any:
    plain = value if isinstance(value, torch.Tensor) else np.asarray(value)
    return plain.movedim(-1, 0) if isinstance(plain, torch.Tensor) else np.moveaxis(plain, -1, 0)


def _flat(value: Any) -> Any:
    return (value if isinstance(value, torch.Tensor) else np.asarray(value)).reshape(-1)


def _one_of(items: Any, policy: "Policy") -> Any:
    """Give what a reduction makes of the items where it can, else one of them."""
    if policy.reduction:
        with suppress(TypeError, ValueError, RuntimeError):  # they are no numbers
            whole = isinstance(items, torch.Tensor) and not (items.is_floating_point() or items.is_complex())
            numbers = items.double() if whole else items if isinstance(items, torch.Tensor) else np.asarray(items)
            return getattr(numbers, policy.reduction)()
    return _at(items, policy.filling or 0.0)


def _at(items: Any, filling: float) -> Any:
    """Give an item for each of ``FILLINGS``: the first, the last, and two in between."""
    if not filling:
        return items[0]
    return items[-1] if math.isnan(filling) else items[len(items) // (2 if filling > 0 else 3)]
