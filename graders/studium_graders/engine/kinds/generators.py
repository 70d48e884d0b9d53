"""Random generators of Python's, NumPy's and torch's that a test made itself: they come back moved on.

A student's code could choose what a test draws next, zeros alone for one. So a state counts only where drawing leads
from the judge's own to it; one number that is drawn ahead of its use is the student's word.
"""

import random
import struct
from array import array
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.plain import integer
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, StaysError

CLASSES = (random.Random, np.random.Generator, torch.Generator)
_NAME = "PCG64"  # that of numpy.random.default_rng
_WORDS = 624  # of the state of a Mersenne Twister
_MOST_ROUNDS = 10_000  # of so many numbers each
_MOST_BITS = 64  # of the number of draws from PCG64
_FACTOR = 47026247687942121848144207491837523525  # by which PCG64 multiplies at each draw
_TORCH = struct.Struct("<QiiQ")  # seed, how many numbers are left, whether it is seeded, the place of the next one
_TORCH_BYTES = 5056


def moved_on(value: Any, other: Any) -> bool:
    """Return whether drawing leads from the state of one generator to that of another of the same class."""
    if isinstance(value, np.random.Generator):
        return _leads_by_steps(_state(value), _state(other))
    place = _place_of_torch if isinstance(value, torch.Generator) else _place_of_python
    return _leads_by_rounds(*place(value), *place(other))


def _place_of_torch(value: torch.Generator) -> tuple[Any, int]:
    data = _bytes_of_torch(value)
    _, left, _, place = _TORCH.unpack_from(data)
    words = np.frombuffer(data, np.uint64, _WORDS, _TORCH.size).astype(np.uint32)
    return words, _WORDS if (left, place) == (1, 0) else place


def _place_of_python(value: random.Random) -> tuple[Any, int]:
    *words, place = value.getstate()[1]
    return np.array(words, np.uint32), place


def _leads_by_rounds(words: Any, place: int, later: Any, later_place: int) -> bool:
    if np.array_equal(words, later):
        return later_place >= place
    twister = np.random.MT19937(0)
    held: Any = {"key": words, "pos": _WORDS}
    twister.state = {"bit_generator": "MT19937", "state": held}
    for _ in range(_MOST_ROUNDS):
        twister.random_raw(_WORDS, output=False)
        state: Any = twister.state
        if np.array_equal(state["state"]["key"], later):
            return True
    return False


def _leads_by_steps(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Find the number of steps bit by bit, each from twice as many steps at once as the one before."""
    here, there, factor, plus, bit = before[0], after[0], _FACTOR, before[1], 1
    for _ in range(_MOST_BITS):
        if (here ^ there) & bit:
            here = (here * factor + plus) % 2**128
        factor, plus, bit = factor * factor % 2**128, (factor + 1) * plus % 2**128, bit << 1
    return before[1] == after[1] and here == there


def _write_random(encoder: Encoder, value: random.Random) -> list[Any]:
    _, words, normal = value.getstate()
    return [encoder.buffer(array("I", words).tobytes()), normal]


def _read_random(decoder: Decoder, parts: list[Any]) -> random.Random:
    index, normal = parts
    value = random.Random()
    value.setstate((value.VERSION, tuple(array("I", bytes(decoder.buffer(index)))), normal))
    return value


def _state(value: np.random.Generator) -> tuple[int, int, int, int]:
    if type(value.bit_generator) is not np.random.PCG64:
        raise StaysError
    state: Any = value.bit_generator.state
    return state["state"]["state"], state["state"]["inc"], state["has_uint32"], state["uinteger"]


def _write_numpy(encoder: Encoder, value: np.random.Generator) -> list[Any]:
    return [encoder.part(part) for part in _state(value)]


def _read_numpy(decoder: Decoder, parts: list[Any]) -> np.random.Generator:
    state, increment, has_half, half = [integer(decoder.part(part)) for part in parts]
    made = np.random.PCG64(0)
    held: Any = {"state": state, "inc": increment}
    made.state = {"bit_generator": _NAME, "state": held, "has_uint32": has_half, "uinteger": half}
    return np.random.Generator(made)


def _content_of_numpy(value: np.random.Generator) -> Any:
    return _state(value) if type(value.bit_generator) is np.random.PCG64 else None


def _overwrite_numpy(value: np.random.Generator, other: np.random.Generator) -> None:
    value.bit_generator.state = other.bit_generator.state


def _bytes_of_torch(value: torch.Generator) -> bytes:
    return value.get_state().numpy().tobytes()


def _read_torch(decoder: Decoder, parts: list[Any]) -> torch.Generator:
    (index,) = parts
    return torch.Generator("cpu").set_state(torch_state(bytes(decoder.buffer(index))))


def torch_state(state: bytes) -> torch.Tensor:
    """Return the state of a generator; raise ProtocolError where it would read beyond its words."""
    if len(state) != _TORCH_BYTES:
        raise ProtocolError("no state of a generator")
    _, left, seeded, place = _TORCH.unpack_from(state)
    if seeded != 1 or ((left, place) != (1, 0) and not (0 < left <= _WORDS and left + place == _WORDS + 1)):
        raise ProtocolError("no state of a generator")
    return torch.from_numpy(np.frombuffer(bytearray(state), np.uint8))


KINDS = (
    Kind(
        "random",
        (random.Random,),
        _write_random,
        _read_random,
        content=random.Random.getstate,
        overwrite=lambda value, other: value.setstate(other.getstate()),
    ),
    Kind(
        "numpy generator",
        (np.random.Generator,),
        _write_numpy,
        _read_numpy,
        content=_content_of_numpy,
        overwrite=_overwrite_numpy,
    ),
    Kind(
        "generator",
        (torch.Generator,),
        lambda encoder, value: [encoder.buffer(_bytes_of_torch(value))],
        _read_torch,
        content=_bytes_of_torch,
        overwrite=lambda value, other: value.set_state(other.get_state()),
    ),
)
