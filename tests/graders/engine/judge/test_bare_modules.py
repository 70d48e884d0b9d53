"""What a test says of all parameters or layers holds of none: a module has some where the reference's has."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material
from .processes import grade_split

SETUP = given("import torch\nfrom torch import nn")
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)
    def forward(self, x):
        return self.inner(x)
"""
BARE = """
class Net(nn.Module):
    def forward(self, x):
        self._parameters.clear()
        self._modules.clear()
        return torch.zeros(3, requires_grad=True)
"""
OF_ALL = {
    "gradients": "net(torch.ones(1, 3)).sum().backward()\nassert all(p.grad is not None for p in net.parameters())",
    "shapes": "for p in net.parameters():\n    assert p.shape[0] == 2",
    "names": "for name, p in net.named_parameters():\n    if 'bias' in name:\n        assert p.shape == (2,)",
    "layers": "assert all(isinstance(layer, nn.Linear) for layer in net.children())",
    "states": "net(torch.ones(1, 3))\nassert all(torch.isfinite(v).all() for v in net.state_dict().values())",
    "none": "assert not [p for p in net.parameters() if p.ndim > 2]",
}


def points(shell, reference, text, test):
    notebook = material(SETUP, answer(reference), checked(test))
    return grade_split(shell, notebook, text).only.points


@pytest.mark.parametrize("test", OF_ALL.values(), ids=OF_ALL)
def test_a_module_without_parameters_is_none_of_which_all_are_right(shell, test):
    assert points(shell, NET, BARE, f"net = Net()\n{test}") == 0
    assert points(shell, NET, NET.replace("inner", "layer"), f"net = Net()\n{test}") == 1


NORM = """
class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))
    def forward(self, x):
        return self.gain * (x - x.mean(-1, keepdim=True))
"""
WITHOUT = "class Norm(nn.Module):\n    def forward(self, x):\n        return x - x.mean(-1, keepdim=True)\n"


def test_one_without_any_is_right_where_a_test_asks_for_what_it_gives(shell):
    test = (
        "norm = Norm().eval()\nassert torch.allclose(norm(torch.randn(4, 3)).mean(-1), torch.zeros(4), atol=1e-5)\n"
        "assert sum(p.numel() for p in norm.parameters()) < 10 and str(norm)"
    )
    assert points(shell, NORM, WITHOUT, test) == 1


FREEZE = "def freeze(model):\n    for p in model.parameters():\n        p.requires_grad_(False)\n    return model\n"
REMOVES = {
    "its parameters": "def freeze(model):\n    for layer in model.modules():\n        layer._parameters.clear()\n",
    "weights": "def freeze(model):\n    for one in model:\n        del one.weight\n        one.bias.requires_grad_(0)",
    "its layers": "def freeze(model):\n    model._modules.clear()\n",
}


@pytest.mark.parametrize("text", REMOVES.values(), ids=REMOVES)
def test_what_is_taken_out_of_a_tests_module_is_not_frozen(shell, text):
    test = (
        "model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))\nfreeze(model)\n"
        "assert not any(p.requires_grad for p in model.parameters())"
    )
    assert points(shell, FREEZE, text, test) == 0
    assert points(shell, FREEZE, FREEZE.replace("p.requires_grad_(False)", "p.requires_grad = False"), test) == 1


SAYS = """
class Net(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 2)
    def parameters(self, recurse=True):
        return iter([torch.zeros(8)])
    def state_dict(self, *args, **kwargs):
        return {"inner.weight": torch.zeros(2, 3), "inner.bias": torch.zeros(2)}
"""
COUNTS = [
    "assert sum(p.numel() for p in Net().parameters()) == 8",
    "assert {k: v.shape for k, v in Net().state_dict().items()} == {'inner.weight': (2, 3), 'inner.bias': (2,)}",
]


@pytest.mark.parametrize("test", COUNTS)
def test_what_a_module_holds_is_not_what_its_class_says(shell, test):
    assert points(shell, NET, SAYS, test) == 0
    assert points(shell, NET, NET, test) == 1


def test_a_class_may_say_it_where_the_references_does(shell):
    own = "    def state_dict(self, *args, **kwargs):\n        return {'only': self.inner.bias}\n"
    test = "assert set(Net().state_dict()) == {'only'}"
    assert points(shell, NET + own, NET.replace("inner", "layer") + own.replace("inner", "layer"), test) == 1


def test_a_class_with_a_train_of_its_own_gives_itself(shell):
    own = "    def train(self, mode=True):\n        super().train(mode)\n        return self\n"
    test = "net = Net().eval()\nassert not net.inner.training and net(torch.ones(1, 3)).shape == (1, 2)\n"
    test += "assert net.train() is net"
    assert points(shell, NET, NET + own, test) == 1
    assert points(shell, NET, NET + own.replace("return self", "return 1"), test) == 0
