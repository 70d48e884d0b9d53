"""What is learnt from the reference solution, and what is done where it fails."""

import msgspec
import pytest
from studium.errors import CourseError
from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.material import results
from studium_graders.engine.material.assignment import Calibration, Cell, NotebookMaterial, Permission
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
NEEDS = Recorded(permissions=frozenset({Permission("object", "f()")}))


def solved(notebook):
    return any("return 1" in step.source for step in notebook.steps)


class Grader:
    """Stands for the engine: tests fail by what ``passes`` says of (grade id, whole?, enforced?).

    ``stub`` says so of the untouched notebook, by (grade id, whole?). ``needs`` is what it records.
    """

    def __init__(self, passes, stub=lambda name, together: False, needs=NEEDS):
        self.passes, self.stub, self.needs = passes, stub, needs
        self.seen = []

    def __call__(self, notebook, calibration, recording):
        self.seen.append((calibration, recording))
        tests = [
            results.TestResult(
                "book", name, float(ok), 1.0, "passed" if ok else "failed", "" if ok else "wrong", grade_id=name
            )
            for name in ("a", "b")
            for together in [name in calibration.unverified]
            for ok in [
                self.passes(name, together, calibration.known) if solved(notebook) else self.stub(name, together)
            ]
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


def test_what_a_passing_reference_needs_is_known():
    calibration = calibrate(BOOK, Grader(lambda name, together, enforced: True))
    assert calibration == Calibration(True, NEEDS.permissions)


def test_a_test_that_passes_only_whole_is_to_run_whole():
    calibration = calibrate(BOOK, Grader(lambda name, together, enforced: name == "a" or together))
    assert (calibration.known, calibration.unverified.keys()) == (True, {"b"})


def test_a_test_that_the_reference_fails_is_reported_and_the_cautious_default_applies_to_it_alone():
    calibration = calibrate(BOOK, Grader(lambda name, together, enforced: name == "a"))
    assert (calibration.known, calibration.unverified.keys(), calibration.cautious) == (True, set(), {"b"})
    assert calibration.permissions == NEEDS.permissions
    assert calibration.problems == ("the reference solution of book fails the test b: wrong",)


def test_a_test_that_needs_more_than_was_recorded_is_to_run_whole():
    calibration = calibrate(BOOK, Grader(lambda name, together, enforced: name == "a" or together or not enforced))
    assert (calibration.known, calibration.unverified.keys(), calibration.cautious) == (True, {"b"}, frozenset())
    assert calibration.problems == ()


def test_a_test_that_fails_there_too_once_only_what_was_recorded_is_allowed_is_reported():
    calibration = calibrate(BOOK, Grader(lambda name, together, enforced: name == "a" or not enforced))
    assert (calibration.known, calibration.unverified.keys(), calibration.cautious) == (True, set(), {"b"})
    assert calibration.problems == ("the reference solution of book fails the test b: wrong",)


def test_a_test_that_the_reference_earns_a_part_of_is_reported_with_that_part():
    class Half(Grader):
        def __call__(self, *asked):
            result, needs = super().__call__(*asked)
            a, b, text = result.tests
            b = msgspec.structs.replace(b, points=0.5, outcome="partial", message="")
            return msgspec.structs.replace(result, tests=[a, b, text]), needs

    calibration = calibrate(BOOK, Half(lambda *_: True))
    assert calibration.problems == ("the reference solution of book earns 0.5 of 1 points in the test b",)
    assert calibration.cautious == calibration.partly == {"b"}


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


def test_a_test_that_breaks_off_apart_is_tried_whole():
    def observe(notebook, calibration, recording):
        result, needs = Grader(lambda name, together, enforced: name == "a" or together)(
            notebook, calibration, recording
        )
        together = "b" in calibration.unverified
        return msgspec.structs.replace(result, verdict="graded" if together else "broken protocol"), needs

    calibration = calibrate(BOOK, observe)
    assert (calibration.known, calibration.unverified.keys(), calibration.problems) == (True, {"b"}, ())


def test_one_bad_moment_costs_no_test_its_isolation():
    moments = iter([False, True])
    calibration = calibrate(BOOK, Grader(lambda name, together, enforced: name == "a" or next(moments, True)))
    assert (calibration.known, calibration.unverified.keys()) == (True, set())


def test_one_bad_moment_under_what_was_recorded_costs_no_test_its_isolation():
    moments = iter([False, True])
    grader = Grader(lambda name, together, enforced: name == "a" or not enforced or next(moments, True))
    calibration = calibrate(BOOK, grader)
    assert (calibration.unverified.keys(), calibration.problems) == (set(), ())


def test_a_test_that_passes_apart_whatever_was_written_is_to_run_whole():
    calibration = calibrate(BOOK, Grader(lambda *_: True, stub=lambda name, together: name == "b" and not together))
    assert (calibration.known, calibration.unverified.keys()) == (True, {"b"})


def test_so_is_one_that_the_untouched_notebook_passes_anyway():
    calibration = calibrate(BOOK, Grader(lambda *_: True, stub=lambda name, together: name == "b"))
    assert calibration.unverified == {"b": "it passes apart without any answer"}


def test_it_stays_apart_where_the_reference_does_not_pass_whole():
    grader = Grader(lambda name, together, enforced: not together, stub=lambda name, together: name == "b")
    assert calibrate(BOOK, grader).unverified == {}


def changing(passes):
    """Calibrate where the test a changes what has crossed; ``passes`` says of (grade id, together, enforced)."""
    needs = msgspec.structs.replace(NEEDS, unverified={"a": "it changes a value"})
    return calibrate(BOOK, Grader(passes, needs=needs))


def test_a_test_that_changes_what_crossed_is_to_run_whole():
    found = changing(lambda name, together, enforced: True)
    assert (found.unverified, found.problems) == ({"a": "it changes a value"}, ())


def test_it_stays_apart_where_the_reference_does_not_pass_whole_either():
    found = changing(lambda name, together, enforced: not together)
    assert (found.unverified, found.cautious, found.problems) == ({}, set(), ())


def test_manual_cells_are_no_failures():
    result, _ = Grader(lambda *_: True)(reference_notebook(BOOK), Calibration(), False)
    assert failed(result) == frozenset()


SET = """class Set:
    def __init__(self, items=()): self.items = list(items)
    def __contains__(self, item): return item in self.items
    def __hash__(self): return hash(tuple(self.items))
    def __eq__(self, other): return self.items == other.items
"""


def test_a_slip_in_one_test_costs_the_answers_nothing_in_the_others(ancestor):
    tests = {
        "member": "assert 2 in Set([1, 2])",
        "slip": "assert slip() == 3",
        "hashed": "assert len({Set([1]), Set([1])}) == 1",
    }
    answers = {"member": SET, "slip": "def slip():\n    return 2", "hashed": "def hashed():\n    return 1"}
    material = hand_made(answers, tests, limits=LIMITS)
    with Engine(material, probe().level, jobs=1, trust=True, ancestor=ancestor) as engine:
        found = engine.calibrate().calibration["book"]
        assert (found.cautious, len(found.problems)) == ({"test-slip"}, 1)
        result = engine.grade(handed_in(material, "alice", answers))
    assert [test.points for test in result.tests] == [1, 0, 1]
    assert {test.mode for test in result.tests} == {"verified"}


MEMOIZE = """
import functools
def memoize(function):
    cache = {}
    @functools.wraps(function)
    def inner(x):
        if x not in cache:
            cache[x] = function(x)
        return cache[x]
    inner.cache = cache
    return inner
"""


def test_a_test_that_runs_whole_finds_what_a_verified_one_made(ancestor):
    tests = {
        "memoize": "@memoize\ndef slow(x):\n    return x * x\nassert [slow(3), slow(3)] == [9, 9]",
        "named": "assert slow.cache == {3: 9} and slow.__code__",
        "alone": "assert alone() == 1",
    }
    answers = {"memoize": MEMOIZE, "named": "def named():\n    return 1", "alone": "def alone():\n    return 1"}
    material = hand_made(answers, tests, limits=LIMITS)
    with Engine(material, probe().level, jobs=1, trust=True, ancestor=ancestor) as engine:
        found = engine.calibrate().calibration["book"]
        assert (found.unverified, found.problems) == ({}, ())
        tests = engine.grade(handed_in(material, "alice", answers)).tests
    modes = [(test.points, test.mode) for test in tests]
    assert modes == [(1, "verified"), (1, "unverified"), (1, "verified")]


@pytest.fixture
def calibrated(engine):
    before = engine.material
    yield engine.calibrate()
    engine.material = before


def test_the_engine_learns_from_the_reference_and_grades_by_it(calibrated, grade):
    calibration = calibrated.calibration["book"]
    assert calibration.known
    assert calibration.permissions
    assert grade().score == 4


def test_an_object_where_the_reference_gives_a_number_earns_nothing(calibrated, grade):
    always = "class Equal:\n    def __eq__(self, other):\n        return True\ndef second(x):\n    return Equal()"
    assert [test.points for test in grade(second=always).tests] == [1, 0, 1, 1]


HIST = """class Hist:
    def __init__(self, data): self.data = list(data)
    def mean(self): return sum(self.data) / len(self.data)
"""
SHARED = HIST.replace("list(data)", "data")
CHANGED = "data = [1, 2, 3]\nh = Hist(data)\ndata.append(100)\nassert h.mean() == {}"


@pytest.fixture
def judged(ancestor):
    """judged(reference, test, answer, …) → the calibration, then points and mode of each answer."""

    def judge(reference, test, *answers):
        material = hand_made({"task": reference}, {"task": test}, limits=LIMITS)
        with Engine(material, probe().level, jobs=1, trust=True, ancestor=ancestor) as engine:
            found = engine.calibrate().calibration["book"]
            tests = [engine.grade(handed_in(material, "alice", {"task": text})).tests[0] for text in answers]
        return found, [(test.points, test.mode) for test in tests]

    return judge


@pytest.mark.parametrize(("reference", "other", "mean"), [(HIST, SHARED, 2), (SHARED, HIST, 26.5)])
def test_a_list_that_the_test_changes_later_is_one_list_for_both(judged, reference, other, mean):
    found, results = judged(reference, CHANGED.format(mean), reference, other)
    assert list(found.unverified) == ["test-task"]
    assert results == [(1, "unverified"), (0, "unverified")]
