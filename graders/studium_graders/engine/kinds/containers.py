"""Containers of other values. Keys and members of sets are plain: how others are hashed is code."""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from studium_graders.engine.kinds.plain import INLINE, PLAIN, bytes_of
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, StaysError

_FACTORIES: dict[str, Callable[[], Any]] = {
    cls.__name__: cls for cls in (list, dict, set, tuple, str, int, float, bool)
}
_BY_IDENTITY = frozenset({torch.Tensor, nn.Parameter})  # an optimizer's state has such keys
_HASHED = PLAIN | _BY_IDENTITY | {torch.dtype, torch.device}
_TORCH_TUPLES: dict[str, Any] = {
    name: cls for name, cls in vars(torch.return_types).items() if isinstance(cls, type) and issubclass(cls, tuple)
}


def key_of(decoder: Decoder, node: Any) -> Any:
    """Return a key of a dictionary or a member of a set."""
    value = decoder.part(node)
    if _is_key(value):
        return value
    raise ProtocolError("a key that is not plain")


def _is_key(value: Any) -> bool:
    if type(value) in (tuple, frozenset, torch.Size):
        return all(map(_is_key, value))
    return type(value) in _HASHED or issubclass(type(value), np.generic)


def _write_keys(encoder: Encoder, value: Iterable[Any]) -> list[Any]:
    if not all(map(_is_key, value)):
        raise StaysError
    return [encoder.part(item) for item in value]


def _items(encoder: Encoder, value: Iterable[Any]) -> list[Any]:
    return [encoder.part(item) for item in value]


def _pairs(encoder: Encoder, value: dict[Any, Any]) -> list[Any]:
    if not all(map(_is_key, value)):
        raise StaysError
    return [encoder.part(part) for item in value.items() for part in item]


def _fill(decoder: Decoder, value: Any, parts: list[Any]) -> Any:
    for index in range(0, len(parts), 2):
        key = key_of(decoder, parts[index])
        value[key] = decoder.part(parts[index + 1])
    return value


def _read_list(decoder: Decoder, parts: list[Any]) -> Any:
    value = decoder.begun([])
    value.extend(decoder.part(part) for part in parts)
    return value


def _read_set(decoder: Decoder, parts: list[Any]) -> Any:
    value = decoder.begun(set())
    value.update(key_of(decoder, part) for part in parts)
    return value


def _read_deque(decoder: Decoder, parts: list[Any]) -> Any:
    most, *items = parts
    value: deque[Any] = decoder.begun(deque(maxlen=None if most is None else int(most)))
    value.extend(decoder.part(part) for part in items)
    return value


def _write_default(encoder: Encoder, value: defaultdict[Any, Any]) -> list[Any]:
    factory = value.default_factory
    known = [name for name, cls in _FACTORIES.items() if cls is factory] if factory is not None else [None]
    if not known:
        raise StaysError
    return [*known, *_pairs(encoder, value)]


def _read_default(decoder: Decoder, parts: list[Any]) -> Any:
    name, *rest = parts
    return _fill(decoder, decoder.begun(defaultdict(None if name is None else _FACTORIES[name])), rest)


def _write_torch_tuple(encoder: Encoder, value: Any) -> list[Any]:
    return [type(value).__name__, *_items(encoder, value)]


def _read_torch_tuple(decoder: Decoder, parts: list[Any]) -> Any:
    name, *rest = parts
    return _TORCH_TUPLES[name]([decoder.part(part) for part in rest])


def _overwrite_items(value: Any, content: Any) -> None:
    value.clear()
    value.extend(content)


def _overwrite_pairs(value: Any, content: Any) -> None:
    value.clear()
    value.update(content)


def _mapping(tag: str, cls: type) -> Kind:
    def read(decoder: Decoder, parts: list[Any]) -> Any:
        return _fill(decoder, decoder.begun(cls()), parts)

    return Kind(
        tag,
        (cls,),
        _pairs,
        read,
        children=dict.values,
        content=lambda value: [*value.items()],
        overwrite=_overwrite_pairs,
    )


KINDS = (
    Kind("list", (list,), _items, _read_list, children=iter, content=list, overwrite=_overwrite_items),
    Kind(
        "tuple", (tuple,), _items, lambda decoder, parts: tuple([decoder.part(part) for part in parts]), children=iter
    ),
    Kind("set", (set,), _write_keys, _read_set, content=frozenset, overwrite=_overwrite_pairs),
    Kind("frozenset", (frozenset,), _write_keys, lambda decoder, parts: frozenset([key_of(decoder, p) for p in parts])),
    _mapping("dict", dict),
    _mapping("ordered", OrderedDict),
    _mapping("counter", Counter),
    Kind(
        "defaultdict",
        (defaultdict,),
        _write_default,
        _read_default,
        children=dict.values,
        content=lambda value: [*value.items()],
        overwrite=_overwrite_pairs,
    ),
    Kind(
        "deque",
        (deque,),
        lambda encoder, value: [value.maxlen, *_items(encoder, value)],
        _read_deque,
        children=iter,
        content=list,
        overwrite=_overwrite_items,
    ),
    Kind(
        "bytearray",
        (bytearray,),
        lambda encoder, value: [bytes(value) if len(value) <= INLINE else encoder.buffer(bytes(value))],
        lambda decoder, parts: bytearray(bytes_of(decoder, *parts)),
        content=bytes,
        overwrite=lambda value, content: value.__setitem__(slice(None), content),
    ),
    Kind(
        "torch tuple",
        tuple(_TORCH_TUPLES.values()),
        _write_torch_tuple,
        _read_torch_tuple,
        children=iter,
    ),
)
