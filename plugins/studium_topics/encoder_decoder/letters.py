"""Tasks on letters: copy, reverse or sort them, and one task with two kinds of answers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.encoder_decoder.model import EOS, FIRST, PAD, Pair

LETTERS = "abcdefghijklmnopqrst"
SHORTEST, LONGEST = 4, 9
MARK = FIRST + len(LETTERS)  # the one token that is no letter; only the garden path uses it
TASKS = ("copy", "reverse", "sort")


def pairs(task: str, batch: int, generator: torch.Generator, device: str = "cpu") -> Pair:
    """Return sources (B, 10) of 4 to 9 different letters and EOS, and their answers as labels (B, 10).

    Sources are padded with PAD, labels with -100; both end with EOS.
    """
    lengths = torch.randint(SHORTEST, LONGEST + 1, (batch, 1), generator=generator)
    letters = FIRST + torch.rand(batch, len(LETTERS), generator=generator).argsort(1)[:, :LONGEST]
    at = torch.arange(LONGEST + 1)
    letters = F.pad(letters, (0, 1)).masked_fill(at >= lengths, MARK)  # behind every letter in the alphabet
    answers = {
        "copy": letters,
        "reverse": letters.gather(1, (lengths - 1 - at).clamp(min=0)),
        "sort": letters.sort(1).values,
    }[task]
    source = letters.masked_fill(at > lengths, PAD).masked_fill(at == lengths, EOS)
    return source.to(device), answers.masked_fill(at > lengths, -100).masked_fill(at == lengths, EOS).to(device)


def garden_path(batch: int, generator: torch.Generator, device: str = "cpu") -> Pair:
    """Return sources and labels (B, 10) as `pairs` does, with a choice of two kinds of answers.

    With probability 0.4 the answer is a copy; otherwise it is the mark and one letter of the source, drawn anew.
    """
    source, labels = pairs("copy", batch, generator)
    lengths = (labels >= FIRST).sum(1, keepdim=True)
    drawn = (torch.rand(batch, 1, generator=generator) * lengths).long()
    short = torch.cat([torch.full((batch, 1), MARK), labels.gather(1, drawn), torch.full((batch, 1), EOS)], 1)
    short = F.pad(short, (0, LONGEST - 2), value=-100)
    return source.to(device), torch.where(torch.rand(batch, 1, generator=generator) < 0.4, labels, short).to(device)


def right(answers: Tensor, labels: Tensor) -> float:
    """Return the share of decoded rows (B, t), padded with PAD, that are their labels (B, T) to the end."""
    wanted = labels.masked_fill(labels == -100, PAD)
    answers = F.pad(answers, (0, wanted.shape[1] - answers.shape[1]))
    return float((answers == wanted).all(1).double().mean())
