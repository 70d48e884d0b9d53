"""A guess and what came out are two marks on a line; what a lesson asks before an experiment is read off its cells."""

from __future__ import annotations

import io
import re

from nbformat.v4 import new_code_cell, new_notebook
from studium.experiments.predictions import Prediction, ends, line_of_text, two_marks
from studium.notebooks.questions import answered_in, asked_in, only_asks, with_questions

ASKS = 'lesson.predict("loss", ..., "What is the loss?")'
ANSWERED = 'lesson.predict("loss", 0.5, "What is the loss?")'
OTHER = 'lesson.predict("rank", ..., "Which rank?")'
RUNS = 'value = f()\nlesson.found("loss", value)\nprint(value)'


def places(html: str) -> list[float]:
    """The places of the dots on a line, in per cent."""
    return [float(found) for found in re.findall(r"border-radius:50%;left:([\d.]+)%", html)]


def test_guess_and_finding_are_two_marks_in_their_order_on_the_line():
    for guess, value in [(0.5, 0.25), (3, 3000), (-0.1, -0.02), (-1, 2), (0, 0), (5, 5)]:
        found, guessed = places(two_marks(guess, value))
        low, high = ends(guess, value)
        assert low <= min(guess, value, 0)
        assert max(guess, value, 0) <= high
        assert all(0 <= place <= 100 for place in (found, guessed))
        assert (found - guessed) * (value - guess) >= 0
        assert (found == guessed) == (value == guess)
        assert all(label in two_marks(guess, value) for label in (f"you {guess:.3g}", f"found {value:.3g}"))


def test_a_terminal_has_the_two_marks_as_signs():
    assert re.fullmatch(r"\|-+#-+o-+\|  o you 0.5  # found 0.25", line_of_text(0.5, 0.25))
    assert re.fullmatch(r"\|-+@-+\|  o you 3  # found 3", line_of_text(3, 3))


def test_who_did_not_guess_is_told_the_number_and_nothing_else():
    found = Prediction("loss", 0.25)
    assert repr(found) == "loss is 0.25."
    assert places(found._repr_mimebundle_()["text/html"]) == []


def test_questions_and_the_cells_that_answer_them_are_read_off_the_source():
    (asked,) = asked_in(ASKS, "here")
    assert (asked.cell, asked.name, asked.text, asked.open) == ("here", "loss", "What is the loss?", True)
    assert [question.open for question in asked_in(ANSWERED)] == [False]
    assert asked_in("lesson.predict(name, 3)") == [] == asked_in("def f(x:")
    assert answered_in(RUNS) == {"loss"}
    assert [only_asks(source) for source in (ASKS, f"{ASKS}\n{OTHER}", RUNS, "", f"x = 1\n{ASKS}")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_before_an_experiment_comes_its_own_question_alone_and_only_while_it_is_open():
    for first, open_ones in [(ASKS, ["loss"]), (ANSWERED, [])]:
        sources = {"ask": first, "other": OTHER, "run": RUNS}
        notebook = new_notebook(cells=[new_code_cell(source, id=name) for name, source in sources.items()])
        for needed in (["run"], list(sources)):
            cells, questions = with_questions(notebook, needed)
            assert cells == ["ask", "run"]
            assert [question.name for question in questions] == open_ones


def test_in_a_terminal_reproduce_asks_first_and_shows_both_marks_at_the_end(
    sample, measured_here, studium, monkeypatch
):
    monkeypatch.setattr("studium.cli.reproduce._in_a_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("a lot\n0.9\n"))
    code, out, _ = studium("reproduce", "sample", "--profile", "smoke", "--seeds", "1")
    assert code == 0
    assert out.index("sample: the gap is small (the claim needs at most 0.2)") < out.index("measured")
    assert "a guess is one number, such as 3 or 0.5: got 'a lot'" in out
    assert re.search(r"\|-+#-+o-+\|  o you 0.9  # found 0.5", out)


def test_reproduce_asks_nobody_where_a_program_reads_or_no_guess_is_wanted(sample, measured_here, studium, monkeypatch):
    monkeypatch.setattr("studium.cli.reproduce._in_a_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for option in ("--json", "--no-guess"):
        assert (
            "What do you expect" not in studium("reproduce", "sample", "--profile", "smoke", "--seeds", "1", option)[1]
        )
