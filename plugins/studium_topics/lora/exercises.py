"""The exercises: the update and its start, the best low rank, injection, merging, fine-tuning, and the memory bill."""

import copy
import math
from collections import OrderedDict
from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn
from studium_topics.lora.adapter import Adapter


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Which part of the output does alpha / r multiply, and which part must be the pretrained layer's, bit for bit?",
        "Send x down to r numbers with A, then up to `out` numbers with B. The frozen part is a linear layer as usual.",
        "x Aᵀ is (..., r), and (x Aᵀ) Bᵀ is (..., out). A is (r, in), so its number of rows is the rank.",
        "`F.linear(x, weight, bias)` is the frozen part; r is `a.shape[0]`, and `x @ a.T` goes down.",
    ),
)
def lora_linear(x, weight, bias, a, b, alpha):
    """Return the output of a frozen linear layer plus its low-rank update.

    h = x W₀ᵀ + bias + (alpha / r) (x Aᵀ) Bᵀ

    * x: (..., in), any number of leading axes, none included
    * weight: W₀ (out, in)
    * bias: (out,) or None
    * a: A (r, in)
    * b: B (out, r)
    * alpha: a positive number
    * returns: a tensor (..., out)

    The lesson trains through this function, so gradients must reach x, a and b. The
    arguments stay as they are.
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
        ((2, 3), 6, 7, 2, 5.0, True, torch.float64),
        ((), 7, 4, 3, 8.0, False, torch.float32),
        ((6,), 4, 5, 1, 0.5, True, torch.float64),
        ((2,), 6, 6, 6, 9, True, torch.float64),
    ]
    for batch, size_in, size_out, rank, alpha, has_bias, dtype in cases:
        x = torch.randn(*batch, size_in, generator=rng, dtype=dtype)
        weight = torch.randn(size_out, size_in, generator=rng, dtype=dtype)
        bias = torch.randn(size_out, generator=rng, dtype=dtype)
        a = torch.randn(rank, size_in, generator=rng, dtype=dtype)
        b = torch.randn(size_out, rank, generator=rng, dtype=dtype)
        before = [tensor.clone() for tensor in (x, weight, bias, a, b)]
        out = lora_linear(x, weight, bias if has_bias else None, a, b, alpha)
        for name, tensor, kept in zip(("x", "weight", "bias", "a", "b"), (x, weight, bias, a, b), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        x, weight, bias, a, b = (tensor.double() for tensor in before)
        expected = torch.einsum("oi,...i->...o", weight + alpha * torch.einsum("or,ri->oi", b, a) / rank, x)
        what = f"with in={size_in}, out={size_out}, r={rank}, alpha={alpha}, {'a' if has_bias else 'no'} bias"
        assert_close(out, expected + bias * has_bias, rtol=1e-4, atol=1e-4, message=what)


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
    assert out.requires_grad, "the output does not depend on x, A and B as far as autograd can see"
    found = torch.autograd.grad((out * g).sum(), (x, a, b), allow_unused=True)
    x, a, b = x.detach(), a.detach(), b.detach()
    expected = (g @ (weight + 3.0 * b @ a), 3.0 * (b.T @ g.T) @ x, 3.0 * g.T @ (x @ a.T))
    for name, gradient, right in zip(("x", "A", "B"), found, expected, strict=True):
        assert gradient is not None, f"no gradient reaches {name}"
        assert_close(gradient, right, rtol=1e-5, atol=1e-5, message=f"the gradient of {name}")


@lora_linear.misconception(
    "You scaled the update by `alpha`; LoRA scales it by `alpha / r`, so that its size stays about the same when you "
    "change the rank.",
    name="scaled-by-alpha",
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You added (x Aᵀ) Bᵀ without a scale; the update is multiplied by `alpha / r`.", name="left-out-the-scale"
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + x @ a.T @ b.T


@lora_linear.misconception(
    "You divided with `//`, which rounds `alpha / r` down; alpha = 5 at rank 2 is a scale of 2.5.",
    name="rounded-the-scale",
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha // a.shape[0] * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You scaled the frozen layer as well; `alpha / r` belongs to the update alone, because at B = 0 the model must be "
    "exactly the pretrained one.",
    name="scaled-the-frozen-layer",
)
def _(x, weight, bias, a, b, alpha):
    return alpha / a.shape[0] * (F.linear(x, weight, bias) + x @ a.T @ b.T)


@lora_linear.misconception(
    "You divided by `a.shape[1]`, the width of the layer; A is (r, in), so r is `a.shape[0]`.",
    name="rank-from-the-wrong-axis",
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha / a.shape[1] * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You made the shapes fit with `reshape`, which puts the numbers into other rows; A and B have to be transposed.",
    name="reshaped-instead-of-transposed",
)
def _(x, weight, bias, a, b, alpha):
    down, up = a.reshape(a.shape[1], a.shape[0]), b.reshape(b.shape[1], b.shape[0])
    return F.linear(x, weight, bias) + alpha / a.shape[0] * (x @ down @ up)


@lora_linear.misconception(
    "You left the bias out; it belongs to the frozen layer and is added once, unscaled.", name="left-out-the-bias"
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight) + alpha / a.shape[0] * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You put the bias into the update as well; the update has no bias of its own, so the bias is added once, with the "
    "frozen layer.",
    name="bias-twice",
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
    minutes=10,
    importance=3,
    kind="derive",
    hints=(
        "The model must not change before the first step, and yet be able to learn. Which factor is zero?",
        "One entry of A x is a sum of n_in products. What is the variance of a sum of independent terms?",
        "A has `rank` rows and `n_in` columns, B has `n_out` rows and `rank` columns.",
        "`torch.randn(rank, n_in, generator=generator)` has variance 1; multiply by the deviation that you found.",
    ),
)
def init_lora(n_in, n_out, rank, generator):
    """Return the factors (A, B) that training starts from.

    A holds independent normal numbers with mean 0, drawn from `generator`. Choose their
    variance such that each entry of A x has variance 1 wherever the entries of x are
    independent, with mean 0 and variance 1. B is zero.

    * generator: a torch.Generator, the only source of random numbers
    * returns: A (rank, n_in) and B (n_out, rank), float32 tensors on the CPU

    A second call with the same generator gives another A.
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
            f"each entry of A x needs the variance 1 for {n_in} inputs of variance 1, got {float(a.var()):.4g}"
        )
        assert abs(float(a.mean())) < 0.06, f"the numbers of A need the mean 0, got {float(a.mean()) * n_in**-0.5:.4f}"
        below = float((a.abs() < 1).double().mean())
        assert abs(below - 0.683) < 0.03, (
            f"68 % of the numbers of a normal distribution are within one standard deviation, here {below:.0%} are"
        )
        rows = a @ a.T / n_in
        assert float((rows - rows.diag().diag()).abs().mean()) < 0.2, "the rows of A must be drawn independently"
        columns = a.T @ a / rank
        assert float((columns - columns.diag().diag()).abs().mean()) < 0.3, "the columns of A must be independent"


@init_lora.hidden("takes its random numbers from the generator, and from nowhere else", points=1)
def _(init_lora):
    generator = torch.Generator().manual_seed(5)
    first, b = init_lora(6, 4, 2, generator)
    second, _ = init_lora(6, 4, 2, generator)
    torch.randn(3)  # an answer that draws from torch's global generator now gives another A
    again, _ = init_lora(6, 4, 2, torch.Generator().manual_seed(5))
    other, _ = init_lora(6, 4, 2, torch.Generator().manual_seed(6))
    assert_close(again, first, message="the same seed must give the same A")
    assert not torch.equal(first, second), "a second call with the same generator must give another A"
    assert not torch.equal(first, other), "another seed must give another A"
    for name, factor in (("A", first), ("B", b)):
        assert factor.dtype == torch.float32, f"{name} must be a float32 tensor, got {factor.dtype}"


@init_lora.misconception(
    "You set both factors to zero; then nothing can ever be learned, because the gradient of A is multiplied by B and "
    "that of B by A, so that both stay zero.",
    name="both-zero",
)
def _(n_in, n_out, rank, generator):
    return torch.zeros(rank, n_in), torch.zeros(n_out, rank)


@init_lora.misconception(
    "You drew both factors; then B A is noise, and the model is damaged before its first step. B has to be zero.",
    name="both-drawn",
)
def _(n_in, n_out, rank, generator):
    a = torch.randn(rank, n_in, generator=generator) / n_in**0.5
    return a, torch.randn(n_out, rank, generator=generator) / rank**0.5


@init_lora.misconception(
    "You drew B and set A to zero; that could learn as well, but in the paper and in the libraries A is drawn and B is "
    "zero.",
    name="drew-b-instead-of-a",
)
def _(n_in, n_out, rank, generator):
    return torch.zeros(rank, n_in), torch.randn(n_out, rank, generator=generator) / n_in**0.5


@init_lora.misconception(
    "You gave A as (in, rank) and B as (rank, out); here A is (rank, in) and B is (out, rank).",
    name="transposed-factors",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(n_in, rank, generator=generator) / n_in**0.5, torch.zeros(rank, n_out)


@init_lora.misconception(
    "You drew A at variance 1; each entry of A x then has variance n_in, which grows with the width of the layer.",
    name="unit-variance",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator), torch.zeros(n_out, rank)


@init_lora.misconception(
    "You divided by `n_in`; that makes the variance of each number 1 / n_in², so each entry of A x has variance "
    "1 / n_in.",
    name="divided-by-the-width",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator) / n_in, torch.zeros(n_out, rank)


@init_lora.misconception(
    "You scaled A by the rank; an entry of A x is a sum over the n_in inputs, and the rank is only the number of such "
    "sums.",
    name="scaled-by-the-rank",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator) / rank**0.5, torch.zeros(n_out, rank)


@init_lora.misconception(
    "You drew A evenly between -1/√in and 1/√in, as `nn.Linear` and peft do by default; the variance is then "
    "1 / (3 in), and the numbers are not normal.",
    name="uniform-as-nn-linear",
)
def _(n_in, n_out, rank, generator):
    a = (2 * torch.rand(rank, n_in, generator=generator) - 1) / n_in**0.5
    return a, torch.zeros(n_out, rank)


@init_lora.misconception(
    "You did not pass `generator` on; the random numbers then come from torch's global generator, and nobody can "
    "repeat your run. Write `torch.randn(..., generator=generator)`.",
    name="ignored-the-generator",
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
    points=3,
    minutes=12,
    importance=3,
    kind="derive",
    hints=(
        "Which terms of the sum σᵢ uᵢ vᵢᵀ would you keep, if you may keep `rank` of them?",
        "Cut the singular value decomposition. The product B A must then be what is left times rank / alpha.",
        "u[:, :rank] is (out, rank), s[:rank] is (rank,), and vh[:rank] is (rank, in).",
        "`u, s, vh = torch.linalg.svd(delta, full_matrices=False)` has delta = u @ diag(s) @ vh, the largest s first.",
    ),
)
def svd_lora(delta, rank, alpha):
    """Return the factors (A, B) of the adapter that is nearest to a given update.

    Of all adapters of this rank, yours leaves the smallest ‖delta - (alpha / rank) B A‖²,
    the sum of the squares of all entries.

    * delta: ΔW (out, in), float32 or float64; it stays as it is
    * rank: from 1 to min(out, in)
    * alpha: a positive number
    * returns: A (rank, in) and B (out, rank), which may share the singular values in any way
    """
    ### BEGIN SOLUTION
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    a = vh[:rank]
    b = u[:, :rank] * s[:rank] * rank / alpha
    return a, b
    ### END SOLUTION


@svd_lora.test("gives the matrix back at full rank", points=1)
def _(svd_lora, rng):
    delta = torch.randn(6, 4, generator=rng, dtype=torch.float64)
    a, b = svd_lora(delta, 4, 10.0)
    assert tuple(a.shape) == (4, 4), f"A must be (rank, in) = (4, 4), got {tuple(a.shape)}"
    assert tuple(b.shape) == (6, 4), f"B must be (out, rank) = (6, 4), got {tuple(b.shape)}"
    assert_close(2.5 * b @ a, delta, rtol=1e-5, atol=1e-5, message="(alpha / rank) B A at full rank, alpha = 10")


@svd_lora.hidden("leaves an error equal to the sum of the squared singular values that were cut", points=2)
def _(svd_lora, rng):
    cases = ((7, 5, 2, 5.0), (9, 9, 4, 6.0), (4, 8, 3, 1.0), (8, 6, 1, 3), (5, 6, 5, 0.5), (30, 20, 7, 16.0))
    for size_out, size_in, rank, alpha in cases:
        delta = torch.randn(size_out, size_in, generator=rng, dtype=torch.float64)
        if size_out == 30:
            delta = delta.float()
        before = delta.clone()
        a, b = svd_lora(delta, rank, alpha)
        assert torch.equal(delta, before), "delta must stay as it is, and it was changed"
        assert tuple(a.shape) == (rank, size_in), f"A must be (rank, in) = ({rank}, {size_in}), got {tuple(a.shape)}"
        assert tuple(b.shape) == (size_out, rank), f"B must be ({size_out}, {rank}), got {tuple(b.shape)}"
        update = alpha / rank * torch.as_tensor(b).double() @ torch.as_tensor(a).double()
        delta = before.double()
        squares = torch.linalg.eigvalsh(delta.T @ delta if size_out >= size_in else delta @ delta.T)  # ascending
        what = f"the squared error of a {size_out} x {size_in} matrix at rank {rank} and alpha {alpha}"
        tail = squares[: len(squares) - rank].clamp(min=0).sum()
        assert_close(((delta - update) ** 2).sum(), tail, rtol=1e-4, atol=1e-8, message=what)


@svd_lora.misconception(
    "You made B A the best matrix of this rank; the layer adds (alpha / rank) B A, so the factors need rank / alpha "
    "of it.",
    name="forgot-the-scale",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank]


@svd_lora.misconception(
    "You multiplied the factors by alpha / rank; the layer does that once more, so they have to be divided by it.",
    name="scaled-twice",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank] * alpha / rank


@svd_lora.misconception(
    "Each singular value came into the product twice; put s into A or into B, or its square root into both.",
    name="singular-values-twice",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return s[:rank, None] * vh[:rank], u[:, :rank] * s[:rank] * rank / alpha


@svd_lora.misconception(
    "You left the singular values out; u and vh hold directions only, and s says how much of each there is.",
    name="left-out-the-singular-values",
)
def _(delta, rank, alpha):
    u, _, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * rank / alpha


@svd_lora.misconception(
    "You kept the smallest singular values; `torch.linalg.svd` gives the largest first, so the first `rank` stay.",
    name="kept-the-smallest",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[-rank:], u[:, -rank:] * s[-rank:] * rank / alpha


@svd_lora.misconception(
    "You took columns of `vh`; `torch.linalg.svd` gives Vᵀ, whose rows are the right singular vectors, so A needs "
    "rows of it.",
    name="columns-of-vh",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:, :rank].T, u[:, :rank] * s[:rank] * rank / alpha


@svd_lora.misconception(
    "You put the square root of the singular values into one factor only; the product then holds √s where it needs s.",
    name="root-in-one-factor",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank].sqrt() * rank / alpha


@svd_lora.misconception(
    "You took the first rows of the matrix itself; the best directions are the singular vectors, which mix all rows.",
    name="first-rows",
)
def _(delta, rank, alpha):
    return delta[:rank].clone(), torch.eye(len(delta), rank, dtype=delta.dtype) * rank / alpha


@svd_lora.also_correct
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    root = (s[:rank] * rank / alpha).sqrt()
    return root[:, None] * vh[:rank, :], u[:, :rank] @ torch.diag(root)


@svd_lora.also_correct
def _(delta, rank, alpha):
    _, vectors = torch.linalg.eigh(delta @ delta.T)
    b = vectors[:, -rank:]
    return b.T @ delta * (rank / alpha), b


svd_lora.equivalent(
    "u, s, vh = torch.linalg.svd(delta, full_matrices=True)",
    "the slices take the first `rank` vectors either way",
)


@exercise(
    points=3,
    minutes=12,
    kind="derive",
    hints=(
        "Take one row of delta. Which vectors can the same row of B A be, while A stays as it is?",
        "Each row of B A is a combination of the rows of A. The nearest one is the projection onto the space of these.",
        "With P (in, in) that projection, what is left is delta - delta P, of shape (out, in).",
        "`torch.linalg.lstsq(a.T, delta.T).solution` solves Aᵀ Bᵀ = deltaᵀ as well as it can be solved.",
    ),
)
def b_only_floor(delta, a):
    """Return the smallest squared error that training B alone can reach while A stays as it was drawn.

    The error is ‖delta - B A‖², the sum of the squares of all entries; B may be any matrix.

    * delta: ΔW (out, in), float32 or float64
    * a: A (r, in) of the same dtype, with r < in independent rows
    * returns: one number, a float or a tensor with one entry

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    b = delta @ torch.linalg.pinv(a)
    left_over = delta - b @ a
    return left_over.square().sum()
    ### END SOLUTION


@b_only_floor.test("finds the part of the update that A can express, and counts the rest", points=1)
def _(b_only_floor, rng):
    a = torch.tensor([[2.0, 0.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0]], dtype=torch.float64)
    delta = torch.tensor([[5.0, -7.0, 1.0, 2.0], [1.0, 1.0, 0.0, 3.0], [4.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    found = float(b_only_floor(delta, a))
    assert_close(found, 14.0, rtol=1e-6, message="A spans the first two inputs, so that 1² + 2² + 3² is left")


@b_only_floor.hidden("equals the error of the best B, for any shapes", points=2)
def _(b_only_floor, rng):
    for size_out, size_in, rank, dtype in (
        (5, 9, 3, torch.float64),
        (8, 8, 5, torch.float64),
        (12, 4, 2, torch.float64),
        (20, 30, 6, torch.float32),
    ):
        delta = torch.randn(size_out, size_in, generator=rng, dtype=dtype)
        a = torch.randn(rank, size_in, generator=rng, dtype=dtype) + 0.5  # rows that are not orthogonal
        before = [delta.clone(), a.clone()]
        found = float(b_only_floor(delta, a))
        for name, tensor, kept in zip(("delta", "a"), (delta, a), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        beyond = torch.linalg.qr(before[1].double().T, mode="complete").Q[:, rank:]  # what no row of B A can hold
        expected = float((before[0].double() @ beyond).square().sum())
        what = f"the smallest squared error for a {size_out} x {size_in} update and an A with {rank} rows"
        assert_close(found, expected, rtol=1e-4, atol=1e-6, message=what)


@b_only_floor.misconception(
    "You returned the tail energy; that is the smallest error when A is trained as well. Here A keeps its directions.",
    name="tail-energy",
)
def _(delta, a):
    return torch.linalg.svdvals(delta)[len(a) :].square().sum()


@b_only_floor.misconception(
    "You projected with Aᵀ A; that is a projection only where the rows of A are orthogonal and of length 1.",
    name="assumed-orthonormal-rows",
)
def _(delta, a):
    return (delta - delta @ a.T @ a).square().sum()


@b_only_floor.misconception(
    "You gave each row of A the length 1 and projected onto one row at a time; rows that are not orthogonal share a "
    "part of the update, and it was subtracted more than once.",
    name="one-row-at-a-time",
)
def _(delta, a):
    unit = a / a.norm(dim=1, keepdim=True)
    return (delta - delta @ unit.T @ unit).square().sum()


@b_only_floor.misconception(
    "You returned (1 - r / in) ‖delta‖²; that is the mean over random A, and this A has a floor of its own.",
    name="mean-over-random-a",
)
def _(delta, a):
    return (1 - len(a) / a.shape[1]) * delta.square().sum()


@b_only_floor.misconception(
    "You returned the part of the update that A can express; the error is the other part.", name="kept-part"
)
def _(delta, a):
    return (delta @ torch.linalg.pinv(a) @ a).square().sum()


@b_only_floor.misconception("You returned the norm; the error is its square.", name="norm-not-squared")
def _(delta, a):
    return (delta - delta @ torch.linalg.pinv(a) @ a).norm()


@b_only_floor.misconception(
    "You averaged the squares over the entries; the error is their sum.", name="mean-of-the-squares"
)
def _(delta, a):
    return (delta - delta @ torch.linalg.pinv(a) @ a).square().mean()


@b_only_floor.also_correct
def _(delta, a):
    basis = torch.linalg.qr(a.T).Q
    return float(delta.pow(2).sum() - (delta @ basis).pow(2).sum())


@b_only_floor.also_correct
def _(delta, a):
    b = torch.linalg.solve(a @ a.T, a @ delta.T).T
    return ((delta - b @ a) ** 2).sum().item()


@b_only_floor.also_correct
def _(delta, a):
    return torch.linalg.matrix_norm(a.T @ torch.linalg.lstsq(a.T, delta.T).solution - delta.T) ** 2


@exercise(
    points=5,
    minutes=20,
    importance=3,
    hints=(
        "Freezing and injecting: what happens to the new factors if you freeze last?",
        "Walk over all modules, find the Linears by their own names, and replace each one in its parent. Change the "
        "model only after you have listed its modules.",
        'In "layers.0.attention.q" the own name is "q", and the parent\'s path is "layers.0.attention". A is '
        "(rank, in), B is (out, rank).",
        '`parent, _, name = path.rpartition(".")`, then `setattr(model.get_submodule(parent), name, Adapter(linear, a, '
        "b, alpha, lora_linear))`.",
    ),
)
def inject(model, targets, rank, alpha, generator):
    """Replace the named Linears of a model by adapters in place, and freeze the rest.

    In the order of `named_modules()`, each nn.Linear whose own name, the last part of its
    path, is in `targets` becomes `Adapter(linear, a, b, alpha, lora_linear)`, a and b from
    `init_lora`. Only A and B keep requires_grad. Other modules, and all outputs, stay as
    they are.

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
    "You asked whether a target occurs somewhere in the name; then `q` also adapts `seq`. Compare the whole last "
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
    "You asked whether the path ends with a target; then `q` also adapts `seq`, and `v` also `conv`. Compare the whole "
    "last component: `name in targets`.",
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
    "You searched the whole path for a target; then every Linear inside a container of that name is adapted. Only "
    "the last component counts.",
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
    "You looked at the direct children of the model only; adapters belong in layers at any depth, so walk over "
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
    "You left biases trainable; LoRA trains A and B alone. Freeze all of `model.parameters()`, not the weights only.",
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
    "You froze the adapted layers and left the rest of the model trainable; everything that was there before is to be "
    "frozen.",
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
    "You froze the model after injecting, so A and B are frozen as well and nothing is left to train. Freeze first.",
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
    "You froze nothing: the weights of the model are still trained beside A and B, which is full fine-tuning and a "
    "little more.",
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
    "You divided alpha by the rank before handing it to `Adapter`; `lora_linear` divides by r itself, so the update "
    "gets alpha / r².",
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
    "You drew the factors once and put them into every layer; each layer needs an A of its own, or they all start "
    "in the same subspace and share their parameters.",
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
    "You returned the number of trained tensors; asked for are the parameters in them: the sum of `numel()`.",
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
    "a child that is replaced keeps its place, so the walk goes on as if it were still there",
)


@exercise(
    points=2,
    minutes=4,
    level="warm-up",
    importance=3,
    kind="derive",
    hints=(
        "What matrix M gives x Mᵀ = x W₀ᵀ + (alpha / r) (x Aᵀ) Bᵀ for every x?",
        "Both terms are linear in x, so their matrices add up. The base may be wanted again, so leave it as it is.",
        "(x Aᵀ) Bᵀ = x (B A)ᵀ, and B A has the shape (out, in) of W₀.",
        "`weight + …` makes a new tensor; `weight += …` changes the caller's.",
    ),
)
def merge(weight, a, b, alpha):
    """Return the one matrix that does the work of a frozen weight and its adapter together.

    For every x, `F.linear(x, merged)` must equal `lora_linear(x, weight, None, a, b, alpha)`.

    * weight: W₀ (out, in)
    * a: A (r, in)
    * b: B (out, r)
    * alpha: a positive number
    * returns: a new tensor (out, in), which shares no memory with `weight`

    The arguments stay as they are.
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
        (6, 4, 2, 5.0, torch.float64),
        (5, 5, 5, 0.5, torch.float64),
        (3, 8, 1, 7, torch.float64),
        (40, 30, 6, 16.0, torch.float32),
    ):
        weight = torch.randn(size_out, size_in, generator=rng, dtype=dtype) / size_in**0.5
        a = torch.randn(rank, size_in, generator=rng, dtype=dtype) / size_in**0.5
        b = torch.randn(size_out, rank, generator=rng, dtype=dtype) / rank**0.5
        before = [tensor.clone() for tensor in (weight, a, b)]
        merged = torch.as_tensor(merge(weight, a, b, alpha))
        for name, tensor, kept in zip(("weight", "a", "b"), (weight, a, b), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        expected = weight.double() + sum(
            alpha * torch.outer(b.double()[:, i], a.double()[i]) / rank for i in range(rank)
        )
        tolerance = 1e-9 if dtype == torch.float64 else 1e-5
        what = f"with in={size_in}, out={size_out}, r={rank}, alpha={alpha}"
        assert_close(merged, expected, rtol=tolerance, atol=tolerance, message=what)


@merge.misconception(
    "You added alpha times B A; the adapter scales by `alpha / r`, and a merged model must give the outputs that it "
    "gave before.",
    name="scaled-by-alpha",
)
def _(weight, a, b, alpha):
    return weight + alpha * (b @ a)


@merge.misconception("You added B A without its scale; the update is `alpha / r` times B A.", name="left-out-the-scale")
def _(weight, a, b, alpha):
    return weight + b @ a


@merge.misconception(
    "You divided with `//`, which rounds `alpha / r` down; alpha = 5 at rank 2 is a scale of 2.5.",
    name="rounded-the-scale",
)
def _(weight, a, b, alpha):
    return weight + alpha // a.shape[0] * (b @ a)


@merge.misconception(
    "You changed `weight` itself; the frozen weight is then lost for the next adapter. Return a new tensor.",
    name="changed-the-weight",
)
def _(weight, a, b, alpha):
    weight += alpha / a.shape[0] * (b @ a)
    return weight


@merge.misconception(
    "You returned the update alone; the merged weight is the frozen one plus the update.", name="update-alone"
)
def _(weight, a, b, alpha):
    return alpha / a.shape[0] * (b @ a)


@merge.misconception(
    "You divided by `a.shape[1]`, the width of the layer; A is (r, in), so r is `a.shape[0]`.",
    name="rank-from-the-wrong-axis",
)
def _(weight, a, b, alpha):
    return weight + alpha / a.shape[1] * (b @ a)


@merge.misconception("You merged twice: the update goes into the weight once.", name="merged-twice")
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
    points=3,
    minutes=12,
    importance=2,
    hints=(
        "What does a server hold before a customer calls, and what must it still hold afterwards?",
        "Copy the base, then visit each adapted Linear once and give it a merged weight.",
        'The keys "blocks.0.q.a" and "blocks.0.q.b" belong to the Linear with the path "blocks.0.q". The ranks may '
        "differ from layer to layer.",
        '`key.rpartition(".")[0]` is the path; under `torch.no_grad()`, `layer.weight.copy_(...)` sets the merged one.',
    ),
)
def serve(base, adapter, alpha):
    """Return a plain copy of a model with a saved adapter merged into it.

    * base: a model without adapters
    * adapter: a dict in any order; an adapted nn.Linear with the module path <path> has
      the keys "<path>.a" (r, in) and "<path>.b" (out, r)
    * alpha: a positive number; r is read off each A
    * returns: a new model with the modules of base; the adapted weights are merged, all
      other parameters equal those of base

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
    "You merged into `base` itself; the next customer's adapter then lands on top of this one. Copy the base first.",
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
    "You paired the tensors in the order in which the dict holds them; that order is not promised, so go by the names.",
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


@serve.misconception(
    "You merged one layer only: the loop ended after the first adapted Linear.", name="first-layer-only"
)
def _(base, adapter, alpha):
    model = copy.deepcopy(base)
    path = next(key for key in adapter if key.endswith(".a")).removesuffix(".a")
    layer = model.get_submodule(path)
    merged = merge(layer.weight.detach(), adapter[f"{path}.a"], adapter[f"{path}.b"], alpha)
    layer.weight = nn.Parameter(merged)
    return model


@serve.misconception(
    "You put the update in the place of the weight; the pretrained weight has to stay in the sum.",
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
    "You merged each layer once for A and once for B, so that its update counts twice.", name="merged-per-factor"
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


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "You have every part: which of your functions makes a model trainable, and which one makes it plain again?",
        "Copy, inject, train A and B, collect A and B, serve, then compare two losses on the old domain.",
        "The logits are (B, T, V) and the labels (B, T); a cross-entropy wants (B·T, V) and (B·T,).",
        "`{name: p.detach() for name, p in model.named_parameters() if p.requires_grad}` holds the adapter, "
        "and `F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())` is the loss.",
    ),
)
def finetune(base, targets, rank, alpha, batches, old, lr, generator):
    """Adapt a language model; return its adapter, the served model, and what was forgotten.

    Train the factors in a copy: for each batch in order, one step of `torch.optim.Adam` at
    rate lr on its mean cross-entropy.

    * base: ids (B, T) to logits (B, T, V); it is not changed
    * targets, rank, alpha, generator: as for `inject`
    * batches: pairs (ids, labels), each (B, T); old: one such pair
    * returns: the factors alone, as for `serve`; the merged model; its loss on old minus
      that of base
    """
    ### BEGIN SOLUTION
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha=alpha, generator=generator)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.Adam(trained.values(), lr=lr)

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    for batch in batches:
        optimizer.zero_grad()
        loss_on(model, batch).backward()
        optimizer.step()

    adapter = {name: parameter.detach() for name, parameter in trained.items()}
    served = serve(base, adapter, alpha)
    forgotten = loss_on(served, old).item() - loss_on(base, old).item()
    return adapter, served, forgotten
    ### END SOLUTION


@finetune.test("saves the factors alone, serves a plain model, and lowers the loss on the new domain", points=2)
def _(finetune, rng):
    def layers():
        ends = nn.Embedding(9, 8), nn.Linear(8, 9, bias=False)
        return nn.Sequential(OrderedDict(embedding=ends[0], q=nn.Linear(8, 8), act=nn.Tanh(), head=ends[1]))

    base = drawn(layers, rng)
    ids = torch.randint(9, (4, 6), generator=rng)
    new, old = (ids, (ids + 1) % 9), (ids, (ids + 2) % 9)
    adapter, served, _ = finetune(base, {"q", "head"}, 2, 6.0, [new] * 30, old, 0.05, rng)
    shapes = {name: tuple(tensor.shape) for name, tensor in adapter.items()}
    right = {"q.a": (2, 8), "q.b": (8, 2), "head.a": (2, 8), "head.b": (9, 2)}
    assert shapes == right, f"the adapter must hold the factors alone, {right}, and it holds {shapes}"
    names = [name for name, _ in served.named_modules()]
    plain = [name for name, _ in base.named_modules()]
    assert names == plain, f"the served model must have the modules of base, {plain}, and it has {names}"
    losses = [F.cross_entropy(model(ids).flatten(0, 1), new[1].flatten()).item() for model in (base, served)]
    assert losses[1] < losses[0] - 0.1, (
        f"30 steps on one batch must lower its loss, and it went from {losses[0]:.3f} to {losses[1]:.3f}"
    )


@finetune.hidden("takes one Adam step for each batch, on the factors alone, and leaves base as it was", points=3)
def _(finetune, rng):
    def layers():
        ends = nn.Embedding(11, 6), nn.Linear(10, 11, bias=False)
        return nn.Sequential(OrderedDict(embedding=ends[0], q=nn.Linear(6, 10), act=nn.Tanh(), head=ends[1]))

    for rank, alpha, lr, count in ((3, 5.0, 0.02, 3), (2, 7.0, 0.05, 6)):
        base = drawn(layers, rng)
        batches = []
        for _ in range(count):
            ids = torch.randint(11, (3, 5), generator=rng)
            batches.append((ids, (3 * ids + 1) % 11))
        old = (torch.randint(11, (4, 7), generator=rng), torch.randint(11, (4, 7), generator=rng))
        before = {name: parameter.detach().clone() for name, parameter in base.named_parameters()}
        start, _, unmoved = finetune(base, {"q"}, rank, alpha, [], old, lr, torch.Generator().manual_seed(rank))
        adapter, served, _ = finetune(base, {"q"}, rank, alpha, batches, old, lr, torch.Generator().manual_seed(rank))
        for name, parameter in base.named_parameters():
            assert torch.equal(parameter, before[name]), f"base must stay as it is, and {name} was changed"
            assert parameter.requires_grad, f"base must stay as it is, and {name} was frozen"
        assert set(adapter) == {"q.a", "q.b"}, f"the adapter must hold q.a and q.b alone, got {sorted(adapter)}"
        assert abs(unmoved) < 1e-5, f"without a batch nothing is forgotten, and you returned {unmoved}"
        a, b = (start[name].clone().requires_grad_(True) for name in ("q.a", "q.b"))
        optimizer = torch.optim.Adam([a, b], lr=lr)
        for ids, labels in batches:
            weight = before["q.weight"] + alpha / rank * b @ a
            hidden = torch.tanh(F.linear(before["embedding.weight"][ids], weight, before["q.bias"]))
            loss = F.cross_entropy((hidden @ before["head.weight"].T).flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        what = f"after {count} batches with r={rank}, alpha={alpha} and lr={lr}"
        assert_close(adapter["q.b"], b.detach(), rtol=1e-2, atol=2e-3, message=f"B {what}")
        assert_close(adapter["q.a"], a.detach(), rtol=1e-2, atol=2e-3, message=f"A {what}")
        expected = {**before, "q.weight": before["q.weight"] + alpha / rank * (b @ a).detach()}
        for name, parameter in served.named_parameters():
            message = f"{name} of the served model {what}"
            assert_close(parameter.detach(), expected[name], rtol=1e-2, atol=5e-3, message=message)


@finetune.hidden("measures what was forgotten as the rise of the loss on the old domain", points=1)
def _(finetune, rng):
    base = drawn(lambda: nn.Sequential(OrderedDict(embedding=nn.Embedding(7, 6), v=nn.Linear(6, 7))), rng)
    ids = torch.arange(7).repeat(3, 1)
    new, old = (ids, (ids + 3) % 7), (ids[:2, :5], ids[:2, :5])
    _, served, forgotten = finetune(base, {"v"}, 3, 12.0, [new] * 25, old, 0.05, rng)
    first, last = (F.cross_entropy(model(old[0]).flatten(0, 1), old[1].flatten()).item() for model in (base, served))
    assert_close(float(forgotten), last - first, rtol=1e-3, atol=1e-4, message="the loss on `old` after minus before")


@finetune.misconception(
    "You made the optimizer before `inject`: it holds the frozen parameters and not A and B, so nothing was trained.",
    name="optimizer-before-injection",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    inject(model, targets, rank, alpha, generator)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You never set the gradients back to zero, so each step follows the sum of all gradients so far.",
    name="gradients-pile-up",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You made a new optimizer for each batch; Adam then forgets its moments, and every step is a first step.",
    name="new-optimizer-each-step",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    for ids, labels in batches:
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You took plain gradient steps; the statement asks for Adam, which divides each gradient by its running size.",
    name="sgd-instead-of-adam",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, adapter, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.misconception(
    "You saved the frozen weights beside the factors; the file is then as large as the model, for every customer.",
    name="saved-the-whole-model",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    factors = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    served = serve(base, factors, alpha)
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, served))
    return {name: p.detach().clone() for name, p in model.named_parameters()}, served, last - first


@finetune.misconception(
    "You returned the model with its adapters still in it; the served model is a plain one, with merged weights.",
    name="served-unmerged",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    for ids, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(ids).flatten(0, 1), labels.flatten()).backward()
        optimizer.step()
    adapter = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    first, last = (F.cross_entropy(m(old[0]).flatten(0, 1), old[1].flatten()).item() for m in (base, model))
    return adapter, model, last - first


@finetune.misconception(
    "You subtracted the other way round: what was forgotten is the loss after minus the loss before.",
    name="before-minus-after",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    adapter, served, forgotten = finetune(base, targets, rank, alpha, batches, old, lr, generator)
    return adapter, served, -forgotten


@finetune.misconception(
    "You returned the served model's loss on `old`; what was forgotten is how far that is above the loss of base.",
    name="loss-after-alone",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    adapter, served, forgotten = finetune(base, targets, rank, alpha, batches, old, lr, generator)
    return adapter, served, forgotten + F.cross_entropy(base(old[0]).flatten(0, 1), old[1].flatten()).item()


@finetune.misconception(
    "You measured the change of the loss on the new domain; forgetting is seen on the old one.",
    name="measured-on-the-new-domain",
)
def _(base, targets, rank, alpha, batches, old, lr, generator):
    adapter, served, _ = finetune(base, targets, rank, alpha, batches, old, lr, generator)
    ids, labels = batches[-1] if batches else old
    first, last = (F.cross_entropy(m(ids).flatten(0, 1), labels.flatten()).item() for m in (base, served))
    return adapter, served, last - first


@finetune.also_correct
def _(base, targets, rank, alpha, batches, old, lr, generator):
    def loss_of(network, ids, labels):
        logits = network(ids)
        return nn.CrossEntropyLoss()(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))

    with torch.no_grad():
        before = loss_of(base, *old).item()
    model = copy.deepcopy(base)
    inject(model, targets, rank, alpha, generator)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr, weight_decay=0.0)
    for ids, labels in batches:
        loss = loss_of(model, ids, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    adapter, served = {}, model
    for path, module in list(model.named_modules()):
        if isinstance(module, Adapter):
            adapter[f"{path}.b"], adapter[f"{path}.a"] = module.b.data, module.a.data
            module.linear.weight.data = merge(module.linear.weight.data, module.a.data, module.b.data, alpha)
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, module.linear)
    return adapter, served, loss_of(served, *old).item() - before


@exercise(
    points=3,
    minutes=12,
    importance=1,
    kind="find the bug",
    hints=(
        "Multiply the wrong code's B A out by hand for two adapters. Which products are in it that nobody asked for?",
        "Several updates side by side are one update with more rows in A and more columns in B.",
        "A is (r₁ + r₂ + …, in) and B is (out, r₁ + r₂ + …). Each weight and each scale may enter one factor only.",
        "`torch.cat([...])` stacks the A by rows, `torch.cat([...], dim=1)` the B by columns.",
    ),
)
def combine(adapters, weights):
    """Find the bug: this function should combine several adapters of one layer into one.

    ```python
    def combine(adapters, weights):
        a = sum(w * a for w, (a, b, alpha) in zip(weights, adapters))
        b = sum(w * b for w, (a, b, alpha) in zip(weights, adapters))
        return a, b
    ```

    The product B A of the result must be the weighted sum of the updates, each at its own
    scale. The arguments stay as they are.

    * adapters: a list of (A, B, alpha), A (rᵢ, in) and B (out, rᵢ)
    * weights: one number for each, negative ones too
    * returns: A (R, in) and B (out, R), R at most the sum of the ranks
    """
    ### BEGIN SOLUTION
    a = torch.cat([a for a, _, _ in adapters])
    scaled = []
    for weight, (factor, b, alpha) in zip(weights, adapters, strict=True):
        scaled.append(weight * alpha / len(factor) * b)
    return a, torch.cat(scaled, dim=1)
    ### END SOLUTION


@combine.test("adds the updates of two adapters of equal rank", points=1)
def _(combine, rng):
    adapters = [(torch.randn(2, 6, generator=rng), torch.randn(5, 2, generator=rng), alpha) for alpha in (5.0, 3.0)]
    a, b = combine(adapters, [0.7, 0.4])
    (a1, b1, _), (a2, b2, _) = adapters
    expected = 0.7 * 2.5 * b1 @ a1 + 0.4 * 1.5 * b2 @ a2
    assert_close(b @ a, expected, rtol=1e-4, atol=1e-4, message="B A for alpha = 5 and 3, weights 0.7 and 0.4")


@combine.hidden("weighs adapters of any ranks, subtracts with negative weights, and changes no argument", points=2)
def _(combine, rng):
    cases = (
        (4, 7, ((2, 5.0, -0.6), (3, 4.0, 1.3))),
        (6, 5, ((1, 3.0, 0.5), (4, 8.0, 0.25), (2, 1.0, -2.0))),
        (5, 3, ((3, 7.0, 0.8),)),
    )
    for size_in, size_out, members in cases:
        adapters = [
            (torch.randn(rank, size_in, generator=rng), torch.randn(size_out, rank, generator=rng), alpha)
            for rank, alpha, _ in members
        ]
        weights = [weight for _, _, weight in members]
        before = [(a.clone(), b.clone(), alpha) for a, b, alpha in adapters]
        handed = list(weights)
        a, b = combine(list(adapters), handed)
        assert handed == weights, f"the arguments must stay as they are, and weights became {handed}"
        for number, (given, kept) in enumerate(zip(adapters, before, strict=True)):
            same = torch.equal(given[0], kept[0]) and torch.equal(given[1], kept[1])
            assert same, f"the arguments must stay as they are, and adapter {number} was changed"
        most = sum(rank for rank, _, _ in members)
        assert a.shape[0] <= most, f"R must be at most the sum of the ranks, {most}, and A has {a.shape[0]} rows"
        expected = sum(
            weight * alpha / len(a) * b.double() @ a.double()
            for weight, (a, b, alpha) in zip(weights, before, strict=True)
        )
        what = "B A for " + ", ".join(f"rank {rank}, alpha {alpha:g}, weight {w:g}" for rank, alpha, w in members)
        assert_close(b @ a, expected, rtol=1e-4, atol=1e-4, message=what)


@combine.misconception(
    "You summed the A and the B: the product of two sums has cross terms, B of one adapter times A of the other.",
    name="summed-the-factors",
)
def _(adapters, weights):
    a = sum(w * a for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    b = sum(w * b for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    return a, b


@combine.misconception(
    "You summed the A and the B, each at its scale: the product of two sums still has cross terms, B of one adapter "
    "times A of the other.",
    name="summed-the-scaled-factors",
)
def _(adapters, weights):
    a = sum(a for a, b, alpha in adapters)
    b = sum(w * alpha / len(a) * b for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    return a, b


@combine.misconception(
    "You left out the scales: each update is alpha / r times its B A, with its own alpha and r.",
    name="left-out-the-scales",
)
def _(adapters, weights):
    a = torch.cat([a for a, _, _ in adapters])
    return a, torch.cat([w * b for w, (_, b, _) in zip(weights, adapters, strict=True)], dim=1)


@combine.misconception(
    "You scaled by alpha instead of alpha / r; each adapter has a rank of its own.", name="scaled-by-alpha"
)
def _(adapters, weights):
    a = torch.cat([a for a, _, _ in adapters])
    return a, torch.cat([w * alpha * b for w, (_, b, alpha) in zip(weights, adapters, strict=True)], dim=1)


@combine.misconception(
    "You divided by the joint rank; each update keeps the rank that it was trained with in its scale.",
    name="divided-by-the-joint-rank",
)
def _(adapters, weights):
    a = torch.cat([a for a, _, _ in adapters])
    b = [w * alpha / len(a) * b for w, (_, b, alpha) in zip(weights, adapters, strict=True)]
    return a, torch.cat(b, dim=1)


@combine.misconception(
    "You put each weight into A and into B, so that the update is multiplied by its square.",
    name="weights-in-both-factors",
)
def _(adapters, weights):
    a = torch.cat([w * a for w, (a, _, _) in zip(weights, adapters, strict=True)])
    b = [w * alpha / len(a) * b for w, (a, b, alpha) in zip(weights, adapters, strict=True)]
    return a, torch.cat(b, dim=1)


@combine.misconception(
    "You took the square root of each weight; a negative weight then gives nan.", name="root-of-the-weights"
)
def _(adapters, weights):
    roots = [torch.tensor(float(w)).sqrt() for w in weights]
    a = torch.cat([root * a for root, (a, _, _) in zip(roots, adapters, strict=True)])
    b = [root * alpha / len(a) * b for root, (a, b, alpha) in zip(roots, adapters, strict=True)]
    return a, torch.cat(b, dim=1)


@combine.also_correct
def _(adapters, weights):
    a = torch.cat([w * a for w, (a, _, _) in zip(weights, adapters, strict=True)])
    b = torch.cat([alpha / b.shape[1] * b for _, b, alpha in adapters], dim=1)
    return a, b


@combine.also_correct
def _(adapters, weights):
    update = sum(w * alpha / a.shape[0] * (b @ a) for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    rank = min(sum(len(a) for a, _, _ in adapters), *update.shape)
    u, s, vh = torch.linalg.svd(update, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank]


combine.equivalent(
    "for weight, (factor, b, alpha) in zip(weights, adapters, strict=False):",
    "there is one weight for each adapter",
)


@exercise(
    points=3,
    minutes=12,
    importance=1,
    kind="measure",
    hints=(
        "Which of the three, weights, gradients and optimizer state, exist for a frozen parameter after a step?",
        "Take the step as usual, leave the gradients where they are, and add up what is there.",
        "The bytes of a tensor are its numbers times the bytes of one. The `grad` of a frozen parameter is None.",
        "A tensor has `tensor.numel() * tensor.element_size()` bytes; `optimizer.state.values()` are dicts, one for "
        "each parameter that was updated, whose values are the tensors.",
    ),
)
def train_memory(model, x):
    """Measure the bytes that training holds: take one step, then count.

    The step: `torch.optim.Adam` with its defaults on the parameters that are not frozen,
    and the loss `model(x).square().mean()`.

    * model: any module, whose parameters may be of several dtypes
    * x: a batch of inputs for it
    * returns: three numbers of bytes: all parameters; their gradients; the tensors in the
      optimizer's state

    A parameter that the model holds under two names is there once. Buffers and activations
    are not counted.
    """
    ### BEGIN SOLUTION
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad])
    model(x).square().mean().backward()
    optimizer.step()

    def size(tensors):
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    gradients = [p.grad for p in parameters if p.grad is not None]
    state = [tensor for held in optimizer.state.values() for tensor in held.values()]
    return size(parameters), size(gradients), size(state)
    ### END SOLUTION


@train_memory.test("finds 16 bytes for each trained parameter in 32 bits: 4 + 4 + 8", points=1)
def _(train_memory, rng):
    model = drawn(partial(nn.Linear, 30, 20, bias=False, dtype=torch.float32), rng)
    weights, gradients, state = train_memory(model, torch.randn(4, 30, generator=rng, dtype=torch.float32))
    assert_close(weights, 2400, message="600 weights of 4 bytes")
    assert_close(gradients, 2400, message="600 gradients of 4 bytes")
    assert 4800 <= state <= 4800 + 64, f"Adam holds two numbers of 4 bytes for each of 600 weights, you found {state}"


@train_memory.hidden("counts gradients and state of what is trained alone, each dtype at its size", points=2)
def _(train_memory, rng):
    class Tied(nn.Module):
        def __init__(self, dtype, trained):
            super().__init__()
            self.up = nn.Linear(6, 10, dtype=dtype)  # 60 + 10
            self.down = nn.Linear(10, 6, bias=False, dtype=dtype)  # 60
            self.again = self.down
            self.register_buffer("noise", torch.zeros(50, dtype=dtype))
            self.a = nn.Parameter(torch.empty(2, 6, dtype=torch.float32))
            self.b = nn.Parameter(torch.empty(6, 2, dtype=torch.float32))
            for name, parameter in self.named_parameters():
                parameter.requires_grad_(name in trained)

        def forward(self, x):
            hidden = self.down(torch.tanh(self.up(x.to(self.up.weight.dtype))))
            return hidden.float() + x @ self.a.T @ self.b.T

    for dtype, size, trained, count in (
        (torch.bfloat16, 2, ("a", "b"), {4: 24}),
        (torch.float64, 8, ("up.weight", "b"), {8: 60, 4: 12}),
        (torch.float32, 4, ("up.weight", "up.bias", "down.weight", "a", "b"), {4: 154}),
    ):
        found = train_memory(
            drawn(partial(Tied, dtype, trained), rng), torch.randn(5, 6, generator=rng, dtype=torch.float32)
        )
        weights, gradients, state = (float(number) for number in found)
        held = sum(width * number for width, number in count.items())
        what = f"of a model with 130 {dtype} and 24 float32 parameters, of which {sum(count.values())} are trained"
        assert_close(weights, 130.0 * size + 24 * 4, rtol=1e-6, message=f"the bytes of the parameters {what}")
        assert_close(gradients, float(held), rtol=1e-6, message=f"the bytes of the gradients {what}")
        most = 2 * held + 16 * len(trained)  # a step counter for each tensor
        assert 2 * held <= state <= most, f"the optimizer's state {what} is {2 * held} bytes, you found {state:g}"


@train_memory.misconception(
    "You counted numbers, not bytes; multiply `numel()` by `element_size()`.", name="numbers-not-bytes"
)
def _(model, x):
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad])
    model(x).square().mean().backward()
    optimizer.step()
    state = sum(t.numel() for held in optimizer.state.values() for t in held.values())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.grad is not None), state


@train_memory.misconception(
    "You took 4 bytes for every number; bfloat16 needs 2 and float64 needs 8, so ask each tensor for `element_size()`.",
    name="four-bytes-for-all",
)
def _(model, x):
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam([p for p in parameters if p.requires_grad])
    model(x).square().mean().backward()
    optimizer.step()
    state = sum(4 * t.numel() for held in optimizer.state.values() for t in held.values())
    gradients = sum(4 * p.numel() for p in parameters if p.grad is not None)
    return sum(4 * p.numel() for p in parameters), gradients, state


@train_memory.misconception(
    "You charged a gradient to every parameter; autograd stores none where requires_grad is False.",
    name="gradients-for-all",
)
def _(model, x):
    weights, _, state = train_memory(model, x)
    return weights, weights, state


@train_memory.misconception(
    "You charged two moments to every parameter; Adam keeps them only for what it updates.", name="state-for-all"
)
def _(model, x):
    weights, gradients, _ = train_memory(model, x)
    return weights, gradients, 2 * weights


@train_memory.misconception(
    "You looked at the optimizer before its first step; Adam makes its moments in that step.", name="before-the-step"
)
def _(model, x):
    weights, gradients, _ = train_memory(model, x)
    return weights, gradients, 0


@train_memory.misconception(
    "You cleared the gradients before you counted them; while the optimizer steps, they are in memory.",
    name="cleared-the-gradients",
)
def _(model, x):
    weights, _, state = train_memory(model, x)
    return weights, 0, state


@train_memory.misconception(
    "You counted the trained weights alone; the frozen ones have to be in memory too, or there is no forward pass.",
    name="trained-weights-alone",
)
def _(model, x):
    _, gradients, state = train_memory(model, x)
    return gradients, gradients, state


@train_memory.misconception(
    "You added up `state_dict()`; it lists a tied parameter under both names, and buffers too.",
    name="added-up-the-state-dict",
)
def _(model, x):
    _, gradients, state = train_memory(model, x)
    return sum(t.numel() * t.element_size() for t in model.state_dict().values()), gradients, state


@train_memory.also_correct
def _(model, x):
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained)
    optimizer.zero_grad()
    loss = (model(x) ** 2).mean()
    loss.backward()
    optimizer.step()
    weights = sum(p.nbytes for p in model.parameters())
    moments = [optimizer.state[p][name] for p in trained for name in ("exp_avg", "exp_avg_sq")]
    return [weights, sum(p.grad.nbytes for p in trained), sum(moment.nbytes for moment in moments)]


train_memory.equivalent(
    "optimizer = torch.optim.Adam([p for p in parameters if True])",
    "Adam makes no state for a parameter without a gradient",
)


train_memory.equivalent(
    "loss = (model(x) ** 2).sum()",
    "the sizes of gradients do not depend on the loss",
)


train_memory.equivalent(
    "loss = (model(x) ** 3).mean()",
    "the sizes of gradients do not depend on the loss",
)


train_memory.equivalent(
    "model(x).square().sum().backward()",
    "the sizes of gradients do not depend on the loss",
)


train_memory.equivalent(
    "model(x).mean().backward()",
    "the sizes of gradients do not depend on the loss",
)
