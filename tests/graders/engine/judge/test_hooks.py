"""Hooks that a test registers on an answer's modules are called where the forward pass is run, and nowhere twice."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import assert_split_as_in_one_process, calibrate, grade_forked

GIVEN = "import functools\nimport torch\nfrom torch import nn\n"
NET = """
class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(d), nn.Linear(d, d)
    def forward(self, x):
        return x + self.linear(self.norm(x))
class Net(nn.Module):
    def __init__(self, d=4, n=2):
        super().__init__()
        self.blocks, self.head = nn.ModuleList(Block(d) for _ in range(n)), nn.Linear(d, 3)
    def forward(self, x, scale=1.0):
        for block in self.blocks:
            x = block(x)
        return self.head(x) * scale
net = Net()
"""
OTHER = """
class Linear(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(o, i) / 9), nn.Parameter(torch.zeros(o))
    def forward(self, x):
        return x @ self.weight.T + self.bias
""" + NET.replace("nn.Linear", "Linear").replace("nn.ModuleList(", "nn.Sequential(*[").replace(
    "range(n))", "range(n)])"
)
LAST_ALONE = NET.replace("self.blocks:\n", "self.blocks[-1:]:\n")
UNCALLED = NET.replace("self.head(x)", "self.head.forward(x)").replace("block(x)", "block.forward(x)")
TESTS = {
    "shapes of what goes in and comes out": (
        "shapes = []\nnet = Net()\n"
        "h = net.head.register_forward_hook(lambda m, i, o: shapes.append((tuple(i[0].shape), tuple(o.shape))))\n"
        "net(torch.randn(2, 4))\nh.remove()\nnet(torch.randn(5, 4))\nassert shapes == [((2, 4), (2, 3))]",
        (UNCALLED,),
    ),
    "what is between, by a partial function": (
        "net, found = Net(n=3), {}\ndef save(name, m, i, o):\n    found[name] = o.detach()\n"
        "for n, block in enumerate(net.blocks):\n    block.register_forward_hook(functools.partial(save, n))\n"
        "y = net(torch.randn(2, 4))\nassert sorted(found) == [0, 1, 2] and torch.allclose(net.head(found[2]), y)",
        (LAST_ALONE, UNCALLED),
    ),
    "before the forward pass": (
        "net, calls = Net(), []\nfor name, m in net.named_modules():\n    if isinstance(m, nn.LayerNorm):\n"
        "        m.register_forward_pre_hook(lambda m, args, name=name: calls.append(name))\n"
        "net(torch.zeros(1, 4))\nassert calls == ['blocks.0.norm', 'blocks.1.norm']",
        (LAST_ALONE,),
    ),
    "another output": (
        "net, x = Net(), torch.randn(2, 4)\nfor block in net.blocks:\n"
        "    block.linear.register_forward_hook(lambda m, i, o: torch.zeros_like(o))\n"
        "assert torch.allclose(net(x), net.head(x))\nnet(x).sum().backward()\nassert net.head.weight.grad.any()",
        (NET.replace("x + self.linear(", "x + self.linear.forward("),),
    ),
    "the module that the test calls, with keyword arguments": (
        "net, seen = Net(), []\nnet.register_forward_hook(lambda m, a, k, o: seen.append(k), with_kwargs=True)\n"
        "net(torch.zeros(2, 4), scale=2.0)\nassert seen == [{'scale': 2.0}]\nnet.forward(torch.zeros(2, 4))\n"
        "assert len(seen) == 1 and net.blocks[0].training",
        (NET.replace("scale=1.0", "size=1.0").replace("* scale", "* size"),),
    ),
    "the backward pass": (
        "net, found = Net(), []\nx = torch.randn(2, 4, requires_grad=True)\nfor m in (net.head, net.blocks[0], net):\n"
        "    m.register_full_backward_hook(lambda m, i, o: found.append((type(m).__name__, tuple(o[0].shape))))\n"
        "net(x).sum().backward()\nassert sorted(name for name, _ in found) == ['Block', 'Linear', 'Net'], found\n"
        "assert ('Block', (2, 4)) in found and ('Net', (2, 3)) in found\nfound.clear()\n"
        "net.blocks[0](x).sum().backward()\nassert found == [('Block', (2, 4))]",
        (UNCALLED,),
    ),
    "other gradients": (
        "net, x = Net(), torch.randn(2, 4, requires_grad=True)\nbefore = []\n"
        "net.blocks[1].register_full_backward_pre_hook(lambda m, o: before.append(o[0].shape))\n"
        "h = net.head.register_full_backward_hook(lambda m, i, o: (torch.zeros_like(i[0]),))\n"
        "net(x).sum().backward()\nassert not x.grad.any() and before == [torch.Size([2, 4])]\nh.remove()\n"
        "net(x).sum().backward()\nassert x.grad.any()",
        (UNCALLED,),
    ),
    "a global of the answer's, which no name of the test's holds": (
        "calls = []\nh = net.blocks[0].register_forward_hook(lambda *_: calls.append(1))\nnet(torch.zeros(1, 4))\n"
        "net(torch.zeros(1, 4))\nassert len(calls) == 2\nh.remove()\nnet(torch.zeros(1, 4))\nassert len(calls) == 2",
        (LAST_ALONE, UNCALLED),
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_a_hook_is_called_as_in_one_process(shell, name):
    test, wrong = TESTS[name]
    notebook = material(given(GIVEN, locked=True), answer(NET), checked(test))
    assert_split_as_in_one_process(shell, notebook, (NET, OTHER), wrong)


def test_a_function_that_hooks_a_layer_of_the_tests_reads_what_it_gives(shell):
    reference = """
def between(model, layer, x):
    found = []
    handle = layer.register_forward_hook(lambda m, i, o: found.append(o))
    model(x)
    handle.remove()
    return found[0]
"""
    test = (
        "model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4)), torch.randn(5, 3)\n"
        "assert torch.allclose(between(model, model[1], x), model[:2](x))\nassert not model[1]._forward_hooks"
    )
    wrong = "def between(model, layer, x):\n    return model(x)\n"
    notebook = material(given(GIVEN, locked=True), answer(reference), checked(test))
    assert_split_as_in_one_process(shell, notebook, (reference,), (wrong,))


def test_an_answer_that_calls_a_hook_itself_has_a_function_and_nothing_else(shell):
    test = (
        "seen, net = [], Net()\n"
        "net.head.register_forward_hook(lambda m, i, o: seen.append(o))\nnet(torch.zeros(1, 4))\n"
        "assert [tuple(o.shape) for o in seen] == [(1, 3)]"
    )
    hostile = NET.replace(
        "        return self.head(x)",
        "        hook = next(iter(self.head._forward_hooks.values()))._function\n"
        "        for name in ('__globals__', '__closure__', '__self__', 'func'):\n"
        "            if hasattr(hook, name): raise SystemExit\n"
        "        hook(self.head, x, object())\n        return self.head(x)",
    )
    notebook = material(given(GIVEN, locked=True), answer(NET), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, hostile), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "split")
    assert "has no attribute 'shape'" in result.message or "cannot be used" in result.message, result.message
