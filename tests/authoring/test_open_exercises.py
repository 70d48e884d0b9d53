"""The tests of an open exercise measure a goal, so what is off but reaches the goal is no problem."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace

from studium import exercise
from studium.authoring import ladder
from studium.authoring.mutant_process import Trial
from studium.authoring.mutants import mutants
from studium.authoring.tolerances import tolerances


@exercise(points=1, minutes=1, kind="open", report=1)
def near_two(x):
    """Return a number between 1 and 3."""
    ### BEGIN SOLUTION
    return 2.0 + 0 * x
    ### END SOLUTION


@near_two.test("is near 2", points=1)
def _(near_two):
    assert 1 < near_two(0.0) < 3


OPEN, CLOSED = near_two, replace(near_two, kind="write", report=0)


def subject(sample):
    survivor = Trial("near_two", 1, "-return 2.0 + 0 * x\n+return 2.0 - 0 * x", survived=True)
    topic = SimpleNamespace(slug="sample", exercises={"near_two": sample}, exercise=lambda name: sample)
    return SimpleNamespace(topic=topic, exercises=[sample], trials=[survivor], versions=defaultdict(dict))


def test_what_reaches_the_goal_of_an_open_exercise_is_right_and_passes_for_no_other():
    for check in [tolerances, mutants]:
        assert check(subject(OPEN)).problems == []
        (problem,) = check(subject(CLOSED)).problems
        assert "near_two" in problem


def test_the_ladder_ends_with_a_word_if_no_exercise_is_open():
    assert ladder.ladder(subject(OPEN)).summary.endswith("near_two core")
    assert ladder.ladder(subject(CLOSED)).summary.endswith("near_two core; none is open")
