"""What the person who marks gets to see of a graded course: its questions, the reason and the test."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import load_catalogue
from studium_graders.engine.judge.verdicts import REVIEW
from studium_graders.marking.desk import Desk
from studium_graders.marking.showing import Showing
from studium_graders.results.mistakes import Sentences

SQUARES = """
def squares(n):
    if n < 1:
        raise ValueError("n must be positive")
    return [i**2 for i in range(1, n + 1)]
"""


def test_what_the_engine_leaves_to_a_person_is_shown_with_its_reason_and_counts_once_it_is_marked(
    ps1_course: Path, submit: Callable, studium: Callable
) -> None:
    course = ps1_course
    submit(course, "ada", {"problem1": {"squares": SQUARES}})
    (course / "course.toml").write_text('id = "course101"\n\n[grading]\nunverified = "review"\n')

    def graded(*more: str) -> dict:
        code, out, err = studium("grade", "ps1", "--course", str(course), "--student", "ada", "--json", *more)
        assert code == 0, err
        (row,) = json.loads(out)["submissions"]
        return dict(row)

    review = {test["grade_id"] for test in graded()["tests"] if test["message"].endswith(REVIEW)}
    showing = Showing(course, "ps1", Sentences(load_catalogue()))
    desk = Desk(showing.directory.db_url, "ps1", showing.outline, "tom", content=showing.content)
    waiting = {one.question for one in desk.questions()}
    assert {f"problem1/{name}" for name in review} <= waiting
    by_hand = waiting - {f"problem1/{name}" for name in review}
    assert by_hand  # the cells that nbgrader's own course leaves to a person
    for question in sorted(waiting):
        opened = desk.next(question)
        assert opened
        shown = showing.show("ada", question)
        own = next(check for check in shown.checks if check.own)
        assert own.word == "waits for marking"
        assert shown.answers
        if question not in by_hand:
            assert own.message.endswith(REVIEW)
            assert ">squares<" in shown.test_html
        desk.save(opened.answer, [], opened.max_score, "", opened.stamp)
    graded()
    assert {(one.question, one.waiting, one.mine) for one in desk.questions()} == {(name, 0, 1) for name in waiting}
