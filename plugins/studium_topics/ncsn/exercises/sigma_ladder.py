import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=6,
    hints=(
        "What do equal ratios become when you take logarithms?",
        "Go from one end to the other in equal steps of the exponent.",
        "L levels have L − 1 steps between them; a single level has none.",
        "`last * (first / last) ** u` for u from 1 down to 0.",
    ),
    level="warm-up",
    importance=2,
)
def sigma_ladder(first: float, last: float, levels: int) -> Tensor:
    """Return the noise levels of a ladder: each level is smaller than the one before by the same ratio.

    * first > last > 0: the largest and the smallest σ; both are on the ladder
    * levels: L, 1 or more; a ladder with a single level is just `last`, because we want samples at that noise
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
    "You spaced the levels evenly, which puts nearly all of them at high noise and leaves wide gaps at the low end; "
    "keep the ratio of neighbouring levels constant instead of their difference.",
    name="evenly-spaced",
)
def _(first, last, levels):
    if levels == 1:
        return torch.tensor([last], dtype=torch.float64)
    return torch.linspace(first, last, levels, dtype=torch.float64)


sigma_ladder.mistake(
    "upwards",
    "Your ladder goes up; start at the largest σ, where the density has a single mode, and come down to the smallest.",
    replace="last * (first / last) ** climb",
    by="(last * (first / last) ** climb).flip(0)",
)


@sigma_ladder.misconception(
    "You mixed two logarithms: you took natural logarithms and then raised 10 to them. Use exp to undo log; 10** only "
    "undoes log10.",
    name="two-logarithms",
)
def _(first, last, levels):
    ends = torch.tensor([first, last], dtype=torch.float64).log()
    if levels == 1:
        return 10 ** ends[1:]
    return torch.logspace(float(ends[0]), float(ends[1]), levels, dtype=torch.float64)


@sigma_ladder.misconception(
    "Your ladder stops one level too early; `last` is one of the levels, so L levels have only L − 1 ratios between "
    "them.",
    name="last-left-out",
)
def _(first, last, levels):
    if levels == 1:
        return torch.tensor([last], dtype=torch.float64)
    return first * (last / first) ** (torch.arange(levels, dtype=torch.float64) / levels)


@sigma_ladder.misconception(
    "With a single level you returned the first σ; return `last`, because we want samples at the least noise.",
    name="one-level-is-the-first",
)
def _(first, last, levels):
    down = torch.arange(levels, dtype=torch.float64) / max(levels - 1, 1)
    return first * (last / first) ** down


sigma_ladder.mistake(
    "variances",
    "You returned the variances σ²; return the standard deviations σ, because the noise we add is σ z.",
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
