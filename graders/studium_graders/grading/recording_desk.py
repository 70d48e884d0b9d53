"""Where results are recorded: in batches as they come, but marks that would change wait until somebody agrees."""

import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from studium.errors import CourseError

from studium_graders.course.sharing import sharing_of
from studium_graders.engine.material.assignment import Material
from studium_graders.gradebook.errors import GradebookError
from studium_graders.grading.class_result import ClassResult, submission_row
from studium_graders.grading.recorder import Graded, Recorder
from studium_graders.results.autograded import autograded_files, seen_notebooks, write_folder
from studium_graders.results.mark_changes import MarkChange, Plan
from studium_graders.results.mistakes import Sentences

BATCH = 16
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class AutogradedFolder:
    """The folder autograded/ of a course."""

    def __init__(self, coursedir: CourseDirectory, material: Material, sentences: Sentences) -> None:
        self._coursedir, self._material, self._sentences = coursedir, material, sentences
        self._mode = _mode(Autograde(coursedir=coursedir, config=coursedir.config).permissions)
        self._sharing = sharing_of(coursedir)

    def write(self, graded: Graded) -> None:
        """Write the folder of one submission. Raise OSError."""
        files = self._files(graded)
        write_folder(self.folder(graded.submission.student), files, self._mode)
        self._sharing.share(self.folder(graded.submission.student))

    def seen(self, graded: Graded) -> frozenset[str]:
        """Return the notebooks that look the same to the person who marked those in the folder."""
        return seen_notebooks(self.folder(graded.submission.student), self._files(graded), self._material)

    def _files(self, graded: Graded) -> dict[str, bytes]:
        return autograded_files(graded.submission, graded.result, self._material, self._sentences)

    def folder(self, student: str) -> Path:
        """Return the folder of one submission."""
        where = (self._coursedir.autograded_directory, student, self._material.assignment)
        return Path(self._coursedir.format_path(*where))


def _mode(permissions: int) -> int:
    """Return what the digits of nbgrader's setting mean for the file system."""
    try:
        return int(str(permissions), 8)
    except ValueError:
        raise CourseError(
            f"nbgrader's setting Autograde.permissions must be octal digits such as 644: got {permissions}; correct it"
        ) from None


class RecordingDesk:
    """Takes results and records them. If ``write`` is false, only looks at what would change.

    ``again`` returns a student's result once more: those that wait are in the store, not in memory. ``keep`` adds what
    was recorded to the history.
    """

    def __init__(
        self,
        recorder: Recorder,
        autograded: AutogradedFolder,
        report: ClassResult,
        sentences: Sentences,
        again: Callable[[str], Graded | None],
        keep: Callable[[Sequence[Graded]], None],
        *,
        write: bool,
    ) -> None:
        self._recorder, self._autograded, self._report, self._sentences = recorder, autograded, report, sentences
        self._again, self._keep, self._write = again, keep, write
        self._batch: list[Graded] = []
        self._reused: set[str] = set()
        self._changed: list[str] = []  # students who wait until somebody agrees
        self._delayed: list[str] = []  # students who wait until another program has let go of the gradebook
        self._unwritten: dict[str, str] = {}  # a sentence for each student whose folder could not be written

    def take(self, graded: Graded, *, reused: bool) -> None:
        """Take a result that is in the store.

        Raise GradebookError if it cannot be recorded, OSError if the disk is full.
        """
        if reused:
            self._reused.add(graded.submission.student)
        self._batch.append(graded)
        if len(self._batch) >= BATCH:
            self._flush()

    def finish(self, agree: Callable[[Sequence[MarkChange]], bool]) -> None:
        """Record what is left; ``agree`` is asked once about marks that would change.

        Raise GradebookError if another program held the gradebook all the time.
        """
        self._flush()
        delayed, self._delayed = self._delayed, []
        for batch in self._batches(delayed):
            self._record_unchanged(batch)
        agreed = bool(self._changed) and self._write and agree(self._report.changes)
        for batch in self._batches(self._changed):
            self._record(batch, self._plan(batch), write=agreed)
        self._report.problems += self._unwritten.values()
        self._report.submissions.sort(key=lambda row: row.student)

    def _plan(self, batch: Sequence[Graded]) -> list[Plan]:
        return self._recorder.plan(batch, self._autograded.seen)

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        if self._delayed:  # the wait was over already
            self._delayed += [graded.submission.student for graded in batch]
            return
        try:
            self._record_unchanged(batch)
        except GradebookError as error:
            if not error.passing:
                raise
            self._delayed += [graded.submission.student for graded in batch]

    def _record_unchanged(self, batch: Sequence[Graded]) -> None:
        """Record the submissions whose marks do not change, and note the others."""
        pairs = list(zip(batch, self._plan(batch), strict=True))
        changed = [plan for _, plan in pairs if plan.changes]
        same = [(graded, plan) for graded, plan in pairs if not plan.changes]
        self._record([graded for graded, _ in same], [plan for _, plan in same], write=self._write)
        self._changed += [plan.student for plan in changed]
        self._report.changes += [change for plan in changed for change in plan.changes]

    def _record(self, batch: Sequence[Graded], plans: Sequence[Plan], *, write: bool) -> None:
        written = {graded.submission.student for graded in batch if write and self._has_written(graded)}
        if written:
            self._recorder.write([plan for plan in plans if plan.student in written])
            self._keep([graded for graded in batch if graded.submission.student in written])
        self._report.submissions += [
            submission_row(
                graded.result,
                graded.submission.notes,
                self._sentences,
                plan=plan,
                reused=plan.student in self._reused,
                recorded=plan.student in written,
                sha256=graded.submission.digest,
            )
            for graded, plan in zip(batch, plans, strict=True)
        ]

    def _has_written(self, graded: Graded) -> bool:
        """Write the folder of one submission; if that fails, note why, because the others must not wait for it."""
        student = graded.submission.student
        self._unwritten.pop(student, None)
        try:
            self._autograded.write(graded)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            self._unwritten[student] = (
                f"{student!r} was not recorded: the folder {str(self._autograded.folder(student))!r} could not be "
                f"written ({error.strerror}); remove whatever is in its place, or allow writing, and grade again"
            )
            return False
        return True

    def _batches(self, students: Sequence[str]) -> Iterator[list[Graded]]:
        for start in range(0, len(students), BATCH):
            yield [graded for student in students[start : start + BATCH] if (graded := self._again(student))]
