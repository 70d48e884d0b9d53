import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=1,
    kind="derive",
    hints=(
        "What does a new base b' do to the first frequency, and what does it do to the last?",
        "Linear: dividing positions by the factor is the same as dividing frequencies by it. NTK: set the last "
        "frequency under the new base equal to the old one over the factor, and solve for the base.",
        "Pair i then slows down by a power of the factor that grows evenly from 0 for the first of the d/2 pairs to 1 "
        "for the last.",
        "With n pairs the power is `torch.arange(n) / (n - 1)`.",
    ),
)
def stretched(inv, kind, factor):
    """Return the frequencies for a context of `factor` times the trained length.

    * inv (d/2,): the trained frequencies, base^(−2i/d), d at least 4; it stays as it is
    * kind "linear": position interpolation; every pair slows down by factor (Chen et al. 2023, equation 4)
    * kind "ntk": the frequencies of another base, with which the fastest pair stays as it is and
      the slowest slows down by exactly factor (Peng et al. 2023, section 3.1)
    * factor: 1 or more
    * returns: (d/2,)
    """
    ### BEGIN SOLUTION
    if kind == "linear":
        return inv / factor
    pairs = torch.arange(len(inv), device=inv.device)
    return inv * factor ** -(pairs / (len(inv) - 1))
    ### END SOLUTION


@stretched.test("slows the slowest pair down by the factor", points=1)
def _(stretched):
    inv = torch.tensor([1.0, 0.1, 0.01])
    assert_close(stretched(inv, "linear", 4.0), torch.tensor([0.25, 0.025, 0.0025]), message='"linear", factor 4')
    found = stretched(inv, "ntk", 4.0)
    assert_close(found[0], torch.tensor(1.0), message='"ntk" keeps the fastest pair as it was')
    assert_close(found[2], torch.tensor(0.0025), rtol=1e-4, message='"ntk" slows the slowest pair down by 4')


@stretched.hidden("is position interpolation, or the frequencies of the new base", points=2)
def _(stretched):
    for d, base, factor in ((4, 100.0, 3.0), (10, 10000.0, 8.0), (64, 500000.0, 2.5), (128, 10000.0, 1.0)):
        i = torch.arange(d // 2, dtype=torch.float64)
        inv = base ** (-2 * i / d)
        kept = inv.clone()
        what = f"with d={d}, base {base:g} and factor {factor:g}"
        found = stretched(inv, "linear", factor)
        assert_close(found, base ** (-2 * i / d) / factor, rtol=1e-5, atol=1e-12, message=f'"linear" {what}')
        new_base = base * factor ** (d / (d - 2))
        assert_close(
            stretched(inv, "ntk", factor), new_base ** (-2 * i / d), rtol=1e-5, atol=1e-12, message=f'"ntk" {what}'
        )
        assert torch.equal(inv, kept), "the argument inv must stay as it is"


@stretched.misconception(
    "You sped the pairs up; divide instead, because a longer context has to fit into the angles seen in training.",
    name="sped-up",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv * factor
    return inv * factor ** (torch.arange(len(inv)) / (len(inv) - 1))


@stretched.misconception(
    "You multiplied the base by the factor itself; the slowest pair then slows down by factor^((d − 2)/d), which is "
    "too little. Multiply the base by factor^(d/(d − 2)).",
    name="base-times-factor",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return inv * factor ** -(torch.arange(len(inv)) / len(inv))


@stretched.misconception(
    'You interpolated for "ntk" too; there the fastest pair keeps its frequency.', name="interpolated-ntk"
)
def _(inv, kind, factor):
    return inv / factor


@stretched.misconception(
    "You slowed the fastest pair down most; slow the slowest most. Fast pairs have already seen all angles, but slow "
    "ones would meet new ones.",
    name="fastest-slowed-most",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return inv * factor ** -(torch.arange(len(inv)).flip(0) / (len(inv) - 1))


@stretched.misconception(
    "You slowed all pairs except the first by the whole factor; under a new base the slow-down grows from pair to "
    "pair.",
    name="all-but-the-first",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return torch.cat([inv[:1], inv[1:] / factor])


@stretched.misconception(
    "Your slow-down grows in equal steps from 1 to factor; under a new base it grows by equal *ratios*.",
    name="equal-steps",
)
def _(inv, kind, factor):
    if kind == "linear":
        return inv / factor
    return inv / (1 + (factor - 1) * torch.arange(len(inv)) / (len(inv) - 1))


@stretched.also_correct
def _(inv, kind, factor):
    if kind == "linear":
        return torch.mul(inv, 1 / factor)
    d = 2 * inv.shape[0]
    base = float(inv[1]) ** (-d / 2)
    return (base * factor ** (d / (d - 2))) ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)


@stretched.also_correct
def _(inv, kind, factor):
    if kind == "ntk":
        return inv * torch.logspace(0, -1, len(inv), base=factor, dtype=inv.dtype) if factor != 1 else inv.clone()
    return inv / factor
