"""Merging an improved lesson into a learner's notebook, cell by cell, by derived id. Nothing of the learner's is lost.

Three versions meet: the lesson as it was written (base), the notebook (mine), the installed lesson (theirs).

* What one side changed is taken. What both changed in different lines is merged.
* What both changed in the same lines: an answer stays, and the exercise's new text follows in a cell of its own; prose
  and code of the lesson are taken, and the learner's text follows in a cell of the learner's own.
* A cell that the lesson has dropped goes, unless the learner changed it or answered in it.
* A cell that the learner deleted stays away, unless the lesson has changed it.
* The learner's own cells stay behind the cell that they stood behind.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from nbformat import NotebookNode, from_dict
from nbformat.v4 import new_code_cell, new_markdown_cell

from studium.desk.base import BaseCell
from studium.desk.text_merge import merge_text
from studium.exercises.syntax import parse
from studium.notebooks.cell_ids import cell_id
from studium.notebooks.editions import exercise_of, role


class Change(msgspec.Struct, frozen=True):
    """What an update does to one cell. ``change`` is changed, added, removed, merged or kept."""

    cell: str
    role: str
    exercise: str
    change: str
    before: str
    after: str
    text: str


@dataclass
class Merge:
    """A merged notebook's cells, and what changed."""

    cells: list[NotebookNode] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def merge_lessons(base: list[BaseCell] | None, mine: NotebookNode, theirs: NotebookNode) -> Merge:
    """Merge cell by cell; if the base is not known, whatever differs counts as changed by both."""
    old = {cell.id: cell for cell in base or []}
    own = {cell.id: cell for cell in mine.cells}
    new = {cell.id: cell for cell in theirs.cells}
    merge = Merge()
    for cell in _in_order(old, mine.cells, theirs.cells):
        was = old.get(cell.id)
        if cell.id not in new:
            _dropped(merge, was, cell)
        elif cell.id not in own:
            _absent(merge, was, new[cell.id], known=base is not None)
        else:
            _both(merge, was, cell, new[cell.id])
    _part_ids(merge.cells)
    return merge


def recognise(notebook: NotebookNode, theirs: NotebookNode, base: list[BaseCell] | None) -> None:
    """Restore the lesson's ids in cells that have lost theirs, by exercise and role or else by their text."""
    taken = {cell.id for cell in notebook.cells}
    by_part = {(role(cell), exercise_of(cell)): cell.id for cell in theirs.cells if exercise_of(cell)}
    by_text = {cell.source: cell.id for cell in [*theirs.cells, *(base or [])]}
    known = {*by_text.values(), *by_part.values()}
    for cell in notebook.cells:
        if cell.id in known:
            continue
        defined = re.match(r"(?:\s*#.*\n|\s*\n)*def (\w+)\(", cell.source) if cell.cell_type == "code" else None
        part = (role(cell), exercise_of(cell)) if exercise_of(cell) else ("exercise", defined[1] if defined else "")
        found = by_part.get(part) or by_text.get(cell.source)
        if found and found not in taken:
            cell.id = found
            taken.add(found)


def _in_order(old: dict[str, BaseCell], mine: list[NotebookNode], theirs: list[NotebookNode]) -> list[NotebookNode]:
    """Return all cells of both: in the lesson's new order, or in the learner's if the learner has moved cells."""
    common = {cell.id for cell in mine} & {cell.id for cell in theirs}
    moved = [i for i in old if i in common] != [cell.id for cell in mine if cell.id in common and cell.id in old]
    leading, following = (mine, theirs) if moved else (theirs, mine)
    by_id = {cell.id: cell for cell in mine}
    ordered = [by_id.get(cell.id, cell) if leading is theirs else cell for cell in leading]
    placed = {id(cell) for cell in ordered}
    at = -1  # the position of the last cell of those that follow
    for cell in following:
        same = cell if leading is theirs else by_id.get(cell.id, cell)
        if id(same) in placed:
            at = next(number for number, other in enumerate(ordered) if other is same)
        else:
            at += 1
            ordered.insert(at, same)
            placed.add(id(same))
    return ordered


def _dropped(merge: Merge, was: BaseCell | None, cell: NotebookNode) -> None:
    """Handle a cell that the lesson does not have (any more)."""
    if was is None:
        merge.cells.append(cell)
    elif was.source == cell.source:
        merge.changes.append(_change(cell, "removed", cell.source, "", "the lesson no longer has this cell"))
    else:
        merge.cells.append(_as_own(cell))
        text = "the lesson no longer has this cell; you changed it, so it stays as your own"
        merge.changes.append(_change(cell, "kept", cell.source, cell.source, text))


def _absent(merge: Merge, was: BaseCell | None, new: NotebookNode, *, known: bool) -> None:
    """Handle a cell that the notebook does not have: new in the lesson, or deleted by the learner."""
    if was is not None and was.source == new.source:
        return
    if was is None and not known and role(new) == "setup":
        return
    merge.cells.append(new)
    merge.changes.append(_change(new, "added", "", new.source, "this cell is new in the lesson"))


def _both(merge: Merge, was: BaseCell | None, mine: NotebookNode, new: NotebookNode) -> None:
    if mine.source == new.source or (was is not None and was.source == new.source):
        merge.cells.append(_with(mine, mine.source, new))
        return
    before = mine.source
    if was is not None and was.source == before:
        merge.cells.append(_with(mine, new.source, new))
        merge.changes.append(_change(new, "changed", before, new.source, "the lesson has improved this text"))
        return
    together = merge_text(was.source, before, new.source) if was is not None else None
    if together is not None and _sound(together, new, before):
        merge.cells.append(_with(mine, together, new))
        text = "you and the lesson changed different lines; both changes are in it"
        merge.changes.append(_change(new, "merged", before, together, text))
        return
    merge.cells += _side_by_side(mine, new)
    is_answer = role(new) == "exercise"
    text = (
        "the exercise's text has changed; your answer stays, and the new text follows it"
        if is_answer
        else "you and the lesson changed the same lines; the lesson's text comes first, and yours follows it"
    )
    merge.changes.append(_change(new, "kept", before, before if is_answer else new.source, text))


def _sound(text: str, new: NotebookNode, before: str) -> bool:
    """Return whether a merged text is still code if it was code before."""
    return new.cell_type != "code" or _parses(text) or not _parses(before)


def _parses(source: str) -> bool:
    try:
        parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def _side_by_side(mine: NotebookNode, new: NotebookNode) -> Iterator[NotebookNode]:
    if role(new) == "exercise":
        yield _with(mine, mine.source, new)
        text = f"**The text of `{exercise_of(new)}` is new.** Compare it with your answer above:\n\n"
        yield new_markdown_cell(f"{text}```python\n{new.source}\n```", id=_beside(new, "new"))
    else:
        yield new
        make = new_code_cell if mine.cell_type == "code" else new_markdown_cell
        yield make(mine.source, id=_beside(new, "yours"))


def _beside(cell: NotebookNode, what: str) -> str:
    return cell_id(cell.id, what)


def _with(mine: NotebookNode, source: str, new: NotebookNode) -> NotebookNode:
    """Return the learner's cell with a text and the lesson's metadata; outputs stay if the code is the same."""
    cell = from_dict(dict(mine))
    if cell.cell_type != new.cell_type or (cell.source != source and cell.cell_type == "code"):
        cell = from_dict(dict(new))
    cell.source = source
    cell.metadata = from_dict({**mine.metadata, **new.metadata})
    return cell


def _as_own(cell: NotebookNode) -> NotebookNode:
    """Return a cell as the learner's own, no longer connected to the lesson."""
    own = from_dict(dict(cell))
    own.metadata.pop("studium", None)
    return own


def _part_ids(cells: list[NotebookNode]) -> None:
    """Make the ids of cells unique; the first of two cells keeps its id."""
    seen: set[str] = set()
    for cell in cells:
        name, number = cell.id, 2
        while cell.id in seen:
            cell.id, number = cell_id(name, str(number)), number + 1
        seen.add(cell.id)


def _change(cell: NotebookNode, change: str, before: str, after: str, text: str) -> Change:
    return Change(cell.id, role(cell), exercise_of(cell), change, before, after, text)
