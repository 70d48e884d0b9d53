"""Of all tests of an exercise, more than half of those that failed decide which mistake is named."""

from types import SimpleNamespace

import pytest
from studium_graders.engine.judge.events import Judged
from studium_graders.engine.material import results
from studium_graders.engine.supervision.supervisor import Supervisor, _Grading

from .conftest import LIMITS

PASSED: list[str] = []


@pytest.fixture
def named(material):
    """named({"one": [mistakes] or None or PASSED, …}) → the mistake that each test of one exercise names."""

    def grade(mistakes):
        (book,) = material.notebooks
        job = SimpleNamespace(notebook=SimpleNamespace(notes=(), steps=()))
        grading = _Grading(Supervisor(None, None, LIMITS), book, job, None)
        for name, found in mistakes.items():
            outcome = "passed" if found is PASSED else "failed"
            result = results.TestResult("first", name, 0.0, 1.0, outcome, grade_id=name)
            grading.heard.note(Judged(result, mistakes=found))
        grading.result()
        return {name: result.mistake_id for name, result in grading.heard.results.items()}

    return grade


def test_a_mistake_of_most_failed_tests_is_named_in_these(named):
    assert named({"a": ["m"], "b": ["n", "m"], "c": [], "d": PASSED}) == {"a": "m", "b": "m", "c": "", "d": ""}


def test_a_mistake_of_half_the_failed_tests_is_not_named(named):
    assert named({"a": ["m"], "b": []}) == {"a": "", "b": ""}


def test_a_test_that_says_nothing_of_mistakes_is_not_counted(named):
    assert named({"a": ["m"], "b": None}) == {"a": "m", "b": ""}
