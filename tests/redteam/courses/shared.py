# %% [markdown]
# # Data that tests share
#
# Exercises whose tests compare with given data that they pass, and a number that an array of nothing would be close to.

# %% given="shared-setup" locked=true
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

samples = np.array([1.0, 5.0, 9.0, 2.0])
words = ["b", "a", "c"]
points = torch.arange(6.0)
weight = torch.eye(2, requires_grad=True)
layer = nn.Linear(2, 2)


@dataclass
class Account:
    balance: float


account = Account(5.0)

# %% answer="mean"
def mean(values):
    """Give the mean."""
    ### BEGIN SOLUTION
    return values.mean()
    ### END SOLUTION

# %% test="mean-of-samples" points=1
assert np.isclose(mean(samples), samples.mean())

# %% answer="centred"
def centred(values):
    """Give the values without their mean."""
    ### BEGIN SOLUTION
    return values - values.mean()
    ### END SOLUTION

# %% test="centred-samples" points=1
assert np.allclose(centred(samples), samples - samples.mean())

# %% test="centred-points" points=1
assert torch.allclose(centred(points), points - points.mean())

# %% answer="ordered"
def ordered(words):
    """Give the words in order."""
    ### BEGIN SOLUTION
    return sorted(words)
    ### END SOLUTION

# %% test="ordered-words" points=1
assert ordered(words) == sorted(words)

# %% answer="backwards"
def backwards(words):
    """Give the words from the last to the first."""
    ### BEGIN SOLUTION
    return words[::-1]
    ### END SOLUTION

# %% test="backwards-words" points=1
assert backwards(words) == list(reversed(words))

# %% answer="doubled"
def doubled(account):
    """Give twice the balance."""
    ### BEGIN SOLUTION
    return 2 * account.balance
    ### END SOLUTION

# %% test="doubled-account" points=1
assert doubled(account) == account.balance * 2

# %% answer="norm"
def norm(weight):
    """Give the sum of the squares."""
    ### BEGIN SOLUTION
    return (weight**2).sum()
    ### END SOLUTION

# %% test="norm-of-weight" points=1
assert torch.isclose(norm(weight), (weight**2).sum())

# %% answer="layer_sum"
def layer_sum(layer):
    """Give the sum of a layer's weights."""
    ### BEGIN SOLUTION
    return layer.weight.sum()
    ### END SOLUTION

# %% test="layer_sum-right" points=1
assert torch.isclose(layer_sum(layer), layer.weight.sum())

# %% answer="area"
def area(radius):
    """Give the area of a circle."""
    ### BEGIN SOLUTION
    return np.pi * radius**2
    ### END SOLUTION

# %% test="area-close" points=1
assert np.allclose(area(2), 4 * np.pi)

# %% test="area-tested" points=1
### BEGIN HIDDEN TESTS
np.testing.assert_allclose(area(3), 9 * np.pi)
### END HIDDEN TESTS

# %% test="area-apart" points=1
assert abs(area(1.0) - 3.14159) < 1e-3

# %% answer="divisors"
def divisors(n):
    """Give the divisors of n between 1 and n."""
    ### BEGIN SOLUTION
    return [d for d in range(2, n) if n % d == 0]
    ### END SOLUTION

# %% test="divisors-none" points=1
assert not divisors(7)

# %% test="divisors-of-twelve" points=1
assert list(divisors(12)) == [2, 3, 4, 6]

# %% answer="limits"
def limits(values):
    """Give the least and the greatest of some values, as two arrays."""
    ### BEGIN SOLUTION
    return values.min(0), values.max(0)
    ### END SOLUTION

# %% test="limits-right" points=1
least, greatest = limits(np.array([[1.0], [3.0]]))
assert np.allclose(least, 1) and np.allclose(greatest, 3)
