"""Documents whose words depend on each other over long distances, and the lowest loss that each input format allows.

A document is 6 to 12 clauses of kits.grammar, all singular or all plural. It repeats its words: two of the eleven
adjectives, two of the nine nouns and two of the nine verbs are drawn for each document, and each clause takes one of
the two. So how well a hidden noun can be known depends on how many clauses of its document the model sees.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from studium_topics.kits import grammar

SHORTEST, LONGEST = 6, 12  # clauses of a document
NOUN = grammar.ROLES.index("noun")
KINDS = len(grammar.NOUNS[0])
SPECIAL = torch.arange(len(grammar.SPECIAL))
FORMS = {"adjective": (grammar.ADJECTIVES,) * 2, "noun": grammar.NOUNS, "verb": grammar.VERBS}
Document = list[list[int]]


def clauses(batch: int, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` clauses of each of `batch` documents: ids (batch, count, 5)."""
    ids = grammar.sentences(batch, 1, generator).view(batch, 1, grammar.CLAUSE).repeat(1, count, 1)
    number = grammar.number_of(ids[:, 0, 0])
    for role, forms in FORMS.items():
        first = torch.tensor([grammar.WORDS.index(words[0]) for words in forms])[number]
        two = torch.rand(batch, len(forms[0]), generator=generator).argsort(1)[:, :2]
        chosen = two.gather(1, torch.randint(2, (batch, count), generator=generator))
        ids[..., grammar.ROLES.index(role)] = first[:, None] + chosen
    return ids


def documents(count: int, generator: torch.Generator) -> list[Document]:
    """Return `count` documents, each a list of sentences, each a list of ids."""
    sizes = torch.randint(SHORTEST, LONGEST + 1, (count,), generator=generator).tolist()
    return [clauses(1, size, generator)[0].tolist() for size in sizes]


def pairs(docs: list[Document], negatives: bool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the sentence pairs (N, 13) of all neighbours, and whether each second sentence is the next one (N,).

    negatives: half of the second sentences come from another document, as in next sentence prediction.
    """
    rows, follows = [], []
    for number, document in enumerate(docs):
        for first, second in pairwise(document):
            wrong = negatives and bool(torch.rand((), generator=generator) < 0.5)
            if wrong:
                step = 1 + int(torch.randint(len(docs) - 1, (), generator=generator))
                other = docs[(number + step) % len(docs)]
                second = other[int(torch.randint(len(other), (), generator=generator))]
            rows.append([grammar.CLS, *first, grammar.SEP, *second, grammar.SEP])
            follows.append(not wrong)
    return torch.tensor(rows), torch.tensor(follows)


def noun_floor(others: int) -> float:
    """Return the lowest loss of a hidden noun, in nats, for a model that sees `others` clauses of the same document.

    If both nouns of the document were seen, the loss is ln 2. If one was seen `others` times, the hidden noun is the
    same with probability 1/2, and otherwise one of the 8 that are left.
    """
    if others == 0:
        return math.log(KINDS)
    one_kind = 0.5 ** (others - 1)
    return one_kind * (math.log(2) + math.log(2 * (KINDS - 1))) / 2 + (1 - one_kind) * math.log(2)
