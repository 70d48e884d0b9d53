# %% [markdown]
# # Files
#
# Exercises whose tests read what an answer wrote, and write what it reads.

# %% given="files-setup" locked=true
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

# %% answer="save"
def save(value, path):
    """Write a value as JSON."""
    ### BEGIN SOLUTION
    with open(path, "w") as file:
        json.dump(value, file)
    ### END SOLUTION

# %% test="save-there" points=1
save({"loss": [3, 2, 1]}, "log.json")
assert os.path.exists("log.json")

# %% test="save-right" points=1
save({"loss": [3, 2, 1]}, "log.json")
with open("log.json") as file:
    assert json.load(file) == {"loss": [3, 2, 1]}

# %% test="save-elsewhere" points=1
### BEGIN HIDDEN TESTS
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "x.json"
    save(17, path)
    assert path.is_file() and json.loads(path.read_text()) == 17
### END HIDDEN TESTS

# %% answer="count_words"
def count_words(path):
    """Count the words in a file."""
    ### BEGIN SOLUTION
    return len(Path(path).read_text().split())
    ### END SOLUTION

# %% test="count_words-right" points=1
Path("words.txt").write_text("one two three")
assert count_words("words.txt") == 3
Path("words.txt").write_text("four")
assert count_words("words.txt") == 1

# %% answer="checkpoint"
def checkpoint(model, path):
    """Write the weights of a model."""
    ### BEGIN SOLUTION
    torch.save(model.state_dict(), path)
    ### END SOLUTION

# %% test="checkpoint-right" points=1
model = nn.Linear(3, 2)
checkpoint(model, "model.pt")
found = torch.load("model.pt")
assert torch.equal(found["weight"], model.weight) and torch.equal(found["bias"], model.bias)

# %% answer="squares"
### BEGIN SOLUTION
np.save("squares.npy", np.arange(5) ** 2)
### END SOLUTION

# %% test="squares-right" points=1
assert os.path.isfile("squares.npy"), "write squares.npy"
assert np.load("squares.npy").tolist() == [0, 1, 4, 9, 16]
