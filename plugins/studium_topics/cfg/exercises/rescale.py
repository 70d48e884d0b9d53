import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=8,
    hints=(
        "Over which axes do you take a standard deviation to get one number for each example?",
        "The factor r is below 1 where the guided prediction is wider than the conditional one.",
        "Both standard deviations have the shape (B, 1, …, 1), so they multiply eps (B, *) row by row.",
        "`eps.std(tuple(range(1, eps.ndim)), keepdim=True)`.",
    ),
    level="core",
    importance=1,
)
def rescale(eps: Tensor, eps_c: Tensor, phi: float) -> Tensor:
    """Return a guided prediction, rescaled towards the standard deviation of the conditional prediction.

    * eps, eps_c: (B, *), guided and conditional, with at least one axis after the batch
    * phi = 1: each example of eps is multiplied by the number r that gives it the standard deviation of its eps_c
    * phi = 0: eps as it was; in between, the two are mixed linearly
    * returns: (B, *)

    The arguments stay as they are (Lin et al. 2023, equations 15 and 16).
    """
    ### BEGIN SOLUTION
    axes = tuple(range(1, eps.ndim))
    ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)  # (B, 1, ...)
    return phi * ratio * eps + (1 - phi) * eps
    ### END SOLUTION


@rescale.test("halves what is twice as wide for phi = 1, and changes nothing for phi = 0", points=1)
def _(rescale):
    eps_c = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    eps = torch.tensor([[2.0, 4.0, 6.0], [3.0, 1.0, 11.0]])  # 2 eps_c and 2 eps_c + 3
    as_it_was, halved = eps.clone(), eps / 2
    assert_close(rescale(eps, eps_c, 1.0), halved, message="phi = 1")
    assert_close(rescale(eps, eps_c, 0.0), as_it_was, message="phi = 0")


@rescale.hidden("measures each example by itself, over all of its axes", points=1)
def _(rescale, rng):
    for shape in ((3, 5), (4, 2, 3), (2, 3, 4, 5)):
        size = torch.rand(shape[0], generator=rng, dtype=torch.float64) * 3 + 0.5
        eps_c = torch.randn(shape, generator=rng, dtype=torch.float64) + 1
        eps = torch.randn(shape, generator=rng, dtype=torch.float64) * size.view(-1, *[1] * (len(shape) - 1)) - 2
        kept = eps.clone(), eps_c.clone()
        for phi in (0.7, 1.0, 0.25):
            got = rescale(eps, eps_c, phi)
            assert_close([eps, eps_c], list(kept), message="the arguments after the call")
            factors = [float(c.flatten().std() / e.flatten().std()) for e, c in zip(*kept, strict=True)]
            expected = torch.stack([(phi * r + 1 - phi) * e for r, e in zip(factors, kept[0], strict=True)])
            assert_close(got, expected, rtol=1e-5, atol=1e-5, message=f"shape {shape}, phi = {phi}")


@rescale.hidden("leaves a prediction of the conditional one's width alone, whatever its mean", points=1)
def _(rescale, rng):
    eps_c = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    for eps in (eps_c + 5, -eps_c, eps_c.flip(-1)):
        for phi in (0.4, 1.0):
            got = rescale(eps, eps_c, phi)
            assert_close(got, eps, rtol=1e-5, atol=1e-5, message=f"phi = {phi}, the same standard deviation")


@rescale.misconception(
    "You took one standard deviation over the whole batch; take one for each example, because otherwise the other "
    "images of a batch change yours.",
    name="over-the-batch",
)
def _(eps, eps_c, phi):
    return phi * eps_c.std() / eps.std() * eps + (1 - phi) * eps


rescale.mistake(
    "ratio-inverted",
    "You inverted the ratio; a guided prediction that is too wide has to shrink, so divide by its own standard "
    "deviation.",
    replace="ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)  # (B, 1, ...)",
    by="ratio = eps.std(axes, keepdim=True) / eps_c.std(axes, keepdim=True)",
)

rescale.mistake(
    "phi-exchanged",
    "You gave phi to the wrong term; phi = 1 rescales fully, and phi = 0 leaves eps as it is.",
    replace="phi * ratio * eps + (1 - phi) * eps",
    by="(1 - phi) * ratio * eps + phi * eps",
)

rescale.mistake(
    "mixes-in-eps-c",
    "You mixed in the conditional prediction; mix in the guided prediction as it was, because eps_c in its place "
    "weakens the guidance itself.",
    replace="(1 - phi) * eps",
    by="(1 - phi) * eps_c",
)


@rescale.misconception(
    "You measured only along the last axis; take the standard deviation over all the numbers of an example, including "
    "channels and rows.",
    name="last-axis",
)
def _(eps, eps_c, phi):
    ratio = eps_c.std(-1, keepdim=True) / eps.std(-1, keepdim=True)
    return phi * ratio * eps + (1 - phi) * eps


@rescale.misconception(
    "You compared root mean squares; use standard deviations, which are measured from the mean of the example's own "
    "numbers.",
    name="root-mean-square",
)
def _(eps, eps_c, phi):
    wide, goal = (e.flatten(1).norm(dim=1).view(-1, *[1] * (e.ndim - 1)) for e in (eps, eps_c))
    return phi * goal / wide * eps + (1 - phi) * eps


@rescale.also_correct
def _(eps, eps_c, phi):
    wide, goal = (e.flatten(1).std(1, unbiased=False) for e in (eps, eps_c))
    factor = 1 + phi * (goal / wide - 1)
    return torch.einsum("b,b...->b...", factor, eps)
