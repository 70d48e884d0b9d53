import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=14,
    hints=(
        "A straight path has the weights 1 - t and t, which sum to 1. What is the sum of DDPM's two weights?",
        "Divide x by that sum; t is then the share of the noise. For v you need x0 as well as eps, so solve for it.",
        "t is a number; x, eps, the point and the velocity are all (B, *).",
        "`total = abar**0.5 + (1 - abar) ** 0.5`, and x0 is `(x - (1 - abar) ** 0.5 * eps) / abar**0.5`.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def as_flow(x: Tensor, eps: Tensor, abar: float) -> tuple[Tensor, float, Tensor]:
    """Return where DDPM's noisy image is on the straight path, as (z, t, v).

    For the x0 with x = √abar · x0 + √(1 - abar) · eps, three properties hold:

    * z is a positive multiple of x
    * z = (1 - t) · x0 + t · eps
    * v = eps - x0, the velocity there

    x, eps: (B, *); abar: above 0, at most 1. z and v are (B, *), t is a float. x and eps stay as they are.
    """
    ### BEGIN SOLUTION
    signal, noise = abar**0.5, (1 - abar) ** 0.5
    x0 = (x - noise * eps) / signal
    return x / (signal + noise), noise / (signal + noise), eps - x0
    ### END SOLUTION


@as_flow.test("finds the point, the time and the velocity", points=1)
def _(as_flow):
    x0, eps = torch.tensor([[2.0, -1.0, 0.5], [1.0, 3.0, 0.0]]), torch.tensor([[1.0, 4.0, -2.0], [0.5, -1.0, 2.0]])
    z, t, v = as_flow(0.6 * x0 + 0.8 * eps, eps, 0.36)
    assert_close(t, 4 / 7, rtol=1e-5, atol=1e-6, message="the time for abar = 0.36")
    assert_close(z, (3 * x0 + 4 * eps) / 7, rtol=1e-4, atol=1e-5, message="the point for abar = 0.36")
    assert_close(v, eps - x0, rtol=1e-4, atol=1e-5, message="the velocity for abar = 0.36")


@as_flow.hidden("keeps the three properties at all levels of noise", points=1)
def _(as_flow, rng):
    for shape, abar in (((3, 5), 0.81), ((2, 3, 2, 4), 0.0047), ((4, 2), 0.5), ((5, 3, 1), 0.98), ((3, 2), 1.0)):
        x0, eps = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
        x = abar**0.5 * x0 + (1 - abar) ** 0.5 * eps
        kept = x.clone(), eps.clone()
        z, t, v = as_flow(x, eps, abar)
        assert_close([x, eps], list(kept), message="x and eps after the call")
        assert_close(t / (1 - t), (1 / abar - 1) ** 0.5, rtol=1e-5, atol=1e-6, message=f"t / (1 - t) for abar = {abar}")
        assert_close(z, (1 - t) * x0 + t * eps, rtol=1e-5, atol=1e-6, message=f"the point for abar = {abar}")
        assert_close(v, eps - x0, rtol=1e-5, atol=1e-6, message=f"the velocity for abar = {abar}")


@as_flow.hidden("makes a step of DDIM out of a step along v", points=1)
def _(as_flow, rng):
    for abar, cleaner in ((0.1, 0.3), (0.55, 0.9), (0.02, 1.0)):
        x, eps = torch.randn(2, 4, 3, generator=rng, dtype=torch.float64)
        x0 = (x - (1 - abar) ** 0.5 * eps) / abar**0.5
        ddim = cleaner**0.5 * x0 + (1 - cleaner) ** 0.5 * eps
        z, t, v = as_flow(x, eps, abar)
        then = (1 - cleaner) ** 0.5 / (cleaner**0.5 + (1 - cleaner) ** 0.5)
        got = (z + (then - t) * v) * (cleaner**0.5 + (1 - cleaner) ** 0.5)
        assert_close(got, ddim, rtol=1e-5, atol=1e-6, message=f"DDIM from abar = {abar} to {cleaner}")


@as_flow.misconception(
    "You used 1 - abar as the time. That is the share of the noise in the variance; its share in the image is its "
    "root over the sum of both roots.",
    name="variance-as-time",
)
def _(x, eps, abar):
    return x / (abar**0.5 + (1 - abar) ** 0.5), 1 - abar, eps - (x - (1 - abar) ** 0.5 * eps) / abar**0.5


@as_flow.misconception(
    "You left x as it is. Its two weights sum to more than 1, so it is not between the image and the noise; divide x "
    "by their sum.",
    name="x-not-scaled",
)
def _(x, eps, abar):
    noise = (1 - abar) ** 0.5
    return x, noise / (abar**0.5 + noise), eps - (x - noise * eps) / abar**0.5


@as_flow.misconception(
    "You used the root of 1 - abar as the time; the two roots sum to more than 1, so divide by their sum.",
    name="root-as-time",
)
def _(x, eps, abar):
    noise = (1 - abar) ** 0.5
    return x / (abar**0.5 + noise), noise, eps - (x - noise * eps) / abar**0.5


@as_flow.misconception(
    "You subtracted x from eps. x is noisy already; the path starts at x0, so subtract that.", name="noisy-as-clean"
)
def _(x, eps, abar):
    total = abar**0.5 + (1 - abar) ** 0.5
    return x / total, (1 - abar) ** 0.5 / total, eps - x


@as_flow.misconception(
    "You reversed the velocity; it leads from the image to the noise, in the direction of growing t.",
    name="backward-velocity",
)
def _(x, eps, abar):
    total = abar**0.5 + (1 - abar) ** 0.5
    return x / total, (1 - abar) ** 0.5 / total, (x - (1 - abar) ** 0.5 * eps) / abar**0.5 - eps


@as_flow.also_correct
def _(x, eps, abar):
    t = 1 / (1 + (abar / (1 - abar)) ** 0.5) if abar < 1 else 0.0
    z = x * ((1 - t) ** 2 + t**2) ** 0.5
    return z, t, (eps - z) / (1 - t)


@as_flow.also_correct
def _(x, eps, abar):
    total = abar**0.5 + (1 - abar) ** 0.5
    return [x / total, 1 - abar**0.5 / total, (total * eps - x) / abar**0.5]
