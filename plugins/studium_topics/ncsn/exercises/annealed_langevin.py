from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.ncsn.exercises.langevin import langevin


@exercise(
    points=5,
    minutes=15,
    hints=(
        "What changes from level to level, and what does a level pass on to the next?",
        "Let your `langevin` walk at each level. It wants a function of x only, so fix the level inside that function.",
        "The model wants sigma with the shape (B,); level i walks with slice i of `noise`, which has the shape (n, B, "
        "*).",
        "`langevin(lambda at, level=level: score(at, level), x, size, noise[i])` with `level = sigma.expand(len(x))`.",
    ),
    level="core",
    importance=3,
)
def annealed_langevin(
    score: Callable[[Tensor, Tensor], Tensor], x: Tensor, sigmas: Tensor, step: float, noise: Tensor
) -> Tensor:
    """Return where walkers end after n Langevin steps at each level of a ladder (the paper's algorithm 1).

    * score(x, sigma): takes walkers (B, *) and their levels (B,), returns (B, *)
    * x: (B, *), the start
    * sigmas: (L,), the levels in order
    * step: the a of the last level; the ratio of a to σ² is the same at all levels
    * noise: (L, n, B, *), standard normal; noise[i] is for level i
    * returns: (B, *)

    The arguments stay as they are. You may call `langevin`.
    """
    ### BEGIN SOLUTION
    for i, sigma in enumerate(sigmas):
        level = sigma.expand(len(x))
        x = langevin(lambda at, level=level: score(at, level), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x
    ### END SOLUTION


@annealed_langevin.test("takes larger steps at larger noise", points=1)
def _(annealed_langevin):
    def score(at, sigma):
        return -at / sigma.view(-1, 1) ** 2

    sigmas, x = torch.tensor([2.0, 1.0]), torch.tensor([[8.0, 4.0]])
    noise = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 2.0]]]])
    found = annealed_langevin(score, x, sigmas, 0.16, noise)
    first = torch.tensor([[0.92 * 8 + 0.8, 0.92 * 4]])  # a = 0.64 at σ = 2
    expected = 0.92 * first + torch.tensor([[0.0, 0.8]])  # a = 0.16 at σ = 1
    assert_close(found, expected, rtol=1e-4, atol=1e-5, message="one step at σ = 2, one at σ = 1, a = 0.16 at the last")


@annealed_langevin.hidden("tells the model the level of every row, from the first level to the last", points=2)
def _(annealed_langevin, rng):
    for shape, levels, n in (((3, 2), [5.0, 2.0, 0.5], 4), ((2, 4, 5), [4.0, 1.0], 3), ((4, 4), [0.7], 2)):
        sigmas = torch.tensor(levels, dtype=torch.float64)
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        noise = torch.randn(len(levels), n, *shape, generator=rng, dtype=torch.float64)
        seen = []

        def score(at, sigma, seen=seen):
            seen.append((at, sigma))
            return torch.zeros_like(at)

        annealed_langevin(score, x, sigmas, 0.1, noise)
        assert len(seen) == len(levels) * n, f"{len(levels)} levels of {n} steps are expected, got {len(seen)} calls"
        for _, sigma in seen:
            got = tuple(getattr(sigma, "shape", ()))
            assert got == (len(x),), f"sigma must have the shape (B,) = ({len(x)},), one number a row, got {got}"
        expected = [torch.full((len(x),), level, dtype=torch.float64) for level in levels for _ in range(n)]
        told = [sigma for _, sigma in seen]
        assert_close(told, expected, rtol=1e-5, atol=1e-6, message="the σ that the model was told, call by call")
        assert_close(seen[0][0], x, rtol=1e-5, atol=1e-6, message="where the model was asked first")


@annealed_langevin.hidden("keeps the ratio of step to σ² at all levels, and goes on from level to level", points=2)
def _(annealed_langevin, rng):
    def score(at, sigma):
        return torch.tanh(at) / sigma.reshape(len(at), *[1] * (at.ndim - 1)) - at

    for shape, levels, n in (((5, 2), [5.0, 2.0, 0.5], 4), ((2, 4, 3), [4.0, 1.0], 5), ((3, 3), [0.7], 4)):
        sigmas = torch.tensor(levels, dtype=torch.float64)
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        noise = torch.randn(len(levels), n, *shape, generator=rng, dtype=torch.float64)
        kept = [x.clone(), sigmas.clone(), noise.clone()]
        expected = x.clone()
        for level, draws in zip(levels, noise, strict=True):
            size = 0.02 * level * level / (levels[-1] * levels[-1])
            for z in draws:
                expected = expected + 0.5 * size * (torch.tanh(expected) / level - expected) + size**0.5 * z
        found = annealed_langevin(score, x, sigmas, 0.02, noise)
        what = f"levels {levels} with {n} steps each, walkers of shape {shape}"
        assert_close(found, expected, rtol=1e-4, atol=1e-4, message=what)
        assert_close([x, sigmas, noise], kept, message="the arguments after the call")


annealed_langevin.mistake(
    "same-step",
    "You took the same step at every level; let a grow with σ², because steps that suit the last level hardly move the "
    "walkers at the first ones.",
    replace="step * (sigma / sigmas[-1]) ** 2",
    by="step",
)

annealed_langevin.mistake(
    "step-grows-with-sigma",
    "Your step grows with σ; let it grow with σ², because otherwise the ratio of drift to noise differs from level to "
    "level.",
    replace="(sigma / sigmas[-1]) ** 2",
    by="sigma / sigmas[-1]",
)

annealed_langevin.mistake(
    "levels-reversed",
    "You visited the levels in reverse order; take `sigmas` in the order given, because the walk must end at the least "
    "noise.",
    replace="enumerate(sigmas)",
    by="enumerate(sigmas.flip(0))",
)

annealed_langevin.mistake(
    "measured-against-the-first",
    "You scaled the step relative to the first level; divide by the square of the last σ, because `step` is the size "
    "at the last level.",
    replace="-1",
    by="0",
)


@annealed_langevin.misconception(
    "You restarted every level at `x`; start each level where the previous one ended, because otherwise only the last "
    "level has any effect.",
    name="each-level-from-the-start",
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        level = sigma.expand(len(x))
        end = langevin(lambda at, level=level: score(at, level), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return end


@annealed_langevin.misconception(
    "You passed the last σ to the model at every level; pass the current level, because the score of a noisier density "
    "is a different function.",
    name="last-sigma-throughout",
)
def _(score, x, sigmas, step, noise):
    level = sigmas[-1].expand(len(x))
    for i, sigma in enumerate(sigmas):
        x = langevin(lambda at: score(at, level), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "You passed the model a single number; pass a tensor sigma of shape (B,), because every row may have its own "
    "level.",
    name="sigma-without-rows",
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        x = langevin(lambda at, sigma=sigma: score(at, sigma), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "You passed the model a Python number; pass a tensor sigma of shape (B,), because every row may have its own "
    "level.",
    name="sigma-as-a-float",
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        x = langevin(lambda at, sigma=sigma: score(at, float(sigma)), x, step * (sigma / sigmas[-1]) ** 2, noise[i])
    return x


@annealed_langevin.misconception(
    "Your drift grows with σ², but your noise stays the same; both belong to the same step a: the drift is a/2 times "
    "the score, and the noise is √a times z.",
    name="noise-not-scaled",
)
def _(score, x, sigmas, step, noise):
    for i, sigma in enumerate(sigmas):
        ratio = (sigma / sigmas[-1]) ** 2
        for z in noise[i]:
            x = x + step * ratio / 2 * score(x, sigma.expand(len(x))) + step**0.5 * z
    return x


@annealed_langevin.also_correct
def _(score, x, sigmas, step, noise):
    place = x
    for number, level in enumerate(sigmas.tolist()):
        size = step * (level / float(sigmas[-1])) ** 2
        told = torch.full((x.shape[0],), level, dtype=x.dtype, device=x.device)
        for z in noise[number]:
            place = place + size / 2 * score(place, told) + size**0.5 * z
    return place
