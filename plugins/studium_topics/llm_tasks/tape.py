"""The words of this lesson, one clause as eight tasks, and the pages that the tiny base model has read.

A clause is DET ADJ NOUN VERB '.', from the grammar of the kits. Mirror is a second language: each word is spelled
backwards, and the adjective comes after the noun.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from studium_topics.kits import grammar

Message = dict[str, str]
Conversation = list[Message]

SPECIAL = ("[PAD]", "[SYSTEM]", "[USER]", "[ASSISTANT]", "[END]")
PROSE = grammar.WORDS[len(grammar.SPECIAL) :]
MIRROR = tuple(word[::-1] for word in PROSE if word != ".")
LABELS = ("singular", "plural", *(role.upper() for role in grammar.ROLES))
ASKING = ("number", "tag", "noun", "answer", "summarise", "translate", ":", "?")
WORDS = (*SPECIAL, *PROSE, *MIRROR, *LABELS, *ASKING)
NUMBERS = {word: number for number, word in enumerate(WORDS)}
PLURAL = 1
Clause = Sequence[str]


EVERY = tuple(
    (grammar.DETERMINERS[plural][0], adjective, noun, verb, ".")
    for plural in (0, PLURAL)
    for adjective in grammar.ADJECTIVES
    for noun in grammar.NOUNS[plural]
    for verb in grammar.VERBS[plural]
)  # the 1782 clauses of the grammar, all equally likely


def mirror(clause: Clause) -> list[str]:
    """Return the clause in Mirror: DET NOUN ADJ VERB '.', each word spelled backwards."""
    determiner, adjective, noun, verb, _ = (word[::-1] for word in clause)
    return [determiner, noun, adjective, verb, "."]


def number(clause: Clause) -> list[str]:
    """Return ["singular"] or ["plural"]."""
    return ["plural" if grammar.number_of(grammar.encode(clause[2])) == PLURAL else "singular"]


def ask(text: str, answer: str = "") -> Conversation:
    """Return one turn: the user's text and the assistant's answer."""
    return [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]


ANSWERS: dict[str, Callable[[Clause], list[str]]] = {
    "number": number,
    "tag": lambda clause: list(LABELS[2:]),
    "noun": lambda clause: [clause[2]],
    "answer": lambda clause: [clause[3]],
    "summarise": lambda clause: [clause[2], clause[3]],
    "translate": mirror,
}
TRAINED = ("number", "summarise", "translate")  # the tasks of the adapters


def turn(task: str, clause: Clause, *, instruction: bool = True) -> Conversation:
    """Return a task as a conversation of one turn, with the name of the task in front of the clause or without."""
    asked = f"{task} : {' '.join(clause)}" if instruction else " ".join(clause)
    return ask(asked, " ".join(ANSWERS[task](clause)))


def dialogue(task: str, parts: Sequence[Clause]) -> Conversation:
    """Return a conversation of several turns, all with the same task, which no word of it names."""
    return [message for clause in parts for message in turn(task, clause, instruction=False)]


def encode(words: Sequence[str]) -> list[int]:
    """Return the number of each word."""
    return [NUMBERS[word] for word in words]


def decode(ids: Sequence[int] | Tensor) -> str:
    """Return the words of ids (T,), separated by spaces."""
    return " ".join(WORDS[int(token)] for token in ids)


def pages(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Return what the base has read, (count, length): prose, translations, repetitions, and markup around any words.

    A third of the pages is prose in both languages, a third has clauses that come twice, in one language or in both,
    and a third has the headers of a conversation around words drawn at random.
    """
    chance = random.Random(int(torch.randint(2**31, (), generator=generator)))
    return torch.tensor([_page(chance.choice((_prose, _parallel, _markup)), length, chance) for _ in range(count)])


def _page(write: Callable[[random.Random], Iterable[str]], length: int, chance: random.Random) -> list[int]:
    start = chance.randrange(5)  # a page may begin anywhere in a clause
    words: list[str] = []
    while len(words) < start + length:
        words += write(chance)
    return encode(words[start : start + length])


def _prose(chance: random.Random) -> Iterable[str]:
    clause = chance.choice(EVERY)
    return chance.choice((clause, mirror(clause)))


def _parallel(chance: random.Random) -> Iterable[str]:
    clause = chance.choice(EVERY)
    first, second = chance.choice(((clause, mirror(clause)), (mirror(clause), clause), (clause, clause)))
    return [*first, *second]


def _markup(chance: random.Random) -> Iterable[str]:
    words = []
    for header in ("[USER]", "[ASSISTANT]"):
        words += [header, *chance.choices(WORDS[len(SPECIAL) :], k=chance.randint(1, 5)), "[END]"]
    return words
