import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Which densities have a logarithm that is quadratic in x? Is the logarithm of this product one of them?",
        "Write down the logarithm of the product, and complete the square in x. What has moved, and what has not?",
        "mean and gradient are (B, *); variance is one number or (B, *), and z is multiplied by its square root.",
        "`variance**0.5` works for a number and for a tensor.",
    ),
    level="core",
    importance=2,
    kind="derive",
)
def guided_step(mean: Tensor, variance: float | Tensor, gradient: Tensor, s: float, z: Tensor) -> Tensor:
    """Return a draw x (B, *) from the density proportional to N(x; mean, variance) · exp(s · gradient · x).

    * mean, gradient: (B, *); coordinates are independent of each other
    * variance: at least 0, one number or (B, *); where it is 0, the draw is the mean
    * s: any number; z: (B, *), the standard normal noise that the draw uses

    This density is again a Gaussian. Which one? All arguments stay as they are.
    """
    ### BEGIN SOLUTION
    return mean + s * variance * gradient + variance**0.5 * z
    ### END SOLUTION


@guided_step.test("moves and spreads as it should where the variance is a quarter", points=1)
def _(guided_step):
    mean, gradient, zero = torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, -8.0]]), torch.zeros(1, 2)
    assert_close(guided_step(mean, 0.25, gradient, 2.0, zero), torch.tensor([[3.0, -2.0]]), message="z = 0, s = 2")
    assert_close(guided_step(mean, 0.25, zero, 2.0, zero + 2), torch.tensor([[2.0, 3.0]]), message="z = 2, no gradient")


@guided_step.hidden("draws from the Gaussian step times the classifier's probability", points=1)
def _(guided_step):
    # A classifier whose log-probability is linear, g x: the product with the Gaussian, summed up on a fine grid.
    grid = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    for mean, variance, slope, s in ((0.5, 0.3, 1.2, 1.0), (-1.0, 0.8, -0.7, 2.5), (0.2, 1.7, 0.9, 0.5)):
        log = -((grid - mean) ** 2) / (2 * variance) + s * slope * grid
        weight = (log - log.max()).exp()
        weight = weight / weight.sum()
        middle = (weight * grid).sum()
        width = (weight * (grid - middle) ** 2).sum() ** 0.5
        centre, pull, z = (torch.full((2, 1), v, dtype=torch.float64) for v in (mean, slope, 1.0))
        z[1] = -2.0
        expected = torch.stack([middle + width, middle - 2 * width]).unsqueeze(1)
        found = guided_step(centre, variance, pull, s, z)
        assert_close(found, expected, rtol=1e-5, atol=1e-6, message=f"mean {mean}, variance {variance}, s = {s}")


@guided_step.hidden("takes a variance for each coordinate, and 0", points=2)
def _(guided_step, rng):
    mean, gradient, z = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(3))
    variance = torch.rand(3, 2, 4, generator=rng, dtype=torch.float64)
    variance[0] = 0.0
    kept = [part.clone() for part in (mean, gradient, variance, z)]
    for s in (2.5, -3.0):
        deviation = torch.tensor([math.sqrt(v) for v in variance.flatten()], dtype=torch.float64).view(3, 2, 4)
        expected = torch.stack([mean[i] + deviation[i] * (s * deviation[i] * gradient[i] + z[i]) for i in range(3)])
        found = guided_step(mean, variance, gradient, s, z)
        assert_close(found, expected, rtol=1e-6, atol=1e-7, message=f"s = {s}, a variance for each coordinate")
    assert_close(guided_step(mean, variance[1, 0, 0], gradient, 0.0, 0 * z), mean, message="s = 0 and z = 0")
    assert_close([mean, gradient, variance, z], kept, message="the arguments after the call")


guided_step.mistake(
    "deviation-shift",
    "You moved the mean by the standard deviation times s times the gradient. Use the variance instead: in the "
    "exponent of the Gaussian, (x - mean)² is divided by the variance.",
    replace="mean + s * variance * gradient + variance**0.5 * z",
    by="mean + variance**0.5 * (s * gradient + z)",
)

guided_step.mistake(
    "variance-noise",
    "You multiplied z by the variance; multiply it by the square root, because that gives noise of size one this "
    "variance.",
    replace="mean + s * variance * gradient + variance**0.5 * z",
    by="mean + variance * (s * gradient + z)",
)

guided_step.mistake(
    "scaled-noise",
    "You scaled the noise by s too. The factor exp(s · gradient · x) moves the mean, but the variance stays what it "
    "was.",
    replace="mean + s * variance * gradient + variance**0.5 * z",
    by="mean + s * (variance * gradient + variance**0.5 * z)",
)

guided_step.mistake(
    "no-variance",
    "You moved the mean by s times the gradient. The shift is also proportional to the variance, because a nearly "
    "certain step can hardly be moved.",
    replace="s * variance * gradient",
    by="s * gradient",
)

guided_step.mistake(
    "no-noise",
    "You returned the new mean. The product is still a Gaussian with the old variance, so add z times the standard "
    "deviation.",
    replace="mean + s * variance * gradient + variance**0.5 * z",
    by="mean + s * variance * gradient",
)

guided_step.mistake(
    "minus",
    "You subtracted the gradient. The density is largest where gradient · x is large, so the mean moves along the "
    "gradient. (It is eps that gets a minus.)",
    replace="mean + s * variance * gradient",
    by="mean - s * variance * gradient",
)


@guided_step.also_correct
def _(mean, variance, gradient, s, z):
    deviation = torch.as_tensor(variance).sqrt()
    return torch.addcmul(mean, deviation, s * deviation * gradient + z)
