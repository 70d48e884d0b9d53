"""What the answers of the corpus are told, as a table with a row for each topic.

    python tests/answers/measure.py [TOPIC …] [--sentences] [--seconds 0.1] [--draw 0]

With ``--sentences`` it prints each wrong answer's label and what it is told, so that somebody can read whether that is
true.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import ShownResult, check, with_sentence
from studium.exercises.explaining.budget import SECONDS
from studium.topics.topic import Topic

sys.path.insert(0, str(Path(__file__).parent))
from corpus import Answer, answers, slugs

WRONG = ("named", "pair", "relation", "edit", "condition", "own error", "other", "smallest call only", "nothing")
COLUMNS = ("right accepted", "wrong refused", *WRONG)
_KINDS = {"relation": "relation", "edit": "edit", "two mistakes": "pair", "condition": "condition"}


def kind(result: ShownResult) -> str:
    """Return the column of what a wrong answer hears first."""
    if result.outcome == "right":
        return "accepted"
    if result.mistake_id:
        return "named"
    if result.said_kind:
        return _KINDS.get(result.said_kind, result.said_kind)
    return "smallest call only" if result.smallest else "nothing"


def results(topic: Topic, seconds: float, draw: int) -> Iterator[tuple[Answer, ShownResult]]:
    """Check the answers to a topic, one after the other."""
    for answer in answers(topic.slug):
        exercise = topic.exercises[answer.exercise]
        found = check(topic.slug, exercise, answer.function(topic), draw=draw, seconds=seconds)
        yield answer, with_sentence(found, exercise.sentence_of(found.mistake_id))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="*", default=slugs())
    parser.add_argument("--sentences", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--draw", type=int, default=0)
    given = parser.parse_args()
    catalogue = load_catalogue()
    for slug in given.topics:
        counted: Counter[str] = Counter()
        for answer, result in results(catalogue[slug], given.seconds, given.draw):
            counted[kind(result) if answer.label else result.outcome] += 1
            if given.sentences:
                print(f"{answer.id} [{kind(result)}]\n  = {answer.label}\n  > {result.mistake}\n  {result.smallest}", flush=True)
                if not result.mistake and result.outcome == "wrong" or (not answer.label and result.outcome != "right"):
                    print("  ", next(test.message for test in result.tests if not test.passed)[:300])
        print(slug, dict(counted), flush=True)


if __name__ == "__main__":
    main()
