"""Exercises: a cache, its mask, attention and decoding with it, ragged batches, and what it costs and saves."""

import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kv_caching.rotary import rotate

# ------------------------------------------------------------------------------------------------- write_cache


@exercise(
    points=3,
    minutes=8,
    hints=(
        "The new tokens belong to the places length, …, length + t - 1 of the third axis. Assign to that slice.",
        "A slice that goes beyond the end is silently shorter, and a single token broadcasts into nothing. So compare "
        "length + t with the capacity before you write.",
    ),
)
def write_cache(cache, new, length):
    """Write the keys (or the values) of new tokens into a cache, and give all that is in it now.

    cache (B, H, capacity, d): room for `capacity` tokens, of which the first `length` are there; what lies behind them
    is leftovers that mean nothing. new (B, H, t, d), t >= 1. The new tokens are written into `cache` itself, behind
    those that are there; nothing else of it changes. Returns the first length + t tokens, (B, H, length + t, d).

    Raises ValueError if they do not fit, and then leaves the cache as it is.
    """
    ### BEGIN SOLUTION
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError(f"there is no room for {end} tokens in this cache: make a larger one")
    cache[:, :, length:end] = new
    return cache[:, :, :end]
    ### END SOLUTION


@write_cache.test("puts new tokens behind those that are there", points=1)
def _(write_cache):
    cache = torch.tensor([1.0, 2.0, -9.0, -9.0, -9.0]).view(1, 1, 5, 1)
    found = write_cache(cache, torch.tensor([3.0, 4.0]).view(1, 1, 2, 1), 2)
    assert_close(found, torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 4, 1), message="what is in the cache now")
    expected = torch.tensor([1.0, 2.0, 3.0, 4.0, -9.0]).view(1, 1, 5, 1)
    assert_close(cache, expected, message="the argument `cache` itself, after the call")


@write_cache.hidden("gives what torch.cat would, and writes nowhere else", points=1)
def _(write_cache, rng):
    for batch, heads, capacity, size, chunks in ((2, 3, 9, 4, (4, 1, 2)), (1, 2, 6, 5, (1, 1, 4)), (3, 1, 7, 2, (5,))):
        cache = torch.randn(batch, heads, capacity, size, generator=rng, dtype=torch.float64)
        leftovers, length = cache.clone(), 0
        text = torch.randn(batch, heads, sum(chunks), size, generator=rng, dtype=torch.float64)
        for t in chunks:
            found = write_cache(cache, text[:, :, length : length + t], length)
            length += t
            what = f"with {length} tokens in a cache of shape {tuple(cache.shape)}"
            assert_close(found, text[:, :, :length], message=f"the result {what}")
            expected = torch.cat([text[:, :, :length], leftovers[:, :, length:]], 2)
            assert_close(cache, expected, message=f"the cache itself {what}")


@write_cache.hidden("says so when the cache is full, and overwrites what was taken back", points=1)
def _(write_cache, rng):
    cache = torch.randn(2, 3, 6, 4, generator=rng, dtype=torch.float64)
    kept = cache.clone()
    for t, length in ((1, 6), (2, 5), (7, 0), (1, 8)):
        try:
            write_cache(cache, torch.ones(2, 3, t, 4, dtype=torch.float64), length)
        except ValueError:
            assert torch.equal(cache, kept), "a cache that is full must stay as it is"
        else:
            raise AssertionError(f"{t} more tokens behind {length} do not fit into 6: ValueError was expected")
    new = torch.randn(2, 3, 1, 4, generator=rng, dtype=torch.float64)
    found = write_cache(cache, new, 2)
    assert_close(found, torch.cat([kept[:, :, :2], new], 2), message="one token behind the first 2 of 6")
    assert_close(cache[:, :, 3:], kept[:, :, 3:], message="what lies behind the new token")


@write_cache.misconception(
    "You made a new, longer tensor with torch.cat; then each token copies the whole cache. Write into the room that is "
    "there: `cache[:, :, length:end] = new`."
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    return torch.cat([cache[:, :, :length], new], 2)


@write_cache.misconception(
    "You wrote and did not look whether there is room. Slices are cut at the end, and one token broadcasts into an "
    "empty slice without a word: it is lost. Raise ValueError."
)
def _(cache, new, length):
    cache[:, :, length : length + new.shape[2]] = new
    return cache[:, :, : length + new.shape[2]]


@write_cache.misconception(
    "You gave the whole room, leftovers and all; only the first length + t tokens have been written."
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    cache[:, :, length:end] = new
    return cache


@write_cache.misconception("You wrote at the beginning, over the oldest tokens; new ones go behind the first `length`.")
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    cache[:, :, : new.shape[2]] = new
    return cache[:, :, :end]


@write_cache.misconception(
    "You gave the new tokens alone; a query looks at all that came before it, so give what was there as well."
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    cache[:, :, length:end] = new
    return cache[:, :, length:end]


@write_cache.misconception(
    "You shifted the cache to the left to make room at its end; then every token moves at every step, and the places "
    "no longer say which token is where."
)
def _(cache, new, length):
    t = new.shape[2]
    if length + t > cache.shape[2]:
        raise ValueError("full")
    cache.copy_(torch.cat([cache[:, :, t:], new], 2))
    return cache[:, :, -(length + t) :]


@write_cache.also_correct
def _(cache, new, length):
    t, capacity = new.shape[-2], cache.shape[-2]
    if capacity - length < t:
        raise ValueError("no room")
    cache.narrow(2, length, t).copy_(new)
    return cache.narrow(2, 0, length + t).clone()


@write_cache.also_correct
def _(cache, new, length):
    places = torch.arange(length, length + new.size(2), device=cache.device)
    if int(places[-1]) >= cache.size(2):
        raise ValueError("no room")
    cache.index_copy_(2, places, new)
    return cache[:, :, : length + new.size(2)]


# ------------------------------------------------------------------------------------------------- cached_mask


@exercise(
    points=3,
    minutes=8,
    hints=(
        "The queries are the last ones: query i stands at position keys - queries + i of the text.",
        "It sees keys 0 … keys - queries + i. `tril` has an argument for that.",
    ),
)
def cached_mask(queries, keys):
    """Tell which keys the newest tokens may see, where the keys of earlier ones come from a cache.

    The text has `keys` tokens; `queries` of them, the last ones, are new (1 <= queries <= keys). Each of them may see
    itself and all that stands before it. Returns bool (queries, keys), True where a query may look.
    """
    ### BEGIN SOLUTION
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    ### END SOLUTION


@cached_mask.test("lets the newest token see the whole text", points=1)
def _(cached_mask):
    assert_close(cached_mask(1, 4), torch.tensor([[True, True, True, True]]), message="one new token, 4 in all")


@cached_mask.hidden("is aligned to the end of the text, whatever the chunk", points=2)
def _(cached_mask):
    for queries, keys in ((3, 7), (2, 5), (4, 4), (1, 1), (1, 6), (5, 6)):
        expected = torch.tensor([[k <= keys - queries + q for k in range(keys)] for q in range(queries)])
        found = cached_mask(queries, keys)
        assert found.dtype == torch.bool, f"a bool tensor is needed, got {found.dtype}"
        assert_close(found, expected, message=f"for {queries} new tokens of {keys}")


@cached_mask.misconception(
    "You aligned the triangle to the top left corner, as `is_causal=True` does: the first new token then sees the "
    "first token alone. But it stands behind keys - queries others; align to the bottom right: `tril(keys - queries)`."
)
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril()


@cached_mask.misconception("You hid each token from itself: position p sees 0 … p, and p belongs to it.")
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries - 1)


@cached_mask.misconception(
    "You made the mask of the new tokens alone, a square; they also look at what is in the cache, so it is as wide as "
    "the whole text."
)
def _(queries, keys):
    return torch.ones(queries, queries, dtype=torch.bool).tril()


@cached_mask.misconception(
    "You marked what is hidden; here True is where a query may look, as in `scaled_dot_product_attention`."
)
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)


@cached_mask.misconception(
    "You hid nothing. One new token needs no mask, but in a chunk of several the first would see those after it."
)
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool)


@cached_mask.misconception("You let each token see the next one too: the diagonal is keys - queries, without one more.")
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries + 1)


@cached_mask.also_correct
def _(queries, keys):
    return torch.arange(keys)[None, :] <= torch.arange(keys - queries, keys)[:, None]


@cached_mask.also_correct
def _(queries, keys):
    return torch.ones(keys, keys, dtype=torch.bool).tril()[-queries:]


# -------------------------------------------------------------------------------------------- cached_attention


@exercise(
    points=5,
    minutes=18,
    hints=(
        "Project the new tokens alone, and split them into heads: `F.linear(x, wq).unflatten(-1, (heads, -1))"
        ".transpose(1, 2)` is (B, heads, t, D / heads).",
        "Their first one stands at position `length`: `rotate(q, length)` and `rotate(k, length)`.",
        "`write_cache` puts the rotated keys and the values behind the old ones, and gives all of them: attend to "
        "those.",
        "Scores are (B, heads, t, length + t). Where `visible` is None, `cached_mask(t, length + t)` says who sees "
        "whom.",
    ),
)
def cached_attention(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    """Give what the newest tokens take from the whole text, of which only they are given.

    x (B, t, D): t new tokens, behind `length` earlier ones. wq, wk, wv, wo (D, D), used as in `F.linear`; head h has
    the coordinates h · D/heads up to (h + 1) · D/heads; scores are divided by √(D / heads); no biases.

    rotate(z, start) turns z (B, heads, t, D/heads), whose tokens stand at positions start, start + 1, …; queries and
    keys are turned, values are not. keys, values (B, heads, capacity, D/heads): the caches of this layer. Their first
    `length` places hold the earlier tokens' keys, rotated already, and values. Write the new ones behind them, in
    place.

    visible: None, and each token sees itself and all before it; or a bool tensor that broadcasts to
    (B, heads, t, length + t), True where a query may look, which then is all that counts. You may call `write_cache`
    and `cached_mask`. Returns (B, t, D).
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
    assert_close(parts[0], x[:, :1], rtol=1e-6, atol=1e-6, message="with q = k = 0, the first token's own value")
    expected = x.mean(1, keepdim=True)
    assert_close(parts[1], expected, rtol=1e-6, atol=1e-6, message="with q = k = 0, the mean of both tokens' values")


@cached_attention.hidden("gives what attention to the whole text gives, however it is cut into chunks", points=2)
def _(cached_attention, rng):
    cases = ((2, 12, 3, (4, 1, 1, 3)), (1, 8, 2, (1, 5)), (3, 16, 2, (7,)), (2, 6, 1, (2, 2, 2)))
    for batch, width, heads, chunks in cases:
        length, capacity = sum(chunks), sum(chunks) + 3
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
        wq, wk, wv, wo = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        q, k, v = (F.linear(x, w).view(batch, length, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        expected = F.linear(mixed.transpose(1, 2).reshape(batch, length, width), wo)
        keys = 3 * torch.randn(batch, heads, capacity, width // heads, generator=rng, dtype=torch.float64)
        values, kept, start = keys.flip(0), x.clone(), 0
        for t in chunks:
            found = cached_attention(x[:, start : start + t], wq, wk, wv, wo, heads, rotate, keys, values, start)
            what = f"tokens {start} to {start + t - 1} of a text in chunks of {chunks}, {heads} heads, D={width}"
            assert_close(found, expected[:, start : start + t], rtol=1e-7, atol=1e-8, message=what)
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
        assert_close(cache, expected, rtol=1e-7, atol=1e-8, message=what)


@cached_attention.hidden("lets `visible` alone say who sees whom", points=1)
def _(cached_attention, rng):
    for length, t in ((3, 2), (0, 4)):
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
            found, expected, rtol=1e-7, atol=1e-8, message=f"{t} tokens behind {length}, with a mask of its own"
        )


@cached_attention.misconception(
    "You let positions start again at 0 with each call: the new tokens stand behind `length` others, so they are "
    "rotated from there: `rotate(q, length)`, `rotate(k, length)`."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, 0), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, 0), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the new keys from `length` on and the queries from 0: both belong to the same tokens."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, 0), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the keys from the cache a second time; they were rotated when they were written, once and for all."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(keys, 0), values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You cached the keys before their rotation. The result is right, if you rotate all of them at every step, and that "
    "is the work that the cache was to save: store them rotated."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, k, length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(keys, 0), values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You used `is_causal=True`, whose triangle starts at the top left: the first new token then sees the oldest key "
    "alone. With a cache the mask is aligned to the bottom right."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    top_left = torch.ones(q.shape[-2], keys.shape[-2], dtype=torch.bool).tril()
    visible = top_left if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You used no mask. That is right for one new token, which may see all there is; in a chunk the first would see "
    "those after it."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You attended to the whole room of the cache; behind length + t lie leftovers, and the softmax gives them weight."
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
    "You attended to the new tokens alone; what is in the cache is the text before them, and they must see it."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    write_cache(keys, rotate(k, length), length)
    write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], q.shape[-2]) if visible is None else visible[..., length:]
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(k, length), v, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the values too; positions belong into the scores, so into queries and keys alone."
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, rotate(v, length), length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You did not use `visible`; where a mask is given, as for a batch with padding, it replaces the causal one."
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


# ---------------------------------------------------------------------------------------------------- generate


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Two loops: one over `prompt.split(chunk, dim=1)`, one over the new tokens. Both call `step` and keep the "
        "cache.",
        "`start` is how many tokens have been fed so far: add the length of what you feed, each time.",
        "The logits of the last position of the last chunk choose the first new token; it is fed next, alone. The last "
        "new token is chosen and never fed.",
    ),
)
def generate(step, prompt, new, chunk):
    """Continue a prompt greedily: feed every token once, and let the cache remember.

    step(ids, start, cache) -> (logits, cache): the model. ids (B, t) are t tokens, the first of which stands at
    position start of the text; cache is None for the beginning of a text, later what the last call gave; logits
    (B, t, V) say what follows each of them.

    prompt (B, T): fed in chunks of `chunk` tokens, the last of which may be shorter. Then come `new` >= 1 new tokens,
    each the most probable one; a token is fed, alone, if another one is to follow. Returns the new tokens (B, new)
    long, and the cache, from which a conversation could go on.
    """
    ### BEGIN SOLUTION
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = [logits[:, -1].argmax(-1)]
    while len(found) < new:
        logits, cache = step(found[-1][:, None], start, cache)
        start += 1
        found.append(logits[:, -1].argmax(-1))
    return torch.stack(found, 1), cache
    ### END SOLUTION


generate.equivalent("found.append(logits[:, 0].argmax(-1))", "one token was fed, so its first position is its last")


@generate.test("continues a count", points=1)
def _(generate):
    def step(ids, start, cache):
        """Say n + 1 after n, and remember what was fed and from where."""
        return F.one_hot((ids + 1) % 20, 20).float(), [*(cache or []), (start, ids.tolist())]

    found, fed = generate(step, torch.tensor([[3, 4, 5, 6, 7]]), 3, 2)
    assert_close(found, torch.tensor([[8, 9, 10]]), message="a model that says n + 1 after n, asked for 3 tokens")
    expected = [(0, [[3, 4]]), (2, [[5, 6]]), (4, [[7]]), (5, [[8]]), (6, [[9]])]
    assert_close(fed, expected, message="the calls of step, as (start, ids)")


@generate.hidden("gives the tokens that decoding without a cache gives", points=2)
def _(generate, rng):
    for batch, length, new, chunk in ((2, 5, 6, 2), (1, 4, 5, 1), (3, 7, 4, 7), (2, 6, 3, 4), (1, 1, 6, 3)):
        table = torch.randn(97, 11, generator=rng)

        def step(ids, start, cache, table=table):
            """Give logits that depend on every token so far and on where it was said to stand."""
            here = (ids + 1) * (3 + start + torch.arange(ids.shape[1], device=ids.device)) ** 2
            seen = here if cache is None else torch.cat([cache, here], 1)
            return table.to(ids.device)[seen.cumsum(1)[:, -ids.shape[1] :] % 97], seen

        prompt = torch.randint(11, (batch, length), generator=rng)
        text, kept = prompt, prompt.clone()
        for _ in range(new):
            text = torch.cat([text, step(text, 0, None)[0][:, -1:].argmax(-1)], 1)
        found, cache = generate(step, prompt, new, chunk)
        what = f"with a prompt of {length}, in chunks of {chunk}, and {new} new tokens"
        assert_close(found, text[:, length:], message=what)
        assert_close(cache, step(text[:, :-1], 0, None)[1], message=f"the cache, {what}")
        assert torch.equal(prompt, kept), "the argument prompt must stay as it is"


@generate.hidden("feeds each token once, and the last one never", points=1)
def _(generate, rng):
    for length, new, chunk in ((7, 4, 3), (4, 1, 4), (5, 3, 1), (3, 2, 8)):

        def step(ids, start, cache):
            before, calls = cache or (ids[:, :0], [])
            seen = torch.cat([before, ids], 1)
            logits = F.one_hot((seen[:, -ids.shape[1] :] * 7 + 2) % 13, 13).float()
            return logits, (seen, [*calls, (start, ids.shape[1])])

        _, (_, calls) = generate(step, torch.randint(13, (2, length), generator=rng), new, chunk)
        expected = [(start, min(chunk, length - start)) for start in range(0, length, chunk)]
        expected += [(length + i, 1) for i in range(new - 1)]
        what = (
            f"the calls of step as (start, tokens), for a prompt of {length} in chunks of {chunk} and {new} new tokens"
        )
        assert_close(calls, expected, message=what)


@generate.misconception(
    "You let positions start again at 0: `start` is where the first fed token stands in the whole text."
)
def _(step, prompt, new, chunk):
    cache = None
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, 0, cache)
    found = [logits[:, -1:].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], 0, cache)
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception(
    "You left `start` at the length of the prompt; each new token stands one further than the one before."
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = [logits[:, -1:].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], start, cache)
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception(
    "You fed the whole text at each step, and with a cache: what is in it already comes a second time. Feed new tokens "
    "alone."
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    text = torch.cat([prompt, logits[:, -1:].argmax(-1)], 1)
    for _ in range(new - 1):
        logits, cache = step(text, 0, cache)
        text = torch.cat([text, logits[:, -1:].argmax(-1)], 1)
    return text[:, prompt.shape[1] :], cache


@generate.misconception(
    "You read the whole text anew for each token, without the cache. The tokens are right, and that is the quadratic "
    "work that a cache saves."
)
def _(step, prompt, new, chunk):
    text = prompt
    for _ in range(new):
        logits, cache = step(text, 0, None)
        text = torch.cat([text, logits[:, -1:].argmax(-1)], 1)
    return text[:, prompt.shape[1] :], cache


@generate.misconception(
    "You did not hand the cache on between the chunks of the prompt; then the model has forgotten all but the last one."
)
def _(step, prompt, new, chunk):
    start = 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, None)
        start += part.shape[1]
    found = [logits[:, -1:].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], start, cache)
        start += 1
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception(
    "You fed the prompt's last token again to begin with; it is in the cache, and its logits are there: they choose "
    "the first new token."
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        _, cache = step(part, start, cache)
        start += part.shape[1]
    found = [prompt[:, -1:]]
    for _ in range(new):
        logits, cache = step(found[-1], start, cache)
        start += 1
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found[1:], 1), cache


@generate.misconception(
    "You read the logits of the first position of the chunk; what follows the prompt is said at its last one."
)
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = [logits[:, :1].argmax(-1)]
    for _ in range(new - 1):
        logits, cache = step(found[-1], start, cache)
        start += 1
        found.append(logits[:, :1].argmax(-1))
    return torch.cat(found, 1), cache


@generate.misconception("You fed the last new token as well: nothing is to follow it, so that call is for nothing.")
def _(step, prompt, new, chunk):
    cache, start = None, 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = []
    for _ in range(new):
        found.append(logits[:, -1:].argmax(-1))
        logits, cache = step(found[-1], start, cache)
        start += 1
    return torch.cat(found, 1), cache


@generate.misconception(
    "You fed the prompt as a whole; a long one is read in chunks of `chunk` tokens, so that memory stays small."
)
def _(step, prompt, new, chunk):
    logits, cache = step(prompt, 0, None)
    found = [logits[:, -1:].argmax(-1)]
    for i in range(new - 1):
        logits, cache = step(found[-1], prompt.shape[1] + i, cache)
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


@generate.also_correct
def _(step, prompt, new, chunk):
    text, fed, cache = prompt.clone(), 0, None
    while text.shape[1] < prompt.shape[1] + new:
        part = text[:, fed : min(fed + chunk, prompt.shape[1])] if fed < prompt.shape[1] else text[:, fed:]
        logits, cache = step(part, fed, cache)
        fed += part.shape[1]
        if fed == text.shape[1]:
            text = torch.cat([text, torch.softmax(logits[:, -1], -1).argmax(-1, keepdim=True)], 1)
    return text[:, -new:], cache


@generate.also_correct
def _(step, prompt, new, chunk):
    length, cache = prompt.shape[1], None
    for start in range(0, length, chunk):
        logits, cache = step(prompt[:, start : start + chunk], start, cache)
    found = torch.empty(len(prompt), new, dtype=torch.long, device=prompt.device)
    for i in range(new):
        found[:, i] = logits[:, -1].max(-1).indices
        if i + 1 < new:
            logits, cache = step(found[:, i : i + 1], length + i, cache)
    return found, cache


# ------------------------------------------------------------------------------------------------- ragged_mask


@exercise(
    points=3,
    minutes=10,
    hints=(
        "Query i stands in column keys - queries + i. Without pads this is `cached_mask`, once for each row.",
        "A key is real if its column is at least pads[b]: `columns >= pads[:, None, None]` is (B, 1, keys).",
        "The diagonal stays visible for everybody, `|`: a softmax over nothing is nan.",
    ),
)
def ragged_mask(pads, queries, keys):
    """Tell who sees whom in a batch of prompts of different lengths, padded on the left to one length.

    Row b of the batch starts with pads[b] pads, which are no part of its text. pads (B,) long, each from 0 to keys - 1.
    The rows have `keys` columns by now, the last `queries` of which are new. A query sees the real tokens up to its own
    column, itself among them, and no pad; a pad, whose result nobody reads, sees itself alone. Returns bool
    (B, queries, keys), True where a query may look, on the device of pads.
    """
    ### BEGIN SOLUTION
    column = torch.arange(keys, device=pads.device)
    query = column[keys - queries :, None]  # (queries, 1)
    real = column >= pads[:, None, None]  # (B, 1, keys)
    return (column <= query) & (real | (column == query))
    ### END SOLUTION


@ragged_mask.test("hides the pads of the shorter prompt, and leaves each pad itself", points=1)
def _(ragged_mask):
    found = ragged_mask(torch.tensor([0, 2]), 3, 3)
    expected = torch.tensor([[[1, 0, 0], [1, 1, 0], [1, 1, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]]) == 1
    assert_close(found, expected, message="two prompts in 3 columns, the second with 2 pads")


@ragged_mask.hidden("is right for whole prompts, for chunks and for one new token", points=2)
def _(ragged_mask):
    cases = (((0, 3, 1), 5, 5), ((2, 0), 1, 6), ((1, 4, 0, 2), 3, 7), ((3,), 2, 4), ((5, 1), 4, 6))
    for pads, queries, keys in cases:
        rows = []
        for pad in pads:
            places = range(keys - queries, keys)
            rows.append([[k == q or pad <= k < q for k in range(keys)] for q in places])
        found = ragged_mask(torch.tensor(pads), queries, keys)
        assert_close(found, torch.tensor(rows), message=f"for pads {pads}, {queries} new columns of {keys}")


@ragged_mask.misconception(
    "You hid the future and not the pads: the shorter prompts then read their padding as if it were text."
)
def _(pads, queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries).expand(len(pads), -1, -1).clone()


@ragged_mask.misconception(
    "You let a pad see nothing at all. A softmax over nothing is nan, and one layer later 0 · nan = nan has reached "
    "every token of the row; let each pad see itself."
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    return (column <= column[keys - queries :, None]) & (column >= pads[:, None, None])


@ragged_mask.misconception(
    "You took the last pads[b] columns for the pads; they stand on the left, so that all rows end with their newest "
    "token."
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column <= query) & ((column < keys - pads[:, None, None]) | (column == query))


@ragged_mask.misconception("You hid the first real token with the pads: columns 0 … pads[b] - 1 are pads.")
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column <= query) & ((column > pads[:, None, None]) | (column == query))


@ragged_mask.misconception(
    "You took query i for column i; the new columns are the last ones, so query i stands in keys - queries + i."
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[:queries, None]
    return (column <= query) & ((column >= pads[:, None, None]) | (column == query))


@ragged_mask.misconception("You hid the pads and not the future: a token must not see those that come after it either.")
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column >= pads[:, None, None]) | (column == query)


@ragged_mask.also_correct
def _(pads, queries, keys):
    mask = torch.zeros(len(pads), queries, keys, dtype=torch.bool, device=pads.device)
    for b, pad in enumerate(pads.tolist()):
        for i in range(queries):
            at = keys - queries + i
            mask[b, i, pad : at + 1] = True
            mask[b, i, at] = True
    return mask


@ragged_mask.also_correct
def _(pads, queries, keys):
    triangle = torch.ones(keys, keys, dtype=torch.bool).tril()
    hidden = torch.arange(keys).expand(len(pads), keys) < pads.cpu()[:, None]
    mask = triangle.masked_fill(hidden[:, None, :], False) | torch.eye(keys, dtype=torch.bool)
    return mask[:, -queries:].to(pads.device)


# ---------------------------------------------------------------------------------------------------- kv_bytes


@exercise(
    points=2,
    minutes=5,
    hints=(
        "For one token of one layer: a key and a value, each of kv_heads · (width / heads) numbers.",
        "Then times layers, tokens, batch and bytes.",
    ),
)
def kv_bytes(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    """Give how many bytes the cache of a decoder takes.

    The model has `layers` layers of `heads` query heads, each of width / heads numbers, and in each layer `kv_heads`
    heads of keys and values of that same size: as many as query heads, or fewer where they share. The cache holds
    `tokens` tokens of each of `batch` texts; a number takes bytes_each bytes, 2 in half precision, 0.5 in int4.
    Returns a number.
    """
    ### BEGIN SOLUTION
    return 2 * layers * kv_heads * (width // heads) * tokens * batch * bytes_each
    ### END SOLUTION


kv_bytes.equivalent(
    "return 2 * layers * kv_heads * (width / heads) * tokens * batch * bytes_each", "heads divide the width"
)


@kv_bytes.test("counts a cache that one can count by hand", points=1)
def _(kv_bytes):
    found = kv_bytes(3, 8, 4, 4, 5, 1, 2)
    assert found == 480, f"3 layers, 5 tokens, a key and a value of 8 numbers, 2 bytes: 480, got {found}"


@kv_bytes.hidden("gives the sizes of the caches of real models", points=1)
def _(kv_bytes):
    gib = 2**30
    known = [
        ("Llama 2 7B, 4096 tokens in half precision", (32, 4096, 32, 32, 4096, 1, 2), 2 * gib),
        ("Llama 3 8B, 8192 tokens in half precision", (32, 4096, 32, 8, 8192, 1, 2), gib),
        ("Llama 3 70B, 8192 tokens in half precision", (80, 8192, 64, 8, 8192, 1, 2), 2.5 * gib),
        ("GPT-3 175B, 2048 tokens of 16 texts in half precision", (96, 12288, 96, 96, 2048, 16, 2), 144 * gib),
        ("Llama 3 8B, 1000 tokens of 3 texts in int4", (32, 4096, 32, 8, 1000, 3, 0.5), 98_304_000),
    ]
    for name, sizes, expected in known:
        found = kv_bytes(*sizes)
        assert found == expected, f"{name}: {expected:,} bytes, got {found:,}"


@kv_bytes.misconception("You counted the keys or the values; the cache holds both, so twice that.")
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return layers * kv_heads * (width // heads) * tokens * batch * bytes_each


@kv_bytes.misconception(
    "You counted as many heads as there are queries; where queries share keys and values, only kv_heads are stored."
)
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * layers * width * tokens * batch * bytes_each


@kv_bytes.misconception("You counted one layer; each layer has keys and values of its own.")
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * kv_heads * (width // heads) * tokens * batch * bytes_each


@kv_bytes.misconception("You counted one text; each of the batch has a cache of its own, and shares nothing.")
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * layers * kv_heads * (width // heads) * tokens * bytes_each


@kv_bytes.misconception("You counted the queries too; a query is used once and never needed again.")
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return (2 * kv_heads + heads) * layers * (width // heads) * tokens * batch * bytes_each


@kv_bytes.misconception("You gave GiB; the result is in bytes.")
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * layers * kv_heads * (width // heads) * tokens * batch * bytes_each / 2**30


@kv_bytes.misconception("You gave each head of keys the whole width; a head has width / heads numbers.")
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * layers * kv_heads * width * tokens * batch * bytes_each


@kv_bytes.also_correct
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    a_token = layers * (kv_heads * width / heads) * bytes_each * 2
    return a_token * tokens * batch


# ------------------------------------------------------------------------------------------------ decode_flops


@exercise(
    points=4,
    minutes=12,
    hints=(
        "The weights of all matrices, W: one token costs 2 W. How many tokens does pass n read, with and without a "
        "cache?",
        "Attention: t queries times s keys are t · s dot products of `width` numbers in all heads together, and as "
        "many again for the values: 4 · t · s · width in each layer.",
        "Add up n = 1 … tokens: t is 1 with a cache, n without; s is n either way.",
    ),
)
def decode_flops(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    """Count the floating-point operations of writing a text token by token.

    A decoder reads a text of n tokens to choose the next, for n = 1, 2, …, tokens: that many passes. Without a cache
    pass n reads all n tokens. With a cache (`cached` is true) it reads the newest alone, whose query looks at n keys.

    Each of the `layers` has the matrices q and o (width, width), k and v (kv_width, width), up (hidden, width) and down
    (width, hidden); after them comes the head (vocabulary, width), which is applied to each token that is read. Scores,
    and the sums of values, take one product of `width` numbers in all for each pair of a query and a key, masked or
    not. A multiplication with its addition counts 2. All else (norms, softmax, embedding) counts nothing. Returns an
    int.
    """
    ### BEGIN SOLUTION
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    total = 0
    for seen in range(1, tokens + 1):
        read = 1 if cached else seen
        total += 2 * read * weights + layers * 4 * read * seen * width
    return total
    ### END SOLUTION


@decode_flops.test("counts two tokens of a model that one can count by hand", points=1)
def _(decode_flops):
    weights = 2 * 3 * 3 + 2 * 3 * 3 + 2 * 4 * 3 + 5 * 3
    for cached, expected in ((True, 2 * weights * 2 + 4 * 3 * (1 + 2)), (False, 2 * weights * 3 + 4 * 3 * (1 + 4))):
        found = decode_flops(1, 3, 3, 4, 5, 2, cached)
        assert found == expected, f"one layer of width 3, cached={cached}: {expected} was expected, got {found}"


@decode_flops.hidden("agrees with PyTorch's own counter to the last operation", points=2)
def _(decode_flops):
    for layers, width, kv_width, hidden, vocabulary, tokens in (
        (2, 8, 4, 20, 11, 5),
        (1, 6, 6, 7, 30, 3),
        (3, 4, 2, 9, 5, 1),
    ):
        for cached in (False, True):
            with FlopCounterMode(display=False) as counter:
                for seen in range(1, tokens + 1):
                    x = torch.empty(1 if cached else seen, width, device="meta")
                    for _ in range(layers):
                        for rows, columns in ((width, width),) * 2 + ((kv_width, width),) * 2:
                            x.new_empty(len(x), columns) @ x.new_empty(columns, rows)
                        x @ x.new_empty(width, hidden) @ x.new_empty(hidden, width)
                        x @ x.new_empty(width, seen) @ x.new_empty(seen, width)
                    x @ x.new_empty(width, vocabulary)
            sizes = (layers, width, kv_width, hidden, vocabulary, tokens, cached)
            found, expected = decode_flops(*sizes), counter.get_total_flops()
            assert found == expected, f"decode_flops{sizes} is {expected:,} by the counter, got {found:,}"


@decode_flops.hidden("gives the exact ratio of work with and without a cache", points=1)
def _(decode_flops):
    for tokens in (1, 8, 65):
        with_head = [decode_flops(0, 7, 7, 9, 12, tokens, cached) for cached in (False, True)]
        assert 2 * with_head[0] == (tokens + 1) * with_head[1], (
            f"for {tokens} tokens the matrices cost ({tokens} + 1) / 2 times as much without a cache, got {with_head}"
        )


@decode_flops.misconception(
    "You counted one pass over all tokens; without a cache there is a pass for each token that is written, and each "
    "reads the text from its beginning."
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    if not cached:
        return 2 * tokens * weights + layers * 4 * tokens * tokens * width
    return sum(2 * weights + layers * 4 * seen * width for seen in range(1, tokens + 1))


@decode_flops.misconception(
    "You left attention out: each query is multiplied with each key, and each weight with a value."
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    return 2 * weights * (tokens if cached else tokens * (tokens + 1) // 2)


@decode_flops.misconception("You stopped one pass early: n runs from 1 up to and including `tokens`.")
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens))
    return sum(2 * read * weights + layers * 4 * read * seen * width for read, seen in passes)


@decode_flops.misconception("You counted a multiplication with its addition once; it counts 2.")
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    return sum(read * weights + layers * 2 * read * seen * width for read, seen in passes)


@decode_flops.misconception(
    "You let a cached query look at one key; it is one query, and it looks at all n keys. The cache saves their "
    "projections, not the looking."
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    reads = (1 if cached else seen for seen in range(1, tokens + 1))
    return sum(2 * read * weights + layers * 4 * read * read * width for read in reads)


@decode_flops.misconception(
    "You applied the head to the newest token alone; here it is applied to each token that is read. (Real decoders do "
    "spare that.)"
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden)
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    head = 2 * vocabulary * width
    return sum(2 * read * weights + head + layers * 4 * read * seen * width for read, seen in passes)


@decode_flops.misconception("You counted the scores and not the sums of values, which take as many products again.")
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    return sum(2 * read * weights + layers * 2 * read * seen * width for read, seen in passes)


@decode_flops.also_correct
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * (2 * width**2 + 2 * kv_width * width + 2 * hidden * width) + vocabulary * width
    triangle = tokens * (tokens + 1) // 2
    pyramid = tokens * (tokens + 1) * (2 * tokens + 1) // 6
    if cached:
        return 2 * weights * tokens + 4 * layers * width * triangle
    return 2 * weights * triangle + 4 * layers * width * pyramid


# ------------------------------------------------------------------------------------------------ paged_gather


@exercise(
    points=3,
    minutes=10,
    hints=(
        "`pool[table[b]]` is (M, S, G, d): the pages of text b in their order. Entries of -1 give some page or other, "
        "which lies behind the end.",
        "Token i is in slot i % S of page table[b, i // S]. So flatten pages and slots into one axis, and cut at the "
        "length.",
    ),
)
def paged_gather(pool, table, lengths):
    """Collect the keys (or the values) of each text from a cache that is kept in pages.

    pool (P, S, G, d): P pages with S slots, each slot holds one token. table (B, M) long: table[b, m] is the page that
    holds the tokens m · S up to (m + 1) · S of text b, and -1 where the text has none; pages may lie anywhere, and two
    texts that begin alike may share pages. lengths (B,) long: how many tokens text b has, 0 <= lengths[b] <= M · S; the
    rest of its last page is leftovers. Returns a list of B tensors, (lengths[b], G, d).
    """
    ### BEGIN SOLUTION
    return [pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=True)]
    ### END SOLUTION


paged_gather.equivalent(
    "return [pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=False)]",
    "the table has a row for each length",
)


@paged_gather.test("follows the table from page to page", points=1)
def _(paged_gather):
    pool = torch.arange(8.0).view(4, 2, 1, 1)
    found = paged_gather(pool, torch.tensor([[2, 0], [1, -1]]), torch.tensor([3, 2]))
    expected = [torch.tensor([4.0, 5.0, 0.0]).view(3, 1, 1), torch.tensor([2.0, 3.0]).view(2, 1, 1)]
    assert_close(list(found), expected, message="3 tokens in pages 2 and 0, and 2 tokens in page 1")


@paged_gather.hidden("equals a cache without pages, with shared pages, gaps and empty texts", points=2)
def _(paged_gather, rng):
    for slots, lengths in ((4, (9, 4, 0, 11)), (3, (1, 7, 6)), (1, (5, 2)), (5, (13, 10))):
        shared = torch.randn(slots, 2, 3, generator=rng, dtype=torch.float64)
        texts = [torch.randn(n, 2, 3, generator=rng, dtype=torch.float64) for n in lengths]
        texts = [torch.cat([shared, text])[:n] if n > slots else text for n, text in zip(lengths, texts, strict=True)]
        most = max(-(-n // slots) for n in lengths)
        order = torch.randperm(2 + most * len(lengths), generator=rng).tolist()
        pool = torch.randn(len(order), slots, 2, 3, generator=rng, dtype=torch.float64)
        first, table = order.pop(), torch.full((len(lengths), most), -1)
        pool[first] = shared
        for b, text in enumerate(texts):
            for m in range(-(-len(text) // slots)):
                page = first if m == 0 and len(text) > slots else order.pop()
                part = text[m * slots : (m + 1) * slots]
                pool[page, : len(part)], table[b, m] = part, page
        found = list(paged_gather(pool, table, torch.tensor(lengths)))
        assert_close(found, texts, message=f"with pages of {slots} slots and texts of {lengths} tokens")


@paged_gather.misconception(
    "You gave whole pages; behind lengths[b] lie leftovers of other texts, which must not be read."
)
def _(pool, table, lengths):
    size = pool.shape[1]
    return [pool[row[: -(-n // size)]].flatten(0, 1) for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You went through the slots before the pages: token i is in slot i % S of page i // S, so slots change fastest."
)
def _(pool, table, lengths):
    return [pool[row].transpose(0, 1).flatten(0, 1)[:n] for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You read on from the first page as if the next ones lay behind it; each page can be anywhere, and the table says "
    "where."
)
def _(pool, table, lengths):
    flat = pool.flatten(0, 1)
    starts = (table[:, 0] * pool.shape[1]).tolist()
    return [flat[start : start + n] for start, n in zip(starts, lengths.tolist(), strict=True)]


@paged_gather.misconception("You left out the last page where it is not full; its first slots belong to the text.")
def _(pool, table, lengths):
    size = pool.shape[1]
    return [pool[row[: n // size]].flatten(0, 1) for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception("You put the pages in the order of their numbers; their order is that of the table.")
def _(pool, table, lengths):
    size = pool.shape[1]
    return [
        pool[row[: -(-n // size)].sort().values].flatten(0, 1)[:n]
        for row, n in zip(table, lengths.tolist(), strict=True)
    ]


@paged_gather.misconception("You read pages 0, 1, 2 … for each text; table[b] has the numbers of its own pages.")
def _(pool, table, lengths):
    return [pool.flatten(0, 1)[:n] for n in lengths.tolist()]


@paged_gather.also_correct
def _(pool, table, lengths):
    found = []
    for b in range(len(table)):
        places = torch.arange(int(lengths[b]), device=pool.device)
        found.append(pool[table[b, places // pool.shape[1]], places % pool.shape[1]])
    return found


@paged_gather.also_correct
def _(pool, table, lengths):
    slots, empty = pool.shape[1], pool[0, :0]
    return [
        torch.cat([empty, *(pool[int(table[b, i // slots]), i % slots][None] for i in range(int(n)))])
        for b, n in enumerate(lengths)
    ]
