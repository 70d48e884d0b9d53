import math

import torch
from studium import assert_close, at_most_mb, exercise


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "How do you get the normalised probabilities of one tile if you know the logsumexp of the whole row?",
        "The gradient of a softmax needs a sum over the whole row. The derivation above turns that sum into one number "
        "for each row, which you can compute without any tile: the sum of do times o.",
        "A tile adds to three results: dq (rows, d) gets the scores' gradient times k, dk (columns, d) its transpose "
        "times q, and dv (columns, dv) the transposed probabilities times do. Both dq and dk include the scale.",
        "A row with lse = -inf gives nan in `torch.exp(s - lse[:, None])`: set whatever the mask hides to 0 "
        "afterwards, with `masked_fill`.",
    ),
)
def flash_backward(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    """Return the gradients of attention, computed tile by tile from what the forward pass kept.

    The forward pass threw the probabilities away: compute each tile of them again from lse.

    * q (N, d), k (M, d), v (M, dv), o (N, dv), lse (N,): inputs and results of `flash_forward`
    * do (N, dv): the gradient of a loss with respect to o
    * block_rows, block_columns, causal: as for `flash_forward`
    * returns: (dq, dk, dv), shaped like q, k, v

    A row that sees no key gives and gets no gradient. No tensor that you make may be larger than
    the largest argument and one tile, and a tile that the mask hides completely is not read.
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
        q, k, v, o, do = (torch.randn(8448, 8, generator=rng) for _ in range(5))
        lse = torch.full((8448,), 5.0)
        why = "no scores, probabilities, gradients of them or mask larger than a tile may exist"
        with at_most_mb(32, why):  # a mask has 68 MB
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
    "You computed every tile, or the whole matrix; skip the tiles that the mask hides completely, in the backward pass "
    "as in the forward. (0 · nan is nan, so the test can tell what was read.)",
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
    "You left out D = Σ do · o: the probabilities of a row sum to 1, so raising one score lowers the others, and ds = "
    "p · (do vᵀ - D).",
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
    "You left the scale out of dq and dk: the scores are q kᵀ / √d, so both gradients need the factor 1/√d.",
    name="left-out-the-scale",
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    p = torch.exp(q @ k.mT * q.shape[1] ** -0.5 - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True))
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "Your dq includes the scale 1/√d, but your dk does not: both come from q kᵀ / √d.", name="dk-without-the-scale"
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True))
    return ds @ k * scale, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "Your dk includes the scale 1/√d, but your dq does not: both come from q kᵀ / √d.", name="dq-without-the-scale"
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    if causal:
        p = p.masked_fill(torch.ones_like(p, dtype=torch.bool).triu(len(k) - len(q) + 1), 0.0)
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True))
    return ds @ k, ds.mT @ q * scale, p.mT @ do


@flash_backward.misconception(
    "You used exp(score - maximum) as the probability, which is not normalised; use exp(score - lse).",
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
    "You took the softmax of each tile by itself, but a tile does not know the sum of its row. Use lse, which was kept "
    "for this: p = exp(score - lse).",
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
    "You forgot the mask: it hides the same scores in the backward pass as in the forward pass.", name="forgot-the-mask"
)
def _(q, k, v, o, lse, do, block_rows, block_columns, causal=False):
    scale = q.shape[1] ** -0.5
    p = torch.exp(q @ k.mT * scale - lse[:, None])
    ds = p * (do @ v.mT - (do * o).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ do


@flash_backward.misconception(
    "You aligned the mask with the first key; the queries are the last tokens of the text, so query i sees the keys j "
    "<= i + M - N.",
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
    "A row that sees no key became nan, because both its lse and its scores are -inf. Set p to 0 where the mask hides "
    "it, after the exponential.",
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
