import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "How long is a vector whose coordinates all have size 1? Every vector is scaled to that length.",
        "Divide by the root of the mean square. You subtract nothing, and eps goes under the root.",
        "Take the mean over the last axis and keep that axis, (..., 1), so it divides all D coordinates.",
        "`wide = x.to(torch.promote_types(x.dtype, torch.float32))` leaves float64 as it is. Then "
        "`(wide.square().mean(-1, keepdim=True) + eps).rsqrt()` is the factor.",
    ),
)
def rmsnorm(x, gain, eps):
    """Return each vector divided by its root mean square, with each coordinate multiplied by its gain.

    Use the formula above, with the mean over the last axis.

    * x (..., D): float16, bfloat16, float32 or float64; it stays as it is.
    * gain (D,), with x's dtype.
    * eps: a small positive number.

    Squares overflow in float16, so normalise x in float32 or wider, then convert back to x's dtype. Return (..., D) in
    x's dtype. The lesson trains through it.
    """
    ### BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = (wide.square().mean(-1, keepdim=True) + eps).rsqrt()
    return (wide * scale).to(x.dtype) * gain
    ### END SOLUTION


rmsnorm.equivalent(
    "wide = x.to(torch.promote_types(x.dtype, torch.float64))", "float32 or wider is required, and float64 is wider"
)


@rmsnorm.test("makes the mean square of each vector 1", points=1)
def _(rmsnorm):
    found = rmsnorm(torch.tensor([[3.0, -4.0, 0.0, 0.0], [0.0, 3.0, 6.0, 2.0]]), torch.ones(4), 1e-6)
    assert_close(found, torch.tensor([[1.2, -1.6, 0.0, 0.0], [0.0, 6 / 7, 12 / 7, 4 / 7]]), rtol=1e-4, atol=1e-4)


@rmsnorm.hidden("divides each vector by √(mean square + eps), and multiplies by the gain", points=1)
def _(rmsnorm, rng):
    for shape, eps, size in (((2, 3, 5), 1e-5, 1.0), ((4, 6), 0.5, 0.7), ((7,), 1e-6, 1e-3), ((3, 2, 8), 2.0, 30.0)):
        x = size * (1 + torch.randn(shape, generator=rng, dtype=torch.float64))
        gain = torch.randn(shape[-1], generator=rng, dtype=torch.float64)
        kept = x.clone()
        expected = F.rms_norm(x, (shape[-1],), gain, eps)
        assert_close(
            rmsnorm(x, gain, eps), expected, rtol=1e-6, atol=1e-9, message=f"for x of shape {shape}, eps={eps}"
        )
        assert torch.equal(x, kept), "the argument x must stay as it is"
    x = torch.randn(3, 4, generator=rng).requires_grad_()
    gain = torch.randn(4, generator=rng).requires_grad_()
    for wanted, name in zip(
        torch.autograd.grad(rmsnorm(x, gain, 1e-6)[:, 0].sum(), (x, gain)), ("x", "gain"), strict=True
    ):
        assert bool(wanted.abs().max() > 0), f"the gradient with respect to {name} is zero"
    zeros = rmsnorm(torch.zeros(2, 4, dtype=torch.float64), torch.ones(4, dtype=torch.float64), 1e-6)
    assert_close(zeros, torch.zeros(2, 4, dtype=torch.float64), message="a vector of zeros stays one")


@rmsnorm.hidden("survives half precision, and keeps the dtype", points=1)
def _(rmsnorm, rng):
    for dtype, size, tolerance in (
        (torch.float16, 400.0, 2e-3),
        (torch.bfloat16, 1.0, 2e-2),
        (torch.float16, 1e-3, 2e-3),
    ):
        x = (size * torch.randn(5, 16, generator=rng)).to(dtype)
        gain = (1 + torch.rand(16, generator=rng)).to(dtype)
        found = rmsnorm(x, gain, 1e-6)
        assert found.dtype == dtype, f"the result must have the dtype of x, {dtype}, got {found.dtype}"
        expected = F.rms_norm(x.double(), (16,), gain.double(), 1e-6)
        assert_close(
            found.double(), expected, rtol=tolerance, atol=tolerance, message=f"for {dtype} and sizes near {size:g}"
        )


@rmsnorm.misconception(
    "You subtracted the mean first, as LayerNorm does; RMSNorm only divides, and trains just as well.",
    name="subtracted-mean",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide - wide.mean(-1, keepdim=True)
    return (wide * (wide.square().mean(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You added eps to the root; add it to the mean square, under the root.",
    name="eps-outside-root",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / (wide.square().mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype) * gain


@rmsnorm.misconception("You left out eps, so a vector of zeros becomes 0/0 = nan.", name="no-eps")
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / wide.square().mean(-1, keepdim=True).sqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You divided by the length of the vector, the root of the sum of squares; use the mean of the squares instead.",
    name="sum-of-squares",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().sum(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You took one mean over all vectors; take a separate one for each vector, along the last axis.",
    name="mean-over-everything",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().mean() + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You squared in x's own dtype; convert to float32 first, because in float16 even 400 · 400 is infinite.",
    name="squared-in-half-precision",
)
def _(x, gain, eps):
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * gain


@rmsnorm.misconception(
    "You left out the gain; at the end, multiply each coordinate by its own learned number.",
    name="no-gain",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().mean(-1, keepdim=True) + eps).rsqrt()).to(x.dtype)


@rmsnorm.also_correct
def _(x, gain, eps):
    return F.rms_norm(x, gain.shape, gain, eps)


@rmsnorm.also_correct
def _(x, gain, eps):
    wide = x.double()
    rms = torch.einsum("...d,...d->...", wide, wide).div(x.shape[-1]).add(eps).sqrt()
    return (wide / rms.unsqueeze(-1) * gain.double()).to(x.dtype)
