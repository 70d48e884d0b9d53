"""The classroom loop in stock nbgrader's own command line: validate, generate, autograde, feedback, export."""

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook  # nbgrader is an extra
from studium.catalogue.catalogue import Catalogue
from studium.exercises.definitions import definition
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment

from .conftest import PATIENT
from .test_recorder import graded as results_by_hand
from .test_recorder import points_in, record

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.xdist_group("stock-nbgrader"),
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),  # nbgrader's own
]
LATE = '[late]\npolicy = "per-day"\npenalty_percent = 10\ngrace_minutes = 5\n'
ON_TIME, A_DAY_AND_A_HALF_LATE = "2026-03-01 20:00:00 UTC", "2026-03-03 11:00:00 UTC"
NOISY = "import sys\n\n\ndef total(values):\n    print(3, file=sys.stdout)\n    return sum(values)"


def gradebook(course: Path) -> Gradebook:
    return Gradebook(f"sqlite:///{course / 'gradebook.db'}")


def scores(course: Path, student: str) -> dict[str, float]:
    with gradebook(course) as book:
        return {grade.name: grade.score for grade in book.find_submission("ps1", student).notebooks[0].grades}


@pytest.fixture(scope="module")
def handed_in(counting: Catalogue, make_course: Callable, submit: Callable) -> Path:
    """A course that alice (right), bob (untouched, no time), carol (wrong) and dave (late) handed in; to be copied."""
    course: Path = make_course(rest=LATE)
    build_assignment(course, "ps1", counting)
    exercises = counting["counting"].exercises
    right = {name: solved(exercise) for name, exercise in exercises.items()}
    wrong = {
        name: "import math\n\n\n" + definition(item.misconceptions[0].function).replace("def _(", f"def {name}(")
        for name, item in exercises.items()
    }
    submit(course, "alice", {"counting": right}, ON_TIME)
    submit(course, "bob", {})
    submit(course, "carol", {"counting": wrong}, ON_TIME)
    submit(course, "dave", {"counting": right | {"total": NOISY}}, A_DAY_AND_A_HALF_LATE)
    return course


@pytest.fixture(scope="module")
def as_graded(handed_in: Path, nbgrader: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course, graded by stock nbgrader; only to be copied."""
    course = Path(shutil.copytree(handed_in, tmp_path_factory.mktemp("stock") / "course"))
    nbgrader(course, "autograde", "ps1", *PATIENT)
    return course


@pytest.fixture
def graded(as_graded: Path, tmp_path: Path) -> Path:
    """A copy of the course that stock nbgrader has graded."""
    return Path(shutil.copytree(as_graded, tmp_path / "course"))


def test_answers_earn_what_they_should_and_a_late_submission_loses_what_the_course_says(as_graded: Path) -> None:
    assert sum(scores(as_graded, "alice").values()) == 5  # although a test warns and prints
    assert set(scores(as_graded, "bob").values()) == {0}
    found = scores(as_graded, "carol")
    assert found["counting-total-is-zero-for-no-values"] == 1
    assert found["counting-total-counts-negative-values-as-negative"] == 0
    with gradebook(as_graded) as book:
        late, on_time = (book.find_submission("ps1", student) for student in ("dave", "alice"))
        assert (late.score, late.late_submission_penalty) == (5, 1.0)
        assert not on_time.late_submission_penalty


def test_for_the_same_points_our_gradebook_equals_that_of_stock_nbgrader(
    handed_in: Path, as_graded: Path, gradebook_rows: Callable, tmp_path: Path
) -> None:
    course, expected = Path(shutil.copytree(handed_in, tmp_path / "ours")), gradebook_rows(as_graded)
    record(course, results_by_hand(course, points_in(expected)))
    assert gradebook_rows(course) == expected
    assert [row for row in expected["notebooks"] if row[2]] == [("dave", "counting", 1.0, 0)]


@pytest.mark.heavy
def test_feedback_and_export_produce_files(graded: Path, nbgrader: Callable) -> None:
    nbgrader(graded, "generate_feedback", "ps1")
    page = (graded / "feedback" / "carol" / "ps1" / "counting.html").read_text("utf-8")
    assert "the hidden sum of 1 and -4: expected -3, got 5" in re.sub("<[^>]+>", "", page)
    nbgrader(graded, "export", "--to", "grades.csv")
    rows = list(csv.DictReader((graded / "grades.csv").read_text().splitlines()))
    assert {row["student_id"]: float(row["score"]) for row in rows} == {"alice": 5, "bob": 0, "carol": 1, "dave": 4}


@pytest.mark.heavy
def test_grading_again_after_building_again_keeps_what_a_person_marked(
    graded: Path, counting: Catalogue, nbgrader: Callable
) -> None:
    cell = next(name for name in scores(graded, "bob") if "distance" in name)
    with gradebook(graded) as book:
        book.find_grade(cell, "counting", "ps1", "bob").manual_score = 0.5
        book.db.commit()
    build_assignment(graded, "ps1", counting)
    nbgrader(graded, "autograde", "ps1", "--student", "bob", "--force")
    assert scores(graded, "bob")[cell] == 0.5
    assert sum(scores(graded, "alice").values()) == 5


@pytest.mark.heavy
def test_stock_generate_assignment_gives_the_release_that_we_gave(graded: Path, nbgrader: Callable) -> None:
    path = graded / "release" / "ps1" / "counting.ipynb"
    ours = nbformat.read(path, as_version=4)
    nbgrader(graded, "generate_assignment", "ps1", "--force")
    assert nbformat.read(path, as_version=4) == ours


@pytest.mark.heavy
def test_stock_validate_passes_the_solution_and_not_the_stub(graded: Path, nbgrader: Callable) -> None:
    said = nbgrader(graded, "validate", "submitted/alice/ps1/counting.ipynb")
    assert "Success! Your notebook passes all the tests." in said
    said = nbgrader(graded, "validate", "submitted/bob/ps1/counting.ipynb")
    assert "VALIDATION FAILED ON 1 CELL(S)" in said


def test_a_broken_course_file_stops_nbgrader_with_one_sentence(make_course: Callable, nbgrader: Callable) -> None:
    course = make_course(rest="[late]\npolicy = 'sometimes'\n")
    with pytest.raises(AssertionError, match=r"studium: .*course\.toml has the unknown value 'sometimes'") as raised:
        nbgrader(course, "autograde", "ps1")
    assert "Traceback" not in str(raised.value)
