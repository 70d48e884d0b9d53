"""How often each mistake was made, and how many wrong answers no registered mistake explains."""

from collections import Counter
from collections.abc import Collection
from typing import Protocol

import msgspec

from studium_graders.report.class_data import ClassData
from studium_graders.report.intervals import Interval, share


class MistakeCount(msgspec.Struct, frozen=True):
    """A mistake by its id ("" for wrong answers without a name), and how many of those who tried made it."""

    mistake: str
    count: int
    share: Interval


class ExerciseMistakes(msgspec.Struct, frozen=True):
    """One exercise: answers by outcome, mistakes by frequency, and the unnamed share of the wrong answers."""

    exercise: str
    right: int
    wrong: int
    not_attempted: int
    missing: int
    mistakes: tuple[MistakeCount, ...]
    unnamed: MistakeCount
    unnamed_of_wrong: Interval

    @property
    def tried(self) -> int:
        """How many students wrote something."""
        return self.right + self.wrong


class Judged(Protocol):
    """An answer with a known outcome, and the ids of the mistakes that were recognised in it."""

    @property
    def outcome(self) -> str:
        """Return "right", "wrong" or "not attempted"."""

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Return the ids, none if nothing was recognised."""


def count_mistakes(data: ClassData) -> list[ExerciseMistakes]:
    """Return the counts for each exercise, in order. An answer with two named mistakes counts for both."""
    return [
        count_exercise(exercise.name, data.of(index).values(), len(data.answers))
        for index, exercise in enumerate(data.exercises)
    ]


def count_exercise(name: str, answers: Collection[Judged], students: int) -> ExerciseMistakes:
    """Return the counts for one exercise; those of ``students`` who are not in ``answers`` are missing."""
    outcomes = Counter(answer.outcome for answer in answers)
    named = Counter(mistake for answer in answers for mistake in answer.mistakes)
    unnamed = sum(answer.outcome == "wrong" and not answer.mistakes for answer in answers)
    tried = outcomes["right"] + outcomes["wrong"]
    counts = [MistakeCount(mistake, count, share(count, tried)) for mistake, count in named.most_common()]
    return ExerciseMistakes(
        name,
        outcomes["right"],
        outcomes["wrong"],
        outcomes["not attempted"],
        students - sum(outcomes.values()),
        tuple(counts),
        MistakeCount("", unnamed, share(unnamed, tried)),
        share(unnamed, outcomes["wrong"]),
    )
