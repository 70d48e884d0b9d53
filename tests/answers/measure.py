"""What the answers of the corpus are told, as a table with a row for each topic.

    python -m tests.answers.measure [TOPIC …] [--sentences] [--seconds 0.1] [--draw 0]

It ends with how the sentences were judged by somebody who read them, in ``judged.toml``, and lists those that are new.
With ``--sentences`` it prints each wrong answer's label, what it is told, and the smallest call.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator

from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import ShownResult, check, with_sentence
from studium.exercises.explaining.budget import SECONDS
from studium.topics.topic import Topic

from .corpus import Answer, answers, judgements, slugs

COLUMNS = (
    "right accepted",
    "wrong refused",
    "named",
    "pair",
    "relation",
    "certainty",
    "edit",
    "condition",
    "own error",
    "one part or weak",
    "smallest call only",
    "nothing",
)
_KINDS = {
    "pair": "pair",
    "edit": "edit",
    "relation": "relation",
    "as if": "relation",
    "condition": "condition",
    "error": "own error",
    "one part": "one part or weak",
    "weak": "one part or weak",
}


def kind(result: ShownResult) -> str:
    """Return the column of what a wrong answer hears first."""
    if result.mistake_id:
        return "named"
    if result.said_kind:
        return _KINDS.get(result.said_kind, "certainty")  # an argument, a dtype, a gradient, a callback
    return "smallest call only" if result.smallest else "nothing"


def told(result: ShownResult) -> str:
    """Return what an answer is told, as ``judged.toml`` has it: the name of the mistake, or the sentence."""
    return f"named {result.mistake_id.rpartition(':')[2]}" if result.mistake_id else result.mistake


def results(topic: Topic, seconds: float, draw: int) -> Iterator[tuple[Answer, ShownResult]]:
    """Check the answers to a topic, one after the other."""
    for answer in answers(topic.slug):
        exercise = topic.exercises[answer.exercise]
        found = check(topic.slug, exercise, answer.function(topic), draw=draw, seconds=seconds)
        yield answer, with_sentence(found, exercise.sentence_of(found.mistake_id))


def columns(answer: Answer, result: ShownResult) -> list[str]:
    """Return the columns in which an answer counts."""
    if not answer.label:
        return ["right accepted"] if result.outcome == "right" else []
    return ["wrong refused", kind(result)] if result.outcome == "wrong" else []


def row(name: str, counts: Counter[str]) -> str:
    """Return a row of the table."""
    return f"| {name} | " + " | ".join(str(counts[column] or "") for column in COLUMNS) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topics", nargs="*", default=slugs())
    parser.add_argument("--sentences", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--draw", type=int, default=0)
    given = parser.parse_args()
    catalogue, judged = load_catalogue(), judgements()
    total: Counter[str] = Counter()
    verdicts: defaultdict[str, list[str]] = defaultdict(list)
    table = [f"| topic | {' | '.join(COLUMNS)} |"]
    for slug in given.topics:
        counts: Counter[str] = Counter()
        for answer, result in results(catalogue[slug], given.seconds, given.draw):
            counts.update(columns(answer, result))
            if answer.label and told(result):
                known = judged.get(answer.id)
                verdicts[known.verdict if known and known.told == told(result) else "new"].append(answer.id)
            if given.sentences and answer.label:
                print(f"{answer.id} [{kind(result)}]\n  = {answer.label}\n  > {told(result)}\n  {result.smallest}")
        table.append(row(slug, counts))
        total += counts
    print("\n".join([*table, row("all", total)]))
    for verdict, names in verdicts.items():
        print(f"{verdict}: {len(names)}" + (f" ({', '.join(names)})" if verdict in ("false", "new") else ""))


if __name__ == "__main__":
    main()
