"""Random state, grad mode, default dtype and NumPy's floating-point errors, found as the test left them.

Nothing of it comes back. Where the student's code drew numbers, the judge moves its own state on, once in a request, to
one that follows from it by a secret: what it draws next is neither what the student's code drew nor what that could
choose, and the same seed gives the same again.
"""

import ctypes
import hmac
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def _python() -> Any:
    return random.getstate()


def _numpy() -> Any:
    return ctypes.string_at(np.random.mtrand._rand._bit_generator.ctypes.state_address, _MT19937)


def _torch() -> Any:
    return torch.get_rng_state().numpy().tobytes()


FLOATING = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}  # as numpy.seterr is at first
_MT19937 = 4 * 625  # bytes: the key of 624 words and the position in it
STATES = (_python, _numpy, _torch)


def _numpy_in_full(_: Any) -> Any:
    state: Any = np.random.get_state(legacy=False)
    return [state["state"]["key"].tobytes(), state["state"]["pos"], state["has_gauss"], state["gauss"]]


FULL: tuple[Callable[[Any], Any], ...] = (lambda state: state, _numpy_in_full, lambda state: state)


class Ambient:
    """The judge's part: sends what changed, and moves on after draws."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._moved: set[int] = set()
        self._last: list[Any] = [None, None, None]
        self._dtype = "float32"

    def node(self, *, reply: bool) -> Any:
        """Give what is to be set on the student's side; grad mode and ``np.errstate`` hold for a request.

        Of the latter nothing is said where it is as at first: what a student's cell has set then holds.
        """
        changed: list[Any] = []
        for index, state in enumerate(STATES):
            now = state()
            changed.append(None if now == self._last[index] else FULL[index](now))
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

    def drawn(self, flags: Any) -> None:
        """Move on those generators that the student's code drew from."""
        if type(flags) is not list or len(flags) != 3:
            return
        for index, flag in enumerate(flags):
            if flag is True and index not in self._moved and STATES[index]() == self._last[index]:
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
        python, numpy, of_torch, grad, dtype, floating = node
        if python is not None:
            random.setstate((python[0], tuple(python[1]), python[2]))
        if numpy is not None:
            np.random.set_state(("MT19937", np.frombuffer(numpy[0], np.uint32), *numpy[1:]))
        if of_torch is not None:
            torch.set_rng_state(torch.from_numpy(np.frombuffer(bytearray(of_torch), np.uint8)))
        if grad is not None:
            torch.set_grad_enabled(grad)
        if dtype is not None:
            torch.set_default_dtype(getattr(torch, dtype))
        if floating is not None:
            np.seterr(**floating)
        for index, sent in enumerate((python, numpy, of_torch)):
            if sent is not None:
                self._before[index] = STATES[index]()

    def flags(self) -> Any:
        """Tell which generators changed since ``take`` or the last time; None where none did."""
        now = [state() for state in STATES]
        flags = [a != b for a, b in zip(now, self._before, strict=True)]
        self._before = now
        return flags if any(flags) else None
