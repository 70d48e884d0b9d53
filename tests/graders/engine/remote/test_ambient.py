"""Random numbers: the student's code finds what a test seeded, and has no say in what the test draws."""

import random

import numpy as np
import pytest
import torch

DRAWS = """
import random
import numpy as np
import torch

def python(): return random.random()
def numpy(): return float(np.random.rand())
def of_torch(): return float(torch.rand(()))
"""
SIDE = """
import gc
from studium_graders.engine.remote.student import StudentSide
[side] = [one for one in gc.get_objects() if type(one) is StudentSide]

class Never: pass

def again_and_again(times):
    for _ in range(times):
        random.random()
        try: side.request("call", {Never(): 1})
        except Exception: pass
"""
KINDS = {
    "python": (random.seed, random.random),
    "numpy": (np.random.seed, np.random.rand),
    "of_torch": (torch.manual_seed, lambda: float(torch.rand(()))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_twice_gives_the_students_code_the_same_numbers(make_student, kind):
    draw, (seed, _) = make_student(DRAWS).get(kind), KINDS[kind]
    found = []
    for _ in range(3):
        seed(0)
        found += [draw(), draw()]
    assert found[:2] * 3 == found
    assert found[0] != found[1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_test_draws_after_the_students_code_did_depends_on_a_secret(make_student, kind):
    seed, here = KINDS[kind]
    drawn = set()
    for secret in (b"one", b"two", b"two"):
        draw = make_student(DRAWS, seed=secret).get(kind)
        seed(0)
        draw()
        drawn.add(here())
    assert len(drawn) == 2


def test_a_request_moves_the_tests_numbers_on_once_however_often_the_students_code_asks(make_student):
    drawn = set()
    for times in (1, 2, 50):
        student = make_student(DRAWS + SIDE, recording=False)
        random.seed(0)
        student.get("again_and_again")(times)
        drawn.add(random.random())
    assert len(drawn) == 1
