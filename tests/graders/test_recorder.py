"""The recorder: the gradebook that stock nbgrader would leave for the same points, and nothing of a person's lost."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook  # nbgrader is an extra
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.course.finding import open_course
from studium_graders.course.limits import Limits
from studium_graders.engine.intake.submissions import read_submission
from studium_graders.engine.intake.timestamps import read_timestamp
from studium_graders.engine.material import results
from studium_graders.engine.material.assignment import Material
from studium_graders.engine.material.results import NotebookResult, SubmissionResult
from studium_graders.engine.material.template import material_of
from studium_graders.gradebook.errors import GradebookError
from studium_graders.grading.late.penalties import LatePenalties
from studium_graders.grading.recorder import Graded, Recorder
from studium_graders.results.mark_changes import MarkChange

from .conftest import PATIENT, release

LATE = '[late]\npolicy = "per-day"\npenalty_percent = 10\ngrace_minutes = 5\n'
ON_TIME, LATE_BY_TWO_DAYS = "2026-03-01 20:00:00 UTC", "2026-03-03 11:00:00 UTC"


@pytest.fixture(scope="module")
def class_of_four(counting: Catalogue, make_course: Callable, submit: Callable) -> Path:
    """alice is right, bob handed in the stub, carol is half right, dave is right and late; only to be copied."""
    course: Path = make_course(rest=LATE)
    build_assignment(course, "ps1", counting)
    right = {name: solved(exercise) for name, exercise in counting["counting"].exercises.items()}
    submit(course, "alice", {"counting": right}, ON_TIME)
    submit(course, "bob", {})
    submit(course, "carol", {"counting": {"total": right["total"]}}, ON_TIME)
    submit(course, "dave", {"counting": right}, LATE_BY_TWO_DAYS)
    return course


@pytest.fixture
def course(class_of_four: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(class_of_four, tmp_path / "course"))


@pytest.fixture(scope="module")
def course_with_a_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course of nbgrader's own: a notebook with a task that people mark, and one with text; ada handed both in.

    It is only to be copied.
    """
    root = tmp_path_factory.mktemp("with-a-task") / "tasks"
    marks = {"grade_id": "essay-task", "task": True, "points": 3, "cell_type": "markdown"}
    flags = {"grade": False, "solution": False, "locked": True, "schema_version": 3}
    cell = nbformat.v4.new_markdown_cell("Write.", metadata={"nbgrader": marks | flags})
    (root / "source" / "ps1").mkdir(parents=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for name, cells in (("essay", [cell]), ("notes", [nbformat.v4.new_markdown_cell("Read.")])):
        notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
        nbformat.write(notebook, root / "source" / "ps1" / f"{name}.ipynb")
    (root / "nbgrader_config.py").touch()
    release(root, "ps1")
    shutil.copytree(root / "release" / "ps1", root / "submitted" / "ada" / "ps1")
    return root


@pytest.fixture
def task_course(course_with_a_task: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(course_with_a_task, tmp_path / "tasks"))


def recorder_of(course: Path, url: str = "") -> Recorder:
    coursedir = open_course(course, "ps1")
    return Recorder(url or coursedir.db_url, coursedir.course_id, "ps1", LatePenalties(coursedir.config, course))


def material_in(course: Path) -> Material:
    return material_of(open_course(course, "ps1").config, course, "ps1", Limits())


def graded(course: Path, points: dict[tuple[str, str, str], float | None]) -> list[Graded]:
    """Make results by hand: points by student, notebook and cell; None is for a person to give."""
    material = material_in(course)
    made = []
    for folder in sorted((course / "submitted").iterdir()):
        submission = read_submission(material, folder / "ps1", folder.name)
        books = []
        for book, canonical in zip(material.notebooks, submission.notebooks, strict=True):
            tests = []
            for cell in book.cells:
                given = points.get((folder.name, book.name, cell.grade_id), 0.0)
                if cell.graded or cell.kind == "test":
                    outcome = "manual" if given is None else "passed" if given else "failed"
                    marks = (given or 0.0, cell.points, outcome)
                    tests.append(results.TestResult("", "", *marks, notebook=book.name, grade_id=cell.grade_id))
            books.append(NotebookResult(book.name, "missing" if canonical.missing else "graded", tests))
        made.append(Graded(submission, SubmissionResult(folder.name, "L2", 0.0, books)))
    return made


def record(course: Path, items: list[Graded]) -> list[MarkChange]:
    with recorder_of(course) as recorder:
        plans = recorder.plan(items)
        recorder.write(plans)
        return [change for plan in plans for change in plan.changes]


def points_in(rows: dict[str, list[tuple]]) -> dict[tuple[str, str, str], float | None]:
    return {(student, book, cell): auto for student, book, cell, auto, *_ in rows["grades"]}


@pytest.mark.nbgrader
def test_a_gradebook_that_is_gone_is_not_replaced_by_an_empty_one(course: Path) -> None:
    (course / "gradebook.db").unlink()
    with pytest.raises(CourseError, match=r"needs ps1 in the gradebook .*gradebook\.db, which does not have it"):
        recorder_of(course)
    assert not (course / "gradebook.db").exists()


@pytest.mark.heavy
@pytest.mark.nbgrader
def test_manual_cells_and_a_missing_notebook_are_recorded_as_stock_nbgrader_does(
    ps1_course: Path, nbgrader: Callable, gradebook_rows: Callable, tmp_path: Path
) -> None:
    (ps1_course / "submitted" / "hacker" / "ps1" / "problem2.ipynb").unlink()
    stock = Path(shutil.copytree(ps1_course, tmp_path / "stock"))
    nbgrader(stock, "autograde", "ps1", *PATIENT)
    expected = gradebook_rows(stock)
    record(ps1_course, graded(ps1_course, points_in(expected)))
    assert gradebook_rows(ps1_course) == expected
    assert any(auto is None and needs for *_, auto, _, _, needs in expected["grades"])


@pytest.mark.heavy
@pytest.mark.nbgrader
def test_a_task_of_a_missing_notebook_is_recorded_as_stock_nbgrader_does(
    task_course: Path, nbgrader: Callable, gradebook_rows: Callable, tmp_path: Path
) -> None:
    (task_course / "submitted" / "ada" / "ps1" / "essay.ipynb").unlink()
    stock = Path(shutil.copytree(task_course, tmp_path / "stock"))
    nbgrader(stock, "autograde", "ps1", *PATIENT)
    record(task_course, graded(task_course, {}))
    assert gradebook_rows(task_course) == gradebook_rows(stock)


def test_a_task_of_a_missing_notebook_is_worth_nothing_and_waits_once_the_notebook_is_there(
    task_course: Path, gradebook_rows: Callable, tmp_path: Path
) -> None:
    notebook = task_course / "submitted" / "ada" / "ps1" / "essay.ipynb"
    kept = notebook.rename(tmp_path / "essay.ipynb")
    record(task_course, graded(task_course, {}))
    assert [row[3:] for row in gradebook_rows(task_course)["grades"]] == [(0.0, None, None, 0)]
    kept.rename(notebook)
    assert record(task_course, graded(task_course, {})) == [MarkChange("ada", "essay", "essay-task", 0.0, None)]
    assert [row[3:] for row in gradebook_rows(task_course)["grades"]] == [(None, None, None, 1)]


def test_the_points_of_a_plan_have_marks_by_hand_which_stay_and_tell_those_that_wait(
    task_course: Path, gradebook_rows: Callable
) -> None:
    items = graded(task_course, {("ada", "essay", "essay-task"): None})
    record(task_course, items)
    with recorder_of(task_course) as recorder:
        assert [(plan.mark, plan.waiting) for plan in recorder.plan(items)] == [(0, 3)]
    with Gradebook(f"sqlite:///{task_course / 'gradebook.db'}") as book:
        grade = book.find_grade("essay-task", "essay", "ps1", "ada")
        grade.manual_score, grade.needs_manual_grade = 2.0, False
        book.db.commit()
    with recorder_of(task_course) as recorder:
        assert [(plan.mark, plan.waiting) for plan in recorder.plan(items)] == [(2, 0)]
    record(task_course, graded(task_course, {}))
    assert [row[3:] for row in gradebook_rows(task_course)["grades"]] == [(None, 2.0, None, 0)]


def test_recording_twice_writes_nothing_the_second_time(course: Path, gradebook_rows: Callable) -> None:
    items = graded(course, {})
    record(course, items)
    before = gradebook_rows(course)
    with recorder_of(course) as recorder:
        plans = recorder.plan(items)
        assert not any(plan.inserts or plan.updates or plan.changes for plan in plans)
    record(course, items)
    assert gradebook_rows(course) == before


def test_what_a_person_gave_stays_and_counts_for_the_penalty(course: Path, gradebook_rows: Callable) -> None:
    cell = ("dave", "counting", "counting-total-is-zero-for-no-values")
    record(course, graded(course, {cell: 1.0}))
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        grade = book.find_grade(cell[2], "counting", "ps1", "dave")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 3.0, 1.0, False
        answer = next(item.name for item in book.find_notebook("counting", "ps1").solution_cells)
        book.find_comment(answer, "counting", "ps1", "dave").manual_comment = "well done"
        book.find_submission("ps1", "alice")
        book.grant_extension("ps1", "alice", days=1)
        book.db.commit()
    record(course, graded(course, {cell: 0.5}))
    rows = gradebook_rows(course)
    assert [row[3:] for row in rows["grades"] if row[:3] == cell] == [(0.5, 3.0, 1.0, 1)]
    assert ("dave", "counting", 0.8, 0) in rows["notebooks"]  # 20 % of 3 and 1
    assert [row[4] for row in rows["comments"] if row[:3] == ("dave", "counting", answer)] == ["well done"]
    assert [row[3] for row in rows["submissions"] if row[1] == "alice"] != [None]


def test_an_extension_takes_the_penalty_away(course: Path, gradebook_rows: Callable) -> None:
    cell = ("dave", "counting", "counting-total-is-zero-for-no-values")
    record(course, graded(course, {cell: 1.0}))
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        book.grant_extension("ps1", "dave", days=3)
    changes = record(course, graded(course, {cell: 1.0}))
    assert changes == [MarkChange("dave", "counting", "late penalty", 0.2, 0.0)]
    assert ("dave", "counting", None, 0) in gradebook_rows(course)["notebooks"]


def test_marks_that_would_change_are_told_and_new_ones_are_not(course: Path) -> None:
    cell = ("carol", "counting", "counting-total-is-zero-for-no-values")
    assert record(course, graded(course, {cell: 1.0})) == []
    assert record(course, graded(course, {})) == [MarkChange(*cell, 1.0, 0.0)]


def test_an_unreadable_notebook_has_no_points_and_waits_for_a_person(course: Path, gradebook_rows: Callable) -> None:
    (course / "submitted" / "bob" / "ps1" / "counting.ipynb").write_text("{")
    items = graded(course, {})
    items[1].result.notebooks[0].verdict = "unreadable"
    record(course, items)
    assert {row[3:] for row in gradebook_rows(course)["grades"] if row[0] == "bob"} == {(0.0, None, None, 1)}


def test_a_grade_cell_that_is_new_in_the_gradebook_gets_its_row(course: Path, gradebook_rows: Callable) -> None:
    items = graded(course, {})
    record(course, items)
    with closing(sqlite3.connect(course / "gradebook.db")) as database, database:
        database.execute("delete from grade where id in (select id from grade limit 1)")
    record(course, items)
    assert len(gradebook_rows(course)["grades"]) == 4 * len(items)


def test_an_error_while_writing_leaves_the_gradebook_as_it_was(course: Path, gradebook_rows: Callable) -> None:
    before = gradebook_rows(course)
    with recorder_of(course) as recorder:
        plans = recorder.plan(graded(course, {}))
        plans[3].inserts["Comment"][0]["id"] = plans[0].inserts["Comment"][0]["id"]
        with pytest.raises(GradebookError, match="could not be used: UNIQUE constraint failed"):
            recorder.write(plans)
    assert gradebook_rows(course) == before


def test_a_time_that_cannot_be_read_is_none() -> None:
    for text in ("", "yesterday evening", "99999999999999999999", "2026-13-45 00:00:00 UTC"):
        assert read_timestamp(text) is None
