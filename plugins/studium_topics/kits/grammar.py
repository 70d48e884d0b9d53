"""A grammar in which the number of a determiner can be known only by looking right.

A clause is DET ADJ NOUN VERB '.', for example "these small dogs sleep .". Its number, singular or plural, is decided by
a fair coin, and the determiner, the noun and the verb share it. Going left to right, no reader can predict the
determiner's number better than by tossing a coin, while the verb's is always known from the noun. With both sides in
view, both are certain.
"""

from __future__ import annotations

import torch
from torch import Tensor

CLAUSE = 5
ROLES = ("determiner", "adjective", "noun", "verb", "stop")

PAD, CLS, SEP, MASK = range(4)
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")
DETERMINERS = (("this",), ("these",))
ADJECTIVES = ("small", "big", "old", "young", "quiet", "happy", "hungry", "clever", "lazy", "brave", "gentle")
NOUNS = (
    ("dog", "cat", "bird", "horse", "child", "robot", "fox", "bear", "teacher"),
    ("dogs", "cats", "birds", "horses", "children", "robots", "foxes", "bears", "teachers"),
)
VERBS = (
    ("sleeps", "runs", "sings", "waits", "jumps", "reads", "eats", "hides", "laughs"),
    ("sleep", "run", "sing", "wait", "jump", "read", "eat", "hide", "laugh"),
)
WORDS = (*SPECIAL, *DETERMINERS[0], *DETERMINERS[1], *ADJECTIVES, *NOUNS[0], *NOUNS[1], *VERBS[0], *VERBS[1], ".")
VOCABULARY = len(WORDS)
_NUMBER = {word: number for pair in (DETERMINERS, NOUNS, VERBS) for number in (0, 1) for word in pair[number]}


def encode(sentence: str) -> Tensor:
    """Return the ids (T,) of words separated by spaces."""
    unknown = sorted(set(sentence.split()) - set(WORDS))
    if unknown:
        raise ValueError(f"sentence needs words of the grammar only, got {', '.join(unknown)}: see grammar.WORDS")
    return torch.tensor([WORDS.index(word) for word in sentence.split()], dtype=torch.long)


def decode(ids: Tensor) -> str:
    """Return the words of ids (T,), separated by spaces."""
    return " ".join(WORDS[number] for number in ids.tolist())


def sentences(batch: int, clauses: int, generator: torch.Generator) -> Tensor:
    """Return `batch` sequences of `clauses` clauses, (batch, 5 * clauses) long, without special tokens."""
    shape = (batch, clauses)
    number = _draw(2, shape, generator)
    columns = [
        _choose(DETERMINERS, number, generator),
        _choose((ADJECTIVES, ADJECTIVES), torch.zeros_like(number), generator),
        _choose(NOUNS, number, generator),
        _choose(VERBS, number, generator),
        torch.full(shape, WORDS.index("."), device=generator.device),
    ]
    return torch.stack(columns, -1).flatten(1)  # (batch, 5 * clauses)


def positions(role: str, clauses: int, start: int = 0) -> Tensor:
    """Return where the words of a role are, as (clauses,), if the first clause begins at `start` (1 after a [CLS])."""
    if role not in ROLES:
        raise ValueError(f"role needs to be one of {', '.join(ROLES)}, got {role!r}")
    return start + ROLES.index(role) + CLAUSE * torch.arange(clauses)


def number_of(ids: Tensor) -> Tensor:
    """Return 0 for a singular word, 1 for a plural one, and -1 for a word without a number; the shape of ids."""
    return torch.tensor([_NUMBER.get(word, -1) for word in WORDS], device=ids.device)[ids]


def number_accuracy(predicted: Tensor, truth: Tensor) -> float:
    """Return the fraction of predicted ids whose number is that of the true ids; any word with that number counts."""
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted and truth need one shape, got {tuple(predicted.shape)} and {tuple(truth.shape)}")
    return float((number_of(predicted) == number_of(truth)).double().mean())


def ceiling(role: str, sees_right: bool) -> float:
    """Return the best number accuracy that any reader can reach for the determiner or the verb."""
    if role not in ("determiner", "verb"):
        raise ValueError(f"role needs to be determiner or verb, got {role!r}")
    return 1.0 if sees_right or role == "verb" else 0.5


def _draw(high: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(high, shape, generator=generator, device=generator.device)


def _choose(words: tuple[tuple[str, ...], tuple[str, ...]], number: Tensor, generator: torch.Generator) -> Tensor:
    first = torch.tensor([WORDS.index(forms[0]) for forms in words], device=number.device)
    return first[number] + _draw(len(words[0]), tuple(number.shape), generator)
