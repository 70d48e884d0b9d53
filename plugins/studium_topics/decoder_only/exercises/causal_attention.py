import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.decoder_only.rotary import rotate


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    hints=(
        "Which keys may the query at position t look at, and which axis of the scores holds the keys?",
        "Split queries, keys and values into heads, rotate the first two, and remove the future from the scores "
        "before the softmax, so the remaining weights still sum to 1.",
        "Queries, keys and values are (B, H, T, D/H), and the scores are (B, H, T, T) with one row for each query. "
        "Afterwards you put the heads side by side again: (B, T, D).",
        "`F.linear(x, wq).unflatten(-1, (heads, -1)).transpose(1, 2)` splits into heads; `torch.ones(T, T, "
        "dtype=torch.bool).triu(1)` is True where the key is ahead of the query.",
    ),
)
def causal_attention(x, wq, wk, wv, wo, heads, rotate=None):
    """Return what each position reads from itself and from the positions before it.

    * x (B, T, D). wq, wk, wv, wo (D, D), used as in `F.linear`; no biases.
    * heads: H. Head h owns the coordinates h · D/H up to (h + 1) · D/H.
    * rotate: None, or a function for queries and keys that takes one tensor (B, H, T, D/H) and returns the same shape.

    Put the results of the heads side by side and multiply them by wo, as in `F.linear`. Return (B, T, D). The lesson
    trains through it.
    """
    ### BEGIN SOLUTION
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    if rotate is not None:
        q, k = rotate(q), rotate(k)
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, heads, T, T)
    ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
    mixed = scores.masked_fill(ahead, -math.inf).softmax(-1) @ v  # (B, heads, T, D / heads)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)
    ### END SOLUTION


causal_attention.equivalent(
    "ahead = torch.ones(scores.shape[-3:], dtype=torch.bool, device=x.device).triu(1)", "every head gets the same mask"
)


@causal_attention.test("lets the first token see itself alone", points=1)
def _(causal_attention, rng):
    x = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)
    wq, wk, wv, wo = torch.randn(4, 4, 4, generator=rng, dtype=torch.float64)
    found = causal_attention(x, wq, wk, wv, wo, 2)
    assert tuple(found.shape) == (2, 3, 4), f"the result must have the shape of x, (2, 3, 4), got {tuple(found.shape)}"
    expected = F.linear(F.linear(x[:, 0], wv), wo)
    assert_close(found[:, 0], expected, rtol=1e-5, atol=1e-5, message="the first token's own value, through wo")


@causal_attention.hidden("is causal scaled dot-product attention of every head", points=1)
def _(causal_attention, rng):
    for batch, length, width, heads in ((2, 5, 12, 3), (1, 1, 8, 2), (3, 7, 10, 5), (2, 4, 6, 1), (1, 6, 16, 4)):
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
        wq, wk, wv, wo = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        q, k, v = (F.linear(x, w).view(batch, length, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        expected = F.linear(mixed.transpose(1, 2).reshape(batch, length, width), wo)
        what = f"with B={batch}, T={length}, D={width} and {heads} heads"
        assert_close(causal_attention(x, wq, wk, wv, wo, heads), expected, rtol=1e-5, atol=1e-5, message=what)


@causal_attention.hidden("never lets a token see what comes after it", points=1)
def _(causal_attention, rng):
    x = torch.randn(2, 6, 8, generator=rng, dtype=torch.float64)
    wq, wk, wv, wo = torch.randn(4, 8, 8, generator=rng, dtype=torch.float64)
    before = causal_attention(x, wq, wk, wv, wo, 2)
    for at in range(1, 6):
        changed = x.clone()
        changed[:, at:] += 10 * torch.randn(2, 6 - at, 8, generator=rng, dtype=torch.float64)
        after = causal_attention(changed, wq, wk, wv, wo, 2)
        assert_close(
            after[:, :at], before[:, :at], rtol=1e-5, atol=1e-5, message=f"position {at} changed what is left of it"
        )
        assert not torch.allclose(after[:, at:], before[:, at:]), (
            f"position {at} and those after it must see position {at}"
        )


@causal_attention.hidden("rotates queries and keys, head by head, and lets gradients reach every weight", points=1)
def _(causal_attention, rng):
    weights = list(torch.randn(4, 12, 12, generator=rng, dtype=torch.float64).div(3).requires_grad_().unbind())
    out = causal_attention(torch.randn(2, 5, 12, generator=rng, dtype=torch.float64), *weights, 3, rotate)
    found = torch.autograd.grad(out.square().sum(), weights, allow_unused=True)
    for name, gradient in zip(("wq", "wk", "wv", "wo"), found, strict=True):
        assert gradient is not None, f"no gradient reaches {name}"
        assert bool(gradient.abs().max() > 0), f"the gradient of {name} is zero"
    for length, width, heads in ((5, 12, 3), (7, 16, 2), (4, 8, 1)):
        x = torch.randn(2, length, width, generator=rng, dtype=torch.float64)
        wq, wk, wv, wo = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        q, k, v = (F.linear(x, w).view(2, length, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        expected = F.linear(mixed.transpose(1, 2).reshape(2, length, width), wo)
        found = causal_attention(x, wq, wk, wv, wo, heads, rotate)
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=f"with T={length}, D={width} and {heads} heads")


@causal_attention.misconception(
    "You took the softmax over the queries; take it over the keys (the last axis), because each query shares out a "
    "total weight of 1 among them.",
    name="softmax-over-queries",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-2) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You masked after the softmax, so the remaining weights sum to less than 1; mask the scores before the softmax.",
    name="masked-after-softmax",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).tril()
    return F.linear((weights @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You split the coordinates as (D/H, H), which gives each head every H-th coordinate; split them as (H, D/H), "
    "because head h owns a block of D/H neighbouring coordinates.",
    name="interleaved-heads",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (-1, heads)).permute(0, 3, 1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).permute(0, 2, 3, 1).flatten(2), wo)


@causal_attention.misconception(
    "You divided by √D; the dot products of one head have D/H terms, so divide its scores by √(D/H).",
    name="scaled-by-whole-width",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(x.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You did not mask the future, so every token sees the whole text, including the tokens that it has to predict; "
    "remove the keys ahead of each query.",
    name="no-mask",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
    return F.linear((weights @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You removed the past instead of the future; the keys ahead of a query are above the diagonal.",
    name="masked-the-past",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    behind = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril(-1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(behind, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You also removed the diagonal; keep it, because a token may look at itself, and the first token can look at "
    "nothing else.",
    name="masked-the-diagonal",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(0)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You left out wo; apply it once the results of the heads are side by side, to mix them.",
    name="no-output-projection",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


@causal_attention.misconception(
    "You multiplied by the weights as they are stored; transpose them as `F.linear` does: the queries are x wqᵀ.",
    name="weights-not-transposed",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = ((x @ w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ wo


@causal_attention.misconception(
    "You rotated the values too; rotate only the queries and keys, because position belongs in the scores.",
    name="rotated-values",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k, v = (rotate(q), rotate(k), rotate(v)) if rotate else (q, k, v)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You did not use `rotate`; apply it to queries and keys, or the scores do not depend on the distance between two "
    "tokens.",
    name="ignored-rotate",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    return F.linear(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2), wo)


@causal_attention.also_correct
def _(x, wq, wk, wv, wo, heads, rotate=None):
    batch, length, width = x.shape
    q, k, v = (
        torch.einsum("btd,ed->bte", x, w).view(batch, length, heads, -1).permute(0, 2, 1, 3) for w in (wq, wk, wv)
    )
    if rotate:
        q, k = rotate(q), rotate(k)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return y.permute(0, 2, 1, 3).reshape(batch, length, width) @ wo.T


@causal_attention.also_correct
def _(x, wq, wk, wv, wo, heads, rotate=None):
    turn = rotate or (lambda z: z)
    size = x.shape[-1] // heads
    parts = []
    for head in range(heads):
        mine = slice(head * size, (head + 1) * size)
        q, k = (turn((x @ w[mine].T)[:, None])[:, 0] for w in (wq, wk))
        scores = torch.einsum("btd,bsd->bts", q, k) * size**-0.5
        scores = scores + torch.full(scores.shape[1:], -1e9, dtype=x.dtype).triu(1)
        parts.append(scores.softmax(-1) @ (x @ wv[mine].T))
    return torch.cat(parts, -1) @ wo.mT


@causal_attention.also_correct
def _(x, wq, wk, wv, wo, heads, rotate=None):
    single, (batch, length, width) = x.float(), x.shape
    q, k, v = (F.linear(single, w.float()).view(batch, length, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
    return F.linear(y, wo.float()).to(x.dtype)
