import torch
from studium import exercise

from studium_topics.flash_attention.exercises.merge_partials import merge_partials


@exercise(
    points=3,
    report=1,
    minutes=15,
    kind="open",
    importance=2,
    hints=(
        "Which tiles can have a large score, and how can you tell without loading them?",
        "Coordinate c of a key is between low[c] and high[c]. What is the largest that q[c] times this coordinate can "
        "be, if q[c] is positive, and what if it is negative?",
        "Add up these largest products for each tile, and load the tiles with the largest sums. Then compute one "
        "softmax over all the keys that you loaded, or merge the results of the tiles.",
    ),
    mutates_args=(),
)
def worthwhile_tiles(q, low, high, load, budget):
    """Return the attention of one query over many tiles of keys, of which you may load only a few.

    * q (d,): the query, float32 or float64
    * low, high (tiles, d): the smallest and the largest value of each coordinate among the keys of a tile
    * load(tile): loads tile number 0 to tiles - 1, and returns the scores s (C,) and the values v (C, dv) of its keys,
      where s = q kᵀ / √d
    * budget: how many times you may call `load`
    * returns: o (dv,)

    The goal: o is at most 1 % away from exact attention over all tiles, measured as the norm of the difference divided
    by the norm of the exact result. In our tests, you may load a quarter of the tiles, and fewer than these contain
    keys with large scores, which can be above 100.
    """
    ### BEGIN SOLUTION
    limit = torch.maximum(q * low, q * high).sum(-1)  # no key of the tile has a larger q · k
    results = []
    for tile in limit.argsort(descending=True)[:budget].tolist():
        s, v = load(tile)
        results.append((s.softmax(0) @ v, s.logsumexp(0)))
    o, lse = (torch.stack(parts)[:, None] for parts in zip(*results, strict=True))
    return merge_partials(o, lse)[0][0]
    ### END SOLUTION


@worthwhile_tiles.test("is at most 1 % off when it may load 5 of 20 tiles", points=1)
def _(worthwhile_tiles, rng):
    q = 2.0 * torch.randn(16, generator=rng, dtype=torch.float64)
    q = q + 0.5 * q.sign()
    k = 0.5 * torch.randn(20, 8, 16, generator=rng, dtype=torch.float64)
    v = 1.0 + torch.randn(20, 8, 6, generator=rng, dtype=torch.float64)
    order = 5 + torch.randperm(15, generator=rng)
    for tile, score in zip(order[:9].tolist(), (30, 31, 32, 31, -60, -60, -60, -60, -60), strict=True):
        k[tile, int(torch.randint(8, (1,), generator=rng))] = score * 4 * q / q.square().sum()
    scores, loaded = k @ q / 4, []

    def load(tile):
        loaded.append(int(tile))
        return scores[int(tile)].clone(), v[int(tile)].clone()

    o = torch.as_tensor(worthwhile_tiles(q.clone(), k.amin(1), k.amax(1), load, 5)).detach().double()
    assert len(loaded) <= 5, f"{len(loaded)} tiles were loaded, and the budget is 5"
    assert tuple(o.shape) == (6,), f"o must be (6,), got {tuple(o.shape)}"
    exact = scores.flatten().softmax(0) @ v.flatten(0, 1)
    error = float((o - exact).norm() / exact.norm())
    assert error <= 0.01, f"the result is {error:.1%} away from attention over all tiles; the goal is 1 %"


@worthwhile_tiles.hidden("is so for other sizes, in float32, and for large scores", points=2, mutates_args=())
def _(worthwhile_tiles, rng):
    cases = ((28, 6, 24, 30.0, torch.float64), (16, 10, 16, 120.0, torch.float32), (40, 5, 32, 25.0, torch.float64))
    for tiles, size, d, score, dtype in cases:
        budget = tiles // 4
        q = 2.0 * torch.randn(d, generator=rng, dtype=torch.float64)
        q = q + 0.5 * q.sign()
        k = 0.5 * torch.randn(tiles, size, d, generator=rng, dtype=torch.float64)
        v = 1.0 + torch.randn(tiles, size, 3, generator=rng, dtype=torch.float64)
        order = budget + torch.randperm(tiles - budget, generator=rng)
        for number, tile in enumerate(order[: 2 * budget - 1].tolist()):
            wanted = score + number % 3 if number < budget - 1 else -2 * score
            k[tile, int(torch.randint(size, (1,), generator=rng))] = wanted * d**0.5 * q / q.square().sum()
        q, k, v = (x.to(dtype) for x in (q, k, v))
        scores, loaded = k @ q / d**0.5, []

        def load(tile, scores=scores, v=v, loaded=loaded):
            loaded.append(int(tile))
            return scores[int(tile)].clone(), v[int(tile)].clone()

        o = torch.as_tensor(worthwhile_tiles(q.clone(), k.amin(1), k.amax(1), load, budget)).detach().double()
        what = f"with {tiles} tiles of {size} keys and d = {d}"
        assert len(loaded) <= budget, f"{what}, {len(loaded)} tiles were loaded, and the budget is {budget}"
        assert tuple(o.shape) == (3,), f"{what}, o must be (3,), got {tuple(o.shape)}"
        exact = scores.double().flatten().softmax(0) @ v.double().flatten(0, 1)
        error = float((o - exact).norm() / exact.norm())
        assert error <= 0.01, f"{what}, the result is {error:.1%} away from attention over all tiles; the goal is 1 %"


worthwhile_tiles.mistake(
    "smallest-limits-first",
    "You loaded the tiles with the smallest limits; their keys get the least attention.",
    replace="descending=True",
    by="descending=False",
)

worthwhile_tiles.mistake(
    "largest-size",
    "You looked for large products of either sign; a key with a large negative score gets no attention.",
    replace="torch.maximum(q * low, q * high)",
    by="torch.maximum((q * low).abs(), (q * high).abs())",
)


@worthwhile_tiles.misconception(
    "You loaded the first tiles; the keys with large scores can be anywhere.", name="first-tiles"
)
def _(q, low, high, load, budget):
    loaded = [load(tile) for tile in range(budget)]
    s, v = (torch.cat(parts) for parts in zip(*loaded, strict=True))
    return s.softmax(0) @ v


@worthwhile_tiles.misconception(
    "You gave each tile the same weight; a tile's share is its sum of exponentials, so merge the results with lse.",
    name="mean-of-tiles",
)
def _(q, low, high, load, budget):
    limit = torch.maximum(q * low, q * high).sum(-1)
    loaded = [load(tile) for tile in limit.argsort(descending=True)[:budget].tolist()]
    return torch.stack([s.softmax(0) @ v for s, v in loaded]).mean(0)


@worthwhile_tiles.misconception(
    "You took exponentials of the scores themselves, which overflow when scores are large; subtract the maximum first.",
    name="without-the-maximum",
)
def _(q, low, high, load, budget):
    limit = torch.maximum(q * low, q * high).sum(-1)
    total = weight = 0.0
    for tile in limit.argsort(descending=True)[:budget].tolist():
        s, v = load(tile)
        total, weight = total + s.exp() @ v, weight + s.exp().sum()
    return total / weight


@worthwhile_tiles.also_correct
def _(q, low, high, load, budget):
    middle = (low + high) @ q / 2
    loaded = [load(tile) for tile in middle.topk(budget).indices.tolist()]
    s, v = (torch.cat(parts) for parts in zip(*loaded, strict=True))
    return s.softmax(0) @ v


@worthwhile_tiles.also_correct
def _(q, low, high, load, budget):
    limits = (torch.where(q > 0, high, low) @ q).tolist()
    total = highest = None
    for _ in range(budget):
        tile = max(range(len(limits)), key=limits.__getitem__)
        limits[tile] = -float("inf")
        s, v = load(tile)
        top = s.max() if highest is None else torch.maximum(highest, s.max())
        p = torch.exp(s - top)
        new = torch.cat([p @ v, p.sum()[None]])
        total = new if total is None else total * torch.exp(highest - top) + new
        highest = top
    return total[:-1] / total[-1]
