"""How the elements of a tensor lie in memory, which decides what can be viewed: a slice, a transposed tensor."""

import math
from typing import Any

import torch

from studium_graders.engine.remote.wire import ProtocolError

_MOST_SPREAD = 4  # times the elements that there are
_SMALL = 1 << 20  # bytes, over which a few elements may be spread all the same


def shape_node(tensor: torch.Tensor) -> list[Any]:
    """Give the sizes of a tensor, with its strides where it is not contiguous and not spread over too much memory."""
    sizes, strides = list(tensor.shape), list(tensor.stride())
    plain = tensor.is_contiguous() or not _is_compact(sizes, strides, tensor.element_size())
    return sizes if plain else [sizes, strides]


def read_shape(node: Any) -> tuple[list[Any], list[Any] | None]:
    """Give sizes, and strides or None."""
    if len(node) == 2 and type(node[0]) is list and type(node[1]) is list and len(node[0]) == len(node[1]):
        return node[0], node[1]
    return node, None


def laid_out(tensor: torch.Tensor, strides: list[Any]) -> torch.Tensor:
    """Give a contiguous tensor with other strides. Raise ProtocolError where these are too wide or share elements."""
    sizes = list(tensor.shape)
    if not all(type(stride) is int and stride >= 0 for stride in strides):
        raise ProtocolError("no strides")
    if not _is_compact(sizes, strides, tensor.element_size()):
        raise ProtocolError("strides that do not fit a tensor")
    once = tensor[tuple(slice(None if stride else 1) for stride in strides)]
    made = torch.empty_strided(once.shape, [stride or 1 for stride in strides], dtype=tensor.dtype)
    made.copy_(once)
    return made if all(strides) else made.expand(sizes)


def _is_compact(sizes: list[int], strides: list[int], item: int) -> bool:
    """Tell whether no two elements share memory, but for expanded ones, and what lies between them is little."""
    extent = 1
    apart = sorted((stride, size) for stride, size in zip(strides, sizes, strict=True) if stride and size > 1)
    for stride, size in apart:
        if stride < extent:
            return False
        extent += stride * (size - 1)
    return extent <= max(_MOST_SPREAD * math.prod(size for _, size in apart), _SMALL // item)
