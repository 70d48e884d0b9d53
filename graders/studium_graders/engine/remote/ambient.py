"""Random state, grad mode, default dtype and NumPy's floating-point errors, found as the test left them.

Nothing of it comes back. Where the student's code drew what the reference drew, the judge draws as many. Where it drew
other numbers, the judge moves its own state on, once in a request, to one that follows from it by a secret: what it
draws next is neither what the student's code drew nor what that could choose, and the same seed gives the same again.
"""

import ctypes
import hmac
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from studium_graders.engine.remote.draws import InStep, global_state, set_global_state
from studium_graders.engine.remote.policy import Policy


def _python() -> Any:
    return random.getstate()


def _numpy() -> Any:
    return ctypes.string_at(np.random.mtrand._rand._bit_generator.ctypes.state_address, _MT19937)


def _torch() -> Any:
    return torch.get_rng_state().numpy().tobytes()


FLOATING = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}  # as numpy.seterr is at first
_MT19937 = 4 * 625  # bytes: the key of 624 words and the position in it
STATES = (_python, _numpy, _torch)


class Ambient:
    """The judge's part: sends what changed, and moves on after draws."""

    def __init__(self, secret: bytes, policy: Policy) -> None:
        self._secret, self._policy = secret, policy
        self._moved: set[int] = set()
        self._in_step: InStep | None = None
        self.resend()

    def resend(self) -> None:
        """Send everything the next time."""
        self._last: list[Any] = [None, None, None]
        self._dtype = "float32"

    def node(self, *, reply: bool) -> Any:
        """Give what is to be set on the student's side; grad mode and ``np.errstate`` hold for a request.

        Of the latter nothing is said where it is as at first: what a student's cell has set then holds.
        """
        changed: list[Any] = []
        for index, state in enumerate(STATES):
            now = state()
            changed.append(None if now == self._last[index] else global_state(index))
            self._last[index] = now
        dtype = str(torch.get_default_dtype()).removeprefix("torch.")
        new_dtype = None if dtype == self._dtype else dtype
        self._dtype = dtype
        if reply:
            return [*changed, None, new_dtype, None]
        floating = np.geterr()
        return [*changed, torch.is_grad_enabled(), new_dtype, None if floating == FLOATING else floating]

    def begin(self) -> None:
        """A request that is not part of another begins."""
        self._moved.clear()

    @contextmanager
    def in_step(self, test: str) -> Iterator[None]:
        """Draw as many numbers as the student's code during a test, where the reference draws as many."""
        self._in_step = InStep(self._policy, test)
        try:
            yield
        finally:
            self._in_step = None

    def drawn(self, states: Any, path: str) -> None:
        """Move on those generators that the student's code drew from in the call at ``path``."""
        if type(states) is not list or len(states) != len(STATES):
            return
        for index, state in enumerate(states):
            if state is None or index in self._moved or STATES[index]() != self._last[index]:
                continue
            if self._in_step is not None and self._in_step.follows(path, index, state):
                self._last[index] = STATES[index]()
            else:
                self._move_on(index)

    def _move_on(self, index: int) -> None:
        self._moved.add(index)
        draw, seed = _MOVING[index]
        digest = hmac.digest(self._secret, str(draw()).encode(), "sha256")
        seed(int.from_bytes(digest[:4]))
        self._last[index] = None  # it is sent, also where a test seeds it as before


_MOVING: tuple[tuple[Callable[[], Any], Callable[[int], object]], ...] = (
    (lambda: random.getrandbits(64), random.seed),
    (lambda: np.random.randint(2**31), np.random.seed),
    # torch.manual_seed takes 2 ms for other devices
    (lambda: int(torch.randint(2**62, ())), torch.default_generator.manual_seed),
)


class StudentAmbient:
    """The student's part: takes over what the judge sends, and tells which generators were drawn from."""

    def __init__(self) -> None:
        self._before = [state() for state in STATES]

    def take(self, node: Any) -> None:
        """Set what the judge sent."""
        *sent, grad, dtype, floating = node
        for index, state in enumerate(sent):
            if state is not None:
                set_global_state(index, state)
                self._before[index] = STATES[index]()
        if grad is not None:
            torch.set_grad_enabled(grad)
        if dtype is not None:
            torch.set_default_dtype(getattr(torch, dtype))
        if floating is not None:
            np.seterr(**floating)

    def drawn(self) -> Any:
        """Give the state of the generators that changed since ``take`` or the last time; None where none did."""
        now = [state() for state in STATES]
        changed = [
            global_state(index) if a != b else None for index, (a, b) in enumerate(zip(now, self._before, strict=True))
        ]
        self._before = now
        return changed if any(changed) else None
