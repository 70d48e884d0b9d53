import math

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.kits.mixture import ring


@exercise(
    points=3,
    minutes=8,
    hints=(
        "Which score does the new prediction stand for? Write it down in two ways.",
        "Set the score of the new eps equal to the old score plus s times the gradient, and solve for the new eps.",
        "abar_t is one number for the whole batch: the product of 1 - beta from 0 up to and including t.",
        "`torch.prod(1 - betas[: t + 1])`.",
    ),
    level="warm-up",
    importance=3,
    kind="derive",
)
def guide_eps(eps: Tensor, gradient: Tensor, t: int, betas: Tensor, s: float) -> Tensor:
    """Return the noise prediction (B, *) whose score is the score of eps plus s times the classifier's gradient.

    * eps: (B, *), predicted at x_t; its score is -eps / sqrt(1 - abar_t), where abar_t = (1 - beta_0) ⋯ (1 - beta_t)
    * gradient: (B, *), of log p(y | x_t) with respect to x_t
    * t: an int in 0..T-1; betas: (T,) float64; s: any number, even a negative one

    eps and gradient stay as they are.
    """
    ### BEGIN SOLUTION
    abar = torch.prod(1 - betas[: t + 1])
    return eps - s * (1 - abar).sqrt() * gradient
    ### END SOLUTION


@guide_eps.test("takes 0.8 of the gradient where abar is 0.36, and leaves eps alone where s is 0", points=1)
def _(guide_eps):
    betas, eps = torch.tensor([0.5, 0.28, 0.1], dtype=torch.float64), torch.tensor([[1.0, -2.0]])
    gradient = torch.tensor([[10.0, 5.0]])
    assert_close(guide_eps(eps, gradient, 1, betas, 2.0), torch.tensor([[-15.0, -10.0]]), message="s = 2, t = 1")
    assert_close(guide_eps(eps, gradient, 1, betas, 0.0), eps, message="s = 0")


@guide_eps.hidden("adds s times the gradient to the score at every step", points=1)
def _(guide_eps, rng):
    betas = 0.02 + 0.4 * torch.rand(6, generator=rng, dtype=torch.float64)
    for t, s in ((3, 2.5), (2, -1.0), (5, 0.3), (0, 1.0)):
        eps, gradient = (torch.randn(3, 2, 2, generator=rng, dtype=torch.float64) for _ in range(2))
        kept, left = (eps.clone(), gradient.clone()), math.prod((1 - betas[: t + 1]).tolist())
        noise = math.sqrt(1 - left)
        found = guide_eps(eps, gradient, t, betas, s)
        assert_close(-found / noise, -eps / noise + s * gradient, rtol=1e-6, atol=1e-7, message=f"t = {t}, s = {s}")
        assert_close([eps, gradient], list(kept), message="the arguments after the call")


@guide_eps.hidden("turns the perfect unconditional prediction into the conditional one at s = 1", points=1)
def _(guide_eps, rng):
    mixture, betas = ring(std=0.35, classes=4), torch.linspace(0.02, 0.4, 8, dtype=torch.float64)
    abar = (1 - betas).cumprod(0)
    x, y = torch.randn(16, 2, generator=rng, dtype=torch.float64), torch.arange(16) % 4
    for t in (5, 3, 7, 1, 0):
        gradient = mixture.vp(abar[t]).class_gradient(x, y)
        found = guide_eps(mixture.eps(x, abar[t]), gradient, t, betas, 1.0)
        assert_close(found, mixture.eps(x, abar[t], y), rtol=1e-6, atol=1e-7, message=f"t = {t}, four classes")


@guide_eps.misconception(
    "You added the gradient to eps. eps points away from the data, against the score, so whatever we add to the score "
    "we subtract from eps; with the plus, samples move away from their class.",
    name="plus",
)
def _(eps, gradient, t, betas, s):
    return eps + s * (1 - torch.prod(1 - betas[: t + 1])).sqrt() * gradient


@guide_eps.misconception(
    "You multiplied by sqrt(beta_t), the noise of one step. eps is the noise of all steps so far, whose size is "
    "sqrt(1 - abar_t). The two agree only at t = 0, and a large s can hide the difference.",
    name="one-step-noise",
)
def _(eps, gradient, t, betas, s):
    return eps - s * betas[t].sqrt() * gradient


@guide_eps.misconception(
    "You multiplied by 1 - abar_t; take its square root, because score and eps differ by the size of the noise and "
    "not by its variance.",
    name="variance-for-size",
)
def _(eps, gradient, t, betas, s):
    return eps - s * (1 - torch.prod(1 - betas[: t + 1])) * gradient


@guide_eps.misconception(
    "You subtracted s times the gradient as it is. The gradient belongs to the score, so convert it to the units of "
    "eps first.",
    name="no-factor",
)
def _(eps, gradient, t, betas, s):
    return eps - s * gradient


@guide_eps.misconception(
    "You divided by sqrt(1 - abar_t), which leads from eps to the score. Here we go back, so multiply.",
    name="divided",
)
def _(eps, gradient, t, betas, s):
    return eps - s * gradient / (1 - torch.prod(1 - betas[: t + 1])).sqrt()


@guide_eps.misconception(
    "You stopped the product one factor too early; abar_t includes the step t itself, so the slice ends at t + 1.",
    name="product-short",
)
def _(eps, gradient, t, betas, s):
    return eps - s * (1 - torch.prod(1 - betas[:t])).sqrt() * gradient


@guide_eps.misconception(
    "You multiplied the betas together; abar_t is the product of 1 - beta, the share of the signal that is left.",
    name="product-of-betas",
)
def _(eps, gradient, t, betas, s):
    return eps - s * (1 - torch.prod(betas[: t + 1])).sqrt() * gradient


@guide_eps.misconception(
    "You used sqrt(abar_t), the size of the signal; score and eps differ by the size of the noise, sqrt(1 - abar_t).",
    name="signal-size",
)
def _(eps, gradient, t, betas, s):
    return eps - s * torch.prod(1 - betas[: t + 1]).sqrt() * gradient


@guide_eps.misconception(
    "You guided by 1 + s; the factor is s itself: 0 means no guidance, and 1 is Bayes' rule.",
    name="one-plus-s",
)
def _(eps, gradient, t, betas, s):
    return eps - (1 + s) * (1 - torch.prod(1 - betas[: t + 1])).sqrt() * gradient


@guide_eps.also_correct
def _(eps, gradient, t, betas, s):
    noise = math.sqrt(1 - math.prod(1 - beta for beta in betas[: t + 1]))
    return -noise * (-eps / noise + s * gradient)
