"""The learner's side of a lesson, inside the notebook: check, hint, reveal, and "mine"."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from studium.catalogue import load_catalogue
from studium.checking import ExerciseResult, check, untouched
from studium.exercises import Exercise
from studium.profiles import Profile, choose_profile
from studium.sources import solved
from studium.topic import Topic
from studium.verdict import Note, Verdict


def open_lesson(slug: str, profile: str | None = None) -> "Lesson":
    """Open the lesson of a topic; ``profile`` is one of smoke, laptop, gpu (the best for this machine if left out)."""
    return Lesson(load_catalogue()[slug], choose_profile(profile))


class Lesson:
    """One sitting with one topic: what has been tried, and how many hints were taken."""

    def __init__(self, topic: Topic, profile: Profile) -> None:
        self.topic = topic
        self.profile = profile
        self._results: dict[str, ExerciseResult] = {}
        self._functions: dict[str, object] = {}
        self._hints_taken: Counter[str] = Counter()

    def check(self, function: Any) -> Verdict:
        """Check an answer: right, wrong (which test, first difference, likely mistake) or not attempted."""
        exercise = self._exercise(function)
        answer = None if isinstance(function, str) else function
        result = untouched(exercise) if answer is None else check(self.topic.slug, exercise, answer)
        self._results[exercise.id], self._functions[exercise.id] = result, answer
        return Verdict(result, public=exercise.public)

    def hint(self, function: Any) -> Note:
        """Give the next hint; after the last one, all of them again."""
        exercise = self._exercise(function)
        total = len(exercise.hints)
        if not total:
            return Note(f"There is no hint for {exercise.id}; what lesson.check({exercise.id}) says is the hint.")
        self._hints_taken[exercise.id] = taken = min(self._hints_taken[exercise.id] + 1, total)
        numbered = enumerate(exercise.hints[:taken], 1)
        return Note("\n".join(f"Hint {number} of {total}: {text}" for number, text in numbered))

    def reveal(self, function: Any) -> Note:
        """Show a solution, once an answer has been checked that was an attempt."""
        exercise = self._exercise(function)
        if exercise.public:
            return Note(f"This edition has no solution of {exercise.id}; ask your instructor.")
        if self._outcome(exercise) == "not attempted":
            return Note(f"Try first: write something, run lesson.check({exercise.id}), then ask again.")
        return Note(f"One solution of {exercise.id}:", code=solved(exercise))

    def mine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give your function if it is right; else say so, and give a correct one, so that the lesson goes on."""
        exercise = self._exercise(function)
        known = self._functions.get(exercise.id) is function and exercise.id in self._results
        result = self._results[exercise.id] if known else check(self.topic.slug, exercise, function)
        if result.outcome == "right" or exercise.public:
            return function
        state = "not right" if result.outcome == "wrong" else result.outcome
        print(f"{exercise.id} is {state} yet, so the course's own runs in its place.")  # noqa: T201
        return exercise.solution

    def _outcome(self, exercise: Exercise) -> str:
        return self._results[exercise.id].outcome if exercise.id in self._results else "not attempted"

    def _exercise(self, function: Any) -> Exercise:
        name = function if isinstance(function, str) else getattr(function, "__name__", repr(function))
        return self.topic.exercise(name)
