"""Tests that compare numbers do so closely: a result that is somewhat off does not pass."""

import re
import sys
from collections.abc import Iterator
from typing import Any

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.checking import run_test
from studium.exercises import AnyFunction, Exercise, Test
from studium.sources import definition, seed_of
from studium.topic import Topic

FAR, NEAR = 0.25, 0.05  # how far off: what a test with a tolerance has to notice, and what all tests together have to
_TOLERANCE = re.compile(
    r"(?:\b(?:[ar]tol|rel|abs|(?:rel|abs)_tol|tol|tolerance|delta)\s*=|\babs\(.*<=?)\s*(?P<number>\d[\d.]*(?:e[+-]?\d+)?)"
)


def tolerances(subject: Subject) -> Finding:
    """Put results to the tests that are off by up to a quarter of their largest value, each by an amount of its own."""
    problems = [problem for exercise in subject.exercises for problem in _loose(subject.topic, exercise)]
    return Finding(problems, "results that are somewhat off fail the tests")


def _loose(topic: Topic, exercise: Exercise) -> Iterator[str]:
    far = {test: _accepts(topic, exercise, test, FAR) for test in exercise.tests if _is_lenient(test)}
    for test in (test for test, accepted in far.items() if accepted):
        yield (
            f"the tolerance of the test {test.name!r} of {exercise.id} is too loose: numbers that are off by up to "
            f"{FAR:.0%} of the largest pass; make it as small as rounding, or chance, allows"
        )
    near = [_accepts(topic, exercise, test, NEAR) for test in exercise.tests]
    if not any(far.values()) and any(near) and False not in near:
        yield (
            f"the tests of {exercise.id} are too loose: numbers that are off by up to {NEAR:.0%} of the largest pass "
            "them all; compare with what the function should give, by assert_close"
        )


def _is_lenient(test: Test) -> bool:
    """Return whether a tolerance that is more than rounding stands in a test's text."""
    return any(float(found["number"]) >= NEAR for found in _TOLERANCE.finditer(definition(test.function)))


def _accepts(topic: Topic, exercise: Exercise, test: Test, amount: float) -> bool | None:
    """Return whether a test lets inexact results pass; None where the function gave it no fractions."""
    inexact = Inexact(exercise.solution, amount)
    passed = run_test(test, inexact.wrapped, seed_of(topic.slug, exercise, test)).passed
    return passed if inexact.changed or not passed else None


class Inexact:
    """A function whose results are off: each fraction x becomes x + a u (x + m / 2), where m is the largest of them.

    a is ``amount`` and u lies between 0.5 and 1, another for each number, so that no symmetry hides it.
    """

    def __init__(self, function: AnyFunction, amount: float) -> None:
        self.function, self.amount, self.changed = function, amount, False
        self._count = 0

    def wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and spoil what it gives."""
        return self._off(self.function(*args, **kwargs))

    def _off(self, value: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            return self._off_tensor(value) if value.is_floating_point() and value.numel() else value
        if type(value) is float:
            return self._off_number(value, abs(value))
        if type(value) in (list, tuple):
            return type(value)(self._off_items(list(value)))
        return {key: self._off(item) for key, item in value.items()} if type(value) is dict else value

    def _off_items(self, items: list[Any]) -> list[Any]:
        largest = max((abs(item) for item in items if type(item) is float), default=0.0)
        return [self._off_number(item, largest) if type(item) is float else self._off(item) for item in items]

    def _off_number(self, value: float, largest: float) -> float:
        self.changed = True
        self._count += 1
        share = self.amount * (0.5 + 0.5 * (self._count * 0.6180339887 % 1))  # spread evenly, and never twice the same
        return value + share * (value + (largest or 1.0) / 2)

    def _off_tensor(self, value: Any) -> Any:
        import torch

        self.changed = True
        counts = torch.arange(1, value.numel() + 1, dtype=torch.float64) + self._count
        self._count += value.numel()
        share = self.amount * (0.5 + 0.5 * (counts * 0.6180339887 % 1)).reshape(value.shape)
        share = share.to(value.device, value.dtype)
        finite = value.detach()[value.detach().isfinite()].abs()
        largest = finite.max() if finite.numel() else 0.0
        return value + share * (value + (largest or 1.0) / 2)
