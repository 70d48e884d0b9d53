from collections import OrderedDict
from functools import partial

import torch
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn
from studium_topics.lora.adapter import Adapter
from studium_topics.lora.exercises.init_lora import init_lora
from studium_topics.lora.exercises.lora_linear import lora_linear


@exercise(
    points=5,
    minutes=20,
    importance=3,
    hints=(
        "In which order do you freeze and inject: what happens to the new factors if you freeze last?",
        "Walk over all modules, pick out the Linears by their own names, and replace each one in its parent. List all "
        "the modules before you change the model.",
        'In "layers.0.attention.q", the module\'s name is "q", and its parent\'s path is "layers.0.attention". A is '
        "(rank, in), B is (out, rank).",
        '`parent, _, name = path.rpartition(".")`, then `setattr(model.get_submodule(parent), name, Adapter(linear, a, '
        "b, alpha, lora_linear))`.",
    ),
)
def inject(model, targets, rank, alpha, generator):
    """Replace the named Linears of a model by adapters in place, and freeze the rest.

    In the order of `named_modules()`, each nn.Linear whose own name, the last part of its path, is in `targets` becomes
    `Adapter(linear, a, b, alpha, lora_linear)`, with a and b from `init_lora`. Only A and B keep requires_grad. Other
    modules, and all outputs, stay as they are.

    * model: float32 on the CPU, not a Linear itself, no Linear used twice
    * targets: a set of str
    * returns: the number of trained parameters, an int
    """
    ### BEGIN SOLUTION
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    count = 0
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
            count += a.numel() + b.numel()
    return count
    ### END SOLUTION


@inject.test("adapts the named layer of a small network, and nothing else is trainable", points=1)
def _(inject, rng):
    def layers():
        return nn.ModuleDict({"up": nn.Linear(6, 10), "norm": nn.LayerNorm(10), "down": nn.Linear(10, 4)})

    model = drawn(layers, rng)
    count = inject(model, {"up"}, 2, 8.0, rng)
    assert count == 2 * (6 + 10), f"r (in + out) = 32 numbers are trainable, and you returned {count}"
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == 32, f"32 numbers should have requires_grad True, and {trainable} have"
    assert sum(p.numel() for p in model.parameters()) == 134 + 32, "the 134 weights of the model must still be there"


@inject.hidden("matches names exactly, at any depth, and adapts Linears only", points=2)
def _(inject, rng):
    def block():
        inner = nn.ModuleDict({"q": nn.Linear(6, 8), "seq": nn.Linear(6, 3), "qk": nn.Linear(6, 5, bias=False)})
        norms = nn.ModuleDict({"v": nn.LayerNorm(6), "up": nn.Linear(6, 7)})
        return nn.ModuleDict({"attention": inner, "v": nn.ModuleDict({"o": nn.Linear(6, 4)}), "norms": norms})

    def layers():
        model = nn.ModuleDict({"embedding": nn.Embedding(9, 6), "blocks": nn.ModuleList([block(), block()])})
        model["v"] = nn.Linear(4, 9, bias=False)
        return model

    for targets, rank in (({"q", "v"}, 3), ({"seq", "up"}, 2), ({"k", "e"}, 4), ({"attention", "norms"}, 1)):
        model = drawn(layers, rng)
        before = {name: tuple(m.weight.shape) for name, m in model.named_modules() if isinstance(m, nn.Linear)}
        hit = [path for path in before if path.split(".")[-1] in targets]
        expected = sum(rank * sum(before[path]) for path in hit)
        kept = {path: id(model.get_submodule(path)) for path in before if path not in hit}
        size = sum(p.numel() for p in model.parameters())
        count = inject(model, targets, rank, 5.0, rng)
        what = f"with the targets {sorted(targets)} and r={rank}"
        assert count == expected, f"{what} r (in + out) adds up to {expected}, and you returned {count}"
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert trainable == expected, f"{what} {expected} numbers should be trainable, and {trainable} are"
        total = sum(p.numel() for p in model.parameters())
        assert total == size + expected, f"{what} the model should hold {size + expected} numbers, and it holds {total}"
        same = all(id(model.get_submodule(path)) == number for path, number in kept.items())
        assert same, f"{what} layers with other names must stay the modules that they were"


@inject.hidden("leaves the outputs as they were, and computes with alpha / r once B is not zero", points=1)
def _(inject, rng):
    for size_in, size_out, rank, alpha, bias in ((7, 5, 2, 5.0, True), (4, 9, 3, 8.0, False)):
        first, second = (
            drawn(partial(nn.Linear, size_in, size_out, bias=bias), rng),
            drawn(partial(nn.Linear, size_out, 6), rng),
        )
        model = nn.Sequential(OrderedDict(first=first, second=second))
        x = torch.randn(3, size_in, generator=rng)
        old = [parameter.detach().clone() for parameter in model.parameters()]
        before = model(x).detach()
        inject(model, {"first"}, rank, alpha, rng)
        assert_close(model(x), before, rtol=1e-5, atol=1e-6, message="the outputs must not change at the start")
        new = {tuple(p.shape): p for p in model.parameters() if p.requires_grad}
        shapes = {(rank, size_in), (size_out, rank)}
        assert set(new) == shapes, f"what is trainable must have the shapes {sorted(shapes)}, got {sorted(new)}"
        a, b = new[rank, size_in], new[size_out, rank]
        assert a.any(), "A must be drawn by `init_lora`, and it is zero"
        assert not b.any(), "B must be zero at the start"
        with torch.no_grad():
            b.copy_(torch.randn(size_out, rank, generator=rng))
        weight = old[0] + alpha / rank * b.detach() @ a.detach()
        first = x @ weight.T + (old[1] if bias else 0)
        assert_close(model(x), first @ old[-2].T + old[-1], rtol=1e-4, atol=1e-5, message="with B no longer zero")


@inject.hidden("draws another A for each layer, from the generator", points=1)
def _(inject, rng):
    def adapted(generator):
        model = drawn(lambda: nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 5), nn.Sequential(nn.Linear(5, 7))), rng)
        inject(model, {"0"}, 2, 8.0, generator)
        return [p.detach().clone() for p in model.parameters() if p.requires_grad and tuple(p.shape) == (2, 5)]

    first, second = adapted(torch.Generator().manual_seed(3)), adapted(torch.Generator().manual_seed(3))
    assert len(first) == 2, (
        f"two layers are called 0, so two matrices A of shape (2, 5) are trainable: got {len(first)}"
    )
    assert not torch.equal(first[0], first[1]), "the two layers must get different A"
    assert_close(second, first, message="the same seed must give the same A")
    assert not torch.equal(adapted(rng)[0], first[0]), "another generator must give another A"
    a, linear = [], partial(nn.Linear, 5, 7)
    for paths in (["q"], ["block", "q"]):  # alone, then after a layer of the same size which comes before it
        layers = {"block": nn.ModuleDict({"q": drawn(linear, rng)}), "q": drawn(linear, rng)}
        model = nn.ModuleDict({path: layers[path] for path in paths})
        inject(model, {"q"}, 2, 8.0, torch.Generator().manual_seed(3))
        a.append(next(p.detach().clone() for p in model.parameters() if tuple(p.shape) == (2, 5)))
    assert_close(a[1], a[0], message="block.q comes before q in named_modules(), so its A is drawn first")


@inject.misconception(
    "You checked whether a target occurs anywhere in the name, so `q` also adapts `seq`; compare the whole last "
    "component: `name in targets`.",
    name="substring-of-the-name",
)
def _(model, targets, rank, alpha, generator):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and any(target in name for target in targets):
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You checked whether the path ends with a target, so `q` also adapts `seq`, and `v` also adapts `conv`; compare "
    "the whole last component: `name in targets`.",
    name="end-of-the-path",
)
def _(model, targets, rank, alpha, generator):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and path.endswith(tuple(targets)):
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You searched the whole path for a target, which adapts every Linear inside a container of that name; check only "
    "the last component.",
    name="anywhere-in-the-path",
)
def _(model, targets, rank, alpha, generator):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and targets & set(path.split(".")):
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You looked only at the direct children of the model; the Linears can be at any depth, so walk over "
    "`model.named_modules()`.",
    name="top-level-only",
)
def _(model, targets, rank, alpha, generator):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for name, linear in list(model.named_children()):
        if isinstance(linear, nn.Linear) and name in targets:
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model, name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You left biases trainable; LoRA trains only A and B, so freeze all of `model.parameters()`, not just the weights.",
    name="biases-trainable",
)
def _(model, targets, rank, alpha, generator):
    for path, parameter in model.named_parameters():
        parameter.requires_grad_(path.endswith("bias"))
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You froze the adapted layers and left the rest of the model trainable; freeze every parameter that the model had "
    "before.",
    name="froze-the-adapted-layers-only",
)
def _(model, targets, rank, alpha, generator):
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            linear.requires_grad_(False)
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You froze the model after injecting, so A and B are frozen as well and nothing is left to train; freeze first.",
    name="froze-last",
)
def _(model, targets, rank, alpha, generator):
    count = 0
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
            count += a.numel() + b.numel()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return count


@inject.misconception(
    "You did not freeze anything, so the model's weights are trained along with A and B, which costs slightly more "
    "than full fine-tuning.",
    name="froze-nothing",
)
def _(model, targets, rank, alpha, generator):
    count = 0
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
            count += a.numel() + b.numel()
    return count


@inject.misconception(
    "You divided alpha by the rank before passing it to `Adapter`; pass alpha itself, because `lora_linear` already "
    "divides by r and the update would be scaled by alpha / r².",
    name="alpha-divided-twice",
)
def _(model, targets, rank, alpha, generator):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha / rank, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You drew the factors once and reused them in several layers; draw a separate pair for each layer, or they all "
    "start in the same subspace and share their parameters.",
    name="shared-factors",
)
def _(model, targets, rank, alpha, generator):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    drawn = {}
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            size = linear.in_features, linear.out_features
            drawn[size] = drawn.get(size) or init_lora(*size, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, *drawn[size], alpha, lora_linear))
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.misconception(
    "You returned the number of trained tensors; return the number of parameters in them, the sum of `numel()`.",
    name="counted-tensors",
)
def _(model, targets, rank, alpha, generator):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for path, linear in list(model.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(linear, nn.Linear) and name in targets:
            a, b = init_lora(linear.in_features, linear.out_features, rank, generator)
            setattr(model.get_submodule(parent), name, Adapter(linear, a, b, alpha, lora_linear))
    return sum(1 for p in model.parameters() if p.requires_grad)


@inject.also_correct
def _(model, targets, rank, alpha, generator):
    def walk(parent):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear) and name in targets:
                a, b = init_lora(child.in_features, child.out_features, rank, generator)
                parent.add_module(name, Adapter(child, a, b, alpha, lora_linear))
            else:
                walk(child)

    model.requires_grad_(False)
    walk(model)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@inject.also_correct
def _(model, targets, rank, alpha, generator):
    class LowRank(nn.Module):
        def __init__(self, old):
            super().__init__()
            self.old, self.down = old, nn.Linear(old.in_features, rank, bias=False)
            self.up = nn.Linear(rank, old.out_features, bias=False)
            nn.init.zeros_(self.up.weight)
            nn.init.normal_(self.down.weight, std=old.in_features**-0.5, generator=generator)

        def forward(self, x):
            return self.old(x) + self.up(self.down(x)) * (alpha / rank)

    model.requires_grad_(False)
    total = 0
    for path, module in tuple(model.named_modules()):
        *above, name = path.split(".")
        if name in targets and isinstance(module, nn.Linear):
            setattr(model.get_submodule(".".join(above)), name, LowRank(module))
            total += rank * (module.in_features + module.out_features)
    return total


inject.equivalent(
    "for path, linear in (model.named_modules()):",
    "a child that is replaced keeps its place, so the walk continues as if it were still there",
)
