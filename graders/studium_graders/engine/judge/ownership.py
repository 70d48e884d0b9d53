"""Whose a name is: the student's, who was asked to write it, or the judge's.

The student owns
* what the template's answer cells bind at top level, in the stub or in the reference, but imports;
* of given cells: objects that an answer changes in place, classes that it mentions, for instance as a base, and
  placeholders in unlocked cells (``x = None``, a function without a body);
* what tests read and no cell of the template has bound before.

These names always lead to the student's process. All others are the judge's: given code, tests and the imports of
answers bind them here, and a student who binds the same name changes nothing for a test.
"""

import ast
import builtins
from collections.abc import Iterable, Mapping
from functools import lru_cache

from studium_graders.engine.judge.data_classes import extended, is_data, is_value
from studium_graders.engine.judge.names import Statement, changed_names, is_placeholder, statements
from studium_graders.engine.judge.python_text import parse
from studium_graders.engine.material.assignment import Cell

_SHELL = {"get_ipython", "display", "In", "Out", "exit", "quit", "__name__", "__file__", "__doc__", "__builtins__"}
# What a test may use though nothing of the template imports it: it is the library itself and not the student's copy.
LIBRARIES: Mapping[str, str] = {
    "np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot", "nn": "torch.nn", "F": "torch.nn.functional",
    **{name: name for name in (
        "numpy", "pandas", "torch", "scipy", "sklearn", "pytest", "unittest", "math", "random", "itertools",
        "functools", "collections", "copy", "re", "json", "inspect",
    )},
}  # fmt: skip


def owned_by_student(cells: Iterable[Cell]) -> frozenset[str]:
    """Return the names of a notebook that belong to the student."""
    cells = list(cells)
    answers = [item for cell in cells if cell.kind == "answer" for item in statements_of(cell)]
    given = [item for cell in cells if cell.kind == "given" for item in statements_of(cell)]
    written = {name for item in answers for name in item.binds}
    owned = written | _changed(answers, given) | _classes(answers, given) | _places(cells)
    return frozenset(owned | (unbound(cells) - LIBRARIES.keys())) - _SHELL


def unbound(cells: Iterable[Cell]) -> set[str]:
    """Return the names that tests read before any cell of the template has bound them."""
    found: set[str] = set()
    bound = set(dir(builtins)) | _SHELL
    later: set[str] = set()
    for cell in cells:
        for item in statements_of(cell):
            if cell.kind == "test":
                found |= item.reads - bound - (item.binds if is_compound(item.node) else set())
                later |= item.later
            bound |= item.binds | item.imports
    return found | (later - bound)


def is_compound(node: ast.stmt) -> bool:
    """Return whether a statement has statements in it, of which one may bind what another reads."""
    return any(isinstance(child, ast.stmt | ast.match_case) for child in ast.iter_child_nodes(node))


def _changed(answers: list[Statement], given: list[Statement]) -> set[str]:
    return {name for item in answers for name in changed_names(item.node)} & {n for item in given for n in item.binds}


def _classes(answers: list[Statement], given: list[Statement]) -> set[str]:
    """Return the given classes that answers mention; those whose objects are what they hold cross as data.

    One of these that answers extend, and that is none by how it is written, belongs to the student all the same.
    """
    mentioned = {name for item in answers for name in item.reads | item.later}
    bases = extended(answers)
    nodes = [item.node for item in given if isinstance(item.node, ast.ClassDef) and item.node.name in mentioned]
    return {node.name for node in nodes if not is_data(node) and not (is_value(node) and node.name not in bases)}


def _places(cells: Iterable[Cell]) -> set[str]:
    unlocked = (cell for cell in cells if cell.kind == "given" and not cell.locked)
    items = (item for cell in unlocked for item in statements_of(cell) if is_placeholder(item.node))
    return {name for item in items for name in item.binds}


def statements_of(cell: Cell) -> list[Statement]:
    """Return the statements of a code cell; of an answer, those of the stub and of the reference."""
    if cell.kind == "text":
        return []
    texts = (cell.source, cell.reference) if cell.kind == "answer" else (cell.source,)
    return [item for text in texts for item in _statements_in(text)]


@lru_cache(1024)  # each question about a notebook asks for all its cells
def _statements_in(text: str) -> list[Statement]:
    tree = parse(text)
    return [] if tree is None else statements(tree)
