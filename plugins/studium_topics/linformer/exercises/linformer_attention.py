import math

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise

from studium_topics.linformer.exercises.project import project


@exercise(
    points=5,
    minutes=12,
    importance=3,
    hints=(
        "Which of Q, K and V become shorter, and which of them decides how many rows the result has?",
        "Only keys and values are projected. To a query, the slots are ordinary keys, so the rest is attention as you "
        "know it.",
        "The projected keys and values are (B, H, slots, d), the scores (B, H, n, slots), and the softmax runs over "
        "the slots.",
        "`project(k, e, pad)` and `project(v, f, pad)`; scores are divided by `math.sqrt(q.shape[-1])`.",
    ),
)
def linformer_attention(q, k, v, e, f, pad):
    """Return softmax(Q (E K)ᵀ / √d) (F V): attention over projected keys and values.

    Padded tokens never influence the result of a real one; the row of a padded token follows the same formula.
    (Wang et al. 2020, section 4.)

    * q, k, v (B, H, n, d): they stay as they are
    * e, f (slots, n): the projections of the keys and of the values
    * pad (B, n), bool: true where there is padding; or None
    * returns: (B, H, n, d); gradients must reach q, k, v, e and f

    No tensor that you make may have more than B · H · n · max(slots, d) numbers.
    """
    ### BEGIN SOLUTION
    keys = project(k, e, pad)
    values = project(v, f, pad)
    scores = q @ keys.mT / math.sqrt(q.shape[-1])  # (B, H, n, slots)
    return scores.softmax(-1) @ values
    ### END SOLUTION


@linformer_attention.test("is attention to two tokens if the projections pick two tokens", points=1)
def _(linformer_attention, rng):
    q, k, v = torch.randn(3, 2, 3, 6, 4, generator=rng, dtype=torch.float64)
    one = torch.eye(6, dtype=torch.float64)
    expected = F.scaled_dot_product_attention(q, k[:, :, [1, 4]], v[:, :, [0, 3]])
    found = linformer_attention(q, k, v, one[[1, 4]], one[[0, 3]], None)
    assert_close(found, expected, rtol=1e-6, atol=1e-6, message="with the keys of tokens 1, 4 and the values of 0, 3")


@linformer_attention.hidden("attends to projected keys and values, each by its own projection", points=2)
def _(linformer_attention, rng):
    for batch, heads, tokens, size, slots in ((2, 3, 7, 5, 4), (3, 2, 6, 4, 2), (1, 2, 5, 3, 5), (2, 1, 8, 2, 3)):
        q, k, v = torch.randn(3, batch, heads, tokens, size, generator=rng, dtype=torch.float64)
        e, f = torch.randn(2, slots, tokens, generator=rng, dtype=torch.float64)
        kept = q.clone(), k.clone(), v.clone()
        real = torch.randint(1, tokens, (batch, 1), generator=rng)
        for pad in (torch.arange(tokens) < tokens - real, torch.arange(tokens) >= real, None):
            alive = torch.ones(batch, tokens, dtype=torch.float64) if pad is None else (~pad).double()
            keys, values = (torch.einsum("sj,bj,bhjd->bhsd", weight, alive, x) for weight, x in ((e, k), (f, v)))
            expected = F.scaled_dot_product_attention(q, keys, values)
            which = "without padding" if pad is None else f"with pad {pad.int().tolist()}"
            what = f"for q of shape {tuple(q.shape)} and {slots} slots, {which}"
            found = linformer_attention(q, k, v, e, f, pad)
            assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)
        assert all(map(torch.equal, kept, (q, k, v))), "q, k and v must stay as they are"


@linformer_attention.hidden("makes no square of the text, and lets gradients reach everything", points=2)
def _(linformer_attention, rng):
    q, k, v = torch.randn(3, 1, 2, 4096, 8, generator=rng)
    e, f = torch.randn(2, 16, 4096, generator=rng)
    with at_most_mb(32, "with n = 4096 and 16 slots, no array of n · n numbers may exist"):  # of 64 MB for a head
        linformer_attention(q, k, v, e, f, None)
    shape, slots, tokens = (1, 2, 90, 20), 5, 90
    q, k, v = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(3))
    e, f = (torch.randn(slots, tokens, generator=rng, dtype=torch.float64) for _ in range(2))
    parts = [part.requires_grad_() for part in (q, k, v, e, f)]
    out = linformer_attention(*parts, None)
    assert out.requires_grad, "gradients must reach q, k, v, e and f: the lesson trains a model through this function"
    weight = torch.randn(out.shape, generator=rng, dtype=torch.float64)
    oracle = F.scaled_dot_product_attention(q, torch.matmul(e, k), torch.matmul(f, v))
    wanted = torch.autograd.grad(oracle, parts, weight)
    for name, gradient, right in zip("qkvef", torch.autograd.grad(out, parts, weight), wanted, strict=True):
        assert_close(gradient, right, rtol=1e-6, atol=1e-6, message=f"the gradient of {name}")


@linformer_attention.misconception(
    "You projected the values with E, which belongs to the keys; use F for them. The two are equal only if they are "
    "shared.",
    name="one-projection-for-both",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (e @ v)


@linformer_attention.misconception(
    "You exchanged the projections: E belongs to the keys and F to the values.", name="exchanged-projections"
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (f @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (e @ v)


@linformer_attention.misconception(
    "You projected the queries too, so the result has one row for each slot. Every token needs a row, so leave the "
    "queries as they are.",
    name="projected-the-queries",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return ((e @ q) @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You projected the n × n matrix of weights after its softmax. That idea motivates the paper, but it still "
    "computes the square; project the keys before you compute scores.",
    name="projected-the-weights",
)
def _(q, k, v, e, f, pad):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if pad is not None:
        scores = scores.masked_fill(pad[:, None, None, :], -math.inf)
        v = v.masked_fill(pad[:, None, :, None], 0.0)
    return scores.softmax(-1) @ e.mT @ (f @ v)


@linformer_attention.misconception(
    "You took the softmax over the queries. Each query spreads its weight over the slots, so take it over the last "
    "axis of the scores.",
    name="softmax-over-the-queries",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-2) @ (f @ v)


@linformer_attention.misconception(
    "You scaled by the number of slots. A score is a dot product of d terms, so divide it by √d.",
    name="scaled-by-the-slots",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT / math.sqrt(e.shape[0])).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You did not scale the scores; divide them by √d before the softmax.", name="left-out-the-scale"
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You masked the scores of the first slots where the first tokens are padding. Slot s is a mixture of all tokens; "
    "remove the padding before they are mixed.",
    name="masked-slots",
)
def _(q, k, v, e, f, pad):
    scores = q @ (e @ k).mT / math.sqrt(q.shape[-1])
    if pad is not None:
        scores = scores.masked_fill(pad[:, None, None, : e.shape[0]], torch.finfo(q.dtype).min)
    return scores.softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You left the padding in. It flows into every slot, and from there into the result of every real token.",
    name="left-the-padding-in",
)
def _(q, k, v, e, f, pad):
    return (q @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You removed the padding only from the keys; the values of padded tokens flow into the slots too.",
    name="padding-in-the-values",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k = k.masked_fill(pad[:, None, :, None], 0.0)
    return (q @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (f @ v)


@linformer_attention.also_correct
def _(q, k, v, e, f, pad):
    if pad is not None:
        real = (~pad).to(k.dtype)[:, None, :, None]
        k, v = k * real, v * real
    return F.scaled_dot_product_attention(q, torch.matmul(e, k), torch.matmul(f, v))


@linformer_attention.also_correct
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (torch.where(pad[:, None, :, None], torch.zeros_like(x), x) for x in (k, v))
    keys, values = torch.einsum("sj,bhjd->bhsd", e, k), torch.einsum("sj,bhjd->bhsd", f, v)
    weights = torch.einsum("bhid,bhsd->bhis", q * q.shape[-1] ** -0.5, keys).softmax(dim=3)
    return torch.einsum("bhis,bhsd->bhid", weights, values)
