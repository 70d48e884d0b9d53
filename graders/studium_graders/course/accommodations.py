"""``accommodations.csv``: students who get more time in every assignment of a term, and how much.

The file is next to course.toml and not in it, because course.toml is shared more widely.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from studium.errors import CourseError, UsageError

from studium_graders.course.amounts import Amount

FILE = "accommodations.csv"
_COLUMNS = ("student", "extra")


def read_accommodations(root: Path) -> dict[str, Amount]:
    """Return how much more time each student has in the course in ``root``. Raise CourseError for a damaged file."""
    path = root / FILE
    try:
        return read_csv(path) if path.is_file() else {}
    except UsageError as error:
        raise CourseError(str(error)) from error


def read_csv(path: Path) -> dict[str, Amount]:
    """Return the amounts by student in a CSV file with the columns student and extra.

    Raise UsageError, naming the line, if it cannot be used.
    """
    try:
        text = path.read_text("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), delimiter=_delimiter(text), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"accommodations must be a CSV file in UTF-8: {path}: {error}; save it as one") from error
    found: dict[str, Amount] = {}
    for number, row in enumerate(rows, 2):
        student, extra = ((row.get(name) or "").strip() for name in _COLUMNS)
        if not student or not extra or student in found or row.get(None):
            twice = f", got {student!r} again" if student in found else ""
            raise UsageError(
                f"accommodations need one student and one extra such as '+25 %' in each line, under these two names: "
                f"line {number} of {path} is different{twice}; correct it"
            )
        try:
            found[student] = Amount.read(extra)
        except UsageError as error:
            raise UsageError(f"line {number} of {path}: {error}") from error
    return found


def as_csv(accommodations: Mapping[str, Amount]) -> str:
    """Return the text of the file."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows((student, str(amount)) for student, amount in sorted(accommodations.items()))
    return written.getvalue()


def _delimiter(text: str) -> str:
    """Return what separates columns: a spreadsheet whose numbers have decimal commas writes semicolons."""
    return ";" if ";" in text.partition("\n")[0] else ","
