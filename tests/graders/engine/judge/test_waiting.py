"""A test that meets an error that it does not meet beside the answer waits for a person."""

from __future__ import annotations

from studium_graders.engine.judge.events import Judged
from studium_graders.engine.judge.judging import WAITS

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


def test_an_object_that_the_test_may_not_ask_waits_where_it_passes_beside_the_answer(shell):
    result = grade(shell, EXACT, checked(TEST)).only
    assert (result.outcome, result.points, result.mode) == ("manual", 0, "split")
    assert "Exact" in result.message
    assert result.message.endswith(WAITS)


def test_it_fails_where_it_fails_beside_the_answer_too(shell):
    result = grade(shell, EXACT.replace("(n, 2)", "(n, 3)"), checked(TEST)).only
    assert (result.outcome, result.points) == ("failed", 0)
    assert WAITS not in result.message


def test_a_cheat_waits_at_most(shell):
    always = "class Yes:\n    __eq__ = __add__ = lambda self, other: self\ndef half(n):\n    return Yes()"
    assert grade(shell, always, checked(TEST)).only.points == 0


def test_an_assertion_of_the_test_is_its_word(shell):
    """The answer knows where it runs, and is right there alone."""
    knows = "def half(n):\n    import sys\n    return n / 2 if 'test_half' in globals() else 0.0"
    test = "test_half = half(3)\nassert half(3) == 1.5"
    assert grade(shell, knows, checked(test)).only.outcome == "failed"


def test_an_answer_that_reads_a_name_of_the_tests_fails(shell):
    result = grade(shell, "def half(n):\n    return m / 2", checked("m = 3\nassert half(3) == 1.5")).only
    assert (result.outcome, "name 'm' is not defined" in result.message) == ("failed", True)


def test_what_a_hidden_test_says_stays_bounded(shell):
    result = grade(shell, EXACT, checked(TEST, hidden=True), beside=True).only
    assert result.outcome == "manual"
    assert "2.5" not in result.message


def test_a_hidden_test_is_not_run_beside_the_answer_before_all_others_have_their_results(shell):
    graded = grade(shell, EXACT, checked(TEST, hidden=True))
    assert graded.only.outcome == "failed"
    assert [event.undecided for event in graded.events if isinstance(event, Judged)] == [True]


def test_nor_is_a_test_that_needs_a_line_of_a_hidden_one(shell):
    tests = checked("def shown(x):\n    return x + 1", hidden=True), checked("assert shown(half(3)) == 2.5")
    graded = grade(shell, EXACT, *tests)
    assert [event.undecided for event in graded.events if isinstance(event, Judged)] == [False, True]


def test_the_fork_leaves_nothing_that_a_later_test_would_see(shell):
    leaves = f"{EXACT}\nseen = []\ndef marked(n):\n    seen.append(n)\n    return len(seen)"
    plain = f"{HALF}\nseen = []\ndef marked(n):\n    seen.append(n)\n    return len(seen)"
    tests = checked(f"marked(1)\n{TEST}"), checked("assert marked(1) == 2")
    results = grade(shell, leaves, *tests, reference=plain).results
    assert [result.outcome for result in results.values()] == ["manual", "passed"]
