"""Randomness that can be drawn, and randomness whose every outcome can be listed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch

Result = TypeVar("Result")
Weights = Any  # a tensor, an array or a list of K numbers from 0 on


class Chance(Protocol):
    """Every random decision of a program."""

    def happens(self, probability: float) -> bool:
        """Return True with this probability."""

    def pick(self, weights: Weights) -> int:
        """Return one of 0 … K - 1, with probabilities in proportion to weights (K,)."""


@dataclass
class Dice:
    """Random decisions drawn from a seed. used: how many have been made."""

    seed: int
    used: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def happens(self, probability: float) -> bool:
        self.used += 1
        return self._random.random() < float(probability)

    def pick(self, weights: Weights) -> int:
        self.used += 1
        numbers = _numbers(weights)
        return self._random.choices(range(len(numbers)), numbers)[0]


@dataclass
class Walk:
    """One path through all decisions: `path` is followed as far as it goes, and then the first possible outcome taken.

    taken: the outcome of each decision. left: the possible outcomes of each that come after the one taken.
    probability: the product of the probabilities of what was taken.
    """

    path: list[int]
    taken: list[int] = field(default_factory=list)
    left: list[list[int]] = field(default_factory=list)
    probability: float = 1.0

    def happens(self, probability: float) -> bool:
        kept = min(max(float(probability), 0.0), 1.0)
        return self._decide([1 - kept, kept]) == 1

    def pick(self, weights: Weights) -> int:
        return self._decide(_numbers(weights))

    def _decide(self, numbers: list[float]) -> int:
        possible = [outcome for outcome, weight in enumerate(numbers) if weight > 0]
        at = len(self.taken)
        outcome = self.path[at] if at < len(self.path) else possible[0]
        self.taken.append(outcome)
        self.left.append([other for other in possible if other > outcome])
        self.probability *= numbers[outcome] / sum(numbers)
        return outcome


def outcomes(program: Callable[[Walk], Result]) -> Iterator[tuple[Result, float]]:
    """Run a program once for each way in which chance can decide; yield what it returns, with the probability.

    The probabilities sum to 1, so that any distribution of results is exact, up to rounding. The program must make its
    random decisions through the `Walk` that it is given, and must come to an end.
    """
    path: list[int] | None = []
    while path is not None:
        walk = Walk(path)
        yield program(walk), walk.probability
        path = _next_path(walk)


def law(program: Callable[[Walk], list[int]]) -> dict[tuple[int, ...], float]:
    """Return the exact probability of each list of tokens that a program can return."""
    found: dict[tuple[int, ...], float] = {}
    for tokens, probability in outcomes(program):
        key = tuple(int(token) for token in tokens)
        found[key] = found.get(key, 0.0) + probability
    return found


def distance(one: dict[tuple[int, ...], float], other: dict[tuple[int, ...], float]) -> float:
    """Return the total variation distance of two distributions, from 0 (the same) to 1 (nothing in common)."""
    return sum(abs(one.get(key, 0.0) - other.get(key, 0.0)) for key in one.keys() | other.keys()) / 2


def _next_path(walk: Walk) -> list[int] | None:
    for at in reversed(range(len(walk.taken))):
        if walk.left[at]:
            return [*walk.taken[:at], walk.left[at][0]]
    return None


def _numbers(weights: Weights) -> list[float]:
    numbers: list[float] = torch.as_tensor(weights).double().flatten().tolist()
    if not numbers or not sum(numbers) > 0 or min(numbers) < 0:
        raise ValueError(f"pick needs weights from 0 on, not all 0, got {numbers}: look at how they were made")
    return numbers
