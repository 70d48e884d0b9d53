import copy
from collections import OrderedDict

import torch
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn
from studium_topics.lora.exercises.merge import merge


@exercise(
    points=3,
    minutes=12,
    importance=2,
    hints=(
        "What does a server hold before a customer calls, and what must it still hold afterwards?",
        "Copy the base, then visit each adapted Linear once and give it a merged weight.",
        'The keys "blocks.0.q.a" and "blocks.0.q.b" belong to the Linear at the path "blocks.0.q". The rank may '
        "differ from layer to layer.",
        '`key.rpartition(".")[0]` is the path; under `torch.no_grad()`, `layer.weight.copy_(...)` sets the merged '
        "weight.",
    ),
)
def serve(base, adapter, alpha):
    """Return a plain copy of a model with a saved adapter merged into it.

    * base: a model without adapters
    * adapter: a dict in any order; an adapted nn.Linear with the module path <path> has the keys "<path>.a" (r, in) and
      "<path>.b" (out, r)
    * alpha: a positive number; take r from each A
    * returns: a new model with the modules of base; the adapted weights are merged, and all other parameters equal
      those of base

    base and adapter stay as they are.
    """
    ### BEGIN SOLUTION
    model = copy.deepcopy(base)
    with torch.no_grad():
        for path in {key.rpartition(".")[0] for key in adapter}:
            layer = model.get_submodule(path)
            layer.weight.copy_(merge(layer.weight, adapter[f"{path}.a"], adapter[f"{path}.b"], alpha))
    return model
    ### END SOLUTION


@serve.test("computes what the layer and its adapter compute side by side", points=1)
def _(serve, rng):
    base = drawn(lambda: nn.Sequential(OrderedDict(q=nn.Linear(6, 5), out=nn.Linear(5, 4))), rng)
    adapter = {"q.a": torch.randn(2, 6, generator=rng), "q.b": torch.randn(5, 2, generator=rng)}
    x = torch.randn(3, 6, generator=rng)
    served = serve(base, adapter, 5.0)
    assert isinstance(served, nn.Module), f"a model is expected, got {type(served).__name__}"
    hidden = base.q(x) + 2.5 * x @ adapter["q.a"].T @ adapter["q.b"].T
    assert_close(served(x), base.out(hidden), rtol=1e-4, atol=1e-4, message="the outputs of the served model")


@serve.hidden("merges every layer at its own rank, and leaves base and adapter alone", points=2)
def _(serve, rng):
    def layers():
        block = nn.ModuleDict({"q": nn.Linear(6, 8), "v": nn.Linear(8, 6, bias=False), "norm": nn.LayerNorm(6)})
        blocks = nn.ModuleList([block, nn.ModuleDict({"q": nn.Linear(7, 4)})])
        return nn.ModuleDict({"blocks": blocks, "a": nn.Linear(5, 9)})

    base = drawn(layers, rng, scale=1.0).requires_grad_(False)
    ranks = {"blocks.0.q": 2, "blocks.0.v": 3, "blocks.1.q": 1, "a": 4}
    adapter = {}
    for path, rank in ranks.items():
        size_out, size_in = base.get_submodule(path).weight.shape
        adapter[f"{path}.b"] = torch.randn(size_out, rank, generator=rng)
        adapter[f"{path}.a"] = torch.randn(rank, size_in, generator=rng)
    keys = list(adapter)
    for order in (keys, keys[::-1], keys[::2] + keys[1::2][::-1]):
        given = {key: adapter[key].clone() for key in order}
        before = {name: parameter.clone() for name, parameter in base.named_parameters()}
        served = serve(base, given, 7.0)
        for name, parameter in base.named_parameters():
            assert torch.equal(parameter, before[name]), f"base must stay as it is, and {name} was changed"
        same = list(given) == order and all(torch.equal(given[key], adapter[key]) for key in order)
        assert same, "adapter must stay as it is, and it was changed"
        modules, wanted = ([path for path, _ in model.named_modules()] for model in (served, base))
        assert modules == wanted, f"the served model must have the modules of base and no others, and it has {modules}"
        found = dict(served.named_parameters())
        assert set(found) == set(before), "the served model must have the parameters of base and no others"
        for name, parameter in before.items():
            path = name.removesuffix(".weight")
            expected = parameter.double()
            if path in ranks:
                a, b = adapter[f"{path}.a"].double(), adapter[f"{path}.b"].double()
                expected = expected + torch.einsum("or,ri->oi", b, a) * 7.0 / ranks[path]
            assert_close(found[name].detach(), expected, rtol=1e-4, atol=1e-4, message=f"the parameter {name}")


@serve.misconception(
    "You merged into `base` itself, so the next customer's adapter lands on top of this one; copy the base first.",
    name="merged-into-the-base",
)
def _(base, adapter, alpha):
    for key in adapter:
        path, _, factor = key.rpartition(".")
        if factor == "a":
            layer = base.get_submodule(path)
            merged = merge(layer.weight.detach(), adapter[f"{path}.a"], adapter[f"{path}.b"], alpha)
            layer.weight = nn.Parameter(merged)
    return base


@serve.misconception(
    "You paired the tensors by their order in the dict, which can be any order; pair them by name.",
    name="paired-by-order",
)
def _(base, adapter, alpha):
    model = copy.deepcopy(base)
    first = [key for key in adapter if key.endswith(".a")]
    second = [key for key in adapter if key.endswith(".b")]
    for key, other in zip(first, second, strict=True):
        layer = model.get_submodule(key.removesuffix(".a"))
        layer.weight = nn.Parameter(merge(layer.weight.detach(), adapter[key], adapter[other], alpha))
    return model


@serve.misconception("You merged only the first adapted Linear; visit all of them.", name="first-layer-only")
def _(base, adapter, alpha):
    model = copy.deepcopy(base)
    path = next(key for key in adapter if key.endswith(".a")).removesuffix(".a")
    layer = model.get_submodule(path)
    merged = merge(layer.weight.detach(), adapter[f"{path}.a"], adapter[f"{path}.b"], alpha)
    layer.weight = nn.Parameter(merged)
    return model


@serve.misconception(
    "You replaced the weight with the update; the merged weight is the pretrained weight plus the update.",
    name="update-in-place-of-the-weight",
)
def _(base, adapter, alpha):
    model = copy.deepcopy(base)
    for key in adapter:
        path, _, factor = key.rpartition(".")
        if factor == "a":
            layer = model.get_submodule(path)
            merged = merge(torch.zeros_like(layer.weight), adapter[f"{path}.a"], adapter[f"{path}.b"], alpha)
            layer.weight = nn.Parameter(merged)
    return model


@serve.misconception(
    "You merged each layer twice, once for A and once for B, so its update counts twice; visit each path once.",
    name="merged-per-factor",
)
def _(base, adapter, alpha):
    model = copy.deepcopy(base)
    for key in adapter:
        path = key.rpartition(".")[0]
        layer = model.get_submodule(path)
        merged = merge(layer.weight.detach(), adapter[f"{path}.a"], adapter[f"{path}.b"], alpha)
        layer.weight = nn.Parameter(merged)
    return model


@serve.also_correct
def _(base, adapter, alpha):
    model = copy.deepcopy(base)
    weights = model.state_dict()
    for path in {key[:-2] for key in adapter}:
        a, b = adapter[path + ".a"], adapter[path + ".b"]
        weights[path + ".weight"] = weights[path + ".weight"] + alpha / len(a) * b @ a
    model.load_state_dict(weights)
    return model


@serve.also_correct
@torch.no_grad()
def _(base, adapter, alpha):
    model = copy.deepcopy(base)
    for path, module in model.named_modules():
        if f"{path}.a" in adapter:
            module.weight.add_(adapter[f"{path}.b"] @ adapter[f"{path}.a"], alpha=alpha / len(adapter[f"{path}.a"]))
    return model
