"""Visible tests that need what a hidden test makes: they can pass only where that has run, and count there."""

import ast
from collections.abc import Iterable, Iterator

from studium_graders.engine.judge.names import Statement, changed_names, is_compound, statements_in
from studium_graders.engine.material.assignment import Cell


def late_tests(cells: Iterable[Cell]) -> Iterator[str]:
    """Yield the ids of visible tests that read what only a hidden part of an earlier test has made."""
    secret, seen = set[str](), set[str]()
    for cell in cells:
        items = statements_in(cell.source) + statements_in(cell.reference)
        binds = {name for item in items for name in item.binds | item.imports}
        if cell.kind != "test":
            seen |= binds
            continue
        is_late = not cell.hidden and bool(secret & open_reads(items))
        if is_late:
            yield cell.id
        elif not cell.hidden:
            secret -= binds
        hidden = items if is_late else _hidden_in(cell, items)
        secret |= {name for item in hidden for name in item.binds | (item.imports - seen) | _changed(item, seen)}
        seen |= {name for item in items if item not in hidden for name in item.binds | item.imports}


def _hidden_in(cell: Cell, items: list[Statement]) -> list[Statement]:
    if not cell.hidden:
        return []
    released = {ast.unparse(item.node) for item in statements_in(cell.released)}
    return [item for item in items if ast.unparse(item.node) not in released]


def _changed(item: Statement, seen: set[str]) -> set[str]:
    """Return what a statement changes in place of that which only tests made: the rest is the answers' own."""
    return changed_names(item.node) - seen - item.imports


def open_reads(items: Iterable[Statement]) -> set[str]:
    """Return the names that a cell reads or changes and has not bound itself before."""
    reads, later, bound = set[str](), set[str](), set[str]()
    for item in items:
        reads |= (item.reads | changed_names(item.node)) - bound - _targets(item.node)
        later |= item.later
        if not is_compound(item.node):  # else it may bind nothing
            bound |= item.binds | item.imports
    return reads | (later - bound)


def _targets(node: ast.stmt) -> set[str]:
    """Return the names of a loop's own variables, which it binds before it reads them."""
    if not isinstance(node, ast.For):
        return set()
    return {inner.id for inner in ast.walk(node.target) if isinstance(inner, ast.Name)}
