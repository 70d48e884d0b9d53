import torch
from studium import exercise


@exercise(
    points=3,
    report=1,
    minutes=15,
    kind="open",
    importance=2,
    hints=(
        "How much of an update does its next direction carry, and how many numbers does that direction cost?",
        "A direction with the singular value σ carries σ² of the squared size, and costs out + in numbers. It does not "
        "matter which layer it comes from.",
        "Collect the directions of all layers in one list, and take the best value for its price first.",
    ),
)
def squeeze(updates, budget):
    """Return one adapter for each update, so that together they keep as much as possible within a budget.

    * updates: a list of matrices ΔW (out, in), of different shapes, float32 or float64; they stay as they are
    * budget: how many numbers all the adapters may hold together
    * returns: a list with a pair (A, B) for each update, A (r, in) and B (out, r). You choose each r, and r may be 0.

    The goal: the adapters hold at most `budget` numbers and miss at most 5 % of the updates, which we measure as the
    sum of all ‖ΔW - B A‖² divided by the sum of all ‖ΔW‖². Our budgets are as large as the best choice needs, so if you
    give every layer the same rank, you will miss far more.
    """
    ### BEGIN SOLUTION
    parts = [torch.linalg.svd(update, full_matrices=False) for update in updates]
    prices = [sum(update.shape) for update in updates]
    directions = [(float(s) ** 2 / prices[i], i) for i, (_, values, _) in enumerate(parts) for s in values]
    ranks, left = [0] * len(updates), budget
    for _, i in sorted(directions, reverse=True):
        if prices[i] <= left:
            ranks[i] += 1
            left -= prices[i]
    return [(vh[:r], u[:, :r] * s[:r]) for r, (u, s, vh) in zip(ranks, parts, strict=True)]
    ### END SOLUTION


@squeeze.test("keeps 95 % of four updates within the budget", points=1)
def _(squeeze, rng):
    updates, budget = [], 0
    for size_out, size_in, rank in ((24, 8, 1), (8, 24, 2), (16, 16, 6), (12, 20, 0)):
        u, _ = torch.linalg.qr(torch.randn(size_out, rank, generator=rng, dtype=torch.float64))
        v, _ = torch.linalg.qr(torch.randn(size_in, rank, generator=rng, dtype=torch.float64))
        noise = 0.01 * torch.randn(size_out, size_in, generator=rng, dtype=torch.float64)
        updates.append((u * (1 + torch.rand(rank, generator=rng, dtype=torch.float64))) @ v.T + noise)
        budget += rank * (size_out + size_in)
    pairs = squeeze([update.clone() for update in updates], budget)
    assert len(pairs) == len(updates), f"expected a pair (A, B) for each of {len(updates)} updates, got {len(pairs)}"
    numbers, missed = 0, 0.0
    for update, (a, b) in zip(updates, pairs, strict=True):
        a, b = torch.as_tensor(a), torch.as_tensor(b)
        numbers += a.numel() + b.numel()
        missed += float((update - b @ a).square().sum())
    share = missed / sum(float(update.square().sum()) for update in updates)
    assert numbers <= budget, f"the adapters hold {numbers} numbers, and the budget is {budget}"
    assert share <= 0.05, f"the adapters miss {share:.1%} of the updates; the goal is 5 %"


@squeeze.hidden("keeps 95 % whatever the shapes, ranks and precision, and leaves the updates alone", points=2)
def _(squeeze, rng):
    cases = (
        (((40, 6, 3), (6, 40, 1), (20, 20, 0), (9, 15, 7), (30, 30, 2)), torch.float64),
        (((10, 10, 10), (50, 50, 1), (10, 50, 0)), torch.float32),
        (((7, 11, 4),), torch.float64),
        (((5, 4, 0), (3, 8, 0)), torch.float64),
    )
    for shapes, dtype in cases:
        updates, budget = [], 0
        for size_out, size_in, rank in shapes:
            u, _ = torch.linalg.qr(torch.randn(size_out, rank, generator=rng, dtype=torch.float64))
            v, _ = torch.linalg.qr(torch.randn(size_in, rank, generator=rng, dtype=torch.float64))
            update = (u * (1 + 2 * torch.rand(rank, generator=rng, dtype=torch.float64))) @ v.T
            if any(other[2] for other in shapes):
                update = update + 0.005 * torch.randn(size_out, size_in, generator=rng, dtype=torch.float64)
            updates.append(update.to(dtype))
            budget += rank * (size_out + size_in)
        before = [update.clone() for update in updates]
        pairs = squeeze(updates, budget)
        assert all(map(torch.equal, updates, before)), "the updates must stay as they are, and one was changed"
        what = f"with the shapes and ranks {shapes}"
        assert len(pairs) == len(updates), f"{what}, expected {len(updates)} pairs (A, B), got {len(pairs)}"
        numbers, missed = 0, 0.0
        for update, (a, b) in zip(before, pairs, strict=True):
            a, b = torch.as_tensor(a), torch.as_tensor(b)
            rank = a.shape[0]
            sizes = (tuple(a.shape), tuple(b.shape))
            assert sizes == ((rank, update.shape[1]), (update.shape[0], rank)), f"A and B have the shapes {sizes}"
            numbers += a.numel() + b.numel()
            missed += float((update - b @ a).square().sum())
        assert numbers <= budget, f"{what}, the adapters hold {numbers} numbers, and the budget is {budget}"
        size = sum(float(update.square().sum()) for update in before)
        assert missed <= 0.05 * size, f"{what}, the adapters miss {missed / size:.1%} of the updates; the goal is 5 %"


squeeze.mistake(
    "counted-one-factor",
    "You counted the numbers of B only; an adapter of rank r holds r · (out + in) numbers, because A counts too.",
    replace="sum(update.shape) for",
    by="update.shape[0] for",
)

squeeze.mistake(
    "singular-values-twice",
    "You multiplied both factors by the singular values, so B A has their squares.",
    replace="(vh[:r], u[:, :r] * s[:r])",
    by="(s[:r, None] * vh[:r], u[:, :r] * s[:r])",
)

squeeze.mistake(
    "smallest-first",
    "You began with the directions that carry least.",
    replace="sorted(directions, reverse=True)",
    by="sorted(directions)",
)


@squeeze.misconception(
    "You gave every update the same rank; some updates need more directions than others, and some need none.",
    name="same-rank",
)
def _(updates, budget):
    rank = budget // sum(sum(update.shape) for update in updates)
    parts = [torch.linalg.svd(update, full_matrices=False) for update in updates]
    return [(vh[:rank], u[:, :rank] * s[:rank]) for u, s, vh in parts]


@squeeze.misconception(
    "You served the updates in the order of the list, so the first ones spent the budget.", name="first-come"
)
def _(updates, budget):
    pairs = []
    for update in updates:
        u, s, vh = torch.linalg.svd(update, full_matrices=False)
        rank = min(len(s), budget // sum(update.shape))
        budget -= rank * sum(update.shape)
        pairs.append((vh[:rank], u[:, :rank] * s[:rank]))
    return pairs


@squeeze.misconception(
    "You kept 95 % of each update by itself; an update that is small everywhere then costs as much as a large one.",
    name="share-of-each",
)
def _(updates, budget):
    pairs = []
    for update in updates:
        u, s, vh = torch.linalg.svd(update, full_matrices=False)
        kept = s.square().cumsum(0) / s.square().sum().clamp(min=1e-30)
        rank = int((kept < 0.95).sum()) + 1
        pairs.append((vh[:rank], u[:, :rank] * s[:rank]))
    return pairs


@squeeze.also_correct
def _(updates, budget):
    parts = [torch.linalg.svd(update, full_matrices=False) for update in updates]
    ranks = [len(s) for _, s, _ in parts]

    def worth(i):
        return float(parts[i][1][ranks[i] - 1]) ** 2 / sum(updates[i].shape)

    while sum(r * sum(update.shape) for r, update in zip(ranks, updates, strict=True)) > budget:
        ranks[min((i for i, r in enumerate(ranks) if r), key=worth)] -= 1
    return [(s[:r, None] * vh[:r], u[:, :r]) for r, (u, s, vh) in zip(ranks, parts, strict=True)]


@squeeze.also_correct
def _(updates, budget):
    parts = [torch.linalg.svd(update, full_matrices=False) for update in updates]
    low, high = 0.0, max(float(s.max()) for _, s, _ in parts) + 1
    for _ in range(60):
        limit = (low + high) / 2
        ranks = [int((s > limit).sum()) for _, s, _ in parts]
        fits = sum(r * sum(update.shape) for r, update in zip(ranks, updates, strict=True)) <= budget
        low, high = (low, limit) if fits else (limit, high)
    ranks = [int((s > high).sum()) for _, s, _ in parts]
    return [(vh[:r], u[:, :r] * s[:r]) for r, (u, s, vh) in zip(ranks, parts, strict=True)]
