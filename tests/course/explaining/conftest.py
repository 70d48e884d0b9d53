"""Small exercises, and what is said of a wrong answer to them."""

from __future__ import annotations

import pytest
from studium import assert_close, exercise
from studium.exercises.checking import check, with_sentence

PATIENT = 60.0  # seconds, so that no sentence is missing because the machine is busy


@pytest.fixture
def made():
    """made(solution, *calls, hidden=[…], also=[…]) → an exercise with a test for each call."""

    def make(solution, *calls, hidden=(), also=()):
        own = exercise(points=len(calls) + len(hidden), minutes=1)(solution)
        for register, given in ((own.test, calls), (own.hidden, hidden)):
            for number, arguments in enumerate(given):
                register(f"gives result {number} {register.__name__}", points=1)(_test(own, arguments))
        for other in also:
            own.also_correct(other)
        return own

    return make


def _test(own, arguments):
    def test(function):
        assert_close(function(*arguments), own.solution(*arguments))

    names = {"test": test}
    exec(f"def renamed({own.id}): test({own.id})", names)
    return names["renamed"]


@pytest.fixture
def told():
    """told(exercise, answer) → its shown result, explained with all the time in the world."""

    def tell(own, answer, seconds=PATIENT):
        result = check("sample", own, answer, seconds=seconds)
        return with_sentence(result, own.sentence_of(result.mistake_id))

    return tell
