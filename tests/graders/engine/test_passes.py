"""Four passes over a notebook: what students are shown comes from those without hidden tests, which come first."""

import msgspec
import pytest
from studium_graders.engine.judge.modes import PLAIN
from studium_graders.engine.judge.verdicts import REVIEW
from studium_graders.engine.processes import endings
from studium_graders.engine.processes.endings import Ending
from studium_graders.engine.sandbox import probe
from studium_graders.engine.supervision.attempt import Attempt
from studium_graders.engine.supervision.engine import Engine

from .conftest import LIMITS, hand_made, handed_in

RIGHT = {
    "first": "def first(x):\n    return x + 1",
    "second": "def second(x):\n    return 2 * x",
    "third": "def third(x):\n    return x",
}
TESTS = {"first": "assert first(12345) == 12346", "second": "print(second(1))\nassert second(4) == 8"}
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


RELEASED, HIDDEN = (True, "whole"), (False, "whole")


def passes(attempts):
    return [(job.released, job.how) for job in attempts]


def test_an_honest_student_is_told_everything(grade, attempts):
    result = grade(second="def second(x):\n    print('trying')\n    return x + 1")
    assert (outcomes(result), result.verdict) == (["passed", "failed"], "graded")
    assert result.tests[1].message == WRONG
    assert result.notebooks[0].runs["test-second"].outputs[0]["text"] == "trying\n2\ntrying\n"
    assert passes(attempts) == [RELEASED, HIDDEN]


def test_a_pass_without_tests_is_left_out(grade, attempts):
    grade({"second": TESTS["second"]})
    assert passes(attempts) == [RELEASED]


def test_the_cells_of_a_notebook_with_hidden_tests_alone_are_shown(grade, attempts):
    result = grade({"first": TESTS["first"]}, first=f"{SPY}\nprint(first(1))")
    assert (outcomes(result), result.notebooks[0].runs["first"].outputs[0]["text"]) == (["passed"], "2\n")
    assert passes(attempts) == [RELEASED, HIDDEN]


def test_a_plain_test_is_unverified_and_its_reason_is_true(grade):
    assert {(test.mode, test.reason) for test in grade().tests} == {("unverified", PLAIN)}


@pytest.mark.sample(1)
@pytest.mark.parametrize("told", ["raise ValueError(seen)", "return repr(seen)", "print(seen)\n    return 0"])
def test_what_a_visible_test_says_holds_nothing_of_a_hidden_one(grade, told):
    result = grade(first=SPY, second=f"def second(x):\n    {told}")
    assert (outcomes(result), result.verdict) == (["passed", "failed"], "graded")
    assert "12345" not in repr(result)


def test_the_source_of_a_hidden_test_is_not_told(grade):
    lookup = """
import linecache
def second(x):
    raise ValueError([line[::-1] for entry in linecache.cache.values() for line in entry[2] if "first(1" in line])
"""
    assert "64321 == )54321(tsrif tressa" not in repr(grade(second=lookup))


def test_points_of_a_visible_test_tell_nothing_of_a_hidden_one(grade):
    scored = TESTS | {"second": TESTS["second"].replace("assert second(4) == 8", "second(4)")}
    tells = "def second(x):\n    return (len(seen) + 1) / 4"
    result = grade(scored, first=SPY, second=tells)
    assert [test.points for test in result.tests] == [1, 0.25]


def test_a_visible_test_that_would_fail_only_after_a_hidden_one_passes(grade):
    result = grade(first=SPY, second="def second(x):\n    if seen:\n        raise ValueError(seen)\n    return 2 * x")
    assert outcomes(result) == ["passed", "passed"]


SEEN = "n = first(1)\nassert n == 2"
IN_PART = {"first": f"{SEEN}\nassert first(12345) == 12346", "second": "assert second(n) == 4"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("return x + 2", "this should hold and does not: n == 2 (expected 2, got 3)"),
        ("raise ValueError(x)", "your code raised ValueError: 1, in the line `raise ValueError(x)`"),
        ("return 2 if x == 1 else 0", "a hidden test failed"),
    ],
)
def test_a_test_that_is_hidden_in_part_says_what_its_visible_part_says(grade, answer, said):
    result = grade(IN_PART, released=SEEN, first=f"def first(x):\n    {answer}")
    assert (result.tests[0].outcome, result.tests[0].message) == ("failed", said)
    assert "12345" not in repr(result)


def test_what_a_test_that_is_hidden_in_part_binds_is_there_for_a_later_one(grade):
    result = grade(IN_PART, released=SEEN, second="def second(x):\n    return x + 1")
    assert outcomes(result) == ["passed", "failed"]
    assert result.tests[1].message == "this should hold and does not: second(n) == 4 (expected 4, got 3)"


def test_what_a_test_that_is_hidden_in_part_says_holds_nothing_of_its_hidden_part(grade):
    keeps = f"{SPY} if len(seen) == 1 else 0"
    result = grade(IN_PART, released=SEEN, first=keeps, second="def second(x):\n    print(seen)")
    assert outcomes(result) == ["failed", "failed"]
    assert "12345" not in repr(result)


NEEDS_HIDDEN = {"first": "m = 12345\nassert first(m) == 12346", "second": "assert second(m) == 24690"}


def test_a_visible_test_that_needs_what_a_hidden_one_makes_counts_with_the_hidden_ones(grade):
    assert outcomes(grade(NEEDS_HIDDEN)) == ["passed", "passed"]
    result = grade(NEEDS_HIDDEN, second="def second(x):\n    raise ValueError(x)")
    assert outcomes(result) == ["passed", "failed"]
    assert result.tests[1].message == "this test failed"
    assert "12345" not in repr(result)


def test_a_step_that_ended_one_pass_is_left_out_of_the_next(grade, attempts):
    ending = "import os\nif True:\n    os._exit(0)"
    result = grade(first=f"{SPY}", second=ending)
    assert outcomes(result) == ["passed", "failed"]
    assert "os._exit()" in result.tests[1].message
    assert [("second" in job.skip) for job in attempts] == [False, True, True]


def test_what_ends_a_hidden_test_costs_no_visible_one(grade):
    result = grade(first="import os\ndef first(x):\n    os._exit(0)")
    assert (outcomes(result), result.verdict) == (["failed", "passed"], "ended early")


def test_each_pass_has_the_time_of_a_submission(grade, attempts):
    limits = msgspec.structs.replace(LIMITS, submission_seconds=6)
    result = grade(limits=limits, first=SLOW.format(3.5) + SPY)
    assert (outcomes(result), result.verdict) == (["passed", "passed"], "graded")
    assert passes(attempts) == [RELEASED, HIDDEN]


def test_a_limit_that_was_met_is_named(grade):
    full = "def second(x):\n    raise OSError(28, 'No space left on device')"
    result = grade(first=SPY, second=full)
    assert result.verdict == "disk limit"
    assert result.tests[1].message.startswith("your code wrote more than 16 MB of files (")


def test_what_a_cell_shows_is_what_it_shows_without_a_hidden_test(grade):
    shows = "def second(x):\n    return 2 * x\nprint(len(seen), second(21))"
    result = grade(first=SPY, second=shows)
    assert (outcomes(result), result.notebooks[0].runs["second"].outputs[0]["text"]) == (["passed", "passed"], "0 42\n")


def test_a_test_in_which_the_process_was_killed_is_run_no_second_time_and_is_for_review(grade, attempts, monkeypatch):
    killed = Ending("ended early", "stopped: your code's process was killed", "unclear")
    monkeypatch.setattr(endings, "died", lambda status, limits: killed)
    result = grade(first="import os\ndef first(x):\n    os._exit(0)")
    assert (outcomes(result), result.verdict) == (["review", "passed"], "ended early")
    assert result.tests[0].message == f"{killed.sentence}; {REVIEW}"
    assert ["test-first" in job.skip for job in attempts] == [False, False, True]


def test_what_fails_after_a_cell_was_killed_is_for_review(grade, monkeypatch):
    killed = Ending("ended early", "stopped: your code's process was killed", "unclear")
    monkeypatch.setattr(endings, "died", lambda status, limits: killed)
    result = grade(first="import os\nos._exit(0)")
    assert outcomes(result) == ["review", "passed"]
    assert "a person will mark what fails" in result.tests[0].message


def test_an_answer_finds_what_a_test_before_it_has_made(grade):
    tests = {"second": "assert second(4) == 8\nTABLE = {1: 2}", "third": "assert third(1) == 1"}
    result = grade(tests, third="kept = TABLE[1]\ndef third(x):\n    return kept - 1")
    assert outcomes(result) == ["passed", "passed"]
