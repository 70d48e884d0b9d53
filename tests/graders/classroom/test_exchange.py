"""nbgrader's own commands, and the Assignment List of JupyterLab, with the course server and no shared folder."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeError, ExchangeFactory
from studium.classroom.archive import pack, unpack
from studium_classroom.classroom import Classroom
from studium_classroom.roles import Place, Role
from studium_graders.course.course_file import read_course
from traitlets.config import Config

from .conftest import join
from .desks import STAFF, STUDENT, Desk
from .test_submissions import change_course, marked
from .test_whole_way import RIGHT, answer, server, wait_for_mark

pytestmark = [pytest.mark.nbgrader, pytest.mark.xdist_group("classroom")]

WHEN_RELEASED = '[classroom]\nmarks = "when released"\n'


def own_source(desk: Desk, course: Path, name: str) -> None:
    """Let an instructor have the source of an assignment under another name."""
    (desk.folder / "source" / name).mkdir(parents=True)
    shutil.copy(course / "source" / "ps1" / "counting.ipynb", desk.folder / "source" / name)


@pytest.mark.heavy
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
        assert read_course(course).assignment("ps2").opens

        assert "course101 ps2" in ada.nbgrader("list")
        ada.nbgrader("fetch_assignment", "ps2")
        notebook = ada.folder / "ps2" / "counting.ipynb"
        assert "hidden" not in notebook.read_text()
        answer(notebook, RIGHT)
        assert "Submitted as: course101 ps2" in ada.nbgrader("submit", "ps2")
        assert (ada.folder / "ps2" / ".studium-receipts" / "attempt-1.json").is_file()

        grace.nbgrader("collect", "ps2")
        assert "return sum(values)" in (grace.folder / "submitted" / "ada" / "ps2" / "counting.ipynb").read_text()

        wait_for_mark(course, "ps2", "ada", 1)
        assert "feedback ready to be fetched" in ada.nbgrader("list", "--cached")
        ada.nbgrader("fetch_feedback", "ps2")
        (page,) = (ada.folder / "ps2" / "feedback").glob("*/counting.html")
        assert "counting" in page.read_text()


def test_the_assignment_list_of_jupyterlab_fetches_and_submits(served, desk):
    ada = desk("ada", served.url, served.tokens["ada"], STUDENT)
    asked = [["list_assignments"], ["list_courses"], ["fetch_assignment", "course101", "ps1"]]
    asked += [["submit_assignment", "course101", "ps1"], ["list_assignments", "course101"]]
    before, courses, *done, after = ada.lab(asked)
    (released,) = before["value"]
    assert (released["status"], released["notebooks"][0]["notebook_id"]) == ("released", "counting")
    assert courses == {"success": True, "value": ["course101"]}
    assert done == [{"success": True}, {"success": True}]
    fetched, submitted = after["value"]
    assert (fetched["status"], fetched["path"]) == ("fetched", "ps1")
    (one,) = submitted["submissions"]
    assert (one["student_id"], one["has_exchange_feedback"], one["local_feedback_path"]) == ("ada", False, None)


@pytest.fixture
def ask(served, data_folder: Path, tmp_path: Path, monkeypatch) -> Callable[..., Any]:
    """ask("FetchAssignment", assignment="ps1") → what nbgrader's exchange gives ada, as to its commands.

    ``staff`` asks as grace, with the classes of the staff.
    """
    monkeypatch.chdir(tmp_path)

    def start(kind: str, *, staff: bool = False, assignment: str = "", student: str = "*", **options: object) -> Any:
        user, settings = ("grace", STAFF) if staff else ("ada", STUDENT)
        joined = [{"url": served.url, "token": served.tokens[user], "course": "course101"}]
        (data_folder / "classroom.json").write_text(json.dumps(joined))
        config = Config()
        exec(settings, {"get_config": lambda: config})
        own = {"assignment_id": assignment, "student_id": student, "root": str(tmp_path / user)}
        course = options.pop("course", "course101")
        coursedir = CourseDirectory(config=config, course_id=course, **own)
        made = getattr(ExchangeFactory(config=config), kind)(coursedir=coursedir, config=config)
        for name, value in options.items():
            setattr(made, name, value)
        return made.start()

    return start


def test_what_is_handed_in_leaves_out_what_nbgraders_settings_leave_out_such_as_feedback(served, ask, tmp_path):
    ask("FetchAssignment", assignment="ps1")
    for name in ("feedback/now/counting.html", "module.pyc", "notes.txt"):
        (tmp_path / "ps1" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ps1" / name).write_text("own")
    ask("Submit", assignment="ps1")
    (row,) = served.classroom.submissions.attempts("course101")["ps1", "ada"]
    assert set(unpack(served.classroom.submissions.archive(row))) == {"counting.ipynb", "notes.txt"}


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"kind": "List", "inbound": True}, "only staff can list"),
    ({"kind": "List", "remove": True}, "cannot be removed"),
    ({"kind": "List", "remove": True, "inbound": True, "staff": True}, "cannot be removed"),
    ({"kind": "FetchAssignment", "assignment": "ps9"}, "unknown assignment 'ps9'"),
    (
        {"kind": "FetchAssignment", "assignment": "ps1", "course": ""},
        "this command needs a course: name it with --course",
    ),
    ({"kind": "FetchAssignment", "assignment": "ps1", "course": "x"}, "you have not joined the course 'x'"),
    ({"kind": "Submit", "assignment": "ps1"}, "fetch the assignment, and run this in the folder that contains it"),
    ({"kind": "ReleaseAssignment", "assignment": "ps9", "staff": True}, "the folder .*source/ps9 does not exist"),
]


def test_what_cannot_be_done_is_said_in_one_sentence(ask):
    for asked, sentence in IMPOSSIBLE:
        with pytest.raises(ExchangeError, match=sentence) as caught:
            ask(**asked)
        assert "\n" not in str(caught.value)


def test_nobody_hands_in_under_another_name_or_without_a_notebook_where_that_is_strict(served, ask, tmp_path):
    ask("FetchAssignment", assignment="ps1")
    with pytest.raises(
        ExchangeError, match=r"knows you as ada, so you cannot hand in with --student bob; leave it out"
    ):
        ask("Submit", assignment="ps1", student="bob")
    (tmp_path / "ps1" / "counting.ipynb").rename(tmp_path / "ps1" / "mine.ipynb")
    with pytest.raises(ExchangeError, match=r"counting\.ipynb is not there; nothing was handed in"):
        ask("Submit", assignment="ps1", strict=True)
    assert served.classroom.submissions.attempts("course101") == {}


def test_fetching_again_brings_back_what_is_missing_alone(ask, tmp_path):
    ask("FetchAssignment", assignment="ps1")
    (tmp_path / "ps1" / "counting.ipynb").write_text("my answers")
    with pytest.raises(ExchangeError, match="already exists; add --replace"):
        ask("FetchAssignment", assignment="ps1")
    ask("FetchAssignment", assignment="ps1", replace_missing_files=True)
    assert (tmp_path / "ps1" / "counting.ipynb").read_text() == "my answers"


def test_an_instructor_collects_the_newest_submission_or_the_newest_in_time(served, ask, archive, tmp_path):
    for number, late in ((1, False), (2, False), (3, True)):
        sent, when = archive(total=f"# {number}"), datetime(2026, 3, number, tzinfo=UTC)
        served.classroom.submissions.take("course101", "ps1", "ada", sent, when, late=late)
    listed = ask("List", staff=True, inbound=True, assignment="ps1")
    assert [(one["student_id"], len(one["submissions"])) for one in listed] == [("ada", 3)]
    folder = tmp_path / "grace" / "submitted" / "ada" / "ps1"
    folder.parents[2].mkdir()
    ask("Collect", staff=True, assignment="ps1", before_duedate=True)
    assert "# 2" in (folder / "counting.ipynb").read_text()
    ask("Collect", staff=True, assignment="ps1")
    assert "# 2" in (folder / "counting.ipynb").read_text()  # what is there stays
    ask("Collect", staff=True, assignment="ps1", update=True)
    assert "# 3" in (folder / "counting.ipynb").read_text()
    assert (folder / "timestamp.txt").read_text() == "2026-03-03 00:00:00.000000 UTC"


def test_feedback_that_has_changed_since_it_was_fetched_is_said_to_be_new(served, ask, archive, tmp_path):
    served.client("ada").submit("course101", "ps1", archive())
    (tmp_path / "ps1").mkdir()
    for page in (b"<p>first</p>", b"<p>second</p>"):
        marked(served, "ada", 4.0, pages={"counting": page})
        (before,) = ask("List", cached=True)
        (one,) = before["submissions"]
        assert one["has_exchange_feedback"]
        assert one["feedback_updated"] == (page == b"<p>second</p>")
        ask("FetchFeedback", assignment="ps1")
        (file,) = (tmp_path / "ps1" / "feedback").glob("*/counting.html")
        assert file.read_bytes() == page
        served.classroom.submissions.grade_again("course101", "ps1")


def test_release_feedback_shows_marks_in_a_course_that_shows_them_when_released(served, ask, archive):
    change_course(served, '[[assignments]]\nname = "ps1"', f'{WHEN_RELEASED}\n[[assignments]]\nname = "ps1"')
    served.client("ada").submit("course101", "ps1", archive())
    marked(served, "ada", 4.0)
    scores = []
    for _ in range(2):
        scores.append(served.client("ada").assignments("course101")[0].attempts[0].score)
        ask("ReleaseFeedback", staff=True, assignment="ps1")
    assert scores == [None, 4.0]


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
