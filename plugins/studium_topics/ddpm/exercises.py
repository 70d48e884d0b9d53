"""The exercises of DDPM: schedule, noising, loss, posterior, sampler, the training loop, and the test bench.

The lesson numbers noise levels k = 1..T and calls the clean datum x_0. Tables in code start at row 0, so that t = k - 1
everywhere here: betas[t] and abar[t] are beta and alphabar of level t + 1 in Ho et al. 2020, arXiv 2006.11239; t = 0
is the cleanest noisy level, as in diffusers. Before row 0 all is signal. `xt` is a batch at the level of row t.
"""

import itertools
import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor, nn


@exercise(
    points=3,
    minutes=10,
    hints=(
        "In the cosine schedule f is the signal that is left after a share u of the steps. Which two values of f does "
        "one step compare?",
        "Both schedules can be made without a loop: T equally spaced numbers for the one, T + 1 for the other.",
        "The T + 1 values of f have T quotients of neighbours; the clipping comes last and serves both schedules.",
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
    "You did not clip; linear betas scaled by 1000 / T pass 1 for T below 20, and the last cosine beta is 1, because "
    "its signal ends at exactly 0: the samplers would then divide by zero, so no beta may exceed 0.999.",
    name="not-clipped",
)
def _(kind, T):
    if kind == "linear":
        return 1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    f = ((torch.linspace(0, 1, T + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return 1 - f[1:] / f[:-1]


@make_betas.misconception(
    "You left the linear schedule unscaled; with few steps the data would never turn into noise, because 0.0001 to "
    "0.02 is meant for T = 1000: multiply by 1000 / T.",
    name="not-scaled",
)
def _(kind, T):
    if kind == "linear":
        return torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
    f = ((torch.linspace(0, 1, T + 1, dtype=torch.float64) + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)


@make_betas.misconception(
    "You took the cosine curve for beta itself; it describes the signal that is left after all steps so far, and "
    "a beta is the part that one step destroys: compare two neighbours on the curve.",
    name="cosine-as-beta",
)
def _(kind, T):
    if kind == "linear":
        return (1000 / T * torch.linspace(1e-4, 0.02, T, dtype=torch.float64)).clamp(max=0.999)
    u = torch.arange(1, T + 1, dtype=torch.float64) / T
    f = ((u + 0.008) / 1.008 * math.pi / 2).cos() ** 2
    return (1 - f).clamp(max=0.999)


@make_betas.misconception(
    "You dropped the offset 0.008 of the cosine; the first betas become too small, because cos² is flat at 0: "
    "f(u) = cos²(π/2 · (u + 0.008) / 1.008).",
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


@exercise(
    points=3,
    minutes=6,
    hints=(
        "The table holds shares of the variance. Which factor on a number multiplies its variance by abar?",
        "Each row has a level of its own, so the two factors are one number per row.",
        "`abar[t]` has the shape (B,); to multiply x0 (B, *) it needs the shape (B, 1, …, 1).",
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
    * returns: (B, *) in the dtype of x0, with the share abar[t] of x0 and 1 - abar[t] of eps

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


@q_sample.misconception(
    "You mixed with abar and 1 - abar themselves; take their square roots, because it is the variances that must add "
    "up to 1, and a variance grows with the square of the factor.",
    name="no-roots",
)
def _(x0, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return level * x0 + (1 - level) * eps


@q_sample.misconception(
    "You scaled the noise by 1 - sqrt(abar); it must be sqrt(1 - abar), because only then do the variances of signal "
    "and noise add up to 1.",
    name="root-inside",
)
def _(x0, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return level.sqrt() * x0 + (1 - level.sqrt()) * eps


@q_sample.misconception(
    "You let `abar[t]` broadcast along the last axis; its B numbers belong to the rows, because each example has its "
    "own t: give it the shape (B, 1, ..., 1).",
    name="level-by-column",
)
def _(x0, t, eps, abar):
    level = abar[t].to(x0.dtype)
    return level.sqrt() * x0 + (1 - level).sqrt() * eps


@q_sample.misconception(
    "You swapped the two factors; abar is the share of the signal, because it starts near 1, where the data are "
    "still almost clean, and falls towards 0.",
    name="factors-swapped",
)
def _(x0, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return (1 - level).sqrt() * x0 + level.sqrt() * eps


@q_sample.misconception(
    "You used `abar[t - 1]`; t is the row of the table already, because rows are counted from 0 (and row -1 is "
    "the noisiest level, not the cleanest).",
    name="row-before",
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
    minutes=5,
    hints=(
        "Which noise can a model know that sees nothing but the noisy batch?",
        "Noise the batch, ask the model, and compare its answer with the noise that went in.",
        "The answer and eps have the shape (B, *); their squared differences become one number.",
        "`model(q_sample(x0, t, eps, abar), t)`.",
    ),
    level="warm-up",
    importance=3,
)
def ddpm_loss(model: Callable[[Tensor, Tensor], Tensor], x0: Tensor, t: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """Return the training loss: the squared error of the model's guess of eps, averaged over all elements.

    * model(x, t): called once, with the noisy batch (B, *) and t (B,); returns (B, *)
    * t: (B,) long; abar: (T,) float64
    * x0, eps: (B, *), the clean batch and the noise to add
    * returns: a tensor with one number, through which gradients reach the model

    You may call `q_sample`.
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
    assert_close(seen[0][0], xt, rtol=1e-4, atol=1e-5, message="the noisy batch that the model saw")
    assert_close(seen[0][1], t, message="the t that the model saw")
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
    "You compared with newly drawn noise; the target is the eps that went into the batch, because noise that the "
    "model has never seen cannot be predicted: the best answer would be 0.",
    name="fresh-target",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - torch.randn_like(eps)).square().mean()


@ddpm_loss.misconception(
    "You showed the model the clean x0; it must see the noisy batch, because that is all it has when it samples.",
    name="clean-input",
)
def _(model, x0, t, eps, abar):
    return (model(x0, t) - eps).square().mean()


@ddpm_loss.misconception(
    "You gave the model one t for the whole batch; hand it the vector t, because every row has its own level.",
    name="one-t",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t[0]) - eps).square().mean()


@ddpm_loss.misconception(
    "You compared with x0; this loss compares with eps, because the model of DDPM predicts the noise and not the "
    "image.",
    name="target-x0",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - x0).square().mean()


@ddpm_loss.misconception(
    "You summed the squared errors; take their mean over all elements, because otherwise the step size would "
    "depend on the batch and on the size of the image.",
    name="summed",
)
def _(model, x0, t, eps, abar):
    return (model(q_sample(x0, t, eps, abar), t) - eps).square().sum()


@ddpm_loss.also_correct
def _(model, x0, t, eps, abar):
    level = abar.index_select(0, t).reshape(len(t), *(1 for _ in x0.shape[1:])).type_as(x0)
    xt = torch.lerp(torch.zeros_like(x0), x0, level**0.5) + (1 - level) ** 0.5 * eps
    return torch.nn.functional.mse_loss(model(xt, t), eps)


@exercise(
    points=5,
    minutes=10,
    hints=(
        "Which two opinions about the cleaner batch are there, and how sure is each of them?",
        "The lesson has both formulas; k there is t + 1 here, so that ᾱ of level k - 1 is the row before t.",
        "You need three numbers: the beta of row t, abar of row t, and abar of the row before, 1 for t = 0.",
        "`torch.cumprod(1 - betas, 0)`, and `torch.ones_like(abar[0])` where there is no row before.",
    ),
    level="core",
    importance=3,
)
def posterior(x0hat: Tensor, xt: Tensor, t: int, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the batch one level cleaner than xt, given xt and the clean batch x0hat.

    * x0hat, xt: (B, *), float32 or float64; xt is at the level of row t
    * betas: (T,) float64, each between 0 and 1
    * t: an int, 0 to T - 1, the same for the whole batch
    * returns: the pair (mean (B, *), variance as one number); at t = 0 it is (x0hat, 0)

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t] * (1 - before) / (1 - abar[t])
    ### END SOLUTION


@posterior.test("averages both opinions by their precisions, and is x0hat with no variance at t = 0", points=1)
def _(posterior):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # abar 0.64 and 0.16
    mean, variance = posterior(torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 0.5]]), 1, betas)
    expected = torch.tensor([[(0.6 * 1 + 0.18 * 3) / 0.84, (0.6 * -2 + 0.18 * 0.5) / 0.84]])
    assert_close(mean, expected, rtol=1e-4, atol=1e-5, message="the mean at t = 1")
    assert_close(float(variance), 0.27 / 0.84, rtol=1e-4, atol=1e-6, message="the variance at t = 1")
    x0hat = torch.tensor([[1.0, -2.0]])
    mean, variance = posterior(x0hat, torch.tensor([[5.0, 5.0]]), 0, torch.tensor([0.1, 0.2], dtype=torch.float64))
    assert_close(mean, x0hat, rtol=1e-4, atol=1e-5, message="the mean at t = 0")
    assert abs(float(variance)) < 1e-6, f"the variance at t = 0 is expected to be 0, got {float(variance):g}"


@posterior.hidden("gives the mean that Bayes' rule gives, in the form with eps", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(6, generator=rng, dtype=torch.float64)
    for t in (5, 3, 0, 1, 2, 4):
        x0, eps = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(2))
        signal = float(torch.prod(1 - betas[: t + 1]))
        xt = signal**0.5 * x0 + (1 - signal) ** 0.5 * eps
        expected = (xt - betas[t] / (1 - signal) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        assert_close(posterior(x0, xt, t, betas)[0], expected, rtol=1e-4, atol=1e-5, message=f"the mean at t = {t}")


@posterior.hidden("gives the variance whose inverse adds what both neighbours know", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(6, generator=rng, dtype=torch.float64)
    x = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    for t in (5, 3, 1, 2, 4):
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


@posterior.hidden("keeps float32, and leaves the schedule as it is", points=1)
def _(posterior, rng):
    betas = 0.02 + 0.5 * torch.rand(5, generator=rng, dtype=torch.float64)
    kept, x0, xt = betas.clone(), torch.randn(2, 3, generator=rng), torch.randn(2, 3, generator=rng)
    now, before = (float(torch.prod(1 - betas[:k])) for k in (4, 3))
    pull = before**0.5 / (1 - before) * x0 + (1 - float(betas[3])) ** 0.5 / float(betas[3]) * xt
    expected = pull / (1 / (1 - before) + (1 - float(betas[3])) / float(betas[3]))
    mean = posterior(x0, xt, 3, betas)[0]
    assert_close(mean, expected, rtol=1e-4, atol=1e-5, message=f"the mean at t = 3, where abar is {now:.3g}")
    assert mean.dtype == x0.dtype, f"the mean is expected in the dtype of x0hat, float32, got {mean.dtype}"
    assert_close(betas, kept, message="betas after the call")


@posterior.misconception(
    "You used `abar[t]` where the row before belongs; the result is one level cleaner, because it joins two "
    "facts: how noisy that level is (the row before t) and what one more step did (`betas[t]`).",
    name="row-itself",
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    mean = abar[t].sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - abar[t]) * xt
    return mean / (1 - abar[t]), betas[t]


@posterior.misconception(
    "You returned `betas[t]` as the variance; that of the posterior is smaller, because knowing the clean batch "
    "leaves less doubt: its precision is the sum of two.",
    name="variance-beta",
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t]


@posterior.misconception(
    "You read `abar[t - 1]` at t = 0 as well; Python takes index -1 for the *last* entry, the noisiest level. "
    "Before row 0 all is signal: use 1.",
    name="row-minus-one",
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1]
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), betas[t] * (1 - before) / (1 - abar[t])


@posterior.misconception(
    "You returned the standard deviation; the second value is the variance, because that is what adds up over steps: "
    "leave out the square root.",
    name="standard-deviation",
)
def _(x0hat, xt, t, betas):
    abar = torch.cumprod(1 - betas, 0)
    before = abar[t - 1] if t > 0 else torch.ones_like(abar[0])
    mean = before.sqrt() * betas[t] * x0hat + (1 - betas[t]).sqrt() * (1 - before) * xt
    return mean / (1 - abar[t]), (betas[t] * (1 - before) / (1 - abar[t])).sqrt()


@posterior.misconception(
    "You took the cumulative product of the betas; abar is the product of the alphas, because each step keeps the "
    "share 1 - beta of the signal.",
    name="product-of-betas",
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
    minutes=8,
    hints=(
        "The sampler undoes one step. Which of the two, alpha or its product abar, describes one step?",
        "First subtract the predicted noise, as much as one step added; then undo one shrinking; then add noise.",
        "All factors are single numbers of row t. z has variance 1; at t = 0 nothing is added.",
        "`abar = torch.prod(1 - betas[: t + 1])`, and `(1 - betas[t]).sqrt()` undoes one shrinking.",
    ),
    level="core",
    importance=3,
)
def p_step(eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor, var: float | Tensor) -> Tensor:
    """Return the batch one level cleaner than xt: one step of the paper's algorithm 2.

    * eps: (B, *), the noise predicted in xt (B, *)
    * t: the row of xt's level, 0 to T - 1
    * z: (B, *), standard normal noise
    * betas: (T,) float64
    * var: at least 0, the variance of the noise to add
    * returns: (B, *), the mean in its form with eps, plus noise made from z unless t is 0

    Nothing is clipped. The arguments stay as they are.
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
    kept = [eps.clone(), xt.clone(), z.clone(), betas.clone()]
    cleaned = p_step(eps, xt, 0, z, betas, betas[0])
    assert_close(cleaned, x0, rtol=1e-4, atol=1e-5, message="the clean batch out of t = 0")
    assert_close([eps, xt, z, betas], kept, message="the arguments after the call")


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
    "You divided by the root of abar; divide by the root of one alpha, because one step undoes one step: abar is "
    "the shrinking of all steps so far, and the sample would grow without bound.",
    name="root-of-abar",
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar).sqrt() * eps) / abar.sqrt()
    return mean + var**0.5 * z if t > 0 else mean


@p_step.misconception(
    "You added noise in the last step; at t = 0 return the mean alone, because it is the finished sample and no "
    "later step removes that noise again.",
    name="noise-at-the-end",
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    return (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt() + var**0.5 * z


@p_step.misconception(
    "You multiplied z by the variance; multiply by its square root, because noise of size s has variance s².",
    name="variance-for-deviation",
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar).sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + var * z if t > 0 else mean


@p_step.misconception(
    "You divided the noise by the root of one beta; it must be the root of 1 - abar, because eps is *all* the "
    "noise in xt, not the noise of one step.",
    name="one-step-noise",
)
def _(eps, xt, t, z, betas, var):
    mean = (xt - betas[t].sqrt() * eps) / (1 - betas[t]).sqrt()
    return mean + var**0.5 * z if t > 0 else mean


@p_step.misconception(
    "You divided the noise by 1 - abar; take its square root, because that is the size of the noise.",
    name="no-root-of-noise",
)
def _(eps, xt, t, z, betas, var):
    abar = torch.prod(1 - betas[: t + 1])
    mean = (xt - betas[t] / (1 - abar) * eps) / (1 - betas[t]).sqrt()
    return mean + var**0.5 * z if t > 0 else mean


@p_step.misconception(
    "You left out the noise; add sqrt(var) z while t > 0, because the mean alone pulls all samples together and their "
    "variance comes out too small.",
    name="no-noise",
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
    points=6,
    minutes=20,
    hints=(
        "What has to be drawn anew in every step, and what is made once?",
        "Make table, optimiser and scheduler first. A step draws, computes the loss, clears the old gradients, goes "
        "backwards, and lets optimiser and scheduler step.",
        "Image numbers and t have the shape (batch,); the noise has the shape of the chosen images.",
        "`images[torch.randint(len(images), (batch,), generator=generator)]`; `loss.item()` is a float.",
    ),
    level="integrative",
    importance=3,
)
def train(
    model: nn.Module, images: Tensor, betas: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Train the model in place to predict noise, and return the loss of each step as a float.

    * model(x, t): a module, as in `ddpm_loss`; images: (N, *), the clean data; betas: (T,) float64
    * optimiser: `torch.optim.Adam`, with the rate of `OneCycleLR(optimizer, max_lr=lr, total_steps=steps)`
    * each step draws with the generator, in this order: `batch` image numbers and `batch` rows t (`torch.randint`), the
      noise (`torch.randn`)

    The images stay as they are.
    """
    ### BEGIN SOLUTION
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        loss = ddpm_loss(model, x0, t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


@train.test("finds the one image that a training set consists of", points=1)
def _(train):
    abar = torch.tensor([0.9, 0.6, 0.2], dtype=torch.float64)
    betas = 1 - abar / torch.tensor([1.0, 0.9, 0.6], dtype=torch.float64)

    class OneImage(nn.Module):
        def __init__(self):
            super().__init__()
            self.guess = nn.Parameter(torch.zeros(2, 3))

        def forward(self, x, t):
            level = abar[t].view(-1, 1, 1).float()
            return (x - level.sqrt() * self.guess) / (1 - level).sqrt()

    model, image = OneImage(), torch.tensor([[0.5, -0.5, 0.2], [0.1, 0.8, -0.9]])
    losses = train(model, image.expand(5, 2, 3), betas, 150, 4, 0.05, torch.Generator().manual_seed(0))
    assert len(losses) == 150, f"one loss for each of 150 steps is expected, got {len(losses)}"
    assert all(isinstance(loss, float) for loss in losses), f"floats are expected, got {type(losses[0]).__name__}"
    assert_close(model.guess.detach(), image, rtol=0, atol=0.02, message="the image that the model has learned")


@train.hidden("shows the model fresh images, levels and noise in every step", points=2)
def _(train, rng):
    seed, seen = int(torch.randint(1000, (1,), generator=rng)), []
    images, betas = torch.randn(7, 2, 3, generator=rng), 0.1 + 0.3 * torch.rand(5, generator=rng, dtype=torch.float64)
    kept = images.clone()

    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer = nn.Parameter(torch.zeros(()))

        def forward(self, x, t):
            seen.append((x.detach().clone(), t.clone()))
            return self.answer + 0.5 * x + 0.2 * t.view(-1, 1, 1)

    losses = train(Fixed(), images, betas, 6, 4, 1e-9, torch.Generator().manual_seed(seed))
    generator, signal = torch.Generator().manual_seed(seed), torch.cumprod(1 - betas, 0).float()
    for step, (x, t) in enumerate(seen):
        rows = torch.randint(7, (4,), generator=generator)
        levels = torch.randint(5, (4,), generator=generator)
        eps = torch.randn(4, 2, 3, generator=generator)
        noisy = torch.einsum("b,bij->bij", signal[levels].sqrt(), images[rows])
        noisy += torch.einsum("b,bij->bij", (1 - signal[levels]).sqrt(), eps)
        assert_close(t, levels, message=f"the rows t of step {step}")
        assert_close(x, noisy, rtol=1e-4, atol=1e-5, message=f"the noisy batch of step {step}")
        error = (0.5 * noisy + 0.2 * levels.view(-1, 1, 1) - eps).square().mean()
        assert_close(losses[step], float(error), rtol=1e-3, atol=0, message=f"the loss of step {step}")
    assert len(seen) == len(losses) == 6, f"6 calls of the model and 6 losses are expected, got {len(seen)}"
    assert_close(images, kept, message="the images after the training")


@train.hidden("moves the parameters by the learning rate of a one-cycle schedule", points=3)
def _(train):
    class Far(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer, self.path = nn.Parameter(torch.full((), 1e4, dtype=torch.float64)), []

        def forward(self, x, t):
            self.path.append(float(self.answer.detach()))
            return self.answer.expand_as(x)

    # So far from the noise that the gradient hardly changes: Adam then moves as it does for a gradient of 1.
    betas = torch.tensor([0.1, 0.3], dtype=torch.float64)
    for steps, lr in ((20, 0.02), (33, 0.3)):
        model = Far()
        images = torch.zeros(3, 1, 2, 2, dtype=torch.float32)
        train(model, images, betas, steps, 5, lr, torch.Generator().manual_seed(steps))
        moves = [before - after for before, after in itertools.pairwise([*model.path, float(model.answer.detach())])]
        point = nn.Parameter(torch.zeros((), dtype=torch.float64))
        optimizer, expected = torch.optim.Adam([point], lr=lr), []
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
        for _ in range(steps):
            before, point.grad = float(point.detach()), torch.ones_like(point)
            optimizer.step()
            schedule.step()
            expected.append(before - float(point.detach()))
        assert_close(
            moves, expected, rtol=1e-3, atol=lr * 1e-4, message=f"how far each of {steps} steps moved, lr = {lr}"
        )


train.equivalent(
    "optimizer = torch.optim.Adam(model.parameters())",
    "the schedule sets the rate, from the first step on",
)


@train.misconception(
    "You never cleared the gradients; `backward` adds to what is there, so that every step also repeats all steps "
    "before it: call `optimizer.zero_grad()` once a step.",
    name="gradients-add-up",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You left the scheduler where it started; its rate is then a twenty-fifth of lr in every step, because a one-cycle "
    "schedule begins low: call `scheduler.step()` after each step of the optimiser.",
    name="scheduler-stands",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You kept the learning rate at lr throughout; with a rate that never falls the last steps jitter, because each of "
    "them follows its own small batch: use the one-cycle schedule.",
    name="constant-rate",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You drew one t for the whole batch; draw one for every row, because a batch that sees a single level makes the "
    "loss jump with that level from step to step.",
    name="one-t",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (1,), generator=generator).expand(batch)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You drew t from 1 to T - 1; rows are counted from 0, so that the model would never see the cleanest level, which "
    "the sampler asks for in its last step.",
    name="row-0-left-out",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(1, len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train.also_correct
def _(model, images, betas, steps, batch, lr, generator):
    abar, history = (1 - betas).cumprod(-1), []
    optimizer = torch.optim.Adam(list(model.parameters()), lr, foreach=False)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps)
    while len(history) < steps:
        chosen = torch.randint(0, images.shape[0], [batch], generator=generator)
        t = torch.randint(0, betas.numel(), [batch], generator=generator)
        eps = torch.randn(batch, *images.shape[1:], generator=generator)
        level = abar[t].reshape(batch, *(1 for _ in images.shape[1:])).to(images.dtype)
        model.zero_grad()
        error = nn.functional.mse_loss(model(level**0.5 * images[chosen] + (1 - level) ** 0.5 * eps, t), eps)
        error.backward()
        optimizer.step()
        rates.step()
        history.append(float(error.detach()))
    return history


@exercise(
    points=6,
    minutes=15,
    hints=(
        "Where does the sampler start, in which order does it visit the rows, and what does it need in each?",
        "One step: ask the model for the noise, take the variance from `posterior`, let `p_step` move the batch.",
        "The model wants t as a tensor (n,), `p_step` as an int; the film has T + 1 frames of the given shape.",
        "`torch.full((shape[0],), t)`, and `torch.stack(frames)` under `torch.no_grad()`.",
    ),
    level="core",
    importance=3,
)
def sample(
    model: Callable[[Tensor, Tensor], Tensor], shape: tuple[int, ...], betas: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the film of a batch that the DDPM sampler turns from noise into data, without gradients.

    * model(x, t): guesses the noise in x, which has the given shape (n, *); t is (n,) long
    * betas: (T,) float64, from the last row to row 0
    * the generator draws the start, then z for each step (`torch.randn`); var is that of the posterior
    * returns: (T + 1, n, *), the start and then the batch after each step; the last frame is the sample
    """
    ### BEGIN SOLUTION
    x = torch.randn(shape, generator=generator)
    frames = [x]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            eps = model(x, torch.full((shape[0],), t))
            z = torch.randn(shape, generator=generator)
            x = p_step(eps, x, t, z, betas, posterior(x, x, t, betas)[1])
            frames.append(x)
    return torch.stack(frames)
    ### END SOLUTION


@sample.test("starts with noise and asks the model once for every row, from the last to the first", points=1)
def _(sample):
    betas, asked = torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64), []

    def model(x, t):
        asked.append(t.tolist())
        return 0.5 * x

    film = sample(model, (2, 1, 3), betas, torch.Generator().manual_seed(1))
    assert tuple(film.shape) == (4, 2, 1, 3), f"T + 1 = 4 frames are expected, (4, 2, 1, 3), got {tuple(film.shape)}"
    start = torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(1))
    assert_close(film[0], start, message="the first frame")
    assert asked == [[2, 2], [1, 1], [0, 0]], f"t = [2, 2], [1, 1], [0, 0] is expected, the model was asked {asked}"


@sample.hidden("takes every step that theory asks for, with fresh noise in each but the last", points=3)
def _(sample, rng):
    for T, shape in ((5, (3, 2)), (8, (2, 1, 2, 3))):
        seed = int(torch.randint(1000, (1,), generator=rng))
        betas = 0.05 + 0.4 * torch.rand(T, generator=rng, dtype=torch.float64)
        level = [1.0, *torch.cumprod(1 - betas, 0).tolist()]

        def model(x, t):
            return 0.3 * x + 0.1 * t.view(-1, *[1] * (x.ndim - 1))

        film = sample(model, shape, betas, torch.Generator().manual_seed(seed))
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(shape, generator=generator)
        for frame, t in enumerate(reversed(range(T)), 1):
            z = torch.randn(shape, generator=generator)
            now, before, beta = level[t + 1], level[t], float(betas[t])
            guess = (x - (1 - now) ** 0.5 * (0.3 * x + 0.1 * t)) / now**0.5
            mean = (before**0.5 * beta * guess + (1 - beta) ** 0.5 * (1 - before) * x) / (1 - now)
            x = mean + (beta * (1 - before) / (1 - now)) ** 0.5 * z
            assert_close(film[frame], x, rtol=1e-3, atol=1e-4, message=f"frame {frame} of T = {T}, after row {t}")


@sample.hidden("keeps no gradients, and does not show one frame in the place of all", points=2)
def _(sample, rng):
    weight = torch.tensor(0.4, requires_grad=True)
    betas = 0.05 + 0.4 * torch.rand(4, generator=rng, dtype=torch.float64)
    film = sample(lambda x, t: weight * x, (6, 5), betas, torch.Generator().manual_seed(3))
    assert not film.requires_grad, "the film is expected without gradients, but it has requires_grad=True"
    moved = [float((after - before).abs().mean()) for before, after in itertools.pairwise(film)]
    assert min(moved) > 1e-3, f"each frame is expected to differ from the one before, got mean changes {moved}"


@sample.misconception(
    "You walked upwards from row 0; the sampler starts at the noisiest level and ends at row 0, because it runs the "
    "forward process backwards.",
    name="upwards",
)
@torch.no_grad()
def _(model, shape, betas, generator):
    frames = [torch.randn(shape, generator=generator)]
    for t in range(len(betas)):
        x, z = frames[-1], torch.randn(shape, generator=generator)
        eps = model(x, torch.full((shape[0],), t))
        frames.append(p_step(eps, x, t, z, betas, posterior(x, x, t, betas)[1]))
    return torch.stack(frames)


@sample.misconception(
    "You stopped at row 1; row 0 is a step as well, because the batch that arrives there still holds the noise of one "
    "forward step.",
    name="stops-early",
)
@torch.no_grad()
def _(model, shape, betas, generator):
    frames = [torch.randn(shape, generator=generator)]
    for t in range(len(betas) - 1, 0, -1):
        x, z = frames[-1], torch.randn(shape, generator=generator)
        eps = model(x, torch.full((shape[0],), t))
        frames.append(p_step(eps, x, t, z, betas, posterior(x, x, t, betas)[1]))
    return torch.stack(frames)


@sample.misconception(
    "You drew z once for all steps; draw it anew in each, because the same noise added again and again is a drift and "
    "no noise.",
    name="one-z",
)
@torch.no_grad()
def _(model, shape, betas, generator):
    frames, z = [torch.randn(shape, generator=generator)], torch.randn(shape, generator=generator)
    for t in reversed(range(len(betas))):
        x = frames[-1]
        eps = model(x, torch.full((shape[0],), t))
        frames.append(p_step(eps, x, t, z, betas, posterior(x, x, t, betas)[1]))
    return torch.stack(frames)


@sample.misconception(
    "You used `betas[t]` as the variance; this sampler uses the posterior's, which is smaller, because the model's "
    "guess of the clean batch counts as known.",
    name="variance-beta",
)
@torch.no_grad()
def _(model, shape, betas, generator):
    frames = [torch.randn(shape, generator=generator)]
    for t in reversed(range(len(betas))):
        x, z = frames[-1], torch.randn(shape, generator=generator)
        frames.append(p_step(model(x, torch.full((shape[0],), t)), x, t, z, betas, betas[t]))
    return torch.stack(frames)


@sample.misconception(
    "You asked the model about the start in every step; ask it about the batch as it is now, because each step has "
    "changed what noise is left.",
    name="asks-about-the-start",
)
@torch.no_grad()
def _(model, shape, betas, generator):
    frames = [torch.randn(shape, generator=generator)]
    for t in reversed(range(len(betas))):
        x, z = frames[-1], torch.randn(shape, generator=generator)
        eps = model(frames[0], torch.full((shape[0],), t))
        frames.append(p_step(eps, x, t, z, betas, posterior(x, x, t, betas)[1]))
    return torch.stack(frames)


@sample.also_correct
def _(model, shape, betas, generator):
    film = torch.empty(len(betas) + 1, *shape)
    film[0] = torch.randn(*shape, generator=generator)
    for frame in range(len(betas)):
        t = len(betas) - 1 - frame
        x, level = film[frame].clone(), math.prod((1 - betas[: t + 1]).tolist())
        eps = model(x, torch.tensor([t] * shape[0])).detach()
        mean, variance = posterior((x - (1 - level) ** 0.5 * eps) / level**0.5, x, t, betas)
        film[frame + 1] = mean + variance**0.5 * torch.randn(*shape, generator=generator)
    return film


@exercise(
    points=6,
    minutes=20,
    hints=(
        "Which straight line through the origin guesses eps best from xt = sqrt(abar) x0 + sqrt(1 - abar) eps?",
        "The best slope is the covariance of eps and xt over the variance of xt. Then the step is a · xt + b · z: what "
        "happens to the variance of xt?",
        "Per row: one slope, one factor a, one factor b, all plain numbers; the variance starts at 1.",
        "`step` gives a for xt = 1, eps = slope, z = 0, and b for xt = 0, eps = 0, z = 1.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def final_variance(step: Callable[..., Tensor], s2: float, betas: Tensor) -> float:
    """Return the exact variance of a sampler's output for data N(0, s2), without drawing a sample.

    * step(eps, xt, t, z, betas, var): a step like `p_step`, perhaps a wrong one; linear in eps, xt and z together
    * s2 > 0: the variance of the data, which are single numbers
    * betas: (T,) float64

    The sampler starts from N(0, 1); its network has reached the minimum of the training loss; var is the posterior's.
    """
    ### BEGIN SOLUTION
    abar = torch.cumprod(1 - betas, 0)
    one, zero = betas.new_ones(()), betas.new_zeros(())
    variance = 1.0
    for t in reversed(range(len(betas))):
        slope = (1 - abar[t]).sqrt() / (abar[t] * s2 + 1 - abar[t])  # the best guess of eps is slope * xt
        var = posterior(one, one, t, betas)[1]
        a, b = step(slope, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance
    ### END SOLUTION


@final_variance.test("agrees with two steps worked out by hand", points=1)
def _(final_variance):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # abar 0.64 and 0.16

    def step(eps, xt, t, z, betas, var):
        return 0.5 * xt - 0.25 * eps + (var**0.5 * z if t else 0 * z)

    # For s2 = 4 the slopes are sqrt(0.84) / 1.48 at t = 1 and 0.6 / 2.92 at t = 0.
    first, second = 0.5 - 0.25 * 0.84**0.5 / 1.48, 0.5 - 0.25 * 0.6 / 2.92
    expected = second**2 * (first**2 + 0.27 / 0.84)
    assert_close(float(final_variance(step, 4.0, betas)), expected, rtol=1e-4, atol=0, message="s2 = 4, two steps")


@final_variance.hidden("agrees with samples, drawn with the network that the loss asks for", points=2)
def _(final_variance, rng):
    betas = torch.tensor([0.1, 0.3, 0.2, 0.6, 0.7], dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)

    def step(eps, xt, t, z, betas, var):
        mean = (xt - betas[t] / (1 - abar[t]) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        return mean + var**0.5 * z if t else mean

    for s2 in (0.09, 2.0):
        x0, eps = (torch.randn(200_000, generator=rng, dtype=torch.float64) for _ in range(2))
        x = torch.randn(200_000, generator=rng, dtype=torch.float64)
        for t in (4, 3, 2, 1, 0):
            xt = abar[t] ** 0.5 * s2**0.5 * x0 + (1 - abar[t]) ** 0.5 * eps
            slope = (xt * eps).mean() / (xt * xt).mean()  # least squares
            before = abar[t - 1] if t else 1.0
            z = torch.randn(200_000, generator=rng, dtype=torch.float64)
            x = step(slope * x, x, t, z, betas, betas[t] * (1 - before) / (1 - abar[t]))
        found = float(final_variance(step, s2, betas))
        assert_close(found / float(x.var()), 1.0, rtol=0.03, atol=0, message=f"s2 = {s2}: over that of samples")


@final_variance.hidden("is exact for right and for wrong steps, and for every width", points=3)
def _(final_variance, rng):
    def right(eps, xt, t, z, betas, var):
        level = torch.prod(1 - betas[: t + 1])
        mean = (xt - betas[t] / (1 - level) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        return mean + var**0.5 * z if t else mean

    def noisy_end(eps, xt, t, z, betas, var):
        return right(eps, xt, t, z, betas, var) + (0 if t else 0.2 * z)

    def quiet(eps, xt, t, z, betas, var):
        return right(eps, xt, t, 0 * z, betas, var)

    for T, s2 in ((12, 1.0), (30, 0.25), (7, 0.01), (9, 6.0)):
        betas = 0.05 + 0.5 * torch.rand(T, generator=rng, dtype=torch.float64)
        level = [1.0, *torch.cumprod(1 - betas, 0).tolist()]
        for name, step in (("right", right), ("noisy at the end", noisy_end), ("without noise", quiet)):
            variance = 1.0
            for t in reversed(range(T)):
                before, now, beta = level[t], level[t + 1], float(betas[t])
                factor = (1 - beta / (now * s2 + 1 - now)) / (1 - beta) ** 0.5
                added = 0.0 if step is quiet else beta * (1 - before) / (1 - now)
                variance = factor**2 * variance + added
            variance += 0.04 if step is noisy_end else 0.0
            message = f"T = {T}, s2 = {s2}, a step that is {name}"
            assert_close(float(final_variance(step, s2, betas)), variance, rtol=1e-4, atol=1e-12, message=message)


@final_variance.misconception(
    "You let the network answer 0; the minimum of the loss is the mean of eps given xt, which is 0 only where xt is 0.",
    name="network-answers-0",
)
def _(step, s2, betas):
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        var = posterior(one, one, t, betas)[1]
        a, b = step(zero, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance


@final_variance.misconception(
    "You answered as if xt were nothing but noise, xt / sqrt(1 - abar); part of xt is signal, so that the best guess "
    "is smaller: divide by the variance of xt, abar · s2 + 1 - abar.",
    name="all-is-noise",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        var = posterior(one, one, t, betas)[1]
        a, b = step(one / (1 - abar[t]).sqrt(), one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance


@final_variance.misconception(
    "You left out a root in the slope; the covariance of eps and xt is sqrt(1 - abar), because eps enters xt with that "
    "factor.",
    name="slope-without-root",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        slope, var = (1 - abar[t]) / (abar[t] * s2 + 1 - abar[t]), posterior(one, one, t, betas)[1]
        a, b = step(slope * one, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() ** 2 * variance + b.item() ** 2
    return variance


@final_variance.misconception(
    "You added the standard deviations; of independent numbers the variances add, so that a step makes a² times the "
    "variance plus b².",
    name="deviations-add",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, deviation = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        slope, var = (1 - abar[t]).sqrt() / (abar[t] * s2 + 1 - abar[t]), posterior(one, one, t, betas)[1]
        a, b = step(slope * one, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        deviation = abs(a.item()) * deviation + abs(b.item())
    return deviation**2


@final_variance.misconception(
    "You multiplied the variance by a; a factor of a on the numbers is a factor of a² on their variance.",
    name="factor-not-squared",
)
def _(step, s2, betas):
    abar = torch.cumprod(1 - betas, 0)
    one, zero, variance = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 1.0
    for t in reversed(range(len(betas))):
        slope, var = (1 - abar[t]).sqrt() / (abar[t] * s2 + 1 - abar[t]), posterior(one, one, t, betas)[1]
        a, b = step(slope * one, one, t, zero, betas, var), step(zero, zero, t, one, betas, var)
        variance = a.item() * variance + b.item() ** 2
    return variance


@final_variance.also_correct
def _(step, s2, betas):
    levels = [1.0]
    for beta in betas.tolist():
        levels.append(levels[-1] * (1 - beta))
    spread = torch.ones((), dtype=torch.float64)
    for t in range(len(betas) - 1, -1, -1):
        before, now = levels[t], levels[t + 1]
        x, z = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
        eps = math.sqrt(1 - now) * x / (1 + now * (s2 - 1))
        moved = step(eps, x, t, z, betas, float(betas[t]) * (1 - before) / (1 - now))
        spread = (moved * moved * torch.stack([spread, torch.ones_like(spread)])).sum()
    return spread


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Of the three tensors xt, x0hat and eps: which one is supposed to lie in the range of the data?",
        "Check each line by itself: the formula for x0hat, what is clipped, and what z is multiplied by.",
        "One slip is a missing root, one a wrong variable, one a variance for a standard deviation.",
        "`x0hat.clamp(-1, 1)` goes into `posterior`.",
    ),
    level="core",
    importance=2,
    kind="find the bug",
)
def clipped_step(eps: Tensor, xt: Tensor, t: int, z: Tensor, betas: Tensor) -> Tensor:
    """Return one DDPM step whose guess of the clean batch is clipped to [-1, 1], with the posterior's variance.

    Arguments as in `p_step`; they stay as they are. These lines have three slips; return what they should.

    ```python
    abar = torch.prod(1 - betas[: t + 1])
    x0hat = (xt - (1 - abar) * eps) / abar.sqrt()
    mean, var = posterior(x0hat, xt.clamp(-1, 1), t, betas)
    return mean + var * z
    ```
    """
    ### BEGIN SOLUTION
    abar = torch.prod(1 - betas[: t + 1])
    x0hat = (xt - (1 - abar).sqrt() * eps) / abar.sqrt()
    mean, var = posterior(x0hat.clamp(-1, 1), xt, t, betas)
    return mean + var**0.5 * z
    ### END SOLUTION


@clipped_step.test("clips the guess of the clean batch and nothing else", points=1)
def _(clipped_step):
    betas = torch.tensor([0.36, 0.75], dtype=torch.float64)  # abar 0.64 and 0.16
    xt, eps, z = torch.tensor([[3.0, -0.5]]), torch.tensor([[1.0, -0.6]]), torch.zeros(1, 2)
    guess = [1.0, (-0.5 + 0.6 * 0.84**0.5) / 0.4]  # the first is 5.2 before it is clipped
    expected = torch.tensor([[(0.6 * guess[0] + 0.18 * 3.0) / 0.84, (0.6 * guess[1] + 0.18 * -0.5) / 0.84]])
    assert_close(clipped_step(eps, xt, 1, z, betas), expected, rtol=1e-4, atol=1e-5, message="t = 1, z = 0")


@clipped_step.hidden("is the step of the posterior, with noise of its variance, where nothing needs clipping", points=1)
def _(clipped_step, rng):
    betas = 0.05 + 0.4 * torch.rand(5, generator=rng, dtype=torch.float64)
    for t in (3, 4, 1, 2, 0):
        x0 = 1.8 * torch.rand(3, 2, 4, generator=rng, dtype=torch.float64) - 0.9
        eps, z = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(2))
        now, before = (float(torch.prod(1 - betas[:k])) for k in (t + 1, t))
        xt, beta = now**0.5 * x0 + (1 - now) ** 0.5 * eps, float(betas[t])
        kept = [eps.clone(), xt.clone(), z.clone(), betas.clone()]
        mean = (xt - beta / (1 - now) ** 0.5 * eps) / (1 - beta) ** 0.5
        expected = mean + (beta * (1 - before) / (1 - now)) ** 0.5 * z
        assert_close(clipped_step(eps, xt, t, z, betas), expected, rtol=1e-4, atol=1e-5, message=f"t = {t}")
        assert_close([eps, xt, z, betas], kept, message="the arguments after the call")


@clipped_step.hidden("clips wherever the guess leaves the range, below and above, in float32 too", points=2)
def _(clipped_step, rng):
    betas = 0.05 + 0.4 * torch.rand(4, generator=rng, dtype=torch.float64)
    for t in (2, 3, 1):
        eps, xt, z = (2 * torch.randn(2, 1, 5, generator=rng) for _ in range(3))
        now, before = (float(torch.prod(1 - betas[:k])) for k in (t + 1, t))
        guess = torch.minimum(torch.maximum((xt - (1 - now) ** 0.5 * eps) / now**0.5, -torch.ones(1)), torch.ones(1))
        precisions = 1 / (1 - before), (1 - float(betas[t])) / float(betas[t])
        pulled = before**0.5 * guess * precisions[0] + xt / (1 - float(betas[t])) ** 0.5 * precisions[1]
        expected = pulled / sum(precisions) + sum(precisions) ** -0.5 * z
        found = clipped_step(eps, xt, t, z, betas)
        assert_close(found, expected, rtol=1e-3, atol=1e-4, message=f"t = {t}, guesses from -9 to 9")
        assert found.dtype == xt.dtype, f"the result is expected in the dtype of xt, float32, got {found.dtype}"


@clipped_step.misconception(
    "You left the lines as they were; look at what is clipped, at the root in the guess, and at the factor of z.",
    name="unchanged",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    mean, var = posterior((xt - (1 - abar) * eps) / abar.sqrt(), xt.clamp(-1, 1), t, betas)
    return mean + var * z


@clipped_step.misconception(
    "You clipped xt; most of it is noise, which has every right to leave [-1, 1]: clip the guess of the clean batch.",
    name="clips-the-noisy-batch",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    mean, var = posterior((xt - (1 - abar).sqrt() * eps) / abar.sqrt(), xt.clamp(-1, 1), t, betas)
    return mean + var**0.5 * z


@clipped_step.misconception(
    "You clipped xt as well as the guess; xt holds the noise that later steps remove, and it belongs into the average "
    "as it is.",
    name="clips-both",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    x0hat = (xt - (1 - abar).sqrt() * eps) / abar.sqrt()
    mean, var = posterior(x0hat.clamp(-1, 1), xt.clamp(-1, 1), t, betas)
    return mean + var**0.5 * z


@clipped_step.misconception(
    "You left a slip in the guess; the noise in xt has the size sqrt(1 - abar), so subtract that times eps.",
    name="guess-without-root",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    mean, var = posterior(((xt - (1 - abar) * eps) / abar.sqrt()).clamp(-1, 1), xt, t, betas)
    return mean + var**0.5 * z


@clipped_step.misconception(
    "You left a slip in the noise; z has variance 1, so multiply it by the root of the variance.",
    name="variance-for-deviation",
)
def _(eps, xt, t, z, betas):
    abar = torch.prod(1 - betas[: t + 1])
    mean, var = posterior(((xt - (1 - abar).sqrt() * eps) / abar.sqrt()).clamp(-1, 1), xt, t, betas)
    return mean + var * z


@clipped_step.also_correct
def _(eps, xt, t, z, betas):
    now, before, beta = *(math.prod((1 - betas[:k]).tolist()) for k in (t + 1, t)), betas[t]
    x0hat = torch.clip(xt * now**-0.5 - (1 / now - 1) ** 0.5 * eps, min=-1, max=1)
    mean = (before**0.5 * beta * x0hat + (1 - beta) ** 0.5 * (1 - before) * xt) / (1 - now)
    return mean + math.sqrt(beta * (1 - before) / (1 - now)) * z


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

    With the stride c = T // n they are 0, c, 2c, …, (n - 1) c, in the order of the sampler: from the largest to 0.
    1 <= n <= T.
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
    "You took the first n rows; spread them over all T with the stride T // n, because the sampler starts from "
    "pure noise and would take it for almost clean data.",
    name="first-n",
)
def _(T, n):
    return list(reversed(range(n)))


@ddim_steps.misconception(
    "You ordered the rows upwards; the sampler runs from the largest down to 0, because it starts at the noise.",
    name="upwards",
)
def _(T, n):
    return [k * (T // n) for k in range(n)]


@ddim_steps.misconception(
    'You spread the steps from 0 to T - 1 with both ends included; that is "linspace" spacing, and "leading" takes '
    "the multiples of T // n, because its stride is the same everywhere.",
    name="linspace",
)
def _(T, n):
    return [round(t) for t in torch.linspace(T - 1, 0, n, dtype=torch.float64).tolist()]


@ddim_steps.misconception(
    'You counted down from T - 1; that is "trailing" spacing, and "leading" ends at exactly 0, because its steps '
    "are the multiples of T // n.",
    name="trailing",
)
def _(T, n):
    return [T - 1 - k * (T // n) for k in range(n)]


@ddim_steps.also_correct
def _(T, n):
    return (torch.arange(n) * (T // n)).flip(0)


@exercise(
    points=5,
    minutes=12,
    hints=(
        "What does the model think that the clean batch was, if eps is right?",
        "Noise that guess again, to the earlier level, partly with the old noise and partly with the new.",
        "Old and new noise have the variances 1 - before - sigma² and sigma², where before is abar at t_prev, or 1.",
        "`(xt - (1 - now).sqrt() * eps) / now.sqrt()` is the guess, with `now = abar[t]`.",
    ),
    level="core",
    importance=1,
)
def ddim_step(eps: Tensor, xt: Tensor, t: int, t_prev: int, abar: Tensor, eta: float, z: Tensor) -> Tensor:
    """Return the batch at the earlier row t_prev: one DDIM step from xt (equation 12 of the paper, as in the lesson).

    * eps: (B, *), the prediction of the noise in xt (B, *), which is at row t
    * t > t_prev >= -1: ints; t_prev = -1 stands for clean data
    * abar: (T,) float64
    * eta: 0 to 1, the share of fresh noise
    * z: (B, *), standard normal noise
    * returns: (B, *)

    Nothing is clipped, and the arguments stay as they are.
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
    for t, eta in ((2, 0.7), (4, 0.0), (0, 0.0), (0, 1.0)):
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
        kept = [eps.clone(), xt.clone(), abar.clone(), z.clone()]
        got = ddim_step(eps, xt, t, before, abar, 0.0, z)
        assert_close(got, expected, rtol=1e-4, atol=1e-5, message=f"t = {t}, t_prev = {before}, eta = 0")
        assert_close([eps, xt, abar, z], kept, message="the arguments after the call")


@ddim_step.hidden("is the DDPM step with the posterior's variance where eta is 1 and no step is skipped", points=1)
def _(ddim_step, rng):
    betas = 0.02 + 0.4 * torch.rand(6, generator=rng, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    for t in (5, 3, 1, 2, 4):
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
    "You read `abar[t_prev]` for t_prev = -1 too; Python gives the *last* entry, the noisiest level, because it "
    "counts from the end: clean data are all signal, 1.",
    name="row-minus-one",
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev]
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You ended at `abar[0]`; the step to t_prev = -1 goes to 1, because row 0 still holds the noise of one step.",
    name="ends-at-row-0",
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[max(t_prev, 0)]
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You left sigma² out under the square root; the predicted noise must shrink by what z adds, because together "
    "they have to keep the variance of the earlier level.",
    name="old-noise-whole",
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta**2 * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You multiplied the variance by eta; sigma itself is proportional to eta, so the variance carries eta², because "
    "eta scales the noise that is added.",
    name="eta-not-squared",
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    variance = eta * (1 - before) / (1 - now) * (1 - now / before)
    return before.sqrt() * x0hat + (1 - before - variance).sqrt() * eps + variance.sqrt() * z


@ddim_step.misconception(
    "You ignored eta; it decides how much fresh noise z comes in, because eta = 1 is DDPM and eta = 0 is the "
    "deterministic path.",
    name="eta-ignored",
)
def _(eps, xt, t, t_prev, abar, eta, z):
    now, before = abar[t], abar[t_prev] if t_prev >= 0 else torch.ones_like(abar[t])
    x0hat = (xt - (1 - now).sqrt() * eps) / now.sqrt()
    return before.sqrt() * x0hat + (1 - before).sqrt() * eps


@ddim_step.misconception(
    "You read `abar[t - 1]`; use abar at t_prev, because DDIM may jump over many rows.",
    name="next-row",
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
