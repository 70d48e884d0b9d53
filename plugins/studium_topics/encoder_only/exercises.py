"""Exercises: the parts of BERT, the noise and the loop that train it, and the best loss that any reader can reach."""

import math
from collections import Counter
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn

# --------------------------------------------------------------------------------------------------- attention


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Each query needs one weight for each key. Which product of `query` and `key` gives all scores at once?",
        "Mask before the softmax: a blocked score that is hugely negative gets the weight 0, and the other weights "
        "still sum to 1.",
        "Scores and weights are (..., Tq, Tk); the softmax runs over the last axis; weights times values is "
        "(..., Tq, dv).",
        "`scores = query @ key.mT / query.shape[-1] ** 0.5`, then `scores.masked_fill(~mask, "
        "torch.finfo(scores.dtype).min)`. With `-inf` instead, a row without any allowed key becomes 0/0.",
    ),
)
def attention(query, key, value, mask):
    """Return for each query the mean of the values, weighted by softmax(query · key / sqrt(d)).

    - query (..., Tq, d), key (..., Tk, d), value (..., Tk, dv): float32 or float64, all alike.
    - mask: bool, broadcastable to (..., Tq, Tk); True where the query (row) may look at the key (column).
    - Returns (..., Tq, dv) in that dtype. The lesson trains through it.

    A blocked key has no influence. Scores may be in the thousands. A query that may look nowhere gets any finite
    numbers.
    """
    ### BEGIN SOLUTION
    scores = query @ key.mT / query.shape[-1] ** 0.5  # (..., Tq, Tk)
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ value
    ### END SOLUTION


@attention.test("averages the values when all scores are equal", points=1)
def _(attention):
    value = torch.tensor([[2.0, 0.0], [4.0, 6.0], [9.0, 9.0]])
    mask = torch.tensor([[True, True, False]])
    found = attention(torch.zeros(1, 4), torch.ones(3, 4), value, mask)
    assert_close(found, torch.tensor([[3.0, 3.0]]), message="with the third key blocked, the first two count half each")


@attention.hidden("computes softmax(q kᵀ / √d) v over the allowed keys", points=1)
def _(attention, rng):
    for shape, queries, keys, width, out in (
        ((2, 3), 4, 5, 6, 7),
        ((3,), 6, 4, 9, 2),
        ((2,), 5, 5, 4, 3),
        ((), 3, 7, 5, 4),
    ):
        q = 2 * torch.randn(*shape, queries, width, generator=rng, dtype=torch.float64)
        k = torch.randn(*shape, keys, width, generator=rng, dtype=torch.float64)
        v = torch.randn(*shape, keys, out, generator=rng, dtype=torch.float64)
        mask = torch.rand(*shape[:1], *(1 for _ in shape[1:]), queries, keys, generator=rng) < 0.6
        mask[..., 0] = True
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert_close(attention(q, k, v, mask), expected, rtol=1e-5, atol=1e-5)
    mask = torch.arange(7) < 4
    assert_close(
        attention(q, k, v, mask[None]),
        attention(q, k[:4], v[:4], torch.ones(1, 4, dtype=torch.bool)),
        rtol=1e-5,
        atol=1e-5,
    )


@attention.hidden("ignores blocked keys, survives big scores and rows without any key", points=1)
def _(attention, rng):
    q = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)
    k = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64)
    v = torch.randn(2, 5, 6, generator=rng, dtype=torch.float64)
    mask = torch.tensor([[[True, False, True, True, False]], [[False, True, False, True, True]]])
    loud = v.masked_fill(~mask.mT, 1e6)
    assert_close(attention(q, k, loud, mask), attention(q, k, v, mask), message="blocked keys must have no influence")
    expected = F.scaled_dot_product_attention(500 * q, k, v, attn_mask=mask)
    assert_close(attention(500 * q, k, v, mask), expected, rtol=1e-3, atol=1e-3, message="with scores in the hundreds")
    q, k = (1 + 0.1 * torch.rand(x.shape, generator=rng, dtype=torch.float64) for x in (q, k))
    q, k = 3000 * q, torch.where(mask.mT, -k, k)  # what is allowed scores about -6000, what is blocked about +6000
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert_close(attention(q, k, v, mask), expected, rtol=1e-3, atol=1e-3, message="with scores in the thousands")
    nowhere = attention(q, k, v, torch.zeros(2, 1, 5, dtype=torch.bool))
    assert torch.as_tensor(nowhere).isfinite().all(), "a query that may look nowhere must give finite numbers, not nan"


@attention.hidden("keeps the dtype, and lets gradients reach query, key and value", points=1)
def _(attention, rng):
    mask = torch.tensor([[True, False, True, True], [True, True, False, False], [False, True, True, True]])
    for dtype, close in ((torch.float64, 1e-5), (torch.float32, 1e-4)):
        inputs = [torch.randn(2, n, 5, generator=rng).to(dtype).requires_grad_() for n in (3, 4, 4)]
        out = attention(*inputs, mask)
        assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
        assert out.dtype == dtype, f"for arguments in {dtype} the result must be in {dtype}, got {out.dtype}"
        assert out.requires_grad, "gradients must reach the arguments: leave `detach` and `no_grad` away"
        away = torch.randn(2, 3, 5, generator=rng).to(dtype)
        found = torch.autograd.grad((out * away).sum(), inputs, allow_unused=True)
        wanted = (F.scaled_dot_product_attention(*inputs, attn_mask=mask) * away).sum()
        for name, one, right in zip(("query", "key", "value"), found, torch.autograd.grad(wanted, inputs), strict=True):
            assert one is not None, f"no gradient reaches {name}"
            assert_close(one, right, rtol=close, atol=close, message=f"the gradient of {name}")


@attention.misconception(
    "You divided by d; the scores are divided by the square root of d, because a dot product of d random numbers grows "
    "like sqrt(d).",
    name="divided-by-d",
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1]
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) @ value


@attention.misconception(
    "You did not scale the scores; without 1/sqrt(d) wide heads begin with weights near 0 and 1, and hardly learn.",
    name="unscaled",
)
def _(query, key, value, mask):
    scores = query @ key.mT
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) @ value


@attention.misconception(
    "You took the softmax over the queries; each query spreads one unit of attention over the keys, the last axis.",
    name="softmax-over-queries",
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-2) @ value


@attention.misconception(
    "You blocked what is allowed: here True in the mask means that the query may look there.",
    name="mask-upside-down",
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.masked_fill(mask, torch.finfo(scores.dtype).min).softmax(-1) @ value


@attention.misconception(
    "You set blocked scores to 0; a score of 0 still gets weight, because exp(0) = 1. Make it hugely negative.",
    name="blocked-scores-zero",
)
def _(query, key, value, mask):
    return (query @ key.mT / query.shape[-1] ** 0.5 * mask).softmax(-1) @ value


@attention.misconception(
    "You masked after the softmax; the weights that are left then sum to less than 1. Mask the scores before it.",
    name="masked-after-softmax",
)
def _(query, key, value, mask):
    return ((query @ key.mT / query.shape[-1] ** 0.5).softmax(-1) * mask) @ value


@attention.misconception(
    "You blocked with -inf, so that a query which may look nowhere gets 0/0 = nan, and nan spreads to the whole batch. "
    "Use a finite number such as `torch.finfo(scores.dtype).min`.",
    name="minus-infinity",
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask, float("-inf")).softmax(-1) @ value


@attention.also_correct
def _(query, key, value, mask):
    weights = torch.einsum("...qd,...kd->...qk", query, key).div(key.size(-1) ** 0.5)
    weights = torch.where(mask, weights, torch.full_like(weights, -1e9)).softmax(dim=-1)
    return torch.einsum("...qk,...kv->...qv", weights, value)


@attention.also_correct
def _(query, key, value, mask):
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    weights = scores.masked_fill(mask.logical_not(), float("-inf")).softmax(-1)
    return weights.nan_to_num(0.0) @ value


# ---------------------------------------------------------------------------------------------------- pad_mask


@exercise(
    points=2,
    minutes=5,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "Which positions of `ids` hold a real token?",
        "Padding must not be looked at, so it is a property of the key; every head and every query has the same mask.",
        "The scores have the axes (batch, head, query, key). Put T last, and make the two axes between 1.",
        "`ids != pad` is (B, T); each `None` in an index adds an axis of length 1.",
    ),
)
def pad_mask(ids, pad):
    """Return the mask that hides padding: True where the key is a real token.

    - ids (B, T): token ids, integers.
    - pad: the id of the padding token, any integer; it may be anywhere in a row.

    Returns bool (B, 1, 1, T), which broadcasts over (B, heads, queries, keys).
    """
    ### BEGIN SOLUTION
    return (ids != pad)[:, None, None, :]
    ### END SOLUTION


@pad_mask.test("marks the real tokens of two sentences", points=1)
def _(pad_mask):
    found = pad_mask(torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]]), 0)
    expected = torch.tensor([[[[True, True, True, False]]], [[[True, True, False, False]]]])
    assert getattr(found, "dtype", None) in (torch.bool, "bool"), "the mask must be made of booleans"
    assert_close(found, expected)


@pad_mask.hidden("makes the content of padding irrelevant", points=1)
def _(pad_mask, rng):
    for batch, length, pad in ((3, 5, 4), (2, 7, 0), (6, 6, 1), (4, 5, -1)):
        ids = torch.randint(min(pad, 0), 6, (batch, length), generator=rng)
        ids[:, 0], ids[0, -1], ids[1, 1] = 5, pad, pad
        mask = pad_mask(ids, pad)
        assert tuple(mask.shape) == (batch, 1, 1, length), (
            f"the mask must have shape (B, 1, 1, T) = {(batch, 1, 1, length)}, got {tuple(mask.shape)}"
        )
        mask = torch.as_tensor(mask)
        assert mask.dtype == torch.bool, f"the mask must be made of booleans, got {mask.dtype}"
        q, k, v = torch.randn(3, batch, 2, length, 4, generator=rng, dtype=torch.float64)
        noise = 9 * torch.randn(batch, 2, length, 4, generator=rng, dtype=torch.float64)
        here = torch.stack([row == pad for row in ids]).reshape(batch, 1, length, 1)
        found = F.scaled_dot_product_attention(q, k + here * noise, v + here * noise, attn_mask=mask)
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert_close(found, expected, message="what stands in padded positions must not change any output")
        for row in range(batch):
            for place in range(length):
                real = int(ids[row, place]) != pad
                assert bool(mask[row, 0, 0, place]) is real, (
                    f"row {row}, key {place} holds id {int(ids[row, place])} and pad is {pad}: expected {real}"
                )


@pad_mask.misconception(
    "You masked the queries; padding has to be hidden as a key, because otherwise every real word still reads it. "
    "Put T last: (B, 1, 1, T).",
    name="masked-queries",
)
def _(ids, pad):
    return (ids != pad)[:, None, :, None]


@pad_mask.misconception(
    "You marked the padding; here True means that the key may be looked at, so real tokens are True.",
    name="marked-padding",
)
def _(ids, pad):
    return (ids == pad)[:, None, None, :]


@pad_mask.misconception(
    "You returned numbers that are added to the scores; this mask is boolean. And adding -1 would only make padding a "
    "little less likely: exp(-1) is 0.37, not 0.",
    name="additive",
)
def _(ids, pad):
    return -1.0 * (ids == pad)[:, None, None, :]


@pad_mask.misconception(
    "You took 0 for padding; the id of the padding token is the argument `pad`.",
    name="pad-is-zero",
)
def _(ids, pad):
    return (ids != 0)[:, None, None, :]


@pad_mask.misconception(
    "You left the mask at (B, T); against scores of shape (B, heads, queries, keys) its batch axis would line up with "
    "the queries. Return (B, 1, 1, T).",
    name="two-axes",
)
def _(ids, pad):
    return ids != pad


@pad_mask.also_correct
def _(ids, pad):
    batch, length = ids.shape
    mask = torch.ones(batch, 1, 1, length, dtype=torch.bool)
    for row in range(batch):
        for place in range(length):
            if ids[row, place] == pad:
                mask[row, 0, 0, place] = False
    return mask


@pad_mask.also_correct
def _(ids, pad):
    return ids.ne(pad).unsqueeze(1).unsqueeze(1)


# -------------------------------------------------------------------------------------------------- bert_embed


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "Which row of each table belongs to the third token of a sentence?",
        "Add one row of each table, and normalise the sum once.",
        "The looked-up words are (B, T, D), the first T positions (T, D), the segments (B, T, D).",
        'Indexing with ids looks rows up: `tables["word"][ids]`. '
        "`F.layer_norm(x, x.shape[-1:], gamma, beta, eps)` normalises.",
    ),
)
def bert_embed(ids, segments, tables, gamma, beta, eps=1e-12):
    """Return LayerNorm(word + position + segment) for every token.

    - ids (B, T): token ids. segments (B, T): 0 for the first sentence, 1 for the second.
    - tables: a mapping of "word" (V, D), "position" (T rows or more, D) and "segment" (2, D). Positions count from 0.
    - gamma, beta (D,): scale and shift of the LayerNorm over the last axis; eps is added to its variance.

    Returns (B, T, D). The lesson trains through it: gradients reach the tables, gamma and beta.
    """
    ### BEGIN SOLUTION
    _, length = ids.shape
    x = tables["word"][ids] + tables["position"][:length] + tables["segment"][segments]  # (B, T, D)
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)
    ### END SOLUTION


@bert_embed.test("normalises each token's vector", points=1)
def _(bert_embed):
    tables = {"word": torch.eye(5, 4), "position": torch.eye(4), "segment": torch.zeros(2, 4)}
    found = bert_embed(
        torch.tensor([[3, 0, 2]]), torch.zeros(1, 3, dtype=torch.long), tables, torch.ones(4), torch.zeros(4)
    )
    first = torch.tensor([1.0, -1.0, -1.0, 1.0])  # one-hot 3 plus one-hot 0 is (1, 0, 0, 1): mean 1/2, deviation 1/2
    assert tuple(found.shape) == (1, 3, 4), f"expected shape (B, T, D) = (1, 3, 4), got {tuple(found.shape)}"
    assert_close(found[0, 0], first, message="word 3 at position 0")


@bert_embed.hidden("adds three tables and normalises with gamma, beta and eps", points=1)
def _(bert_embed, rng):
    for batch, length, width, eps in ((2, 5, 6, 0.3), (3, 4, 7, 1e-12)):
        tables = {
            name: torch.randn(rows, width, generator=rng, dtype=torch.float64)
            for name, rows in (("word", 11), ("position", 9), ("segment", 2))
        }
        gamma, beta = torch.randn(2, width, generator=rng, dtype=torch.float64)
        ids = torch.randint(11, (batch, length), generator=rng)
        segments = torch.randint(2, (batch, length), generator=rng)
        segments[0, 0], segments[0, 1] = 0, 1
        found = bert_embed(ids, segments, tables, gamma, beta, eps)
        for b in range(batch):
            for t in range(length):
                x = tables["word"][ids[b, t]] + tables["position"][t] + tables["segment"][segments[b, t]]
                centred = x - x.sum() / width
                expected = centred / ((centred**2).sum() / width + eps) ** 0.5 * gamma + beta
                assert_close(found[b][t], expected, rtol=1e-5, atol=1e-5, message=f"sentence {b}, position {t}")


@bert_embed.hidden("lets gradients reach every table, gamma and beta", points=1)
def _(bert_embed, rng):
    names = ("word", "position", "segment", "gamma", "beta")
    shapes = ((7, 6), (5, 6), (2, 6), (6,), (6,))
    parts = [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]
    ids = torch.randint(7, (3, 4), generator=rng)
    segments = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]])
    away = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    out = bert_embed(ids, segments, dict(zip(names[:3], parts[:3], strict=True)), *parts[3:])
    assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
    assert out.requires_grad, "gradients must reach the tables: leave `detach` and `no_grad` away"
    found = torch.autograd.grad((out * away).sum(), parts, allow_unused=True)
    x = F.embedding(ids, parts[0]) + parts[1][torch.arange(4)] + F.embedding(segments, parts[2])
    wanted = torch.autograd.grad((F.layer_norm(x, (6,), parts[3], parts[4], 1e-12) * away).sum(), parts)
    for name, one, right in zip(names, found, wanted, strict=True):
        assert one is not None, f"no gradient reaches {name}"
        assert_close(one, right, rtol=1e-4, atol=1e-5, message=f"the gradient of {name}")


@bert_embed.misconception(
    "You left the LayerNorm out; BERT normalises the sum before the first layer reads it.",
    name="no-norm",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    return tables["word"][ids] + tables["position"][: ids.shape[1]] + tables["segment"][segments]


@bert_embed.misconception(
    "Your positions start at 1; the first token takes row 0 of the position table. (RoBERTa starts later.)",
    name="positions-from-one",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][1 : ids.shape[1] + 1] + tables["segment"][segments]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You looked positions up by the token's id; a position is a place in the sentence, whatever word is there.",
    name="position-by-word",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    rows = ids.clamp(max=len(tables["position"]) - 1)
    x = tables["word"][ids] + tables["position"][rows] + tables["segment"][segments]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You forgot the segment table; without it nothing but [SEP] tells BERT where the second sentence begins.",
    name="no-segment",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][: ids.shape[1]]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You divided by the unbiased deviation (D - 1), as `x.std()` does; LayerNorm divides the variance by D.",
    name="unbiased-variance",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][: ids.shape[1]] + tables["segment"][segments]
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() * gamma + beta


@bert_embed.also_correct
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    places = torch.arange(ids.size(1)).expand(ids.shape)
    x = F.embedding(ids, tables["word"])
    x = x + F.embedding(places, tables["position"]) + F.embedding(segments, tables["segment"])
    spread = x.var(-1, keepdim=True, unbiased=False)
    return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(spread + eps) * gamma + beta


# -------------------------------------------------------------------------------------------------- bert_layer


@exercise(
    points=5,
    minutes=20,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Which of the ten weights and biases belong to the attention, and which to the perceptron? Draw the arrows of "
        "the diagram with their names.",
        "Post-norm: add what a part returns to its input, then normalise the sum. The second part is up, GELU, down.",
        "Head h is the h-th block of D / H columns: query, key and value become (B, H, T, D / H), and the result of "
        "`attention` goes back to (B, T, D), head after head.",
        '`F.linear(x, weights["query.weight"], weights["query.bias"])` is a linear map; '
        "`torch.stack(q.chunk(heads, -1), 1)` cuts into heads, `torch.cat(y.unbind(1), -1)` puts them together.",
    ),
)
def bert_layer(x, mask, weights, heads, eps=1e-12):
    """Return x after one post-norm layer of BERT, without dropout: attention, then a perceptron.

    | part | names |
    |---|---|
    | linear maps D to D, `x @ weight.T + bias` | query, key, value, output |
    | linear maps D to F and F to D | up, down |
    | LayerNorms over the last axis, with eps | attention_norm, mlp_norm |

    - x (B, T, D).
    - mask: bool, broadcastable to (B, heads, T, T), True where the query (row) may look at the key.
    - weights: a mapping with `"query.weight"`, `"query.bias"` and so on.

    Head h has the columns h · D / heads to (h + 1) · D / heads. The activation is the exact GELU.
    Returns (B, T, D). The lesson trains through it.
    """

    ### BEGIN SOLUTION
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (
        torch.stack(linear(name, x).chunk(heads, -1), 1)  # (B, H, T, D / H)
        for name in ("query", "key", "value")
    )
    mixed = torch.cat(attention(query, key, value, mask).unbind(1), -1)  # (B, T, D)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))
    ### END SOLUTION


@bert_layer.test("keeps the shape and normalises what it returns", points=1)
def _(bert_layer):
    shapes = {"query": (6, 6), "key": (6, 6), "value": (6, 6), "output": (6, 6), "up": (9, 6), "down": (6, 9)}
    x = torch.linspace(-1, 1, 24).reshape(1, 4, 6) ** 3
    for silent in ("output", "down"):
        weights = {f"{name}.weight": torch.linspace(-1, 1, o * i).reshape(o, i) ** 2 for name, (o, i) in shapes.items()}
        weights |= {f"{name}.bias": torch.zeros(o) for name, (o, _) in shapes.items()}
        for name in ("attention_norm", "mlp_norm"):
            weights |= {f"{name}.weight": torch.ones(6), f"{name}.bias": torch.zeros(6)}
        weights[f"{silent}.weight"] = torch.zeros(shapes[silent])
        found = bert_layer(x, torch.ones(1, 1, 1, 4, dtype=torch.bool), weights, 2)
        assert tuple(found.shape) == (1, 4, 6), f"expected shape (B, T, D) = (1, 4, 6), got {tuple(found.shape)}"
        what = f'of each token after the last LayerNorm, where the weights of "{silent}" are 0'
        assert_close(found.mean(-1), torch.zeros(1, 4), atol=1e-4, message=f"the mean {what}")
        variance = found.var(-1, unbiased=False)
        assert_close(variance, torch.ones(1, 4), atol=1e-3, rtol=1e-3, message=f"the variance {what}")


@bert_layer.hidden("agrees with a post-norm encoder layer of PyTorch", points=2)
def _(bert_layer, rng):
    for batch, length, heads, width, hidden, eps in ((2, 5, 3, 12, 20, 0.2), (3, 4, 2, 8, 14, 1e-12)):
        layer = partial(nn.TransformerEncoderLayer, width, heads, hidden, 0.0, "gelu", eps, dtype=torch.float64)
        oracle = drawn(partial(layer, batch_first=True, norm_first=False), rng, scale=0.6)
        state = {name: value.clone() for name, value in oracle.state_dict().items()}
        parts = {"output": "self_attn.out_proj", "up": "linear1", "down": "linear2"}
        parts |= {"attention_norm": "norm1", "mlp_norm": "norm2"}
        weights = {
            f"{ours}.{kind}": state[f"{its}.{kind}"] for ours, its in parts.items() for kind in ("weight", "bias")
        }
        for kind in ("weight", "bias"):
            for name, part in zip(("query", "key", "value"), state[f"self_attn.in_proj_{kind}"].chunk(3), strict=True):
                weights[f"{name}.{kind}"] = part
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
        real = torch.rand(batch, length, generator=rng) < 0.7
        real[:, 0] = True
        expected = oracle(x, src_key_padding_mask=~real).detach()
        found = bert_layer(x, real[:, None, None, :], weights, heads, eps)
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=f"{heads} heads, eps {eps}, with a padding mask")


@bert_layer.hidden("lets a mask of queries and keys decide who sees whom", points=1)
def _(bert_layer, rng):
    batch, length, heads, width = 2, 6, 2, 10
    shapes = {"query": (10, 10), "key": (10, 10), "value": (10, 10), "output": (10, 10), "up": (7, 10), "down": (10, 7)}
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = 0.5 * torch.randn(shape, generator=rng, dtype=torch.float64)
        weights[f"{name}.bias"] = torch.randn(shape[0], generator=rng, dtype=torch.float64)
    for name in ("attention_norm", "mlp_norm"):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = torch.randn(2, width, generator=rng, dtype=torch.float64)
    x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    own = torch.rand(batch, heads, length, length, generator=rng) < 0.5
    masks = {
        "a causal mask": causal.expand(batch, 1, length, length),
        "a mask of its own for each head": own | torch.eye(length, dtype=torch.bool),
        "a causal mask of shape (T, T)": causal,
    }
    for what, mask in masks.items():
        found = bert_layer(x, mask, dict(weights), heads)
        q, k, v = (
            F.linear(x, weights[f"{n}.weight"], weights[f"{n}.bias"]).view(batch, length, heads, -1).transpose(1, 2)
            for n in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(batch, length, width)
        norms = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in ("attention_norm", "mlp_norm")]
        y = x + F.linear(mixed, weights["output.weight"], weights["output.bias"])
        y = F.layer_norm(y, (width,), *norms[0], 1e-12)
        z = F.linear(y, weights["up.weight"], weights["up.bias"])
        z = z * (1 + torch.erf(z / 2**0.5)) / 2
        z = F.layer_norm(y + F.linear(z, weights["down.weight"], weights["down.bias"]), (width,), *norms[1], 1e-12)
        assert_close(found, z, rtol=1e-4, atol=1e-5, message=f"with {what}")


@bert_layer.hidden("lets gradients reach x and every weight", points=1)
def _(bert_layer, rng):
    layer = partial(nn.TransformerEncoderLayer, 6, 3, 10, 0.0, "gelu", 1e-12, dtype=torch.float64)
    oracle = drawn(partial(layer, batch_first=True, norm_first=False), rng, scale=0.6)
    x = torch.randn(2, 5, 6, generator=rng, dtype=torch.float64).requires_grad_()
    away = torch.randn(2, 5, 6, generator=rng, dtype=torch.float64)
    state = dict(oracle.named_parameters())
    right = dict(zip(["x", *state], torch.autograd.grad((oracle(x) * away).sum(), [x, *state.values()]), strict=True))
    parts = {"output": "self_attn.out_proj", "up": "linear1", "down": "linear2"}
    parts |= {"attention_norm": "norm1", "mlp_norm": "norm2"}
    weights, wanted = {}, {"x": right["x"]}
    for kind in ("weight", "bias"):
        for source, goal in ((state, weights), (right, wanted)):
            joined = source[f"self_attn.in_proj_{kind}"].detach().chunk(3)
            goal |= {f"{n}.{kind}": part for n, part in zip(("query", "key", "value"), joined, strict=True)}
            goal |= {f"{ours}.{kind}": source[f"{its}.{kind}"].detach() for ours, its in parts.items()}
    weights = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    out = bert_layer(x, torch.ones(1, 1, 1, 5, dtype=torch.bool), weights, 3)
    assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
    assert out.requires_grad, "gradients must reach the weights: leave `detach` and `no_grad` away"
    found = torch.autograd.grad((out * away).sum(), [x, *weights.values()], allow_unused=True)
    for name, one in zip(["x", *weights], found, strict=True):
        assert one is not None, f"no gradient reaches {name}"
        assert_close(one, wanted[name], rtol=1e-4, atol=1e-5, message=f"the gradient of {name}")


@bert_layer.misconception(
    "You normalised before each sublayer (pre-norm, as GPT-2 does); BERT adds first and normalises the sum: "
    "norm(x + sublayer(x)).",
    name="pre-norm",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    z = norm("attention_norm", x)
    query, key, value = (torch.stack(linear(name, z).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = x + linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1))
    return x + linear("down", F.gelu(linear("up", norm("mlp_norm", x))))


@bert_layer.misconception(
    "Your GELU is the tanh formula of GPT-2; BERT uses the exact one with the error function, `F.gelu(x)`.",
    name="tanh-gelu",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = norm("attention_norm", x + linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1)))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x), approximate="tanh")))


@bert_layer.misconception(
    "You left out the residual around the perceptron; what the attention found would be thrown away: add x before the "
    "second LayerNorm.",
    name="no-second-residual",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = norm("attention_norm", x + linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1)))
    return norm("mlp_norm", linear("down", F.gelu(linear("up", x))))


@bert_layer.misconception(
    "You left out the residual around the attention; each word would forget itself: add x before the first LayerNorm.",
    name="no-first-residual",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = norm("attention_norm", linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1)))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


@bert_layer.misconception(
    "You divided the scores by sqrt(D); each head works on D / heads columns, so its scores are divided by "
    "sqrt(D / heads).",
    name="scaled-by-whole-width",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    mixed = torch.cat(attention(query / heads**0.5, key, value, mask).unbind(1), -1)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


@bert_layer.misconception(
    "You put the heads together without bringing the tokens back in front: after (B, heads, T, d) the axes must be "
    "swapped before a reshape, or words and heads are shuffled.",
    name="heads-shuffled",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    mixed = attention(query, key, value, mask).reshape(x.shape)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


@bert_layer.also_correct
def _(x, mask, weights, heads, eps=1e-12):
    batch, length, width = x.shape
    size = width // heads
    q, k, v = (
        (x @ weights[name + ".weight"].T + weights[name + ".bias"]).view(batch, length, heads, size).transpose(1, 2)
        for name in ("query", "key", "value")
    )
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.expand(batch, heads, length, length))
    x = x + mixed.transpose(1, 2).reshape(batch, length, width) @ weights["output.weight"].T + weights["output.bias"]
    x = F.layer_norm(x, (width,), weights["attention_norm.weight"], weights["attention_norm.bias"], eps)
    hidden = x @ weights["up.weight"].T + weights["up.bias"]
    hidden = 0.5 * hidden * (1 + torch.erf(hidden * 0.5**0.5))
    x = x + hidden @ weights["down.weight"].T + weights["down.bias"]
    return F.layer_norm(x, (width,), weights["mlp_norm.weight"], weights["mlp_norm.bias"], eps)


@bert_layer.also_correct
def _(x, mask, weights, heads, eps=1e-12):
    q, k, v = (F.linear(x, weights[f"{n}.weight"], weights[f"{n}.bias"]) for n in ("query", "key", "value"))
    size = x.shape[-1] // heads
    mixed = torch.zeros_like(x)
    allowed = mask.expand(x.shape[0], heads, x.shape[1], x.shape[1])
    for h in range(heads):
        columns = slice(h * size, (h + 1) * size)
        scores = torch.einsum("bqd,bkd->bqk", q[..., columns], k[..., columns]) * size**-0.5
        scores = scores.masked_fill(~allowed[:, h], -1e30)
        mixed[..., columns] = scores.softmax(-1) @ v[..., columns]
    for name, before in (("attention_norm", "output"), ("mlp_norm", "down")):
        inner = mixed if before == "output" else F.gelu(F.linear(x, weights["up.weight"], weights["up.bias"]))
        x = x + F.linear(inner, weights[f"{before}.weight"], weights[f"{before}.bias"])
        centred = x - x.mean(-1, keepdim=True)
        x = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
        x = x * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return x


# ----------------------------------------------------------------------------------------------------- corrupt


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "How many independent draws does one position need, and what does each decide?",
        "One draw chooses a position, a second one says which of three kinds it is, a third one is the random word.",
        "All three draws have the shape of ids, and so has every condition that is made of them.",
        "`torch.rand(ids.shape, generator=generator)` and `torch.randint(first, vocabulary, ids.shape, "
        "generator=generator)`; a second uniform number below 0.8 means [MASK], from 0.9 on a random word.",
    ),
)
def corrupt(ids, mask_id, first, vocabulary, generator):
    """Return a batch with BERT's noise, and the labels of the words that the model has to name.

    Every word is chosen with probability 15 %, independently; special tokens never are. A chosen word becomes

    | with probability | |
    |---|---|
    | 80 % | `mask_id` |
    | 10 % | any word, all with equal probability |
    | 10 % | itself |

    - ids (B, T): long, on the CPU; it stays as it is. Words are `first` to `vocabulary` - 1; below are special tokens.
    - generator: makes all randomness.
    - Returns (noisy, labels), long, (B, T): a label is the original word where it was chosen, else -100.
    """
    ### BEGIN SOLUTION
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= first)
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(first, vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, ids)
    noisy = torch.where(chosen & (kind >= 0.9), word, noisy)
    return noisy, ids.masked_fill(~chosen, -100)
    ### END SOLUTION


corrupt.equivalent(
    "random = (chance >= 0.12) & (chance <= 0.135)",
    "almost no draw is exactly 0.135",
)
corrupt.equivalent(
    "noisy = torch.where(chosen & (kind > 0.9), word, noisy)", "a draw of exactly 0.9 has the probability 2 ** -24"
)
corrupt.equivalent(
    "noisy = torch.where(chosen & (kind <= 0.8), mask_id, ids)", "a draw of exactly 0.8 has the probability 2 ** -24"
)
corrupt.equivalent(
    "chosen = (torch.rand(ids.shape, generator=generator) <= 0.15) & (ids >= first)",
    "a draw of exactly 0.15 has the probability 2 ** -24",
)


@corrupt.test("changes chosen words alone, and labels them with what they were", points=1)
def _(corrupt):
    ids = torch.randint(5, 30, (200, 12), generator=torch.Generator().manual_seed(1))
    ids[:, 0], ids[::2, 9:] = 1, 0
    kept = ids.clone()
    noisy, labels = corrupt(ids, 3, 5, 30, torch.Generator().manual_seed(2))
    assert torch.equal(ids, kept), "the argument ids must stay as it is: work on a copy"
    for name, found in (("noisy", noisy), ("labels", labels)):
        assert tuple(found.shape) == (200, 12), (
            f"{name} must have the shape of ids, (200, 12), got {tuple(found.shape)}"
        )
        assert found.dtype == torch.long, f"{name} must be long, got {found.dtype}"
    counts = labels != -100
    assert not counts[ids < 5].any(), "special tokens (ids below 5 here) are never chosen"
    assert torch.equal(labels[counts], ids[counts]), "a label is the word that stood there before the noise"
    assert torch.equal(noisy[~counts], ids[~counts]), "where the label is -100 the word must stay as it is"
    assert counts.any(), "no word was chosen: about 15 % of them should be"


@corrupt.hidden("chooses 15 % of the words, and keeps the proportions 80, 10 and 10 %", points=1)
def _(corrupt, rng):
    for mask_id, first, vocabulary in ((2, 6, 40), (4, 5, 16)):
        ids = torch.randint(first, vocabulary, (4000, 50), generator=rng)
        ids[:, ::5] = 1
        noisy, labels = corrupt(ids, mask_id, first, vocabulary, rng)
        counts = labels != -100
        words, chosen = int((ids >= first).sum()), int(counts.sum())
        assert abs(chosen - 0.15 * words) < 6 * (words * 0.15 * 0.85) ** 0.5, (
            f"15 % of the words should be chosen, and {chosen / words:.2%} are"
        )
        original, now = ids[counts], noisy[counts]
        other = (now != mask_id) & (now != original)
        likely = 0.1 / (vocabulary - first)  # a random word is the original one now and then
        for what, share, found in (
            ("become mask_id", 0.8, now == mask_id),
            ("become another word", 0.1 - likely, other),
            ("stay the same", 0.1 + likely, now == original),
        ):
            spread = 6 * (chosen * share * (1 - share)) ** 0.5
            assert abs(int(found.sum()) - chosen * share) < spread, (
                f"{share:.1%} of the chosen words should {what}, and {int(found.sum()) / chosen:.1%} do"
            )


@corrupt.hidden("draws random words from all words and from nothing else", points=1)
def _(corrupt, rng):
    first, vocabulary = 4, 14
    ids = torch.randint(4, 9, (5000, 48), generator=rng)  # the words 9 to 13 come from the noise alone
    ids[:, ::6] = 1
    noisy, _ = corrupt(ids, 3, first, vocabulary, rng)
    assert torch.equal(noisy[:, ::6], ids[:, ::6]), "special tokens (ids below 4 here) stay as they are"
    new = noisy[(noisy != ids) & (noisy != 3)]
    assert len(new), "10 % of the chosen words should become a random word, and none does"
    strange = sorted(set(new.tolist()) - set(range(first, vocabulary)))
    assert not strange, f"random words are the ids {first} to {vocabulary - 1}, got {strange} too"
    fresh = [int((new == word).sum()) for word in range(9, 14)]
    expected = 5000 * 40 * 0.15 * 0.1 / 10
    for word, count in zip(range(9, 14), fresh, strict=True):
        assert abs(count - expected) < 6 * expected**0.5, (
            f"each of the 10 words should replace another about {expected:.0f} times, word {word} does {count} times"
        )


@corrupt.hidden("decides for every word by itself, with the generator that it is given", points=1)
def _(corrupt, rng):
    ids = torch.randint(4, 20, (3000, 20), generator=rng)
    seed = int(torch.randint(10**6, (), generator=rng))
    one, two, three = (corrupt(ids, 3, 4, 20, torch.Generator().manual_seed(s)) for s in (seed, seed, seed + 1))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1]), (  # noqa: PT018 - one statement of the learner's
        "the same seed must give the same noise: take all randomness from the generator"
    )
    assert not torch.equal(one[1], three[1]), "another seed must choose other words: choose with the generator"
    assert not torch.equal(one[0], three[0]), "another seed must give other noise: draw it with the generator"
    counts = (one[1] != -100).double()
    for axis, name, size in ((1, "sentence", 20), (0, "column", 3000)):
        sums = counts.sum(axis)
        variance, wanted = float(sums.var()), size * 0.15 * 0.85
        spread = 6 * wanted * (2 / (len(sums) - 1)) ** 0.5
        assert abs(variance - wanted) < spread, (
            f"each word is chosen by itself, so the number of chosen words of a {name} has the variance {wanted:.3g}, "
            f"and here it has {variance:.3g}"
        )
    hidden = ((one[0] == 3) & (one[1] != -100)).double()
    for axis, name in ((1, "sentence"), (0, "column")):
        chosen, masked = counts.sum(axis), hidden.sum(axis)
        wanted = float(chosen.sum()) * 0.8 * 0.2  # binomial, given how many are chosen
        found = float((masked - 0.8 * chosen).square().sum())
        spread = 8 * wanted * (2 / len(chosen) + 1 / float(chosen.sum())) ** 0.5
        assert abs(found - wanted) < spread, f"the three kinds are drawn for every word by itself, not for a {name}"


@corrupt.misconception(
    "You drew a second time among the words that were left, with 0.1; of the chosen words only 2 % then become random. "
    "The shares 80, 10 and 10 % are all of the chosen words.",
    name="tenth-of-the-rest",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= first)
    masked = chosen & (torch.rand(ids.shape, generator=generator) < 0.8)
    random = chosen & ~masked & (torch.rand(ids.shape, generator=generator) < 0.1)
    word = torch.randint(first, vocabulary, ids.shape, generator=generator)
    return torch.where(masked, mask_id, torch.where(random, word, ids)), ids.masked_fill(~chosen, -100)


@corrupt.misconception(
    "You replaced every chosen word by [MASK]; one fifth of them keep a real word, so that the model cannot rely on "
    "[MASK] to know where to think.",
    name="always-mask",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= first)
    return torch.where(chosen, mask_id, ids), ids.masked_fill(~chosen, -100)


@corrupt.misconception(
    "You labelled the changed positions alone; the chosen words that stay as they are count in the loss as well.",
    name="kept-not-labelled",
)
def _(ids, mask_id, first, vocabulary, generator):
    noisy, _ = corrupt(ids, mask_id, first, vocabulary, generator)
    return noisy, ids.masked_fill(noisy == ids, -100)


@corrupt.misconception(
    "You chose special tokens too; [CLS], [SEP] and padding are never hidden, because there is nothing to learn there.",
    name="special-chosen",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = torch.rand(ids.shape, generator=generator) < 0.15
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(first, vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, torch.where(chosen & (kind >= 0.9), word, ids))
    return noisy, ids.masked_fill(~chosen, -100)


@corrupt.misconception(
    "You drew the random words from the whole vocabulary; special tokens are no words: start at `first`.",
    name="special-as-random-word",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= first)
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(0, vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, torch.where(chosen & (kind >= 0.9), word, ids))
    return noisy, ids.masked_fill(~chosen, -100)


@corrupt.misconception(
    "You returned all of ids as labels; where a word was not chosen the label is -100, otherwise the loss counts words "
    "that the model can simply copy.",
    name="labels-everywhere",
)
def _(ids, mask_id, first, vocabulary, generator):
    return corrupt(ids, mask_id, first, vocabulary, generator)[0], ids.clone()


@corrupt.misconception(
    "You chose the same positions for the whole batch; every word of every sentence is chosen by itself.",
    name="same-positions",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = (torch.rand(ids.shape[1], generator=generator) < 0.15) & (ids >= first)
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(first, vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, torch.where(chosen & (kind >= 0.9), word, ids))
    return noisy, ids.masked_fill(~chosen, -100)


@corrupt.also_correct
def _(ids, mask_id, first, vocabulary, generator):
    chance = torch.rand(ids.shape, generator=generator, dtype=torch.float64)  # one draw can serve both decisions
    chance = chance.masked_fill(ids < first, 1.0)
    noisy, labels = ids.clone(), torch.full_like(ids, -100)
    labels[chance < 0.15] = ids[chance < 0.15]
    noisy[chance < 0.12] = mask_id
    random = (chance >= 0.12) & (chance < 0.135)
    noisy[random] = torch.randint(first, vocabulary, (int(random.sum()),), generator=generator)
    return noisy, labels


@corrupt.also_correct
def _(ids, mask_id, first, vocabulary, generator):
    words = (ids >= first).double()
    chosen = torch.bernoulli(0.15 * words, generator=generator).bool()
    kind = torch.multinomial(torch.tensor([0.8, 0.1, 0.1]), ids.numel(), replacement=True, generator=generator)
    kind = kind.view(ids.shape)
    word = torch.randint(vocabulary - first, ids.shape, generator=generator) + first
    noisy = ids.clone()
    noisy[chosen & (kind == 0)] = mask_id
    noisy[chosen & (kind == 1)] = word[chosen & (kind == 1)]
    return noisy, torch.where(chosen, ids, torch.tensor(-100))


# ---------------------------------------------------------------------------------------------------- mlm_loss


@exercise(
    points=4,
    minutes=10,
    level="core",
    importance=2,
    kind="find the bug",
    hints=(
        "How many positions does the mean divide by, and how many words were hidden?",
        "What is the logarithm of a softmax whose entry has been rounded to 0? And what is 0 times that?",
        "The log-probabilities of the right words are (B, T); those that count are a vector, one entry for each hidden "
        "word.",
        "`logits.log_softmax(-1)` does not round to 0, and `right[hidden]` takes the hidden words alone.",
    ),
)
def mlm_loss(logits, labels):
    """Return the mean cross-entropy over the hidden words of the batch, in nats. Find the two bugs in this version:

    ```python
    def mlm_loss(logits, labels):
        hidden = labels != -100
        probability = logits.softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        return -(hidden * probability.log()).mean()
    ```

    An untrained model should start near ln V, and with this version it starts far below. Later the loss becomes nan.

    - logits (B, T, V): may be in the thousands.
    - labels (B, T): the hidden word, or -100; at least one counts.

    Every hidden word counts the same. The lesson trains through the result, one number.
    """
    ### BEGIN SOLUTION
    hidden = labels != -100
    log_probability = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return -log_probability[hidden].mean()
    ### END SOLUTION


@mlm_loss.test("is log V when all words are equally likely", points=1)
def _(mlm_loss):
    labels = torch.tensor([[-100, 3, -100], [1, -100, -100]])
    expected = torch.log(torch.tensor(8.0))
    assert_close(mlm_loss(torch.zeros(2, 3, 8), labels), expected, message="8 words, all equally likely: log 8")


@mlm_loss.hidden("averages over the hidden words of the batch", points=1)
def _(mlm_loss, rng):
    for batch, length, words in ((3, 5, 7), (2, 6, 4)):
        logits = 3 * torch.randn(batch, length, words, generator=rng, dtype=torch.float64)
        labels = torch.full((batch, length), -100)
        labels[0, 0], labels[0, 2], labels[0, 3], labels[1, length - 1] = 1, 0, words - 1, 2
        losses = [
            torch.logsumexp(logits[b, t], 0) - logits[b, t, int(labels[b, t])]
            for b in range(batch)
            for t in range(length)
            if int(labels[b, t]) >= 0
        ]
        found = mlm_loss(logits.clone(), labels.clone())
        assert_close(float(found), float(sum(losses) / len(losses)), rtol=1e-5, message="4 words are hidden")
    found = float(mlm_loss(1000 * logits, labels))
    losses = 1000 * torch.stack([logits[b, t].max() - logits[b, t, labels[b, t]] for b, t in (labels >= 0).nonzero()])
    assert_close(found, float(losses.mean()), rtol=1e-5, message="with logits in the thousands")


@mlm_loss.hidden("does not look at positions that do not count", points=1)
def _(mlm_loss, rng):
    logits = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    labels = torch.full((3, 4), -100)
    labels[0, 1], labels[2, 2], labels[2, 0] = 5, 0, 3
    other = torch.where((labels >= 0)[..., None], logits, 50 * torch.randn(3, 4, 6, generator=rng, dtype=torch.float64))
    assert_close(
        float(mlm_loss(other, labels)),
        float(mlm_loss(logits, labels)),
        rtol=1e-5,
        message="other logits at positions labelled -100 must not change the loss",
    )
    assert_close(float(mlm_loss(logits, labels)), float(F.cross_entropy(logits.transpose(1, 2), labels)), rtol=1e-5)


@mlm_loss.hidden("lets gradients reach the logits of the hidden words, and of no others", points=1)
def _(mlm_loss, rng):
    logits = (2 * torch.randn(3, 5, 6, generator=rng, dtype=torch.float64)).requires_grad_()
    labels = torch.full((3, 5), -100)
    labels[0, 1], labels[0, 4], labels[0, 2], labels[2, 0] = 5, 2, 0, 3
    loss = mlm_loss(logits, labels)
    assert isinstance(loss, torch.Tensor), f"a tensor with one number is expected, got {type(loss).__name__}"
    assert loss.requires_grad, "gradients must reach the logits: keep the loss a tensor, without `detach` or `item`"
    (found,) = torch.autograd.grad(loss, logits)
    expected = torch.zeros(3, 5, 6, dtype=torch.float64)
    for b, t in (labels >= 0).nonzero().tolist():
        expected[b, t] = logits[b, t].detach().softmax(0) / 4
        expected[b, t, labels[b, t]] -= 1 / 4
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the gradient: (softmax − one-hot) / 4 for 4 words")


@mlm_loss.misconception(
    "You let every position count and read -100 as a word; positions labelled -100 must be left out altogether.",
    name="counts-everywhere",
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.clamp(min=0).flatten())


@mlm_loss.misconception(
    "You shifted the labels by one, as a left-to-right model does; BERT predicts the hidden word at its own position.",
    name="shifted",
)
def _(logits, labels):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@mlm_loss.misconception(
    "You summed; the loss is the mean over the hidden words, so that it does not depend on their number.",
    name="summed",
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")


@mlm_loss.misconception(
    "You divided by all B * T positions; the mean is over the hidden words, or the loss shrinks with their share.",
    name="all-positions",
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.numel()


@mlm_loss.misconception(
    "You averaged within each sentence first; every hidden word of the batch counts the same, "
    "however many its sentence has.",
    name="by-sentence",
)
def _(logits, labels):
    rows = [F.cross_entropy(one, row) for one, row in zip(logits, labels, strict=True) if (row >= 0).any()]
    return torch.stack(rows).mean()


@mlm_loss.misconception(
    "You took the logarithm of a softmax; when a word's probability rounds to 0 that is -inf. "
    "`log_softmax` stays exact.",
    name="log-of-softmax",
)
def _(logits, labels):
    counts = labels != -100
    return -logits[counts].softmax(-1).log().gather(1, labels[counts][:, None]).mean()


@mlm_loss.also_correct
def _(logits, labels):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)


@mlm_loss.also_correct
def _(logits, labels):
    total, count = 0.0, 0
    for row, words in zip(logits, labels.tolist(), strict=True):
        for scores, word in zip(row, words, strict=True):
            if word != -100:
                total, count = total + scores.logsumexp(-1) - scores[word], count + 1
    return total / count


# ---------------------------------------------------------------------------------------------------- pretrain


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "What has to happen in every step, and what once before the loop?",
        "Before the loop: two groups of parameters and one optimiser. In the loop: set the rate, make the task, find "
        "the loss, clear the gradients, go backward, clip, step, note the loss.",
        "A matrix has two axes and a bias has one; each group is a dict with `params` and `weight_decay`; "
        "the loss of a step is one float.",
        "`torch.optim.AdamW(groups, lr=lr)`; `for group in optimizer.param_groups: group['lr'] = ...`; "
        "`nn.utils.clip_grad_norm_(model.parameters(), 1.0)` between `loss.backward()` and `optimizer.step()`.",
    ),
)
def pretrain(model, batches, task, lr):
    """Train a model in place with AdamW, one step for each batch, and return the losses.

    | setting | value |
    |---|---|
    | learning rate of step n = 1 … N | lr · min(n / w, (N + 1 − n) / (N + 1 − w)), where w = max(1, N // 10) |
    | weight decay | 0.01 for parameters of two axes or more, 0 for biases and norms |
    | gradients | the norm of all together is clipped at 1 |

    - model: a module; model(inputs) gives logits (B, T, V).
    - batches: a list of N tensors of ids (B, T), taken in order.
    - task(ids): returns the inputs and the labels for `mlm_loss`; call it once a step.
    - Returns N floats: the loss of each batch before its step.
    """
    ### BEGIN SOLUTION
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    steps = len(batches)
    warm = max(1, steps // 10)
    losses = []
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


pretrain.equivalent("optimizer = torch.optim.AdamW(groups)", "the loop sets the rate before each step")


@pretrain.test("learns which word follows which, and returns a loss for each batch", points=1)
def _(pretrain):
    generator = torch.Generator().manual_seed(5)
    model = drawn(lambda: nn.Sequential(nn.Embedding(7, 9), nn.Linear(9, 7)), generator, scale=0.3)
    batches = [torch.randint(7, (6, 8), generator=generator) for _ in range(60)]

    def task(ids):
        return ids, (3 * ids + 1) % 7  # each word has one answer

    def loss_now():
        with torch.no_grad():
            return float(F.cross_entropy(model(batches[0]).flatten(0, 1), task(batches[0])[1].flatten()))

    start = loss_now()
    losses = pretrain(model, batches, task, 0.1)
    assert len(losses) == 60, f"60 batches give 60 losses, got {len(losses)}"
    assert_close(losses[0], start, rtol=1e-4, message="the first loss, before the first step")
    end = loss_now()
    assert end < 0.2, f"after 60 steps the loss of this simple task should be below 0.2, got {end:.2f}"


@pretrain.hidden("follows AdamW with warm-up, decay and clipping, step by step", points=4)
def _(pretrain, rng):
    for steps, lr, size in ((29, 0.03, 2.0), (40, 0.02, 0.4), (7, 0.05, 1.0)):
        parts = partial(nn.Embedding, 9, 6), partial(nn.LayerNorm, 6), partial(nn.Linear, 6, 9)
        model = nn.Sequential(*(drawn(part, rng, scale=size) for part in parts)).double()
        data = [torch.randint(9, (3, 5), generator=rng) for _ in range(steps)]
        seen = []

        def task(ids, seen=seen):
            seen.append(ids)
            return (ids + 2) % 9, torch.where(ids % 3 == 1, (ids * ids) % 9, -100).index_fill(1, torch.tensor([0]), 4)

        table, scale, shift, out, bias = (p.detach().clone() for p in model.parameters())
        values, expected = [table, scale, shift, out, bias], []
        means, squares = ([torch.zeros_like(p) for p in values] for _ in range(2))
        for n, ids in enumerate(data, 1):  # AdamW, written out
            leaves = [p.clone().requires_grad_() for p in values]
            inputs, labels = task(ids)
            hidden = F.layer_norm(F.embedding(inputs, leaves[0]), (6,), leaves[1], leaves[2], model[1].eps)
            logits = (hidden @ leaves[3].T + leaves[4]).flatten(0, 1)
            loss = F.cross_entropy(logits, labels.flatten(), ignore_index=-100)
            grads = torch.autograd.grad(loss, leaves)
            norm = sum(float(g.square().sum()) for g in grads) ** 0.5
            warm = max(1, steps // 10)
            rate = lr * n / warm if n <= warm else lr * (steps + 1 - n) / (steps + 1 - warm)
            for i, grad in enumerate(grads):
                g = grad / max(1.0, norm)
                means[i], squares[i] = 0.9 * means[i] + 0.1 * g, 0.999 * squares[i] + 0.001 * g * g
                step = means[i] / (1 - 0.9**n) / ((squares[i] / (1 - 0.999**n)).sqrt() + 1e-8)
                values[i] = values[i] * (1 - rate * 0.01 * (i in (0, 3))) - rate * step
            expected.append(loss.item())
        seen.clear()
        found = [float(loss) for loss in pretrain(model, data, task, lr)]
        assert len(seen) == steps, f"task is called once for each of the {steps} steps, it was called {len(seen)} times"
        assert len(found) == steps, f"{steps} batches give {steps} losses, got {len(found)}"
        for n, (one, right) in enumerate(zip(found, expected, strict=True), 1):
            assert abs(one - right) <= 1e-4 * (1 + abs(right)), (
                f"the loss of step {n} of {steps} (lr {lr}) should be {right:.5f}, got {one:.5f}"
            )
        names = ("embedding", "norm's scale", "norm's shift", "matrix", "bias")
        for name, parameter, right in zip(names, model.parameters(), values, strict=True):
            what = f"the {name} after {steps} steps"
            assert_close(parameter.detach(), right, rtol=1e-4, atol=1e-5, message=what)


@pretrain.hidden("shrinks the rows of words that never come, and no bias", points=1)
def _(pretrain, rng):
    for steps, lr in ((29, 0.5), (44, 0.2)):
        net = drawn(lambda: nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 8)).double(), rng, scale=1.0)
        unused = net[0].weight[5:].detach().clone()
        data = [torch.randint(5, (3, 4), generator=rng) for _ in range(steps)]

        def task(ids):
            return ids, ids

        pretrain(net, data, task, lr)
        warm, left = steps // 10, 1.0
        for n in range(1, steps + 1):
            left *= 1 - 0.01 * lr * min(n / warm, (steps + 1 - n) / (steps + 1 - warm))
        what = f"in {steps} steps at lr {lr} weight decay alone should leave {left:.4f} of an unused row"
        assert_close(net[0].weight[5:].detach(), left * unused, rtol=1e-5, atol=1e-7, message=what)


@pretrain.misconception(
    "You did not clear the gradients between the steps; `backward` adds to what is there, so each step repeats all "
    "earlier ones.",
    name="gradients-add-up",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You decayed every parameter; biases and the scales and shifts of norms are left alone, because pulling a scale "
    "towards 0 silences its layer.",
    name="everything-decays",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.01}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You decayed no parameter; those of two axes or more have a weight decay of 0.01.",
    name="nothing-decays",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.0}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You kept the learning rate at `lr`; it rises in the first tenth of the steps and falls from there.",
    name="constant-rate",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    for ids in batches:
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You began at the full learning rate; in the first N // 10 steps it rises from lr / w to lr.",
    name="no-warm-up",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You let the learning rate stay at `lr` after the warm-up; it falls from there in a straight line.",
    name="rate-stays-up",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    warm = max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, 1.0)
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You counted the steps from 0, so the first step has the learning rate 0 and its batch is wasted; n starts at 1.",
    name="counted-from-zero",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You did not clip; the norm of all gradients together is brought down to 1 where it is larger.",
    name="not-clipped",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You clipped each parameter's gradient by itself; the norm is that of all gradients together, so that the "
    "direction of the step stays the same.",
    name="clipped-one-by-one",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.AdamW(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            nn.utils.clip_grad_norm_(parameter, 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.misconception(
    "You used Adam with weight decay, which adds the decay to the gradient, where Adam rescales it; AdamW shrinks the "
    "weights directly.",
    name="decay-in-the-gradient",
)
def _(model, batches, task, lr):
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer, losses = torch.optim.Adam(groups, lr=lr), []
    steps, warm = len(batches), max(1, len(batches) // 10)
    for step, ids in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(step / warm, (steps + 1 - step) / (steps + 1 - warm))
        inputs, labels = task(ids)
        loss = mlm_loss(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pretrain.also_correct
def _(model, batches, task, lr):
    parameters = list(model.parameters())
    steps = len(batches)
    warm = max(1, steps // 10)
    optimizer = torch.optim.AdamW(
        [{"params": [p], "weight_decay": 0.01 if p.ndim > 1 else 0.0} for p in parameters], lr
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min((done + 1) / warm, (steps - done) / (steps + 1 - warm))
    )
    losses = []
    for ids in batches:
        optimizer.zero_grad(set_to_none=False)
        inputs, labels = task(ids)
        logits = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=-100)
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in parameters]).norm()
        for p in parameters:
            p.grad /= norm.clamp(min=1)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


@pretrain.also_correct
def _(model, batches, task, lr):
    steps, losses = len(batches), []
    warm = max(1, steps // 10)
    state = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in model.parameters()]
    for n in range(1, steps + 1):
        rate = lr * (n / warm if n <= warm else (steps + 1 - n) / (steps + 1 - warm))
        inputs, labels = task(batches[n - 1])
        loss = mlm_loss(model(inputs), labels)
        grads = torch.autograd.grad(loss, [p for p, _, _ in state])
        norm = torch.stack([g.norm() for g in grads]).norm()
        with torch.no_grad():
            for (p, mean, square), grad in zip(state, grads, strict=True):
                grad = grad / norm.clamp(min=1.0)
                mean.lerp_(grad, 0.1)
                square.mul_(0.999).addcmul_(grad, grad, value=0.001)
                if p.ndim >= 2:
                    p.mul_(1 - 0.01 * rate)
                p.sub_(rate * (mean / (1 - 0.9**n)) / ((square / (1 - 0.999**n)).sqrt() + 1e-8))
        losses.append(loss.item())
    return losses


# --------------------------------------------------------------------------------------------------- best_loss


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "Put all sentences together that look the same at the places that are seen. What is the best prediction for "
        "one such group?",
        "No prediction has a lower mean loss than the frequencies themselves (Gibbs' inequality). Large groups count "
        "more than small ones.",
        "A dict takes a tuple of the words that are seen to the list of the words at `place`.",
        "`Counter(words).items()` gives each word with its count; add up `-count * math.log(count / len(words))`, and "
        "divide by the number of sentences.",
    ),
)
def best_loss(sentences, place, seen):
    """Return the lowest mean loss, in nats, that any model can reach for the word at one place.

    - sentences: lists of equally many strings. All entries are equally likely; one may occur more than once.
    - place: the place of the hidden word, counted from 0.
    - seen: the places that the model can read, without `place`; may be empty.
    - Returns one float.

    The model may know `sentences` by heart. Its loss is −log of the probability that it gives to the hidden word.
    """
    ### BEGIN SOLUTION
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    total = 0.0
    for words in groups.values():
        for count in Counter(words).values():
            total -= count * math.log(count / len(words))
    return total / len(sentences)
    ### END SOLUTION


@best_loss.test("knows a coin, and what decides it", points=1)
def _(best_loss):
    sentences = [
        ["this", "dog", "sleeps"],
        ["these", "dogs", "sleep"],
        ["this", "cat", "sleeps"],
        ["these", "cats", "sleep"],
    ]
    assert_close(best_loss(sentences, 0, []), math.log(2), rtol=1e-6, message="the first word, with nothing seen")
    assert_close(best_loss(sentences, 0, [2]), 0.0, atol=1e-9, message="the first word, with the verb seen")
    assert_close(best_loss(sentences, 1, [0]), math.log(2), rtol=1e-6, message="the noun, with the first word seen")


@best_loss.hidden("obeys the chain rule: what is known together is known one after the other", points=2)
def _(best_loss, rng):
    for count, length, place, seen in ((60, 4, 2, [0]), (150, 5, 0, [3, 1]), (90, 4, 1, [0, 2, 3]), (40, 3, 2, [])):
        drawn = torch.randint(4, (count, length), generator=rng).square() // 2  # 0, 0, 2, 4: words differ in frequency
        sentences = [["abcde"[i] * (t + 1) for t, i in enumerate(row)] for row in drawn.tolist()]
        sentences += sentences[: count // 3]

        def entropy(places, sentences=sentences):
            counts = torch.tensor([*Counter(tuple(s[i] for i in places) for s in sentences).values()]).double()
            share = counts / counts.sum()
            return -float((share * share.log()).sum())

        expected = entropy([*seen, place]) - entropy(seen)
        what = f"{len(sentences)} sentences of {length} words, place {place}, seen {seen}"
        assert_close(float(best_loss(sentences, place, seen)), expected, rtol=1e-6, atol=1e-9, message=what)


@best_loss.hidden("is below the loss of every other prediction", points=1)
def _(best_loss, rng):
    table = torch.tensor([[7.0, 2.0, 1.0], [1.0, 1.0, 4.0]])  # how often each word follows "p" and "q"
    sentences = [[w, v] for w, row in zip("pq", table.tolist(), strict=True) for v, n in zip("xyz", row, strict=True)
                 for _ in range(int(n))]  # fmt: skip
    lowest = float(best_loss(sentences, 1, [0]))
    share = table / table.sum(1, keepdim=True)
    right = -float((table * share.log()).sum() / table.sum())
    for _ in range(20):
        other = (share.log() + 0.3 * torch.randn(2, 3, generator=rng)).softmax(1)
        loss = -float((table * other.log()).sum() / table.sum())
        assert lowest <= loss + 1e-6, f"some prediction has a loss of {loss:.4f}, so {lowest:.4f} is not the lowest"
    assert_close(lowest, right, rtol=1e-5, message="predicting the frequencies reaches this loss")


@best_loss.misconception(
    "You averaged over the groups of sentences that look alike; a large group comes up more often and counts more.",
    name="groups-alike",
)
def _(sentences, place, seen):
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    losses = [
        -sum(n / len(words) * math.log(n / len(words)) for n in Counter(words).values()) for words in groups.values()
    ]
    return sum(losses) / len(losses)


@best_loss.misconception(
    "You counted each different sentence once; a sentence that occurs more often is more likely.",
    name="repeats-dropped",
)
def _(sentences, place, seen):
    return best_loss([list(one) for one in dict.fromkeys(map(tuple, sentences))], place, seen)


@best_loss.misconception(
    "You did not use the words that are seen; what the model reads lowers its loss.", name="nothing-seen"
)
def _(sentences, place, seen):
    return best_loss(sentences, place, [])


@best_loss.misconception("Your loss is in bits; in nats the logarithm is the natural one, `math.log`.", name="bits")
def _(sentences, place, seen):
    return best_loss(sentences, place, seen) / math.log(2)


@best_loss.misconception(
    "You took all words that can occur there for equally likely; the best model predicts their frequencies.",
    name="words-alike",
)
def _(sentences, place, seen):
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    return sum(len(words) * math.log(len(set(words))) for words in groups.values()) / len(sentences)


@best_loss.misconception(
    "You took the logarithm of the best guess's probability; the loss charges for the word that came, also where the "
    "model guessed another.",
    name="best-guess-alone",
)
def _(sentences, place, seen):
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    total = 0.0
    for words in groups.values():
        total -= len(words) * math.log(max(Counter(words).values()) / len(words))
    return total / len(sentences)


@best_loss.also_correct
def _(sentences, place, seen):
    def entropy(places):
        counts = Counter(tuple(sentence[i] for i in places) for sentence in sentences)
        return -sum(n / len(sentences) * math.log(n / len(sentences)) for n in counts.values())

    return entropy([*seen, place]) - entropy(seen)


best_loss.equivalent(
    "return -sum(n / len(sentences) * math.log(n * len(sentences)) for n in counts.values())",
    "both entropies are larger by the same number, which their difference does not contain",
)


@best_loss.also_correct
def _(sentences, place, seen):
    losses = []
    for sentence in sentences:
        alike = [other[place] for other in sentences if all(other[i] == sentence[i] for i in seen)]
        losses.append(-math.log(alike.count(sentence[place]) / len(alike)))
    return torch.tensor(losses, dtype=torch.float64).mean()


# --------------------------------------------------------------------------------------------------- nsp_pairs


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "Which sentences have a next one, and where may the wrong second sentence come from?",
        "One draw tosses the coin, a second one chooses another document, a third one chooses a sentence in it.",
        "The other documents are d + 1 to d + n − 1, modulo n. A pair has len(A) + 2 zeros and len(B) + 1 ones.",
        "`int(torch.randint(n, (), generator=generator))` is a number from 0 to n − 1; `pairwise(document)` gives all "
        "neighbours.",
    ),
)
def nsp_pairs(docs, generator, cls, sep):
    """Return the pairs of next sentence prediction: a list of (ids, segments, label).

    Every sentence A with a next one in its document makes one pair, in order. Its label is 0 or 1, each with
    probability 1/2:

    | label | B |
    |---|---|
    | 0 | the next sentence |
    | 1 | any sentence of any other document: first choose the document, then the sentence, with equal probabilities |

    - docs: 2 documents or more, lists of 1 sentence or more; a sentence is a list of ids.
    - generator: makes all randomness.
    - ids: [cls, *A, sep, *B, sep]; segments: 0 up to the first sep, from there on 1.
    """

    ### BEGIN SOLUTION
    def draw(below):
        return int(torch.randint(below, (), generator=generator))

    pairs = []
    for number, document in enumerate(docs):
        for first, following in pairwise(document):
            label, second = draw(2), following
            if label:
                other = docs[(number + 1 + draw(len(docs) - 1)) % len(docs)]
                second = other[draw(len(other))]
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs
    ### END SOLUTION


@nsp_pairs.test("packs two sentences with their segments", points=1)
def _(nsp_pairs):
    docs = [[[11, 12], [13]], [[21, 22, 23]]]
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        pairs = list(nsp_pairs(docs, generator, 1, 2))
        assert len(pairs) == 1, f"only sentence [11, 12] has a next one, so 1 pair is expected, got {len(pairs)}"
        ids, segments, label = pairs[0]
        ids, segments, label = [int(i) for i in ids], [int(s) for s in segments], int(label)
        expected = [1, 11, 12, 2, 21, 22, 23, 2] if label else [1, 11, 12, 2, 13, 2]
        assert ids == expected, f"label {label} (0 means IsNext) goes with the ids {expected}, got {ids}"
        wanted = [0, 0, 0, 0] + [1] * (len(ids) - 4)
        assert segments == wanted, f"the first [SEP] belongs to segment 0: expected {wanted}, got {segments}"


@nsp_pairs.hidden("takes negatives from every sentence of every other document, and from no other place", points=2)
def _(nsp_pairs, rng):
    sizes = (4, 1, 5, 2)
    docs = [
        [[100 * d + 10 * s + 1000 + w for w in range(1 + (d + s) % 3)] for s in range(size)]
        for d, size in enumerate(sizes)
    ]
    first_pairs = [(d, s) for d, size in enumerate(sizes) for s in range(size - 1)]
    negatives = {}
    for _ in range(150):
        pairs = list(nsp_pairs(docs, rng, 7, 8))
        assert len(pairs) == len(first_pairs), (
            f"expected {len(first_pairs)} pairs, one for each neighbour, got {len(pairs)}"
        )
        for (d, s), (ids, segments, label) in zip(first_pairs, pairs, strict=True):
            a, ids, segments = docs[d][s], [int(i) for i in ids], [int(i) for i in segments]
            head = [7, *a, 8]
            assert ids[: len(head)] == head, f"expected [CLS] A [SEP] = {head} in front, got {ids}"
            assert ids[-1] == 8, f"B must end with [SEP], got {ids}"
            b = ids[len(head) : -1]
            expected = [0] * len(head) + [1] * (len(b) + 1)
            assert segments == expected, f"expected segments {expected} for {ids}, got {segments}"
            assert int(label) in (0, 1), f"a label is 0 or 1, got {label}"
            if not label:
                assert b == docs[d][s + 1], f"label 0 means IsNext: {docs[d][s + 1]} follows {a}, got {b}"
            else:
                place = next(((x, y) for x, doc in enumerate(docs) for y, one in enumerate(doc) if one == b), None)
                assert place, f"B must be a whole sentence of docs, got {b}"
                assert place[0] != d, f"label 1 (NotNext) needs a sentence of another document, got {b} of the same one"
                negatives.setdefault(d, []).append(place)
    for d, places in negatives.items():
        for other, size in enumerate(sizes):
            for s in range(size if other != d else 0):
                share, found = 1 / 3 / size, places.count((other, s))
                spread = 6 * (len(places) * share * (1 - share)) ** 0.5
                assert abs(found - len(places) * share) <= spread + 1, (
                    f"sentence {s} of document {other} should be drawn for document {d} about "
                    f"{len(places) * share:.0f} times in {len(places)}, came {found} times"
                )


@nsp_pairs.hidden("tosses a fair coin with the generator that it is given", points=1)
def _(nsp_pairs, rng):
    docs = [[[100 * d + s] for s in range(21)] for d in range(1, 61)]
    seed = int(torch.randint(10**6, (), generator=rng))
    one, two, three = (nsp_pairs(docs, torch.Generator().manual_seed(s), 0, 1) for s in (seed, seed, seed + 1))
    assert [list(map(int, p[0])) for p in one] == [list(map(int, p[0])) for p in two], (
        "the same seed must give the same pairs: take all randomness from the generator"
    )
    assert [list(map(int, p[0])) for p in one] != [list(map(int, p[0])) for p in three], (
        "another seed must give other pairs: take the randomness from the generator"
    )
    labels, others = ([int(p[2]) for p in pairs] for pairs in (one, three))
    assert abs(sum(labels) - 600) <= 87, (  # 5 sigma
        f"about 600 of 1200 pairs should be NotNext (label 1), got {sum(labels)}"
    )
    assert labels != others, "another seed must give other labels: toss the coin with the generator"
    alike = sum(len(set(labels[i : i + 20])) == 1 for i in range(0, 1200, 20))
    assert alike <= 3, f"toss the coin anew for each pair: in {alike} of 60 documents all 20 labels are the same"


@nsp_pairs.misconception(
    "You drew the wrong sentence from the same document; it comes from another one, otherwise the pair may "
    "even be the right one.",
    name="negative-from-same-document",
)
def _(docs, generator, cls, sep):
    pairs = []
    for document in docs:
        for first, following in pairwise(document):
            label, second = int(torch.randint(2, (), generator=generator)), following
            if label:
                second = document[int(torch.randint(len(document), (), generator=generator))]
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


@nsp_pairs.misconception(
    "You swapped the labels; in BERT's code 0 is IsNext and 1 is NotNext, easy to mix up because 1 feels like yes.",
    name="labels-swapped",
)
def _(docs, generator, cls, sep):
    return [(ids, segments, 1 - label) for ids, segments, label in nsp_pairs(docs, generator, cls, sep)]


@nsp_pairs.misconception(
    "You gave the first [SEP] segment 1; it closes the first sentence and belongs to segment 0.",
    name="first-separator",
)
def _(docs, generator, cls, sep):
    pairs = nsp_pairs(docs, generator, cls, sep)
    return [(i, [0] * i.index(sep) + [1] * (len(i) - i.index(sep)), label) for i, _, label in pairs]


@nsp_pairs.misconception(
    "You left out the last [SEP]; BERT's input is [CLS] A [SEP] B [SEP].",
    name="no-last-separator",
)
def _(docs, generator, cls, sep):
    return [(ids[:-1], segments[:-1], label) for ids, segments, label in nsp_pairs(docs, generator, cls, sep)]


@nsp_pairs.misconception(
    "You drew the other sentence from all documents, its own included; then some pairs labelled NotNext come from "
    "the same document.",
    name="negative-from-any-document",
)
def _(docs, generator, cls, sep):
    pairs = []
    for document in docs:
        for first, following in pairwise(document):
            label, second = int(torch.randint(2, (), generator=generator)), following
            if label:
                other = docs[int(torch.randint(len(docs), (), generator=generator))]
                second = other[int(torch.randint(len(other), (), generator=generator))]
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


@nsp_pairs.also_correct
def _(docs, generator, cls, sep):
    pairs = []
    for number in range(len(docs)):
        others = [doc for index, doc in enumerate(docs) if index != number]
        for place in range(len(docs[number]) - 1):
            first = list(docs[number][place])
            if torch.rand((), generator=generator).item() < 0.5:
                second, label = docs[number][place + 1], 0
            else:
                other = others[torch.randperm(len(others), generator=generator)[0].item()]
                second, label = other[torch.randperm(len(other), generator=generator)[0].item()], 1
            segments = [0 for _ in range(len(first) + 2)] + [1 for _ in range(len(second) + 1)]
            pairs.append(([cls, *first, sep, *second, sep], segments, label))
    return pairs


# --------------------------------------------------------------------------------------------------- pseudo_ll


@exercise(
    points=3,
    minutes=12,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "What does the model read when it scores the third word, and what when it scores the fourth?",
        "Hide one word, ask the model, read the true word's log-probability at that place; then put the word back.",
        "The model wants a batch: one sentence (T,) becomes (1, T), and its logits are (1, T, V).",
        "`masked = ids.clone()`, `masked[place] = mask_id`, then `logits_fn(masked[None])[0, place].log_softmax(-1)`.",
    ),
)
def pseudo_ll(logits_fn, ids, mask_id, special):
    """Return the pseudo-log-likelihood of a sentence: the sum of log p(word | all other words), in nats.

    - logits_fn(ids): takes ids (B, T) for any B >= 1 and returns logits (B, T, V), each row on its own.
    - ids (T,): one sentence; it stays as it is.
    - mask_id: the id of [MASK]. special: a set of ids that are no words, such as {cls, sep}.

    The words are the positions whose id is not in special; for each, it alone is hidden.
    Returns one number.
    """
    ### BEGIN SOLUTION
    total = 0.0
    for place, word in enumerate(ids.tolist()):
        if word in special:
            continue
        masked = ids.clone()
        masked[place] = mask_id
        total += F.log_softmax(logits_fn(masked[None])[0, place], -1)[word]
    return total
    ### END SOLUTION


pseudo_ll.equivalent(
    "total += F.log_softmax(logits_fn(masked[None])[0, place], 0)[word]", "at one position the logits have one axis"
)


@pseudo_ll.test("counts each word once if the model knows nothing", points=1)
def _(pseudo_ll):
    found = pseudo_ll(lambda ids: torch.zeros(*ids.shape, 9), torch.tensor([1, 5, 6, 5, 2]), 3, {1, 2})
    expected = -3 * float(torch.log(torch.tensor(9.0)))
    assert_close(float(found), expected, rtol=1e-4, message="3 words, each with probability 1/9")


@pseudo_ll.hidden("hides one word at a time and leaves special tokens out", points=2)
def _(pseudo_ll, rng):
    for length, words, special, mask_id in ((5, 8, {4}, 3), (7, 9, {1, 2}, 0), (6, 7, set(), 6)):
        table = torch.randn(words, 6, generator=rng, dtype=torch.float64)
        place = torch.randn(length, 6, generator=rng, dtype=torch.float64)
        out = 2 * torch.randn(6, words, generator=rng, dtype=torch.float64)

        def model(ids, table=table, place=place, out=out):
            context = table[ids] * (1 + place)
            return torch.tanh(context + 2 * context.mean(1, keepdim=True)) @ out

        ids = torch.randint(words, (length,), generator=rng)
        ids[0], ids[-1], ids[1], ids[3] = (*sorted(special), 1, 2)[0], (*sorted(special), 1, 2)[-1], 5, 5
        ids[2] = mask_id  # a word like any other, as it is not special
        before = ids.clone()
        positions = [t for t in range(length) if int(ids[t]) not in special]
        rows = ids.repeat(length, 1)
        rows[range(length), range(length)] = mask_id
        logits = model(rows)
        expected = sum(float(logits[t, t, ids[t]] - logits[t, t].logsumexp(0)) for t in positions)
        found = pseudo_ll(model, ids, mask_id, special)
        assert_close(float(found), expected, rtol=1e-5, message=f"{len(positions)} of {length} positions count")
        assert torch.equal(ids, before), "ids must stay as they were: work on a copy"


@pseudo_ll.misconception(
    "You hid all words at once; each word should see all the others, so hide one at a time.",
    name="all-hidden-at-once",
)
def _(logits_fn, ids, mask_id, special):
    places = [t for t, word in enumerate(ids.tolist()) if word not in special]
    masked = ids.clone()
    masked[places] = mask_id
    return logits_fn(masked[None])[0].log_softmax(-1)[places, ids[places]].sum()


@pseudo_ll.misconception(
    "You scored the special tokens too; [CLS] and [SEP] are no words and do not count.",
    name="special-scored",
)
def _(logits_fn, ids, mask_id, special):
    return pseudo_ll(logits_fn, ids, mask_id, set())


@pseudo_ll.misconception(
    "You did not hide the word before you asked for it; the model reads the answer off its own input.",
    name="not-hidden",
)
def _(logits_fn, ids, mask_id, special):
    places = [t for t, word in enumerate(ids.tolist()) if word not in special]
    return logits_fn(ids[None])[0].log_softmax(-1)[places, ids[places]].sum()


@pseudo_ll.misconception(
    "You returned the mean; the pseudo-log-likelihood is the sum over the words.",
    name="mean-for-sum",
)
def _(logits_fn, ids, mask_id, special):
    return pseudo_ll(logits_fn, ids, mask_id, special) / sum(word not in special for word in ids.tolist())


@pseudo_ll.misconception(
    "You kept earlier words hidden while going on; put each word back before you hide the next.",
    name="stays-hidden",
)
def _(logits_fn, ids, mask_id, special):
    total, masked = 0.0, ids.clone()
    for place, word in enumerate(ids.tolist()):
        if word not in special:
            masked[place] = mask_id
            total += logits_fn(masked[None])[0, place].log_softmax(-1)[word]
    return total


@pseudo_ll.also_correct
def _(logits_fn, ids, mask_id, special):
    places = torch.tensor([t for t, word in enumerate(ids.tolist()) if word not in special])
    rows = ids.repeat(len(places), 1)
    index = torch.arange(len(places))
    rows[index, places] = mask_id
    return logits_fn(rows)[index, places].log_softmax(-1)[index, ids[places]].sum()
