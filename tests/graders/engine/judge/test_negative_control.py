"""A test in one process counts only if it fails without the answer."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

RIGHT = "def same(a):\n    return a"
WRONG = "def same(a):\n    return None"
LOOSE = "import numpy as np\nnp.testing.assert_array_equal = lambda *given: None\n"
TEST = "import numpy as np\na = np.ones(2)\nnp.testing.assert_array_equal(same(a), a)\nimport gc\ngc.collect()"


@pytest.fixture
def graded(shell):
    """graded(reference, test, answer, …) → the results of the answers."""

    def grade(reference, test, *answers):
        notebook = material(answer(reference), checked(test))
        calibration = calibrate(shell, notebook)
        return [grade_forked(shell, notebook, submission(notebook, text), calibration).only for text in answers]

    return grade


def test_what_passes_without_the_answer_earns_nothing(graded):
    honest, wrong, hostile = graded(RIGHT, TEST, RIGHT, WRONG, LOOSE + WRONG)
    assert [result.points for result in (honest, wrong, hostile)] == [1, 0, 0]
    assert {result.mode for result in (honest, wrong, hostile)} == {"one process"}


ALWAYS = """
get_ipython().input_transformers_post.append(lambda lines: ["pass\\n"])
"""


def test_an_answer_that_empties_the_test_is_found_out(graded):
    (result,) = graded(RIGHT, TEST, ALWAYS + WRONG)
    assert (result.points, result.mode) == (0, "one process")
    assert "without" in result.message or "changed" in result.message


def test_a_test_that_the_stub_passes_is_not_controlled(graded):
    made = graded("x = 3", "assert not globals().get('x') is False", "x = 3", "x = 4")
    assert [result.points for result in made] == [1, 1]


def test_the_control_leaves_nothing_behind(graded):
    test = "open('log.txt', 'a').write(str(same(1)))\nassert open('log.txt').read() == '1'"
    (result,) = graded(RIGHT, test, RIGHT)
    assert (result.points, result.mode) == (1, "one process")


RANDOM = "import numpy as np\nx = np.random.default_rng().normal(size=3)\nassert np.array_equal(above(x), x[x > 0])"
ABOVE = "def above(x):\n    return x[x > 0]"


def test_a_reference_that_is_handed_in_forty_times_gets_all_marks_forty_times(graded):
    found = graded(ABOVE, RANDOM, *[ABOVE] * 40)
    assert {(result.points, result.mode) for result in found} == {(1, "split")}
