import math

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=6,
    hints=(
        "How do you make an event happen with probability p, for each label independently of the others?",
        "A uniform random number from 0 to 1 lies below p with probability p. Drop the labels whose number does.",
        "The random numbers, the comparison and the result have the shape (B,). Build a new tensor, because y belongs "
        "to the data set.",
        "`torch.rand(y.shape, generator=generator)`, and `torch.where(condition, null, y)`.",
    ),
    level="warm-up",
    importance=3,
)
def drop_labels(y: Tensor, p: float, null: int, generator: torch.Generator) -> Tensor:
    """Return the labels y, each replaced by the null label with probability p, independently of the others.

    * y: (B,) long, on the device of the generator
    * p: from 0 (drops none) to 1 (drops all)
    * null: the label that stands for "no label"
    * returns: a new tensor (B,) long

    All random numbers come from `generator`. y stays as it is.
    """
    ### BEGIN SOLUTION
    dropped = torch.rand(y.shape, generator=generator, device=y.device) < p
    return torch.where(dropped, null, y)
    ### END SOLUTION


@drop_labels.test("drops a share p of the labels, and keeps the others", points=1)
def _(drop_labels):
    y = torch.arange(2000) % 7
    got = drop_labels(y, 0.3, 10, torch.Generator().manual_seed(1))
    share = float((got == 10).double().mean())
    assert 0.25 < share < 0.35, f"a share of about 0.3 is expected to be dropped, got {share:.3f}"
    assert_close(got[got != 10], y[got != 10], message="the labels that were kept for p = 0.3")
    assert_close(drop_labels(y, 0.0, 10, torch.Generator().manual_seed(1)), y, message="p = 0")
    assert_close(drop_labels(y, 1.0, 10, torch.Generator().manual_seed(1)), torch.full((2000,), 10), message="p = 1")


@drop_labels.hidden("draws independently for each label", points=1)
def _(drop_labels, rng):
    for p, null in ((0.15, 4), (0.1, 10), (0.5, 10), (0.9, 23)):
        y = torch.randint(0, 4, (5000,), generator=rng)
        got = drop_labels(y, p, null, rng)
        assert tuple(got.shape) == (5000,), f"one label for each of y is expected, shape (5000,), got {got.shape}"
        assert got.dtype == y.dtype, f"labels are expected in the dtype of y, int64, got {got.dtype}"
        dropped = got == null
        assert_close(got[~dropped], y[~dropped], message=f"the labels that were kept for p = {p}")
        share, error = float(dropped.double().mean()), math.sqrt(p * (1 - p) / 5000)
        low, high = p - 5 * error, p + 5 * error
        assert low < share < high, f"a share of about {p} is expected to be dropped, got {share:.3f}"
    counts = [int((drop_labels(torch.arange(60), 0.5, 99, rng) == 99).sum()) for _ in range(12)]
    assert len(set(counts)) > 1, f"independent draws do not drop the same number each time, got {counts} of 60"


@drop_labels.hidden("draws from the generator alone, and leaves y as it is", points=1)
def _(drop_labels, rng):
    y = torch.randint(0, 10, (400,), generator=rng)
    kept, seed = y.clone(), int(torch.randint(0, 10**6, (), generator=rng))
    first, again, other = (drop_labels(y, 0.5, 10, torch.Generator().manual_seed(k)) for k in (seed, seed, seed + 1))
    assert_close(y, kept, message="y after the calls")
    assert_close(again, first, message="a second call with the same seed")
    assert not torch.equal(other, first), "another seed is expected to drop other labels; draw from the generator"


@drop_labels.misconception(
    "You kept each label with probability p; p is the probability of dropping it. With a small p, most of the training "
    "would be unconditional: compare the other way round.",
    name="keeps-with-p",
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape, generator=generator) < p, y, null)


@drop_labels.misconception(
    "You drew one random number for the whole batch; draw one for each label, because otherwise a batch has either all "
    "its labels or none, and the steps jump between two tasks.",
    name="one-draw",
)
def _(y, p, null, generator):
    return torch.where(torch.rand((), generator=generator) < p, null, y)


@drop_labels.misconception(
    "You dropped a fixed number of labels; with independent draws that number varies. In a batch of one, p times 1 "
    "rounded down would never drop any.",
    name="fixed-number",
)
def _(y, p, null, generator):
    chosen = torch.randperm(len(y), generator=generator)[: int(p * len(y))]
    return y.index_fill(0, chosen, null)


@drop_labels.misconception(
    "You wrote into y; those are the labels of the data set, and a label that you drop once would be gone in all later "
    "epochs: return a new tensor.",
    name="writes-into-y",
)
def _(y, p, null, generator):
    y[torch.rand(y.shape, generator=generator) < p] = null
    return y


@drop_labels.misconception(
    "You replaced labels by 0; that is a real class, the zeros among the digits. Use `null`, which no example has as "
    "its label.",
    name="drops-to-class-0",
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape, generator=generator) < p, 0, y)


@drop_labels.misconception(
    "You drew from torch's global random numbers; draw from `generator`, because otherwise the same seed does not give "
    "the same training.",
    name="global-generator",
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape) < p, null, y)


@drop_labels.also_correct
def _(y, p, null, generator):
    dropped = torch.bernoulli(torch.full(y.shape, float(p)), generator=generator).bool()
    return y.masked_fill(dropped, null)


@drop_labels.also_correct
def _(y, p, null, generator):
    keep = torch.rand(len(y), generator=generator) >= p
    return y * keep + null * ~keep


drop_labels.equivalent(
    "dropped = torch.rand(y.shape, generator=generator, device=y.device) <= p",
    "it differs only where a random number is exactly p, once in 16 million",
)
