"""Notebooks with exercises of a topic, graded as a class is: secret data, named mistakes, what waits for a person."""

from __future__ import annotations

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.sources import solved, stub
from studium.exercises.sources import test_cell as written_test
from studium_graders.engine.material.assignment import (
    CanonicalNotebook,
    CanonicalSubmission,
    Cell,
    Material,
    NotebookMaterial,
    Step,
)
from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision.engine import Engine

TOPIC = "lora"
EXERCISES = load_catalogue()[TOPIC].exercises
NAMES = ("lora_linear", "init_lora", "svd_lora", "merge")
IMPORTS = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\nimport math"
PLAIN = "assert merge(torch.ones(2, 2), torch.ones(1, 2), torch.ones(2, 1), 1.0)[0, 0] == 2"


def cells():
    yield Cell("imports", "given", IMPORTS)
    for name in NAMES:
        exercise = EXERCISES[name]
        yield Cell(name, "answer", stub(exercise), name, reference=solved(exercise))
        for number, test in enumerate(exercise.tests):
            source, own = written_test(TOPIC, exercise, test), f"{name}-{number}"
            marks = {"graded": True, "locked": True, "hidden": test.hidden}
            yield Cell(own, "test", source, own, test.points, topic=TOPIC, exercise=name, test=test.name, **marks)
    yield Cell("plain", "test", PLAIN, "plain", 1.0, graded=True, locked=True)


MATERIAL = Material("ps1", (NotebookMaterial("book", tuple(cells()), b"{}"),), secret=b"secret")


def handed_in(answers):
    (book,) = MATERIAL.notebooks
    kinds = {"answer": "student", "given": "given", "test": "test"}
    written = {name: solved(EXERCISES[name]) for name in NAMES} | answers
    steps = [
        Step(cell.id, kinds[cell.kind], "" if cell.kind == "test" else written.get(cell.id, cell.source))
        for cell in book.cells
    ]
    untouched = frozenset(cell.id for cell in book.cells if answers.get(cell.id) == cell.source)
    return CanonicalSubmission("alice", (CanonicalNotebook("book", tuple(steps), b"{}", untouched),))


@pytest.fixture(scope="module")
def engine(ancestor):
    with Engine(MATERIAL, probe().level, trust=True, ancestor=ancestor) as engine:
        engine.calibrate()
        yield engine


@pytest.fixture
def graded(engine):
    """graded(merge="def merge(…): …") → the results of a submission that is right but for that, and its notebook."""

    def grade(**answers):
        (book,) = engine.grade(handed_in(answers)).notebooks
        return {test.grade_id: test for test in book.tests}, book

    return grade


def of(results, name):
    return [result for result in results.values() if result.exercise == name]


def test_the_solution_earns_all_points_and_is_verified(graded, engine):
    results, book = graded()
    modes = {name: (test.outcome, test.mode) for name, test in results.items()}
    assert modes.pop("plain") == ("passed", "unverified")
    assert set(modes.values()) == {("passed", "verified")}
    assert book.verdict == "graded"
    assert engine.material.calibration["book"].problems == ()


def test_the_stub_is_not_attempted(graded):
    results, _ = graded(svd_lora=stub(EXERCISES["svd_lora"]))
    found = of(results, "svd_lora")
    assert {(r.outcome, r.points, r.message) for r in found} == {("not attempted", 0.0, "not attempted yet")}
    assert {test.outcome for test in results.values()} == {"passed", "not attempted"}


def test_a_mistake_is_found_also_by_a_hidden_test_and_its_data_are_not_told(graded):
    wrong = (
        "def svd_lora(delta, rank, alpha):\n"
        "    u, s, vh = torch.linalg.svd(delta, full_matrices=False)\n"
        "    return vh[-rank:], u[:, -rank:] * s[-rank:] * rank / alpha\n"
    )
    visible, hidden = of(graded(svd_lora=wrong)[0], "svd_lora")
    assert (visible.outcome, hidden.outcome) == ("passed", "failed")
    assert hidden.mistake_id == "lora.svd_lora:kept-the-smallest"
    assert hidden.message == "a hidden test of svd_lora failed: the result is not what is expected"


def test_an_answer_that_only_says_that_it_is_not_there_yet_is_not_attempted(graded):
    """Its tests meet that in two passes."""
    results, _ = graded(svd_lora="def svd_lora(*a):\n    raise NotImplementedError('later')\n")
    assert {result.outcome for result in of(results, "svd_lora")} == {"not attempted"}


def test_half_an_answer_is_wrong(graded):
    half = (
        "def svd_lora(delta, rank, alpha):\n    if rank < min(delta.shape):\n        raise NotImplementedError\n"
        "    return torch.eye(rank, dtype=delta.dtype), delta * rank / alpha\n"
    )
    assert [result.outcome for result in of(graded(svd_lora=half)[0], "svd_lora")] == ["passed", "failed"]


def test_an_answer_that_changes_an_argument_is_told_so_and_of_a_hidden_test_no_values(graded):
    in_place = (
        "def merge(weight, a, b, alpha):\n    weight += alpha / a.shape[0] * (b @ a)\n    return weight.clone()\n"
    )
    told = {r.hidden: r.message for r in of(graded(merge=in_place)[0], "merge") if r.outcome == "failed"}
    assert told == {True: "merge changed an argument that must stay as it is"}


def test_what_is_said_of_a_visible_test_comes_from_a_process_that_no_hidden_test_has_called(graded):
    """The visible test of lora_linear calls once a draw; its hidden tests come before those of merge, and call more."""
    counting = solved(EXERCISES["lora_linear"]).replace("    scale =", "    calls.append(0)\n    scale =")
    tells = "def merge(weight, a, b, alpha):\n    raise RuntimeError(f'{len(calls)} calls')\n"
    results, book = graded(lora_linear=f"calls = []\n{counting}", merge=tells)
    visible, hidden = of(results, "merge")
    assert visible.message == (
        "merge raised RuntimeError: 3 calls, in the line `raise RuntimeError(f'{len(calls)} calls')`"
    )
    assert "calls," not in hidden.message
    assert {"imports", *NAMES} <= book.runs.keys()


def test_what_ends_the_process_in_a_hidden_test_costs_that_test_alone(graded):
    ends = """
import os
def svd_lora(delta, rank, alpha):
    if rank < min(delta.shape):
        os._exit(1)
    return torch.eye(rank, dtype=delta.dtype), delta * rank / alpha
"""
    results, book = graded(svd_lora=ends)
    assert [result.outcome for result in of(results, "svd_lora")] == ["passed", "failed"]
    assert {result.outcome for result in results.values() if result.exercise != "svd_lora"} == {"passed"}
    assert book.verdict == "ended early"


def test_an_object_that_the_test_may_not_ask_waits_for_a_person(graded):
    own = "class Weight(torch.Tensor):\n    pass\n"
    subclass = (
        f"{own}def merge(weight, a, b, alpha):\n    return (weight + alpha / a.shape[0] * b @ a).as_subclass(Weight)\n"
    )
    found = of(graded(merge=subclass)[0], "merge")
    assert {(result.outcome, result.points) for result in found} == {("review", 0.0)}


def test_an_error_that_only_secret_data_lead_to_fails(graded):
    """The answer is right for the data of the public seed, which are those of the test that students have."""
    svd, seen = EXERCISES["svd_lora"], []

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
    assert [result.outcome for result in of(graded(svd_lora=knows)[0], "svd_lora")] == ["failed"] * len(svd.tests)
