"""Which numbers a layer of torch's may hold: compiled code divides by some of them, and counts with 32 bits."""

from typing import Any

_DIVISORS = frozenset({"num_heads"})  # of which torch does not see to it that they are no zeros
_LIMIT = 1 << 30


def may_compute_with(name: str, value: Any) -> bool:
    """Tell whether compiled code may be handed the value of this attribute."""
    if isinstance(value, tuple | list):
        return all(may_compute_with(name, item) for item in value)
    if type(value) is not int:
        return True
    return (0 if name in _DIVISORS else -_LIMIT) < value < _LIMIT
