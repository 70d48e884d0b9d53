"""What tests need of earlier ones, and what the cells after a test find of it in the student's process.

Text is run there of what cannot be handed over: functions, classes and imports, and tests that do not run here.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from studium_graders.engine.judge.namespace import Namespace
from studium_graders.engine.judge.plain_data import is_plain_data
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.kinds.proxies import is_proxy


@dataclass(frozen=True)
class Earlier:
    """A statement of an earlier test cell, without which a later test cannot run by itself.

    ``by_text`` where the judge has it, for it is a definition or an import.
    """

    cell: str
    source: str
    hidden: bool
    by_text: bool


@dataclass
class Brought:
    """Brings the student's process what tests leave. ``waiting`` are tests that were not run, by the names they bind.

    Of these there is the text that students see.
    """

    namespace: Namespace
    waiting: dict[str, str] = field(default_factory=dict)
    _imported: set[str] = field(default_factory=set)

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
            elif name in self.waiting:
                self._run_test(self.waiting[name])
            elif is_proxy(value) or is_plain_data(value):
                self._goes(name, value if is_proxy(value) else copy.deepcopy(value))

    def _run_test(self, source: str) -> None:
        self.waiting = {name: text for name, text in self.waiting.items() if text != source}
        self.namespace.student.run(source, passing=True)

    def _goes(self, name: str, value: Any) -> None:
        """Return a value away for good, if nothing in it would be asked for here."""
        if not is_plain_data(value, objects=True):
            return
        try:
            self.namespace.student.set(name, value)
        except StudentGone:
            raise
        except Exception:  # it stays here
            return
