"""The author of a topic is told which tests an answer passes that says nothing."""

from types import SimpleNamespace

from studium import exercise
from studium.authoring.vacuous_answers import vacuous_answers


def subject_with(test):
    @exercise(points=1, minutes=1)
    def double(x):
        """Return twice x."""
        return 2 * x

    double.test("doubles", points=1)(test)
    return SimpleNamespace(topic=SimpleNamespace(slug="sample"), exercises=[double])


def test_a_test_that_accepts_none_is_listed_with_the_answer():
    def lenient(double):
        assert double(3) != 5

    found = vacuous_answers(subject_with(lenient))
    assert not found.problems
    assert "double/doubles: " in found.summary
    assert "None" in found.summary


def test_a_test_that_compares_the_result_is_not_listed():
    def strict(double):
        assert double(3) == 6

    assert vacuous_answers(subject_with(strict)).summary == "vacuous answers pass none of the tests"
