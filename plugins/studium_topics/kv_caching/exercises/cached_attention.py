import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.kv_caching.exercises.cached_mask import cached_mask
from studium_topics.kv_caching.exercises.write_cache import write_cache
from studium_topics.kv_caching.rotary import rotate


@exercise(
    points=5,
    minutes=18,
    level="core",
    importance=3,
    hints=(
        "What do you have to compute for a new token, and what is already in the caches?",
        "Project and rotate only the new tokens, write their keys and values into the caches, and then attend to "
        "everything that the caches hold.",
        "The projections are (B, heads, t, d), and the scores are (B, heads, t, length + t).",
        "`rotate(q, length)` and `write_cache(keys, rotate(k, length), length)`; if visible is None, use "
        "`cached_mask(t, length + t)`.",
    ),
)
def cached_attention(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    """Return what t new tokens read from the whole text, given only these tokens and the caches.

    * x (B, t, D): tokens that follow `length` earlier ones; it stays as it is.
    * wq, wk, wv, wo (D, D), heads: as in decoder-only; d = D / heads; scores / √d; no biases.
    * rotate(z, start): rotates queries or keys z (B, heads, t, d) from position start on.
    * keys, values (B, heads, capacity, d): caches of `length` tokens, keys already rotated. Write the new ones after
      them.
    * visible: None for causal; or bool, broadcasting to (B, heads, t, length + t), which then replaces the causal mask.

    Return (B, t, D).
    """
    ### BEGIN SOLUTION
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys = write_cache(keys, rotate(k, length), length)  # (B, heads, length + t, D / heads)
    values = write_cache(values, v, length)
    if visible is None:
        visible = cached_mask(q.shape[-2], keys.shape[-2]).to(x.device)
    scores = rotate(q, length) @ keys.mT / math.sqrt(q.shape[-1])
    mixed = scores.masked_fill(~visible, -math.inf).softmax(-1) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)
    ### END SOLUTION


cached_attention.equivalent("visible = cached_mask(q.shape[-2], keys.shape[-2])", "it is on the CPU already there")


@cached_attention.test("lets a second token see the first, from the cache", points=1)
def _(cached_attention, rng):
    x = torch.randn(2, 2, 4, generator=rng, dtype=torch.float64)
    none, same = torch.zeros(4, 4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    keys, values = torch.full((2, 2, 2, 3, 2), 7.0, dtype=torch.float64)
    parts = [cached_attention(x[:, i : i + 1], none, none, same, same, 2, rotate, keys, values, i) for i in range(2)]
    assert_close(parts[0], x[:, :1], rtol=1e-5, atol=1e-5, message="with q = k = 0, the first token's own value")
    expected = x.mean(1, keepdim=True)
    assert_close(parts[1], expected, rtol=1e-5, atol=1e-5, message="with q = k = 0, the mean of both tokens' values")


@cached_attention.hidden("equals attention to the whole text, however it is cut into chunks", points=2)
def _(cached_attention, rng):
    cases = ((2, 12, 3, 4, (1, 1, 3)), (1, 8, 2, 0, (1, 5)), (3, 16, 2, 0, (7,)), (2, 6, 1, 0, (2, 2, 2)))
    for batch, width, heads, start, chunks in cases:
        length, capacity = start + sum(chunks), start + sum(chunks) + 3
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
        wq, wk, wv, wo = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        q, k, v = (F.linear(x, w).view(batch, length, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        expected = F.linear(mixed.transpose(1, 2).reshape(batch, length, width), wo)
        keys = 3 * torch.randn(batch, heads, capacity, width // heads, generator=rng, dtype=torch.float64)
        values, kept = keys.flip(0), x.clone()
        keys[:, :, :start], values[:, :, :start] = rotate(k)[:, :, :start], v[:, :, :start]
        for t in chunks:
            found = cached_attention(x[:, start : start + t], wq, wk, wv, wo, heads, rotate, keys, values, start)
            what = f"tokens {start} to {start + t - 1} of a text in chunks of {chunks}, {heads} heads, D={width}"
            assert_close(found, expected[:, start : start + t], rtol=1e-5, atol=1e-5, message=what)
            start += t
        assert torch.equal(x, kept), "the argument x must stay as it is"


@cached_attention.hidden("leaves rotated keys and plain values in the caches", points=1)
def _(cached_attention, rng):
    x = torch.randn(2, 3, 8, generator=rng, dtype=torch.float64)
    wq, wk, wv, wo = torch.randn(4, 8, 8, generator=rng, dtype=torch.float64)
    before = torch.randn(2, 2, 2, 7, 4, generator=rng, dtype=torch.float64)
    keys, values = before.clone()
    cached_attention(x, wq, wk, wv, wo, 2, rotate, keys, values, 2)
    for name, cache, weight, old, turned in (
        ("keys", keys, wk, before[0], True),
        ("values", values, wv, before[1], False),
    ):
        new = F.linear(x, weight).view(2, 3, 2, 4).transpose(1, 2)
        expected = torch.cat([old[:, :, :2], rotate(new, 2) if turned else new, old[:, :, 5:]], 2)
        what = f"the cache of {name} after 3 tokens behind 2"
        assert_close(cache, expected, rtol=1e-5, atol=1e-5, message=what)


@cached_attention.hidden("lets `visible` alone say who sees whom", points=1)
def _(cached_attention, rng):
    for length, t in ((3, 5), (0, 4)):
        x = torch.randn(2, t, 6, generator=rng, dtype=torch.float64)
        wq, wk, wv, wo = torch.randn(4, 6, 6, generator=rng, dtype=torch.float64)
        keys, values = torch.randn(2, 2, 3, length + t + 1, 2, generator=rng, dtype=torch.float64)
        visible = torch.rand(2, 1, t, length + t, generator=rng) < 0.5
        visible |= torch.eye(t, length + t, dtype=torch.bool)
        found = cached_attention(x, wq, wk, wv, wo, 3, rotate, keys, values, length, visible)
        q, k, v = (F.linear(x, w).view(2, t, 3, 2).transpose(1, 2) for w in (wq, wk, wv))
        k, v = (torch.cat([old[:, :, :length], new], 2) for old, new in ((keys, rotate(k, length)), (values, v)))
        mixed = F.scaled_dot_product_attention(rotate(q, length), k, v, attn_mask=visible)
        expected = F.linear(mixed.transpose(1, 2).reshape(2, t, 6), wo)
        assert_close(
            found, expected, rtol=1e-5, atol=1e-5, message=f"{t} tokens behind {length}, with a mask of its own"
        )


@cached_attention.misconception(
    "You rotated queries and keys from position 0 in each call; the new tokens come after `length` others, so rotate "
    "both from `length` on.",
    name="positions-restart",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, 0), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, 0), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the keys from `length` on but the queries from 0; rotate both from `length` on, because they belong "
    "to the same tokens.",
    name="query-positions-restart",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, 0), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the keys from the cache a second time; they were already rotated when they were written, so use them "
    "as they are.",
    name="rotated-twice",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(keys, 0), values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You stored the keys before their rotation. Rotating all of them at every step would give the right result, but "
    "the cache is there to save that work: store them rotated.",
    name="cached-before-rotation",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, k, length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(keys, 0), values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You used a triangle that starts at the top left, as `is_causal=True` does, so the first new token sees only the "
    "oldest key; with a cache, align the mask to the bottom right.",
    name="top-left-mask",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    top_left = torch.ones(q.shape[-2], keys.shape[-2], dtype=torch.bool).tril()
    visible = top_left if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You used no mask; that works for one new token, but in a chunk of several, each token would see the ones after "
    "it.",
    name="no-mask",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You attended to the whole capacity of the cache; stop after length + t tokens, because the softmax gives weight "
    "to the leftovers behind them.",
    name="whole-room",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    seen = write_cache(keys, rotate(k, length), length).shape[-2]
    write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], seen) if visible is None else visible
    visible = F.pad(visible, (0, keys.shape[-2] - seen), value=True)
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You attended only to the new tokens; include the cache, which holds the text before them.",
    name="new-tokens-alone",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    write_cache(keys, rotate(k, length), length)
    write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], q.shape[-2]) if visible is None else visible[..., length:]
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(k, length), v, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the values too; rotate only queries and keys, because position belongs in the scores.",
    name="rotated-values",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, rotate(v, length), length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You did not use `visible`; if a mask is given, for example for a batch with padding, it replaces the causal one.",
    name="ignored-visible",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2])
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.also_correct
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    batch, t, width = x.shape
    q, k, v = (torch.einsum("btd,ed->bte", x, w).view(batch, t, heads, -1).permute(0, 2, 1, 3) for w in (wq, wk, wv))
    keys[:, :, length : length + t] = rotate(k, length)
    values[:, :, length : length + t] = v
    if visible is None:
        visible = torch.arange(length + t) <= torch.arange(length, length + t)[:, None]
    every, worth = keys[:, :, : length + t], values[:, :, : length + t]
    y = F.scaled_dot_product_attention(rotate(q, length), every, worth, attn_mask=visible)
    return y.permute(0, 2, 1, 3).reshape(batch, t, width) @ wo.T


@cached_attention.also_correct
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    t, capacity = x.shape[1], keys.shape[2]
    q, k, v = ((x @ w.mT).unflatten(-1, (heads, -1)).transpose(1, 2) for w in (wq, wk, wv))
    keys.narrow(2, length, t).copy_(rotate(k, length))
    values.narrow(2, length, t).copy_(v)
    seen = torch.zeros(x.shape[0], 1, t, capacity, dtype=torch.bool)
    seen[..., : length + t] = torch.ones(t, length + t, dtype=torch.bool).tril(length) if visible is None else visible
    scores = torch.einsum("bhtd,bhsd->bhts", rotate(q, length), keys) * q.shape[-1] ** -0.5
    weights = torch.where(seen, scores, torch.tensor(-1e30, dtype=x.dtype)).softmax(-1)
    return torch.einsum("bhts,bhsd->bthd", weights, values).flatten(2) @ wo.T
