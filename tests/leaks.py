"""What must not leak from a topic, and whether a text holds it."""

import re
from collections.abc import Iterator

from studium.exercises.definitions import definition
from studium.exercises.model import Exercise
from studium.exercises.sources import marked, stub
from studium.topics.topic import Topic

SHORTEST = 24  # characters; shorter lines, such as "return x @ w.T", are anybody's


def secrets(topic: Topic) -> Iterator[str]:
    """Give the lines that must not leak: of solutions, of hidden tests, and the sentences of misconceptions.

    What the author shows on purpose is no secret: a line that stands in the lesson, or in a hint.
    """
    shown = lesson_lines(topic)
    for exercise in topic.exercises.values():
        for line in (solution_lines(exercise) | hidden_lines(exercise)) - shown:
            if not any(line in hint for hint in exercise.hints):
                yield line
        yield from (item.message for item in exercise.misconceptions)


def lesson_lines(topic: Topic) -> set[str]:
    return lines(topic.lesson.read_text("utf-8"))


def solution_lines(exercise: Exercise) -> set[str]:
    return lines(marked(exercise)) - lines(stub(exercise))


def hidden_lines(exercise: Exercise) -> set[str]:
    visible = {line for test in exercise.tests if not test.hidden for line in lines(definition(test.function))}
    return {line for test in exercise.tests if test.hidden for line in lines(definition(test.function))} - visible


def lines(text: str) -> set[str]:
    stripped = (line.strip() for line in text.splitlines())
    return {line for line in stripped if len(line) >= SHORTEST and not line.startswith(("def ", "#", "for ", '"""'))}


def leaks(text: str, topic: Topic) -> list[str]:
    """Give the secrets of a topic that a text holds."""
    squeezed = re.sub(r"\s+", " ", text)
    return [line for line in secrets(topic) if line in squeezed]
