"""nbgrader's own commands, and the Assignment List of JupyterLab, with the course server and no shared folder."""

import shutil
import time
from pathlib import Path

import pytest
from studium.classroom.archive import pack, unpack
from studium_classroom.classroom import Classroom
from studium_classroom.roles import Place, Role
from studium_graders.course_file import read_course

from .conftest import join
from .desks import STAFF, STUDENT, Desk
from .test_whole_way import RIGHT, answer, server

pytestmark = [pytest.mark.nbgrader, pytest.mark.xdist_group("classroom")]


def own_source(desk: Desk, course: Path, name: str) -> None:
    """Let an instructor have the source of an assignment under another name."""
    (desk.folder / "source" / name).mkdir(parents=True)
    shutil.copy(course / "source" / "ps1" / "counting.ipynb", desk.folder / "source" / name)


def test_an_instructor_releases_a_student_fetches_submits_and_reads_feedback_by_nbgraders_commands(
    course, desk, tmp_path
):
    opened = Classroom([course], course / ".studium" / "classroom")
    tokens = {
        name: join(opened, "course101", name, Place(role))
        for name, role in (("ada", Role.STUDENT), ("grace", Role.INSTRUCTOR))
    }
    opened.database.close()
    with server(course) as (_, url):
        ada, grace = desk("ada", url, tokens["ada"], STUDENT), desk("grace", url, tokens["grace"], STAFF)
        own_source(grace, course, "ps2")
        assert "Released as: course101 ps2" in grace.nbgrader("release_assignment", "ps2")
        assert "is released already; add --force" in grace.nbgrader("release_assignment", "ps2", code=1)
        assert read_course(course).assignment("ps2").opens

        assert "course101 ps2" in ada.nbgrader("list")
        ada.nbgrader("fetch_assignment", "ps2")
        notebook = ada.folder / "ps2" / "counting.ipynb"
        assert "hidden" not in notebook.read_text()
        assert "is there already; add --replace" in ada.nbgrader("fetch_assignment", "ps2", code=1)
        answer(notebook, RIGHT)
        assert "Submitted as: course101 ps2" in ada.nbgrader("submit", "ps2")
        assert (ada.folder / "ps2" / ".studium-receipts" / "attempt-1.json").is_file()

        assert "course101 ada ps2" in grace.nbgrader("list", "--inbound")
        grace.nbgrader("collect", "ps2")
        assert "return sum(values)" in (grace.folder / "submitted" / "ada" / "ps2" / "counting.ipynb").read_text()
        assert "collected before; --update" in grace.nbgrader("collect", "ps2")

        wait_for_feedback(ada)
        ada.nbgrader("fetch_feedback", "ps2")
        (page,) = (ada.folder / "ps2" / "feedback").glob("*/counting.html")
        assert "counting" in page.read_text()
        assert "feedback already fetched" in ada.nbgrader("list", "--cached")


def wait_for_feedback(desk: Desk) -> None:
    end = time.monotonic() + 300
    while "feedback ready to be fetched" not in (said := desk.nbgrader("list", "--cached")):
        assert time.monotonic() < end, said


def test_the_assignment_list_of_jupyterlab_fetches_and_submits(served, desk):
    ada = desk("ada", served.url, served.tokens["ada"], STUDENT)
    (released,) = ada.lab("list_assignments")["value"]
    assert (released["status"], released["notebooks"][0]["notebook_id"]) == ("released", "counting")
    assert ada.lab("list_courses") == {"success": True, "value": ["course101"]}
    assert ada.lab("fetch_assignment", "course101", "ps1") == {"success": True}
    assert ada.lab("submit_assignment", "course101", "ps1") == {"success": True}
    fetched, submitted = ada.lab("list_assignments", "course101")["value"]
    assert (fetched["status"], fetched["path"]) == ("fetched", "ps1")
    (one,) = submitted["submissions"]
    assert (one["student_id"], one["has_exchange_feedback"], one["local_feedback_path"]) == ("ada", False, None)


def test_what_nbgrader_sends_leaves_out_what_its_settings_leave_out_and_feedback_that_was_fetched(served, desk):
    ada = desk("ada", served.url, served.tokens["ada"], f'{STUDENT}c.CourseDirectory.ignore = ["feedback", "*.bin"]\n')
    ada.nbgrader("fetch_assignment", "ps1")
    for name in ("feedback/now/counting.html", "model.bin", "notes.txt"):
        (ada.folder / "ps1" / name).parent.mkdir(parents=True, exist_ok=True)
        (ada.folder / "ps1" / name).write_text("own")
    ada.nbgrader("submit", "ps1")
    (row,) = served.classroom.submissions.attempts("course101")["ps1", "ada"]
    assert set(unpack(served.classroom.submissions.archive(row))) == {"counting.ipynb", "notes.txt"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("list", "--inbound"), "the staff's to list"),
        (("list", "--remove"), "removes nothing"),
        (("fetch_assignment", "ps9"), "unknown assignment 'ps9'"),
        (("submit", "ps1"), "fetch the assignment"),
        (("submit", "ps1", "--student=bob"), "fetch the assignment"),
        (("list", "--course=other"), "Released assignments"),
        (("fetch_assignment", "ps1", "--course=other"), "you have not joined the course 'other'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(served, desk, words, sentence):
    ada = desk("ada", served.url, served.tokens["ada"], STUDENT)
    said = ada.nbgrader(*words, code=0 if "other" in words[-1] and words[0] == "list" else 1)
    assert sentence in said
    assert "Traceback" not in said


def test_nobody_hands_in_under_another_name_or_without_a_notebook_where_that_is_strict(served, desk):
    ada = desk("ada", served.url, served.tokens["ada"], STUDENT)
    ada.nbgrader("fetch_assignment", "ps1")
    assert "you hand in as ada" in ada.nbgrader("submit", "ps1", "--student=bob", code=1)
    (ada.folder / "ps1" / "counting.ipynb").rename(ada.folder / "ps1" / "mine.ipynb")
    assert "counting.ipynb is not there; nothing was" in ada.nbgrader("submit", "ps1", "--strict", code=1)
    assert served.classroom.submissions.attempts("course101") == {}


def test_a_source_that_cannot_be_released_changes_nothing(served, course):
    before = (course / "course.toml").read_text()
    address = "courses/course101/assignments/new/source"
    for files, sentence in (({"data.csv": b"1"}, "needs a notebook"), ({"a.ipynb": b"junk"}, "a.ipynb")):
        response = served.ask("grace", "PUT", address, content=pack(files))
        assert response.status_code == 400
        assert sentence in response.json()["message"]
    assert (course / "course.toml").read_text() == before
    assert not (course / "source" / "new").exists()


def test_a_released_source_opens_now_unless_the_course_says_when(served, course, counting):
    files = {"counting.ipynb": (course / "source" / "ps1" / "counting.ipynb").read_bytes()}
    for name, opens in (("new", "20"), ("later", "2099-01-01T08:00:00")):
        response = served.ask("grace", "PUT", f"courses/course101/assignments/{name}/source", content=pack(files))
        assert response.status_code == 200, response.text
        assert response.json()["opens"].startswith(opens)
    assert [view.name for view in served.client("ada").assignments("course101")] == ["ps1", "new"]
    found = read_course(course)
    assert [one.name for one in found.assignments] == ["ps1", "later", "new"]
    assert found.assignment("new").opens.tzinfo
