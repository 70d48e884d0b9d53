import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    level="stretch",
    importance=1,
    kind="find the bug",
    shows="reads-its-own-block",
    hints=(
        "Take c = 4 and the query at position 5. Which blocks does the code let it see, and what do they contain?",
        "Block 1 begins at position 4, before the query, and ends at position 7, after it. Its summary contains "
        "tokens 6 and 7.",
        "sees_block is (n, n/c). Only the queries of later blocks may read a summary.",
        "Compare the number of the block with the number of the query's own block, `place // c`.",
    ),
)
def causal_summaries(q, k, v, e, f):
    """Return causal attention to one summary of each earlier block, and to the tokens of the query's own block.

    Query i sees the tokens of its own block up to i. One line of the code below is wrong.

    * q, k, v (B, H, n, d): n is a multiple of c
    * e, f (c,): the weights of a block's tokens in its summary, for keys and values
    * returns: (B, H, n, d), with no influence of later tokens
    """
    ### BEGIN SOLUTION
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n, device=q.device), torch.arange(n // c, device=q.device)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)  # (B, H, n/c + n, d)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    sees_block = block < place[:, None] // c
    sees_token = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([sees_block, sees_token], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    ### END SOLUTION


causal_summaries.equivalent(
    "place, block = torch.arange(n, device=q.device), torch.arange(n / c, device=q.device)", "n is a multiple of c"
)


@causal_summaries.test("gives the tokens of the first block causal attention, and keeps the future out", points=1)
def _(causal_summaries, rng):
    q, k, v = torch.randn(3, 2, 1, 6, 4, generator=rng, dtype=torch.float64)
    e, f = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    found = causal_summaries(q, k, v, e, f)
    first = (part[:, :, :3] for part in (q, k, v))
    expected = F.scaled_dot_product_attention(*first, is_causal=True)
    assert_close(found[:, :, :3], expected, rtol=1e-6, atol=1e-6, message="the first block, n = 6 and c = 3")
    others = [part.clone() for part in (k, v)]
    others[0][:, :, 5], others[1][:, :, 5] = 9.0, -9.0
    moved = float((causal_summaries(q, *others, e, f) - found)[:, :, :5].abs().max())
    assert moved == 0, f"token 5 was changed, and an earlier row of the result moved by {moved:.3g}"


@causal_summaries.hidden("attends to the summaries of all earlier blocks and to the own one token by token", points=2)
def _(causal_summaries, rng):
    for batch, heads, blocks, c, size in ((2, 3, 4, 3, 5), (1, 2, 3, 4, 2), (3, 1, 5, 2, 4), (1, 1, 4, 1, 3)):
        n = blocks * c
        q, k, v = torch.randn(3, batch, heads, n, size, generator=rng, dtype=torch.float64)
        e, f = torch.randn(2, c, generator=rng, dtype=torch.float64)
        expected = torch.zeros_like(q)
        for i in range(n):
            own = i // c
            past_k, past_v = (
                [sum(w[t] * x[:, :, b * c + t] for t in range(c)) for b in range(own)] for w, x in ((e, k), (f, v))
            )
            keys = torch.stack([*past_k, *k[:, :, own * c : i + 1].unbind(2)], 2)
            values = torch.stack([*past_v, *v[:, :, own * c : i + 1].unbind(2)], 2)
            expected[:, :, i : i + 1] = F.scaled_dot_product_attention(q[:, :, i : i + 1], keys, values)
        what = f"with q of shape {tuple(q.shape)} in blocks of {c}"
        assert_close(causal_summaries(q, k, v, e, f), expected, rtol=1e-6, atol=1e-6, message=what)


@causal_summaries.misconception(
    "A query still reads the summary of its own block, which contains tokens after the query. Let it read only the "
    "summaries of earlier blocks.",
    name="reads-its-own-block",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    sees_block = block * c <= place[:, None]
    sees_token = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([sees_block, sees_token], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.misconception(
    "The last query of a block reads that block's summary as well as its tokens. Nothing leaks, but the query's own "
    "block counts twice; read only earlier blocks as summaries.",
    name="counts-its-own-block-twice",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    own = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([(block + 1) * c - 1 <= place[:, None], own], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.misconception(
    "You left out the summary of the block just before the query's own block; include it, because all its tokens are "
    "in the past.",
    name="left-out-the-last-block",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    own = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([block + 1 < place[:, None] // c, own], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.misconception(
    "You removed all the summaries; keep those of earlier blocks, or attention misses everything before the query's "
    "own block.",
    name="removed-the-summaries",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place = torch.arange(n)
    own = (place // c == place[:, None] // c) & (place <= place[:, None])
    return F.scaled_dot_product_attention(q, k, v, attn_mask=own)


@causal_summaries.misconception(
    "You let a query see its whole block; mask the tokens after the query.",
    name="sees-its-whole-block",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    mask = torch.cat([block < place[:, None] // c, place // c == place[:, None] // c], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.also_correct
def _(q, k, v, e, f):
    c, rows = e.shape[0], []
    for i in range(q.shape[2]):
        start = i // c * c
        keys, values = k[:, :, start : i + 1], v[:, :, start : i + 1]
        if start:
            past = ((e, k), (f, v))
            old = [torch.einsum("t,bhctd->bhcd", w, x[:, :, :start].unflatten(2, (-1, c))) for w, x in past]
            keys, values = torch.cat([old[0], keys], 2), torch.cat([old[1], values], 2)
        scores = q[:, :, i : i + 1] @ keys.mT / math.sqrt(q.shape[-1])
        rows.append(scores.softmax(-1) @ values)
    return torch.cat(rows, 2)


@causal_summaries.also_correct
def _(q, k, v, e, f):
    n, c = q.shape[2], len(e)
    place = torch.arange(n, device=q.device)
    old_k, old_v = ((w[:, None] * x.unflatten(2, (-1, c))).sum(-2) for w, x in ((e, k), (f, v)))
    scores = torch.cat([q @ old_k.mT, q @ k.mT], -1) / q.shape[-1] ** 0.5
    ends = torch.arange(c - 1, n, c, device=q.device)
    seen = torch.cat([ends < (place - place % c)[:, None], (place >= (place - place % c)[:, None])], -1)
    seen[:, n // c :] &= place <= place[:, None]
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ torch.cat([old_v, v], 2)
