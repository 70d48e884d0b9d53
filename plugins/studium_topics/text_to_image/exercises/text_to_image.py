import itertools
from collections.abc import Callable, Sequence

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.text_to_image.exercises.guided_velocity import guided_velocity


@exercise(
    points=6,
    minutes=25,
    hints=(
        "In which order do the parts of the diagram work, and which part works in every step?",
        "Make P · S rows, each prompt with each seed. Take each batch of rows through all times, then decode it.",
        "ids (P, L) and noise (S, *) both become (P · S, …), prompt by prompt. Each step is negative.",
        "`ids.repeat_interleave(S, 0)`, `noise.repeat(P, 1, …)`, `z = z + (then - now) * v`, `.unflatten(0, (P, S))`.",
    ),
    level="integrative",
    importance=3,
)
def text_to_image(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    tokens: Callable[[Sequence[str]], Tensor],
    noise: Callable[[int], Tensor],
    decode: Callable[[Tensor], Tensor],
    prompts: Sequence[str],
    seeds: Sequence[int],
    times: Sequence[float],
    scale: float,
    negative: str = "",
    batch: int = 64,
) -> Tensor:
    """Return a grid of images, one for each prompt and seed, without gradients.

    * model(z, t, ids): the velocity; use your `guided_velocity`
    * tokens(captions): ids (N, L); noise(seed): the noise of one latent (*); decode(latents): images
    * prompts: P texts; seeds: S integers, each with the same noise for every prompt
    * times: fall from times[0] to 0; Euler's method steps from each to the next
    * scale, negative: the scale of the guidance, and the prompt to lead away from
    * batch: how many images to draw at a time, at most; the last batch may be smaller
    * returns: images (P, S, C, H, W)

    Start at times[0], with times[0] · noise as the latent.
    """
    ### BEGIN SOLUTION
    grid = (len(prompts), len(seeds))
    ids = tokens(prompts).repeat_interleave(len(seeds), 0)
    other = tokens([negative]).expand_as(ids)
    start = torch.stack([noise(seed) for seed in seeds])
    latents = times[0] * torch.cat([start] * len(prompts))
    images = []
    with torch.no_grad():
        for first in range(0, len(ids), batch):
            rows = slice(first, first + batch)
            z = latents[rows]
            for now, then in itertools.pairwise(times):
                v = guided_velocity(model, z, now, ids[rows], other[rows], scale)
                z = z + (then - now) * v
            images.append(decode(z))
    return torch.cat(images).unflatten(0, grid)
    ### END SOLUTION


@text_to_image.test("arrives at the image that the velocity leads to", points=2)
def _(text_to_image):
    def tokens(captions):
        return torch.tensor([[len(caption)] for caption in captions])

    def noise(seed):
        return torch.full((1, 2, 2), float(seed))

    def model(z, t, ids):  # the velocity that leads straight to an image of the number ids
        return (z - ids.view(-1, 1, 1, 1)) / t.view(-1, 1, 1, 1)

    got = text_to_image(model, tokens, noise, lambda z: 10 * z, ["ab", "abcde", "a"], [7, 9], [1.0, 0.7, 0.2, 0.0], 1.0)
    assert tuple(got.shape) == (3, 2, 1, 2, 2), f"shape (3, 2, 1, 2, 2) is expected, got {tuple(got.shape)}"
    expected = torch.tensor([20.0, 50.0, 10.0]).view(3, 1, 1, 1, 1).expand(3, 2, 1, 2, 2)
    assert_close(got, expected, rtol=1e-4, atol=1e-4, message="prompts of 2, 5 and 1 letters, decoded times 10")


@text_to_image.hidden("follows the guided velocity by Euler's steps, for each prompt and seed", points=2)
def _(text_to_image, rng):
    weight = torch.randn(4, 4, generator=rng, dtype=torch.float64) / 2

    def tokens(captions):
        return torch.tensor([[ord(c) for c in caption.ljust(3)[:3]] for caption in captions])

    def noise(seed):
        return torch.randn(4, 1, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    def model(z, t, ids):
        words = (ids.double().cos() * torch.tensor([1.0, 0.6, 0.3], dtype=torch.float64)).sum(1)
        return torch.einsum("ij,bjhw->bihw", weight, z).tanh() + (words + t.double()).view(-1, 1, 1, 1)

    def decode(z):
        return z.flip(1)[:, :3] * 2

    prompts, seeds = ["red", "a", "blu"], [4, 11]
    for times, scale, negative in (
        ([1.0, 0.6, 0.5, 0.0], 3.0, "bad"),
        ([0.9, 0.3, 0.0], 2.0, ""),
        ([1.0, 0.0], 1.0, ""),
    ):
        got = text_to_image(model, tokens, noise, decode, prompts, seeds, times, scale, negative)
        assert tuple(got.shape) == (3, 2, 3, 1, 2), f"shape (3, 2, 3, 1, 2) is expected, got {tuple(got.shape)}"
        for row, column in itertools.product(range(3), range(2)):
            z = times[0] * noise(seeds[column])[None]
            for now, then in itertools.pairwise(times):
                t = torch.tensor([now], dtype=torch.float64)
                towards, away = model(z, t, tokens([prompts[row]])), model(z, t, tokens([negative]))
                z = z - (now - then) * (scale * towards + (1 - scale) * away)
            what = f"prompt {prompts[row]!r}, seed {seeds[column]}, times {times}, scale {scale}, negative {negative!r}"
            assert_close(got[row, column], decode(z)[0], rtol=1e-4, atol=1e-5, message=what)


@text_to_image.hidden(
    "draws the same image of a prompt and a seed in any grid and batch, and keeps no gradient", points=2
)
def _(text_to_image, rng):
    weight, sizes = torch.randn(3, generator=rng).requires_grad_(), []

    def tokens(captions):
        return torch.tensor([[len(caption), ord(caption[:1] or "0")] for caption in captions])

    def noise(seed):
        return torch.randn(3, 2, 1, generator=torch.Generator().manual_seed(seed))

    def model(z, t, ids):
        sizes.append(len(z))
        return weight.view(3, 1, 1) * z + ids.float().sin().sum(1).view(-1, 1, 1, 1) * t.view(-1, 1, 1, 1)

    def decode(z):
        return z.flip(0).flip(0) / 2

    whole = text_to_image(model, tokens, noise, decode, ["ab", "cde"], [3, 1, 8], [1.0, 0.5, 0.0], 4.0, "x")
    assert not whole.requires_grad, "images are expected without gradients; draw under torch.no_grad()"
    alone = text_to_image(model, tokens, noise, decode, ["cde"], [8], [1.0, 0.5, 0.0], 4.0, "x")
    assert_close(alone[0, 0], whole[1, 2], message="the same prompt and seed, drawn alone")
    for batch in (4, 1, 5):
        sizes.clear()
        parts = text_to_image(model, tokens, noise, decode, ["ab", "cde"], [3, 1, 8], [1.0, 0.5, 0.0], 4.0, "x", batch)
        assert_close(parts, whole, rtol=1e-4, atol=1e-5, message=f"the same grid in batches of {batch}")
        most = max(sizes)
        assert most <= 2 * batch, f"at most {2 * batch} rows at a time are expected with batches of {batch}, got {most}"


@text_to_image.misconception(
    "You stepped by now - then. Time falls on the way to the image, so step by then - now, which is negative.",
    name="steps-backward",
)
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    with torch.no_grad():
        ids = tokens(prompts).repeat_interleave(len(seeds), 0)
        z = times[0] * torch.cat([torch.stack([noise(seed) for seed in seeds])] * len(prompts))
        for now, then in itertools.pairwise(times):
            v = guided_velocity(model, z, now, ids, tokens([negative]).expand_as(ids), scale)
            z = z + (now - then) * v
        return decode(z).unflatten(0, (len(prompts), len(seeds)))


@text_to_image.misconception(
    "You repeated the prompts one after another and the noise in the same way, so prompt 1 meets seed 1, and prompt 2 "
    "meets seed 2. Interleave one of them, and each prompt meets each seed in its row.",
    name="pairs-instead-of-grid",
)
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    with torch.no_grad():
        ids = tokens(prompts).repeat(len(seeds), 1)
        z = times[0] * torch.cat([torch.stack([noise(seed) for seed in seeds])] * len(prompts))
        for now, then in itertools.pairwise(times):
            v = guided_velocity(model, z, now, ids, tokens([negative]).expand_as(ids), scale)
            z = z + (then - now) * v
        return decode(z).unflatten(0, (len(prompts), len(seeds)))


@text_to_image.misconception(
    "You took the velocity at the time where the step ends; Euler's method takes it where the step begins, because "
    "that is where z is.",
    name="velocity-at-the-end",
)
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    with torch.no_grad():
        ids = tokens(prompts).repeat_interleave(len(seeds), 0)
        z = times[0] * torch.cat([torch.stack([noise(seed) for seed in seeds])] * len(prompts))
        for now, then in itertools.pairwise(times):
            v = guided_velocity(model, z, then, ids, tokens([negative]).expand_as(ids), scale)
            z = z + (then - now) * v
        return decode(z).unflatten(0, (len(prompts), len(seeds)))


@text_to_image.misconception(
    "You took equal steps; the gaps between `times` differ, and the last step has to end at 0.", name="equal-steps"
)
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    with torch.no_grad():
        ids = tokens(prompts).repeat_interleave(len(seeds), 0)
        z = times[0] * torch.cat([torch.stack([noise(seed) for seed in seeds])] * len(prompts))
        for now in times[:-1]:
            v = guided_velocity(model, z, now, ids, tokens([negative]).expand_as(ids), scale)
            z = z - v / len(times[:-1])
        return decode(z).unflatten(0, (len(prompts), len(seeds)))


@text_to_image.misconception(
    "You took one step too few; the last step, from the last time before 0 to 0, takes away the rest of the noise.",
    name="stops-early",
)
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    with torch.no_grad():
        ids = tokens(prompts).repeat_interleave(len(seeds), 0)
        z = times[0] * torch.cat([torch.stack([noise(seed) for seed in seeds])] * len(prompts))
        for now, then in itertools.pairwise(times[:-1]):
            v = guided_velocity(model, z, now, ids, tokens([negative]).expand_as(ids), scale)
            z = z + (then - now) * v
        return decode(z).unflatten(0, (len(prompts), len(seeds)))


@text_to_image.misconception(
    "You left out the negative prompt; pass its tokens as what to lead away from.", name="no-negative"
)
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    with torch.no_grad():
        ids = tokens(prompts).repeat_interleave(len(seeds), 0)
        z = times[0] * torch.cat([torch.stack([noise(seed) for seed in seeds])] * len(prompts))
        for now, then in itertools.pairwise(times):
            z = z + (then - now) * guided_velocity(model, z, now, ids, tokens([""]).expand_as(ids), scale)
        return decode(z).unflatten(0, (len(prompts), len(seeds)))


@text_to_image.also_correct
@torch.no_grad()
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    rows = []
    for prompt, seed in itertools.product(prompts, seeds):
        z = times[0] * noise(seed)[None]
        for i in range(len(times) - 1):
            z = z + (times[i + 1] - times[i]) * guided_velocity(
                model, z, times[i], tokens([prompt]), tokens([negative]), scale
            )
        rows.append(z)
    images = decode(torch.cat(rows))
    return images.reshape(len(prompts), len(seeds), *images.shape[1:])


@text_to_image.also_correct
def _(model, tokens, noise, decode, prompts, seeds, times, scale, negative="", batch=64):
    pairs, images = [(prompt, seed) for prompt in prompts for seed in seeds], []
    while len(images) < len(pairs):
        some = pairs[len(images) : len(images) + batch]
        ids, other = tokens([prompt for prompt, _ in some]), tokens([negative] * len(some))
        z = torch.stack([noise(seed) * times[0] for _, seed in some])
        for now, then in itertools.pairwise(times):
            with torch.no_grad():
                z = z - (now - then) * guided_velocity(model, z, now, ids, other, scale)
        images.extend(decode(z).detach())
    return torch.stack(images).reshape(len(prompts), len(seeds), *images[0].shape)
