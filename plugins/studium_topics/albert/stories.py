"""Stories with a topic and an order: each is about one animal at one place, and its events follow the hours of a day.

A sentence is ANIMAL EVENT PLACE ".", for example "fox eats forest .". All sentences of a story
have the animal and the place of its topic, which differ from those of every other topic. The eight events form a
circle, and a story is a stretch of it that begins anywhere. So two sentences show whether they have one topic by the
words that they share; which comes first is written nowhere but in the pair of events.
"""

from __future__ import annotations

import torch
from torch import Tensor

PAD, CLS, SEP = range(3)
ANIMALS = ("fox", "bear", "frog", "owl", "mole", "hare")
PLACES = ("forest", "cave", "pond", "tree", "field", "meadow")
EVENTS = ("wakes", "washes", "eats", "walks", "works", "plays", "reads", "sleeps")
WORDS = ("[PAD]", "[CLS]", "[SEP]", ".", *ANIMALS, *PLACES, *EVENTS)
VOCABULARY = len(WORDS)
SENTENCE = 4
LENGTH = 2 * SENTENCE + 3


def story(topic: int, start: int, sentences: int) -> list[list[int]]:
    """Return a story: a list of sentences, each a list of ids."""
    events = [EVENTS[start + number] for number in range(sentences)]
    return [encode(f"{ANIMALS[topic]} {event} {PLACES[topic]} .") for event in events]


def stories(count: int, generator: torch.Generator, sentences: int = 2) -> list[list[list[int]]]:
    """Return stories of random topics that begin anywhere in the day; neighbours in the list differ in their topic."""
    steps = torch.randint(1, len(ANIMALS), (count,), generator=generator)
    starts = torch.randint(len(EVENTS) - sentences + 1, (count,), generator=generator)
    topics = steps.cumsum(0) % len(ANIMALS)
    return [story(topic, start, sentences) for topic, start in zip(topics.tolist(), starts.tolist(), strict=True)]


def encode(text: str) -> list[int]:
    """Return the ids of words separated by spaces; raise ValueError if one is unknown."""
    unknown = sorted(set(text.split()) - set(WORDS))
    if unknown:
        raise ValueError(f"text needs words of stories.WORDS only, got {', '.join(unknown)}")
    return [WORDS.index(word) for word in text.split()]


def decode(ids: Tensor | list[int]) -> str:
    """Return the words of ids (T,), separated by spaces."""
    return " ".join(WORDS[number] for number in (ids.tolist() if isinstance(ids, Tensor) else ids))
