# %% [markdown]
# # What is given and must stay, and what is set on what is given

# %% given="kept-setup" locked=true
import numpy as np
import torch
from concurrent.futures import ThreadPoolExecutor
from torch import nn

original = [3, 1, 2]
matrix = [[1, 2], [3, 4]]
inputs = np.arange(6.0)
targets = 2 * inputs + 1

# %% answer="ordered"
ordered = None
### BEGIN SOLUTION
ordered = sorted(original)
### END SOLUTION

# %% test="ordered-right" points=1
assert ordered == [1, 2, 3]
assert original == [3, 1, 2], "the original list was changed"

# %% answer="twin"
twin = None
### BEGIN SOLUTION
twin = [row[:] for row in matrix]
### END SOLUTION

# %% test="twin-apart" points=1
assert twin == [[1, 2], [3, 4]] and twin is not matrix and twin[0] is not matrix[0]

# %% answer="predict"
def predict(x):
    """Give 2 x + 1."""
    ### BEGIN SOLUTION
    return 2 * x + 1
    ### END SOLUTION

# %% test="predict-given" points=2
predictions = predict(inputs)
assert np.allclose(predictions, targets)
### BEGIN HIDDEN TESTS
key = "CANARY-TEST-8d1f0a"
predictions = predict(np.array([4711.0]))
assert predictions[0] == 9423, key
### END HIDDEN TESTS

# %% answer="spread"
spread = None
### BEGIN SOLUTION
spread = targets.max() - targets.min()
### END SOLUTION

# %% test="spread-right" points=1
assert spread == 10

# %% answer="error"
error = None
### BEGIN SOLUTION
error = np.abs(predict(inputs) - targets).max()
### END SOLUTION

# %% test="error-small" points=1
errors = [abs(p - t) for p, t in zip(predict(inputs), targets)]
assert error == max(errors), error

# %% answer="worst"
worst = None
### BEGIN SOLUTION
worst = max(errors)
### END SOLUTION

# %% test="worst-right" points=1
assert worst == 0, worst

# %% answer="adapter"
def adapter(layer):
    """Give a module that adds to a layer what can be learnt, and starts as the layer is."""
    ### BEGIN SOLUTION
    class Adapter(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.more = layer, nn.Linear(layer.in_features, layer.out_features, bias=False)
            nn.init.zeros_(self.more.weight)

        def forward(self, x):
            return self.layer(x) + self.more(x)

    return Adapter()
    ### END SOLUTION

# %% test="adapter-module" points=1
plain = nn.Linear(4, 3)
adapted = adapter(plain)
assert isinstance(adapted, nn.Module) and sum(p.numel() for p in adapted.parameters()) > 15

# %% test="adapter-starts" points=2
x = torch.randn(5, 4)
assert torch.equal(adapted(x), plain(x))

# %% test="adapter-again" points=1
### BEGIN HIDDEN TESTS
layer = nn.Linear(4, 3)
assert torch.equal(adapter(layer)(x), layer(x))
### END HIDDEN TESTS

# %% answer="counted"
def counted(layer):
    """Let a layer count its calls in ``calls``; give the layer."""
    ### BEGIN SOLUTION
    layer.calls, forward = 0, layer.forward

    def counting(*args):
        layer.calls += 1
        return forward(*args)

    layer.forward = counting
    return layer
    ### END SOLUTION

# %% test="counted-twice" points=2
layer = counted(nn.Linear(2, 2))
layer(torch.ones(1, 2)), layer(torch.ones(3, 2))
assert layer.calls == 2

# %% answer="total"
def total(f, xs):
    """Give the sum of f over xs, in two threads."""
    ### BEGIN SOLUTION
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(f, xs))
    ### END SOLUTION

# %% test="total-in-threads" points=1
assert total(lambda x: x * x, range(40)) == 20540
