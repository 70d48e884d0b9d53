"""Random state, grad mode, default dtype and NumPy's floating-point errors: in student code as the test left them.

Nothing of it comes back. Where the student's code drew random numbers, the judge moves its own generators on, once in a
request, to a state that follows from theirs by a secret.
"""

import hmac
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.process_state import FLOATING, STATES, dtype_name
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder
from studium_graders.engine.wire.messages import Node


class JudgeState:
    """The judge's part: sends what changed, and moves on after draws. A section of each message."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._moved: set[int] = set()
        self.grad = True  # the grad mode of the student's code
        self.resend()

    def begin(self) -> None:
        """Hear that a request begins that is not part of another."""
        self._moved.clear()

    def resend(self) -> None:
        """Send everything the next time."""
        self._last: list[Any] = [None] * len(STATES)
        self._dtype = "float32"

    def write(self, encoder: Encoder) -> Node:
        """Return what is to be set on the student's side; grad mode and ``np.errstate`` hold for a request.

        Of the latter nothing is said where it is as at first: what a student's cell has set then holds.
        """
        changed = [self._changed(index) for index in range(len(STATES))]
        dtype, before = dtype_name(), self._dtype
        self._dtype = dtype
        floating = np.geterr()
        modes = [None, None] if encoder.reply else [torch.is_grad_enabled(), None if floating == FLOATING else floating]
        return [*changed, None if dtype == before else dtype, *modes]

    def _changed(self, index: int) -> Any:
        state = STATES[index].read()
        changed = None if state == self._last[index] else state
        self._last[index] = state
        return changed

    def read(self, node: Node, decoder: Decoder) -> None:
        """Move on those generators that the student's code drew from."""
        if type(node) is not list or len(node) != len(STATES) + 1:
            raise ProtocolError("no state")
        *drawn, grad = node
        self.grad = grad is True
        for index, has_drawn in enumerate(drawn):
            if has_drawn is True and index not in self._moved and STATES[index].read() == self._last[index]:
                self._moved.add(index)
                draw, seed = _MOVING[index]
                digest = hmac.digest(self._secret, str(draw()).encode(), "sha256")
                seed(int.from_bytes(digest[:4]))
                self._last[index] = None  # it is sent, also where a test seeds it as before

    def sweep(self) -> list[int]:
        """Return nothing: there are no objects here."""
        return []

    def forget(self, number: int) -> None:
        """Do nothing: there are no objects here."""


_MOVING: tuple[tuple[Callable[[], Any], Callable[[int], object]], ...] = (
    (lambda: random.getrandbits(64), random.seed),
    (lambda: np.random.randint(2**31), np.random.seed),
    # torch.manual_seed takes 2 ms for other devices
    (lambda: int(torch.randint(2**62, ())), torch.default_generator.manual_seed),
)
