"""Naming a mistake: the registered wrong answer that does what the learner's function did.

One test alone says little, because many mistakes agree on small numbers. So a mistake is named only where it
reproduces the calls of more than half of the failed tests of its exercise.
"""

from collections import Counter
from collections.abc import Sequence

from studium.exercises import AnyFunction, Exercise, mistake_id
from studium.observation import Call


def reproduced(topic: str, exercise: Exercise, calls: list[Call]) -> list[str]:
    """Return the ids of the misconceptions that do, in all ``calls`` of one test, what the function did.

    There is none where the solution does the same: then the function is not what the test objects to.
    """
    if not calls or not exercise.misconceptions or _repeats(exercise.solution, calls):
        return []
    found = [item.name for item in exercise.misconceptions if _repeats(item.function, calls)]
    return [mistake_id(topic, exercise.id, name) for name in found]


def commonest(possible: Sequence[Sequence[str]]) -> str:
    """Return the mistake that most failed tests have in common, "" where none explains more than half of them.

    ``possible`` holds, for each failed test of one exercise, the ids that ``reproduced`` returns. Of several
    mistakes that explain as many tests, the one that was registered first is returned.
    """
    counts = Counter(mistake for mistakes in possible for mistake in mistakes)
    mistake, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
    return mistake if 2 * count > len(possible) else ""


def _repeats(function: AnyFunction, calls: list[Call]) -> bool:
    return all(call.replay(function).matches(call.observed) for call in calls)
