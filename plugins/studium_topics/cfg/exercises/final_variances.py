import itertools
import math

import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=25,
    hints=(
        "Where does each equation begin? At very large τ nearly everything is noise: what is V there?",
        "DDIM: divide by V; the left side is then the derivative of log V, and you can integrate both terms of g.",
        "DDPM: write V as C(τ) times the square of DDIM's solution, and find what C must be. The substitution "
        "r = (narrow + τ) / (wide + τ) makes its integral a power of r, from narrow / wide to 1.",
        "At s = 3 with variances 2 and 1 the pair is (0.3875, 0.25). Numbers will do: `torch.logspace(4, -5, 40_001)` "
        "are values of τ to step along, with V = τ at the first.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def final_variances(s: float, wide: float, narrow: float) -> tuple[float, float]:
    """Return the variances with which guided DDPM and guided DDIM end, for exact predictions and infinitely many steps.

    * all data: N(0, wide); data with the label: N(0, narrow); wide > narrow > 0
    * s >= 1: the scale of guidance, the same at all levels
    * returns: a pair of numbers, DDPM's variance first; an error of 0.5 % is allowed

    Solve the two equations for V above, on paper or in small steps.
    """
    ### BEGIN SOLUTION
    flow = narrow**s * wide ** (1 - s)
    ratio, power = narrow / wide, 2 * s - 1
    integral = (ratio**-power - 1) / power / (wide - narrow)
    return flow**2 * integral, flow
    ### END SOLUTION


@final_variances.test("knows where DDIM ends at s = 2 and s = 4, for the variances 2 and 1", points=1)
def _(final_variances):
    for s, expected in ((2.0, 0.5), (4.0, 0.125)):
        found = final_variances(s, 2.0, 1.0)
        assert len(found) == 2, f"a pair of numbers is expected, got {len(found)}"
        assert_close(float(found[1]), expected, rtol=5e-3, atol=0, message=f"DDIM, s = {s}")


@final_variances.hidden("knows where DDIM ends, for other scales and other Gaussians", points=2)
def _(final_variances):
    for s, wide, narrow in ((3.0, 3.0, 0.5), (2.5, 1.2, 0.4), (5.0, 2.0, 1.0), (1.5, 4.0, 0.25), (1.0, 2.0, 0.7)):
        expected = math.exp(s * math.log(narrow) - (s - 1) * math.log(wide))
        found = float(final_variances(s, wide, narrow)[1])
        assert_close(found, expected, rtol=5e-3, atol=0, message=f"DDIM, s = {s}, variances {wide} and {narrow}")


@final_variances.hidden("knows where DDPM ends", points=2)
def _(final_variances):
    for s, wide, narrow in ((3.0, 2.0, 1.0), (2.5, 1.2, 0.4), (1.5, 4.0, 0.25), (5.0, 3.0, 2.0), (1.0, 2.0, 0.7)):
        # Over a step of tau in which g hardly changes: V shrinks towards 1 / (2 g).
        variance, taus = 1e5, torch.logspace(5, -5, 6001, dtype=torch.float64).tolist()
        for above, below in itertools.pairwise([*taus, 0.0]):
            middle = (above * below) ** 0.5
            pull = s / (narrow + middle) + (1 - s) / (wide + middle)
            decay = math.exp(-2 * pull * (above - below))
            variance = decay * variance + (1 - decay) / (2 * pull)
        found = float(final_variances(s, wide, narrow)[0])
        assert_close(found, variance, rtol=6e-3, atol=0, message=f"DDPM, s = {s}, variances {wide} and {narrow}")


@final_variances.misconception(
    "You returned the variance of the tilted density, 1 / (s / narrow + (1 - s) / wide), for both; that density tilts "
    "the clean data, while the samplers follow the tilt of the noisy data at every level.",
    name="tilted-for-both",
)
def _(s, wide, narrow):
    return (1 / (s / narrow + (1 - s) / wide),) * 2


@final_variances.misconception(
    "You returned DDIM's variance first; put DDPM's first. It is the larger one, because fresh noise widens it.",
    name="pair-exchanged",
)
def _(s, wide, narrow):
    flow = narrow**s * wide ** (1 - s)
    return flow, flow**2 * ((narrow / wide) ** (1 - 2 * s) - 1) / (2 * s - 1) / (wide - narrow)


@final_variances.misconception(
    "You solved only for the variances 2 and 1; use `wide` and `narrow`, because the solution depends on both.",
    name="only-2-and-1",
)
def _(s, wide, narrow):
    return (2 - 2 ** (2 - 2 * s)) / (2 * s - 1), 2 ** (1 - s)


@final_variances.misconception(
    "You left out the upper end of DDPM's integral; at τ = ∞ the quotient r is 1 and not 0, so you have to subtract a "
    "1.",
    name="upper-end-left-out",
)
def _(s, wide, narrow):
    flow = narrow**s * wide ** (1 - s)
    return flow**2 * (narrow / wide) ** (1 - 2 * s) / (2 * s - 1) / (wide - narrow), flow


@final_variances.misconception(
    "You returned DDIM's variance for both; the equation of DDPM has 2 g and the term -1, because its score is twice "
    "as strong and fresh noise is added.",
    name="ddim-for-both",
)
def _(s, wide, narrow):
    return (narrow**s * wide ** (1 - s),) * 2


@final_variances.also_correct
def _(s, wide, narrow):
    ddpm = ddim = 1e5
    taus = torch.logspace(5, -5, 4001, dtype=torch.float64).tolist()
    for above, below in zip(taus, [*taus[1:], 0.0], strict=True):
        middle, drop = math.sqrt(above * below), above - below
        pull = s / (narrow + middle) + (1 - s) / (wide + middle)
        decay = math.exp(-2 * pull * drop)
        ddpm = decay * ddpm + (1 - decay) / (2 * pull)
        ddim = math.exp(-pull * drop) * ddim
    return ddpm, ddim
