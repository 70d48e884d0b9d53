"""Which cells an answer needs: its own, and those that define what it uses.

Running the whole notebook for a check would first draw every figure. Names are followed from cell to cell; a cell that
may do anything (magic, ``exec``, a star import) is always needed.
"""

import ast
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from studium.exercises.syntax import parse

_FREE_HANDS = frozenset({"exec", "eval", "globals", "locals", "setattr"})
_LESSON = "lesson"  # what its methods do is kept in the journal, so no other cell depends on it


class CodeCell(msgspec.Struct, frozen=True):
    """A cell to run: its source, and the exercise answered in it ("" for none)."""

    source: str
    exercise: str = ""


@dataclass(frozen=True)
class Names:
    """What a cell does with names: those it reads from outside, and those it binds or changes.

    ``anything`` marks a cell for which neither can be determined.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    anything: bool = False


def needed(sources: list[str], wanted: Iterable[int]) -> list[int]:
    """Return the numbers of the cells to run, in order, for those in ``wanted`` to work."""
    cells = [names_in(source) for source in sources]
    chosen = set(wanted) | {number for number, cell in enumerate(cells) if cell.anything}
    while True:
        reads = frozenset[str]().union(*(cells[number].reads for number in chosen))
        more = {number for number, cell in enumerate(cells) if number not in chosen and cell.writes & reads}
        if not more:
            return sorted(chosen)
        chosen |= more


def names_in(source: str) -> Names:
    """Find a cell's names without running it."""
    try:
        tree, table = parse(source), symtable.symtable(source, "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError):  # magic, or an unfinished answer
        return Names(anything=True)
    reads = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    writes = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    for scope in _below(table):
        reads |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        writes |= {s.get_name() for s in scope.get_symbols() if s.is_declared_global() and s.is_assigned()}
    starred = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    return Names(frozenset(reads), frozenset(writes | set(_changed(tree))), starred or bool(reads & _FREE_HANDS))


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _below(child)


def _changed(tree: ast.Module) -> Iterator[str]:
    """Return the names whose objects a cell may change: ``x.y = …``, ``x[y] = …``, and the statement ``x.y(…)``."""
    for node in ast.walk(tree):
        changed = isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
        target = node if changed else node.value if isinstance(node, ast.Expr) else None
        while isinstance(target, ast.Attribute | ast.Subscript | ast.Call):
            target = target.func if isinstance(target, ast.Call) else target.value
            changed = changed or isinstance(target, ast.Attribute)
        if changed and isinstance(target, ast.Name) and target.id != _LESSON:
            yield target.id
