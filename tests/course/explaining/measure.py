"""How often something true is said: each registered mistake as a wrong answer whose own name is not registered.

    python tests/course/explaining/measure.py roberta rope mqa-gqa cfg [--sentences] [--seconds 0.1]

It prints the share of answers by the kind of the first thing that is said. With ``--sentences`` it prints the sentences
too, below the registered one, so that somebody can read whether they are true.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import ShownResult, check, with_sentence
from studium.exercises.explaining.budget import SECONDS
from studium.exercises.model import Exercise, Misconception


def unnamed(slug: str, exercise: Exercise, seconds: float) -> Iterator[tuple[Misconception, ShownResult]]:
    """Yield each mistake with what it hears while it is not registered itself."""
    known = exercise.misconceptions
    for mistake in known:
        exercise.misconceptions = [other for other in known if other is not mistake]
        result = check(slug, exercise, mistake.function, seconds=seconds)
        yield mistake, with_sentence(result, exercise.sentence_of(result.mistake_id))
    exercise.misconceptions = known


def kind(result: ShownResult) -> str:
    """Return the kind of the first thing that is said."""
    if result.mistake_id:
        return "another name, among other things" if result.among else "another name"
    return result.said_kind or ("smallest call alone" if result.smallest else "what the test requires")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="+")
    parser.add_argument("--sentences", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    given = parser.parse_args()
    kinds: Counter[str] = Counter()
    small = 0
    for slug in given.topics:
        for exercise in load_catalogue()[slug].exercises.values():
            for mistake, result in unnamed(slug, exercise, given.seconds):
                kinds[kind(result)] += 1
                small += bool(result.smallest)
                if given.sentences:
                    print(f"{slug}.{exercise.id}:{mistake.name}\n  = {mistake.message}")
                    print(f"  {kind(result)}: {result.mistake}\n  {result.smallest}")
    total = kinds.total()
    for name, count in kinds.most_common():
        print(f"{100 * count / total:5.1f} %  {name} ({count} of {total})")
    print(f"{100 * small / total:5.1f} %  with the smallest call")


if __name__ == "__main__":
    main()
