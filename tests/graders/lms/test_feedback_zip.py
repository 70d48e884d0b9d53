"""The archive of feedback for Moodle: named as Moodle reads names, beside the marks, both or neither."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from studium.catalogue.catalogue import Catalogue
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment

WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments\n"
    "Participant 71,Ada_B. Lovelace,ada@uni.example,Submitted for grading,,5.00,Yes,\n"
    "Participant 72,Charles Babbage,charles@uni.example,Submitted for grading,,5.00,Yes,\n"
    "Participant 73,Grace Hopper,grace@uni.example,No submission,,5.00,Yes,\n"
)


@pytest.fixture(scope="module")
def graded(by_hand: Catalogue, make_course: Callable, submit: Callable) -> Path:
    """A course whose ps1 is graded for ada and charles; grace handed nothing in."""
    from studium_graders.grading.class_run import grade_class
    from studium_graders.grading.options import GradeOptions

    from tests.graders.report.test_report_command import Quiet

    course: Path = make_course()
    build_assignment(course, "ps1", by_hand)
    right = {name: solved(exercise) for name, exercise in by_hand["counting"].exercises.items()}
    for student in ("ada", "charles"):
        submit(course, student, {"counting": right}, "2026-03-01 20:00:00 UTC")
    grade_class(course, "ps1", GradeOptions(executor="by-hand"), by_hand, Quiet())
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for student in ("ada", "charles", "grace"):
            book.update_or_create_student(student, email=f"{student}@uni.example")
    (course / "worksheet.csv").write_text(WORKSHEET)
    return course


@pytest.fixture
def course(graded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(graded, tmp_path / "course"))


@pytest.fixture
def export(course: Path, studium: Callable) -> Callable:
    def run(*more: str, form: str = "moodle") -> tuple[int, str, str]:
        paths = ("--into", str(course / "worksheet.csv"), "--feedback", str(course / "feedback.zip"))
        return studium("export", "--course", str(course), "--format", form, *paths, *more)

    return run


def as_moodle_reads(name: str) -> tuple[int, str, str]:
    """Split a name as Moodle does: the participant, the plugin, and the name of the file that the student gets."""
    _, participant, kind, plugin, file = name.split("_", 4)
    return int(participant), f"{kind}_{plugin}", file


def written(course: Path) -> set[str]:
    return {path.name for path in course.iterdir() if path.name.endswith((".zip", "-filled.csv"))}


def test_each_page_goes_to_its_participant_and_the_marks_are_written_with_it(
    course: Path, export: Callable, modes: Callable
) -> None:
    assert export("--dry-run")[0] == 0
    assert written(course) == set()
    code, out, err = export()
    assert modes(course / "feedback.zip") == {("file", "0o600")}
    assert (code, err) == (0, "")
    assert f"{course / 'feedback.zip'} has 2 feedback pages for 2 students" in out
    with zipfile.ZipFile(course / "feedback.zip") as archive:
        names = archive.namelist()
        assert [as_moodle_reads(name) for name in names] == [
            (71, "assignfeedback_file", "counting.html"),
            (72, "assignfeedback_file", "counting.html"),
        ]
        assert names[0].startswith("Ada B. Lovelace_71_")
        page = archive.read(names[0]).decode()
    rows = (course / "worksheet-filled.csv").read_text().splitlines()
    mark = rows[1].split(",")[4]
    assert "charles" not in page
    assert f'<span class="big">{mark}</span> of 5' in page
    assert rows[3] == WORKSHEET.splitlines()[3]


def test_what_moodle_would_not_take_is_one_sentence_and_neither_is_written(course, export) -> None:
    for old, new, words in (
        ("Participant 72", "Participant", "charles lacks one"),
        ("@uni.example", "@other.example", "everybody with a mark lacks one"),
    ):
        (course / "worksheet.csv").write_text(WORKSHEET.replace(old, new))
        code, _, err = export()
        assert (code, words in err, err.count("\n")) == (1, True, 1)
        assert written(course) == set()


def test_other_systems_take_no_archive_of_feedback(course: Path, export: Callable) -> None:
    for form in ("canvas", "csv"):
        code, _, err = export(form=form)
        assert (code, "--feedback needs --format moodle" in err, written(course)) == (2, True, set())


def test_pages_that_cannot_be_written_hold_the_marks_back(course: Path, export: Callable) -> None:
    shutil.rmtree(course / "feedback", ignore_errors=True)
    (course / "feedback").write_text("in the way")
    code, _, err = export()
    assert (code, "neither marks nor feedback were written" in err, written(course)) == (1, True, set())


def test_a_submission_that_is_not_graded_is_told_and_the_exit_code_is_1(course: Path, studium, submit) -> None:
    submit(course, "grace", {})
    code, out, err = studium("export", "--course", str(course))
    assert (code, out) == (1, f"{course / 'grades.csv'} is ready\n")
    assert err == "studium: 1 submission of ps1 is not graded (grace): run studium grade ps1\n"
