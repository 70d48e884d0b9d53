"""The engine in the place of nbgrader's Execute: marks, penalties, manual marks, comments and feedback as before."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook  # nbgrader is an extra
from nbgrader.converters import Autograde
from studium_graders.grading.preprocessor import SplitExecute
from studium_graders.nbgrader_config import grade_with_engine
from traitlets.config import Config
from traitlets.utils.importstring import import_item

from .conftest import NBGRADER, installed

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.heavy,
    pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning"),  # nbgrader's own
    pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning"),
]
LINES = "\nfrom studium_graders.nbgrader_config import grade_with_engine\n\ngrade_with_engine(c)\n"
PENALTY = """
from nbgrader.plugins import LateSubmissionPlugin

class Half(LateSubmissionPlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return score / 2

c.AssignLatePenalties.plugin_class = Half
"""
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def marks(grade_id: str, **flags: object) -> dict[str, object]:
    own = {"schema_version": 3, "grade_id": grade_id, "grade": False, "solution": False, "locked": False}
    return {"nbgrader": own | flags}


def answer(grade_id: str, code: str) -> nbformat.NotebookNode:
    source = f"### BEGIN SOLUTION\n{code}\n### END SOLUTION"
    return new_code_cell(source, id=grade_id, metadata=marks(grade_id, solution=True))


def graded(grade_id: str, source: str, points: float) -> nbformat.NotebookNode:
    return new_code_cell(source, id=grade_id, metadata=marks(grade_id, grade=True, locked=True, points=points))


SOURCE = [
    answer("f", "def f(x):\n    return x + 1"),
    graded("visible", "assert f(1) == 2", 1),
    graded("hidden", "### BEGIN HIDDEN TESTS\nassert f(41) == 42\n### END HIDDEN TESTS", 2),
    graded("noisy", "import sys\nprint('look', file=sys.stderr)\nprint('out')\nassert f(0) == 1\n'full'", 1),
    graded("partial", "f(0) / 3", 1),
    new_markdown_cell("It adds one.", id="essay", metadata=marks("essay", grade=True, solution=True, points=4)),
]
ANSWERS = {
    "right": "def f(x):\n    return x + 1",
    "table": "def f(x):\n    return {1: 2, 0: 1}[x]",
    "forger": (
        "import IPython\nfrom nbgrader import utils\nshell = get_ipython()\n"
        "shell.showtraceback = lambda *a, **k: None\nf = lambda x: type('Any', (), {'__eq__': lambda *a: True})()"
    ),
    "exits": "import os\ndef f(x):\n    os._exit(0)",
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, nbgrader: Callable[..., str]) -> Path:
    """A course of nbgrader's that knows Studium by two lines, graded by ``nbgrader autograde``; the forger is late."""
    root = tmp_path_factory.mktemp("engine") / "course"
    (root / "source" / "ps1").mkdir(parents=True)
    config = f'c = get_config()\nc.CourseDirectory.course_id = "c1"\n{PENALTY}{LINES}'
    (root / "nbgrader_config.py").write_text(config)
    nbformat.write(new_notebook(cells=SOURCE, metadata={"kernelspec": KERNEL}), root / "source" / "ps1" / "p1.ipynb")
    nbgrader(root, "db", "assignment", "add", "ps1", "--duedate", "2026-03-01 12:00:00 UTC")
    nbgrader(root, "generate_assignment", "ps1")
    for student, code in ANSWERS.items():
        folder = root / "submitted" / student / "ps1"
        shutil.copytree(root / "release" / "ps1", folder)
        notebook = json.loads((folder / "p1.ipynb").read_text())
        notebook["cells"][0]["source"] = code
        if student == "right":
            notebook["cells"][-1]["source"] = "It adds 1."
        (folder / "p1.ipynb").write_text(json.dumps(notebook))
        when = "2026-03-02" if student == "table" else "2026-03-01"
        (folder / "timestamp.txt").write_text(f"{when} 11:00:00 UTC")
    nbgrader(root, "autograde", "ps1")
    return root


def gradebook(root: Path) -> Gradebook:
    return Gradebook(f"sqlite:///{root / 'gradebook.db'}")


def scores(root: Path, student: str) -> dict[str, float | None]:
    with gradebook(root) as book:
        return {grade.name: grade.auto_score for grade in book.find_submission("ps1", student).notebooks[0].grades}


def test_the_right_answer_earns_all_points_although_a_test_writes_to_stderr(course: Path) -> None:
    found = scores(course, "right")
    assert found == {"visible": 1, "hidden": 2, "noisy": 1, "partial": pytest.approx(1 / 3), "essay": None}


def test_partial_credit_is_recorded_to_the_last_digit(course: Path) -> None:
    assert scores(course, "right")["partial"] == 1 / 3


def test_what_was_looked_up_fails_the_hidden_test_alone(course: Path) -> None:
    found = scores(course, "table")
    assert (found["visible"], found["hidden"], found["noisy"]) == (1, 0, 1)


def test_a_forger_and_one_who_exits_earn_nothing(course: Path) -> None:
    for student in ("forger", "exits"):
        assert [found for found in scores(course, student).values() if found] == []


def test_a_late_penalty_is_nbgraders(course: Path) -> None:
    with gradebook(course) as book:
        late, on_time = (book.find_submission("ps1", student) for student in ("table", "right"))
        assert late.late_submission_penalty == late.score / 2 > 0
        assert not on_time.late_submission_penalty


def test_an_untouched_essay_is_no_response_and_another_waits_for_a_person(course: Path) -> None:
    with gradebook(course) as book:
        assert book.find_comment("essay", "p1", "ps1", "table").comment == "No response."
        assert book.find_grade("essay", "p1", "ps1", "table").auto_score == 0
        assert not book.find_comment("essay", "p1", "ps1", "right").comment
        assert book.find_grade("essay", "p1", "ps1", "right").needs_manual_grade


def test_the_autograded_notebook_shows_why_points_are_missing_and_hides_hidden_values(course: Path) -> None:
    notebook = nbformat.read(course / "autograded" / "table" / "ps1" / "p1.ipynb", as_version=4)
    hidden = next(cell for cell in notebook.cells if cell.id == "hidden")
    (error,) = hidden.outputs
    assert error.output_type == "error"
    assert "42" not in error.evalue
    visible = next(cell for cell in notebook.cells if cell.id == "visible")
    assert visible.outputs == []


def test_no_student_is_said_to_have_changed_a_hidden_test_that_nbgrader_put_back(
    course: Path, nbgrader: Callable[..., str]
) -> None:
    said = nbgrader(course, "autograde", "ps1", "--student", "right", "--force")
    assert "Converting notebook" in said
    assert "was put back" not in said


def test_a_persons_marks_comments_and_extra_credit_stay_when_it_is_graded_again(
    course: Path, nbgrader: Callable[..., str]
) -> None:
    with gradebook(course) as book:
        book.find_grade("essay", "p1", "ps1", "right").manual_score = 3
        book.find_grade("visible", "p1", "ps1", "right").extra_credit = 0.5
        book.find_comment("essay", "p1", "ps1", "right").manual_comment = "Well said."
        book.db.commit()
    nbgrader(course, "autograde", "ps1", "--student", "right", "--force")
    with gradebook(course) as book:
        assert book.find_submission("ps1", "right").score == pytest.approx(1.5 + 2 + 1 + 1 / 3 + 3)
        assert book.find_comment("essay", "p1", "ps1", "right").comment == "Well said."


def test_feedback_and_export_are_nbgraders(course: Path, nbgrader: Callable[..., str]) -> None:
    nbgrader(course, "generate_feedback", "ps1")
    page = (course / "feedback" / "table" / "ps1" / "p1.html").read_text("utf-8")
    assert "TestFailed" in re.sub("<[^>]+>", "", page)
    nbgrader(course, "export", "--to", "grades.csv")
    rows = {row["student_id"]: row for row in csv.DictReader((course / "grades.csv").read_text().splitlines())}
    assert float(rows["exits"]["score"]) == 0


def test_no_execute_still_leaves_the_notebook_alone(course: Path, nbgrader: Callable[..., str]) -> None:
    nbgrader(course, "autograde", "ps1", "--student", "exits", "--force", "--no-execute")
    notebook = nbformat.read(course / "autograded" / "exits" / "ps1" / "p1.ipynb", as_version=4)
    assert [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"] == [[]] * 5


def test_a_test_for_review_has_no_mark_and_waits_in_formgraders_queue(
    course: Path, nbgrader: Callable[..., str], tmp_path: Path
) -> None:
    own = tmp_path / "course"
    shutil.copytree(course, own)
    (own / "course.toml").write_text('id = "c1"\n\n[grading]\nunverified = "review"\n')
    nbgrader(own, "autograde", "ps1", "--student", "right", "--force")
    with gradebook(own) as book:
        found = book.find_submission("ps1", "right").notebooks[0].grades
        waiting = {grade.name for grade in found if grade.needs_manual_grade}
        assert waiting == {"visible", "hidden", "noisy", "partial", "essay"}
        assert {grade.auto_score for grade in found if grade.name in waiting} == {None}


def test_nbgraders_own_course_earns_what_its_documentation_says(ps1_course: Path, nbgrader: Callable[..., str]) -> None:
    with (ps1_course / "nbgrader_config.py").open("a") as file:
        file.write(LINES)
    nbgrader(ps1_course, "autograde", "ps1")
    with gradebook(ps1_course) as book:
        found = {student: book.find_submission("ps1", student).score for student in ("bitdiddle", "hacker")}
    assert found == {"bitdiddle": 1.5, "hacker": 3.0}


def test_formgraders_button_grades_with_the_engine(course: Path) -> None:
    grade = f"""
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config.loader import PyFileConfigLoader
config = PyFileConfigLoader("nbgrader_config.py", path={str(course)!r}).load_config()
config.CourseDirectory.root = {str(course)!r}
said = NbGraderAPI(CourseDirectory(config=config), config=config).autograde("ps1", "table")
print(said["success"], said.get("error", ""), said["log"])
"""
    with gradebook(course) as book:
        book.find_grade("visible", "p1", "ps1", "table").auto_score = 0
        book.db.commit()
    command = [sys.executable, "-W", "ignore", "-c", grade]
    done = subprocess.run(command, cwd=course.parent, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.startswith("True"), done.stdout
    assert scores(course, "table")["visible"] == 1


KIT_CHANGES = """
import shutil, sys
from pathlib import Path
from nbgrader.apps import NbGraderAPI
from studium.catalogue.catalogue import load_catalogue
from studium_graders.assignments.building import build_assignment
from studium_graders.course.finding import open_course

root, exercises = map(Path, sys.argv[1:])
build_assignment(root, "ps1", load_catalogue())
handed_in = shutil.copytree(root / "source" / "ps1", root / "submitted" / "ada" / "ps1") / "counting.ipynb"
handed_in.write_text(handed_in.read_text().replace("return math.hypot(*(", "return sum(d * d for d in ("))
coursedir = open_course(root, "ps1")
formgrader = NbGraderAPI(coursedir, config=coursedir.config)
graded = root / "autograded" / "ada" / "ps1" / "counting.ipynb"
for words in ("You forgot the square root.", "There is no root in it."):
    text = exercises.read_text()
    exercises.write_text(text.replace("You forgot the square root.", words))
    said = formgrader.autograde("ps1", "ada")
    assert said["success"], said
    print(words in graded.read_text())
"""


def test_a_formgrader_that_stays_open_tells_mistakes_by_the_kit_that_is_there_now(
    make_course: Callable[..., Path], tmp_path: Path
) -> None:
    course = make_course()
    (course / "nbgrader_config.py").write_text(NBGRADER)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [str(tmp_path), *(place for place in others if not Path(place, "classroom_topic").is_dir())]
    with installed(tmp_path, "classroom_topic", "counting"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        exercises = tmp_path / "classroom_topic" / "exercises.py"
        command = [sys.executable, "-W", "ignore", "-c", KIT_CHANGES, str(course), str(exercises)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.stdout, done.returncode) == ("True\nTrue\n", 0), done.stderr


def test_execute_and_the_saving_of_marks_are_replaced_and_no_other_preprocessor_of_nbgraders() -> None:
    config = Config()
    grade_with_engine(config)
    stock = [f"{kind.__module__}.{kind.__name__}" for kind in Autograde().autograde_preprocessors]
    ours = [import_item(name) for name in config.Autograde.autograde_preprocessors]
    made = [f"{kind.__module__}.{kind.__name__}" for kind in ours]
    replaced = {before: after for before, after in zip(stock, made, strict=True) if before != after}
    assert {before.rpartition(".")[2]: after for before, after in replaced.items()} == {
        "Execute": "studium_graders.grading.preprocessor.SplitExecute",
        "SaveAutoGrades": "studium_graders.grading.preprocessor.SaveGrades",
    }


def test_execute_is_replaced_where_a_course_has_a_list_of_its_own() -> None:
    config = Config()
    config.Autograde.autograde_preprocessors = ["nbgrader.preprocessors.Execute", "mine.Preprocessor"]
    grade_with_engine(config)
    assert config.Autograde.autograde_preprocessors == [
        "studium_graders.grading.preprocessor.SplitExecute",
        "mine.Preprocessor",
    ]


def test_a_cell_may_take_as_long_as_nbgraders_setting_says_and_a_timer_can_count(tmp_path: Path) -> None:
    seconds = (60, 10**12)
    made = [SplitExecute(config=Config({"Execute": {"timeout": one}}))._limits(tmp_path, "ps1")[0] for one in seconds]
    assert [limits.call_seconds for limits in made] == [60, 1e6]
