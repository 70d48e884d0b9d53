import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=2,
    hints=(
        "Where in the cache do the new tokens belong, and what happens if those places do not exist?",
        "Compare length + t with the capacity before you write, because a slice past the end is silently shorter.",
        "The places are length, …, length + t - 1 along the third axis; the result is (B, H, length + t, d).",
        "`cache[:, :, length:end] = new` writes the new tokens, and `cache[:, :, :end]` holds all tokens.",
    ),
)
def write_cache(cache, new, length):
    """Write the keys (or the values) of new tokens into a cache, and return all that it holds now.

    * cache (B, H, capacity, d): the first `length` places hold tokens, the others meaningless leftovers.
    * new (B, H, t, d), t >= 1; it stays as it is.

    Write into `cache` itself, right after the tokens it holds, and change nothing else in it. Return the first length +
    t tokens. If they do not fit, raise ValueError and leave the cache as it is.
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
    "You left the cache as it was and returned a new tensor, so each new token copies all that the cache holds; write "
    "into the free places of the cache instead.",
    name="concatenated",
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    return torch.cat([cache[:, :, :length], new], 2)


@write_cache.misconception(
    "You wrote without comparing length + t with the capacity. A slice is cut off at the end, and a single token "
    "broadcasts into an empty slice without an error, so it is lost: check first.",
    name="no-check",
)
def _(cache, new, length):
    cache[:, :, length : length + new.shape[2]] = new
    return cache[:, :, : length + new.shape[2]]


write_cache.mistake(
    "whole-room",
    "You returned the whole cache, including leftovers; return only the first length + t tokens, which have been "
    "written.",
    edits=[
        ('f"there is no room for {end} tokens in this cache: make a larger one"', '"full"'),
        ("cache[:, :, :end]", "cache"),
    ],
)


@write_cache.misconception(
    "You wrote at the beginning, over the oldest tokens; write after the first `length` tokens.",
    name="wrote-at-start",
)
def _(cache, new, length):
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError("full")
    cache[:, :, : new.shape[2]] = new
    return cache[:, :, :end]


write_cache.mistake(
    "new-alone",
    "You returned only the new tokens; return the earlier ones as well, because a query reads all tokens before it.",
    edits=[
        ('f"there is no room for {end} tokens in this cache: make a larger one"', '"full"'),
        ("cache[:, :, :end]", "cache[:, :, length:end]"),
    ],
)


@write_cache.misconception(
    "You shifted the cache to the left to make room at its end, so every token moves at every step and a place no "
    "longer tells you which token it holds; write right after the first `length` tokens.",
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
