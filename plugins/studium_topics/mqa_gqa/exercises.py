"""Exercises: sharing keys and values without copying them, what that saves, and how a checkpoint gets there."""

import copy
import math

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise

from studium_topics.mqa_gqa.model import Sizes, grouped_lm

# --------------------------------------------------------------------------------------------------- repeat_kv


@exercise(
    points=2,
    minutes=5,
    level="warm-up",
    importance=2,
    hints=(
        "In which order do the copies of two heads have to follow each other, if neighbours share?",
        "Each head is followed by its own copies: g₀ g₀ g₀ g₁ g₁ g₁. One function of PyTorch repeats the whole row of "
        "heads, another one repeats each item in its place.",
        "The axis of heads is the second of (B, G, T, d).",
        "`x.repeat_interleave(repeats, axis)` repeats each item in its place.",
    ),
)
def repeat_kv(x, repeats):
    """Return keys (or values) in which every query head has its own copy of the head that it shares.

    Query head h shares head h // repeats of x.

    * x (B, G, T, d): the G heads of keys or values
    * repeats: how many query heads share each head, H / G
    * returns: (B, G · repeats, T, d)
    """
    ### BEGIN SOLUTION
    return x.repeat_interleave(repeats, 1)
    ### END SOLUTION


@repeat_kv.test("puts the copies of a head next to each other", points=1)
def _(repeat_kv):
    x = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    assert_close(repeat_kv(x, 3).flatten(), torch.tensor([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]))


@repeat_kv.hidden("gives query head h the head h // repeats, token by token", points=1)
def _(repeat_kv, rng):
    for batch, groups, length, size, repeats in ((2, 3, 4, 5, 2), (1, 4, 2, 3, 4), (3, 1, 5, 2, 3), (2, 5, 3, 4, 1)):
        x = torch.randn(batch, groups, length, size, generator=rng, dtype=torch.float64)
        expected = torch.stack([x[:, head // repeats] for head in range(groups * repeats)], 1)
        what = f"for x of shape {tuple(x.shape)} and repeats={repeats}"
        assert_close(repeat_kv(x, repeats), expected, message=what)


@repeat_kv.misconception(
    "You put the whole row of heads again behind itself, g₀ g₁ g₀ g₁, as `repeat` does. Query head h shares head "
    "h // repeats, so the copies of one head are next to each other. This is the classic mistake of this field: every "
    "shape is right, and with one head, or with repeats=1, so is the result.",
    name="order-of-repeat",
)
def _(x, repeats):
    return x.repeat(1, repeats, 1, 1)


@repeat_kv.misconception(
    "You repeated the tokens of each head and cut the result into heads; repeat along the axis of heads, the second.",
    name="repeated-tokens-cut-into-heads",
)
def _(x, repeats):
    return x.repeat_interleave(repeats, 2).reshape(x.shape[0], -1, *x.shape[2:])


@repeat_kv.misconception("You repeated the tokens, the third axis; the heads are the second.", name="repeated-tokens")
def _(x, repeats):
    return x.repeat_interleave(repeats, 2)


@repeat_kv.misconception(
    "You repeated the texts of the batch, the first axis; the heads are the second.", name="repeated-texts"
)
def _(x, repeats):
    return x.repeat_interleave(repeats, 0)


@repeat_kv.misconception(
    "You named no axis, so that `repeat_interleave` flattened everything; give it the second.", name="named-no-axis"
)
def _(x, repeats):
    return x.repeat_interleave(repeats)


@repeat_kv.also_correct
def _(x, repeats):
    return x[:, :, None].expand(-1, -1, repeats, -1, -1).flatten(1, 2)


@repeat_kv.also_correct
def _(x, repeats):
    return x[:, torch.arange(x.shape[1] * repeats, device=x.device) // repeats]


# --------------------------------------------------------------------------------------------------------- gqa


@exercise(
    points=6,
    minutes=20,
    importance=3,
    hints=(
        "A group has H / G query heads and one head of keys. How can one matrix product serve all of them?",
        "Do not bring the keys to the queries; bring the queries to the keys. The query heads of a group are "
        "neighbours, so all queries of a group can be the rows of one matrix.",
        "The queries become (B, G, H/G · Tq, d), the scores (B, G, H/G · Tq, Tk), which are the numbers of "
        "(B, H, Tq, Tk) in the right order. Query t has position Tk - Tq + t.",
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

    While decoding (Tq = 1) no tensor that you make may be as large as keys of their own for every
    query head, B · H · Tk · d numbers.
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
    "You gave query head h the keys of head h % G, as `repeat` or an `unflatten(1, (-1, G))` does; heads of one group "
    "are neighbours, so it is h // (H / G).",
    name="order-of-repeat",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat(1, repeats, 1, 1).mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat(1, repeats, 1, 1)


@gqa.misconception(
    "You chose the keys by h // (H / G) and the values by h % G; a head takes both from the same shared head.",
    name="values-in-another-order",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat(1, repeats, 1, 1)


@gqa.misconception(
    "You averaged the queries of a group. A group shares keys and values; each of its heads keeps a query of its own, "
    "and attends where it needs to.",
    name="averaged-queries",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q.unflatten(1, (-1, repeats)).mean(2) @ k.mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return (scores.softmax(-1) @ v).repeat_interleave(repeats, 1)


@gqa.misconception(
    "You gave all query heads the first head of keys and values; that is multi-query attention, G = 1. Each group has "
    "its own.",
    name="first-head-for-all",
)
def _(q, k, v, causal):
    length, seen = q.shape[2], k.shape[2]
    scores = q @ k[:, :1].mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v[:, :1]


@gqa.misconception(
    "You scaled by √(H · d), the model's width; a head's dot products have d terms, so its scores are divided by √d.",
    name="scaled-by-the-model-width",
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT / math.sqrt(q.shape[1] * q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat_interleave(repeats, 1)


@gqa.misconception(
    "You did not scale the scores; they are divided by √d before the softmax.", name="left-out-the-scale"
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat_interleave(repeats, 1)


@gqa.misconception(
    "Your mask starts at the upper left: query 0 sees key 0 alone, as `is_causal=True` has it. The queries are the "
    "last positions, so query 0 already sees Tk - Tq keys before it.",
    name="mask-at-the-upper-left",
)
def _(q, k, v, causal):
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


@gqa.misconception(
    "You masked nothing: with `causal`, query t sees keys 0 up to Tk - Tq + t and none after that.",
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


# -------------------------------------------------------------------------------------------- decode_intensity


@exercise(
    points=3,
    minutes=8,
    importance=3,
    kind="derive",
    hints=(
        "What is read once for a whole group, and what is done once for every query head?",
        "Each query head multiplies its query with T keys of d numbers, and its T weights with T values of d numbers. "
        "Each shared head is read once, keys and values.",
        "Queries and results are one vector of d numbers for each query head, read or written once. Which of batch and "
        "head_dim cancel?",
        "Without the queries and results it would be `2 * heads / (number_bytes * groups)`.",
    ),
)
def decode_intensity(batch, tokens, heads, groups, head_dim, number_bytes):
    """Return the arithmetic intensity of attention when one token is decoded: operations for each byte moved.

    Count the two products (query with keys, weights with values) at 2 operations for each
    multiplication with its addition, and nothing for the softmax. Count as moved each key and value
    once, each query and each result once.

    * batch, tokens: texts, and keys of each, the newest one included
    * heads, groups: query heads, and heads of keys and values
    * head_dim, number_bytes: numbers of a head, and bytes of a number (2 in bfloat16)
    * returns: a float
    """
    ### BEGIN SOLUTION
    return 2 * heads * tokens / (number_bytes * (groups * tokens + heads))
    ### END SOLUTION


@decode_intensity.test("is half an operation a byte for one key of two bytes", points=1)
def _(decode_intensity):
    assert_close(decode_intensity(1, 1, 1, 1, 1, 2), 0.5, message="4 operations; query, key, value and result are read")


@decode_intensity.hidden("counts operations for every query head, and bytes for every shared head", points=2)
def _(decode_intensity):
    for batch, tokens, heads, groups, size, each in (
        (3, 7, 6, 2, 5, 4),
        (1, 100, 8, 8, 16, 2),
        (4, 100, 8, 2, 16, 2),
        (3, 7, 6, 1, 5, 4),
        (2, 50, 32, 8, 128, 1),
        (16, 8192, 64, 8, 128, 2),
    ):
        operations = 2 * (batch * heads * tokens * size) + 2 * (batch * heads * tokens * size)
        moved = each * (2 * batch * groups * tokens * size + 2 * batch * heads * size)
        what = f"with batch={batch}, tokens={tokens}, heads={heads}, groups={groups}, head_dim={size}, {each} bytes"
        assert_close(
            decode_intensity(batch, tokens, heads, groups, size, each), operations / moved, rtol=1e-9, message=what
        )


@decode_intensity.misconception(
    "You read the keys and values again for every query head; the heads of a group share one reading, and that is the "
    "whole point.",
    name="read-for-every-query-head",
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 2 * heads * tokens / (number_bytes * (heads * tokens + heads))


@decode_intensity.misconception("You counted the bytes of the keys alone; the values are read too.", name="keys-alone")
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 4 * heads * tokens / (number_bytes * (groups * tokens + 2 * heads))


@decode_intensity.misconception(
    "You let the batch share keys and values, as it shares the weights of a layer; every text has a cache of its own, "
    "so the batch cancels.",
    name="batch-shares-the-cache",
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 2 * batch * heads * tokens / (number_bytes * (groups * tokens + batch * heads))


@decode_intensity.misconception(
    "You counted a multiplication with its addition as one operation; peak figures of accelerators count two.",
    name="one-operation",
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return heads * tokens / (number_bytes * (groups * tokens + heads))


@decode_intensity.misconception(
    "You left out that the queries are read and the results written: 2 · H · d numbers.",
    name="left-out-queries-and-results",
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 2 * heads / (number_bytes * groups)


@decode_intensity.misconception(
    "You counted the operations of the shared heads alone; every query head multiplies with all keys and values.",
    name="operations-of-shared-heads",
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 2 * groups * tokens / (number_bytes * (groups * tokens + heads))


@decode_intensity.also_correct
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    operations = sum(2 * tokens * head_dim * 2 for _ in range(batch * heads))
    numbers = 2 * batch * head_dim * (groups * tokens + heads)
    return operations / (numbers * number_bytes)


# --------------------------------------------------------------------------------------------- groups_that_fit


@exercise(
    points=3,
    minutes=8,
    importance=1,
    hints=(
        "How many bytes does one shared head cost, in all layers and for all texts?",
        "A head keeps keys and values, in every layer, for every token of every text.",
        "The number of heads has to divide the number of query heads. Try its divisors from the largest down.",
        "`max(…, default=0)` is 0 where nothing fits.",
    ),
)
def groups_that_fit(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    """Return the most key and value heads that a cache has room for.

    This is the largest divisor G of `heads` whose keys and values take at most `memory` bytes, or 0
    if there is none.

    * heads: query heads
    * memory: bytes for the cache
    * layers, head_dim, number_bytes: of the model; every layer keeps keys and values
    * tokens, batch: tokens of each text, and texts
    * returns: an int
    """
    ### BEGIN SOLUTION
    one = 2 * layers * head_dim * tokens * batch * number_bytes
    return max((groups for groups in range(1, heads + 1) if heads % groups == 0 and groups * one <= memory), default=0)
    ### END SOLUTION


groups_that_fit.equivalent(
    "return max((groups for groups in range(1, heads + 2) if heads % groups == 0 and groups * one <= memory), "
    "default=0)",
    "no number divides a smaller one",
)


@groups_that_fit.test("finds room for 2 of 6 heads", points=1)
def _(groups_that_fit):
    found = groups_that_fit(6, 1900, 1, 8, 10, 1, 4)
    assert found == 2, (
        f"a head takes 640 bytes, so that 3 would need 1920, and 2 fit into 1900: expected 2, got {found}"
    )


@groups_that_fit.hidden("gives the largest divisor whose keys and values fit", points=2)
def _(groups_that_fit):
    for heads, memory, layers, size, tokens, batch, each, expected in (
        (96, 9 * 3 * 128 * 100 * 5 * 2, 3, 128, 100, 5, 2, 4),
        (32, 40 * 10**9, 32, 128, 8192, 16, 2, 16),
        (64, 10**11, 80, 128, 8192, 32, 2, 8),
        (12, 2 * 5 * 3 * 4 * 7 * 2 * 2, 3, 4, 7, 2, 2, 4),
        (12, 2 * 6 * 3 * 4 * 7 * 2 * 2, 3, 4, 7, 2, 2, 6),
        (12, 2 * 6 * 3 * 4 * 7 * 2 * 2 - 1, 3, 4, 7, 2, 2, 4),
        (8, 10**12, 2, 4, 5, 3, 4, 8),
        (8, 100, 2, 4, 5, 3, 4, 0),
        (7, 2 * 6 * 2 * 4 * 5 * 3 * 1, 2, 4, 5, 3, 1, 1),
        (9, 2 * 3 * 5 * 6 * 2 * 7 * 8, 5, 6, 2, 7, 8, 3),
    ):
        found = groups_that_fit(heads, memory, layers, size, tokens, batch, each)
        assert found == expected, (
            f"with {heads} query heads, {memory} bytes, {layers} layers, head_dim={size}, {tokens} tokens, "
            f"batch={batch} and {each} bytes a number: expected {expected}, got {found!r}"
        )


@groups_that_fit.misconception(
    "You counted keys or values; the cache holds both, so a head costs twice that.", name="keys-or-values"
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = layers * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception(
    "You counted the cache of one layer; every layer keeps keys and values of its own.", name="one-layer"
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception(
    "You counted the cache of one text; each of the batch has a cache of its own.", name="one-text"
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * layers * head_dim * tokens * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception(
    "You gave as many heads as fit, whether they divide the query heads or not; then groups would be of unequal size.",
    name="no-divisor",
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    return min(heads, memory // (2 * layers * head_dim * tokens * batch * number_bytes))


@groups_that_fit.misconception(
    "You left no room to the last byte: what takes exactly `memory` bytes fits.", name="strictly-less"
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * layers * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one < memory), default=0)


@groups_that_fit.misconception(
    "You gave 1 where not even one head fits; then there is no such G, and 0 says so.", name="at-least-one"
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * layers * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=1)


@groups_that_fit.also_correct
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    groups = min(heads, memory // (2 * layers * head_dim * tokens * batch * number_bytes))
    while groups and heads % groups:
        groups -= 1
    return groups


# -------------------------------------------------------------------------------------------------- pool_heads


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "Which rows of the weight belong to one head, and which heads to one group?",
        "The rows of a projection are its outputs. The mean runs over the heads of a group, and over nothing else.",
        "Split the rows into (G, H/G, d). A bias has one number for each row, and is split in the same way.",
        "`weight.unflatten(0, (groups, heads // groups, -1))` is (G, H/G, d, D).",
    ),
)
def pool_heads(weight, bias, heads, groups):
    """Return a key (or value) projection in which the heads of each group are merged into their mean.

    Heads g · H / G to (g + 1) · H / G - 1 form group g. (Ainslie et al. 2023, section 2.1.)

    * weight (H · d, D), as in `nn.Linear`: head h has the rows h · d to (h + 1) · d - 1
    * bias (H · d,), or None
    * heads, groups: H and G, a divisor of it
    * returns: weight (G · d, D), and bias (G · d,) or None, in the dtype that they had
    """
    ### BEGIN SOLUTION
    pooled = weight.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    if bias is not None:
        bias = bias.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten()
    return pooled, bias
    ### END SOLUTION


@pool_heads.test("merges four heads of one row into the means of two neighbours each", points=1)
def _(pool_heads):
    weight, bias = pool_heads(torch.tensor([[1.0], [3.0], [10.0], [20.0]]), None, 4, 2)
    assert_close(weight, torch.tensor([[2.0], [15.0]]))
    assert bias is None, f"without a bias there is none to pool: expected None, got {bias!r}"


@pool_heads.hidden("gives each group the mean of its heads, row by row, and of their biases", points=1)
def _(pool_heads, rng):
    for heads, groups, size, width in ((6, 2, 4, 5), (8, 4, 3, 7), (4, 1, 2, 3), (6, 3, 5, 2)):
        weight = torch.randn(heads * size, width, generator=rng, dtype=torch.float64)
        bias = torch.randn(heads * size, generator=rng, dtype=torch.float64)
        kept = weight.clone(), bias.clone()
        members = heads // groups
        rows = [
            [(group * members + member) * size + row for member in range(members)]
            for group in range(groups)
            for row in range(size)
        ]
        found, found_bias = pool_heads(weight, bias, heads, groups)
        what = f"with {heads} heads in {groups} groups, d={size} and D={width}"
        expected = torch.stack([weight[row].mean(0) for row in rows])
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"the weight {what}")
        expected = torch.stack([bias[row].mean() for row in rows])
        assert_close(found_bias, expected, rtol=1e-6, atol=1e-6, message=f"the bias {what}")
        assert torch.equal(weight, kept[0]), "the weight that you are given must stay as it is"
        assert torch.equal(bias, kept[1]), "the bias that you are given must stay as it is"


@pool_heads.hidden("changes nothing where every head is its own group, and keeps the dtype", points=1)
def _(pool_heads, rng):
    for dtype in (torch.float64, torch.bfloat16):
        weight = torch.randn(6 * 3, 5, generator=rng).to(dtype)
        bias = torch.randn(6 * 3, generator=rng).to(dtype)
        found, found_bias = pool_heads(weight, bias, 6, 6)
        assert_close(found, weight, rtol=0, atol=0, message="with as many groups as heads")
        assert_close(found_bias, bias, rtol=0, atol=0, message="with as many groups as heads, the bias")
        half, half_bias = pool_heads(weight, bias, 6, 3)
        for name, tensor in (("weight", half), ("bias", half_bias)):
            assert tensor.dtype == dtype, f"the {name} came as {dtype} and has to stay that, got {tensor.dtype}"
        expected = weight.double().view(3, 2, 3, 5).mean(1).view(9, 5)
        assert_close(half.double(), expected, rtol=2e-2, atol=2e-2, message=f"3 groups of 2 heads in {dtype}")


@pool_heads.misconception(
    "You took the sum; scores and values would grow with the group. Pool by the mean.", name="sum-of-heads"
)
def _(weight, bias, heads, groups):
    shape = (groups, heads // groups, -1)
    pooled = weight.unflatten(0, shape).sum(1).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).sum(1).flatten()


@pool_heads.misconception(
    "You merged heads h with the same h % G; a group is neighbouring heads, h // (H / G).",
    name="order-of-repeat",
)
def _(weight, bias, heads, groups):
    shape = (heads // groups, groups, -1)
    pooled = weight.unflatten(0, shape).mean(0).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).mean(0).flatten()


@pool_heads.misconception(
    "You averaged neighbouring rows, which are coordinates of one head; coordinate i of a group is the "
    "mean of coordinate i of its heads.",
    name="averaged-coordinates",
)
def _(weight, bias, heads, groups):
    pooled = weight.unflatten(0, (-1, heads // groups)).mean(1)
    return pooled, None if bias is None else bias.unflatten(0, (-1, heads // groups)).mean(1)


@pool_heads.misconception(
    "You split the rows as (d, H), as if each head had a row of every block; head h has d rows together: "
    "`unflatten(0, (groups, heads // groups, -1))`.",
    name="split-as-d-by-h",
)
def _(weight, bias, heads, groups):
    shape = (-1, groups, heads // groups)
    pooled = weight.unflatten(0, shape).mean(2).transpose(0, 1).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).mean(2).T.flatten()


@pool_heads.misconception(
    "You took the first head of each group. That is a conversion too, and the paper found it worse than the mean.",
    name="first-head",
)
def _(weight, bias, heads, groups):
    shape = (groups, heads // groups, -1)
    pooled = weight.unflatten(0, shape)[:, 0].flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape)[:, 0].flatten()


@pool_heads.misconception(
    "You left the bias as it was; it belongs to the same rows, so it is pooled like them.", name="bias-unchanged"
)
def _(weight, bias, heads, groups):
    return weight.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1), bias


@pool_heads.misconception(
    "You dropped the bias; it is pooled like the rows that it belongs to.", name="dropped-the-bias"
)
def _(weight, bias, heads, groups):
    return weight.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1), None


@pool_heads.also_correct
def _(weight, bias, heads, groups):
    members = heads // groups
    mixing = torch.eye(groups, dtype=torch.float64, device=weight.device).repeat_interleave(members, 1) / members
    size = weight.shape[0] // heads
    pooled = torch.einsum("gh,hdw->gdw", mixing, weight.double().view(heads, size, -1)).reshape(groups * size, -1)
    if bias is not None:
        bias = (mixing @ bias.double().view(heads, size)).view(-1).to(bias.dtype)
    return pooled.to(weight.dtype), bias


@pool_heads.also_correct
def _(weight, bias, heads, groups):
    size = len(weight) // heads
    members = heads // groups
    blocks = weight.split(size)
    pooled = torch.cat([sum(blocks[g * members : (g + 1) * members]) / members for g in range(groups)])
    if bias is not None:
        parts = bias.split(size)
        bias = torch.cat([sum(parts[g * members : (g + 1) * members]) / members for g in range(groups)])
    return pooled, bias


# ------------------------------------------------------------------------------------------ convert_checkpoint


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "Which part of a parameter's name is the name of its module, and which part of that names the kind?",
        "The module is what is before the last dot. Compare the last part of its name as a whole: other names may end "
        "in the same letters.",
        "Start from a new dictionary with the same tensors, and replace weights and biases of two kinds of modules.",
        "`name.rpartition('.')` gives the module and the parameter, `module.split('.')[-1]` its last part.",
    ),
)
def convert_checkpoint(state, heads, groups):
    """Return the checkpoint of a multi-head model with `groups` key and value heads.

    Modules whose last part is `k_proj` or `v_proj`, anywhere in the model, are pooled by
    `pool_heads`; some have biases and some do not. All other entries stay as they are.

    * state: {name: tensor}, as in Llama's checkpoints; a name is the module's name, a dot, and `weight` or `bias`
    * heads, groups: before and after
    * returns: a new dictionary with the same names; `state` stays as it is
    """
    ### BEGIN SOLUTION
    converted = dict(state)
    for module in {name.rpartition(".")[0] for name in state}:
        if module.split(".")[-1] in ("k_proj", "v_proj"):
            weight, bias = pool_heads(state[f"{module}.weight"], state.get(f"{module}.bias"), heads, groups)
            converted[f"{module}.weight"] = weight
            if bias is not None:
                converted[f"{module}.bias"] = bias
    return converted
    ### END SOLUTION


@convert_checkpoint.test("pools keys and values, and leaves queries and outputs alone", points=1)
def _(convert_checkpoint):
    names = [f"layers.0.self_attn.{part}_proj.weight" for part in "qkvo"]
    state = {name: torch.arange(8.0).view(4, 2) for name in names}
    found = convert_checkpoint(state, 4, 2)
    pooled, whole = torch.tensor([[1.0, 2.0], [5.0, 6.0]]), torch.arange(8.0).view(4, 2)
    assert_close(found, dict(zip(names, (whole, pooled, pooled, whole), strict=True)))


@convert_checkpoint.hidden("pools every k_proj and v_proj with its bias, and nothing else", points=1)
def _(convert_checkpoint, rng):
    for heads, groups, size in ((4, 2, 3), (6, 2, 2), (4, 4, 2), (4, 1, 5)):
        shapes = {"embed_tokens.weight": (11, 7), "norm.weight": (heads * size,), "k_proj.weight": (heads * size, 7)}
        for layer in range(2):
            at = f"model.layers.{layer}.self_attn"
            shapes |= {f"{at}.{part}_proj.weight": (heads * size, 7) for part in ("q", "k", "v", "qk", "pre_v")}
            shapes |= {f"{at}.{part}_proj.bias": (heads * size,) for part in ("q", "k") if layer}
            shapes |= {f"{at}.o_proj.weight": (7, heads * size), f"{at}.k_norm.weight": (heads * size,)}
            shapes |= {f"model.layers.{layer}.k_proj.gate.weight": (heads * size, 7)}
        state = {name: torch.randn(shape, generator=rng, dtype=torch.float64) for name, shape in shapes.items()}
        expected = dict(state)
        for name in state:
            if name.split(".")[-2] in ("k_proj", "v_proj"):
                members = state[name].view(groups, heads // groups, size, -1)
                expected[name] = members.mean(1).reshape(groups * size, *state[name].shape[1:])
        found = convert_checkpoint(state, heads, groups)
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"with {heads} heads in {groups} groups")


@convert_checkpoint.hidden("leaves the checkpoint that it was given as it is, and gives a new one", points=1)
def _(convert_checkpoint, rng):
    state = {
        f"layers.0.self_attn.{part}_proj.{kind}": torch.randn(shape, generator=rng, dtype=torch.float64)
        for part in "qkv"
        for kind, shape in (("weight", (6, 3)), ("bias", (6,)))
    }
    kept = {name: tensor.clone() for name, tensor in state.items()}
    found = convert_checkpoint(state, 6, 2)
    assert found is not state, "the result must be a new dictionary"
    assert_close(state, kept, rtol=0, atol=0, message="the checkpoint that you were given has changed")
    assert tuple(found["layers.0.self_attn.k_proj.bias"].shape) == (2,), "6 heads of one row in 2 groups leave 2 rows"


@convert_checkpoint.misconception(
    "You pooled the queries too; every query head stays, or nothing is left but a smaller model.", name="pooled-queries"
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] in ("q_proj", "k_proj", "v_proj"):
            pooled = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1)
            converted[name] = pooled.flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You pooled the keys alone; the values of a group are shared too.", name="pooled-keys-alone"
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] == "k_proj":
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You looked how the name ends: `qk_proj.weight` also ends with `k_proj.weight`. Compare the last part of the "
    "module's name as a whole.",
    name="compared-the-ending",
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.endswith(("k_proj.weight", "v_proj.weight", "k_proj.bias", "v_proj.bias")):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You looked for `k_proj` anywhere in the name: `k_proj.gate` is another module. Compare the last part of the "
    "module's name as a whole.",
    name="compared-anywhere",
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if {"k_proj", "v_proj"} & set(name.split(".")):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You pooled the weights and forgot the biases, where there are some.", name="forgot-the-biases"
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] in ("k_proj", "v_proj") and name.endswith(".weight"):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You changed the checkpoint that you were given. It stays as it is: start from a copy.",
    name="changed-the-checkpoint",
)
def _(state, heads, groups):
    for name, tensor in state.items():
        if name.split(".")[-2] in ("k_proj", "v_proj"):
            state[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return state


@convert_checkpoint.also_correct
def _(state, heads, groups):
    def pooled(name, tensor):
        if len(name.split(".")) < 2 or name.split(".")[-2] not in {"k_proj", "v_proj"}:
            return tensor.clone()
        size = tensor.shape[0] // heads
        return tensor.reshape(groups, -1, size, *tensor.shape[1:]).mean(1).reshape(groups * size, *tensor.shape[1:])

    return {name: pooled(name, tensor) for name, tensor in state.items()}


# -------------------------------------------------------------------------------------------------------- uptrain


@exercise(
    points=4,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "The converted weights have another shape than those of the model. Into which network do they fit?",
        "Load the converted checkpoint into a network from `smaller`, and train that one: for each batch the loss, the "
        "gradients, a step. The learning rate falls after each step.",
        "The logits are (B, T, V) and the labels (B, T): the cross-entropy takes (B · T, V) and (B · T,). With n "
        "batches, step i = 0, 1, … has the rate lr · (1 − i / n).",
        "`torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n)` makes the rate fall; call its `.step()` after the "
        "optimizer's.",
    ),
)
def uptrain(model, smaller, heads, groups, batches, lr):
    """Return a multi-head model with fewer key and value heads, converted and trained on, and what that cost.

    Take one step of `torch.optim.Adam` for each batch in order, on all parameters and the mean
    cross-entropy. The rate falls linearly, from lr for the first batch to lr / n for the last of n.

    * model: ids (B, T) to logits (B, T, V); it is not changed
    * smaller: called without arguments, it returns such a model with `groups` heads and new weights
    * batches: pairs (ids, labels), each (B, T); the labels are shifted already
    * returns: the trained model; its loss on the first batch before training, minus that of `model`;
      the loss of each batch, before its step, as floats
    """
    ### BEGIN SOLUTION
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses
    ### END SOLUTION


@uptrain.test("starts from pooled heads, and lowers the loss of a batch that comes again", points=1)
def _(uptrain, rng):
    def attention(q, k, v, causal):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)

    seed, ids = int(torch.randint(1000, (1,), generator=rng)), torch.randint(9, (3, 6), generator=rng)
    model, fresh = (grouped_lm(9, Sizes(4, groups, 4, 16, 1), attention, seed + groups) for groups in (4, 2))
    batch = (ids[:, :-1], ids[:, 1:])
    pooled, damage, losses = uptrain(model, lambda: copy.deepcopy(fresh), 4, 2, [batch] * 30, 0.02)
    keys = tuple(pooled.layers[0].attention.k_proj.weight.shape)
    assert keys == (8, 16), f"the trained model must have 2 heads of keys, a weight of (8, 16), got {keys}"
    converted, state = copy.deepcopy(fresh), dict(model.state_dict())
    for name in ("layers.0.attention.k_proj.weight", "layers.0.attention.v_proj.weight"):
        state[name] = state[name].view(2, 2, 4, 16).mean(1).view(8, 16)
    converted.load_state_dict(state)
    losses_of = (F.cross_entropy(m(batch[0]).flatten(0, 1), batch[1].flatten()).item() for m in (model, converted))
    own, first = losses_of
    assert_close(losses[0], first, rtol=1e-4, atol=1e-4, message="the first loss, of the converted model")
    assert_close(damage, first - own, rtol=1e-3, atol=1e-4, message="what the conversion cost, on the first batch")
    assert losses[-1] < losses[0] - 0.3, f"30 steps must lower the loss: from {losses[0]:.3f} to {losses[-1]:.3f}"


@uptrain.hidden("takes one step a batch, at a rate that falls, and leaves the multi-head model as it was", points=3)
def _(uptrain, rng):
    def attention(q, k, v, causal):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)

    for groups, count, lr in ((2, 7, 0.03), (1, 4, 0.01)):
        seed = int(torch.randint(1000, (1,), generator=rng))
        model, fresh = (grouped_lm(9, Sizes(4, g, 4, 16, 1), attention, seed + g).double() for g in (4, groups))
        texts = torch.randint(9, (count, 3, 6), generator=rng)
        batches = [(ids[:, :-1], ids[:, 1:]) for ids in texts.clone()]
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        expected, state, losses = copy.deepcopy(fresh), dict(kept), []
        for name in ("layers.0.attention.k_proj.weight", "layers.0.attention.v_proj.weight"):
            state[name] = state[name].view(groups, 4 // groups, 4, 16).mean(1).view(4 * groups, 16)
        expected.load_state_dict(state)
        optimizer = torch.optim.Adam(expected.parameters())
        for i, ids in enumerate(texts):
            loss = F.cross_entropy(expected(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
            optimizer.param_groups[0]["lr"] = lr * (count - i) / count
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        pooled, damage, found = uptrain(model, lambda fresh=fresh: copy.deepcopy(fresh), 4, groups, batches, lr)
        what = f"with {groups} heads left and {count} batches"
        assert_close(found, losses, rtol=1e-3, atol=1e-4, message=f"the loss of each batch {what}")
        own = F.cross_entropy(model(texts[0][:, :-1]).flatten(0, 1), texts[0][:, 1:].flatten()).item()
        assert_close(damage, losses[0] - own, rtol=1e-2, atol=1e-3, message=f"what the conversion cost {what}")
        states = (dict(pooled.state_dict()), dict(expected.state_dict()))
        assert_close(*states, rtol=1e-2, atol=1e-3, message=f"the trained parameters {what}")
        assert_close(dict(model.state_dict()), kept, message="the multi-head model, which must stay as it was")
        for (ids, labels), before in zip(batches, texts, strict=True):
            assert torch.equal(ids, before[:, :-1]), "the ids of the batches must stay as they are"
            assert torch.equal(labels, before[:, 1:]), "the labels of the batches must stay as they are"


@uptrain.misconception(
    "You trained a new network with its own weights. Uptraining starts from the converted checkpoint, which keeps what "
    "the heads have learned.",
    name="trained-from-scratch",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses


@uptrain.misconception(
    "You kept the rate at lr. It falls linearly, so that the last steps settle.",
    name="constant-rate",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses


@uptrain.misconception(
    "You let the rate fall before the step: the first batch then has less than lr, and the last one none at all.",
    name="rate-falls-before-the-first-step",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - (step + 1) / len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses


@uptrain.misconception(
    "You never set the gradients to zero, so each step follows the sum of all gradients so far.",
    name="gradients-added-up",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses


@uptrain.misconception(
    "You trained the merged keys and values alone. All parameters adapt to the merged heads.",
    name="keys-and-values-alone",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam([p for n, p in pooled.named_parameters() if "k_proj" in n or "v_proj" in n], lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses


@uptrain.misconception(
    "You shifted the labels again, so the model learns to predict the token two places ahead.",
    name="labels-shifted-again",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids)[:, :-1].flatten(0, 1), labels[:, 1:].flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[0] - before, losses


@uptrain.misconception(
    "You measured each loss after its step. The first one should be that of the converted model.",
    name="loss-after-the-step",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss_on(pooled, batch).item())
    return pooled, losses[0] - before, losses


@uptrain.misconception(
    "You compared the last loss with that of the multi-head model. What the conversion cost is seen before any step.",
    name="damage-after-training",
)
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))

    def loss_on(network, batch):
        ids, labels = batch
        return F.cross_entropy(network(ids).flatten(0, 1), labels.flatten())

    with torch.no_grad():
        before = loss_on(model, batches[0]).item()
    losses = []
    for batch in batches:
        loss = loss_on(pooled, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return pooled, losses[-1] - before, losses


@uptrain.also_correct
def _(model, smaller, heads, groups, batches, lr):
    pooled, count = smaller(), len(batches)
    pooled.load_state_dict(convert_checkpoint(model.state_dict(), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / count)
    losses, before = [], None
    for ids, labels in batches:
        if before is None:
            before = F.cross_entropy(model(ids).transpose(1, 2), labels).detach()
        loss = F.cross_entropy(pooled(ids).transpose(1, 2), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return pooled, losses[0] - float(before), losses


@uptrain.also_correct
def _(model, smaller, heads, groups, batches, lr):
    pooled = smaller()
    pooled.load_state_dict(convert_checkpoint(dict(model.state_dict()), heads, groups))
    optimizer = torch.optim.Adam(pooled.parameters(), lr)
    losses = []
    for i in range(len(batches)):
        ids, labels = batches[i]
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 - i / len(batches))
        logits = pooled(ids)
        loss = -logits.log_softmax(-1).gather(-1, labels[..., None]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses += [loss.item()]
    with torch.no_grad():
        logits = model(batches[0][0])
        own = -logits.log_softmax(-1).gather(-1, batches[0][1][..., None]).mean()
    return pooled, losses[0] - own.item(), losses


# -------------------------------------------------------------------------------------------- to_grouped_order


@exercise(
    points=4,
    minutes=15,
    importance=2,
    kind="derive",
    hints=(
        "Under the old code, which query heads use shared head 0? Which ones should after the move?",
        "Heads 0, G, 2G, … have to become neighbours and come first. The result of a head leaves through its own "
        "columns of wo, which move along with its rows of wq.",
        "Split the rows of wq into (H/G, G, d): the old head m · G + g is at [m, g]. Swap the first two axes.",
        "`wq.unflatten(0, (heads // groups, groups, -1))`, and for wo the same along axis 1.",
    ),
)
def to_grouped_order(wq, wo, heads, groups):
    """Return a model's query and output weights with the heads in another order.

    The model was trained by code that gave query head h the shared head h % G. With the returned
    weights, code that gives it h // (H / G) computes the same. Keys and values stay; the order of
    the heads within a group is up to you.

    * wq (H · d, D), wo (D, H · d), as in `nn.Linear`: head h has the rows h · d to (h + 1) · d - 1
      of wq, and those columns of wo
    * heads, groups: H and G
    * returns: new (wq, wo), of the same shapes
    """
    ### BEGIN SOLUTION
    rows = wq.unflatten(0, (heads // groups, groups, -1))  # old head m · G + g at [m, g]
    columns = wo.unflatten(1, (heads // groups, groups, -1))
    return rows.transpose(0, 1).flatten(0, 2), columns.transpose(1, 2).flatten(1, 3)
    ### END SOLUTION


@to_grouped_order.test("brings the heads of a group together", points=1)
def _(to_grouped_order):
    wq, wo = to_grouped_order(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([[0.0, 1.0, 2.0, 3.0]]), 4, 2)
    assert sorted(wq[:2, 0].tolist()) == [0.0, 2.0], f"heads 0 and 2 share head 0, so they come first: got {wq[:, 0]}"
    assert_close(wo[0], wq[:, 0], message="what heads give leaves through columns in the same order as their rows")


@to_grouped_order.hidden("makes the usual code compute what the other one did", points=3)
def _(to_grouped_order, rng):
    for heads, groups, size, width in ((6, 2, 3, 5), (8, 4, 2, 16), (6, 3, 4, 24), (4, 1, 3, 7), (5, 5, 2, 10)):
        x = torch.randn(2, 4, width, generator=rng, dtype=torch.float64)
        wq = torch.randn(heads * size, width, generator=rng, dtype=torch.float64)
        wo = torch.randn(width, heads * size, generator=rng, dtype=torch.float64)
        k, v = torch.randn(2, 2, groups, 4, size, generator=rng, dtype=torch.float64)
        kept = wq.clone(), wo.clone()

        moved = to_grouped_order(wq, wo, heads, groups)
        assert torch.equal(wq, kept[0]), "the wq that you are given must stay as it is"
        assert torch.equal(wo, kept[1]), "the wo that you are given must stay as it is"
        results = []
        for (rows, columns), own in (
            ((wq, wo), [head % groups for head in range(heads)]),
            (moved, [head * groups // heads for head in range(heads)]),
        ):
            q = F.linear(x, rows).unflatten(-1, (heads, size)).transpose(1, 2)
            mixed = F.scaled_dot_product_attention(q, k[:, own], v[:, own], is_causal=True)
            results.append(F.linear(mixed.transpose(1, 2).flatten(2), columns))
        what = f"with H={heads}, G={groups}, d={size}, D={width}"
        assert_close(results[1], results[0], rtol=1e-6, atol=1e-6, message=what)


@to_grouped_order.misconception(
    "You moved the rows of wq and left wo: each head's result then goes out through another head's columns.",
    name="moved-wq-alone",
)
def _(wq, wo, heads, groups):
    return wq.unflatten(0, (heads // groups, groups, -1)).transpose(0, 1).flatten(0, 2), wo


@to_grouped_order.misconception(
    "You moved the columns of wo and left wq: queries keep the old order, and their results leave through other "
    "columns.",
    name="moved-wo-alone",
)
def _(wq, wo, heads, groups):
    return wq, wo.unflatten(1, (heads // groups, groups, -1)).transpose(1, 2).flatten(1, 3)


@to_grouped_order.misconception(
    "You went the other way: this brings a model of the usual order to h % G. Where was head m · G + g before?",
    name="other-direction",
)
def _(wq, wo, heads, groups):
    rows = wq.unflatten(0, (groups, heads // groups, -1))
    columns = wo.unflatten(1, (groups, heads // groups, -1))
    return rows.transpose(0, 1).flatten(0, 2), columns.transpose(1, 2).flatten(1, 3)


@to_grouped_order.misconception(
    "You moved single coordinates; a head is a block of d rows, which stay together: `unflatten(0, (H / G, G, d))`.",
    name="moved-coordinates",
)
def _(wq, wo, heads, groups):
    order = torch.arange(len(wq)).view(-1, groups).T.flatten()
    return wq[order], wo[:, order]


@to_grouped_order.misconception(
    "You moved rows of wo; its rows are the model's coordinates. A head's result enters through its columns.",
    name="moved-rows-of-wo",
)
def _(wq, wo, heads, groups):
    rows = wq.unflatten(0, (heads // groups, groups, -1)).transpose(0, 1).flatten(0, 2)
    order = torch.arange(len(wo)).view(heads // groups, groups, -1).transpose(0, 1).flatten()
    return rows, wo[order]


@to_grouped_order.misconception(
    "You changed nothing; only with G = 1 or G = H are both orders the same.", name="changed-nothing"
)
def _(wq, wo, heads, groups):
    return wq, wo


@to_grouped_order.also_correct
def _(wq, wo, heads, groups):
    size = len(wq) // heads
    order = sorted(range(heads), key=lambda head: (head % groups, -head))
    places = [head * size + row for head in order for row in range(size)]
    return wq[places], wo[:, places]


@to_grouped_order.also_correct
def _(wq, wo, heads, groups):
    order = torch.arange(heads, device=wq.device).view(-1, groups).T.reshape(-1)
    size = wq.shape[0] // heads
    return wq.view(heads, size, -1)[order].reshape(wq.shape), wo.view(-1, heads, size)[:, order].reshape(wo.shape)
