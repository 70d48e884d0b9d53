"""Random generators that a test passes: exact for who draws from them, and nobody chooses what the test draws next."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from studium_graders.engine.remote import generators
from studium_graders.engine.remote.writeback import state_of

MAKE = {
    "python": random.Random,
    "pcg": np.random.default_rng,
    "dxsm": lambda seed: np.random.Generator(np.random.PCG64DXSM(seed)),
    "mt19937": lambda seed: np.random.Generator(np.random.MT19937(seed)),
    "legacy": np.random.RandomState,
    "torch": lambda seed: torch.Generator().manual_seed(seed),
}
DRAWS = """
import random
import numpy as np
import torch

def python(r, n): return [r.random() for _ in range(n)]
def python_gauss(r, n): return [r.gauss(0, 1) for _ in range(n)]
def python_shuffle(r, n): r.shuffle(list(range(n)))
def numpy(r, n): return r.random(n)
def numpy_normal(r, n): return r.standard_normal(n)
def halves(r, n): return r.integers(10, size=n), r.random(n)
def of_torch(r, n): return torch.rand(n, generator=r)
def torch_normal(r, n): return torch.randn(n, generator=r)
def torch_permutation(r, n): return torch.randperm(n, generator=r)
def nothing(r, n): pass
"""
NUMPY = ("numpy", "numpy_normal")
WAYS = [
    *[("python", way) for way in ("python", "python_gauss", "python_shuffle")],
    *[(kind, way) for kind in ("pcg", "dxsm", "mt19937", "legacy") for way in NUMPY],
    *[(kind, "halves") for kind in ("pcg", "dxsm", "mt19937")],
    *[("torch", way) for way in ("of_torch", "torch_normal", "torch_permutation")],
    *[(kind, "nothing") for kind in MAKE],
]
FORGED = """
import random
import numpy as np
import torch

def python(r, call=None, times=1, seed=0):
    for turn in range(times):
        r.seed(seed + turn)
        if call: call()
def legacy(r, call=None, times=1, seed=0):
    for turn in range(times):
        r.seed(seed + turn)
        if call: call()
mt19937 = lambda r, call=None, times=1, seed=0: numpy(r, np.random.MT19937, call, times, seed)
pcg = lambda r, call=None, times=1, seed=0: numpy(r, np.random.PCG64, call, times, seed)
dxsm = lambda r, call=None, times=1, seed=0: numpy(r, np.random.PCG64DXSM, call, times, seed)
def numpy(r, kind, call, times, seed):
    for turn in range(times):
        r.bit_generator.state = kind(seed + turn).state
        if call: call()
def torch(r, call=None, times=1, seed=0):
    for turn in range(times):
        r.manual_seed(seed + turn)
        if call: call()
"""


@pytest.fixture(scope="module")
def student(make_module_student):
    return make_module_student(DRAWS)


@pytest.mark.parametrize(("kind", "way"), WAYS)
@pytest.mark.parametrize("times", [1, 3, 700, 20_000])
def test_a_generator_goes_on_after_the_students_draws_as_in_one_process(student, kind, way, times):
    mine, theirs, here = MAKE[kind](4), MAKE[kind](4), {}
    exec(DRAWS, here)
    draw = student.get(way)
    for _ in range(3):
        draw(theirs, times)
        here[way](mine, times)
        assert state_of(theirs) == state_of(mine)
    assert student.gone is None


@pytest.mark.parametrize("kind", MAKE)
def test_a_state_that_was_not_drawn_has_no_say_in_what_comes_next(make_student, kind):
    found = []
    for secret, seed in ((b"one", 0), (b"one", 7), (b"two", 0)):
        generator = MAKE[kind](4)
        make_student(FORGED, seed=secret).get(kind)(generator, seed=seed)
        found.append(state_of(generator))
    assert found[0] == found[1] != found[2]
    assert not {*found} & {state_of(MAKE[kind](seed)) for seed in (0, 4, 7)}


@pytest.mark.parametrize("kind", MAKE)
def test_a_request_moves_a_generator_on_once_however_often_its_state_is_set(make_student, kind):
    set_it, found = make_student(FORGED).get(kind), set()
    for times in (1, 2, 30):
        generator = MAKE[kind](4)
        set_it(generator, lambda: None, times)
        found.add(state_of(generator))
    assert len(found) == 1


def test_more_draws_than_are_followed_move_a_generator_on_by_the_secret(make_student):
    draw = make_student(DRAWS).get("numpy")
    for kind in ("pcg", "mt19937"):
        generator, other = MAKE[kind](4), MAKE[kind](4)
        draw(generator, generators.MOST + 1)
        other.random(generators.MOST + 1)
        assert state_of(generator) not in (state_of(other), state_of(MAKE[kind](4)))


def test_what_waits_for_the_next_draw_was_drawn(make_student):
    source = """
def half(r):
    r.random(5)
    r.bit_generator.state = {**r.bit_generator.state, "has_uint32": 1, "uinteger": 0}
def gauss(r):
    r.random()
    r.gauss_next = 0.0
def normal(r):
    r.rand(5)
    r.set_state({**r.get_state(legacy=False), "has_gauss": 1, "gauss": 0.0})
"""
    student = make_student(source)
    numpy, python, legacy = (MAKE[kind](4) for kind in ("pcg", "python", "legacy"))
    for name, generator in (("half", numpy), ("gauss", python), ("normal", legacy)):
        student.get(name)(generator)
    assert not numpy.bit_generator.state["has_uint32"]
    assert python.gauss(0, 1) != 0
    assert legacy.standard_normal() != 0


def test_test_and_student_draw_from_one_generator_in_turns(student):
    mine, theirs = MAKE["torch"](4), MAKE["torch"](4)
    draw = student.get("of_torch")
    for _ in range(3):
        assert torch.equal(draw(theirs, 3), torch.rand(3, generator=mine))
        assert torch.equal(torch.rand(2, generator=theirs), torch.rand(2, generator=mine))
