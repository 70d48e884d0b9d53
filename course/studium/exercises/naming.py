"""Naming a mistake: the registered wrong answer that does what the learner's function did.

One test alone says little, because many mistakes agree on small numbers. So a mistake is named where it reproduces the
calls of every failed test of its exercise, and no passed test contradicts it. One that reproduces the calls of three in
four of them is named as one mistake among others.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from studium.exercises.explaining.evidence import alike
from studium.exercises.memory_limit import ran_out
from studium.exercises.model import AnyFunction, Exercise, Misconception, mistake_id
from studium.exercises.observation import Call, Observation


def reproduced(topic: str, exercise: Exercise, calls: list[Call]) -> list[str] | None:
    """Return the ids of the misconceptions that do, in all ``calls`` of one test, what the function did.

    None where the solution does the same, or the memory ran out, which a test may have limited: then the test objects
    to something else than results, and says nothing about which mistake was made.
    """
    if any(ran_out(call.observed.raised, call.observed.said) for call in calls):
        return None
    if calls and _repeats(exercise.solution, calls):
        return None
    found = [item.name for item in exercise.misconceptions if calls and _repeats(item.function, calls)]
    return [mistake_id(topic, exercise.id, name) for name in found]


def commonest(possible: Sequence[Sequence[str] | None]) -> str:
    """Return the mistake that most failed tests have in common, "" where none explains more than half of them.

    ``possible`` holds what ``reproduced`` returns for each failed test of one exercise; None does not count. Of several
    mistakes that explain as many tests, the one that was registered first is returned.
    """
    telling = [mistakes for mistakes in possible if mistakes is not None]
    counts = Counter(mistake for mistakes in telling for mistake in mistakes)
    mistake, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
    return mistake if 2 * count > len(telling) else ""


def agreed(
    possible: Sequence[Sequence[str] | None], contradicted: Callable[[str], bool] = lambda mistake: False
) -> tuple[str, bool]:
    """Return the mistake of an exercise, "" where none is known, and whether it is one among others.

    ``possible`` is as in ``commonest``. A mistake is not returned where it is ``contradicted``.
    """
    telling = [mistakes for mistakes in possible if mistakes is not None]
    counts = Counter(mistake for mistakes in telling for mistake in mistakes)
    for mistake, count in sorted(counts.items(), key=lambda item: -item[1]):
        if 4 * count >= 3 * len(telling) and not contradicted(mistake):
            return mistake, count < len(telling)
    return "", False


def contradicts(misconception: Misconception, calls: Iterable[tuple[Call, Observation]]) -> bool:
    """Return whether a mistake does something else than the answer in a call in which that does what is right.

    ``calls`` come with what the solution does in them.
    """
    return any(
        alike(call.observed, right) and not alike(call.replay(misconception.function), right) for call, right in calls
    )


def _repeats(function: AnyFunction, calls: list[Call]) -> bool:
    return all(call.replay(function).matches(call.observed) for call in calls)
