"""The exercises of text-to-image: a rectified flow, DDIM in its terms, guidance, the pipeline, and four measures.

Conventions: the straight path is z_t = (1 - t) x0 + t eps, from the image at t = 0 to the noise at t = 1, and its
velocity is v = eps - x0 (Liu et al. 2022, arXiv 2209.03003; Esser et al. 2024, arXiv 2403.03206). DDPM's noisy image is
x = sqrt(abar) x0 + sqrt(1 - abar) eps. The scale of guidance is Imagen's: 1 is none.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from studium import assert_close, exercise
from torch import Tensor, nn
from torch.nn import functional as F


@exercise(
    points=4,
    minutes=14,
    hints=(
        "Which three things are random here, and how many random numbers of each does a batch need?",
        "Mix each image with noise of its own at a time of its own. The velocity of that line is the target.",
        "t is (B,), and has to become (B, 1, …, 1) to multiply x0. A dropped caption is a row of ids that is all 0.",
        "`t.view(-1, *[1] * (x0.ndim - 1))`; `torch.rand(..., generator=generator)`; `ids * keep[:, None]`.",
    ),
    level="core",
    importance=3,
)
def flow_loss(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], x0: Tensor, ids: Tensor, drop: float, generator: torch.Generator
) -> Tensor:
    """Return the loss of a rectified flow on one batch: the mean squared error of the predicted velocity, a scalar.

    * model(z, t, ids): the velocity, shaped like z, at times t (B,)
    * x0: clean latents (B, *); ids: tokens (B, L) long
    * drop: share of captions that the model does not get; it gets zeros in their place
    * generator: where all random numbers come from

    Each row has a time of its own, uniform in [0, 1], and standard normal noise. Call the model once. x0 and ids stay
    as they are.
    """
    ### BEGIN SOLUTION
    t = torch.rand(len(x0), generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    keep = torch.rand(len(x0), generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    velocity = model((1 - share) * x0 + share * noise, t, ids * keep[:, None])
    return F.mse_loss(velocity, noise - x0)
    ### END SOLUTION


@flow_loss.test("compares the model's answer with the velocity of the line from image to noise", points=1)
def _(flow_loss):
    generator = torch.Generator().manual_seed(3)
    x0, ids, calls = 2 + torch.randn(6, 3, 2, generator=generator), torch.arange(1, 13).view(6, 2), []

    def model(z, t, ids):
        calls.append((z, t, ids))
        return 0.3 * z + 1

    loss = flow_loss(model, x0, ids, 0.0, generator)
    assert len(calls) == 1, f"one call of the model is expected, got {len(calls)}"
    z, t, given = calls[0]
    assert tuple(t.shape) == (6,), f"t with one time for each image is expected, shape (6,), got {tuple(t.shape)}"
    share = t.view(6, 1, 1)
    noise = (z - (1 - share) * x0) / share  # what was mixed in, if the mixture is right
    assert_close(loss, (0.3 * z + 1 - (noise - x0)).square().mean(), rtol=1e-3, atol=1e-4, message="the loss")
    assert_close(given, ids, message="the ids that the model got, with drop = 0")


@flow_loss.hidden("draws a uniform time and normal noise for each row, for latents of any shape", points=1)
def _(flow_loss, rng):
    for shape in ((400, 5), (300, 2, 3, 3)):
        x0, ids, calls = 1 + torch.randn(shape, generator=rng), torch.ones(shape[0], 4, dtype=torch.long), []

        def model(z, t, ids, calls=calls):
            calls.append((z, t))
            return torch.zeros_like(z)

        loss = flow_loss(model, x0, ids, 0.5, rng)
        assert len(calls) == 1, f"one call of the model is expected, got {len(calls)}"
        z, t = calls[0]
        assert tuple(t.shape) == shape[:1], f"t is expected with shape {shape[:1]}, got {tuple(t.shape)}"
        mean, spread, low = float(t.mean()), float(t.std()), float(t.min())
        assert low >= 0, f"times from 0 to 1 are expected, got {low:.2f}"
        assert abs(mean - 0.5) < 0.08, f"uniform times have the mean 0.5, got {mean:.2f}"
        assert abs(spread - 0.289) < 0.04, f"uniform times have a standard deviation of 0.289, got {spread:.3f}"
        share = t.view(-1, *[1] * (len(shape) - 1))
        noise = ((z - (1 - share) * x0) / share)[t > 0.05]
        mean, spread = float(noise.mean()), float(noise.std())
        assert abs(mean) < 0.15, f"noise with the mean 0 is expected, got {mean:.2f}"
        assert abs(spread - 1) < 0.1, f"noise with a standard deviation of 1 is expected, got {spread:.2f}"
        expected = (x0 - (z - (1 - share) * x0) / share)[t > 0.05].square().mean()
        assert_close(loss, expected, rtol=0.1, atol=0.01, message="the loss of a model that answers 0")


@flow_loss.hidden("drops whole captions, a share of them, and leaves its arguments as they are", points=1)
def _(flow_loss, rng):
    x0, ids = torch.randn(900, 3, generator=rng), torch.randint(1, 9, (900, 5), generator=rng)
    kept, seen = (x0.clone(), ids.clone()), []

    def model(z, t, ids):
        seen.append((z, t, ids))
        return z * ids.float().mean(1, keepdim=True)

    for drop in (0.2, 0.7, 0.0, 1.0):
        loss = flow_loss(model, x0, ids, drop, rng)
        assert_close([x0, ids], list(kept), message="x0 and ids after the call")
        z, t, words = seen[-1]
        velocity = (z - x0) / t[:, None]  # of the line through z
        expected = (z * words.float().mean(1, keepdim=True) - velocity).square().mean()
        assert_close(loss, expected, rtol=1e-3, atol=1e-4, message=f"the loss with drop = {drop}")
        gone = words == 0
        assert torch.equal(gone.any(1), gone.all(1)), (
            "a dropped caption is dropped whole; some lost a part of its words"
        )
        share = float(gone.all(1).double().mean())
        assert abs(share - drop) < 0.08, f"a share of {drop} dropped captions is expected, got {share:.2f}"
        assert_close(words[~gone.all(1)], ids[~gone.all(1)], message="captions that were kept")


@flow_loss.hidden("draws from the generator alone, and has the gradient of the model's parameters", points=1)
def _(flow_loss, rng):
    x0, ids = torch.randn(40, 4, generator=rng), torch.ones(40, 2, dtype=torch.long)
    seed = int(torch.randint(0, 10**6, (), generator=rng))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, z, t, ids):
            return self.weight * z * (1 + ids[:, :1])

    model = Model()
    losses = [flow_loss(model, x0, ids, 0.5, torch.Generator().manual_seed(k)) for k in (seed, seed, seed + 1)]
    assert_close(losses[1], losses[0], message="the loss with the same seed again")
    assert not torch.equal(losses[2], losses[0]), "another seed is expected to give another loss"
    (slope,) = torch.autograd.grad(losses[0], model.weight)
    model.weight.data += 1e-2
    moved = flow_loss(model, x0, ids, 0.5, torch.Generator().manual_seed(seed))
    model.weight.data -= 2e-2
    back = flow_loss(model, x0, ids, 0.5, torch.Generator().manual_seed(seed))
    assert_close(slope, ((moved - back) / 2e-2).detach(), rtol=1e-2, atol=1e-3, message="the gradient")


@flow_loss.misconception(
    "You asked for image minus noise; time runs from the image at 0 to the noise at 1, so the velocity is noise minus "
    "image: a sampler that steps towards t = 0 would walk away from every image.",
    name="backward-velocity",
)
def _(model, x0, ids, drop, generator):
    t, noise = torch.rand(len(x0), generator=generator), torch.randn(x0.shape, generator=generator)
    keep = torch.rand(len(x0), generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model((1 - share) * x0 + share * noise, t, ids * keep[:, None]), x0 - noise)


@flow_loss.misconception(
    "You took the noise as the target, as DDPM does; a rectified flow predicts the velocity, noise minus image.",
    name="noise-as-target",
)
def _(model, x0, ids, drop, generator):
    t, noise = torch.rand(len(x0), generator=generator), torch.randn(x0.shape, generator=generator)
    keep = torch.rand(len(x0), generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model((1 - share) * x0 + share * noise, t, ids * keep[:, None]), noise)


@flow_loss.misconception(
    "You mixed the wrong way round; here t is the share of noise, so that z is the image at t = 0.",
    name="t-is-the-image",
)
def _(model, x0, ids, drop, generator):
    t, noise = torch.rand(len(x0), generator=generator), torch.randn(x0.shape, generator=generator)
    keep = torch.rand(len(x0), generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model(share * x0 + (1 - share) * noise, t, ids * keep[:, None]), noise - x0)


@flow_loss.misconception(
    "You drew one time for the whole batch; draw one for each image, because otherwise each step of the optimiser "
    "follows a single time, and the gradient is noisier than it needs to be.",
    name="one-time",
)
def _(model, x0, ids, drop, generator):
    t = torch.rand((), generator=generator).expand(len(x0))
    noise, keep = torch.randn(x0.shape, generator=generator), torch.rand(len(x0), generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model((1 - share) * x0 + share * noise, t, ids * keep[:, None]), noise - x0)


@flow_loss.misconception(
    "You dropped single words; guidance needs a prediction for no caption at all, so a caption is kept whole or "
    "dropped whole.",
    name="drops-words",
)
def _(model, x0, ids, drop, generator):
    t, noise = torch.rand(len(x0), generator=generator), torch.randn(x0.shape, generator=generator)
    keep = torch.rand(ids.shape, generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model((1 - share) * x0 + share * noise, t, ids * keep), noise - x0)


@flow_loss.misconception(
    "You kept captions with probability `drop`; it is the share that the model does not get.", name="keeps-with-drop"
)
def _(model, x0, ids, drop, generator):
    t, noise = torch.rand(len(x0), generator=generator), torch.randn(x0.shape, generator=generator)
    keep = torch.rand(len(x0), generator=generator) < drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model((1 - share) * x0 + share * noise, t, ids * keep[:, None]), noise - x0)


@flow_loss.also_correct
def _(model, x0, ids, drop, generator):
    noise = torch.empty_like(x0).normal_(generator=generator)
    t = torch.empty(x0.shape[0]).uniform_(generator=generator)
    dropped = torch.bernoulli(torch.full((len(x0),), float(drop)), generator=generator).bool()
    z = x0 + t.reshape((-1,) + (1,) * (x0.dim() - 1)) * (noise - x0)
    return (model(z, t, ids.masked_fill(dropped[:, None], 0)) - noise + x0).pow(2).mean()


@flow_loss.also_correct
def _(model, x0, ids, drop, generator):
    t, words = torch.rand(len(x0), generator=generator), ids.clone()
    words[torch.rand(len(x0), generator=generator) < drop] = 0
    noise = torch.stack([torch.randn(row.shape, generator=generator) for row in x0])
    z = torch.stack([(1 - share) * image + share * other for share, image, other in zip(t, x0, noise, strict=True)])
    return torch.mean((noise - x0 - model(z, t, words)) ** 2)


flow_loss.equivalent("return F.mse_loss(noise - x0, velocity)", "a squared difference has no sign")
flow_loss.equivalent(
    "keep = torch.rand(len(x0), generator=generator) > drop",
    "it differs only where a random number is exactly drop, once in 16 million",
)


@exercise(
    points=3,
    minutes=10,
    hints=(
        "Guidance starts at one prediction and goes through another one. Where is the start, if scale 1 is to give v?",
        "Ask about each z twice, once with each row of words. Cut the answer in two in the order of the question.",
        "z and the words become (2 B, …), the times (2 B,); each half of the answer is (B, *).",
        "`torch.cat([z, z])`, `torch.full((2 * len(z),), t)`, `.chunk(2)`, and start + scale * difference.",
    ),
    level="core",
    importance=3,
)
def guided_velocity(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], z: Tensor, t: float, ids: Tensor, other: Tensor, scale: float
) -> Tensor:
    """Return the velocity, led towards one prompt and away from another, by a single call of the model.

    * model(z, t, ids): takes any number of rows, treats each by itself, and returns the velocity, shaped like its z
    * z: (B, *); t: the time of all rows
    * ids: the prompts (B, L) long; other: what to lead away from, (B, L), all 0 for "no caption"
    * scale: 0 gives the velocity of `other`, 1 that of `ids`; linear in the scale
    * returns: (B, *)

    Call the model on 2 B rows; on B rows where scale is 1. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    times = torch.full((len(z),), t, dtype=z.dtype, device=z.device)
    if scale == 1:
        return model(z, times, ids)
    v, away = model(torch.cat([z, z]), torch.cat([times, times]), torch.cat([ids, other])).chunk(2)
    return away + scale * (v - away)
    ### END SOLUTION


guided_velocity.equivalent(
    "times = torch.full((len(z),), t, device=z.device)", "the statement leaves the dtype of the times open"
)


@guided_velocity.test("goes from the velocity of the other prompt through that of the prompt", points=1)
def _(guided_velocity):
    z = torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]])
    ids, other = torch.tensor([[2], [4]]), torch.tensor([[20], [30]])

    def model(z, t, ids):
        return z + t.view(-1, 1) + ids / 2.0

    got = guided_velocity(model, z, 0.5, ids, other, 3.0)
    expected = torch.tensor([[-15.5, -14.5, -16.5], [-20.5, -19.5, -18.5]])  # z + 0.5 + 10 - 3 · 9, … + 15 - 3 · 13
    assert_close(got, expected, message="prompts 2 and 4, others 20 and 30, t = 0.5, scale 3")


@guided_velocity.hidden("asks once about 2 B rows, each with its words and the time", points=1)
def _(guided_velocity, rng):
    for shape, t in (((4, 5), 0.3), ((5, 2, 3, 2), 0.8)):
        z = torch.randn(shape, generator=rng, dtype=torch.float64)
        ids, other = torch.randint(1, 9, (2, shape[0], 3), generator=rng)
        kept, sizes = (z.clone(), ids.clone(), other.clone()), []

        def model(z, t, ids, sizes=sizes):
            sizes.append(len(z))
            column = (-1, *[1] * (z.ndim - 1))
            words = (ids.double() @ torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)).view(column)
            return z.tanh() * words + t.double().view(column) * words.cos()

        rows = torch.full(shape[:1], t, dtype=torch.float64)
        towards, away = model(z, rows, ids), model(z, rows, other)
        for scale in (2.5, 0.4, 7.5, 0.0, -1.0):
            sizes.clear()
            got = guided_velocity(model, z, t, ids, other, scale)
            assert sizes == [2 * shape[0]], (
                f"one call with {2 * shape[0]} rows is expected, got calls with {sizes} rows"
            )
            assert_close([z, ids, other], list(kept), message="the arguments after the call")
            expected = (1 - scale) * away + scale * towards
            assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"shape {shape}, t = {t}, scale {scale}")


@guided_velocity.hidden("asks about B rows where nothing has to be led away from", points=1)
def _(guided_velocity, rng):
    z, sizes = torch.randn(4, 3, generator=rng), []
    ids, other = torch.randint(1, 9, (2, 4, 2), generator=rng)

    def model(z, t, ids):
        sizes.append(len(z))
        return z * ids.sum(1, keepdim=True) + t.view(-1, 1)

    got = guided_velocity(model, z, 0.25, ids, other, 1.0)
    assert_close(got, z * ids.sum(1, keepdim=True) + 0.25, message="scale 1, t = 0.25")
    assert sizes == [4], f"one call with 4 rows is expected at scale 1, got calls with {sizes} rows"


@guided_velocity.misconception(
    "You started at the prompt's own velocity; then scale 1 already guides. Start at that of `other`.",
    name="starts-at-the-prompt",
)
def _(model, z, t, ids, other, scale):
    times = torch.full((2 * len(z),), t, dtype=z.dtype)
    v, away = model(torch.cat([z, z]), times, torch.cat([ids, other])).chunk(2)
    return v + scale * (v - away)


@guided_velocity.misconception(
    "You exchanged the two halves of the answer; they come in the order in which you asked, and exchanged ones lead to "
    "what should be avoided.",
    name="halves-exchanged",
)
def _(model, z, t, ids, other, scale):
    if scale == 1:
        return model(z, torch.full((len(z),), t, dtype=z.dtype), ids)
    times = torch.full((2 * len(z),), t, dtype=z.dtype)
    away, v = model(torch.cat([z, z]), times, torch.cat([ids, other])).chunk(2)
    return away + scale * (v - away)


@guided_velocity.misconception(
    "You led away from the empty caption whatever `other` says; a negative prompt is words in that place.",
    name="ignores-other",
)
def _(model, z, t, ids, other, scale):
    if scale == 1:
        return model(z, torch.full((len(z),), t, dtype=z.dtype), ids)
    times = torch.full((2 * len(z),), t, dtype=z.dtype)
    v, away = model(torch.cat([z, z]), times, torch.cat([ids, 0 * other])).chunk(2)
    return away + scale * (v - away)


@guided_velocity.also_correct
def _(model, z, t, ids, other, scale):
    if scale == 1.0:
        return model(z, z.new_full(z.shape[:1], t), ids)
    out = model(z.repeat(2, *[1] * (z.dim() - 1)), z.new_full((2 * z.shape[0],), t), torch.cat((other, ids)))
    return torch.lerp(out[: len(z)], out[len(z) :], scale)


@guided_velocity.also_correct
def _(model, z, t, ids, other, scale):
    words, weights = ([ids], [1.0]) if scale == 1 else ([ids, other], [scale, 1 - scale])
    count = len(words)
    parts = model(torch.cat([z] * count), torch.tensor([t] * count * len(z), dtype=z.dtype), torch.cat(words))
    return sum(weight * part for weight, part in zip(weights, parts.chunk(count), strict=True))


@exercise(
    points=6,
    minutes=25,
    hints=(
        "In which order do the parts of the diagram work, and which of them works in each step?",
        "Make P · S rows, each prompt with each seed. Step each batch of rows through all times, then decode it.",
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
    * tokens(captions): ids (N, L); noise(seed): one latent's noise (*); decode(latents): images
    * prompts: P texts; seeds: S integers, each with the same noise for every prompt
    * times: from times[0] falling to 0; Euler's method steps from each to the next
    * scale, negative: of the guidance; the prompt to lead away from
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
    "You stepped with now - then; time falls on the way to the image, so that the step then - now is negative.",
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
    "You repeated the prompts one after another and the noise likewise, so that prompt 1 meets seed 1, and prompt 2 "
    "meets seed 2: interleave one of them, so that each prompt meets each seed in its row.",
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
    "You asked for the velocity at the time where the step ends; Euler's method takes it where the step begins, for "
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
    "You took equal steps; the distances of `times` differ, and the last step has to end at 0.", name="equal-steps"
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
    "You took one step too few; the last step, from the last time before 0 to 0, takes the rest of the noise away.",
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
    "You left the negative prompt out; pass its tokens as what to lead away from.", name="no-negative"
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


@exercise(
    points=3,
    minutes=14,
    hints=(
        "A straight path has weights 1 - t and t, which sum to 1. What is the sum of DDPM's two weights?",
        "Divide x by that sum; t is then the share of the noise. For v you need x0 as well as eps: solve for it.",
        "t is a number; x, eps, the point and the velocity are all (B, *).",
        "`total = abar**0.5 + (1 - abar) ** 0.5`, and x0 is `(x - (1 - abar) ** 0.5 * eps) / abar**0.5`.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def as_flow(x: Tensor, eps: Tensor, abar: float) -> tuple[Tensor, float, Tensor]:
    """Return where DDPM's noisy image is on the straight path, as (z, t, v).

    For the x0 with x = √abar · x0 + √(1 - abar) · eps, three properties hold:

    * z is a positive multiple of x
    * z = (1 - t) · x0 + t · eps
    * v = eps - x0, the velocity there

    x, eps: (B, *); abar: above 0, up to 1. z and v are (B, *), t is a float. x and eps stay as they are.
    """
    ### BEGIN SOLUTION
    signal, noise = abar**0.5, (1 - abar) ** 0.5
    x0 = (x - noise * eps) / signal
    return x / (signal + noise), noise / (signal + noise), eps - x0
    ### END SOLUTION


@as_flow.test("finds the point, the time and the velocity", points=1)
def _(as_flow):
    x0, eps = torch.tensor([[2.0, -1.0, 0.5], [1.0, 3.0, 0.0]]), torch.tensor([[1.0, 4.0, -2.0], [0.5, -1.0, 2.0]])
    z, t, v = as_flow(0.6 * x0 + 0.8 * eps, eps, 0.36)
    assert_close(t, 4 / 7, rtol=1e-5, atol=1e-6, message="the time for abar = 0.36")
    assert_close(z, (3 * x0 + 4 * eps) / 7, rtol=1e-4, atol=1e-5, message="the point for abar = 0.36")
    assert_close(v, eps - x0, rtol=1e-4, atol=1e-5, message="the velocity for abar = 0.36")


@as_flow.hidden("keeps the three properties at all levels of noise", points=1)
def _(as_flow, rng):
    for shape, abar in (((3, 5), 0.81), ((2, 3, 2, 4), 0.0047), ((4, 2), 0.5), ((5, 3, 1), 0.98)):
        x0, eps = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
        x = abar**0.5 * x0 + (1 - abar) ** 0.5 * eps
        kept = x.clone(), eps.clone()
        z, t, v = as_flow(x, eps, abar)
        assert_close([x, eps], list(kept), message="x and eps after the call")
        assert_close(t / (1 - t), (1 / abar - 1) ** 0.5, rtol=1e-5, atol=1e-6, message=f"t / (1 - t) for abar = {abar}")
        assert_close(z, (1 - t) * x0 + t * eps, rtol=1e-5, atol=1e-6, message=f"the point for abar = {abar}")
        assert_close(v, eps - x0, rtol=1e-5, atol=1e-6, message=f"the velocity for abar = {abar}")


@as_flow.hidden("makes a step of DDIM out of a step along v", points=1)
def _(as_flow, rng):
    for abar, cleaner in ((0.1, 0.3), (0.55, 0.9), (0.02, 1.0)):
        x, eps = torch.randn(2, 4, 3, generator=rng, dtype=torch.float64)
        x0 = (x - (1 - abar) ** 0.5 * eps) / abar**0.5
        ddim = cleaner**0.5 * x0 + (1 - cleaner) ** 0.5 * eps
        z, t, v = as_flow(x, eps, abar)
        then = (1 - cleaner) ** 0.5 / (cleaner**0.5 + (1 - cleaner) ** 0.5)
        got = (z + (then - t) * v) * (cleaner**0.5 + (1 - cleaner) ** 0.5)
        assert_close(got, ddim, rtol=1e-5, atol=1e-6, message=f"DDIM from abar = {abar} to {cleaner}")


@as_flow.misconception(
    "You took 1 - abar for the time; that is the share of the noise in the variance, and its root over the sum of both "
    "roots is its share in the image.",
    name="variance-as-time",
)
def _(x, eps, abar):
    return x / (abar**0.5 + (1 - abar) ** 0.5), 1 - abar, eps - (x - (1 - abar) ** 0.5 * eps) / abar**0.5


@as_flow.misconception(
    "You left x as it is; its two weights sum to more than 1, so it is not between the image and the noise.",
    name="x-not-scaled",
)
def _(x, eps, abar):
    noise = (1 - abar) ** 0.5
    return x, noise / (abar**0.5 + noise), eps - (x - noise * eps) / abar**0.5


@as_flow.misconception(
    "You took the root of 1 - abar for the time; the two roots sum to more than 1, so divide by their sum.",
    name="root-as-time",
)
def _(x, eps, abar):
    noise = (1 - abar) ** 0.5
    return x / (abar**0.5 + noise), noise, eps - (x - noise * eps) / abar**0.5


@as_flow.misconception(
    "You subtracted x from eps; x is noisy already, and the path leads from x0.", name="noisy-as-clean"
)
def _(x, eps, abar):
    total = abar**0.5 + (1 - abar) ** 0.5
    return x / total, (1 - abar) ** 0.5 / total, eps - x


@as_flow.misconception(
    "You turned the velocity round; it leads from the image to the noise, in the direction of growing t.",
    name="backward-velocity",
)
def _(x, eps, abar):
    total = abar**0.5 + (1 - abar) ** 0.5
    return x / total, (1 - abar) ** 0.5 / total, (x - (1 - abar) ** 0.5 * eps) / abar**0.5 - eps


@as_flow.also_correct
def _(x, eps, abar):
    t = 1 / (1 + (abar / (1 - abar)) ** 0.5) if abar < 1 else 0.0
    z = x * ((1 - t) ** 2 + t**2) ** 0.5
    return z, t, (eps - z) / (1 - t)


@as_flow.also_correct
def _(x, eps, abar):
    total = abar**0.5 + (1 - abar) ** 0.5
    return [x / total, 1 - abar**0.5 / total, (total * eps - x) / abar**0.5]


@exercise(
    points=2,
    minutes=5,
    hints=(
        "Which number says how well two directions agree, and what should an image get that contradicts its caption?",
        "Take the cosine of each image with its own caption, and let nothing fall below 0.",
        "Two (N, D) become one (N,): row i of the one belongs to row i of the other.",
        "`F.cosine_similarity(images, texts, dim=1)`, and `.clamp(min=0)`.",
    ),
    level="warm-up",
    importance=2,
)
def clip_score(images: Tensor, texts: Tensor, weight: float = 2.5) -> Tensor:
    """Return the CLIP score of each image with its caption: `weight` times the cosine, where that is positive, else 0.

    * images, texts: features (N, D) of any length; row i of one belongs to row i of the other
    * returns: (N,)
    """
    ### BEGIN SOLUTION
    return weight * F.cosine_similarity(images, texts, dim=1).clamp(min=0)
    ### END SOLUTION


clip_score.equivalent(
    "return weight * F.cosine_similarity(texts, images, dim=1).clamp(min=0)", "a cosine is the same both ways"
)
clip_score.equivalent(
    "return weight * F.cosine_similarity(images, texts).clamp(min=0)", "dim is 1 where it is left out"
)


@clip_score.test("is the weighted cosine of each row", points=1)
def _(clip_score):
    images = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]])
    texts = torch.tensor([[8.0, 6.0, 0.0], [1.0, 0.0, -1.0]])
    assert_close(clip_score(images, texts), torch.tensor([2.4, 0.0]), message="cosines of 0.96 and below 0")


@clip_score.hidden("does not depend on lengths, is 0 for opposites, and knows its weight", points=1)
def _(clip_score, rng):
    for shape, weight in (((5, 3), 2.5), ((2, 7), 1.0), ((30, 4), 100.0)):
        images, texts = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
        lengths = images.square().sum(1).sqrt() * texts.square().sum(1).sqrt()
        cosines = (images * texts).sum(1) / lengths
        expected = weight * torch.where(cosines > 0, cosines, torch.zeros_like(cosines))
        assert_close(clip_score(images, texts, weight), expected, rtol=1e-5, atol=1e-6, message=f"weight {weight}")
        longer = torch.rand(shape[0], 1, generator=rng, dtype=torch.float64) * 9 + 0.1
        got = clip_score(longer * images, texts / longer, weight)
        assert_close(got, expected, rtol=1e-5, atol=1e-6, message="features of other lengths")


@clip_score.misconception(
    "You let negative cosines through; the score of an image that contradicts its caption is 0.", name="negative-scores"
)
def _(images, texts, weight=2.5):
    return weight * F.cosine_similarity(images, texts, dim=1)


@clip_score.misconception(
    "You took the absolute value; an image that contradicts its caption would get the score of one that fits.",
    name="absolute-value",
)
def _(images, texts, weight=2.5):
    return weight * F.cosine_similarity(images, texts, dim=1).abs()


@clip_score.misconception(
    "You took the inner product of the features as they are; long features would get high scores whatever they show.",
    name="not-normalised",
)
def _(images, texts, weight=2.5):
    return weight * (images * texts).sum(1).clamp(min=0)


@clip_score.misconception(
    "You compared every image with every caption; the score of an image is that with its own caption.", name="all-pairs"
)
def _(images, texts, weight=2.5):
    return weight * (F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T).clamp(min=0)


@clip_score.also_correct
def _(images, texts, weight=2.5):
    return weight * (F.normalize(images) * F.normalize(texts)).sum(-1).relu()


@clip_score.also_correct
def _(images, texts, weight=2.5):
    cosines = torch.einsum("nd,nd->n", images, texts) / (images.norm(dim=1) * texts.norm(dim=1))
    return torch.maximum(weight * cosines, torch.zeros_like(cosines))


@exercise(
    points=4,
    minutes=15,
    hints=(
        "Which root is meant: of each number of the matrix, or of the matrix?",
        "The trace of a root is the sum of the roots of the eigenvalues. Those of the product are real and at least 0.",
        "Rounding makes an eigenvalue of 0 slightly negative or complex. The result has no axis.",
        "`torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt().sum()`.",
    ),
    level="core",
    importance=3,
)
def frechet(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Return the squared Fréchet distance of two Gaussians, the formula of FID.

    ‖mean1 - mean2‖² + tr(cov1 + cov2 - 2 (cov1 cov2)^½), where M^½ is the matrix whose square is M.

    * means (D,), covariances (D, D), which may be singular
    * returns: one real number, as a tensor without axes
    """
    ### BEGIN SOLUTION
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()
    ### END SOLUTION


frechet.equivalent(
    "roots = torch.linalg.eigvals(cov2 @ cov1).real.clamp(min=0).sqrt()", "A B and B A have the same eigenvalues"
)


@frechet.test("is the squared distance of means, and of standard deviations, in one dimension", points=1)
def _(frechet):
    got = frechet(torch.tensor([1.0]), torch.tensor([[4.0]]), torch.tensor([4.0]), torch.tensor([[25.0]]))
    assert_close(got, torch.tensor(18.0), rtol=1e-4, atol=1e-4, message="N(1, 2²) and N(4, 5²)")


@frechet.hidden("is right for covariances that do not commute, and is 0 for equal ones", points=2)
def _(frechet, rng):
    for size in (2, 3, 6, 9):
        a, b = torch.randn(2, size, size, generator=rng, dtype=torch.float64)
        mean1, mean2 = torch.randn(2, size, generator=rng, dtype=torch.float64)
        cov1, cov2 = a @ a.T, b @ b.T
        shared = torch.linalg.svdvals(a.T @ b).sum()  # the trace of the root, from factors of the two
        expected = (mean1 - mean2).square().sum() + a.square().sum() + b.square().sum() - 2 * shared
        got = frechet(mean1, cov1, mean2, cov2)
        assert_close(got, expected, rtol=1e-5, atol=1e-5, message=f"two Gaussians in {size} dimensions")
        same = frechet(mean1, cov1, mean1, cov1)
        assert_close(same, expected.new_zeros(()), rtol=0, atol=1e-5, message="a Gaussian and itself")


@frechet.hidden("is a real number for singular covariances", points=1)
def _(frechet, rng):
    for size, rank in ((5, 2), (8, 3), (4, 1)):
        a, b = torch.randn(2, size, rank, generator=rng, dtype=torch.float64)
        mean1, mean2 = torch.randn(2, size, generator=rng, dtype=torch.float64)
        got = frechet(mean1, a @ a.T, mean2, b @ b.T)
        assert not torch.is_complex(torch.as_tensor(got)), "a real number is expected, got a complex one"
        shared = torch.linalg.svdvals(a.T @ b).sum()
        expected = (mean1 - mean2).square().sum() + a.square().sum() + b.square().sum() - 2 * shared
        assert_close(got, expected, rtol=1e-4, atol=1e-4, message=f"covariances of rank {rank} in {size} dimensions")


@frechet.misconception(
    "You took the root of each number of the product; the root of a matrix is the matrix whose square it is.",
    name="elementwise-root",
)
def _(mean1, cov1, mean2, cov2):
    root = (cov1 @ cov2).clamp(min=0).sqrt()
    return (mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * root).trace()


@frechet.misconception(
    "You took the root of each covariance and multiplied the roots; that agrees only where the two commute.",
    name="product-of-roots",
)
def _(mean1, cov1, mean2, cov2):
    roots = []
    for cov in (cov1, cov2):
        values, vectors = torch.linalg.eigh(cov)
        roots.append(vectors * values.clamp(min=0).sqrt() @ vectors.T)
    return (mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * roots[0] @ roots[1]).trace()


@frechet.misconception(
    "You subtracted the root once; with a factor of 2 equal Gaussians have the distance 0.", name="factor-of-two"
)
def _(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - roots.sum()


@frechet.misconception(
    "You took the distance of the means without its square; the formula is a squared distance.", name="mean-not-squared"
)
def _(mean1, cov1, mean2, cov2):
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    return (mean1 - mean2).norm() + cov1.trace() + cov2.trace() - 2 * roots.sum()


@frechet.misconception(
    "You compared the variances alone and left the correlations out; two Gaussians with the same variances can still "
    "point in different directions.",
    name="diagonal-only",
)
def _(mean1, cov1, mean2, cov2):
    return (mean1 - mean2).square().sum() + (cov1.diagonal().sqrt() - cov2.diagonal().sqrt()).square().sum()


@frechet.also_correct
def _(mean1, cov1, mean2, cov2):
    values, vectors = torch.linalg.eigh(cov1)
    half = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    shared = torch.linalg.eigvalsh(half @ cov2 @ half).clamp(min=0).sqrt().sum()
    return torch.dot(mean1 - mean2, mean1 - mean2) + torch.trace(cov1 + cov2) - 2 * shared


@frechet.also_correct
def _(mean1, cov1, mean2, cov2):
    factors = []
    for cov in (cov1, cov2):
        values, vectors = torch.linalg.eigh(cov)
        factors.append(vectors * values.clamp(min=0).sqrt())
    apart = (mean1 - mean2).pow(2).sum()
    return apart + cov1.trace() + cov2.trace() - 2 * torch.linalg.svdvals(factors[0].mT @ factors[1]).sum()


@exercise(
    points=2,
    minutes=8,
    hints=(
        "If FID falls like a + b / N, over which variable is it a straight line?",
        "Fit a line over 1 / N with the least squared error. Infinitely many images are where 1 / N is 0.",
        "Two lists of one length become one number, the intercept.",
        "`numpy.polyfit` gives the slope first; or the slope is the covariance with 1 / N over the variance of 1 / N.",
    ),
    level="warm-up",
    importance=2,
    kind="measure",
)
def fid_inf(counts: Sequence[int], fids: Sequence[float]) -> float:
    """Return the FID that infinitely many images would have, estimated from FIDs of fewer ones.

    With N images the expected FID is about a + b / N. Fit this by least squares to all measurements.

    * counts: numbers of images N, two or more different ones, in any order
    * fids: the FID at each of them
    * returns: a float
    """
    ### BEGIN SOLUTION
    share = 1 / torch.tensor(counts, dtype=torch.float64)
    fid = torch.tensor(fids, dtype=torch.float64)
    spread = share - share.mean()
    slope = (spread * fid).sum() / spread.square().sum()
    return float(fid.mean() - slope * share.mean())
    ### END SOLUTION


fid_inf.equivalent("share = 2 / torch.tensor(counts, dtype=torch.float64)", "a scaled axis changes the slope alone")
fid_inf.equivalent("share = 1 / torch.tensor(counts)", "single precision is enough")
fid_inf.equivalent("share = 1 / torch.tensor(counts, dtype=torch.float32)", "single precision is enough")
fid_inf.equivalent("fid = torch.tensor(fids)", "single precision is enough")
fid_inf.equivalent("fid = torch.tensor(fids, dtype=torch.float32)", "single precision is enough")
fid_inf.equivalent("return (fid.mean() - slope * share.mean())", "a tensor of one number is a number")
fid_inf.equivalent("return (np.polyfit([1 / count for count in counts], fids, 1)[-1])", "a NumPy number is a number")


@fid_inf.test("goes on along the line over 1 / N", points=1)
def _(fid_inf):
    assert_close(fid_inf([100, 50, 400], [8.0, 13.0, 4.25]), 3.0, rtol=1e-5, atol=1e-5, message="3 + 500 / N")


@fid_inf.hidden("fits all measurements with the least squared error, in any order", points=1)
def _(fid_inf, rng):
    for size in (2, 5, 9):
        counts = (torch.randperm(60, generator=rng)[:size] * 37 + 50).tolist()
        noise = torch.randn(size, generator=rng, dtype=torch.float64)
        fids = [4 + 900 / count + float(extra) for count, extra in zip(counts, noise, strict=True)]
        rows = torch.tensor([[1.0, 1 / count] for count in counts], dtype=torch.float64)
        expected = torch.linalg.lstsq(rows, torch.tensor(fids, dtype=torch.float64)[:, None]).solution[0]
        assert_close(fid_inf(counts, fids), float(expected), rtol=1e-4, atol=1e-4, message=f"{size} noisy measurements")


@fid_inf.misconception(
    "You fitted a line over N; the bias falls like 1 / N, and a line over N goes below 0 further on.",
    name="line-over-n",
)
def _(counts, fids):
    n, fid = torch.tensor(counts, dtype=torch.float64), torch.tensor(fids, dtype=torch.float64)
    spread = n - n.mean()
    return float(fid.mean() - (spread * fid).sum() / spread.square().sum() * n.mean())


@fid_inf.misconception(
    "You returned the slope; it says how fast the bias falls, and the intercept is what is left of the FID without it.",
    name="slope",
)
def _(counts, fids):
    share, fid = 1 / torch.tensor(counts, dtype=torch.float64), torch.tensor(fids, dtype=torch.float64)
    spread = share - share.mean()
    return float((spread * fid).sum() / spread.square().sum())


@fid_inf.misconception(
    "You took the FID of the largest number of images; a bias of b / N is left in it.", name="largest-n"
)
def _(counts, fids):
    return float(fids[max(range(len(counts)), key=counts.__getitem__)])


@fid_inf.also_correct
def _(counts, fids):
    import numpy as np

    return float(np.polyfit([1 / count for count in counts], fids, 1)[-1])


@fid_inf.also_correct
def _(counts, fids):
    rows = torch.stack([torch.ones(len(counts)), 1 / torch.tensor(counts)], 1).double()
    return torch.linalg.lstsq(rows, torch.tensor(fids).double()[:, None]).solution[0].item()


@exercise(
    points=4,
    minutes=14,
    hints=(
        "How large must a region around one real image be, so that it reaches its k nearest other real images?",
        "A point counts as covered if it is inside the region of any centre. Ask this twice, with the roles exchanged.",
        "Distances (M, N); radii (N,), from (N, N) in which each point is its own nearest; covered (M,).",
        "`torch.cdist`, `.kthvalue(k + 1, dim=1).values`, `(distances <= radius).any(1)`, and the mean of that.",
    ),
    level="core",
    importance=2,
)
def precision_recall(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """Return the precision and the recall of generated images, as two floats.

    Around each point of a set is a ball that reaches to its k-th nearest other point of that set, surface included.

    * precision: share of fakes that are in a ball of the real images
    * recall: share of real images that are in a ball of the fakes
    * real: features (N, D); fake: features (M, D); k: from 1, below N and M
    """

    ### BEGIN SOLUTION
    def covered(points: Tensor, centres: Tensor) -> float:
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        inside = torch.cdist(points, centres) <= radius
        return float(inside.any(1).double().mean())

    return covered(fake, real), covered(real, fake)
    ### END SOLUTION


precision_recall.equivalent(
    "radius = torch.cdist(centres, centres).kthvalue(k + 1).values", "dim is the last one where it is left out"
)
precision_recall.equivalent(
    "radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=0).values", "distances are the same both ways"
)
precision_recall.equivalent("return (inside.any(1).double().mean())", "a tensor of one number is a number")


@precision_recall.test("covers fakes by real images, and real images by fakes", points=1)
def _(precision_recall):
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.5]])
    fake = torch.tensor([[3.0], [1.5], [5.0], [5.25]])
    got = precision_recall(real, fake, 1)
    assert_close(got, (0.5, 0.6), message="real 0, 1, 2, 10, 11.5 and fake 3, 1.5, 5, 5.25, k = 1")


@precision_recall.hidden("is what counting one point at a time gives", points=2)
def _(precision_recall, rng):
    for n, m, size, k, shift in ((35, 28, 4, 3, 1.0), (8, 25, 3, 5, 0.3), (22, 31, 2, 1, 0.5), (15, 15, 2, 2, 0.0)):
        real = torch.randn(n, size, generator=rng, dtype=torch.float64)
        fake = 0.6 * torch.randn(m, size, generator=rng, dtype=torch.float64) + shift
        expected = []
        for points, centres in ((fake, real), (real, fake)):
            reaches = [(centres - centre).square().sum(1).sqrt().sort().values[k] for centre in centres]
            inside = [((centres - point).square().sum(1).sqrt() <= torch.stack(reaches)).any() for point in points]
            expected.append(sum(map(float, inside)) / len(points))
        got = precision_recall(real, fake, k)
        assert_close(got, tuple(expected), rtol=1e-6, atol=1e-6, message=f"{n} real, {m} fakes, k = {k}")


@precision_recall.hidden("tells a fake set that is too narrow from one that is too wide", points=1)
def _(precision_recall, rng):
    real = torch.randn(150, 3, generator=rng, dtype=torch.float64)
    narrow, wide = (spread * torch.randn(130, 3, generator=rng, dtype=torch.float64) for spread in (0.2, 5.0))
    precision, recall = precision_recall(real, narrow, 3)
    assert precision > 0.9 > 0.4 > recall, (
        f"narrow fakes: high precision, low recall, got {precision:.2f}, {recall:.2f}"
    )
    precision, recall = precision_recall(real, wide, 3)
    assert precision < 0.4 < 0.9 < recall, f"wide fakes: low precision, high recall, got {precision:.2f}, {recall:.2f}"


@precision_recall.misconception(
    "You counted each point as its own nearest neighbour; the balls then reach to the neighbour before the k-th.",
    name="itself-as-neighbour",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(centres, centres).kthvalue(k, dim=1).values
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    return covered(fake, real), covered(real, fake)


@precision_recall.misconception(
    "You exchanged the two; precision is about the fakes, whether they are like real images, and recall is about the "
    "real ones, whether the fakes reach them.",
    name="exchanged",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    return covered(real, fake), covered(fake, real)


@precision_recall.misconception(
    "You drew the balls around the points that are asked about; they are around the set that they are compared with.",
    name="balls-around-the-points",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(points, points).kthvalue(k + 1, dim=1).values
        return float((torch.cdist(points, centres) <= radius[:, None]).any(1).double().mean())

    return covered(fake, real), covered(real, fake)


@precision_recall.misconception(
    "You gave all balls the mean radius; the balls of k nearest neighbours are small where points are dense and large "
    "where they are few.",
    name="one-radius",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values.mean()
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    return covered(fake, real), covered(real, fake)


@precision_recall.also_correct
def _(real, fake, k):
    def balls(centres):
        return torch.stack([torch.linalg.norm(centres - centre, dim=1).sort().values[k] for centre in centres])

    apart = torch.cdist(real, fake)
    inside_real, inside_fake = apart <= balls(real)[:, None], apart <= balls(fake)[None]
    return inside_real.any(0).double().mean().item(), inside_fake.any(1).double().mean().item()


@precision_recall.also_correct
def _(real, fake, k):
    found = []
    for points, centres in ((fake, real), (real, fake)):
        reach = torch.cdist(centres, centres).topk(k + 1, largest=False).values[:, -1]
        found.append(float((torch.cdist(points, centres) <= reach[None]).sum(1).gt(0).double().mean()))
    return tuple(found)
