"""Speculative decoding in miniature: is it exact, what does it yield, and what do typical mistakes change?

Nothing is sampled where exactness is judged: every way in which chance can decide is listed, and probabilities are
compared. Nothing is timed: speed is counted in passes of the target, as Leviathan et al. 2022 (arXiv 2211.17192) do in
their section 3; Chen et al. 2023 (2302.01318) found the same rule at the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread
from studium_topics.speculative_decoding.chance import Chance, Weights, distance, law, outcomes
from studium_topics.speculative_decoding.models import Speculate
from studium_topics.speculative_decoding.readers import TableReader, random_rows

Verify = Callable[[Tensor, Tensor, list[int], Chance], list[int]]
STATES = 7  # rows of a table model, so many contexts that it tells apart


@dataclass(frozen=True)
class Exactness:
    """How far the text is from the target's: total variation distances, the largest of several pairs of models.

    rule: by what is wrong with the check of a draft; "nothing" is right. loop: of the whole loop. length: the largest
    difference between the tokens that a pass adds on average and what `expected_tokens` says, where every position
    has the same acceptance.
    """

    rule: dict[str, float]
    loop: float
    length: float


class _KeepsAll:
    """Chance that keeps every drafted token."""

    def __init__(self, chance: Chance) -> None:
        self.chance = chance

    def happens(self, probability: float) -> bool:
        return True

    def pick(self, weights: Weights) -> int:
        return self.chance.pick(weights)


def from_target(verify: Verify) -> Verify:
    """Return a check that draws the replacement of a rejected token from the target's own distribution."""

    def check(p: Tensor, q: Tensor, drafted: list[int], chance: Chance) -> list[int]:
        tokens = verify(p, q, drafted, chance)
        n = len(tokens) - 1
        return tokens if n == len(drafted) else [*tokens[:n], chance.pick(p[n])]

    return check


def all_kept(verify: Verify) -> Verify:
    """Return a check that keeps whatever was drafted."""
    return lambda p, q, drafted, chance: verify(p, q, drafted, _KeepsAll(chance))


@one_thread()
def exactness(
    verify: Verify, speculate: Speculate, acceptance: Callable[[Tensor, Tensor], Tensor],
    expected_tokens: Callable[[float, int], float], *, profile: Profile, seed: int = 0,
) -> Exactness:  # fmt: skip
    """List every outcome of a pass, and of the whole loop, for random models of three tokens, and compare with p.

    Measured at laptop, seeds 0 to 4: nothing wrong below 1e-15; MEASURED.
    """
    generator = torch.Generator().manual_seed(seed)
    count = profile.choose(smoke=2, laptop=8, gpu=8)
    pairs = [tuple(random_rows(STATES, 3, generator) for _ in range(2)) for _ in range(count)]
    checks = {"nothing": (verify, False), "replaced from the target": (from_target(verify), False)}
    checks |= {"every draft kept": (all_kept(verify), False), "likeliest token drafted": (verify, True)}
    rule = {
        name: max(pass_distance(check, *rows, likeliest=likeliest) for rows in pairs)
        for name, (check, likeliest) in checks.items()
    }
    loop = max(loop_distance(speculate, *rows) for rows in pairs)
    return Exactness(rule, loop, max(length_gap(verify, acceptance, expected_tokens, *rows) for rows in pairs))


def pass_distance(
    check: Verify, target_rows: Tensor, draft_rows: Tensor, *, gamma: int = 2, likeliest: bool = False
) -> float:
    """Return how far the next gamma + 1 tokens are from the target's if one pass of `check` writes the first of them.

    likeliest: the draft takes its likeliest token and says that it has drawn it.
    """
    target, draft, start = TableReader(target_rows), TableReader(draft_rows), [0]

    def one_pass(chance: Chance) -> list[int]:
        drafted: list[int] = []
        q = []
        for _ in range(gamma):
            q.append(draft.row(start + drafted))
            drafted.append(int(q[-1].argmax()) if likeliest else chance.pick(q[-1]))
        p = torch.stack([target.row(start + drafted[:i]) for i in range(gamma + 1)])
        return check(p, torch.stack(q), drafted, chance)

    found: dict[tuple[int, ...], float] = {}
    for tokens, probability in law(one_pass).items():  # what this pass does not write, the target writes
        for rest, weight in target.continuations([*start, *tokens], gamma + 1 - len(tokens)).items():
            found[tokens + rest] = found.get(tokens + rest, 0.0) + probability * weight
    return distance(found, target.continuations(start, gamma + 1))


def loop_distance(speculate: Speculate, target_rows: Tensor, draft_rows: Tensor) -> float:
    """Return how far three tokens of the whole loop are from the target's, with 2 drafted tokens a pass."""

    def write(chance: Chance) -> list[int]:
        return speculate(TableReader(target_rows), TableReader(draft_rows), [1, 0], 3, 2, 2, chance)[0]

    return distance(law(write), TableReader(target_rows).continuations([1, 0], 3, stop=2))


def length_gap(
    verify: Verify, acceptance: Callable[[Tensor, Tensor], Tensor], expected_tokens: Callable[[float, int], float],
    target_rows: Tensor, draft_rows: Tensor, gamma: int = 3,
) -> float:  # fmt: skip
    """Return by how much the mean number of tokens in a pass misses the formula, for models without a context."""
    p, q = target_rows[:1].expand(gamma + 1, -1), draft_rows[:1].expand(gamma, -1)

    def added(chance: Chance) -> int:
        return len(verify(p, q, [chance.pick(row) for row in q], chance))

    mean = sum(probability * count for count, probability in outcomes(added))
    return abs(mean - float(expected_tokens(float(acceptance(p[0], q[0])), gamma)))


PAPER, TREES = "2211.17192", "2305.09781"
claims = ()
