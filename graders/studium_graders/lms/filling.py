"""Fill marks into a sheet that Canvas or Moodle exported: only the cells of the marks change."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studium.errors import CourseError

from studium_graders.lms.matching import Person, match
from studium_graders.lms.sheet import Sheet, read_sheet


@dataclass(frozen=True)
class Mark:
    """The mark of one student for one assignment; ``score`` is None if nothing was handed in."""

    assignment: str
    student: Person
    score: float | None
    most: float


@dataclass(frozen=True)
class Form:
    """What is specific to a system: identifying columns (casefolded), and columns or rows with maxima.

    ``marks`` are the names that the one column of marks may have, in the languages we know; empty if each assignment
    has its own column. ``maximum``: names of the column, or of the row, with the maximum.
    """

    identifying: tuple[str, ...]
    maximum: tuple[str, ...]
    marks: tuple[str, ...] = ()


FORMS = {
    # Canvas: "Import grades in the Gradebook" and "export grades" of its instructor guide, community.canvaslms.com
    "canvas": Form(("sis login id", "sis user id", "id", "email"), ("points possible",)),
    # Moodle: "Offline grading worksheet" of docs.moodle.org/en/Assignment_settings, and the strings of its languages
    "moodle": Form(
        (
            *("email address", "id number", "username", "identifier"),
            *("e-mail-adresse", "id-nummer", "anmeldename", "adresse de courriel", "numéro d'identification"),
            *("dirección de correo", "dirección email", "número de id", "nombre de usuario"),
        ),
        ("maximum grade", "bestwertung", "note maximale", "calificación máxima"),
        ("grade", "bewertung", "note", "calificación"),
    ),
}


@dataclass(frozen=True)
class Change:
    """A mark's cell: its old and its new text."""

    student: str
    assignment: str
    old: str
    new: str


@dataclass(frozen=True)
class Filled:
    """A sheet with its marks: each change, students without a row, rows without a student, who handed in nothing.

    ``rows`` has the row of each student with a mark.
    """

    sheet: Sheet
    rows: dict[str, int]
    changes: list[Change]
    students: list[str]
    others: list[str]
    nothing: list[str]


def fill(path: Path, form: Form, marks: Sequence[Mark], columns: Mapping[str, str], *, scale: bool = False) -> Filled:
    """Return the sheet at ``path`` with the marks in it; nothing is written.

    ``columns`` gives the column of an assignment if it is not named after it. With ``scale``, marks become shares of
    the sheet's own maximum; otherwise a different maximum is refused. Raise CourseError.
    """
    sheet = read_sheet(path)
    first = first_student(sheet, form)
    people = list(dict.fromkeys(mark.student for mark in marks))
    matched = match(sheet, people, form.identifying, first)
    names = list(dict.fromkeys(mark.assignment for mark in marks))
    places = {name: _column(sheet, form, columns.get(name, name), name in columns or len(names) > 1) for name in names}
    comma = _has_decimal_comma(sheet)
    changes, nothing, rows = [], [], {}
    for mark in marks:
        if mark.score is None:
            nothing.append(f"{mark.student.id} for {mark.assignment}")
        elif (row := matched.rows.get(mark.student.id)) is not None:
            column, rows[mark.student.id] = places[mark.assignment], row
            share = _share(sheet, form, mark, row, column, scale=scale)
            new = f"{round(mark.score * share, 5):.10g}".replace(".", "," if comma else ".")
            old = sheet.value(row, column)
            if _number(old) != _number(new):
                sheet.write(row, column, new)
                changes.append(Change(mark.student.id, mark.assignment, old, new))
    return Filled(sheet, rows, changes, matched.students, matched.others, nothing)


def first_student(sheet: Sheet, form: Form) -> int:
    """Return the first row with a student: below the row with the maxima, if there is one."""
    return 1 + next((row for row in range(1, min(4, len(sheet.rows))) if _is_maximum(sheet, row, form)), 0)


def _is_maximum(sheet: Sheet, row: int, form: Form) -> bool:
    return sheet.value(row, 0).strip().casefold() in form.maximum


def _column(sheet: Sheet, form: Form, name: str, named: bool) -> int:
    """Return the position of an assignment's column: by its name, with Canvas's number after it, or the only one."""
    titles = [re.sub(r"\s*\(\d+\)$", "", title).casefold() for title in sheet.columns]
    wanted = [name.casefold()] if named or not form.marks else [name.casefold(), *form.marks]
    found = [at for at, title in enumerate(titles) if title in wanted or sheet.columns[at] == name]
    if len(found) == 1:
        return found[0]
    told = "two columns have it" if found else f"it has {', '.join(sheet.columns)}"
    raise CourseError(
        f"{sheet.path} needs one column for {name}: {told}; choose one with --column ASSIGNMENT='ITS COLUMN'"
    )


def _share(sheet: Sheet, form: Form, mark: Mark, row: int, column: int, *, scale: bool) -> float:
    """Return the factor that scales a mark to the sheet's maximum, 1 if the sheet has none."""
    most = _maximum(sheet, form, row, column)
    if most is None or not mark.most or math.isclose(most, mark.most):
        return 1.0
    if scale:
        return most / mark.most
    raise CourseError(
        f"{mark.assignment} has {mark.most:g} points in the course and {most:g} in {sheet.path}; "
        "make them equal, or add --scale to scale the marks"
    )


def _maximum(sheet: Sheet, form: Form, row: int, column: int) -> float | None:
    for at, title in enumerate(sheet.columns):
        if title.casefold() in form.maximum:
            return _number(sheet.value(row, at))
    for at in range(1, min(4, len(sheet.rows))):
        if _is_maximum(sheet, at, form):
            return _number(sheet.value(at, column))
    return None


def _has_decimal_comma(sheet: Sheet) -> bool:
    """Return whether numbers in the sheet have a decimal comma: its own numbers do, or semicolons separate cells."""
    values = [sheet.value(row, at) for row in range(1, len(sheet.rows)) for at in range(len(sheet.rows[row]))]
    numbers = [value for value in values if re.fullmatch(r"\s*-?\d+[.,]\d+\s*", value)]
    return "," in numbers[0] if numbers else sheet.mark == ";"


def _number(text: str) -> float | None:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None
