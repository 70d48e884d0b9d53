import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Which part of the output does alpha / r multiply, and which part must match the pretrained layer bit for bit?",
        "Map x down to r numbers with A, then up to `out` numbers with B. The frozen part is an ordinary linear layer.",
        "x Aᵀ is (..., r), and (x Aᵀ) Bᵀ is (..., out). A is (r, in), so the rank is its number of rows.",
        "`F.linear(x, weight, bias)` is the frozen part; r is `a.shape[0]`, and `x @ a.T` maps down.",
    ),
)
def lora_linear(x, weight, bias, a, b, alpha):
    """Return the output of a frozen linear layer plus its low-rank update.

    h = x W₀ᵀ + bias + (alpha / r) (x Aᵀ) Bᵀ

    * x: (..., in), with any number of leading axes, including none
    * weight: W₀ (out, in)
    * bias: (out,) or None
    * a: A (r, in)
    * b: B (out, r)
    * alpha: a positive number
    * returns: a tensor (..., out)

    The lesson trains through this function, so gradients must reach x, a and b. The arguments stay as they are.
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
    "You scaled the update by `alpha`; scale it by `alpha / r`, so its size stays about the same when you change the "
    "rank.",
    name="scaled-by-alpha",
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You added (x Aᵀ) Bᵀ without a scale; multiply the update by `alpha / r`.", name="left-out-the-scale"
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + x @ a.T @ b.T


@lora_linear.misconception(
    "You divided with `//`, which rounds `alpha / r` down; divide with `/`, which gives a scale of 2.5 for alpha = 5 "
    "at rank 2.",
    name="rounded-the-scale",
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha // a.shape[0] * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You scaled the frozen layer as well; multiply only the update by `alpha / r`, because at B = 0 the model must be "
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
    "You made the shapes fit with `reshape`, which moves numbers into the wrong rows; transpose A and B instead.",
    name="reshaped-instead-of-transposed",
)
def _(x, weight, bias, a, b, alpha):
    down, up = a.reshape(a.shape[1], a.shape[0]), b.reshape(b.shape[1], b.shape[0])
    return F.linear(x, weight, bias) + alpha / a.shape[0] * (x @ down @ up)


@lora_linear.misconception(
    "You left out the bias; it belongs to the frozen layer, so add it once, unscaled.", name="left-out-the-bias"
)
def _(x, weight, bias, a, b, alpha):
    return F.linear(x, weight) + alpha / a.shape[0] * (x @ a.T @ b.T)


@lora_linear.misconception(
    "You added the bias in the update too; add it only once, with the frozen layer, because the update has no bias.",
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
