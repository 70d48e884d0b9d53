"""Short tales of animals, and recipes: two kinds of text in plain English words, generated from a seed.

Both were written for this course. The choices follow Zipf's law (the second most frequent word is half as frequent as
the first), as in real texts, so there is a most likely name, place and meal. Within a tale everything agrees: who lost
what, who helped, and where it was. A reader can know that only from the context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")


class Hero(NamedTuple):
    """An animal with a name and its pronouns."""

    name: str
    animal: str
    they: str
    them: str
    their: str


SHE, HE = ("she", "her", "her"), ("he", "him", "his")
NAMES = (
    *(("Mia", SHE), ("Tom", HE), ("Ada", SHE), ("Ben", HE), ("Nora", SHE), ("Leo", HE)),
    *(("Clara", SHE), ("Paul", HE), ("Rosa", SHE), ("Will", HE), ("Lily", SHE), ("Sam", HE)),
)
ANIMALS = ("fox", "mouse", "bear", "rabbit", "owl", "duck", "goat", "badger", "frog", "swan")
NATURES = ("small", "brave", "quiet", "clever", "young", "gentle", "hungry", "curious")
HOMES = (
    *("by the river", "in the old mill", "under the bridge", "near the forest", "on a green hill"),
    *("behind the garden", "beside the lake", "in a hollow tree"),
)
TIMES = ("morning", "evening", "day", "night", "winter")
THINGS = ("kite", "hat", "key", "drum", "boat", "lamp", "book", "scarf", "bell", "ball")
COLOURS = ("red", "blue", "green", "yellow", "silver", "white", "golden")
HIDEOUTS = (
    *("under the bench", "behind the door", "in the long grass", "near the well", "at the market"),
    *("on the stairs", "between the stones", "in the barn"),
)
PLACES = ("the sea", "the old town", "the high tower", "a ship", "the great bridge")
MEALS = ("plum cake", "warm bread", "apple pie", "bean soup", "honey rolls", "pancakes")

FRUITS = ("plums", "apples", "carrots", "beans", "pears", "onions", "berries", "potatoes")
WHOLE = ("ripe", "large", "fresh", "sweet", "small")
DISHES = ("soup", "pie", "cake", "salad", "stew", "tart")
ADDED = (
    *("a cup of sugar", "a little butter", "a pinch of salt", "two spoons of honey", "half a cup of cream"),
    *("a spoon of flour", "a little pepper", "two spoons of oil", "a cup of milk"),
)
CUTS = ("thin slices", "small cubes", "halves", "thick rings")
NUMBERS = ("two", "three", "four", "six", "ten")
MINUTES = ("ten", "twenty", "thirty", "forty", "five")
HEAT = ("a low heat", "a high heat", "an open fire")
SERVED = ("warm", "cold", "hot", "at once")
BESIDE = ("bread", "cream", "rice", "cheese", "fresh herbs")


def tales(count: int, seed: int = 0) -> str:
    """Return `count` tales of about 150 characters, each followed by an empty line."""
    return _texts((lost, found, walk, guest), count, seed)


def recipes(count: int, seed: int = 0) -> str:
    """Return `count` recipes of about 150 characters, each followed by an empty line."""
    return _texts((cooked, stirred), count, seed)


def lost(rng: Random) -> str:
    """Return the tale of a thing that is lost, and found by another."""
    one, two = _pair(rng)
    thing = _one(THINGS, rng)
    return (
        f"{_opening(one, rng)} One {_one(TIMES, rng)} {one.they} lost {one.their} {_one(COLOURS, rng)} {thing}. "
        f"{two.name} the {two.animal} found the {thing} {_one(HIDEOUTS, rng)}. {_ending(one, two, rng)}"
    )


def found(rng: Random) -> str:
    """Return the tale of a thing that is found and given back."""
    one, two = _pair(rng)
    thing = _one(THINGS, rng)
    return (
        f"{_opening(one, rng)} One {_one(TIMES, rng)} {one.they} found a {_one(COLOURS, rng)} {thing} "
        f'{_one(HIDEOUTS, rng)}. "I lost that {thing}," said {two.name} the {two.animal}. {_ending(one, two, rng)}'
    )


def guest(rng: Random) -> str:
    """Return the tale of a guest who is hungry."""
    one, two = _pair(rng)
    meal = _one(MEALS, rng)
    return (
        f"{_opening(one, rng)} One {_one(TIMES, rng)} {two.name} the {two.animal} came to {one.their} door. "
        f"{one.name} made {meal} for {two.them}. {_ending(one, two, rng)}"
    )


def walk(rng: Random) -> str:
    """Return the tale of two who go to a place that one of them has never seen."""
    (one, two), place = _pair(rng), _one(PLACES, rng)
    return (
        f"{_opening(one, rng)} One {_one(TIMES, rng)} {one.they} wanted to see {place}. "
        f'"I know the way," said {two.name} the {two.animal}. {_ending(one, two, rng)}'
    )


def cooked(rng: Random) -> str:
    """Return a recipe in which something is cut and cooked."""
    fruit, more = _one(FRUITS, rng), _one(ADDED, rng)
    return (
        f"Take {_one(NUMBERS, rng)} {_one(WHOLE, rng)} {fruit}. Cut the {fruit} into {_one(CUTS, rng)}. Add {more}"
        f". Cook the {fruit} for {_one(MINUTES, rng)} minutes over {_one(HEAT, rng)}. "
        f"{_served(rng)}"
    )


def stirred(rng: Random) -> str:
    """Return a recipe in which something is stirred and baked."""
    fruit, more, dish = _one(FRUITS, rng), _one(ADDED, rng), _one(DISHES, rng)
    return (
        f"Wash {_one(NUMBERS, rng)} {_one(WHOLE, rng)} {fruit} for the {dish}. Stir {more} into "
        f"{_other(ADDED, more, rng)}. Put the {fruit} on top and bake the {dish} for {_one(MINUTES, rng)} minutes. "
        f"{_served(rng)}"
    )


def _opening(one: Hero, rng: Random) -> str:
    forms = (
        f"Once a {_one(NATURES, rng)} {one.animal} called {one.name} lived {_one(HOMES, rng)}.",
        f"{one.name} the {one.animal} lived {_one(HOMES, rng)}.",
    )
    return _one(forms, rng)


def _ending(one: Hero, two: Hero, rng: Random) -> str:
    forms = (
        f"{one.name} and {two.name} were friends from that day on.",
        "They walked home in the snow.",
        f"{one.name} was happy.",
        f"That night {two.name} slept well.",
    )
    return _one(forms, rng)


def _served(rng: Random) -> str:
    return f"Serve it {_one(SERVED, rng)} with {_one(BESIDE, rng)}."


def _pair(rng: Random) -> tuple[Hero, Hero]:
    """Return two heroes with different names and different kinds."""
    (name, words), animal = _one(NAMES, rng), _one(ANIMALS, rng)
    other_name, other_words = _other(NAMES, (name, words), rng)
    return Hero(name, animal, *words), Hero(other_name, _other(ANIMALS, animal, rng), *other_words)


def _one(items: Sequence[Item], rng: Random) -> Item:
    """Return an item, the k-th with a probability proportional to 1 / k."""
    weights = [1 / (rank + 1) for rank in range(len(items))]
    left = rng.random() * sum(weights)
    for item, weight in zip(items, weights, strict=True):
        left -= weight
        if left < 0:
            return item
    return items[-1]


def _other(items: Sequence[Item], one: Item, rng: Random) -> Item:
    return _one([item for item in items if item != one], rng)


def _texts(kinds: Sequence[Callable[[Random], str]], count: int, seed: int) -> str:
    rng = Random(seed)
    return "".join(f"{_one(kinds, rng)(rng)}\n\n" for _ in range(count))
