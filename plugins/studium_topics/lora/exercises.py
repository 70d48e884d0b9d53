"""The exercises: the forward pass, the start, the injection, merging, the best low rank, and the memory bill."""

import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.lora.adapter import Adapter


@exercise(
    points=3,
    minutes=10,
    hints=(
        "Send x down to r numbers with A, then up to `out` numbers with B. What shape has `x @ a.T`?",
        "The rank r is the number of rows of A: `a.shape[0]`.",
        "Only the update is scaled, by alpha / r. The frozen part is `F.linear(x, weight, bias)`, untouched.",
    ),
)
def lora_linear(x, weight, bias, a, b, alpha):
    """Give the output of a frozen linear layer plus its low-rank update.

    h = x Wᵀ + bias + (alpha / r) (x Aᵀ) Bᵀ, where r is the number of rows of A.

    x (..., in), with any number of leading axes, none included; weight W (out, in); bias
    (out,) or None; a = A (r, in); b = B (out, r); alpha a positive number. Returns (...,
    out). Autograd must reach x, a and b, so stay with torch operations. Leave the arguments
    as they are.
    """
    ### BEGIN SOLUTION
    scale = alpha / a.shape[0]
    return F.linear(x, weight, bias) + scale * (x @ a.T @ b.T)
    ### END SOLUTION


@lora_linear.test("is the frozen layer alone while B is zero", points=1)
def _(lora_linear, rng):
    x = torch.randn(4, 6, generator=rng, dtype=torch.float64)
    weight = torch.randn(5, 6, generator=rng, dtype=torch.float64)
    bias = torch.randn(5, generator=rng, dtype=torch.float64)
    a = torch.randn(3, 6, generator=rng, dtype=torch.float64)
    out = lora_linear(x, weight, bias, a, torch.zeros(5, 3, dtype=torch.float64), 8.0)
    assert_close(out, F.linear(x, weight, bias), rtol=1e-5, atol=1e-5, message="with B = 0 there is no update")


@lora_linear.hidden("adds the update, scaled by alpha / r, for any leading axes and with or without a bias", points=1)
def _(lora_linear, rng):
    cases = [
        ((2, 3), 5, 7, 2, 3.0, True),
        ((), 7, 4, 3, 8.0, False),
        ((6,), 4, 5, 1, 0.5, True),
        ((2,), 6, 6, 6, 9, True),
    ]
    for batch, size_in, size_out, rank, alpha, has_bias in cases:
        x = torch.randn(*batch, size_in, generator=rng, dtype=torch.float64)
        weight = torch.randn(size_out, size_in, generator=rng, dtype=torch.float64)
        bias = torch.randn(size_out, generator=rng, dtype=torch.float64)
        a = torch.randn(rank, size_in, generator=rng, dtype=torch.float64)
        b = torch.randn(size_out, rank, generator=rng, dtype=torch.float64)
        before = [tensor.clone() for tensor in (x, weight, bias, a, b)]
        expected = torch.einsum("oi,...i->...o", weight + alpha * torch.einsum("or,ri->oi", b, a) / rank, x)
        out = lora_linear(x, weight, bias if has_bias else None, a, b, alpha)
        what = f"with in={size_in}, out={size_out}, r={rank}, alpha={alpha}, {'a' if has_bias else 'no'} bias"
        assert_close(out, expected + bias * has_bias, rtol=1e-5, atol=1e-5, message=what)
        for tensor, copy in zip((x, weight, bias, a, b), before, strict=True):
            assert torch.equal(tensor, copy), "the arguments must stay as they are, and one of them was changed"


@lora_linear.hidden("lets gradients reach x, A and B", points=1)
def _(lora_linear, rng):
    weight = torch.randn(4, 7, generator=rng, dtype=torch.float64)
    bias = torch.randn(4, generator=rng, dtype=torch.float64)
    x, a, b = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((5, 7), (2, 7), (4, 2)))
    g = torch.randn(5, 4, generator=rng, dtype=torch.float64)
    for tensor in (x, a, b):
        tensor.requires_grad_(True)
    out = lora_linear(x, weight, bias, a, b, 6.0)
    assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
    assert out.requires_grad, "the output does not depend on A and B as far as autograd can see"
    found = torch.autograd.grad((out * g).sum(), (x, a, b), allow_unused=True)
    x, a, b = x.detach(), a.detach(), b.detach()
    expected = (g @ (weight + 3.0 * b @ a), 3.0 * (b.T @ g.T) @ x, 3.0 * g.T @ (x @ a.T))
    for name, gradient, right in zip(("x", "A", "B"), found, expected, strict=True):
        assert gradient is not None, f"no gradient reaches {name}"
        assert_close(gradient, right, rtol=1e-5, atol=1e-5, message=f"the gradient of {name}")


@lora_linear.misconception(
    "You scaled the update by `alpha`; LoRA scales it by `alpha / r`, so that its size stays about the same when you "
    "change the rank."
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You did not use alpha: the update is scaled by `alpha / r`. Here r alone divides it, or nothing scales it."
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + x @ a.T @ b.T


@lora_linear.misconception(
    "You scaled the frozen layer as well; only the update gets `alpha / r`, because at B = 0 the model must be exactly "
    "the pretrained one."
)
def _(x, weight, bias, a, b, alpha):
    return alpha / a.shape[0] * (F.linear(x, weight, bias) + x @ a.T @ b.T)


@lora_linear.misconception(
    "You took r from the wrong axis; A is (r, in), so r is `a.shape[0]`, and `a.shape[1]` is the width of the layer."
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha / a.shape[1] * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You made the shapes fit with `reshape`; that shuffles the numbers. A and B have to be transposed: `x @ a.T @ b.T`."
)
def _(x, weight, bias, a, b, alpha):
    down, up = a.reshape(a.shape[1], a.shape[0]), b.reshape(b.shape[1], b.shape[0])
    return F.linear(x, weight, bias) + alpha / a.shape[0] * (x @ down @ up)


@lora_linear.misconception("You left the bias out; it belongs to the frozen layer and is added once, unscaled.")
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight) + alpha / a.shape[0] * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You put the bias into the update as well; the update has no bias of its own, so it is added once, with the frozen "
    "layer."
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha / a.shape[0] * F.linear(x @ a.T, b, bias)


@lora_linear.also_correct
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight + alpha / len(a) * torch.einsum("or,ri->oi", b, a), bias)


@lora_linear.also_correct
def _(x, weight, bias, a, b, alpha):
    low = torch.einsum("...i,ri->...r", x, a) * (alpha / a.size(0))
    out = torch.einsum("...i,oi->...o", x, weight) + torch.einsum("...r,or->...o", low, b)
    if bias is not None:
        out += bias
    return out


@exercise(
    points=3,
    minutes=8,
    hints=(
        "The model must not change before the first step. Which factor has to be zero for B A = 0?",
        "If both were zero, what would the gradient of A be, and that of B? Each is multiplied by the other factor.",
        "`torch.randn(rank, n_in, generator=generator)` has standard deviation 1; divide by the root of n_in.",
    ),
)
def init_lora(n_in, n_out, rank, generator):
    """Give the factors (A, B) that training starts from.

    A (rank, n_in): independent normal numbers with mean 0 and standard deviation 1 / √n_in,
    drawn from `generator`. B (n_out, rank): zeros. Both are float32 tensors on the CPU.
    `generator` is a torch.Generator: all random numbers come from it, so that the same seed
    gives the same A and the next call gives another one.
    """
    ### BEGIN SOLUTION
    a = torch.randn(rank, n_in, generator=generator) / math.sqrt(n_in)
    return a, torch.zeros(n_out, rank)
    ### END SOLUTION


@init_lora.test("gives A (rank, in) and B (out, rank), whose product is zero", points=1)
def _(init_lora, rng):
    a, b = init_lora(7, 5, 3, rng)
    assert tuple(a.shape) == (3, 7), f"A must be (rank, in) = (3, 7), got {tuple(a.shape)}"
    assert tuple(b.shape) == (5, 3), f"B must be (out, rank) = (5, 3), got {tuple(b.shape)}"
    assert not (b @ a).any(), "B A must be zero at the start, so that the model is the pretrained one"


@init_lora.hidden("draws A at the scale 1 / sqrt(in), and leaves B at zero", points=1)
def _(init_lora, rng):
    for n_in, n_out, rank in ((400, 30, 40), (50, 120, 200)):
        a, b = init_lora(n_in, n_out, rank, rng)
        assert tuple(a.shape) == (rank, n_in), f"A must be (rank, in) = ({rank}, {n_in}), got {tuple(a.shape)}"
        assert tuple(b.shape) == (n_out, rank), f"B must be (out, rank) = ({n_out}, {rank}), got {tuple(b.shape)}"
        assert not b.any(), "B must be zero"
        a = torch.as_tensor(a).double() * n_in**0.5
        assert abs(float(a.std()) - 1) < 0.06, (
            f"the numbers of A need the standard deviation 1/sqrt({n_in}) = {n_in**-0.5:.4f}, "
            f"got {float(a.std()) * n_in**-0.5:.4f}"
        )
        assert abs(float(a.mean())) < 0.06, f"the numbers of A need the mean 0, got {float(a.mean()) * n_in**-0.5:.4f}"
        below = float((a.abs() < 1).double().mean())
        assert abs(below - 0.683) < 0.03, (
            f"68 % of the numbers of a normal distribution lie within one standard deviation, here {below:.0%} do"
        )
        rows = a @ a.T / n_in
        assert float((rows - rows.diag().diag()).abs().mean()) < 0.2, "the rows of A must be drawn independently"
        columns = a.T @ a / rank
        assert float((columns - columns.diag().diag()).abs().mean()) < 0.3, "the columns of A must differ from another"


@init_lora.hidden("takes its random numbers from the generator, and from nowhere else", points=1)
def _(init_lora):
    generator = torch.Generator().manual_seed(5)
    first, b = init_lora(6, 4, 2, generator)
    second, _ = init_lora(6, 4, 2, generator)
    torch.randn(3)  # whoever draws from torch's global generator is noticed
    again, _ = init_lora(6, 4, 2, torch.Generator().manual_seed(5))
    other, _ = init_lora(6, 4, 2, torch.Generator().manual_seed(6))
    assert_close(again, first, message="the same seed must give the same A")
    assert not torch.equal(first, second), "a second call with the same generator must give another A"
    assert not torch.equal(first, other), "another seed must give another A"
    for name, factor in (("A", first), ("B", b)):
        assert factor.dtype == torch.float32, f"{name} must be a float32 tensor, got {factor.dtype}"


@init_lora.misconception(
    "You set both factors to zero; then nothing can ever be learned, because the gradient of A is multiplied by B and "
    "that of B by A, and both stay zero."
)
def _(n_in, n_out, rank, generator):
    return torch.zeros(rank, n_in), torch.zeros(n_out, rank)


@init_lora.misconception(
    "You drew both factors; then B A is noise, and the model is damaged before its first step. B has to be zero."
)
def _(n_in, n_out, rank, generator):
    a = torch.randn(rank, n_in, generator=generator) / n_in**0.5
    return a, torch.randn(n_out, rank, generator=generator) / rank**0.5


@init_lora.misconception(
    "You drew B and set A to zero; that could learn as well, but the paper and everyone's checkpoints have it the "
    "other way round: A is drawn, B is zero."
)
def _(n_in, n_out, rank, generator):
    return torch.zeros(rank, n_in), torch.randn(n_out, rank, generator=generator) / n_in**0.5


@init_lora.misconception("You gave A as (in, rank) and B as (rank, out); here A is (rank, in) and B is (out, rank).")
def _(n_in, n_out, rank, generator):
    return torch.randn(n_in, rank, generator=generator) / n_in**0.5, torch.zeros(rank, n_out)


@init_lora.misconception(
    "You drew A at standard deviation 1; the sum over n_in inputs then grows with the width. Divide by the root of "
    "n_in."
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator), torch.zeros(n_out, rank)


@init_lora.misconception(
    "You divided by `n_in` where its square root belongs: the standard deviation is 1 / √n_in, its square, the "
    "variance, is 1 / n_in."
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator) / n_in, torch.zeros(n_out, rank)


@init_lora.misconception(
    "You scaled A by the rank; what A adds up are n_in inputs, so its standard deviation is 1 / √n_in."
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator) / rank**0.5, torch.zeros(n_out, rank)


@init_lora.misconception(
    "You did not hand `generator` on; random numbers then come from torch's global generator, and nobody can repeat "
    "your run. Write `torch.randn(..., generator=generator)`."
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in) / n_in**0.5, torch.zeros(n_out, rank)


@init_lora.also_correct
def _(n_in, n_out, rank, generator):
    return torch.empty(rank, n_in).normal_(0, n_in**-0.5, generator=generator), torch.zeros((n_out, rank))


@init_lora.also_correct
def _(n_in, n_out, rank, generator):
    a = nn.init.kaiming_normal_(torch.empty(rank, n_in), nonlinearity="linear", generator=generator)
    return [a, a.new_zeros(n_out, rank)]


@exercise(
    points=5,
    minutes=20,
    hints=(
        "Freeze first, inject second: `parameter.requires_grad_(False)` for all parameters of the model.",
        'In "layers.0.attention.q" the last component is "q" and its parent is '
        '`model.get_submodule("layers.0.attention")`. `path.rpartition(".")` splits the two.',
        "Make a list of `model.named_modules()` before you change anything, so that you do not walk into your own "
        "work.",
        "`setattr(parent, name, Adapter(linear, a, b, alpha, lora_linear))`, with a and b from `init_lora`.",
    ),
)
def inject(model, targets, rank, alpha, generator):
    """Put low-rank updates into a model, freeze the rest, and give the number of trainable numbers.

    Changes `model` in place. Every `nn.Linear` whose name, the last component of its module
    path, is in `targets` (a set of str, compared exactly) becomes an `Adapter(linear, a, b,
    alpha, lora_linear)`, with A (rank, in) and B (out, rank) from `init_lora(in, out, rank,
    generator)`, in the order of `model.named_modules()`. Modules of other kinds stay as
    they are, whatever their names. Afterwards the A and B alone have requires_grad True;
    all weights and biases that the model had before are frozen, in adapted layers and in
    others. The model's outputs have not changed yet.

    model: a float32 module on the CPU, in which no Linear is used twice; it is not itself a
    Linear. Returns the sum of r (in + out) over the adapted layers as an int: 0 where none
    has a name in `targets`.
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
    model = nn.ModuleDict({"up": nn.Linear(6, 10), "norm": nn.LayerNorm(10), "down": nn.Linear(10, 4)})
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

    for targets, rank in (({"q", "v"}, 3), ({"seq", "up"}, 2), ({"k", "e"}, 4), ({"attention", "norms"}, 1)):
        model = nn.ModuleDict({"embedding": nn.Embedding(9, 6), "blocks": nn.ModuleList([block(), block()])})
        model["v"] = nn.Linear(4, 9, bias=False)
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
    for size_in, size_out, rank, alpha, bias in ((7, 5, 2, 3.0, True), (4, 9, 3, 8.0, False)):
        model = nn.Sequential()
        model.add_module("first", nn.Linear(size_in, size_out, bias=bias))
        model.add_module("second", nn.Linear(size_out, 6))
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
        model = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 5), nn.Sequential(nn.Linear(5, 7)))
        inject(model, {"0"}, 2, 8.0, generator)
        return [p.detach().clone() for p in model.parameters() if p.requires_grad and tuple(p.shape) == (2, 5)]

    first, second = adapted(torch.Generator().manual_seed(3)), adapted(torch.Generator().manual_seed(3))
    assert len(first) == 2, (
        f"two layers are called 0, so two matrices A of shape (2, 5) are trainable: got {len(first)}"
    )
    assert not torch.equal(first[0], first[1]), "the two layers must get different A"
    assert_close(second, first, message="the same seed must give the same A")
    assert not torch.equal(adapted(rng)[0], first[0]), "another generator must give another A"
    a = []
    for paths in (["q"], ["block", "q"]):  # alone, then after a layer of the same size which comes before it
        layers = {"block": nn.ModuleDict({"q": nn.Linear(5, 7)}), "q": nn.Linear(5, 7)}
        model = nn.ModuleDict({path: layers[path] for path in paths})
        inject(model, {"q"}, 2, 8.0, torch.Generator().manual_seed(3))
        a.append(next(p.detach().clone() for p in model.parameters() if tuple(p.shape) == (2, 5)))
    assert_close(a[1], a[0], message="block.q comes before q in named_modules(), so its A is drawn first")


@inject.misconception(
    "You asked whether a target occurs somewhere in the name; then `q` also adapts `seq`. Compare the whole last "
    "component: `name in targets`."
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
    "You asked whether the path ends with a target; then `q` also adapts `seq`, and `v` also `conv`. Compare the whole "
    "last component: `name in targets`."
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
    "You searched the whole path for a target; then every Linear inside a container of that name is adapted. Only "
    "the last component counts."
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
    "You looked at the direct children of the model only; adapters belong into layers at any depth, so walk over "
    "`model.named_modules()`."
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
    "You left biases trainable; LoRA trains A and B alone. Freeze all of `model.parameters()`, not the weights only."
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
    "You froze the adapted layers and left the rest of the model trainable; everything that was there before is to be "
    "frozen."
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
    "You froze the model after injecting, so A and B are frozen as well and nothing is left to train. Freeze first."
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
    "You froze nothing: the weights of the model are still trained beside A and B, which is full fine-tuning and a "
    "little more."
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
    "You divided alpha by the rank before handing it to `Adapter`; `lora_linear` divides by r itself, so the update "
    "gets alpha / r²."
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
    "You drew the factors once and put them into every layer; each layer needs an A of its own, or they all start "
    "in the same subspace and share their parameters."
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
    "You returned the number of adapted layers or tensors; what is asked for is how many numbers are trained: the "
    "sum of `numel()`."
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
        for name, child in list(parent.named_children()):
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


@exercise(
    points=2,
    minutes=5,
    hints=(
        "What matrix M gives x Mᵀ = x Wᵀ + (alpha / r) (x Aᵀ) Bᵀ for every x?",
        "(x Aᵀ) Bᵀ = x (B A)ᵀ, and B A has the shape of W.",
        "`weight += …` changes the caller's tensor; write a new one.",
    ),
)
def merge(weight, a, b, alpha):
    """Fold an adapter into the frozen weight: one matrix that acts as both together.

    weight (out, in); a = A (r, in); b = B (out, r); alpha a positive number, and the update
    is scaled by alpha / r as before. Returns a new tensor (out, in) that shares no memory
    with `weight`; the arguments stay as they are.
    """
    ### BEGIN SOLUTION
    return weight + alpha / a.shape[0] * (b @ a)
    ### END SOLUTION


@merge.test("acts as the frozen layer and its adapter together", points=1)
def _(merge, rng):
    weight = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    a = torch.randn(3, 7, generator=rng, dtype=torch.float64)
    b = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    x = torch.randn(4, 7, generator=rng, dtype=torch.float64)
    both = x @ weight.T + 8 / 3 * (x @ a.T) @ b.T
    merged = merge(weight, a, b, 8.0)
    assert tuple(merged.shape) == (5, 7), f"the merged weight must be (out, in) = (5, 7), got {tuple(merged.shape)}"
    assert_close(x @ torch.as_tensor(merged).T, both, rtol=1e-8, atol=1e-8, message="x times the merged weight")


@merge.hidden("holds for any shape and scale, and leaves its arguments alone", points=1)
def _(merge, rng):
    for size_in, size_out, rank, alpha, dtype in (
        (6, 4, 2, 3.0, torch.float64),
        (5, 5, 5, 0.5, torch.float64),
        (3, 8, 1, 7, torch.float64),
        (40, 30, 6, 16.0, torch.float32),
    ):
        weight = torch.randn(size_out, size_in, generator=rng, dtype=dtype) / size_in**0.5
        a = torch.randn(rank, size_in, generator=rng, dtype=dtype) / size_in**0.5
        b = torch.randn(size_out, rank, generator=rng, dtype=dtype) / rank**0.5
        before = [tensor.clone() for tensor in (weight, a, b)]
        merged = torch.as_tensor(merge(weight, a, b, alpha))
        expected = weight.double() + sum(
            alpha * torch.outer(b.double()[:, i], a.double()[i]) / rank for i in range(rank)
        )
        tolerance = 1e-9 if dtype == torch.float64 else 1e-5
        for tensor, copy in zip((weight, a, b), before, strict=True):
            assert torch.equal(tensor, copy), "the arguments must stay as they are; the frozen weight is still needed"
        what = f"with in={size_in}, out={size_out}, r={rank}, alpha={alpha}"
        assert_close(merged, expected, rtol=tolerance, atol=tolerance, message=what)
        merged.mul_(0)
        assert torch.equal(weight, before[0]), "the result must be a new tensor; writing into it changed `weight`"


@merge.misconception(
    "You added alpha times B A; the adapter scales by `alpha / r`, and a merged model must give the outputs that it "
    "gave before."
)
def _(weight, a, b, alpha):
    return weight + alpha * (b @ a)


@merge.misconception("You added B A without its scale; the update is `alpha / r` times B A.")
def _(weight, a, b, alpha):
    return weight + b @ a


@merge.misconception(
    "You changed `weight` itself; whoever merges a second adapter, or wants to go back, has lost the frozen weight. "
    "Give a new tensor."
)
def _(weight, a, b, alpha):
    weight += alpha / a.shape[0] * (b @ a)
    return weight


@merge.misconception("You returned the update alone; the merged weight is the frozen one plus the update.")
def _(weight, a, b, alpha):
    return alpha / a.shape[0] * (b @ a)


@merge.misconception("You took r from the wrong axis; A is (r, in), so r is `a.shape[0]`.")
def _(weight, a, b, alpha):
    return weight + alpha / a.shape[1] * (b @ a)


@merge.misconception("You merged twice: the update goes into the weight once.")
def _(weight, a, b, alpha):
    return weight + 2 * alpha / a.shape[0] * (b @ a)


@merge.also_correct
def _(weight, a, b, alpha):
    return torch.addmm(weight, b, a, alpha=alpha / a.shape[0])


@merge.also_correct
def _(weight, a, b, alpha):
    merged = weight.clone()
    merged += torch.einsum("or,ri->oi", b, a).mul(alpha).div(b.shape[1])
    return merged


@exercise(
    points=1,
    minutes=3,
    hints=(
        "Merging added something that depends on A, B and alpha only.",
        "Take away exactly what `merge` added, into a new tensor.",
    ),
)
def unmerge(merged, a, b, alpha):
    """Take an adapter out of a merged weight again, so that another one can go in.

    merged (out, in) is what `merge` gave for the same a = A (r, in), b = B (out, r) and
    alpha. Returns the frozen weight (out, in), up to rounding, as a new tensor; the
    arguments stay as they are.
    """
    ### BEGIN SOLUTION
    return merged - alpha / a.shape[0] * (b @ a)
    ### END SOLUTION


@unmerge.test("undoes a merge", points=0.5)
def _(unmerge, rng):
    weight = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    a = torch.randn(3, 7, generator=rng, dtype=torch.float64)
    b = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    back = unmerge(weight + 8 / 3 * b @ a, a, b, 8.0)
    assert_close(back, weight, rtol=1e-8, atol=1e-8, message="the frozen weight must come back")


@unmerge.hidden("holds for any shape and scale, and leaves its arguments alone", points=0.5)
def _(unmerge, rng):
    for size_in, size_out, rank, alpha in ((6, 4, 2, 3.0), (5, 5, 5, 0.5), (3, 8, 1, 7)):
        merged = torch.randn(size_out, size_in, generator=rng, dtype=torch.float64)
        a = torch.randn(rank, size_in, generator=rng, dtype=torch.float64)
        b = torch.randn(size_out, rank, generator=rng, dtype=torch.float64)
        before = [tensor.clone() for tensor in (merged, a, b)]
        found = torch.as_tensor(unmerge(merged, a, b, alpha))
        for tensor, copy in zip((merged, a, b), before, strict=True):
            assert torch.equal(tensor, copy), "the arguments must stay as they are"
        expected = before[0] - sum(alpha * torch.outer(b[:, i], a[i]) / rank for i in range(rank))
        what = f"with in={size_in}, out={size_out}, r={rank}, alpha={alpha}"
        assert_close(found, expected, rtol=1e-9, atol=1e-9, message=what)
        found.mul_(0)
        assert torch.equal(merged, before[0]), "the result must be a new tensor; writing into it changed `merged`"


@unmerge.misconception("You added the update once more; to take it out, subtract it.")
def _(merged, a, b, alpha):
    return merged + alpha / a.shape[0] * (b @ a)


@unmerge.misconception("You subtracted alpha times B A; what was added is `alpha / r` times B A.")
def _(merged, a, b, alpha):
    return merged - alpha * (b @ a)


@unmerge.misconception("You subtracted B A without its scale; what was added is `alpha / r` times B A.")
def _(merged, a, b, alpha):
    return merged - b @ a


@unmerge.misconception("You changed `merged` itself; give a new tensor, the merged model may still be in use.")
def _(merged, a, b, alpha):
    merged -= alpha / a.shape[0] * (b @ a)
    return merged


@unmerge.also_correct
def _(merged, a, b, alpha):
    return torch.addmm(merged, b, a, alpha=-alpha / b.shape[1])


@exercise(
    points=3,
    minutes=12,
    hints=(
        "`u, s, vh = torch.linalg.svd(delta)` gives delta = u @ diag(s) @ vh, largest s first. For a wide or tall "
        "delta, pass `full_matrices=False` to get no more of u and vh than s needs.",
        "Keep the first `rank` columns of u, numbers of s and rows of vh.",
        "The product needs each singular value once: put s into one factor, or its square root into both.",
    ),
)
def svd_lora(delta, rank):
    """Give the factors (A, B) whose product B A is the best approximation of a matrix at a given rank.

    delta (out, in), a float tensor; 1 <= rank <= min(out, in). Returns A (rank, in) and B
    (out, rank) that make ‖delta - B A‖² (the sum of squares of all entries) as small as any
    matrix of that rank can; there is no alpha here. How the singular values are shared
    between A and B is up to you. Leave delta as it is.
    """
    ### BEGIN SOLUTION
    u, s, vh = torch.linalg.svd(delta)
    return vh[:rank], u[:, :rank] * s[:rank]
    ### END SOLUTION


@svd_lora.test("gives the matrix back at full rank", points=1)
def _(svd_lora, rng):
    delta = torch.randn(6, 4, generator=rng, dtype=torch.float64)
    a, b = svd_lora(delta, 4)
    assert tuple(a.shape) == (4, 4), f"A must be (rank, in) = (4, 4), got {tuple(a.shape)}"
    assert tuple(b.shape) == (6, 4), f"B must be (out, rank) = (6, 4), got {tuple(b.shape)}"
    assert_close(b @ a, delta, rtol=1e-5, atol=1e-5, message="B A at full rank")


@svd_lora.hidden("leaves an error equal to the sum of the squared singular values that were cut", points=2)
def _(svd_lora, rng):
    for size_out, size_in, rank in ((7, 5, 2), (9, 9, 4), (4, 8, 3), (8, 6, 1), (5, 6, 5)):
        delta = torch.randn(size_out, size_in, generator=rng, dtype=torch.float64)
        before = delta.clone()
        a, b = svd_lora(delta, rank)
        assert torch.equal(delta, before), "delta must stay as it is"
        assert tuple(a.shape) == (rank, size_in), f"A must be (rank, in) = ({rank}, {size_in}), got {tuple(a.shape)}"
        assert tuple(b.shape) == (size_out, rank), f"B must be ({size_out}, {rank}), got {tuple(b.shape)}"
        product = torch.as_tensor(b @ a)
        squares = torch.linalg.eigvalsh(delta.T @ delta if size_out >= size_in else delta @ delta.T)  # ascending
        what = f"the squared error of a {size_out} x {size_in} matrix at rank {rank}"
        tail = squares[: len(squares) - rank].clamp(min=0).sum()
        assert_close(((delta - product) ** 2).sum(), tail, rtol=1e-5, atol=1e-8, message=what)


@svd_lora.misconception(
    "Each singular value came into the product twice; put s into A or into B, or its square root into both."
)
def _(delta, rank):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return s[:rank, None] * vh[:rank], u[:, :rank] * s[:rank]


@svd_lora.misconception(
    "You left the singular values out; u and vh hold directions only, and s says how much of each there is."
)
def _(delta, rank):
    u, _, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank]


@svd_lora.misconception(
    "You kept the smallest singular values; `torch.linalg.svd` gives the largest first, so the first `rank` stay."
)
def _(delta, rank):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[-rank:], u[:, -rank:] * s[-rank:]


@svd_lora.misconception(
    "You used V where Vᵀ belongs: `torch.linalg.svd` gives `vh`, whose rows are the right singular vectors, so A is "
    "`vh[:rank]`."
)
def _(delta, rank):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:, :rank].T, u[:, :rank] * s[:rank]


@svd_lora.misconception(
    "You put the square root of the singular values into one factor only; the product then holds √s where it needs s."
)
def _(delta, rank):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank].sqrt()


@svd_lora.misconception(
    "You took the first rows or columns of the matrix itself; the best directions are the singular vectors, which "
    "mix all of them."
)
def _(delta, rank):
    return delta[:rank].clone(), torch.eye(len(delta), rank, dtype=delta.dtype)


@svd_lora.also_correct
def _(delta, rank):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    root = s[:rank].sqrt()
    return root[:, None] * vh[:rank, :], u[:, :rank] @ torch.diag(root)


@svd_lora.also_correct
def _(delta, rank):
    _, vectors = torch.linalg.eigh(delta @ delta.T)
    b = vectors[:, -rank:]
    return b.T @ delta, b


@exercise(
    points=2,
    minutes=6,
    hints=(
        "Which of the three, weights, gradients and optimizer state, does a frozen parameter need?",
        "Every parameter is held; only a trainable one has a gradient and an optimizer state.",
    ),
)
def train_memory(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    """Give the bytes that training holds for weights, gradients and optimizer state.

    n_params: all parameters in memory, frozen and trainable, the adapters among them;
    n_trainable: how many of them are trained. weight_bytes, gradient_bytes and
    optimizer_bytes: bytes for each parameter that needs one, for instance 2, 2 and 12 (Adam
    in mixed precision: two moments and a copy of the weight, 4 bytes each). Activations are
    not counted. Returns a number of bytes.
    """
    ### BEGIN SOLUTION
    return n_params * weight_bytes + n_trainable * (gradient_bytes + optimizer_bytes)
    ### END SOLUTION


@train_memory.test("charges 16 bytes a parameter for full fine-tuning with Adam in mixed precision", points=1)
def _(train_memory):
    assert_close(train_memory(1000, 1000, 2, 2, 12), 16_000, message="1000 parameters, all trained")


@train_memory.hidden("charges gradients and optimizer state for what is trained, and weights for everything", points=1)
def _(train_memory):
    for n_params, n_trainable, weight, gradient, optimizer in (
        (1000, 70, 2, 3, 11),
        (7_000_000_000, 4_194_304, 2, 2, 12),
        (500, 20, 0.5, 2, 8),
        (640, 0, 4, 4, 8),
        (90, 30, 1, 5, 0),
    ):
        expected = n_params * weight + n_trainable * gradient + n_trainable * optimizer
        found = train_memory(n_params, n_trainable, weight, gradient, optimizer)
        what = f"{n_params} parameters, {n_trainable} trained, {weight} + {gradient} + {optimizer} bytes"
        assert_close(found, expected, rtol=1e-9, atol=0, message=what)


@train_memory.misconception(
    "You charged optimizer state for frozen parameters; Adam keeps moments only of what it updates, and that is "
    "where LoRA saves most."
)
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    return n_params * (weight_bytes + optimizer_bytes) + n_trainable * gradient_bytes


@train_memory.misconception(
    "You charged gradients for frozen parameters; autograd stores no gradient where requires_grad is False."
)
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    return n_params * (weight_bytes + gradient_bytes) + n_trainable * optimizer_bytes


@train_memory.misconception(
    "You charged everything for every parameter; that is full fine-tuning. A frozen parameter costs its weight alone."
)
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    return n_params * (weight_bytes + gradient_bytes + optimizer_bytes)


@train_memory.misconception(
    "You charged the weights of the trainable part only; the frozen weights have to be in memory too, or there is no "
    "forward pass."
)
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    return n_trainable * (weight_bytes + gradient_bytes + optimizer_bytes)


@train_memory.misconception("You counted the trainable weights twice: `n_params` has the adapters among them already.")
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    return n_params * weight_bytes + n_trainable * (weight_bytes + gradient_bytes + optimizer_bytes)


@train_memory.misconception("You left the gradients out; each trainable parameter has one beside its optimizer state.")
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    return n_params * weight_bytes + n_trainable * optimizer_bytes


@train_memory.misconception("You turned bytes into bits or gigabytes; the answer is wanted in bytes, as it comes.")
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    return 8 * (n_params * weight_bytes + n_trainable * (gradient_bytes + optimizer_bytes))


@train_memory.also_correct
def _(n_params, n_trainable, weight_bytes, gradient_bytes, optimizer_bytes):
    frozen = n_params - n_trainable
    return frozen * weight_bytes + n_trainable * sum((weight_bytes, gradient_bytes, optimizer_bytes))
