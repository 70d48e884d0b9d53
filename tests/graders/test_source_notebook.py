"""The source version of an assignment's notebooks."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from nbformat import NotebookNode
from studium.catalogue.catalogue import Catalogue
from studium.desk.clean_check import Terms, check_document
from studium.errors import CourseError, UnknownNameError
from studium.notebooks.editions import role
from studium_graders.assignments.grade_ids import test_ids as ids_of_tests
from studium_graders.assignments.plan import plan_notebooks, worth_points
from studium_graders.assignments.source_notebook import introduce, source_notebook
from studium_graders.course.course_file import Assignment


def build(catalogue: Catalogue, **settings: object) -> NotebookNode:
    plans = plan_notebooks(Assignment("ps1", **settings), catalogue)  # type: ignore[arg-type]
    return source_notebook(plans[0], catalogue.manager)


def marks(notebook: NotebookNode) -> dict[str, dict[str, object]]:
    return {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader
        for cell in notebook.cells
        if "nbgrader" in cell.metadata
    }


def test_each_test_is_a_graded_locked_cell_with_its_points(counting: Catalogue) -> None:
    found = marks(build(counting, topics=("counting",)))
    graded = {name: values["points"] for name, values in found.items() if values["grade"]}
    assert list(graded.values()) == [1, 2, 1, 1]
    assert "counting-total-counts-negative-values-as-negative" in graded
    assert all(found[name]["locked"] and not found[name]["solution"] for name in graded)


def test_the_answer_cell_holds_the_solution_between_markers_and_the_setup_is_locked(counting: Catalogue) -> None:
    notebook = build(counting, topics=("counting",))
    answer = next(cell for cell in notebook.cells if cell.id == "counting-total")
    assert "### BEGIN SOLUTION" in answer.source
    assert answer.metadata.nbgrader.solution
    assert not answer.metadata.nbgrader.locked
    assert marks(notebook)["counting-import"]["locked"]


def test_hidden_tests_stand_between_markers_and_visible_ones_do_not(counting: Catalogue) -> None:
    tests = [cell.source for cell in build(counting, topics=("counting",)).cells if role(cell) == "test"]
    assert [source.count("HIDDEN TESTS") for source in tests] == [0, 2, 2, 2]
    assert tests[0].startswith("# Test (1 point): total is zero for no values\n")


def test_experiments_stay_where_the_course_wants_them_and_checks_are_left_out(counting: Catalogue) -> None:
    roles = {role(cell) for cell in build(counting, topics=("counting",)).cells}
    assert roles == {"prose", "setup", "prompt", "exercise", "test"}
    notebook = build(counting, topics=("counting",), experiments=True)
    assert [role(cell) for cell in notebook.cells].count("experiment") == 2


def test_a_notebook_of_single_exercises_has_a_title_the_setup_and_those_exercises(counting: Catalogue) -> None:
    notebook = build(counting, exercises=("counting.distance",))
    assert [role(cell) for cell in notebook.cells] == ["prose", "setup", "prompt", "exercise", "test", "test"]
    assert notebook.cells[0].source == "# Counting"
    assert "import math" in notebook.cells[1].source


def test_below_the_title_stand_the_assignment_its_due_date_and_the_lesson_of_single_exercises(
    counting: Catalogue,
) -> None:
    due, said = datetime(2026, 3, 1, 23, 59, tzinfo=ZoneInfo("Europe/Berlin")), []
    for settings in ({"topics": ("counting",)}, {"exercises": ("counting.distance",)}):
        (plan,) = plan_notebooks(Assignment("ps1", **settings), counting)  # type: ignore[arg-type]
        notebook = source_notebook(plan, counting.manager)
        introduce(notebook, plan, "ps1", due)
        assert notebook.cells[0].source.startswith("# ")
        said.append(notebook.cells[1].source)
    whole, single = said
    assert whole == "**Assignment ps1, due 2026-03-01 23:59 CET.**"
    assert single.startswith(f"{whole} These exercises are from the lesson *Counting*, ")


def test_a_check_of_single_exercises_is_about_these_alone(counting: Catalogue, tmp_path: Path) -> None:
    notebook = build(counting, exercises=("counting.distance",))
    found = check_document(notebook, tmp_path / "counting.ipynb", None, Terms(), counting)
    assert [(item.id, item.outcome) for item in found.exercises] == [("distance", "right")]


def test_names_that_come_to_the_same_letters_get_grade_ids_of_their_own(counting: Catalogue) -> None:
    topic = counting["counting"]
    distance = topic.exercise("distance")
    found = ids_of_tests(topic, distance)
    assert len(set(found.values())) == 2
    turned = replace(distance, tests=distance.tests[::-1])
    assert ids_of_tests(topic, turned) == found


def test_points_of_the_course_scale_those_of_the_tests(counting: Catalogue) -> None:
    notebook = build(counting, topics=("counting",), points={"counting.total": 10.0})
    assert [values["points"] for values in marks(notebook).values() if values["grade"]] == [3.33, 6.67, 1, 1]
    prompt = next(cell.source for cell in notebook.cells if cell.id == "counting-total-prompt")
    assert "· 10 points ·" in prompt
    assert prompt.endswith("Give the sum of numbers.")


def test_scaled_points_add_up_exactly(counting: Catalogue) -> None:
    for points in (1, 2, 5, 7.5, 100):
        scaled = worth_points(counting["counting"].exercise("total"), points)
        assert sum(test.points for test in scaled.tests) == pytest.approx(points, abs=1e-9)


UNKNOWN = {
    "topic": ({"topics": ("countin",)}, r"unknown topic 'countin'; did you mean 'counting'\?"),
    "exercise": ({"exercises": ("counting.totl",)}, r"unknown exercise of counting 'totl'; did you mean 'total'\?"),
    "points": (
        {"topics": ("counting",), "points": {"counting.totl": 3.0}},
        r"unknown exercise in points of ps1 'counting.totl'; did you mean 'counting.total'\?",
    ),
}


def test_an_unknown_name_is_answered_with_the_nearest(counting: Catalogue) -> None:
    for settings, sentence in UNKNOWN.values():
        with pytest.raises(UnknownNameError, match=sentence):
            build(counting, **settings)


def test_the_public_edition_cannot_be_assigned(counting: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting["counting"].exercise("total"), "public", True)
    with pytest.raises(CourseError, match="needs the instructor's edition of counting: total is the public one"):
        build(counting, topics=("counting",))
