# %% [markdown]
# # What a test hands over
#
# Exercises whose tests go on with what they gave away, add points up, or ask objects for their operators.

# %% given="values-setup"
import random
from abc import ABC, abstractmethod

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
