"""What a topic's author can learn from classes: mistakes without a name, and nothing about who made them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError

from studium_graders.report.class_data import Answer, ClassData, Exercise
from studium_graders.report.clusters import cluster_unnamed
from studium_graders.report.intervals import Interval
from studium_graders.report.mistakes import MistakeCount, count_mistakes
from studium_graders.report.reading import read_class

FEWEST = 3  # fewest students behind anything an author is shown


class MinedMistake(msgspec.Struct, frozen=True):
    """A mistake without a name: how many made it, which tests they fail, and the code that registers it."""

    count: int
    share: Interval
    failed: tuple[str, ...]
    code: str


class MinedExercise(msgspec.Struct, frozen=True):
    """An exercise: how many tried it, how often its registered mistakes were made, and those to be registered."""

    exercise: str
    tried: int
    wrong: int
    unnamed: int
    named: tuple[MistakeCount, ...]
    found: tuple[MinedMistake, ...]


class Mined(msgspec.Struct, frozen=True):
    """What classes reveal about a topic. ``notes`` are sentences about what could not be used."""

    topic: str
    classes: int
    exercises: tuple[MinedExercise, ...]
    notes: tuple[str, ...] = ()


def mine(slug: str, roots: Sequence[Path], catalogue: Catalogue) -> Mined:
    """Search all graded assignments of the courses in ``roots`` for answers to a topic's exercises.

    Raise UnknownNameError for an unknown topic, CourseError if none of the courses has answers to it.
    """
    catalogue[slug]
    classes = [data for root in roots for data in classes_of(root, catalogue)]
    data, skipped = merged(slug, classes)
    if not data.answers:
        raise CourseError(
            f"graded answers to {slug} are needed: {', '.join(map(str, roots))} has none; run studium grade there first"
        )
    found = zip(count_mistakes(data), cluster_unnamed(data, FEWEST), strict=True)
    exercises = tuple(
        MinedExercise(
            counts.exercise,
            counts.tried,
            counts.wrong,
            counts.unnamed.count,
            counts.mistakes,
            tuple(MinedMistake(len(one.students), one.share, one.failed, one.code) for one in groups.clusters),
        )
        for counts, groups in found
    )
    notes = (f"{skipped} answers were left out: the topic's tests have changed since",) if skipped else ()
    return Mined(slug, len(classes), exercises, notes)


def classes_of(root: Path, catalogue: Catalogue) -> Iterator[ClassData]:
    """Return the class of each graded assignment of a course. Raise CourseError if there is none."""
    folders = sorted(path for path in (root / ".studium" / "results").glob("*") if any(path.glob("*.msgpack")))
    if not folders:
        raise CourseError(f"a course with graded assignments is needed: {root} has none; name it with --from")
    for folder in folders:
        yield read_class(root, folder.name, catalogue)


def merged(slug: str, classes: Sequence[ClassData]) -> tuple[ClassData, int]:
    """Return one class of everyone who answered exercises of a topic, under numbers, and how many answers do not fit.

    If classes had different tests, those of the first class with an exercise count.
    """
    exercises: dict[str, Exercise] = {}
    rows: list[dict[str, Answer]] = []
    skipped = 0
    for data in classes:
        for answers in data.answers.values():
            row = {}
            for exercise, answer in zip(data.exercises, answers, strict=True):
                if answer is None or exercise.topic != slug:
                    continue
                known = exercises.setdefault(exercise.id, exercise)
                if answer.tests.keys() == {item.grade_id for item in known.items}:
                    row[exercise.id] = answer
                else:
                    skipped += 1
            rows.append(row)
    people = {str(number): tuple(map(row.get, exercises)) for number, row in enumerate(filter(None, rows), 1)}
    return ClassData(slug, tuple(exercises.values()), people), skipped
