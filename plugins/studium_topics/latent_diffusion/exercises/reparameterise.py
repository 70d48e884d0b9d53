import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=5,
    hints=(
        "Which two operations turn a standard normal number into one with a given mean and standard deviation?",
        "The encoder gives the logarithm of a variance. Halving the logarithm takes the square root.",
        "All three arguments and the result have the same shape, and no axis is special.",
        "`(0.5 * logvar).exp()` is the standard deviation.",
    ),
    level="warm-up",
    importance=3,
)
def reparameterise(mean: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Return latents z drawn from the encoder's Gaussians, made from standard normal noise.

    * mean, logvar: (B, C, h, w), means and natural logarithms of the variances
    * eps: (B, C, h, w), standard normal
    * returns: (B, C, h, w); gradients flow to mean and logvar
    """
    ### BEGIN SOLUTION
    return mean + (0.5 * logvar).exp() * eps
    ### END SOLUTION


@reparameterise.test("moves and widens the noise", points=1)
def _(reparameterise):
    mean = torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1)
    logvar = torch.tensor([4.0, 9.0, 0.25]).log().view(1, 3, 1, 1)
    eps = torch.tensor([2.0, -1.0, 3.0]).view(1, 3, 1, 1)
    got = reparameterise(mean, logvar, eps)
    assert_close(got, torch.tensor([5.0, -5.0, 2.0]).view(1, 3, 1, 1), message="variances 4, 9 and 1/4")


@reparameterise.hidden("draws from the Gaussian that torch.distributions has", points=1)
def _(reparameterise, rng):
    for shape in ((2, 3, 4, 5), (3, 1, 2, 2)):
        mean, logvar, eps = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(3))
        normal = torch.distributions.Normal(mean, logvar.exp() ** 0.5)
        below = torch.distributions.Normal(0.0, 1.0).cdf(eps)  # the same quantile of the other Gaussian
        expected = normal.icdf(below)
        assert_close(reparameterise(mean, logvar, eps), expected, rtol=1e-5, atol=1e-5, message=f"shape {shape}")


@reparameterise.hidden("lets gradients flow to both outputs of the encoder", points=1)
def _(reparameterise, rng):
    mean, logvar, eps = (torch.randn(2, 3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(3))
    mean.requires_grad_(), logvar.requires_grad_()
    got = reparameterise(mean, logvar, eps)
    assert got.requires_grad, "gradients are expected to flow to mean and logvar, but the result has no gradient"
    got.sum().backward()
    assert None not in (mean.grad, logvar.grad), "gradients are expected for mean and for logvar"
    assert_close(mean.grad, torch.ones_like(mean), message="the gradient of the sum with respect to mean")
    expected = (got.detach() - mean.detach()) / 2  # half of the deviation from the mean
    assert_close(logvar.grad, expected, rtol=1e-5, atol=1e-6, message="the gradient with respect to logvar")


reparameterise.mistake(
    "variance-for-deviation",
    "You multiplied the noise by the variance, exp(logvar); multiply it by the standard deviation, so halve the "
    "logarithm first.",
    replace="(0.5 * logvar).exp()",
    by="logvar.exp()",
)

reparameterise.mistake(
    "logarithm-as-deviation",
    "You multiplied the noise by logvar itself. It is a logarithm and may be negative, so turn it into a standard "
    "deviation first.",
    replace="(0.5 * logvar).exp()",
    by="logvar",
)

reparameterise.mistake(
    "softplus",
    "You took the softplus of logvar as the standard deviation; the output is a logarithm, and exp undoes it.",
    replace="(0.5 * logvar).exp()",
    by="F.softplus(logvar)",
)

reparameterise.mistake(
    "double-logarithm",
    "You doubled the logarithm, which squares the variance; halve it, because a square root halves the logarithm.",
    replace="0.5 * logvar",
    by="2 * logvar",
)


@reparameterise.also_correct
def _(mean, logvar, eps):
    return torch.addcmul(mean, logvar.exp().sqrt(), eps)


@reparameterise.also_correct
def _(mean, logvar, eps):
    deviation = torch.exp(logvar) ** 0.5
    return eps * deviation + mean
