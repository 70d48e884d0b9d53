"""Letting go of what the other side shared, once nobody here uses it any more."""

import weakref
from collections.abc import Iterator
from typing import Any


def unused(kept: dict[int, Any]) -> Iterator[tuple[int, int]]:
    """Take out of ``kept`` what nobody else refers to; give the number and the former ``id()`` of each."""
    for number in list(kept):
        value = kept.pop(number)
        address, reference = id(value), weakref.ref(value)
        del value
        alive = reference()
        if alive is None:
            yield number, address
        else:
            kept[number] = alive
