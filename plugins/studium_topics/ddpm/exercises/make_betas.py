import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=10,
    hints=(
        "In the cosine schedule, f is the signal that is left after a share u of the steps. Which two values of f "
        "does one step compare?",
        "You can make both schedules without a loop: T equally spaced numbers for one, T + 1 for the other.",
        "The T + 1 values of f give T quotients of neighbours; the clipping comes last and is the same for both "
        "schedules.",
        "`torch.linspace(first, last, n, dtype=torch.float64)`, `f[1:] / f[:-1]` and `clamp(max=0.999)`.",
    ),
    level="core",
    importance=2,
)
def make_betas(kind: str, T: int) -> Tensor:
    """Return the noise schedule of T >= 2 steps, as a float64 tensor betas (T,).

    * kind "linear": equally spaced from 0.0001 to 0.02, both ends included, times 1000 / T
    * kind "cosine": betas[t] = 1 - f((t + 1) / T) / f(t / T), with f(u) = cos²(π/2 · (u + 0.008) / 1.008)

    In both, a beta above 0.999 becomes 0.999.
    """
    ### BEGIN SOLUTION
    if kind == "linear":
        betas = 1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    else:
        u = torch.linspace(0, 1, T + 1, dtype=torch.float64)  # (T + 1,)
        f = ((u + 0.008) / 1.008 * math.pi / 2).cos() ** 2
        betas = 1 - f[1:] / f[:-1]
    return betas.clamp(max=0.999)
    ### END SOLUTION


@make_betas.test("gives the paper's linear schedule for T = 1000", points=1)
def _(make_betas):
    betas = make_betas("linear", 1000)
    assert tuple(betas.shape) == (1000,), f"one beta per step is expected, shape (1000,), got {tuple(betas.shape)}"
    assert "float64" in str(betas.dtype), f"the table is expected in float64, got {betas.dtype}"
    assert_close([betas[0], betas[-1]], [1e-4, 0.02], rtol=1e-6, atol=0, message="first and last beta")


@make_betas.hidden("gives linear schedules of any length, scaled and clipped", points=1)
def _(make_betas):
    for T in (2, 7, 20, 150, 1000, 4000):
        expected = [min(0.999, (1e-4 + (0.02 - 1e-4) * t / (T - 1)) * 1000 / T) for t in range(T)]
        expected = torch.tensor(expected, dtype=torch.float64)
        assert_close(make_betas("linear", T), expected, rtol=1e-9, atol=1e-12, message=f"linear betas for T = {T}")


@make_betas.hidden("gives cosine schedules whose signal follows a squared cosine", points=1)
def _(make_betas):
    for T in (4, 9, 100, 1000):
        level = [math.cos(math.pi / 2 * (t / T + 0.008) / 1.008) ** 2 for t in range(T + 1)]
        expected = torch.tensor([min(0.999, 1 - level[t + 1] / level[t]) for t in range(T)], dtype=torch.float64)
        betas = make_betas("cosine", T)
        assert "float64" in str(betas.dtype), f"the table is expected in float64, got {betas.dtype}"
        assert_close(betas, expected, rtol=1e-8, atol=1e-12, message=f"cosine betas for T = {T}")


@make_betas.misconception(
    "You did not clip the betas; cap them at 0.999, or the samplers divide by zero: linear betas scaled by 1000 / T "
    "exceed 1 for T below 20, and the last cosine beta is 1, because its signal ends at exactly 0.",
    name="not-clipped",
)
def _(kind, T):
    if kind == "linear":
        return 1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    f = ((torch.linspace(0, 1, T + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return 1 - f[1:] / f[:-1]


@make_betas.misconception(
    "You left the linear schedule unscaled; multiply it by 1000 / T, because the range from 0.0001 to 0.02 is meant "
    "for T = 1000, and with few steps the data would never turn into noise.",
    name="not-scaled",
)
def _(kind, T):
    if kind == "linear":
        return torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    f = ((torch.linspace(0, 1, T + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)


@make_betas.misconception(
    "You used the cosine curve as beta itself; compare two neighbours on the curve, because it describes the signal "
    "left after all steps so far, and a beta is the share that one step destroys.",
    name="cosine-as-beta",
)
def _(kind, T):
    if kind == "linear":
        return (1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)).clamp(max=0.999)
    u = torch.arange(1, T + 1, dtype=torch.float64) / T
    f = ((u + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return (1 - f).clamp(max=0.999)


@make_betas.misconception(
    "You left out the cosine schedule's offset of 0.008; use f(u) = cos²(π/2 · (u + 0.008) / 1.008), because cos² is "
    "flat at 0 and the first betas would be too small.",
    name="no-offset",
)
def _(kind, T):
    if kind == "linear":
        return (1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)).clamp(max=0.999)
    f = (torch.linspace(0, 1, T + 1, dtype=torch.float64) * math.pi / 2).cos() ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)


@make_betas.also_correct
def _(kind, T):
    betas = []
    for t in range(T):
        if kind == "linear":
            beta = (1e-4 + (0.02 - 1e-4) * t / (T - 1)) * (1000 / T)
        else:
            left, right = ((k / T + 0.008) / 1.008 * math.pi / 2 for k in (t, t + 1))
            beta = 1 - (math.cos(right) / math.cos(left)) ** 2
        betas.append(min(beta, 0.999))
    return torch.tensor(betas, dtype=torch.float64)
