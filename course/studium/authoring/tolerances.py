"""Checks that tests compare numbers closely enough: a result that is somewhat off must not pass."""

import re
import sys
from collections.abc import Iterator
from typing import Any

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.exercises.checking import run_test
from studium.exercises.definitions import definition
from studium.exercises.model import AnyFunction, Exercise, Test
from studium.exercises.sources import seed_of
from studium.topics.topic import Topic

# How far off a result must be for a test with a tolerance to notice, and for all tests together to notice.
FAR, NEAR = 0.25, 0.05
SHIFTED, SCALED = 0.5, 0.0  # whether the largest number moves the others, too: a relative tolerance allows more of it
_TOLERANCE = re.compile(
    r"(?:\b(?:[ar]tol|rel|abs|(?:rel|abs)_tol|tol|tolerance|delta)\s*=|\babs\(.*<=?)\s*(?P<number>\d[\d.]*(?:e[+-]?\d+)?)"
)


def tolerances(subject: Subject) -> Finding:
    """Run the tests on results that are off by up to a quarter of their largest value, or of each value.

    The tests of open exercises measure whether a goal is reached, which leaves room on purpose.
    """
    closed = [exercise for exercise in subject.exercises if not exercise.report]
    problems = [problem for exercise in closed for problem in _loose(subject.topic, exercise)]
    return Finding(problems, "results that are slightly off fail the tests")


def _loose(topic: Topic, exercise: Exercise) -> Iterator[str]:
    lenient = [test for test in exercise.tests if _is_lenient(test)]
    far = {test: accepts(topic, exercise, test, FAR) for test in lenient}
    for test in lenient:
        if far[test] or accepts(topic, exercise, test, FAR, SCALED):
            yield (
                f"the tolerance of the test {test.name!r} of {exercise.id} is too loose: numbers that are off by up to "
                f"{FAR:.0%}{' of the largest' if far[test] else ''} pass; make it as small as rounding or chance allows"
            )
    near = [accepts(topic, exercise, test, NEAR) for test in exercise.tests]
    if not any(far.values()) and any(near) and False not in near:
        yield (
            f"the tests of {exercise.id} are too loose: numbers that are off by up to {NEAR:.0%} of the largest pass "
            f"them all; use assert_close to compare with what the function should return"
        )


def _is_lenient(test: Test) -> bool:
    """Return whether a test's text contains a tolerance larger than rounding."""
    return any(float(found["number"]) >= NEAR for found in _TOLERANCE.finditer(definition(test.function)))


def accepts(topic: Topic, exercise: Exercise, test: Test, amount: float, shift: float = SHIFTED) -> bool | None:
    """Return whether a test lets inexact results pass; None if the function returned no fractions."""
    inexact = Inexact(exercise.solution, amount, shift)
    passed = run_test(test, inexact.wrapped, seed_of(topic.slug, exercise, test)).passed
    return passed if inexact.changed or not passed else None


class Inexact:
    """A function whose results are off: each fraction x becomes x + a u (x + s m), where m is the largest of them.

    a is ``amount``, s is ``shift``, and u is between 0.5 and 1, different for each number, so no symmetry hides it.
    """

    def __init__(self, function: AnyFunction, amount: float, shift: float) -> None:
        self.function, self.amount, self.shift, self.changed = function, amount, shift, False
        self._count = 0

    def wrapped(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and distort what it returns."""
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
        self.changed = self.changed or self.shift > 0 or value != 0
        self._count += 1
        share = self.amount * (0.5 + 0.5 * (self._count * 0.6180339887 % 1))  # spread evenly, never the same twice
        return value + share * (value + self.shift * (largest or 1.0))

    def _off_tensor(self, value: Any) -> Any:
        import torch

        counts = torch.arange(1, value.numel() + 1, dtype=torch.float64) + self._count
        self._count += value.numel()
        share = self.amount * (0.5 + 0.5 * (counts * 0.6180339887 % 1)).reshape(value.shape)
        share = share.to(value.device, value.dtype)
        finite = value.detach()[value.detach().isfinite()].abs()
        largest = finite.max() if finite.numel() else 0.0
        self.changed = self.changed or self.shift > 0 or bool(largest)
        return value + share * (value + self.shift * (largest or 1.0))
