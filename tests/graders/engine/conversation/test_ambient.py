"""Random numbers: the student's code finds what a test seeded, and has no say in what the test draws.

What a test sets of NumPy's floating-point errors holds in the student's code that it calls.
"""

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
from studium_graders.engine.student_side.serving import StudentSide
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


FLOATING = """
import warnings
import numpy as np

warnings.simplefilter("ignore")
def over(): return float(np.exp(np.float64(1000)))
def strict(): np.seterr(over="raise")
def asks(give): return give(), np.geterr()["over"]
"""


def test_errstate_of_a_test_holds_in_the_students_code_that_it_calls(make_student):
    over = make_student(FLOATING).get("over")
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        over()
    assert over() == float("inf")


def test_errstate_of_a_test_holds_on_after_the_students_code_called_back(make_student):
    student = make_student(FLOATING)
    over, asks = student.get("over"), student.get("asks")
    with np.errstate(over="ignore"):
        assert asks(over) == (float("inf"), "ignore")
        assert asks(lambda: np.geterr()["over"]) == ("ignore", "ignore")
    assert asks(int) == (0, "warn")


def test_seterr_of_a_test_holds_until_it_is_taken_back(make_student):
    over = make_student(FLOATING).get("over")
    before = np.seterr(all="raise")
    with pytest.raises(FloatingPointError):
        over()
    np.seterr(**before)
    assert over() == float("inf")


def test_what_the_students_own_code_set_holds_where_a_test_sets_nothing(make_student):
    student = make_student(FLOATING)
    student.get("strict")()
    with np.errstate(over="ignore"):
        assert student.get("over")() == float("inf")
        assert not student.run("strict()").error
    with pytest.raises(FloatingPointError):
        student.get("over")()
