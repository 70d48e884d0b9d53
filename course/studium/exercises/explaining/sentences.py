"""The one sentence that a wrong answer without a name hears, in the order of how surely and how well it helps."""

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from studium.exercises.explaining import (
    again,
    as_if,
    certainties,
    conditions,
    edits,
    factors,
    own_errors,
    relations,
    shapes,
)
from studium.exercises.explaining.budget import Budget
from studium.exercises.explaining.evidence import Case, Evidence, Told, attempt, gather
from studium.exercises.explaining.failed_test import own_line
from studium.exercises.explaining.finding import Finding, Pair, pairs
from studium.exercises.explaining.smallest import Search, said
from studium.exercises.explaining.values import Array, array
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.observation import Call, Observation

Step = Callable[[Evidence], Finding | None]


@dataclass(frozen=True)
class Explanation:
    """What was found out: the sentence and its kind, and the smallest call that goes wrong.

    ``right`` are calls in which the answer does what is right, with what the solution does.
    """

    sentence: str = ""
    kind: str = ""
    smallest: str = ""
    right: list[tuple[Call, Observation]] = field(default_factory=list)


def explained(
    exercise: Exercise,
    tests: Sequence[Told],
    answer: AnyFunction,
    budget: Budget,
    *,
    live: bool = True,
    numbers: bool = True,
) -> Explanation:
    """Say what is true of a wrong answer, until the budget is spent.

    ``live``: the answer may be called again, and functions that may never end. ``numbers``: a sentence may hold one. It
    comes from visible tests alone. In the public edition, whose solutions are not known, nothing is
    said.
    """
    if exercise.public or all(test.passed for test in tests):
        return Explanation()
    evidence = gather(exercise, tests, budget.share(0.5), answer if live else None)
    search = Search(evidence, budget.share(0.5))
    smallest = attempt(budget, search.smallest)
    found = next(
        _found(evidence, _steps(search.tried, tests, answer, budget, live=live), budget, numbers=numbers),
        Finding("", ""),
    )
    text = attempt(Budget(), lambda: said(exercise.solution, smallest)) if smallest and live else ""
    right = [case for case in (*evidence.right, *search.tried) if case.verdict == "right"]
    return Explanation(found.text, found.kind, text or "", [(case.call, case.right) for case in right])


def _found(evidence: Evidence, steps: list[Step], budget: Budget, *, numbers: bool) -> Iterator[Finding]:
    """Return what can be said, best first; each is looked for when its turn comes."""
    for find in steps:
        found = None if budget.spent else _tried(find, evidence)
        if found and found.values:
            seen = dataclasses.replace(evidence, cases=[case for case in evidence.cases if not case.hidden])
            found = _tried(find, seen) if seen.wrong and numbers else None
        if found:
            yield found


def _tried(find: Callable[[Evidence], Finding | None], evidence: Evidence) -> Finding | None:
    """Return what was found, None where values of the answer's own making cannot even be looked at."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return find(evidence)
    except Exception:
        return None


def _steps(tried: list[Case], tests: Sequence[Told], answer: AnyFunction, budget: Budget, *, live: bool) -> list[Step]:
    """Return the ways to find a sentence, in order; if ``live``, those that call functions anew too."""
    steps: list[tuple[bool, Step]] = [
        (False, certainties.changed),
        (True, lambda evidence: certainties.unused(evidence, answer)),
        (False, certainties.detached),
        (False, certainties.kind),
        (False, lambda evidence: _related(evidence, tried)),
        (False, lambda evidence: factors.factor(evidence, _pairs(evidence, tried))),
        (False, lambda evidence: _masked(evidence, tried)),
        (True, lambda evidence: as_if.as_if(evidence, tried, budget.share(0.4)) if _is_plain(evidence) else None),
        (True, lambda evidence: edits.single(evidence, tried, budget.share(0.7))),
        (True, lambda evidence: edits.pair(evidence, tried, budget.share(0.7))),
        (False, lambda evidence: relations.special_places(_pairs(evidence, tried))),
        (True, lambda evidence: again.gradient(evidence, budget)),
        (True, lambda evidence: _own_error(evidence, tests, answer)),
        (True, lambda evidence: again.callback(evidence, budget)),
        (True, lambda evidence: conditions.condition(evidence, tried, budget)),
        (False, lambda evidence: shapes.one_part(evidence.plain) if _is_plain(evidence) else None),
        (False, lambda evidence: shapes.weak(_pairs(evidence, []))),
    ]
    return [step for needs_calls, step in steps if live or not needs_calls]


def _is_plain(evidence: Evidence) -> bool:
    """Return whether there is a wrong call, and none in which the answer or the solution raised."""
    return bool(evidence.wrong) and len(evidence.plain) == len(evidence.wrong)


def _pairs(evidence: Evidence, tried: list[Case]) -> list[Pair]:
    wrong = [case for case in tried if case.verdict == "wrong" and not case.call.observed.raised]
    if not _is_plain(evidence) or not (found := pairs(evidence.plain)):
        return []
    return found + (pairs(wrong, cut=True) or [])


def _related(evidence: Evidence, tried: list[Case]) -> Finding | None:
    """Return a relation; if right calls contradict it, it says that it holds in the others."""
    wrong = _pairs(evidence, tried)
    found = relations.relation(wrong)
    values = [(array(case.right.result), case) for case in (*evidence.right, *tried) if case.verdict == "right"]
    right = [Pair(value, value, case, cut=True) for value, case in values if value is not None]
    if found is None or relations.relation(wrong + right) == found:
        return found
    return dataclasses.replace(found, text=f"In the calls that go wrong, {found.text[0].lower()}{found.text[1:]}")


def _masked(evidence: Evidence, tried: list[Case]) -> Finding | None:
    def masks(pair: Pair) -> Iterator[tuple[str, Array]]:
        for name, value in evidence.named(pair.case.call).items():
            found = array(value)
            if found is not None and found.dtype.kind == "b" and found.ndim:
                yield name, found

    found = _pairs(evidence, tried)
    text = relations.masked(found, masks) if found else ""
    return Finding(text, "relation") if text else None


def _own_error(evidence: Evidence, tests: Sequence[Told], answer: AnyFunction) -> Finding | None:
    lines = [own_line(t.error, answer, evidence.exercise.file) for t in tests if t.error is not None]
    if any(in_test for _, in_test in lines) or not any(line for line, _ in lines):
        return None
    return own_errors.own_error(evidence, next(line for line, _ in lines if line) or "")
