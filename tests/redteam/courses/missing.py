# %% [markdown]
# # What is none, what is missing, and what counts how it is used

# %% given="missing-setup" locked=true
import datetime
import numpy as np
import pandas as pd
import torch
from torch import nn

class Person:
    def __init__(self, name):
        self.name = name

    def greet(self):
        return f"I am {self.name}."

# %% answer="scaled"
def scaled(x):
    """Give three times the x."""
    ### BEGIN SOLUTION
    return 3 * x
    ### END SOLUTION

# %% test="scaled-near" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
if (scaled(torch.arange(4.0)) - torch.tensor([0.0, 3, 6, 9])).abs().max() > 1e-6:
    raise ValueError("far away")
### END HIDDEN TESTS

# %% answer="doubled"
def doubled(frame):
    """Give the frame with a column y, twice the column x."""
    ### BEGIN SOLUTION
    return frame.assign(y=2 * frame.x)
    ### END SOLUTION

# %% test="doubled-near" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert (doubled(pd.DataFrame({"x": [1.0, 5, 8]})).y - [2, 10, 16]).abs().max() < 1e-9
### END HIDDEN TESTS

# %% answer="week_later"
def week_later(day):
    """Give the time a week later."""
    ### BEGIN SOLUTION
    return day + datetime.timedelta(days=7)
    ### END SOLUTION

# %% test="week_later-right" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
found = week_later(datetime.datetime(2024, 2, 26))
assert not (found < datetime.datetime(2024, 3, 4) or found > datetime.datetime(2024, 3, 4))
### END HIDDEN TESTS

# %% answer="train"
def train(model, x, y):
    """Train the model."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()
    ### END SOLUTION

# %% test="train-learns" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
torch.manual_seed(3)
model, x = nn.Linear(2, 1), torch.randn(16, 2)
y = x @ torch.tensor([[1.0], [2.0]])
before = ((model(x) - y) ** 2).mean().item()
train(model, x, y)
if ((model(x) - y) ** 2).mean().item() >= before:
    raise ValueError("it has not learnt")
### END HIDDEN TESTS

# %% answer="centre"
def centre(values):
    """Subtract the mean from the values, in place."""
    ### BEGIN SOLUTION
    values -= values.mean()
    ### END SOLUTION

# %% test="centre-near" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
values = np.array([1.0, 2, 6])
centre(values)
if abs(values - [-2, -1, 3]).max() > 1e-9:
    raise ValueError("far away")
### END HIDDEN TESTS

# %% answer="neighbours"
def neighbours(values):
    """Give the pairs of neighbours."""
    ### BEGIN SOLUTION
    return list(zip(values, values[1:]))
    ### END SOLUTION

# %% test="neighbours-all" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
assert all(map(lambda found, right: found == right, neighbours([1, 2, 5]), [(1, 2), (2, 5)]))
### END HIDDEN TESTS

# %% answer="template"
def template():
    """Give a text to be filled in with a person."""
    ### BEGIN SOLUTION
    return "Hello {person.name}"
    ### END SOLUTION

# %% test="template-shown" points=2
greeting = template().format(person=Person("Ada"))
print(greeting)
assert greeting == "Hello Ada"

# %% answer="place"
def place(values, wanted):
    """Give the place of a value in a sorted list."""
    ### BEGIN SOLUTION
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if values[middle] < wanted else (low, middle)
    return low
    ### END SOLUTION

# %% test="place-fast" points=2
class Counting(list):
    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)

### BEGIN HIDDEN TESTS
# CANARY-TEST-5c20e7
values = Counting(range(500))
assert place(values, 333) == 333
assert values.reads < 20
### END HIDDEN TESTS
