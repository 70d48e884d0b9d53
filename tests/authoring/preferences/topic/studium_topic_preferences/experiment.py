"""A model learns which of two answers is better (Rafailov et al. 2023)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Claim, Profile

LENGTH, VOCABULARY, BETA = 4, 6, 0.3


@dataclass(frozen=True)
class Tuned:
    """The share of new pairs in which the tuned policy prefers the better answer."""

    right: float


def pairs(count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and masks (2, count, length) of better and worse answers: the better one has larger tokens."""
    tokens = torch.randint(VOCABULARY, (2, count, LENGTH), generator=rng)
    mask = torch.arange(LENGTH) < torch.randint(1, LENGTH + 1, (2, count, 1), generator=rng)
    sums = ((tokens - VOCABULARY / 2 + 0.5) * mask).sum(-1)
    order = torch.where(sums[0] >= sums[1], 0, 1)
    order = torch.stack([order, 1 - order])[..., None].expand_as(tokens)
    return tokens.gather(0, order), mask.gather(0, order)


def tuned(
    answer_score: Callable[..., torch.Tensor],
    dpo_loss: Callable[..., tuple[torch.Tensor, torch.Tensor]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Tuned:
    """Tune a table of logits on pairs of answers, and try it on others."""
    rng = torch.Generator().manual_seed(seed)
    table = torch.zeros(LENGTH, VOCABULARY, requires_grad=True)
    optimiser = torch.optim.Adam([table], lr=0.1)
    for _ in range(profile.choose(smoke=40, laptop=200, gpu=200)):
        loss, _ = _loss_of(table, pairs(64, rng), answer_score, dpo_loss)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    _, margins = _loss_of(table, pairs(500, rng), answer_score, dpo_loss)
    return Tuned((margins > 0).float().mean().item())


def _loss_of(table, both, answer_score, dpo_loss):
    tokens, mask = both
    chosen, rejected = (answer_score(table.expand(len(t), -1, -1), t, m) for t, m in zip(tokens, mask, strict=True))
    base = [answer_score(torch.zeros(len(t), *table.shape), t, m) for t, m in zip(tokens, mask, strict=True)]
    return dpo_loss(chosen, rejected, *base, BETA)


# Measured over seeds 0 to 9: 0.82 to 0.87 at smoke.
claims = (
    Claim(
        "the tuned policy prefers the better answer of a new pair",
        "2305.18290",
        tuned,
        lambda result: result.right,
        at_least=0.7,
        holds_from="smoke",
    ),
)
