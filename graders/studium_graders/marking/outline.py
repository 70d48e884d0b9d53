"""The questions of an assignment in order: each graded cell, the answers that it is about, and where comments go."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from studium_graders.engine.material.assignment import Cell, Material, NotebookMaterial

_HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)
_MADE_UP = re.compile(r"(?:cell-)?[0-9a-f]*")


class Question(msgspec.Struct, frozen=True):
    """A graded cell. ``comment`` is the cell whose comment is the answer's, "" if there is none.

    ``text`` is the Markdown above the answer, ``test`` the source of a test, ``solution`` the course's own answer.
    """

    notebook: str
    cell: str
    title: str
    comment: str
    text: str = ""
    test: str = ""
    solution: str = ""

    @property
    def name(self) -> str:
        """The name in an assignment: NOTEBOOK/CELL."""
        return f"{self.notebook}/{self.cell}"


def outline_of(material: Material) -> dict[str, Question]:
    """Return the questions of an assignment by name, in the notebooks' order."""
    found = (question for book in material.notebooks for question in _questions(book))
    return {question.name: question for question in found}


def _questions(book: NotebookMaterial) -> Iterator[Question]:
    released = {cell["id"]: cell["source"] for cell in json.loads(book.template)["cells"]}
    for index, cell in enumerate(book.cells):
        if cell.grade_id and (cell.graded or cell.kind == "test"):
            yield _question(book, index, released)


def _question(book: NotebookMaterial, index: int, released: Mapping[str, str]) -> Question:
    cell = book.cells[index]
    answers = [index] if cell.kind != "test" else _answers_before(book.cells, index)
    first = answers[0] if answers else index
    return Question(
        book.name,
        cell.grade_id,
        _title(book.cells, index, released),
        book.cells[answers[-1]].grade_id if answers else "",
        _text_above(book.cells, first, released),
        cell.source if cell.kind == "test" else "",
        "\n\n".join(filter(None, (book.cells[one].reference for one in answers))),
    )


def _answers_before(cells: Sequence[Cell], index: int) -> list[int]:
    """Return the places of the answers that a test is about: the nearest ones before it, up to the test before them."""
    found: list[int] = []
    for place in reversed(range(index)):
        if cells[place].kind == "answer" and cells[place].grade_id:
            found.insert(0, place)
        elif cells[place].kind == "test" and found:
            break
    return found


def _text_above(cells: Sequence[Cell], index: int, released: Mapping[str, str]) -> str:
    found: list[str] = []
    for cell in reversed(cells[:index]):
        if cell.kind != "text" or cell.graded:
            break
        found.insert(0, released.get(cell.id, ""))
    return "\n\n".join(found)


def _title(cells: Sequence[Cell], index: int, released: Mapping[str, str]) -> str:
    cell = cells[index]
    if cell.exercise:
        return f"{cell.exercise}: {cell.test}" if cell.test else cell.exercise
    if not _MADE_UP.fullmatch(cell.grade_id):
        return re.sub(r"[_-]+", " ", cell.grade_id).strip() or cell.grade_id
    texts = [released.get(one.id, "") for one in cells[: index + 1] if one.kind == "text"]
    headings = [found[-1] for text in texts if (found := _HEADING.findall(text))]
    return re.sub(r"[*_`$]", "", headings[-1]).strip() if headings else cell.grade_id
