# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Three small functions
#
# A course that knows nothing of Studium: nbgrader's metadata and nothing else.

# %% grade_id="setup"
import torch
import torch.nn.functional as F
from torch import nn


# %% grade_id="softmax" solution=true locked=false
def softmax(x):
    """Give the softmax of x over its last axis, also for large numbers."""
    ### BEGIN SOLUTION
    e = torch.exp(x - x.max(dim=-1, keepdim=True).values)
    return e / e.sum(dim=-1, keepdim=True)
    ### END SOLUTION


# %% grade_id="softmax-sums" grade=true points=1
out = softmax(torch.tensor([[1.0, 2.0, 3.0]]))
assert out.shape == (1, 3)
assert torch.allclose(out.sum(-1), torch.ones(1))

# %% grade_id="softmax-values" grade=true points=2
### BEGIN HIDDEN TESTS
x = torch.randn(4, 3, 7, dtype=torch.float64)
assert torch.allclose(softmax(x), F.softmax(x, dim=-1))
big = torch.tensor([1e4, 1e4 - 1.0])
torch.testing.assert_close(softmax(big), F.softmax(big, dim=-1))
### END HIDDEN TESTS


# %% grade_id="MLP" solution=true locked=false
class MLP(nn.Module):
    """Two linear layers, first (n_in, hidden) and second (hidden, n_out), with a ReLU between them."""

    ### BEGIN SOLUTION
    def __init__(self, n_in, hidden, n_out):
        super().__init__()
        self.first = nn.Linear(n_in, hidden)
        self.second = nn.Linear(hidden, n_out)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

    ### END SOLUTION


# %% grade_id="MLP-shape" grade=true points=1
assert MLP(4, 8, 3)(torch.zeros(5, 4)).shape == (5, 3)

# %% grade_id="MLP-values" grade=true points=2
### BEGIN HIDDEN TESTS
model = MLP(6, 10, 2)
x = torch.randn(9, 6)
hidden = F.relu(F.linear(x, model.first.weight, model.first.bias))
assert torch.allclose(model(x), F.linear(hidden, model.second.weight, model.second.bias), atol=1e-5)
### END HIDDEN TESTS


# %% grade_id="fit" solution=true locked=false
def fit(model, x, y, steps, lr):
    """Take some steps of SGD on the mean squared error, in place; give the loss before each of them as a list."""
    ### BEGIN SOLUTION
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


# %% grade_id="fit-learns" grade=true points=1
torch.manual_seed(0)
x = torch.rand(32, 3)
losses = fit(nn.Linear(3, 1), x, x.sum(1, keepdim=True), 20, 0.1)
assert len(losses) == 20
assert losses[-1] < losses[0]

# %% grade_id="fit-moves" grade=true points=2
### BEGIN HIDDEN TESTS
model, x, y = nn.Linear(3, 1), torch.randn(20, 3), torch.randn(20, 1)
weight, bias = (p.detach().clone().requires_grad_(True) for p in (model.weight, model.bias))
loss = F.mse_loss(F.linear(x, weight, bias), y)
loss.backward()
assert abs(fit(model, x, y, 1, 0.1)[0] - loss.item()) < 1e-5
assert torch.allclose(model.weight, weight - 0.1 * weight.grad, atol=1e-6)
assert torch.allclose(model.bias, bias - 0.1 * bias.grad, atol=1e-6)
### END HIDDEN TESTS
