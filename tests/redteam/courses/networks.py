# %% [markdown]
# # Small networks
#
# A torch exercise course: functions, a module and a training loop.

# %% given="networks-setup" locked=true
import torch
import torch.nn.functional as F
from torch import nn


def count(model):
    """Give the number of trainable numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


# %% answer="softmax"
def softmax(x):
    """Give the softmax of ``x`` over its last axis, also for large numbers. Gradients must flow."""
    ### BEGIN SOLUTION
    e = torch.exp(x - x.max(dim=-1, keepdim=True).values)
    return e / e.sum(dim=-1, keepdim=True)
    ### END SOLUTION

# %% test="softmax-sums-to-one" points=1
out = softmax(torch.tensor([[1.0, 2.0, 3.0]]))
assert out.shape == (1, 3)
assert torch.allclose(out.sum(-1), torch.ones(1))

# %% test="softmax-values" points=2
### BEGIN HIDDEN TESTS
# CANARY-TEST-8d1f0a
x = torch.randn(4, 3, 7, dtype=torch.float64)
assert torch.allclose(softmax(x), F.softmax(x, dim=-1))
big = torch.tensor([1e4, 1e4 - 1.0])
assert torch.isfinite(softmax(big)).all()
torch.testing.assert_close(softmax(big), F.softmax(big, dim=-1))
### END HIDDEN TESTS

# %% test="softmax-gradient" points=2
### BEGIN HIDDEN TESTS
y = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
weights = torch.randn(2, 5, dtype=torch.float64)
(softmax(y) * weights).sum().backward()
other = y.detach().clone().requires_grad_(True)
(F.softmax(other, -1) * weights).sum().backward()
assert torch.allclose(y.grad, other.grad)
### END HIDDEN TESTS

# %% answer="one_hot"
def one_hot(labels, classes):
    """Give the long tensor (…, classes) that is 1 at each label and 0 elsewhere."""
    ### BEGIN SOLUTION
    out = torch.zeros(*labels.shape, classes, dtype=torch.long)
    return out.scatter_(-1, labels.unsqueeze(-1), 1)
    ### END SOLUTION

# %% test="one_hot-equal" points=2
### BEGIN HIDDEN TESTS
labels = torch.randint(0, 6, (5,))
assert torch.equal(one_hot(labels, 6), F.one_hot(labels, 6))
assert one_hot(labels, 6).dtype == torch.int64
assert (one_hot(torch.tensor([2, 0]), 4) == torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]])).all()
### END HIDDEN TESTS

# %% answer="accuracy"
def accuracy(logits, labels):
    """Give the share of rows of ``logits`` whose greatest entry is at the label, as a float."""
    ### BEGIN SOLUTION
    return (logits.argmax(-1) == labels).double().mean().item()
    ### END SOLUTION

# %% test="accuracy-partial" points=3
### BEGIN HIDDEN TESTS
torch.manual_seed(3)
right = 0
for rows in (1, 8, 33):
    logits, labels = torch.randn(rows, 5), torch.randint(0, 5, (rows,))
    want = (logits.argmax(-1) == labels).sum().item() / rows
    right += 1 if abs(accuracy(logits, labels) - want) < 1e-6 else 0
right
### END HIDDEN TESTS

# %% answer="clip_"
def clip_(x, limit):
    """Clip the tensor ``x`` to [-limit, limit] in place and give it back."""
    ### BEGIN SOLUTION
    return x.clamp_(-limit, limit)
    ### END SOLUTION

# %% test="clip_-in-place" points=2
### BEGIN HIDDEN TESTS
x = torch.randn(30) * 3
target = x.clamp(-1, 1)
result = clip_(x, 1)
assert torch.equal(x, target), "x itself must be clipped"
assert torch.equal(result, target)
### END HIDDEN TESTS

# %% answer="MLP"
class MLP(nn.Module):
    """Two linear layers, ``first`` (n_in, hidden) and ``second`` (hidden, n_out), with a ReLU between them."""

    ### BEGIN SOLUTION
    def __init__(self, n_in, hidden, n_out):
        super().__init__()
        self.first = nn.Linear(n_in, hidden)
        self.second = nn.Linear(hidden, n_out)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))
    ### END SOLUTION

# %% test="MLP-shape" points=1
model = MLP(4, 8, 3)
assert isinstance(model, nn.Module)
assert model(torch.zeros(5, 4)).shape == (5, 3)

# %% test="MLP-values" points=3
### BEGIN HIDDEN TESTS
torch.manual_seed(11)
model = MLP(6, 10, 2)
assert count(model) == 6 * 10 + 10 + 10 * 2 + 2
x = torch.randn(9, 6)
hidden = F.relu(F.linear(x, model.first.weight, model.first.bias))
assert torch.allclose(model(x), F.linear(hidden, model.second.weight, model.second.bias), atol=1e-5)
### END HIDDEN TESTS

# %% test="MLP-learns" points=2
### BEGIN HIDDEN TESTS
torch.manual_seed(0)
model = MLP(2, 16, 1)
x = torch.rand(64, 2)
y = x.sum(1, keepdim=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
before = F.mse_loss(model(x), y).item()
for _ in range(60):
    optimizer.zero_grad()
    F.mse_loss(model(x), y).backward()
    optimizer.step()
after = F.mse_loss(F.linear(F.relu(F.linear(x, model.first.weight, model.first.bias)),
                            model.second.weight, model.second.bias), y).item()
assert after < 0.2 * before, "training must lower the loss"
### END HIDDEN TESTS

# %% answer="train_step"
def train_step(model, x, y, lr):
    """Take one step of gradient descent on the mean squared error, in place; give the loss before it as a float."""
    ### BEGIN SOLUTION
    loss = F.mse_loss(model(x), y)
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p -= lr * p.grad
    return loss.item()
    ### END SOLUTION

# %% test="train_step-moves" points=3
### BEGIN HIDDEN TESTS
model = nn.Linear(3, 1)
x, y = torch.randn(20, 3), torch.randn(20, 1)
weight, bias = (p.detach().clone().requires_grad_(True) for p in (model.weight, model.bias))
loss = F.mse_loss(F.linear(x, weight, bias), y)
loss.backward()
got = train_step(model, x, y, 0.1)
assert abs(got - loss.item()) < 1e-5
assert torch.allclose(model.weight, weight - 0.1 * weight.grad, atol=1e-6)
assert torch.allclose(model.bias, bias - 0.1 * bias.grad, atol=1e-6)
### END HIDDEN TESTS
