"""When submissions were handed in, from a table in which the learning management system says so."""

import re
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from dateutil import parser
from studium.errors import CourseError

from studium_graders.lms.filling import FORMS
from studium_graders.lms.matching import Person, match
from studium_graders.lms.sheet import Sheet, read_sheet

# Canvas: submitted_at of its Submissions API and its reports. Moodle: the grading worksheet, in the languages we know.
_COLUMNS = (
    *("submitted at", "submitted_at", "submitted", "submission date", "time", "timestamp"),
    *("last modified (submission)", "zuletzt geändert (abgabe)", "dernière modification (travail remis)"),
)
_OTHERS = ("student", "student id")
_EITHER_WAY = re.compile(r"\b\d{1,2}[/-]\d{1,2}[/-]\d{4}\b")  # which number is the month depends on the country
_YEAR = re.compile(r"\b\d{4}\b")
_DAY_FIRST = re.compile(r"^\s*\d{1,2}\.\d{1,2}\.")


def read_times(path: Path, system: str, people: Iterable[Person], zone: tzinfo | None) -> dict[str, datetime]:
    """Return when each student handed in, as far as the table says; a row without a time says nothing.

    ``zone`` is for times that name none. Raise CourseError for a table without such a column, and for a time that
    cannot be read, could mean two days, or needs a zone.
    """
    sheet = read_sheet(path, "the file of --times")
    titles = [title.casefold() for title in sheet.columns]
    at = next((titles.index(name) for name in _COLUMNS if name in titles), None)
    if at is None:
        raise CourseError(
            f"{path} needs a column with the times, such as Submitted at or Last modified (submission); "
            f"it has {', '.join(sheet.columns[:8])}"
        )
    rows = match(sheet, people, (*FORMS[system].identifying, *_OTHERS), 1).rows
    told = {student: sheet.value(row, at).strip() for student, row in rows.items()}
    return {student: _time(sheet, rows[student], text, zone) for student, text in told.items() if text not in ("", "-")}


def stamp(when: datetime) -> bytes:
    """Return what nbgrader's timestamp.txt holds for a time."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode()


def _time(sheet: Sheet, row: int, text: str, zone: tzinfo | None) -> datetime:
    where = f"line {sheet.line(row)} of {sheet.path}"
    if _EITHER_WAY.search(text):
        raise CourseError(
            f"a time must name its day for certain: {text!r} in {where} could be two; write 2026-12-08 20:00"
        )
    found = _parsed(text) if _YEAR.search(text) else None
    if found is None:
        raise CourseError(f"a time must be a date and a time of day: got {text!r} in {where}; write 2026-12-08 20:00")
    if found.tzinfo is None and zone is None:
        raise CourseError(
            f"a time needs a zone where the course has no course.toml: got {text!r} in {where}; "
            "write 2026-12-08 20:00 UTC, or run studium new course"
        )
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _parsed(text: str) -> datetime | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # dateutil leaves a zone out that it does not know, with a warning
        try:
            found: datetime = parser.parse(text, dayfirst=bool(_DAY_FIRST.match(text)))
        except Exception:  # it raises whatever its input makes it raise
            return None
    return found
