"""Check a notebook against all tests of an assignment, with engines that stay warm."""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

import msgspec
from studium.catalogue.catalogue import Catalogue
from studium.classroom.messages import CheckAnswer, CheckedExercise, CheckedTest
from studium.errors import CourseError, UnknownNameError
from studium_graders.course.course_file import Classroom, read_course
from studium_graders.course.finding import open_course
from studium_graders.engine.intake.canonical import canonical_notebook
from studium_graders.engine.intake.submitted_notebook import UnreadableError, read_cells
from studium_graders.engine.material.assignment import (
    CanonicalNotebook,
    CanonicalSubmission,
    Cell,
    Material,
    NotebookMaterial,
)
from studium_graders.engine.material.results import NotebookResult, TestResult
from studium_graders.engine.material.template import material_of
from studium_graders.engine.sandbox import Level
from studium_graders.engine.supervision.engine import Engine
from studium_graders.grading import ancestor, work
from studium_graders.grading.calibrating import Calibrating
from studium_graders.grading.executors import usable_cpus
from studium_graders.results.exercise_files import packages_of
from studium_graders.results.mistakes import Sentences
from studium_graders.results.outcomes import outcome_of
from studium_graders.results.store import environment_hash

from studium_classroom.jobs.forms import CheckDone, CheckJob

MOST_SECONDS = 60.0  # seconds for one check, whatever grading allows
_WARM = 4  # how many assignments' engines to keep


class Checker:
    """Checks notebooks with an engine for each assignment. A context manager; many threads may call ``check``."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._level, self._weakness = work.probe_level()  # it forks, so it comes before any threads
        self._engines: OrderedDict[tuple[str, str], _Warm] = OrderedDict()
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for found in self._engines.values():
            found.leave()

    def check(self, job: CheckJob) -> CheckDone:
        """Run a notebook. Raise StudiumError if the assignment does not have it, or if the course cannot be used.

        Everything a student is shown about visible tests comes from running the notebook as students have it. Hidden
        tests run afterwards, separately, and only their number and the mistake are reported.
        """
        if self._weakness and not job.trust:
            raise CourseError(
                f"checks need a sandbox of level L2, but this machine has {self._level}: {self._weakness}"
            )
        with self._engine(job) as found:
            book, terms = found.book(job.notebook), found.terms
            asked = _asked_for(book, job.exercise, terms)
            notebook = _read(book, job.document)
            hidden = {cell.grade_id for cell in asked if cell.hidden}
            shown = found.run(notebook, [cell for cell in asked if not cell.hidden])
            tests = {one.grade_id: one for one in shown.tests}
            if hidden:
                tests |= {one.grade_id: one for one in found.run(notebook, asked).tests if one.grade_id in hidden}
        untouched = _untouched(book, notebook)
        sentences = Sentences(self._catalogue, hidden=found.hidden_sentences)
        exercises = [self._exercise(name, own, terms, untouched, sentences) for name, own in _by_exercise(asked, tests)]
        answer = CheckAnswer(job.notebook, [one for one, _ in exercises], _said(shown))
        return CheckDone(answer, {one.exercise: mistake for one, mistake in exercises if mistake})

    def _exercise(
        self, name: str, tests: Sequence[TestResult], terms: Classroom, untouched: Set[str], sentences: Sentences
    ) -> tuple[CheckedExercise, str]:
        """Return what a student may know about an exercise, and the id of the mistake that was recognised."""
        visible, unseen = [one for one in tests if not one.hidden], [one for one in tests if one.hidden]
        shown = [CheckedTest(one.name, one.outcome == "passed", one.message) for one in visible]
        passed = sum(one.outcome == "passed" for one in unseen)
        outcome = outcome_of(one.outcome for one in visible) if visible else "right"
        if outcome == "right" and passed < len(unseen):
            outcome = "not attempted" if not visible and name in untouched else "wrong"
        mistake = next((one.mistake_id for one in (*visible, *unseen) if one.mistake_id), "")
        said = next(filter(None, map(sentences.about, (*visible, *unseen))), "")
        sentence = (sentences.of(mistake) or said) if terms.name_mistakes else ""
        return CheckedExercise(name, outcome, shown, passed, len(unseen), sentence), mistake

    @contextmanager
    def _engine(self, job: CheckJob) -> Iterator["_Warm"]:
        """Return the engine of an assignment, restarted if the assignment was rebuilt."""
        key, stamp = (job.root, job.assignment), _stamp(Path(job.root), job.assignment)
        with self._lock:
            found = self._engines.pop(key, None)
            if found is None or found.stamp != stamp:
                if found:
                    found.leave()
                found = _Warm(job, self._catalogue, self._level, stamp)
            self._engines[key] = found
            while len(self._engines) > _WARM:
                self._engines.popitem(last=False)[1].leave()
            found.enter()
        try:
            yield found
        finally:
            with self._lock:
                found.leave()


class _Warm:
    """The calibrated engine of one assignment. It ends when neither a check nor a keeper uses it any more."""

    def __init__(self, job: CheckJob, catalogue: Catalogue, level: str, stamp: float) -> None:
        directory, trust = open_course(Path(job.root), job.assignment), job.trust
        root, course = Path(directory.root), read_course(Path(job.root))
        self.stamp, self.terms, self._users = stamp, course.classroom, 1
        self.hidden_sentences = course.hidden_sentences
        material = material_of(directory.config, root, job.assignment, course.limits_of(job.assignment))
        key = f"{material.digest} {environment_hash(packages_of(material, catalogue))} {level}"
        how = work.Work(material.digest, level, usable_cpus(), trust, hidden=(str(root),))
        with ThreadPoolExecutor(1) as executor:
            calibrated, _ = Calibrating(root / ".studium" / "calibration", key, material, executor, how).result()
        work.close_engines()
        self._books = {book.name: book for book in material.notebooks}
        self._open = ExitStack()
        self.engine = self._open.enter_context(
            Engine(
                _capped(calibrated),
                Level(level),
                usable_cpus(),
                trust=trust,
                hidden=(str(root),),
                ancestor=ancestor.ancestor,
            )
        )

    def book(self, name: str) -> NotebookMaterial:
        """Return a notebook of the assignment; raise UnknownNameError."""
        if name not in self._books:
            raise UnknownNameError("notebook", name[:100], self._books)
        return self._books[name]

    def run(self, notebook: CanonicalNotebook, tests: Iterable[Cell]) -> NotebookResult:
        """Run a student's notebook with only these tests."""
        wanted = {cell.id for cell in tests}
        steps = tuple(step for step in notebook.steps if step.kind != "test" or step.cell in wanted)
        chosen = msgspec.structs.replace(notebook, steps=steps)
        return self.engine.grade(CanonicalSubmission("", (chosen,))).notebooks[0]

    def enter(self) -> None:
        """Count one more user."""
        self._users += 1

    def leave(self) -> None:
        """Count one user less; after the last one, end the engine's processes."""
        self._users -= 1
        if not self._users:
            self._open.close()


def _capped(material: Material) -> Material:
    limits = material.limits
    seconds = min(limits.submission_seconds, MOST_SECONDS)
    return msgspec.structs.replace(material, limits=msgspec.structs.replace(limits, submission_seconds=seconds))


def _stamp(root: Path, assignment: str) -> float:
    """Return when an assignment was built, or when the course's settings changed."""
    places = (root / "course.toml", root / "source" / assignment, root / "release" / assignment)
    return max(place.stat().st_mtime for place in places if place.exists())


def _asked_for(book: NotebookMaterial, exercise: str, terms: Classroom) -> list[Cell]:
    """Return the test cells that a check runs."""
    tests = [cell for cell in book.cells if cell.kind == "test" and (terms.hidden_tests == "count" or not cell.hidden)]
    names = {_exercise_of(cell, book) for cell in tests}
    if exercise and exercise not in names:
        raise UnknownNameError("exercise", exercise[:100], names)
    return [cell for cell in tests if exercise in ("", _exercise_of(cell, book))]


def _exercise_of(cell: Cell, book: NotebookMaterial) -> str:
    return cell.exercise or book.name


def _read(book: NotebookMaterial, document: str) -> CanonicalNotebook:
    """Return the student's notebook in the engine's format."""
    try:
        cells = read_cells(document.encode())
    except UnreadableError as error:
        raise CourseError(f"{book.name} cannot be checked: {error}") from error
    return canonical_notebook(book, cells, [])


def _untouched(book: NotebookMaterial, notebook: CanonicalNotebook) -> set[str]:
    """Return the exercises whose answers, the cells above their tests, are unchanged since they were handed out."""
    answers: defaultdict[str, set[str]] = defaultdict(set)
    above: set[str] = set()
    tested = False
    for cell in book.cells:
        if cell.kind == "answer":
            above, tested = ({cell.id} if tested else above | {cell.id}), False
        elif cell.kind == "test":
            answers[_exercise_of(cell, book)] |= above
            tested = True
    return {name for name, own in answers.items() if own <= notebook.untouched}


def _by_exercise(cells: Sequence[Cell], found: Mapping[str, TestResult]) -> list[tuple[str, list[TestResult]]]:
    """Return the results of the requested tests by exercise, in the notebook's order."""
    tests = [found[cell.grade_id] for cell in cells if cell.grade_id in found]
    groups = groupby(sorted(tests, key=_name), key=_name)
    by_name = {name: list(group) for name, group in groups}
    return [(name, by_name[name]) for name in dict.fromkeys(map(_name, tests))]


def _name(test: TestResult) -> str:
    return test.exercise or test.notebook


def _said(result: NotebookResult) -> str:
    return "" if result.verdict == "graded" else result.detail or result.verdict
