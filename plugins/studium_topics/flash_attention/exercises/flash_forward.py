import math

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise

from studium_topics.flash_attention.exercises.online_update import online_update


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "Which block stays in fast memory, and which blocks stream past it? The answer tells you the outer and the "
        "inner loop.",
        "Start each block of queries with the neutral state (-inf, 0, 0), feed it one block of keys after another with "
        "`online_update`, and divide once at the end.",
        "The mask uses positions in the whole text, not in the tile: score (i, j) is hidden where j > i + M - N. If "
        "the last query of the block does not see the first key of some block, it sees no later block either.",
        "`q[top : top + block_rows]` automatically gives a smaller last block. A row that saw no key has l = 0: divide "
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
        q, k, v = (torch.randn(8448, width, generator=rng) for width in (8, 8, 4))
        with at_most_mb(32, "no scores, probabilities or mask larger than a tile may exist"):  # a mask has 68 MB
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
    "You computed every tile and masked it; skip the tiles that the mask hides completely, which saves about half of "
    "the work in a long text. (0 · nan is nan, so the test can tell what was read.)",
    name="computed-hidden-tiles",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    lse = s.logsumexp(1)
    return torch.exp(s - lse.masked_fill(lse == -math.inf, 0.0)[:, None]) @ v, lse


@flash_forward.misconception(
    "You left out the scale; divide q kᵀ by √d, because otherwise the scores grow with the width of a head.",
    name="left-out-the-scale",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception("You divided the scores by d; divide by its square root, √d.", name="divided-by-d")
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / q.shape[1]
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "You never divided by l: acc is a sum of exp(score - m) · v, and acc / l turns it into a mean.",
    name="never-divided-by-l",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return torch.exp(s - s.amax(1, keepdim=True)).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "Your lse is only log l; add the maximum that was subtracted: lse = m + log l.", name="lse-without-the-maximum"
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(len(k) - len(q) + 1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, torch.log(torch.exp(s - s.amax(1, keepdim=True)).nan_to_num(0.0).sum(1))


@flash_forward.misconception(
    "You aligned the mask with the first key; the queries are the last tokens of the text, so query i sees the keys j "
    "<= i + M - N.",
    name="aligned-at-the-first-key",
)
def _(q, k, v, block_rows, block_columns, causal=False):
    s = q @ k.mT / math.sqrt(q.shape[1])
    if causal:
        s = s.masked_fill(torch.ones_like(s, dtype=torch.bool).triu(1), -math.inf)
    return s.softmax(1).nan_to_num(0.0) @ v, s.logsumexp(1)


@flash_forward.misconception(
    "You masked with a large negative number, so a row in which everything is hidden averages values that it must not "
    "see. Use -inf.",
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
    "You forgot the smaller tile at the end, when the sizes do not divide evenly: slices such as q[top : top + "
    "block_rows] handle it automatically if the loop runs to the end.",
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
    "You normalised each tile by itself and averaged. Tiles count in proportion to their exponentials: accumulate acc "
    "and l over all tiles, and divide once.",
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
