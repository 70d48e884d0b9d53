"""The line of submissions that wait for a mark: what fails is tried again, and nothing that fails stops the others."""

import asyncio
from collections.abc import Callable

import pytest
from studium.errors import CourseError
from studium_classroom import grading_line
from studium_classroom.grading_line import GradingLine, Terms
from studium_classroom.jobs.forms import GradeDone, GradeJob
from studium_classroom.jobs.worker import WorkerDied
from studium_classroom.submissions import FAILED, GRADED, Graded

C, A = "course101", "ps1"


class Worker:
    """In the place of the process that grades: does what it is told for each batch, and then grades all."""

    def __init__(self, *failures: Exception | set[str]) -> None:
        self.failures, self.batches = list(failures), []

    async def grade(self, job: GradeJob) -> GradeDone:
        students = [one.student for one in job.submissions]
        self.batches.append(students)
        failure = self.failures.pop(0) if self.failures else set()
        if isinstance(failure, Exception):
            raise failure
        return GradeDone([Graded(one, 5.0, 5.0) for one in students if one not in failure])


@pytest.fixture
def graded(served, archive, monkeypatch) -> Callable[..., GradingLine]:
    """graded(worker) → the line after it has graded what ada and bob have handed in, or has given up."""
    monkeypatch.setattr(grading_line, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(grading_line, "_LONGEST_PAUSE", 0.01)
    for name in ("ada", "bob"):
        served.client(name).submit(C, A, archive(total=f"# {name}"))

    def run(worker: Worker, *, most: float = 60.0) -> GradingLine:
        classroom = served.classroom
        line = GradingLine(classroom.courses, classroom.submissions, classroom.blobs, worker, Terms())

        async def until_done() -> None:
            task = asyncio.create_task(line.run())
            async with asyncio.timeout(most):
                while classroom.submissions.waiting():
                    await asyncio.sleep(0.01)
            task.cancel()

        asyncio.run(until_done())
        return line

    return run


def states(served) -> dict[str, str]:
    return {user: rows[-1].state for (_, user), rows in served.classroom.submissions.attempts(C).items()}


def test_what_waits_is_graded_together(served, graded):
    worker = Worker()
    graded(worker)
    assert worker.batches == [["ada", "bob"]]
    assert states(served) == {"ada": GRADED, "bob": GRADED}


def test_a_course_that_cannot_be_graded_now_waits_and_costs_no_submission_a_try(served, graded):
    worker = Worker(*[CourseError("ps1 is being graded by somebody") for _ in range(9)])
    line = graded(worker)
    assert len(worker.batches) == 10
    assert states(served) == {"ada": GRADED, "bob": GRADED}
    assert line.problems == {}


def test_after_a_worker_has_died_each_submission_is_tried_alone(served, graded):
    worker = Worker(WorkerDied("it ended"))
    graded(worker)
    assert worker.batches == [["ada", "bob"], ["ada"], ["bob"]]
    assert states(served) == {"ada": GRADED, "bob": GRADED}


def test_a_submission_that_ends_the_worker_each_time_is_given_up_and_the_others_are_graded(served, graded):
    class Killing(Worker):
        async def grade(self, job: GradeJob) -> GradeDone:
            done = await super().grade(job)
            if any(one.student == "ada" for one in job.submissions):
                raise WorkerDied("it ended")
            return done

    worker = Killing()
    graded(worker)
    assert states(served) == {"ada": FAILED, "bob": GRADED}
    assert sum("ada" in batch for batch in worker.batches) == 3
