# %% [markdown]
# # What is counted, what is left out, and what nobody gave
#
# Exercises whose tests add up comparisons, go through what an answer gives, or compute with labels and gradients.

# %% given="counts-setup" locked=true
from collections import UserList

import numpy as np
import pandas as pd
import torch

# %% answer="square"
def square(x):
    """Give the square of a number."""
    ### BEGIN SOLUTION
    return x * x
    ### END SOLUTION

# %% test="square-counted" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
assert np.sum([np.asarray(square(x) == x * x).sum() for x in range(5)]) >= 5
### END HIDDEN TESTS

# %% answer="ordered"
def ordered(values):
    """Give the values in order."""
    ### BEGIN SOLUTION
    return sorted(values)
    ### END SOLUTION

# %% test="ordered-nothing" points=1
### BEGIN HIDDEN TESTS
assert len(ordered([])) == 0
### END HIDDEN TESTS

# %% test="ordered-follows" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
found = ordered([4, 1, 3])
for k in range(len(found) - 1):
    assert found[k] <= found[k + 1]
### END HIDDEN TESTS

# %% answer="put_in_order"
def put_in_order(values):
    """Put a list in order, in place."""
    ### BEGIN SOLUTION
    values.sort()
    ### END SOLUTION

# %% test="put_in_order-follows" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
values = [4, 1, 3]
put_in_order(values)
assert all(values[k] <= values[k + 1] for k in range(len(values) - 1))
### END HIDDEN TESTS

# %% answer="total"
def total(values):
    """Give the sum of the values."""
    ### BEGIN SOLUTION
    return sum(values)
    ### END SOLUTION

# %% test="total-of-a-user-list" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
values = UserList([3, 5])
assert total(values) == sum(values)
### END HIDDEN TESTS

# %% answer="twice"
def twice(series):
    """Give the series with each value doubled."""
    ### BEGIN SOLUTION
    return 2 * series
    ### END SOLUTION

# %% test="twice-near" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
series = pd.Series([1.0, 2, 4], index=["a", "b", "c"])
assert (twice(series) - (series + series)).abs().sum() < 1e-9
### END HIDDEN TESTS

# %% answer="cube"
def cube(x):
    """Give the cube of each element of a tensor."""
    ### BEGIN SOLUTION
    return x**3
    ### END SOLUTION

# %% test="cube-slope" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
x = torch.tensor([1.0, 2.0], requires_grad=True)
(slope,) = torch.autograd.grad(cube(x).sum(), x)
assert not (slope - 3 * x**2).abs().max() > 1e-5
### END HIDDEN TESTS

# %% answer="chain"
class Node:
    """A value, and the node after it or None."""
    ### BEGIN SOLUTION
    def __init__(self, value, after=None):
        self.value, self.after = value, after
    ### END SOLUTION

def chain(values):
    """Give the first of nodes with the values, or None."""
    ### BEGIN SOLUTION
    return Node(values[0], chain(values[1:])) if values else None
    ### END SOLUTION

# %% test="chain-large" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
node = chain([7, 5])
while node is not None:
    assert node.value > 4
    node = node.after
### END HIDDEN TESTS
