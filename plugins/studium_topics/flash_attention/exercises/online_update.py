import math

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "All old terms are relative to the old maximum. When the maximum rises, by which factor are they too large?",
        "The sum and the accumulator shrink by the same factor; then add the terms of the new keys to both.",
        "The scores are (R, C) and the maximum is (R,): give the maximum a second axis before you subtract it.",
        "Where a row has seen nothing but -inf, `-inf - -inf` is nan. Subtract 0 there, because `exp(-inf - 0)` is 0.",
    ),
)
def online_update(m, l, acc, s, v):  # noqa: E741 - the papers' letter
    """Return the state of each row after one more block of keys.

    A row keeps three things instead of its scores: their maximum m so far, the sum l of
    exp(score - m), and acc, the sum of exp(score - m) times the key's value. Return all three
    after adding the new keys.

    * m, l (R,), acc (R, dv): the state before; a row that has seen no key has m = -inf, l = 0, acc = 0
    * s (R, C): scores of the new keys, up to ±10000, or -inf where a mask hides a key
    * v (C, dv): values of the new keys, finite
    * returns: (m, l, acc), of the same shapes

    A row that has met only scores of -inf stays in its initial state.
    """
    ### BEGIN SOLUTION
    highest = torch.maximum(m, s.amax(-1))
    base = highest.masked_fill(highest == -math.inf, 0.0)  # a row that has seen nothing subtracts 0
    decay = torch.exp(m - base)
    p = torch.exp(s - base[:, None])  # (R, C)
    return highest, l * decay + p.sum(-1), acc * decay[:, None] + p @ v
    ### END SOLUTION


online_update.equivalent(
    "base = highest.masked_fill(highest == -math.inf, 1.0)  # a row that has seen nothing subtracts 0",
    "exp(-inf) is 0, whatever finite number is subtracted",
)


@online_update.test("is an ordinary softmax when there is one block", points=1)
def _(online_update):
    s = torch.tensor([[0.0, 1.0, 2.0], [3.0, -1.0, 3.0]], dtype=torch.float64)
    v = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]], dtype=torch.float64)
    start = (torch.full((2,), -math.inf), torch.zeros(2), torch.zeros(2, 2))
    m, l, acc = online_update(*(part.double() for part in start), s, v)  # noqa: E741
    assert_close(m, s.amax(1), message="m is the maximum of each row")
    assert_close(l, torch.exp(s - s.amax(1, keepdim=True)).sum(1), rtol=1e-9, atol=1e-9, message="l")
    assert_close(acc / l[:, None], s.softmax(1) @ v, rtol=1e-9, atol=1e-9, message="acc / l")


@online_update.hidden("gives the same for every partition and every order of the keys", points=1)
def _(online_update, rng):
    s, v = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((3, 8), (8, 2)))
    p, whole = (torch.exp(part - part.amax(1, keepdim=True)) for part in (s[:, :4], s))
    m, l, acc = online_update(s[:, :4].amax(1), p.sum(1), p @ v[:4], s[:, 4:], v[4:])  # noqa: E741
    for name, found, expected in (("m", m, s.amax(1)), ("l", l, whole.sum(1)), ("acc", acc, whole @ v)):
        assert_close(found, expected, rtol=1e-9, atol=1e-9, message=f"4 new keys join 4 that were seen: {name}")
    for rows, keys, width, size in ((3, 7, 4, 1.0), (5, 12, 2, 4.0), (1, 9, 3, 40.0), (4, 6, 5, 0.1)):
        s = size * torch.randn(rows, keys, generator=rng, dtype=torch.float64)
        v = torch.randn(keys, width, generator=rng, dtype=torch.float64)
        top = s.amax(1)
        p = torch.exp(s - top[:, None])
        for cuts in ((), (1,), (2, 3), tuple(range(1, keys))):
            order = torch.randperm(keys, generator=rng)
            m = torch.full((rows,), -math.inf, dtype=torch.float64)
            l = torch.zeros(rows, dtype=torch.float64)  # noqa: E741
            acc = torch.zeros(rows, width, dtype=torch.float64)
            for piece in torch.tensor_split(order, cuts):
                m, l, acc = online_update(m, l, acc, s[:, piece], v[piece])  # noqa: E741
            what = f"{rows} rows met {keys} keys in {len(cuts) + 1} blocks: "
            assert_close(m, top, rtol=1e-10, atol=1e-10, message=what + "m")
            assert_close(l, p.sum(1), rtol=1e-9, atol=1e-9, message=what + "l")
            assert_close(acc, p @ v, rtol=1e-9, atol=1e-9, message=what + "acc")


@online_update.hidden("survives rows that are hidden so far, and scores of ±10000", points=2)
def _(online_update, rng):
    s = torch.randn(4, 6, generator=rng, dtype=torch.float64)
    s[0] = -math.inf
    s[1, :3] = -math.inf
    s[2] = torch.tensor([-1e4, -1e4 + 1, -1e4, 1e4, 1e4 - 1, -1e4])
    v = torch.randn(6, 3, generator=rng, dtype=torch.float64)
    seen = s[:, :3].amax(1)
    p = torch.exp(s[:, :3] - seen.nan_to_num(neginf=0.0)[:, None])
    _, l, acc = online_update(seen, p.sum(1), p @ v[:3], s[:, 3:], v[3:])  # noqa: E741
    expected = s[1:].softmax(1) @ v
    assert_close(acc[1:] / l[1:, None], expected, rtol=1e-9, atol=1e-9, message="3 new keys join 3: acc / l")
    m = torch.full((4,), -math.inf, dtype=torch.float64)
    l = torch.zeros(4, dtype=torch.float64)  # noqa: E741
    acc = torch.zeros(4, 3, dtype=torch.float64)
    for piece in (slice(0, 3), slice(3, 6)):
        m, l, acc = online_update(m, l, acc, s[:, piece], v[piece])  # noqa: E741
        assert not torch.isnan(torch.cat([l, acc.flatten()])).any(), (
            "a row whose scores are all -inf, or huge, must not become nan: mind exp(-inf - -inf)"
        )
    assert_close(m[0], torch.tensor(-math.inf, dtype=torch.float64), message="a row that has seen nothing keeps m")
    assert_close(torch.cat([l[:1], acc[0]]), torch.zeros(4, dtype=torch.float64), message="and keeps l = 0, acc = 0")
    assert_close(acc[1:] / l[1:, None], expected, rtol=1e-9, atol=1e-9, message="acc / l")


online_update.mistake(
    "acc-not-rescaled",
    "You did not rescale acc. It is a sum of exp(score - m) with the old m; when the maximum rises, multiply the old "
    "sum by exp(m - new), as you do for l.",
    edits=[
        ("decay = torch.exp(m - base)", ""),
        (
            "highest, l * decay + p.sum(-1), acc * decay[:, None] + p @ v",
            "highest, l * torch.exp(m - base) + p.sum(-1), acc + p @ v",
        ),
    ],
)

online_update.mistake(
    "l-not-rescaled",
    "You did not rescale l. It is a sum of exp(score - m) with the old m; when the maximum rises, multiply it by exp(m "
    "- new), as you do for acc.",
    edits=[
        ("decay = torch.exp(m - base)", ""),
        (
            "highest, l * decay + p.sum(-1), acc * decay[:, None] + p @ v",
            "highest, l + p.sum(-1), acc * torch.exp(m - base)[:, None] + p @ v",
        ),
    ],
)

online_update.mistake(
    "maximum-of-the-block",
    "You took the maximum of the new block only; use max(m, new scores), because m must never fall, or old terms blow "
    "up.",
    replace="torch.maximum(m, s.amax(-1))",
    by="s.amax(-1)",
)

online_update.mistake(
    "inverted-factor",
    "You inverted the factor: exp(new - m) makes old terms grow when they should shrink. Use exp(m - new), which is at "
    "most 1.",
    replace="torch.exp(m - base)",
    by="torch.exp(base - m).masked_fill(m == -math.inf, 0.0)",
)


@online_update.misconception(
    "A row became nan while all the scores it had seen were -inf: the maximum is -inf there, and -inf - -inf is nan. "
    "Subtract a finite number, such as 0, in such a row.",
    name="inf-minus-inf",
)
def _(m, l, acc, s, v):  # noqa: E741
    highest = torch.maximum(m, s.amax(-1))
    decay = torch.exp(m - highest)
    p = torch.exp(s - highest[:, None])
    return highest, l * decay + p.sum(-1), acc * decay[:, None] + p @ v


@online_update.misconception(
    "You divided acc by l after every block; keep acc a plain sum, and divide it once, at the very end.",
    name="normalised-each-block",
)
def _(m, l, acc, s, v):  # noqa: E741
    highest = torch.maximum(m, s.amax(-1))
    base = highest.masked_fill(highest == -math.inf, 0.0)
    decay = torch.exp(m - base)
    p = torch.exp(s - base[:, None])
    total = l * decay + p.sum(-1)
    safe = total.masked_fill(total == 0, 1.0)
    return highest, total, (acc * (l * decay)[:, None] + p @ v) / safe[:, None]


@online_update.misconception(
    "You did not subtract the maximum, and exp(10000) is infinite; subtract it, so no exponent is above 0.",
    name="no-maximum",
)
def _(m, l, acc, s, v):  # noqa: E741
    p = torch.exp(s)
    return torch.maximum(m, s.amax(-1)), l + p.sum(-1), acc + p @ v


@online_update.also_correct
def _(m, l, acc, s, v):  # noqa: E741
    rows = []
    for r in range(len(m)):
        top = max(float(m[r]), *map(float, s[r]))
        if top == -math.inf:
            rows.append((m[r], l[r], acc[r]))
            continue
        p = torch.exp(s[r] - top)
        decay = math.exp(float(m[r]) - top)
        rows.append((m[r].new_tensor(top), l[r] * decay + p.sum(), acc[r] * decay + p @ v))
    m, l, acc = (torch.stack(part) for part in zip(*rows, strict=True))  # noqa: E741
    return m, l, acc


@online_update.also_correct
def _(m, l, acc, s, v):  # noqa: E741
    before = torch.clamp(m, min=-1e30)
    m = torch.max(m, s.max(dim=-1).values)
    safe = torch.clamp(m, min=-1e30)
    p = torch.where(s == -math.inf, 0.0, (s - safe.unsqueeze(1)).exp())
    decay = (before - safe).exp()
    return m, decay.mul(l).add(p.sum(1)), torch.einsum("r,rd->rd", decay, acc) + torch.einsum("rc,cd->rd", p, v)


@online_update.also_correct
def _(m, l, acc, s, v):  # noqa: E741
    old = m.clone()
    torch.maximum(m, s.amax(1), out=m)
    base = torch.nan_to_num(m, neginf=0.0)
    decay = (old - base).exp_()
    p = (s - base[:, None]).exp_()
    l.mul_(decay).add_(p.sum(1))
    acc.mul_(decay[:, None]).addmm_(p, v)
    return m, l, acc
