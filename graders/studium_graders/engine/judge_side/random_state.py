"""Random numbers: the student's process has what a test seeded, and the judge moves on by a secret after draws.

Nothing of a generator's state comes back: a student's code could choose what a test draws next.
"""

import hmac
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.process_state import STATES


class RandomState:
    """The judge's part: what is to be sent, and moving on."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._moved: set[int] = set()
        self._last: list[Any] = [None] * len(STATES)

    def begin(self) -> None:
        """Hear that a request begins that is not part of another."""
        self._moved.clear()

    def changed(self) -> list[Any]:
        """Return the states that the student's process does not have yet, None for the others."""
        now = [state.read() for state in STATES]
        sent = [None if one == last else one for one, last in zip(now, self._last, strict=True)]
        self._last = now
        return sent

    def drawn(self, drew: Sequence[bool]) -> None:
        """Move on those generators that the student's code drew from, once in a request."""
        for index, has_drawn in enumerate(drew):
            if has_drawn and index not in self._moved and STATES[index].read() == self._last[index]:
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
