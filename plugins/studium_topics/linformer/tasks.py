"""Three tasks with a known best accuracy, in which attention needs one direction, or as many as there are names.

Each position of a text carries a name (0 for all in the topic task) and a word, or a gap in place of the word. The
reader fills the gaps. A guess is right for one gap in eight, the number of words.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WORDS = 8
FAVOURITE = 0.6  # the share of a topic's own word in its texts; the other words share the rest equally
TASKS = ("topic", "fixed places", "any order")
CEILING = {"topic": FAVOURITE, "fixed places": 1.0, "any order": 1.0}


@dataclass(frozen=True)
class Texts:
    """A batch. names, words (B, n) long, with WORDS for a gap; answers (B, n) long, -100 where there is no gap."""

    names: Tensor
    words: Tensor
    answers: Tensor

    def to(self, device: str) -> Texts:
        """Return the same texts on another device."""
        return Texts(self.names.to(device), self.words.to(device), self.answers.to(device))


def draw(task: str, batch: int, length: int, generator: torch.Generator) -> Texts:
    """Return texts of one of TASKS, of `length` tokens, half of which are gaps."""
    if task == "topic":
        return _topics(batch, length, generator)
    texts = _look_up(batch, length, generator)
    if task == "fixed places":
        return texts
    order = torch.rand(batch, length, generator=generator).argsort(-1)
    return Texts(*(part.gather(1, order) for part in (texts.names, texts.words, texts.answers)))


def _topics(batch: int, length: int, generator: torch.Generator) -> Texts:
    """Every text has a topic, and every topic a favourite word: one average over the text tells which."""
    topic = torch.randint(WORDS, (batch, 1), generator=generator)
    share = torch.full((WORDS, WORDS), (1 - FAVOURITE) / (WORDS - 1)).fill_diagonal_(FAVOURITE)
    words = torch.multinomial(share[topic[:, 0]], length, replacement=True, generator=generator)
    gap = torch.rand(batch, length, generator=generator).argsort(-1) < length // 2
    return _with_gaps(torch.zeros_like(words), words, gap)


def _look_up(batch: int, length: int, generator: torch.Generator) -> Texts:
    """A quarter as many names as tokens: even places tell each name's word, twice, and odd places ask for it, twice.

    Names are told in the same order in every text, and asked for in another one each time.
    """
    half, count = length // 2, length // 4
    word_of = torch.randint(WORDS, (batch, count), generator=generator)
    asked = torch.rand(batch, half, generator=generator).argsort(-1) % count
    names = torch.stack([(torch.arange(half) % count).expand(batch, -1), asked], -1).flatten(1)
    gap = (torch.arange(length) % 2 == 1).expand(batch, -1)
    return _with_gaps(names, word_of.gather(1, names), gap)


def _with_gaps(names: Tensor, words: Tensor, gap: Tensor) -> Texts:
    return Texts(names, words.masked_fill(gap, WORDS), words.masked_fill(~gap, -100))
