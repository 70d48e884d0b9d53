import math

import numpy as np
import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=20,
    importance=2,
    kind="derive",
    hints=(
        "How does the variance of a mean of m independent terms follow from the variance of one term?",
        "The variance of one term is the mean of its square minus the square of its mean. Both are means of an "
        "exponential or a cosine of one normal number.",
        "w · (q + k) is normal with variance |q + k|², and w · (q - k) with |q - k|². For a cosine, cos² u is (1 + "
        "cos 2u)/2, and the mean of cos(u) is exp(-s²/2) if u has variance s².",
        "`(q + k).square().sum(-1)` is one of the two variances. Check your result: k = -q has to give 0 for positive "
        "features, and k = q has to give 0 for sine-cosine features.",
    ),
)
def variance(q, k, m, kind):
    """Return the variance of an estimate of exp(q · k) from m independent random vectors.

    The estimate is the mean of one of these terms over w_1 … w_m, whose numbers are standard
    normal:

    * "positive": exp(w · (q + k)) exp(-(|q|² + |k|²) / 2)
    * "sine-cosine": cos(w · (q - k)) exp((|q|² + |k|²) / 2)

    Both are unbiased. Derive their variances.

    * q, k (..., d): any number of pairs; kind: one of the two names
    * returns: (...), one variance for each pair
    """
    ### BEGIN SOLUTION
    sizes = q.square().sum(-1) + k.square().sum(-1)
    mean = torch.exp((q * k).sum(-1))
    if kind == "positive":
        square = torch.exp(2 * (q + k).square().sum(-1) - sizes)
    else:
        square = torch.exp(sizes) * (1 + torch.exp(-2 * (q - k).square().sum(-1))) / 2
    return (square - mean.square()) / m
    ### END SOLUTION


@variance.test("is that of positive features", points=1)
def _(variance):
    points, shares = np.polynomial.hermite_e.hermegauss(80)
    q = torch.tensor([[0.5, -0.2, 0.7], [0.1, 0.9, -0.3]], dtype=torch.float64)
    k = torch.tensor([[0.3, 0.4, 0.1], [0.6, 0.2, 0.5]], dtype=torch.float64)
    spread = (q + k).norm(dim=-1, keepdim=True)  # w · (q + k) is normal with this standard deviation
    share = torch.tensor(shares) / math.sqrt(2 * math.pi)
    terms = torch.exp(spread * torch.tensor(points) - (q.square() + k.square()).sum(-1, keepdim=True) / 2)
    expected = (terms.square() * share).sum(-1) - (terms * share).sum(-1) ** 2
    assert_close(variance(q, k, 5, "positive"), expected / 5, rtol=1e-7, atol=1e-9, message="m = 5")
    assert_close(variance(q, k, 1, "positive"), expected, rtol=1e-7, atol=1e-9, message="m = 1")


@variance.hidden("is that of both kinds, for pairs near, far and opposite", points=2)
def _(variance, rng):
    points, shares = np.polynomial.hermite_e.hermegauss(120)
    share = torch.tensor(shares) / math.sqrt(2 * math.pi)
    for kind in ("positive", "sine-cosine"):
        for shape, size in (((4, 3), 0.5), ((2, 3, 5), 0.3), ((6,), 0.4), ((5, 2), 0.8)):
            q = size * torch.randn(*shape, generator=rng, dtype=torch.float64)
            k = size * torch.randn(*shape, generator=rng, dtype=torch.float64)
            half = ((q.square() + k.square()).sum(-1) / 2)[..., None]
            if kind == "positive":
                terms = torch.exp((q + k).norm(dim=-1)[..., None] * torch.tensor(points) - half)
            else:
                terms = torch.cos((q - k).norm(dim=-1)[..., None] * torch.tensor(points)) * torch.exp(half)
            expected = (terms.square() * share).sum(-1) - (terms * share).sum(-1) ** 2
            for m in (3, 16):
                found = variance(q, k, m, kind)
                assert_close(found, expected / m, rtol=1e-6, atol=1e-9, message=f"{kind}, m = {m}, q of shape {shape}")


@variance.hidden("vanishes for k = -q and for k = q, each with its own kind", points=1)
def _(variance, rng):
    q = torch.randn(5, 4, generator=rng, dtype=torch.float64)
    zero = torch.zeros(5, dtype=torch.float64)
    for kind, near, far in (("positive", -q, q), ("sine-cosine", q, -q)):
        mean = torch.exp((q * near).sum(-1))
        assert_close(variance(q, near, 7, kind) / mean**2, zero, rtol=0, atol=1e-8, message=f"{kind}: no variance here")
        relative = variance(q, far, 7, kind) / torch.exp(2 * (q * far).sum(-1))
        assert (relative > 1e-3).all(), f"{kind}: for the opposite pairs the variance is not 0, got {relative.tolist()}"


@variance.misconception(
    "You returned only the mean of the square; the variance is that minus the square of the mean.",
    name="second-moment",
)
def _(q, k, m, kind):
    sizes = q.square().sum(-1) + k.square().sum(-1)
    if kind == "positive":
        return torch.exp(2 * (q + k).square().sum(-1) - sizes) / m
    return torch.exp(sizes) * (1 + torch.exp(-2 * (q - k).square().sum(-1))) / 2 / m


@variance.misconception(
    "You returned the variance of a single term; the mean of m independent terms has a variance m times smaller.",
    name="not-divided-by-m",
)
def _(q, k, m, kind):
    return m * variance(q, k, m, kind)


@variance.misconception(
    "You returned a standard deviation; return its square, the variance, which is what falls as 1/m.",
    name="standard-deviation",
)
def _(q, k, m, kind):
    return variance(q, k, m, kind).clamp(min=0).sqrt()


@variance.misconception(
    "You used the mean of exp(u) for the mean of exp(2u). Squaring doubles u, which makes the exponent of its mean "
    "*four* times as large.",
    name="doubled-once",
)
def _(q, k, m, kind):
    if kind != "positive":
        return variance(q, k, m, kind)
    sizes = q.square().sum(-1) + k.square().sum(-1)
    return (torch.exp((q + k).square().sum(-1) - sizes) - torch.exp(2 * (q * k).sum(-1))) / m


@variance.misconception(
    "You exchanged |q + k| and |q - k|: positive features contain the sum of the two vectors, and sine-cosine "
    "features their difference.",
    name="sum-and-difference-exchanged",
)
def _(q, k, m, kind):
    sizes = q.square().sum(-1) + k.square().sum(-1)
    mean = torch.exp((q * k).sum(-1))
    if kind == "positive":
        return (torch.exp(2 * (q - k).square().sum(-1) - sizes) - mean.square()) / m
    return (torch.exp(sizes) * (1 + torch.exp(-2 * (q + k).square().sum(-1))) / 2 - mean.square()) / m


@variance.misconception(
    "You divided by 2m, as if the sine and cosine of the same w were two independent terms. Together they make one, "
    "cos(w · (q - k)), so divide by m.",
    name="two-terms-for-one",
)
def _(q, k, m, kind):
    return variance(q, k, m, kind) / (1 if kind == "positive" else 2)


@variance.also_correct
def _(q, k, m, kind):
    exact = torch.exp((q * k).sum(-1))
    apart, together = ((q - k) ** 2).sum(-1), ((q + k) ** 2).sum(-1)
    if kind == "positive":
        return torch.exp(together) * exact**2 * (1 - torch.exp(-together)) / m
    return torch.exp(together) / exact**2 * (1 - torch.exp(-apart)) ** 2 / (2 * m)


@variance.also_correct
def _(q, k, m, kind):
    sizes = torch.linalg.vector_norm(q, dim=-1) ** 2 + torch.linalg.vector_norm(k, dim=-1) ** 2
    product = torch.linalg.vecdot(q, k)
    if kind == "positive":
        return (torch.exp(2 * product) * torch.expm1(sizes + 2 * product)) / m
    return torch.exp(sizes) * torch.expm1(-(sizes - 2 * product)).square() / (2 * m)
