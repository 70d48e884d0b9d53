"""Checks on the course server: what a student is told of visible tests, of hidden ones, and of the mistake."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace
from studium.catalogue.catalogue import Catalogue
from studium.classroom.messages import CheckedExercise
from studium_classroom.jobs import checking
from studium_classroom.jobs.checking import Checker
from studium_classroom.jobs.forms import CheckJob
from studium_graders.engine.sandbox import Level, probe

Ask = Callable[..., dict[str, CheckedExercise]]
ALONG_THE_AXES = "def distance(a, b):\n    return sum(abs(x - y) for x, y in zip(a, b))\n"
PRETENDING = "def distance(a, b):\n    {}\n    raise NotImplementedError\n"
SILENT = "def distance(a, b):\n    sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5\n"
NO_RETURN = "Your function returns None: is a `return` missing?"
BESIDE = "def distance(a, b):\n    return -1\n"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The tests of each run that a check makes."""
    found: list[list[str]] = []
    grade = checking.Engine.grade

    def noted(engine, submission):
        found.append([step.cell for book in submission.notebooks for step in book.steps if step.kind == "test"])
        return grade(engine, submission)

    monkeypatch.setattr(checking.Engine, "grade", noted)
    return found


@pytest.fixture(scope="module")
def checker(counting: Catalogue) -> Iterator[Checker]:
    """A checker for the courses of these tests: each of its engines is slow to start."""
    if probe().level < Level.L2:
        pytest.skip("checks need a sandbox of level L2, which this machine does not have")
    with Checker(counting) as checker:
        yield checker


@pytest.fixture(scope="module")
def as_built(built_course: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course whose settings stay as they are."""
    return Path(shutil.copytree(built_course, tmp_path_factory.mktemp("built") / "course"))


@pytest.fixture
def ask(as_built: Path, checker: Checker, answered, runs) -> Ask:
    """ask(distance="def …") → what is said of each exercise; ``root`` is a course with other settings."""

    def check(root: Path = as_built, **answers: str) -> dict[str, CheckedExercise]:
        document = answered(**answers)["counting.ipynb"].decode()
        done = checker.check(CheckJob(str(root), "ps1", "counting", document)).answer
        return {one.exercise: one for one in done.exercises}

    return check


def test_hidden_tests_run_apart_and_after_the_notebook_as_students_have_it(ask: Ask, runs: list[list[str]]):
    found = ask(distance=ALONG_THE_AXES)["distance"]
    assert (found.outcome, found.hidden_passed, found.hidden_total) == ("wrong", 0, 2)
    assert found.mistake == "You measured along the axes."
    assert [len(tests) for tests in runs] == [1, 4]
    assert set(runs[0]) < set(runs[1])


def test_a_run_with_hidden_tests_says_nothing_of_visible_ones(ask: Ask, monkeypatch: pytest.MonkeyPatch):
    grade, runs = checking.Engine.grade, count()

    def spoiled(engine, submission):
        result = grade(engine, submission)
        if not next(runs):
            return result
        tests = [replace(test, outcome="failed", message="heard") for test in result.notebooks[0].tests]
        return replace(result, notebooks=[replace(result.notebooks[0], tests=tests, detail="it ended")])

    monkeypatch.setattr(checking.Engine, "grade", spoiled)
    found = ask(total="def total(values):\n    return float(sum(values))\n")["total"]
    assert [(test.passed, test.message) for test in found.tests] == [(True, "")]
    assert found.outcome == ("wrong" if found.hidden_total else "right")
    assert next(runs) == 2


def test_where_a_course_switches_hidden_tests_or_sentences_off_they_are_not_run_or_not_said(
    ask: Ask, course: Path, runs: list[list[str]]
):
    assert ask(distance=SILENT)["distance"].mistake == NO_RETURN  # what is true of an answer without a name
    file = course / "course.toml"
    whole = file.read_text()
    file.write_text(f"hidden_sentences = false\n{whole}")
    assert ask(course, distance=SILENT)["distance"].mistake == ""
    runs.clear()
    file.write_text(f'{whole}\n[classroom]\nhidden_tests = "nothing"\n')
    assert ask(course, total="def total(values):\n    return 0.0\n")["total"].outcome == "right"
    assert [len(tests) for tests in runs] == [1]


def test_that_an_exercise_is_not_attempted_is_said_by_its_text_and_not_by_hidden_tests(ask: Ask):
    assert ask()["distance"].outcome == "not attempted"
    pretended, wrong = ask(distance=PRETENDING.format("...")), ask(distance=BESIDE)
    assert pretended["distance"] == wrong["distance"]
