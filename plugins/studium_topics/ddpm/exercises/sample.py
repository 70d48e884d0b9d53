import itertools
import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.ddpm.exercises.p_step import p_step
from studium_topics.ddpm.exercises.posterior import posterior


@exercise(
    points=6,
    minutes=15,
    hints=(
        "Where does the sampler start, in which order does it visit the rows, and what does it need at each row?",
        "In one step, ask the model for the noise, take the variance from `posterior`, and let `p_step` move the "
        "batch.",
        "The model takes t as a tensor (n,), `p_step` as an int; the film has T + 1 frames of the given shape.",
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
    * betas: (T,) float64; go from the last row to row 0
    * the generator draws the start, then z for each step (`torch.randn`); var is the posterior variance
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
    "You went upwards from row 0; start at the noisiest level and end at row 0, because the sampler runs the forward "
    "process backwards.",
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
    "You stopped at row 1; take the step at row 0 as well, because the batch that arrives there still holds the noise "
    "of one forward step.",
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
    "You drew z once for all steps; draw it anew in each step, because adding the same noise again and again makes a "
    "drift, not noise.",
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
    "You used `betas[t]` as the variance; use the posterior variance, which is smaller, because this sampler treats "
    "the model's guess of the clean batch as known.",
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
    "You gave the model the starting batch in every step; give it the current batch, because each step has changed "
    "which noise is left.",
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
