"""A grading run from submitted/ to the gradebook, with marks made by hand in the place of the engine."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

import msgspec
import nbformat
from nbgrader.api import Gradebook  # nbgrader is an extra
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, StudiumError, UnknownNameError
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.engine.material.assignment import CanonicalSubmission, Material
from studium_graders.engine.material.results import SubmissionResult
from studium_graders.engine.supervision.vacuous_answers import VacuousTest
from studium_graders.feedback import write_feedback
from studium_graders.grading import work
from studium_graders.grading.class_result import ClassResult
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.options import GradeOptions
from studium_graders.results.mark_changes import MarkChange

pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")
STUDENTS = ("ada", "bob", "Grace Hopper", "-rf", "学生.x", "n" * 200)


class Notes:
    """A watcher that keeps what it is told and agrees, or not."""

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees = agrees
        self.asked: list[MarkChange] = []
        self.notes: list[str] = []
        self.students: list[tuple[str, bool]] = []

    def begin(self, total: int, sandbox: str) -> None:
        self.total, self.sandbox = total, sandbox

    def done(self, student: str, *, reused: bool) -> None:
        self.students.append((student, reused))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def agree(self, changes: Sequence[MarkChange]) -> bool:
        self.asked += changes
        return self.agrees


@pytest.fixture(scope="module")
def class_of_six(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    course: Path = make_course()
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for student in STUDENTS:
        submit(course, student, {"counting": right}, "2026-03-01 20:00:00 UTC")
    return course


@pytest.fixture
def course(class_of_six: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(class_of_six, tmp_path / "course"))


@pytest.fixture
def grade(by_hand: Catalogue, course: Path) -> Iterator[Callable[..., ClassResult]]:
    def run(watcher: Notes | None = None, **options: object) -> ClassResult:
        return grade_class(course, "ps1", GradeOptions(executor="by-hand", **options), by_hand, watcher or Notes())

    return run


def change_answer(course: Path, student: str, text: str = "# another answer") -> None:
    path = course / "submitted" / student / "ps1" / "counting.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution"))
    cell.source += f"\n{text}"
    nbformat.write(notebook, path)


def files_of(course: Path) -> dict[str, bytes]:
    folder = course / "autograded"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_student_gets_a_mark_whatever_the_name(course: Path, grade: Callable, gradebook_rows: Callable) -> None:
    watcher = Notes()
    result = grade(watcher)
    assert [row.student for row in result.submissions] == sorted(STUDENTS)
    assert all(row.recorded and row.verdict == "graded" for row in result.submissions)
    assert {row[0] for row in gradebook_rows(course)["students"]} == set(STUDENTS)
    scores = {row.student: row.score for row in result.submissions}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        assert {name: book.find_submission("ps1", name).score for name in STUDENTS} == scores
    assert (watcher.total, {student for student, _ in watcher.students}) == (6, set(STUDENTS))


def test_the_autograded_folder_holds_what_formgrader_and_feedback_need(course: Path, grade: Callable) -> None:
    (course / "submitted" / "bob" / "ps1" / "data").mkdir()
    (course / "submitted" / "bob" / "ps1" / "data" / "own.txt").write_text("mine")
    stale = course / "autograded" / "bob" / "ps1" / "old" / "file.txt"  # which an earlier run left
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    result = grade()
    assert not stale.parent.exists()
    folder = course / "autograded" / "bob" / "ps1"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "counting.ipynb",
        "timestamp.txt",
        "data/own.txt",
    }
    assert oct((folder / "counting.ipynb").stat().st_mode & 0o777) == "0o444"
    notebook = nbformat.read(folder / "counting.ipynb", as_version=4)
    nbformat.validate(notebook)
    failed = {test.name for row in result.submissions if row.student == "bob" for test in row.tests if not test.points}
    shown = {
        cell.metadata.studium.test: [output.output_type for output in cell.outputs]
        for cell in notebook.cells
        if cell.metadata.get("studium", {}).get("role") == "test"
    }
    assert failed
    assert shown == {name: ["error"] if name in failed else [] for name in shown}


def test_only_what_changed_is_graded_again(course: Path, grade: Callable) -> None:
    grade()
    change_answer(course, "bob")
    watcher = Notes()
    result = grade(watcher)
    assert [student for student, reused in watcher.students if not reused] == ["bob"]
    assert {row.student: row.reused for row in result.submissions} == {name: name != "bob" for name in STUDENTS}
    grade(watcher := Notes(), force=True)
    assert not any(reused for _, reused in watcher.students)


def test_what_several_students_handed_in_alike_is_run_once(course: Path, grade: Callable) -> None:
    change_answer(course, "bob")
    result = grade(watcher := Notes())
    assert result.judged == 2
    assert sorted(watcher.students) == sorted((name, False) for name in STUDENTS)
    scores = {row.student: (row.score, row.recorded) for row in result.submissions}
    assert len({scores[name] for name in STUDENTS if name != "bob"}) == 1
    change_answer(course, "学生.x")
    assert (again := grade()).judged == 0  # bob's result is kept
    assert {row.student: row.score for row in again.submissions} == {
        name: scores["bob" if name == "学生.x" else name][0] for name in STUDENTS
    }


def test_a_verdict_that_the_machine_may_have_caused_is_nobody_elses(
    course: Path, grade: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hand_grader

    original = hand_grader.result_by_hand

    def out_of_time(material: Material, submission: CanonicalSubmission) -> SubmissionResult:
        result = original(material, submission)
        if submission.student == "-rf":  # the first in order
            result.notebooks[0].verdict = "time limit"
        return result

    monkeypatch.setattr("hand_grader.result_by_hand", out_of_time)
    result = grade()
    assert 2 <= result.judged <= len(STUDENTS)
    assert {row.student for row in result.submissions if row.verdict != "graded"} == {"-rf"}


def test_a_later_time_of_handing_in_is_recorded_without_grading_again(
    course: Path, grade: Callable, gradebook_rows: Callable
) -> None:
    grade()
    (course / "submitted" / "bob" / "ps1" / "timestamp.txt").write_text("2026-03-01 21:00:00 UTC")
    grade(watcher := Notes())
    assert all(reused for _, reused in watcher.students)
    times = {student: when for _, student, when, _ in gradebook_rows(course)["submissions"]}
    assert times["bob"].startswith("2026-03-01 21:00")
    assert times["ada"].startswith("2026-03-01 20:00")


def marks_change(course: Path, grade: Callable) -> None:
    """Change bob's answer until the marks made by hand are others."""
    before = {test.name: test.points for test in grade(students=("bob",)).submissions[0].tests}
    for number in range(100):
        change_answer(course, "bob", f"# {number}")
        row = grade(students=("bob",), dry_run=True).submissions[0]
        if {test.name: test.points for test in row.tests} != before:
            return
    raise AssertionError


def test_a_dry_run_changes_no_mark_and_no_folder(course: Path, grade: Callable, gradebook_rows: Callable) -> None:
    before = gradebook_rows(course)
    result = grade(dry_run=True)
    assert not any(row.recorded for row in result.submissions)
    assert gradebook_rows(course) == before
    assert not (course / "autograded").exists()
    grade(watcher := Notes())
    assert all(reused for _, reused in watcher.students)


def test_marks_that_change_are_asked_about_and_stay_where_the_answer_is_no(
    course: Path, grade: Callable, gradebook_rows: Callable
) -> None:
    marks_change(course, grade)
    before, files = gradebook_rows(course)["grades"], files_of(course)
    result = grade(watcher := Notes(agrees=False))
    assert {change.student for change in watcher.asked} == {"bob"}
    assert result.changes == watcher.asked
    assert {row.student for row in result.submissions if not row.recorded} == {"bob"}
    assert [row for row in gradebook_rows(course)["grades"] if row[0] == "bob"] == before
    assert files_of(course).items() >= files.items()


def test_marks_that_change_are_recorded_where_the_answer_is_yes(
    course: Path, grade: Callable, gradebook_rows: Callable
) -> None:
    marks_change(course, grade)
    result = grade(watcher := Notes())
    assert all(row.recorded for row in result.submissions)
    marks = {(student, cell): auto for student, _, cell, auto, *_ in gradebook_rows(course)["grades"]}
    assert all(marks[change.student, change.cell] == change.after for change in watcher.asked)
    assert not grade().changes


def test_a_submission_that_changes_before_the_answer_is_told_and_not_recorded(
    course: Path, grade: Callable, gradebook_rows: Callable
) -> None:
    class Slow(Notes):
        def agree(self, changes: Sequence[MarkChange]) -> bool:
            change_answer(course, "bob", "# handed in while somebody was asked")
            return super().agree(changes)

    grade()
    marks_change(course, grade)
    before = gradebook_rows(course)
    result = grade(Slow())
    (problem,) = result.problems
    assert problem.startswith("bob was not recorded: ")
    assert problem.endswith(" has changed since it was graded; grade it again")
    assert gradebook_rows(course) == before
    assert result.changes_of(recorded=False) == result.changes
    assert grade().problems == []


def test_a_damaged_notebook_stops_nobody_else(course: Path, grade: Callable) -> None:
    (course / "submitted" / "bob" / "ps1" / "counting.ipynb").write_text("{")
    (course / "submitted" / "ada" / "ps1" / "counting.ipynb").unlink()
    result = grade()
    verdicts = {row.student: row.verdict for row in result.submissions}
    assert (verdicts["bob"], verdicts["ada"], verdicts["-rf"]) == ("unreadable", "missing", "graded")
    assert not result.problems


def test_a_folder_that_is_a_link_is_not_graded_as_what_it_leads_to(
    course: Path, grade: Callable, gradebook_rows: Callable
) -> None:
    links = {"mallory": "bob", "marvin/ps1": "../bob/ps1", "monty/ps1": "nowhere"}
    for link, target in links.items():
        (course / "submitted" / link).parent.mkdir(exist_ok=True)
        (course / "submitted" / link).symlink_to(target)
    result = grade()
    assert {row.student for row in result.submissions} == set(STUDENTS)
    assert not {"mallory", "marvin", "monty"} & {row[0] for row in gradebook_rows(course)["students"]}
    assert sorted(result.problems) == [
        f"{link.split('/')[0]} was not graded: {course / 'submitted' / link} is a link to '{target}'; "
        "replace it with what was handed in"
        for link, target in links.items()
    ]


def test_a_file_in_the_place_of_a_submissions_folder_is_told(course: Path, grade: Callable) -> None:
    (course / "submitted" / "zoe").mkdir()
    place = course / "submitted" / "zoe" / "ps1"
    place.write_bytes(b"PK")
    (course / "submitted" / "readme.txt").touch()
    result = grade()
    assert result.problems == [
        f"zoe was not graded: {place} is a file; put the notebooks into a folder with that name and grade again"
    ]
    assert "zoe" not in [row.student for row in result.submissions]


def test_what_the_instructors_machine_cannot_read_is_told_and_takes_no_mark(
    course: Path, grade: Callable, gradebook_rows: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    grade()
    before = gradebook_rows(course)
    opened, refused = os.open, (course / "submitted" / "bob" / "ps1").stat().st_ino

    def refuse(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if dir_fd is not None and os.fstat(dir_fd).st_ino == refused:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return opened(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    result = grade(force=True)
    (problem,) = result.problems
    assert problem.startswith("bob was not graded: counting.ipynb in ")
    assert problem.endswith("cannot be read (Permission denied); fix that and grade again")
    assert {row.student for row in result.submissions} == set(STUDENTS) - {"bob"}
    assert gradebook_rows(course) == before


def test_a_students_folder_that_may_not_be_looked_into_is_told(
    course: Path, grade: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = course / "submitted" / "ada"
    (shut / "ps1").rename(course / "elsewhere")  # what a shut folder looks like to this user
    monkeypatch.setattr(os, "access", lambda path, _: path != shut)
    result = grade()
    assert result.problems == [f"ada was not graded: {shut} cannot be read; allow that and grade again"]
    assert {row.student for row in result.submissions} == set(STUDENTS) - {"ada"}


def test_a_course_whose_submissions_lie_on_another_disk_is_graded(course: Path, grade: Callable) -> None:
    shutil.move(course / "submitted", course.parent / "disk")
    (course / "submitted").symlink_to(course.parent / "disk")
    assert {row.student for row in grade().submissions} == set(STUDENTS)


def test_one_student_can_be_graded_alone(course: Path, grade: Callable, gradebook_rows: Callable) -> None:
    assert [row.student for row in grade(students=("-rf",)).submissions] == ["-rf"]
    assert gradebook_rows(course)["students"] == [("-rf",)]
    with pytest.raises(UnknownNameError, match="unknown student of ps1 'adda'; did you mean 'ada'"):
        grade(students=("adda",))
    assert [row.student for row in grade(students=("bob", "ada", "bob")).submissions] == ["ada", "bob"]
    shutil.rmtree(course / "submitted")
    with pytest.raises(CourseError, match=r"submitted/STUDENT/ps1, but finds none; collect them first"):
        grade()


def test_students_whom_nbgraders_settings_leave_out_are_passed_over_unless_they_are_named(
    course: Path, grade: Callable
) -> None:
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("get_config().CourseDirectory.student_id_exclude = 'bob, nobody'\n")
    assert {row.student for row in grade().submissions} == set(STUDENTS) - {"bob"}
    assert [row.student for row in grade(students=("bob",)).submissions] == ["bob"]
    assert {page.student for page in write_feedback(course, "ps1").pages} == set(STUDENTS) - {"bob"}


def test_what_a_person_has_reviewed_waits_again_once_the_student_hands_in_something_else(
    course: Path, grade: Callable
) -> None:
    grade()
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for mark in book.find_submission_notebook("counting", "ps1", "bob").grades:
            mark.manual_score, mark.needs_manual_grade = 1.0, False
        book.db.commit()

    def waiting() -> set[bool]:
        with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
            return {mark.needs_manual_grade for mark in book.find_submission_notebook("counting", "ps1", "bob").grades}

    grade()
    grade(force=True)
    assert waiting() == {False}
    change_answer(course, "bob")
    grade()
    assert waiting() == {True}


def test_a_due_date_that_moves_runs_nothing_again_and_what_was_marked_by_hand_stays_so(
    course: Path, grade: Callable, by_hand: Catalogue
) -> None:
    assert grade().judged
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for mark in book.find_submission_notebook("counting", "ps1", "bob").grades:
            mark.manual_score, mark.needs_manual_grade = 1.0, False
        book.db.commit()
    settings = course / "course.toml"
    settings.write_text(settings.read_text("utf-8").replace("due = 2026-03-01", "due = 2026-03-09"), "utf-8")
    build_assignment(course, "ps1", by_hand)
    assert "2026-03-09" in (course / "release" / "ps1" / "counting.ipynb").read_text("utf-8")
    result = grade()
    assert (result.judged, result.waiting) == (0, {})


def test_a_stopped_run_is_noticed_unless_the_instructor_knows(course: Path, grade: Callable) -> None:
    grade()
    marker = course / ".studium" / "runs" / "ps1"
    assert not marker.exists()
    marker.touch()
    grade(watcher := Notes(), resume=True)
    assert watcher.notes == []
    marker.touch()
    grade(watcher := Notes())
    assert "the last run was stopped" in watcher.notes[0]


def test_a_test_that_was_changed_after_the_release_is_told_and_what_was_released_counts(
    course: Path, grade: Callable
) -> None:
    grade(quiet := Notes())
    path = course / "source" / "ps1" / "counting.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade"))
    cell.source = "assert False"
    nbformat.write(notebook, path)
    result = grade(watcher := Notes())
    (note,) = set(watcher.notes) - set(quiet.notes)
    assert note.startswith(
        f"source/ps1 was changed after it was released, in counting/{cell.metadata.nbgrader.grade_id}"
    )
    assert not quiet.notes
    assert result.judged == 0


def test_a_run_that_was_refused_is_no_stopped_one(course: Path, grade: Callable) -> None:
    gradebook = (course / "gradebook.db").rename(course / "elsewhere.db")
    with pytest.raises(StudiumError, match=r"needs ps1 in the gradebook .*run: studium assign ps1"):
        grade()
    gradebook.rename(course / "gradebook.db")
    grade(watcher := Notes())
    assert watcher.notes == []


def test_a_run_on_this_machine_has_as_many_processes_ready_as_it_has_jobs(
    course: Path, by_hand: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    monkeypatch.setattr(work, "probe_level", lambda: ("L2", ""))
    monkeypatch.setattr(work, "calibrate", lambda how, material: jobs.append(how.jobs) or material)
    for name in ("grade", "vacuous_tests"):
        monkeypatch.setattr(work, name, getattr(import_module("hand_grader"), name))
    assert grade_class(course, "ps1", GradeOptions(jobs=3), by_hand, Notes()).problems == []
    assert jobs == [3]


def test_the_author_is_told_once_which_tests_vacuous_answers_pass(
    grade: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [VacuousTest("total/is zero for no values", ["0"])]
    monkeypatch.setattr("hand_grader.vacuous_tests", lambda *_: msgspec.msgpack.encode(found))
    assert [grade().vacuous, grade().vacuous] == [found, []]


def test_a_course_of_nbgraders_own_is_graded_too(ps1_course: Path, by_hand: Catalogue) -> None:
    result = grade_class(ps1_course, "ps1", GradeOptions(executor="by-hand"), by_hand, Notes())
    assert {row.student for row in result.submissions} == {"bitdiddle", "hacker"}
    notebook = json.loads((ps1_course / "autograded" / "hacker" / "ps1" / "problem1.ipynb").read_text())
    assert any(cell.get("outputs") for cell in notebook["cells"])


def test_another_folder_structure_is_followed(course: Path, grade: Callable) -> None:
    folders = '"{nbgrader_step}/{assignment_id}/{student_id}"'
    structure = f"c = get_config()\nc.CourseDirectory.directory_structure = {folders}\n"
    config = course / "nbgrader_config.py"
    config.write_text(f"{config.read_text()}\n{structure}")
    for student in STUDENTS:
        shutil.copytree(course / "submitted" / student / "ps1", course / "moved" / "ps1" / student)
    shutil.rmtree(course / "submitted")
    (course / "moved").rename(course / "submitted")
    assert [row.student for row in grade().submissions] == sorted(STUDENTS)
    assert (course / "autograded" / "ps1" / "bob" / "counting.ipynb").is_file()
