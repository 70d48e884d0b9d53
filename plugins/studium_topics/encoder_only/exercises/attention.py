import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Each query needs a weight for every key. Which product of `query` and `key` gives you all the scores at once?",
        "Mask before the softmax: a blocked score of -inf gets a weight of 0, and the remaining weights still sum to "
        "1. What does the softmax give for a row of nothing but -inf?",
        "Scores and weights are (..., Tq, Tk), the softmax runs over the last axis, and weights times values is (..., "
        "Tq, dv).",
        "`scores = query @ key.mT / query.shape[-1] ** 0.5`, then `scores.masked_fill(~mask, -math.inf)`. After the "
        "softmax, `masked_fill(~mask, 0.0)` repairs a row with no allowed key, where the softmax is 0/0.",
    ),
)
def attention(query, key, value, mask):
    """Return, for each query, the mean of the values weighted by softmax(query · key / sqrt(d)).

    - query (..., Tq, d), key (..., Tk, d), value (..., Tk, dv): all float32 or all float64.
    - mask: bool, broadcastable to (..., Tq, Tk); True where the query (row) may look at the key (column).
    - Returns (..., Tq, dv) in the same dtype. The lesson trains through it.

    A blocked key has no influence. Scores may be in the thousands. If a query may not look at any key, its result can
    be any finite numbers.
    """
    ### BEGIN SOLUTION
    scores = query @ key.mT / query.shape[-1] ** 0.5  # (..., Tq, Tk)
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    return weights.masked_fill(~mask, 0.0) @ value  # a row without any key is 0/0 until here
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
    "You divided the scores by d; divide them by sqrt(d) instead, because a dot product of d random numbers grows "
    "like sqrt(d).",
    name="divided-by-d",
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1]
    return scores.masked_fill(~mask, -math.inf).softmax(-1).masked_fill(~mask, 0.0) @ value


@attention.misconception(
    "You did not scale the scores; divide them by sqrt(d), or wide heads start out with weights near 0 and 1 and "
    "hardly learn.",
    name="unscaled",
)
def _(query, key, value, mask):
    scores = query @ key.mT
    return scores.masked_fill(~mask, -math.inf).softmax(-1).masked_fill(~mask, 0.0) @ value


@attention.misconception(
    "You took the softmax over the queries; take it over the keys (the last axis), because each query shares out a "
    "total weight of 1 among them.",
    name="softmax-over-queries",
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.masked_fill(~mask, -math.inf).softmax(-2).masked_fill(~mask, 0.0) @ value


@attention.misconception(
    "You blocked the keys that are allowed; True in this mask means that the query may look at the key.",
    name="mask-upside-down",
)
def _(query, key, value, mask):
    scores = query @ key.mT / query.shape[-1] ** 0.5
    return scores.masked_fill(mask, -math.inf).softmax(-1).masked_fill(mask, 0.0) @ value


@attention.misconception(
    "You set blocked scores to 0, and a score of 0 still gets some weight, because exp(0) = 1; set them to -inf "
    "instead.",
    name="blocked-scores-zero",
)
def _(query, key, value, mask):
    return (query @ key.mT / query.shape[-1] ** 0.5 * mask).softmax(-1) @ value


@attention.misconception(
    "You masked after the softmax, so the remaining weights sum to less than 1; mask the scores before the softmax.",
    name="masked-after-softmax",
)
def _(query, key, value, mask):
    return ((query @ key.mT / query.shape[-1] ** 0.5).softmax(-1) * mask) @ value


@attention.misconception(
    "You left a row of nothing but -inf as it is, so a query that may not look at any key gets 0/0 = nan, which then "
    "spreads to the whole batch. Set the weights of blocked keys to 0 after the softmax.",
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


@attention.also_correct
def _(query, key, value, mask):
    lowest = torch.finfo(query.dtype).min
    return (query @ key.mT / query.shape[-1] ** 0.5).masked_fill(~mask, lowest).softmax(-1) @ value
