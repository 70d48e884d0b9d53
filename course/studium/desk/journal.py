"""One learner's journal of one workspace: what is recorded, and what is derived from it."""

from collections import defaultdict
from itertools import groupby
from pathlib import Path

from studium.desk.places import workspace_of
from studium.desk.records import Entry, Found, Hinted, Kept, Predicted, Revealed, What, new_entry
from studium.desk.settings import read_settings
from studium.desk.settings_form import Settings
from studium.desk.standing import Standing, checked, standing
from studium.desk.store import Store
from studium.errors import StudiumError
from studium.exercises.checking import ExerciseResult


class Journal:
    """The entries of the workspace that contains ``folder``."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.workspace = workspace_of(folder)

    @property
    def settings(self) -> Settings:
        """The learner's settings."""
        return read_settings(self.store)

    def write(self, lesson: str, exercise: str, what: What) -> Entry:
        """Record one thing."""
        entry = new_entry(lesson, exercise, what)
        self.store.add(self.workspace, [entry])
        return entry

    def write_result(self, lesson: str, result: ExerciseResult, answer: str) -> None:
        """Record the result of a check; "not attempted" is not an attempt, but it replaces an earlier wrong answer."""
        if result.outcome != "not attempted":
            self.write(lesson, result.id, checked(result, answer))
        elif self.standing(lesson, result.id).outcome == "wrong":
            self.write(lesson, result.id, Kept("reset", ""))

    def standing(self, lesson: str, exercise: str) -> Standing:
        """Return where the learner stands with one exercise."""
        return standing(self.store.entries(self.workspace, lesson, exercise))

    def standings(self) -> dict[str, dict[str, Standing]]:
        """Return where the learner stands with every exercise that was started, by lesson and name."""
        found: defaultdict[str, dict[str, Standing]] = defaultdict(dict)
        entries = sorted(self.store.entries(self.workspace), key=_place)  # a stable sort: the order in time stays
        for (lesson, exercise), members in groupby(entries, key=_place):
            if exercise:
                found[lesson][exercise] = standing(members)
        return dict(found)

    def take_hint(self, lesson: str, exercise: str, total: int) -> int:
        """Take the next of ``total`` hints and return how many have been taken. The last one can be taken again."""
        state = self.standing(lesson, exercise)
        least = self.settings.hints_after
        if state.attempts < least:
            raise StudiumError(f"try first: hints come after {_attempts(least)} at {exercise}; check an answer")
        taken = min(state.hints_taken + 1, total)
        if taken > state.hints_taken:
            self.write(lesson, exercise, Hinted(taken))
        return taken

    def reveal(self, lesson: str, exercise: str) -> None:
        """Record that the solution is shown; raise StudiumError if there have been too few attempts."""
        state = self.standing(lesson, exercise)
        if not state.may_see_solution(least := self.settings.reveal_after):
            raise StudiumError(
                f"try first: the solution of {exercise} comes after {_attempts(least)}; check an answer, then ask again"
            )
        if not state.revealed:
            self.write(lesson, exercise, Revealed())

    def predict(self, lesson: str, name: str, guess: float, question: str = "") -> None:
        """Record a guess. The first one counts, until the answer is found."""
        if self.guess(lesson, name) is None:
            self.write(lesson, "", Predicted(name, float(guess), question))

    def found(self, lesson: str, name: str, value: float, within: float = 0.1) -> Found | None:
        """Record the answer; a guess within the fraction ``within`` is a hit. Return None if nothing was guessed."""
        guess = self.guess(lesson, name)
        if guess is None:
            return None
        found = Found(name, float(value), abs(guess - value) <= within * abs(value), within)
        self.write(lesson, "", found)
        return found

    def guess(self, lesson: str, name: str) -> float | None:
        """Return the guess that is still waiting for its answer, or None."""
        waiting = self.waiting(lesson, name)
        return None if waiting is None else waiting.guess

    def waiting(self, lesson: str, name: str) -> Predicted | None:
        """Return the prediction that is still waiting for its answer, or None."""
        waiting = None
        for entry in self.store.entries(self.workspace, lesson, ""):
            if isinstance(entry.what, Predicted | Found) and entry.what.name == name:
                waiting = entry.what if isinstance(entry.what, Predicted) else None
        return waiting

    def keep(self, lesson: str, exercise: str, reason: str, answer: str) -> str:
        """Add an answer to the history and return the id of that version."""
        return self.write(lesson, exercise, Kept(reason, answer)).id  # type: ignore[arg-type]


def _place(entry: Entry) -> tuple[str, str]:
    return entry.lesson, entry.exercise


def _attempts(number: int) -> str:
    return "an attempt" if number == 1 else f"{number} attempts"
