"""A test in which the judge refused what it was asked for is for review: it gives neither points nor a zero."""

from __future__ import annotations

from studium_graders.engine.judge.verdicts import REVIEW

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

HALF = "def half(n):\n    return n / 2"
EXACT = """
class Exact:
    def __init__(self, n, d): self.n, self.d = n, d
    def __add__(self, other): return self.n / self.d + other
def half(n):
    return Exact(n, 2)
"""
TEST = "assert half(3) + 1 == 2.5"


def grade(shell, text, *tests, reference=HALF, **options):
    notebook = material(answer(reference), *tests)
    return grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook), **options)


def test_an_object_that_the_test_may_not_ask_is_for_review(shell):
    result = grade(shell, EXACT, checked(TEST)).only
    assert (result.outcome, result.points, result.mode) == ("review", 0, "verified")
    assert "Exact" in result.message
    assert result.message.endswith(REVIEW)


def test_a_cheat_is_for_review_at_most(shell):
    always = "class Yes:\n    __eq__ = __add__ = lambda self, other: self\ndef half(n):\n    return Yes()"
    assert grade(shell, always, checked(TEST)).only.points == 0


def test_a_refusal_sticks_though_the_test_catches_it(shell):
    catches = "try:\n    half(3) + 1\nexcept TypeError:\n    pass"
    assert grade(shell, EXACT, checked(catches)).only.outcome == "review"


def test_an_assertion_of_the_test_is_its_word(shell):
    assert grade(shell, "def half(n):\n    return 0.0", checked("assert half(3) == 1.5")).only.outcome == "failed"


def test_an_error_of_the_answers_own_fails(shell):
    assert grade(shell, "def half(n):\n    return n / 0", checked(TEST)).only.outcome == "failed"


def test_an_answer_that_reads_a_name_of_the_tests_fails(shell):
    result = grade(shell, "def half(n):\n    return m / 2", checked("m = 3\nassert half(3) == 1.5")).only
    assert (result.outcome, "name 'm' is not defined" in result.message) == ("failed", True)


def test_what_a_hidden_test_says_stays_bounded(shell):
    result = grade(shell, EXACT, checked(TEST, hidden=True)).only
    assert result.outcome == "review"
    assert "2.5" not in result.message
    assert "Exact" not in result.message


def test_a_right_answer_on_random_data_gets_all_marks_forty_times(shell):
    above = "def above(x):\n    return x[x > 0]"
    test = "import numpy as np\nx = np.random.default_rng().normal(size=3)\nassert np.array_equal(above(x), x[x > 0])"
    notebook = material(answer(above), checked(test))
    calibration = calibrate(shell, notebook)
    found = [grade_forked(shell, notebook, submission(notebook, above), calibration).only for _ in range(40)]
    assert {(result.points, result.mode) for result in found} == {(1, "verified")}
