"""What is learnt from the reference solution, and what is done where it fails."""

import msgspec
import pytest
from studium.errors import CourseError
from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.material import results
from studium_graders.engine.material.assignment import Calibration, Cell, NotebookMaterial
from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision.calibration import calibrate, failed, reference_notebook
from studium_graders.engine.supervision.engine import Engine

from .conftest import LIMITS, hand_made, handed_in

CELLS = (
    Cell("given", "given", "x = 1"),
    Cell("text", "text", "An essay", graded=True, points=2),
    Cell("f", "answer", "def f(): ...", "f", reference="def f():\n    return 1"),
    Cell("a", "test", "assert f() == 1", "a", 1.0),
    Cell("b", "test", "assert 'return' in open('f.py').read()", "b", 1.0),
)
BOOK = NotebookMaterial("book", CELLS, b"{}")
NEEDS = Recorded(scored=frozenset({"a"}))
APART = Recorded(words={"a": frozenset({"remote"})})


class Grader:
    """Stands for the engine: tests fail by what ``passes`` says of (grade id, enforced?); ``needs`` is recorded."""

    def __init__(self, passes, needs=NEEDS):
        self.passes, self.needs = passes, needs
        self.seen = []

    def __call__(self, notebook, calibration, recording):
        self.seen.append((calibration, recording))
        tests = [
            results.TestResult(
                "book", name, float(ok), 1.0, "passed" if ok else "failed", "" if ok else "wrong", grade_id=name
            )
            for name in ("a", "b")
            for ok in [self.passes(name, not recording)]
        ]
        manual = results.TestResult("book", "text", 0.0, 2.0, "manual", grade_id="text")
        return results.NotebookResult("book", "graded", [*tests, manual]), self.needs


def test_the_reference_takes_the_place_of_each_stub():
    steps = reference_notebook(BOOK).steps
    assert [(step.cell, step.kind, step.source) for step in steps] == [
        ("given", "given", "x = 1"),
        ("f", "student", "def f():\n    return 1"),
        ("a", "test", ""),
        ("b", "test", ""),
    ]


def test_what_a_passing_reference_needs_is_known_after_one_run():
    grader = Grader(lambda name, enforced: True)
    assert calibrate(BOOK, grader) == Calibration(scored=frozenset({"a"}))
    assert grader.seen == [(Calibration(), True)]


def test_where_a_test_runs_apart_the_reference_runs_once_more_with_what_it_needs():
    grader = Grader(lambda name, enforced: True, APART)
    calibration = calibrate(BOOK, grader)
    assert calibration == Calibration(words=APART.words)
    assert grader.seen == [(Calibration(), True), (calibration, False)]


def test_a_test_that_the_reference_fails_is_reported():
    calibration = calibrate(BOOK, Grader(lambda name, enforced: name == "a"))
    assert calibration.problems == ("the reference solution of book fails the test b: wrong",)


def test_a_test_that_needs_more_than_was_recorded_is_reported_once():
    calibration = calibrate(BOOK, Grader(lambda name, enforced: not enforced, APART))
    assert calibration.problems == ("the reference solution of book fails the test a: wrong",)


def test_a_test_that_the_reference_earns_a_part_of_is_reported_with_that_part():
    class Half(Grader):
        def __call__(self, *asked):
            result, needs = super().__call__(*asked)
            a, b, text = result.tests
            b = msgspec.structs.replace(b, points=0.5, outcome="partial", message="")
            return msgspec.structs.replace(result, tests=[a, b, text]), needs

    calibration = calibrate(BOOK, Half(lambda *_: True))
    assert calibration.problems == ("the reference solution of book earns 0.5 of 1 points in the test b",)


def test_without_a_reference_nothing_is_run():
    grader = Grader(lambda *_: True)
    bare = msgspec.structs.replace(BOOK, cells=tuple(msgspec.structs.replace(cell, reference="") for cell in CELLS))
    assert calibrate(bare, grader) == Calibration()
    assert grader.seen == []


def test_a_reference_that_never_comes_to_its_end_stops_the_grading():
    def stopped(notebook, calibration, recording):
        return results.NotebookResult("book", "time limit", [], detail="stopped after 30 s"), NEEDS

    with pytest.raises(CourseError, match=r"of book must be gradable: time limit, stopped after 30 s; nothing was"):
        calibrate(BOOK, stopped)


@pytest.mark.parametrize("needs", [NEEDS, APART])
def test_one_bad_moment_is_no_problem(needs):
    moments = iter([False, True, False])
    assert calibrate(BOOK, Grader(lambda name, enforced: name == "b" or next(moments, True), needs)).problems == ()


def test_manual_cells_are_no_failures():
    result, _ = Grader(lambda *_: True)(reference_notebook(BOOK), Calibration(), False)
    assert failed(result) == frozenset()


def test_a_slip_in_one_test_costs_the_answers_nothing_in_the_others(ancestor):
    tests = {"double": "assert double(2) == 4", "slip": "assert slip() == 3", "last": "assert last() == 1"}
    answers = {
        name: f"def {name}(*x):\n    return {value}" for name, value in (("double", 4), ("slip", 2), ("last", 1))
    }
    material = hand_made(answers, tests, limits=LIMITS)
    with Engine(material, probe().level, jobs=1, trust=True, ancestor=ancestor) as engine:
        assert len(engine.calibrate().calibration["book"].problems) == 1
        result = engine.grade(handed_in(material, "alice", answers))
    assert [test.points for test in result.tests] == [1, 0, 1]


def test_a_test_that_ends_with_a_number_is_scored_by_it(ancestor):
    answers = {"half": "def half(x):\n    return x / 2"}
    material = hand_made(answers, {"half": "half(2) / 2"}, limits=LIMITS)
    with Engine(material, probe().level, jobs=1, trust=True, ancestor=ancestor) as engine:
        calibration = engine.calibrate().calibration["book"]
        result = engine.grade(handed_in(material, "alice", {"half": "def half(x):\n    return torch.ones(2)"}))
    assert calibration.scored == {"test-half"}
    assert calibration.problems == ("the reference solution of book earns 0.5 of 1 points in the test test-half",)
    assert [test.points for test in result.tests] == [0]
