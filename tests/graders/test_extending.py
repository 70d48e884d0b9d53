"""`studium extend`: one student has more time, the file says so, and grading takes the penalty back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.course.course_file import read_course

LATE = '[late]\npolicy = "per-day"\npenalty_percent = 10\n'


@pytest.fixture(scope="module")
def late_class(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    course: Path = make_course(rest=LATE)
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for student in ("ada", "bob"):
        submit(course, student, {"counting": right}, "2026-03-09 20:00:00 UTC")
    return course


@pytest.fixture
def course(late_class: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(late_class, tmp_path / "course"))


@pytest.fixture
def penalties(course: Path, studium: Callable) -> Callable[[], dict[str, float]]:
    def grade() -> dict[str, float]:
        code, out, err = studium("grade", "ps1", "--course", str(course), "--executor", "by-hand", "--json")
        assert code == 0, err
        return {row["student"]: row["late_penalty"] for row in json.loads(out)["submissions"]}

    return grade


def extend(studium: Callable, course: Path, *more: str) -> tuple[int, str, str]:
    return studium("extend", *more, "--course", str(course))


def test_the_penalty_goes_with_the_next_grading_for_this_student_alone(course, studium, penalties):
    before = penalties()
    assert before["ada"] == before["bob"] > 0
    code, out, err = extend(studium, course, "ada", "ps1", "--until", "2026-03-10T12:00", "--reason", 'ill, "flu"')
    assert (code, err) == (0, "")
    assert out.startswith("ada now has until 2026-03-10 12:00 ")
    assert read_course(course).extensions[0].reason == 'ill, "flu"'
    assert penalties() == {"ada": 0.0, "bob": before["bob"]}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        assert book.find_submission("ps1", "ada").extension.days >= 1
        assert book.find_submission("ps1", "bob").extension is None


def test_a_shorter_extension_leaves_the_days_after_it_and_the_last_one_holds(course, studium, penalties):
    whole = penalties()["bob"]
    extend(studium, course, "ada", "ps1", "--until", "2026-03-20T12:00")
    extend(studium, course, "ada", "ps1", "--until", "2026-03-07T12:00")
    assert 0 < penalties()["ada"] < whole


def test_a_student_whom_the_gradebook_does_not_know_is_pointed_out(course, studium, penalties):
    assert "does not know" not in extend(studium, course, "adda", "ps1", "--until", "2026-03-10T12:00")[1]
    penalties()
    code, out, _ = extend(studium, course, "adda", "ps1", "--until", "2026-03-10 12:00")
    assert (code, "this student is not in the gradebook yet: did you mean 'ada'?" in out) == (0, True)
    assert "does not know" not in extend(studium, course, "ada", "ps1", "--until", "2026-03-10T12:00+01:00")[1]


def test_an_extension_that_is_given_in_formgrader_stays(course, studium, penalties):
    from datetime import timedelta

    penalties()
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        book.update_or_create_submission("ps1", "bob", extension=timedelta(days=30))
    assert penalties()["bob"] == 0.0


IMPOSSIBLE = [
    (("ada", "ps9", "--until", "2026-03-10T12:00"), "unknown assignment 'ps9'"),
    (("ada", "ps1", "--until", "2026-01-10T12:00"), "an extension must end after 2026-"),
    (("ada", "ps1", "--until", "tomorrow"), "a date and a time, such as 2026-12-15T12:00: got 'tomorrow'"),
    (("ada", "ps1", "--until", "2026-03-10"), "a date and a time, such as 2026-12-15T12:00: got '2026-03-10'"),
]


def test_what_cannot_be_is_told_and_the_file_stays_as_it_is(course, studium):
    before = (course / "course.toml").read_bytes()
    for arguments, sentence in IMPOSSIBLE:
        code, _, err = extend(studium, course, *arguments)
        assert code != 0
        assert sentence in " ".join(err.replace("│", " ").split())
    assert (course / "course.toml").read_bytes() == before


def test_a_file_with_an_extension_of_nothing_is_told(course):
    with (course / "course.toml").open("a") as file:
        file.write('\n[[extensions]]\nstudent = "ada"\nassignment = "ps7"\nuntil = 2026-03-10T12:00:00\n')
    with pytest.raises(CourseError, match="needs an assignment for the extension of 'ada': got 'ps7'"):
        read_course(course)
