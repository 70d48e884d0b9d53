"""Grade what the server received: put it into submitted/, run ``studium grade`` on it, and read the gradebook."""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from pathlib import Path

from nbgrader.coursedir import CourseDirectory
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, StudiumError
from studium_graders.course.finding import open_course
from studium_graders.course.folder_swap import swap_folders
from studium_graders.engine.intake.reserved_names import TIMESTAMP
from studium_graders.engine.material.results import WAITING
from studium_graders.feedback import write_feedback
from studium_graders.feedback.marks import SubmissionMarks, read_marks
from studium_graders.grading.class_result import ClassResult, SubmissionRow, TestRow
from studium_graders.grading.class_run import grade_class
from studium_graders.grading.options import GradeOptions
from studium_graders.results.mark_changes import MarkChange
from studium_graders.results.outcomes import outcome_of

from studium_classroom.findings import exercise_key
from studium_classroom.handed_in import handed_in_files
from studium_classroom.jobs.forms import GradeDone, GradeJob, HandedIn
from studium_classroom.submissions import Graded, GradedOutcome

_SCRATCH = ".received-"


class _Notes:
    """A watcher that keeps its notes. Marks may change, since each student graded here has handed in again."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.has_begun = False

    def begin(self, total: int, sandbox: str) -> None:
        """Note that the course can be used, and that students' code comes next."""
        self.has_begun = True

    def done(self, student: str, *, reused: bool) -> None:
        """Ignore this: results come together."""

    def note(self, sentence: str) -> None:
        """Keep a sentence."""
        self.notes.append(sentence)

    def agree(self, changes: Sequence[MarkChange]) -> bool:
        """Let the marks of a newer attempt replace those of an older one."""
        return True


def grade(job: GradeJob, catalogue: Catalogue) -> GradeDone:
    """Grade submissions and record them. Raise CourseError if the course or this machine cannot be used.

    Once students' code has been looked at, one of them may be the cause: then a different StudiumError is raised.
    """
    watcher = _Notes()
    try:
        return _grade(job, catalogue, watcher)
    except CourseError as error:
        if watcher.has_begun:
            raise StudiumError(str(error)) from error
        raise


def _grade(job: GradeJob, catalogue: Catalogue, watcher: _Notes) -> GradeDone:
    root = Path(job.root)
    directory = open_course(root, job.assignment)
    for left in Path(directory.root).glob(f"{_SCRATCH}*"):  # left by a server that was killed
        shutil.rmtree(left, ignore_errors=True)
    lay_out(directory, job.assignment, job.submissions, _SCRATCH)
    students = tuple(one.student for one in job.submissions)
    options = GradeOptions(students, executor=job.executor, scheduler=job.scheduler, trust=job.trust)
    result = grade_class(root, job.assignment, options, catalogue, watcher)
    recorded = {row.student: row for row in result.submissions if row.recorded}
    feedback = write_feedback(root, job.assignment, recorded) if recorded else None
    marks = {one.student: one for one in read_marks(directory.db_url, job.assignment, recorded)} if recorded else {}
    pages: dict[str, dict[str, bytes]] = {student: {} for student in students}
    for page in feedback.pages if feedback else ():
        pages[page.student][page.notebook] = Path(page.path).read_bytes()
    graded = [_graded(marks[name], row, pages[name]) for name, row in recorded.items()]
    graded += [Graded(name, problem=_problem(name, result)) for name in students if name not in recorded]
    return GradeDone(graded, [*watcher.notes, *(feedback.problems if feedback else [])])


def lay_out(directory: CourseDirectory, assignment: str, submissions: Iterable[HandedIn], scratch_prefix: str) -> None:
    """Put each submission into ``submitted/STUDENT/ASSIGNMENT``, all or none, as nbgrader's collect does.

    ``scratch_prefix`` starts the name of a temporary folder in the course.
    """
    with tempfile.TemporaryDirectory(dir=directory.root, prefix=scratch_prefix) as made:
        scratch, pairs = Path(made), []
        for number, one in enumerate(submissions):
            new = scratch / f"new-{number}"
            for path, content in _files(one):
                (new / path).parent.mkdir(parents=True, exist_ok=True)
                (new / path).write_bytes(content)
            target = directory.format_path(directory.submitted_directory, one.student, assignment)
            pairs.append((new, Path(target)))
        swap_folders(pairs, scratch)


def _files(one: HandedIn) -> Iterator[tuple[str, bytes]]:
    yield from handed_in_files(Path(one.archive).read_bytes()).items()
    yield TIMESTAMP, f"{one.received.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC".encode()


def _graded(marks: SubmissionMarks, row: SubmissionRow, pages: dict[str, bytes]) -> Graded:
    penalty = sum(book.penalty for book in marks.notebooks)
    score = max(0.0, sum(book.score for book in marks.notebooks) - penalty)
    most = sum(book.max_score for book in marks.notebooks)
    return Graded(marks.student, score, most, penalty, row.detail, pages=pages, exercises=_exercises(row.tests))


def _exercises(tests: Iterable[TestRow]) -> dict[str, GradedOutcome]:
    """Return what was found in each exercise that has a test, leaving out those that only a person marks."""
    by_name: defaultdict[str, list[TestRow]] = defaultdict(list)
    for test in tests:
        if test.outcome not in WAITING:
            by_name[exercise_key(test.notebook, test.exercise)].append(test)
    return {
        name: GradedOutcome(
            outcome_of(one.outcome for one in own), next((one.mistake_id for one in own if one.mistake_id), "")
        )
        for name, own in by_name.items()
    }


def _problem(student: str, result: ClassResult) -> str:
    """Return what the run reported about a student without a mark: the sentence that begins with the student's id."""
    own = (text for text in result.problems if text.partition(" ")[0].strip("'") == student)
    return next(own, f"{student} was not recorded")
