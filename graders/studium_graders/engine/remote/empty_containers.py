"""Containers without items where the reference gives none such: ``np.allclose([], 5)`` holds, as with empty arrays.

Where the reference gives None, or something empty, one may be empty as well; among the items of a value, where the
reference has containers there. Where it gives False, an empty one must do no more than that.
"""

from collections import UserString, deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from studium_graders.engine.remote.decode import CONTAINERS
from studium_graders.engine.remote.empties import mixed
from studium_graders.engine.remote.policy import (
    CALLBACK,
    CONTAINER,
    FALSE,
    FILES,
    FULL,
    GOES_ON,
    MADE,
    OBJECT,
    TRUE,
    item_of,
)

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.policy import Policy

_LAYERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
_BYTES = bytes([255, *range(256)])
_TEXT = _BYTES.decode("latin-1")  # letters of each kind, signs, digits and blanks
_KINDS = (*CONTAINERS, *_LAYERS, str, bytes, UserString, np.void)


def gives_empty(parts: tuple[Any, ...], policy: "Policy") -> bool:
    """Tell whether a request gives something empty to the student's code where that may be a matter of chance."""
    if policy.fixed and not policy.recording:
        return False
    given = (part.values() if type(part) is dict else part for part in parts if type(part) in (tuple, dict))
    return any(_is_empty(item) for items in given for item in items)


def given(value: Any, path: str, policy: "Policy", bare: bool) -> Any:
    """Give what a request gave, or what takes the place of an empty container, or of None for an object.

    ``bare`` says that the request gave something empty, of which the reference may not have made something yet.
    """
    if policy.recording:
        if value is None or _is_empty(value):
            policy.empties.add(path + CONTAINER)
        elif bare:
            policy.empties.add(path + MADE)
        if value is False:
            policy.empties.add(path + FALSE)
        return value
    if value is None and policy.expects(OBJECT, path):
        return policy.filling
    if not path or policy.gives_own_object(path) or not _is_empty(value):
        return value
    if bare and policy.strict and path + MADE not in policy.empties:
        return value
    return _instead(value, (path,), policy)


def item(value: Any, decoder: "Decoder", policy: "Policy") -> Any:
    """Give a container that is an item of what a request gave, or what takes its place."""
    if decoder.is_asked_for or not decoder.path or decoder.path.endswith(CALLBACK):
        return value
    if policy.recording:
        policy.empties.add(decoder.places[0] + CONTAINER)
        policy.met(FULL, decoder.origin, alone=policy.fixed and bool(len(value)))
    return value if len(value) else _instead(value, decoder.places, policy)


def changed(value: Any, entry: str, policy: "Policy") -> Any:
    """Give what a call made of an argument, or what takes its place: one that is to be changed, and is emptied."""
    wanted = policy.recording or policy.may_change(entry)
    return _instead(value, (entry,), policy) if wanted and _is_empty(value) else value


def in_file(content: bytes | None, name: str, policy: "Policy") -> bytes | None:
    """Give what a file that a call has written holds, or what takes the place of nothing: a test may go through it."""
    if content is None or name.endswith("/"):
        return content
    if policy.recording:
        policy.met(FULL, name + FILES, alone=policy.fixed and bool(content.strip()))
    missing = not content.strip() and policy.expects(FULL, name + FILES) and policy.filling is not None
    return _BYTES if missing else content


def no_items(path: str, policy: "Policy") -> tuple[float, ...]:
    """Give what takes the place of the items that an iterator or an object at a path does not have; () where it may."""
    begins = item_of(path) + GOES_ON
    if policy.recording:
        policy.met(FULL, begins, alone=False)
    return () if _is_expected((path, begins), policy) or policy.filling is None else mixed(policy.filling)


def begins_false(path: str, policy: "Policy", *, true: bool) -> bool:
    """Tell whether an object is false, or empty, at once where no one of the reference's is: a loop ends with that."""
    if policy.recording:
        policy.met(FULL, path + TRUE, alone=policy.fixed and true)
    return not (true or policy.recording) and policy.expects(FULL, path + TRUE) and policy.filling is not None


def _instead(value: Any, places: tuple[str, ...], policy: "Policy") -> Any:
    if _is_expected(places, policy) or policy.filling is None:
        return value
    return False if places[0] + FALSE in policy.empties else _filled(value, policy.filling)


def _is_expected(places: tuple[str, ...], policy: "Policy") -> bool:
    if policy.expects(FULL, *places):
        return False
    arrays = not policy.empties.isdisjoint(places)
    return arrays or policy.expects_empty(*(place + CONTAINER for place in places))


def _is_empty(value: Any) -> bool:
    if issubclass(type(value), _LAYERS):
        return not value._parameters and all(map(_is_empty, value._modules.values()))
    return issubclass(type(value), _KINDS) and not len(value)


def _filled(value: Any, filling: float) -> Any:
    if isinstance(value, str | bytes):
        return _TEXT if isinstance(value, str) else _BYTES
    if isinstance(value, nn.Module):
        return _filled_layers(value, filling)
    items = mixed(filling)
    if isinstance(value, dict):
        return dict(zip(items, reversed(items), strict=True))
    if type(value) is bytearray:
        return bytearray(_BYTES)
    if type(value) in (set, frozenset, deque):
        return type(value)(items)
    return items if isinstance(value, Hashable) else list(items)  # it may be a key


def _filled_layers(value: nn.Module, filling: float) -> nn.Module:
    """Give layers of the same kind: a right answer may have none for the identity."""
    if isinstance(value, nn.ParameterList | nn.ParameterDict):
        made = nn.Parameter(torch.tensor(filling))
        return nn.ParameterList([made]) if isinstance(value, nn.ParameterList) else nn.ParameterDict({"0": made})
    if isinstance(value, nn.ModuleDict):
        return nn.ModuleDict({"0": nn.Identity()})
    return nn.Sequential(nn.Identity()) if isinstance(value, nn.Sequential) else nn.ModuleList([nn.Identity()])
