"""What a test leaves for the answers after it: the names that it binds where students see it."""

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from studium_graders.engine.judge.names import Statement, changed_names, is_definition
from studium_graders.engine.judge.ownership import statements_of
from studium_graders.engine.material.assignment import Cell


@dataclass(frozen=True)
class Left:
    """Names that a test binds, and those that its hidden part has had in its hands.

    ``texts`` are the import statements and definitions under names that no other cell binds.
    """

    seen: frozenset[str]
    hidden: frozenset[str]
    texts: Mapping[str, str]

    @property
    def imports(self) -> dict[str, str]:
        """The texts that import something."""
        return {name: text for name, text in self.texts.items() if text.startswith(("import ", "from "))}

    def after(self, before: Mapping[str, str]) -> dict[str, str]:
        """Return what is left once the test has run, where ``before`` was: names, each with its text or ""."""
        now = {**before, **dict.fromkeys(self.seen, ""), **self.texts}
        return {name: text for name, text in now.items() if name not in self.hidden}


def left_by(cell: Cell, owned: frozenset[str], elsewhere: Collection[str] = ()) -> Left:
    """Look at a test cell. Names that are ``owned`` by the student are in the student's process anyway.

    So are imports and definitions of other cells, which bind the names ``elsewhere``.
    """
    items = statements_of(cell)
    seen = statements_of(msgspec.structs.replace(cell, source=cell.released)) if cell.hidden else items
    texts = {ast.unparse(item.node) for item in seen}
    hidden = [item for item in items if ast.unparse(item.node) not in texts]
    touched = frozenset(name for item in hidden for name in item.binds | changed_names(item.node))
    return Left(frozenset(name for item in seen for name in item.binds) - owned, touched, _texts(seen, elsewhere))


def _texts(items: Iterable[Statement], elsewhere: Collection[str]) -> dict[str, str]:
    named = [(item, name) for item in items if item.imports or is_definition(item.node) for name in _names(item)]
    return {name: ast.unparse(item.node) for item, name in named if name not in elsewhere}


def _names(item: Statement) -> frozenset[str]:
    return item.binds | item.imports


def bound_by(cells: Iterable[Cell]) -> frozenset[str]:
    """Return the names that cells bind or import, but for tests."""
    return frozenset(
        name for cell in cells if cell.kind != "test" for item in statements_of(cell) for name in _names(item)
    )
