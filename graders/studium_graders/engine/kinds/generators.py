"""Random generators of Python's and NumPy's that a test made itself: they come back in the state that they are in."""

import random
from array import array
from typing import Any

import numpy as np

from studium_graders.engine.kinds.plain import integer
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, StaysError

_NAME = "PCG64"  # that of numpy.random.default_rng


def _write_random(encoder: Encoder, value: random.Random) -> list[Any]:
    version, words, normal = value.getstate()
    return [version, encoder.buffer(array("I", words).tobytes()), normal]


def _read_random(decoder: Decoder, parts: list[Any]) -> random.Random:
    version, index, normal = parts
    value = random.Random()
    value.setstate((integer(version), tuple(array("I", bytes(decoder.buffer(index)))), normal))
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
)
