"""How often each mistake was made, and how many wrong answers no registered mistake explains."""

from collections import Counter

import msgspec

from studium_graders.report.class_data import ClassData
from studium_graders.report.items import Interval, share


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
        """How many wrote something."""
        return self.right + self.wrong


def count_mistakes(data: ClassData) -> list[ExerciseMistakes]:
    """Return the counts for each exercise, in their order. An answer with two named mistakes counts for both."""
    return [_counted(data, index) for index in range(len(data.exercises))]


def _counted(data: ClassData, index: int) -> ExerciseMistakes:
    answers = data.of(index).values()
    outcomes = Counter(answer.outcome for answer in answers)
    named = Counter(mistake for answer in answers for mistake in answer.mistakes)
    unnamed = sum(answer.is_unnamed for answer in answers)
    tried = outcomes["right"] + outcomes["wrong"]
    counts = [MistakeCount(mistake, count, share(count, tried)) for mistake, count in named.most_common()]
    return ExerciseMistakes(
        data.exercises[index].name,
        outcomes["right"],
        outcomes["wrong"],
        outcomes["not attempted"],
        len(data.answers) - sum(outcomes.values()),
        tuple(counts),
        MistakeCount("", unnamed, share(unnamed, tried)),
        share(unnamed, outcomes["wrong"]),
    )
