"""What a visible test says after a hidden one: nothing that the student's code can have kept of it, else everything.

And what the student's process is given of a hidden test: its text only when nothing can be earned any more.
"""

import msgspec
import pytest
from studium_graders.engine.judge.judging import WAITS
from studium_graders.engine.processes import endings
from studium_graders.engine.processes.endings import died
from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision.engine import Engine
from studium_graders.engine.supervision.supervisor import Attempt

from .conftest import LIMITS, hand_made, handed_in

RIGHT = {
    "first": "def first(x):\n    return x + 1",
    "second": "def second(x):\n    return 2 * x",
    "third": "def third(x):\n    return x",
}
TESTS = {"first": "assert first(12345) == 12346", "second": "print(second(1))\nassert second(4) == 8"}
TOGETHER = {name: f"import gc\ngc.collect()\n{test}" for name, test in TESTS.items()}
SPY = "seen = []\ndef first(x):\n    seen.append(repr(x))\n    return x + 1"
WRONG = "this should hold and does not: second(4) == 8 (expected 8, got 5)"
SLOW = "import time\ntime.sleep({})\n"


@pytest.fixture(scope="module")
def grade(ancestor):
    """grade(first=…, second=…) → the result, where the test of ``first`` is hidden but for what is ``released``."""
    engines = {}

    def graded(tests=TESTS, limits=LIMITS, released="", **answers):
        key = (str(tests), limits, released)
        if key not in engines:
            material = hand_made({name: RIGHT[name] for name in tests}, tests, limits=limits)
            (book,) = material.notebooks
            hidden = [c.id == "test-first" for c in book.cells]
            cells = [
                msgspec.structs.replace(c, hidden=own, released=released if own else "")
                for c, own in zip(book.cells, hidden, strict=True)
            ]
            book = msgspec.structs.replace(book, cells=tuple(cells))
            material = msgspec.structs.replace(material, notebooks=(book,))
            engines[key] = Engine(material, probe().level, trust=True, ancestor=ancestor).__enter__()
        engine = engines[key]
        return engine.grade(handed_in(engine.material, "alice", {name: (RIGHT | answers)[name] for name in tests}))

    yield graded
    for engine in engines.values():
        engine.__exit__(None, None, None)


@pytest.fixture
def attempts(monkeypatch):
    """The jobs of the attempts that are made."""
    jobs, run = [], Attempt.run
    monkeypatch.setattr(Attempt, "run", lambda self, job, *more: jobs.append(job) or run(self, job, *more))
    return jobs


def outcomes(result):
    return [test.outcome for test in result.tests]


def test_an_honest_student_is_told_everything(grade, attempts):
    result = grade(second="def second(x):\n    print('trying')\n    return x + 1")
    assert (outcomes(result), result.verdict) == (["passed", "failed"], "graded")
    assert result.tests[1].message == WRONG
    assert result.notebooks[0].runs["test-second"].outputs[0]["text"] == "trying\n2\ntrying\n"
    assert [job.skip for job in attempts] == [frozenset(), {"test-first"}]


def test_the_attempt_for_words_ends_with_the_last_test_that_needs_them(grade, attempts):
    result = grade(TESTS | {"third": "assert third(1) == 1"}, second="def second(x):\n    return x + 1")
    assert (outcomes(result), result.tests[1].message) == (["passed", "failed", "passed"], WRONG)
    last = [job.notebook.steps[-1].cell for job in attempts]
    assert last == ["test-third", "test-second"]


@pytest.mark.parametrize("tests", [TESTS, TOGETHER], ids=["split", "one process"])
@pytest.mark.parametrize("told", ["raise ValueError(seen)", "return repr(seen)", "print(seen)\n    return 0"])
def test_what_a_visible_test_says_holds_nothing_of_a_hidden_one(grade, tests, told):
    result = grade(tests, first=SPY, second=f"def second(x):\n    {told}")
    assert (outcomes(result), result.verdict) == (["passed", "failed"], "graded")
    assert "12345" not in repr(result)
    assert {test.mode for test in result.tests} == {"one process" if tests is TOGETHER else "split"}


def test_the_source_of_a_hidden_test_that_runs_in_the_students_process_is_not_told(grade):
    lookup = """
import linecache
def second(x):
    raise ValueError([line[::-1] for entry in linecache.cache.values() for line in entry[2] if "first(1" in line])
"""
    assert "64321 == )54321(tsrif tressa" not in repr(grade(TOGETHER, second=lookup))


def test_a_test_that_fails_only_after_a_hidden_one_says_what_cannot_carry_data(grade):
    result = grade(first=SPY, second="def second(x):\n    if seen:\n        raise ValueError(seen)\n    return 2 * x")
    assert outcomes(result) == ["passed", "failed"]
    assert result.tests[1].message == "this test failed: ValueError was raised in the line `raise ValueError(seen)`"
    run = result.notebooks[0].runs["test-second"]
    assert (run.outputs, run.error) == ([], result.tests[1].message)


SEEN = "n = first(1)\nassert n == 2"
IN_PART = {"first": f"{SEEN}\nassert first(12345) == 12346", "second": "assert second(n) == 4"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("return x + 2", "this should hold and does not: n == 2 (expected 2, got 3)"),
        ("raise ValueError(x)", "your code raised ValueError: 1, in the line `raise ValueError(x)`"),
        ("return 2 if x == 1 else 0", "a hidden test failed: the result is not what is expected"),
    ],
)
def test_a_test_that_is_hidden_in_part_says_what_its_visible_part_says(grade, answer, said):
    result = grade(IN_PART, released=SEEN, first=f"def first(x):\n    {answer}")
    assert (result.tests[0].outcome, result.tests[0].message) == ("failed", said)
    assert "12345" not in repr(result)


def test_what_a_test_that_is_hidden_in_part_binds_is_there_for_the_words_of_a_later_one(grade):
    result = grade(IN_PART, released=SEEN, second="def second(x):\n    return x + 1")
    assert outcomes(result) == ["passed", "failed"]
    assert result.tests[1].message == "this should hold and does not: second(n) == 4 (expected 4, got 3)"


def test_what_a_test_that_is_hidden_in_part_says_holds_nothing_of_its_hidden_part(grade):
    keeps = f"{SPY} if len(seen) == 1 else 0"
    result = grade(IN_PART, released=SEEN, first=keeps, second="def second(x):\n    print(seen)")
    assert outcomes(result) == ["failed", "failed"]
    assert "12345" not in repr(result)


def test_an_attempt_for_words_that_ends_early_is_nobodys_fault(grade):
    ending = "import os\ndef second(x):\n    if not seen:\n        os._exit(0)\n    raise ValueError(seen)"
    result = grade(first=SPY, second=ending)
    assert (outcomes(result), result.verdict, result.notebooks[0].notes) == (["passed", "failed"], "graded", [])
    assert result.tests[1].message.startswith("this test failed: ValueError was raised")


def test_the_attempt_for_words_counts_against_the_time_of_the_notebook(grade, attempts):
    limits = msgspec.structs.replace(LIMITS, submission_seconds=3)
    result = grade(limits=limits, first=SLOW.format(2) + SPY, second="def second(x):\n    return 0")
    assert (outcomes(result), result.verdict, len(attempts)) == (["passed", "failed"], "graded", 2)
    assert result.tests[1].message == "this test failed: the result is not what is expected"
    assert result.seconds < 6


def test_a_limit_that_was_met_after_a_hidden_test_is_still_named(grade):
    full = "def second(x):\n    raise OSError(28, 'No space left on device', *seen)"
    result = grade(first=SPY, second=full)
    assert result.verdict == "disk limit"
    assert result.tests[1].message.startswith("your code wrote more than 16 MB of files (")


@pytest.mark.parametrize(
    "answers",
    [{}, {"first": "def first(x):\n    return 0"}, {"second": "def second(x):\n    raise NotImplementedError"}],
    ids=["right", "hidden fails", "not attempted"],
)
def test_there_is_no_attempt_for_words_where_none_are_needed(grade, attempts, answers):
    grade(**answers)
    assert len(attempts) == 1


PRINTS = "def second(x):\n    return 2 * x\nprint(len(seen), second(21))"


def test_what_a_cell_shows_after_a_hidden_test_is_what_it_shows_without_one(grade, attempts):
    result = grade(first=SPY, second=PRINTS)
    run = result.notebooks[0].runs["second"]
    assert (outcomes(result), run.outputs[0]["text"], run.as_released) == (["passed", "passed"], "0 42\n", True)
    assert [job.as_released for job in attempts] == [False, True]


def test_a_cell_that_the_attempt_without_hidden_tests_does_not_reach_is_not_said_to_be_shown_as_released(grade):
    limits = msgspec.structs.replace(LIMITS, submission_seconds=3)
    result = grade(limits=limits, first=SLOW.format(2) + SPY, second=PRINTS)
    assert (outcomes(result), result.notebooks[0].runs["second"].as_released) == (["passed", "passed"], False)


def test_what_a_cell_shows_before_any_hidden_test_needs_no_attempt(grade, attempts):
    result = grade(first=f"{SPY}\nprint(first(1))")
    assert (result.notebooks[0].runs["first"].outputs[0]["text"], len(attempts)) == ("2\n", 1)


OWN = """
class Own:
    def __init__(self, value): self.value = value
    def __eq__(self, other): return self.value == other
def first(x):
    return Own(x + 1)
"""


def test_a_hidden_test_that_passes_beside_the_answer_waits_for_a_person(grade, attempts):
    result = grade(first=OWN)
    assert (outcomes(result), [test.points for test in result.tests]) == (["manual", "passed"], [0, 1])
    assert result.tests[0].message.endswith(WAITS)
    assert [job.beside for job in attempts] == [False, True]


def test_a_hidden_test_that_fails_beside_the_answer_too_fails(grade, attempts):
    assert outcomes(grade(first=OWN.replace("x + 1", "x + 2"))) == ["failed", "passed"]
    assert [job.beside for job in attempts] == [False, True]


def test_one_that_could_not_be_run_beside_the_answer_waits_too(grade, monkeypatch):
    run = Attempt.run
    monkeypatch.setattr(Attempt, "run", lambda self, job, *more: None if job.beside else run(self, job, *more))
    result = grade(first=OWN)
    assert outcomes(result) == ["manual", "passed"]
    assert result.tests[0].message.endswith("was not found out, so a person will mark it")


def test_the_text_of_a_hidden_test_that_meets_an_error_comes_when_nothing_can_be_earned_by_it(grade):
    steals = """
import linecache, pathlib
place = pathlib.Path("stolen").absolute()
def first(x):
    if any("54321(tsrif"[::-1] in line for entry in linecache.cache.values() for line in entry[2]):
        place.touch()
    raise ValueError
"""
    learns = "def second(x):\n    return 2 * x if place.exists() else 0"
    assert outcomes(grade(first=steals, second=learns)) == ["failed", "failed"]


def test_a_hidden_test_in_which_the_process_was_killed_is_run_no_second_time(grade, attempts, monkeypatch):
    monkeypatch.setattr(endings, "died", lambda status, limits: died(None, limits))
    result = grade(first="import os\ndef first(x):\n    os._exit(0)")
    assert (outcomes(result), result.verdict) == (["manual", "passed"], "graded")
    assert "hidden and is not run twice" in result.tests[0].message
    assert ["test-first" in job.skip for job in attempts] == [False, True]
