import itertools
import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.cfg.exercises.cfg_eps import cfg_eps
from studium_topics.cfg.exercises.cfg_sample import cfg_sample


@exercise(
    points=6,
    minutes=20,
    hints=(
        "`cfg_sample` already does the guided loop. What is left for the function `step` that you pass to it?",
        "The step guesses x_0 from eps and x_t, clamps the guess, and draws from the posterior. It can also append "
        "each batch to a list, which is the film.",
        "One step needs abar at t and at t - 1 (1 before t = 0); their quotient is alpha_t = 1 - beta_t. The mean is a "
        "weighted sum of the guess and x_t, as in the lesson on DDPM.",
        "`film.append(...)` inside `step`, then `cfg_sample(model, step, film[0], y, null, scales)` under "
        "`torch.no_grad()`, then `torch.stack(film)`.",
    ),
    level="integrative",
    importance=3,
)
def sample_digits(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    y: Tensor,
    null: int,
    scales: list[float],
    abar: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return the film of guided DDPM that draws digits with the labels y, without gradients.

    * model(x, t, y): as in `cfg_eps`, for x (N, 1, 8, 8); y: (B,) long
    * null, scales: as in `cfg_sample`; abar: (T,) float64
    * returns: (T + 1, B, 1, 8, 8) float32, the start and the batch after each step

    Each step guesses x_0, clamps the guess to [-1, 1] and draws from DDPM's posterior of x_{t-1}, given x_t and the
    guess. The generator draws the start, then z in every step (`torch.randn`).
    """
    ### BEGIN SOLUTION
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]

    def step(eps: Tensor, x: Tensor, t: int) -> Tensor:
        level, earlier = abar[t], abar[t - 1] if t else torch.ones_like(abar[t])
        alpha = level / earlier
        guess = ((x - (1 - level).sqrt() * eps) / level.sqrt()).clamp(-1, 1)
        mean = (earlier.sqrt() * (1 - alpha) * guess + alpha.sqrt() * (1 - earlier) * x) / (1 - level)
        variance = (1 - alpha) * (1 - earlier) / (1 - level)
        film.append(mean + variance.sqrt() * torch.randn(x.shape, generator=generator))
        return film[-1]

    with torch.no_grad():
        cfg_sample(model, step, film[0], y, null, scales)
    return torch.stack(film)
    ### END SOLUTION


@sample_digits.test("starts with noise, and asks about every t with labels and without", points=1)
def _(sample_digits):
    abar, asked = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64), []

    def model(x, t, y):
        asked.append((sorted(set(t.tolist())), sorted(y.tolist())))
        return 0.5 * x

    film = sample_digits(model, torch.tensor([3, 5]), 10, [2.0] * 3, abar, torch.Generator().manual_seed(1))
    shape = tuple(film.shape)
    assert shape == (4, 2, 1, 8, 8), f"T + 1 = 4 frames are expected, (4, 2, 1, 8, 8), got {shape}"
    assert film.dtype == torch.float32, f"the film is expected in float32, got {film.dtype}"
    start = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert_close(film[0], start, message="the first frame")
    expected = [([t], [3, 5, 10, 10]) for t in (2, 1, 0)]
    assert asked == expected, f"calls with (t, labels) {expected} are expected, got {asked}"


@sample_digits.hidden("takes every step that theory asks for, guided, with fresh noise in each", points=2)
def _(sample_digits, rng):
    for T, labels, scales in ((5, [1, 4, 2], [2.5] * 5), (4, [3, 0], [3.0, 1.0, 2.0, 1.5])):
        seed = int(torch.randint(1000, (1,), generator=rng))
        betas = 0.05 + 0.4 * torch.rand(T, generator=rng, dtype=torch.float64)
        abar, y = torch.cumprod(1 - betas, 0), torch.tensor(labels)

        def model(x, t, y):
            return 0.6 * x + (0.02 * y + 0.05 * t).view(-1, 1, 1, 1)

        film = sample_digits(model, y, 7, scales, abar, torch.Generator().manual_seed(seed))
        generator, level = torch.Generator().manual_seed(seed), [1.0, *abar.tolist()]
        x = torch.randn(len(y), 1, 8, 8, generator=generator)
        for frame, t in enumerate(reversed(range(T)), 1):
            eps = 0.6 * x + 0.05 * t + 0.02 * (7 + scales[t] * (y - 7)).view(-1, 1, 1, 1)
            guess = ((x - (1 - level[t + 1]) ** 0.5 * eps) / level[t + 1] ** 0.5).clamp(-1, 1)
            if t:  # precisions of two opinions about x_{t-1} add up
                ahead, back = 1 / (1 - level[t]), (1 - float(betas[t])) / float(betas[t])
                mean = (ahead * level[t] ** 0.5 * guess + back * x / (1 - float(betas[t])) ** 0.5) / (ahead + back)
                x = mean + (ahead + back) ** -0.5 * torch.randn(x.shape, generator=generator)
            else:
                x = guess
            assert_close(film[frame], x, rtol=1e-3, atol=1e-4, message=f"frame {frame} of T = {T}, after t = {t}")


@sample_digits.hidden("clamps the guess alone, so that noisy frames leave [-1, 1] and the last does not", points=2)
def _(sample_digits, rng):
    betas = torch.tensor([0.1, 0.2, 0.4, 0.9], dtype=torch.float64)
    abar, weight = torch.cumprod(1 - betas, 0), torch.tensor(3.0, requires_grad=True)
    y = torch.randint(0, 10, (40,), generator=rng)

    def model(x, t, y):
        return weight * x - y.view(-1, 1, 1, 1)

    film = sample_digits(model, y, 10, [2.0] * 4, abar, rng)
    assert not film.requires_grad, "the film is expected without gradients, but it has requires_grad=True"
    reach = [float(frame.abs().max()) for frame in film]
    assert min(reach[:3]) > 1.5, f"noisy frames are expected to leave [-1, 1], got largest values {reach}"
    assert reach[-1] < 1.0001, f"the last frame is expected in [-1, 1], got {reach[-1]:.3f} as its largest value"
    moved = [float((after - before).abs().mean()) for before, after in itertools.pairwise(film)]
    assert min(moved) > 1e-3, f"each frame is expected to differ from the one before, got mean changes {moved}"


@sample_digits.hidden("is conditional where the scale is 1, in half as many rows", points=1)
def _(sample_digits, rng):
    abar, rows = torch.tensor([0.95, 0.7, 0.4, 0.1], dtype=torch.float64), []

    def model(x, t, y):
        rows.append(len(x))
        return 0.5 * x + 0.01 * y.view(-1, 1, 1, 1)

    seed, y = int(torch.randint(1000, (1,), generator=rng)), torch.tensor([2, 9, 4])
    first = sample_digits(model, y, 10, [2.0, 1.0, 1.0, 3.0], abar, torch.Generator().manual_seed(seed))
    assert rows == [6, 3, 3, 6], f"calls with [6, 3, 3, 6] rows are expected for scales 2, 1, 1, 3, got {rows}"
    again = sample_digits(model, y, 10, [2.0, 1.0, 1.0, 3.0], abar, torch.Generator().manual_seed(seed))
    assert_close(again, first, message="a second call with the same seed")


@sample_digits.misconception(
    "You clamped x_t as well; most of it is noise and is supposed to leave [-1, 1]. Only the guess of the clean digit "
    "has to be a possible image.",
    name="clamps-xt",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append((mean + variance.sqrt() * torch.randn(x.shape, generator=generator)).clamp(-1, 1))
    return torch.stack(film)


@sample_digits.misconception(
    "You did not clamp the guess of x_0; guided guesses go far beyond [-1, 1], because at the noisiest levels they are "
    "divided by a signal of nearly 0.",
    name="not-clamped",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = (x - (1 - now).sqrt() * eps) / now.sqrt()
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append(mean + variance.sqrt() * torch.randn(x.shape, generator=generator))
    return torch.stack(film)


@sample_digits.misconception(
    "You left the noise out of the steps; DDPM draws from the posterior, and the mean by itself makes the samples too "
    "much alike.",
    name="mean-alone",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        film.append(mean)
    return torch.stack(film)


@sample_digits.misconception(
    "You multiplied z by the variance of the posterior; multiply it by the standard deviation, the square root, "
    "because that is the size of the noise.",
    name="variance-for-deviation",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append(mean + variance * torch.randn(x.shape, generator=generator))
    return torch.stack(film)


@sample_digits.misconception(
    "You used one scale for all steps; use `scales[t]` at each t.",
    name="one-scale",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[0])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append(mean + variance.sqrt() * torch.randn(x.shape, generator=generator))
    return torch.stack(film)


@sample_digits.also_correct
def _(model, y, null, scales, abar, generator):
    levels = [1.0, *abar.tolist()]
    film = torch.empty(len(levels), len(y), 1, 8, 8)
    film[0] = torch.randn(len(y), 1, 8, 8, generator=generator)
    for frame in range(1, len(levels)):
        t = len(levels) - 1 - frame
        x, now, before = film[frame - 1].clone(), levels[t + 1], levels[t]
        eps = cfg_eps(model, x, torch.tensor([t] * len(y)), y, null, scales[t]).detach()
        guess = torch.clip((x - math.sqrt(1 - now) * eps) / math.sqrt(now), -1, 1)
        beta = 1 - now / before
        mean = (math.sqrt(before) * beta * guess + math.sqrt(1 - beta) * (1 - before) * x) / (1 - now)
        z = torch.randn(len(y), 1, 8, 8, generator=generator)
        film[frame] = mean + math.sqrt(beta * (1 - before) / (1 - now)) * z
    return film
