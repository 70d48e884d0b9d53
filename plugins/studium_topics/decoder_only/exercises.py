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
    hints=(
        "The root mean square of a vector is `x.square().mean(-1, keepdim=True).sqrt()`. Nothing is subtracted.",
        "eps stands under the root, beside the mean square: it keeps a vector of zeros from dividing by zero.",
        "In float16 the square of 300 is infinite. `x.float()` first, and back with `.to(x.dtype)` at the end; float64 "
        "stays as it is.",
    ),
)
def rmsnorm(x, gain, eps):
    """Divide each vector by its root mean square, then scale its coordinates.

    y = x / √(mean(x²) + eps) · gain, the mean over the last axis (Zhang and Sennrich 2019).

    x (..., D): float16, bfloat16, float32 or float64; gain (D,), of x's dtype; eps a small positive number. Half
    precision overflows when squared, so the normalised x is computed in float32 at least and brought back to x's
    dtype. Returns (..., D) of x's dtype.
    """
    ### BEGIN SOLUTION
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = (wide.square().mean(-1, keepdim=True) + eps).rsqrt()
    return (wide * scale).to(x.dtype) * gain
    ### END SOLUTION


rmsnorm.equivalent(
    "wide = x.to(torch.promote_types(x.dtype, torch.float64))", "float32 at least is asked for, and float64 is more"
)


@rmsnorm.test("gives a vector of length √D", points=1)
def _(rmsnorm):
    found = rmsnorm(torch.tensor([[3.0, -4.0, 0.0, 0.0]]), torch.ones(4), 1e-6)
    assert_close(found, torch.tensor([[1.2, -1.6, 0.0, 0.0]]), rtol=1e-4, atol=1e-4)


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


@rmsnorm.misconception("You subtracted the mean; that is LayerNorm. RMSNorm only divides, and does as well without it.")
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    wide = wide - wide.mean(-1, keepdim=True)
    return (wide * (wide.square().mean(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception("You added eps to the root; it stands under the root, beside the mean square.")
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / (wide.square().mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype) * gain


@rmsnorm.misconception("You left eps out; a vector of zeros then becomes 0/0 = nan.")
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / wide.square().mean(-1, keepdim=True).sqrt()).to(x.dtype) * gain


@rmsnorm.misconception(
    "You divided by the length of the vector, the root of the sum of squares; RMSNorm takes their mean."
)
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().sum(-1, keepdim=True) + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception("You took one mean over everything; each vector, along the last axis, has its own.")
def _(x, gain, eps):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * (wide.square().mean() + eps).rsqrt()).to(x.dtype) * gain


@rmsnorm.misconception("You squared in half precision, where 400 · 400 is infinite already; go through float32.")
def _(x, gain, eps):
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * gain


@rmsnorm.misconception("You left the gain out; each coordinate is multiplied by its own learned number at the end.")
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
    hints=(
        "`F.linear(x, wq).unflatten(-1, (heads, -1)).transpose(1, 2)` gives the queries as (B, heads, T, D / heads).",
        "Scores are (B, heads, T, T), one row a query. Set those above the diagonal to -inf before the softmax.",
        "`torch.ones(T, T, dtype=torch.bool).triu(1)` is True where the key lies ahead of the query.",
        "If `rotate` is given, it is applied to the queries and the keys once they are split into heads; never to the "
        "values.",
    ),
)
def causal_attention(x, wq, wk, wv, wo, heads, rotate=None):
    """Let each position look at itself and at what came before it.

    x (B, T, D); wq, wk, wv, wo (D, D), used as in `F.linear`: q = x wqᵀ. D is a multiple of heads, and head h has the
    coordinates h · D/heads up to (h + 1) · D/heads. Scores are q · k / √(D / heads); position t may look at 0..t; the
    heads' results are put side by side again and go through wo. There are no biases.

    rotate: None, or a function of (B, heads, T, D/heads) that gives a tensor of that shape: it tells queries and keys
    their position, and is applied to both of them, not to the values. Returns (B, T, D).
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
    assert_close(found[:, 0], expected, rtol=1e-6, atol=1e-6, message="the first token's own value, through wo")


@causal_attention.hidden("is causal scaled dot-product attention of every head", points=1)
def _(causal_attention, rng):
    for batch, length, width, heads in ((2, 5, 12, 3), (1, 1, 8, 2), (3, 7, 10, 5), (2, 4, 6, 1), (1, 6, 16, 4)):
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
        wq, wk, wv, wo = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        q, k, v = (F.linear(x, w).view(batch, length, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        expected = F.linear(mixed.transpose(1, 2).reshape(batch, length, width), wo)
        what = f"with B={batch}, T={length}, D={width} and {heads} heads"
        assert_close(causal_attention(x, wq, wk, wv, wo, heads), expected, rtol=1e-6, atol=1e-6, message=what)


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
            after[:, :at], before[:, :at], rtol=1e-9, atol=1e-9, message=f"position {at} changed what is left of it"
        )
        assert not torch.allclose(after[:, at:], before[:, at:]), (
            f"position {at} and those after it must see position {at}"
        )


@causal_attention.hidden("rotates queries and keys, head by head", points=1)
def _(causal_attention, rng):
    for length, width, heads in ((5, 12, 3), (7, 16, 2), (4, 8, 1)):
        x = torch.randn(2, length, width, generator=rng, dtype=torch.float64)
        wq, wk, wv, wo = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        q, k, v = (F.linear(x, w).view(2, length, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        expected = F.linear(mixed.transpose(1, 2).reshape(2, length, width), wo)
        found = causal_attention(x, wq, wk, wv, wo, heads, rotate)
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"with T={length}, D={width} and {heads} heads")


@causal_attention.misconception(
    "You took the softmax over the queries; each query spreads one unit of attention over the keys, the last axis."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-2) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You masked after the softmax; the weights that are left then sum to less than 1. Mask the scores before it."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1).tril()
    return F.linear((weights @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You split the coordinates as (D / heads, heads), so that each head got a coordinate of every other; head h owns a "
    "block of D / heads neighbours: `unflatten(-1, (heads, -1))`."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (-1, heads)).permute(0, 3, 1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).permute(0, 2, 3, 1).flatten(2), wo)


@causal_attention.misconception(
    "You scaled by √D; a head's dot products have D / heads terms, so its scores are divided by √(D / heads)."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(x.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception("You masked nothing: every token sees the whole text, also what it is to predict.")
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
    return F.linear((weights @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You blocked the past in place of the future: keys ahead of the query lie above the diagonal, `triu(1)`."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    behind = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril(-1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(behind, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You blocked the diagonal as well; a token may see itself, and the first one has nothing else to look at."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(0)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception("You left out wo, which mixes the heads' results after they were put side by side.")
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


@causal_attention.misconception(
    "You multiplied by the weights as they lie; as in `F.linear`, it is x wqᵀ: transpose them."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = ((x @ w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k = (rotate(q), rotate(k)) if rotate else (q, k)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2) @ wo


@causal_attention.misconception(
    "You rotated the values too; positions belong into the scores, so into queries and keys alone."
)
def _(x, wq, wk, wv, wo, heads, rotate=None):
    q, k, v = (F.linear(x, w).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    q, k, v = (rotate(q), rotate(k), rotate(v)) if rotate else (q, k, v)
    ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(ahead, -math.inf)
    return F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), wo)


@causal_attention.misconception(
    "You did not use `rotate`: without it nothing in the scores says how far apart two tokens are."
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


# ------------------------------------------------------------------------------------------------- llama_block


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Two steps of one form: x = x + part(rmsnorm(x, gain, eps)). What is added to is x itself, not the normed x.",
        "The feed-forward part is `down(silu(gate z) * up z)` with z = the normed x; `F.silu` is x · sigmoid(x).",
        'The weights are used as in `F.linear`: `F.linear(z, weights["up"])`.',
    ),
)
def llama_block(x, weights, heads, rotate=None, eps=1e-6):
    """Give one layer of a Llama: attention, then a gated feed-forward network, each added to the stream.

    x ← x + attention(rmsnorm(x)), then x ← x + down(silu(gate z) · up z) with z = rmsnorm(x), of the new x.

    x (B, T, D). weights: a mapping with "q", "k", "v", "o" (D, D), "gate" and "up" (F, D), "down" (D, F), and the
    gains "attention_norm" and "mlp_norm" (D,). heads, rotate: as in `causal_attention`; eps: of both norms. You may
    call `rmsnorm` and `causal_attention`. Returns (B, T, D), and leaves x as it is.
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
            assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)
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
    "You normalised after adding, as BERT does; Llama normalises what goes into each part, and the stream stays free."
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = rmsnorm(x + causal_attention(x, *attention, heads, rotate), weights["attention_norm"], eps)
    gated = F.silu(F.linear(x, weights["gate"])) * F.linear(x, weights["up"])
    return rmsnorm(x + F.linear(gated, weights["down"]), weights["mlp_norm"], eps)


@llama_block.misconception(
    "You added to the normed x; what each part adds to is the stream as it came, so that the way through stays open."
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    x = rmsnorm(x, weights["attention_norm"], eps)
    x = x + causal_attention(x, *(weights[name] for name in "qkvo"), heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return z + F.linear(gated, weights["down"])


@llama_block.misconception("You put silu around `up`; it is the gate that goes through it.")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.linear(z, weights["gate"]) * F.silu(F.linear(z, weights["up"])), weights["down"])


@llama_block.misconception("You used relu; Llama's gate is silu, x · sigmoid(x).")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.relu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"]), weights["down"])


@llama_block.misconception("You used gelu; Llama's gate is silu, x · sigmoid(x).")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.gelu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"]), weights["down"])


@llama_block.misconception("You left out `up`: the gate is multiplied with a second projection, that is what it gates.")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.silu(F.linear(z, weights["gate"])), weights["down"])


@llama_block.misconception(
    "You fed both parts from the x that came in; the feed-forward network reads what attention has already added."
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    after = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return after + F.linear(gated, weights["down"])


@llama_block.misconception("You used one gain for both norms; the second one is `mlp_norm`.")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["attention_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return x + F.linear(gated, weights["down"])


@llama_block.misconception(
    "You did not hand `rotate` on to the attention, so that it does not know where tokens stand."
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


# ----------------------------------------------------------------------------------------------------- lm_loss


@exercise(
    points=3,
    minutes=8,
    hints=(
        "The logits at position t are about the token at t + 1. Which position's logits are about nothing?",
        "`logits[:, :-1]` against `ids[:, 1:]`. The logits of the last position have no target.",
        "`F.cross_entropy` wants (N, V) and (N,): `flatten(0, 1)` and `flatten()`. It has `ignore_index`.",
    ),
)
def lm_loss(logits, ids, ignore=-100):
    """Give how badly a decoder predicts each next token: the mean cross-entropy in nats.

    logits (B, T, V): what the model says at each position of the token that follows it. ids (B, T), integers: the text
    itself, in the same order; where it is `ignore` (padding, say), nothing has to be predicted. The mean is over all
    tokens of the batch that have to be predicted, each counting the same; there is at least one. Returns a scalar.
    """
    ### BEGIN SOLUTION
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)
    ### END SOLUTION


@lm_loss.test("is near zero when every next token is known", points=1)
def _(lm_loss):
    ids = torch.tensor([[2, 0, 1, 2], [1, 1, 0, 2]])
    sure = torch.tensor([20.0, 30.0, 40.0, 50.0])[:, None] * F.one_hot(ids.roll(-1, 1), 3)
    assert_close(lm_loss(sure, ids), torch.tensor(0.0), atol=1e-4, message="position t knows the token at t + 1")


@lm_loss.hidden("averages -log p(next token) over the batch", points=1)
def _(lm_loss, rng):
    for batch, length, vocabulary in ((3, 5, 7), (1, 2, 4), (4, 9, 3)):
        logits = 3 * torch.randn(batch, length, vocabulary, generator=rng, dtype=torch.float64)
        ids = torch.randint(vocabulary, (batch, length), generator=rng)
        logp = logits.log_softmax(-1)
        terms = [-logp[b, t, ids[b, t + 1]] for b in range(batch) for t in range(length - 1)]
        found = lm_loss(logits, ids)
        assert_close(
            found, torch.stack(terms).mean(), rtol=1e-6, atol=1e-6, message=f"for logits {tuple(logits.shape)}"
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
        assert_close(lm_loss(logits, ids, ignore), expected, rtol=1e-6, atol=1e-6, message=what)


@lm_loss.misconception(
    "You did not shift: the logits at t were compared with the token at t, which the model has just read. They are "
    "about the token at t + 1."
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=ignore)


@lm_loss.misconception(
    "You shifted the other way: what is said at position t is about the token after it, not before it."
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten(), ignore_index=ignore)


@lm_loss.misconception("You shifted twice: the logits at t were compared with the token at t + 2.")
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-2].flatten(0, 1), ids[:, 2:].flatten(), ignore_index=ignore)


@lm_loss.misconception(
    "You rolled the ids around: the last position got the first token as its target. It has none, so leave it out."
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits.flatten(0, 1), ids.roll(-1, 1).flatten(), ignore_index=ignore)


@lm_loss.misconception(
    "You took the mean of each row, then the mean of those; a token of a short row then counts more than one of a long "
    "row. Take one mean over all tokens."
)
def _(logits, ids, ignore=-100):
    rows = [F.cross_entropy(row[:-1], i[1:], ignore_index=ignore) for row, i in zip(logits, ids, strict=True)]
    return torch.stack(rows).mean()


@lm_loss.misconception("You divided by all positions; padding has no loss, so it must not count in the number either.")
def _(logits, ids, ignore=-100):
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore, reduction="none")
    return losses.mean()


@lm_loss.misconception("You gave the sum; the loss is the mean, so that it does not grow with the batch.")
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore, reduction="sum")


@lm_loss.misconception(
    "You did not use `ignore`: -100 is what PyTorch passes over, and your padding may be another number."
)
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


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
    hints=(
        "The order is: divide by the temperature, then top-k, then top-p on what is left.",
        "`scaled.topk(k).values[-1]` is the weakest logit that stays. Compare with it, and equal ones stay as well.",
        "For top-p, sort the probabilities from the largest. A token stays if those *before* it sum to less than "
        "top_p: then the token that crosses the line stays, and so does the first.",
        "You decide in sorted order; `mask.scatter(0, order, mask_in_sorted_order)` brings the decision back.",
    ),
)
def filter_logits(logits, temperature=1.0, top_k=None, top_p=None):
    """Give the logits that a next token is drawn from: tempered, and without the unlikely ones.

    logits (V,) floats. In this order: divide by temperature (> 0). If top_k (1 or more, may exceed V) is given, keep
    the top_k largest, and any that equals the smallest of them. If top_p (0 to 1) is given, sort what is left by
    probability, renormalised, and keep the fewest of the most probable tokens whose probabilities sum to top_p or
    more; at least one token stays. What is not kept becomes -inf. Returns (V,), in the order of `logits`, which stay
    as they are. (At top_p, equally probable tokens at the border may be kept or not.)
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
    for k in (1, 3, 9, 20):
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
    "You dropped the token that crosses the line; without it the kept ones sum to less than top_p. It stays."
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
    "You chose by top-p before the temperature; the line belongs on the probabilities that are drawn from, so after it."
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
    "You multiplied by the temperature; a low one has to sharpen, so the logits are divided by it."
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
    "You left no token where top_p is 0: every one, the first too, was beyond the line. At least one has to stay."
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
    "probabilities sum to 1."
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
    "You used a decision made in sorted order as if it were in the order of the logits; bring it back with "
    "`scatter(0, order, …)`."
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
    "You set what goes to 0; a logit of 0 is a token like others. Only -inf has probability 0."
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


# --------------------------------------------------------------------------------------------- induction_score


@exercise(
    points=3,
    minutes=8,
    hints=(
        "At position i the same token stood at i - period, and what followed it stands one to the right.",
        "So the place that an induction head looks at is i - period + 1. Average that weight over the queries i = "
        "period, …, T - 1.",
        "`attention.diagonal(offset, -2, -1)` gives the weights [i, i + offset] for all i.",
    ),
)
def induction_score(attention, period):
    """Tell how much each head looks at what followed the current token last time.

    attention (L, H, T, T): the weights of L layers and H heads on one text that repeats itself every `period` tokens;
    attention[l, h, i, j] is how much query i looks at key j. 2 <= period < T. Returns (L, H): the mean over the
    queries i >= period of the weight on key i - period + 1.
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
    "You looked at i - period, where the same token stood; an induction head looks at what *followed* it, one to the "
    "right."
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period].mean(-1)


@induction_score.misconception(
    "You looked at i - period - 1, what came before the last occurrence; it is what came after it."
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period - 1].mean(-1)


@induction_score.misconception(
    "You let the average begin one query too early: at i = period - 1 the text has not repeated itself yet."
)
def _(attention, period):
    return attention.diagonal(1 - period, -2, -1).mean(-1)


@induction_score.misconception(
    "You swapped query and key: rows are queries, so it is attention[..., i, i - period + 1]."
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i - period + 1, i].mean(-1)


@induction_score.misconception("You summed over the queries; the score is their mean, a number between 0 and 1.")
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period + 1].sum(-1)


@induction_score.misconception(
    "You averaged over the heads as well; each head has its own score, so the result is (L, H)."
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
    hints=(
        "Go through `llama_block`: four matrices of attention, three of the feed-forward network, two gains.",
        "With grouped heads, keys and values are narrower: their matrices are (kv_width, width).",
        "Outside the layers: the embedding, the last norm's gain, and the head, if it is not the embedding again.",
    ),
)
def llama_parameters(vocabulary, width, layers, hidden, kv_width, tied):
    """Count the numbers in a Llama, without building it.

    Embedding (vocabulary, width). Each of the `layers`: q and o (width, width); k and v (kv_width, width), where
    kv_width is `width` unless heads share their keys and values; gate, up (hidden, width) and down (width, hidden);
    two gains (width,). Then the gain of the last norm, and the head (vocabulary, width), which is the embedding itself
    if `tied`. No biases; rotary positions have no parameters. Returns an int.
    """
    ### BEGIN SOLUTION
    attention = 2 * width * width + 2 * width * kv_width
    layer = attention + 3 * width * hidden + 2 * width
    tables = 1 if tied else 2
    return tables * vocabulary * width + layers * layer + width
    ### END SOLUTION


@llama_parameters.test("counts a model that one can count by hand", points=1)
def _(llama_parameters):
    found = llama_parameters(5, 2, 1, 3, 2, True)
    assert found == 10 + (4 * 4 + 3 * 6 + 2 * 2) + 2, f"10 + (16 + 18 + 4) + 2 = 50 was expected, got {found}"


@llama_parameters.hidden("gives the size of every Llama to the last number", points=2)
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
    "You counted four square matrices of attention; where heads share keys and values, k and v are (kv_width, width)."
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 4 * width * width + 3 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You counted two matrices of the feed-forward network; a gated one has three: gate, up and down."
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 2 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception("You forgot the last norm: there is one more gain after the layers.")
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer


@llama_parameters.misconception(
    "You counted the head where it is the embedding; tied means that one table does both jobs."
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return 2 * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You counted one table where there are two: unless they are tied, the head has numbers of its own."
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You left the two gains of each layer out; they are few numbers, and numbers all the same."
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception("You gave each norm a bias; RMSNorm has a gain alone.")
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
