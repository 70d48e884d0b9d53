# %% [markdown]
# # Side by side
#
# Exercises whose tests go through an answer and what they expect together, say what may not be, and hand over layers.

# %% given="sides-setup" locked=true
import json
import os

import numpy as np
import torch
from torch import nn

# %% answer="doubles"
def doubles(values):
    """Give the list of the values, each doubled."""
    ### BEGIN SOLUTION
    return [2 * value for value in values]
    ### END SOLUTION

# %% test="doubles-right" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
for found, right in zip(doubles([4, 7, 11]), [8, 14, 22]):
    assert found == right
### END HIDDEN TESTS

# %% test="doubles-partial" points=4
### BEGIN HIDDEN TESTS
sum(found == right for found, right in zip(doubles([1, 2, 3, 4]), [2, 4, 6, 8]))
### END HIDDEN TESTS

# %% answer="halves"
def halves(values):
    """Yield half of each value."""
    ### BEGIN SOLUTION
    for value in values:
        yield value / 2
    ### END SOLUTION

# %% test="halves-right" points=1
### BEGIN HIDDEN TESTS
for k, half in enumerate(halves([0, 2, 4, 6])):
    assert half == k
### END HIDDEN TESTS

# %% answer="distance"
def distance(a, b):
    """Give the distance of two points."""
    ### BEGIN SOLUTION
    return float(np.hypot(*np.subtract(a, b)))
    ### END SOLUTION

# %% test="distance-near" points=2
### BEGIN HIDDEN TESTS
if abs(distance((1, 2), (4, 6)) - 5) > 1e-9:
    raise ValueError("far from the distance")
### END HIDDEN TESTS

# %% answer="clipped"
def clipped(values):
    """Give the array with all that is below 0 as 0, and all that is above 1 as 1."""
    ### BEGIN SOLUTION
    return np.clip(values, 0, 1)
    ### END SOLUTION

# %% test="clipped-between" points=1
### BEGIN HIDDEN TESTS
found = clipped(np.array([-3.0, 0.5, 7.0]))
assert not np.any(found < 0) and not np.any(found > 1)
### END HIDDEN TESTS

# %% answer="evens"
def evens(values):
    """Give the list of the even values."""
    ### BEGIN SOLUTION
    return [value for value in values if value % 2 == 0]
    ### END SOLUTION

# %% answer="middle"
def middle(values):
    """Give the mean."""
    ### BEGIN SOLUTION
    return sum(values) / len(values)
    ### END SOLUTION

# %% test="middle-of-evens" points=2
### BEGIN HIDDEN TESTS
assert evens([1, 3]) == []
assert np.allclose(middle(evens([1, 4, 8])), 6)
### END HIDDEN TESTS

# %% answer="fit"
def fit(model, x, y):
    """Train the model in place until it gives y for x."""
    ### BEGIN SOLUTION
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        optimiser.step()
    model.eval()
    ### END SOLUTION

# %% test="fit-small-loss" points=2
### BEGIN HIDDEN TESTS
torch.manual_seed(47)
x = torch.randn(40, 2)
y = x[:, :1] - 2 * x[:, 1:]
model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
fit(model, x, y)
assert ((model(x) - y) ** 2).mean() < 0.2
### END HIDDEN TESTS

# %% answer="attention"
def attention(width, heads):
    """Give a layer of self-attention, batch first."""
    ### BEGIN SOLUTION
    return nn.MultiheadAttention(width, heads, batch_first=True)
    ### END SOLUTION

# %% test="attention-works" points=1
### BEGIN HIDDEN TESTS
layer = attention(8, 2).eval()
x = torch.ones(1, 3, 8)
with torch.no_grad():
    assert layer(x, x, x)[0].shape == (1, 3, 8)
### END HIDDEN TESTS

# %% answer="report"
def report(path):
    """Write the sum of table.csv as JSON."""
    ### BEGIN SOLUTION
    with open(path, "w") as file:
        json.dump(float(np.loadtxt("table.csv").sum()), file)
    ### END SOLUTION

# %% test="report-right" points=2
### BEGIN HIDDEN TESTS
report("report.json")
assert os.path.exists("report.json")
assert json.load(open("report.json")) == np.loadtxt("table.csv").sum()
### END HIDDEN TESTS

# %% answer="copy"
def copy(source, target):
    """Copy a file."""
    ### BEGIN SOLUTION
    with open(source) as given, open(target, "w") as made:
        made.write(given.read())
    ### END SOLUTION

# %% test="copy-alike" points=1
### BEGIN HIDDEN TESTS
with open("given.txt", "w") as file:
    file.write("forty-seven eleven")
copy("given.txt", "made.txt")
assert open("given.txt").read() == open("made.txt").read()
### END HIDDEN TESTS
