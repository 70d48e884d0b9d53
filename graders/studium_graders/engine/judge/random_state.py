"""Keeping the random numbers of given code in step with those of the student's process, which runs it too."""

import random
from typing import Any

import numpy as np
import torch

# A given cell in which one of these words occurs may draw; then all of it runs here, so that the draws are the same.
DRAWING = ("rand", "seed", "shuffle", "normal", "choice", "permut", "sample", "nn.")


class RandomState:
    """The state of Python's, NumPy's and torch's generators at one moment."""

    def __init__(self) -> None:
        self._python = random.getstate()
        self._numpy: dict[str, Any] = np.random.get_state(legacy=False)
        self._torch = torch.get_rng_state()

    def restore(self) -> None:
        """Go back to it."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
