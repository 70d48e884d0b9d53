"""The report of an assignment as data: what the page shows, and what ``--json`` prints."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from studium_graders.class_list.absent import Absent
from studium_graders.engine.material.results import WAITING
from studium_graders.grading.answers.same_answers import SameAnswers
from studium_graders.report.class_data import Answer, ClassData, Exercise, Item
from studium_graders.report.clusters import Clusters, cluster_unnamed
from studium_graders.report.intervals import Interval, share
from studium_graders.report.items import (
    ItemStatistics,
    cronbach_alpha,
    exercise_scores,
    item_statistics,
    scores_of,
)
from studium_graders.report.mistakes import ExerciseMistakes, count_mistakes
from studium_graders.report.similarity import Similarity, similar_pairs

Sentence = Callable[[str], str]
"""Returns the sentence of a mistake's id, "" if it no longer exists."""

UNNAMED, UNTRIED = "without a name", "not attempted"


class Earlier(msgspec.Struct, frozen=True):
    """How many in an earlier term had full points in the same item."""

    term: str
    solved: Interval


class ItemRow(msgspec.Struct, frozen=True):
    """A test, or a whole exercise, with its statistics, and what those who failed it did: sentence and count."""

    exercise: str
    name: str
    hidden: bool
    points: float
    statistics: ItemStatistics
    failing: tuple[tuple[str, int], ...]
    earlier: tuple[Earlier, ...] = ()
    mode: str = "verified"


class Report(msgspec.Struct, frozen=True):
    """The report. ``alpha`` is Cronbach's alpha of all tests; ``sentences`` are those of the mistakes, by id."""

    assignment: str
    title: str
    students: int
    alpha: float | None
    tests: tuple[ItemRow, ...]
    exercises: tuple[ItemRow, ...]
    mistakes: tuple[ExerciseMistakes, ...]
    clusters: tuple[Clusters, ...]
    similarity: Similarity
    sentences: dict[str, str]
    notes: tuple[str, ...] = ()
    same: SameAnswers = SameAnswers()
    absent: Absent = Absent()

    @property
    def unverified(self) -> list[ItemRow]:
        """The tests whose results are the word of a process in which the students' code ran."""
        return [row for row in self.tests if row.mode == "unverified"]


def make_report(data: ClassData, sentence: Sentence, earlier: Sequence[ClassData] = ()) -> Report:
    """Return the report of a class; ``earlier`` are those of earlier terms, for the same or other exercises."""
    scores, points = scores_of(data)
    mistakes = count_mistakes(data)
    named = {count.mistake for exercise in mistakes for count in exercise.mistakes}
    return Report(
        data.assignment,
        data.title,
        len(data.answers),
        cronbach_alpha(scores, points),
        tuple(_test_rows(data, sentence, earlier)),
        tuple(_exercise_rows(data, sentence)),
        tuple(mistakes),
        tuple(cluster_unnamed(data)),
        similar_pairs(data, earlier),
        {mistake: sentence(mistake) or mistake for mistake in sorted(named)},
        data.notes,
        data.same,
        data.absent,
    )


def _test_rows(data: ClassData, sentence: Sentence, earlier: Sequence[ClassData]) -> Iterator[ItemRow]:
    statistics = iter(item_statistics(*scores_of(data)))
    for index, exercise in enumerate(data.exercises):
        for item in exercise.items:
            failing = [answer for answer in data.of(index).values() if not _has_passed(answer, item)]
            before = tuple(filter(None, (_before(term, exercise, item) for term in earlier)))
            yield ItemRow(
                exercise.name,
                item.name,
                item.hidden,
                item.points,
                next(statistics),
                _what_they_did(failing, sentence),
                before,
                _mode(data.of(index).values(), item),
            )


def _exercise_rows(data: ClassData, sentence: Sentence) -> Iterator[ItemRow]:
    scores, points = exercise_scores(data)
    for index, (exercise, found) in enumerate(zip(data.exercises, item_statistics(scores, points), strict=True)):
        failing = [answer for answer in data.of(index).values() if answer.outcome != "right"]
        failed = _what_they_did(failing, sentence)
        yield ItemRow(exercise.name, exercise.name, False, float(points[index]), found, failed)


def _mode(answers: Iterable[Answer], item: Item) -> str:
    modes = {answer.tests[item.grade_id].mode for answer in answers}
    return "unverified" if "unverified" in modes else "verified"


def _has_passed(answer: Answer, item: Item) -> bool:
    return answer.tests[item.grade_id].outcome in ("passed", *WAITING)


def _what_they_did(answers: Sequence[Answer], sentence: Sentence) -> tuple[tuple[str, int], ...]:
    """Count the mistakes of answers, most frequent first, those without a name last."""
    named = Counter(sentence(mistake) or mistake for answer in answers for mistake in answer.mistakes)
    rest = Counter(
        UNTRIED if answer.outcome == "not attempted" else UNNAMED for answer in answers if not answer.mistakes
    )
    return (*named.most_common(), *sorted(rest.items(), reverse=True))


def _before(term: ClassData, exercise: Exercise, item: Item) -> Earlier | None:
    for index, other in enumerate(term.exercises):
        same = [one for one in other.items if one.name == item.name]
        if (other.topic, other.id) == (exercise.topic, exercise.id) and same:
            answers = term.of(index).values()
            solved = sum(_has_passed(answer, same[0]) for answer in answers)
            return Earlier(term.title or term.assignment, share(solved, len(answers)))
    return None
