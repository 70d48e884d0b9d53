"""Training changes the weights of a test's module, and puts neither layers nor another forward pass into it."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material
from .processes import grade_split

SETUP = given("import torch\nfrom torch import nn")
TRAIN = """
def train(model, x, y):
    model.train()
    best = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(60):
        best.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        best.step()
    model.eval()
"""
TEST = """
torch.manual_seed(0)
x = torch.randn(32, 2)
y = x.sum(1, keepdim=True)
model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
train(model, x, y)
assert ((model(x) - y) ** 2).mean() < 0.3
"""
UNTRAINED = {
    "another forward pass": "def train(model, x, y):\n    model.forward = lambda _: y\n",
    "one of each layer": "def train(model, x, y):\n    for layer in model:\n        layer.forward = lambda _: y\n",
    "a layer of its own": (
        "class Right(nn.Module):\n    def __init__(self, y):\n        super().__init__()\n        self.y = y\n"
        "    def forward(self, x):\n        return self.y\n"
        "def train(model, x, y):\n    model.append(Right(y))\n"
    ),
    "one in a layer": (
        "class Right(nn.Linear):\n    def forward(self, x):\n        return self.y\n"
        "def train(model, x, y):\n    model[2] = nn.Sequential(Right(4, 1))\n    model[2][0].y = y\n"
    ),
}
BY_HAND = """
def train(model, x, y):
    for _ in range(200):
        loss = ((model(x) - y) ** 2).mean()
        held = [(layer, name) for layer in model.modules() for name in list(layer._parameters)]
        grads = torch.autograd.grad(loss, [getattr(layer, name) for layer, name in held])
        for (layer, name), grad in zip(held, grads):
            setattr(layer, name, nn.Parameter(getattr(layer, name).detach() - 0.1 * grad))
    model.eval()
    model.losses = [loss.item()]
"""


def points(shell, reference, text, test):
    notebook = material(SETUP, answer(reference), checked(test))
    return grade_split(shell, notebook, text).only.points


@pytest.mark.parametrize("text", UNTRAINED.values(), ids=UNTRAINED)
def test_what_gives_the_right_numbers_in_place_of_the_weights_is_not_trained(shell, text):
    assert points(shell, TRAIN, text, TEST) == 0


def test_training_may_put_new_weights_into_it(shell):
    assert points(shell, TRAIN, BY_HAND, TEST) == 1


ADAPT = """
class Adapted(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.shift = layer, nn.Parameter(torch.zeros(layer.out_features))
    def forward(self, x):
        return self.layer(x) + self.shift
def adapt(model):
    for name, layer in list(model.named_children()):
        if isinstance(layer, nn.Linear):
            setattr(model, name, Adapted(layer))
"""
OVER_FORWARD = """
def adapt(model):
    for layer in model.children():
        if isinstance(layer, nn.Linear):
            layer.shift = nn.Parameter(torch.zeros(layer.out_features))
            layer.forward = lambda x, layer=layer, given=layer.forward: given(x) + layer.shift
"""


@pytest.mark.parametrize("text", [ADAPT, OVER_FORWARD, ADAPT.replace("Adapted", "Moved")])
def test_where_the_reference_puts_layers_into_a_module_an_answer_may_do_so_too(shell, text):
    test = (
        "model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))\nx = torch.randn(3, 2)\n"
        "before = model(x)\nadapt(model)\nassert torch.allclose(model(x), before)\n"
        "assert len(list(model.parameters())) == 6"
    )
    assert points(shell, ADAPT, text, test) == 1
