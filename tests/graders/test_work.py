"""What a worker does, in threads that begin at the same moment."""

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

pytest.importorskip("nbgrader")

from studium.errors import CourseError
from studium_graders.engine.material.assignment import Calibration, CanonicalSubmission, Material
from studium_graders.grading import work  # nbgrader is an extra

MANY = """
import sys, threading
from contextlib import contextmanager
import msgspec
from studium_graders.grading import work
from studium_graders.engine.material.assignment import CanonicalNotebook, CanonicalSubmission, Step

sys.setswitchinterval(1e-6)
submission = CanonicalSubmission("ada", (CanonicalNotebook("book", (Step("cell", "student", "x"),), b"{}"),))
packed, go, told = msgspec.msgpack.encode(submission), threading.Barrier(8), []

class Same:
    def grade(self, submission):
        return submission

@contextmanager
def use(*_):
    yield Same()

work._engines.use = use

def one():
    go.wait()
    told.append(work.grade(None, b"", packed))

threads = [threading.Thread(target=one) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert told == [packed] * 8
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize("_", range(3))
def test_threads_that_take_their_first_submission_at_the_same_moment_do_not_end_the_process(_):
    done = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


class FakeEngine:
    """Gives its number and the material by which it would grade."""

    numbers = itertools.count()

    def __init__(self, material: Material, *_: Any, **__: Any) -> None:
        self.material, self.number = material, next(self.numbers)

    def __enter__(self) -> "FakeEngine":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def grade(self, _: CanonicalSubmission) -> tuple[int, Material]:
        return self.number, self.material


@pytest.fixture
def graded_by(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Material]]:
    """graded_by(work, material) → the number of the engine that graded, and the material by which it did."""
    monkeypatch.setattr(work, "Engine", FakeEngine)
    monkeypatch.setattr(work, "_engines", work._Engines())
    submission = msgspec.msgpack.encode(CanonicalSubmission("ada", ()))

    def grade(how: work.Work, material: Material) -> tuple[int, Material]:
        told = work.grade(how, msgspec.msgpack.encode(material), submission)
        return msgspec.msgpack.decode(told, type=tuple[int, Material])

    return grade


def test_a_worker_grades_by_the_calibration_that_came_last(graded_by: Callable) -> None:
    how = work.Work("digest", "L2")
    first, second = (Material("ps1", (), calibration={"book": Calibration(frozenset(found))}) for found in ("", "a"))
    (one, by_first), (other, by_second) = graded_by(how, first), graded_by(how, second)
    assert (one, by_first, by_second) == (other, first, second)


def test_a_worker_starts_another_engine_for_other_software(graded_by: Callable) -> None:
    material = Material("ps1", ())
    engines = {graded_by(work.Work("digest", "L2", environment=name), material)[0] for name in ("old", "new", "new")}
    assert len(engines) == 2


def test_a_worker_with_other_code_does_not_grade_and_says_what_to_do(graded_by: Callable) -> None:
    (name, digest), kit = work.code_of(["counting_topic"])
    graded_by(work.Work("digest", "L2", code=((name, digest), kit)), Material("ps1", ()))
    for code, what in ((((name, "old"), kit), "studium"), (((name, digest), (kit[0], "old")), "counting_topic")):
        with pytest.raises(CourseError, match=f"must have the same {what} as the machine that sends it work"):
            graded_by(work.Work("digest", "L2", code=code), Material("ps1", ()))
