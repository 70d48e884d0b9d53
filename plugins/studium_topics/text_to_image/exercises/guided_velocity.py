from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=10,
    hints=(
        "Guidance starts at one prediction and goes through another. Where does it start if scale 1 has to give v?",
        "Ask about each z twice, once with each row of words. Split the answer in two, in the order in which you "
        "asked.",
        "z and the words become (2 B, …) and the times (2 B,); each half of the answer is (B, *).",
        "`torch.cat([z, z])`, `torch.full((2 * len(z),), t)`, `.chunk(2)`, and start + scale * difference.",
    ),
    level="core",
    importance=3,
)
def guided_velocity(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], z: Tensor, t: float, ids: Tensor, other: Tensor, scale: float
) -> Tensor:
    """Return the velocity, guided towards one prompt and away from another, by a single call of the model.

    * model(z, t, ids): takes any number of rows, treats each by itself, and returns the velocity, shaped like its z
    * z: (B, *); t: the time of all rows
    * ids: the prompts (B, L) long; other: what to lead away from, (B, L), all 0 for "no caption"
    * scale: 0 gives the velocity of `other`, 1 that of `ids`; linear in the scale
    * returns: (B, *)

    Call the model on 2 B rows, or on B rows where scale is 1. The arguments stay as they are.
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
    "You started at the prompt's own velocity, so scale 1 already guides; start at the velocity of `other`.",
    name="starts-at-the-prompt",
)
def _(model, z, t, ids, other, scale):
    times = torch.full((2 * len(z),), t, dtype=z.dtype)
    v, away = model(torch.cat([z, z]), times, torch.cat([ids, other])).chunk(2)
    return v + scale * (v - away)


@guided_velocity.misconception(
    "You exchanged the two halves of the answer. They come in the order in which you asked; exchanged, they lead to "
    "what you want to avoid.",
    name="halves-exchanged",
)
def _(model, z, t, ids, other, scale):
    if scale == 1:
        return model(z, torch.full((len(z),), t, dtype=z.dtype), ids)
    times = torch.full((2 * len(z),), t, dtype=z.dtype)
    away, v = model(torch.cat([z, z]), times, torch.cat([ids, other])).chunk(2)
    return away + scale * (v - away)


@guided_velocity.misconception(
    "You led away from the empty caption whatever `other` says; a negative prompt takes its place.",
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
