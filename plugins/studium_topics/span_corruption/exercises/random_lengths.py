import torch
from studium import exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    kind="write",
    hints=(
        "Lay `total` tokens in a row. In how many places can you cut the row, and how many cuts make `parts` pieces?",
        "Choose the places of the cuts without repeating any, sort them, and measure from cut to cut.",
        "There are total - 1 gaps and parts - 1 cuts; with both ends, that makes parts + 1 edges with parts "
        "differences.",
        "`torch.randperm(total - 1, generator=generator)[: parts - 1]` chooses gaps, `.sort().values` sorts them, and "
        "`torch.diff` gives the lengths.",
    ),
)
def random_lengths(total, parts, generator):
    """Return `parts` random lengths, each at least 1, whose sum is `total`.

    Every such list is equally likely, and order matters: (1, 3), (2, 2) and (3, 1) come equally often.

    - total, parts: whole numbers, 1 <= parts <= total.
    - generator: a `torch.Generator`, the only source of randomness.
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
    "You gave each piece one token and distributed the rest at random, so a list such as (2, 2, 2) comes up more "
    "often than (4, 1, 1), because more draws lead to it; choose the places of the cuts instead.",
    name="threw-the-rest",
)
def _(total, parts, generator):
    where = torch.randint(parts, (total - parts,), generator=generator)
    return 1 + torch.bincount(where, minlength=parts)


@random_lengths.misconception(
    "You drew one length after another from what was left, which makes the first piece long and the last ones short; "
    "choose all the cuts at once.",
    name="one-after-the-other",
)
def _(total, parts, generator):
    lengths, left = [], total
    for later in range(parts - 1, 0, -1):
        lengths.append(int(torch.randint(1, left - later + 1, (), generator=generator)))
        left -= lengths[-1]
    return torch.tensor([*lengths, left])


@random_lengths.misconception(
    "You let two cuts fall on the same place, or on an end, so some pieces are empty; choose each place at most once.",
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
    "You made the pieces as equal as possible; make them random, because only their mean is fixed.",
    name="equal-pieces",
)
def _(total, parts, generator):
    lengths = torch.full((parts,), total // parts)
    lengths[: total % parts] += 1
    return lengths


@random_lengths.misconception(
    "You did not sort the cuts; sort them, or the differences between them can be negative.",
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
