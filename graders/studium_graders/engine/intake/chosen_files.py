"""Which file of a submission is which notebook of the assignment, also where students renamed or moved it."""

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from studium_graders.engine.intake.canonical import canonical_notebook, template_cells
from studium_graders.engine.intake.cell_matching import is_answer, plain
from studium_graders.engine.intake.submitted_notebook import SubmittedCell, UnreadableError, read_cells
from studium_graders.engine.material.assignment import Material, NotebookMaterial

NOT_THERE = "was not handed in"
_MOST_CANDIDATES = 12
_ENDING = re.compile(r"(\.ipynb(\.json|\.txt)?)$")
_COPY = re.compile(r"[\s_.-]*(\(\d+\)|(copy|kopie|copie|copia)[\s_-]*\d*|final|solution)$")


class Choice(msgspec.Struct, frozen=True):
    """The file that is a notebook and a note about it, or "" and the sentence that says why there is none."""

    path: str
    note: str = ""


class _Candidate(msgspec.Struct):
    path: str
    cells: list[SubmittedCell]


def choose_notebooks(material: Material, files: Mapping[str, bytes]) -> dict[str, Choice]:
    """Return the file of each notebook by its name: the one that is called so, or else one that can only be it.

    Where that one is as it was released, and one other file has answers, the other one is taken.
    """
    misnamed = _misnamed(material, files)
    exact = {
        path: files[path] for book in material.notebooks if (path := f"{book.name}.ipynb") in files.keys() - misnamed
    }
    others = [path for path in files if path not in exact][:_MOST_CANDIDATES]
    if not others:
        return {book.name: _exact(book, exact) for book in material.notebooks}
    candidates = [_Candidate(path, cells) for path in others if (cells := _cells(files[path])) is not None]
    fitting = _fitting(material, candidates)
    chosen = {book.name: _choice(book, exact, fitting[book.name]) for book in material.notebooks}
    for name, other in ((path.removesuffix(".ipynb"), other) for path, other in misnamed.items()):
        if not chosen[name].path:
            chosen[name] = Choice("", f"{chosen[name].note}: the file of that name has the cells of {other}.ipynb")
    return chosen


def _misnamed(material: Material, files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the files named like one notebook of which every known grade id is another's, and that one's name."""
    own = {book.name: {cell.grade_id for cell in book.cells if cell.grade_id} for book in material.notebooks}
    found = {}
    for name in own if len(own) > 1 else ():
        cells = _cells(files.get(f"{name}.ipynb", b"")) or ()
        claimed = {cell.grade_id for cell in cells}
        others = [other for other, ids in own.items() if claimed & ids]
        if others and name not in others:
            found[f"{name}.ipynb"] = max(others, key=lambda other: len(claimed & own[other]))
    return found


def _exact(book: NotebookMaterial, files: Mapping[str, bytes]) -> Choice:
    path = f"{book.name}.ipynb"
    return Choice(path) if path in files else Choice("", f"{path} {NOT_THERE}")


def _choice(book: NotebookMaterial, files: Mapping[str, bytes], candidates: list[_Candidate]) -> Choice:
    exact = _exact(book, files)
    if exact.path:
        cells = _cells(files[exact.path])
        if cells is not None and _has_answers(book, cells):
            return exact
    answered = [item for item in candidates if _has_answers(book, item.cells)]
    usable = answered or ([] if exact.path else candidates)
    if not usable:
        return exact
    if any(item.cells != usable[0].cells for item in usable):
        names = " and ".join(ascii(item.path) for item in usable[:2])
        return exact if exact.path else Choice("", f"{exact.note}; {names} could both be it, and their answers differ")
    return Choice(usable[0].path, f"{usable[0].path!a} was taken for {book.name}.ipynb")


def _fitting(material: Material, candidates: list[_Candidate]) -> dict[str, list[_Candidate]]:
    """Return the files that can be each notebook: by their cells, or by a name that is nearly its name."""
    fitting: dict[str, list[_Candidate]] = {book.name: [] for book in material.notebooks}
    marks = {book.name: _marks(book) for book in material.notebooks}
    for item in candidates:
        own = {cell.grade_id for cell in item.cells} | {plain(cell.source) for cell in item.cells}
        likeness = {name: len(own & known) / max(len(known), 1) for name, known in marks.items()}
        best = max(likeness, key=likeness.__getitem__)
        named = [name for name in fitting if _simple(name) == _simple(PurePosixPath(item.path).name)]
        if likeness[best] >= 0.3:
            fitting[best].append(item)
        elif named:
            fitting[named[0]].append(item)
    return fitting


def _marks(book: NotebookMaterial) -> set[str]:
    """Return what a copy of a notebook has: its grade ids and the texts that students do not change."""
    cells = template_cells(book, json.loads(book.template))
    texts = {plain(item.released) for item in cells if item.cell.locked or not item.cell.grade_id}
    return ({item.cell.grade_id for item in cells} | texts) - {""}


def _simple(name: str) -> str:
    stem = _ENDING.sub("", name.casefold())
    while (shorter := _COPY.sub("", stem)) != stem and shorter:
        stem = shorter
    return "".join(letter for letter in stem if letter.isalnum())


def _has_answers(book: NotebookMaterial, cells: list[SubmittedCell]) -> bool:
    made = canonical_notebook(book, cells)
    answers = {cell.id for cell in book.cells if is_answer(cell)}
    return not answers or bool(answers - made.untouched)


def _cells(data: bytes) -> list[SubmittedCell] | None:
    try:
        return read_cells(data)
    except UnreadableError:
        return None
