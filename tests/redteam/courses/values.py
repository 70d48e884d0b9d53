# %% [markdown]
# # What a test hands over
#
# Exercises whose tests go on with what they gave away, add points up, or ask objects for their operators.

# %% given="values-setup"
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

# %% answer="noise"
def noise(rng, n):
    """Give n normal numbers from the generator."""
    ### BEGIN SOLUTION
    return rng.normal(size=n)
    ### END SOLUTION

# %% test="noise-is-drawn" points=2
rng, twin = np.random.default_rng(4711), np.random.default_rng(4711)
assert np.array_equal(noise(rng, 4), twin.normal(size=4))
assert rng.random() == twin.random()

# %% answer="smooth"
def smooth(x):
    """Give the sums of each number and its neighbours."""
    ### BEGIN SOLUTION
    return np.convolve(x, np.ones(3), mode="same")
    ### END SOLUTION

# %% test="smooth-noise" points=3
### BEGIN HIDDEN TESTS
rng = np.random.default_rng()
assert noise(rng, 4).shape == (4,)
x = rng.normal(size=20)
assert np.allclose(smooth(x), np.convolve(x, np.ones(3), mode="same"))
### END HIDDEN TESTS

# %% answer="choose"
def choose(rng, items):
    """Give one of the items, chosen with the generator of Python's."""
    ### BEGIN SOLUTION
    return rng.choice(items)
    ### END SOLUTION

# %% test="choose-only" points=1
assert choose(random.Random(4711), ["a"]) == "a"

# %% answer="activation"
def activation():
    """Give the module that computes GELU."""
    ### BEGIN SOLUTION
    return nn.GELU()
    ### END SOLUTION

# %% test="activation-right" points=2
### BEGIN HIDDEN TESTS
x = torch.linspace(-2, 2, 47)
assert torch.allclose(activation()(x), nn.functional.gelu(x))
### END HIDDEN TESTS

# %% answer="largest"
def largest(items):
    """Give the largest item."""
    ### BEGIN SOLUTION
    return max(items)
    ### END SOLUTION

# %% test="largest-score" points=4
### BEGIN HIDDEN TESTS
score = 0
for items in ([5, 4711, 8], [-5, -3, -4711]):
    if largest(items) == max(items):
        score += 2
score
### END HIDDEN TESTS

# %% answer="Box"
class Box:
    """Holds x, and has no order."""
    ### BEGIN SOLUTION
    def __init__(self, x):
        self.x = x
    ### END SOLUTION

# %% test="Box-unordered" points=2
### BEGIN HIDDEN TESTS
try:
    Box(47) < Box(11)
except TypeError:
    pass
else:
    raise AssertionError("boxes have an order")
### END HIDDEN TESTS

# %% test="Box-holds" points=1
box = Box(3)
assert box.x == 3, box

# %% answer="Shape"
class Shape(ABC):
    """A shape that has an area."""
    ### BEGIN SOLUTION
    @abstractmethod
    def area(self):
        ...
    ### END SOLUTION

# %% test="Shape-abstract" points=2
### BEGIN HIDDEN TESTS
class NoArea(Shape):
    pass

try:
    NoArea()
except TypeError:
    pass
else:
    raise AssertionError("a shape without an area was made")
### END HIDDEN TESTS

# %% answer="Vec"
class Vec:
    """A vector of one number: sums, order, equality, length 1."""
    ### BEGIN SOLUTION
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x

    def __add__(self, other):
        return Vec(self.x + other.x)

    def __lt__(self, other):
        return self.x < other.x

    def __len__(self):
        return 1

    def __iter__(self):
        return iter((self.x,))
    ### END SOLUTION

# %% test="Vec-operators" points=3
### BEGIN HIDDEN TESTS
v = Vec(4711)
v += Vec(1)
assert v == Vec(4712) and not v != Vec(4712)
assert v > Vec(4711) and v and 4712 in v
### END HIDDEN TESTS

# %% given="data-classes" locked=true
@dataclass
class Item:
    """What a shop sells."""

    name: str
    price: float
    tags: list = field(default_factory=list)

    def __post_init__(self):
        assert self.price >= 0

    def total(self, n):
        """Give the price of n of them."""
        return n * self.price

    def __add__(self, other):
        return Item(f"{self.name} and {other.name}", self.price + other.price)


class Level(Enum):
    """How full something is."""

    LOW = 1
    HIGH = 2

    def is_full(self):
        """Tell whether nothing fits in any more."""
        return self is Level.HIGH


class Step(NamedTuple):
    """A step on a grid."""

    x: int
    y: int

    def after(self, other):
        """Give both steps as one."""
        return Step(self.x + other.x, self.y + other.y)


class Frac:
    """A fraction, not reduced."""

    def __init__(self, top, bottom=1):
        self.top, self.bottom = top, bottom

    def __eq__(self, other):
        return self.top * other.bottom == other.top * self.bottom

    def __lt__(self, other):
        return self.top * other.bottom < other.top * self.bottom

    def show(self):
        """Give it as text."""
        return f"{self.top}/{self.bottom}"


# %% answer="reduce"
def reduce(item, percent):
    """Lower the price of an Item in place and tag it "sale"; give a new Item, called "gift", that costs nothing."""
    ### BEGIN SOLUTION
    item.price *= 1 - percent / 100
    item.tags.append("sale")
    return Item("gift", 0.0)
    ### END SOLUTION

# %% test="reduce-right" points=2
### BEGIN HIDDEN TESTS
lamp = Item("lamp", 80.0)
gift = reduce(lamp, 25)
assert lamp == Item("lamp", 60.0, ["sale"]) and lamp.total(2) == 120
assert gift == Item("gift", 0) and gift.total(4711) == 0
assert (gift + lamp).name == "gift and lamp"
### END HIDDEN TESTS

# %% answer="cheapest"
def cheapest(items):
    """Give the item of the lowest price."""
    ### BEGIN SOLUTION
    return min(items, key=lambda item: item.price)
    ### END SOLUTION

# %% test="cheapest-right" points=1
### BEGIN HIDDEN TESTS
items = [Item("a", 3.0), Item("b", 1.0), Item("c", 47.11)]
assert cheapest(items) is items[1]
### END HIDDEN TESTS

# %% answer="filled"
def filled(level):
    """Give Level.HIGH for Level.LOW, and Level.LOW for Level.HIGH."""
    ### BEGIN SOLUTION
    return Level.LOW if level is Level.HIGH else Level.HIGH
    ### END SOLUTION

# %% test="filled-right" points=1
### BEGIN HIDDEN TESTS
assert filled(Level.LOW).is_full() and filled(Level.LOW) is Level.HIGH
assert not filled(Level.HIGH).is_full()
### END HIDDEN TESTS

# %% answer="back"
def back(step):
    """Give the Step back."""
    ### BEGIN SOLUTION
    return Step(-step.x, -step.y)
    ### END SOLUTION

# %% test="back-right" points=1
### BEGIN HIDDEN TESTS
there = Step(47, 11)
assert back(there).after(there) == Step(0, 0)
assert isinstance(back(there), Step) and back(there).x == -47
### END HIDDEN TESTS

# %% answer="sum_of"
def sum_of(fracs):
    """Give the sum of some Frac; divide the first by two, in place."""
    ### BEGIN SOLUTION
    top, bottom = 0, 1
    for f in fracs:
        top, bottom = top * f.bottom + f.top * bottom, bottom * f.bottom
    fracs[0].bottom *= 2
    return Frac(top, bottom)
    ### END SOLUTION

# %% test="sum_of-right" points=2
### BEGIN HIDDEN TESTS
fracs = [Frac(1, 2), Frac(47, 11)]
found = sum_of(fracs)
assert found == Frac(105, 22) and Frac(47, 11) < found
assert fracs[0] == Frac(1, 4) and fracs[0].show() == "1/4"
assert sum_of([Frac(0)]) == Frac(0)
### END HIDDEN TESTS
