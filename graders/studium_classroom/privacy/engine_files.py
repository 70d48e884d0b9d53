"""What grading keeps: the newest result of each submission, and the history of all of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from studium_graders.feedback.stored import read_result
from studium_graders.results.history import Attempt, open_history, read_attempts
from studium_graders.results.store import file_name

from studium_classroom.privacy.place import Item, as_json, counted


class Results:
    """The results store of a course, for all assignments."""

    name = "results"

    def __init__(self, root: Path) -> None:
        self._folder = root / ".studium" / "results"

    def holds(self, person: str) -> Mapping[str, int]:
        """Return the number of results."""
        return counted(result=len(self._files(person)))

    def items(self, person: str) -> Iterator[Item]:
        """Return each result as JSON."""
        for path in self._files(person):
            what = "what grading found in the newest submission; it has words of hidden tests"
            yield Item(f"results/{path.parent.name}.json", what, as_json(read_result(path.parent, person)))

    def erase(self, person: str) -> None:
        """Remove the results."""
        for path in self._files(person):
            path.unlink()

    def _files(self, person: str) -> list[Path]:
        name = f"{file_name(person)}.msgpack"
        folders = sorted(self._folder.iterdir()) if self._folder.is_dir() else []
        return [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.name == name]


class HistoryRows:
    """The file history.db of a course."""

    name = "history"

    def __init__(self, root: Path) -> None:
        self._root = root

    def holds(self, person: str) -> Mapping[str, int]:
        """Return the numbers of attempts and of results of them."""
        attempts = self._attempts(person)
        return counted(attempt=len(attempts), result=sum(len(one.results) for one in attempts))

    def items(self, person: str) -> Iterator[Item]:
        """Return the attempts as JSON."""
        if attempts := self._attempts(person):
            yield Item("history.json", "each graded attempt, and its points each time", as_json(attempts))

    def erase(self, person: str) -> None:
        """Remove the attempts."""
        if self.holds(person):
            with open_history(self._root) as history:
                history.forget(person)

    def _attempts(self, person: str) -> list[Attempt]:
        return [one for one in read_attempts(self._root, student=person) if one.student == person]
