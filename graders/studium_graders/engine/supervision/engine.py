"""The grading engine: canonical submissions in, results out, student code in a sandbox and tests out of its reach."""

import hmac
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from studium.errors import CourseError

from studium_graders.engine.judge.judge_job import JudgeJob, JudgeSetup, Recorded
from studium_graders.engine.material.assignment import (
    Calibration,
    CanonicalNotebook,
    CanonicalSubmission,
    Material,
)
from studium_graders.engine.material.results import NotebookResult, SubmissionResult, TestResult
from studium_graders.engine.processes.cold_start import ColdStart
from studium_graders.engine.processes.launcher import Launcher
from studium_graders.engine.processes.own_folder import OwnFolder, remove_left_behind
from studium_graders.engine.processes.public_imports import public_imports
from studium_graders.engine.processes.zygote import Zygote, ZygoteError, common_ancestor
from studium_graders.engine.sandbox import Level
from studium_graders.engine.student_side.student_job import StudentJob, StudentSetup
from studium_graders.engine.supervision.attempt import SandboxRefusedError
from studium_graders.engine.supervision.calibration import calibrate, reference_notebook
from studium_graders.engine.supervision.passes import Kind
from studium_graders.engine.supervision.supervisor import Supervisor
from studium_graders.engine.supervision.topic_files import topic_files
from studium_graders.engine.supervision.vacuous_answers import VacuousTest, tests_passed_vacuously

_AGAIN = "a time limit was hit while the machine was busy with others: the notebook was run again alone"
_TOO_BUSY = "the machine was too busy a second time: what failed waits for your marks, or for a quieter machine"
_WAITS = "; the machine was too busy to give your code its time, so a person will mark it"
_STUDENT = "studium_graders.engine.student_side.student_main"
_JUDGE = "studium_graders.engine.judge.judge_main"


class EngineError(CourseError):
    """The engine cannot grade here. The text is a sentence."""


class Engine:
    """Grades the submissions of one assignment. A context manager; ``grade`` may be called from many threads.

    ``jobs`` is how many notebooks are graded at the same time. ``trust`` allows a level below L2, at which a student's
    code may reach more than it should. ``hidden`` are files and folders that neither student code must see, beside the
    solutions of installed topics, nor a test. ``ancestor`` is a ``common_ancestor``, which may still be warming up.
    """

    def __init__(
        self,
        material: Material,
        level: Level,
        jobs: int = 1,
        *,
        trust: bool = False,
        hidden: tuple[str, ...] = (),
        gpu: bool = False,
        ancestor: Zygote | None = None,
    ) -> None:
        _refuse_weak(level, trust=trust)
        self.material = material
        self.level = level
        self._books = {book.name: book for book in material.notebooks}
        remove_left_behind()
        self._folder = OwnFolder()
        Path(self._folder.name).chmod(0o711)  # a student's process has another user
        topics, imports = topic_files(Path(self._folder.name), material), public_imports(material)
        setup = StudentSetup(
            level,
            material.limits,
            (*topics.hidden, *hidden),
            topics.replaced,
            material.files,
            gpu,
            imports,
            self._new_folder("root", 0o711),
            topics.packages,
        )
        self._tests = self._new_folder("tests", 0o700)
        without_secret = msgspec.structs.replace(material, secret=b"")  # each job brings the seed that follows from it
        judge = JudgeSetup(without_secret, self._new_folder("ready", 0o700), hidden, imports, topics.packages)
        self._own = ExitStack()  # what this engine starts
        self._student, self._judge = self._launchers(setup, judge, ancestor, jobs)
        self._jobs = jobs
        self._slots = threading.BoundedSemaphore(jobs)
        self._alone = threading.Lock()

    def _new_folder(self, name: str, mode: int) -> str:
        folder = Path(self._folder.name, name)
        folder.mkdir(mode=mode)
        return str(folder)

    def _launchers(
        self, student: StudentSetup, judge: JudgeSetup, ancestor: Zygote | None, jobs: int
    ) -> tuple[Launcher, Launcher]:
        of_student, of_judge = msgspec.msgpack.encode(student), msgspec.msgpack.encode(judge)
        if student.level == Level.SELF_CHECK:
            return ColdStart(_STUDENT, of_student, stock=jobs), ColdStart(_JUDGE, of_judge, stock=jobs)
        if ancestor is None:
            ancestor = self._own.enter_context(common_ancestor())
        bare, bare_judge = (
            msgspec.msgpack.encode(msgspec.structs.replace(one, imports=())) for one in (student, judge)
        )
        return (
            Zygote(_STUDENT, of_student, ancestor, instead=bare),
            Zygote(_JUDGE, of_judge, ancestor, instead=bare_judge),
        )

    def __enter__(self) -> Self:
        try:
            for launcher in (self._student, self._judge):
                self._own.enter_context(launcher)
        except ZygoteError as error:
            self.__exit__(None, None, None)
            raise EngineError(str(error)) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._own.close()
        self._folder.cleanup()

    def grade(self, submission: CanonicalSubmission) -> SubmissionResult:
        """Return the result of a submission, whatever it does. Raise EngineError where this machine cannot grade."""
        start = time.monotonic()
        with self._slots:
            books = self._grade(submission.notebooks, submission.files)
        if crowded := [book.name for book in books if book.crowded]:
            late = [notebook for notebook in submission.notebooks if notebook.name in crowded]
            with self._nobody_else():
                again = {book.name: book for book in self._grade(late, submission.files)}
            for book in again.values():
                book.notes.append(_AGAIN)
                if book.crowded:
                    _leave_to_a_person(book)
            books = [again.get(book.name, book) for book in books]
        return SubmissionResult(submission.student, self.level.label, time.monotonic() - start, books)

    @contextmanager
    def _nobody_else(self) -> Iterator[None]:
        """Wait until no other submission is graded here, and let none begin."""
        with self._alone, ExitStack() as slots:
            for _ in range(self._jobs):
                slots.enter_context(self._slots)
            yield

    def calibrate(self) -> Material:
        """Grade the reference solution; give the material with what it needs, by which ``grade`` goes from now on."""
        calibration = {name: calibrate(book, self._observe) for name, book in self._books.items()}
        self.material = msgspec.structs.replace(self.material, calibration=calibration)
        return self.material

    def together(self) -> list[tuple[TestResult, str]]:
        """Return the tests that cannot run apart from the reference solution, and why.

        Each runs once to see what it needs, and once more with that alone.
        """
        found = []
        for book in self._books.values():
            recorded, needs = self._observe(reference_notebook(book), Calibration(), True)
            held, _ = self._observe(reference_notebook(book), Calibration(words=needs.words), False)
            for test, again in zip(recorded.tests, held.tests, strict=True):
                if why := test.reason or needs.unverified.get(test.grade_id, "") or _lost(test) or _lost(again):
                    found.append((test, why))
        return found

    def modes(self) -> list[TestResult]:
        """Return what each test gives the reference solution: its mode and reason are those of every submission."""
        known = self.material.calibration
        done = (
            self._observe(reference_notebook(book), known.get(name, Calibration()), False)[0]
            for name, book in self._books.items()
        )
        return [test for result in done for test in result.tests if test.outcome != "manual"]

    def vacuous_tests(self) -> list[VacuousTest]:
        """Return the tests that vacuous answers pass, by what the reference solution needs."""

        def grade(notebook: CanonicalNotebook) -> NotebookResult:
            return self._observe(notebook, self.material.calibration.get(notebook.name, Calibration()), False)[0]

        return tests_passed_vacuously(list(self._books.values()), grade)

    def _grade(self, notebooks: Sequence[CanonicalNotebook], files: dict[str, bytes]) -> list[NotebookResult]:
        """Grade notebooks one after the other, each pass over them in the time that one submission may take."""
        spent: dict[Kind, float] = {}
        return [self._grade_one(notebook, files, spent) for notebook in notebooks]

    def _grade_one(
        self, notebook: CanonicalNotebook, files: dict[str, bytes], spent: dict[Kind, float]
    ) -> NotebookResult:
        """Grade with test data that follow from what is judged: equal work earns equal marks, a change draws anew.

        ``spent`` are the seconds that each pass has taken over the notebooks before this one.
        """
        judged = CanonicalSubmission("", (notebook,), files).digest
        seed = hmac.digest(self.material.secret, judged.encode(), "sha256")
        calibration = self.material.calibration.get(notebook.name, Calibration())
        with self._supervised(files) as (supervisor, student_job), self._tests_folder() as folder:
            job = JudgeJob(notebook, seed, folder, calibration)
            return supervisor.grade(self._books[notebook.name], job, student_job, spent)[0]

    def _observe(
        self, notebook: CanonicalNotebook, calibration: Calibration, recording: bool
    ) -> tuple[NotebookResult, Recorded]:
        with self._supervised({}) as (supervisor, student_job), self._tests_folder() as folder:
            job = JudgeJob(notebook, b"reference", folder, calibration, recording=recording)
            return supervisor.grade(self._books[notebook.name], job, student_job)

    def _tests_folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(dir=self._tests, ignore_cleanup_errors=True)

    @contextmanager
    def _supervised(self, files: dict[str, bytes]) -> Iterator[tuple[Supervisor, StudentJob]]:
        supervisor = Supervisor(self._student.launch, self._judge.launch, self.material.limits)
        with tempfile.TemporaryDirectory(dir=self._folder.name, ignore_cleanup_errors=True) as scratch:
            try:
                yield supervisor, StudentJob(scratch, files)
            except SandboxRefusedError as error:
                raise EngineError(f"level {self.level.label} must hold here: {error}; see studium doctor") from error
            except ZygoteError as error:
                raise EngineError(str(error)) from error


def _refuse_weak(level: Level, *, trust: bool) -> None:
    if level < Level.L2 and not trust:
        raise EngineError(
            f"grading needs a sandbox of level L2, and this machine has {level.label}: a submission could read other"
            " students' files; grade on Linux with user namespaces, or say --trust-submissions"
        )


def _lost(test: TestResult) -> str:
    return f"your solution does not pass it there: {test.message}" if test.outcome != "passed" else ""


def _leave_to_a_person(book: NotebookResult) -> None:
    """Take no mark for what a busy machine may be to blame for."""
    book.notes.append(_TOO_BUSY)
    book.tests = [
        msgspec.structs.replace(test, outcome="review", message=f"{test.message}{_WAITS}")
        if test.outcome == "failed"
        else test
        for test in book.tests
    ]
