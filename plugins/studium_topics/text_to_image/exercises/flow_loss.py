from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor, nn
from torch.nn import functional as F


@exercise(
    points=4,
    minutes=14,
    hints=(
        "Which three things are random here, and how many random numbers does a batch need for each of them?",
        "Mix each image with its own noise at its own time. The velocity along that line is the target.",
        "t is (B,), and has to become (B, 1, …, 1) to multiply x0. A dropped caption is a row of ids that are all 0.",
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
    * drop: the share of captions that the model does not get; it gets zeros instead
    * generator: where all random numbers come from

    Each row has its own time, uniform in [0, 1], and its own standard normal noise. Call the model once. x0 and ids
    stay as they are. Gradients must reach the model.
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
    "You used image minus noise as the target. Time runs from the image at 0 to the noise at 1, so the velocity is "
    "noise minus image; with yours, a sampler that steps towards t = 0 walks away from every image.",
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
    "You mixed the wrong way round; here t is the share of noise, so z is the image at t = 0.",
    name="t-is-the-image",
)
def _(model, x0, ids, drop, generator):
    t, noise = torch.rand(len(x0), generator=generator), torch.randn(x0.shape, generator=generator)
    keep = torch.rand(len(x0), generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model(share * x0 + (1 - share) * noise, t, ids * keep[:, None]), noise - x0)


@flow_loss.misconception(
    "You drew one time for the whole batch; draw one for each image. Otherwise each step of the optimiser follows a "
    "single time, and the gradient is noisier than it needs to be.",
    name="one-time",
)
def _(model, x0, ids, drop, generator):
    t = torch.rand((), generator=generator).expand(len(x0))
    noise, keep = torch.randn(x0.shape, generator=generator), torch.rand(len(x0), generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model((1 - share) * x0 + share * noise, t, ids * keep[:, None]), noise - x0)


@flow_loss.misconception(
    "You dropped single words. Guidance needs a prediction for no caption at all, so keep or drop each caption as a "
    "whole.",
    name="drops-words",
)
def _(model, x0, ids, drop, generator):
    t, noise = torch.rand(len(x0), generator=generator), torch.randn(x0.shape, generator=generator)
    keep = torch.rand(ids.shape, generator=generator) >= drop
    share = t.view(-1, *[1] * (x0.ndim - 1))
    return F.mse_loss(model((1 - share) * x0 + share * noise, t, ids * keep), noise - x0)


@flow_loss.misconception(
    "You kept captions with probability `drop`; drop them with that probability instead.", name="keeps-with-drop"
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
