"""Exercises: a Llama from its parts, how it is trained and sampled, and how to find out what a head does."""

import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.decoder_only.rotary import rotate

# ----------------------------------------------------------------------------------------------------- rmsnorm


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "How long is a vector whose coordinates all have size 1? That is the length that each vector gets.",
        "Divide by the root of the mean square. Nothing is subtracted, and eps is under the root.",
        "The mean is over the last axis and keeps it, (..., 1), so that it divides all D coordinates.",
        "`wide = x.to(torch.promote_types(x.dtype, torch.float32))` leaves float64 as it is. Then "
        "`(wide.square().mean(-1, keepdim=True) + eps).rsqrt()` is the factor.",
    ),
)
def rmsnorm(x, gain, eps):
    """Return each vector divided by its root mean square, each coordinate times its gain.

    Use the formula above, with the mean over the last axis.

    * x (..., D): float16, bfloat16, float32 or float64; it stays as it is.
    * gain (D,), of x's dtype.
    * eps: a small positive number.

    Squares overflow in float16, so compute the normalised x in float32 at least, then go back to x's dtype.
    Return (..., D) of x's dtype. The lesson trains through it.
    """
    ### BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = (wide.square().mean(-1, keepdim=True) + eps).rsqrt()
    return (wide * scale).to(x.dtype) * gain
    ### END SOLUTION


rmsnorm.equivalent(
    "wide = x.to(torch.promote_types(x.dtype, torch.float64))", "float32 at least is asked for, and float64 is more"
)


@rmsnorm.test("makes the mean square of each vector 1", points=1)
def _(rmsnorm):
    found = rmsnorm(torch.tensor([[3.0, -4.0, 0.0, 0.0], [0.0, 3.0, 6.0, 2.0]]), torch.ones(4), 1e-6)
    assert_close(found, torch.tensor([[1.2, -1.6, 0.0, 0.0], [0.0, 6 / 7, 12 / 7, 4 / 7]]), rtol=1e-4, atol=1e-4)


@rmsnorm.hidden("divides each vector by √(mean square + eps), and multiplies by the gain", points=1)
def _(rmsnorm, rng):
    for shape, eps, size in (((2, 3, 5), 1e-5, 1.0), ((4, 6), 0.5, 0.7), ((7,), 1e-6, 1e-3), ((3, 2, 8), 2.0, 30.0)):
        x = size * (1 + torch.randn(shape, generator=rng, dtype=torch.float64))
        gain = torch.randn(shape[-1], generator=rng, dtype=torch.float64)
        kept = x.clone()
        expected = F.rms_norm(x, (shape[-1],), gain, eps)
        assert_close(
            rmsnorm(x, gain, eps), expected, rtol=1e-6, atol=1e-9, message=f"for x of shape {shape}, eps={eps}"
        )
        assert torch.equal(x, kept), "the argument x must stay as it is"
    x = torch.randn(3, 4, generator=rng).requires_grad_()
    gain = torch.randn(4, generator=rng).requires_grad_()
    for wanted, name in zip(
        torch.autograd.grad(rmsnorm(x, gain, 1e-6)[:, 0].sum(), (x, gain)), ("x", "gain"), strict=True
    ):
        assert bool(wanted.abs().max() > 0), f"the gradient with respect to {name} is zero"
    zeros = rmsnorm(torch.zeros(2, 4, dtype=torch.float64), torch.ones(4, dtype=torch.float64), 1e-6)
    assert_close(zeros, torch.zeros(2, 4, dtype=torch.float64), message="a vector of zeros stays one")


@rmsnorm.hidden("survives half precision, and keeps the dtype", points=1)
def _(rmsnorm, rng):
    for dtype, size, tolerance in (
        (torch.float16, 400.0, 2e-3),
        (torch.bfloat16, 1.0, 2e-2),
        (torch.float16, 1e-3, 2e-3),
    ):
        x = (size * torch.randn(5, 16, generator=rng)).to(dtype)
        gain = (1 + torch.rand(16, generator=rng)).to(dtype)
        found = rmsnorm(x, gain, 1e-6)
        assert found.dtype == dtype, f"the result must have the dtype of x, {dtype}, got {found.dtype}"
        expected = F.rms_norm(x.double(), (16,), gain.double(), 1e-6)
        assert_close(
            found.double(), expected, rtol=tolerance, atol=tolerance, message=f"for {dtype} and sizes near {size:g}"
        )


@rmsnorm.misconception(
    "You subtracted the mean first; that is LayerNorm. RMSNorm only divides, and trains as well without it.",
    name="subtracted-mean",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide - wide.mean(-1, keepdim=True)
    return (wide * (wide.square().mean(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You added eps to the root; it belongs under the root, beside the mean square.",
    name="eps-outside-root",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / (wide.square().mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype) * gain


@rmsnorm.misconception("You left eps out, so that a vector of zeros becomes 0/0 = nan.", name="no-eps")
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / wide.square().mean(-1, keepdim=True).sqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You divided by the length of the vector, the root of the sum of squares; RMSNorm takes the mean of the squares.",
    name="sum-of-squares",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().sum(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You took one mean over all vectors; each vector, along the last axis, has its own.",
    name="mean-over-everything",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().mean() + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You squared in x's own dtype. In float16, 400 · 400 is infinite already; go through float32.",
    name="squared-in-half-precision",
)
def _(x, gain, eps):
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * gain


@rmsnorm.misconception(
    "You left the gain out; at the end each coordinate is multiplied by its own learned number.",
    name="no-gain",
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().mean(-1, keepdim=True) + eps).rsqrt()).to(x.dtype)


@rmsnorm.also_correct
def _(x, gain, eps):
    return F.rms_norm(x, gain.shape, gain, eps)


@rmsnorm.also_correct
def _(x, gain, eps):
    wide = x.double()
    rms = torch.einsum("...d,...d->...", wide, wide).div(x.shape[-1]).add(eps).sqrt()
    return (wide / rms.unsqueeze(-1) * gain.double()).to(x.dtype)


# -------------------------------------------------------------------------------------------- causal_attention


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    hints=(
        "Which keys may the query at position t look at, and which axis of the scores holds the keys?",
        "Split queries, keys and values into heads, rotate the first two, and remove the future from the scores before "
        "the softmax, so that the weights that remain still sum to 1.",
        "Queries, keys and values are (B, H, T, D/H), the scores (B, H, T, T) with one row for each query. Afterwards "
        "the heads are put side by side again, (B, T, D).",
        "`F.linear(x, wq).unflatten(-1, (heads, -1)).transpose(1, 2)` splits; "
        "`torch.ones(T, T, dtype=torch.bool).triu(1)` is True where the key is ahead of the query.",
    ),
)
def causal_attention(x, wq, wk, wv, wo, heads, rotate=None):
    """Return what each position reads from itself and from the positions before it.

    * x (B, T, D). wq, wk, wv, wo (D, D), used as in `F.linear`; no biases.
    * heads: H. Head h owns the coordinates h · D/H up to (h + 1) · D/H.
    * rotate: None, or a function of one tensor (B, H, T, D/H), for queries and keys, that returns that shape.

    The heads' results, side by side, go through wo.
    Return (B, T, D). The lesson trains through it.
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
    "You took the softmax over the queries; each query spreads one unit of attention over the keys, the last axis.",
    name="softmax-over-queries",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-2) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You masked after the softmax, so that the remaining weights sum to less than 1. Mask the scores before it.",
    name="masked-after-softmax",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).tril()
    return F.linear((weights @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You split the coordinates as (D/H, H), so that each head got every H-th coordinate; head h owns a block of D/H "
    "neighbouring coordinates.",
    name="interleaved-heads",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (-1, heads)).permute(0, 3, 1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).permute(0, 2, 3, 1).flatten(2), wo)


@causal_attention.misconception(
    "You divided by √D; a head's dot products have D/H terms, so its scores are divided by √(D/H).",
    name="scaled-by-whole-width",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(x.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You masked nothing: every token sees the whole text, including the tokens that it has to predict.",
    name="no-mask",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
    return F.linear((weights @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You removed the past instead of the future: the keys ahead of a query are above the diagonal.",
    name="masked-the-past",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    behind = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril(-1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(behind, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You removed the diagonal as well; a token may look at itself, and the first one has nothing else to look at.",
    name="masked-the-diagonal",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(0)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You left out wo, which mixes the heads' results after they are put side by side.",
    name="no-output-projection",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


@causal_attention.misconception(
    "You multiplied by the weights as they are stored; as in `F.linear`, the queries are x wqᵀ.",
    name="weights-not-transposed",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = ((x @ w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ wo


@causal_attention.misconception(
    "You rotated the values too; position belongs in the scores, so only queries and keys are rotated.",
    name="rotated-values",
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k, v = (rotate(q), rotate(k), rotate(v)) if rotate else (q, k, v)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You did not use `rotate`: without it the scores do not depend on the distance between two tokens.",
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


# ------------------------------------------------------------------------------------------------- llama_block


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "What does each of the two parts read, and what is its result added to?",
        "Both parts have one form: x = x + part(norm(x)). The sum uses x itself, not the normalised x.",
        "The gate and `up` are (B, T, F); `down` brings their product back to (B, T, D).",
        'The gated product is `F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])`.',
    ),
)
def llama_block(x, weights, heads, rotate=None, eps=1e-6):
    """Return the stream after one layer of a Llama.

    First x ← x + attention(rmsnorm(x)). Then, with z = rmsnorm(x) of the new x, x ← x + down(silu(gate z) · up z).

    * x (B, T, D); it stays as it is.
    * weights, a mapping: "q", "k", "v", "o" (D, D); "gate", "up" (F, D); "down" (D, F), all used as in `F.linear`;
      the gains "attention_norm", "mlp_norm" (D,).
    * heads, rotate: as in `causal_attention`.
    * eps: of both norms.

    Call `rmsnorm` and `causal_attention`. Return (B, T, D). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    attention = (weights[name] for name in ("q", "k", "v", "o"))
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])  # (B, T, F)
    return x + F.linear(gated, weights["down"])
    ### END SOLUTION


@llama_block.test("adds the mean of the normed tokens so far, where attention does no more", points=1)
def _(llama_block, rng):
    x = torch.randn(2, 4, 6, generator=rng, dtype=torch.float64)
    same, none = torch.eye(6, dtype=torch.float64), torch.zeros(6, 6, dtype=torch.float64)
    weights = {"q": none, "k": none, "v": same, "o": same, "gate": same, "up": same, "down": none}
    weights |= {name: torch.ones(6, dtype=torch.float64) for name in ("attention_norm", "mlp_norm")}
    normed = x / x.square().mean(-1, keepdim=True).sqrt()
    expected = x + normed.cumsum(1) / torch.arange(1, 5)[:, None]
    what = "with q = k = down = 0 and v = o = 1"
    assert_close(llama_block(x, weights, 2), expected, rtol=1e-4, atol=1e-4, message=what)


@llama_block.hidden("is Llama's layer, at several sizes", points=2)
def _(llama_block, rng):
    for length, width, heads, hidden, eps in ((5, 8, 2, 12, 1e-6), (3, 12, 3, 7, 0.3), (1, 6, 1, 9, 1e-5)):
        shapes = {"gate": (hidden, width), "up": (hidden, width), "down": (width, hidden)}
        shapes |= dict.fromkeys("qkvo", (width, width))
        weights = {n: torch.randn(s, generator=rng, dtype=torch.float64) / s[1] ** 0.5 for n, s in shapes.items()}
        for name in ("attention_norm", "mlp_norm"):
            weights[name] = 0.5 + torch.rand(width, generator=rng, dtype=torch.float64)
        x = 1 + torch.randn(2, length, width, generator=rng, dtype=torch.float64)
        kept = x.clone()
        z = F.rms_norm(x, (width,), weights["attention_norm"], eps)
        q, k, v = (F.linear(z, weights[n]).view(2, length, heads, -1).transpose(1, 2) for n in "qkv")
        for turn in (None, rotate) if width // heads % 2 == 0 else (None,):
            turned = (q, k) if turn is None else (turn(q), turn(k))
            mixed = F.scaled_dot_product_attention(*turned, v, is_causal=True).transpose(1, 2).reshape(2, length, width)
            expected = x + F.linear(mixed, weights["o"])
            z2 = F.rms_norm(expected, (width,), weights["mlp_norm"], eps)
            gated = F.silu(F.linear(z2, weights["gate"])) * F.linear(z2, weights["up"])
            expected = expected + F.linear(gated, weights["down"])
            found = llama_block(x, weights, heads, turn, eps)
            what = f"with T={length}, D={width}, {heads} heads, F={hidden}, {'a' if turn else 'no'} rotation"
            assert_close(found, expected, rtol=1e-5, atol=1e-5, message=what)
            assert torch.equal(x, kept), "the argument x must stay as it is"


@llama_block.hidden("lets gradients reach every weight", points=1)
def _(llama_block, rng):
    shapes = {"gate": (5, 6), "up": (5, 6), "down": (6, 5)} | dict.fromkeys("qkvo", (6, 6))
    weights = {n: torch.randn(s, generator=rng, dtype=torch.float64).requires_grad_() for n, s in shapes.items()}
    for name in ("attention_norm", "mlp_norm"):
        weights[name] = (0.5 + torch.rand(6, generator=rng, dtype=torch.float64)).requires_grad_()
    out = llama_block(torch.randn(2, 4, 6, generator=rng, dtype=torch.float64), weights, 3)
    found = torch.autograd.grad(out.square().sum(), list(weights.values()), allow_unused=True)
    for name, gradient in zip(weights, found, strict=True):
        assert gradient is not None, f"no gradient reaches the weights {name!r}"
        assert bool(gradient.abs().max() > 0), f"the gradient of the weights {name!r} is zero"


@llama_block.misconception(
    "You normalised after adding, as BERT does; Llama normalises what goes into each part and leaves the stream alone.",
    name="post-norm",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = rmsnorm(x + causal_attention(x, *attention, heads, rotate), weights["attention_norm"], eps)
    gated = F.silu(F.linear(x, weights["gate"])) * F.linear(x, weights["up"])
    return rmsnorm(x + F.linear(gated, weights["down"]), weights["mlp_norm"], eps)


@llama_block.misconception(
    "You added to the normalised x; each part is added to the stream as it came, so that the direct path stays open.",
    name="added-to-normed",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    x = rmsnorm(x, weights["attention_norm"], eps)
    x = x + causal_attention(x, *(weights[name] for name in "qkvo"), heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return z + F.linear(gated, weights["down"])


@llama_block.misconception("You put silu around `up`; the gate goes through silu.", name="silu-on-up")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.linear(z, weights["gate"]) * F.silu(F.linear(z, weights["up"])), weights["down"])


@llama_block.misconception("You used relu; Llama's gate is silu, z · sigmoid(z).", name="relu-gate")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.relu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"]), weights["down"])


@llama_block.misconception("You used gelu; Llama's gate is silu, z · sigmoid(z).", name="gelu-gate")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.gelu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"]), weights["down"])


@llama_block.misconception(
    "You left out `up`: the gate is multiplied by a second projection, which is what it gates.",
    name="no-up",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.silu(F.linear(z, weights["gate"])), weights["down"])


@llama_block.misconception(
    "You fed both parts from the x that came in; the feed-forward network reads the stream after attention was added.",
    name="parallel-parts",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    after = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return after + F.linear(gated, weights["down"])


@llama_block.misconception(
    "You used the gain of the attention for both norms; the second one is `mlp_norm`.",
    name="one-gain",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["attention_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return x + F.linear(gated, weights["down"])


@llama_block.misconception(
    "You did not pass `rotate` to the attention, so that it does not know the positions.",
    name="dropped-rotate",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *(weights[name] for name in "qkvo"), heads)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return x + F.linear(gated, weights["down"])


@llama_block.also_correct
def _(x, weights, heads, rotate=None, eps=1e-6):
    z = F.rms_norm(x, x.shape[-1:], weights["attention_norm"], eps)
    q, k, v = (torch.stack((z @ weights[name].T).chunk(heads, -1), 1) for name in "qkv")
    if rotate is not None:
        q, k = rotate(q), rotate(k)
    mixed = torch.cat(F.scaled_dot_product_attention(q, k, v, is_causal=True).unbind(1), -1)
    x = torch.add(x, mixed @ weights["o"].T)
    z = F.rms_norm(x, x.shape[-1:], weights["mlp_norm"], eps)
    gate, up = (z @ torch.cat([weights["gate"], weights["up"]]).T).chunk(2, -1)
    return torch.add(x, gate * gate.sigmoid() * up @ weights["down"].T)


# ------------------------------------------------------------------------------------------------------- llama


@exercise(
    points=5,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "Which tensors are outside the layers, and how can you find the number of layers from the names alone?",
        "Look the tokens up, pass the stream through the layers in the order of their numbers, normalise once more, "
        "and multiply by the head, or by the embedding if there is no head.",
        "The stream stays (B, T, D) all the way; each layer needs a mapping with the nine names of `llama_block`.",
        'The layers are `{name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")}`; '
        '`checkpoint.get("lm_head.weight", table)` is the head.',
    ),
)
def llama(checkpoint, ids, heads, rotate=None, eps=1e-6):
    """Return the next-token logits of a whole Llama, whose weights have the names that published checkpoints use.

    * checkpoint: a mapping from the names in the table above to tensors. The layers are numbered from 0, without
      gaps. There may be more than ten. Without "lm_head.weight", the embedding is the head. It stays as it is.
    * ids (B, T), integers.
    * heads, rotate, eps: as in `llama_block`; eps is that of the last norm, too.

    Call `llama_block` and `rmsnorm`. Return (B, T, V). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)
    ### END SOLUTION


@llama.test("reads the embedding out again where no layer adds anything", points=1)
def _(llama, rng):
    shapes = {"model.embed_tokens": (5, 4), "model.norm": (4,), "lm_head": (5, 4)}
    for at in ("model.layers.0", "model.layers.1"):
        shapes |= {f"{at}.self_attn.{name}_proj": (4, 4) for name in "qkvo"} | {f"{at}.mlp.down_proj": (4, 6)}
        shapes |= {f"{at}.mlp.{name}_proj": (6, 4) for name in ("gate", "up")}
        shapes |= {f"{at}.{name}_layernorm": (4,) for name in ("input", "post_attention")}
    checkpoint = {f"{name}.weight": torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    for name in checkpoint:
        if "o_proj" in name or "down_proj" in name:
            checkpoint[name] = torch.zeros_like(checkpoint[name])
    ids = torch.tensor([[1, 4, 0], [2, 2, 3]])
    x = F.rms_norm(checkpoint["model.embed_tokens.weight"][ids], (4,), checkpoint["model.norm.weight"], 1e-6)
    expected = x @ checkpoint["lm_head.weight"].T
    what = "with o and down = 0 in both layers, only the embedding, the last norm and the head are left"
    assert_close(llama(checkpoint, ids, 2), expected, rtol=1e-4, atol=1e-4, message=what)


@llama.hidden("is a Llama of any depth, with a head of its own or the embedding as head", points=3)
def _(llama, rng):
    for layers, heads, tied, turn, eps in (
        (3, 2, False, rotate, 1e-5),
        (2, 3, True, None, 0.3),
        (12, 1, True, rotate, 1e-6),
    ):
        shapes = {"lm_head": (7, 12), "model.norm": (12,), "model.embed_tokens": (7, 12)}
        for layer in reversed(range(layers)):
            at = f"model.layers.{layer}"
            shapes |= {f"{at}.{name}_layernorm": (12,) for name in ("post_attention", "input")}
            shapes |= {f"{at}.mlp.{name}_proj": (10, 12) for name in ("up", "gate")} | {f"{at}.mlp.down_proj": (12, 10)}
            shapes |= {f"{at}.self_attn.{name}_proj": (12, 12) for name in "okvq"}
        weights = {n: torch.randn(s, generator=rng, dtype=torch.float64) / s[-1] ** 0.4 for n, s in shapes.items()}
        if tied:
            del weights["lm_head"]
        ids = torch.randint(7, (2, 5), generator=rng)
        x = weights["model.embed_tokens"][ids]
        for layer in range(layers):
            at = f"model.layers.{layer}"
            z = F.rms_norm(x, (12,), weights[f"{at}.input_layernorm"], eps)
            q, k, v = (
                F.linear(z, weights[f"{at}.self_attn.{n}_proj"]).view(2, 5, heads, -1).transpose(1, 2) for n in "qkv"
            )
            q, k = (turn(q), turn(k)) if turn else (q, k)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 5, 12)
            x = x + F.linear(mixed, weights[f"{at}.self_attn.o_proj"])
            z = F.rms_norm(x, (12,), weights[f"{at}.post_attention_layernorm"], eps)
            gate, up, down = (weights[f"{at}.mlp.{n}_proj"] for n in ("gate", "up", "down"))
            x = x + F.linear(F.silu(F.linear(z, gate)) * F.linear(z, up), down)
        x = F.rms_norm(x, (12,), weights["model.norm"], eps)
        expected = F.linear(x, weights["model.embed_tokens" if tied else "lm_head"])
        checkpoint = {f"{name}.weight": weight for name, weight in weights.items()}
        kept = {name: weight.clone() for name, weight in checkpoint.items()}
        found = llama(checkpoint, ids, heads, turn, eps)
        what = f"with {layers} layers, {heads} heads, eps={eps:g}, "
        what += f"{'no head' if tied else 'a head'} and {'a' if turn else 'no'} rotation"
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=what)
        assert list(checkpoint) == list(kept), "the names in the checkpoint must stay as they are"
        for name, weight in kept.items():
            assert torch.equal(checkpoint[name], weight), f"the checkpoint must stay as it is, and {name!r} has changed"


@llama.hidden("lets gradients reach every tensor of the checkpoint", points=1)
def _(llama, rng):
    shapes = {"model.embed_tokens": (6, 4), "model.norm": (4,), "lm_head": (6, 4)}
    for at in ("model.layers.0", "model.layers.1"):
        shapes |= {f"{at}.self_attn.{name}_proj": (4, 4) for name in "qkvo"} | {f"{at}.mlp.down_proj": (4, 6)}
        shapes |= {f"{at}.mlp.{name}_proj": (6, 4) for name in ("gate", "up")}
        shapes |= {f"{at}.{name}_layernorm": (4,) for name in ("input", "post_attention")}
    checkpoint = {f"{name}.weight": torch.randn(s, generator=rng).requires_grad_() for name, s in shapes.items()}
    out = llama(checkpoint, torch.randint(6, (2, 4), generator=rng), 2, rotate)
    found = torch.autograd.grad(out.square().sum(), list(checkpoint.values()), allow_unused=True)
    for name, gradient in zip(checkpoint, found, strict=True):
        assert gradient is not None, f"no gradient reaches {name!r}"
        assert bool(gradient.abs().max() > 0), f"the gradient of {name!r} is zero"


@llama.misconception(
    "You read the head from the stream as the last layer left it; one more norm, `model.norm`, comes first.",
    name="no-last-norm",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You did not pass `rotate` to the layers, so that they do not know the positions.",
    name="dropped-rotate",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, None, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You did not pass `eps` to the layers, which then use their default, 1e-6.",
    name="dropped-eps",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You always used the embedding as head; a checkpoint with `lm_head.weight` has a head of its own.",
    name="always-tied",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    return F.linear(x, table)


@llama.misconception(
    "You left the last layer out: the layers are numbered from 0, so there is one more than the largest number.",
    name="one-layer-short",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers - 1):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You sorted the layers' numbers as text, where 10 comes before 2; sort them as integers.",
    name="layers-sorted-as-text",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in sorted(map(str, range(layers))):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You took the layers in the order in which the checkpoint lists them; their numbers give the order.",
    name="layers-in-file-order",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = dict.fromkeys(name.split(".")[2] for name in checkpoint if name.startswith("model.layers."))
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in layers:
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You swapped `gate_proj` and `up_proj`; the one called gate goes through silu.",
    name="swapped-gate-and-up",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"mlp.gate_proj": "up", "mlp.up_proj": "gate"}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You swapped the two norms of a layer: `input_layernorm` is in front of the attention.",
    name="swapped-norms",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "mlp_norm", "post_attention_layernorm": "attention_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You used the weights of layer 0 in every layer; the number in the name changes.",
    name="same-layer-again",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for _ in range(layers):
        weights = {ours: checkpoint[f"model.layers.0.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


@llama.misconception(
    "You returned probabilities; the loss and the sampler expect logits, before any softmax.",
    name="probabilities",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head).softmax(-1)


@llama.also_correct
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    layers = {}
    for name, weight in checkpoint.items():
        if name.startswith("model.layers."):
            _, _, number, *middle, _ = name.split(".")
            key = middle[-1].removesuffix("_proj")
            key = {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}.get(key, key)
            layers.setdefault(int(number), {})[key] = weight
    x = F.embedding(ids, checkpoint["model.embed_tokens.weight"])
    for number in sorted(layers):
        x = llama_block(x, layers[number], heads, rotate, eps)
    tied = "lm_head.weight" not in checkpoint
    head = checkpoint["model.embed_tokens.weight" if tied else "lm_head.weight"]
    return torch.einsum("btd,vd->btv", rmsnorm(x, checkpoint["model.norm.weight"], eps), head)


# ----------------------------------------------------------------------------------------------------- lm_loss


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=3,
    kind="find the bug",
    hints=(
        "Take T = 3. Which logits does the code compare with which token, and what should they be compared with?",
        "The text is shifted against the logits once, and only once. And padding must count neither in the sum nor in "
        "the number by which it is divided.",
        "B · (T - 1) logits, each (V,), meet as many targets. The logits of the last position have none.",
        "`F.cross_entropy` takes (N, V) and (N,); with `ignore_index` its own mean counts real targets alone.",
    ),
)
def lm_loss(logits, ids, ignore=-100):
    """Return the mean cross-entropy of the next-token predictions, in nats.

    This version has two bugs. Trained with it, a model writes nonsense; and with more padding, its loss falls:

    ```python
    def lm_loss(logits, ids, ignore=-100):
        logits, targets = logits[:, :-1], ids[:, 1:]
        flat, targets = logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten()
        losses = F.cross_entropy(flat, targets, ignore_index=ignore, reduction="none")
        return losses.mean()
    ```

    * logits (B, T, V): at position t, the prediction of the token at t + 1.
    * ids (B, T), integers: the text; `ignore` marks padding, which is no target.

    Return a scalar: the mean over all targets of the batch, each counted once; there is at least one. The lesson
    trains through it.
    """
    ### BEGIN SOLUTION
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)
    ### END SOLUTION


lm_loss.equivalent(
    "return F.cross_entropy(logits[:, :-1].float().mT, ids[:, 1:], ignore_index=ignore)",
    "the statement leaves the precision of the loss open",
)


@lm_loss.test("is near zero when every next token is known", points=1)
def _(lm_loss):
    ids = torch.tensor([[2, 0, 1, 2], [1, 1, 0, 2]])
    sure = torch.tensor([20.0, 30.0, 40.0, 50.0])[:, None] * F.one_hot(ids.roll(-1, 1), 3)
    assert_close(lm_loss(sure, ids), torch.tensor(0.0), atol=1e-4, message="position t knows the token at t + 1")


@lm_loss.hidden("averages -log p(next token) over the batch", points=1)
def _(lm_loss, rng):
    logits = torch.randn(2, 4, 5, generator=rng, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(lm_loss(logits, torch.tensor([[1, 2, 3, 4], [4, 0, 2, 1]])), logits)
    assert bool(gradient[:, :-1].abs().amin() > 0), (
        "the gradient of every logit that predicts a target must not be zero"
    )
    for batch, length, vocabulary in ((3, 5, 7), (1, 2, 4), (4, 9, 3)):
        logits = 3 * torch.randn(batch, length, vocabulary, generator=rng, dtype=torch.float64)
        ids = torch.randint(vocabulary, (batch, length), generator=rng)
        logp = logits.log_softmax(-1)
        terms = [-logp[b, t, ids[b, t + 1]] for b in range(batch) for t in range(length - 1)]
        found = lm_loss(logits, ids)
        assert_close(
            found, torch.stack(terms).mean(), rtol=1e-5, atol=1e-5, message=f"for logits {tuple(logits.shape)}"
        )


@lm_loss.hidden("counts each token once, and padding not at all", points=1)
def _(lm_loss, rng):
    for ignore in (-100, 0):
        logits = 3 * torch.randn(3, 6, 5, generator=rng, dtype=torch.float64)
        ids = torch.randint(1, 5, (3, 6), generator=rng)
        ids[0, 2:], ids[1, 4:], ids[2, 0] = ignore, ignore, ignore
        logp = logits.log_softmax(-1)
        places = [(b, t) for b in range(3) for t in range(5) if ids[b, t + 1] != ignore]
        expected = torch.stack([-logp[b, t, ids[b, t + 1]] for b, t in places]).mean()
        what = f"with rows of different length and ignore={ignore}"
        assert_close(lm_loss(logits, ids, ignore), expected, rtol=1e-5, atol=1e-5, message=what)


@lm_loss.misconception(
    "You shifted twice, as the code above does: the logits at t were compared with the token at t + 2, so the model "
    "learns"
    " to "
    "predict the token two places ahead.",
    name="shifted-twice",
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-2].flatten(0, 1), ids[:, 2:].flatten(), ignore_index=ignore)


@lm_loss.misconception(
    "You divided by all positions, as the code above does; padding adds no loss, so it must not count in the number "
    "either.",
    name="averaged-over-padding",
)
def _(logits, ids, ignore=-100):
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore, reduction="none")
    return losses.mean()


@lm_loss.misconception(
    "You did not shift at all: the logits at t were compared with the token at t, which the model has just read. They "
    "predict the token at t + 1.",
    name="not-shifted",
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=ignore)


@lm_loss.misconception(
    "You shifted the other way: the logits at position t predict the token after it, not the one before it.",
    name="shifted-backwards",
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten(), ignore_index=ignore)


@lm_loss.misconception(
    "You rolled the ids around, so that the last position got the first token as its target. It has none; leave it "
    "out.",
    name="rolled-around",
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits.flatten(0, 1), ids.roll(-1, 1).flatten(), ignore_index=ignore)


@lm_loss.misconception(
    "You took the mean of each row, then the mean of those; a target in a short row then counts more than one in a "
    "long "
    "row. Take one mean over all targets.",
    name="mean-of-row-means",
)
def _(logits, ids, ignore=-100):
    rows = [F.cross_entropy(row[:-1], i[1:], ignore_index=ignore) for row, i in zip(logits, ids, strict=True)]
    return torch.stack(rows).mean()


@lm_loss.misconception("You returned the sum; the mean does not grow with the batch.", name="summed")
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore, reduction="sum")


@lm_loss.misconception(
    "You did not use `ignore`: PyTorch skips -100 by default, and padding may be marked by another number.",
    name="ignored-ignore",
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@lm_loss.also_correct
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-1].float().mT, ids[:, 1:], ignore_index=ignore).to(logits.dtype)


@lm_loss.also_correct
def _(logits, ids, ignore=-100):
    target = ids[:, 1:]
    counted = target != ignore
    logp = logits[:, :-1].log_softmax(-1).gather(-1, target.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return -(logp * counted).sum() / counted.sum()


@lm_loss.also_correct
def _(logits, ids, ignore=-100):
    flat, target = logits[:, :-1].reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1)
    flat, target = flat[target != ignore], target[target != ignore]
    return (flat.logsumexp(-1) - flat[torch.arange(len(flat)), target]).mean()


# ----------------------------------------------------------------------------------------------- filter_logits


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    hints=(
        "If you sort the tokens by probability, how much probability is in front of the last one that you keep?",
        "A token stays if the tokens before it sum to less than top_p: so the one that crosses the line stays, and so "
        "does the first.",
        "Everything is (V,). What you decide in sorted order has to be brought back to the order of the logits.",
        "`scaled.topk(k).values[-1]` is the weakest logit that top-k keeps; "
        "`torch.zeros_like(gone).scatter(0, order, gone)` undoes the sorting.",
    ),
)
def filter_logits(logits, temperature=1.0, top_k=None, top_p=None):
    """Return the logits to draw the next token from, with -inf for each token that is removed.

    In this order:

    * divide by temperature (> 0);
    * top_k (1 or more): keep the top_k largest, and any equal to the smallest of them;
    * top_p (0 to 1): of the rest, renormalised, keep the fewest most probable tokens whose probabilities sum to top_p
      or more, at least one. Of equal ones at the border, any may stay.

    None switches a filter off. logits (V,), floats, stay as they are. Return (V,).
    """
    ### BEGIN SOLUTION
    scaled = logits / temperature
    if top_k is not None:
        weakest = scaled.topk(min(top_k, len(scaled))).values[-1]
        scaled = scaled.masked_fill(scaled < weakest, -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled
    ### END SOLUTION


filter_logits.equivalent("probability, order = scaled.softmax(0).sort(descending=True)", "the logits have one axis")
filter_logits.equivalent("gone = probability.cumsum(0) - probability >= top_p", "the logits have one axis")
filter_logits.equivalent(
    "gone = probability.cumsum(-1) - probability > top_p",
    "differs only where probabilities sum to top_p to the last digit, which rounding decides",
)
filter_logits.equivalent(
    "scaled = scaled.masked_fill(torch.ones_like(gone).scatter(0, order, gone), -math.inf)",
    "every place is written over",
)


@filter_logits.test("divides by the temperature, and keeps what top-k and top-p keep", points=1)
def _(filter_logits):
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    assert_close(filter_logits(logits, 0.5), 2 * logits, message="with temperature 0.5 alone")
    expected = torch.tensor([0.5, 0.3, 0.0]).log()
    assert_close(filter_logits(logits, top_k=2), expected, message="with top_k=2 the third goes")
    assert_close(
        filter_logits(logits, top_p=0.6), expected, message="0.5 is less than 0.6, so the second is needed too"
    )


@filter_logits.hidden("keeps exactly the top k, ties included", points=1)
def _(filter_logits, rng):
    logits = torch.randn(9, generator=rng, dtype=torch.float64)
    kept = logits.clone()
    for k in (3, 1, 9, 20):
        for temperature in (0.3, 1.0, 2.5):
            scaled = logits / temperature
            expected = scaled.masked_fill(scaled < scaled.sort().values[-min(k, 9)], -math.inf)
            what = f"with temperature {temperature:g} and top_k={k}"
            assert_close(filter_logits(logits, temperature, k), expected, rtol=1e-6, atol=1e-6, message=what)
    assert torch.equal(logits, kept), "the argument logits must stay as it is"
    tied = torch.tensor([1.0, 3.0, 2.0, 2.0, 0.0])
    expected = torch.tensor([-math.inf, 3.0, 2.0, 2.0, -math.inf])
    assert_close(filter_logits(tied, top_k=2), expected, message="a token that equals the weakest of the top 2 stays")


@filter_logits.hidden("keeps the fewest tokens that reach top-p, also after top-k", points=2)
def _(filter_logits, rng):
    for _ in range(3):
        probability = torch.tensor([0.31, 0.24, 0.18, 0.12, 0.08, 0.04, 0.03], dtype=torch.float64)
        place = torch.randperm(7, generator=rng)
        logits = torch.empty(7, dtype=torch.float64).scatter(0, place, probability.log()) + 2.0
        cases = [
            (1.0, None, p, n) for p, n in ((0.3, 1), (0.33, 2), (0.6, 3), (0.75, 4), (0.95, 6), (1.0, 7), (0.0, 1))
        ]
        cases += [
            (1.0, 3, 0.5, 2),
            (1.0, 3, 0.4, 1),
            (1.0, 5, 0.8, 4),
            (1.0, 2, 0.9, 2),
        ]  # renormalised among the top k
        for temperature, top_k, top_p, count in cases:
            expected = torch.full((7,), -math.inf, dtype=torch.float64)
            expected[place[:count]] = logits[place[:count]] / temperature
            found = filter_logits(logits, temperature, top_k, top_p)
            what = f"with probabilities 31, 24, 18, 12, 8, 4, 3 % in some order, top_k={top_k}, top_p={top_p:g}"
            assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)
        for temperature, top_p, count in ((0.5, 0.6, 2), (0.25, 0.6, 1), (3.0, 0.6, 4)):
            expected = torch.full((7,), -math.inf, dtype=torch.float64)
            expected[place[:count]] = logits[place[:count]] / temperature
            what = f"at temperature {temperature:g}, top_p={top_p:g} is measured on the tempered probabilities"
            assert_close(filter_logits(logits, temperature, None, top_p), expected, rtol=1e-6, atol=1e-6, message=what)


@filter_logits.misconception(
    "You removed the token that crosses the line; without it the kept tokens sum to less than top_p. It stays.",
    name="dropped-crossing-token",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) > top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You applied top-p before the temperature; it is measured on the probabilities that are drawn from, so after it.",
    name="filtered-before-temperature",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    kept = logits
    if top_k is not None:
        kept = kept.masked_fill(kept < kept.topk(min(top_k, len(kept))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = kept.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        kept = kept.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return kept / temperature


@filter_logits.misconception(
    "You multiplied by the temperature; a low one should sharpen, so the logits are divided by it.",
    name="multiplied-temperature",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits * temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You removed every token where top_p is 0: the first one, too, was beyond the line. At least one stays.",
    name="nothing-left",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You drew the top-p line on the probabilities before top-k; what top-k leaves is renormalised first, so that its "
    "probabilities sum to 1.",
    name="nucleus-before-top-k",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    probability, order = scaled.softmax(-1).sort(descending=True)
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You applied a decision made in sorted order to the logits in their own order; bring it back with the sorting's "
    "indices.",
    name="sorted-order",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, _ = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(gone, -math.inf)
    return scaled


@filter_logits.misconception(
    "You set the removed logits to 0; a logit of 0 is a token like any other. Only -inf has probability 0.",
    name="zeroed",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], 0.0)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), 0.0)
    return scaled


@filter_logits.also_correct
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits.clone().div_(temperature)
    order = sorted(range(len(scaled)), key=lambda i: -float(scaled[i]))
    keep = set(order)
    if top_k is not None:
        weakest = scaled[order[min(top_k, len(order)) - 1]]
        keep = {i for i in keep if scaled[i] >= weakest}
    if top_p is not None:
        left = [i for i in order if i in keep]
        share = scaled[left].softmax(0)
        count = min(int((share.cumsum(0) < top_p).sum()) + 1, len(left))
        keep = set(left[:count])
    for i in range(len(scaled)):
        if i not in keep:
            scaled[i] = -math.inf
    return scaled


@filter_logits.also_correct
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None and top_k < scaled.numel():
        scaled = torch.where(
            scaled < torch.topk(scaled, top_k)[0][-1], torch.tensor(-math.inf, dtype=scaled.dtype), scaled
        )
    if top_p is not None:
        ascending, order = torch.sort(scaled)
        remove = ascending.softmax(-1).cumsum(-1) <= (1 - top_p)
        remove[-1] = False
        scaled = scaled.masked_fill(remove.scatter(0, order, remove), -math.inf)
    return scaled


# ---------------------------------------------------------------------------------------------------- generate


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "A forward pass gives T predictions. Which of them is about a token that does not exist yet?",
        "Repeat: predict from the last tokens, filter the last position's logits, draw one token, append it.",
        "The model takes (1, T) and returns (1, T, V); the filter takes (V,); what you append is (1,).",
        "`torch.multinomial(kept.softmax(-1), 1, generator=generator)` draws one token, and "
        "`model(ids[None, -context:])[0, -1]` are the logits to filter.",
    ),
)
def generate(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    """Return ids continued by `new` tokens, each drawn from the filtered logits of the text so far.

    * model: a function of ids (1, T) that returns logits (1, T, V). It sees the last `context` tokens at most.
    * ids (T,), integers, T >= 1; they stay as they are.
    * new: 1 or more.
    * temperature, top_k, top_p: as in `filter_logits`.

    Draw with `generator` alone, so that the same seed gives the same text, and record no gradients.
    Return (T + new,), integers.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids
    ### END SOLUTION


generate.equivalent("drawn = torch.multinomial(kept.softmax(0), 1, generator=generator)", "the logits have one axis")
generate.equivalent(
    "point = torch.rand((), generator=generator, dtype=torch.float32)", "a uniform number of single precision does, too"
)


@generate.test("continues a text whose next token is certain", points=1)
def _(generate):
    def model(ids):
        return 100.0 * F.one_hot((ids + 1) % 7, 7)

    found = generate(model, torch.tensor([2, 4]), 5, torch.Generator().manual_seed(0), 8)
    what = "the model is certain that each token is followed by the next larger one, and 6 by 0"
    assert_close(found, torch.tensor([2, 4, 5, 6, 0, 1, 2]), message=what)


@generate.hidden("shows the model the last tokens of the text, and no more than `context`", points=1)
def _(generate):
    for context in (4, 3, 9):
        seen = []

        def model(ids, seen=seen):
            assert tuple(ids.shape[:1]) == (1,), f"the model needs ids (1, T), got shape {tuple(ids.shape)}"
            assert not torch.is_grad_enabled(), "the model was called while gradients were recorded"
            seen.append(ids[0].tolist())
            return 100.0 * F.one_hot((ids.cumsum(1) + ids[:, :1]) % 11, 11)

        start = torch.tensor([3, 1, 4, 1, 5])
        text = start.tolist()
        for _ in range(6):
            window = text[-context:]
            text.append((sum(window) + window[0]) % 11)
        found = generate(model, start, 6, torch.Generator().manual_seed(0), context)
        assert start.tolist() == [3, 1, 4, 1, 5], "the argument ids must stay as it is"
        longest = max(len(ids) for ids in seen)
        assert longest <= context, f"the model was given {longest} tokens, and context is {context}"
        assert_close(found, torch.tensor(text), message=f"with context={context} and a model that is always certain")


@generate.hidden("draws each token from the filtered logits, with the generator alone", points=2)
def _(generate, rng):
    logits = torch.tensor([1.0, 0.2, 0.7, -0.5, 0.4])

    def model(ids):
        return logits.expand(1, ids.shape[1], 5)

    seed = int(torch.randint(10**6, (1,), generator=rng))
    for options, kept in (
        ({"top_k": 3}, [0, 2, 4]),
        ({"temperature": 0.5}, [0, 1, 2, 3, 4]),
        ({"temperature": 2.0, "top_p": 0.5}, [0, 2, 4]),
    ):
        before = torch.get_rng_state()
        found = generate(model, torch.tensor([3]), 1200, torch.Generator().manual_seed(seed), 2, **options)
        assert torch.equal(torch.get_rng_state(), before), "draw with `generator`: torch's own generator was used"
        again = generate(model, torch.tensor([3]), 20, torch.Generator().manual_seed(seed), 2, **options)
        assert again.tolist() == found[:21].tolist(), "the same seed must give the same text"
        expected = torch.zeros(5).scatter(
            0, torch.tensor(kept), (logits[kept] / options.get("temperature", 1.0)).softmax(-1)
        )
        share = torch.bincount(found[1:], minlength=5) / 1200
        what = f"the shares of the five tokens among 1200 drawn with {options}, each to 0.08"
        assert_close(share, expected, rtol=0, atol=0.08, message=what)
        assert not share[expected == 0].any(), f"with {options}, a token that was filtered out was drawn"


@generate.misconception(
    "You took the likeliest token; each token is drawn, with the probabilities that the filter leaves.",
    name="greedy",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = kept.argmax(-1, keepdim=True)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You read the logits of the first position; the last one predicts the token that is still missing.",
    name="first-position",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, 0]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You showed the model the first `context` tokens; what matters for the next token is the end of the text.",
    name="first-tokens",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, :context])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You showed the model the whole text; it sees the last `context` tokens at most.",
    name="no-context",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You showed the model the last token alone, so that it has forgotten the rest of the text.",
    name="last-token-alone",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -1:])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You drew from the logits as the model gave them; temperature, top-k and top-p have not acted on them.",
    name="unfiltered",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = logits
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You did not pass the temperature to the filter.",
    name="no-temperature",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, 1.0, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You did not pass top_p to the filter.",
    name="no-top-p",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, temperature, top_k)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You passed probabilities to the filter, which expects logits, so the softmax acted twice.",
    name="filtered-probabilities",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits.softmax(-1), temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You drew with torch's own generator; with `generator` the same seed gives the same text.",
    name="torch-generator",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You recorded gradients while generating, which costs memory for every step.",
    name="recorded-gradients",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.enable_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids


@generate.misconception(
    "You returned the new tokens alone; the result starts with the ids that were given.",
    name="new-tokens-alone",
)
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    with torch.no_grad():
        for _ in range(new):
            logits = model(ids[None, -context:])[0, -1]
            kept = filter_logits(logits, temperature, top_k, top_p)
            drawn = torch.multinomial(kept.softmax(-1), 1, generator=generator)
            ids = torch.cat([ids, drawn])
    return ids[-new:]


@generate.also_correct
@torch.inference_mode()
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    text = ids.tolist()
    while len(text) < len(ids) + new:
        logits = model(torch.tensor([text[-context:]]))[0][-1]
        probability = filter_logits(logits, temperature, top_k, top_p).softmax(-1)
        text.append(int(torch.multinomial(probability, 1, generator=generator)))
    return torch.tensor(text)


@generate.also_correct
def _(model, ids, new, generator, context, temperature=1.0, top_k=None, top_p=None):
    result = torch.empty(len(ids) + new, dtype=ids.dtype)
    result[: len(ids)] = ids
    for place in range(len(ids), len(result)):
        with torch.no_grad():
            logits = model(result[None, max(0, place - context) : place])[0, -1]
        probability = filter_logits(logits, temperature, top_k, top_p).softmax(-1)
        point = torch.rand((), generator=generator, dtype=torch.float64)
        result[place] = int((probability.double().cumsum(-1) < point).sum().clamp(max=len(probability) - 1))
    return result


# --------------------------------------------------------------------------------------------- induction_score


@exercise(
    points=3,
    minutes=8,
    level="core",
    importance=3,
    kind="measure",
    hints=(
        "The text has period 5, and you are at position 7. Where was the same token before, and what came after it?",
        "Only queries from the second round on have an earlier occurrence. Collect one weight for each of them.",
        "The weights are on one line parallel to the diagonal of the last two axes; their mean leaves (L, H).",
        "`attention.diagonal(offset, -2, -1)` holds the weights [i, i + offset] for all i.",
    ),
)
def induction_score(attention, period):
    """Return, for each head, how much it looks at the token that followed the current token's last occurrence.

    attention (L, H, T, T): the weights of L layers and H heads on a text that repeats every `period` tokens;
    attention[l, h, i, j] is the weight of query i on key j. 2 <= period < T.

    Average that weight over all queries whose token has occurred before, one period ago. Return (L, H).
    """
    ### BEGIN SOLUTION
    queries = torch.arange(period, attention.shape[-1], device=attention.device)
    return attention[..., queries, queries - period + 1].mean(-1)
    ### END SOLUTION


induction_score.equivalent(
    "queries = torch.arange(period, attention.shape[-2], device=attention.device)", "there are as many queries as keys"
)


@induction_score.test("reads the right places of a small table", points=1)
def _(induction_score):
    attention = (10.0 * torch.arange(5)[:, None] + torch.arange(5))[None, None] / 100
    found = induction_score(attention, 3)
    what = "with period 3, query 3 should look at key 1 (here 0.31) and query 4 at key 2 (0.42)"
    assert_close(found, torch.tensor([[0.365]]), message=what)


@induction_score.hidden("averages the weight on i - period + 1 over the second and later rounds", points=2)
def _(induction_score, rng):
    for layers, heads, length, period in ((2, 3, 9, 4), (1, 2, 12, 3), (3, 1, 8, 7), (2, 2, 6, 2)):
        attention = torch.randn(layers, heads, length, length, generator=rng, dtype=torch.float64).softmax(-1)
        expected = torch.zeros(layers, heads, dtype=torch.float64)
        for i in range(period, length):
            expected += attention[:, :, i, i - period + 1] / (length - period)
        found = induction_score(attention, period)
        assert_close(found, expected, rtol=1e-6, atol=1e-9, message=f"with T={length} and period {period}")


@induction_score.misconception(
    "You measured the weight on i - period, where the same token was; an induction head looks at what *followed* "
    "it, one to the right.",
    name="same-token",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period].mean(-1)


@induction_score.misconception(
    "You measured the weight on i - period - 1, the token before the last occurrence; it is the one after it.",
    name="token-before",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period - 1].mean(-1)


@induction_score.misconception(
    "You let the average begin one query too early: at i = period - 1 the text has not repeated yet.",
    name="one-query-early",
)
def _(attention, period):
    return attention.diagonal(1 - period, -2, -1).mean(-1)


@induction_score.misconception("You swapped query and key: rows are queries, columns are keys.", name="swapped-axes")
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i - period + 1, i].mean(-1)


@induction_score.misconception(
    "You summed over the queries; the score is their mean, a number between 0 and 1.",
    name="summed",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period + 1].sum(-1)


@induction_score.misconception(
    "You averaged over the heads as well; each head has its own score, so the result is (L, H).",
    name="averaged-heads",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period + 1].mean()


@induction_score.also_correct
def _(attention, period):
    return attention.diagonal(1 - period, -2, -1)[..., 1:].mean(-1)


@induction_score.also_correct
def _(attention, period):
    length = attention.shape[-1]
    chosen = torch.zeros(length, length, dtype=attention.dtype)
    for i in range(period, length):
        chosen[i, i - period + 1] = 1 / (length - period)
    return torch.einsum("lhij,ij->lh", attention, chosen)


# -------------------------------------------------------------------------------------------- llama_parameters


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "Which tensors does `llama` read from a checkpoint, and what is the shape of each?",
        "Count one layer: four matrices of attention, three of the feed-forward network, two gains. Then what is "
        "outside "
        "the layers.",
        "With shared keys and values, k and v are (kv_width, D), whereas q and o stay (D, D).",
        "`2 * width * width + 2 * width * kv_width` is the attention of one layer.",
    ),
)
def llama_parameters(vocabulary, width, layers, hidden, kv_width, tied):
    """Return the exact number of parameters of a Llama, without building it.

    * vocabulary, width, layers, hidden: V, D, L and F.
    * kv_width: the width of the keys and of the values. It is D here; in Llama 3, where several heads share them,
      less.
    * tied: whether the embedding also serves as head.

    Return an int. "Llama 3 8B" has 8,030,261,248: V = 128256, D = 4096, L = 32, F = 14336, kv_width 1024, not tied.
    """
    ### BEGIN SOLUTION
    attention = 2 * width * width + 2 * width * kv_width
    layer = attention + 3 * width * hidden + 2 * width
    tables = 1 if tied else 2
    return tables * vocabulary * width + layers * layer + width
    ### END SOLUTION


@llama_parameters.test("counts a model that is small enough to count by hand", points=1)
def _(llama_parameters):
    found = llama_parameters(5, 2, 1, 3, 2, True)
    assert found == 10 + (4 * 4 + 3 * 6 + 2 * 2) + 2, f"10 + (16 + 18 + 4) + 2 = 50 was expected, got {found}"


@llama_parameters.hidden("is the size of each published Llama to the last parameter", points=2)
def _(llama_parameters):
    known = [
        ("Llama 2 7B", (32000, 4096, 32, 11008, 4096, False), 6_738_415_616),
        ("Llama 2 13B", (32000, 5120, 40, 13824, 5120, False), 13_015_864_320),
        ("Llama 3 8B", (128256, 4096, 32, 14336, 1024, False), 8_030_261_248),
        ("Llama 3.2 1B, whose head is the embedding", (128256, 2048, 16, 8192, 512, True), 1_235_814_400),
        ("a toy", (32, 64, 2, 172, 32, True), 92_992),
    ]
    for name, sizes, expected in known:
        found = llama_parameters(*sizes)
        assert found == expected, f"{name} has {expected:,} parameters, got {found:,}"


@llama_parameters.misconception(
    "You counted four square matrices of attention; where heads share keys and values, k and v are (kv_width, width).",
    name="square-keys",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 4 * width * width + 3 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You counted two matrices in the feed-forward network; a gated one has three: gate, up and down.",
    name="two-feed-forward-matrices",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 2 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You left out the last norm: there is one more gain after the layers.",
    name="no-last-norm",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer


@llama_parameters.misconception(
    "You counted the head even where it is the embedding; tied means that one table does both jobs.",
    name="counted-tied-head",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return 2 * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You counted one table where there are two: unless they are tied, the head has parameters of its own.",
    name="one-table",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You left out the two gains of each layer; they are few parameters, but they count.",
    name="no-layer-gains",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception("You gave each norm a bias; RMSNorm has a gain alone.", name="norm-biases")
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 4 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + 2 * width


@llama_parameters.also_correct
def _(vocabulary, width, layers, hidden, kv_width, tied):
    shapes = [(vocabulary, width)] * (2 - tied) + [(width,)]
    for _ in range(layers):
        shapes += [(width, width), (kv_width, width), (kv_width, width), (width, width)]
        shapes += [(hidden, width), (hidden, width), (width, hidden), (width,), (width,)]
    return sum(math.prod(shape) for shape in shapes)
