import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.rope.exercises.apply_rope import apply_rope
from studium_topics.rope.exercises.decode_positions import decode_positions
from studium_topics.rope.exercises.inv_freq import inv_freq


@exercise(
    points=5,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "A key is rotated once and then kept. Which of the four, queries, keys, values and the cache, do you have to "
        "rotate in a later call?",
        "Project the new columns, rotate their queries and keys by their own positions, and append keys and values to "
        "those in the cache. A query then attends to the real columns up to its own.",
        "Queries are (B, H, n, d); keys and values grow to (B, H, L, d). The mask for causality is (n, L), and the "
        "mask for padding is (B, 1, 1, L).",
        "`torch.arange(L) <= torch.arange(L)[-n:, None]` is the causal part. "
        "`F.scaled_dot_product_attention(q, k, v, attn_mask=seen)` takes both as one bool mask.",
    ),
)
def attend(x, wq, wk, wv, wo, heads, mask, cache=None):
    """Return the output of a causal rotary attention layer for the newest columns of a padded batch, and its cache.

    It uses your `inv_freq`, `apply_rope` and `decode_positions`. No token attends to padding, and the
    results for padding are ignored. Gradients have to reach x and the weights.

    * x (B, n, D): the newest n columns; it stays as it is
    * wq, wk, wv, wo (D, D): for `F.linear`, without biases
    * heads: how many heads; each is d = D / heads wide
    * mask (B, L): as for `decode_positions`
    * cache: None, or what the last call returned; you choose what it contains
    * returns: (B, n, D) and the cache for the next call
    """
    ### BEGIN SOLUTION
    batch, new, width = x.shape
    d = width // heads

    def split(weight):  # (B, n, D) to (B, H, n, d)
        return F.linear(x, weight).view(batch, new, heads, d).transpose(1, 2)

    positions, inv = decode_positions(mask, new), inv_freq(d)
    q = apply_rope(split(wq), positions, inv)
    k = apply_rope(split(wk), positions, inv)
    v = split(wv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    causal = columns <= columns[-new:, None]
    seen = causal & mask.bool()[:, None, None]  # (B, 1, n, L)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)
    ### END SOLUTION


@attend.test("gives the same in one call and token by token", points=1)
def _(attend, rng):
    x = torch.randn(3, 5, 8, generator=rng, dtype=torch.float64)
    weights = torch.randn(4, 8, 8, generator=rng, dtype=torch.float64) / 2
    mask, kept = torch.ones(3, 5, dtype=torch.bool), x.clone()
    whole, _ = attend(x, *weights, 2, mask)
    assert tuple(whole.shape) == (3, 5, 8), f"the result must have the shape of x, got {tuple(whole.shape)}"
    assert torch.equal(x, kept), "the argument x must stay as it is"
    parts, cache = [], None
    for start, end in ((0, 2), (2, 3), (3, 4), (4, 5)):
        part, cache = attend(x[:, start:end], *weights, 2, mask[:, :end], cache)
        parts.append(part)
    what = "three texts of five tokens, token by token with the cache, against one call"
    assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4, message=what)


@attend.hidden("computes what the formula says, in one of the four conventions", points=2)
def _(attend, rng):
    def by_formula(x, weights, heads, neighbours, sign):  # from complex pairs, Su et al. 2021, equation 12
        batch, length, width = x.shape
        q, k, v = ((x @ w.T).view(batch, length, heads, -1).transpose(1, 2) for w in weights[:3])
        pairs = width // heads // 2
        shape = (pairs, 2) if neighbours else (2, pairs)
        a, b = (z.unflatten(-1, shape) if neighbours else z.unflatten(-1, shape).mT for z in (q, k))
        a, b = (torch.view_as_complex(z.contiguous()) for z in (a, b))
        angle = sign * torch.arange(length, dtype=torch.float64)[:, None] * 10000.0 ** (-torch.arange(pairs) / pairs)
        rotation = torch.polar(torch.ones_like(angle), angle)
        scores = torch.einsum("bhmc,bhnc->bhmn", a * rotation, (b * rotation).conj()).real / (2 * pairs) ** 0.5
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
        return mixed.transpose(1, 2).reshape(batch, length, width) @ weights[3].T

    for batch, length, width, heads in ((2, 7, 12, 3), (1, 9, 8, 1), (3, 6, 16, 2)):
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(4, width, width, generator=rng, dtype=torch.float64) / width**0.5 * 1.5
        found = attend(x, *weights, heads, torch.ones(batch, length, dtype=torch.bool))[0]
        conventions = [by_formula(x, weights, heads, pairs, sign) for pairs in (True, False) for sign in (1, -1)]
        nearest = min(conventions, key=lambda expected: (found - expected).detach().abs().max().item())
        what = f"{length} tokens without padding, {heads} heads, D={width}, against the nearest of the conventions"
        assert_close(found, nearest, rtol=1e-3, atol=1e-3, message=what)
        assert found.requires_grad, "gradients must reach x"
        gradients = [torch.autograd.grad(out.square().sum(), x, retain_graph=True)[0] for out in (found, nearest)]
        assert_close(*gradients, rtol=1e-2, atol=1e-2, message="the gradient with respect to x")


@attend.hidden("treats each row of a padded batch as if it were alone, from call to call", points=2)
def _(attend, rng):
    masks = {
        "padding between": [[1, 1, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 1, 0, 1, 1]],
        "left padding": [[0, 0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1, 1]],
    }
    for kind, rows in masks.items():
        mask = torch.tensor(rows)
        for heads, ends in ((2, (4, 5, 6, 7, 8)), (3, (5, 8)), (1, (8,))):
            x = torch.randn(3, 8, 12, generator=rng, dtype=torch.float64)
            weights = torch.randn(4, 12, 12, generator=rng, dtype=torch.float64) / 2
            parts, cache, start = [], None, 0
            for end in ends:
                part, cache = attend(x[:, start:end], *weights, heads, mask[:, :end], cache)
                parts.append(part)
                start = end
            found = torch.cat(parts, 1)
            for row, real in enumerate(mask.bool()):
                count = int(real.sum())
                alone = attend(x[row : row + 1, real], *weights, heads, mask.new_ones(1, count))[0][0]
                what = f"row {row}, with {kind}, {heads} heads and calls up to {ends}, against its tokens alone"
                assert_close(found[row, real], alone, rtol=1e-3, atol=1e-3, message=what)


@attend.misconception(
    "You rotated the values too; leave them as they are. Values are only added up and never compared with another "
    "vector, so your sum now depends on absolute positions.",
    name="rotated-the-values",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k, v = (apply_rope(z, positions, inv) for z in (q, k, v))
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You rotated the cached keys again; leave them as they are. They were rotated when they were new, so each call "
    "moves them further away.",
    name="rotated-the-cache-again",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    everywhere = decode_positions(mask, mask.shape[1])
    q, k = apply_rope(q, positions, inv), apply_rope(k, everywhere, inv)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You cached the keys before the rotation and never rotated them later, so the keys of earlier calls carry no "
    "positions. Cache the rotated keys.",
    name="cached-keys-unrotated",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    held = k if cache is None else torch.cat([cache[0], k], 2)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (held, v)


@attend.misconception(
    "You let tokens attend to padding. It is not enough that a key comes before the query: its column must hold a "
    "token.",
    name="attended-to-padding",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = columns <= columns[-new:, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You started the causal mask at the first column in each call. The newest columns are the last ones, and "
    "everything in the cache comes before them.",
    name="causal-mask-from-the-top-left",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[:new, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You counted the positions only within the new columns. Continue the count after the cached keys, which already "
    "have positions.",
    name="positions-of-the-new-columns",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask[:, -new:], new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You numbered the columns, padding included, so padding between two tokens pushes them apart. Use your "
    "`decode_positions`, which counts only tokens.",
    name="columns-as-positions",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = torch.arange(mask.shape[1])[-new:].expand(batch, -1), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You let tokens attend to later tokens; a call with several new columns needs a causal mask among them.",
    name="no-causal-mask",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    seen = mask.bool()[:, None, None].expand(-1, -1, new, -1)
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.misconception(
    "You divided the scores by √D; divide by √d, because each head computes its own scores and is d wide.",
    name="scaled-by-the-width",
)
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    q, k, v = (F.linear(x, w).view(batch, new, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    q, k = apply_rope(q, positions, inv), apply_rope(k, positions, inv)
    if cache is not None:
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
    columns = torch.arange(mask.shape[1])
    seen = (columns <= columns[-new:, None]) & mask.bool()[:, None, None]
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=width**-0.5)
    return F.linear(mixed.transpose(1, 2).reshape(batch, new, width), wo), (k, v)


@attend.also_correct
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    new, length, d = x.shape[1], mask.shape[1], x.shape[2] // heads
    held = x if cache is None else torch.cat([cache, x], 1)
    positions, inv = decode_positions(mask, length), inv_freq(d)
    q, k, v = (torch.stack((held @ w.T).split(d, -1), 1) for w in (wq, wk, wv))
    q, k = apply_rope(q, positions, inv)[:, :, -new:], apply_rope(k, positions, inv)
    scores = q @ k.transpose(-1, -2) / d**0.5
    hidden = torch.ones(length, length).triu(1)[-new:].bool() | (mask == 0)[:, None, None, :]
    weights = scores.masked_fill(hidden, torch.finfo(scores.dtype).min).softmax(-1)
    return torch.cat((weights @ v).unbind(1), -1) @ wo.T, held


@attend.also_correct
def _(x, wq, wk, wv, wo, heads, mask, cache=None):
    batch, new, width = x.shape
    cache = {"k": [], "v": []} if cache is None else {name: list(parts) for name, parts in cache.items()}
    split = (batch, new, heads, width // heads)
    q, k, v = (F.linear(x, w).reshape(split).permute(0, 2, 1, 3) for w in (wq, wk, wv))
    positions, inv = decode_positions(mask, new), inv_freq(width // heads)
    cache["k"].append(apply_rope(k, positions, inv))
    cache["v"].append(v)
    k, v = torch.cat(cache["k"], 2), torch.cat(cache["v"], 2)
    rows = []
    for i in range(new):
        until = mask.shape[1] - new + i + 1
        scores = apply_rope(q, positions, inv)[:, :, i : i + 1] @ k[:, :, :until].mT * (width // heads) ** -0.5
        rows.append(scores.masked_fill(mask[:, None, None, :until] == 0, -1e30).softmax(-1) @ v[:, :, :until])
    return F.linear(torch.cat(rows, 2).permute(0, 2, 1, 3).flatten(2), wo), cache
