"""The history of submissions: attempts by content and time, results by their basis, and a file that grows up."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.engine.material import results
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.options import GradeOptions
from studium_graders.results.history import FILE, MIGRATIONS, Basis, Recorded, open_history, read_attempts

NOON = datetime(2026, 3, 1, 12)  # as nbgrader keeps times: UTC, without a zone
BASIS = Basis("tests", "limits", "software", "L2")


class Quiet:
    """A watcher that agrees to everything."""

    def begin(self, total: int, sandbox: str) -> None: ...

    def done(self, student: str, *, reused: bool) -> None: ...

    def note(self, sentence: str) -> None: ...

    def agree(self, changes) -> bool:
        return True


def result(points: float = 1.0) -> results.SubmissionResult:
    test = results.TestResult("merge", "scales", points, 2.0, "passed" if points == 2 else "failed", "no")
    return results.SubmissionResult("ada", "L2", 0.1, [results.NotebookResult("lora", "graded", [test])])


def test_what_is_handed_in_again_is_another_attempt_and_the_same_thing_is_not(tmp_path):
    with open_history(tmp_path) as history:
        for sha256, received in (("a", NOON), ("a", NOON), ("b", NOON), ("b", datetime(2026, 3, 2)), ("b", None)):
            history.record("ps1", BASIS, [Recorded(sha256, received, result())])
    attempts = read_attempts(tmp_path, "ps1")
    assert [(one.attempt, one.sha256, one.received) for one in attempts] == [
        (1, "a", NOON.replace(tzinfo=UTC)),
        (2, "b", NOON.replace(tzinfo=UTC)),
        (3, "b", datetime(2026, 3, 2, tzinfo=UTC)),
        (4, "b", None),
    ]
    assert [len(one.results) for one in attempts] == [1, 1, 1, 1]


def test_a_result_on_another_basis_is_kept_beside_the_earlier_one(tmp_path):
    with open_history(tmp_path) as history:
        history.record("ps1", BASIS, [Recorded("a", NOON, result(1.0))])
        history.record("ps1", Basis("other tests", "limits", "software", "L2"), [Recorded("a", NOON, result(2.0))])
        (attempt,) = history.attempts("ps1", "ada")
    assert [(one.score, one.max_score, one.basis.tests) for one in attempt.results] == [
        (1.0, 2.0, "tests"),
        (2.0, 2.0, "other tests"),
    ]
    assert attempt.results[0].tests[0].message == "no"


def test_assignments_and_students_are_told_apart(tmp_path):
    with open_history(tmp_path) as history:
        history.record("ps1", BASIS, [Recorded("a", NOON, result())])
        history.record("ps2", BASIS, [Recorded("a", NOON, result())])
    assert [one.assignment for one in read_attempts(tmp_path)] == ["ps1", "ps2"]
    assert read_attempts(tmp_path, student="bob") == []


def test_the_file_knows_its_layout_and_a_newer_one_is_left_alone(tmp_path):
    with open_history(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("pragma user_version").fetchone() == (len(MIGRATIONS),)
        database.execute("pragma user_version = 99")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(CourseError, match="has layout 99, but only 1 is known; install the newer version"):
        read_attempts(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before


def test_to_look_makes_no_file_and_one_that_is_no_database_is_one_sentence(tmp_path):
    assert read_attempts(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FILE).write_text("not a database" * 100)
    with pytest.raises(CourseError, match=r"history\.db must be a writable SQLite file: .*move"):
        read_attempts(tmp_path)


@pytest.fixture(scope="module")
def class_of_three(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    course: Path = make_course()
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for student in ("ada", "bob", "cleo"):
        own = {name: f"{source}# of {student}\n" for name, source in right.items()}
        submit(course, student, {"counting": own}, "2026-03-01 20:00:00 UTC")
    return course


@pytest.fixture
def course(class_of_three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(class_of_three, tmp_path / "course"))


@pytest.fixture
def grade(course: Path, studium: Callable) -> Callable:
    return lambda *more: studium("grade", "ps1", "--course", str(course), "--executor", "by-hand", *more)


def change(course: Path, student: str, text: str) -> None:
    path = course / "submitted" / student / "ps1" / "counting.ipynb"
    path.write_text(re.sub(rf"# of {student}[\w, ]*", text, path.read_text()))


def marks(gradebook_rows: Callable, course: Path) -> dict[tuple[str, str], float]:
    return {(student, cell): auto for student, _, cell, auto, *_ in gradebook_rows(course)["grades"]}


@pytest.fixture(scope="module")
def regraded(class_of_three: Path, tmp_path_factory: pytest.TempPathFactory, by_hand: Catalogue) -> Path:
    """A graded class in which answers have changed since, so that marks would go up and down."""
    root = Path(shutil.copytree(class_of_three, tmp_path_factory.mktemp("regraded") / "course"))
    grade_class(root, "ps1", GradeOptions(executor="by-hand"), by_hand, Quiet())
    for attempt in range(40):
        for student in ("ada", "bob", "cleo"):
            change(root, student, f"# of {student} {attempt}")
        looked = grade_class(root, "ps1", GradeOptions(executor="by-hand", dry_run=True), by_hand, Quiet())
        if {one.is_gain for one in looked.changes} == {True, False}:
            return root
    pytest.fail("marks made by hand went one way forty times")


@pytest.fixture
def changes(regraded: Path, course: Path, grade: Callable) -> list[dict]:
    """The marks that would change in ``course``, which is the regraded class."""
    shutil.rmtree(course)
    shutil.copytree(regraded, course)
    return json.loads(grade("--dry-run", "--json")[1])["changes"]


def test_grading_fills_the_history_and_a_command_shows_it(course, grade, studium):
    assert grade()[0] == grade()[0] == 0
    change(course, "ada", "# of ada, changed")
    assert grade("--yes")[0] == 0
    code, out, err = studium("history", "ps1", "--course", str(course), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [(one["student"], one["attempt"], len(one["results"])) for one in found] == [
        ("ada", 1, 1),
        ("ada", 2, 1),
        ("bob", 1, 1),
        ("cleo", 1, 1),
    ]
    assert len({one["sha256"] for one in found}) == 4
    table = studium("history", "--course", str(course), "--student", "ada")[1]
    assert "2026-03-01 21:00 CET" in table
    assert table.count("graded") == 2


def test_the_page_shows_each_change_with_both_marks_and_the_reason_and_changes_no_byte(
    course, grade, changes, tmp_path, modes
):
    before = [(course / name).read_bytes() for name in ("gradebook.db", FILE)]
    assert grade("--dry-run", "--report", str(tmp_path / "diff.html"))[0] == 0
    assert [(course / name).read_bytes() for name in ("gradebook.db", FILE)] == before
    assert modes(tmp_path / "diff.html") == {("file", "0o600")}
    page = (tmp_path / "diff.html").read_text("utf-8")
    assert page.count("the answer was handed in again") == len(changes)
    assert "Nothing was recorded" in page
    assert "no &lt;luck&gt;" in page
    for one in changes:
        assert f"<code>{one['notebook']}/{one['cell']}</code>" in page
    assert "the hidden sum of 1 and -4" not in page


def test_only_gains_are_recorded_where_only_gains_are_asked_for(course, grade, changes, gradebook_rows):
    before = marks(gradebook_rows, course)
    assert grade("--changes", "gains", "--yes")[0] == 0
    after = marks(gradebook_rows, course)
    gains = {(one["student"], one["cell"]): one["after"] for one in changes if one["after"] > one["before"]}
    assert after == before | gains
    left = json.loads(grade("--dry-run", "--json")[1])["changes"]
    assert {one["after"] < one["before"] for one in left} == {True}


def test_only_marks_of_the_tests_that_are_named_are_recorded(course, grade, changes, gradebook_rows):
    before = marks(gradebook_rows, course)
    wanted = changes[0]["cell"]
    assert grade("--only-test", f"counting/{wanted}", "--yes")[0] == 0
    chosen = {(one["student"], one["cell"]): one["after"] for one in changes if one["cell"] == wanted}
    assert marks(gradebook_rows, course) == before | chosen
    code, _, err = grade("--only-test", "counting/nothing")
    assert code == 2
    assert "counting/nothing" in err


def test_no_mark_that_was_there_changes_where_none_may_and_new_ones_come_in(
    course, grade, changes, gradebook_rows, submit
):
    assert changes
    before = marks(gradebook_rows, course)
    submit(course, "dora", {}, "2026-03-01 20:00:00 UTC")
    assert grade("--changes", "none", "--yes")[0] == 0
    after = marks(gradebook_rows, course)
    assert {key: value for key, value in after.items() if key[0] != "dora"} == before
    assert [key for key in after if key[0] == "dora"]
