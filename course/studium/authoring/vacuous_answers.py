"""Which tests of a topic let a vacuous answer pass: not a mistake, but the author should know."""

from collections.abc import Iterator

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.exercises.checking import run_test
from studium.exercises.model import Exercise
from studium.exercises.sources import seed_of
from studium.exercises.vacuous import VACUOUS, table, vacuous


def vacuous_answers(subject: Subject) -> Finding:
    """Hand in vacuous answers to each exercise; return the tests that they pass, without problems."""
    found = table(pair for exercise in subject.exercises for pair in _passing(subject.topic.slug, exercise))
    lines = [f"{test}: {', '.join(kinds)}" for test, kinds in found.items()]
    return Finding(
        [],
        "\n".join(["tests that a vacuous answer passes:", *lines])
        if lines
        else "vacuous answers pass none of the tests",
    )


def _passing(topic: str, exercise: Exercise) -> Iterator[tuple[str, str]]:
    for kind in VACUOUS:
        for test in exercise.tests:
            answer = vacuous(kind, exercise.solution)
            if run_test(test, answer, seed_of(topic, exercise, test)).passed:
                yield f"{exercise.id}/{test.name}", kind
