"""Putting an answer together again that was split in the middle: one half alone is no Python, both together are."""

import warnings
from collections.abc import Mapping, Sequence

import msgspec
from studium.exercises.syntax import parse

from studium_graders.engine.intake.cell_matching import TemplateCell
from studium_graders.engine.intake.submitted_notebook import SubmittedCell

_LONGEST = 50_000


def join_halves(
    template: Sequence[TemplateCell], submitted: Sequence[SubmittedCell], found: Mapping[int, int]
) -> tuple[list[SubmittedCell], set[int]]:
    """Return the cells with split answers joined, and the indices of the halves that went into one."""
    cells, halves = list(submitted), set[int]()
    taken = set(found.values())
    for wanted, given in found.items():
        cell = cells[given]
        if template[wanted].cell.kind != "answer":
            continue
        for other in (given - 1, given + 1):
            if other in taken or other in halves or not 0 <= other < len(cells) or cells[other].kind != "code":
                continue
            parts = [cells[index].source for index in sorted((given, other))]
            joined = "\n".join(parts)
            if not all(map(is_python, parts)) and is_python(joined):
                cells[given] = msgspec.structs.replace(cell, source=joined)
                halves.add(other)
                break
    return cells, halves


def is_python(source: str) -> bool:
    """Return whether a text of up to 50 000 characters parses."""
    if len(source) > _LONGEST:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
