import math

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise


@exercise(
    points=6,
    minutes=20,
    importance=3,
    hints=(
        "A group has H / G query heads and one head of keys. How can one matrix product serve all of them?",
        "Do not bring the keys to the queries; bring the queries to the keys. The query heads of a group are "
        "neighbours, so all queries of a group can form the rows of one matrix.",
        "The queries become (B, G, H/G · Tq, d), the scores (B, G, H/G · Tq, Tk), which contain the numbers of (B, H, "
        "Tq, Tk) in the right order. Query t has position Tk - Tq + t.",
        "`q.reshape(B, G, -1, d) @ k.mT` makes no copy of the keys, and `triu(Tk - Tq + 1)` is the mask. "
        "`q.unflatten(1, (G, -1)) @ k[:, :, None].mT` does copy them, because `@` expands its batch axes and makes "
        "them contiguous.",
    ),
)
def gqa(q, k, v, causal):
    """Return the attention of H query heads that share G heads of keys and values, without copying them.

    Query head h uses key and value head h // (H / G). Scores are q · k / √d. Gradients have to reach
    q, k and v.

    * q (B, H, Tq, d), k and v (B, G, Tk, d): H is a multiple of G; they stay as they are
    * causal: if true, the queries are the last Tq of Tk positions, and query t sees keys 0 to Tk - Tq + t; else all
    * returns: (B, H, Tq, d)

    While decoding (Tq = 1), no tensor that you make may be as large as a separate copy of the keys for
    every query head would be, B · H · Tk · d numbers.
    """
    ### BEGIN SOLUTION
    (batch, heads, length, size), (groups, seen) = q.shape, k.shape[1:3]
    scores = q.reshape(batch, groups, -1, size) @ k.mT / math.sqrt(size)  # (B, G, H/G · Tq, Tk)
    scores = scores.view(batch, heads, length, seen)
    if causal:
        ahead = torch.ones(length, seen, dtype=torch.bool, device=q.device).triu(seen - length + 1)
        scores = scores.masked_fill(ahead, -math.inf)
    mixed = scores.softmax(-1).view(batch, groups, -1, seen) @ v  # (B, G, H/G · Tq, d)
    return mixed.view(batch, heads, length, size)
    ### END SOLUTION


gqa.equivalent("scores = scores.view(heads, batch, length, seen)", "the mask is the same for all of them, in any order")


@gqa.test("is ordinary attention where every query head has its own keys", points=1)
def _(gqa, rng):
    q, k, v = torch.randn(3, 2, 3, 5, 4, generator=rng, dtype=torch.float64)
    expected = F.scaled_dot_product_attention(q, k, v)
    assert_close(gqa(q, k, v, False), expected, rtol=1e-6, atol=1e-6, message="with G = H = 3")


@gqa.hidden("lets query head h look at keys and values h // (H / G), all of them", points=2)
def _(gqa, rng):
    for batch, heads, groups, queries, keys, size in (
        (3, 6, 2, 4, 7, 5),
        (2, 6, 2, 4, 4, 5),
        (1, 8, 4, 3, 7, 2),
        (3, 4, 1, 5, 2, 3),
        (2, 6, 3, 1, 6, 4),
        (1, 5, 5, 2, 3, 6),
    ):
        q = 2 * torch.randn(batch, heads, queries, size, generator=rng, dtype=torch.float64)
        k, v = torch.randn(2, batch, groups, keys, size, generator=rng, dtype=torch.float64)
        kept = q.clone(), k.clone(), v.clone()
        own = [head * groups // heads for head in range(heads)]
        expected = F.scaled_dot_product_attention(q, k[:, own], v[:, own])
        what = f"with B={batch}, H={heads}, G={groups}, Tq={queries}, Tk={keys}, d={size}"
        assert_close(gqa(q, k, v, False), expected, rtol=1e-6, atol=1e-6, message=what)
        assert all(map(torch.equal, kept, (q, k, v))), "the arguments must stay as they are"
    parts = [part.requires_grad_() for part in (q, k, v)]
    out = gqa(*parts, False)
    assert out.requires_grad, "gradients must reach q, k and v: the lesson trains a model through this function"
    weight = torch.randn(out.shape, generator=rng, dtype=torch.float64)
    wanted = torch.autograd.grad(F.scaled_dot_product_attention(q, k[:, own], v[:, own]), parts, weight)
    for name, gradient, right in zip("qkv", torch.autograd.grad(out, parts, weight), wanted, strict=True):
        assert_close(gradient, right, rtol=1e-6, atol=1e-6, message=f"the gradient of {name}")


@gqa.hidden("is causal, with the queries at the end of the keys", points=2)
def _(gqa, rng):
    for heads, groups, queries, keys in (
        (6, 3, 5, 7),
        (4, 2, 6, 6),
        (6, 3, 2, 5),
        (6, 2, 4, 7),
        (4, 1, 1, 6),
        (8, 2, 3, 3),
    ):
        whole = torch.randn(2, heads, keys, 4, generator=rng, dtype=torch.float64)
        k, v = torch.randn(2, 2, groups, keys, 4, generator=rng, dtype=torch.float64)
        own = [head * groups // heads for head in range(heads)]
        expected = F.scaled_dot_product_attention(whole, k[:, own], v[:, own], is_causal=True)[:, :, -queries:]
        found = gqa(whole[:, :, -queries:], k, v, True)
        what = f"with H={heads}, G={groups}, the last {queries} of {keys} positions"
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)


@gqa.hidden("makes no copy of the keys for each query head", points=1)
def _(gqa, rng):
    for heads, groups, keys in ((64, 2, 4096), (32, 1, 8192)):  # keys of 4 MB; of 128 MB for all query heads
        q = torch.randn(1, heads, 1, 64, generator=rng, dtype=torch.float64)
        k, v = torch.randn(2, 1, groups, keys, 64, generator=rng, dtype=torch.float64)
        why = (
            f"with H={heads}, G={groups}, Tk={keys}, do not repeat keys or values for every query head, and mind that "
            "`@` copies what it broadcasts"
        )
        with at_most_mb(48, why):
            found = gqa(q, k, v, True)
        scores = q.view(1, groups, -1, 64) @ k.mT / 8  # a group's heads as rows
        assert_close(found, (scores.softmax(-1) @ v).view(q.shape), rtol=1e-6, atol=1e-6)


@gqa.misconception(
    "You gave query head h the keys of head h % G, as `repeat` or an `unflatten(1, (-1, G))` does; use head h // (H / "
    "G), because the heads of a group are neighbours.",
    name="order-of-repeat",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat(1, repeats, 1, 1).mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat(1, repeats, 1, 1)


@gqa.misconception(
    "You chose the keys by h // (H / G) but the values by h % G; a query head takes both from the same shared head.",
    name="values-in-another-order",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat(1, repeats, 1, 1)


@gqa.misconception(
    "You averaged the queries of a group; keep one for each head. A group shares keys and values, but each of its "
    "heads has its own query and attends where it needs to.",
    name="averaged-queries",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q.unflatten(1, (-1, repeats)).mean(2) @ k.mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return (scores.softmax(-1) @ v).repeat_interleave(repeats, 1)


@gqa.misconception(
    "You gave all query heads the first head of keys and values, which is multi-query attention, G = 1. Give each "
    "group its own head.",
    name="first-head-for-all",
)
def _(q, k, v, causal):
    length, seen = q.shape[2], k.shape[2]
    scores = q @ k[:, :1].mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v[:, :1]


@gqa.misconception(
    "You scaled by √(H · d), the model's width; divide by √d, because a head's dot products have d terms.",
    name="scaled-by-the-model-width",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT / math.sqrt(q.shape[1] * q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat_interleave(repeats, 1)


@gqa.misconception("You did not scale the scores; divide them by √d before the softmax.", name="left-out-the-scale")
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat_interleave(repeats, 1)


@gqa.misconception(
    "Your mask starts at the upper left, so query 0 sees only key 0, as with `is_causal=True`. The queries are the "
    "last positions, so query 0 also sees the Tk - Tq keys before it.",
    name="mask-at-the-upper-left",
)
def _(q, k, v, causal):
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


@gqa.misconception(
    "You applied no mask: with `causal`, query t sees only keys 0 to Tk - Tq + t.",
    name="masked-nothing",
)
def _(q, k, v, causal):
    repeats = q.shape[1] // k.shape[1]
    return F.scaled_dot_product_attention(q, k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1))


@gqa.misconception(
    "Your mask hides the query's own position; each query sees itself too: `triu(Tk - Tq + 1)`.", name="masked-itself"
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length), -math.inf)
    return scores.softmax(-1) @ v.repeat_interleave(repeats, 1)


@gqa.also_correct
def _(q, k, v, causal):
    length, seen = q.shape[2], k.shape[2]
    mask = torch.ones(length, seen, dtype=torch.bool, device=q.device).tril(seen - length) if causal else None
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


@gqa.also_correct
def _(q, k, v, causal):
    length, seen = q.shape[2], k.shape[2]
    scores = torch.einsum("bgrqd,bgkd->bgrqk", q.unflatten(1, (k.shape[1], -1)), k) * q.shape[-1] ** -0.5
    if causal:
        position = torch.arange(seen - length, seen, device=q.device)
        hidden = torch.arange(seen, device=q.device) > position[:, None]
        scores = scores + torch.zeros_like(scores).masked_fill(hidden, -math.inf)
    return torch.einsum("bgrqk,bgkd->bgrqd", scores.softmax(-1), v).flatten(1, 2)


@gqa.also_correct
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    out = torch.empty_like(q)
    for head in range(q.shape[1]):
        scores = q[:, head] @ k[:, head // repeats].mT / math.sqrt(q.shape[-1])
        for t in range(length if causal else 0):
            scores[:, t, seen - length + t + 1 :] = -math.inf
        out[:, head] = scores.softmax(-1) @ v[:, head // repeats]
    return out
