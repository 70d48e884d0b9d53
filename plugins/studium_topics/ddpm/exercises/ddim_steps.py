import itertools

import torch
from studium import exercise


@exercise(
    points=2,
    minutes=5,
    hints=(
        "How far apart are n equally spaced rows out of T, if the distance is a whole number?",
        "They are the first n multiples of the distance T // n, visited from the largest down to 0.",
        "`reversed(range(n))`.",
    ),
    level="warm-up",
    importance=1,
)
def ddim_steps(T: int, n: int) -> list[int]:
    """Return the n rows out of T that a shorter sampler visits, as a list of ints, with "leading" spacing.

    With the stride c = T // n they are 0, c, 2c, …, (n - 1) c, but in the order of the sampler: from the largest down
    to 0. 1 <= n <= T.
    """
    ### BEGIN SOLUTION
    return [k * (T // n) for k in reversed(range(n))]
    ### END SOLUTION


@ddim_steps.test("takes every 250th of 1000 steps", points=1)
def _(ddim_steps):
    steps = [int(t) for t in ddim_steps(1000, 4)]
    assert steps == [750, 500, 250, 0], f"[750, 500, 250, 0] is expected for T = 1000 and n = 4, got {steps}"


@ddim_steps.hidden("spaces the steps for any T and n", points=1)
def _(ddim_steps):
    for T, n in ((1000, 50), (12, 12), (100, 1), (10, 4), (7, 3), (50, 30)):
        steps = [int(t) for t in ddim_steps(T, n)]
        assert len(steps) == n, f"n = {n} steps are expected for T = {T}, got {len(steps)}"
        assert steps[-1] == 0, f"the last step is expected to be 0, got {steps[-1]} for T = {T}, n = {n}"
        gaps = {a - b for a, b in itertools.pairwise(steps)} or {T // n}
        assert gaps == {T // n}, f"every stride is expected to be {T // n} for T = {T}, n = {n}, got {sorted(gaps)}"


ddim_steps.mistake(
    "first-n",
    "You took the first n rows; spread them over all T with the stride T // n, because the sampler starts from pure "
    "noise and would treat that noise as almost clean data.",
    replace="[k * (T // n) for k in reversed(range(n))]",
    by="list(reversed(range(n)))",
)

ddim_steps.mistake(
    "upwards",
    "You listed the rows from the smallest to the largest; go from the largest down to 0, because the sampler starts "
    "with noise.",
    replace="reversed(range(n))",
    by="range(n)",
)

ddim_steps.mistake(
    "linspace",
    'You spread the steps from 0 to T - 1, including both ends, which is "linspace" spacing; for "leading" spacing '
    "take multiples of T // n, because its stride is the same everywhere.",
    replace="[k * (T // n) for k in reversed(range(n))]",
    by="[round(t) for t in torch.linspace(T - 1, 0, n, dtype=torch.float64).tolist()]",
)

ddim_steps.mistake(
    "trailing",
    'You counted down from T - 1, which is "trailing" spacing; "leading" spacing ends at exactly 0, because its '
    "steps are the multiples of T // n.",
    replace="[k * (T // n) for k in reversed(range(n))]",
    by="[T - 1 - k * (T // n) for k in range(n)]",
)


@ddim_steps.also_correct
def _(T, n):
    return (torch.arange(n) * (T // n)).flip(0)
