"""The exercises of DDPM: schedule, forward process, loss, posterior and the two samplers.

Conventions (Ho et al. 2020, arXiv 2006.11239, counted from 0 as diffusers does): t = 0..T-1, alpha_t = 1 - beta_t,
abar_t = prod_{s<=t} alpha_s, abar_{-1} = 1, x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps. Nothing is clipped but beta.
"""

import itertools
import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=12,
    hints=(
        "`torch.linspace(first, last, T, dtype=torch.float64)` is most of the linear schedule; multiply by 1000 / T.",
        "For cosine, evaluate f at the T + 1 points 0, 1/T, ..., 1. Which two neighbours does beta_t compare?",
        "beta_t = 1 - f((t + 1)/T) / f(t/T), and `clamp(max=0.999)` finishes both schedules.",
    ),
)
def make_betas(kind: str, T: int) -> Tensor:
    """Give the noise schedule beta_0 ... beta_{T-1}.

    kind is "linear" or "cosine"; T >= 2 is the number of steps. Returns (T,), computed in float64 throughout.

    "linear": equally spaced from 0.0001 to 0.02 (both ends included), times 1000 / T, so that fewer steps are larger.

    "cosine": beta_t = 1 - f((t + 1) / T) / f(t / T) with f(u) = cos²(π/2 · (u + 0.008) / 1.008).

    In both, no beta may exceed 0.999: clip larger ones to 0.999.
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
    "You did not clip; linear betas scaled by 1000 / T pass 1 for T below 20, and the last cosine beta is 1, because "
    "its signal ends at exactly 0: the samplers would then divide by zero, so no beta may exceed 0.999."
)
def _(kind, T):
    if kind == "linear":
        return 1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    f = ((torch.linspace(0, 1, T + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return 1 - f[1:] / f[:-1]


@make_betas.misconception(
    "You left the linear schedule unscaled; with few steps the data would never turn into noise, because 0.0001 to "
    "0.02 is meant for T = 1000: multiply by 1000 / T."
)
def _(kind, T):
    if kind == "linear":
        return torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    f = ((torch.linspace(0, 1, T + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)


@make_betas.misconception(
    "You took the cosine curve for beta itself; it describes the signal that is left after all steps so far (abar), "
    "because beta_t is the part that one step destroys: beta_t = 1 - f((t + 1)/T) / f(t/T)."
)
def _(kind, T):
    if kind == "linear":
        return (1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)).clamp(max=0.999)
    u = torch.arange(1, T + 1, dtype=torch.float64) / T
    f = ((u + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return (1 - f).clamp(max=0.999)


@make_betas.misconception(
    "You dropped the offset 0.008 of the cosine; the first betas become too small, because cos² is flat at 0: "
    "f(u) = cos²(π/2 · (u + 0.008) / 1.008)."
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


@exercise(
    points=3,
    minutes=10,
    hints=(
        "`abar[t]` is one number per row, shape (B,). What shape must it have to multiply x0 (B, *)?",
        "`abar[t].view(-1, *[1] * (x0.ndim - 1))` has the axes of x0; then cast it to x0's dtype.",
        "The two factors are square roots, because the *variances* abar and 1 - abar add up to 1.",
    ),
)
def q_sample(x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Jump from clean data straight to noise level t: x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps.

    x0 and eps (B, *), where * is any number of further axes; t (B,) long in 0..T-1, each row with its own level;
    abar (T,) float64. Returns x_t (B, *) in the dtype of x0. Leave the arguments as they are.
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
    assert xt.dtype == x0.dtype, f"x_t is expected in the dtype of x0, float32, got {xt.dtype}"


@q_sample.hidden("works for points, sequences and images, and leaves its arguments alone", points=1)
def _(q_sample, rng):
    abar = torch.cumprod(1 - 0.3 * torch.rand(6, generator=rng, dtype=torch.float64), 0)
    for shape in ((5, 3), (3, 2, 4), (4, 2, 3, 5)):
        x0, eps = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        t = torch.randint(0, 6, shape[:1], generator=rng)
        kept = x0.clone(), t.clone(), eps.clone()
        expected = torch.stack(
            [abar[k] ** 0.5 * a + (1 - abar[k]) ** 0.5 * b for k, a, b in zip(t, x0, eps, strict=True)]
        )
        xt = q_sample(x0, t, eps, abar)
        assert_close(xt, expected, rtol=1e-4, atol=1e-5, message=f"x0 of shape {shape}")
        assert xt.dtype == x0.dtype, f"x_t is expected in the dtype of x0, float64, got {xt.dtype}"
        assert_close([x0, t, eps], list(kept), message="the arguments after the call")


@q_sample.hidden("gives each row, not each column, its own level where both have the same length", points=1)
def _(q_sample, rng):
    abar = torch.linspace(0.9, 0.1, 4, dtype=torch.float64)
    x0, eps = (torch.randn(4, 4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([2, 0, 3, 1])
    expected = torch.einsum("b,bij->bij", abar[t] ** 0.5, x0) + torch.einsum("b,bij->bij", (1 - abar[t]) ** 0.5, eps)
    assert_close(q_sample(x0, t, eps, abar), expected, rtol=1e-4, atol=1e-5, message="t = [2, 0, 3, 1], 4 × 4 × 4")


@q_sample.misconception(
    "You mixed with abar and 1 - abar themselves; take their square roots, because it is the variances that must add "
    "up to 1, and a variance grows with the square of the factor."
)
def _(x0, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return level * x0 + (1 - level) * eps


@q_sample.misconception(
    "You scaled the noise by 1 - sqrt(abar); it must be sqrt(1 - abar), because only then do the variances of signal "
    "and noise add up to 1."
)
def _(x0, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return level.sqrt() * x0 + (1 - level.sqrt()) * eps


@q_sample.misconception(
    "You let `abar[t]` broadcast along the last axis; its B numbers belong to the rows, because each example has its "
    "own t: give it the shape (B, 1, ..., 1)."
)
def _(x0, t, eps, abar):
    level = abar[t].to(x0.dtype)
    return level.sqrt() * x0 + (1 - level).sqrt() * eps


@q_sample.misconception(
    "You swapped the two factors; abar is the share of the signal, because it starts near 1, where the data are still "
    "clean, and falls to 0."
)
def _(x0, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return (1 - level).sqrt() * x0 + level.sqrt() * eps


@q_sample.misconception(
    "You used `abar[t - 1]`; with t counted from 0, abar_t is `abar[t]`, because one step has been taken at t = 0 "
    "already (and index -1 is the noisiest level, not the cleanest)."
)
def _(x0, t, eps, abar):
    level = abar[t - 1].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return level.sqrt() * x0 + (1 - level).sqrt() * eps


@q_sample.also_correct
def _(x0, t, eps, abar):
    rows = [math.sqrt(abar[k]) * a + math.sqrt(1 - abar[k]) * b for k, a, b in zip(t, x0, eps, strict=True)]
    return torch.stack(rows)


@exercise(
    points=3,
    minutes=8,
    hints=(
        "Three lines: make x_t with your `q_sample`, ask the model, compare with the noise that you used.",
        "The model is called as `model(x_t, t)`, with the whole vector t (B,).",
    ),
)
def ddpm_loss(model: Callable[[Tensor, Tensor], Tensor], x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Give the simplified training loss: how well the model guesses the noise eps that is in x_t.

    model(x_t, t) takes the noisy batch (B, *) and t (B,) and gives a tensor (B, *); call it once. x0 and eps (B, *);
    t (B,) long; abar (T,) float64. Returns the squared error between the model's answer and eps, averaged over *all*
    elements: a tensor with one number, through which gradients reach the model. You may call `q_sample`.
    """
    ### BEGIN SOLUTION
    predicted = model(q_sample(x0, t, eps, abar), t)
    return (predicted - eps).square().mean()
    ### END SOLUTION


@ddpm_loss.test("is the mean of eps² for a model that always answers 0", points=1)
def _(ddpm_loss):
    eps = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    abar = torch.tensor([0.9, 0.5], dtype=torch.float64)
    loss = ddpm_loss(lambda x, t: torch.zeros_like(x), torch.ones(2, 3), torch.tensor([1, 0]), eps, abar)
    assert_close(loss, torch.tensor(91 / 6), rtol=1e-4, atol=1e-5, message="(1 + 4 + 9 + 16 + 25 + 36) / 6")


@ddpm_loss.hidden("shows the model the noisy batch with the t of every row", points=1)
def _(ddpm_loss, rng):
    abar = torch.linspace(0.95, 0.05, 7, dtype=torch.float64)
    x0, eps = (torch.randn(5, 2, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    t, seen = torch.tensor([3, 6, 0, 4, 1]), []

    def model(x, level):
        seen.append((x, level))
        return 0.5 * x + level.to(x.dtype).mean()

    loss = ddpm_loss(model, x0, t, eps, abar)
    assert len(seen) == 1, f"one call of the model is expected, got {len(seen)}"
    xt = torch.stack([abar[k] ** 0.5 * a + (1 - abar[k]) ** 0.5 * b for k, a, b in zip(t, x0, eps, strict=True)])
    assert_close(seen[0][0], xt, rtol=1e-4, atol=1e-5, message="what the model saw as x_t")
    assert_close(seen[0][1], t, message="what the model saw as t")
    expected = ((0.5 * xt + t.double().mean() - eps) ** 2).sum() / 30
    assert_close(loss, expected, rtol=1e-4, atol=1e-5, message="the loss of a known model")


@ddpm_loss.hidden("falls to the irreducible loss for a perfect model, and has gradients", points=1)
def _(ddpm_loss, rng):
    # Data N(2, 0.25): the best guess of eps given x_t is known, and so is the error that it must make.
    abar = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    t = torch.randint(0, 3, (4000,), generator=rng)
    x0 = 2 + 0.5 * torch.randn(4000, 1, generator=rng, dtype=torch.float64)
    eps = torch.randn(4000, 1, generator=rng, dtype=torch.float64)
    share = torch.ones((), dtype=torch.float64, requires_grad=True)

    def perfect(x, level):
        signal = abar[level].view(-1, 1)
        return share * (1 - signal).sqrt() * (x - 2 * signal.sqrt()) / (0.25 * signal + 1 - signal)

    loss = ddpm_loss(perfect, x0, t, eps, abar)
    assert hasattr(loss, "requires_grad"), f"a tensor with one number is expected, got {type(loss).__name__}"
    floor = float((0.25 * abar[t] / (0.25 * abar[t] + 1 - abar[t])).mean())
    error = abs(float(loss.detach()) - floor) / floor
    assert error < 0.15, f"a perfect model should reach a loss near {floor:.4f}, got {float(loss.detach()):.4f}"
    assert loss.requires_grad, "gradients must reach the model: keep the loss a tensor, without detach or item"
    signal = abar[t].unsqueeze(1)
    guess = perfect(signal.sqrt() * x0 + (1 - signal).sqrt() * eps, t).detach()
    loss.backward()
    assert_close(share.grad, (2 * (guess - eps) * guess).mean(), rtol=1e-4, atol=1e-5, message="the gradient")


@ddpm_loss.misconception(
    "You drew new noise as the target; the target is the eps that is *in* x_t, because noise that the model has never "
    "seen cannot be predicted: the best answer would be 0."
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - torch.randn_like(eps)).square().mean()


@ddpm_loss.misconception(
    "You showed the model the clean x0; it must see the noisy x_t, because x_t is all it has when it samples."
)
def _(model, x0, t, eps, abar):
    return (model(x0, t) - eps).square().mean()


@ddpm_loss.misconception(
    "You gave the model one t for the whole batch; hand it the vector t, because every row was noised to its own level."
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t[0]) - eps).square().mean()


@ddpm_loss.misconception(
    "You compared with x0; this loss compares with eps, because the model of DDPM predicts the noise, not the picture."
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - x0).square().mean()


@ddpm_loss.misconception(
    "You summed the squared errors; take their mean over all elements, because otherwise the step size would depend "
    "on the batch and on the size of the picture."
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - eps).square().sum()


@ddpm_loss.also_correct
def _(model, x0, t, eps, abar):
    level = abar.index_select(0, t).reshape(len(t), *(1 for _ in x0.shape[1:])).type_as(x0)
    xt = torch.lerp(torch.zeros_like(x0), x0, level**0.5) + (1 - level) ** 0.5 * eps
    return torch.nn.functional.mse_loss(model(xt, t), eps)


@exercise(
    points=4,
    minutes=12,
    hints=(
        "You need alpha_t = 1 - beta_t, abar_t and abar_{t-1}. `torch.cumprod(1 - betas, 0)` gives all abar.",
        "At t = 0 there is no abar[-1] (Python would give you the *last* one): abar_{-1} is 1, nothing noised yet.",
        "mean = (sqrt(abar_{t-1}) β_t x̂0 + sqrt(α_t) (1 - abar_{t-1}) x_t) / (1 - abar_t), as the prompt says.",
    ),
)
def posterior(x0hat: Tensor, xt: Tensor, t: int, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Give mean and variance of q(x_{t-1} | x_t, x0): where the last noise step came from, if x0 were x0hat.

    x0hat and xt (B, *); t an int in 0..T-1, the same for the whole batch; betas (T,) float64, each in (0, 1).
    With alpha_t = 1 - beta_t, abar_t = alpha_0 · … · alpha_t and abar_{-1} = 1,

    mean = (sqrt(abar_{t-1}) · beta_t · x0hat + sqrt(alpha_t) · (1 - abar_{t-1}) · xt) / (1 - abar_t),

    variance = beta_t · (1 - abar_{t-1}) / (1 - abar_t).

    Returns the pair (mean (B, *), variance as one number). At t = 0 it is (x0hat, 0).
    """
    ### BEGIN SOLUTION
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t] * (1 - before) / (1 - abar[t])
    ### END SOLUTION


@posterior.test("is x0hat with no variance at t = 0", points=1)
def _(posterior):
    x0hat = torch.tensor([[1.0, -2.0]])
    mean, variance = posterior(x0hat, torch.tensor([[5.0, 5.0]]), 0, torch.tensor([0.1, 0.2], dtype=torch.float64))
    assert_close(mean, x0hat, rtol=1e-4, atol=1e-5, message="the mean at t = 0")
    assert abs(float(variance)) < 1e-6, f"the variance at t = 0 is expected to be 0, got {float(variance):g}"


@posterior.hidden("gives the mean that Bayes' rule gives, in the form with eps", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(6, generator=rng, dtype=torch.float64)
    for t in range(6):
        x0, eps = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(2))
        signal = float(torch.prod(1 - betas[: t + 1]))
        xt = signal**0.5 * x0 + (1 - signal) ** 0.5 * eps
        expected = (xt - betas[t] / (1 - signal) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        assert_close(posterior(x0, xt, t, betas)[0], expected, rtol=1e-4, atol=1e-5, message=f"the mean at t = {t}")


@posterior.hidden("gives the variance whose inverse adds what both neighbours know", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(6, generator=rng, dtype=torch.float64)
    x = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    for t in range(1, 6):
        before = float(torch.prod(1 - betas[:t]))
        precision = (1 - float(betas[t])) / float(betas[t]) + 1 / (1 - before)
        variance = float(posterior(x, -x, t, betas)[1])
        assert_close(variance, 1 / precision, rtol=1e-4, atol=1e-6, message=f"the variance at t = {t}")


@posterior.hidden("has no special case but t = 0, not even in a schedule of one step", points=1)
def _(posterior, rng):
    x0, xt = (torch.randn(2, 1, 3, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    kept = x0.clone(), xt.clone()
    for T in (1, 3):
        betas = 0.1 + 0.4 * torch.rand(T, generator=rng, dtype=torch.float64)
        mean, variance = posterior(x0, xt, 0, betas)
        assert_close(mean, x0, rtol=1e-4, atol=1e-5, message=f"the mean at t = 0 of T = {T}")
        assert abs(float(variance)) < 1e-6, f"the variance at t = 0 is expected to be 0, got {float(variance):g}"
    assert_close([x0, xt], list(kept), message="the arguments after the call")


@posterior.misconception(
    "You used abar_t where abar_{t-1} belongs; the posterior is about x_{t-1}, because it joins two facts: how noisy "
    "x_{t-1} was (abar_{t-1}) and what one more step did (beta_t)."
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    mean = abar[t].sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - abar[t]) * xt
    return mean / (1 - abar[t]), betas[t]


@posterior.misconception(
    "You returned beta_t as the variance; that of the posterior is smaller, beta_t (1 - abar_{t-1}) / (1 - abar_t), "
    "because knowing x0 leaves less doubt about x_{t-1}."
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t]


@posterior.misconception(
    "You read `abar[t - 1]` at t = 0 as well; Python takes index -1 for the *last* entry, the noisiest level, because "
    "it counts from the end: abar_{-1} is 1."
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1]
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t] * (1 - before) / (1 - abar[t])


@posterior.misconception(
    "You returned the standard deviation; the second value is the variance, because that is what adds up over steps: "
    "leave out the square root."
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), (betas[t] * (1 - before) / (1 - abar[t])).sqrt()


@posterior.misconception(
    "You took the cumulative product of the betas; abar is the product of the alphas, because each step keeps the "
    "share 1 - beta of the signal."
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t] * (1 - before) / (1 - abar[t])


@posterior.also_correct
def _(x0hat, xt, t, betas):
    levels = [1.0]
    for beta in betas.tolist():
        levels.append(levels[-1] * (1 - beta))
    before, now, alpha = levels[t], levels[t + 1], levels[t + 1] / levels[t]
    return [
        (math.sqrt(before) * (1 - alpha) * x0hat + math.sqrt(alpha) * (1 - before) * xt) / (1 - now),
        (1 - alpha) * (1 - before) / (1 - now),
    ]


@exercise(
    points=4,
    minutes=12,
    hints=(
        "First remove the predicted noise: xt - beta_t / sqrt(1 - abar_t) · eps. Then undo *one* shrinking.",
        "One step multiplied the signal by sqrt(alpha_t), not by sqrt(abar_t).",
        "var is a variance; z has variance 1. And after the last step, t = 0, there is no noise left to leave in.",
    ),
)
def p_step(eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: float | Tensor) -> Tensor:
    """Take one step of the DDPM sampler, from x_t to x_{t-1} (algorithm 2 of the paper).

    eps (B, *) the model's prediction of the noise in xt (B, *); t an int in 0..T-1, the same for the whole batch;
    z (B, *) fresh standard normal noise; betas (T,) float64; var >= 0 one number, the variance of the noise to add.
    With alpha_t = 1 - beta_t and abar_t = alpha_0 · … · alpha_t,

    mean = (xt - beta_t / sqrt(1 - abar_t) · eps) / sqrt(alpha_t).

    Returns x_{t-1} (B, *): for t > 0 the mean plus noise of variance var made from z; at t = 0 the mean alone,
    whatever z and var are. Nothing is clipped.
    """
    ### BEGIN SOLUTION
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + var**0.5 * z if t > 0 else mean
    ### END SOLUTION


@p_step.test("gives the mean where z is 0", points=1)
def _(p_step):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # alpha 0.64, 0.25; abar 0.64, 0.16
    xt, eps, z = torch.tensor([[5.0, 1.0]]), torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)
    first = torch.tensor([[(5 - 0.6) / 0.8, (1 - 1.2) / 0.8]])
    assert_close(p_step(eps, xt, 0, z, betas, 0.3), first, rtol=1e-4, atol=1e-5, message="t = 0")
    second = torch.tensor([[(5 - 0.75 / 0.84**0.5) / 0.5, (1 - 1.5 / 0.84**0.5) / 0.5]])
    assert_close(p_step(eps, xt, 1, z, betas, 0.3), second, rtol=1e-4, atol=1e-5, message="t = 1")


@p_step.hidden("lands where Bayes' rule says, with noise of the variance asked for", points=1)
def _(p_step, rng):
    betas = 0.02 + 0.5 * torch.rand(5, generator=rng, dtype=torch.float64)
    for t in (4, 3, 2, 1):
        x0, eps, z = (torch.randn(4, 3, 2, generator=rng, dtype=torch.float64) for _ in range(3))
        now, before = (float(torch.prod(1 - betas[:k])) for k in (t + 1, t))
        xt = now**0.5 * x0 + (1 - now) ** 0.5 * eps
        pull = (1 - float(betas[t])) ** 0.5 / float(betas[t]) * xt + before**0.5 / (1 - before) * x0
        mean = pull / ((1 - float(betas[t])) / float(betas[t]) + 1 / (1 - before))
        for var in (0.0, 0.16, betas[t]):
            got = p_step(eps, xt, t, z, betas, var)
            assert_close(got, mean + float(var) ** 0.5 * z, rtol=1e-4, atol=1e-5, message=f"t = {t}, var = {var:.3g}")


@p_step.hidden("adds no noise in the last step", points=1)
def _(p_step, rng):
    betas = 0.1 + 0.3 * torch.rand(4, generator=rng, dtype=torch.float64)
    x0, eps, z = (torch.randn(2, 3, 2, 2, generator=rng, dtype=torch.float64) for _ in range(3))
    xt = (1 - betas[0]) ** 0.5 * x0 + betas[0] ** 0.5 * eps
    kept = eps.clone(), xt.clone(), z.clone()
    assert_close(p_step(eps, xt, 0, z, betas, betas[0]), x0, rtol=1e-4, atol=1e-5, message="x0 out of x_0 at t = 0")
    assert_close([eps, xt, z], list(kept), message="the arguments after the call")


@p_step.hidden("turns noise into Gaussian data with exactly the variance that theory predicts", points=1)
def _(p_step):
    # Data N(0, s2): the perfect eps is linear in x_t, so x and z of size 1 show how a step treats a variance.
    T, s2 = 30, torch.tensor([[1.0], [0.25], [0.01]], dtype=torch.float64)
    betas = 1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    x, z = (torch.tensor([pair] * 3, dtype=torch.float64) for pair in ([1.0, 0.0], [0.0, 1.0]))
    for kind in ("beta", "posterior"):
        variance, expected = torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        for t in reversed(range(T)):
            before = abar[t - 1] if t else torch.ones_like(abar[0])
            var = betas[t] if kind == "beta" else betas[t] * (1 - before) / (1 - abar[t])
            spread = abar[t] * s2 + 1 - abar[t]  # (3, 1)
            got = p_step((1 - abar[t]) ** 0.5 * x / spread, x, t, z, betas, var)
            variance = got[:, 0] ** 2 * variance + got[:, 1] ** 2
            factor = (1 - betas[t] / spread[:, 0]) / (1 - betas[t]) ** 0.5
            expected = factor**2 * expected + (var if t else 0)
        assert_close(variance, expected, rtol=1e-4, atol=1e-6, message=f"final variances with {kind} as var")


@p_step.misconception(
    "You divided by sqrt(abar_t); one step undoes one step, so divide by sqrt(alpha_t), because abar_t is the "
    "shrinking of all steps so far and the sample would grow without bound."
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar).sqrt() * eps) / abar.sqrt()
    return mean + var**0.5 * z if t > 0 else mean


@p_step.misconception(
    "You added noise in the last step; at t = 0 return the mean alone, because x_{-1} is the finished sample and "
    "nothing will ever remove that noise again."
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    return (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt() + var**0.5 * z


@p_step.misconception(
    "You multiplied z by the variance; multiply by its square root, because noise of size s has variance s²."
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + var * z if t > 0 else mean


@p_step.misconception(
    "You divided by sqrt(1 - alpha_t); it must be sqrt(1 - abar_t), because eps is the *total* noise in x_t, whose "
    "size is sqrt(1 - abar_t), not that of one step."
)
def _(eps, xt, t, z, betas, var):
    mean = (xt - betas[t].sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + var**0.5 * z if t > 0 else mean


@p_step.misconception(
    "You divided the noise by 1 - abar_t; take its square root, because sqrt(1 - abar_t) is how large the noise is."
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar) * eps) / (1 - betas[t]).sqrt()
    return mean + var**0.5 * z if t > 0 else mean


@p_step.misconception(
    "You left out the noise; add sqrt(var) z while t > 0, because the mean alone pulls all samples together and their "
    "variance comes out too small."
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    return (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt()


@p_step.also_correct
def _(eps, xt, t, z, betas, var):
    alpha = 1 - float(betas[t])
    now, before = math.prod((1 - betas[: t + 1]).tolist()), math.prod((1 - betas[:t]).tolist())
    x0hat = (xt - (1 - now) ** 0.5 * eps) / now**0.5
    mean = (before**0.5 * (1 - alpha) * x0hat + alpha**0.5 * (1 - before) * xt) / (1 - now)
    return mean + (t > 0) * math.sqrt(float(var)) * z


@exercise(
    points=2,
    minutes=6,
    hints=(
        "How far apart are n equally spaced steps out of T? Use whole-number division.",
        "`range(n)` times the stride, from the largest to 0.",
    ),
)
def ddim_steps(T: int, n: int) -> list[int]:
    """Choose n of the T timesteps for a shorter sampler, with "leading" spacing.

    1 <= n <= T. With the stride c = T // n (whole-number division) they are 0, c, 2c, …, (n - 1) c; returns these n
    ints from the largest to 0, in the order in which the sampler visits them.
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


@ddim_steps.misconception(
    "You took the first n timesteps; spread them over all T with the stride T // n, because x_T is pure noise and a "
    "sampler that starts at t = n - 1 would take noise for almost clean data."
)
def _(T, n):
    return list(reversed(range(n)))


@ddim_steps.misconception(
    "You ordered the steps upwards; the sampler runs from the largest t down to 0, because it starts at the noise."
)
def _(T, n):
    return [k * (T // n) for k in range(n)]


@ddim_steps.misconception(
    'You spread the steps from 0 to T - 1 with both ends included; that is "linspace" spacing, and "leading" takes '
    "the multiples of T // n, because its stride is the same everywhere."
)
def _(T, n):
    return [round(t) for t in torch.linspace(T - 1, 0, n, dtype=torch.float64).tolist()]


@ddim_steps.misconception(
    'You counted down from T - 1; that is "trailing" spacing, and "leading" ends at exactly 0, because its steps '
    "are the multiples of T // n."
)
def _(T, n):
    return [T - 1 - k * (T // n) for k in range(n)]


@ddim_steps.also_correct
def _(T, n):
    return (torch.arange(n) * (T // n)).flip(0)


@exercise(
    points=5,
    minutes=15,
    hints=(
        "First the model's guess of the clean data: x0hat = (xt - sqrt(1 - abar_t) eps) / sqrt(abar_t).",
        "If t_prev is negative, abar_prev is 1. `abar[-1]` is something else.",
        "The three terms: sqrt(abar_prev) x0hat, eps with the variance left, 1 - abar_prev - sigma², and sigma z.",
    ),
)
def ddim_step(eps: Tensor, xt: Tensor, t: int, t_prev: int, abar: Tensor, eta: float, z: Tensor) -> Tensor:
    """Take one step of the DDIM sampler, from x_t to x at the earlier timestep t_prev (equation 12 of the paper).

    eps (B, *) the model's prediction of the noise in xt (B, *); ints t > t_prev >= -1, where t_prev = -1 means clean
    data: abar_{-1} = 1; abar (T,) float64; eta in [0, 1]; z (B, *) fresh standard normal noise. With
    x0hat = (xt - sqrt(1 - abar_t) eps) / sqrt(abar_t), not clipped, and

    sigma² = eta² · (1 - abar_prev) / (1 - abar_t) · (1 - abar_t / abar_prev),

    returns sqrt(abar_prev) · x0hat + sqrt(1 - abar_prev - sigma²) · eps + sigma · z, of shape (B, *).
    """
    ### BEGIN SOLUTION
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z
    ### END SOLUTION


@ddim_step.test("moves along the noise and ignores z where eta is 0", points=1)
def _(ddim_step):
    abar = torch.tensor([0.64, 0.36], dtype=torch.float64)
    x0, eps = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 3.0]])
    got = ddim_step(eps, 0.6 * x0 + 0.8 * eps, 1, 0, abar, 0.0, torch.full((1, 2), 100.0))
    assert_close(got, 0.8 * x0 + 0.6 * eps, rtol=1e-4, atol=1e-4, message="from t = 1 to t_prev = 0")


@ddim_step.hidden("gives x0hat in the last step", points=1)
def _(ddim_step, rng):
    abar = torch.linspace(0.9, 0.1, 5, dtype=torch.float64)
    for t, eta in ((0, 0.0), (0, 1.0), (2, 0.7), (4, 0.0)):
        x0, eps, z = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(3))
        xt = abar[t] ** 0.5 * x0 + (1 - abar[t]) ** 0.5 * eps
        got = ddim_step(eps, xt, t, -1, abar, eta, z)
        assert_close(got, x0, rtol=1e-4, atol=1e-5, message=f"t = {t}, t_prev = -1, eta = {eta}")


@ddim_step.hidden("jumps over any number of steps without noise", points=1)
def _(ddim_step, rng):
    abar = torch.cumprod(1 - 0.3 * torch.rand(8, generator=rng, dtype=torch.float64), 0)
    for t, before in ((7, 3), (5, 0), (2, 1)):
        x0, eps, z = (torch.randn(2, 5, generator=rng, dtype=torch.float64) for _ in range(3))
        xt, expected = (abar[k] ** 0.5 * x0 + (1 - abar[k]) ** 0.5 * eps for k in (t, before))
        kept = xt.clone()
        got = ddim_step(eps, xt, t, before, abar, 0.0, z)
        assert_close(got, expected, rtol=1e-4, atol=1e-5, message=f"t = {t}, t_prev = {before}, eta = 0")
        assert_close(xt, kept, message="xt after the call")


@ddim_step.hidden("is the DDPM step with the posterior's variance where eta is 1 and no step is skipped", points=1)
def _(ddim_step, rng):
    betas = 0.02 + 0.4 * torch.rand(6, generator=rng, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    for t in range(1, 6):
        eps, xt, z = (torch.randn(3, 2, generator=rng, dtype=torch.float64) for _ in range(3))
        mean = (xt - betas[t] / (1 - abar[t]) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        variance = betas[t] * (1 - abar[t - 1]) / (1 - abar[t])
        got = ddim_step(eps, xt, t, t - 1, abar, 1.0, z)
        assert_close(got, mean + variance**0.5 * z, rtol=1e-4, atol=1e-5, message=f"t = {t}, eta = 1")


@ddim_step.hidden("keeps the noise level right for every eta", points=1)
def _(ddim_step, rng):
    abar = torch.cumprod(1 - 0.05 - 0.3 * torch.rand(8, generator=rng, dtype=torch.float64), 0)
    for t, before, eta in ((7, 2, 0.3), (6, 5, 0.8), (4, 1, 0.5)):
        x0, eps, z = (torch.randn(2, 3, 2, generator=rng, dtype=torch.float64) for _ in range(3))
        now, earlier = float(abar[t]), float(abar[before])
        kept = now / earlier  # the share of the signal that the steps in between leave
        sigma = eta * (1 / (kept / (1 - kept) + 1 / (1 - earlier))) ** 0.5
        expected = earlier**0.5 * x0 + (1 - earlier - sigma**2) ** 0.5 * eps + sigma * z
        got = ddim_step(eps, now**0.5 * x0 + (1 - now) ** 0.5 * eps, t, before, abar, eta, z)
        assert_close(got, expected, rtol=1e-4, atol=1e-5, message=f"t = {t}, t_prev = {before}, eta = {eta}")


@ddim_step.misconception(
    "You read `abar[t_prev]` for t_prev = -1 too; Python gives the *last* entry, the noisiest level, because it counts "
    "from the end: abar_{-1} is 1."
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev]
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You ended at abar[0]; the step to t_prev = -1 goes to abar = 1, because t = 0 still holds the noise of one step."
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[max(t_prev, 0)]
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You left sigma² out under the square root; the predicted noise must shrink by what z adds, because together they "
    "have to keep the variance 1 - abar_prev."
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You multiplied the variance by eta; sigma itself is proportional to eta, so the variance carries eta², because "
    "eta scales the noise that is added."
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You ignored eta; it decides how much fresh noise z comes in, because eta = 1 is DDPM and eta = 0 is the "
    "deterministic path."
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    return before.sqrt() * x0hat + (1 - before).sqrt() * eps


@ddim_step.misconception(
    "You assumed that no step was skipped (`abar[t - 1]`); use abar at t_prev, because DDIM may jump over many steps."
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t - 1] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z


@ddim_step.also_correct
def _(eps, xt, t, t_prev, abar, eta, z):
    levels = [1.0, *abar.tolist()]
    now, before = levels[t + 1], levels[t_prev + 1]
    sigma = eta * math.sqrt((1 - before) / (1 - now)) * math.sqrt(1 - now / before)
    direction = math.sqrt(max(1 - before - sigma * sigma, 0.0)) * eps
    x0hat = (xt - math.sqrt(1 - now) * eps) / math.sqrt(now)
    return math.sqrt(before) * x0hat + direction + sigma * z
