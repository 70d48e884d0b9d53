import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=6,
    hints=(
        "The table holds shares of the variance. To multiply the variance of a number by abar, by which factor do you "
        "multiply the number?",
        "Each row has its own level, so each of the two factors is one number per row.",
        "`abar[t]` has the shape (B,); to multiply x0 (B, *), it needs the shape (B, 1, …, 1).",
        "`abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)`.",
    ),
    level="warm-up",
    importance=3,
)
def q_sample(x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Return the clean batch x0, noised in one jump, each row to the level of its own t.

    * x0, eps: (B, *), where * is any number of axes; eps is standard normal noise
    * t: (B,) long, rows of the table
    * abar: (T,) float64, the share of the variance that is signal
    * returns: (B, *) in the dtype of x0, with shares abar[t] of x0 and 1 - abar[t] of eps in the variance

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)  # (B, 1, ...)
    return level.sqrt() * x0 + (1 - level).sqrt() * eps
    ### END SOLUTION


@q_sample.test("mixes signal and noise of each row by its own t", points=1)
def _(q_sample):
    abar = torch.tensor([0.64, 0.0784], dtype=torch.float64)
    x0, eps = torch.tensor([[10.0, 20.0, 30.0], [10.0, 20.0, 30.0]]), torch.ones(2, 3)
    xt = q_sample(x0, torch.tensor([0, 1]), eps, abar)
    expected = torch.tensor([[8.6, 16.6, 24.6], [3.76, 6.56, 9.36]])  # 0.8 x0 + 0.6 eps, 0.28 x0 + 0.96 eps
    assert_close(xt, expected, rtol=1e-4, atol=1e-4, message="row 0 at t = 0 and row 1 at t = 1")
    assert xt.dtype == x0.dtype, f"the result is expected in the dtype of x0, float32, got {xt.dtype}"


@q_sample.hidden("works for points, sequences and images, and leaves its arguments alone", points=1)
def _(q_sample, rng):
    abar = torch.cumprod(1 - 0.3 * torch.rand(6, generator=rng, dtype=torch.float64), 0)
    for shape in ((5, 3), (3, 2, 4), (4, 2, 3, 5)):
        x0, eps = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        t = torch.randint(0, 6, shape[:1], generator=rng)
        kept = [x0.clone(), t.clone(), eps.clone(), abar.clone()]
        expected = torch.stack(
            [abar[k] ** 0.5 * a + (1 - abar[k]) ** 0.5 * b for k, a, b in zip(t, x0, eps, strict=True)]
        )
        xt = q_sample(x0, t, eps, abar)
        assert_close(xt, expected, rtol=1e-4, atol=1e-5, message=f"x0 of shape {shape}")
        assert xt.dtype == x0.dtype, f"the result is expected in the dtype of x0, float64, got {xt.dtype}"
        assert_close([x0, t, eps, abar], kept, message="the arguments after the call")


@q_sample.hidden("gives each row, not each column, its own level where both have the same length", points=1)
def _(q_sample, rng):
    abar = torch.linspace(0.9, 0.1, 4, dtype=torch.float64)
    x0, eps = (torch.randn(4, 4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([2, 0, 3, 1])
    expected = torch.einsum("b,bij->bij", abar[t] ** 0.5, x0) + torch.einsum("b,bij->bij", (1 - abar[t]) ** 0.5, eps)
    assert_close(q_sample(x0, t, eps, abar), expected, rtol=1e-4, atol=1e-5, message="t = [2, 0, 3, 1], 4 × 4 × 4")


q_sample.mistake(
    "no-roots",
    "You mixed with abar and 1 - abar themselves; take their square roots, because it is the variances that must add "
    "up to 1, and a variance grows with the square of the factor.",
    replace="level.sqrt() * x0 + (1 - level).sqrt() * eps",
    by="level * x0 + (1 - level) * eps",
)

q_sample.mistake(
    "root-inside",
    "You scaled the noise by 1 - sqrt(abar); scale it by sqrt(1 - abar), because only then do the variances of signal "
    "and noise add up to 1.",
    replace="(1 - level).sqrt()",
    by="(1 - level.sqrt())",
)

q_sample.mistake(
    "level-by-column",
    "You let `abar[t]` broadcast along the last axis; give it the shape (B, 1, ..., 1), because its B numbers belong "
    "to the rows, and each example has its own t.",
    replace="level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)  # (B, 1, ...)",
    by="level = abar[t].to(x0.dtype)",
)

q_sample.mistake(
    "factors-swapped",
    "You swapped the two factors; abar is the share of the signal, because it starts near 1, where the data are "
    "still almost clean, and falls towards 0.",
    replace="level.sqrt() * x0 + (1 - level).sqrt() * eps",
    by="(1 - level).sqrt() * x0 + level.sqrt() * eps",
)

q_sample.mistake(
    "row-before",
    "You used `abar[t - 1]`; use `abar[t]`, because t already counts the rows of the table from 0 (and row -1 is the "
    "noisiest level, not the cleanest).",
    replace="level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)  # (B, 1, ...)",
    by="level = abar[t - 1].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)",
)


@q_sample.also_correct
def _(x0, t, eps, abar):
    rows = [math.sqrt(abar[k]) * a + math.sqrt(1 - abar[k]) * b for k, a, b in zip(t, x0, eps, strict=True)]
    return torch.stack(rows)
