"""Random numbers in step: where the student's code draws what the reference drew, the judge goes on after that.

So a test that seeds, makes the student's model and draws its data has the same data as in a notebook. How many numbers
were drawn is known from the reference; an answer that draws others has no say in what the judge draws next.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from studium_graders.engine.material import Draw
from studium_graders.engine.remote import generators
from studium_graders.engine.remote.policy import Policy
from studium_graders.engine.remote.writeback import overwrite

MOST = 100  # times in a test

_Generator = random.Random | np.random.RandomState | torch.Generator
_GLOBAL: tuple[Callable[[], Any], ...] = (
    lambda: random._inst,
    lambda: np.random.mtrand._rand,
    lambda: torch.default_generator,
)


def state_node(generator: _Generator) -> Any:
    """Give all that a generator draws from."""
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy().tobytes()
    if isinstance(generator, random.Random):
        version, words, normal = generator.getstate()
        return [version, list(words), normal]
    state: Any = generator.get_state(legacy=False)
    return [state["state"]["key"].tobytes(), state["state"]["pos"], state["has_gauss"], state["gauss"]]


def set_state(generator: _Generator, node: Any) -> Any:
    """Let a generator go on from what ``state_node`` gave; give the generator."""
    if isinstance(generator, torch.Generator):
        generator.set_state(torch.from_numpy(np.frombuffer(bytearray(node), np.uint8)))
    elif isinstance(generator, random.Random):
        generator.setstate((node[0], tuple(node[1]), node[2]))
    else:
        generator.set_state(("MT19937", np.frombuffer(node[0], np.uint32), *node[1:]))
    return generator


def global_state(index: int) -> Any:
    """Give the state of one of the process's own generators: Python's, NumPy's or torch's."""
    return state_node(_GLOBAL[index]())


def set_global_state(index: int, node: Any) -> None:
    """Let one of the process's own generators go on from there."""
    set_state(_GLOBAL[index](), node)


class InStep:
    """The draws of one run of a test: noted while the reference is recorded, and after that expected in this order."""

    def __init__(self, policy: Policy, test: str) -> None:
        self._policy, self._test = policy, test
        self._expected = {draw.number: draw for draw in policy.draws if draw.test == test}
        self._number = 0

    def follows(self, path: str, index: int, node: Any) -> bool:
        """Move the judge's generator to where the student's is, if the reference's got there by this call as well."""
        number, self._number = self._number, self._number + 1
        generator = _GLOBAL[index]()
        if self._policy.recording:
            self._note(number, path, index, set_state(type(generator)(), node))
        draw = self._expected.get(number)
        if draw is None or (draw.path, draw.generator) != (path, index):
            self._expected = {}
            return False
        reached = generators.after(generator, (draw.words, draw.kept))
        if state_node(reached) != node:
            self._expected = {}
            return False
        overwrite(generator, reached)
        return True

    def _note(self, number: int, path: str, index: int, drawn: Any) -> None:
        step = generators.step_between(_GLOBAL[index](), drawn) if number < MOST else None
        if step is not None:
            draw = self._expected[number] = Draw(self._test, number, path, index, *step)
            self._policy.draws.add(draw)
