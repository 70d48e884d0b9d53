"""Write the feedback folder: stale pages are replaced, unchanged ones are left alone."""

import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from nbgrader.coursedir import CourseDirectory
from studium.catalogue.catalogue import load_catalogue
from studium.notebooks.files import write_text

from studium_graders.class_list.absences import absent_of
from studium_graders.class_list.absent import Absent
from studium_graders.course.course_file import FILE, read_course, says_hidden
from studium_graders.course.finding import open_course
from studium_graders.course.folder import left_out
from studium_graders.course.limits import Limits
from studium_graders.course.sharing import sharing_of
from studium_graders.engine.intake.timestamps import has_local_times
from studium_graders.engine.material.assignment import Material, NotebookMaterial
from studium_graders.engine.material.results import NotebookResult, SubmissionResult
from studium_graders.engine.material.template import material_of
from studium_graders.feedback.handed_in import read_handed_in
from studium_graders.feedback.hidden_lines import secret_finder
from studium_graders.feedback.marks import NotebookMarks, SubmissionMarks, read_marks
from studium_graders.feedback.model import Page
from studium_graders.feedback.page import render
from studium_graders.feedback.page_limits import Room
from studium_graders.feedback.sections import Sources, other_answers, sections_of
from studium_graders.feedback.stored import read_result, result_of
from studium_graders.grading.unfinished import unfinished_of
from studium_graders.results.mistakes import Sentences
from studium_graders.results.release_files import copy_for_release, renamed_notebooks

_TITLE = re.compile(r"^#\s+(.+)$", re.MULTILINE)
_SENTENCES = {
    "missing": "This notebook was missing from what you handed in.",
    "unreadable": "The file that you handed in could not be read as a notebook.",
    "time limit": "Your notebook was stopped because it ran too long: is there an endless loop?",
    "memory limit": "Your notebook was stopped because it used too much memory.",
    "output limit": "Your notebook was stopped because it printed too much.",
    "process limit": "Your notebook was stopped because it started too many processes.",
    "disk limit": "Your notebook was stopped because it wrote too much to disk.",
    "ended early": "Your notebook ended before all tests had run: did it call `exit()`, or crash Python?",
    "broken protocol": "Your notebook was stopped because it disturbed the grading.",
}


class FeedbackPage(msgspec.Struct, frozen=True):
    """One page: its points after the penalty, those that wait for a person, and whether it had to be written again."""

    student: str
    notebook: str
    path: str
    score: float
    max_score: float
    waiting: float
    written: bool


class Feedback(msgspec.Struct, frozen=True):
    """What was written for an assignment; ``notes`` are for the instructor.

    ``problems`` are sentences about students whose pages are missing or older than what they handed in. ``absent`` are
    the students of the class who handed in nothing, unless only some were asked for.
    """

    assignment: str
    pages: list[FeedbackPage]
    notes: list[str]
    problems: list[str] = []
    absent: Absent = Absent()


class _Course(msgspec.Struct, frozen=True):
    """What all pages of an assignment need."""

    directory: CourseDirectory
    title: str
    zone: ZoneInfo
    material: Material
    results: Path
    sentences: Sentences


Passing = Callable[[Sequence[SubmissionMarks]], Iterable[SubmissionMarks]]
"""Passes on submissions one by one, and may report how many were taken."""


def write_feedback(root: Path, assignment: str, students: Collection[str] = (), passing: Passing = iter) -> Feedback:
    """Write the pages of everyone who handed in and is not excluded by nbgrader's settings, or only of ``students``.

    Raise StudiumError if the course, the gradebook or a name cannot be used.
    """
    directory = open_course(root, assignment)
    found = read_marks(directory.db_url, assignment, students)
    submissions = [one for one in found if students or one.student not in left_out(directory)]
    root = Path(directory.root)
    info = read_course(root) if (root / FILE).is_file() else None
    course = _Course(
        directory,
        (info.title or info.id) if info else directory.course_id,
        _zone(directory),
        material_of(directory.config, root, assignment, Limits()),
        root / ".studium" / "results" / assignment,
        Sentences(load_catalogue(), hidden=says_hidden(root)),
    )
    pages: list[FeedbackPage] = []
    notes: list[str] = []
    graded = {one.student: one.timestamp for one in found}
    problems = list(unfinished_of(directory, assignment, graded, students))
    if not (submissions or problems):
        problems = [f"{assignment} has no marks to write about; run: studium grade {assignment}"]
    for submission in passing(submissions):
        if submission.student in (".", "..") or re.search(r"[/\\\0]", submission.student):
            notes.append(f"no page for {submission.student!r}: that cannot be the name of a folder")
            continue
        try:
            pages += _write(submission, course)
        except Exception as error:  # one student's notebook must not cost the others their feedback
            problems.append(_problem(submission.student, error))
    absent = Absent() if students else absent_of(directory, assignment)
    return Feedback(assignment, pages, notes, problems, absent)


def _problem(student: str, error: Exception) -> str:
    why = f"{type(error).__name__}: {error}".removesuffix(": ")[:300]
    return f"the feedback for {student} could not be written, and the existing page may be older: {why}"


def _zone(directory: CourseDirectory) -> ZoneInfo:
    name = directory.config.NbGraderAPI.get("timezone", "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return ZoneInfo("UTC")


def _folder(course: _Course, step: str, student: str) -> Path:
    return Path(course.directory.format_path(step, student, course.material.assignment))


def _write(submission: SubmissionMarks, course: _Course) -> Iterator[FeedbackPage]:
    """Write the pages of one submission, and the files that their release needs next to them."""
    folder = _folder(course, course.directory.feedback_directory, submission.student)
    result = read_result(course.results, submission.student)
    books = {book.name: book for book in submission.notebooks}
    for material in course.material.notebooks:
        if book := books.get(material.name):
            page = _page(submission, book, material, result, course)
            path = folder / f"{book.name}.html"
            written = _write_page(page, path, course.zone)
            yield FeedbackPage(
                submission.student, book.name, str(path), page.final, page.max_score, page.waiting, written
            )
    kept = {material.name for material in course.material.notebooks} & books.keys()
    submitted = _folder(course, course.directory.submitted_directory, submission.student)
    others = {own: name for own, name in renamed_notebooks(course.material, submitted).items() if own in kept}
    for own, name in others.items():
        shutil.copyfile(folder / f"{own}.html", folder / f"{name}.html")
    for stale in folder.glob("*.html"):
        if stale.stem not in kept | set(others.values()):
            stale.unlink()
    steps = (course.directory.autograded_directory, course.directory.submitted_directory)
    copy_for_release(tuple(_folder(course, step, submission.student) for step in steps), folder)
    sharing_of(course.directory).share(folder)


def _write_page(page: Page, path: Path, zone: ZoneInfo) -> bool:
    """Write a page unless the file already has the same content, whatever its date; return whether it was written."""
    now = datetime.now(zone).replace(second=0, microsecond=0)
    html = render(page, now)
    try:
        old = path.read_text("utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        old = ""
    if _undated(old) == _undated(html):
        return False
    write_text(html, path)
    return True


def _undated(html: str) -> str:
    return re.sub(r"<dt>Feedback written</dt><dd>[^<]*</dd>", "", html, count=1)


def _page(
    submission: SubmissionMarks,
    book: NotebookMarks,
    material: NotebookMaterial,
    result: SubmissionResult | None,
    course: _Course,
) -> Page:
    folder = _folder(course, course.directory.autograded_directory, submission.student)
    handed_in = read_handed_in(material, folder / f"{book.name}.ipynb")
    found = result_of(result, book, handed_in)
    known = [*handed_in.released.values(), *(cell["source"] for cell in handed_in.own)]
    is_secret = secret_finder(material, known)
    sources = Sources(material.cells, handed_in.released, handed_in, book, found, is_secret, Room(), course.sentences)
    sections = sections_of(sources)
    return Page(
        course=course.title,
        assignment=course.material.assignment,
        notebook=book.name,
        title=_title(material, handed_in.released),
        student=submission.student,
        student_name=submission.student_name,
        handed_in=_local(submission.timestamp, course.zone),
        due=_local(submission.due, course.zone),
        score=book.score,
        max_score=book.max_score,
        penalty=book.penalty,
        final=book.final,
        sections=sections,
        others=other_answers(sources),
        notice=_notice(found, bool(handed_in.cells)),
        repairs=found.repairs if found else [],
        graded_by=f"Studium, sandbox {result.sandbox}" if found and result else "nbgrader",
        whole=_whole(submission) if len(submission.notebooks) > 1 else None,
    )


def _title(material: NotebookMaterial, released: Mapping[str, str]) -> str:
    """Return the notebook's first heading, or its name if it does not begin with one."""
    texts = (released[cell.id] for cell in material.cells if cell.kind == "text")
    found = _TITLE.match(next(texts, "").strip())
    return re.sub(r"[*_`$]", "", found[1]).strip() if found else material.name


def _local(when: datetime | None, zone: ZoneInfo) -> datetime | None:
    return when.replace(tzinfo=UTC).astimezone(zone) if when and has_local_times(when) else None


def _notice(result: NotebookResult | None, has_cells: bool) -> str:
    if result and result.verdict != "graded":
        sentence = result.detail or _SENTENCES.get(result.verdict, "")
        begins_with_file = "." in sentence.partition(" ")[0]
        return sentence if begins_with_file else sentence[:1].upper() + sentence[1:]
    return "" if has_cells else _SENTENCES["missing"]


def _whole(submission: SubmissionMarks) -> tuple[float, float]:
    """Return the points of all notebooks after penalties, as nbgrader exports them, and the points that could be
    earned.
    """
    score = sum(book.score - book.penalty for book in submission.notebooks)
    return max(0.0, score), sum(book.max_score for book in submission.notebooks)
