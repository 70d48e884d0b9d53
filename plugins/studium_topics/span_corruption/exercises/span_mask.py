from itertools import groupby

import torch
from studium import exercise

from studium_topics.span_corruption.exercises.random_lengths import random_lengths


@exercise(
    points=5,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "How many runs of kept tokens are there if each hidden run comes after a kept run?",
        "Split the kept tokens and the hidden tokens into the same number of pieces, and alternate the pieces.",
        "With k spans there are 2k runs: kept, hidden, kept, hidden, … Their lengths are (2k,), and the mask is "
        "(length,).",
        "`torch.stack([kept, hidden], 1).flatten()` alternates two lists of lengths; "
        "`flags.repeat_interleave(lengths)` repeats each flag that many times.",
    ),
)
def span_mask(length, density, mean, generator):
    """Return a random mask of hidden tokens in spans, as T5 draws it.

    | count | value |
    |---|---|
    | hidden tokens | `round(length * density)`, but at least 1 and at most length - 1 |
    | spans | `round(hidden / mean)`, but at least 1 and at most the number of kept tokens |

    Kept and hidden runs alternate, beginning with a kept run and ending with a hidden one. The lengths of the kept runs
    come from `random_lengths`, and so do the lengths of the hidden runs.

    - length: 2 or more. density: between 0 and 1. mean: 1 or more.
    - Returns bool (length,), True where a token is hidden.
    """
    ### BEGIN SOLUTION
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(hidden / mean), 1), length - hidden)
    kept_lengths = random_lengths(length - hidden, spans, generator)
    hidden_lengths = random_lengths(hidden, spans, generator)
    lengths = torch.stack([kept_lengths, hidden_lengths], 1).flatten()
    flags = torch.tensor([False, True]).repeat(spans)
    return flags.repeat_interleave(lengths)
    ### END SOLUTION


@span_mask.test("hides 9 of 60 tokens in 3 spans", points=1)
def _(span_mask):
    for seed in range(10):
        mask = torch.as_tensor(span_mask(60, 0.15, 3, torch.Generator().manual_seed(seed)))
        assert tuple(mask.shape) == (60,), f"one flag for each of 60 tokens is expected, got {tuple(mask.shape)}"
        hidden = int(mask.sum())
        assert hidden == 9, f"9 of 60 tokens are hidden at 15 %, got {hidden}"
        runs = [(key, len(list(run))) for key, run in groupby(mask.bool().tolist())]
        spans = sum(key for key, _ in runs)
        assert spans == 3, f"9 hidden tokens make 3 spans of mean length 3, got {spans}"


@span_mask.hidden("keeps both counts exactly, for short and long texts and every density", points=2)
def _(span_mask, rng):
    cases = (
        (59, 0.3, 3, 18, 6),
        (512, 0.15, 3, 77, 26),
        (100, 0.22, 4.8, 22, 5),
        (61, 0.2, 3, 12, 4),
        (43, 0.3, 3, 13, 4),
        (89, 0.05, 2.8, 4, 1),
        (37, 0.21, 1, 8, 8),
        (60, 0.15, 2, 9, 4),
        (10, 0.25, 1, 2, 2),
        (12, 0.15, 1, 2, 2),
        (40, 0.8, 1.3, 32, 8),
        (9, 0.02, 3, 1, 1),
        (9, 0.99, 3, 8, 1),
        (11, 0.41, 9, 5, 1),
        (11, 0.41, 12, 5, 1),
        (2, 0.15, 3, 1, 1),
    )
    for length, density, mean, hidden, spans in cases:
        for _ in range(3):
            mask = span_mask(length, density, mean, rng)
            assert isinstance(mask, torch.Tensor), f"a tensor is expected, got {type(mask).__name__}"
            assert mask.dtype == torch.bool, f"the mask must be made of booleans, got {mask.dtype}"
            assert mask.shape == (length,), f"the mask must have shape ({length},), got {tuple(mask.shape)}"
            what = f"of {length} tokens at density {density} and mean length {mean}"
            assert int(mask.sum()) == hidden, f"{hidden} {what} are hidden, got {int(mask.sum())}"
            runs = [key for key, _ in groupby(mask.tolist())]
            assert sum(runs) == spans, f"{hidden} hidden {what} make {spans} spans, got {sum(runs)}"
            assert not mask[0], "the mask begins with a kept run"
            assert mask[-1], "the mask ends with a hidden run"


@span_mask.hidden("makes all masks with these counts equally likely", points=2)
def _(span_mask, rng):
    for length, density, mean, ways in ((7, 0.57, 2, 6), (8, 0.5, 1.5, 9)):
        draws = 40 * ways
        counts = {}
        for _ in range(draws):
            mask = tuple(torch.as_tensor(span_mask(length, density, mean, rng)).tolist())
            counts[mask] = counts.get(mask, 0) + 1
        assert len(counts) == ways, f"there are {ways} such masks of {length} tokens, got {len(counts)} different ones"
        expected = draws / ways
        distance = sum((count - expected) ** 2 / expected for count in counts.values())
        assert distance < ways - 1 + 7 * (2 * (ways - 1)) ** 0.5 + 15, (
            f"in {draws} draws a mask came {max(counts.values())} times and another {min(counts.values())} times; "
            "all should be equally likely"
        )
    seed = int(torch.randint(1000, (), generator=rng))
    same, again, other = (span_mask(200, 0.3, 3, torch.Generator().manual_seed(seed + i)) for i in (0, 0, 1))
    assert torch.equal(same, again), "the same generator must give the same mask"
    assert not torch.equal(same, other), "another generator must give another mask"


@span_mask.misconception(
    "You hid each token independently; hide an exact number of tokens in spans, because otherwise the number varies "
    "from text to text and most spans have length 1.",
    name="each-token-by-itself",
)
def _(length, density, mean, generator):
    return torch.rand(length, generator=generator) < density


@span_mask.misconception(
    "You began with a hidden run; begin with a kept run and end with a hidden one, as T5 does.",
    name="begins-hidden",
)
def _(length, density, mean, generator):
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(hidden / mean), 1), length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = random_lengths(hidden, spans, generator)
    return torch.tensor([True, False]).repeat(spans).repeat_interleave(torch.stack([lost, kept], 1).flatten())


@span_mask.misconception(
    "You cut off the counts with `int`; use `round`, because 15 % of 12 tokens is 1.8, which should give 2.",
    name="int-for-round",
)
def _(length, density, mean, generator):
    hidden = min(max(int(length * density), 1), length - 1)
    spans = min(max(int(hidden / mean), 1), length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = random_lengths(hidden, spans, generator)
    return torch.tensor([False, True]).repeat(spans).repeat_interleave(torch.stack([kept, lost], 1).flatten())


@span_mask.misconception(
    "You rounded halves up; `round` takes a half to the even neighbour, so 9 hidden tokens of mean length 2 make 4 "
    "spans.",
    name="halves-rounded-up",
)
def _(length, density, mean, generator):
    hidden = min(max(int(length * density + 0.5), 1), length - 1)
    spans = min(max(int(hidden / mean + 0.5), 1), length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = random_lengths(hidden, spans, generator)
    return torch.tensor([False, True]).repeat(spans).repeat_interleave(torch.stack([kept, lost], 1).flatten())


@span_mask.misconception(
    "You made as many spans as there are hidden tokens; make hidden / mean spans, because neighbouring hidden tokens "
    "share one.",
    name="one-span-a-token",
)
def _(length, density, mean, generator):
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(hidden, length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = random_lengths(hidden, spans, generator)
    return torch.tensor([False, True]).repeat(spans).repeat_interleave(torch.stack([kept, lost], 1).flatten())


@span_mask.misconception(
    "You gave every span the mean length; draw the lengths at random, because only their mean is fixed.",
    name="spans-of-equal-length",
)
def _(length, density, mean, generator):
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(hidden / mean), 1), length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = torch.full((spans,), hidden // spans)
    lost[: hidden % spans] += 1
    return torch.tensor([False, True]).repeat(spans).repeat_interleave(torch.stack([kept, lost], 1).flatten())


@span_mask.misconception(
    "You started spans at random places, where two of them can touch or overlap, which leaves too few hidden tokens "
    "and too few spans; split the text into alternating runs instead.",
    name="overlapping-spans",
)
def _(length, density, mean, generator):
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(hidden / mean), 1), length - hidden)
    mask = torch.zeros(length, dtype=torch.bool)
    for start in torch.randint(length, (spans,), generator=generator).tolist():
        mask[start : start + max(1, round(hidden / spans))] = True
    return mask


@span_mask.also_correct
def _(length, density, mean, generator):
    hidden = max(1, min(length - 1, round(density * length)))
    spans = min(length - hidden, max(1, round(hidden / mean)))
    mask, at = torch.zeros(length, dtype=torch.bool), 0
    pairs = zip(
        random_lengths(length - hidden, spans, generator), random_lengths(hidden, spans, generator), strict=True
    )
    for kept, lost in pairs:
        at += int(kept)
        mask[at : at + int(lost)] = True
        at += int(lost)
    return mask


@span_mask.also_correct
def _(length, density, mean, generator):
    hidden = max(1, min(length - 1, round(density * length)))
    spans = min(length - hidden, max(1, round(hidden / mean)))
    lost = random_lengths(hidden, spans, generator).tolist()
    kept = random_lengths(length - hidden, spans, generator).tolist()
    flags = []
    for number in range(spans):
        flags += [False] * kept[number] + [True] * lost[number]
    return torch.tensor(flags)
