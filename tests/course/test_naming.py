"""A mistake is named where one registered wrong answer explains more than half of the failed tests."""

from __future__ import annotations

import pytest
from studium import assert_close, exercise
from studium.exercises.checking import check, shown_failure
from studium.exercises.naming import agreed, commonest
from studium.exercises.observation import Recorder

SQUARED = "You squared; a cube has three factors."
TRIPLED = "You multiplied by three; a cube has three factors of x."
REFUSED = "You refused negative numbers; they have cubes too."


@pytest.fixture
def cube():
    @exercise(points=4, minutes=1)
    def cube(x):
        return x**3

    def cubes(value):
        return lambda cube: assert_close(cube(value), value**3)

    for value in (2.0, -2.0, 3.0, 5.0):
        cube.test(f"cubes {value}", points=1)(cubes(value))
    cube.misconception(SQUARED)(lambda x: x**2)
    cube.misconception(TRIPLED)(lambda x: 3 * x)

    @cube.misconception(REFUSED)
    def refused(x):
        if x < 0:
            raise ValueError("x must be positive")
        return x**3

    return cube


def mistake(cube, function):
    return cube.sentence_of(check("sample", cube, function).mistake_id)


def test_a_mistake_that_explains_every_failed_test_is_named(cube):
    assert mistake(cube, lambda x: x * x) == SQUARED


def test_a_mistake_that_explains_one_failed_test_of_four_is_not_named(cube):
    assert mistake(cube, lambda x: 4.0 if x == 2 else 0.0) == ""


def test_a_mistake_that_explains_half_of_the_failed_tests_is_not_named(cube):
    assert mistake(cube, lambda x: x**2 if x < 3 else 0.0) == ""


def test_of_two_mistakes_the_one_that_explains_most_is_named_and_its_failure_is_shown(cube):
    result = check("sample", cube, lambda x: 3 * x if x == 2 else x**2)
    assert cube.sentence_of(result.mistake_id) == SQUARED
    assert shown_failure(result).name == "cubes -2.0"


def test_an_exception_of_the_same_type_with_another_text_is_another_mistake(cube):
    def right_but_for(text):
        def answer(x):
            if x < 0:
                raise ValueError(text)
            return x**3

        return answer

    assert mistake(cube, right_but_for("x must be positive")) == REFUSED
    assert mistake(cube, right_but_for("not enough values to unpack")) == ""


def test_the_name_of_the_function_in_an_exception_is_no_difference():
    def answer(x): ...
    def other(x): ...

    observed = []
    for function in (answer, other):
        recorder = Recorder(function)
        with pytest.raises(TypeError):
            recorder.wrapped()(1, 2)
        observed.append(recorder.calls[0].observed)
    assert observed[0].matches(observed[1])


def test_of_mistakes_that_explain_as_many_tests_the_first_is_the_commonest():
    assert commonest([["one", "two"], ["two", "one"], []]) == "one"


def test_without_a_failed_test_there_is_no_commonest_mistake():
    assert commonest([]) == ""


def test_a_test_that_objects_to_something_else_than_results_does_not_count():
    assert commonest([["one"], None, None]) == "one"
    assert commonest([None, None]) == ""


def test_of_a_second_mistake_it_is_said_that_it_is_one_among_others(cube):
    result = check("sample", cube, lambda x: 3 * x if x == 2 else x**2)
    assert result.among
    assert not check("sample", cube, lambda x: x**2).among


def test_a_mistake_that_a_passed_test_contradicts_is_not_named(cube):
    cube.tests[:] = [test for test in cube.tests if test.name in ("cubes 2.0", "cubes 3.0")]
    assert mistake(cube, lambda x: 4.0 if x == 2 else x**3) == ""


def test_a_contradicted_mistake_leaves_its_place_to_the_next():
    possible = [["one", "two"], ["one", "two"], ["one"], ["one", "two"]]
    assert agreed(possible) == ("one", False)
    assert agreed(possible, {"one"}.__contains__) == ("two", True)


def test_a_mistake_that_explains_two_failed_tests_of_three_is_not_named():
    assert agreed([["one"], ["one"], ["two"]]) == ("", False)
