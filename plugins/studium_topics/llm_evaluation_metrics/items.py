"""The items of a small benchmark: texts to rank, and texts to complete. An item holds data and no metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Model = Callable[[Tensor], Tensor]  # token numbers (B, T) to logits (B, T, V)


@dataclass(frozen=True)
class Choice:
    """A context, several ways to go on, and which of them the text has."""

    context: Tensor  # (C,) token numbers
    choices: tuple[Tensor, ...]  # each (L,), of different lengths
    sizes: tuple[int, ...]  # the bytes of each choice
    answer: int


@dataclass(frozen=True)
class Writing:
    """A context that a model completes `samples` times; a completion is correct where it equals the answer."""

    context: Tensor  # (C,) token numbers
    answer: Tensor  # (L,)
    samples: int
    k: int
    seed: int

    def count_correct(self, model: Model) -> int:
        """Return how many of the samples are correct; the same model gives the same number."""
        generator = torch.Generator().manual_seed(self.seed)
        ids = self.context.expand(self.samples, -1)
        for _ in self.answer:
            with torch.no_grad():
                probabilities = model(ids)[:, -1].softmax(-1)
            ids = torch.cat([ids, torch.multinomial(probabilities, 1, generator=generator)], 1)
        return int((ids[:, len(self.context) :] == self.answer).all(1).sum())


def choice_items(
    stretches: Sequence[Tensor],
    size: Callable[[Tensor], int],
    *,
    context: int,
    lengths: tuple[int, int],
    count: int = 4,
    seed: int = 0,
) -> list[Choice]:
    """Return one Choice for each stretch (T,): its first `context` tokens, its own continuation and others'.

    The continuations have lengths drawn from `lengths`, both ends included, and start where those of other stretches
    start. size: the bytes of a continuation.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    items = []
    for number, stretch in enumerate(stretches):
        others = [(number + draw(1, len(stretches) - 1)) % len(stretches) for _ in range(count - 1)]
        answer = draw(0, count - 1)
        sources = [stretches[other] for other in others]
        sources.insert(answer, stretch)
        choices = tuple(source[context : context + draw(*lengths)] for source in sources)
        items.append(Choice(stretch[:context], choices, tuple(size(choice) for choice in choices), answer))
    return items


def writing_items(
    stretches: Sequence[Tensor], *, context: int, length: int, samples: int, k: int, seed: int = 0
) -> list[Writing]:
    """Return one Writing for each stretch (T,): its first `context` tokens, and the next `length` as the answer."""
    return [
        Writing(stretch[:context], stretch[context : context + length], samples, k, seed + number)
        for number, stretch in enumerate(stretches)
    ]
