import torch
from studium import exercise

from studium_topics.rope.exercises.relative_score import relative_score


@exercise(
    points=3,
    report=1,
    minutes=12,
    kind="open",
    importance=2,
    hints=(
        "How much does the score of each pair fall from the offset that you want to the offset next to it?",
        "Let q be k rotated back by the offset, so all pairs agree there. Now you only need to choose the length of "
        "each pair: a slow pair hardly tells neighbours apart, and the fastest agrees again after about six positions.",
        "Put all the length in the first few pairs and none in the slow ones. You can compute the attention, so try "
        "every number of pairs, or let gradient descent find the length of each pair.",
    ),
    mutates_args=(),
)
def point_at(offset, inv, context, length):
    """Return a query and a key whose attention points at a single offset.

    Every token has the same key k, so the scores depend only on the offset. They are `relative_score(q, k, offset,
    inv)`.

    * offset: the offset that the query looks for, from 2 to context - 1
    * inv (d/2,): the frequencies, float32 or float64; they are those of `inv_freq`, where d is from 32 to 128 and the
      base from 500 to 500 000
    * context: how many offsets there are: 0 to context - 1, from 48 to 512
    * length: how long q and k may be: ‖q‖ ≤ length and ‖k‖ ≤ length; in our tests it is 5.5
    * returns: q and k, each (d,)

    The goal: the query gives at least 90 % of its attention to `offset`. We measure this as the softmax of the scores
    over all offsets in the context. If all pairs have the same length, you will get 35 to 85 %.
    """
    ### BEGIN SOLUTION
    back = torch.polar(torch.ones_like(inv), -offset * inv)
    best, found = 0.0, None
    for pairs in range(1, len(inv) + 1):
        sizes = torch.zeros_like(inv)
        sizes[:pairs] = length / pairs**0.5
        q, k = (torch.view_as_real(z).flatten() for z in (sizes * back, sizes + 0j))
        share = float(relative_score(q, k, torch.arange(context), inv).softmax(0)[offset])
        if share > best:
            best, found = share, (q, k)
    return found
    ### END SOLUTION


@point_at.test("gives 90 % of the attention to one of 128 offsets", points=1)
def _(point_at, rng):
    inv = 10000.0 ** -(torch.arange(0, 32, 2, dtype=torch.float64) / 32)
    offset = int(torch.randint(2, 128, (1,), generator=rng))
    q, k = (torch.as_tensor(z).detach().double() for z in point_at(offset, inv.clone(), 128, 5.5))
    assert q.shape == k.shape == (32,), f"q and k must be (32,), got {tuple(q.shape)} and {tuple(k.shape)}"
    longest = max(float(q.norm()), float(k.norm()))
    assert longest <= 5.501, f"q and k may have a length of 5.5, and one of them has {longest:.2f}"
    a, b = (torch.complex(z[0::2], z[1::2]) for z in (q, k))
    angle = torch.arange(128)[:, None] * inv
    share = float((a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.sum(-1).softmax(0)[offset])
    assert share >= 0.9, f"offset {offset} gets {share:.0%} of the attention; the goal is 90 %"


@point_at.hidden("does so for other widths, bases and contexts, near and far", points=2, mutates_args=())
def _(point_at, rng):
    cases = ((48, 10000.0, 60), (64, 500000.0, 512), (32, 500.0, 200), (128, 10000.0, 300), (40, 50000.0, 96))
    for d, base, context in cases:
        inv = base ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)
        inv = inv.float() if d == 40 else inv
        offset = int(torch.randint(2, context, (1,), generator=rng))
        q, k = (torch.as_tensor(z).detach().double() for z in point_at(offset, inv.clone(), context, 5.5))
        what = f"with d = {d}, base {base:g} and {context} offsets"
        assert q.shape == k.shape == (d,), f"{what}, q and k must be ({d},), got {tuple(q.shape)}, {tuple(k.shape)}"
        longest = max(float(q.norm()), float(k.norm()))
        assert longest <= 5.501, f"{what}, q and k may have a length of 5.5, and one of them has {longest:.2f}"
        a, b = (torch.complex(z[0::2], z[1::2]) for z in (q, k))
        angle = torch.arange(context)[:, None] * inv.double()
        share = float((a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.sum(-1).softmax(0)[offset])
        assert share >= 0.9, f"{what}, offset {offset} gets {share:.0%} of the attention; the goal is 90 %"


point_at.mistake(
    "rotated-forwards",
    "You rotated the query forwards, so the pairs agree at the offset with the opposite sign; rotate it back, because "
    "the score rotates it forwards by the offset.",
    replace="-offset * inv",
    by="offset * inv",
)

point_at.mistake(
    "length-for-each-pair",
    "You gave each pair the whole length, so q and k are too long; the squares of the pairs' lengths add up to the "
    "square of the whole length.",
    replace="length / pairs**0.5",
    by="length",
)


@point_at.misconception(
    "You gave all pairs the same length; slow pairs take most of it, and they hardly tell neighbours apart.",
    name="all-pairs-alike",
)
def _(offset, inv, context, length):
    sizes = torch.full_like(inv, length / len(inv) ** 0.5)
    back = torch.polar(torch.ones_like(inv), -offset * inv)
    return tuple(torch.view_as_real(z).flatten() for z in (sizes * back, sizes + 0j))


@point_at.misconception(
    "You used the fastest pair only; it agrees again after about six positions, so it needs help from slower ones.",
    name="fastest-pair-only",
)
def _(offset, inv, context, length):
    sizes = torch.zeros_like(inv)
    sizes[0] = length
    back = torch.polar(torch.ones_like(inv), -offset * inv)
    return tuple(torch.view_as_real(z).flatten() for z in (sizes * back, sizes + 0j))


@point_at.misconception(
    "You used the same vector for q and k, so they agree best at offset 0; rotate the query back by the offset.",
    name="same-vector-twice",
)
def _(offset, inv, context, length):
    sizes = torch.zeros_like(inv)
    sizes[:4] = length / 2
    vector = torch.view_as_real(sizes + 0j).flatten()
    return vector, vector.clone()


@point_at.also_correct
def _(offset, inv, context, length):
    away = torch.arange(context)[:, None] - offset
    cosines = torch.cos(away * inv.double())
    shares = torch.zeros(len(inv), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([shares], lr=0.1)
    for _ in range(100):
        loss = -(length**2 * cosines @ shares.softmax(0)).log_softmax(0)[offset]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sizes = length * shares.detach().softmax(0).sqrt()
    angles = offset * inv.double()
    q = torch.stack([sizes * angles.cos(), -sizes * angles.sin()], -1).flatten()
    k = torch.stack([sizes, torch.zeros_like(sizes)], -1).flatten()
    return q, k


@point_at.also_correct
def _(offset, inv, context, length):
    away = torch.arange(context)[:, None] - offset
    cosines = torch.cos(away * inv.double())
    powers = torch.linspace(0, 2, 21, dtype=torch.float64)
    shares = [(inv.double() ** power) / (inv.double() ** power).sum() for power in powers]
    best = max(shares, key=lambda share: float((length**2 * cosines @ share).softmax(0)[offset]))
    sizes, angles = length * best.sqrt(), offset * inv.double()
    q = torch.stack([sizes * angles.cos(), -sizes * angles.sin()], -1).flatten()
    k = torch.stack([sizes, torch.zeros_like(sizes)], -1).flatten()
    return [q, k]
