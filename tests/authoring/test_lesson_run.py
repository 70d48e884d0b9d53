"""What is known of a lesson that another process runs, also where it does not get to its end."""

import time
from functools import partial
from pathlib import Path

import pytest
from studium.authoring.lesson_process import Event
from studium.authoring.lesson_run import BUDGETS, Budget, run_within

EVENTS = [Event("lesson", "a"), Event("lesson", "a", seconds=2.0), Event("solution", "a"), Event("solution", "b")]
FOUND = {"PYTHONPATH": str(Path(__file__).parents[2])}


def lesson(end, tell):
    tell("the notebook")
    for event in EVENTS:
        tell(event)
    end()


def fail():
    raise KeyError("echo")


def test_a_cell_is_told_once_as_it_ended_and_as_it_began_where_it_did_not_end(tmp_path):
    run = run_within(BUDGETS["smoke"], partial(lesson, tuple), tmp_path, FOUND)
    assert (run.notebook, run.ended) == ("the notebook", "")
    assert [(event.edition, event.cell, event.seconds) for event in run.events] == [
        ("lesson", "a", 2.0),
        ("solution", "a", 0.0),
        ("solution", "b", 0.0),
    ]


@pytest.mark.parametrize(
    ("end", "lesson_seconds", "ended"),
    [
        (partial(time.sleep, 600), -1.9, "was stopped after 0.1 s"),
        (fail, 30, "ended with exit code 1: KeyError: 'echo'"),
    ],
    ids=["hangs", "fails"],
)
def test_a_process_that_does_not_get_to_its_end_is_told_with_what_it_has_done(tmp_path, end, lesson_seconds, ended):
    budget = Budget(lesson=lesson_seconds, cell=1, memory_mb=1)
    run = run_within(budget, partial(lesson, end), tmp_path, FOUND)
    assert run.ended == ended
    assert run.notebook == "the notebook"
