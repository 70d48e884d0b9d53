"""A release puts the wrong code that an exercise shows into the learner's cell, and grades it as not attempted."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook  # nbgrader is an extra
from nbgrader.converters import GenerateAssignment
from studium.catalogue.catalogue import load_catalogue
from studium.errors import ExerciseError
from studium.exercises.sources import solved, stub
from studium_graders.assignments.building import build_assignment
from studium_graders.course.public_exercises import public_source
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.options import GradeOptions
from studium_graders.nbgrader_config import release_starting_cells
from traitlets.config import Config
from traitlets.utils.importstring import import_item

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),  # nbgrader's own
]
ASSIGNMENT = '[[assignments]]\nname = "ps1"\nexercises = ["albert.sop_pairs"]\n'
FILE = '''
import math
from studium import exercise
from .g import g


@exercise(points=1, minutes=1, kind="find the bug", shows=SHOWS)
def f(x):
    """Find the bug."""
    ### BEGIN SOLUTION
    return math.sqrt(x)
    ### END SOLUTION


@f.misconception("You returned g.", name="calls-g")
def _(x):
    return g(x)  # not the root


f.mistake("edited", "You returned the exponential.", replace="sqrt", by="exp")
f.mistake("pairs", "You returned the sine.", edits=[("sqrt", "sin"), ("x", "2 * x")])
'''
QUIET = SimpleNamespace(begin=lambda *_: None, done=lambda *_, **__: None, note=lambda _: None, agree=lambda _: True)


@pytest.fixture(scope="module")
def course(make_course: Callable) -> Path:
    root: Path = make_course(ASSIGNMENT)
    build_assignment(root, "ps1", load_catalogue())
    return root


def answer(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    (cell,) = (cell for cell in cells if cell.metadata.get("nbgrader", {}).get("solution"))
    assert "start" not in cell.metadata.studium or "source" in path.parts
    return str(cell.source)


def test_the_release_starts_with_the_shown_code_and_the_source_has_the_solution(course: Path) -> None:
    exercise = load_catalogue()["albert"].exercise("sop_pairs")
    assert answer(course / "release" / "ps1" / "albert.ipynb") == stub(exercise).rstrip()
    assert "### BEGIN SOLUTION" in answer(course / "source" / "ps1" / "albert.ipynb")


@pytest.mark.heavy
def test_nbgrader_makes_the_same_release(course: Path, nbgrader: Callable) -> None:
    path = course / "release" / "ps1" / "albert.ipynb"
    ours = nbformat.read(path, as_version=4)
    nbgrader(course, "generate_assignment", "ps1", "--force")
    assert nbformat.read(path, as_version=4) == ours


@pytest.mark.heavy
def test_the_shown_code_as_it_stands_earns_nothing_though_it_passes_a_test(
    course: Path, tmp_path: Path, submit: Callable
) -> None:
    root, exercise = (
        Path(shutil.copytree(course, tmp_path / "course")),
        load_catalogue()["albert"].exercise("sop_pairs"),
    )
    shown = stub(exercise)
    submit(root, "untouched", {})
    submit(root, "tried", {"albert": {"sop_pairs": shown.replace("pairs = []", "pairs = list()")}})
    submit(root, "right", {"albert": {"sop_pairs": solved(exercise)}})
    result = grade_class(root, "ps1", GradeOptions(), load_catalogue(), QUIET)
    assert result.problems == []
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        scores = {name: book.find_submission("ps1", name).score for name in ("untouched", "tried", "right")}
    assert scores == {"untouched": 0, "tried": 1, "right": exercise.points}


def test_clear_solutions_is_replaced_and_no_other_preprocessor_of_nbgraders() -> None:
    config = Config()
    release_starting_cells(config)
    ours = [import_item(name).__name__ for name in config.GenerateAssignment.preprocessors]
    stock = [kind.__name__ for kind in GenerateAssignment().preprocessors]
    assert ours == ["StartingCells" if name == "ClearSolutions" else name for name in stock]
    config.GenerateAssignment.preprocessors = ["mine.Preprocessor", "nbgrader.preprocessors.ClearSolutions"]
    release_starting_cells(config)
    assert config.GenerateAssignment.preprocessors == [
        "mine.Preprocessor",
        "studium_graders.starting_cells.StartingCells",
    ]


@pytest.mark.parametrize(
    ("shows", "body"),
    [
        ("calls-g", "return g(x)"),
        ("edited", "return math.exp(x)"),
        ("pairs", "return math.sin(2 * x)"),
    ],
)
def test_the_public_edition_has_the_shown_code_and_no_other_mistake(shows: str, body: str) -> None:
    found = public_source(FILE.replace("SHOWS", repr(shows)), "exercises/f.py", in_folder=True)
    assert found.endswith(f'def f(x):\n    """Find the bug."""\n    {body}\n')
    assert ("from .g import g" in found) == (shows == "calls-g")
    assert "You returned" not in found
    assert "the root" not in found


@pytest.mark.parametrize("shows", ["'none'", "NAME"])
def test_a_shown_mistake_that_is_not_in_the_file_is_an_error(shows: str) -> None:
    with pytest.raises(
        ExerciseError, match=r"f in exercises/f\.py must show a mistake that is in the same file, .* none"
    ):
        public_source(FILE.replace("SHOWS", shows), "exercises/f.py", in_folder=True)
