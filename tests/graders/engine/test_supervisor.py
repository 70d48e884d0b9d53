"""Attempts and retries: who is to blame, and what somebody who kills processes cannot change."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import psutil
import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.judge.events import Started
from studium_graders.engine.judge.judge_job import Gone, JudgeJob
from studium_graders.engine.material.assignment import CanonicalNotebook, Step
from studium_graders.engine.processes.endings import breach_in, died, judge_died
from studium_graders.engine.processes.exit_codes import ENGINE_FAILED
from studium_graders.engine.processes.process_tree import Usage
from studium_graders.engine.sandbox import probe
from studium_graders.engine.student_side.student_job import StudentJob
from studium_graders.engine.supervision.attempt import Heard, was_crowded
from studium_graders.engine.supervision.engine import Engine
from studium_graders.engine.supervision.passes import Ended, Kind, Pass

from .conftest import handed_in

ALL = [1, 1, 1, 1]


def points(result):
    return [test.points for test in result.tests]


@pytest.mark.parametrize(
    ("status", "verdict", "cause"),
    [
        (0, "ended early", "student"),
        (74 << 8, "output limit", "student"),
        (signal.SIGSEGV, "ended early", "student"),
        (signal.SIGXCPU, "time limit", "student"),
        (signal.SIGXFSZ, "disk limit", "student"),
        (signal.SIGKILL, "ended early", "unclear"),
        (None, "ended early", "ours"),
    ],
)
def test_how_the_process_ended_says_who_is_to_blame(status, verdict, cause):
    ending = died(status, Limits())
    assert (ending.verdict, ending.cause) == (verdict, cause)


def test_a_process_that_failed_in_the_engines_own_code_is_no_exit_of_the_students():
    assert "exit()" not in died(ENGINE_FAILED << 8, Limits()).sentence


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("your code raised MemoryError, in the line `x`", "memory limit"),
        ("your code raised OSError: [Errno 28] No space left on device", "disk limit"),
        ("your code raised RuntimeError: can't start new thread", "process limit"),
    ],
)
def test_an_error_of_the_kernels_names_its_limit(message, verdict):
    assert breach_in(message, Limits()).verdict == verdict


def test_any_other_error_is_no_limit():
    assert breach_in("your code raised ValueError: too short", Limits()) is None


class DyingJudge:
    """An attempt in which the judge dies at a step each time, until that is left out."""

    def __init__(self, step):
        self.step, self.tries = step, 0

    def run(self, job, student_job, heard):
        heard.step = self.step
        self.tries += 1
        return None if self.step in job.skip else judge_died()


def test_a_test_that_ends_the_judge_each_time_costs_itself_and_the_instructor_is_told(material):
    (book,) = material.notebooks
    attempt, ended = DyingJudge("test-fourth"), Ended()
    one = Pass(Kind(True, "whole"), book, attempt, ended, 0.0)
    one.run(JudgeJob(CanonicalNotebook("book", (), b"{}"), b"", ""), StudentJob(""), Limits())
    assert (attempt.tries, one.verdict, set(ended.tests)) == (4, "graded", {"test-fourth"})
    assert "could not be judged on your answer" in ended.tests["test-fourth"]
    assert any("run again" in note for note in one.notes)


def test_time_for_the_whole_notebook_is_limited(engine, hand_in, monkeypatch):
    slow = "import time\ntime.sleep(2)\n"
    answers = {name: f"{slow}def {name}(*x):\n    return 2" for name in ("first", "second", "third")}
    limits = Limits(call_seconds=4, submission_seconds=3)
    monkeypatch.setattr(engine, "material", msgspec.structs.replace(engine.material, limits=limits))
    result = engine.grade(hand_in(**answers))
    assert result.verdict == "time limit"
    assert points(result)[0] == 1
    assert points(result)[3] == 0
    assert "whole submission" in result.tests[3].message


def with_naps(submission, cells, seconds):
    """A submission with cells of its own before all others, each of which sleeps."""
    naps = tuple(Step(f"nap-{number}", "student", f"__import__('time').sleep({seconds})") for number in range(cells))
    books = [msgspec.structs.replace(book, steps=naps + book.steps) for book in submission.notebooks]
    return msgspec.structs.replace(submission, notebooks=tuple(books))


def test_forty_cells_that_sleep_below_the_limit_of_a_call_hold_one_worker_for_the_time_of_a_submission(
    engine, hand_in, monkeypatch
):
    limits = Limits(call_seconds=4, submission_seconds=5)
    monkeypatch.setattr(engine, "material", msgspec.structs.replace(engine.material, limits=limits))
    ends = {}

    def grade(name, submission):
        result = engine.grade(submission)
        ends[name] = time.monotonic()
        return result

    with ThreadPoolExecutor(2) as pool:
        hogging = pool.submit(grade, "hog", with_naps(hand_in(), 40, 3.5))
        others = [pool.submit(grade, "other", hand_in(first=f"def first(x):\n    return x + {n}")) for n in (1, 2)]
        assert [points(other.result()) for other in others] == [ALL, [0, 1, 1, 1]]
        result = hogging.result()
    assert ends["other"] < ends["hog"]
    (book,) = result.notebooks
    assert (book.verdict, points(result)) == ("time limit", [0, 0, 0, 0])
    assert book.detail == "stopped: the whole submission took longer than the 5 s that it may take"
    assert {test.message for test in result.tests} == {book.detail}
    assert "nap-2" not in book.runs


def test_the_time_of_a_submission_is_that_of_all_its_notebooks(engine, hand_in, monkeypatch):
    limits = Limits(call_seconds=6, submission_seconds=9)
    monkeypatch.setattr(engine, "material", msgspec.structs.replace(engine.material, limits=limits))
    submission = with_naps(hand_in(), 2, 1.6)
    books = submission.notebooks * 4
    result = engine.grade(msgspec.structs.replace(submission, notebooks=books))
    first, *_, last = result.notebooks
    assert (first.verdict, [test.points for test in first.tests]) == ("graded", ALL)
    assert (last.verdict, [test.points for test in last.tests], last.runs) == ("time limit", [0, 0, 0, 0], {})
    assert "whole submission" in last.detail


class Killer(threading.Thread):
    """Kills one process, given by ``find``, a little later."""

    def __init__(self, find, seconds):
        super().__init__()
        self.find = find
        self.seconds = seconds
        self.start()

    def run(self):
        time.sleep(self.seconds)
        for pid in self.find():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _forks(zygote):
    try:
        return [child.pid for child in psutil.Process(zygote.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@pytest.mark.sample(4)
@pytest.mark.parametrize("which", ["_student", "_judge"])
@pytest.mark.parametrize("seed", range(12))
def test_a_process_killed_at_any_moment_costs_no_mark_but_may_ask_for_a_person(engine, grade, which, seed):
    zygote = getattr(engine, which)
    killer = Killer(lambda: _forks(zygote), random.Random(seed).uniform(0, 0.15))
    result = grade()
    killer.join()
    outcomes = {test.outcome for test in result.tests}
    assert outcomes == {"passed"} or (which == "_student" and outcomes <= {"passed", "review"})


@pytest.mark.parametrize("which", ["_student", "_judge"])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.heavy)])
def test_a_zygote_killed_at_any_moment_changes_no_result(engine, grade, which, seed):
    zygote = getattr(engine, which)
    grade()
    killer = Killer(lambda: [zygote.pid] if zygote.pid else [], random.Random(seed).uniform(0, 0.1))
    result = grade()
    killer.join()
    assert (points(result), result.verdict) == (ALL, "graded")
    assert points(grade()) == ALL


HOG = """
def {name}(*x):
    import os
    for _ in range(12):
        if os.fork() == 0:
            try:
                os.setsid()
            except OSError:
                pass
            break
    while True:
        pass
"""
WORKS = "def second(x):\n    import time\n    while time.thread_time() < 0.8:\n        pass\n    return 2 * x"


@pytest.mark.heavy
def test_a_submission_that_fills_the_processors_costs_no_other_one_its_marks(material, ancestor, hand_in, monkeypatch):
    monkeypatch.setattr("studium_graders.engine.supervision.attempt.was_crowded", was_crowded)
    few = msgspec.structs.replace(material.limits, call_seconds=3)
    hog = {name: HOG.format(name=name) for name in ("first", "second", "third")}
    busy = msgspec.structs.replace(material, limits=few)
    with Engine(busy, probe().level, jobs=2, trust=True, ancestor=ancestor) as engine:
        engine.grade(hand_in())
        psutil.Process(engine._student.pid).cpu_affinity([min(os.sched_getaffinity(0))])
        with ThreadPoolExecutor(2) as threads:
            hostile = threads.submit(engine.grade, hand_in(**hog))
            time.sleep(0.5)
            result = threads.submit(engine.grade, hand_in(second=WORKS)).result()
    assert points(hostile.result()) == [0, 0, 0, 1]
    assert any("the notebook was run again alone" in note for note in result.notebooks[0].notes)
    assert {test.outcome for test in result.tests} <= {"passed", "review"}  # others may fill this machine, too


def test_after_a_test_was_stopped_for_its_time_the_others_of_its_answer_have_less(make_material, ancestor):
    answers = {"spin": "def spin(n):\n    return n", "last": "def last():\n    return 1"}
    material = make_material(answers, {"spin": "assert spin(1) == 1", "last": "assert last() == 1"})
    (book,) = material.notebooks
    again = [
        msgspec.structs.replace(
            book.cells[2], id=f"again-{n}", grade_id=f"again-{n}", source=f"assert spin({n}) == {n}"
        )
        for n in (2, 3)
    ]
    book = msgspec.structs.replace(book, cells=book.cells[:3] + tuple(again) + book.cells[3:])
    limits = Limits(call_seconds=4, next_call_seconds=1)
    material = msgspec.structs.replace(material, notebooks=(book,), limits=limits)
    endless = "def spin(n):\n    while n < 3:\n        pass\n    return n"
    slow = "def last():\n    __import__('time').sleep(2)\n    return 1"
    with Engine(material, probe().level, trust=True, ancestor=ancestor) as engine:
        result = engine.grade(handed_in(material, "alice", {"spin": endless, "last": slow}))
    assert [test.message for test in result.tests] == [
        "stopped after 4 s: is there an endless loop?",
        "stopped after 1 s: is there an endless loop?",
        "",
        "",
    ]
    assert points(result) == [0, 0, 1, 1]


def test_what_fails_twice_on_a_machine_without_time_waits_for_a_person_and_is_no_zero(
    make_material, ancestor, monkeypatch
):
    monkeypatch.setattr("studium_graders.engine.supervision.attempt.was_crowded", lambda *_: True)
    answers = {"slow": "def slow():\n    return 1", "quick": "def quick():\n    return 1"}
    tests = {"slow": "assert slow() == 1", "quick": "assert quick() == 1"}
    material = make_material(answers, tests, limits=Limits(call_seconds=1))
    late = answers | {"slow": "def slow():\n    __import__('time').sleep(9)\n    return 1"}
    with Engine(material, probe().level, trust=True, ancestor=ancestor) as engine:
        result = engine.grade(handed_in(material, "alice", late))
    assert [test.outcome for test in result.tests] == ["review", "passed"]
    assert "the machine was too busy to give your code its time" in result.tests[0].message
    assert "what failed waits for your marks" in result.notebooks[0].notes[-1]


def test_a_late_step_is_run_again_if_it_waited_for_a_processor_for_half_of_its_time():
    before = Usage(0, 1, waited=20, computed=20)
    for waited, computed, crowded in ((6, 1, True), (6, 4, True), (4, 6, False), (4, 1, False)):
        after = Usage(0, 1, waited=20 + waited, computed=20 + computed)
        assert was_crowded(before, after, Limits(call_seconds=10)) is crowded


def test_what_a_step_used_is_counted_from_its_own_beginning():
    heard = Heard(before=Usage(0, 1, 20, 20))
    heard.note(Gone("time limit", "stopped"))
    assert heard.before == Usage(0, 1, 20, 20)
    heard.note(Started("test-second"))
    assert heard.before is None
