"""What a test that runs in the student's process needs of earlier tests, and how it gets there.

Nothing happens twice: what ran in that process is there. Of a test that ran here the values go there that it left: the
student's own objects and plain data. Text is run of what cannot be handed over: functions, classes and imports, and
what makes other objects of the test's own; and of tests that had their turn in an earlier attempt, in another process.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.judge.plain_data import is_plain_data
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.kinds.proxies import is_proxy


@dataclass(frozen=True)
class Earlier:
    """A statement of an earlier test cell. ``names`` are those that it binds or whose objects it changes here.

    ``by_text`` where it is always run there, ``repeatable`` where it may be for want of a value that can be given.
    """

    cell: str
    place: int
    source: str
    names: frozenset[str]
    hidden: bool
    by_text: bool
    repeatable: bool


@dataclass
class Brought:
    """What the student's process has of tests.

    ``split`` are the cells that ran in the judge, ``together`` those that ran there. ``hidden`` once values here may
    come from a hidden test whose cell was not run.
    """

    namespace: Namespace
    split: set[str] = field(default_factory=set)
    together: set[str] = field(default_factory=set)
    hidden: bool = False
    _statements: set[Earlier] = field(default_factory=set)
    _imported: set[str] = field(default_factory=set)

    def bring(self, items: Iterable[Earlier]) -> bool:
        """Bring what is not there yet; tell whether something of a hidden test can be in it."""
        missing = self._missing(items)
        given: set[str] = set()
        for item in missing:
            if not self._is_handed_over(item, given):
                self.namespace.student.run(item.source)
        self._statements.update(missing)
        return any(item.hidden for item in missing) or (self.hidden and bool(given))

    def bring_imports(self, texts: Iterable[str]) -> None:
        """Import what a test that students see is about to import: an answer that it calls may count on that."""
        for text in texts:
            if text not in self._imported:
                self._imported.add(text)
                self.namespace.student.run(text)

    def give(self, left: Mapping[str, str]) -> None:
        """Send the student's process what tests have bound, for the cell that runs next: by its text, if it has one.

        Objects of the student's own go back; of the test's, data go as copies, and nothing that both would share.
        """
        for name, text in left.items():
            value = dict.get(self.namespace, name)
            if text and value is not None:
                self.namespace.student.run(text)
            elif is_proxy(value) or is_plain_data(value):
                self._goes(name, value if is_proxy(value) else copy.deepcopy(value))

    def _missing(self, items: Iterable[Earlier]) -> list[Earlier]:
        """Return the statements that are not there, without those whose names a later test has bound there since."""
        found: list[Earlier] = []
        since: set[str] = set()
        for item in reversed(list(items)):
            if item.cell in self.together:
                since |= item.names
            elif item not in self._statements and not (item.names and item.names <= since):
                found.insert(0, item)
        return found

    def _is_handed_over(self, item: Earlier, given: set[str]) -> bool:
        if item.by_text or item.cell not in self.split:
            return False
        kept = [name for name in sorted(item.names - given) if not self._hand_over(name, given)]
        return not (kept and item.repeatable)

    def _hand_over(self, name: str, given: set[str]) -> bool:
        """Return the student's process the value of a name, if there is one; tell whether it can be given."""
        if not dict.__contains__(self.namespace, name):
            return True
        if not self._goes(name, dict.__getitem__(self.namespace, name)):
            return False
        given.add(name)
        return True

    def _goes(self, name: str, value: Any) -> bool:
        """Return a value away for good, if nothing in it would be asked for here."""
        if not (value is None or is_plain_data(value, objects=True) or isinstance(value, ModuleType)):
            return False
        try:
            self.namespace.student.set(name, value)
        except StudentGone:
            raise
        except Exception:  # it stays here
            return False
        return True
