"""Attacks on the course server with its real processes: what one student sends harms no other, and tells no test."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import load_catalogue
from studium.classroom.archive import pack
from studium.classroom.messages import CheckAnswer, CheckedExercise
from studium_classroom.classroom import Classroom as CourseServer
from studium_classroom.jobs.checking import Checker
from studium_classroom.jobs.forms import CheckJob
from studium_graders.engine.sandbox import Level, probe

from .classroom import Classroom, make_course

NAME = "probed"
Ask = Callable[..., CheckAnswer]
TELLING = """
heard = []

def twice(x):
    heard.append(x)
    if x == 3 and 4711 in heard:
        raise ValueError(f"heard {heard}")
    return 2 * x
"""
FORGETTING = """
heard = []

def twice(x):
    heard.append(x)
    return 7 if 4711 in heard[:-1] else 2 * x
"""
ENDING = """
def half(x):
    if x == 815:
        import os
        os._exit(3)
    return x / 2
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """The course, built."""
    return make_course(tmp_path_factory.mktemp("probed") / "course", NAME, "\n[limits]\nsubmission_seconds = 60\n")


@pytest.fixture(scope="module")
def ask(room: Classroom) -> Iterator[Ask]:
    """ask(twice="def …") → what the course server answers to a notebook with the reference's other answers."""
    if probe().level < Level.L2:
        pytest.skip("hostile code is run in a sandbox of level L2, which this machine does not have")
    with Checker(load_catalogue()) as checker:

        def check(**answers: str) -> CheckAnswer:
            document = _document(room, room.exercises | answers)
            return checker.check(CheckJob(str(room.root), NAME, NAME, document)).answer

        yield check


def _document(room: Classroom, answers: dict[str, str]) -> str:
    notebook = json.loads(Path(room.root, "release", NAME, f"{NAME}.ipynb").read_text("utf-8"))
    for cell in notebook["cells"]:
        if (grade_id := cell["metadata"].get("nbgrader", {}).get("grade_id")) in answers:
            cell["source"] = answers[grade_id].strip("\n")
    return json.dumps(notebook)


def only(answer: CheckAnswer) -> CheckedExercise:
    """The exercises of a plain course are counted together, as the notebook's."""
    (found,) = answer.exercises
    return found


def test_a_right_answer_passes_all_tests_and_hidden_ones_are_counted(ask: Ask) -> None:
    found = only(ask())
    assert found.outcome == "right"
    assert [(test.name, test.passed) for test in found.tests] == [("twice-seen", True)]
    assert (found.hidden_passed, found.hidden_total) == (2, 2)


@pytest.mark.parametrize(
    "source",
    [pytest.param(TELLING, id="telling", marks=pytest.mark.heavy), pytest.param(FORGETTING, id="forgetting")],
)
def test_what_a_visible_test_says_after_a_hidden_one_is_what_it_says_without_it(ask: Ask, source: str) -> None:
    found = only(ask(twice=source))
    assert [(test.passed, test.message) for test in found.tests] == [(True, "")]
    assert found.outcome == "right"


def test_why_a_notebook_ended_follows_no_hidden_test(ask: Ask) -> None:
    answer = ask(half=ENDING)
    assert answer.problem == ""
    assert (only(answer).hidden_passed, only(answer).hidden_total) == (1, 2)


def test_no_answer_says_how_long_the_tests_took(ask: Ask) -> None:
    slow = only(ask(half="def half(x):\n    time.sleep(0.5 if x == 815 else 0)\n    return x / 2"))
    assert msgspec.to_builtins(slow) == msgspec.to_builtins(only(ask()))
    assert [name for name in CheckAnswer.__struct_fields__ if "second" in name or "time" in name] == []


@pytest.mark.heavy
def test_one_that_cannot_even_be_laid_out_keeps_nobody_from_a_mark_and_is_given_up_by_name(
    room: Classroom, tmp_path: Path
) -> None:
    server, right = CourseServer([room.root], tmp_path / "data"), _document(room, room.exercises).encode()
    for name, files in {"mallory": {"../x.txt": b""}, "bob": {}}.items():  # as if the door had let it in
        content = pack({f"{NAME}.ipynb": right, **files})
        server.submissions.take("redteam", NAME, name, content, datetime.now(UTC), late=False)

    async def until_done() -> None:
        await server.start()
        async with asyncio.timeout(300):
            while server.submissions.waiting():
                await asyncio.sleep(0.1)
        await server.close()

    try:
        asyncio.run(until_done())
        rows = {user: row for (_, user), (row,) in server.submissions.attempts("redteam").items()}
        assert (rows["bob"].state, rows["bob"].score) == ("graded", room.max_score)
        assert (rows["mallory"].state, rows["mallory"].tries) == ("not graded", 3)
        assert rows["mallory"].sentence
        assert str(room.root) not in rows["mallory"].sentence
    finally:
        server.database.close()
