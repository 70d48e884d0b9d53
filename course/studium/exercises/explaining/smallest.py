"""The smallest call that goes wrong, made from a visible test's calls while all right answers agree on it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from studium.exercises.explaining.budget import Budget, can_interrupt
from studium.exercises.explaining.cutting import smaller, weight
from studium.exercises.explaining.evidence import Case, Evidence, Verdict, alike, attempt, draws
from studium.exercises.explaining.invariants import Invariants
from studium.exercises.explaining.nearby import nearby
from studium.exercises.explaining.values import array, parts
from studium.exercises.explaining.writing import outcomes, written_call
from studium.exercises.model import AnyFunction, Exercise
from studium.exercises.observation import Call, Observation

_TRIES = 18
_AROUND = 40  # tries where no visible call is wrong
_LONGEST = 320  # letters of the sentence


@dataclass
class Search:
    """The calls that were tried: ``tried`` is evidence like any other, but for numbers that may be shown."""

    evidence: Evidence
    budget: Budget
    tried: list[Case] = field(default_factory=list)
    tries: int = 0

    @cached_property
    def invariants(self) -> Invariants:
        """What all recorded calls have in common."""
        return Invariants.of([self.evidence.named(case.call) for case in self.evidence.cases])

    def smallest(self) -> Case | None:
        """Return the smallest wrong call of visible tests; where none is wrong, one made from a right call."""
        seen = [case for case in self.evidence.cases if not case.hidden]
        wrong = sorted((case for case in seen if case.verdict == "wrong"), key=lambda case: weight(case.call))
        if wrong:
            return self._shrunk(wrong[0])
        right = sorted((case for case in seen if case.verdict == "right"), key=lambda case: weight(case.call))
        found = next(filter(None, map(self._first_wrong, right[:2])), None)
        found = found or next(
            filter(None, (self._first_of(case, nearby(case.call), _AROUND) for case in right[:3])), None
        )
        if found:
            self.tries = 0
        return self._shrunk(found) if found else None

    def _shrunk(self, best: Case) -> Case:
        while (found := self._first_wrong(best)) is not None:
            best = found
        return best

    def _first_wrong(self, case: Case) -> Case | None:
        """Return the first smaller call that goes wrong."""
        calls = (call for call in smaller(case.call) if weight(call) < weight(case.call))
        return self._first_of(case, calls, _TRIES)

    def _first_of(self, case: Case, calls: Iterator[Call], most: int) -> Case | None:
        if self.evidence.function is None or not can_interrupt():
            return None
        for call in calls:
            if self.tries >= most:
                return None
            if not self.invariants.hold_in(self.evidence.named(call)):
                continue
            self.tries += 1
            found = attempt(self.budget, partial(self._tried, case, call))
            if found is None:
                return None
            self.tried += [found] if found.verdict != "open" else []
            if found.verdict == "wrong":
                return found
        return None

    def _tried(self, case: Case, call: Call) -> Case:
        exercise, function = self.evidence.exercise, self.evidence.function
        assert function is not None
        right = call.replay(exercise.solution)
        observed = call.replay(function)
        verdict: Verdict = "open"
        if _is_allowed(exercise, case, call, right) and not (observed.raised and not case.call.observed.raised):
            verdict = "right" if alike(observed, right) else "wrong"
        return replace(case, call=replace(call, observed=observed), right=right, verdict=verdict)


def _is_allowed(exercise: Exercise, case: Case, call: Call, right: Observation) -> bool:
    """Return whether all right answers still agree on a call, and raise only where they raised before."""
    if right.raised is not case.right.raised or (_is_finite(case.right) and not _is_finite(right)):
        return False
    if not exercise.alternatives:
        return not draws(exercise.solution, call)
    return all(alike(call.replay(other), right) for other in exercise.alternatives)


def _is_finite(right: Observation) -> bool:
    values = (array(part.value) for part in parts(right.result))
    return all(value is None or bool(np.isfinite(value).all()) for value in values)


def said(function: AnyFunction, case: Case) -> str:
    """Return the sentence about the smallest call, with as many numbers as fit; "" where it is too long to help."""
    for most in (12, 6, 1):
        gives = outcomes(case.call, case.right, most)
        sentence = f"Smallest call that goes wrong: `{written_call(function, case.call, most)}`{gives}."
        if gives and len(sentence) <= _LONGEST:
            return sentence
    return ""
