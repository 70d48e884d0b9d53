"""A sheet of delimited text in which single cells change, and every other byte stays the same."""

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

from studium.errors import CourseError

_FIELD = {
    mark: re.compile(rf'("(?:[^"]|"")*"|[^{mark}"\r\n][^{mark}\r\n]*|)({mark}|\r\n|\n|\r|\Z)')
    for mark in (",", ";", "\t")
}
_END = re.compile(r"\r\n|\n|\r")
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True)
class Cell:
    """One cell: its value, and the position of its text in the file, quotes included."""

    value: str
    start: int
    end: int


@dataclass
class Sheet:
    """The rows of a file, the first with the columns' names, and the cells to rewrite."""

    path: Path
    text: str
    rows: list[list[Cell]]
    mark: str
    encoding: str
    bom: bytes
    changed: dict[int, tuple[Cell, str]] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [cell.value.strip() for cell in self.rows[0]]

    def value(self, row: int, column: int) -> str:
        """Return the value of a cell, "" if the row has no such column."""
        return self.rows[row][column].value if column < len(self.rows[row]) else ""

    def line(self, row: int) -> int:
        """Return the line of the file in which a row begins, as an editor counts."""
        return 1 + len(_END.findall(self.text, 0, self.rows[row][0].start))

    def write(self, row: int, column: int, value: str) -> None:
        """Set the value of a cell; raise CourseError if the row has no such column."""
        if column >= len(self.rows[row]):
            raise CourseError(
                f"each row of {self.path} needs {len(self.columns)} columns: got {len(self.rows[row])} in row "
                f"{row + 1}; export the file again"
            )
        cell = self.rows[row][column]
        quoted = self.text[cell.start : cell.end].startswith('"') or any(c in value for c in f'{self.mark}"\r\n')
        self.changed[cell.start] = (cell, '"' + value.replace('"', '""') + '"' if quoted else value)

    def content(self) -> bytes:
        """Return the file with its changed cells."""
        parts, at = [], 0
        for start, (cell, text) in sorted(self.changed.items()):
            parts += [self.text[at:start], text]
            at = cell.end
        return self.bom + "".join([*parts, self.text[at:]]).encode(self.encoding)


def read_sheet(path: Path, what: str = "the file to fill in", *, one_column: bool = False) -> Sheet:
    """Read a file whose cells are separated by commas, semicolons or tabs; raise CourseError for anything else.

    ``what`` the file is for begins the sentence about one that cannot be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CourseError(f"{what} must be readable: {path}: {error.strerror}; export it again") from error
    bom, encoding = next(((bom, name) for bom, name in _ENCODINGS if content.startswith(bom)), (b"", "utf-8"))
    try:
        text = content[len(bom) :].decode(encoding)
    except UnicodeDecodeError:
        raise CourseError(f"{what} must be text in UTF-8 or UTF-16, but {path} is not; export it again") from None
    first = text.splitlines()[0] if text.strip() else ""
    mark = max(_FIELD, key=re.sub('"(?:[^"]|"")*"', "", first).count)
    if mark not in first and not (one_column and first):
        raise CourseError(f"{what} needs several columns: {path} has only one; export a CSV file again")
    return Sheet(path, text, _rows(path, text, mark), mark, encoding, bom)


def _rows(path: Path, text: str, mark: str) -> list[list[Cell]]:
    rows: list[list[Cell]] = [[]]
    at = 0
    while at < len(text):
        found = _FIELD[mark].match(text, at)
        if not found:
            raise CourseError(
                f"quotes must come in pairs: {path} has an unmatched one in row {len(rows)}; export it again"
            )
        raw, end = found[1], found[2]
        value = raw[1:-1].replace('""', '"') if raw.startswith('"') else raw
        rows[-1].append(Cell(value, found.start(1), found.end(1)))
        at = found.end()
        if end != mark and at < len(text):
            rows.append([])
        elif end == mark and at == len(text):
            rows[-1].append(Cell("", at, at))
    return rows
