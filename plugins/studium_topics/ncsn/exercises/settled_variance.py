import math

import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=12,
    hints=(
        "What does one step do to x if the score of N(0, variance) is a straight line through the origin?",
        "A step multiplies x by a number and adds independent noise. What happens to the variance of the walkers, and "
        "when does it stay the same?",
        "These are all plain numbers. If the size of the factor is not below 1, the variance grows in every step.",
        "`math.inf` where `(1 - step / (2 * variance)) ** 2 >= 1`.",
    ),
    level="core",
    importance=2,
    kind="derive",
)
def settled_variance(step: float, variance: float) -> float:
    """Return the variance that a Langevin step of size `step` leaves unchanged, on data N(0, variance).

    * step > 0: the a of the lesson; variance > 0; the data are single numbers, the score is exact
    * returns: a float; infinity if the variance of the walkers grows with every step, however large it is

    In other words, walkers that have this variance still have it after the next step.
    """
    ### BEGIN SOLUTION
    kept = (1 - step / (2 * variance)) ** 2  # the share of the walkers' variance that one step keeps
    return step / (1 - kept) if kept < 1 else math.inf
    ### END SOLUTION


@settled_variance.test("is left as it is by one more step", points=1)
def _(settled_variance):
    found = settled_variance(0.8, 0.5)
    after = (1 - 0.8 / (2 * 0.5)) ** 2 * found + 0.8
    assert_close(
        found, after, rtol=1e-6, atol=0, message="data N(0, 0.5), steps of 0.8: before one more step, after it"
    )


@settled_variance.hidden("is where walkers end that take many steps", points=2)
def _(settled_variance, rng):
    for _ in range(8):
        variance = 0.2 + 3 * float(torch.rand((), generator=rng, dtype=torch.float64))
        step = variance * (0.1 + 3.4 * float(torch.rand((), generator=rng, dtype=torch.float64)))
        walkers = 0.7 * variance
        for _ in range(2000):  # the score is -x / variance
            walkers = walkers * (1 - 0.5 * step / variance) ** 2 + step
        what = f"the variance after 2000 steps of {step:.3g} on N(0, {variance:.3g})"
        assert_close(settled_variance(step, variance), walkers, rtol=1e-4, atol=0, message=what)


@settled_variance.hidden("is infinite where the walkers explode", points=2)
def _(settled_variance):
    for step, variance in ((9.5, 2.0), (3.0, 0.5), (8.0, 2.0), (2.0, 0.5)):
        found = settled_variance(step, variance)
        assert_close(found, math.inf, message=f"steps of {step:g} on N(0, {variance:g}), where each step adds variance")
    for step, variance in ((7.5, 2.0), (1.9, 0.5)):
        expected = variance * variance / (variance - step / 4)
        found = settled_variance(step, variance)
        assert_close(found, expected, rtol=1e-6, atol=0, message=f"steps of {step:g} on N(0, {variance:g})")


@settled_variance.misconception(
    "You returned the variance of the data; that is right only for steps near 0. A step of size a adds noise of "
    "variance a, and its drift does not quite remove as much.",
    name="infinitely-small-steps",
)
def _(step, variance):
    return variance


@settled_variance.misconception(
    "You multiplied the variance by the factor of x; square the factor first, because a variance grows with the square "
    "of it.",
    name="factor-not-squared",
)
def _(step, variance):
    kept = 1 - step / (2 * variance)
    return step / (1 - kept) if abs(kept) < 1 else math.inf


settled_variance.mistake(
    "score-of-unit-variance",
    "You used −x as the score; the score of N(0, variance) is −x / variance, because a wide density rises less "
    "steeply.",
    replace="kept = (1 - step / (2 * variance)) ** 2  # the share of the walkers' variance that one step keeps",
    by="kept = (1 - step / 2) ** 2",
)

settled_variance.mistake(
    "whole-step-as-drift",
    "Your drift is the whole step times the score; use half the step, because Langevin dynamics pairs the drift a/2 "
    "with the noise √a.",
    replace="kept = (1 - step / (2 * variance)) ** 2  # the share of the walkers' variance that one step keeps",
    by="kept = (1 - step / variance) ** 2",
)

settled_variance.mistake(
    "step-squared",
    "You added the square of the step; add the step itself, because z has variance 1 and so the noise √a · z has "
    "variance a.",
    replace="step / (1 - kept)",
    by="step**2 / (1 - kept)",
)

settled_variance.mistake(
    "negative-variance",
    "You solved the equation even where the walkers never reach the solution; when the size of the factor is 1 or "
    "more, the variance grows in every step, so return infinity there rather than a negative number.",
    replace="kept < 1",
    by="kept != 1",
)

settled_variance.mistake(
    "standard-deviation",
    "You returned the standard deviation; return its square, the variance.",
    replace="step / (1 - kept)",
    by="(step / (1 - kept)) ** 0.5",
)


@settled_variance.also_correct
def _(step, variance):
    if step >= 4 * variance:
        return float("inf")
    return variance / (1 - 0.25 * step / variance)


@settled_variance.also_correct
def _(step, variance):
    factor = 1 - step / variance / 2
    if abs(factor) >= 1:
        return math.inf
    return step * sum(factor ** (2 * age) for age in range(4000))  # what is left of the noise of each step before
