"""Watch a topic: each time a file is saved, build the lesson and repeat the checks that depend on the file."""

import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from studium.authoring.changes import changed_exercises, exercises_in, is_of_exercises, touched_checks
from studium.authoring.findings import CheckResult
from studium.authoring.watch_process import Round, Told, serve, warm_up
from studium.workers.job import Job, follow
from studium.workers.warm import Warm

_told = msgspec.msgpack.Decoder(Told)


class Watcher:
    """The state of a topic in a folder: the last result of every check. ``tell`` gets each event of a round."""

    def __init__(self, target: str, folder: Path, profile: str, tell: Callable[[Told], None]) -> None:
        self.target, self.folder, self.profile, self.tell = target, folder, profile, tell
        self.results: dict[str, CheckResult] = {}
        self._number = 0
        self._source = self._exercises()
        self._warm = Warm()
        self._warm.call(warm_up)
        self._scratch = tempfile.TemporaryDirectory(prefix="studium-")
        self._idle = threading.Event()
        self._listener = threading.Thread()
        self._ask([], [])

    def changed(self, files: set[Path]) -> bool:
        """Repeat the checks that depend on these files, and those that a round still running has not finished.

        Return whether there are any.
        """
        names = {file.resolve().relative_to(self.folder.resolve()).as_posix() for file in files}
        only, exercises = touched_checks(names), self._changed_exercises(names)
        if not only:
            return False
        waiting = not self._idle.is_set()
        failing = {name for name, result in self.results.items() if not result.passed}
        everything = waiting or bool(failing & {"imports", "solutions"})
        self._ask([] if everything else sorted(only), [] if everything or failing & only else sorted(exercises))
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for the round to end; return whether it has."""
        return self._idle.wait(seconds)

    def close(self) -> None:
        """End the child and its round."""
        self._end_round()
        self._warm.close()
        self._scratch.cleanup()

    def _changed_exercises(self, names: set[str]) -> set[str]:
        """Return the exercises that changed with these files; none if it could be any of them."""
        if "exercises.py" not in names:
            is_gone = any(is_of_exercises(name) and not (self.folder / name).is_file() for name in names)
            return set() if is_gone else exercises_in(names)
        source = self._exercises()
        exercises = changed_exercises(self._source, source) or set()
        self._source = source
        return exercises

    def _exercises(self) -> str:
        path = self.folder / "exercises.py"
        return path.read_text("utf-8") if path.is_file() else ""

    def _ask(self, only: list[str], exercises: list[str]) -> None:
        self._end_round()
        known = [name for name, result in self.results.items() if result.passed and only]
        outputs = str(Path(self._scratch.name) / "outputs.json")
        asked = Round(
            self._number, self.target, outputs, self.profile, only, exercises, [n for n in known if n not in only]
        )
        self._listener = threading.Thread(target=self._listen, args=(asked,), daemon=True)
        self._listener.start()

    def _end_round(self) -> None:
        self._number += 1
        self._idle.clear()
        if self._listener.ident:
            self._listener.join()

    def _listen(self, asked: Round) -> None:
        job = Job(partial(serve, asked), Path(self._scratch.name) / f"events-{asked.number}")
        with self._warm.launch(job) as round_of_checks:
            for told in follow(round_of_checks, job.events, _told):
                if asked.number != self._number:  # another one is waiting
                    return
                if told:
                    self._hear(told)

    def _hear(self, told: Told) -> None:
        if told.result:
            self.results[told.result.name] = told.result
        self.tell(told)
        if told.over:
            self._idle.set()
