"""Exercises: masks of exact counts, sentinels and back, the lengths that follow, and the collator that trains T5."""

from itertools import groupby, product

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

# ---------------------------------------------------------------------------------------------- random_lengths


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    kind="write",
    hints=(
        "Lay `total` tokens in a row. In how many places can the row be cut, and how many cuts make `parts` pieces?",
        "Choose the places of the cuts without repeating one, put them in order, and measure from cut to cut.",
        "There are total - 1 gaps and parts - 1 cuts; with both ends, parts + 1 edges have parts differences.",
        "`torch.randperm(total - 1, generator=generator)[: parts - 1]` chooses gaps, `.sort().values` orders them, "
        "`torch.diff` gives the lengths.",
    ),
)
def random_lengths(total, parts, generator):
    """Return `parts` random lengths, each at least 1, whose sum is `total`.

    Each list of such lengths, in its order, is equally likely: (1, 3), (2, 2) and (3, 1) come equally often.

    - total, parts: whole numbers, 1 <= parts <= total.
    - generator: a `torch.Generator`; draw from it alone.
    - Returns a tensor (parts,) of long.
    """
    ### BEGIN SOLUTION
    cuts = torch.randperm(total - 1, generator=generator)[: parts - 1].sort().values + 1
    edges = torch.cat([torch.tensor([0]), cuts, torch.tensor([total])])
    return edges.diff()
    ### END SOLUTION


@random_lengths.test("splits twelve tokens into five pieces, and leaves none empty", points=1)
def _(random_lengths):
    for seed in range(20):
        found = torch.as_tensor(random_lengths(12, 5, torch.Generator().manual_seed(seed)))
        assert tuple(found.shape) == (5,), f"five lengths are expected, got shape {tuple(found.shape)}"
        assert int(found.sum()) == 12, f"the lengths must add up to 12, got {found.tolist()}"
        assert int(found.min()) >= 1, f"no length may be below 1, got {found.tolist()}"


@random_lengths.hidden("makes every list of lengths equally likely", points=2)
def _(random_lengths, rng):
    for total, parts, lists in ((6, 3, 10), (8, 4, 35)):
        draws = 30 * lists
        counts = {}
        for _ in range(draws):
            found = tuple(int(length) for length in random_lengths(total, parts, rng))
            what = f"{total} tokens in {parts} pieces, got {found}"
            assert len(found) == parts, what
            assert sum(found) == total, what
            assert min(found) >= 1, what
            counts[found] = counts.get(found, 0) + 1
        assert len(counts) == lists, f"{total} tokens can be cut into {parts} pieces in {lists} ways, got {len(counts)}"
        expected = draws / lists
        distance = sum((count - expected) ** 2 / expected for count in counts.values())
        limit = lists - 1 + 7 * (2 * (lists - 1)) ** 0.5 + 15
        rare, often = min(counts, key=counts.get), max(counts, key=counts.get)
        assert distance < limit, (
            f"in {draws} draws {often} came {counts[often]} times and {rare} {counts[rare]} times; "
            "all should be equally likely"
        )


@random_lengths.hidden(
    "returns long, copes with one piece and with pieces of 1, and draws from the generator", points=1
)
def _(random_lengths, rng):
    for total, parts in ((30, 7), (9, 1), (8, 8), (1, 1), (64, 20)):
        found = random_lengths(total, parts, rng)
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"the lengths must be long, got {found.dtype}"
        what = f"{total} tokens in {parts} pieces, got {found.tolist()}"
        assert found.shape == (parts,), what
        assert int(found.sum()) == total, what
        assert int(found.min()) >= 1, what
    seed = int(torch.randint(1000, (), generator=rng))
    before = torch.get_rng_state()
    same, again, other = (random_lengths(90, 12, torch.Generator().manual_seed(seed + i)) for i in (0, 0, 1))
    assert torch.equal(same, again), "the same generator must give the same lengths"
    assert not torch.equal(same, other), "another generator must give other lengths"
    assert torch.equal(before, torch.get_rng_state()), "draw from `generator`, not from torch's global one"


@random_lengths.misconception(
    "You gave each piece one token and threw the others at random; a list such as (2, 2, 2) then comes up more often "
    "than (4, 1, 1), because more throws lead to it.",
    name="threw-the-rest",
)
def _(total, parts, generator):
    where = torch.randint(parts, (total - parts,), generator=generator)
    return 1 + torch.bincount(where, minlength=parts)


@random_lengths.misconception(
    "You drew one length after the other from what was left; the first piece is then long and the last ones short.",
    name="one-after-the-other",
)
def _(total, parts, generator):
    lengths, left = [], total
    for later in range(parts - 1, 0, -1):
        lengths.append(int(torch.randint(1, left - later + 1, (), generator=generator)))
        left -= lengths[-1]
    return torch.tensor([*lengths, left])


@random_lengths.misconception(
    "You let two cuts fall on the same place, or on an end, so some pieces are empty; choose each place once.",
    name="empty-pieces",
)
def _(total, parts, generator):
    cuts = torch.randint(total + 1, (parts - 1,), generator=generator).sort().values
    return torch.cat([torch.tensor([0]), cuts, torch.tensor([total])]).diff()


@random_lengths.misconception(
    "You numbered the gaps from 0, so a cut can fall before the first token and leave the first piece empty; the gap "
    "after the first token is at place 1.",
    name="gaps-from-zero",
)
def _(total, parts, generator):
    cuts = torch.randperm(total - 1, generator=generator)[: parts - 1].sort().values
    return torch.cat([torch.tensor([0]), cuts, torch.tensor([total])]).diff()


@random_lengths.misconception(
    "You made the pieces as equal as possible; they should be random, and only their mean is fixed.",
    name="equal-pieces",
)
def _(total, parts, generator):
    lengths = torch.full((parts,), total // parts)
    lengths[: total % parts] += 1
    return lengths


@random_lengths.misconception(
    "You did not put the cuts in order; differences between cuts out of order can be negative.",
    name="cuts-out-of-order",
)
def _(total, parts, generator):
    cuts = torch.randperm(total - 1, generator=generator)[: parts - 1] + 1
    return torch.cat([torch.tensor([0]), cuts, torch.tensor([total])]).diff()


@random_lengths.also_correct
def _(total, parts, generator):
    starts = torch.zeros(total, dtype=torch.long)
    starts[: parts - 1] = 1
    order = torch.randperm(total - 1, generator=generator)
    first = torch.cat([torch.tensor([0]), starts[:-1][order]]) if total > 1 else torch.zeros(1, dtype=torch.long)
    return torch.bincount(first.cumsum(0), minlength=parts)


@random_lengths.also_correct
def _(total, parts, generator):
    while True:  # draw with repetition, and keep only what has no empty piece
        cuts = sorted(torch.randint(1, max(2, total), (parts - 1,), generator=generator).tolist())
        lengths = [b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)]
        if min(lengths) > 0:
            return torch.tensor(lengths)
        if parts > total // 2:
            cuts = (torch.randperm(total - 1, generator=generator)[: parts - 1] + 1).sort().values.tolist()
            return torch.tensor([b - a for a, b in zip([0, *cuts], [*cuts, total], strict=True)])


# --------------------------------------------------------------------------------------------------- span_mask


@exercise(
    points=5,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "How many runs of kept tokens are there if each run of hidden ones comes after one of them?",
        "Split the kept tokens and the hidden tokens into equally many pieces, and lay the pieces alternately.",
        "With k spans there are 2k runs: kept, hidden, kept, hidden, … Their lengths are (2k,), the mask is (length,).",
        "`torch.stack([kept, hidden], 1).flatten()` alternates two lists of lengths; "
        "`flags.repeat_interleave(lengths)` repeats each flag so many times.",
    ),
)
def span_mask(length, density, mean, generator):
    """Return a random mask of hidden tokens in spans, as T5 draws it.

    | count | value |
    |---|---|
    | hidden tokens | `round(length * density)`, but at least 1 and at most length - 1 |
    | spans | `round(hidden / mean)`, but at least 1 and at most the number of kept tokens |

    Kept and hidden runs alternate, beginning with a kept one and ending with a hidden one. The lengths of the kept runs
    come from `random_lengths`, and so do those of the hidden runs.

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
    "You hid each token by itself; the number of hidden tokens then varies from text to text, and most spans have "
    "length 1.",
    name="each-token-by-itself",
)
def _(length, density, mean, generator):
    return torch.rand(length, generator=generator) < density


@span_mask.misconception(
    "You began with a hidden run; T5's masks begin with a kept run and end with a hidden one.",
    name="begins-hidden",
)
def _(length, density, mean, generator):
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(hidden / mean), 1), length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = random_lengths(hidden, spans, generator)
    return torch.tensor([True, False]).repeat(spans).repeat_interleave(torch.stack([lost, kept], 1).flatten())


@span_mask.misconception(
    "You cut the counts off with `int`; 15 % of 12 tokens are 1.8, and `round` makes 2 of them.",
    name="int-for-round",
)
def _(length, density, mean, generator):
    hidden = min(max(int(length * density), 1), length - 1)
    spans = min(max(int(hidden / mean), 1), length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = random_lengths(hidden, spans, generator)
    return torch.tensor([False, True]).repeat(spans).repeat_interleave(torch.stack([kept, lost], 1).flatten())


@span_mask.misconception(
    "You made as many spans as there are hidden tokens; tokens that are hidden together share a span, so there are "
    "hidden / mean spans.",
    name="one-span-a-token",
)
def _(length, density, mean, generator):
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(hidden, length - hidden)
    kept = random_lengths(length - hidden, spans, generator)
    lost = random_lengths(hidden, spans, generator)
    return torch.tensor([False, True]).repeat(spans).repeat_interleave(torch.stack([kept, lost], 1).flatten())


@span_mask.misconception(
    "You gave every span the mean length; the lengths are random, and only their mean is fixed.",
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
    "You started spans at random places; two of them can touch or overlap, and then there are fewer hidden tokens and "
    "fewer spans than asked for.",
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


# ----------------------------------------------------------------------------------------------------- corrupt


@exercise(
    points=5,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "How do you see, at a hidden token, that a new span begins?",
        "Go through the text once. At the first token of a span both sides get the next sentinel; afterwards a token "
        "goes to one side only.",
        "Both results are one-dimensional. With h hidden tokens in k spans, inputs have n - h + k + 1 tokens and "
        "targets have h + k + 1.",
        "`for token, hidden in zip(ids.tolist(), mask.tolist()):` with a counter of spans and the flag before it; at "
        "the end `torch.tensor([*inputs, eos])`.",
    ),
)
def corrupt(ids, mask, sentinels, eos):
    """Return (inputs, targets) of span corruption.

    inputs are the text with each run of hidden tokens replaced by one sentinel. targets are, for each run, its sentinel
    and its tokens. Both end with `eos`, and the first run has the first sentinel in both, the second the second, …

    - ids (n,): long. mask (n,): bool, True where a token is hidden; any pattern, also at both ends.
    - sentinels: a list of ids in the order of their use, at least as many as runs.
    - Returns two tensors of long, one-dimensional. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    inputs, targets, span, before = [], [], 0, False
    for token, hidden in zip(ids.tolist(), mask.tolist(), strict=True):
        if hidden and not before:
            inputs.append(sentinels[span])
            targets.append(sentinels[span])
            span += 1
        (targets if hidden else inputs).append(token)
        before = hidden
    return torch.tensor([*inputs, eos]), torch.tensor([*targets, eos])
    ### END SOLUTION


corrupt.equivalent(
    "for token, hidden in zip(ids.tolist(), mask.tolist(), strict=False):", "ids and mask have the same length"
)


@corrupt.test("hides two spans of a sentence", points=1)
def _(corrupt):
    ids = torch.tensor([11, 12, 13, 14, 15, 16, 17, 18])
    mask = torch.tensor([False, True, True, False, False, False, True, False])
    inputs, targets = corrupt(ids, mask, [99, 98, 97], 1)
    assert_close(torch.as_tensor(inputs), torch.tensor([11, 99, 14, 15, 16, 98, 18, 1]), message="the inputs")
    assert_close(torch.as_tensor(targets), torch.tensor([99, 12, 13, 98, 17, 1]), message="the targets")


@corrupt.hidden("gives each run one sentinel on both sides, in the order of the list", points=2)
def _(corrupt, rng):
    for length, density in ((23, 0.4), (60, 0.15), (17, 0.7), (31, 0.5), (9, 0.3)):
        ids = torch.randint(5, 30, (length,), generator=rng)
        mask = torch.rand(length, generator=rng) < density
        mask[1:4] = torch.tensor([True, True, False])
        sentinels = (40 + torch.randperm(35, generator=rng)).tolist()
        wanted_inputs, wanted_targets, names = [], [], iter(sentinels)
        for hidden, run in groupby(range(length), key=mask.tolist().__getitem__):
            words = ids[list(run)].tolist()
            if hidden:
                name = next(names)
                wanted_inputs += [name]
                wanted_targets += [name, *words]
            else:
                wanted_inputs += words
        inputs, targets = corrupt(ids, mask, sentinels, 2)
        for what, found, wanted in (("inputs", inputs, wanted_inputs), ("targets", targets, wanted_targets)):
            assert isinstance(found, torch.Tensor), f"{what}: a tensor is expected, got {type(found).__name__}"
            assert found.dtype == torch.long, f"{what} must be long, got {found.dtype}"
            assert found.tolist() == [*wanted, 2], (
                f"{what} of {ids.tolist()} with {''.join('x' if m else '.' for m in mask.tolist())} hidden and "
                f"sentinels {sentinels[:3]}… should be {[*wanted, 2]}, got {found.tolist()}"
            )


@corrupt.hidden("copes with spans at both ends, with nothing hidden and with all hidden", points=1)
def _(corrupt):
    ids = torch.tensor([7, 8, 9, 6, 5])
    cases = (
        ([1, 1, 0, 0, 1], [50, 9, 6, 51, 3], [50, 7, 8, 51, 5, 3]),
        ([1, 0, 1, 0, 1], [50, 8, 51, 6, 52, 3], [50, 7, 51, 9, 52, 5, 3]),
        ([0, 0, 0, 0, 0], [7, 8, 9, 6, 5, 3], [3]),
        ([1, 1, 1, 1, 1], [50, 3], [50, 7, 8, 9, 6, 5, 3]),
    )
    for flags, wanted_inputs, wanted_targets in cases:
        inputs, targets = corrupt(ids, torch.tensor(flags).bool(), [50, 51, 52], 3)
        assert inputs.tolist() == wanted_inputs, f"mask {flags}: inputs {wanted_inputs}, got {inputs.tolist()}"
        assert targets.tolist() == wanted_targets, f"mask {flags}: targets {wanted_targets}, got {targets.tolist()}"


@corrupt.hidden("leaves its arguments as they are, and has the lengths that the counts give", points=1)
def _(corrupt, rng):
    for length, runs, hidden in ((40, 3, 6), (25, 5, 10)):
        ids = torch.randint(9, (length,), generator=rng)
        mask = torch.zeros(length, dtype=torch.bool)
        for run in range(runs):
            start = 1 + run * (length // runs)
            mask[start : start + hidden // runs] = True
        copies = ids.clone(), mask.clone()
        sentinels = list(range(80, 60, -1))
        inputs, targets = corrupt(ids, mask, sentinels, 50)
        assert sentinels == list(range(80, 60, -1)), f"sentinels must stay as they are, {len(sentinels)} are left"
        assert torch.equal(ids, copies[0]), "ids must stay as they are"
        assert torch.equal(mask, copies[1]), "mask must stay as it is"
        assert len(inputs) == length - hidden + runs + 1, f"inputs: got {len(inputs)} tokens"
        assert len(targets) == hidden + runs + 1, f"targets: got {len(targets)} tokens"


@corrupt.misconception(
    "You gave every hidden token a sentinel of its own; one sentinel stands for a whole run of hidden tokens.",
    name="sentinel-for-each-token",
)
def _(ids, mask, sentinels, eos):
    inputs, targets, span = [], [], 0
    for token, hidden in zip(ids.tolist(), mask.tolist(), strict=True):
        if hidden:
            inputs.append(sentinels[span])
            targets += [sentinels[span], token]
            span += 1
        else:
            inputs.append(token)
    return torch.tensor([*inputs, eos]), torch.tensor([*targets, eos])


@corrupt.misconception(
    "You used the same sentinel for every run, as if it were `[MASK]`; the decoder then cannot say which gap its words "
    "belong to.",
    name="one-sentinel-for-all",
)
def _(ids, mask, sentinels, eos):
    return corrupt(ids, mask, [sentinels[0]] * len(ids), eos)


@corrupt.misconception(
    "You left the sentinels out of the targets; without them nothing says where one span ends and the next begins.",
    name="targets-without-sentinels",
)
def _(ids, mask, sentinels, eos):
    inputs, _ = corrupt(ids, mask, sentinels, eos)
    return inputs, torch.cat([ids[mask], torch.tensor([eos])])


@corrupt.misconception(
    "Your inputs do not end with `eos`; both sides need it, and the lengths of T5 count it on both.",
    name="inputs-without-eos",
)
def _(ids, mask, sentinels, eos):
    inputs, targets = corrupt(ids, mask, sentinels, eos)
    return inputs[:-1], targets


@corrupt.misconception(
    "Your targets do not end with `eos`; the decoder would never learn to stop.",
    name="targets-without-eos",
)
def _(ids, mask, sentinels, eos):
    inputs, targets = corrupt(ids, mask, sentinels, eos)
    return inputs, targets[:-1]


@corrupt.misconception(
    "You numbered the sentinels upwards from the first one; their order is that of the list, and T5's ids count down.",
    name="sentinels-count-up",
)
def _(ids, mask, sentinels, eos):
    return corrupt(ids, mask, [sentinels[0] + i for i in range(len(ids))], eos)


@corrupt.misconception(
    "You added one more sentinel at the end of the targets, as figure 2 of the paper does; here they end with the last "
    "span and `eos`.",
    name="final-sentinel",
)
def _(ids, mask, sentinels, eos):
    inputs, targets = corrupt(ids, mask, sentinels, eos)
    runs = sum(key for key, _ in groupby(mask.tolist()))
    last = [sentinels[runs]] if runs < len(sentinels) else []
    return inputs, torch.tensor([*targets[:-1].tolist(), *last, eos])


@corrupt.misconception(
    "You swapped the sides: hidden tokens belong in the targets, and the others in the inputs.",
    name="sides-swapped",
)
def _(ids, mask, sentinels, eos):
    return corrupt(ids, ~mask, sentinels, eos)


@corrupt.also_correct
def _(ids, mask, sentinels, eos):
    before = torch.cat([torch.tensor([False]), mask[:-1]])
    starts = mask & ~before
    names = torch.tensor([*sentinels, 0])[(starts.long().cumsum(0) - 1).clamp(min=0, max=len(sentinels))]
    inputs = torch.where(starts, names, ids)[~mask | starts]
    both = torch.stack([names, ids], 1)  # (T, 2): a sentinel and the token after it
    targets = both[torch.stack([starts, mask], 1)]
    end = torch.tensor([eos])
    return torch.cat([inputs, end]), torch.cat([targets, end])


@corrupt.also_correct
def _(ids, mask, sentinels, eos):
    inputs, targets, at = [], [], 0
    names = iter(sentinels)
    for hidden, run in groupby(mask.tolist()):
        size = len(list(run))
        words = ids[at : at + size].tolist()
        at += size
        if hidden:
            name = next(names)
            inputs.append(name)
            targets.extend([name, *words])
        else:
            inputs.extend(words)
    inputs.append(eos)
    targets.append(eos)
    return torch.tensor(inputs), torch.tensor(targets)


# ----------------------------------------------------------------------------------------------------- restore


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    kind="write",
    hints=(
        "What belongs to a sentinel in the targets, and where does it end?",
        "Collect the targets into one list of tokens for each sentinel; then go through the inputs and put each list "
        "in the place of its sentinel.",
        "A dict takes a sentinel to a list of ids. The result has as many tokens as the text had.",
        "`spans[token] = current = []` at a sentinel, `current.append(token)` otherwise; later `spans.get(token, [])`.",
    ),
)
def restore(inputs, targets, sentinels, eos):
    """Return the text that inputs and targets make together: the inverse of `corrupt`.

    targets may come from a decoder, so the spans may stand in any order, a span may be empty, and one may be missing;
    the gap of a span that is missing stays empty.

    - inputs (S,), targets (T,): long. Each ends with `eos`, which occurs nowhere else.
    - sentinels: a list of ids in the order of their use. No other token has one of these ids.
    - Returns a tensor of long, one-dimensional, without sentinels and `eos`. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    spans, current = {}, []
    for token in targets.tolist():
        if token in sentinels:
            spans[token] = current = []
        elif token != eos:
            current.append(token)
    text = []
    for token in inputs.tolist():
        if token in sentinels:
            text += spans.get(token, [])
        elif token != eos:
            text.append(token)
    return torch.tensor(text, dtype=torch.long)
    ### END SOLUTION


@restore.test("puts two spans back into their gaps", points=1)
def _(restore):
    inputs = torch.tensor([11, 99, 14, 15, 16, 98, 18, 1])
    targets = torch.tensor([99, 12, 13, 98, 17, 1])
    found = torch.as_tensor(restore(inputs, targets, [99, 98, 97], 1))
    assert_close(found, torch.tensor([11, 12, 13, 14, 15, 16, 17, 18]))


@restore.hidden("inverts the corruption of random texts", points=1)
def _(restore, rng):
    for length, density in ((23, 0.4), (60, 0.15), (17, 0.7), (31, 0.9), (12, 0.3)):
        numbers = (5 + torch.randperm(95, generator=rng)).tolist()  # sentinels are neither the largest nor in a row
        sentinels, others = numbers[:35], torch.tensor(numbers[35:])
        ids = others[torch.randint(len(others), (length,), generator=rng)]
        mask = torch.rand(length, generator=rng) < density
        mask[1:4] = torch.tensor([True, True, False])
        inputs, targets, names = [], [], iter(sentinels)
        for hidden, run in groupby(range(length), key=mask.tolist().__getitem__):
            words = ids[list(run)].tolist()
            name = [next(names)] if hidden else []
            inputs += name or words
            targets += [*name, *words] if hidden else []
        given = torch.tensor([*inputs, 2]), torch.tensor([*targets, 2]), list(sentinels)
        found = restore(*given, 2)
        assert given[0].tolist() == [*inputs, 2], "inputs must stay as they are"
        assert given[1].tolist() == [*targets, 2], "targets must stay as they are"
        assert given[2] == sentinels, "sentinels must stay as they are"
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"the text must be long, got {found.dtype}"
        assert found.tolist() == ids.tolist(), f"the text was {ids.tolist()}, got {found.tolist()}"


@restore.hidden("goes by the names of the spans, whatever their order, and leaves a missing one empty", points=2)
def _(restore):
    inputs = torch.tensor([60, 11, 62, 12, 13, 61, 14, 3])
    cases = (
        ([61, 7, 8, 60, 5, 62, 6, 3], [5, 11, 6, 12, 13, 7, 8, 14]),  # in another order
        ([60, 5, 61, 7, 3], [5, 11, 12, 13, 7, 14]),  # one is missing
        ([60, 62, 6, 6, 61, 7, 3], [11, 6, 6, 12, 13, 7, 14]),  # one is empty
        ([63, 9, 62, 6, 3], [11, 6, 12, 13, 14]),  # one that the inputs do not ask for
        ([3], [11, 12, 13, 14]),
    )
    for targets, wanted in cases:
        found = restore(inputs, torch.tensor(targets), [60, 62, 61, 63], 3)
        assert found.tolist() == wanted, (
            f"inputs {inputs.tolist()} and targets {targets} make {wanted}, got {found.tolist()}"
        )
    nothing = restore(torch.tensor([9, 3]), torch.tensor([9, 4, 3]), [9], 3)
    assert nothing.tolist() == [4], f"a text that is one span, got {nothing.tolist()}"
    empty = restore(torch.tensor([9, 3]), torch.tensor([3]), [9], 3)
    assert empty.dtype == torch.long, f"an empty text is long, too, got {empty.dtype}"
    assert empty.tolist() == [], f"an empty text is expected, got {empty.tolist()}"


@restore.misconception(
    "You put the first span into the first gap, the second into the second, and so on; a decoder may leave one out, so "
    "go by the sentinel before each span.",
    name="by-position",
)
def _(inputs, targets, sentinels, eos):
    spans = []
    for token in targets.tolist():
        if token in sentinels:
            spans.append([])
        elif token != eos and spans:
            spans[-1].append(token)
    text = []
    for token in inputs.tolist():
        if token in sentinels:
            text += spans.pop(0) if spans else []
        elif token != eos:
            text.append(token)
    return torch.tensor(text, dtype=torch.long)


@restore.misconception(
    "You left the sentinels in the text; each of them only marks a gap, and its span takes its place.",
    name="sentinels-left",
)
def _(inputs, targets, sentinels, eos):
    text = []
    for token in inputs.tolist():
        if token in sentinels:
            part = targets.tolist()[targets.tolist().index(token) :] if token in targets.tolist() else [token]
            stop = next((i for i, t in enumerate(part) if i and (t in sentinels or t == eos)), len(part))
            text += part[:stop]
        elif token != eos:
            text.append(token)
    return torch.tensor(text, dtype=torch.long)


@restore.misconception(
    "You left `eos` in the text; it only says that the inputs are over.",
    name="eos-left",
)
def _(inputs, targets, sentinels, eos):
    return torch.cat([restore(inputs, targets, sentinels, eos), torch.tensor([eos])])


@restore.misconception(
    "You lost what comes after the last gap; after the last span the inputs still go on.",
    name="end-lost",
)
def _(inputs, targets, sentinels, eos):
    tokens = inputs.tolist()
    last = max((at for at, token in enumerate(tokens) if token in sentinels), default=-1)
    return restore(torch.tensor([*tokens[: last + 1], eos]), targets, sentinels, eos)


@restore.misconception(
    "You put one token into each gap; a span may have any number of them.",
    name="one-token-a-span",
)
def _(inputs, targets, sentinels, eos):
    kept, tokens = [], targets.tolist()
    for at, token in enumerate(tokens):
        if token in sentinels or token == eos or (at and tokens[at - 1] in sentinels):
            kept.append(token)
    return restore(inputs, torch.tensor(kept), sentinels, eos)


@restore.also_correct
def _(inputs, targets, sentinels, eos):
    def split(tokens):
        pieces, name = [(None, [])], None
        for token in tokens:
            if token in sentinels:
                name = token
                pieces.append((name, []))
            elif token != eos:
                pieces[-1][1].append(token)
        return pieces

    spans = dict(split(targets.tolist()))
    text = []
    for name, after in split(inputs.tolist()):
        text.extend(spans.get(name, []) if name is not None else [])
        text.extend(after)
    return torch.tensor(text).long()


@restore.also_correct
def _(inputs, targets, sentinels, eos):
    answer, text = targets.tolist(), []
    for token in inputs.tolist()[:-1]:
        if token not in sentinels:
            text.append(token)
        elif token in answer:
            at = answer.index(token) + 1
            while answer[at] not in sentinels and answer[at] != eos:
                text.append(answer[at])
                at += 1
    return torch.tensor(text, dtype=torch.int64)


# --------------------------------------------------------------------------------------------- expected_target


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "Of which three kinds of tokens are the targets made, and which of them has a random number?",
        "Expectations add up, whether or not things depend on each other: count the hidden tokens and the tokens at "
        "which a run begins.",
        "A run begins at the first token if that is hidden, and at any later token if it is hidden and the one before "
        "is not.",
        "With p for the density and n for the length: `n * p` hidden tokens; the first token begins a run with "
        "probability p, and each of the other n - 1 with probability `p * (1 - p)`; one `eos`.",
    ),
)
def expected_target(length, density):
    """Return the expected number of target tokens when each token is hidden by itself, independently of the others.

    So this is not `span_mask`: `corrupt` gets a mask in which every token is True with probability `density`. Count all
    that `corrupt` puts into the targets.

    - length: whole number, 1 or more. density: between 0 and 1, both included.
    - Returns one float.
    """
    ### BEGIN SOLUTION
    hidden = length * density
    runs = density + (length - 1) * density * (1 - density)
    return hidden + runs + 1
    ### END SOLUTION


@expected_target.test("knows two tokens, each hidden one time in four", points=1)
def _(expected_target):
    # none hidden: 1 token; the first, or the second: 3 tokens; both: 4 tokens
    expected = (9 * 1 + 3 * 3 + 3 * 3 + 1 * 4) / 16
    assert_close(expected_target(2, 0.25), expected, rtol=1e-6, message="the mean over the four masks of two tokens")


@expected_target.hidden("is the mean over all masks, each with its probability", points=3)
def _(expected_target):
    for length, density in ((7, 0.15), (5, 0.4), (8, 0.73), (3, 0.9), (1, 0.3), (6, 0.5), (4, 0.0), (4, 1.0)):
        mean = 0.0
        for mask in product((False, True), repeat=length):
            probability = density ** sum(mask) * (1 - density) ** (length - sum(mask))
            runs = sum(key for key, _ in groupby(mask))
            mean += probability * (sum(mask) + runs + 1)
        found = float(expected_target(length, density))
        assert abs(found - mean) <= 1e-5 * mean, (
            f"{length} tokens, each hidden with probability {density}: the mean over all masks is {mean:.5f}, "
            f"got {found:.5f}"
        )


@expected_target.misconception(
    "You counted a sentinel for each hidden token; hidden neighbours share one.",
    name="sentinel-for-each-token",
)
def _(length, density):
    return 2 * length * density + 1


@expected_target.misconception(
    "You did not count `eos`, which ends every target.",
    name="eos-not-counted",
)
def _(length, density):
    return length * density + density + (length - 1) * density * (1 - density)


@expected_target.misconception(
    "You asked for a kept token before each run; the first token has none before it, and begins a run whenever it is "
    "hidden.",
    name="first-token-forgotten",
)
def _(length, density):
    return length * density + length * density * (1 - density) + 1


@expected_target.misconception(
    "You left out the run that begins with the first token; it begins one with probability `density`.",
    name="first-run-left-out",
)
def _(length, density):
    return length * density + (length - 1) * density * (1 - density) + 1


@expected_target.misconception(
    "You took spans of mean length 3; tokens that are hidden one by one make runs of length 1 / (1 - density) in the "
    "middle of a text.",
    name="mean-length-three",
)
def _(length, density):
    return length * density * (1 + 1 / 3) + 1


@expected_target.also_correct
def _(length, density):
    neighbours = (length - 1) * density**2  # pairs that share a sentinel
    return 2 * length * density - neighbours + 1


@expected_target.also_correct
def _(length, density):
    total = torch.tensor(1.0, dtype=torch.float64)
    for place in range(length):
        total += density + density * (1.0 if place == 0 else 1 - density)
    return float(total)


# -------------------------------------------------------------------------------------------------- raw_length


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "How long are inputs and targets for a text of 100 tokens?",
        "Write a small function for both lengths. Then lengthen the text until one more token would not fit.",
        "inputs: kept tokens, sentinels, `eos`. targets: hidden tokens, sentinels, `eos`. Both are whole numbers.",
        "`while lengths(raw + 1)[0] <= inputs_length: raw += 1`, from `raw = 2` on.",
    ),
)
def raw_length(inputs_length, density, mean):
    """Return (raw, targets): the length of the longest text that fits, and the length of its targets.

    A text fits if its inputs, made by `span_mask` and `corrupt`, have at most `inputs_length` tokens. The counts of
    `span_mask` do not depend on chance, so neither do these lengths. A longer text never has shorter inputs.

    - inputs_length: whole number, 3 or more. density: between 0 and 1, below 1. mean: 1 or more.
    - Returns two whole numbers.
    """

    ### BEGIN SOLUTION
    def lengths(raw):
        hidden = min(max(round(raw * density), 1), raw - 1)
        spans = min(max(round(hidden / mean), 1), raw - hidden)
        return raw - hidden + spans + 1, hidden + spans + 1

    raw = 2
    while lengths(raw + 1)[0] <= inputs_length:
        raw += 1
    return raw, lengths(raw)[1]
    ### END SOLUTION


raw_length.equivalent("raw = 1", "a text of two tokens always fits")
raw_length.equivalent(
    "hidden = min(max(round(raw * density), 1), raw + 1)", "where this bound matters, a longer text fits, too"
)
raw_length.equivalent(
    "hidden = min(max(round(raw * density), 1), raw)", "where this bound matters, a longer text fits, too"
)
raw_length.equivalent(
    "hidden = min(max(round(raw * density), 1), raw - 0)", "where this bound matters, a longer text fits, too"
)


@raw_length.test("knows the numbers of T5", points=1)
def _(raw_length):
    raw, targets = raw_length(512, 0.15, 3)
    assert (int(raw), int(targets)) == (568, 114), (
        f"512 inputs hold a text of 568 tokens, with 114 targets, got {raw} and {targets}"
    )


@raw_length.hidden("finds the longest text, for other budgets, densities and means", points=3)
def _(raw_length):
    cases = (
        (128, 0.15, 3, 141, 29),
        (64, 0.15, 3, 70, 14),
        (200, 0.5, 3.4, 308, 200),
        (90, 0.3, 1, 89, 55),
        (77, 0.4, 7, 115, 54),
        (40, 0.7, 1, 65, 66),
        (3, 0.9, 3, 15, 16),
        (3, 0.15, 3, 2, 3),
        (10, 0.04, 2, 9, 3),
        (1024, 0.15, 3, 1137, 229),
    )
    for budget, density, mean, raw, targets in cases:
        found = tuple(raw_length(budget, density, mean))
        assert all(float(value) == int(value) for value in found), f"two whole numbers are expected, got {found}"
        assert tuple(map(int, found)) == (raw, targets), (
            f"{budget} inputs at density {density} and mean length {mean}: a text of {raw} tokens, {targets} targets; "
            f"got {found}"
        )


@raw_length.misconception(
    "You did not count `eos`; one token of the inputs and one of the targets is taken by it.",
    name="eos-not-counted",
)
def _(inputs_length, density, mean):
    raw, targets = raw_length(inputs_length + 1, density, mean)
    return raw, targets - 1


@raw_length.misconception(
    "You did not count the sentinels; each span puts one into the inputs and one into the targets.",
    name="sentinels-not-counted",
)
def _(inputs_length, density, mean):
    raw = 2
    while raw + 1 - round((raw + 1) * density) + 1 <= inputs_length:
        raw += 1
    return raw, round(raw * density) + 1


@raw_length.misconception(
    "You went one token too far: you returned the first text that does not fit.",
    name="one-too-far",
)
def _(inputs_length, density, mean):
    raw = raw_length(inputs_length, density, mean)[0] + 1
    hidden = min(max(round(raw * density), 1), raw - 1)
    return raw, hidden + min(max(round(hidden / mean), 1), raw - hidden) + 1


@raw_length.misconception(
    "You cut a text of `inputs_length` tokens; corruption makes it shorter, and part of the inputs would be padding.",
    name="raw-is-the-budget",
)
def _(inputs_length, density, mean):
    raw = inputs_length
    hidden = min(max(round(raw * density), 1), raw - 1)
    return raw, hidden + min(max(round(hidden / mean), 1), raw - hidden) + 1


@raw_length.also_correct
def _(inputs_length, density, mean):
    best = None
    for raw in range(2, 40 * inputs_length):
        hidden = max(1, min(raw - 1, round(raw * density)))
        spans = min(raw - hidden, max(1, round(hidden / mean)))
        if raw - hidden + spans + 1 > inputs_length:
            break
        best = raw, hidden + spans + 1
    return best


@raw_length.also_correct
def _(inputs_length, density, mean):
    def counts(raw):
        hidden = max(1, min(raw - 1, round(raw * density)))
        return hidden, min(raw - hidden, max(1, round(hidden / mean)))

    low, high = 2, 2
    while high - sum((1, -1)[i] * c for i, c in enumerate(counts(high))) + 1 <= inputs_length:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        hidden, spans = counts(middle)
        low, high = (middle, high) if middle - hidden + spans + 1 <= inputs_length else (low, middle)
    return [low, sum(counts(low)) + 1]


raw_length.equivalent(
    "while high - sum((1, -1)[i] * c for i, c in enumerate(counts(high))) + 0 <= inputs_length:",
    "the search only starts from a longer text",
)
raw_length.equivalent("continue", "no longer text fits, either")


# ------------------------------------------------------------------------------------------------- shift_right


@exercise(
    points=3,
    minutes=5,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "What may the decoder have read when it predicts the first label? And the second?",
        "The decoder reads the labels one place later, and something else comes first.",
        "The last label is never read, so the shape (B, T) stays the same.",
        "`labels.new_full(labels.shape, start)`, then `[:, 1:]` takes `labels[:, :-1]`; `masked_fill` replaces -100.",
    ),
)
def shift_right(labels, start, pad):
    """Return what the decoder reads while it learns to write `labels`: each row one place to the right.

    Every row begins with `start`, and -100, which marks labels that do not count, becomes `pad`. `labels` stays as it
    is.

    - labels (B, T): long. start, pad: ids.
    - Returns long (B, T).
    """
    ### BEGIN SOLUTION
    shifted = labels.new_full(labels.shape, start)
    shifted[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == -100, pad)
    return shifted
    ### END SOLUTION


@shift_right.test("moves two targets one place to the right", points=1)
def _(shift_right):
    labels = torch.tensor([[99, 12, 13, 1, -100, -100], [99, 17, 98, 5, 6, 1]])
    expected = torch.tensor([[7, 99, 12, 13, 1, 0], [7, 99, 17, 98, 5, 6]])
    assert_close(torch.as_tensor(shift_right(labels, 7, 0)), expected)


@shift_right.hidden("reads every label but the last, one step late, and no -100", points=2)
def _(shift_right, rng):
    for rows, length, start, pad in (
        (5, 4, 2, 9),
        (3, 7, 8, 0),
        (1, 9, 0, 3),
        (3, 8, 0, 0),
        (4, 4, 6, 5),
        (2, 1, 4, 7),
    ):
        labels = torch.randint(10, 40, (rows, length), generator=rng)
        labels[torch.rand(rows, length, generator=rng) < 0.3] = -100
        copy = labels.clone()
        found = shift_right(labels, start, pad)
        assert torch.equal(labels, copy), "labels must stay as they are"
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"decoder inputs must be long, got {found.dtype}"
        assert found.shape == (rows, length), f"the shape must stay {(rows, length)}, got {tuple(found.shape)}"
        for row in range(rows):
            wanted = [start, *(pad if label == -100 else label for label in copy[row, :-1].tolist())]
            assert found[row].tolist() == wanted, (
                f"labels {copy[row].tolist()}, start {start}, pad {pad}: should be {wanted}, got {found[row].tolist()}"
            )


@shift_right.misconception(
    "You rolled the labels around, so the last label is in the first place, where the decoder reads it too early; "
    "put `start` there.",
    name="rolled-around",
)
def _(labels, start, pad):
    return labels.roll(1, 1).masked_fill(labels.roll(1, 1) == -100, pad)


@shift_right.misconception(
    "You left -100 in; it marks labels for the loss, but as an id it has no row in the embedding.",
    name="left-minus-100",
)
def _(labels, start, pad):
    return torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], 1)


@shift_right.misconception(
    "You shifted to the left; the decoder would read each word that it has to predict.",
    name="shifted-left",
)
def _(labels, start, pad):
    moved = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], start)], 1)
    return moved.masked_fill(moved == -100, pad)


@shift_right.misconception(
    "You put `start` in front and kept all labels, so there is one place too many; the last label is never read.",
    name="one-place-too-many",
)
def _(labels, start, pad):
    moved = torch.cat([torch.full_like(labels[:, :1], start), labels], 1)
    return moved.masked_fill(moved == -100, pad)


@shift_right.misconception(
    "You filled places that do not count with `start`; they become `pad`.",
    name="start-for-pad",
)
def _(labels, start, pad):
    moved = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], 1)
    return moved.masked_fill(moved == -100, start)


@shift_right.also_correct
def _(labels, start, pad):
    clean = torch.where(labels == -100, torch.full_like(labels, pad), labels)
    return F.pad(clean, (1, 0), value=start)[:, :-1]


@shift_right.also_correct
def _(labels, start, pad):
    rows = [[start, *(pad if label == -100 else label for label in row[:-1])] for row in labels.tolist()]
    return torch.tensor(rows)


# ----------------------------------------------------------------------------------------------------- collate


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "Which of your functions makes a pair (inputs, targets) from one text, and why do pairs differ in length?",
        "First make all pairs. Then fill two rectangles: inputs with padding, labels with -100. The decoder's inputs "
        "follow from the labels.",
        "inputs (B, S) and labels (B, T): S and T are the lengths of the longest input and target in this batch.",
        "`torch.full((len(pairs), longest), -100)` makes a rectangle, `labels[row, : len(targets)] = targets` fills a "
        "row; then `shift_right(labels, pad, pad)`.",
    ),
)
def collate(texts, density, mean, sentinels, eos, pad, generator):
    """Return (inputs, decoder_inputs, labels): one training batch of span corruption.

    Each text gets a fresh mask from `span_mask`, in the order given, and is corrupted. Inputs are filled up with `pad`,
    labels with -100. As in T5, the decoder starts with `pad`.

    - texts: a list of B tensors of long, of 2 tokens or more each; they stay as they are.
    - density, mean, generator: as in `span_mask`. sentinels, eos: as in `corrupt`.
    - Returns three tensors of long: (B, S), (B, T), (B, T), no longer than the longest row needs.
    """
    ### BEGIN SOLUTION
    pairs = []
    for ids in texts:
        mask = span_mask(len(ids), density, mean, generator)
        pairs.append(corrupt(ids, mask, sentinels, eos))
    longest_inputs = max(len(inputs) for inputs, _ in pairs)
    longest_targets = max(len(targets) for _, targets in pairs)
    batch = torch.full((len(pairs), longest_inputs), pad)
    labels = torch.full((len(pairs), longest_targets), -100)
    for row, (inputs, targets) in enumerate(pairs):
        batch[row, : len(inputs)] = inputs
        labels[row, : len(targets)] = targets
    decoder_inputs = shift_right(labels, pad, pad)
    return batch, decoder_inputs, labels
    ### END SOLUTION


@collate.test("makes three rectangles of two texts", points=1)
def _(collate):
    texts = [torch.arange(10, 30), torch.arange(30, 42)]
    batch = collate(texts, 0.15, 3, [99, 98, 97], 1, 0, torch.Generator().manual_seed(3))
    assert len(batch) == 3, f"three tensors are expected, got {len(batch)}"
    inputs, decoder_inputs, labels = (torch.as_tensor(part) for part in batch)
    # 3 of 20 tokens in 1 span; 2 of 12 tokens in 1 span
    shapes = tuple(inputs.shape), tuple(decoder_inputs.shape), tuple(labels.shape)
    assert shapes == ((2, 19), (2, 5), (2, 5)), f"the shapes should be (2, 19), (2, 5), (2, 5), got {shapes}"
    assert inputs[1].tolist()[-7:] == [0] * 7, (
        f"the second row of inputs ends with 7 times pad, got {inputs[1].tolist()}"
    )
    assert labels[1, -2:].tolist() == [1, -100], f"its labels end with eos and -100, got {labels[1].tolist()}"
    assert decoder_inputs[:, 0].tolist() == [0, 0], "the decoder starts with pad"


@collate.hidden("keeps every text whole, hides as much as it should, and fills up what is left", points=3)
def _(collate, rng):
    for lengths, density, mean, pad, eos in (
        ((40, 25, 33), 0.3, 3, 4, 3),
        ((60, 60, 60, 60), 0.15, 3, 0, 1),
        ((9, 50, 2, 17), 0.4, 2, 2, 0),
        ((13,), 0.15, 1, 1, 2),
    ):
        texts = [torch.randint(10, 60, (length,), generator=rng) for length in lengths]
        copies = [ids.clone() for ids in texts]
        sentinels = (70 + torch.randperm(40, generator=rng)).tolist()
        listed = list(sentinels)
        made = tuple(collate(texts, density, mean, sentinels, eos, pad, rng))
        assert sentinels == listed, "sentinels must stay as they are"
        assert len(made) == 3, f"three tensors are expected, got {len(made)}"
        for what, part in zip(("inputs", "decoder_inputs", "labels"), made, strict=True):
            assert isinstance(part, torch.Tensor), f"{what}: a tensor is expected, got {type(part).__name__}"
            assert part.dtype == torch.long, f"{what} must be long, got {part.dtype}"
        inputs, decoder_inputs, labels = made
        assert all(torch.equal(a, b) for a, b in zip(texts, copies, strict=True)), "texts must stay as they are"
        widths = [0, 0]
        for row, ids in enumerate(copies):
            hidden = min(max(round(len(ids) * density), 1), len(ids) - 1)
            spans = min(max(round(hidden / mean), 1), len(ids) - hidden)
            sizes = len(ids) - hidden + spans + 1, hidden + spans + 1
            widths = [max(pair) for pair in zip(widths, sizes, strict=True)]
            ours, theirs = inputs[row].tolist(), labels[row].tolist()
            where = f"row {row}, a text of {len(ids)} tokens"
            assert set(ours[sizes[0] :]) <= {pad}, f"{where}: after {sizes[0]} inputs comes pad ({pad}), got {ours}"
            assert set(theirs[sizes[1] :]) <= {-100}, f"{where}: after {sizes[1]} labels comes -100, got {theirs}"
            ours, theirs = ours[: sizes[0]], theirs[: sizes[1]]
            assert ours[-1:] == [eos], f"{where}: the inputs end with eos ({eos})"
            assert theirs[-1:] == [eos], f"{where}: the labels end with eos ({eos})"
            found, left = [], theirs[:-1]
            for token in ours[:-1]:
                if token not in sentinels:
                    found.append(token)
                    continue
                assert left[:1] == [token], f"{where}: the labels should go on with sentinel {token}, got {left}"
                left = left[1:]
                while left and left[0] not in sentinels:
                    found.append(left.pop(0))
            assert found == ids.tolist(), f"{where}: inputs and labels together should make the text, got {found}"
            names = [token for token in ours if token in sentinels]
            assert names == sentinels[:spans], f"{where}: sentinels {sentinels[:spans]} are expected, got {names}"
            read = [pad, *(pad if label == -100 else label for label in labels[row, :-1].tolist())]
            assert decoder_inputs[row].tolist() == read, f"{where}: the decoder reads {read}"
        shapes = tuple(inputs.shape), tuple(labels.shape)
        wanted = (len(texts), widths[0]), (len(texts), widths[1])
        assert shapes == wanted, f"inputs and labels should have shapes {wanted}, got {shapes}"


@collate.hidden("draws a fresh mask for each text and each call, from the generator alone", points=2)
def _(collate, rng):
    ids = torch.randint(10, 60, (80,), generator=rng)
    sentinels = list(range(99, 70, -1))
    seed = int(torch.randint(1000, (), generator=rng))
    source = torch.Generator().manual_seed(seed)
    before = torch.get_rng_state()
    first = collate([ids, ids, ids], 0.3, 3, sentinels, 1, 0, source)
    second = collate([ids, ids, ids], 0.3, 3, sentinels, 1, 0, source)
    again = collate([ids, ids, ids], 0.3, 3, sentinels, 1, 0, torch.Generator().manual_seed(seed))
    assert not torch.equal(first[0][0], first[0][1]), "each text of a batch needs a mask of its own"
    assert not torch.equal(first[0], second[0]), "each call needs fresh masks"
    assert torch.equal(first[0], again[0]), "the same generator must give the same batch"
    assert torch.equal(before, torch.get_rng_state()), "draw from `generator`, not from torch's global one"


@collate.misconception(
    "You filled the labels up with `pad`; the loss would then train the decoder to write padding. Use -100.",
    name="labels-filled-with-pad",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    return inputs, decoder_inputs, labels.masked_fill(labels == -100, pad)


@collate.misconception(
    "You gave the decoder its own labels to read; without the shift it copies each label instead of predicting it.",
    name="decoder-not-shifted",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, _, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    return inputs, labels.masked_fill(labels == -100, pad), labels


@collate.misconception(
    "You drew one mask for the whole batch; with one mask a batch, all texts lose the same places.",
    name="one-mask-for-all",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    seed = int(torch.randint(2**31, (), generator=generator))
    rows = [collate([ids], density, mean, sentinels, eos, pad, torch.Generator().manual_seed(seed)) for ids in texts]
    return tuple(
        torch.cat([F.pad(row[i], (0, max(r[i].shape[1] for r in rows) - row[i].shape[1]), value=fill) for row in rows])
        for i, fill in enumerate((pad, pad, -100))
    )


@collate.misconception(
    "You filled the inputs up with -100; that is a mark for the loss, and the encoder cannot look it up.",
    name="inputs-filled-with-minus-100",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, -100, generator)
    return inputs, decoder_inputs.masked_fill(decoder_inputs == -100, pad), labels


@collate.misconception(
    "You cut the rows to the shortest one; the end of longer texts, and their `eos`, is lost.",
    name="cut-to-the-shortest",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    sizes = []
    for ids in texts:
        hidden = min(max(round(len(ids) * density), 1), len(ids) - 1)
        spans = min(max(round(hidden / mean), 1), len(ids) - hidden)
        sizes.append((len(ids) - hidden + spans + 1, hidden + spans + 1))
    short, few = (min(size) for size in zip(*sizes, strict=True))
    return inputs[:, :short], decoder_inputs[:, :few], labels[:, :few]


@collate.misconception(
    "You let the decoder start with `eos`; T5 has no token for the start and takes `pad`.",
    name="starts-with-eos",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    return inputs, torch.cat([torch.full_like(labels[:, :1], eos), decoder_inputs[:, 1:]], 1), labels


@collate.also_correct
def _(texts, density, mean, sentinels, eos, pad, generator):
    pairs = [corrupt(ids, span_mask(len(ids), density, mean, generator), sentinels, eos) for ids in texts]
    inputs, targets = zip(*pairs, strict=True)
    pack = torch.nn.utils.rnn.pad_sequence
    labels = pack(list(targets), batch_first=True, padding_value=-100)
    return pack(list(inputs), batch_first=True, padding_value=pad), shift_right(labels, pad, pad), labels


@collate.also_correct
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, labels = [], []
    for ids in texts:
        ours, theirs = corrupt(ids, span_mask(len(ids), density, mean, generator), sentinels, eos)
        inputs.append(ours.tolist())
        labels.append(theirs.tolist())
    longest = max(map(len, inputs)), max(map(len, labels))
    for ours, theirs in zip(inputs, labels, strict=True):
        ours.extend([pad] * (longest[0] - len(ours)))
        theirs.extend([-100] * (longest[1] - len(theirs)))
    read = [[pad, *(pad if label == -100 else label for label in row[:-1])] for row in labels]
    return [torch.tensor(inputs), torch.tensor(read), torch.tensor(labels)]
