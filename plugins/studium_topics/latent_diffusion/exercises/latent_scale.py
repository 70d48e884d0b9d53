import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=10,
    hints=(
        "Together, the latents of the whole data set are one large mixture of Gaussians. Where does its variance come "
        "from?",
        "It has two sources: the means differ from one another, and each Gaussian has a width. The variances add up.",
        "All axes go into one number: the variance of the means (B, C, h, w), and the mean of the variances.",
        "`mean.var(correction=0)` and `logvar.exp().mean()`; the scale is one over the root of their sum.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def latent_scale(mean: Tensor, logvar: Tensor) -> float:
    """Return the number by which latents are multiplied before the diffusion.

    * mean, logvar: (N, C, h, w), the encoder's outputs for N images
    * returns: a float

    Suppose we draw one z from the Gaussian of each entry, and put all N C h w numbers together: multiplied by the
    scale, they have standard deviation 1 about their common mean, for large N. Compute the scale without drawing
    anything.
    """
    ### BEGIN SOLUTION
    variance = mean.var(correction=0) + logvar.exp().mean()
    return float(variance.rsqrt())
    ### END SOLUTION


@latent_scale.test("knows both sources of the variance", points=1)
def _(latent_scale):
    mean = torch.tensor([2.0, 8.0]).repeat(1000).view(500, 2, 1, 2)  # variance 9 about the mean 5
    logvar = torch.tensor([1.0, 13.0, 4.0, 10.0]).log().repeat(500).view(500, 2, 1, 2)  # variances, 7 on average
    got = latent_scale(mean, logvar)
    assert isinstance(got, float), f"a float is expected, got {type(got).__name__}"
    assert_close(got, 0.25, rtol=1e-3, atol=0, message="variance 9 of the means, 7 within")


@latent_scale.hidden("brings drawn latents to standard deviation 1", points=2)
def _(latent_scale, rng):
    for shape, offset, wide, within in (((40, 4, 3, 2), 3.0, 2.0, -1.0), ((60, 2, 5, 1), -1.0, 0.3, 0.5)):
        channel = torch.randn(1, shape[1], 1, 1, generator=rng, dtype=torch.float64)
        mean = offset + channel + wide * torch.randn(shape, generator=rng, dtype=torch.float64)
        logvar = within + torch.randn(shape, generator=rng, dtype=torch.float64)
        eps = torch.randn(400, *shape, generator=rng, dtype=torch.float64)
        drawn = mean + logvar.exp().sqrt() * eps
        width = float(latent_scale(mean, logvar)) * float(drawn.std())
        assert_close(width, 1.0, rtol=0.01, atol=0, message=f"drawn latents of shape {shape}, scaled")


@latent_scale.hidden("is one number for all channels, and shrinks as latents grow", points=1)
def _(latent_scale, rng):
    mean, logvar = (torch.randn(30, 3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    mean = mean * torch.tensor([0.1, 1.0, 5.0]).double().view(1, 3, 1, 1)
    squares = float(((mean - mean.mean()) ** 2).mean()) + float(torch.exp(logvar).sum()) / logvar.numel()
    assert_close(latent_scale(mean, logvar), squares**-0.5, rtol=1e-3, atol=0, message="channels of uneven width")
    grown = latent_scale(10 * mean, logvar + 2 * math.log(10.0))
    assert_close(grown, 0.1 * squares**-0.5, rtol=1e-3, atol=0, message="all latents ten times as large")


@latent_scale.misconception(
    "You measured only the means; each Gaussian has its own variance, which adds to theirs.", name="means-alone"
)
def _(mean, logvar):
    return float(1 / mean.std(correction=0))


@latent_scale.misconception(
    "You returned the standard deviation; the latents are multiplied by the scale, so return one over it.",
    name="not-inverted",
)
def _(mean, logvar):
    return float((mean.var(correction=0) + logvar.exp().mean()).sqrt())


@latent_scale.misconception(
    "You added standard deviations; add variances instead, because those are what adds up for independent parts.",
    name="deviations-added",
)
def _(mean, logvar):
    return float(1 / (mean.std(correction=0) + (logvar / 2).exp().mean()))


@latent_scale.misconception(
    "You measured from 0; measure from the common mean of all latents, as a standard deviation does.", name="from-zero"
)
def _(mean, logvar):
    return float((mean.square().mean() + logvar.exp().mean()).rsqrt())


@latent_scale.misconception(
    "You measured each channel by itself and averaged; measure all numbers together, because their variance includes "
    "the differences between channels.",
    name="per-channel",
)
def _(mean, logvar):
    return float((mean.var((0, 2, 3), correction=0) + logvar.exp().mean((0, 2, 3))).mean().rsqrt())


@latent_scale.also_correct
def _(mean, logvar):
    second = (mean**2 + torch.exp(logvar)).mean()
    return 1 / math.sqrt(float(second - mean.mean() ** 2))


@latent_scale.also_correct
def _(mean, logvar):
    wide, within = mean.flatten().std(), torch.exp(logvar / 2).square().mean().sqrt()
    return 1 / math.hypot(wide.item(), within.item())


latent_scale.equivalent(
    "variance = mean.var() + logvar.exp().mean()", "the statement asks for large N, where both variances agree"
)

latent_scale.equivalent(
    "variance = mean.var(correction=1) + logvar.exp().mean()", "the statement asks for large N, where both agree"
)
