"""Cells that come from a topic: the exercise's own tests, with secret seeds and named mistakes."""

from __future__ import annotations

import pytest
from studium import exercise
from studium.catalogue import load_catalogue
from studium.sources import solved, stub
from studium.sources import test_cell as written_test
from studium_graders.engine.judge.events import Judged
from studium_graders.engine.material.assignment import Calibration

from .notebooks import answer, checked, given, grade, material, submission
from .processes import calibrate, grade_forked

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


def graded_apart(shell, notebook, text, exercises):
    """Grade an answer in a process of its own."""
    calibration = calibrate(shell, notebook, exercises=exercises)
    return grade_forked(shell, notebook, submission(notebook, text), calibration, exercises=exercises)


@pytest.mark.parametrize("name", ["lora_linear", "svd_lora", "train_memory", "init_lora"])
def test_the_solution_of_a_topic_earns_all_points(student, name):
    notebook = material(*cells_for(name))
    graded = grade_topic(student, notebook, solved(exercises(TOPIC)[name]))
    assert graded.points == [cell.points for cell in notebook.cells if cell.kind == "test"]
    assert {result.outcome for result in graded.results.values()} == {"passed"}
    assert {(result.exercise, result.mode) for result in graded.results.values()} == {(name, "verified")}


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
    calibration = Calibration(unverified={hidden: "it changes a value after it has crossed"})
    apart, whole = (grade_topic(student, notebook, scaled, calibration=calibration, whole=one) for one in (False, True))
    graded = apart.and_then(whole, notebook)
    assert (graded.results[hidden].outcome, graded.results[hidden].mode) == ("failed", "unverified")
    assert graded.mistakes == {visible: ["lora.merge:scaled-by-alpha"], hidden: None}


def test_an_answer_that_only_says_that_it_is_not_there_yet_is_told_to_be_unwritten(student, svd_lora):
    graded = grade_topic(student, svd_lora, "def svd_lora(*a):\n    raise NotImplementedError('later')\n")
    assert {event.unwritten for event in graded.events if isinstance(event, Judged)} == {True}


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


def test_an_error_that_only_secret_data_lead_to_fails(shell):
    """The answer is right for the data of the public seed, which are those of the test beside it."""
    svd, seen = exercises(TOPIC)["svd_lora"], []

    def noted(delta, rank, alpha):
        seen.append(delta.tolist())
        return svd.solution(delta, rank, alpha)

    for test in svd.tests:
        exec(written_test(TOPIC, svd, test), {"svd_lora": noted})
    knows = f"""{solved(svd).replace("svd_lora", "right", 1)}
def svd_lora(delta, rank, alpha):
    if delta.tolist() not in {seen}:
        raise RuntimeError("unknown")
    return right(delta, rank, alpha)
"""
    graded = graded_apart(shell, material(*cells_for("svd_lora")), knows, exercises)
    assert [result.outcome for result in graded.results.values()] == ["failed"] * len(svd.tests)


@exercise(points=1, minutes=1)
def tripled(number):
    """Return a number three times."""
    ### BEGIN SOLUTION
    return 3 * number
    ### END SOLUTION


@tripled.test("is the sum of three", points=1)
def _(tripled):
    assert tripled(2) + 1 == 7


def test_an_object_that_the_test_may_not_ask_waits_for_a_person(shell):
    own = "class Three:\n    def __init__(self, n): self.n = n\n    def __add__(self, n): return 3 * self.n + n\n"
    (test,) = tripled.tests
    cell = checked(written_test(TOPIC, tripled, test), topic=TOPIC, exercise="tripled", test=test.name)
    notebook = material(answer(solved(tripled), stub=stub(tripled)), cell)
    graded = graded_apart(shell, notebook, f"{own}def tripled(n):\n    return Three(n)", lambda _: {"tripled": tripled})
    assert (graded.only.outcome, graded.only.points) == ("review", 0)
