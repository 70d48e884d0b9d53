"""Exercises: the parts of BERT, from one masked attention to a score for whole sentences."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

# --------------------------------------------------------------------------------------------------- attention


@exercise(
    points=3,
    minutes=10,
    hints=(
        "`query @ key.mT` gives one score for each pair (query, key): shape (..., Tq, Tk). Divide it by sqrt(d).",
        "Masking happens before the softmax: make a blocked score hugely negative, and its weight becomes 0.",
        "`torch.finfo(scores.dtype).min` is hugely negative and finite; with `-inf`, a row without any allowed key "
        "becomes 0/0.",
    ),
)
def attention(query, key, value, mask):
    """Mix the values, each query weighing those keys which it may see.

    query (..., Tq, d), key (..., Tk, d), value (..., Tk, dv): floats of one dtype; `...` is any number of leading axes.
    mask: bool, broadcastable to (..., Tq, Tk); True where the query (row) may look at the key (column).
    Scores are query · key / sqrt(d); the weights are their softmax over the keys that the mask allows; a blocked key
    has no influence at all. Scores may be in the thousands. If a query may look nowhere, its output must be finite
    (any finite numbers will do). Returns (..., Tq, dv).
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


@attention.misconception(
    "You divided by d; the scores are divided by the square root of d, because a dot product of d random numbers grows "
    "like sqrt(d)."
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1]
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) @ value


@attention.misconception(
    "You did not scale the scores; without 1/sqrt(d) wide heads begin with weights near 0 and 1, and hardly learn."
)
def _(query, key, value, mask):
    scores = query @ key.mT
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) @ value


@attention.misconception(
    "You took the softmax over the queries; each query spreads one unit of attention over the keys, the last axis."
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-2) @ value


@attention.misconception("You blocked what is allowed: here True in the mask means that the query may look there.")
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.masked_fill(mask, torch.finfo(scores.dtype).min).softmax(-1) @ value


@attention.misconception(
    "You set blocked scores to 0; a score of 0 still gets weight, because exp(0) = 1. Make it hugely negative."
)
def _(query, key, value, mask):
    return (query @ key.mT / query.shape[-1] ** 0.5 * mask).softmax(-1) @ value


@attention.misconception(
    "You masked after the softmax; the weights that are left then sum to less than 1. Mask the scores before it."
)
def _(query, key, value, mask):
    return ((query @ key.mT / query.shape[-1] ** 0.5).softmax(-1) * mask) @ value


@attention.misconception(
    "You blocked with -inf, so that a query which may look nowhere gets 0/0 = nan, and nan spreads to the whole batch. "
    "Use a finite number such as `torch.finfo(scores.dtype).min`."
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
    hints=(
        "Compare `ids` with `pad`: which positions hold a real token?",
        "A mask of scores has the axes (batch, head, query, key). Padding is a property of the key: put T last, and "
        "let heads and queries broadcast.",
    ),
)
def pad_mask(ids, pad):
    """Tell which keys are words and which only fill up the batch.

    ids (B, T): token ids, integers. pad: the id of the padding token, any integer; it may stand anywhere in a row.
    Returns bool (B, 1, 1, T), made to broadcast over (B, heads, queries, keys): True where the key is a real token.
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
    for batch, length, pad in ((3, 5, 4), (2, 7, 0), (6, 6, 1)):
        ids = torch.randint(6, (batch, length), generator=rng)
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
    "You masked the queries; padding has to be hidden as a key, because every real word would else still read it. "
    "Put T last: (B, 1, 1, T)."
)
def _(ids, pad):
    return (ids != pad)[:, None, :, None]


@pad_mask.misconception(
    "You marked the padding; here True means that the key may be looked at, so real tokens are True."
)
def _(ids, pad):
    return (ids == pad)[:, None, None, :]


@pad_mask.misconception(
    "You returned numbers that are added to the scores; this mask is boolean. And adding -1 would only make padding a "
    "little less likely: exp(-1) is 0.37, not 0."
)
def _(ids, pad):
    return -1.0 * (ids == pad)[:, None, None, :]


@pad_mask.misconception("You took 0 for padding; the id of the padding token is the argument `pad`.")
def _(ids, pad):
    return (ids != 0)[:, None, None, :]


@pad_mask.misconception(
    "You left the mask at (B, T); against scores of shape (B, heads, queries, keys) its batch axis would line up with "
    "the queries. Return (B, 1, 1, T)."
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
    minutes=10,
    hints=(
        "Indexing a table with ids looks the rows up: `table[ids]` has shape (B, T, D).",
        "Position t takes row t of the position table, counted from 0: the first T rows, the same for every sentence.",
        "LayerNorm comes once, after the sum: `F.layer_norm(x, x.shape[-1:], gamma, beta, eps)`.",
    ),
)
def bert_embed(ids, segments, tables, gamma, beta, eps=1e-12):
    """Turn tokens into vectors: word + position + segment, then LayerNorm.

    ids (B, T): token ids. segments (B, T): 0 for the first sentence, 1 for the second.
    tables: a mapping of "word" (V, D), "position" (P, D) with P >= T, and "segment" (2, D). Positions count from 0.
    gamma, beta (D,): scale and shift of the LayerNorm over the last axis, (x - mean) / sqrt(var + eps) * gamma + beta,
    where var is the biased variance (divided by D). Note BERT's own eps, 1e-12. Returns (B, T, D).
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
    for batch, length, width, eps in ((2, 5, 6, 1e-12), (3, 4, 7, 0.3)):
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


@bert_embed.hidden("keeps eps at 1e-12, so that tiny vectors are normalised too", points=1)
def _(bert_embed, rng):
    tables = {
        name: 1e-5 * torch.randn(rows, 6, generator=rng, dtype=torch.float64)
        for name, rows in (("word", 7), ("position", 4), ("segment", 2))
    }
    ids, segments = torch.randint(7, (3, 4), generator=rng), torch.randint(2, (3, 4), generator=rng)
    gamma, beta = torch.randn(2, 6, generator=rng, dtype=torch.float64)
    norm = nn.LayerNorm(6, eps=1e-12, dtype=torch.float64)
    norm.load_state_dict({"weight": gamma, "bias": beta})
    expected = norm(F.embedding(ids, tables["word"]) + tables["position"] + F.embedding(segments, tables["segment"]))
    found = bert_embed(ids, segments, tables, gamma, beta)
    assert_close(found, expected, rtol=1e-5, atol=1e-5, message="with tables of the size 1e-5 and the default eps")


@bert_embed.misconception("You left the LayerNorm out; BERT normalises the sum before the first layer reads it.")
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    return tables["word"][ids] + tables["position"][: ids.shape[1]] + tables["segment"][segments]


@bert_embed.misconception(
    "Your LayerNorm uses PyTorch's eps of 1e-5; BERT's is 1e-12 and comes as the argument `eps`: pass it on."
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][: ids.shape[1]] + tables["segment"][segments]
    return F.layer_norm(x, x.shape[-1:], gamma, beta)


@bert_embed.misconception(
    "Your positions start at 1; the first token takes row 0 of the position table. (RoBERTa starts later.)"
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][1 : ids.shape[1] + 1] + tables["segment"][segments]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You looked positions up by the token's id; the position is where the token stands, whatever word it is."
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    rows = ids.clamp(max=len(tables["position"]) - 1)
    x = tables["word"][ids] + tables["position"][rows] + tables["segment"][segments]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You forgot the segment table; without it nothing but [SEP] tells BERT where the second sentence begins."
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][: ids.shape[1]]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You divided by the unbiased deviation (D - 1), which is what `x.std()` gives; LayerNorm divides the variance by D."
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
    points=4,
    minutes=20,
    hints=(
        'A linear map with its bias is `F.linear(x, weights["query.weight"], weights["query.bias"])`.',
        "Head h is the h-th block of D / heads neighbouring columns: `torch.stack(q.chunk(heads, -1), 1)` has shape "
        "(B, heads, T, D / heads). After `attention`, put the blocks back side by side.",
        "Post-norm: `x = norm(x + sublayer(x))`, twice. The second sublayer is up, GELU, down.",
    ),
)
def bert_layer(x, mask, weights, heads, eps=1e-12):
    """Run one layer of BERT: attention, then a two-layer perceptron, each followed by add and LayerNorm (post-norm).

    x (B, T, D). mask: bool, broadcastable to (B, heads, T, T), True where the query (row) may look at the key.
    weights: a mapping with "<name>.weight" (out, in) and "<name>.bias" (out,), used as `x @ weight.T + bias`, for
    "query", "key", "value", "output" (D to D), "up" (D to F) and "down" (F to D); and "attention_norm.weight",
    "attention_norm.bias", "mlp_norm.weight", "mlp_norm.bias" (D,): scale and shift of two LayerNorms over the last
    axis with `eps`.
    Head h works on the columns h * D / heads to (h + 1) * D / heads of query, key and value, its scores are divided by
    sqrt(D / heads), and the heads' results stand side by side in the same order before "output". The activation
    between "up" and "down" is the exact GELU, x * Phi(x) with the error function, not the tanh formula.
    No dropout. Your `attention` may be called. Returns (B, T, D).
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
    for batch, length, heads, width, hidden, eps in ((2, 5, 3, 12, 20, 1e-12), (3, 4, 2, 8, 14, 0.2)):
        oracle = nn.TransformerEncoderLayer(
            width, heads, hidden, 0.0, "gelu", eps, batch_first=True, norm_first=False, dtype=torch.float64
        )
        with torch.no_grad():
            for parameter in oracle.parameters():
                parameter.copy_(0.6 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
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
        found = bert_layer(x.clone(), real[:, None, None, :], weights, heads, eps)
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
    x = 1e-5 * torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
    for name in ("query.weight", "key.weight", "value.weight"):
        weights[name] *= 1e5  # so that the tokens differ for attention, although x is tiny
    for name in ("output", "down", "attention_norm"):  # and what either LayerNorm reads is tiny too
        weights[f"{name}.weight"], weights[f"{name}.bias"] = (1e-5 * weights[f"{name}.{k}"] for k in ("weight", "bias"))
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    own = torch.rand(batch, heads, length, length, generator=rng) < 0.5
    masks = {
        "a causal mask": causal.expand(batch, 1, length, length),
        "a mask of its own for each head": own | torch.eye(length, dtype=torch.bool),
        "a causal mask of shape (T, T)": causal,
    }
    for what, mask in masks.items():
        found = bert_layer(x.clone(), mask, dict(weights), heads)
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
        assert_close(found, z, rtol=1e-5, atol=1e-5, message=f"with {what}, vectors of the size 1e-5 and eps 1e-12")


@bert_layer.misconception(
    "You normalised before each sublayer (pre-norm, as GPT-2 does); BERT adds first and normalises the sum: "
    "norm(x + sublayer(x))."
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
    "Your GELU is the tanh formula of GPT-2; BERT uses the exact one with the error function, `F.gelu(x)` as it stands."
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
    "second LayerNorm."
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
    "You left out the residual around the attention; each word would forget itself: add x before the first LayerNorm."
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
    "sqrt(D / heads)."
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
    "swapped before a reshape, or words and heads are shuffled."
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


@bert_layer.misconception("You used PyTorch's eps of 1e-5 in the LayerNorms; BERT's is 1e-12: pass `eps` on to both.")
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = norm("attention_norm", x + linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1)))
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


# ---------------------------------------------------------------------------------------------------- mlm_loss


@exercise(
    points=3,
    minutes=8,
    hints=(
        "`labels != -100` picks the positions that count; index logits and labels with it.",
        "The loss of one position is the negative log-softmax of its logits at the label. `F.cross_entropy` does both.",
        "Nothing is shifted: BERT predicts the hidden word at its own position.",
    ),
)
def mlm_loss(logits, labels):
    """Average the cross-entropy, in nats, over the hidden words only.

    logits (B, T, V): the scores of every word at every position; they may be in the thousands.
    labels (B, T): the word that was hidden there, or -100 where the position does not count. At least one counts.
    Returns the mean over all positions of the batch that count, one number; the logits of others do not matter.
    """
    ### BEGIN SOLUTION
    counts = labels != -100
    targets = labels[counts]  # (N,)
    log_probability = F.log_softmax(logits, -1)[counts]  # (N, V)
    return -log_probability[torch.arange(len(targets)), targets].mean()
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


@mlm_loss.misconception(
    "You let every position count and read -100 as a word; positions labelled -100 must be left out altogether."
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.clamp(min=0).flatten())


@mlm_loss.misconception(
    "You shifted the labels by one, as a left-to-right model does; BERT predicts the hidden word where it stands."
)
def _(logits, labels):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@mlm_loss.misconception(
    "You summed; the loss is the mean over the hidden words, so that it does not depend on their number."
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")


@mlm_loss.misconception(
    "You divided by all B * T positions; the mean is over the hidden words alone, or the loss shrinks with their share."
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.numel()


@mlm_loss.misconception(
    "You averaged within each sentence first; every hidden word of the batch counts the same, "
    "however many its sentence has."
)
def _(logits, labels):
    rows = [F.cross_entropy(one, row) for one, row in zip(logits, labels, strict=True) if (row >= 0).any()]
    return torch.stack(rows).mean()


@mlm_loss.misconception(
    "You took the logarithm of a softmax; when a word's probability rounds to 0 that is -inf. "
    "`log_softmax` stays exact."
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


# --------------------------------------------------------------------------------------------------- nsp_pairs


@exercise(
    points=4,
    minutes=15,
    hints=(
        "Go through the documents and through the neighbours in each: sentence i and sentence i + 1.",
        "`int(torch.randint(n, (), generator=generator))` is a number from 0 to n - 1. Toss a coin with n = 2.",
        "For a document other than number d, draw k from 1 to n - 1 and take (d + k) modulo n.",
    ),
)
def nsp_pairs(docs, generator, cls, sep):
    """Make the pairs of BERT's second task, next sentence prediction.

    docs: a list of at least 2 documents; each is a list of at least 1 sentence; a sentence is a list of token ids.
    generator: a torch.Generator; take all randomness from it, so that the same seed gives the same pairs.
    cls, sep: the ids of [CLS] and [SEP].
    For every sentence A that has a next sentence in its document, in order, make one pair. With probability 1/2, B is
    that next sentence and the label is 0 (IsNext, as in BERT's code). Else B is a random sentence of another document
    and the label is 1 (NotNext): first one of the other documents, all equally likely, then one of its sentences, all
    equally likely. Returns a list of (ids, segments, label), where ids and segments are lists of integers:
    ids is [CLS] A [SEP] B [SEP], and segments is 0 for [CLS] A [SEP] and 1 for B [SEP].
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
    "You drew the wrong sentence from the same document; it comes from another one, else the pair may "
    "even be the right one."
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
    "You swapped the labels; in BERT's code 0 is IsNext and 1 is NotNext, easy to mix up because 1 feels like yes."
)
def _(docs, generator, cls, sep):
    return [(ids, segments, 1 - label) for ids, segments, label in nsp_pairs(docs, generator, cls, sep)]


@nsp_pairs.misconception("You gave the first [SEP] segment 1; it closes the first sentence and belongs to segment 0.")
def _(docs, generator, cls, sep):
    pairs = nsp_pairs(docs, generator, cls, sep)
    return [(i, [0] * i.index(sep) + [1] * (len(i) - i.index(sep)), label) for i, _, label in pairs]


@nsp_pairs.misconception("You left out the last [SEP]; BERT's input is [CLS] A [SEP] B [SEP].")
def _(docs, generator, cls, sep):
    return [(ids[:-1], segments[:-1], label) for ids, segments, label in nsp_pairs(docs, generator, cls, sep)]


@nsp_pairs.misconception(
    "You drew the other sentence from all documents, its own included; then some pairs labelled NotNext come from "
    "the same document."
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
    hints=(
        "Hide one word, ask the model, read the true word's log-probability at that place; then put it back.",
        "Work on a copy: `masked = ids.clone()`. The model wants a batch: `logits_fn(masked[None])` is (1, T, V).",
        "Skip the positions whose id is in `special`, and add up the rest.",
    ),
)
def pseudo_ll(logits_fn, ids, mask_id, special):
    """Score a sentence by its pseudo-log-likelihood: the sum of log p(word | all other words), in nats.

    logits_fn: a function of ids (N, T), for any N >= 1, that returns logits (N, T, V), each row on its own.
    ids (T,): one sentence; leave it unchanged. mask_id: the id of [MASK]. special: a set of ids such as {cls, sep}.
    For every position whose id is not in special: with only this one position replaced by mask_id, take the
    log-softmax over V at this position, and of it the true word's entry. Returns the sum of these, one number.
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
    for length, words, special, mask_id in ((7, 9, {1, 2}, 0), (5, 8, {4}, 3), (6, 7, set(), 6)):
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


@pseudo_ll.misconception("You hid all words at once; each word should see all the others, so hide one at a time.")
def _(logits_fn, ids, mask_id, special):
    places = [t for t, word in enumerate(ids.tolist()) if word not in special]
    masked = ids.clone()
    masked[places] = mask_id
    return logits_fn(masked[None])[0].log_softmax(-1)[places, ids[places]].sum()


@pseudo_ll.misconception("You scored the special tokens too; [CLS] and [SEP] are no words and do not count.")
def _(logits_fn, ids, mask_id, special):
    return pseudo_ll(logits_fn, ids, mask_id, set())


@pseudo_ll.misconception(
    "You did not hide the word before you asked for it; the model reads the answer off its own input."
)
def _(logits_fn, ids, mask_id, special):
    places = [t for t, word in enumerate(ids.tolist()) if word not in special]
    return logits_fn(ids[None])[0].log_softmax(-1)[places, ids[places]].sum()


@pseudo_ll.misconception("You returned the mean; the pseudo-log-likelihood is the sum over the words.")
def _(logits_fn, ids, mask_id, special):
    return pseudo_ll(logits_fn, ids, mask_id, special) / sum(word not in special for word in ids.tolist())


@pseudo_ll.misconception("You kept earlier words hidden while going on; put each word back before you hide the next.")
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
