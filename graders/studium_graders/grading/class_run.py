"""Grade a class: everything handed in goes through the engine once, and into the gradebook.

Every result is stored before it is recorded, under a key that identifies what it is a result of. A run that was stopped
at any point can therefore continue, and running again changes nothing that is already right.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import msgspec
from nbgrader.coursedir import CourseDirectory
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, StudiumError, UnknownNameError, UsageError

from studium_graders.assignments.submissions import Submitted, find_submissions
from studium_graders.class_list.absences import absent_of
from studium_graders.course.course_file import says_hidden
from studium_graders.course.finding import open_course
from studium_graders.course.sharing import Sharing, sharing_of
from studium_graders.engine.intake.submissions import read_submission
from studium_graders.engine.intake.timestamps import read_timestamp
from studium_graders.engine.material.assignment import CanonicalSubmission
from studium_graders.engine.material.results import SubmissionResult
from studium_graders.engine.material.template import material_of
from studium_graders.engine.supervision.vacuous_answers import VacuousTest
from studium_graders.grading import work
from studium_graders.grading.answers.same_answers import Written, released_text, same_answers, written
from studium_graders.grading.calibrating import Calibrating
from studium_graders.grading.class_result import ClassResult, submission_row
from studium_graders.grading.executors import usable_cpus
from studium_graders.grading.late.penalties import LatePenalties
from studium_graders.grading.lock import only_grader
from studium_graders.grading.options import GradeOptions, Watcher
from studium_graders.grading.recorder import Graded, Recorder
from studium_graders.grading.recording_desk import DISK_FULL, AutogradedFolder, RecordingDesk
from studium_graders.grading.terms import terms_of
from studium_graders.grading.unfinished import waiting_marks
from studium_graders.grading.vacuous_check import is_checked, note_checked
from studium_graders.results.exercise_files import packages_of
from studium_graders.results.history import FILE as HISTORY
from studium_graders.results.history import Recorded, basis_of, open_history
from studium_graders.results.mistakes import Sentences
from studium_graders.results.store import ResultsStore, environment_hash, result_key
from studium_graders.results.unverified import for_review

_ON_A_CLUSTER = 64  # submissions in progress at the same time, unless set otherwise
_PATIENCE_SECONDS = 10  # seconds until somebody waiting for a worker is told so
_AHEAD, _AHEAD_MB = 64, 64  # submissions, and their size, to read while the reference solution is being graded


def grade_class(
    root: Path, assignment: str, options: GradeOptions, catalogue: Catalogue, watcher: Watcher
) -> ClassResult:
    """Grade what was handed in for an assignment of the course in ``root`` and record it.

    Raise StudiumError or OSError if the course or this machine cannot be used; results so far are kept.
    """
    coursedir = open_course(root, assignment)
    own = Path(coursedir.root) / ".studium"
    submissions = find_submissions(coursedir, assignment, options.students)
    with only_grader(own / "locks", assignment, sharing_of(coursedir)):
        run = _Run(coursedir, assignment, options, catalogue, watcher)
        try:
            return run.grade(submissions)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise CourseError(
                f"the disk of {run.root} is full: everything graded so far is kept; free some space and run again"
            ) from error


@contextmanager
def _run_noted(marker: Path, options: GradeOptions, watcher: Watcher, sharing: Sharing) -> Iterator[None]:
    """Leave a mark while a run is in progress, so the next run can tell that this one was stopped."""
    if marker.exists() and not options.resume:
        watcher.note("the last run was stopped before its end; its results are used (--resume turns this note off)")
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    sharing.share(marker)
    yield
    marker.unlink(missing_ok=True)


class _Run:
    """One grading run."""

    def __init__(
        self, coursedir: CourseDirectory, assignment: str, options: GradeOptions, catalogue: Catalogue, watcher: Watcher
    ) -> None:
        self.coursedir, self.options, self.watcher = coursedir, options, watcher
        self.root = Path(coursedir.root)
        self.assignment, self.catalogue = assignment, catalogue
        self.sentences = Sentences(catalogue, hidden=says_hidden(self.root))
        terms = terms_of(self.root, assignment, coursedir.db_url)
        self.limits, self.gpu, self.extensions, self.due, self.review, notes = terms
        for note in notes:
            watcher.note(note)
        self.sharing = sharing_of(coursedir)
        self.store = ResultsStore(self.root / ".studium" / "results" / assignment, self.sharing)
        self.jobs = options.jobs or usable_cpus()
        self.executor = self._executor()

    def grade(self, submissions: Sequence[Submitted]) -> ClassResult:
        """Grade and record these submissions."""
        try:
            return self._grade(submissions)
        finally:
            self.executor.shutdown(wait=False, cancel_futures=True)
            work.close_engines()  # whatever is still running after an error ends with its engine

    def _grade(self, submissions: Sequence[Submitted]) -> ClassResult:
        level = self._level()
        self.material = material_of(self.coursedir.config, self.root, self.assignment, self.limits)
        if changed := self.material.changed:
            self.watcher.note(
                f"source/{self.assignment} was changed after it was released, in {_some(changed)}; the released "
                f"version counts: to use the change, run studium assign or nbgrader generate_assignment for "
                f"{self.assignment}"
            )
        self.packages = packages_of(self.material, self.catalogue)
        self.environment = environment_hash(self.packages)
        report = ClassResult(self.material.assignment, level, basis=basis_of(self.material, self.environment, level))
        report.problems += filter(None, (submitted.problem for submitted in submissions))
        submissions = [submitted for submitted in submissions if not submitted.problem]
        self.watcher.begin(len(submissions), level)
        folders = {submitted.student: submitted for submitted in submissions}
        line = _Line(self, level, report)
        marker = self.root / ".studium" / "runs" / self.assignment
        with (
            Recorder(
                self.coursedir.db_url,
                self.coursedir.course_id,
                self.assignment,
                LatePenalties(self.coursedir.config, self.root),
                self.extensions,
                self.options.selection,
                self.due,
            ) as recorder,
            _run_noted(marker, self.options, self.watcher, self.sharing),
        ):
            desk = RecordingDesk(
                recorder,
                AutogradedFolder(self.coursedir, self.material, self.sentences),
                report,
                self.sentences,
                lambda student: line.stored(folders[student]),
                lambda graded: self._keep(graded, report),
                write=not self.options.dry_run,
            )
            for graded, reused in line.results(submissions):
                desk.take(graded, reused=reused)
            desk.finish(self.watcher.agree)
        chosen, waiting = self.options.students, waiting_marks(self.coursedir.db_url, self.assignment)
        report.waiting = {student: count for student, count in waiting.items() if not chosen or student in chosen}
        report.same = same_answers(line.written, released_text(self.material))
        self._count_absent(report)
        return report

    def _count_absent(self, report: ClassResult) -> None:
        """Note who of the class handed in nothing; marks count without it, so a failure is only a problem to report."""
        try:
            if not self.options.students:
                report.absent = absent_of(self.coursedir, self.assignment)
        except CourseError as error:
            report.problems.append(str(error))

    def _keep(self, graded: Sequence[Graded], report: ClassResult) -> None:
        """Add what was recorded to the history; marks count without it, so a failure is only reported as a problem."""
        results = [
            Recorded(one.submission.digest, read_timestamp(one.submission.timestamp), one.result) for one in graded
        ]
        try:
            with open_history(self.root) as history:
                history.record(self.assignment, report.basis, results)
            self.sharing.share(self.root / HISTORY)
        except CourseError as error:
            report.problems += [str(error)] if str(error) not in report.problems else []

    def _executor(self) -> Executor:
        if self.options.scheduler and self.options.executor == "local":
            raise UsageError("--scheduler is for a cluster; add --executor dask, or leave it out to grade here")
        options = {"jobs": self.jobs, "scheduler": self.options.scheduler, "gpu": self.gpu}
        executor: Executor | None = self.catalogue.manager.hook.studium_executor(
            name=self.options.executor, options=options
        )
        if executor is None:
            raise UnknownNameError("executor", self.options.executor, ("local", "dask"))
        return executor

    def _level(self) -> str:
        """Return the sandbox level where the work is done. Raise CourseError if it is weak and that was not allowed.

        This forks, so nothing else may be going on in this process.
        """
        asked = self.executor.submit(work.probe_level)
        if not wait([asked], _PATIENCE_SECONDS).done:
            worker = "a worker that has a GPU" if self.gpu else "a worker"
            self.watcher.note(f"waiting for {worker}: none has started yet ({self.options.executor})")
        level, weakness = asked.result()
        if weakness and not self.options.trust:
            raise CourseError(
                f"grading needs a sandbox of level L2, but this machine has {level}: {weakness}; fix that, grade on "
                f"another machine, or use --trust-submissions, with which submissions can reach more than they should"
            )
        return str(level)


class _Line:
    """The submissions on their way through intake, store and engine; a few at a time, so memory use stays flat."""

    def __init__(self, run: _Run, level: str, report: ClassResult) -> None:
        self.run, self.level, self.report = run, level, report
        local = run.options.executor == "local"
        self.window = 2 * run.jobs + 2 if local else run.options.jobs or _ON_A_CLUSTER
        self.material = run.material
        self.work = work.Work(
            run.material.digest,
            level,
            run.jobs if local else self.window,
            run.options.trust,
            run.gpu,
            (str(run.root),),
            run.environment,
            () if local else work.code_of(run.packages),
        )
        self.waiting: dict[Future[bytes], tuple[str, list[CanonicalSubmission]]] = {}  # identical ones together
        self.written: dict[str, Written] = {}
        self.under_way: dict[str, Future[bytes]] = {}
        self.kept: dict[str, str] = {}  # for what several students may hand in: the key of one whose result is stored
        key = f"{run.material.digest} {run.environment} {level}"
        kept = run.root / ".studium" / "calibration"
        self.calibrating = Calibrating(kept, key, run.material, run.executor, self.work, run.sharing)

    def results(self, submissions: Sequence[Submitted]) -> Iterator[tuple[Graded, bool]]:
        """Return each result once it is stored, and whether an earlier run had it."""
        reading = filter(None, map(self._read, submissions))
        ahead = self._read_ahead(reading)
        self.material, problems = self.calibrating.result()  # part of the keys, since another one may judge differently
        for problem in problems:
            self.run.watcher.note(f"{problem}; correct the solution or the test")
        self.packed = msgspec.msgpack.encode(self.material)
        self._tell_author()
        for submission in chain((ahead.popleft() for _ in range(len(ahead))), reading):
            key, result = self._look(submission)
            if result and not self.run.options.force:
                self._note(key, result)
                self.run.watcher.done(submission.student, reused=True)
                yield Graded(submission, result), True
            elif key in self.under_way:
                self.waiting[self.under_way[key]][1].append(submission)
            elif twin := self._twin(submission, key):
                yield twin, False
            else:
                self._begin(submission, key)
            while len(self.waiting) >= self.window:
                yield from self._finished()
        while self.waiting:
            yield from self._finished()

    def _tell_author(self) -> None:
        """Report once which tests a vacuous answer passes, unless ``studium assign`` has done so."""
        if is_checked(self.run.root, self.run.material) or not any(
            cell.reference for book in self.material.notebooks for cell in book.cells
        ):
            return
        found = self.run.executor.submit(work.vacuous_tests, self.work, self.packed).result()
        self.report.vacuous = msgspec.msgpack.decode(found, type=list[VacuousTest])
        note_checked(self.run.root, self.run.material, self.run.sharing)

    def stored(self, submitted: Submitted) -> Graded | None:
        """Return the stored result; None, after noting why, if the folder now contains something else."""
        submission = self._read(submitted)
        if submission is None:
            return None
        if result := self._look(submission)[1]:
            return Graded(submission, result)
        self.report.problems.append(
            f"{submitted.student} was not recorded: {submitted.folder} has changed since it was graded; grade it again"
        )
        return None

    def _read_ahead(self, reading: Iterator[CanonicalSubmission]) -> deque[CanonicalSubmission]:
        """Read some while the calibration is in progress, as long as they are small."""
        ahead: deque[CanonicalSubmission] = deque()
        left = _AHEAD_MB << 20
        for _, submission in zip(self.calibrating.waiting(_AHEAD), reading, strict=False):
            ahead.append(submission)
            left -= sum(map(len, submission.files.values())) + sum(len(book.document) for book in submission.notebooks)
            if left < 0:
                break
        return ahead

    def _read(self, submitted: Submitted) -> CanonicalSubmission | None:
        """Read a submission; None, after noting why, if this machine cannot read it."""
        try:
            submission = read_submission(self.run.material, submitted.folder, submitted.student)
        except OSError as error:
            folder, name = str(submitted.folder), str(error.filename or "")
            what = folder if name in ("", folder) else f"{name} in {folder}"
            self.report.problems.append(
                f"{submitted.student} was not graded: {what} cannot be read ({error.strerror}); fix that and grade "
                f"again"
            )
            self.run.watcher.done(submitted.student, reused=False)
            return None
        self.written[submitted.student] = written(self.run.material, submission)
        return submission

    def _look(self, submission: CanonicalSubmission) -> tuple[str, SubmissionResult | None]:
        """Return a submission's key, and the stored result for it."""
        judged = f"{self.run.environment} {'review' if self.run.review else 'count'}"
        key = result_key(submission, self.material, judged, self.level)
        return key, self.run.store.load(submission.student, key)

    def _begin(self, submission: CanonicalSubmission, key: str) -> None:
        packed = msgspec.msgpack.encode(submission)
        future = self.run.executor.submit(work.grade, self.work, self.packed, packed)
        self.waiting[future] = key, [submission]
        self.under_way[key] = future
        self.report.judged += 1

    def _finished(self) -> Iterator[tuple[Graded, bool]]:
        done, _ = wait(self.waiting, return_when=FIRST_COMPLETED)
        for future in done:
            key, (submission, *equal) = self.waiting.pop(future)
            if self.under_way.get(key) is future:
                del self.under_way[key]
            if result := self._result(submission, future):
                yield self._keep(submission, key, result), False
            self.run.watcher.done(submission.student, reused=False)
            for other in equal:
                if twin := self._twin(other, key):
                    yield twin, False
                else:
                    self._begin(other, key)

    def _keep(self, submission: CanonicalSubmission, key: str, result: SubmissionResult) -> Graded:
        self.run.store.save(key, result)
        self._note(key, result)
        return Graded(submission, result)

    def _note(self, key: str, result: SubmissionResult) -> None:
        """Share a stored result with others who handed in the same, unless a limit or this machine decided it."""
        if result.verdict == "graded":
            self.kept[key] = result.student

    def _twin(self, submission: CanonicalSubmission, key: str) -> Graded | None:
        """Return the result of somebody who handed in the same, as this student's; None if there is none."""
        found = self.run.store.load(self.kept[key], key) if key in self.kept else None
        if found is None:
            return None
        self.run.watcher.done(submission.student, reused=False)
        return self._keep(submission, key, msgspec.structs.replace(found, student=submission.student, seconds=0.0))

    def _result(self, submission: CanonicalSubmission, future: Future[bytes]) -> SubmissionResult | None:
        """Return a result, or None after noting why the engine gave none."""
        try:
            result = msgspec.msgpack.decode(future.result(), type=SubmissionResult)
        except (StudiumError, OSError):
            raise
        except Exception as error:
            self._failed(submission.student, f"{type(error).__name__}: {error}")
            return None
        if faulty := next((book for book in result.notebooks if book.verdict == "engine error"), None):
            self._failed(submission.student, faulty.detail)
            row = submission_row(result, submission.notes, self.run.sentences)
            self.report.submissions.append(row)
            return None
        return for_review(result) if self.run.review else result

    def _failed(self, student: str, why: str) -> None:
        self.report.problems.append(
            f"{student} could not be graded, and nothing was recorded: {why}; run the command again, and report it"
        )


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
