"""Random generators that a test passes: the judge draws from its own as often as the student's code did from its copy.

No state is taken over. What came back tells how many numbers were drawn, and the judge draws as many. A state to which
no such number leads, or none up to ``MOST``, has no say: the judge moves its generator on by the secret.
"""

import copy
import hmac
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from studium_graders.engine.remote.wire import ProtocolError
from studium_graders.engine.remote.writeback import overwrite, state_of

MOST = 1 << 22  # words of the generator
_BLOCK = 624  # words of MT19937 that are made at once
_SEARCHED = (1 << 13, 1 << 17, MOST)
_PAIR = 4  # words that become two normal numbers, of which the second is kept for the next time
_DRAWN = 2  # the normal number that is kept was drawn in the step

_Key = tuple[np.ndarray[Any, Any], int]


Step = tuple[int, int]
"""How many words were drawn, and what became of a normal number that waits for the next draw: see ``after``."""


def follow(value: Any, drawn: Any) -> bool:
    """Draw from a generator until it is where ``drawn`` is; tell whether it can get there, else leave it."""
    if type(value) is not type(drawn):
        raise ProtocolError("an argument that became another kind of object")
    if not (_is_lcg(value) and _is_lcg(drawn)):
        step = step_between(value, drawn)
        reached = None if step is None else after(value, step)
    else:
        reached = _by_steps(value, drawn)
    if reached is None or state_of(reached) != state_of(drawn):
        return False
    overwrite(value, reached)
    return True


def move_on(value: Any, secret: bytes) -> None:
    """Seed a generator by its state and a secret."""
    digest = hmac.digest(secret, repr(state_of(value)).encode(), "sha256")
    _SEEDING[type(value)](value, int.from_bytes(digest[:4]))


def _seed_numpy(value: Any, seed: int) -> None:
    bits = _bits(value)
    if isinstance(value, np.random.RandomState):
        value.set_state(type(bits)(seed).state)
    else:
        bits.state = type(bits)(seed).state


_SEEDING: dict[type, Callable[[Any, int], object]] = {
    torch.Generator: torch.Generator.manual_seed,
    random.Random: random.Random.seed,
    np.random.Generator: _seed_numpy,
    np.random.RandomState: _seed_numpy,
}


def _bits(value: Any) -> Any:
    return value.bit_generator if isinstance(value, np.random.Generator) else value._bit_generator


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return torch.Generator().set_state(value.get_state())
    return copy.deepcopy(value)


# ------------------------------------------------------------------------------------------------------ PCG64


def _is_lcg(value: Any) -> bool:
    return isinstance(value, np.random.Generator) and "has_uint32" in value.bit_generator.state


def _by_steps(value: Any, drawn: Any) -> Any:
    """Give the generator after the number of steps that leads to the state of ``drawn``, bit by bit from the lowest."""
    reached, wanted = _copy(value), drawn.bit_generator.state
    bits = reached.bit_generator
    steps = 0
    for bit in (1 << place for place in range(MOST.bit_length() - 1)):
        if (_number(bits.state) ^ _number(wanted)) & bit:
            bits.advance(bit)
            steps += bit
    if bits.state["state"] == wanted["state"] and _may_be_kept(value, steps, wanted):
        bits.state = {**wanted, "state": bits.state["state"]}
        return reached
    return None


def _number(state: Any) -> int:
    return int(state["state"]["state"])


def _may_be_kept(value: Any, steps: int, wanted: Any) -> bool:
    """Tell whether the half of a step that waits for the next draw of 32 bits is of one that was made."""
    before, half = value.bit_generator.state, wanted["uinteger"]
    if not wanted["has_uint32"] or (before["has_uint32"] and before["uinteger"] == half):
        return True
    return bool((_copy(value).bit_generator.random_raw(steps) >> np.uint64(32) == half).any())


# ------------------------------------------------------------------------------------------------------ MT19937


def step_between(value: Any, drawn: Any) -> Step | None:
    """Give what leads from a generator to the state of another one of its class."""
    key, wanted = _key(value), _key(drawn)
    if key is None or wanted is None:
        return None
    steps = ((words, kept) for words in _words_between(key, wanted) for kept in range(3))
    possible = (step for step in steps if step[1] < _DRAWN or (step[0] >= _PAIR and type(value) in _NORMAL))
    return next((step for step in possible if state_of(after(value, step)) == state_of(drawn)), None)


def after(value: Any, step: Step) -> Any:
    """Give a copy of a generator after a step: it still keeps its normal number, keeps none, or one just drawn."""
    words, kept = step
    if kept < _DRAWN:
        return _skipped(_forgetful(value) if kept else _copy(value), words)
    reached = _skipped(_forgetful(value), words - _PAIR)
    _NORMAL[type(value)](reached)
    return reached


def _key(value: Any) -> _Key | None:
    """Give the key of MT19937 and the position in it; None for another kind of generator."""
    if isinstance(value, random.Random):
        *words, position = value.getstate()[1]
        return np.array(words, np.uint32), position
    if isinstance(value, torch.Generator):
        return _key_of_torch(value.get_state().numpy())
    state = _bits(value).state
    return (state["state"]["key"], state["state"]["pos"]) if state["bit_generator"] == "MT19937" else None


def _key_of_torch(state: np.ndarray[Any, Any]) -> _Key:
    left, position = int(state[8:12].view(np.int32)[0]), int(state[16:24].view(np.uint64)[0])
    return state[24:_NORMALS].view(np.uint64).astype(np.uint32), _BLOCK if left == 1 else position


_NORMALS = 24 + 8 * _BLOCK  # where torch keeps normal numbers for the next time


def _words_between(key: _Key, wanted: _Key) -> Iterator[int]:
    """Give the numbers of words after which the position may be the wanted one."""
    if np.array_equal(key[0], wanted[0]) and key[1] <= wanted[1]:
        yield wanted[1] - key[1]
        return
    first = _twister(wanted[0], 0).random_raw()
    for most in _SEARCHED:
        rest = _BLOCK - key[1]
        found = np.flatnonzero(_twister(*key).random_raw(most)[rest::_BLOCK] == first)
        if found.size:
            yield from (rest + _BLOCK * int(block) + wanted[1] for block in found)
            return


def _twister(key: np.ndarray[Any, Any], position: int) -> np.random.MT19937:
    bits = np.random.MT19937(0)
    bits.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}
    return bits


def _skipped(value: Any, words: int) -> Any:
    if isinstance(value, random.Random):
        value.getrandbits(32 * words)
    elif isinstance(value, torch.Generator):
        torch.empty(words, dtype=torch.int32).random_(generator=value)
    else:
        _bits(value).random_raw(words, output=False)
    return value


def _forgetful(value: Any) -> Any:
    """Give a copy that keeps no normal number."""
    made = _copy(value)
    if isinstance(made, random.Random):
        made.setstate((*made.getstate()[:2], None))
    elif isinstance(made, torch.Generator):
        state = made.get_state()
        state[_NORMALS:] = 0
        made.set_state(state)
    elif isinstance(made, np.random.RandomState):
        made.set_state(_bits(made).state)
    return made


_NORMAL: dict[type, Callable[[Any], object]] = {
    random.Random: lambda value: value.gauss(0, 1),
    torch.Generator: lambda value: torch.randn((), generator=value, dtype=torch.float64),
    np.random.RandomState: lambda value: value.standard_normal(),
}
