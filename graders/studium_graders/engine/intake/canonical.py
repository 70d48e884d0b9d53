"""A submitted notebook in its canonical form: the template's cells, with the student's answers and extra cells."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from studium_graders.engine.intake.cell_matching import TemplateCell, bound_names, match_cells, plain
from studium_graders.engine.intake.split_cells import join_halves
from studium_graders.engine.intake.submitted_notebook import SubmittedCell
from studium_graders.engine.material.assignment import CanonicalNotebook, Cell, NotebookMaterial, Step

_MOST_NOTES = 20


class Placed(msgspec.Struct):
    """A cell in its canonical place: of the template (``cell``) or extra, with the text that counts."""

    id: str
    cell_type: str
    source: str
    cell: Cell | None = None
    attachments: dict[str, dict[str, str]] = {}


def canonical_notebook(
    material: NotebookMaterial, submitted: Sequence[SubmittedCell], notes: Sequence[str] = ()
) -> CanonicalNotebook:
    """Put the cells of a submission in their canonical places."""
    document = json.loads(material.template)
    template = template_cells(material, document)
    found = match_cells(template, submitted)
    submitted, halves = join_halves(template, submitted, found)
    placed = list(_placed(template, submitted, found, halves))
    said = list(dict.fromkeys((*notes, *_notes(template, submitted, found))))
    if len(said) > _MOST_NOTES:
        said[_MOST_NOTES:] = [f"and {len(said) - _MOST_NOTES} more"]
    return CanonicalNotebook(
        name=material.name,
        steps=tuple(_steps(placed)),
        document=_document(document, placed),
        untouched=_untouched(template, placed),
        notes=tuple(said),
    )


def untouched_notebook(material: NotebookMaterial, problem: str = "", *, missing: bool = False) -> CanonicalNotebook:
    """Return the notebook as it was released, for a submission of which nothing can be graded."""
    submitted = [
        SubmittedCell(item.cell_type, item.released, item.cell.grade_id, item.own_id)
        for item in template_cells(material, json.loads(material.template))
    ]
    made = canonical_notebook(material, submitted)
    return msgspec.structs.replace(made, steps=(), problem=problem, missing=missing)


def template_cells(material: NotebookMaterial, document: dict[str, Any]) -> list[TemplateCell]:
    """Return the cells to be found in a submission."""
    return [
        TemplateCell(
            cell,
            part["cell_type"],
            part["source"],
            part["id"],
            bound_names(part["source"]) or bound_names(cell.reference) if cell.kind == "answer" else frozenset(),
        )
        for cell, part in zip(material.cells, document["cells"], strict=True)
    ]


def _placed(
    template: Sequence[TemplateCell], submitted: Sequence[SubmittedCell], found: dict[int, int], halves: set[int]
) -> Iterator[Placed]:
    """Return all cells: the template's in its order, extra ones after the cell that they followed."""
    extra = _extra_places(template, submitted, found)
    taken = {item.cell.id for item in template}
    numbers = iter(range(1, len(submitted) + len(taken) + 1))
    for wanted in range(-1, len(template)):
        if wanted >= 0:
            yield _of_template(template[wanted], submitted[found[wanted]] if wanted in found else None)
        for given in extra[wanted]:
            if given in halves:
                continue
            cell_id = next(name for number in numbers if (name := f"extra-{number}") not in taken)
            cell = submitted[given]
            yield Placed(cell_id, cell.kind, cell.source, attachments=cell.attachments)


def _extra_places(
    template: Sequence[TemplateCell], submitted: Sequence[SubmittedCell], found: dict[int, int]
) -> dict[int, list[int]]:
    """Return the extra cells behind each index of the template (-1: before the first).

    A cell follows the one that it followed, but comes before every answer that it stood before.
    """
    where = {given: wanted for wanted, given in found.items()}
    ahead, nearest = len(template), {}
    for given in reversed(range(len(submitted))):
        wanted = where.get(given)
        if wanted is not None and template[wanted].cell.kind == "answer":
            ahead = min(ahead, wanted)
        nearest[given] = ahead
    places: dict[int, list[int]] = defaultdict(list)
    behind = -1
    for given in range(len(submitted)):
        if given in where:
            behind = where[given]
        else:
            places[min(behind, nearest[given] - 1)].append(given)
    return places


def _of_template(item: TemplateCell, given: SubmittedCell | None) -> Placed:
    cell = item.cell
    if cell.locked or cell.kind == "test" or given is None:
        return Placed(cell.id, item.cell_type, cell.source, cell)
    attachments = given.attachments if item.cell_type != "code" else {}
    return Placed(cell.id, _type(item, given), given.source, cell, attachments)


def _type(item: TemplateCell, given: SubmittedCell) -> str:
    """Return the type that counts: a given cell that the student rewrote as text is text, all else is as released."""
    is_note = item.cell.kind == "given" and given.kind != "code" and plain(given.source) != plain(item.released)
    return given.kind if is_note else item.cell_type


def _steps(placed: Sequence[Placed]) -> Iterator[Step]:
    for item in placed:
        if item.cell_type != "code":
            continue
        if item.cell and item.cell.kind == "test":
            yield Step(item.id, "test", "")
        elif item.cell and item.cell.kind == "given":
            yield Step(item.id, "given", item.source)
        else:
            yield Step(item.id, "student", item.source)


def _untouched(template: Sequence[TemplateCell], placed: Sequence[Placed]) -> frozenset[str]:
    """Return the answers that are still the stub, and are written nowhere else either.

    What a person marks must equal the stub letter for letter, as in nbgrader.
    """
    elsewhere = frozenset(name for item in placed if item.cell is None for name in bound_names(item.source))
    sources = {item.id: item.source for item in placed}
    answers = [item for item in template if item.is_answer]
    return frozenset(
        item.cell.id
        for item in answers
        if (
            sources[item.cell.id] == item.cell.source
            if item.cell.graded
            else plain(sources[item.cell.id]) == plain(item.cell.source) and not item.names & elsewhere
        )
    )


def _notes(
    template: Sequence[TemplateCell], submitted: Sequence[SubmittedCell], found: dict[int, int]
) -> Iterator[str]:
    """Report what was put right."""
    claimed: dict[str, int] = defaultdict(int)
    for cell in submitted:
        claimed[cell.grade_id] += 1
    for wanted, item in enumerate(template):
        called = _called(item.cell)
        if wanted not in found:
            if item.cell.kind != "text":
                yield f"{called} was missing and was put back"
            continue
        given = submitted[found[wanted]]
        if item.cell.grade_id and given.grade_id != item.cell.grade_id:
            yield f"{called} had lost its id and was recognised"
        if item.cell.grade_id and claimed[item.cell.grade_id] > 1:
            yield f"{called} was there {claimed[item.cell.grade_id]} times"
        if given.kind != item.cell_type and item.cell.kind != "given":
            yield f"{called} had become a {given.kind} cell"
        if item.cell.locked and item.cell.kind != "text" and plain(given.source) != plain(item.released):
            yield f"{called} had been changed and was put back"


def _called(cell: Cell) -> str:
    """Return words for a cell: the id of one of ours is a sentence without its end, and says less than these."""
    words = {"answer": "the answer", "test": "a test of"}
    return f"{words[cell.kind]} {cell.exercise}" if cell.exercise and cell.kind in words else cell.id


def _document(document: dict[str, Any], placed: Sequence[Placed]) -> bytes:
    parts = {part["id"]: part for part in document["cells"]}
    cells = [_part(item, parts.get(item.id, {}) if item.cell else {}) for item in placed]
    return json.dumps(document | {"cells": cells}, ensure_ascii=False).encode()


def _part(item: Placed, part: dict[str, Any]) -> dict[str, Any]:
    made = {
        "cell_type": item.cell_type,
        "id": item.id,
        "metadata": part.get("metadata", {}),
        "source": item.source,
    }
    if item.cell_type == "code":
        return made | {"execution_count": None, "outputs": []}
    attachments = part.get("attachments", {}) | item.attachments
    return made | ({"attachments": attachments} if attachments else {})
