"""The students in a file: one for each row, or a sentence about each row that cannot be used."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from studium.cli.output import plain
from studium.errors import CourseError

from studium_graders.class_list.student_ids import RULE, is_usable
from studium_graders.class_list.students import FIELDS, ListedStudent
from studium_graders.lms.class_sources import COLUMNS, SOURCES, TEST_STUDENT, Source
from studium_graders.lms.filling import first_student
from studium_graders.lms.matching import Person, known_people
from studium_graders.lms.sheet import Sheet, read_sheet

_LONGEST = 128  # characters that the gradebook has room for


@dataclass
class FoundStudents:
    """The students of a file; what was left out, since it is nobody; and a sentence for each row that is wrong.

    A field that the file does not have, or whose cell is empty, is "".
    """

    students: list[ListedStudent] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def students_of_file(path: Path, system: str, there: Mapping[str, ListedStudent], id_column: str = "") -> FoundStudents:
    """Return the students in a file that ``system`` exported. Raise CourseError if the file as a whole cannot be used.

    Students who are ``there`` keep their ids: they are recognised by each column that identifies people. With
    ``id_column``, only that one counts.
    """
    table = _table(read_sheet(path, "a class list", one_column=system == "csv"), SOURCES[system], there, id_column)
    found = FoundStudents()
    lines: dict[str, int] = {}
    for row in table.rows():
        line = table.sheet.line(row)
        if system == "canvas" and table.value(row, table.fields.get("name")) == TEST_STUDENT:
            found.left_out.append(f"{TEST_STUDENT} (line {line})")
            continue
        student, problem = table.student(row)
        before = lines.setdefault(student.id.casefold(), line)
        if not problem and before != line:
            problem = f"is about {student.id}, as line {before} is; leave one of them in the file"
        if problem:
            found.problems.append(f"line {line} of {path} {problem}")
        else:
            found.students.append(student)
    if not (found.students or found.problems):
        raise CourseError(f"a class list needs a row for each student: {path} has none; export it again")
    return found


@dataclass(frozen=True)
class _Table:
    """A sheet whose columns are understood: ``id`` is that of new students, ``known_by`` and ``fields`` the others.

    ``known`` are the students of the course by what identifies them, ``there`` the same ones by id.
    """

    sheet: Sheet
    first: int
    id: int
    known_by: list[int]
    fields: Mapping[str, int]
    known: Mapping[str, str]
    there: Mapping[str, ListedStudent]

    def rows(self) -> Iterator[int]:
        """Return the rows that are not blank."""
        for row in range(self.first, len(self.sheet.rows)):
            if any(cell.value.strip() for cell in self.sheet.rows[row]):
                yield row

    def value(self, row: int, column: int | None) -> str:
        """Return the text of a cell without superfluous blanks, "" without a column."""
        return "" if column is None else " ".join(self.sheet.value(row, column).split())

    def student(self, row: int) -> tuple[ListedStudent, str]:
        """Return the student of a row, and what is wrong with the row, or ""."""
        told = [self.value(row, column).casefold() for column in self.known_by]
        ids = sorted({self.known[text] for text in told if text in self.known})
        values = {name: self.value(row, column) for name, column in self.fields.items()}
        student = _named(ids[0] if ids else self.value(row, self.id), values, self.there)
        if len(ids) > 1:
            return student, f"belongs to {' and to '.join(ids)}; correct the file, or the addresses in the gradebook"
        return student, next(self._problems(row, student), "")

    def _problems(self, row: int, student: ListedStudent) -> Iterator[str]:
        cells, columns = self.sheet.rows[row], self.sheet.columns
        if any(cell.value.strip() for cell in cells[len(columns) :]):
            yield (
                f"has {len(cells)} cells for {len(columns)} columns; put quotes around a cell that has a "
                f"{self.sheet.mark!r} in it"
            )
        if not student.id:
            yield f"has no {columns[self.id]}; fill it in, or choose another column with --id-column"
        if student.id not in self.there and not is_usable(student.id):
            yield f"has the id {student.id[:60]!a}, but an id may have {RULE}; choose another column with --id-column"
        if student.email and "@" not in student.email:
            yield f"has the e-mail address {student.email[:60]!a} without an @; correct it"
        for name in FIELDS:
            if len(text := getattr(student, name)) > _LONGEST or plain(text) != text:
                yield f"has control characters or more than {_LONGEST} characters in {name}; correct it"


def _table(sheet: Sheet, source: Source, there: Mapping[str, ListedStudent], id_column: str) -> _Table:
    titles = [_plain(title) for title in sheet.columns]
    first = first_student(sheet, source.form)
    wanted = [_plain(id_column)] if id_column else source.ids
    filled = [
        title
        for title in wanted
        if title in titles
        and any(sheet.value(row, titles.index(title)).strip() for row in range(first, len(sheet.rows)))
    ]
    if not filled:
        raise CourseError(
            f"a class list needs a column with ids, such as {', '.join(wanted[:3])}: {sheet.path} has "
            f"{', '.join(sheet.columns[:8])}; choose one with --id-column"
        )
    known_by = [at for at, title in enumerate(titles) if title in (wanted if id_column else source.known_by)]
    places = {name: [titles.index(title) for title in getattr(source, name) if title in titles] for name in COLUMNS}
    fields = {name: columns[0] for name, columns in places.items() if columns}
    known = known_people([Person(one.id, "" if id_column else one.email) for one in there.values()])
    return _Table(sheet, first, titles.index(filled[0]), known_by, fields, known, there)


def _plain(title: str) -> str:
    return title.strip().casefold().replace("_", " ")


def _named(student: str, values: dict[str, str], there: Mapping[str, ListedStudent]) -> ListedStudent:
    """Return a student. A whole name is split at its comma or as it is known, or else it becomes the last name."""
    whole = values.pop("name", "")
    found = msgspec.structs.replace(ListedStudent(student), **values)
    if not whole or found.name:
        return found
    last, comma, first = whole.partition(", ")
    if not comma:
        known = there.get(student)
        first, last = (known.first_name, known.last_name) if known and known.name == whole else ("", whole)
    return msgspec.structs.replace(found, first_name=first, last_name=last)
