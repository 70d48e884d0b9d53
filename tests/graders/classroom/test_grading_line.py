"""The line of submissions that wait for a mark: what fails is tried again, and nothing that fails stops the others."""

import asyncio
from collections.abc import Callable

import pytest
from studium.errors import CourseError, StudiumError, UnknownNameError
from studium_classroom import grading_line
from studium_classroom.courses import utc_now
from studium_classroom.grading_line import GradingLine, Terms
from studium_classroom.jobs import grading
from studium_classroom.jobs.forms import Failed, GradeDone, GradeJob, HandedIn
from studium_classroom.jobs.worker import WorkerDied
from studium_classroom.jobs.worker_main import _answer
from studium_classroom.submissions import FAILED, GRADED, Graded
from studium_graders.grading.class_result import ClassResult

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


def test_a_course_that_cannot_be_graded_now_waits_and_costs_no_submission_a_try(served, graded):
    worker = Worker(*[CourseError("ps1 is being graded by somebody") for _ in range(9)])
    line = graded(worker)
    assert worker.batches == [["ada", "bob"]] * 10
    assert states(served) == {"ada": GRADED, "bob": GRADED}
    assert line.problems == {}


def test_a_submission_that_ends_the_worker_each_time_is_given_up_and_the_others_are_graded(served, graded):
    class Killing(Worker):
        async def grade(self, job: GradeJob) -> GradeDone:
            done = await super().grade(job)
            if any(one.student == "ada" for one in job.submissions):
                raise WorkerDied("it ended")
            return done

    worker = Killing()
    graded(worker)
    assert worker.batches[:3] == [["ada", "bob"], ["ada"], ["bob"]]  # together, and then each alone
    assert states(served) == {"ada": FAILED, "bob": GRADED}
    assert sum("ada" in batch for batch in worker.batches) == 3


class Stumbling(Worker):
    """Fails with ``error`` wherever one of ``over`` is in the batch."""

    def __init__(self, error: Exception, *over: str) -> None:
        super().__init__()
        self.error, self.over = error, set(over)

    async def grade(self, job: GradeJob) -> GradeDone:
        done = await super().grade(job)
        if self.over & set(self.batches[-1]):
            raise self.error
        return done


def test_a_batch_that_fails_whole_is_tried_one_by_one_and_the_one_that_breaks_it_is_given_up_and_named(
    served, graded, caplog
):
    worker = Stumbling(StudiumError("it ended in an error (IsADirectoryError)"), "ada")
    line = graded(worker)
    assert worker.batches == [["ada", "bob"], ["ada"], ["bob"], ["ada"]]
    assert states(served) == {"ada": FAILED, "bob": GRADED}
    rows = served.ask("grace", "GET", f"courses/{C}/assignments/{A}/status").json()
    assert rows["queue"] == {"not graded": 1}
    assert {row["student"]: row["sentence"] for row in rows["students"]}["ada"].endswith("(IsADirectoryError)")
    assert "ada could not be graded: it ended in an error" in caplog.text
    assert line.problems == {}


def test_an_error_that_nobody_gets_past_is_the_courses_and_no_submission_is_given_up_for_it(served, graded):
    worker = Worker(*[StudiumError("the gradebook is locked") for _ in range(4 * 3)])
    line = graded(worker)
    assert worker.batches[:4] == [["ada", "bob"], ["ada"], ["bob"], ["ada", "bob"]]
    assert states(served) == {"ada": GRADED, "bob": GRADED}
    assert line.problems == {}


def test_one_that_fails_where_nobody_else_waits_is_named_and_waits_until_somebody_else_gets_through(
    served, graded, archive
):
    served.classroom.submissions.note(
        [rows[-1] for (_, user), rows in served.classroom.submissions.attempts(C).items() if user == "bob"],
        [Graded("bob", 5.0, 5.0)],
        utc_now(),
    )
    found = []

    class Arriving(Stumbling):
        async def grade(self, job: GradeJob) -> GradeDone:
            if len(self.batches) == 5:
                found.append(states(served)["ada"])
                served.client("bob").submit(C, A, archive(total="# bob again"))
            return await super().grade(job)

    worker = Arriving(StudiumError("it ended in an error"), "ada")
    graded(worker)
    assert found == ["waiting"]
    assert states(served) == {"ada": FAILED, "bob": GRADED}


def test_a_course_that_cannot_be_graded_holds_up_no_other_assignment(served, archive, monkeypatch):
    monkeypatch.setattr(grading_line, "_FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(grading_line, "_LONGEST_PAUSE", 3600.0)
    monkeypatch.setattr(grading_line, "_BATCH", 1)
    submissions = served.classroom.submissions
    for number, name in enumerate(("ada", "bob", "tom")):
        submissions.take(C, "later", name, archive(total=f"# {name}"), utc_now(), late=False)
        if not number:
            submissions.take(C, A, name, archive(total="# first"), utc_now(), late=False)

    class Locked(Worker):
        async def grade(self, job: GradeJob) -> GradeDone:
            if job.assignment == A:
                raise CourseError("ps1 is being graded by somebody")
            return await super().grade(job)

    line = GradingLine(served.classroom.courses, submissions, served.classroom.blobs, Locked(), Terms())

    async def until_done() -> None:
        task = asyncio.create_task(line.run())
        while (C, "later") in submissions.waiting():
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(until_done())
    assert line.problems == {(C, A): "ps1 is being graded by somebody"}


def test_a_worker_says_whose_fault_it_is_and_nothing_of_the_inside(capfd):
    job = GradeJob("/srv/course", A, [])

    def failing(error: Exception) -> Callable[[GradeJob], GradeDone]:
        def work(_: GradeJob) -> GradeDone:
            raise error

        return work

    assert _answer(failing(CourseError("no course")), job) == Failed("no course", "course")
    assert _answer(failing(UnknownNameError("notebook", "x", [])), job).fault == "request"
    assert _answer(failing(StudiumError("the engine is gone")), job) == Failed("the engine is gone", "work")
    failed = _answer(failing(IsADirectoryError(21, "Is a directory", "/srv/course/timestamp.txt")), job)
    assert failed.fault == "work"
    assert "IsADirectoryError" in failed.sentence
    assert "/srv" not in failed.sentence


def test_why_somebody_has_no_mark_is_what_was_said_about_that_student_and_no_other():
    said = ["anna was not graded: her folder is a file", "'ann' was not recorded: the folder could not be written"]
    result = ClassResult("ps1", "L2", problems=[*said, "the history of anna and an is locked"])
    found = {name: grading._problem(name, result) for name in ("an", "ann", "anna")}
    assert found == {"an": "an was not recorded", "ann": said[1], "anna": said[0]}


def test_after_students_code_was_looked_at_an_error_of_the_course_may_be_a_submissions(course, counting, monkeypatch):
    def broken(root, assignment, options, catalogue, watcher):
        if options.students:
            watcher.begin(1, "L2")
        raise CourseError("level L2 must hold here")

    monkeypatch.setattr(grading, "grade_class", broken)
    monkeypatch.setattr(grading, "lay_out", lambda *_: None)
    with pytest.raises(CourseError, match="must hold here"):
        grading.grade(GradeJob(str(course), A, []), counting)
    with pytest.raises(StudiumError, match="must hold here") as caught:
        grading.grade(GradeJob(str(course), A, [HandedIn("ada", utc_now(), "x")]), counting)
    assert not isinstance(caught.value, CourseError)
