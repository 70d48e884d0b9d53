import math

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "How many pairs does a head of width d have, and what are the exponents of the first and the last pair?",
        "There are d / 2 pairs; the first frequency is base⁰ = 1, and the last exponent is −(d − 2)/d.",
        "`torch.arange(0, d, 2)` is 2i for all pairs i.",
    ),
)
def inv_freq(d, base=10000.0):
    """Return the frequency of each pair of coordinates, in radians per position.

    θᵢ = base^(−2i/d) for i = 0, 1, …, d/2 − 1. (In Su et al. 2021, section 3.2.2, i starts at 1.)

    * d: the width of one head, even and at least 2
    * base: above 1
    * returns: (d/2,), the fastest first, float32 or float64
    """
    ### BEGIN SOLUTION
    return base ** -(torch.arange(0, d, 2) / d)
    ### END SOLUTION


@inv_freq.test("gives the two frequencies of a head of width 4", points=1)
def _(inv_freq):
    assert_close(inv_freq(4, 100.0), torch.tensor([1.0, 0.1]), message="for d=4 and base 100")


@inv_freq.hidden("falls by the same factor from pair to pair, from 1 to base^(−(d − 2)/d)", points=2)
def _(inv_freq):
    for d, base in ((2, 50.0), (6, 10000.0), (10, 500.0), (64, 500000.0), (128, 10000.0)):
        expected = torch.tensor([base ** (-2 * i / d) for i in range(d // 2)])
        assert_close(inv_freq(d, base), expected, rtol=1e-4, atol=1e-9, message=f"for d={d} and base {base:g}")
    assert_close(inv_freq(8), torch.tensor([1.0, 0.1, 0.01, 0.001]), rtol=1e-4, message="for d=8 and the usual base")


inv_freq.mistake(
    "exponent-i-over-d",
    "You used the exponent i/d; use 2i/d, because a pair holds two coordinates.",
    replace="torch.arange(0, d, 2)",
    by="torch.arange(d // 2)",
)

inv_freq.mistake(
    "growing-frequencies",
    "Your frequencies grow; make the exponent negative, because each pair is slower than the one before.",
    replace="-(torch.arange(0, d, 2) / d)",
    by="(torch.arange(0, d, 2) / d)",
)

inv_freq.mistake(
    "one-for-each-coordinate",
    "You gave each coordinate a frequency; the two coordinates of a pair rotate together, so there are d/2 "
    "frequencies.",
    replace="torch.arange(0, d, 2)",
    by="2 * torch.arange(d)",
)

inv_freq.mistake(
    "counted-from-one",
    "You counted the pairs from 1; the fastest pair has i = 0 and rotates by 1 radian per position. (In the paper i "
    "starts at 1, and the exponent contains i − 1.)",
    replace="torch.arange(0, d, 2)",
    by="torch.arange(2, d + 1, 2)",
)

inv_freq.mistake(
    "both-ends-included",
    "You spread the exponents over 0 to 1 with both ends included; the exponent of the last pair is −(d − 2)/d, not "
    "−1.",
    replace="-(torch.arange(0, d, 2) / d)",
    by="-torch.linspace(0, 1, d // 2)",
)

inv_freq.mistake(
    "wavelengths",
    "You returned the wavelengths 2π/θ, the number of positions that one revolution takes; return θ itself.",
    replace="base ** -(torch.arange(0, d, 2) / d)",
    by="2 * math.pi * base ** (torch.arange(0, d, 2) / d)",
)


@inv_freq.also_correct
def _(d, base=10000.0):
    return 1.0 / (base ** (torch.arange(0, d, 2, dtype=torch.float64) / d))


@inv_freq.also_correct
def _(d, base=10000.0):
    return torch.exp(torch.arange(d // 2) * (-2 * math.log(base) / d))


@inv_freq.also_correct
def _(d, base=10000.0):
    return torch.logspace(0, -(d - 2) / d, d // 2, base=base)
