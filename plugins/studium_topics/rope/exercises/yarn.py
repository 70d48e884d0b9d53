import math

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    importance=1,
    hints=(
        "How many revolutions does a pair make within the trained context?",
        "A revolution is 2π radians. The share of a pair's frequency that is kept rises linearly, from 0 at `slow` "
        "revolutions to 1 at `fast`, and is constant outside these.",
        "The new frequency is a mixture of the old one and the old one divided by factor, elementwise over (d/2,).",
        "`((turns - slow) / (fast - slow)).clamp(0, 1)` is the share that is kept.",
    ),
)
def yarn(inv, factor, context, slow=1.0, fast=32.0):
    """Return YaRN's frequencies, and the gain of queries and keys.

    A pair makes r = context · θ / 2π revolutions in training. With r <= slow it slows down by factor,
    with r >= fast it stays unchanged, and in between its frequency is (1 − γ) θ / factor + γ θ with
    γ = (r − slow) / (fast − slow). The gain, 0.1 ln(factor) + 1, multiplies queries *and* keys, so
    scores grow by its square. (Peng et al. 2023, definitions 2 and 3, equation 22.)

    * inv (d/2,): the trained frequencies θ; it stays as it is
    * factor, context: 1 or more, and the length trained on
    * returns: the frequencies (d/2,) and the gain, a number
    """
    ### BEGIN SOLUTION
    turns = context * inv / (2 * math.pi)
    keep = ((turns - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1
    ### END SOLUTION


@yarn.test("keeps fast pairs, and interpolates those of less than one revolution", points=1)
def _(yarn):
    inv = torch.tensor([1.0, 0.5, 0.001])
    found, gain = yarn(inv, 4.0, 1000, 1.0, 32.0)
    assert_close(
        found, torch.tensor([1.0, 0.5, 0.00025]), message="pairs of 159, 80 and 0.16 revolutions in 1000 positions"
    )
    assert_close(torch.as_tensor(gain), torch.tensor(1.1386294), message="the gain for factor 4")


@yarn.hidden("mixes both frequencies linearly between slow and fast", points=2)
def _(yarn):
    for d, base, factor, context, slow, fast in (
        (64, 10000.0, 4.0, 2048, 1.0, 32.0),
        (16, 10000.0, 2.0, 48, 1.0, 4.0),
        (128, 500000.0, 8.0, 8192, 1.0, 4.0),
        (32, 1000.0, 3.0, 700, 2.5, 20.0),
    ):
        inv = torch.tensor([base ** (-2 * i / d) for i in range(d // 2)], dtype=torch.float64)
        kept, expected = inv.clone(), []
        for theta in inv.tolist():
            turns = context * theta / 6.283185307179586
            share = min(1.0, max(0.0, (turns - slow) / (fast - slow)))
            expected.append(theta / factor + share * (theta - theta / factor))
        found, _ = yarn(inv, factor, context, slow, fast)
        what = f"with d={d}, factor {factor:g}, context {context}, slow {slow:g} and fast {fast:g}"
        expected = torch.tensor(expected, dtype=torch.float64)
        assert_close(found, expected, rtol=1e-4, atol=1e-12, message=what)
        assert torch.equal(inv, kept), "the argument inv must stay as it is"


@yarn.hidden("gives the gain of queries and keys", points=1)
def _(yarn):
    inv = torch.tensor([1.0, 0.1, 0.01, 0.001])
    for factor, expected in ((1.0, 1.0), (2.0, 1.0693147), (16.0, 1.2772589), (32.0, 1.3465736)):
        _, gain = yarn(inv, factor, 500)
        assert_close(torch.as_tensor(gain), torch.tensor(expected), message=f"the gain for factor {factor:g}")


@yarn.misconception(
    "You left the gain at 1, which gives 'NTK by parts', as in Llama 3. YaRN also sharpens the softmax, because it now "
    "has more keys.",
    name="left-out-the-gain",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 1.0


@yarn.misconception(
    "You left out the ramp: mix the two frequencies for a pair between slow and fast, which is neither fully kept nor "
    "fully slowed down.",
    name="left-out-the-ramp",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    turns = context * inv / (2 * math.pi)
    return torch.where(turns > fast, inv, inv / factor), 0.1 * math.log(factor) + 1


@yarn.misconception(
    "You inverted the ramp: a pair with many revolutions stays as it is, and a pair with fewer than one slows down.",
    name="inverted-ramp",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return (1 - keep) * inv + keep * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception(
    "You counted radians as revolutions; divide by 2π, because one revolution is 2π radians.",
    name="radians-as-revolutions",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception(
    "You did not clamp γ between 0 and 1; beyond the ends of the ramp, pairs speed up or rotate backwards.",
    name="ramp-not-clamped",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = (context * inv / (2 * math.pi) - slow) / (fast - slow)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception("You sped the slow pairs up; interpolation divides their frequency by the factor.", name="sped-up")
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv * factor, 0.1 * math.log(factor) + 1


@yarn.misconception(
    "You returned the factor of the scores, (0.1 ln s + 1)²; return its square root, because queries and keys are each "
    "multiplied by it.",
    name="gain-of-the-scores",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, (0.1 * math.log(factor) + 1) ** 2


@yarn.misconception(
    "You counted revolutions in the stretched context; count them in the trained context, because the angles that a "
    "pair has seen were settled in training.",
    name="stretched-context",
)
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((factor * context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log(factor) + 1


@yarn.misconception("You took log₁₀; ln is the natural logarithm.", name="decimal-logarithm")
def _(inv, factor, context, slow=1.0, fast=32.0):
    keep = ((context * inv / (2 * math.pi) - slow) / (fast - slow)).clamp(0, 1)
    return keep * inv + (1 - keep) * inv / factor, 0.1 * math.log10(factor) + 1


@yarn.also_correct
def _(inv, factor, context, slow=1.0, fast=32.0):
    wavelength = 2 * math.pi / inv
    share = torch.clamp((context / wavelength - slow) / (fast - slow), min=0.0, max=1.0)
    return torch.lerp(inv / factor, inv, share), torch.tensor(factor).log() / 10 + 1


@yarn.also_correct
def _(inv, factor, context, slow=1.0, fast=32.0):
    speeds = []
    for theta in inv.tolist():
        turns = context * theta / math.tau
        gamma = 0 if turns <= slow else 1 if turns >= fast else (turns - slow) / (fast - slow)
        speeds.append(theta * gamma + theta / factor * (1 - gamma))
    return torch.tensor(speeds, dtype=inv.dtype), 1 + math.log(factor) / 10
