import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=6,
    hints=(
        "The formula above is for one number. What does the divergence of several independent numbers do?",
        "It adds up, because the log-densities of independent numbers do.",
        "Sum over everything but the batch axis: (B, C, h, w) becomes (B,).",
        "`.flatten(1).sum(1)` of the formula for one number.",
    ),
    level="warm-up",
    importance=3,
)
def kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the KL divergence of the encoder's Gaussian from the standard normal, for each image.

    * mean, logvar: (B, *), means and natural logarithms of the variances of independent latents
    * returns: (B,), in nats, all latents of an image together; gradients flow
    """
    ### BEGIN SOLUTION
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)
    ### END SOLUTION


@kl.test("adds up the latents of each image", points=1)
def _(kl):
    mean, logvar = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]), torch.tensor([4.0, 1.0, 1.0]).log().expand(2, 3)
    first = 0.5 * (1 + 4 - 1 - math.log(4.0)) + 0.5 * 4
    second = 0.5 * (4 - 1 - math.log(4.0)) + 0.5 * 9
    assert_close(
        kl(mean, logvar), torch.tensor([first, second]), message="means 1, 2, 0 and 0, 0, 3; variances 4, 1, 1"
    )


@kl.hidden("is that of torch.distributions, for any number of axes", points=1)
def _(kl, rng):
    standard = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64))
    for shape in ((3, 5), (2, 4, 3, 2), (4, 2, 3)):
        mean, logvar = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        single = torch.distributions.kl_divergence(torch.distributions.Normal(mean, (logvar / 2).exp()), standard)
        expected = torch.stack([row.sum() for row in single])
        assert_close(kl(mean, logvar), expected, rtol=1e-5, atol=1e-6, message=f"shape {shape}")


@kl.hidden("pulls every latent to mean 0 and variance 1", points=1)
def _(kl, rng):
    mean, logvar = (torch.randn(2, 3, 4, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2))
    got = kl(mean, logvar)
    assert got.requires_grad, "gradients are expected to flow to mean and logvar, but the result has no gradient"
    got.sum().backward()
    assert None not in (mean.grad, logvar.grad), "gradients are expected for mean and for logvar"
    assert_close(mean.grad, mean.detach(), rtol=1e-5, atol=1e-6, message="the gradient with respect to mean")
    expected = (logvar.detach().exp() - 1) / 2
    assert_close(logvar.grad, expected, rtol=1e-5, atol=1e-6, message="the gradient with respect to logvar")
    nothing = torch.zeros(2, 3, dtype=torch.float64)
    assert_close(kl(nothing, nothing), torch.zeros(2, dtype=torch.float64), message="a standard normal itself")


kl.mistake(
    "mean-over-latents",
    "You averaged over the latents; add their divergences up, because a mean makes the penalty depend on the number "
    "of latents.",
    replace="(mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)",
    by="(mean.square() + logvar.exp() - 1 - logvar).flatten(1).mean(1)",
)

kl.mistake(
    "no-half",
    "You left out the factor 1/2, which every term of the formula has.",
    replace="0.5 * (mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)",
    by="(mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)",
)

kl.mistake(
    "signs-exchanged",
    "You exchanged the signs of variance and logarithm. The divergence is then negative for wide Gaussians, and a "
    "divergence never is.",
    replace="mean.square() + logvar.exp() - 1 - logvar",
    by="mean.square() + logvar - 1 - logvar.exp()",
)

kl.mistake(
    "sum-over-the-batch",
    "You added up the whole batch; return one number for each image.",
    replace="(mean.square() + logvar.exp() - 1 - logvar).flatten(1).sum(1)",
    by="(mean.square() + logvar.exp() - 1 - logvar).sum()",
)


@kl.also_correct
def _(mean, logvar):
    axes = tuple(range(1, mean.ndim))
    return -0.5 * (1 + logvar - mean**2 - torch.exp(logvar)).sum(axes)


@kl.also_correct
def _(mean, logvar):
    single = (torch.expm1(logvar) - logvar + mean * mean) / 2
    return torch.einsum("bi->b", single.reshape(len(mean), -1))
