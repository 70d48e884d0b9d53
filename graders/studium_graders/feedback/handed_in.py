"""Match the cells of an autograded notebook to the assignment's; the remaining ones are the student's own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studium.errors import StudiumError
from studium.notebooks.files import read_notebook

from studium_graders.engine.material.assignment import Cell, NotebookMaterial

NotebookCell = Mapping[str, Any]


class HandedIn:
    """The student's notebook as graded. ``tests`` are the assignment's cells, ``extras`` are not."""

    def __init__(self, material: NotebookMaterial, cells: list[NotebookCell]) -> None:
        self.cells = cells
        self._found: dict[str, int] = {}
        template = {cell["id"]: cell for cell in json.loads(material.template)["cells"]}
        self.released = {name: cell["source"] for name, cell in template.items()}
        self.tests = [cell for cell in material.cells if cell.kind == "test"]
        ids = {name: cell.id for cell in material.cells for name in (cell.id, cell.grade_id) if name}
        given = {source.strip() for source in self.released.values()}
        self._extras = [
            index
            for index, cell in enumerate(cells)
            if not self._take(index, cell, ids) and cell["source"].strip() and cell["source"].strip() not in given
        ]
        changed = {cell.id for cell in material.cells if cell.kind == "given" and not cell.locked}
        for name in changed & self._found.keys():
            if cells[self._found[name]]["source"].strip() != self.released[name].strip():
                self._extras.append(self._found[name])
        self._claimed: set[int] = set()
        hidden = {cell.id for cell in material.cells if cell.hidden} & self._found.keys()
        self._first_hidden = min((self._found[name] for name in hidden), default=len(cells))

    def _take(self, index: int, cell: NotebookCell, ids: Mapping[str, str]) -> bool:
        """Record one of the assignment's cells at its place; return False for any other, and for a second copy."""
        own = str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))
        name = ids.get(own) or ids.get(str(cell.get("id", "")))
        if name is None or name in self._found:
            return False
        self._found[name] = index
        return True

    def cell(self, cell: Cell) -> NotebookCell | None:
        """Return the student's version of a cell, or None if it is missing."""
        index = self._found.get(cell.id)
        return None if index is None else self.cells[index]

    def after(self, cell: Cell) -> list[NotebookCell]:
        """Return the student's own cells directly after a cell, and remove them from the extras."""
        index = self._found[cell.id] + 1
        while index in self._extras:
            self._claimed.add(index)
            index += 1
        return self.cells[self._found[cell.id] + 1 : index]

    def may_know_hidden_tests(self, cell: NotebookCell) -> bool:
        """Return whether a cell ran after a hidden test, whose arguments the student's code may have kept and shown."""
        return any(cell is later for later in self.cells[self._first_hidden :])

    @property
    def own(self) -> list[NotebookCell]:
        """All cells except the tests, which nbgrader fills with content that students never saw."""
        tests = {self._found[cell.id] for cell in self.tests if cell.id in self._found}
        return [cell for index, cell in enumerate(self.cells) if index not in tests]

    @property
    def extras(self) -> list[NotebookCell]:
        """The student's own cells and changed given cells, in order."""
        return [self.cells[index] for index in sorted(set(self._extras) - self._claimed)]


def read_handed_in(material: NotebookMaterial, path: Path) -> HandedIn:
    """Read an autograded notebook; if it is missing or unreadable, it has no cells."""
    try:
        cells = read_notebook(path).cells if path.is_file() else []
    except StudiumError:
        cells = []
    return HandedIn(material, [cell for cell in cells if isinstance(cell.get("source"), str)])
