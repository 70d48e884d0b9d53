"""What a test leaves for the answers after it: the names that it binds where students see it."""

import ast
from dataclasses import dataclass

import msgspec

from studium_graders.engine.judge.names import changed_names
from studium_graders.engine.judge.ownership import statements_of
from studium_graders.engine.material import Cell


@dataclass(frozen=True)
class Left:
    """Names that a test binds, and those that its hidden part has had in its hands."""

    seen: frozenset[str]
    hidden: frozenset[str]

    def after(self, before: frozenset[str]) -> frozenset[str]:
        """Give what is left once the test has run, where ``before`` was."""
        return (before | self.seen) - self.hidden


def left_by(cell: Cell, owned: frozenset[str]) -> Left:
    """Look at a test cell. Names that are ``owned`` by the student are in the student's process anyway."""
    items = statements_of(cell)
    seen = statements_of(msgspec.structs.replace(cell, source=cell.released)) if cell.hidden else items
    texts = {ast.unparse(item.node) for item in seen}
    hidden = [item for item in items if ast.unparse(item.node) not in texts]
    touched = frozenset(name for item in hidden for name in item.binds | changed_names(item.node))
    return Left(frozenset(name for item in seen for name in item.binds) - owned, touched)
