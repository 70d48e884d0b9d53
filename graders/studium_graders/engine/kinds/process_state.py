"""What both processes have each for itself, and code counts on: random generators, modes of torch and NumPy."""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

FLOATING = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}  # as numpy.seterr is at first


class State(NamedTuple):
    """How the state of one of the process's own generators is read, as plain data, and set."""

    read: Callable[[], Any]
    set: Callable[[Any], object]


def _read_python() -> Any:
    version, words, normal = random.getstate()
    return [version, list(words), normal]


def _read_numpy() -> Any:
    state: Any = np.random.get_state(legacy=False)
    return [state["state"]["key"].tobytes(), state["state"]["pos"], state["has_gauss"], state["gauss"]]


STATES = (
    State(_read_python, lambda node: random.setstate((node[0], tuple(node[1]), node[2]))),
    State(_read_numpy, lambda node: np.random.set_state(("MT19937", np.frombuffer(node[0], np.uint32), *node[1:]))),
    State(
        lambda: torch.get_rng_state().numpy().tobytes(),
        lambda node: torch.set_rng_state(torch.from_numpy(np.frombuffer(bytearray(node), np.uint8))),
    ),
)


def dtype_name() -> str:
    """Return the name of torch's default dtype."""
    return str(torch.get_default_dtype()).removeprefix("torch.")
