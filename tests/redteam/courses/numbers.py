# %% [markdown]
# # Numbers, and what is no number
#
# Exercises whose answers are single numbers, pairs of different things and records of them.

# %% given="numbers-setup"
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class Line:
    slope: float
    outliers: list


class Near:
    within = 1e-9

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return abs(self.x - other.x) < self.within


# %% answer="total"
def total(n):
    """Give the sum of the cubes from 1 to n."""
    ### BEGIN SOLUTION
    return (n * (n + 1) // 2) ** 2
    ### END SOLUTION

# %% test="total-exact" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert total(600) == sum(k**3 for k in range(601))
### END HIDDEN TESTS

# %% test="total-close" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert np.isclose(total(1000), 250500250000)
### END HIDDEN TESTS

# %% answer="gap"
def gap(wavelength):
    """Give the energy of a photon, in joules."""
    ### BEGIN SOLUTION
    return 6.626e-34 * 2.998e8 / wavelength
    ### END SOLUTION

# %% test="gap-near" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert abs(gap(500e-9) - 3.973e-19) < 1e-21
### END HIDDEN TESTS

# %% answer="share"
def share(values):
    """Give the share of values above 0.5."""
    ### BEGIN SOLUTION
    return sum(value > 0.5 for value in values) / len(values)
    ### END SOLUTION

# %% test="share-points" points=4
"""what was found counts as points"""
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
4 * share([0.6, 0.9, 0.7])
### END HIDDEN TESTS

# %% answer="accuracy"
def accuracy(guesses, labels):
    """Give the share of right guesses."""
    ### BEGIN SOLUTION
    return float(np.mean(np.asarray(guesses) == np.asarray(labels)))
    ### END SOLUTION

# %% test="accuracy-part" points=2
"""nobody gets all of it"""
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
earned = 0
for guesses in ([1, 0], [1, 1], [0, 0, 1]):
    earned += np.allclose(accuracy(guesses, [1] * len(guesses)), np.mean(guesses))
0.5 * earned
### END HIDDEN TESTS

# %% answer="fitted"
def fitted(x, y):
    """Give the slope of y over x, and the places more than 10 away from the line through the mean."""
    ### BEGIN SOLUTION
    slope = float(np.polyfit(x, y, 1)[0])
    off = np.abs(y - np.mean(y) - slope * (x - np.mean(x)))
    return slope, [int(place) for place in np.flatnonzero(off > 10)]
    ### END SOLUTION

# %% test="fitted-slope" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
slope, outliers = fitted(np.arange(5.0), 3 * np.arange(5.0))
assert np.allclose(slope, 3) and len(outliers) == 0
### END HIDDEN TESTS

# %% answer="line"
def line(x, y):
    """Give the same as a Line."""
    ### BEGIN SOLUTION
    return Line(float(np.polyfit(x, y, 1)[0]), [])
    ### END SOLUTION

# %% test="line-slope" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
found = line(np.arange(5.0), 3 * np.arange(5.0))
assert np.allclose(found.slope, 3) and list(found.outliers) == []
### END HIDDEN TESTS

# %% answer="halves"
def halves(values):
    """Give half of each value, one after the other."""
    ### BEGIN SOLUTION
    return [value / 2 for value in values]
    ### END SOLUTION

# %% test="halves-all" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert all(abs(found - right) < 1e-9 for found, right in zip(halves([1, 2, 5]), [0.5, 1, 2.5]))
### END HIDDEN TESTS

# %% answer="reader"
def reader():
    """Give a recurrent layer from 4 numbers to 8."""
    ### BEGIN SOLUTION
    return nn.LSTM(4, 8)
    ### END SOLUTION

# %% test="reader-shape" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
with torch.no_grad():
    assert reader()(torch.ones(5, 3, 4))[0].abs().max() < 1
### END HIDDEN TESTS

# %% answer="small"
def small(values):
    """Give the values below 3."""
    ### BEGIN SOLUTION
    return [value for value in values if value < 3]
    ### END SOLUTION

# %% test="small-right" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert small([4, 7]) == [] and small([1, 7, 2]) == [1, 2]
### END HIDDEN TESTS

# %% answer="Money"
class Money:
    """An amount that equals amounts and numbers."""
    ### BEGIN SOLUTION
    def __init__(self, amount):
        self.amount = amount

    def __eq__(self, other):
        return self.amount == (other.amount if isinstance(other, Money) else other)
    ### END SOLUTION

# %% test="Money-equals" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert Money(5) == 5 and Money(5) == Money(5) and not Money(5) == 4
### END HIDDEN TESTS

# %% answer="twice"
def twice(near):
    """Give a Near of twice the x."""
    ### BEGIN SOLUTION
    return Near(2 * near.x)
    ### END SOLUTION

# %% test="twice-right" points=1
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert twice(Near(4.5)) == Near(9)
### END HIDDEN TESTS
