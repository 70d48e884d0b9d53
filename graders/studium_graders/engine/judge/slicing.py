"""Which statements of given cells and of tests the judge may run by itself: those that need nothing of the student's.

A definition reads the names in its body when it is called, so a given function that calls the student's may be defined
here; a statement that calls such a function is left to the student's process, and so is all that builds on it.
"""

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from studium_graders.engine.judge.names import Statement, changed_names, filled_names, is_definition

_FOR_SHOW = {"plt", "matplotlib", "sns", "display", "print", "pylab"}


@dataclass
class Dependence:
    """Follows a notebook from its first statement on, and tells what depends on the student."""

    student: set[str]
    inside: dict[str, frozenset[str]] = field(default_factory=dict)
    data: set[str] = field(default_factory=set)  # names that statements bound which need nothing of the student's

    def take(self, item: Statement) -> bool:
        """Return whether a statement needs nothing of the student's, and remember what it binds and changes."""
        clean = not self._reached(item.reads) & self.student
        if not clean:
            self.student |= item.binds | filled(item, self.data)
            return False
        for name in item.binds:
            self.student.discard(name)
            self.inside[name] = item.later
        self.data |= data_of(item)
        return True

    def _reached(self, names: Iterable[str]) -> set[str]:
        reached: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.inside.get(name, ())
        return reached


def clean_statements(cells: Mapping[str, list[Statement]], owned: frozenset[str]) -> dict[str, list[Statement]]:
    """Return, by cell, the statements that need nothing of the student's."""
    dependence = Dependence(set(owned) | {"get_ipython"})
    found = {cell: [item for item in items if dependence.take(item)] for cell, items in cells.items()}
    return {cell: [item for item in items if not item.binds & owned] for cell, items in found.items()}


def data_of(item: Statement) -> frozenset[str]:
    """Return the names that a statement binds to anything but a function or a class."""
    return frozenset() if is_definition(item.node) else item.binds


def filled(item: Statement, data: Collection[str]) -> frozenset[str]:
    """Return the names of data that a statement changes in place, as ``losses.append(step(x))`` does."""
    return frozenset(filled_names(item.node).intersection(data))


def left_to_student(items: Iterable[Statement], clean: Iterable[Statement], data: Collection[str]) -> frozenset[str]:
    """Return the names of a cell that are last bound, or as ``data`` changed, by what the judge does not run.

    It has them as they were before.
    """
    run_here = {id(item) for item in clean}
    last: dict[str, bool] = {}
    for item in items:
        here = id(item) in run_here
        last |= dict.fromkeys(item.binds if here else item.binds | filled(item, data), here)
    return frozenset(name for name, here in last.items() if not here)


def needed(items: Iterable[Statement], names: Iterable[str], *, set_up: bool = True) -> list[Statement]:
    """Return the statements that make ``names`` what they are and, with ``set_up``, those that set up a library."""
    items = list(items)
    wanted, kept = set(names), {id(item) for item in items if set_up and _sets_up(item.node)}
    size = -1
    while size != len(kept):
        size = len(kept)
        for item in reversed(items):
            if id(item) in kept or (item.binds | item.imports | changed_names(item.node)) & wanted:
                kept.add(id(item))
                wanted |= item.reads | item.later
    return [item for item in items if id(item) in kept]


def _sets_up(node: ast.stmt) -> bool:
    """Return whether a statement is a call into a library for its effect, as ``np.random.seed(0)`` is."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    root = node.value.func
    if not isinstance(root, ast.Attribute):
        return False
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(root, ast.Name) and root.id not in _FOR_SHOW
