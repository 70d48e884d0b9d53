"""Random generators that a test passes. The judge's goes on by a secret where the student's code drew from its copy.

What the judge draws next is neither what the student's code drew nor what that could choose, and the same seed draws
the same again.
"""

import hmac
import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind

_WORDS = 624  # of a Mersenne twister's state
_BITS = {cls.__name__: cls for cls in (np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937)}


def move_on(generator: Any, secret: bytes) -> None:
    """Seed a generator by its state and a secret."""
    digest = hmac.digest(secret, repr(_STATES[type(generator)](generator)).encode(), "sha256")
    _SEEDING[type(generator)](generator, int.from_bytes(digest[:4]))


def is_generator(value: Any) -> bool:
    """Return whether a value is a random generator."""
    return type(value) in _STATES


def _seed_numpy(value: Any, seed: int) -> None:
    if isinstance(value, np.random.RandomState):
        value.seed(seed)
    else:
        value.bit_generator.state = type(value.bit_generator)(seed).state


def _parts(state: dict[str, Any]) -> list[Any]:
    return [
        part.tobytes() if isinstance(part, np.ndarray) else _parts(part) if isinstance(part, dict) else part
        for part in state.values()
    ]


_STATES: dict[type, Callable[[Any], Any]] = {
    torch.Generator: lambda value: value.get_state().numpy().tobytes(),
    random.Random: lambda value: repr(value.getstate()),
    np.random.Generator: lambda value: repr(_parts(value.bit_generator.state)),
    np.random.RandomState: lambda value: repr(_parts(value.get_state(legacy=False))),
}
_SEEDING: dict[type, Callable[[Any, int], object]] = {
    torch.Generator: torch.Generator.manual_seed,
    random.Random: random.Random.seed,
    np.random.Generator: _seed_numpy,
    np.random.RandomState: _seed_numpy,
}


def _write_torch(encoder: Encoder, value: torch.Generator) -> list[Any]:
    encoder.register(value)
    return [value.get_state().numpy().tobytes()]


def _read_torch(decoder: Decoder, node: list[Any]) -> Any:
    value: torch.Generator = decoder.put(torch.Generator())
    left, upcoming = struct.unpack_from("<8xi4xQ", node[0])
    if left + upcoming > _WORDS + 1:
        raise ProtocolError("a random state out of range")  # torch would read beyond its memory
    value.set_state(torch.from_numpy(np.frombuffer(bytearray(node[0]), np.uint8)))
    return value


def _write_python(encoder: Encoder, value: random.Random) -> list[Any]:
    encoder.register(value)
    return [encoder.encode(value.getstate())]


def _read_python(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    value = random.Random()
    value.setstate(decoder.decode(node[0]))
    return put(value)


def _write_numpy(encoder: Encoder, value: Any) -> list[Any]:
    encoder.register(value)
    modern = isinstance(value, np.random.Generator)
    state = value.bit_generator.state if modern else value.get_state(legacy=False)
    if state["bit_generator"] not in _BITS:
        raise TypeError(
            f"a random generator over {state['bit_generator']} cannot be sent; use numpy.random.default_rng"
        )
    return [modern, encoder.encode(state)]


def _read_numpy(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    state = decoder.decode(node[1])
    if state["bit_generator"] == "MT19937" and not 0 <= state["state"]["pos"] <= _WORDS:
        raise ProtocolError("a random state out of range")  # NumPy would read beyond its memory
    bits = _BITS[state["bit_generator"]]()
    bits.state = state
    if node[0] is True:
        return put(np.random.Generator(bits))
    made = np.random.RandomState(bits)
    made.set_state(state)
    return put(made)


def _overwrite(value: Any, content: Any) -> None:
    if isinstance(value, torch.Generator):
        value.set_state(content.get_state())
    elif isinstance(value, random.Random):
        value.setstate(content.getstate())
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = content.bit_generator.state
    else:
        value.set_state(content.get_state(legacy=False))


def _kind(tag: str, classes: tuple[type, ...], write: Any, read: Any) -> Kind:
    state = _STATES[classes[0]]
    return Kind(tag, classes, write, read, exact=True, state=state, overwrite=_overwrite)


KINDS = (
    _kind("torch generator", (torch.Generator,), _write_torch, _read_torch),
    _kind("python generator", (random.Random,), _write_python, _read_python),
    _kind("numpy generator", (np.random.Generator,), _write_numpy, _read_numpy),
    _kind("numpy random state", (np.random.RandomState,), _write_numpy, _read_numpy),
)
