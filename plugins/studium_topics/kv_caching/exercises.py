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
    level="warm-up",
    importance=2,
    hints=(
        "At which places of the cache do the new tokens belong, and what happens if these places do not exist?",
        "Compare length + t with the capacity before you write, because a slice beyond the end is silently shorter.",
        "The places are length, …, length + t - 1 of the third axis; the result is (B, H, length + t, d).",
        "`cache[:, :, length:end] = new` writes, and `cache[:, :, :end]` are all tokens.",
    ),
)
def write_cache(cache, new, length):
    """Write the keys (or the values) of new tokens into a cache, and return all that it holds now.

    * cache (B, H, capacity, d): the first `length` places hold tokens, the others leftovers without meaning.
    * new (B, H, t, d), t >= 1; it stays as it is.

    Write into `cache` itself, behind the tokens that are there; nothing else in it changes.
    Return the first length + t tokens.
    If they do not fit, raise ValueError and leave the cache as it is.
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


@write_cache.hidden("returns what torch.cat would, and writes nowhere else", points=1)
def _(write_cache, rng):
    cases = ((2, 3, 9, 4, 2, (5, 1)), (1, 2, 6, 5, 0, (1, 1, 4)), (3, 1, 7, 2, 0, (5,)))
    for batch, heads, capacity, size, length, chunks in cases:
        cache = torch.randn(batch, heads, capacity, size, generator=rng, dtype=torch.float64)
        leftovers = cache.clone()
        text = torch.randn(batch, heads, length + sum(chunks), size, generator=rng, dtype=torch.float64)
        text[:, :, :length] = cache[:, :, :length]
        for t in chunks:
            new = text[:, :, length : length + t].clone()
            found = write_cache(cache, new, length)
            assert torch.equal(new, text[:, :, length : length + t]), "the argument new must stay as it is"
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
            write_cache(cache, torch.randn(2, 3, t, 4, generator=rng, dtype=torch.float64), length)
        except ValueError:
            assert torch.equal(cache, kept), "a cache that is full must stay as it is"
        else:
            raise AssertionError(f"{t} more tokens behind {length} do not fit into 6: ValueError was expected")
    new = torch.randn(2, 3, 1, 4, generator=rng, dtype=torch.float64)
    found = write_cache(cache, new, 2)
    assert_close(found, torch.cat([kept[:, :, :2], new], 2), message="one token behind the first 2 of 6")
    assert_close(cache[:, :, 3:], kept[:, :, 3:], message="the places behind the new token")


@write_cache.misconception(
    "You made a new, longer tensor with torch.cat, so that each token copies the whole cache. Write into the room "
    "that the cache has.",
    name="concatenated",
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    return torch.cat([cache[:, :, :length], new], 2)


@write_cache.misconception(
    "You wrote without comparing length + t with the capacity. A slice is cut at the end, and a single token "
    "broadcasts into an empty slice without an error: it is lost.",
    name="no-check",
)
def _(cache, new, length):
    cache[:, :, length : length + new.shape[2]] = new
    return cache[:, :, : length + new.shape[2]]


@write_cache.misconception(
    "You returned the whole room, leftovers included; only the first length + t tokens have been written.",
    name="whole-room",
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    cache[:, :, length:end] = new
    return cache


@write_cache.misconception(
    "You wrote at the beginning, over the oldest tokens; new ones go behind the first `length`.",
    name="wrote-at-start",
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    cache[:, :, : new.shape[2]] = new
    return cache[:, :, :end]


@write_cache.misconception(
    "You returned the new tokens alone; a query reads all tokens before it, so return the earlier ones as well.",
    name="new-alone",
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    cache[:, :, length:end] = new
    return cache[:, :, length:end]


@write_cache.misconception(
    "You shifted the cache to the left to make room at its end. Then every token moves at every step, and a place no "
    "longer says which token is in it.",
    name="shifted-left",
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
    minutes=6,
    level="warm-up",
    importance=3,
    hints=(
        "At which position of the text is the first of the new tokens, and how many tokens may it see?",
        "Take the mask of the whole text. Which of its rows belong to the new tokens?",
        "The result is (queries, keys); in row i, the entries 0 … keys - queries + i are True.",
        "`tril` takes the number of the diagonal: `tril(keys - queries)`.",
    ),
)
def cached_mask(queries, keys):
    """Return which keys the newest tokens may see, when the keys of earlier ones come from a cache.

    The text has `keys` tokens by now, and the last `queries` of them are new; 1 <= queries <= keys. Each of these may
    see exactly the keys that it would see if the whole text were read at once.

    Return bool (queries, keys), True where a query may look.
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
    "You aligned the triangle to the top left corner, as `is_causal=True` does, so that the first new token sees the "
    "first token of the text alone. Align it to the bottom right.",
    name="top-left",
)
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril()


@cached_mask.misconception(
    "You hid each token from itself; position p sees 0 … p, and p is one of these.",
    name="no-diagonal",
)
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries - 1)


@cached_mask.misconception(
    "You made a square, the mask of the new tokens alone; they also see the tokens in the cache, so it is as wide as "
    "the whole text.",
    name="square",
)
def _(queries, keys):
    return torch.ones(queries, queries, dtype=torch.bool).tril()


@cached_mask.misconception(
    "You marked what is hidden; True means that a query may look, as in `scaled_dot_product_attention`.",
    name="inverted",
)
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries + 1)


@cached_mask.misconception(
    "You hid nothing. One new token needs no mask, but in a chunk of several the first would see those after it.",
    name="nothing-hidden",
)
def _(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool)


@cached_mask.misconception(
    "You let each token see the next one as well; the diagonal is one too far to the right.",
    name="one-too-far",
)
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
    level="core",
    importance=3,
    hints=(
        "What has to be computed for a new token, and what is in the caches already?",
        "Project and rotate the new tokens alone, write their keys and values into the caches, and attend to all that "
        "the caches hold then.",
        "The projections are (B, heads, t, d), the scores (B, heads, t, length + t).",
        "`rotate(q, length)` and `write_cache(keys, rotate(k, length), length)`; where visible is None, "
        "`cached_mask(t, length + t)` takes its place.",
    ),
)
def cached_attention(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    """Return what t new tokens read from the whole text, of which they alone are given.

    * x (B, t, D): tokens behind `length` earlier ones; it stays as it is.
    * wq, wk, wv, wo (D, D), heads: as in decoder-only; d = D / heads; scores / √d; no biases.
    * rotate(z, start): rotates queries or keys z (B, heads, t, d) from position start on.
    * keys, values (B, heads, capacity, d): caches of `length` tokens, keys rotated. Write the new ones behind.
    * visible: None, for causal; or bool, broadcasting to (B, heads, t, length + t), which then decides alone.

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
    "You rotated queries and keys from position 0 in each call; the new tokens come after `length` others, so both "
    "are rotated from `length` on.",
    name="positions-restart",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, 0), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, 0), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the keys from `length` on and the queries from 0; both belong to the same tokens.",
    name="query-positions-restart",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, 0), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You rotated the keys from the cache a second time; they were rotated once and for all when they were written.",
    name="rotated-twice",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(keys, 0), values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You stored the keys before their rotation. The result is right if you rotate all of them at every step, but that"
    " is work which the cache should save: store them rotated.",
    name="cached-before-rotation",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, k, length), write_cache(values, v, length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), rotate(keys, 0), values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You used a triangle that starts at the top left, as `is_causal=True` does: the first new token then sees the "
    "oldest key alone. With a cache the mask is aligned to the bottom right.",
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
    "You used no mask. That is right for one new token, but in a chunk the first would see those after it.",
    name="no-mask",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You attended to the whole room of the cache; behind length + t are leftovers, and the softmax gives them weight.",
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
    "You attended to the new tokens alone; the cache holds the text before them, which they must see.",
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
    "You rotated the values too; position belongs in the scores, so only queries and keys are rotated.",
    name="rotated-values",
)
def _(x, wq, wk, wv, wo, heads, rotate, keys, values, length, visible=None):
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, rotate(v, length), length)
    visible = cached_mask(q.shape[-2], keys.shape[-2]) if visible is None else visible
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cached_attention.misconception(
    "You did not use `visible`; where a mask is given, as for a batch with padding, it replaces the causal one.",
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


# ---------------------------------------------------------------------------------------------------- generate


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "Which tokens have to be fed before the first new token can be chosen, and which never have to be?",
        "Two loops, one over the chunks of the prompt, one over the new tokens. Both call `step`, pass the cache on, "
        "and count how many tokens have been fed.",
        "The logits (B, t, V) of the last position of the last chunk choose the first new token, (B,).",
        "`prompt.split(chunk, dim=1)` gives the chunks, `logits[:, -1].argmax(-1)` the next tokens.",
    ),
)
def generate(step, prompt, new, chunk):
    """Return the greedy continuation of a batch of prompts, with each token fed once.

    * step(ids, start, cache) → (logits, cache): the model. ids (B, t) are tokens from position start on, logits
      (B, t, V) the prediction after each; cache is None for a new text, else what the last call returned.
    * prompt (B, T), as it is; fed in chunks of `chunk` tokens, the last may be shorter.
    * new: 1 or more tokens, each the likeliest; fed, alone, only if another one is to follow.

    Return the new tokens (B, new), long, and the cache.
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
generate.equivalent("text, fed, cache = prompt, 0, None", "nothing is written into the prompt")


@generate.test("continues a count", points=1)
def _(generate):
    def step(ids, start, cache):
        """Predict n + 1 after n, and note what was fed and from where."""
        return F.one_hot((ids + 1) % 20, 20).float(), [*(cache or []), (start, ids.tolist())]

    found, fed = generate(step, torch.tensor([[3, 4, 5, 6, 7]]), 3, 2)
    assert_close(found, torch.tensor([[8, 9, 10]]), message="a model that predicts n + 1 after n, asked for 3 tokens")
    expected = [(0, [[3, 4]]), (2, [[5, 6]]), (4, [[7]]), (5, [[8]]), (6, [[9]])]
    assert_close(fed, expected, message="the calls of step, as (start, ids)")


@generate.hidden("returns the tokens that decoding without a cache returns", points=2)
def _(generate, rng):
    for batch, length, new, chunk in ((2, 5, 6, 2), (1, 4, 5, 1), (3, 7, 4, 7), (2, 6, 3, 4), (1, 1, 6, 3)):
        table = torch.randn(97, 11, generator=rng)

        def step(ids, start, cache, table=table):
            """Return logits that depend on every token so far and on the position that was given for it."""
            here = (ids + 1) * (3 + start + torch.arange(ids.shape[1], device=ids.device)) ** 2
            seen = here if cache is None else torch.cat([cache, here], 1)
            return table.to(ids.device)[seen.cumsum(1)[:, -ids.shape[1] :] % 97], seen

        prompt = torch.randint(11, (batch, length), generator=rng)
        text, kept = prompt, prompt.clone()
        for _ in range(new):
            text = torch.cat([text, step(text, 0, None)[0][:, -1:].argmax(-1)], 1)
        found, cache = generate(step, prompt, new, chunk)
        what = f"with a prompt of {length}, in chunks of {chunk}, and {new} new tokens"
        assert torch.as_tensor(found).dtype == torch.long, f"the new tokens must be long, got {found.dtype}"
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
    "You passed start = 0 in every call; `start` is the position of the first fed token in the whole text.",
    name="positions-restart",
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
    "You left `start` at the length of the prompt; each new token is one position further than the one before.",
    name="start-stands-still",
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
    "You fed the whole text at each step and passed the cache too, so that what is in it came a second time. Feed new"
    " tokens alone.",
    name="fed-whole-text",
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
    "You read the whole text again for each token, without the cache. The tokens are right, but this is the quadratic"
    " work that a cache saves.",
    name="no-cache",
)
def _(step, prompt, new, chunk):
    text = prompt
    for _ in range(new):
        logits, cache = step(text, 0, None)
        text = torch.cat([text, logits[:, -1:].argmax(-1)], 1)
    return text[:, prompt.shape[1] :], cache


@generate.misconception(
    "You did not pass the cache on between the chunks of the prompt, so that the model forgot all but the last one.",
    name="chunks-without-cache",
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
    "You fed the prompt's last token a second time; its logits were there already, and they choose the first new "
    "token.",
    name="fed-last-again",
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
    "You read the logits of the first position of the chunk; the last position predicts what follows the prompt.",
    name="first-logits",
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


@generate.misconception(
    "You fed the last new token as well; no token is to follow it, so that call has no use.",
    name="fed-last-token",
)
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
    "You fed the prompt as a whole; a long one is read in chunks of `chunk` tokens, so that memory stays small.",
    name="prompt-in-one-piece",
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


# -------------------------------------------------------------------------------------------------------- chat


@exercise(
    points=5,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "The user has edited the third token of a long conversation. Which keys and values are still valid, and which "
        "tokens have to be fed?",
        "Count how many tokens the conversation and the memory share from the beginning. Feed what comes after them, "
        "then "
        "decode until the stop token. Keep the tokens that were fed together with the cache.",
        "If the memory holds the whole conversation, its logits are gone: feed the last token again. ids are lists; "
        "the model takes (1, t) and returns (1, t, V).",
        "`step(torch.tensor([ids[at : at + chunk]]), at, cache)`, for at from the shared length on in steps of chunk.",
    ),
)
def chat(step, ids, memory, new, chunk, stop):
    """Return a greedy answer to a conversation, reading only tokens that the cache does not hold.

    * step: as in `generate`. A call with start below the end of the cache overwrites it from there on.
    * ids: the whole conversation, a list of ints, as it is.
    * memory: None, or what the last call returned. The conversation may have been edited since, anywhere.

    Feed at most `chunk` tokens a call. The last token of an answer is not fed.
    The answer, a list, has `new` >= 1 tokens, or ends earlier with token `stop`.
    Return the answer and the memory for the next call.
    """
    ### BEGIN SOLUTION
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)
    ### END SOLUTION


chat.equivalent("answer.append(int(logits[0, 0].argmax()))", "one token was fed, so its first position is its last")


@chat.test("reads a second question, and not the first one again", points=1)
def _(chat):
    calls = []

    def step(ids, start, cache):
        """Predict n + 1 after n, and note what was fed and from where."""
        calls.append((start, ids[0].tolist()))
        return F.one_hot((ids + 1) % 20, 20).float(), [*(cache or []), calls[-1]]

    answer, memory = chat(step, [3, 9, 4], None, 3, 8, 0)
    assert_close(answer, [5, 6, 7], message="a model that predicts n + 1 after n, asked for 3 tokens after 3, 9, 4")
    calls.clear()
    answer, _ = chat(step, [3, 9, 4, 5, 6, 7, 15, 17], memory, 4, 8, 0)
    assert_close(answer, [18, 19, 0], message="the answer to 15, 17, which ends with the stop token 0")
    what = "the calls of step, as (start, ids), with 3, 9, 4, 5, 6 in the cache"
    assert_close(calls, [(5, [7, 15, 17]), (8, [18]), (9, [19])], message=what)


@chat.hidden("answers as a model without a memory does, also after edits", points=2)
def _(chat, rng):
    for chunk, new in ((3, 5), (2, 4), (6, 1)):
        table = torch.randn(89, 12, generator=rng)

        def step(ids, start, cache, table=table):
            held, log = cache or ([], [])
            held = [*held[:start], *ids[0].tolist()]
            held = [0] * (start + ids.shape[1] - len(held)) + held
            codes = torch.tensor([(token + 2) * (place + 3) ** 2 for place, token in enumerate(held)]).cumsum(0)
            return table[codes[start:] % 89][None], (held, [*log, (start, ids.shape[1])])

        def plain(ids, new=new, step=step):
            text = list(ids)
            while len(text) < len(ids) + new and (len(text) == len(ids) or text[-1] != 0):
                text.append(int(step(torch.tensor([text]), 0, None)[0][0, -1].argmax()))
            return text[len(ids) :]

        def drawn(count):
            return torch.randint(12, (count,), generator=rng).tolist()

        ids, memory = drawn(7), None
        for turn in ("first", "second", "third", "edited", "shortened", "repeated", "other"):
            if turn == "edited":
                ids = [*ids[:4], (ids[4] + 1) % 12, *ids[5:]]
            elif turn == "shortened":
                ids = ids[:6]
            elif turn == "other":
                ids = [(ids[0] + 1) % 12, *ids[1:], 3, 3, 3]
            kept = list(ids)
            answer, memory = chat(step, ids, memory, new, chunk, 0)
            assert ids == kept, f"the argument ids must stay as it is: {kept} became {ids}"
            what = f"the answer to the {turn} conversation, {ids}, with at most {new} tokens in chunks of {chunk}"
            assert_close(answer, plain(ids), message=what)
            if turn in ("first", "second"):
                ids = [*ids, *answer, *drawn(4)]


@chat.hidden("feeds each token once, and what an edit leaves valid never again", points=2)
def _(chat, rng):
    fed = []

    def step(ids, start, cache):
        fed.append((start, ids.shape[1]))
        return F.one_hot((ids * 5 + 3) % 11, 11).float(), [*(cache or []), fed[-1]]

    first = torch.randint(11, (9,), generator=rng).tolist()
    for chunk, new in ((4, 3), (2, 2)):
        fed.clear()
        answer, memory = chat(step, first, None, new, chunk, 99)
        read = [len(first) + new - 1]
        longer = [*first, *answer, 1, 2, 3, 4, 5]
        edited = [*longer[:6], (longer[6] + 1) % 11, *longer[7:]]
        for ids, shared in ((longer, read[0]), (edited, 6), (edited, len(edited) - 1), (first[:3], 2)):
            before = sum(count for _, count in fed)
            _, memory = chat(step, list(ids), memory, new, chunk, 99)
            found, expected = sum(count for _, count in fed) - before, len(ids) - shared + new - 1
            what = f"{len(ids)} tokens of which the cache holds the first {shared}, and {new} new ones"
            assert found == expected, f"for a conversation of {what}, {expected} tokens need to be fed, got {found}"
        longest = max(count for _, count in fed)
        assert longest <= chunk, f"a call feeds at most {chunk} tokens, got {longest}"


@chat.misconception(
    "You read the whole conversation in each call. The answers are right, but the work of all earlier turns is done "
    "again.",
    name="no-memory",
)
def _(step, ids, memory, new, chunk, stop):
    cache = None
    shared = 0
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You fed what comes after the length of the memory, without comparing the tokens. After an edit the cache holds "
    "keys of a text that is gone.",
    name="ignored-edits",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    shared = min(len(fed), len(ids) - 1)
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You read everything again after an edit; the tokens before the first difference have the keys and values that "
    "they had.",
    name="all-or-nothing",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    if fed == ids[: len(fed)]:
        shared = min(len(fed), len(ids) - 1)
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You counted the equal tokens, wherever they are. Everything behind the first difference has read it, so only the"
    " common beginning is valid.",
    name="counted-matches",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    shared = sum(a == b for a, b in zip(fed, ids[:-1], strict=False))
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You fed nothing where the memory holds the whole conversation, so that there are no logits to answer from. Feed "
    "its last token again.",
    name="nothing-to-feed",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids)) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You noted the last token of the answer as one that the cache holds; it was chosen, and never fed.",
    name="remembered-unfed-token",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer, cache)


@chat.misconception(
    "You noted the conversation without the answer, so that the next call reads the model's own words again.",
    name="forgot-own-answer",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids, cache)


@chat.misconception(
    "You did not end the answer at the stop token.",
    name="ignored-stop",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You left the stop token out of the answer; it is the answer's last token.",
    name="answer-without-stop",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    answer = answer[:-1] if answer[-1] == stop else answer
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You passed start = 0 for the new part of the conversation; it comes after the tokens that are shared.",
    name="positions-restart",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at - shared, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You fed the new part in one piece; a call takes at most `chunk` tokens.",
    name="in-one-piece",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), len(ids)):
        logits, cache = step(torch.tensor([ids[at:]]), at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.also_correct
def _(step, ids, memory, new, chunk, stop):
    old, cache = memory or ([], None)
    start = next((i for i, (a, b) in enumerate(zip(old, ids, strict=False)) if a != b), min(len(old), len(ids)))
    start = min(start, len(ids) - 1)
    text, answer = list(ids), []
    while len(answer) < new:
        part = text[start : start + chunk]
        logits, cache = step(torch.tensor(part)[None], start, cache)
        start += len(part)
        if start == len(text):
            answer.append(logits[0, -1].argmax().item())
            if answer[-1] == stop:
                break
            text.append(answer[-1])
    return answer, (text[:start], cache)


@chat.also_correct
def _(step, ids, memory, new, chunk, stop):
    fed, cache = memory or ((), None)
    shared = 0
    for known, token in zip(fed, ids[:-1], strict=False):
        if known != token:
            break
        shared += 1
    for part in torch.tensor(ids[shared:])[None].split(chunk, 1):
        logits, cache = step(part, shared, cache)
        shared += part.shape[1]
    answer = []
    for i in range(new):
        answer.append(logits[0, -1].max(-1).indices.item())
        if answer[-1] == stop or i == new - 1:
            break
        logits, cache = step(torch.tensor([[answer[-1]]]), shared + i, cache)
    return answer, ((*ids, *answer[:-1]), cache)


# ------------------------------------------------------------------------------------------------- ragged_mask


@exercise(
    points=3,
    minutes=12,
    level="core",
    importance=2,
    kind="find the bug",
    hints=(
        "Take one prompt with 2 pads in 3 columns. Which row of the mask is empty, and what is its softmax?",
        "Then take one new token and 5 columns. In which column is it, and in which does the code put it?",
        "Columns are (keys,), queries (queries, 1), pads (B, 1, 1); together they broadcast to (B, queries, keys).",
        "`(column <= query) & (real | (column == query))`, where the queries are the last columns.",
    ),
)
def ragged_mask(pads, queries, keys):
    """Return which columns each query may see in a batch of prompts, padded on the left to one length.

    This version works for a while. Then the shorter prompts give nan, and each new token reads the wrong keys:

    ```python
    def ragged_mask(pads, queries, keys):
        column = torch.arange(keys, device=pads.device)
        query = column[:queries, None]
        return (column <= query) & (column >= pads[:, None, None])
    ```

    pads (B,), long, 0 to keys - 1: row b begins with pads[b] pads. The last `queries` of the `keys` columns are new.
    A token sees the real tokens up to itself. A pad sees itself alone.

    Return bool (B, queries, keys) on the device of pads.
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
        assert torch.as_tensor(found).dtype == torch.bool, f"a bool tensor is needed, got {found.dtype}"
        assert_close(found, torch.tensor(rows), message=f"for pads {pads}, {queries} new columns of {keys}")


@ragged_mask.misconception(
    "You hid the future but not the pads, so that the shorter prompts read their padding as text.",
    name="pads-visible",
)
def _(pads, queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries).expand(len(pads), -1, -1).clone()


@ragged_mask.misconception(
    "You let a pad see nothing, as the code above does. A softmax over nothing is nan, and one layer later 0 · nan = "
    "nan has reached every token of the row; let each pad see itself.",
    name="pad-sees-nothing",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    return (column <= column[keys - queries :, None]) & (column >= pads[:, None, None])


@ragged_mask.misconception(
    "You treated the last pads[b] columns as pads; they are on the left, so that all rows end with their newest token.",
    name="pads-on-the-right",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column <= query) & ((column < keys - pads[:, None, None]) | (column == query))


@ragged_mask.misconception(
    "You hid the first real token with the pads: columns 0 … pads[b] - 1 are pads.",
    name="first-token-hidden",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column <= query) & ((column > pads[:, None, None]) | (column == query))


@ragged_mask.misconception(
    "You took query i for column i, as the code above does; the new columns are the last ones, so query i is in column "
    "keys - queries + i.",
    name="first-columns",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[:queries, None]
    return (column <= query) & ((column >= pads[:, None, None]) | (column == query))


@ragged_mask.misconception(
    "You hid the pads but not the future: a token must not see those after it either.",
    name="future-visible",
)
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
    minutes=6,
    level="warm-up",
    importance=2,
    kind="derive",
    hints=(
        "What does the cache keep for one token in one layer?",
        "A key and a value for each head that has its own; then everything that is repeated.",
        "One token of one layer has kv_heads · (width / heads) numbers as keys, and as many as values.",
        "`2 * kv_heads * (width // heads)` numbers for one token of one layer.",
    ),
)
def kv_bytes(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    """Return the number of bytes that the cache of a decoder takes.

    * layers, width, heads: L, D and H; a query head has D / H numbers.
    * kv_heads: G, how many heads of keys and values each layer has, of the same size. G = H, or fewer where they
      share.
    * tokens: T, for each of the `batch` texts.
    * bytes_each: the bytes of a number, 2 in half precision, 0.5 in int4.
    """
    ### BEGIN SOLUTION
    return 2 * layers * kv_heads * (width // heads) * tokens * batch * bytes_each
    ### END SOLUTION


kv_bytes.equivalent(
    "return 2 * layers * kv_heads * (width / heads) * tokens * batch * bytes_each", "heads divide the width"
)


@kv_bytes.test("counts a cache that is small enough to count by hand", points=1)
def _(kv_bytes):
    found = kv_bytes(3, 8, 4, 4, 5, 1, 2)
    assert found == 480, f"3 layers, 5 tokens, a key and a value of 8 numbers, 2 bytes: 480, got {found}"


@kv_bytes.hidden("is the size of the caches of published models", points=1)
def _(kv_bytes):
    gib = 2**30
    known = [
        ("GPT-3 175B, 2048 tokens of 16 texts in half precision", (96, 12288, 96, 96, 2048, 16, 2), 144 * gib),
        ("Llama 2 7B, 4096 tokens in half precision", (32, 4096, 32, 32, 4096, 1, 2), 2 * gib),
        ("Llama 3 8B, 8192 tokens in half precision", (32, 4096, 32, 8, 8192, 1, 2), gib),
        ("Llama 3 70B, 8192 tokens in half precision", (80, 8192, 64, 8, 8192, 1, 2), 2.5 * gib),
        ("Llama 3 8B, 1000 tokens of 3 texts in int4", (32, 4096, 32, 8, 1000, 3, 0.5), 98_304_000),
    ]
    for name, sizes, expected in known:
        found = kv_bytes(*sizes)
        assert found == expected, f"{name}: {expected:,} bytes, got {found:,}"


@kv_bytes.misconception(
    "You counted the keys or the values; the cache holds both, so it is twice as large.",
    name="keys-alone",
)
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return layers * kv_heads * (width // heads) * tokens * batch * bytes_each


@kv_bytes.misconception(
    "You counted as many heads as there are queries; where query heads share keys and values, only kv_heads are "
    "stored.",
    name="all-query-heads",
)
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * layers * width * tokens * batch * bytes_each


@kv_bytes.misconception(
    "You counted one layer; each layer has keys and values of its own.",
    name="one-layer",
)
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * kv_heads * (width // heads) * tokens * batch * bytes_each


@kv_bytes.misconception(
    "You counted one text; each text of the batch has a cache of its own.",
    name="one-text",
)
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * layers * kv_heads * (width // heads) * tokens * bytes_each


@kv_bytes.misconception(
    "You counted the queries too; a query is used once and never needed again.",
    name="queries-too",
)
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return (2 * kv_heads + heads) * layers * (width // heads) * tokens * batch * bytes_each


@kv_bytes.misconception(
    "You returned GiB; the result is in bytes.",
    name="in-gib",
)
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    return 2 * layers * kv_heads * (width // heads) * tokens * batch * bytes_each / 2**30


@kv_bytes.misconception(
    "You gave each head of keys the whole width; a head has width / heads numbers.",
    name="whole-width-per-head",
)
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
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "How many tokens does pass n read, and how many keys does each of their queries look at?",
        "Split the work of a pass: matrices cost the same for each token that is read; attention costs the same for "
        "each pair of a query and a key.",
        "A token costs 2W in the matrices; t queries and n keys cost 4 · t · n · D in the attention of one layer.",
        "`2 * read * weights + layers * 4 * read * n * width` is pass n.",
    ),
)
def decode_flops(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    """Return the number of operations, an int or an equal float, of writing a text in `tokens` passes.

    Pass n = 1, …, tokens reads all n tokens of the text so far. If `cached`, it reads the newest alone, whose query
    looks at n keys.

    Matrices of each layer: q, o (D, D); k, v (kv_width, D); up (F, D); down (D, F), with width D and hidden F.
    After the layers: the head (V, D), applied to every token that is read.
    """
    ### BEGIN SOLUTION
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    total = 0
    for seen in range(1, tokens + 1):
        read = 1 if cached else seen
        total += 2 * read * weights + layers * 4 * read * seen * width
    return total
    ### END SOLUTION


decode_flops.equivalent("triangle = tokens * (tokens + 1) / 2", "a float of the same value")


@decode_flops.test("counts two tokens of a model that is small enough to count by hand", points=1)
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


@decode_flops.hidden("has the exact ratio of work with and without a cache", points=1)
def _(decode_flops):
    for tokens in (8, 65, 1):
        with_head = [decode_flops(0, 7, 7, 9, 12, tokens, cached) for cached in (False, True)]
        assert 2 * with_head[0] == (tokens + 1) * with_head[1], (
            f"for {tokens} tokens the matrices cost ({tokens} + 1) / 2 times as much without a cache, got {with_head}"
        )


@decode_flops.misconception(
    "You counted one pass over all tokens; without a cache there is a pass for each token that is written, and each "
    "reads the text from its beginning.",
    name="one-pass",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    if not cached:
        return 2 * tokens * weights + layers * 4 * tokens * tokens * width
    return sum(2 * weights + layers * 4 * seen * width for seen in range(1, tokens + 1))


@decode_flops.misconception(
    "You left attention out: each query is multiplied with each key, and each weight with a value.",
    name="no-attention",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    return 2 * weights * (tokens if cached else tokens * (tokens + 1) // 2)


@decode_flops.misconception(
    "You stopped one pass early: n runs from 1 up to and including `tokens`.",
    name="one-pass-short",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens))
    return sum(2 * read * weights + layers * 4 * read * seen * width for read, seen in passes)


@decode_flops.misconception(
    "You counted a multiplication with its addition once; it counts 2.",
    name="counted-once",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    return sum(read * weights + layers * 2 * read * seen * width for read, seen in passes)


@decode_flops.misconception(
    "You let a cached query look at one key; it is one query, and it looks at all n keys. The cache saves their "
    "projections, not the looking.",
    name="one-key",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    reads = (1 if cached else seen for seen in range(1, tokens + 1))
    return sum(2 * read * weights + layers * 4 * read * read * width for read in reads)


@decode_flops.misconception(
    "You applied the head to the newest token alone; here it is applied to each token that is read.",
    name="head-on-newest",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden)
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    head = 2 * vocabulary * width
    return sum(2 * read * weights + head + layers * 4 * read * seen * width for read, seen in passes)


@decode_flops.misconception(
    "You counted the scores but not the sums of values, which take as many products again.",
    name="no-values",
)
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
    level="core",
    importance=1,
    hints=(
        "In which page and in which slot is token i of a text?",
        "Collect the pages of a text in the order of its table, join them, and cut what is behind its end.",
        "The pages of text b are (M, S, G, d); joined they are (M · S, G, d). An entry of -1 is behind the end.",
        "`pool[table[b]].flatten(0, 1)[:length]`.",
    ),
)
def paged_gather(pool, table, lengths):
    """Return the keys (or the values) of each text from a cache that is kept in pages.

    * pool (P, S, G, d): P pages of S slots; a slot holds one token.
    * table (B, M), long: table[b, m] is the page, anywhere in the pool, with the tokens m · S to (m + 1) · S - 1 of
      text b, or -1 if there are none. Texts may share pages.
    * lengths (B,), long, 0 to M · S: the tokens of each text; the rest of its last page is leftovers.

    Return a list of B tensors (lengths[b], G, d).
    """
    ### BEGIN SOLUTION
    return [pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=True)]
    ### END SOLUTION


paged_gather.equivalent(
    "return [pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=False)]",
    "the table has a row for each length",
)
paged_gather.equivalent("slots, empty = pool.shape[1], pool[1, :0]", "an empty slice of any page is the same")


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
    "You returned whole pages; behind lengths[b] are leftovers of other texts, which must not be read.",
    name="whole-pages",
)
def _(pool, table, lengths):
    size = pool.shape[1]
    return [pool[row[: -(-n // size)]].flatten(0, 1) for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You went through the slots before the pages: token i is in slot i % S of page i // S, so slots change fastest.",
    name="slots-before-pages",
)
def _(pool, table, lengths):
    return [pool[row].transpose(0, 1).flatten(0, 1)[:n] for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You read on from the first page as if the next ones followed it in the pool; each page can be anywhere, and the "
    "table says where.",
    name="read-on",
)
def _(pool, table, lengths):
    flat = pool.flatten(0, 1)
    starts = (table[:, 0] * pool.shape[1]).tolist()
    return [flat[start : start + n] for start, n in zip(starts, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You left out the last page where it is not full; its first slots belong to the text.",
    name="no-last-page",
)
def _(pool, table, lengths):
    size = pool.shape[1]
    return [pool[row[: n // size]].flatten(0, 1) for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You put the pages in the order of their numbers; their order is that of the table.",
    name="pages-sorted",
)
def _(pool, table, lengths):
    size = pool.shape[1]
    return [
        pool[row[: -(-n // size)].sort().values].flatten(0, 1)[:n]
        for row, n in zip(table, lengths.tolist(), strict=True)
    ]


@paged_gather.misconception(
    "You read pages 0, 1, 2, … for each text; table[b] has the numbers of its own pages.",
    name="own-table-ignored",
)
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
