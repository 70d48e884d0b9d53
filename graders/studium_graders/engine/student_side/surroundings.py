"""Grad mode, default dtype, ``np.errstate`` and random numbers: for a request as they are in the judge."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from studium_graders.engine.kinds.process_state import FLOATING, STATES
from studium_graders.engine.wire.messages import Surroundings


class RandomState:
    """Takes over the states that a test set, and tells which generators were drawn from since."""

    def __init__(self) -> None:
        self._before = [state.read() for state in STATES]

    def take(self, states: Sequence[Any]) -> None:
        """Set the states that the judge sent."""
        for index, state in enumerate(states):
            if state is not None:
                STATES[index].set(state)
                self._before[index] = STATES[index].read()

    def drew(self) -> tuple[bool, bool, bool]:
        """Return which generators were drawn from since the last time."""
        now = [state.read() for state in STATES]
        first, second, third = [one != other for one, other in zip(now, self._before, strict=True)]
        self._before = now
        return first, second, third


@contextmanager
def as_in_judge(around: Surroundings) -> Iterator[None]:
    """Let the judge's modes hold for a request; what a cell has set holds where the judge's are as at first."""
    floating: Any = around.floating
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, around.dtype))
    try:
        with torch.set_grad_enabled(around.grad), np.errstate(**(floating if floating != FLOATING else {})):
            yield
    finally:
        torch.set_default_dtype(before)
