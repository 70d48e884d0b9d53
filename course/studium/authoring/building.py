"""Checks that a topic always builds the same notebook, and that every cell has a unique id."""

from collections import Counter
from collections.abc import Iterator

import nbformat

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.notebooks.editions import compile_lesson


def cell_ids(subject: Subject) -> Finding:
    """Build the lesson here and again in another process: the same cells must come out with the same unique ids."""
    return Finding(list(_unstable(subject)), f"{len(subject.lesson.cells)} cells have derived, unique ids")


def _unstable(subject: Subject) -> Iterator[str]:
    ids = [str(cell.id) for cell in subject.lesson.cells]
    for name, times in Counter(ids).items():
        if times > 1:
            yield f"each cell needs a unique id: {name!r} comes {times} times; give a section another heading"
    again = compile_lesson(subject.topic, subject.catalogue.manager)
    elsewhere = subject.lesson_run.notebook  # "" if that process failed before then, which the check lesson reports
    for text in filter(None, (nbformat.writes(again), elsewhere)):
        if text != nbformat.writes(subject.lesson):
            yield (
                "two builds of the lesson must be the same, or answers and links get lost: they differ in "
                f"{_first_difference(subject.lesson.cells, nbformat.reads(text, 4).cells)}; derive ids with cell_id "
                "and do not use randomness, the time or the order of sets"
            )
            return


def _first_difference(ours: "list[nbformat.NotebookNode]", theirs: "list[nbformat.NotebookNode]") -> str:
    for one, other in zip(ours, theirs, strict=False):
        if one.id != other.id:
            return f"the id of the cell {one.source[:40]!r}: {one.id!r} and then {other.id!r}"
        if one != other:
            return f"the cell {one.id!r}"
    return f"the number of cells: {len(ours)} and then {len(theirs)}"
