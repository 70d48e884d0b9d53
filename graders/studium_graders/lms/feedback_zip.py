"""The feedback archive that Moodle accepts: pages of students, named by their participant numbers.

"Upload multiple feedback files in a zip" of docs.moodle.org/en/Assignment_settings reads names of the form
NAME_NUMBER_assignfeedback_file_FILE, in which NAME has no underscore (mod/assign/feedback/file/importziplib.php). Each
page comes from the same marks as the worksheet, because Moodle may empty a grade that comes without its feedback.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from studium.catalogue.exporting import ExportOptions
from studium.errors import CourseError

from studium_graders.course.private_files import private_file
from studium_graders.lms.filling import Filled, Mark
from studium_graders.lms.matching import numbers_of
from studium_graders.lms.sheet import Sheet

_NAMES = ("full name", "vollständiger name", "nom complet", "nombre completo")


@contextmanager
def feedback_zip(filled: Filled, marks: list[Mark], options: ExportOptions) -> Iterator[int]:
    """Write ``options.feedback`` once the block, which writes the marks, has ended; return the number of pages.

    Does nothing if no archive is requested. Raise CourseError if it cannot be written in the form Moodle accepts.
    """
    if (target := options.feedback) is None:
        yield 0
        return
    assignment, numbers = _numbers(filled, marks)
    if options.dry_run:
        yield 0
        return
    pages = list(_pages(assignment, filled, numbers, options.course))
    staged = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        with zipfile.ZipFile(private_file(staged), "w", zipfile.ZIP_DEFLATED) as archive:
            for path, name in pages:
                archive.write(path, name)
        yield len(pages)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)


def _numbers(filled: Filled, marks: list[Mark]) -> tuple[str, dict[str, str]]:
    """Return the assignment, and the participant number of each student whose mark is in the sheet."""
    names = sorted({mark.assignment for mark in marks})
    if len(names) != 1:
        raise CourseError(f"a feedback archive covers one assignment: got {', '.join(names)}; add --assignment")
    numbers = numbers_of(filled.sheet, filled.rows)
    without = next((student for student in filled.rows if student not in numbers), "")
    if without or not numbers:
        raise CourseError(
            f"{filled.sheet.path} needs the number of each participant in its first column: "
            f"{without or 'everybody with a mark'} lacks one; download the grading worksheet again"
        )
    return names[0], numbers


def _pages(assignment: str, filled: Filled, numbers: Mapping[str, str], course: Path) -> Iterator[tuple[Path, str]]:
    """Rewrite the pages of the students whose marks have changed, and return each with its name in the archive."""
    from studium_graders.feedback import write_feedback

    written = write_feedback(course, assignment, numbers.keys())
    if written.problems:
        raise CourseError(f"neither marks nor feedback were written: {written.problems[0]}")
    for page in written.pages:
        person = _person(filled.sheet, filled.rows[page.student])
        yield Path(page.path), f"{person}_{numbers[page.student]}_assignfeedback_file_{page.notebook}.html"


def _person(sheet: Sheet, row: int) -> str:
    """Return the student's name in the sheet, without characters that would end it or lead to a folder."""
    at = next((at for at, title in enumerate(sheet.columns) if title.casefold() in _NAMES), None)
    name = sheet.value(row, at) if at is not None else ""
    plain = "".join(" " if letter in "_/\\" or not letter.isprintable() else letter for letter in name).strip(" .~")
    return plain or "Participant"
