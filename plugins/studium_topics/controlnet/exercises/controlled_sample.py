from functools import partial

import torch
from studium import assert_close, exercise
from torch import nn

from studium_topics.controlnet.exercises.controlled_eps import controlled_eps
from studium_topics.controlnet.model import Control, Look, step_between
from studium_topics.kits.diffusion import UNet
from studium_topics.kits.weights import drawn


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    hints=(
        "After the last row there is no next row. Which number stands for the clean image?",
        "Start from noise and keep it. For each row: predict, step to the next row, and keep the result.",
        "The film has one more state than there are rows; t is (B,) for the network and a number for `step_between`.",
        "`zip(rows, [*rows[1:], -1], scales)` pairs each row with the next one and its scale; "
        "`torch.full((len(x),), t)` is t for the network.",
    ),
)
def controlled_sample(base, control, hint, y, scales, rows, abar, generator):
    """Return the states of sampling, from noise to images that follow a drawing.

    Start from `torch.randn((B, 3, S, S), generator=generator)`. From each row of `rows` go to the next one, and from
    the last one to -1, with `step_between(eps, x, t, before, abar, z)`; eps comes from `controlled_eps`. In every step,
    draw z as `torch.randn(x.shape, generator=generator)`.

    * hint: (B, 1, S, S); y: (B,)
    * rows: the rows of abar to visit, a list of ints from high to low
    * scales: a list with the control's scale at each of `rows`; both lists stay as they are
    * abar: (T,)
    * returns: (len(rows) + 1, B, 3, S, S), noise first, without gradients
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator).to(hint.device)
        film = [x]
        for t, before, scale in zip(rows, [*rows[1:], -1], scales, strict=True):
            level = torch.full((len(x),), t, device=x.device)
            eps = controlled_eps(base, control, x, level, y, hint, scale)
            z = torch.randn(x.shape, generator=generator).to(x.device)
            x = step_between(eps, x, t, before, abar, z)
            film.append(x)
    return torch.stack(film)
    ### END SOLUTION


controlled_sample.equivalent(
    "for t, before, scale in zip(rows, [*rows[1:], -2], scales, strict=True):",
    "any negative row stands for the clean image",
)

controlled_sample.equivalent(
    "for t, before, scale in zip(rows, [*rows[1:], -1], scales, strict=False):", "each row has its scale"
)

controlled_sample.equivalent("times = torch.tensor([rows[i]])", "one time is broadcast to all images")


@controlled_sample.test("keeps the noise and the state after each row", points=1)
def _(controlled_sample, rng):
    base = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.2)
    copied = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.2)
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.2) for width in (8, 16, 16))
    control = Control(copied, drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng), outs)
    hint, y = torch.rand(3, 1, 4, 4, generator=rng), torch.tensor([4, 0, 2])
    abar = torch.linspace(0.98, 0.05, 20)
    generator = torch.Generator().manual_seed(7)
    film = controlled_sample(base, control, hint, y, [1.0, 1.0, 0.5], [19, 11, 2], abar, generator)
    assert isinstance(film, torch.Tensor), f"a tensor is expected, got {type(film).__name__}"
    assert tuple(film.shape) == (4, 3, 3, 4, 4), f"3 rows give 4 states, so (4, 3, 3, 4, 4), got {tuple(film.shape)}"
    noise = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(7))
    assert_close(film[0], noise, message="the film starts from noise of the generator")
    assert not film.requires_grad, "a film needs no gradients: sample under torch.no_grad()"


@controlled_sample.hidden("visits the rows in their order, with the scale of each", points=2)
def _(controlled_sample, rng):
    cases = ((3, 2, [19, 12, 5], [1.5, 0.4, 0.0], 6), (5, 3, [16, 9, 3, 0], [0.0, 1.0, 0.3, 2.0], 4))
    for seed, count, rows, scales, size in cases:
        base = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.25)
        copied = drawn(partial(UNet, 20, 3, (8, 16), 5), rng, scale=0.25)
        outs = nn.ModuleList(drawn(partial(nn.Conv2d, width, width, 1), rng, scale=0.5) for width in (8, 16, 16))
        look, enter = drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng)
        hint, y = torch.rand(count, 1, size, size, generator=rng), torch.randperm(5, generator=rng)[:count]
        abar = torch.cumprod(1 - torch.linspace(0.01, 0.3, 20), 0)
        control, given = Control(copied, look, enter, outs), (list(scales), list(rows))
        film = controlled_sample(base, control, hint, y, *given, abar, torch.Generator().manual_seed(seed))
        assert given == (scales, rows), "scales and rows must stay as they are"
        twin = torch.Generator().manual_seed(seed)
        x = torch.randn(count, 3, size, size, generator=twin)
        states = [x]
        with torch.no_grad():
            for place, t in enumerate(rows):
                times = torch.full((count,), t)
                told, own = base.embed(times, y), copied.embed(times, y)
                skips, middle = base.encode(x, told)
                seen, deep = copied.encode(x, own, enter(look(hint)))
                skips = [a + scales[place] * out(f) for a, out, f in zip(skips, outs, seen, strict=False)]
                eps = base.decode(skips, middle + scales[place] * outs[-1](deep), told)
                now, then = abar[t], abar[rows[place + 1]] if place + 1 < len(rows) else torch.tensor(1.0)
                clean = ((x - (1 - now) ** 0.5 * eps) / now**0.5).clamp(-1, 1)
                share = now / then
                mean = then**0.5 * (1 - share) / (1 - now) * clean + share**0.5 * (1 - then) / (1 - now) * x
                x = mean + ((1 - share) * (1 - then) / (1 - now)) ** 0.5 * torch.randn(x.shape, generator=twin)
                states.append(x)
        what = f"the film along the rows {rows} with the scales {scales}"
        assert_close(film, torch.stack(states), rtol=1e-3, atol=2e-3, message=what)


@controlled_sample.hidden("ends on an image of values from -1 to 1, the same for the same seed", points=1)
def _(controlled_sample, rng):
    base = drawn(partial(UNet, 20, 3, (8,), 3), rng, scale=0.3)
    copied = drawn(partial(UNet, 20, 3, (8,), 3), rng, scale=0.3)
    outs = nn.ModuleList(drawn(partial(nn.Conv2d, 8, 8, 1), rng, scale=0.3) for _ in range(2))
    control = Control(copied, drawn(partial(Look, 8), rng), drawn(partial(nn.Conv2d, 8, 8, 1), rng), outs)
    hint, y, abar = torch.rand(2, 1, 4, 4, generator=rng), torch.tensor([2, 1]), torch.linspace(0.95, 0.02, 20)
    films = []
    for seed in (4, 4, 5):
        again = torch.Generator().manual_seed(seed)
        films.append(controlled_sample(base, control, hint, y, [1.0, 1.0], [18, 7], abar, again))
    assert films[0][-1].abs().max() <= 1 + 1e-5, "the last step ends on the clean image: its row before is -1"
    assert torch.equal(films[0], films[1]), "the same seed must give the same film"
    assert not torch.equal(films[0], films[2]), "another seed must give another film"


@controlled_sample.misconception(
    "You stepped from row t to row t - 1; step to the next row of `rows`, which may be far below.",
    name="one-row-at-a-time",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator)
        film = [x]
        for t, scale in zip(rows, scales, strict=True):
            eps = controlled_eps(base, control, x, torch.full((len(x),), t), y, hint, scale)
            x = step_between(eps, x, t, t - 1, abar, torch.randn(x.shape, generator=generator))
            film.append(x)
    return torch.stack(film)


@controlled_sample.misconception(
    "You passed the number of the step to the network; it was trained on rows of abar, so pass t itself.",
    name="step-number-for-the-row",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator)
        film = [x]
        for i, (t, before, scale) in enumerate(zip(rows, [*rows[1:], -1], scales, strict=True)):
            eps = controlled_eps(base, control, x, torch.full((len(x),), i), y, hint, scale)
            x = step_between(eps, x, t, before, abar, torch.randn(x.shape, generator=generator))
            film.append(x)
    return torch.stack(film)


@controlled_sample.misconception(
    "You used the starting noise again in each step; draw a fresh z, or the same pattern is added every time.",
    name="same-noise-in-each-step",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.no_grad():
        x = torch.randn((len(hint), 3, *hint.shape[2:]), generator=generator)
        film = [x]
        for t, before, scale in zip(rows, [*rows[1:], -1], scales, strict=True):
            eps = controlled_eps(base, control, x, torch.full((len(x),), t), y, hint, scale)
            x = step_between(eps, x, t, before, abar, film[0])
            film.append(x)
    return torch.stack(film)


@controlled_sample.misconception(
    "You used the first scale for every row; each row has its own scale.", name="first-scale-everywhere"
)
def _(base, control, hint, y, scales, rows, abar, generator):
    return controlled_sample(base, control, hint, y, [scales[0]] * len(rows), rows, abar, generator)


@controlled_sample.misconception(
    "You left the control at scale 1; `scales` gives its strength at each row.", name="ignored-the-scales"
)
def _(base, control, hint, y, scales, rows, abar, generator):
    return controlled_sample(base, control, hint, y, [1.0] * len(rows), rows, abar, generator)


@controlled_sample.misconception(
    "You ended on the last row of `rows`; take the step from there to the clean image at -1 too.",
    name="stopped-at-the-last-row",
)
def _(base, control, hint, y, scales, rows, abar, generator):
    return controlled_sample(base, control, hint, y, scales, rows, abar, generator)[:-1]


@controlled_sample.also_correct
def _(base, control, hint, y, scales, rows, abar, generator):
    size, _, height, width = hint.shape
    states = [torch.randn(size, 3, height, width, generator=generator)]
    for i in range(len(rows)):
        before = rows[i + 1] if i + 1 < len(rows) else -1
        times = torch.tensor([rows[i]] * size)
        eps = controlled_eps(base, control, states[-1], times, y, hint, scales[i]).detach()
        fresh = torch.randn(size, 3, height, width, generator=generator)
        states.append(step_between(eps, states[-1], rows[i], before, abar, fresh))
    return torch.stack(states)


@controlled_sample.also_correct
def _(base, control, hint, y, scales, rows, abar, generator):
    with torch.inference_mode():
        film = torch.empty(len(rows) + 1, len(hint), 3, *hint.shape[-2:])
        film[0] = torch.randn(film.shape[1:], generator=generator)
        following = [*rows[1:], -1]
        for i, t in enumerate(rows):
            z = torch.empty_like(film[i]).normal_(generator=generator)
            eps = controlled_eps(base, control, film[i], torch.full(y.shape, t), y, hint, scales[i])
            film[i + 1] = step_between(eps, film[i], t, following[i], abar, z)
    return film.clone()
