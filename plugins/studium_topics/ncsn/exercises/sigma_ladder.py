import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=6,
    hints=(
        "What do equal ratios become when you take logarithms?",
        "Go from one end to the other in equal steps of the exponent.",
        "L levels have L − 1 steps between them; with one level alone there is none.",
        "`last * (first / last) ** u` for u from 1 down to 0.",
    ),
    level="warm-up",
    importance=2,
)
def sigma_ladder(first: float, last: float, levels: int) -> Tensor:
    """Return the noise levels of a ladder: each level is smaller than the one before by the same ratio.

    * first > last > 0: the largest and the smallest σ; both are on the ladder
    * levels: L, 1 or more; one level alone is `last`, because samples are wanted there
    * returns: (L,) in float64, the largest first
    """
    ### BEGIN SOLUTION
    climb = torch.arange(levels - 1, -1, -1, dtype=torch.float64) / max(levels - 1, 1)  # from 1 down to 0
    return last * (first / last) ** climb
    ### END SOLUTION


@sigma_ladder.test("goes from the first to the last level in equal ratios", points=1)
def _(sigma_ladder):
    found = sigma_ladder(8.0, 1.0, 4)
    kind = getattr(found, "dtype", type(found).__name__)
    assert "float64" in str(kind), f"the ladder is expected as a tensor in float64, got {kind}"
    expected = torch.tensor([8.0, 4.0, 2.0, 1.0], dtype=torch.float64)
    assert_close(found, expected, rtol=1e-6, atol=0, message="four levels from 8 to 1")


@sigma_ladder.hidden("keeps the ratio for any ends and any number of levels", points=1)
def _(sigma_ladder):
    for first, last, levels in ((20.0, 1.0, 10), (1.0, 0.01, 10), (50.0, 0.01, 232), (3.0, 2.0, 2)):
        ratio = (first / last) ** (1 / (levels - 1))
        expected = torch.tensor([first / ratio**i for i in range(levels)], dtype=torch.float64)
        what = f"{levels} levels from {first:g} to {last:g}"
        assert_close(sigma_ladder(first, last, levels), expected, rtol=1e-8, atol=0, message=what)


@sigma_ladder.hidden("is the last level where there is one level alone", points=1)
def _(sigma_ladder):
    for first, last in ((20.0, 1.0), (2.0, 0.25)):
        expected = torch.tensor([last], dtype=torch.float64)
        what = f"one level, from {first:g} to {last:g}"
        assert_close(sigma_ladder(first, last, 1), expected, rtol=1e-8, atol=0, message=what)


@sigma_ladder.misconception(
    "You spaced the levels evenly; nearly all of them are then at high noise and the last ones far apart, because "
    "what counts is the ratio of neighbours and not their difference.",
    name="evenly-spaced",
)
def _(first, last, levels):
    if levels == 1:
        return torch.tensor([last], dtype=torch.float64)
    return torch.linspace(first, last, levels, dtype=torch.float64)


sigma_ladder.mistake(
    "upwards",
    "Your ladder goes up; annealing starts at the largest σ, because there the density has a single mode, and comes "
    "down to the smallest.",
    replace="last * (first / last) ** climb",
    by="(last * (first / last) ** climb).flip(0)",
)


@sigma_ladder.misconception(
    "You mixed two logarithms, a natural one on the way in and powers of ten on the way out; use exp with log, "
    "because 10** undoes log10 only.",
    name="two-logarithms",
)
def _(first, last, levels):
    ends = torch.tensor([first, last], dtype=torch.float64).log()
    if levels == 1:
        return 10 ** ends[1:]
    return torch.logspace(float(ends[0]), float(ends[1]), levels, dtype=torch.float64)


@sigma_ladder.misconception(
    "Your ladder ends one level too early; L levels have L − 1 ratios between them, because `last` is one of the "
    "levels.",
    name="last-left-out",
)
def _(first, last, levels):
    if levels == 1:
        return torch.tensor([last], dtype=torch.float64)
    return first * (last / first) ** (torch.arange(levels, dtype=torch.float64) / levels)


@sigma_ladder.misconception(
    "You gave the first σ where there is one level alone; return `last`, because samples are wanted at the least "
    "noise.",
    name="one-level-is-the-first",
)
def _(first, last, levels):
    down = torch.arange(levels, dtype=torch.float64) / max(levels - 1, 1)
    return first * (last / first) ** down


sigma_ladder.mistake(
    "variances",
    "You returned the variances σ²; the levels of a ladder are the standard deviations σ, because noise is added as σ "
    "z.",
    replace="last * (first / last) ** climb",
    by="(last * (first / last) ** climb) ** 2",
)


@sigma_ladder.also_correct
def _(first, last, levels):
    ends = torch.tensor([first, last], dtype=torch.float64).log()
    if levels == 1:
        return ends[1:].exp()
    return torch.linspace(*ends.tolist(), levels, dtype=torch.float64).exp()


@sigma_ladder.also_correct
def _(first, last, levels):
    rungs = [last]
    for _ in range(levels - 1):
        rungs.append(rungs[-1] * (first / last) ** (1 / (levels - 1)))
    return torch.tensor(rungs[::-1], dtype=torch.float64)
