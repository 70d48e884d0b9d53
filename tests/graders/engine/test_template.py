"""What an assignment is graded against: nbgrader's own course, ours, and courses that are not in order."""

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbgrader")

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook  # nbgrader is an extra
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError
from studium.exercises.sources import solved
from studium_graders.assignments.building import build_assignment
from studium_graders.course.course_file import FILE, read_course
from studium_graders.course.folder import load_config
from studium_graders.course.limits import Limits
from studium_graders.engine.material.assignment import Cell, Material
from studium_graders.engine.material.template import material_of

pytestmark = [
    pytest.mark.nbgrader,
    pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning"),  # nbgrader's own notebooks
]


def load_material(root: Path, assignment: str) -> Material:
    course = read_course(root) if (root / FILE).is_file() else None
    return material_of(load_config(root, course), root, assignment, Limits())


def cell(material: Material, grade_id: str) -> Cell:
    return next(cell for book in material.notebooks for cell in book.cells if cell.grade_id == grade_id)


def write_source(root: Path, *cells: nbformat.NotebookNode) -> None:
    copies = [deepcopy(cell) for cell in cells]
    for index, part in enumerate(copies):
        part.id = f"c{index}"
    notebook = new_notebook(cells=copies, metadata={"kernelspec": KERNEL})
    (root / "source" / "ps1").mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, root / "source" / "ps1" / "p1.ipynb")


def marks(grade_id: str, **flags: object) -> dict[str, object]:
    own = {"schema_version": 3, "grade_id": grade_id, "grade": False, "solution": False, "locked": False}
    return {"nbgrader": own | flags}


KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
HIDDEN = "assert f(1) == 2\n### BEGIN HIDDEN TESTS\nassert f(2) == 3\n### END HIDDEN TESTS"
ANSWER = new_code_cell(
    "def f(x):\n    ### BEGIN SOLUTION\n    return x + 1\n    ### END SOLUTION", metadata=marks("f", solution=True)
)
TEST = new_code_cell(HIDDEN, metadata=marks("test-f", grade=True, locked=True, points=2))


@pytest.fixture
def plain_course(tmp_path: Path) -> Path:
    root = tmp_path / "plain"
    write_source(root, new_code_cell("import math"), ANSWER, TEST, new_markdown_cell("The end."))
    (root / "source" / "ps1" / "data.csv").write_text("1,2")
    (root / "source" / "ps1" / "__pycache__").mkdir()
    (root / "source" / "ps1" / "__pycache__" / "x.pyc").write_text("x")
    return root


def test_nbgraders_own_course_has_its_cells_points_and_kinds(ps1_course: Path) -> None:
    material = load_material(ps1_course, "ps1")
    one, two = material.notebooks
    assert (one.name, two.name) == ("problem1", "problem2")
    assert sum(cell.points for book in material.notebooks for cell in book.cells) == 13
    assert {cell.grade_id: cell.points for cell in one.cells if cell.kind == "test"} == {
        "correct_squares": 1,
        "squares_invalid_input": 1,
        "correct_sum_of_squares": 0.5,
        "sum_of_squares_uses_squares": 0.5,
    }
    assert one.cells[1].source == 'NAME = ""\nCOLLABORATORS = ""'  # from the header
    assert cell(material, "squares").kind == "answer"
    assert "return [i ** 2" in cell(material, "squares").reference
    assert "BEGIN SOLUTION" not in cell(material, "squares").reference
    assert "raise NotImplementedError()" in cell(material, "squares").source
    by_hand = [cell.grade_id for cell in (*one.cells, *two.cells) if cell.graded and cell.kind != "test"]
    assert by_hand == [
        "sum_of_squares_equation",
        "sum_of_squares_application",
        "cell-938593c4a215c6cc",
        "part-a",
        "part-b",
    ]
    assert cell(material, "cell-938593c4a215c6cc").locked
    assert set(material.files) == {"jupyter.png"}


def test_the_release_and_the_gradebook_alone_give_the_same_tests(ps1_course: Path) -> None:
    whole = load_material(ps1_course, "ps1")
    shutil.rmtree(ps1_course / "source" / "ps1")
    bare = load_material(ps1_course, "ps1")
    assert [cell for cell in bare.notebooks[0].cells if cell.kind == "test"] == [
        cell for cell in whole.notebooks[0].cells if cell.kind == "test"
    ]
    assert cell(bare, "squares").reference == ""


def test_what_students_got_is_nbgraders_release_letter_for_letter(ps1_course: Path) -> None:
    material = load_material(ps1_course, "ps1")
    for book in material.notebooks:
        released = nbformat.read(ps1_course / "release" / "ps1" / f"{book.name}.ipynb", as_version=4)
        ours = json.loads(book.template)
        assert [part["source"] for part in ours["cells"]] == [part.source for part in released.cells]
        assert [part["metadata"] for part in ours["cells"]] == [part.metadata for part in released.cells]


def test_the_digest_is_the_same_each_time_and_another_for_another_test(ps1_course: Path) -> None:
    before = load_material(ps1_course, "ps1").digest
    assert load_material(ps1_course, "ps1").digest == before
    with Gradebook(f"sqlite:///{ps1_course / 'gradebook.db'}") as book:
        book.find_source_cell("correct_squares", "problem1", "ps1").source = "assert squares(1) == [1]"
        book.db.commit()
    assert load_material(ps1_course, "ps1").digest != before


def test_the_digest_is_the_same_for_another_text_that_nobody_marks(ps1_course: Path) -> None:
    before = load_material(ps1_course, "ps1")
    for step in ("source", "release"):
        path = ps1_course / step / "ps1" / "problem1.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source += "\n\nHand in by Friday."
        notebook.cells.append(new_markdown_cell("Ask in the forum about `torch.compile`."))
        nbformat.write(notebook, path)
    after = load_material(ps1_course, "ps1")
    assert after.notebooks != before.notebooks
    assert after.digest == before.digest


def test_the_gradebook_wins_over_a_source_that_was_edited_after_the_release(ps1_course: Path) -> None:
    path = ps1_course / "source" / "ps1" / "problem1.ipynb"
    path.write_text(path.read_text().replace("assert squares(1) == [1]", "assert squares(1) == [7]"))
    with Gradebook(f"sqlite:///{ps1_course / 'gradebook.db'}") as book:
        book.find_grade_cell("correct_squares", "problem1", "ps1").max_score = 4
        book.db.commit()
    found = cell(load_material(ps1_course, "ps1"), "correct_squares")
    assert "assert squares(1) == [1]" in found.source
    assert found.points == 4


def test_a_source_with_other_graded_cells_gives_way_to_the_release(ps1_course: Path) -> None:
    path = ps1_course / "source" / "ps1" / "problem1.ipynb"
    path.write_text(path.read_text().replace('"correct_squares"', '"next_years_test"'))
    assert cell(load_material(ps1_course, "ps1"), "correct_squares").points == 1
    shutil.rmtree(ps1_course / "release")
    with pytest.raises(CourseError, match=r"must have the same graded cells: only .* has 'correct_squares'"):
        load_material(ps1_course, "ps1")


def test_a_course_without_gradebook_and_configuration_is_enough(plain_course: Path) -> None:
    material = load_material(plain_course, "ps1")
    kinds = [(cell.kind, cell.locked, cell.hidden) for cell in material.notebooks[0].cells]
    assert kinds == [
        ("given", False, False),
        ("answer", False, False),
        ("test", True, True),
        ("text", False, False),
    ]
    assert cell(material, "test-f").source == HIDDEN
    assert b"f(2)" not in material.notebooks[0].template
    assert material.files == {"data.csv": b"1,2"}
    assert not (plain_course / "gradebook.db").exists()


def test_an_assignment_of_ours_names_topic_exercise_and_test(counting: Catalogue, make_course: Callable) -> None:
    root = make_course()
    build_assignment(root, "ps1", counting)
    material = load_material(root, "ps1")
    cells = material.notebooks[0].cells
    exercises = counting["counting"].exercises
    assert [(item.topic, item.exercise, item.test) for item in cells if item.kind == "test"] == [
        ("counting", exercise.id, test.name) for exercise in exercises.values() for test in exercise.tests
    ]
    assert [item.hidden for item in cells if item.kind == "test"] == [
        test.hidden for exercise in exercises.values() for test in exercise.tests
    ]
    answers = [item.reference.strip() for item in cells if item.kind == "answer"]
    assert answers == [solved(exercise).strip() for exercise in exercises.values()]


def test_each_course_has_a_secret_of_its_own_that_stays(plain_course: Path, ps1_course: Path) -> None:
    first, again = (load_material(plain_course, "ps1").secret for _ in range(2))
    assert first == again
    assert len(first) == 32
    assert load_material(ps1_course, "ps1").secret != first
    assert (plain_course / ".studium" / "secret").stat().st_mode & 0o77 == 0


def test_a_course_says_what_students_may_replace(plain_course: Path) -> None:
    (plain_course / "nbgrader_config.py").write_text(
        'c = get_config()\nc.Autograde.exclude_overwriting = {"ps1": ["data.csv"]}\n'
    )
    assert load_material(plain_course, "ps1").own_files == {"data.csv"}


def test_an_assignment_that_is_nowhere_is_one_sentence(plain_course: Path) -> None:
    with pytest.raises(CourseError, match="grading needs source/ps9 or release/ps9: there is no notebook in either"):
        load_material(plain_course, "ps9")


def test_a_notebook_that_only_the_gradebook_has_is_one_sentence(ps1_course: Path) -> None:
    for step in ("source", "release"):
        (ps1_course / step / "ps1" / "problem2.ipynb").unlink()
    with pytest.raises(CourseError, match=r"ps1 needs the notebook problem2\.ipynb"):
        load_material(ps1_course, "ps1")


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (new_code_cell("### BEGIN SOLUTION\nx = 1", metadata=marks("x", solution=True)), "no end solution statement"),
        (new_code_cell("### BEGIN HIDDEN TESTS\n### END HIDDEN TESTS"), "Hidden test region detected"),
        (ANSWER, "Duplicate grade id: f"),
    ],
)
def test_a_source_that_nbgrader_refuses_is_one_sentence(
    plain_course: Path, broken: nbformat.NotebookNode, sentence: str
) -> None:
    write_source(plain_course, ANSWER, TEST, broken)
    with pytest.raises(CourseError, match=sentence):
        load_material(plain_course, "ps1")


def test_a_notebook_in_another_language_is_left_to_nbgrader(plain_course: Path) -> None:
    path = plain_course / "source" / "ps1" / "p1.ipynb"
    path.write_text(path.read_text().replace('"language": "python"', '"language": "R"'))
    with pytest.raises(CourseError, match="grading needs Python notebooks"):
        load_material(plain_course, "ps1")


def test_a_gradebook_that_is_no_database_is_one_sentence(plain_course: Path) -> None:
    (plain_course / "gradebook.db").write_text("hello" * 1000)
    with pytest.raises(CourseError, match=r"the gradebook .*gradebook\.db is damaged"):
        load_material(plain_course, "ps1")


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nbgrader leaves its kernel's sockets
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_autotests_are_the_same_with_and_without_a_gradebook(
    documentation_guide: Path, tmp_path: Path, nbgrader: Callable
) -> None:
    shutil.copytree(documentation_guide / "source" / "ps1_autotest", tmp_path / "source" / "ps1")
    shutil.copy(documentation_guide / "autotests.yml", tmp_path)
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    before = load_material(tmp_path, "ps1")
    tests = [item.source for item in before.notebooks[0].cells if item.kind == "test"]
    assert tests
    assert not any("AUTOTEST" in source for source in tests)
    nbgrader(tmp_path, "generate_assignment", "ps1")
    assert load_material(tmp_path, "ps1").notebooks[0].cells == before.notebooks[0].cells
