import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    importance=1,
    kind="find the bug",
    shows="summed-the-factors",
    hints=(
        "Multiply out the wrong code's B A by hand for two adapters. Which products appear that should not be there?",
        "Several updates side by side are one update with more rows in A and more columns in B.",
        "A is (r₁ + r₂ + …, in) and B is (out, r₁ + r₂ + …). Each weight and each scale may enter only one factor.",
        "`torch.cat([...])` stacks the A by rows, `torch.cat([...], dim=1)` the B by columns.",
    ),
)
def combine(adapters, weights):
    """Find the bug: the code below should combine several adapters of one layer into one.

    The product B A of the result must be the weighted sum of the updates, each at its own
    scale. The arguments stay as they are.

    * adapters: a list of (A, B, alpha), A (rᵢ, in) and B (out, rᵢ)
    * weights: one number for each adapter; a number may be negative
    * returns: A (R, in) and B (out, R), R at most the sum of the ranks
    """
    ### BEGIN SOLUTION
    a = torch.cat([a for a, _, _ in adapters])
    scaled = []
    for weight, (factor, b, alpha) in zip(weights, adapters, strict=True):
        scaled.append(weight * alpha / len(factor) * b)
    return a, torch.cat(scaled, dim=1)
    ### END SOLUTION


@combine.test("adds the updates of two adapters of equal rank", points=1)
def _(combine, rng):
    adapters = [(torch.randn(2, 6, generator=rng), torch.randn(5, 2, generator=rng), alpha) for alpha in (5.0, 3.0)]
    a, b = combine(adapters, [0.7, 0.4])
    (a1, b1, _), (a2, b2, _) = adapters
    expected = 0.7 * 2.5 * b1 @ a1 + 0.4 * 1.5 * b2 @ a2
    assert_close(b @ a, expected, rtol=1e-4, atol=1e-4, message="B A for alpha = 5 and 3, weights 0.7 and 0.4")


@combine.hidden("weighs adapters of any ranks, subtracts with negative weights, and changes no argument", points=2)
def _(combine, rng):
    cases = (
        (4, 7, ((2, 5.0, -0.6), (3, 4.0, 1.3))),
        (6, 5, ((1, 3.0, 0.5), (4, 8.0, 0.25), (2, 1.0, -2.0))),
        (5, 3, ((3, 7.0, 0.8),)),
    )
    for size_in, size_out, members in cases:
        adapters = [
            (torch.randn(rank, size_in, generator=rng), torch.randn(size_out, rank, generator=rng), alpha)
            for rank, alpha, _ in members
        ]
        weights = [weight for _, _, weight in members]
        before = [(a.clone(), b.clone(), alpha) for a, b, alpha in adapters]
        handed = list(weights)
        a, b = combine(list(adapters), handed)
        assert handed == weights, f"the arguments must stay as they are, and weights became {handed}"
        for number, (given, kept) in enumerate(zip(adapters, before, strict=True)):
            same = torch.equal(given[0], kept[0]) and torch.equal(given[1], kept[1])
            assert same, f"the arguments must stay as they are, and adapter {number} was changed"
        most = sum(rank for rank, _, _ in members)
        assert a.shape[0] <= most, f"R must be at most the sum of the ranks, {most}, and A has {a.shape[0]} rows"
        expected = sum(
            weight * alpha / len(a) * b.double() @ a.double()
            for weight, (a, b, alpha) in zip(weights, before, strict=True)
        )
        what = "B A for " + ", ".join(f"rank {rank}, alpha {alpha:g}, weight {w:g}" for rank, alpha, w in members)
        assert_close(b @ a, expected, rtol=1e-4, atol=1e-4, message=what)


@combine.misconception(
    "You summed the A and the B: the product of two sums has cross terms, one adapter's B times another's A.",
    name="summed-the-factors",
)
def _(adapters, weights):
    a = sum(w * a for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    b = sum(w * b for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    return a, b


@combine.misconception(
    "You summed the A and the B, each at its scale: the product of two sums still has cross terms, one adapter's B "
    "times another's A.",
    name="summed-the-scaled-factors",
)
def _(adapters, weights):
    a = sum(a for a, b, alpha in adapters)
    b = sum(w * alpha / len(a) * b for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    return a, b


@combine.misconception(
    "You left out the scales: each update is alpha / r times its B A, with its own alpha and r.",
    name="left-out-the-scales",
)
def _(adapters, weights):
    a = torch.cat([a for a, _, _ in adapters])
    return a, torch.cat([w * b for w, (_, b, _) in zip(weights, adapters, strict=True)], dim=1)


@combine.misconception(
    "You scaled by alpha; scale by alpha / r, where r is the adapter's own rank.", name="scaled-by-alpha"
)
def _(adapters, weights):
    a = torch.cat([a for a, _, _ in adapters])
    return a, torch.cat([w * alpha * b for w, (_, b, alpha) in zip(weights, adapters, strict=True)], dim=1)


@combine.misconception(
    "You divided by the joint rank; divide each alpha by the rank its own adapter was trained with.",
    name="divided-by-the-joint-rank",
)
def _(adapters, weights):
    a = torch.cat([a for a, _, _ in adapters])
    b = [w * alpha / len(a) * b for w, (_, b, alpha) in zip(weights, adapters, strict=True)]
    return a, torch.cat(b, dim=1)


@combine.misconception(
    "You put each weight into both A and B, so the update is multiplied by its square; put it into one of them.",
    name="weights-in-both-factors",
)
def _(adapters, weights):
    a = torch.cat([w * a for w, (a, _, _) in zip(weights, adapters, strict=True)])
    b = [w * alpha / len(a) * b for w, (a, b, alpha) in zip(weights, adapters, strict=True)]
    return a, torch.cat(b, dim=1)


@combine.misconception(
    "You took the square root of each weight; a negative weight then gives nan. Put the whole weight into one factor.",
    name="root-of-the-weights",
)
def _(adapters, weights):
    roots = [torch.tensor(float(w)).sqrt() for w in weights]
    a = torch.cat([root * a for root, (a, _, _) in zip(roots, adapters, strict=True)])
    b = [root * alpha / len(a) * b for root, (a, b, alpha) in zip(roots, adapters, strict=True)]
    return a, torch.cat(b, dim=1)


@combine.also_correct
def _(adapters, weights):
    a = torch.cat([w * a for w, (a, _, _) in zip(weights, adapters, strict=True)])
    b = torch.cat([alpha / b.shape[1] * b for _, b, alpha in adapters], dim=1)
    return a, b


@combine.also_correct
def _(adapters, weights):
    update = sum(w * alpha / a.shape[0] * (b @ a) for w, (a, b, alpha) in zip(weights, adapters, strict=True))
    rank = min(sum(len(a) for a, _, _ in adapters), *update.shape)
    u, s, vh = torch.linalg.svd(update, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank]


combine.equivalent(
    "for weight, (factor, b, alpha) in zip(weights, adapters, strict=False):",
    "there is one weight for each adapter",
)
