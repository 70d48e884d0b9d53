"""Cells that come from a topic: the exercise's own tests, with secret seeds and named mistakes."""

from __future__ import annotations

import pytest
from studium.catalogue import load_catalogue
from studium.sources import solved, stub
from studium.sources import test_cell as written_test

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
def train_memory():
    return material(*cells_for("train_memory"))


def grade_topic(student, notebook, *answers):
    return grade(student, notebook, submission(notebook, *answers), exercises=exercises)


@pytest.mark.parametrize("name", ["lora_linear", "svd_lora", "train_memory", "init_lora"])
def test_the_solution_of_a_topic_earns_all_points(student, name):
    notebook = material(*cells_for(name))
    graded = grade_topic(student, notebook, solved(exercises(TOPIC)[name]))
    assert graded.points == [cell.points for cell in notebook.cells if cell.kind == "test"]
    assert {result.outcome for result in graded.results.values()} == {"passed"}
    assert {(result.exercise, result.mode) for result in graded.results.values()} == {(name, "split")}


def test_the_stub_is_not_attempted(student, train_memory):
    graded = grade_topic(student, train_memory, None)
    assert {(r.outcome, r.points, r.message) for r in graded.results.values()} == {
        ("not attempted", 0.0, "not attempted yet")
    }


def test_a_mistake_is_named_also_by_a_hidden_test_and_its_data_are_not(student, train_memory):
    wrong = (
        "def train_memory(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):\n"
        "    return n_trainable * (weight_bytes + gradient_bytes + optimizer_bytes)\n"
    )
    visible, hidden = grade_topic(student, train_memory, wrong).results.values()
    assert visible.outcome == "passed"
    assert hidden.outcome == "failed"
    assert (
        exercises(TOPIC)["train_memory"]
        .sentence_of(hidden.mistake_id)
        .startswith("You charged the weights of the trainable part")
    )
    assert hidden.message == "a hidden test of train_memory failed: the result is not what is expected"


def test_an_answer_that_only_says_that_it_is_not_there_yet_is_not_attempted(student, train_memory):
    graded = grade_topic(student, train_memory, "def train_memory(*a):\n    raise NotImplementedError('later')\n")
    assert {result.outcome for result in graded.results.values()} == {"not attempted"}


def test_half_an_answer_is_wrong(student, train_memory):
    half = (
        "def train_memory(n_params, n_trainable, *sizes):\n"
        "    if n_params == n_trainable:\n        return n_params * sum(sizes)\n    raise NotImplementedError\n"
    )
    assert [r.outcome for r in grade_topic(student, train_memory, half).results.values()] == ["passed", "failed"]
