"""A generator of a test's that an answer draws from comes back moved on, and in no state that the answer chose."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from studium_graders.engine.kinds.generators import moved_on
from studium_graders.engine.wire.codec import RefusedError

CELL = """
import torch

def draw(rng): return torch.randn(3, generator=rng)
def draw_other(rng): return rng.random()
def empty(rng):
    state = rng.get_state()
    state[24:] = 0
    rng.set_state(state)
def seed(rng): rng.manual_seed(5)
def seed_other(rng): rng.seed(5)
def seed_numpy(rng): rng.bit_generator.state = {**rng.bit_generator.state, "state": {"state": 1, "inc": 3}}
"""
DRAWS = {
    "torch": (lambda: torch.Generator().manual_seed(1), lambda rng, count: torch.rand(count, generator=rng)),
    "python": (lambda: random.Random(1), lambda rng, count: [rng.random() for _ in range(count)]),
    "numpy": (lambda: np.random.default_rng(1), lambda rng, count: rng.normal(size=count)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_drawing_moves_a_generator_on_and_never_back(name):
    make, draw = DRAWS[name]
    for count in (1, 623, 50_001):
        before, after = make(), make()
        draw(before, 5)
        draw(after, 5)
        assert moved_on(before, after), count
        draw(after, count)
        assert moved_on(before, after), count
        assert not moved_on(after, before), count


@pytest.mark.parametrize(
    ("function", "rng"),
    [
        ("empty", torch.Generator().manual_seed(1)),
        ("seed", torch.Generator().manual_seed(1)),
        ("seed_other", random.Random(1)),
        ("seed_numpy", np.random.default_rng(1)),
    ],
)
def test_an_answer_that_sets_the_state_of_a_generator_is_for_review(make_student, function, rng):
    student = make_student(CELL)
    with student.test(None) as watch, pytest.raises(RefusedError, match="random generator"):
        student.get(function)(rng)
    assert "random generator" in str(watch.refusal)
