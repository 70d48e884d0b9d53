import math

import numpy as np
import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    importance=3,
    kind="derive",
    hints=(
        "Write down the mean of the product of one feature of q and the same feature of k. Which single vector is w "
        "multiplied by?",
        "w is multiplied by q + k. Take the mean with the lesson's formula, expand the squared length of q + k, and "
        "see which two factors have to go.",
        "x is (..., n, d) and w is (m, d), so the products are (..., n, m); c has one number for each vector, (..., "
        "n, 1).",
        "Each of the two factors belongs to only one vector, and is made from `x.square().sum(-1, keepdim=True)`. Do "
        "not forget the logarithm of √m.",
    ),
)
def log_features(x, w):
    """Return the logarithms of m positive features of each vector.

    The features of x are exp(w_i · x + c(x)) / √m for i = 1 … m, where c(x) depends only on x.
    Derive c: for all q and k, the product φ(q) · φ(k) must have the mean exp(q · k) if the
    numbers in w are independent and standard normal.

    * x (..., n, d): vectors
    * w (m, d): the random vectors
    * returns: (..., n, m), the logarithms, finite for any x, and in its precision;
      gradients must reach x
    """
    ### BEGIN SOLUTION
    projected = x @ w.mT  # (..., n, m)
    half = x.square().sum(-1, keepdim=True) / 2
    return projected - half - math.log(len(w)) / 2
    ### END SOLUTION


@log_features.test("has products with the mean exp(q · k)", points=1)
def _(log_features):
    # Gauss and Hermite's rule: these 24 × 24 points, with these weights, replace the mean over all random w
    points, shares = np.polynomial.hermite_e.hermegauss(24)
    w = torch.cartesian_prod(torch.tensor(points), torch.tensor(points))
    share = torch.outer(torch.tensor(shares), torch.tensor(shares)).flatten() / (2 * math.pi)
    x = torch.tensor([[0.4, -0.9], [1.1, 0.3], [-0.7, 0.2]], dtype=torch.float64)
    products = torch.exp(log_features(x[:1], w) + log_features(x[1:], w))  # (2, m)
    means = (products * share * len(w)).sum(-1)
    assert_close(means, torch.exp(x[1:] @ x[0]), rtol=1e-8, atol=1e-8, message="the mean of φ(q) · φ(k) for two keys k")


@log_features.hidden("is unbiased in any dimension, for vectors of any length", points=1)
def _(log_features, rng):
    points, shares = np.polynomial.hermite_e.hermegauss(60)
    for d, size in ((1, 1.5), (3, 0.8), (5, 0.5), (2, 2.0)):
        q, k = size * torch.randn(2, d, generator=rng, dtype=torch.float64)
        unit = (q + k) / (q + k).norm()  # the product depends on w along q + k alone
        w = torch.outer(torch.tensor(points), unit)
        products = torch.exp(log_features(q[None], w) + log_features(k[None], w))[0]
        mean = (products * torch.tensor(shares)).sum() * len(w) / math.sqrt(2 * math.pi)
        assert_close(mean, torch.exp(q @ k), rtol=1e-6, atol=1e-6, message=f"the mean for vectors of {d} numbers")


@log_features.hidden("is the same feature for each row, with no variance where k = -q", points=1)
def _(log_features, rng):
    for batch, n, d, m in (((), 4, 3, 5), ((2, 3), 3, 4, 7), ((2,), 1, 2, 6)):
        x = torch.randn(*batch, n, d, generator=rng, dtype=torch.float64)
        w = torch.randn(m, d, generator=rng, dtype=torch.float64)
        logs = log_features(x, w)
        assert logs.shape == (*batch, n, m), f"the features of {(*batch, n, d)} need shape {(*batch, n, m)}"
        total = torch.exp(logs + log_features(-x, w)).sum(-1)
        expected = torch.exp(-x.square().sum(-1))
        assert_close(total, expected, rtol=1e-9, atol=1e-9, message="φ(x) · φ(-x), which is exp(-|x|²) for any w")
        ratio = logs[..., :1] - logs
        turned = torch.einsum("...nd,md->...nm", x, w[:1] - w)
        assert_close(ratio, turned, rtol=1e-9, atol=1e-9, message="one feature's logarithm minus another's")


@log_features.hidden("stays finite for long vectors, and has a gradient", points=1)
def _(log_features, rng):
    x = 60 * torch.randn(3, 4, generator=rng)
    w = torch.randn(6, 4, generator=rng)
    logs = log_features(x, w)
    assert torch.isfinite(logs).all(), "logarithms of features are finite where the features themselves underflow"
    assert_close(
        torch.logsumexp(logs.double() + log_features(-x, w).double(), -1), -x.double().square().sum(-1),
        rtol=1e-4, atol=1e-2, message="the logarithm of φ(x) · φ(-x) for long x",
    )  # fmt: skip
    x = torch.randn(2, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    w = torch.randn(3, 4, generator=rng, dtype=torch.float64)
    (found,) = torch.autograd.grad(log_features(x, w).sum(), x, allow_unused=True)
    assert found is not None, "the result does not depend on x as far as autograd can see"
    assert_close(found, w.sum(0) - 3 * x, rtol=1e-9, atol=1e-9, message="the gradient of the sum for x")


@log_features.misconception(
    "You left out c. The mean of the product is then exp(|q + k|² / 2), which contains |q|² and |k|²; c has to take "
    "them out again.",
    name="no-length-term",
)
def _(x, w):
    return (x @ w.mT - math.log(len(w)) / 2).expand(*x.shape[:-1], len(w))


@log_features.misconception(
    "You added half the squared length; subtract it instead. The plus sign belongs to sine-cosine features, whose "
    "mean is too small without it.",
    name="plus-instead-of-minus",
)
def _(x, w):
    return x @ w.mT + x.square().sum(-1, keepdim=True) / 2 - math.log(len(w)) / 2


@log_features.misconception(
    "You took half the length of x; take half its *squared* length.",
    name="length-not-squared",
)
def _(x, w):
    return x @ w.mT - x.norm(dim=-1, keepdim=True) / 2 - math.log(len(w)) / 2


@log_features.misconception(
    "You subtracted the whole squared length; subtract half of it, because only half of |q|² and half of |k|² are too "
    "much.",
    name="length-not-halved",
)
def _(x, w):
    return x @ w.mT - x.square().sum(-1, keepdim=True) - math.log(len(w)) / 2


@log_features.misconception(
    "You divided the features by m. A product has two features in it, so divide each of them by √m, which is ln(m)/2 "
    "in the logarithm.",
    name="divided-by-m",
)
def _(x, w):
    return x @ w.mT - x.square().sum(-1, keepdim=True) / 2 - math.log(len(w))


@log_features.misconception(
    "You left out the 1/√m, so the sum over m features is m times too large; it should be their mean.",
    name="sum-instead-of-mean",
)
def _(x, w):
    return x @ w.mT - x.square().sum(-1, keepdim=True) / 2


@log_features.misconception(
    "You subtracted half the squared length of w. The mean over w already has that factor, in the normal density; the "
    "one that has to go depends on x.",
    name="length-of-w",
)
def _(x, w):
    return x @ w.mT - w.square().sum(-1) / 2 - math.log(len(w)) / 2


@log_features.also_correct
def _(x, w):
    m = w.shape[0]
    return torch.einsum("...nd,md->...nm", x, w) - 0.5 * (x * x).sum(dim=-1)[..., None] - 0.5 * math.log(m)


@log_features.also_correct
def _(x, w):
    return torch.stack([(x * row).sum(-1) - x.pow(2).sum(-1) / 2 for row in w], -1) - math.log(math.sqrt(len(w)))
