"""Cells that come from a topic: the exercise's own tests, with secret seeds and named mistakes."""

from __future__ import annotations

import pytest
from studium.catalogue import load_catalogue
from studium.sources import solved, stub
from studium.sources import test_cell as written_test
from studium_graders.engine.material.assignment import Calibration

from .notebooks import answer, checked, given, grade, material, submission

TOPIC = "lora"


def exercises(topic):
    return load_catalogue()[topic].exercises


def cells_for(name):
    exercise = exercises(TOPIC)[name]
    imports = given("import torch\nimport torch.nn.functional as F\nfrom torch import nn\nimport math")
    tests = [
        checked(
            f"# {'Hidden test' if test.hidden else 'Test'} ({test.points:g} points): {name} {test.name}\n"
            + (
                f"### BEGIN HIDDEN TESTS\n{written_test(TOPIC, exercise, test)}### END HIDDEN TESTS"
                if test.hidden
                else written_test(TOPIC, exercise, test)
            ),
            points=test.points,
            topic=TOPIC,
            exercise=name,
            test=test.name,
            hidden=test.hidden,
        )
        for test in exercise.tests
    ]
    return [imports, answer(solved(exercise), stub=stub(exercise)), *tests]


@pytest.fixture
def svd_lora():
    return material(*cells_for("svd_lora"))


def grade_topic(student, notebook, *answers, **options):
    return grade(student, notebook, submission(notebook, *answers), exercises=exercises, **options)


@pytest.mark.parametrize("name", ["lora_linear", "svd_lora", "train_memory", "init_lora"])
def test_the_solution_of_a_topic_earns_all_points(student, name):
    notebook = material(*cells_for(name))
    graded = grade_topic(student, notebook, solved(exercises(TOPIC)[name]))
    assert graded.points == [cell.points for cell in notebook.cells if cell.kind == "test"]
    assert {result.outcome for result in graded.results.values()} == {"passed"}
    assert {(result.exercise, result.mode) for result in graded.results.values()} == {(name, "split")}


def test_the_stub_is_not_attempted(student, svd_lora):
    graded = grade_topic(student, svd_lora, None)
    assert {(r.outcome, r.points, r.message) for r in graded.results.values()} == {
        ("not attempted", 0.0, "not attempted yet")
    }


def test_a_mistake_is_found_also_by_a_hidden_test_and_its_data_are_not_told(student, svd_lora):
    wrong = (
        "def svd_lora(delta, rank, alpha):\n"
        "    u, s, vh = torch.linalg.svd(delta, full_matrices=False)\n"
        "    return vh[-rank:], u[:, -rank:] * s[-rank:] * rank / alpha\n"
    )
    graded = grade_topic(student, svd_lora, wrong)
    visible, hidden = graded.results.values()
    assert visible.outcome == "passed"
    assert hidden.outcome == "failed"
    (mistake,) = graded.mistakes[hidden.grade_id]
    assert mistake == "lora.svd_lora:kept-the-smallest"
    assert hidden.message == "a hidden test of svd_lora failed: the result is not what is expected"


def test_a_test_in_one_process_says_nothing_of_mistakes(student):
    notebook = material(*cells_for("merge"))
    [visible, hidden] = [cell.grade_id for cell in notebook.cells if cell.kind == "test"]
    scaled = "def merge(weight, a, b, alpha):\n    return weight + alpha * (b @ a)\n"
    calibration = Calibration(one_process={hidden: "it changes a value after it has crossed"})
    graded = grade_topic(student, notebook, scaled, calibration=calibration)
    assert (graded.results[hidden].outcome, graded.results[hidden].mode) == ("failed", "one process")
    assert graded.mistakes == {visible: ["lora.merge:scaled-by-alpha"], hidden: None}


def test_an_answer_that_only_says_that_it_is_not_there_yet_is_not_attempted(student, svd_lora):
    graded = grade_topic(student, svd_lora, "def svd_lora(*a):\n    raise NotImplementedError('later')\n")
    assert {result.outcome for result in graded.results.values()} == {"not attempted"}


def test_half_an_answer_is_wrong(student, svd_lora):
    half = (
        "def svd_lora(delta, rank, alpha):\n    if rank < min(delta.shape):\n        raise NotImplementedError\n"
        "    return torch.eye(rank, dtype=delta.dtype), delta * rank / alpha\n"
    )
    assert [r.outcome for r in grade_topic(student, svd_lora, half).results.values()] == ["passed", "failed"]


def test_an_answer_that_changes_an_argument_is_told_so_and_of_a_hidden_test_no_values(student):
    notebook = material(*cells_for("merge"))
    in_place = "def merge(weight, a, b, alpha):\n    weight *= 2\n    return weight\n"
    failed = [r for r in grade_topic(student, notebook, in_place).results.values() if r.outcome == "failed"]
    told = {result.hidden: result.message for result in failed}
    assert told[True] == "merge changed an argument that must stay as it is"
    assert told[False].startswith("merge changed its argument `weight`, which must stay as it is: at index")
