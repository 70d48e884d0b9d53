import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=18,
    importance=3,
    hints=(
        "Both systems answered the same items. When you draw an item for one system, what should you draw for the "
        "other?",
        "Draw as many items as there are, with replacement, and compute both scores on the drawn items. Then repeat.",
        "One draw gives N row numbers for both a and b; each score comes from K sums. You end up with `draws` leads.",
        "`torch.randint(n, (n,), generator=generator)` draws rows; finish with `torch.quantile` at 0.025 and 0.975.",
    ),
)
def paired_interval(a, b, score, draws, generator):
    """Return how far b leads a, and the 95 % interval of that lead from a paired bootstrap.

    * a, b: (N, K) tensors, K counts for each of N items, one tensor for each of two systems;
      row i of both belongs to item i; they stay as they are
    * score: a function of a list of K numbers, the sums of the columns over some items; it
      returns the score of those items
    * draws: how many times to draw N items again
    * generator: a torch.Generator, the only source of random numbers
    * returns: three numbers: the score of b minus the score of a, then the 2.5 % and the
      97.5 % quantile of this difference over the draws
    """
    ### BEGIN SOLUTION
    leads = []
    for _ in range(draws):
        rows = torch.randint(len(a), (len(a),), generator=generator)
        leads.append(score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), float(high)
    ### END SOLUTION


@paired_interval.test("finds the lead and a narrow interval where both systems fail at the same items", points=1)
def _(paired_interval, rng):
    size = torch.randint(5, 30, (80,), generator=rng).double()
    a = torch.stack([size * torch.rand(80, generator=rng, dtype=torch.float64), size], 1)
    b = a.clone()
    b[:, 0] += size * (0.02 + 0.03 * torch.randn(80, generator=rng, dtype=torch.float64))

    def ratio(sums):
        return sums[0] / sums[1]

    lead, low, high = (float(x) for x in paired_interval(a, b, ratio, 800, rng))
    assert_close(lead, float(b[:, 0].sum() / size.sum() - a[:, 0].sum() / size.sum()), rtol=1e-6, message="the lead")
    picked = torch.multinomial(torch.ones(4000, 80), 80, replacement=True, generator=rng)
    weights = torch.zeros(4000, 80, dtype=torch.float64).scatter_add_(1, picked, torch.ones(4000, 80).double())
    leads = (weights @ (b - a)[:, 0]) / (weights @ size)
    spread = float(leads.std())
    for name, found, share in (("low", low, 0.025), ("high", high, 0.975)):
        assert_close(found, float(leads.quantile(share)), rtol=0.0, atol=0.45 * spread, message=f"the {name} end")


@paired_interval.hidden("draws items, scores the sums, and takes the outer 5 % off", points=2)
def _(paired_interval, rng):
    def ratio(sums):
        return sums[0] / sums[1]

    def mixed(sums):
        return 10 * (sums[0] / sums[2]) ** 0.5 * (sums[1] / sums[2]) ** 0.5

    offsets = []
    for items, columns, score, noise in ((60, 2, ratio, 0.1), (75, 3, mixed, 0.05), (45, 3, mixed, 0.2)):
        size = torch.randint(2, 40, (items, 1), generator=rng).double()
        shares = torch.rand(items, columns - 1, generator=rng, dtype=torch.float64)
        other = (shares + noise * torch.rand(items, columns - 1, generator=rng, dtype=torch.float64)).clamp(max=1)
        a, b = (torch.cat([size * part, size], 1) for part in (shares, other))
        kept = a.clone(), b.clone()
        lead, low, high = (float(x) for x in paired_interval(a, b, score, 1500, rng))
        assert torch.equal(a, kept[0]), "a must stay as it is"
        assert torch.equal(b, kept[1]), "b must stay as it is"
        what = f"with {items} items and {columns} columns"
        expected = score(kept[1].sum(0).tolist()) - score(kept[0].sum(0).tolist())
        assert_close(lead, expected, rtol=1e-6, message=f"the lead {what}")
        picked = torch.multinomial(torch.ones(8000, items), items, replacement=True, generator=rng)
        weights = torch.zeros(8000, items, dtype=torch.float64).scatter_add_(
            1, picked, torch.ones(picked.shape).double()
        )
        leads = score((weights @ kept[1]).unbind(1)) - score((weights @ kept[0]).unbind(1))
        spread = float(leads.std())
        for name, found, share in (("low", low, 0.025), ("high", high, 0.975)):
            where = f"the {name} end of the interval {what}"
            assert_close(found, float(leads.quantile(share)), rtol=0.0, atol=0.45 * spread, message=where)
            offsets.append((found - float(leads.quantile(share))) / spread)

    count, draws, scored = 12, 150, []

    def recorded(sums):
        """Score lists of 12 numbers or of 12 rows of numbers."""
        rows = torch.stack([torch.as_tensor(one).double() for one in sums], -1)
        scored.extend(rows.reshape(-1, rows.shape[-1]).tolist())
        return sum((at + 1) * one for at, one in enumerate(sums)) ** 3

    one = torch.eye(count, dtype=torch.float64)  # its sums are how often each item was drawn
    lead, low, high = (float(x) for x in paired_interval(one, 3 * one, recorded, draws, rng))
    assert_close(lead, 26.0 * 78**3, rtol=1e-6, message="the lead, where b has three times the sums of a")
    times = [[round(one) for one in sums] for sums in scored if abs(sum(sums) - count) < 1e-6]
    thrice = [[round(one / 3) for one in sums] for sums in scored if abs(sum(sums) - 3 * count) < 1e-6]
    what = f"with 12 items and {draws} draws"
    some = [round(one, 3) for one in next((sums for sums in scored if sum(sums) not in (12, 36)), [])]
    assert len(times) + len(thrice) == len(scored), f"each score is of the sums over 12 drawn items, got sums {some}"
    assert sorted(times) == sorted(thrice), f"each draw must take the same items from a and b, {what}"
    drawn = [sums for sums in times if sums != [1] * count]
    assert draws - 3 <= len(drawn) <= draws, f"{draws} draws make as many different scores of a, got {len(drawn)}"
    often = [sum(sums[at] for sums in drawn) for at in range(count)]
    assert min(often) > 0.6 * draws, f"each item is as likely as any other, and they were drawn {often} times {what}"
    squares = sum(x * x for sums in drawn for x in sums) / draws  # 2 · 12 - 1 on average, with replacement
    assert abs(squares - 23) < 3, f"draw the 12 items independently, with replacement; draws like {drawn[:3]} are not"
    leads = sorted(26.0 * sum((at + 1) * x for at, x in enumerate(sums)) ** 3 for sums in drawn)
    for name, found, share in (("low", low, 0.025), ("high", high, 0.975)):
        at = int(share * (len(leads) - 1))
        inside = leads[at - 1] * (1 - 1e-6) <= found <= leads[at + 2] * (1 + 1e-6)
        where = f"the {name} end must be the {share:.1%} quantile of the leads of your draws"
        assert inside, f"{where}, about {leads[at]:.0f} of {leads[0]:.0f} to {leads[-1]:.0f}, got {found:.0f}"
    for name, each in (("low", offsets[::2]), ("high", offsets[1::2])):
        mean = sum(each) / len(each)
        assert abs(mean) < 0.2, f"on average, the {name} end is {mean:+.2f} standard errors from where it should be"


@paired_interval.hidden("gives no width to two equal systems, and a width to any others", points=1)
def _(paired_interval, rng):
    a = torch.stack([torch.rand(30, generator=rng, dtype=torch.float64), torch.ones(30, dtype=torch.float64)], 1)
    found = [float(x) for x in paired_interval(a, a.clone(), lambda sums: 100 * sums[0] / sums[1], 100, rng)]
    assert_close(found, [0.0, 0.0, 0.0], atol=1e-6, message="a system against itself")
    b = a.clone()
    b[:7, 0] += 0.5
    lead, low, high = (float(x) for x in paired_interval(a, b, lambda sums: sums[0], 400, rng))
    assert_close(lead, 3.5, atol=1e-6, message="where the score is the first sum, 7 of 30 items with 0.5 more")
    assert low < lead < high, f"the interval [{low:.3f}, {high:.3f}] must contain the lead {lead:.3f}"


@paired_interval.hidden("takes its random numbers from the generator, and as many draws as asked for", points=1)
def _(paired_interval, rng):
    a = torch.stack([torch.rand(25, generator=rng, dtype=torch.float64), torch.ones(25, dtype=torch.float64)], 1)
    b = torch.stack([torch.rand(25, generator=rng, dtype=torch.float64), torch.ones(25, dtype=torch.float64)], 1)

    def run(generator, draws=50):
        return [float(x) for x in paired_interval(a, b, lambda sums: sums[0] / sums[1], draws, generator)]

    generator = torch.Generator().manual_seed(5)
    first, second = run(generator), run(generator)
    torch.randn(3)  # an answer that draws from torch's global generator now gives other ends
    assert_close(run(torch.Generator().manual_seed(5)), first, message="the same seed must give the same interval")
    assert first[1:] != second[1:], "a second call with the same generator must draw anew"
    once = run(torch.Generator().manual_seed(6), 1)
    assert_close(once[1], once[2], atol=1e-9, message="with one draw, both ends are the lead of that draw")


@paired_interval.misconception(
    "You drew different items for a and b, so the difficulty of the items does not cancel and the interval is far too "
    "wide; use the same rows for both.",
    name="unpaired",
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows, others = (torch.randint(len(a), (len(a),), generator=generator) for _ in range(2))
        leads.append(score(b[others].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), float(high)


@paired_interval.misconception(
    "You scored each item and averaged; compute the score of a corpus from the sums.", name="mean-of-scores"
)
def _(a, b, score, draws, generator):
    each = [score(y.tolist()) - score(x.tolist()) for x, y in zip(a, b, strict=True)]
    each = torch.tensor(each, dtype=torch.float64)
    picked = torch.randint(len(a), (draws, len(a)), generator=generator)
    low, high = each[picked].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(each.mean()), float(low), float(high)


paired_interval.mistake(
    "without-replacement",
    "You drew without replacement, so every draw holds the same items and the interval has no width; draw with "
    "replacement.",
    replace="torch.randint(len(a), (len(a),), generator=generator)",
    by="torch.randperm(len(a), generator=generator)",
)

paired_interval.mistake(
    "draws-as-size",
    "You drew `draws` items each time. The interval depends on the size of the benchmark, so draw as many items as "
    "there are.",
    replace="(len(a),)",
    by="(draws,)",
)

paired_interval.mistake(
    "lead-of-a",
    "You subtracted b from a; subtract a from b, because the lead is positive where b is better.",
    edits=[
        (
            "score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist())",
            "score(a[rows].sum(0).tolist()) - score(b[rows].sum(0).tolist())",
        ),
        ("score(b.sum(0).tolist()) - score(a.sum(0).tolist())", "score(a.sum(0).tolist()) - score(b.sum(0).tolist())"),
    ],
)


paired_interval.mistake(
    "means-of-the-columns",
    "You gave `score` the means of the columns; give it their sums, because a score need not be a ratio.",
    edits=[
        ("b[rows].sum(0)", "b[rows].mean(0)"),
        ("a[rows].sum(0)", "a[rows].mean(0)"),
        ("score(b.sum(0).tolist())", "score(b.mean(0).tolist())"),
        ("score(a.sum(0).tolist())", "score(a.mean(0).tolist())"),
    ],
)


@paired_interval.misconception(
    "You left out the last item, because `high` itself is never drawn; draw from all N items.",
    name="last-item-left-out",
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows = torch.randint(len(a) - 1, (len(a),), generator=generator)
        leads.append(score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), float(high)


@paired_interval.misconception(
    "You returned the smallest and the largest lead. These move outwards as you draw more; take the two quantiles "
    "instead.",
    name="extremes",
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows = torch.randint(len(a), (len(a),), generator=generator)
        leads.append(score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), min(leads), max(leads)


@paired_interval.also_correct
def _(a, b, score, draws, generator):
    joint, half = torch.cat([a, b], 1), a.shape[1]

    def lead(sums):
        return score(sums[half:]) - score(sums[:half])

    leads = sorted(
        lead(joint[torch.randint(len(a), (len(a),), generator=generator)].sum(0).tolist()) for _ in range(draws)
    )
    cut = round(0.025 * (draws - 1))
    return lead(joint.sum(0).tolist()), leads[cut], leads[draws - 1 - cut]


@paired_interval.also_correct
def _(a, b, score, draws, generator):
    import numpy as np

    drawn = torch.multinomial(torch.ones(draws, len(a)), len(a), replacement=True, generator=generator).numpy()
    weights = np.stack([np.bincount(row, minlength=len(a)) for row in drawn]).astype(float)
    left, right = weights @ a.double().numpy(), weights @ b.double().numpy()
    leads = np.array([score(list(y)) - score(list(x)) for x, y in zip(left, right, strict=True)])
    low, high = np.percentile(leads, [2.5, 97.5])
    return np.array([score(b.sum(0).tolist()) - score(a.sum(0).tolist()), low, high])


paired_interval.equivalent(
    "return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), (low), float(high)",
    "a tensor of one number is a number",
)

paired_interval.equivalent(
    "return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), (high)",
    "a tensor of one number is a number",
)
