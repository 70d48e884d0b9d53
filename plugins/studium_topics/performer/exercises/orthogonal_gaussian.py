import math

import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=15,
    importance=2,
    hints=(
        "How many vectors of d numbers can be orthogonal to each other, and what do you do if you need more?",
        "Orthogonalise a square normal matrix by QR, then give its directions the lengths that normal vectors would "
        "have. Look at the corner of Q over several draws: is its sign random?",
        "Each block is (d, d) and its lengths are (d,), one for each row; in the end, cut all blocks together to (m, "
        "d).",
        "`torch.linalg.qr` chooses the signs of R's diagonal itself, so multiply the columns of Q by "
        "`r.diagonal().sign()`. For each length, take the length of d fresh standard normal numbers.",
    ),
)
def orthogonal_gaussian(m, d, generator):
    """Return m random vectors, each of which by itself looks like d independent standard normal numbers.

    Rows 0 to d - 1 are orthogonal to each other, so are rows d to 2d - 1, and so on; the
    last block may be smaller. The blocks are independent of each other. Each row's direction is
    uniform, so the mean of every entry is 0.
    The lengths are independent of the directions and of each other, and are distributed like
    the length of d independent standard normal numbers.

    * m, d: ints of 1 or more
    * generator: a `torch.Generator`; draw everything random from it
    * returns: (m, d), float32
    """
    ### BEGIN SOLUTION
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        directions = (q * r.diagonal().sign()).mT
        lengths = torch.randn(d, d, generator=generator).norm(dim=1)
        blocks.append(directions * lengths[:, None])
    return torch.cat(blocks)[:m]
    ### END SOLUTION


orthogonal_gaussian.equivalent(
    "lengths = torch.randn(d, d, generator=generator).norm(dim=0)", "rows and columns are normal alike"
)

orthogonal_gaussian.equivalent("for _ in range(math.ceil(m)):", "the blocks that are too many are cut off")


orthogonal_gaussian.equivalent("for _ in range(math.ceil(m * d)):", "the blocks that are too many are cut off")


orthogonal_gaussian.equivalent(
    "directions = (q * r.diagonal().sign())", "the transpose of a uniform orthogonal matrix is one, too"
)

orthogonal_gaussian.equivalent("directions = (q / r.diagonal().sign()).mT", "a sign is its own inverse")


@orthogonal_gaussian.test("makes blocks of orthogonal rows, with lengths that differ", points=2)
def _(orthogonal_gaussian, rng):
    for m, d in ((5, 3), (8, 4), (3, 7), (9, 2)):
        w = orthogonal_gaussian(m, d, rng)
        assert w.shape == (m, d), f"m = {m} and d = {d} need shape {(m, d)}, got {tuple(w.shape)}"
        for start in range(0, m, d):
            block = w[start : start + d]
            products = block @ block.T
            off = products - torch.diag(products.diagonal())
            assert_close(off, torch.zeros_like(off), rtol=0, atol=1e-4, message=f"products of rows {start} and on")
    lengths = torch.stack([orthogonal_gaussian(6, 3, rng) for _ in range(20)]).norm(dim=-1)
    assert lengths.std() > 0.3, f"lengths of normal vectors differ from row to row; yours have std {lengths.std():.3f}"


@orthogonal_gaussian.hidden("has the lengths of normal vectors, independent of each other", points=1)
def _(orthogonal_gaussian, rng):
    squares = orthogonal_gaussian(2000, 2, rng).square()  # 1000 blocks
    share = squares[:, 0] / squares.sum(1)
    together = torch.corrcoef(torch.stack([squares.sum(1).sqrt(), share]))[0, 1].abs()
    assert together < 0.2, (
        "lengths are independent of directions; between yours and the share of the first entry in |w|² there is a "
        f"correlation of {together:.2f}"
    )
    m, d = 5, 4
    squares = torch.stack([orthogonal_gaussian(m, d, rng) for _ in range(150)]).square().sum(-1)  # (150, m)
    mean, spread = squares.mean(), squares.var()
    assert abs(mean - d) < 0.5, f"the mean of |w|² is d = {d} for normal vectors; yours is {mean:.2f}"
    assert abs(spread / (2 * d) - 1) < 0.45, (
        f"the variance of |w|² is 2d = {2 * d} for normal vectors; yours is {spread:.2f}"
    )
    largest = (torch.corrcoef(squares.T) - torch.eye(m)).abs().max()
    assert largest < 0.45, f"lengths of two rows are independent; yours have a correlation of {largest:.2f}"


@orthogonal_gaussian.hidden("has directions that are uniform, and orthogonal", points=1)
def _(orthogonal_gaussian, rng):
    for m, d in ((3, 3), (2, 5)):
        w = torch.stack([orthogonal_gaussian(m, d, rng) for _ in range(130)])  # (130, m, d)
        mean = w.mean(0).abs().max()
        assert mean < 0.5, (
            f"m = {m}, d = {d}: the mean of every entry is 0, and one of yours has mean {mean:.2f}, so that the "
            "estimate is biased; look at the signs"
        )
        worst = (w.square().mean(0) - 1).abs().max()
        assert worst < 0.75, f"m = {m}, d = {d}: the variance of every entry is 1, and one is off by {worst:.2f}"
        products = (w[:, 0] * w[:, 1]).sum(-1)
        assert_close(products, torch.zeros(130), rtol=0, atol=1e-4, message="products of rows 0 and 1, 130 draws")


@orthogonal_gaussian.hidden("draws from the generator alone, and new blocks each time", points=1)
def _(orthogonal_gaussian):
    one, other = (orthogonal_gaussian(7, 3, torch.Generator().manual_seed(seed)) for seed in (5, 5))
    assert_close(one, other, rtol=0, atol=0, message="two calls with generators of the same seed")
    assert one.dtype == torch.float32, f"float32 is needed, got {one.dtype}"
    generator = torch.Generator().manual_seed(5)
    w = torch.stack([orthogonal_gaussian(6, 3, generator) for _ in range(3)])
    assert not torch.allclose(w[0], w[1]), "a second call with the same generator gives other vectors"
    first, second = (block / block.norm(dim=-1, keepdim=True) for block in (w[:, :3], w[:, 3:]))
    assert not torch.allclose(first.abs(), second.abs(), atol=1e-4), "each block has directions of its own"


@orthogonal_gaussian.misconception(
    "You returned rows of length 1. A normal vector of d numbers has a length of about √d, and the estimate needs it: "
    "otherwise exp(w · x) would hardly vary.",
    name="unit-lengths",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        blocks.append((q * r.diagonal().sign()).mT)
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.misconception(
    "You gave all rows the length √d. The mean of |w|² is then right, but the lengths of normal vectors vary, and "
    "without that the mean of the estimate is not exp(q · k).",
    name="fixed-lengths",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        blocks.append((q * r.diagonal().sign()).mT * math.sqrt(d))
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.misconception(
    "You used Q as QR returns it. Its signs are not random (the corner of Q always has the same sign), so its "
    "directions are not uniform and the estimate is biased. Correct them with the signs of R's diagonal.",
    name="signs-of-qr",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, _r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        lengths = torch.randn(d, d, generator=generator).norm(dim=1)
        blocks.append(q.mT * lengths[:, None])
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.misconception(
    "You returned independent normal vectors, and no two of them are orthogonal; make d rows at a time orthogonal.",
    name="independent-rows",
)
def _(m, d, generator):
    return torch.randn(m, d, generator=generator)


@orthogonal_gaussian.misconception(
    "You orthogonalised the columns of one m by d matrix; make the *rows* orthogonal instead, d at a time.",
    name="orthogonal-columns",
)
def _(m, d, generator):
    q, r = torch.linalg.qr(torch.randn(max(m, d), d, generator=generator))
    lengths = torch.randn(max(m, d), d, generator=generator).norm(dim=1)
    return (q * r.diagonal().sign() * lengths[:, None])[:m]


@orthogonal_gaussian.misconception(
    "You scaled the columns of a block instead of its rows, so its rows are no longer orthogonal.",
    name="scaled-columns",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        blocks.append((q * r.diagonal().sign()).mT * torch.randn(d, d, generator=generator).norm(dim=1))
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.misconception(
    "You took the lengths of the rows that you orthogonalised, which depend on the directions; draw fresh lengths.",
    name="lengths-of-the-same-rows",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        drawn = torch.randn(d, d, generator=generator)
        q, r = torch.linalg.qr(drawn)
        blocks.append((q * r.diagonal().sign()).mT * drawn.norm(dim=1, keepdim=True))
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.also_correct
def _(m, d, generator):
    rows = []
    while len(rows) < m:
        block = []
        for _ in range(d):
            row = torch.randn(d, generator=generator, dtype=torch.float64)
            for _ in range(2):  # once more, against rounding
                for other in block:
                    row = row - (row @ other) * other
            block.append(row / row.norm())
        rows += [row * torch.randn(d, generator=generator).norm() for row in block]
    return torch.stack(rows[:m]).float()


@orthogonal_gaussian.also_correct
def _(m, d, generator):
    w = torch.empty(0, d)
    while len(w) < m:
        block = torch.nn.init.orthogonal_(torch.empty(d, d), generator=generator)
        size = torch.randn(d, d, generator=generator).square().sum(1).sqrt()
        w = torch.cat([w, torch.diag(size) @ block])
    return w[:m]
