"""An executor without an engine: marks follow from a digest, so that tests of a grading run are quick."""

import hashlib
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import chain, repeat
from threading import Event

import msgspec
from studium import hookimpl
from studium_graders.engine.material.assignment import CanonicalSubmission, Material
from studium_graders.engine.material.results import CellRun, NotebookResult, SubmissionResult, TestResult

BY_HAND = ("calibrate", "vacuous_tests", "grade")
MISTAKES = {"total": "counting.total:added-the-sizes"}


@hookimpl
def studium_executor(name, options):
    """Give the executor "by-hand"; "by-hand-slow" takes a moment for each submission, "by-hand-held" never ends."""
    seconds = {"by-hand": 0.0, "by-hand-slow": 0.05, "by-hand-held": 3600.0}.get(name)
    return None if seconds is None else HandGrader(seconds)


class HandGrader(Executor):
    """Runs the functions of studium_graders.grading.work as those of that name below.

    Each submission but the first waits for so many seconds, or until the end.
    """

    def __init__(self, seconds: float) -> None:
        self._pool, self._over = ThreadPoolExecutor(2), Event()
        self._waits = chain([0.0], repeat(seconds))

    def submit(self, fn, /, *args, **kwargs) -> Future:
        name = fn.__name__
        if name in BY_HAND:
            fn = globals()[name]
        elif fn.__module__ == "studium_graders.grading.work" and name != "probe_level":
            raise AssertionError(f"{name} starts an engine: make it by hand, too")
        return self._pool.submit(self._run, next(self._waits) if name == "grade" else 0.0, fn, *args)

    def _run(self, seconds, function, *arguments):
        self._over.wait(seconds)
        return function(*arguments)

    def shutdown(self, wait=True, *, cancel_futures=False) -> None:
        self._over.set()
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)


def calibrate(_work, material: bytes) -> bytes:
    """Give the material as it is."""
    return material


def vacuous_tests(_work, _material: bytes) -> bytes:
    """Find that a vacuous answer passes no test."""
    return msgspec.msgpack.encode([])


def grade(_work, material: bytes, submission: bytes) -> bytes:
    """Give a result made by hand."""
    result = result_by_hand(
        msgspec.msgpack.decode(material, type=Material), msgspec.msgpack.decode(submission, type=CanonicalSubmission)
    )
    return msgspec.msgpack.encode(result)


def result_by_hand(material: Material, submission: CanonicalSubmission) -> SubmissionResult:
    """Give points that depend on the cell and the answers, and on nothing else."""
    books = []
    for notebook, canonical in zip(material.notebooks, submission.notebooks, strict=True):
        tests, runs = [], {}
        for cell in notebook.cells:
            if cell.kind == "answer":
                runs[cell.id] = CellRun([{"output_type": "stream", "name": "stdout", "text": "printed\n"}])
            if cell.kind == "test" or cell.graded:
                key = f"{cell.id} {submission.digest}".encode()
                right = not (canonical.missing or canonical.problem) and hashlib.sha256(key).digest()[0] % 2
                outcome = "passed" if right else "failed"
                points = cell.points if right else 0.0
                tests.append(
                    TestResult(
                        cell.exercise,
                        cell.test,
                        points,
                        cell.points,
                        outcome,
                        "" if right else "no <luck>",
                        "" if right else MISTAKES.get(cell.exercise, ""),
                        notebook=notebook.name,
                        grade_id=cell.grade_id,
                        hidden=cell.hidden,
                    )
                )
        verdict = "missing" if canonical.missing else "unreadable" if canonical.problem else "graded"
        if b"hog()" in canonical.document:
            verdict = "time limit"
        books.append(NotebookResult(notebook.name, verdict, tests, runs, repairs=list(canonical.notes)))
    return SubmissionResult(submission.student, "L0", 0.01, books)


def slow_length(data: bytes, number: int) -> tuple[int, int]:
    """Take a moment; give a length and the number."""
    time.sleep(0.2)
    return len(data), number
