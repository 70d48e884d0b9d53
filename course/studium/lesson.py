"""The learner's side of a lesson, inside the notebook: check, hint, reveal, predict, and "mine"."""

import inspect
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import (
    ExerciseResult,
    TestRun,
    check,
    examine,
    first_difference,
    untouched,
    with_sentence,
)
from studium.exercises.comparison import DifferenceError, show_difference
from studium.errors import StudiumError
from studium.exercises.model import Exercise
from studium.experiments.predictions import Prediction
from studium.topics.profiles import Profile, choose_profile
from studium.exercises.sources import solved
from studium.topics.topic import Topic
from studium.exercises.verdict import Note, Verdict

if TYPE_CHECKING:
    from types import EllipsisType

    from studium.desk.journal import Journal


class Captioned(Protocol):
    """A widget with *Save as image*, as every one of ``studium_widgets`` is."""

    def captioned(self, lesson: str, claim: str, measured: str) -> Self: ...


_W = TypeVar("_W", bound=Captioned)

STAND_IN = "so the course's own version runs instead."
"""The end of the line that ``Lesson.mine`` prints if an answer is not right."""


def open_lesson(slug: str, profile: str | None = None) -> "Lesson":
    """Open the lesson of a topic; ``profile`` is smoke, laptop or gpu (by default the largest this machine can run)."""
    lesson = Lesson(load_catalogue()[slug], choose_profile(profile))
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):  # a notebook's own
        from studium.desk.memory_guard import guard_memory
        from studium.experiments.reproduced import show_reproductions

        guard_memory(shell, slug, lesson.profile)
        show_reproductions(shell, lesson.topic, lesson.profile, lesson.findings)
    return lesson


class Lesson:
    """One topic at the learner's desk. What was tried, and which hints were taken, is recorded permanently."""

    def __init__(self, topic: Topic, profile: Profile) -> None:
        self.topic = topic
        self.profile = profile
        self._results: dict[str, ExerciseResult] = {}
        self._functions: dict[str, object] = {}
        self._differences: dict[str, DifferenceError | None] = {}
        self.findings: list[Prediction] = []

    def check(self, function: Any) -> Verdict:
        """Check an answer: right, wrong (which test, first difference, likely mistake) or not attempted."""
        exercise = self._exercise(function)
        answer = None if isinstance(function, str) else function
        result, runs = untouched(exercise), list[TestRun]()
        if answer is not None:
            result, runs = examine(self.topic.slug, exercise, answer, beside=self.topic.exercises)
        self._results[exercise.id], self._functions[exercise.id] = result, answer
        self._differences[exercise.id] = first_difference(runs)
        shown = with_sentence(result, exercise.sentence_of(result.mistake_id))
        verdict = Verdict(shown, self.topic.slug, public=exercise.public, answer=(source := _source(answer)))
        try:
            self._journal.write_result(self.topic.slug, result, source)
        except StudiumError as error:
            return replace(verdict, remark=f"Not recorded: {error}")
        return verdict

    def difference(self, function: Any) -> Any:
        """Show your array next to the expected one, from the first test of the last check in which arrays differed."""
        exercise = self._exercise(function)
        if exercise.id not in self._results:
            return Note(f"Run lesson.check({exercise.id}) first; then you can look at the difference.")
        found = self._differences[exercise.id]
        if found is None:
            return Note(f"The last check of {exercise.id} found no arrays that differ; its message is all there is.")
        return show_difference(found) or Note(str(found))

    def hint(self, function: Any) -> Note:
        """Return the next hint; after the last one, return them all again."""
        exercise = self._exercise(function)
        total = len(exercise.hints)
        if not total:
            return Note(f"{exercise.id} has no hints; lesson.check({exercise.id}) tells you what is wrong.")
        try:
            taken = self._journal.take_hint(self.topic.slug, exercise.id, total)
        except StudiumError as error:
            return Note(_sentence(error))
        numbered = enumerate(exercise.hints[:taken], 1)
        return Note("\n".join(f"Hint {number} of {total}: {text}" for number, text in numbered))

    def reveal(self, function: Any) -> Note:
        """Show a solution, once an attempt has been checked. This is recorded."""
        exercise = self._exercise(function)
        if exercise.public:
            return Note(f"This edition has no solution for {exercise.id}; ask your instructor.")
        try:
            self._journal.reveal(self.topic.slug, exercise.id)
        except StudiumError as error:
            return Note(_sentence(error))
        return Note(f"One solution of {exercise.id}:", code=solved(exercise))

    def mine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return your function if it is right; otherwise print a note and return a correct one."""
        exercise, outcome = self._exercise(function), self._outcome(function)
        if outcome == "right" or exercise.public:
            return function
        state = "not right" if outcome == "wrong" else outcome
        print(f"{exercise.id} is {state} yet, {STAND_IN}")  # noqa: T201
        return exercise.solution

    def keepsake(self, widget: _W, claim: str, measured: str, *functions: Callable[..., Any]) -> _W:
        """Return the widget with *Save as image*, whose caption has lesson, claim, measured number and date.

        The caption names the functions that made the picture, and calls them the learner's own if all are right.
        """
        own = all(self._outcome(function) == "right" for function in functions)
        names = " and ".join(self._exercise(function).id for function in functions)
        whose = "my own" if own else "the lesson's"
        return widget.captioned(self.topic.title, f"{claim}, with {whose} {names}", measured)

    def predict(self, name: str, guess: "float | EllipsisType", question: str = "") -> Note:
        """Record what you expect, before you look. The first guess counts; ``...`` means no guess yet."""
        if guess is ...:
            return Note("Replace the dots with your number, and run the cell again.")
        if not isinstance(guess, int | float) or not math.isfinite(guess):
            return Note(f"A guess is one number, such as 3 or 0.5: got {guess!r}.")
        self._journal.predict(self.topic.slug, name, guess, question)
        return Note(f"You expect {guess:g} for {name}. Now find out.")

    def found(self, name: str, value: float, within: float = 0.1) -> "Prediction | Note":
        """Compare the result with your guess; a guess within the fraction ``within`` is a hit.

        A notebook shows the comparison below the cell, even if this is not the cell's last line.
        """
        value = float(value)  # a tensor, for example
        if not math.isfinite(value):
            return Note(f"{name} did not come out as a number here ({value:g}), so your guess is still open.")
        waiting = self._journal.waiting(self.topic.slug, name)
        found = self._journal.found(self.topic.slug, name, value, within)
        finding = Prediction(name, value)
        if waiting is not None and found is not None:
            finding = Prediction(name, value, waiting.guess, found.hit, waiting.question)
        self.findings.append(finding)
        return finding

    @cached_property
    def _journal(self) -> "Journal":
        from studium.desk.journal import Journal
        from studium.desk.store import Store

        return Journal(Store(), Path.cwd())

    def _outcome(self, function: Callable[..., Any]) -> str:
        exercise = self._exercise(function)
        known = self._functions.get(exercise.id) is function and exercise.id in self._results
        result = self._results[exercise.id] if known else check(self.topic.slug, exercise, function, seconds=0)
        return result.outcome

    def _exercise(self, function: Any) -> Exercise:
        name = function if isinstance(function, str) else getattr(function, "__name__", repr(function))
        return self.topic.exercise(name)


def _source(function: object) -> str:
    """Return the text of an answer, "" if it is not known.

    In a notebook this is the whole cell, as in a check of the notebook, so the same answer is one attempt.
    """
    try:
        file, text = inspect.getsourcefile(function), inspect.getsource(function)  # type: ignore[arg-type]
        if file and not Path(file).exists():  # a cell
            text = "".join(inspect.findsource(function)[0])  # type: ignore[arg-type]
    except (OSError, TypeError):
        return ""
    return text


def _sentence(error: StudiumError) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
