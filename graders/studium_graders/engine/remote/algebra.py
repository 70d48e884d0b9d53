"""Numbers of SymPy's and mpmath's, which an answer may give in place of Python's: the very same on both sides.

SymPy is no dependency: it is looked for when a number of it is met, and imported when one arrives. What is made of
numbers alone, such as a root of 2, crosses as the float of SymPy's that it is; expressions stay where they are.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder

_LIBRARIES = ("sympy", "mpmath")
_SIZES = {"ratio": 2, "float": 5, "mpf": 5}
_MOST_BITS = 1 << 12
_FARTHEST = 1 << 14  # exponent
_LEAST_PRECISION = 53  # with fewer bits than Python's float has, results are rounded to what is asked for, or never end


def node_of(value: Any, encoder: "Encoder", *, evaluate: bool = False) -> list[Any] | None:
    """Give the node of a number, with ``evaluate`` of what is made of numbers alone; None for all else."""
    library = str(type(value).__module__).partition(".")[0]
    if library not in _LIBRARIES or library not in sys.modules:
        return None
    found = _parts(value, library) or (_parts(_evaluated(value), library) if evaluate and library == "sympy" else None)
    if found is None or not _are_small(found[1:]):
        return None
    return [Tag.ALGEBRA, *(encoder.encode(part) for part in found)]


def _parts(value: Any, library: str) -> list[Any] | None:
    module = sys.modules[library]
    if library == "mpmath":
        return ["mpf", *map(int, value._mpf_), 0] if type(value) is module.mpf else None
    if isinstance(value, module.Rational):
        return ["ratio", int(value.p), int(value.q)]
    return ["float", *map(int, value._mpf_), int(value._prec)] if type(value) is module.Float else None


def _evaluated(value: Any) -> Any:
    number = getattr(value, "is_number", False) and getattr(value, "is_extended_real", False)
    return value.evalf() if number else value


def _are_small(numbers: list[Any]) -> bool:
    """Tell whether these are whole numbers with which one computes in no time; and of a float, a finite one."""
    if any(type(number) is not int or number.bit_length() > _MOST_BITS for number in numbers):
        return False
    if len(numbers) == 2:
        return bool(numbers[1] > 0)
    sign, digits, exponent, bits, precision = numbers
    finite = bits == digits.bit_length() and digits >= 0 and (digits or not exponent)
    return sign in (0, 1) and finite and abs(exponent) <= _FARTHEST and 0 <= precision <= _MOST_BITS


def read(decoder: "Decoder", node: list[Any]) -> Any:
    """Give the number of a node."""
    kind, numbers = node[1], [decoder.decode(part) for part in node[2:]]
    if _SIZES.get(kind) != len(numbers) or not _are_small(numbers):
        raise ProtocolError("no number")
    if kind == "mpf":
        return importlib.import_module("mpmath").mp.make_mpf(tuple(numbers[:4]))
    sympy = importlib.import_module("sympy")
    if kind == "ratio":
        return sympy.Rational(*numbers)
    return sympy.Float(tuple(numbers[:4]) if numbers[1] else 0.0, precision=max(numbers[4], _LEAST_PRECISION))
