"""Exercises: sharing keys and values without copying them, what that saves, and how a checkpoint gets there."""

import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# --------------------------------------------------------------------------------------------------- repeat_kv


@exercise(
    points=2,
    minutes=5,
    hints=(
        "Head g has to be followed by its own copies, not by head g + 1: g₀ g₀ g₀ g₁ g₁ g₁.",
        "PyTorch has two functions: `repeat` puts the whole row of heads again behind itself, `repeat_interleave` "
        "repeats each item where it stands.",
    ),
)
def repeat_kv(x, repeats):
    """Give every query head its own copy of the key (or value) head that it shares.

    x (B, G, T, d): the G heads of keys or values. repeats: how many query heads share each, H / G. Returns
    (B, G · repeats, T, d), in which heads g · repeats up to (g + 1) · repeats - 1 equal head g of x.
    """
    ### BEGIN SOLUTION
    return x.repeat_interleave(repeats, 1)
    ### END SOLUTION


@repeat_kv.test("puts the copies of a head beside each other", points=1)
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
    "h // repeats, so the copies of one head stand beside each other. This is the classic mistake of this field: every "
    "shape is right, and with one head, or with repeats=1, so is the result."
)
def _(x, repeats):
    return x.repeat(1, repeats, 1, 1)


@repeat_kv.misconception(
    "You repeated the tokens of each head and cut the result into heads; repeat along the axis of heads, the second."
)
def _(x, repeats):
    return x.repeat_interleave(repeats, 2).reshape(x.shape[0], -1, *x.shape[2:])


@repeat_kv.misconception("You repeated the tokens, the third axis; the heads are the second.")
def _(x, repeats):
    return x.repeat_interleave(repeats, 2)


@repeat_kv.misconception("You repeated the texts of the batch, the first axis; the heads are the second.")
def _(x, repeats):
    return x.repeat_interleave(repeats, 0)


@repeat_kv.misconception("You named no axis, so that `repeat_interleave` flattened everything; give it the second.")
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
    hints=(
        "Do not bring the keys to the queries; bring the queries to the keys. The H / G query heads of a group are "
        "neighbours, so `q.reshape(B, G, -1, d)` puts all queries of a group below each other, for one product with "
        "its keys.",
        "The scores come out as (B, G, H/G · Tq, Tk), and have the numbers of (B, H, Tq, Tk) in the right order.",
        "The queries are the last Tq positions. Query t stands at position Tk - Tq + t: mask with `triu(Tk - Tq + 1)`.",
        "`q.unflatten(1, (G, -1)) @ k[:, :, None].mT` is right, and copies the keys after all: `@` expands its batch "
        "axes and then makes them contiguous. `einsum` and the reshaped product do not.",
    ),
)
def gqa(q, k, v, causal):
    """Attention of H query heads that share G heads of keys and values, without copying them.

    q (B, H, Tq, d); k and v (B, G, Tk, d); H is a multiple of G, and query head h looks at key and value head
    h // (H / G). Scores are q · k / √d. causal: if true, the queries are the last Tq of the Tk positions (Tq ≤ Tk), and
    query t sees keys 0 up to Tk - Tq + t; if false, all. Returns (B, H, Tq, d).

    Decoding (Tq = 1) is what this is for: there, no tensor that you make may be as large as the keys would be if every
    query head had its own, B · H · Tk · d numbers.
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


@gqa.hidden("is causal, with the queries at the end of the keys", points=2)
def _(gqa, rng):
    for heads, groups, queries, keys in ((4, 2, 6, 6), (6, 3, 2, 5), (6, 2, 4, 7), (4, 1, 1, 6), (8, 2, 3, 3)):
        whole = torch.randn(2, heads, keys, 4, generator=rng, dtype=torch.float64)
        k, v = torch.randn(2, 2, groups, keys, 4, generator=rng, dtype=torch.float64)
        own = [head * groups // heads for head in range(heads)]
        expected = F.scaled_dot_product_attention(whole, k[:, own], v[:, own], is_causal=True)[:, :, -queries:]
        found = gqa(whole[:, :, -queries:], k, v, True)
        what = f"with H={heads}, G={groups}, the last {queries} of {keys} positions"
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)


@gqa.hidden("makes no copy of the keys for each query head", points=1)
def _(gqa, rng):
    class Largest(TorchDispatchMode):
        numbers, shape = 0, ()

        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            result = operation(*args, **(kwargs or {}))
            for tensor in tree_leaves(result):
                if isinstance(tensor, torch.Tensor) and self.numbers < tensor.untyped_storage().nbytes() // 8:
                    self.numbers, self.shape = tensor.untyped_storage().nbytes() // 8, tuple(tensor.shape)
            return result

    for batch, heads, groups, keys, size in ((2, 16, 2, 40, 8), (3, 8, 1, 30, 16)):
        q = torch.randn(batch, heads, 1, size, generator=rng, dtype=torch.float64)
        k, v = torch.randn(2, batch, groups, keys, size, generator=rng, dtype=torch.float64)
        with Largest() as largest:
            found = gqa(q, k, v, True)
        own = [head * groups // heads for head in range(heads)]
        assert_close(found, F.scaled_dot_product_attention(q, k[:, own], v[:, own]), rtol=1e-6, atol=1e-6)
        assert largest.numbers < batch * heads * keys * size, (
            f"with B={batch}, H={heads}, G={groups}, Tk={keys}, d={size} you made a tensor of {largest.numbers} "
            f"numbers (of shape {largest.shape}), as many as if every query head had keys of its own, B · H · Tk · d. "
            "Do not repeat keys or values, and mind that `@` copies what it broadcasts"
        )


@gqa.misconception(
    "You gave query head h the keys of head h % G, as `repeat` or an `unflatten(1, (-1, G))` does; heads of one group "
    "are neighbours, so it is h // (H / G)."
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat(1, repeats, 1, 1).mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat(1, repeats, 1, 1)


@gqa.misconception(
    "You chose the keys by h // (H / G) and the values by h % G; a head takes both from the same shared head."
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat(1, repeats, 1, 1)


@gqa.misconception(
    "You averaged the queries of a group. A group shares keys and values; each of its heads keeps a query of its own, "
    "and looks where it wants."
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q.unflatten(1, (-1, repeats)).mean(2) @ k.mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return (scores.softmax(-1) @ v).repeat_interleave(repeats, 1)


@gqa.misconception(
    "You gave all query heads the first head of keys and values; that is multi-query attention, G = 1. Each group has "
    "its own."
)
def _(q, k, v, causal):
    length, seen = q.shape[2], k.shape[2]
    scores = q @ k[:, :1].mT / math.sqrt(q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v[:, :1]


@gqa.misconception(
    "You scaled by √(H · d), the model's width; a head's dot products have d terms, so its scores are divided by √d."
)
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT / math.sqrt(q.shape[1] * q.shape[-1])
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat_interleave(repeats, 1)


@gqa.misconception("You did not scale the scores; they are divided by √d before the softmax.")
def _(q, k, v, causal):
    repeats, length, seen = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
    scores = q @ k.repeat_interleave(repeats, 1).mT
    if causal:
        scores = scores.masked_fill(torch.ones(length, seen, dtype=torch.bool).triu(seen - length + 1), -math.inf)
    return scores.softmax(-1) @ v.repeat_interleave(repeats, 1)


@gqa.misconception(
    "Your mask starts at the upper left: query 0 sees key 0 alone, as `is_causal=True` has it. The queries are the "
    "last positions, so query 0 already sees Tk - Tq keys before it."
)
def _(q, k, v, causal):
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


@gqa.misconception("You masked nothing: with `causal`, query t sees keys 0 up to Tk - Tq + t and none after that.")
def _(q, k, v, causal):
    repeats = q.shape[1] // k.shape[1]
    return F.scaled_dot_product_attention(q, k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1))


@gqa.misconception("Your mask hides the query's own position; each query sees itself too: `triu(Tk - Tq + 1)`.")
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
    hints=(
        "Operations: each query head multiplies its query with T keys of d numbers, and its T weights with T values of "
        "d numbers. A multiplication with its addition counts as 2.",
        "Bytes: each *shared* head is read once, keys and values, however many query heads use it. The queries are "
        "read and the results are written, one vector of d numbers a query head each.",
        "Which of batch and head_dim can be cancelled?",
    ),
)
def decode_intensity(batch, tokens, heads, groups, head_dim, number_bytes):
    """Give the arithmetic intensity of attention when one token is decoded: operations for each byte moved.

    batch texts have `tokens` keys and values each, the newest included; there are `heads` query heads, and `groups`
    heads of keys and values, of head_dim numbers; a number takes number_bytes (2 in bfloat16). Count the two products
    (query with keys, weights with values) at 2 operations for each multiplication with its addition, and nothing for
    the softmax. Count as moved: each key and value once, each query and each result once. Returns a float.
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
    "whole point."
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 2 * heads * tokens / (number_bytes * (heads * tokens + heads))


@decode_intensity.misconception("You counted the bytes of the keys alone; the values are read too.")
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 4 * heads * tokens / (number_bytes * (groups * tokens + 2 * heads))


@decode_intensity.misconception(
    "You let the batch share keys and values, as it shares the weights of a layer; every text has a cache of its own, "
    "so the batch cancels."
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 2 * batch * heads * tokens / (number_bytes * (groups * tokens + batch * heads))


@decode_intensity.misconception(
    "You counted a multiplication with its addition as one operation; peak figures of accelerators count two."
)
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return heads * tokens / (number_bytes * (groups * tokens + heads))


@decode_intensity.misconception("You left out that the queries are read and the results written: 2 · H · d numbers.")
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    return 2 * heads / (number_bytes * groups)


@decode_intensity.misconception(
    "You counted the operations of the shared heads alone; every query head multiplies with all keys and values."
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
    hints=(
        "One shared head costs 2 · layers · head_dim · tokens · batch · number_bytes: keys and values, in every layer.",
        "G has to divide the number of query heads. Try the divisors of `heads` from the largest down.",
    ),
)
def groups_that_fit(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    """Give the most key and value heads that a cache has room for: the largest divisor G of `heads`, 0 if none fits.

    memory: the bytes that are there for the cache. It holds keys and values of `batch` texts of `tokens` tokens in all
    `layers`, G heads of head_dim numbers with number_bytes each. What just fits, fits. Returns an int.
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


@groups_that_fit.misconception("You counted keys or values; the cache holds both, so a head costs twice that.")
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = layers * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception("You counted the cache of one layer; every layer keeps keys and values of its own.")
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception("You counted the cache of one text; each of the batch has a cache of its own.")
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * layers * head_dim * tokens * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception(
    "You gave as many heads as fit, whether they divide the query heads or not; then groups would be of unequal size."
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    return min(heads, memory // (2 * layers * head_dim * tokens * batch * number_bytes))


@groups_that_fit.misconception("You left no room to the last byte: what takes exactly `memory` bytes fits.")
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * layers * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one < memory), default=0)


@groups_that_fit.misconception("You gave 1 where not even one head fits; then there is no such G, and 0 says so.")
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
    hints=(
        "The rows of a projection are its outputs: head h has rows h · d up to (h + 1) · d. "
        "`weight.unflatten(0, (groups, heads // groups, -1))` is (G, H/G, d, D).",
        "The mean runs over the members of a group, and over nothing else. A bias has one number for each row.",
    ),
)
def pool_heads(weight, bias, heads, groups):
    """Merge the key (or value) heads of each group into their mean, as Ainslie et al. 2023 convert a checkpoint.

    weight (heads · d, D), as in `nn.Linear`: head h has rows h · d up to (h + 1) · d. bias (heads · d,) or None. Heads
    g · heads / groups up to (g + 1) · heads / groups - 1 form group g; groups divides heads. Returns a pair: weight
    (groups · d, D) and bias (groups · d,), or None where there was none, in the dtype that they had.
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


@pool_heads.misconception("You took the sum; scores and values would grow with the group. Pool by the mean.")
def _(weight, bias, heads, groups):
    shape = (groups, heads // groups, -1)
    pooled = weight.unflatten(0, shape).sum(1).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).sum(1).flatten()


@pool_heads.misconception(
    "You merged heads h with the same h % G; a group is heads that stand beside each other, h // (H / G)."
)
def _(weight, bias, heads, groups):
    shape = (heads // groups, groups, -1)
    pooled = weight.unflatten(0, shape).mean(0).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).mean(0).flatten()


@pool_heads.misconception(
    "You averaged rows that stand beside each other, which are coordinates of one head; coordinate i of a group is the "
    "mean of coordinate i of its heads."
)
def _(weight, bias, heads, groups):
    pooled = weight.unflatten(0, (-1, heads // groups)).mean(1)
    return pooled, None if bias is None else bias.unflatten(0, (-1, heads // groups)).mean(1)


@pool_heads.misconception(
    "You split the rows as (d, H), as if each head had a row of every block; head h has d rows together: "
    "`unflatten(0, (groups, heads // groups, -1))`."
)
def _(weight, bias, heads, groups):
    shape = (-1, groups, heads // groups)
    pooled = weight.unflatten(0, shape).mean(2).transpose(0, 1).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).mean(2).T.flatten()


@pool_heads.misconception(
    "You took the first head of each group. That is a conversion too, and the paper found it worse than the mean."
)
def _(weight, bias, heads, groups):
    shape = (groups, heads // groups, -1)
    pooled = weight.unflatten(0, shape)[:, 0].flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape)[:, 0].flatten()


@pool_heads.misconception("You left the bias as it was; it belongs to the same rows, so it is pooled like them.")
def _(weight, bias, heads, groups):
    return weight.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1), bias


@pool_heads.misconception("You dropped the bias; it is pooled like the rows that it belongs to.")
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
    hints=(
        "A name such as `model.layers.3.self_attn.k_proj.weight` has the module before its last dot. What is the last "
        "part of the module's name?",
        "`name.rpartition('.')` gives the module and the parameter; compare `module.split('.')[-1]`, for "
        "`endswith('k_proj.weight')` is true of `qk_proj.weight` as well.",
        "Start from `dict(state)`, a new dictionary with the same tensors, and replace four kinds of entries.",
    ),
)
def convert_checkpoint(state, heads, groups):
    """Turn the checkpoint of a multi-head model into one with `groups` key and value heads; use pool_heads.

    state: {name: tensor} as Llama's checkpoints have it. A parameter's name is that of its module, a dot, and `weight`
    or `bias`. Modules whose last part is `k_proj` or `v_proj`, wherever they stand, have `heads` heads, which are
    pooled; some have biases and some do not. All other entries stay as they are, queries and outputs above all. Returns
    a new dictionary with the same names; `state` itself must stay as it is.
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
    "You pooled the queries too; every query head stays, or nothing is left but a smaller model."
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] in ("q_proj", "k_proj", "v_proj"):
            pooled = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1)
            converted[name] = pooled.flatten(0, 1)
    return converted


@convert_checkpoint.misconception("You pooled the keys alone; the values of a group are shared too.")
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] == "k_proj":
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You looked how the name ends: `qk_proj.weight` also ends with `k_proj.weight`. Compare the last part of the "
    "module's name as a whole."
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.endswith(("k_proj.weight", "v_proj.weight", "k_proj.bias", "v_proj.bias")):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You looked for `k_proj` anywhere in the name: `k_proj.gate` is another module. Compare the last part of the "
    "module's name as a whole."
)
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if {"k_proj", "v_proj"} & set(name.split(".")):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception("You pooled the weights and forgot the biases, where there are some.")
def _(state, heads, groups):
    converted = dict(state)
    for name, tensor in state.items():
        if name.split(".")[-2] in ("k_proj", "v_proj") and name.endswith(".weight"):
            converted[name] = tensor.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    return converted


@convert_checkpoint.misconception(
    "You changed the checkpoint that you were given. Somebody may still want the multi-head model: start from a copy."
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


# -------------------------------------------------------------------------------------------- to_grouped_order


@exercise(
    points=4,
    minutes=15,
    hints=(
        "In the old order, heads 0, G, 2G … use shared head 0. In the new order they have to be neighbours, and come "
        "first.",
        "Rows of wq in blocks of d: `wq.unflatten(0, (heads // groups, groups, -1))` has the old head m · G + g at "
        "[m, g]. Swap the first two axes.",
        "The result of a head leaves through its own columns of wo; they have to move along with its rows of wq.",
    ),
)
def to_grouped_order(wq, wo, heads, groups):
    """Move the query heads of a model whose code gave head h the shared head h % G, for code that gives h // (H / G).

    wq (heads · d, D) and wo (D, heads · d), as in `nn.Linear`: head h has rows h · d up to (h + 1) · d of wq, and those
    columns of wo. Returns new (wq, wo), with which the usual code, query head h looking at key and value head
    h // (H / G), computes what the other code did with the old ones. Keys and values stay where they are. (How the
    heads of one group are ordered among themselves is up to you.)
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
    "You moved the rows of wq and left wo: each head's result then goes out through another head's columns."
)
def _(wq, wo, heads, groups):
    return wq.unflatten(0, (heads // groups, groups, -1)).transpose(0, 1).flatten(0, 2), wo


@to_grouped_order.misconception(
    "You moved the columns of wo and left wq: heads still ask in the old order, and their results leave elsewhere."
)
def _(wq, wo, heads, groups):
    return wq, wo.unflatten(1, (heads // groups, groups, -1)).transpose(1, 2).flatten(1, 3)


@to_grouped_order.misconception(
    "You went the other way: this brings a model of the usual order to h % G. Where did head m · G + g stand before?"
)
def _(wq, wo, heads, groups):
    rows = wq.unflatten(0, (groups, heads // groups, -1))
    columns = wo.unflatten(1, (groups, heads // groups, -1))
    return rows.transpose(0, 1).flatten(0, 2), columns.transpose(1, 2).flatten(1, 3)


@to_grouped_order.misconception(
    "You moved single coordinates; a head is a block of d rows, which stay together: `unflatten(0, (H / G, G, d))`."
)
def _(wq, wo, heads, groups):
    order = torch.arange(len(wq)).view(-1, groups).T.flatten()
    return wq[order], wo[:, order]


@to_grouped_order.misconception(
    "You moved rows of wo; its rows are the model's coordinates. What heads give enters through its columns."
)
def _(wq, wo, heads, groups):
    rows = wq.unflatten(0, (heads // groups, groups, -1)).transpose(0, 1).flatten(0, 2)
    order = torch.arange(len(wo)).view(heads // groups, groups, -1).transpose(0, 1).flatten()
    return rows, wo[order]


@to_grouped_order.misconception("You changed nothing; only with G = 1 or G = H are both orders the same.")
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
