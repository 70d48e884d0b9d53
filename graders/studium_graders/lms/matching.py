"""Match the rows of a sheet to students by the columns that identify them, never by names."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from studium.errors import CourseError

from studium_graders.lms.sheet import Sheet


@dataclass(frozen=True)
class Person:
    """A student of the gradebook."""

    id: str
    email: str


@dataclass(frozen=True)
class Matched:
    """The row of each student; students without a row; and how the remaining rows identify their person."""

    rows: dict[str, int]
    students: list[str]
    others: list[str]


def match(sheet: Sheet, people: Iterable[Person], identifying: Sequence[str], first: int) -> Matched:
    """Match the rows from ``first`` on to students, by the columns whose names are in ``identifying``.

    Case does not matter. Raise CourseError if the sheet has no such column, or if a match is ambiguous.
    """
    columns = [at for at, name in enumerate(sheet.columns) if name.casefold() in identifying]
    if not columns:
        raise CourseError(
            f"{sheet.path} needs a column that identifies the student in each row, such as "
            f"{', '.join(identifying[:4])}; "
            f"it has {', '.join(sheet.columns[:8])}"
        )
    people = list(people)
    known = known_people(people)
    rows: dict[str, int] = {}
    others = []
    for row in range(first, len(sheet.rows)):
        told = [value for at in columns if (value := sheet.value(row, at).strip())]
        found = {known[value.casefold()] for value in told if value.casefold() in known}
        if len(found) > 1 or found & rows.keys():
            raise CourseError(_unclear(sheet, row, found, rows))
        if found:
            rows[found.pop()] = row
        elif told:
            others.append(f"{sheet.value(row, 0)} (row {row + 1})")
    return Matched(rows, [person.id for person in people if person.id not in rows], others)


def numbers_of(sheet: Sheet, rows: Mapping[str, int]) -> dict[str, str]:
    """Return the system's own number for each student in ``rows``: from the column ID, or else from the first one."""
    titles = [title.casefold() for title in sheet.columns]
    at = titles.index("id") if "id" in titles else 0
    found = {student: re.search(r"\d+$", sheet.value(row, at).strip()) for student, row in rows.items()}
    return {student: number[0] for student, number in found.items() if number}


def known_people(people: Collection[Person]) -> Mapping[str, str]:
    """Return the students by id and address, casefolded; an address that two of them share is ignored."""
    ids = {person.id.casefold(): person.id for person in people}
    addresses: dict[str, str | None] = {}
    for person in people:
        if person.email:
            key = person.email.casefold()
            addresses[key] = person.id if addresses.get(key, person.id) == person.id else None
    return {key: name for key, name in addresses.items() if name} | ids


def _unclear(sheet: Sheet, row: int, found: set[str], rows: Mapping[str, int]) -> str:
    what = f"row {row + 1} of {sheet.path} ({sheet.value(row, 0)})"
    if len(found) > 1:
        students = " and to ".join(sorted(found))
        return f"each row must belong to one student: {what} belongs to {students}; correct the roster"
    (name,) = found
    return (
        f"each student must have only one row: {name} has row {rows[name] + 1} and {what}; "
        "leave one of them in the file"
    )
