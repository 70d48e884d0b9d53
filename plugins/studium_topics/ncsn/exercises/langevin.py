from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=8,
    hints=(
        "Where are the walkers when the second step begins, and which score do they need there?",
        "One loop over the steps. Half of the step multiplies the score, its square root multiplies z.",
        "Each slice of `noise` has the shape of `x`, (B, *).",
        "`for z in noise:`, and `x = x + …`, which makes a new tensor.",
    ),
    level="warm-up",
    importance=3,
)
def langevin(score: Callable[[Tensor], Tensor], x: Tensor, step: float | Tensor, noise: Tensor) -> Tensor:
    """Return where walkers end after n steps of Langevin dynamics (equation 4 of the paper, as in the lesson).

    * score(x): takes walkers (B, *) and returns the gradient of the log density at each, (B, *)
    * x: (B, *), where they start
    * step: the a of the lesson, above 0, a number or a tensor with one number
    * noise: (n, B, *), standard normal; noise[0] is the z of the first step
    * returns: (B, *)

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    for z in noise:
        x = x + step / 2 * score(x) + step**0.5 * z
    return x
    ### END SOLUTION


@langevin.test("takes one step by hand", points=1)
def _(langevin):
    x, z = torch.tensor([[2.0, -4.0]]), torch.tensor([[[1.0, 0.5]]])
    found = langevin(lambda at: -at, x, 0.16, z)
    expected = torch.tensor([[2 - 0.16 + 0.4, -4 + 0.32 + 0.2]])
    assert_close(found, expected, rtol=1e-4, atol=1e-5, message="score -x, a = 0.16: 0.92 x + 0.4 z")


@langevin.hidden("asks for the score anew in every step, and uses each noise once", points=1)
def _(langevin, rng):
    for shape, n in (((3, 2), 4), ((2, 3, 4, 5), 3), ((5, 1), 1), ((4, 2), 0)):
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        noise = torch.randn(n, *shape, generator=rng, dtype=torch.float64)
        kept = [x.clone(), noise.clone()]
        for step in (0.3, 0.04):
            expected = x.clone()
            for z in noise:
                expected = torch.add(expected, 0.5 * step * (torch.sin(expected) - expected**3) + z * step**0.5)
            found = langevin(lambda at: torch.sin(at) - at**3, x, step, noise)
            what = f"{n} steps of {step:g} with the score sin x - x³, walkers of shape {shape}"
            assert_close(found, expected, rtol=1e-4, atol=1e-4, message=what)
        assert_close([x, noise], kept, message="the arguments after the call")


@langevin.hidden("ends with exactly the variance that a step of this size must give", points=2)
def _(langevin):
    # On N(0, v) the walk is linear. Unit vectors as start and as noise show how it treats a variance, without chance.
    for v, step in ((0.25, 0.3), (4.0, 0.5), (1.0, 0.4), (1.0, 1.0)):
        n = 40
        start = torch.zeros(n + 1, 1, dtype=torch.float64)
        start[0] = 1
        noise = torch.eye(n + 1, dtype=torch.float64)[1:].unsqueeze(-1)
        end = langevin(lambda at, v=v: -at / v, start, step, noise)
        kept = (1 - step / (2 * v)) ** (2 * n)
        still = v / (1 - step / (4 * v))  # the stationary variance, v only as the step goes to 0
        found = v * end[0] ** 2 + (end[1:] ** 2).sum()
        expected = torch.tensor([kept * v + (1 - kept) * still], dtype=torch.float64)
        assert_close(
            found, expected, rtol=1e-5, atol=1e-7, message=f"variance after {n} steps of {step:g} on N(0, {v:g})"
        )


langevin.mistake(
    "noise-of-the-other-convention",
    "You paired the noise √(2a) with the drift a/2, which belong to two different conventions; use √a with a/2. Your "
    "pair doubles the variance of the samples (for small steps).",
    replace="step**0.5",
    by="(2 * step) ** 0.5",
)

langevin.mistake(
    "drift-of-the-other-convention",
    "You paired the drift a with the noise √a, which belong to two different conventions; use a/2 with √a. Your pair "
    "halves the variance of the samples (for small steps).",
    replace="step / 2",
    by="step",
)


@langevin.misconception(
    "You left out the noise, which makes this gradient ascent: the walkers end on the maxima of the density and stay "
    "there. Add √a · z.",
    name="no-noise",
)
def _(score, x, step, noise):
    for _ in noise:
        x = x + step / 2 * score(x)
    return x


langevin.mistake(
    "noise-times-step",
    "You multiplied z by the step itself; multiply it by √a, because the noise must have variance a. With small steps "
    "your noise vanishes compared with the drift.",
    replace="step**0.5",
    by="step",
)

langevin.mistake(
    "score-of-the-start",
    "You computed the score only once, at the start; compute it in every step, because the walkers move and need the "
    "score at the place where they are now.",
    edits=[
        (
            "for z in noise:",
            """
                drift = score(x)
                for z in noise:
            """,
        ),
        ("score(x)", "drift"),
    ],
)


@langevin.misconception(
    "You used the same noise in every step; use noise[i] in step i, because the steps have to be independent of each "
    "other.",
    name="same-noise",
)
def _(score, x, step, noise):
    for _ in noise:
        x = x + step / 2 * score(x) + step**0.5 * noise[0]
    return x


langevin.mistake(
    "downhill",
    "You went downhill; add the score, because it points to where the density is higher.",
    replace="x + step / 2 * score(x)",
    by="x - step / 2 * score(x)",
)

langevin.mistake(
    "in-place",
    "You changed `x` in place, and that changes the caller's tensor; make a new tensor instead, because the start has "
    "to stay as it is.",
    replace="x = x + step / 2 * score(x) + step**0.5 * z",
    by="x += step / 2 * score(x) + step**0.5 * z",
)


@langevin.misconception(
    "You drew the noise yourself; use the `noise` you were given, because a run has to be repeatable.",
    name="own-noise",
)
def _(score, x, step, noise):
    for _ in noise:
        x = x + step / 2 * score(x) + step**0.5 * torch.randn_like(x)
    return x


langevin.mistake(
    "noise-first",
    "You added the noise first and computed the score afterwards; compute the score before the step moves x, because "
    "the drift belongs to the place where the step begins.",
    replace="x = x + step / 2 * score(x) + step**0.5 * z",
    by="""
        x = x + step**0.5 * z
        x = x + step / 2 * score(x)
    """,
)


@langevin.also_correct
def _(score, x, step, noise):
    place = x
    for number in range(noise.shape[0]):
        move = torch.mul(score(place), step).div(2)
        place = place.add(move).add(noise[number] * torch.tensor(float(step)).sqrt().item())
    return place
