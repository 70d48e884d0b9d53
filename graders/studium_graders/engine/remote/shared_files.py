"""Files that a test and the student's code have in common: the judge has a copy of the student's working folder.

It is made when the test begins, and brought up to date around each request. Nothing of it is run: a test that would
evaluate a file is refused (``judge.guard``). Files that were handed out stay here as they were handed out; where the
reference writes one of them, a test runs in one process as well.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studium_graders.engine.remote.empty_containers import in_file
from studium_graders.engine.remote.folder import MOST_FILES, Changes, Folder, difference

if TYPE_CHECKING:
    from studium_graders.engine.remote.policy import Policy


class SharedFiles:
    """Keeps the folder ``root`` like that of the student's process, asked by ``ask``; ``most`` bytes at a time.

    While files are shared it is ``active``: paths below one folder become those below the other, which mean the same.
    """

    def __init__(self, ask: Callable[..., Any], root: str, most: int, handed_out: Collection[str]) -> None:
        self._ask = ask
        self._handed_out = frozenset(handed_out)
        self._of_test: set[str] = set()
        self._folder = Folder(root, most)
        self._theirs = ""
        self._at_first: dict[str, bytes] = {}
        self._begun = False
        self.active = False

    @contextmanager
    def shared(self, *, again: bool) -> Iterator[None]:
        """Have the same files in both processes; with ``again`` as they were when this was last done."""
        if again:
            self.put_back()
        else:
            self._begin()
        self.active = True
        try:
            yield
        finally:
            try:
                self.agree()
            finally:
                self.active = False

    def rewritten(self) -> bool:
        """Tell whether a test was of files since the last call, and what was handed out has been written there."""
        begun, self._begun = self._begun, False
        return begun and bool(self._handed_out) and self._ask("rewritten", sorted(self._handed_out)) is True

    def put_back(self) -> None:
        """Let the files be in both processes as they were when the test began."""
        self._folder.make(difference(self._folder.known, self._at_first))
        self.agree()
        self._of_test.clear()

    def _begin(self) -> None:
        self._theirs, found = _place_and_files(self._ask("share", sorted(self._handed_out)))
        self._folder.changes()
        self._of_test.clear()
        there = {name: content for name, content in found.items() if content is not None}
        self._take(difference(self._folder.known, there))
        self._at_first = dict(self._folder.known)
        self._begun = True

    @property
    def outward(self) -> Callable[[str], str] | None:
        """What makes a path of here one of there, where it is wanted."""
        return partial(moved, old=self._folder.root, new=self._theirs) if self.active and self._theirs else None

    @property
    def inward(self) -> Callable[[str], str] | None:
        """What makes a path of there one of here, where it is wanted."""
        return partial(moved, old=self._theirs, new=self._folder.root) if self.active and self._theirs else None

    def agree(self, policy: "Policy | None" = None) -> None:
        """Exchange what has changed, in this process and the other; with a ``policy`` after a call of the other one's.

        It says whether what that has changed in files that were there at first, or that the test wrote, is changed
        here; and what a file holds here that is empty there.
        """
        changes = self._folder.changes()
        self._of_test = {name for name in self._of_test | changes.keys() if changes.get(name, b"") is not None}
        if policy is None:
            self._take(_files(self._ask("files", changes)) if changes else {})
            return
        found = _files(self._ask("files", changes))
        own = found.keys() & (self._of_test | self._at_first.keys())
        kept = own if own and not policy.may_change_files() else ()
        self._take({name: in_file(content, name, policy) for name, content in found.items() if name not in kept})

    def _take(self, changes: Changes) -> None:
        self._folder.take({name: content for name, content in changes.items() if name not in self._handed_out})


def _place_and_files(answer: Any) -> tuple[str, Changes]:
    """Read what the other process says; what is no such answer says nothing."""
    match answer:
        case (str(place), found) if Path(place).is_absolute():
            return place, _files(found)
    return "", {}


def _files(answer: Any) -> Changes:
    pairs = answer.items() if type(answer) is dict and len(answer) <= MOST_FILES else ()
    return {name: found for name, found in pairs if type(name) is str and (found is None or type(found) is bytes)}


def moved(text: str, old: str, new: str) -> str:
    """Give a path below the folder ``old`` as it is below ``new``; other text stays as it is."""
    return new + text.removeprefix(old) if text == old or text.startswith(f"{old}/") else text
