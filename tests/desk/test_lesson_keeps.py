"""``lesson`` in a notebook's kernel and the desk are one: what one does the other knows."""

from __future__ import annotations

import inspect

import pytest
from studium import open_lesson as open_in_kernel
from studium.desk.clean_check import Terms
from studium.desk.journal import Journal
from studium.exercises.verdict import Verdict

from .answering import write_answer


def unscaled(weight, a, b, alpha):
    return weight + alpha * (b @ a)


def correct(weight, a, b, alpha):
    return weight + alpha / len(a) * (b @ a)


unscaled.__name__ = correct.__name__ = "merge"


@pytest.fixture
def kernel(workspace, monkeypatch):
    """kernel() → a lesson as a new kernel in the workspace opens it."""
    monkeypatch.chdir(workspace)
    return lambda: open_in_kernel("sample", "smoke")


@pytest.fixture
def standing(store, workspace):
    return lambda: Journal(store, workspace).standing("sample", "merge")


def test_a_check_in_the_kernel_is_an_attempt_at_the_desk(kernel, standing):
    kernel().check(unscaled)
    assert (standing().status, standing().attempts) == ("wrong", 1)
    assert standing().last.mistake_id == "sample.merge:scaled-by-alpha"
    assert "alpha * (b @ a)" in standing().versions[0].answer


@pytest.mark.parametrize(("before", "after"), [(unscaled, "untouched"), (correct, "right")])
def test_a_wrong_answer_that_is_gone_is_no_longer_wrong_and_a_right_one_stays(kernel, standing, before, after):
    kernel().check(before)
    assert kernel().check("merge").result.outcome == "not attempted"
    assert (standing().status, standing().attempts, len(standing().versions)) == (after, 1, 1)


def test_attempts_hints_and_reveals_outlast_the_kernel(kernel, standing):
    kernel().hint("merge")
    assert "Hint 2 of 2" in repr(kernel().hint("merge"))
    kernel().check(unscaled)
    assert "alpha / a.shape[0]" in repr(kernel().reveal("merge"))
    kernel().check(correct)
    assert (standing().status, standing().outcome, standing().by_yourself) == ("revealed", "right", False)


@pytest.mark.parametrize("answer", [unscaled, pytest.param(correct, marks=pytest.mark.heavy)])
def test_the_kernel_and_the_desk_show_the_same_card(kernel, open_lesson, workspace, answer):
    source = inspect.getsource(answer).replace(f"def {answer.__code__.co_name}", "def merge")
    write_answer(workspace / "sample.ipynb", source)
    lesson = open_lesson()
    (result,) = lesson.shown(lesson.check("merge", Terms(limit=60)))
    assert Verdict(result, "sample", answer=inspect.getsource(answer)).forms() == kernel().check(answer).forms()


def test_mine_is_no_attempt(kernel, standing, capsys):
    kernel().mine(unscaled)
    assert standing().attempts == 0


def test_a_check_is_shown_even_where_it_cannot_be_recorded(kernel, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STUDIUM_DATA", str(tmp_path / "file" / "below"))
    text = repr(kernel().check(correct))
    assert text.startswith("Right: merge")
    assert "Not recorded: your progress is kept in" in text


def test_a_prediction_that_missed_is_kept(kernel, store, workspace):
    lesson = kernel()
    assert "You expect 3" in repr(lesson.predict("rank", 3, "How many directions?"))
    lesson.predict("rank", 7)
    assert repr(kernel().found("rank", 7)) == "rank is 7; you expected 3."
    assert repr(lesson.found("other", 1)) == "other is 1."


def test_a_prediction_nearby_is_a_hit(kernel):
    lesson = kernel()
    lesson.predict("loss", 1.05)
    assert repr(lesson.found("loss", 1.0)) == "loss is 1; you expected 1.05, a hit."


def test_what_is_no_guess_is_not_written_down(kernel, store):
    for guess, said in [
        (..., "Replace the dots with your number"),
        ("about 3", "A guess is one number"),
        (float("nan"), "got nan"),
    ]:
        lesson = kernel()
        assert said in repr(lesson.predict("rank", guess, "How many directions?"))
        assert repr(lesson.found("rank", 7)) == "rank is 7."


def test_a_guess_waits_while_nothing_came_out(kernel):
    lesson = kernel()
    lesson.predict("steps", 2)
    assert "your guess is still open" in repr(lesson.found("steps", float("nan")))
    assert "a hit" in repr(lesson.found("steps", 2.0))
