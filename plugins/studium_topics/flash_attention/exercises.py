"""Exercises: a softmax that is fed piece by piece, attention in tiles forward and backward, and what it moves."""

import math

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise

# ----------------------------------------------------------------------------------------------- online_update


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "All old terms are relative to the old maximum. By which factor is each of them too large once the maximum "
        "rises?",
        "The sum and the accumulator shrink by the same factor; then the terms of the new keys are added to both.",
        "The scores are (R, C) and the maximum is (R,): give the maximum a second axis before you subtract it.",
        "Where a row has seen nothing but -inf, `-inf - -inf` is nan. Subtract 0 there, because `exp(-inf - 0)` is 0.",
    ),
)
def online_update(m, l, acc, s, v):  # noqa: E741 - the papers' letter
    """Return the state of each row after one more block of keys.

    A row keeps three things in place of its scores: their maximum m so far, the sum l of
    exp(score - m), and acc, the sum of exp(score - m) times the key's value. Return all three
    once the new keys have joined.

    * m, l (R,), acc (R, dv): the state before; a row that has seen no key has m = -inf, l = 0, acc = 0
    * s (R, C): scores of the new keys, up to ±10000, or -inf where a mask hides a key
    * v (C, dv): values of the new keys, finite
    * returns: (m, l, acc), of the same shapes

    A row that has met only scores of -inf is still as at the start.
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


@online_update.misconception(
    "You did not rescale acc. It is a sum of exp(score - m) with the old m; when the maximum rises, the old "
    "sum has to shrink by exp(m - new), as l does.",
    name="acc-not-rescaled",
)
def _(m, l, acc, s, v):  # noqa: E741
    highest = torch.maximum(m, s.amax(-1))
    base = highest.masked_fill(highest == -math.inf, 0.0)
    p = torch.exp(s - base[:, None])
    return highest, l * torch.exp(m - base) + p.sum(-1), acc + p @ v


@online_update.misconception(
    "You did not rescale l. It is a sum of exp(score - m) with the old m; when the maximum rises it shrinks by "
    "exp(m - new), as acc does.",
    name="l-not-rescaled",
)
def _(m, l, acc, s, v):  # noqa: E741
    highest = torch.maximum(m, s.amax(-1))
    base = highest.masked_fill(highest == -math.inf, 0.0)
    p = torch.exp(s - base[:, None])
    return highest, l + p.sum(-1), acc * torch.exp(m - base)[:, None] + p @ v


@online_update.misconception(
    "You took the maximum of the new block alone; m must never fall, or old terms blow up. It is max(m, new scores).",
    name="maximum-of-the-block",
)
def _(m, l, acc, s, v):  # noqa: E741
    highest = s.amax(-1)
    base = highest.masked_fill(highest == -math.inf, 0.0)
    decay = torch.exp(m - base)
    p = torch.exp(s - base[:, None])
    return highest, l * decay + p.sum(-1), acc * decay[:, None] + p @ v


@online_update.misconception(
    "You inverted the factor: exp(new - m) grows where old terms should shrink. It is exp(m - new), at most 1.",
    name="inverted-factor",
)
def _(m, l, acc, s, v):  # noqa: E741
    highest = torch.maximum(m, s.amax(-1))
    base = highest.masked_fill(highest == -math.inf, 0.0)
    decay = torch.exp(base - m).masked_fill(m == -math.inf, 0.0)
    p = torch.exp(s - base[:, None])
    return highest, l * decay + p.sum(-1), acc * decay[:, None] + p @ v


@online_update.misconception(
    "Your row became nan while it had seen nothing but -inf: there the maximum is -inf, and -inf - -inf is nan. "
    "Subtract a finite number, 0 say, in such a row.",
    name="inf-minus-inf",
)
def _(m, l, acc, s, v):  # noqa: E741
    highest = torch.maximum(m, s.amax(-1))
    decay = torch.exp(m - highest)
    p = torch.exp(s - highest[:, None])
    return highest, l * decay + p.sum(-1), acc * decay[:, None] + p @ v


@online_update.misconception(
    "You divided acc by l after every block; acc is a plain sum, and is divided once, at the very end.",
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
    "You subtracted no maximum: exp(10000) is infinite. The maximum is there so that no exponent is above 0.",
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


# ------------------------------------------------------------------------------------------------ causal_tiles


@exercise(
    points=2,
    minutes=8,
    level="warm-up",
    importance=2,
    hints=(
        "Which query of a block sees the most keys?",
        "A tile is needed as soon as its last query sees its first key. Compare positions in the text, not block "
        "numbers.",
        "The last block of queries may be smaller; its last query is `min(queries, (i + 1) * block_rows) - 1`.",
    ),
)
def causal_tiles(queries, keys, block_rows, block_columns):
    """Return the tiles in which a causal mask leaves at least one score.

    The queries are the last ones of the text: query i sees the keys j <= i + keys - queries.
    Tile (i, j) begins at query i · block_rows and at key j · block_columns; the last tile of
    each side may be smaller. Where there are more queries than keys, the first queries see
    nothing.

    * queries, keys, block_rows, block_columns: ints of 1 or more
    * returns: a list of pairs (i, j), each once, in any order
    """
    ### BEGIN SOLUTION
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        last = min(queries, (i + 1) * block_rows) - 1 + keys - queries  # the last key that the block sees
        tiles += [(i, j) for j in range(last // block_columns + 1)]
    return tiles
    ### END SOLUTION


@causal_tiles.test("keeps the diagonal and what is below it", points=1)
def _(causal_tiles):
    found = sorted((int(i), int(j)) for i, j in causal_tiles(6, 6, 2, 2))
    expected = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert found == expected, f"6 queries and keys in tiles of 2 × 2 need {expected}, got {found}"


@causal_tiles.hidden("returns exactly the tiles with a visible score", points=1)
def _(causal_tiles):
    sizes = [
        (7, 7, 3, 2),
        (5, 9, 2, 4),
        (9, 5, 2, 2),
        (4, 4, 8, 8),
        (1, 6, 1, 2),
        (6, 6, 4, 1),
        (6, 7, 1, 4),
        (8, 3, 3, 5),
    ]
    for queries, keys, rows, columns in [*sizes, (12, 12, 3, 4), (3, 11, 2, 3), (10, 9, 4, 4)]:
        seen = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries).nonzero().tolist()
        expected = sorted({(i // rows, j // columns) for i, j in seen})
        found = sorted((int(i), int(j)) for i, j in causal_tiles(queries, keys, rows, columns))
        what = f"{queries} queries and {keys} keys in tiles of {rows} × {columns}"
        assert len(set(found)) == len(found), f"{what}: no tile may be listed twice, got {found}"
        missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        assert not missing, f"{what}: the tiles {missing} have scores that are seen, and were left out"
        assert not extra, f"{what}: in the tiles {extra} nothing is seen, or they do not exist"


@causal_tiles.misconception(
    "You aligned the first query with the first key; the queries are the last of the text, so query i sees the keys "
    "up to i + keys - queries.",
    name="aligned-at-the-first-key",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        last = min(queries, (i + 1) * block_rows) - 1
        tiles += [(i, j) for j in range(math.ceil(keys / block_columns)) if j * block_columns <= last]
    return tiles


@causal_tiles.misconception(
    "You left out tiles that the diagonal crosses: a tile is needed as soon as its *last* query sees its first key.",
    name="left-out-the-diagonal",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        first = i * block_rows + keys - queries
        last_of = [min(keys, (j + 1) * block_columns) - 1 for j in range(math.ceil(keys / block_columns))]
        tiles += [(i, j) for j, last in enumerate(last_of) if last <= first]
    return tiles


@causal_tiles.misconception(
    "You tested the first query of the block; later ones see more. The *last* query of the block decides.",
    name="first-query-of-the-block",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        first = i * block_rows + keys - queries
        tiles += [(i, j) for j in range(math.ceil(keys / block_columns)) if j * block_columns <= first]
    return tiles


@causal_tiles.misconception(
    "You returned all tiles; those in which the mask hides every score need no work at all.", name="all-tiles"
)
def _(queries, keys, block_rows, block_columns):
    return [(i, j) for i in range(math.ceil(queries / block_rows)) for j in range(math.ceil(keys / block_columns))]


@causal_tiles.misconception(
    "You compared the numbers of the blocks, j <= i; that is right for square tiles alone. Compare positions.",
    name="compared-block-numbers",
)
def _(queries, keys, block_rows, block_columns):
    return [
        (i, j) for i in range(math.ceil(queries / block_rows)) for j in range(math.ceil(keys / block_columns)) if j <= i
    ]


@causal_tiles.misconception(
    "You forgot the smaller tile at the end, where the sizes do not divide: there are ⌈queries / block_rows⌉ blocks.",
    name="forgot-the-smaller-tiles",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(queries // block_rows):
        last = (i + 1) * block_rows - 1 + keys - queries
        tiles += [(i, j) for j in range(keys // block_columns) if j * block_columns <= last]
    return tiles


@causal_tiles.misconception(
    "You let the last block of queries reach beyond the last query: it may be smaller than block_rows.",
    name="beyond-the-last-query",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        last = (i + 1) * block_rows - 1 + keys - queries
        tiles += [(i, j) for j in range(math.ceil((last + 1) / block_columns)) if last >= 0]
    return tiles


@causal_tiles.also_correct
def _(queries, keys, block_rows, block_columns):
    return {
        (i // block_rows, j // block_columns) for i in range(queries) for j in range(keys) if j <= i + keys - queries
    }


@causal_tiles.also_correct
def _(queries, keys, block_rows, block_columns):
    seen = torch.ones(queries, keys, dtype=torch.int).tril(keys - queries)
    seen = F.pad(seen, (0, -keys % block_columns, 0, -queries % block_rows))
    tiles = seen.unflatten(1, (-1, block_columns)).unflatten(0, (-1, block_rows)).sum((1, 3))
    return [tuple(pair) for pair in tiles.nonzero().tolist()]


# ----------------------------------------------------------------------------------------------- flash_forward


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "Which block stays in fast memory, and which blocks stream past it? That settles the outer and the inner loop.",
        "Start each block of queries with the neutral state (-inf, 0, 0), feed it block after block of keys by "
        "`online_update`, and divide once at the end.",
        "The mask counts in the whole text, not in the tile: score (i, j) is hidden where j > i + M - N. If the last "
        "query of the block does not see a block's first key, no later block is seen either.",
        "`q[top : top + block_rows]` gives the smaller last block by itself. A row that saw nothing has l = 0: divide "
        "it by 1, and `m + l.log()` is -inf.",
    ),
)
def flash_forward(q, k, v, block_rows, block_columns, causal=False):
    """Return exact attention, computed tile by tile, and the logsumexp of each row's scores.

    o = softmax(s) v and lse = log Σ exp(s), where s = q kᵀ / √d.

    * q (N, d), k (M, d), v (M, dv): float32 or float64; N and M are 1 or more
    * block_rows, block_columns: queries and keys of a tile; the last tiles may be smaller
    * causal: query i sees the keys j <= i + M - N
    * returns: o (N, dv) and lse (N,); a row that sees no key has o = 0 and lse = -inf

    No tensor that you make may be larger than the largest of q, k, v, o and one tile. Where the
    mask hides a whole tile, its keys and values are not read. You may call `online_update`.
    """
    ### BEGIN SOLUTION
    o, lse = v.new_zeros(len(q), v.shape[1]), q.new_zeros(len(q))
    offset = len(k) - len(q)
    for top in range(0, len(q), block_rows):
        rows = q[top : top + block_rows] / math.sqrt(q.shape[1])
        query = torch.arange(top, top + len(rows), device=q.device)[:, None]
        m, l = rows.new_full((len(rows),), -math.inf), rows.new_zeros(len(rows))  # noqa: E741
        acc = v.new_zeros(len(rows), v.shape[1])
        for left in range(0, len(k), block_columns):
            if causal and left > top + len(rows) - 1 + offset:
                break
            key = torch.arange(left, min(left + block_columns, len(k)), device=q.device)
            s = rows @ k[left : left + block_columns].mT  # (rows, columns)
            if causal:
                s = s.masked_fill(key > query + offset, -math.inf)
            m, l, acc = online_update(m, l, acc, s, v[left : left + block_columns])  # noqa: E741
        o[top : top + block_rows] = acc / l.masked_fill(l == 0, 1.0)[:, None]
        lse[top : top + block_rows] = m + l.log()
    return o, lse
    ### END SOLUTION


flash_forward.equivalent("continue", "no later block of keys is seen either")
flash_forward.equivalent(
    "o[top : top + block_rows] = acc / l.masked_fill(l == 0, 2.0)[:, None]", "acc is 0 in such a row"
)


@flash_forward.test("gives what the formula gives", points=1)
def _(flash_forward, rng):
    q, k, v = torch.randn(3, 6, 4, generator=rng, dtype=torch.float64)
    o, lse = flash_forward(q, k, v, 2, 3)
    scores = q @ k.T / 2
    assert_close(o, scores.softmax(1) @ v, rtol=1e-9, atol=1e-9, message="o = softmax(q kᵀ / √d) v")
    assert_close(lse, scores.logsumexp(1), rtol=1e-9, atol=1e-9, message="lse = log Σ exp(score)")


@flash_forward.hidden("is exact for all sizes, with and without a mask", points=2)
def _(flash_forward, rng):
    for queries, keys, width, values, rows, columns in (
        (7, 7, 5, 5, 3, 2), (5, 11, 4, 6, 2, 4), (1, 9, 3, 2, 4, 4),
        (9, 5, 6, 3, 2, 2), (8, 8, 16, 16, 4, 4), (6, 4, 2, 3, 9, 7),
    ):  # fmt: skip
        q = 2 * torch.randn(queries, width, generator=rng, dtype=torch.float64)
        k = torch.randn(keys, width, generator=rng, dtype=torch.float64)
        v = torch.randn(keys, values, generator=rng, dtype=torch.float64)
        for causal in (False, True):
            what = f"N={queries}, M={keys}, d={width}, dv={values}, tiles of {rows} × {columns}, causal={causal}"
            scores = q @ k.T / width**0.5
            if causal:
                ahead = torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)
                scores = scores.masked_fill(ahead, -math.inf)
            expected = scores.softmax(1).nan_to_num(0.0) @ v
            o, lse = flash_forward(q, k, v, rows, columns, causal)
            assert_close(o, expected, rtol=1e-9, atol=1e-10, message=f"o for {what}")
            assert_close(lse, scores.logsumexp(1), rtol=1e-9, atol=1e-10, message=f"lse for {what}")


@flash_forward.hidden("equals PyTorch's own attention in single precision, with large scores too", points=1)
def _(flash_forward, rng):
    for queries, keys, causal in ((33, 33, True), (17, 40, True), (20, 20, False)):
        q = 8 * torch.randn(queries, 8, generator=rng)
        k, v = torch.randn(2, keys, 8, generator=rng)
        mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries) if causal else None
        exact = F.scaled_dot_product_attention(*(t.double()[None] for t in (q, k, v)), attn_mask=mask)[0]
        o, _ = flash_forward(q, k, v, 8, 16, causal)
        what = f"for N={queries}, M={keys}, causal={causal} in float32"
        assert_close(o.double(), exact, rtol=1e-5, atol=1e-5, message=what)
    q = torch.tensor([[1e4], [-1e4]], dtype=torch.float64)
    v = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    o, lse = flash_forward(q, torch.tensor([[-1.0], [0.5], [1.0]], dtype=torch.float64), v, 1, 1)
    assert_close(o, torch.tensor([[3.0], [1.0]], dtype=torch.float64), message="with scores of ±10000")
    assert_close(lse, torch.tensor([1e4, 1e4], dtype=torch.float64), message="lse with scores of ±10000")


@flash_forward.hidden("makes no tensor larger than its inputs and a tile", points=1)
def _(flash_forward, rng):
    for causal in (False, True):
        q, k, v = (torch.randn(6144, width, generator=rng) for width in (8, 8, 4))
        with at_most_mb(32, "no scores, probabilities or mask larger than a tile may exist"):  # a mask has 36 MB
            flash_forward(q, k, v, 384, 384, causal)


@flash_forward.hidden("does not read what the mask hides as a whole tile", points=1)
def _(flash_forward, rng):
    q, k, v = torch.randn(3, 12, 4, generator=rng, dtype=torch.float64)
    scores = (q @ k.T / 2).masked_fill(torch.ones(12, 12, dtype=torch.bool).triu(1), -math.inf)
    k[8:], v[8:] = math.nan, math.nan
    o, lse = flash_forward(q, k, v, 4, 4, True)
    what = "the last 4 keys are nan, and no query of the first two blocks may see them"
    assert_close(o[:8], scores[:8, :8].softmax(1) @ v[:8], rtol=1e-9, atol=1e-9, message=what)
    assert_close(lse[:8], scores[:8, :8].logsumexp(1), rtol=1e-9, atol=1e-9, message=what)


@flash_forward.misconception(
    "You computed every tile and masked it; where the mask hides a whole tile there is nothing to read: half of all "
    "the work. (0 · nan is nan, so what was read can be seen.)",
    name="computed-hidden-tiles",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    lse = s.logsumexp(1)
    return torch.exp(s - lse.masked_fill(lse == -math.inf, 0.0)[:, None]) @ v, lse


@flash_forward.misconception(
    "You left out the scale: scores are q kᵀ / √d, or they grow with the width of a head.", name="left-out-the-scale"
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception("You divided the scores by d; it is its root, √d.", name="divided-by-d")
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / q.shape[1]
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "You never divided by l: acc is a sum of exp(score - m) · v, and becomes a mean by acc / l.",
    name="never-divided-by-l",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return torch.exp(s - s.amax(1, keepdim=True)).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "Your lse is log l, and lacks the maximum that was subtracted: lse = m + log l.", name="lse-without-the-maximum"
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, torch.log(torch.exp(s - s.amax(1, keepdim=True)).nan_to_num(0.0).sum(1))


@flash_forward.misconception(
    "You aligned the mask with the first key; the queries are the last of the text, so query i sees the keys "
    "j <= i + M - N.",
    name="aligned-at-the-first-key",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "You masked with a large negative number; a row in which everything is hidden then averages what it must not see. "
    "Use -inf.",
    name="large-negative-mask",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -1e6)
    return s.softmax(1) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "A row that sees no key became nan: its acc and l are both 0, and 0/0 is nan. Divide by 1 there.",
    name="zero-over-zero",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "You forgot the smaller tile at the end, where the sizes do not divide: slices such as q[top : top + block_rows] "
    "give it by themselves, if the loop goes on to the end.",
    name="forgot-the-smaller-tiles",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    seen = len(k) // block_columns * block_columns
    s = q @ k[:seen].mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    o, lse = s.softmax(1).nan_to_num(0.0) @ v[:seen], s.logsumexp(1)
    done = len(q) // block_rows * block_rows
    return torch.cat([o[:done], torch.zeros_like(o[done:])]), torch.cat([lse[:done], torch.zeros_like(lse[done:])])


@flash_forward.misconception(
    "You normalised each tile by itself and averaged. Tiles weigh as much as their exponentials do: gather acc and l "
    "over all tiles, and divide once.",
    name="averaged-the-tiles",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    parts = [
        piece.softmax(1).nan_to_num(0.0) @ value
        for piece, value in zip(s.split(block_columns, 1), v.split(block_columns), strict=True)
    ]
    return torch.stack(parts).mean(0), s.logsumexp(1)


@flash_forward.also_correct
def _(q, k, v, block_rows, block_columns, causal=False):
    results = []
    for top in range(0, q.shape[0], block_rows):
        rows = q[top : top + block_rows]
        seen_by_last = top + rows.shape[0] + k.shape[0] - q.shape[0]
        o, lse = torch.zeros(len(rows), v.shape[1]).to(v), torch.full((len(rows),), -math.inf).to(q)
        for left in range(0, k.shape[0], block_columns):
            if causal and left >= seen_by_last:
                continue
            keys = k[left : left + block_columns]
            s = torch.einsum("id,jd->ij", rows, keys) * q.shape[1] ** -0.5
            if causal:
                for i in range(len(rows)):
                    s[i, max(0, top + i + k.shape[0] - q.shape[0] + 1 - left) :] = -math.inf
            here = torch.logsumexp(s, 1)
            both = torch.logaddexp(lse, here)
            safe = both.clamp(min=-1e30)
            o = o * torch.exp(lse - safe)[:, None] + torch.exp(s - safe[:, None]) @ v[left : left + block_columns]
            lse = both
        results.append((o, lse))
    return torch.cat([o for o, _ in results]), torch.cat([lse for _, lse in results])


@flash_forward.also_correct
def _(q, k, v, block_rows, block_columns, causal=False):
    o = torch.empty(len(q), v.shape[1], dtype=torch.float64, device=q.device)
    lse = torch.empty(len(q), dtype=torch.float64, device=q.device)
    for top in range(0, len(q), block_rows):
        rows = q[top : top + block_rows].double()
        m = torch.full((len(rows),), -1e300, dtype=torch.float64, device=q.device)
        l, acc = torch.zeros_like(m), torch.zeros_like(o[top : top + block_rows])  # noqa: E741
        end = min(len(k), top + len(rows) + len(k) - len(q)) if causal else len(k)
        for left in range(0, end, block_columns):
            right = min(left + block_columns, end)
            s = rows @ k[left:right].double().t() / q.shape[1] ** 0.5
            if causal:
                see = torch.arange(top, top + len(rows), device=q.device) + len(k) - len(q)
                s = torch.where(torch.arange(left, right, device=q.device) <= see[:, None], s, -math.inf)
            new = torch.maximum(m, s.max(1)[0])
            p = torch.exp(s - new[:, None])
            l, acc = l * torch.exp(m - new) + p.sum(1), acc * torch.exp(m - new)[:, None] + p @ v[left:right].double()  # noqa: E741
            m = new
        o[top : top + block_rows] = acc / torch.where(l > 0, l, 1.0)[:, None]
        lse[top : top + block_rows] = torch.where(l > 0, m + torch.log(l), -math.inf)
    return o.to(v.dtype), lse.to(q.dtype)


# ---------------------------------------------------------------------------------------------- flash_backward


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "How do you get the normalised probabilities of one tile, if you know the logsumexp of the whole row?",
        "The gradient of a softmax needs a sum over the whole row. The derivation above turns it into one number for "
        "each row, which needs no tile: the sum of do times o.",
        "A tile adds to three results: dq (rows, d) gets the scores' gradient times k, dk (columns, d) its transpose "
        "times q, and dv (columns, dv) the transposed probabilities times do. Both dq and dk carry the scale.",
        "A row with lse = -inf gives nan in `torch.exp(s - lse[:, None])`: set what the mask hides to 0 afterwards, "
        "with `masked_fill`.",
    ),
)
def flash_backward(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    """Return the gradients of attention, computed tile by tile from what the forward pass kept.

    The probabilities were thrown away: compute each tile of them again from lse.

    * q (N, d), k (M, d), v (M, dv), o (N, dv), lse (N,): inputs and results of `flash_forward`
    * do (N, dv): the gradient of a loss with respect to o
    * block_rows, block_columns, causal: as for `flash_forward`
    * returns: (dq, dk, dv), shaped as q, k, v

    A row that sees nothing gives and gets no gradient. No tensor that you make may be larger than
    the largest argument and one tile, and a tile in which nothing is seen is not read.
    """
    ### BEGIN SOLUTION
    dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    scale = 1 / math.sqrt(q.shape[1])
    offset = len(k) - len(q)
    delta = (do * o).sum(-1)  # Σ_j p_ij dp_ij of each row
    for left in range(0, len(k), block_columns):
        columns = slice(left, min(left + block_columns, len(k)))
        key = torch.arange(left, columns.stop, device=q.device)
        for top in range(0, len(q), block_rows):
            rows = slice(top, min(top + block_rows, len(q)))
            if causal and left > rows.stop - 1 + offset:
                continue
            query = torch.arange(top, rows.stop, device=q.device)[:, None]
            p = torch.exp(q[rows] @ k[columns].mT * scale - lse[rows, None])  # (rows, columns)
            if causal:
                p = p.masked_fill(key > query + offset, 0.0)
            ds = p * (do[rows] @ v[columns].mT - delta[rows, None]) * scale
            dq[rows] += ds @ k[columns]
            dk[columns] += ds.mT @ q[rows]
            dv[columns] += p.mT @ do[rows]
    return dq, dk, dv
    ### END SOLUTION


@flash_backward.test("gives the gradients that autograd gives", points=1)
def _(flash_backward, rng):
    q, k, v = (part.requires_grad_() for part in torch.randn(3, 6, 4, generator=rng, dtype=torch.float64).unbind())
    scores = q @ k.T / 2
    o = scores.softmax(1) @ v
    do = torch.randn(6, 4, generator=rng, dtype=torch.float64)
    expected = torch.autograd.grad(o, (q, k, v), do)
    saved = (part.detach() for part in (q, k, v, o, scores.logsumexp(1)))
    for name, found, wanted in zip(("dq", "dk", "dv"), flash_backward(*saved, do, 2, 3), expected, strict=True):
        assert_close(found, wanted, rtol=1e-9, atol=1e-9, message=name)


@flash_backward.hidden("is exact for all sizes, with and without a mask", points=3)
def _(flash_backward, rng):
    for queries, keys, width, values, rows, columns in (
        (7, 7, 5, 5, 3, 2), (5, 11, 4, 6, 2, 4), (9, 5, 6, 3, 2, 2),
        (1, 4, 3, 2, 2, 3), (6, 4, 2, 3, 9, 7), (8, 8, 3, 4, 4, 2),
    ):  # fmt: skip
        q = 2 * torch.randn(queries, width, generator=rng, dtype=torch.float64)
        k = torch.randn(keys, width, generator=rng, dtype=torch.float64)
        v = torch.randn(keys, values, generator=rng, dtype=torch.float64)
        do = torch.randn(queries, values, generator=rng, dtype=torch.float64)
        for causal in (False, True):
            parts = [part.clone().requires_grad_() for part in (q, k, v)]
            scores = parts[0] @ parts[1].T / width**0.5
            if causal:
                ahead = torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)
                scores = scores.masked_fill(ahead, -math.inf)
            lse = scores.detach().logsumexp(1)
            blind = lse == -math.inf
            p = torch.where(blind[:, None], 0.0, scores.masked_fill(blind[:, None], 0.0).softmax(1))
            o = p @ parts[2]
            expected = torch.autograd.grad(o, parts, do)
            found = flash_backward(q.clone(), k.clone(), v.clone(), o.detach(), lse, do.clone(), rows, columns, causal)
            what = f"N={queries}, M={keys}, d={width}, dv={values}, tiles of {rows} × {columns}, causal={causal}"
            for name, gradient, wanted in zip(("dq", "dk", "dv"), found, expected, strict=True):
                assert_close(gradient, wanted, rtol=1e-9, atol=1e-10, message=f"{name} for {what}")


@flash_backward.hidden("makes no tensor larger than its inputs and a tile", points=1)
def _(flash_backward, rng):
    for causal in (False, True):
        q, k, v, o, do = (torch.randn(6144, 8, generator=rng) for _ in range(5))
        lse = torch.full((6144,), 5.0)
        why = "no scores, probabilities, gradients of them or mask larger than a tile may exist"
        with at_most_mb(32, why):  # a mask has 36 MB
            flash_backward(q, k, v, o, lse, do, 384, 384, causal)


@flash_backward.hidden("does not read what the mask hides as a whole tile", points=1)
def _(flash_backward, rng):
    q, k, v = (part.requires_grad_() for part in torch.randn(3, 8, 4, generator=rng, dtype=torch.float64).unbind())
    scores = (q @ k.T / 2).masked_fill(torch.ones(8, 8, dtype=torch.bool).triu(1), -math.inf)
    o = scores.softmax(1) @ v
    do = torch.randn(8, 4, generator=rng, dtype=torch.float64)
    (expected,) = torch.autograd.grad(o, q, do)
    q, k, v, o, lse = (part.detach().clone() for part in (q, k, v, o, scores.logsumexp(1)))
    k[4:], v[4:] = math.nan, math.nan
    dq, _, _ = flash_backward(q, k, v, o, lse, do, 4, 4, True)
    what = "dq of the first 4 queries, where the keys and values that they may not see are nan"
    assert_close(dq[:4], expected[:4], rtol=1e-9, atol=1e-9, message=what)


@flash_backward.misconception(
    "You computed every tile, or the whole matrix; where the mask hides a whole tile there is nothing to read, in the "
    "backward pass as in the forward. (0 · nan is nan, so what was read can be seen.)",
    name="computed-hidden-tiles",
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "You left out D = Σ do · o: the probabilities of a row sum to 1, so raising one score lowers the others, and "
    "ds = p · (do vᵀ - D).",
    name="left-out-d",
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "Neither dq nor dk has the scale: the scores are q kᵀ / √d, so both carry the 1/√d.", name="left-out-the-scale"
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    p = torch.exp(q @ k.mT * q.shape[1] ** -0.5 - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True))
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "Your dq carries the scale 1/√d, and your dk does not: both come from q kᵀ / √d.", name="dk-without-the-scale"
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True))
    return ds @ k * scale, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "Your dk carries the scale 1/√d, and your dq does not: both come from q kᵀ / √d.", name="dq-without-the-scale"
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True))
    return ds @ k, ds.mT @ q * scale, p.mT @ do


@flash_backward.misconception(
    "You used exp(score - maximum) as the probability: it is not normalised. exp(score - lse) is.",
    name="unnormalised-probabilities",
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    s = q @ k.mT * scale
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    p = torch.exp(s - s.amax(1, keepdim=True)).nan_to_num(0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "You took the softmax of each tile by itself; a tile does not know its row's sum. That is what lse was kept for: "
    "p = exp(score - lse).",
    name="softmax-of-each-tile",
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    s = q @ k.mT * scale
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    p = torch.cat([piece.softmax(1).nan_to_num(0.0) for piece in s.split(block_columns, 1)], 1)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "You forgot the mask: it hides the same scores in the backward pass as in the forward.", name="forgot-the-mask"
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "You aligned the mask with the first key; the queries are the last of the text, so query i sees the keys "
    "j <= i + M - N.",
    name="aligned-at-the-first-key",
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "A row that sees nothing became nan: its lse is -inf, as its scores are. Set p to 0 where the mask hides it, after "
    "the exponential.",
    name="masked-before-the-exponential",
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    s = q @ k.mT * scale
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    p = torch.exp(s - lse[:, None])
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.also_correct
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    q, k, v, o, lse, do = (part.double() for part in (q, k, v, o, lse, do))
    gradients = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
    for top in range(0, len(q), block_rows):
        i = torch.arange(top, min(top + block_rows, len(q)), device=q.device)
        for left in range(0, len(k), block_columns):
            j = torch.arange(left, min(left + block_columns, len(k)), device=q.device)
            see = j <= i[:, None] + len(k) - len(q) if causal else torch.ones(len(i), len(j), device=q.device) > 0
            if not see.any():
                continue
            s = torch.where(see, torch.einsum("id,jd->ij", q[i], k[j]) / math.sqrt(q.shape[1]), -math.inf)
            p = torch.where(see, (s - lse[i].clamp(min=-1e300).unsqueeze(1)).exp(), 0.0)
            dp = torch.einsum("ie,je->ij", do[i], v[j])
            ds = p * (dp - torch.einsum("ie,ie->i", do[i], o[i])[:, None]) / math.sqrt(q.shape[1])
            gradients[0].index_add_(0, i, ds @ k[j])
            gradients[1].index_add_(0, j, ds.t() @ q[i])
            gradients[2].index_add_(0, j, p.t() @ do[i])
    return gradients


# ---------------------------------------------------------------------------------------------- merge_partials


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "Which share of the whole row's sum of exponentials has one worker summed, by its lse?",
        "The whole row's lse is the logsumexp of the workers'. A worker's share is the exponential of a difference of "
        "two lse, so subtract before you take the exponential.",
        "The shares are (W, R) and o is (W, R, dv): the shares need a third axis, and the sum runs over the workers.",
        "Where all parts of a row are empty, the total is -inf: mind `-inf - -inf`, as in `online_update`.",
    ),
)
def merge_partials(o, lse):
    """Return the attention over all keys from the results of W workers, each of which saw a part of them.

    While a model writes there is one query and a long text, so the keys are split among workers
    (flash-decoding). Each worker returns what `flash_forward` returns for its own keys.

    * o (W, R, dv), lse (W, R): the workers' results; lse may be ±10000
    * returns: o (R, dv) and lse (R,) over all keys

    A worker that saw no key of a row has o = 0 and lse = -inf there. If no worker saw any, the
    result is o = 0 and lse = -inf.
    """
    ### BEGIN SOLUTION
    total = lse.logsumexp(0)
    share = torch.exp(lse - total.masked_fill(total == -math.inf, 0.0))  # (W, R)
    return (share[..., None] * o).sum(0), total
    ### END SOLUTION


merge_partials.equivalent(
    "share = torch.exp(lse - total.masked_fill(total == -math.inf, 1.0))  # (W, R)",
    "exp(-inf) is 0, whatever finite number is subtracted",
)


@merge_partials.test("weighs two parts by what they stand for", points=1)
def _(merge_partials):
    o = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=torch.float64)
    lse = torch.tensor([[math.log(6.0)], [math.log(2.0)]], dtype=torch.float64)
    found, total = merge_partials(o, lse)
    assert_close(found, torch.tensor([[0.75, 0.25]], dtype=torch.float64), rtol=1e-9, atol=1e-9, message="o")
    assert_close(total, torch.tensor([math.log(8.0)], dtype=torch.float64), rtol=1e-9, atol=1e-9, message="lse")


@merge_partials.hidden("gives attention over all keys, however they were split", points=2)
def _(merge_partials, rng):
    for rows, keys, width, size, cuts in (
        (3, 8, 4, 1.0, (3,)),
        (2, 9, 3, 3000.0, (1, 4, 4)),
        (5, 6, 2, 5.0, (2, 3, 4, 5)),
    ):
        scores = size * torch.randn(rows, keys, generator=rng, dtype=torch.float64)
        scores[0, : cuts[0]] = -math.inf
        scores[-1] = -math.inf
        v = torch.randn(keys, width, generator=rng, dtype=torch.float64)
        parts = list(zip(scores.tensor_split(cuts, 1), v.tensor_split(cuts), strict=True))
        o = torch.stack([piece.softmax(1).nan_to_num(0.0) @ value for piece, value in parts])
        lse = torch.stack([piece.logsumexp(1) for piece, _ in parts])
        found, total = merge_partials(o, lse)
        what = f"{keys} keys in {len(parts)} parts, scores near {size:g}: "
        assert_close(found, scores.softmax(1).nan_to_num(0.0) @ v, rtol=1e-9, atol=1e-9, message=what + "o")
        assert_close(total, scores.logsumexp(1), rtol=1e-9, atol=1e-9, message=what + "lse")


@merge_partials.misconception(
    "You took the plain mean; a part with larger scores stands for more, by exp(lse).", name="plain-mean"
)
def _(o, lse):
    return o.mean(0), lse.logsumexp(0)


@merge_partials.misconception(
    "You did not normalise: the weights exp(lse - maximum) have to be divided by their sum, or subtract the logsumexp.",
    name="not-normalised",
)
def _(o, lse):
    top = lse.amax(0)
    share = torch.exp(lse - top.masked_fill(top == -math.inf, 0.0))
    return (share[..., None] * o).sum(0), lse.logsumexp(0)


@merge_partials.misconception(
    "exp(lse) overflowed: exp(3000) is infinite. Subtract the total (or the maximum) before the exponential.",
    name="exponential-overflowed",
)
def _(o, lse):
    weight = torch.exp(lse)
    total = weight.sum(0)
    return (weight[..., None] * o).sum(0) / total.masked_fill(total == 0, 1.0)[:, None], total.log()


@merge_partials.misconception(
    "You weighted the parts by lse itself; it is a logarithm, and the weight is exp(lse).", name="weighted-by-lse"
)
def _(o, lse):
    return (lse[..., None] * o).sum(0) / lse.sum(0)[:, None], lse.logsumexp(0)


@merge_partials.misconception(
    "You added the parts' lse; the sums add up, not their logarithms: use logsumexp.", name="added-lse"
)
def _(o, lse):
    total = lse.logsumexp(0)
    share = torch.exp(lse - total.masked_fill(total == -math.inf, 0.0))
    return (share[..., None] * o).sum(0), lse.sum(0)


@merge_partials.misconception(
    "Your lse is the maximum of the parts'; the sum of all exponentials is larger than any.", name="maximum-lse"
)
def _(o, lse):
    total = lse.logsumexp(0)
    share = torch.exp(lse - total.masked_fill(total == -math.inf, 0.0))
    return (share[..., None] * o).sum(0), lse.amax(0)


@merge_partials.misconception(
    "A row in which no part saw anything became nan: its total is -inf, and -inf - -inf is nan. Subtract 0 there.",
    name="inf-minus-inf",
)
def _(o, lse):
    return (lse.softmax(0)[..., None] * o).sum(0), lse.logsumexp(0)


@merge_partials.also_correct
def _(o, lse):
    found, total = o[0], lse[0]
    for part, more in zip(o[1:], lse[1:], strict=True):
        both = torch.logaddexp(total, more)
        safe = both.clamp(min=-1e30)
        found = found * torch.exp(total - safe)[:, None] + part * torch.exp(more - safe)[:, None]
        total = both
    return found, total


@merge_partials.also_correct
def _(o, lse):
    share = torch.nan_to_num(torch.softmax(lse.double(), 0))
    return torch.einsum("sr,srd->rd", share, o.double()).to(o.dtype), torch.logsumexp(lse, dim=0)


# -------------------------------------------------------------------------------------------------- hbm_floats


@exercise(
    points=3,
    minutes=12,
    importance=2,
    kind="derive",
    hints=(
        "How often does each number of q, k, v and o cross in tiled attention? Two of the four cross once.",
        "Standard attention: list the inputs and the output of each of the three kernels, and add up their sizes.",
        "Tiled attention: all of k and v cross once for each block of q, also for the last and smaller one. How many "
        "blocks of q are there?",
        "Blocks are whole: `-(-length // block)` rounds up.",
    ),
)
def hbm_floats(length, width, sram):
    """Return how many numbers cross between slow and fast memory in standard and in tiled attention.

    Standard attention runs three kernels: S = q kᵀ / √d, P = softmax(S), o = P v. Each reads its
    inputs and writes its output once. In tiled attention a block has as many rows as fit four
    times into the fast memory, between 1 and `length`. Each block of q is read once and all of k
    and v stream past it; o and one lse for each row are written once.

    * length, width: q, k, v and o are (length, width)
    * sram: size of the fast memory, in numbers
    * returns: (standard, tiled), two ints
    """
    ### BEGIN SOLUTION
    matrix, scores = length * width, length * length
    standard = (2 * matrix + scores) + 2 * scores + (scores + 2 * matrix)
    block = max(1, min(length, sram // (4 * width)))
    tiled = matrix + math.ceil(length / block) * 2 * matrix + matrix + length
    return standard, tiled
    ### END SOLUTION


@hbm_floats.test("counts a small case right", points=1)
def _(hbm_floats):
    standard, tiled = hbm_floats(10, 2, 16)
    assert standard == 480, f"10 tokens of width 2: 40 + 100, 100 + 100, 100 + 40 = 480 numbers, got {standard}"
    assert tiled == 250, f"5 blocks: 20 of q, 5 · 40 of k and v, 20 of o, 10 of lse = 250 numbers, got {tiled}"


@hbm_floats.hidden("counts every size, from one block for all to one row a block", points=2)
def _(hbm_floats):
    known = [
        ((4096, 64, 8192), (68_157_440, 67_637_248)),
        ((4096, 64, 65536), (68_157_440, 8_916_992)),
        ((1024, 64, 100_000), (4_456_448, 525_312)),
        ((100, 3, 100), (41_200, 8_500)),
        ((100, 3, 1200), (41_200, 1_300)),
        ((100, 3, 1_000_000), (41_200, 1_300)),
        ((50, 7, 20), (11_400, 35_750)),
        ((1, 1, 1), (8, 5)),
    ]
    for sizes, expected in known:
        found = tuple(hbm_floats(*sizes))
        what = "length {}, width {} and a fast memory of {}".format(*sizes)
        assert found == expected, f"{what} give {expected}, got {found}"


@hbm_floats.misconception(
    "You counted S and P once each; each is written by one kernel and read again by the next: four times N² in all.",
    name="s-and-p-once-each",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 2 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You counted S alone, written and read; P = softmax(S) is written and read as well.", name="left-out-p"
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 3 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You read k and v once; the fast memory cannot keep them, so they stream past again for each block of q.",
    name="k-and-v-once",
)
def _(length, width, sram):
    return 4 * length * width + 4 * length * length, 4 * length * width + length


@hbm_floats.misconception(
    "You counted bytes; the answer is in numbers, whatever their precision.", name="counted-bytes"
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * (4 * length * width + 4 * length * length), 4 * (2 * length * width * (1 + blocks) + length)


@hbm_floats.misconception(
    "You read `sram` as bytes and divided by 4 once more; it is in numbers. A block has ⌊sram / (4 width)⌋ rows.",
    name="sram-in-bytes",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (16 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You filled the fast memory with one block; four have to fit, of q, k, v and o: ⌊sram / (4 width)⌋ rows each.",
    name="one-block-fills-the-memory",
)
def _(length, width, sram):
    block = max(1, min(length, sram // width))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.misconception(
    "You counted a smaller block as a fraction; all of k and v stream past the last block as well.",
    name="fraction-of-a-block",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    return 4 * length * width + 4 * length * length, int(2 * length * width * (1 + length / block) + length)


@hbm_floats.misconception(
    "You forgot lse: one number for each row is written, for the backward pass.", name="forgot-lse"
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks)


@hbm_floats.misconception(
    "You wrote o again for each block of keys, as the first FlashAttention did; here a block of q stays until its rows "
    "are done, and o is written once.",
    name="o-again-for-each-block",
)
def _(length, width, sram):
    block = max(1, min(length, sram // (4 * width)))
    blocks = -(-length // block)
    return 4 * length * width + 4 * length * length, length * width * (1 + 3 * blocks) + length


@hbm_floats.misconception(
    "Your blocks have 0 rows where the fast memory is small, or more rows than there are: between 1 and `length`.",
    name="block-sizes-unbounded",
)
def _(length, width, sram):
    blocks = -(-length // (sram // (4 * width)))
    return 4 * length * width + 4 * length * length, 2 * length * width * (1 + blocks) + length


@hbm_floats.also_correct
def _(length, width, sram):
    block = sorted((1, sram // (4 * width), length))[1]
    tiled = 0
    for top in range(0, length, block):
        rows = min(block, length - top)
        tiled += rows * width + 2 * length * width + rows * width + rows
    return 4 * length * (width + length), tiled


@hbm_floats.also_correct
def _(length, width, sram):
    block = min(max(sram // width // 4, 1), length)
    blocks = (length + block - 1) // block
    return sum((3 * length * width, 4 * length**2, length * width)), length * (2 * width * (blocks + 1) + 1)
