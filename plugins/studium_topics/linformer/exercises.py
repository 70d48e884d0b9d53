"""Exercises: the spectrum of attention, keys and values in a few slots, what that saves, costs and cannot do."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits.weights import drawn

# ------------------------------------------------------------------------------------------------- kept_energy


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "How is the sum of the squares of a matrix's entries related to its singular values?",
        "The squares of the singular values add up to the energy, and the best approximation of a rank keeps the "
        "largest of them.",
        "The singular values of (..., n, m) are (..., min(n, m)), the largest first; the result is (...,).",
        "`torch.linalg.svdvals(p)` takes a batch of matrices as well.",
    ),
)
def kept_energy(p, rank):
    """Return the share of a matrix's energy that its best approximation of a given rank keeps.

    The energy is the sum of the squares of all entries.

    * p (..., n, m): one or many matrices, none of them zero
    * rank: from 0 to min(n, m)
    * returns: (...,), a share from 0 to 1 for each matrix
    """
    ### BEGIN SOLUTION
    energy = torch.linalg.svdvals(p).square()
    return energy[..., :rank].sum(-1) / energy.sum(-1)
    ### END SOLUTION


@kept_energy.test("keeps 36 of 49 with the largest of the singular values 6, 3 and 2", points=1)
def _(kept_energy):
    p = torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, -6.0], [2.0, 0.0, 0.0]])
    assert_close(kept_energy(p, 1), torch.tensor(36 / 49))


@kept_energy.hidden("gives each matrix of a batch its own share, at any rank", points=1)
def _(kept_energy, rng):
    for shape, ranks in (((5, 7, 3), (2, 1, 3)), ((2, 3, 4, 4), (2, 1, 0, 4)), ((3, 6), (2, 1))):
        p = torch.randn(shape, generator=rng, dtype=torch.float64)
        p = p.exp() / p.exp().sum(-1, keepdim=True)
        u, s, v = torch.linalg.svd(p, full_matrices=False)
        for rank in ranks:
            best = u[..., :rank] * s[..., None, :rank] @ v[..., :rank, :]
            expected = 1 - (p - best).square().sum((-2, -1)) / p.square().sum((-2, -1))
            what = f"for p of shape {shape} and rank {rank}"
            assert_close(kept_energy(p, rank), expected, rtol=1e-6, atol=1e-6, message=what)


@kept_energy.misconception(
    "You added the singular values themselves; the energy is the sum of their squares.", name="values-not-squared"
)
def _(p, rank):
    s = torch.linalg.svdvals(p)
    return s[..., :rank].sum(-1) / s.sum(-1)


@kept_energy.misconception(
    "You returned the share that is lost, the energy of the tail; what is asked for is the share that is kept.",
    name="lost-share",
)
def _(p, rank):
    energy = torch.linalg.svdvals(p).square()
    return energy[..., rank:].sum(-1) / energy.sum(-1)


@kept_energy.misconception(
    "You took the square root of the share: that is a ratio of norms. An energy is a sum of squares.",
    name="ratio-of-norms",
)
def _(p, rank):
    energy = torch.linalg.svdvals(p).square()
    return (energy[..., :rank].sum(-1) / energy.sum(-1)).sqrt()


@kept_energy.misconception(
    "You divided by the energy of all matrices together; each matrix is measured against its own.",
    name="all-matrices-together",
)
def _(p, rank):
    energy = torch.linalg.svdvals(p).square()
    return energy[..., :rank].sum(-1) / energy.sum()


@kept_energy.misconception(
    "You kept the smallest singular values; the best approximation keeps the largest, which come first.",
    name="smallest-values",
)
def _(p, rank):
    energy = torch.linalg.svdvals(p).square().flip(-1)
    return energy[..., :rank].sum(-1) / energy.sum(-1)


@kept_energy.misconception(
    "You kept one value too many: rank r keeps the values 0 to r - 1, which is the slice `:rank`.",
    name="one-value-too-many",
)
def _(p, rank):
    energy = torch.linalg.svdvals(p).square()
    return energy[..., : rank + 1].sum(-1) / energy.sum(-1)


@kept_energy.also_correct
def _(p, rank):
    u, s, v = torch.linalg.svd(p, full_matrices=False)
    best = (u[..., :rank] * s[..., None, :rank]) @ v[..., :rank, :]
    return best.square().sum((-2, -1)) / p.square().sum((-2, -1))


@kept_energy.also_correct
def _(p, rank):
    squares = torch.linalg.svd(p, full_matrices=False)[1] ** 2
    return 1 - squares[..., rank:].sum(dim=-1) / (p**2).flatten(-2).sum(dim=-1)


kept_energy.equivalent("u, s, v = torch.linalg.svd(p, full_matrices=True)", "what it adds is cut off again")


# ----------------------------------------------------------------------------------------------------- project


@exercise(
    points=4,
    minutes=10,
    importance=3,
    hints=(
        "A padded token is multiplied by a column of e. What must it be, so that no slot notices it?",
        "Remove the padded tokens before they are mixed. Afterwards every slot is a mixture, and none of the slots "
        "belongs to a single token.",
        "pad is (B, n) and x is (B, H, n, d), so pad needs an axis for the heads and one for the numbers of a token.",
        "`x.masked_fill(pad[:, None, :, None], 0.0)`, then `e @ x`.",
    ),
)
def project(x, e, pad):
    """Return the slots that a projection makes of keys or of values.

    Slot s is the sum of e[s, j] · x[j] over the tokens j that are no padding. The weights are used as
    they are, however many tokens that leaves. The lesson trains e, and the layers below x.

    * x (B, H, n, d): keys or values of B texts and H heads; they stay as they are
    * e (slots, n): the projection
    * pad (B, n), bool: true where a text has padding; or None if there is none
    * returns: (B, H, slots, d)
    """
    ### BEGIN SOLUTION
    if pad is not None:
        x = x.masked_fill(pad[:, None, :, None], 0.0)
    return e @ x
    ### END SOLUTION


@project.test("adds up the tokens of a slot, without the padding", points=1)
def _(project):
    x = torch.tensor([[100.0, 200.0], [1.0, 2.0], [3.0, 5.0]]).view(1, 1, 3, 2)
    e = torch.tensor([[1.0, 1.0, 2.0], [3.0, 0.5, -1.0]])
    pad = torch.tensor([[True, False, False]])
    assert_close(project(x, e, pad)[0, 0], torch.tensor([[7.0, 12.0], [-2.5, -4.0]]))


@project.hidden("mixes the tokens of each head of each text, with and without padding", points=2)
def _(project, rng):
    for batch, heads, tokens, size, slots in ((3, 2, 7, 5, 4), (2, 3, 6, 4, 2), (1, 4, 5, 3, 5), (2, 1, 4, 6, 1)):
        x = torch.randn(batch, heads, tokens, size, generator=rng, dtype=torch.float64)
        e = torch.randn(slots, tokens, generator=rng, dtype=torch.float64)
        real = torch.randint(1, tokens, (batch, 1), generator=rng)
        kept = x.clone()
        for pad in (torch.arange(tokens) < tokens - real, torch.arange(tokens) >= real, None):
            expected = torch.zeros(batch, heads, slots, size, dtype=torch.float64)
            for text in range(batch):
                for token in range(tokens):
                    if pad is None or not pad[text, token]:
                        expected[text] += e[:, token, None] * x[text, :, token, None]
            which = "no padding" if pad is None else f"pad {pad.int().tolist()}"
            what = f"for x of shape {tuple(x.shape)}, {slots} slots and {which}"
            assert_close(project(x, e, pad), expected, rtol=1e-6, atol=1e-6, message=what)
        assert torch.equal(x, kept), "x must stay as it is"


@project.hidden("lets gradients reach the projection and the real tokens", points=1)
def _(project, rng):
    x = torch.randn(2, 3, 5, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    e = torch.randn(3, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 3, 4, generator=rng, dtype=torch.float64)
    pad = torch.tensor([[False, False, False, True, True], [False, False, False, False, True]])
    slots = project(x, e, pad)
    assert slots.requires_grad, "gradients must reach x and e: the lesson trains both"
    of_x, of_e = torch.autograd.grad(slots, (x, e), weight)
    real = (~pad).double()
    expected = torch.einsum("sj,bhsd,bj->bhjd", e, weight, real)
    assert_close(of_x, expected, rtol=1e-6, atol=1e-6, message="the gradient of x")
    expected = torch.einsum("bhsd,bhjd,bj->sj", weight, x, real)
    assert_close(of_e, expected, rtol=1e-6, atol=1e-6, message="the gradient of e")


@project.misconception(
    "You mixed the padding into the slots: whatever numbers a text is filled up with then change its result.",
    name="mixed-the-padding-in",
)
def _(x, e, pad):
    return e @ x


@project.misconception(
    "You masked slots in place of tokens. After the projection a slot is a mixture of all tokens, and slot s has "
    "nothing to do with token s.",
    name="masked-slots",
)
def _(x, e, pad):
    slots = e @ x
    if pad is not None:
        slots = slots.masked_fill(pad[:, None, : e.shape[0], None], 0.0)
    return slots


@project.misconception(
    "You scaled the slots up by n over the number of real tokens. The exercise uses the weights as they are.",
    name="scaled-by-the-length",
)
def _(x, e, pad):
    if pad is None:
        return e @ x
    real = (~pad).to(x.dtype)
    return e @ (x * real[:, None, :, None]) * (x.shape[2] / real.sum(1))[:, None, None, None]


@project.misconception(
    "Your mask is upside down: pad is true where there is padding, and you kept exactly that.", name="mask-upside-down"
)
def _(x, e, pad):
    return e @ x if pad is None else e @ x.masked_fill(~pad[:, None, :, None], 0.0)


@project.misconception(
    "You let the padding of the first text decide for all texts; each row of pad belongs to one text.",
    name="padding-of-the-first-text",
)
def _(x, e, pad):
    return e @ x if pad is None else e @ x.masked_fill(pad[0][None, None, :, None], 0.0)


@project.misconception(
    "You made each slot a weighted mean by a softmax over the tokens; a slot is a plain sum, and its weights may be "
    "negative.",
    name="softmax-of-the-weights",
)
def _(x, e, pad):
    if pad is None:
        return e.softmax(-1) @ x
    return (e.masked_fill(pad[:, None, None, :], -math.inf)).softmax(-1) @ x


@project.also_correct
def _(x, e, pad):
    real = torch.ones(x.shape[0], x.shape[2], dtype=x.dtype, device=x.device) if pad is None else (~pad).to(x.dtype)
    return torch.einsum("sj,bj,bhjd->bhsd", e, real, x)


@project.also_correct
def _(x, e, pad):
    weights = e.expand(x.shape[0], 1, *e.shape)  # (B, 1, slots, n)
    if pad is not None:
        weights = torch.where(pad[:, None, None, :], torch.zeros_like(weights), weights)
    return torch.matmul(weights, x)


# ------------------------------------------------------------------------------------------- linformer_attention


@exercise(
    points=5,
    minutes=12,
    importance=3,
    hints=(
        "Which of Q, K and V get shorter, and which of them decides how many rows the result has?",
        "Only keys and values are projected. To a query the slots are ordinary keys, so that the rest is attention "
        "as you know it.",
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
    * e, f (slots, n): the projection of the keys, and that of the values
    * pad (B, n), bool: true where there is padding; or None
    * returns: (B, H, n, d)

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
    "You projected the values with the keys' projection. E and F are two matrices; only shared ones may be equal.",
    name="one-projection-for-both",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (e @ v)


@linformer_attention.misconception(
    "You exchanged the projections: E belongs to the keys, F to the values.", name="exchanged-projections"
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (f @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (e @ v)


@linformer_attention.misconception(
    "You projected the queries too, and the result has one row for each slot. Every token needs a result of its own.",
    name="projected-the-queries",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return ((e @ q) @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You projected the n × n matrix of weights after its softmax. That is the motivation of the paper, and it still "
    "makes the square; the keys are projected before the scores exist.",
    name="projected-the-weights",
)
def _(q, k, v, e, f, pad):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if pad is not None:
        scores = scores.masked_fill(pad[:, None, None, :], -math.inf)
        v = v.masked_fill(pad[:, None, :, None], 0.0)
    return scores.softmax(-1) @ e.mT @ (f @ v)


@linformer_attention.misconception(
    "You took the softmax over the queries. Each query spreads its weight over the slots, the last axis of the scores.",
    name="softmax-over-the-queries",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-2) @ (f @ v)


@linformer_attention.misconception(
    "You scaled by the number of slots. A score is a dot product of d terms, so it is divided by √d.",
    name="scaled-by-the-slots",
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT / math.sqrt(e.shape[0])).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You did not scale the scores; they are divided by √d before the softmax.", name="left-out-the-scale"
)
def _(q, k, v, e, f, pad):
    if pad is not None:
        k, v = (x.masked_fill(pad[:, None, :, None], 0.0) for x in (k, v))
    return (q @ (e @ k).mT).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You masked the scores of the first slots where the first tokens have padding. Slot s is a mixture of all tokens; "
    "padding is removed before they are mixed.",
    name="masked-slots",
)
def _(q, k, v, e, f, pad):
    scores = q @ (e @ k).mT / math.sqrt(q.shape[-1])
    if pad is not None:
        scores = scores.masked_fill(pad[:, None, None, : e.shape[0]], torch.finfo(q.dtype).min)
    return scores.softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You left the padding in: it flows into every slot, and from there into the result of every real token.",
    name="left-the-padding-in",
)
def _(q, k, v, e, f, pad):
    return (q @ (e @ k).mT / math.sqrt(q.shape[-1])).softmax(-1) @ (f @ v)


@linformer_attention.misconception(
    "You removed the padding from the keys alone; the values of padded tokens flow into the slots too.",
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


# --------------------------------------------------------------------------------------------- multiplications


@exercise(
    points=3,
    minutes=8,
    importance=2,
    kind="derive",
    hints=(
        "Which matrix products does full attention make, and which does Linformer make before it can make the same?",
        "A product of an a × b with a b × c matrix takes a · b · c multiplications. Write down the shapes of all "
        "products in their order.",
        "Full attention has two products. Linformer has four: two projections, the scores, and the weights times the "
        "values.",
        "Scores of Linformer are (n × d) times (d × slots), made of keys that came from (slots × n) times (n × d).",
    ),
)
def multiplications(heads, length, width, slots):
    """Return how many multiplications attention takes for one text, in full and with projected keys and values.

    Count all matrix products between q, k, v and the result. The softmax and the scale count nothing, and neither
    do the layers that make q, k and v.

    * heads, length, width: H heads, n tokens, and d numbers for each query
    * slots: to how many rows keys and values are projected, by projections that all heads share
    * returns: two ints, (full, projected)
    """
    ### BEGIN SOLUTION
    return 2 * heads * length * length * width, 4 * heads * length * slots * width
    ### END SOLUTION


@multiplications.test("counts 72 against 48 for one head, six tokens of width 1, and two slots", points=1)
def _(multiplications):
    found = multiplications(1, 6, 1, 2)
    assert_close(found, (72, 48), message="2 · 6 · 6 · 1, and 4 · 6 · 2 · 1")
    assert not any(isinstance(number, float) for number in found), f"whole numbers are expected, got {found}"


@multiplications.hidden("agrees with PyTorch's own counter", points=2)
def _(multiplications, rng):
    for heads, length, width, slots in ((3, 7, 5, 2), (2, 9, 4, 6), (5, 16, 8, 16), (1, 12, 3, 1)):
        q, k, v = torch.randn(3, heads, length, width, generator=rng)
        e, f = torch.randn(2, heads, slots, length, generator=rng)
        with FlopCounterMode(display=False) as full:
            (q @ k.mT).softmax(-1) @ v
        with FlopCounterMode(display=False) as projected:
            (q @ (e @ k).mT).softmax(-1) @ (f @ v)
        expected = full.get_total_flops() // 2, projected.get_total_flops() // 2  # it counts additions as well
        found = tuple(multiplications(heads, length, width, slots))
        assert found == expected, (
            f"with heads={heads}, length={length}, width={width} and slots={slots}: expected {expected}, got {found}"
        )


@multiplications.misconception(
    "You counted the attention over the slots and not the projections that make them, which cost as much.",
    name="forgot-the-projections",
)
def _(heads, length, width, slots):
    return 2 * heads * length * length * width, 2 * heads * length * slots * width


@multiplications.misconception(
    "You counted the scores and not the product of the weights with the values.", name="forgot-the-values"
)
def _(heads, length, width, slots):
    return heads * length * length * width, 2 * heads * length * slots * width


@multiplications.misconception(
    "You counted one projection. Keys and values are projected separately, each by its own product.",
    name="one-projection",
)
def _(heads, length, width, slots):
    return 2 * heads * length * length * width, 3 * heads * length * slots * width


@multiplications.misconception(
    "You counted additions as well, as a counter of floating-point operations does; the exercise counts "
    "multiplications.",
    name="counted-additions",
)
def _(heads, length, width, slots):
    return 4 * heads * length * length * width, 8 * heads * length * slots * width


@multiplications.misconception(
    "You projected once for all heads. The matrix E is shared, but each head has keys of its own to be projected.",
    name="projected-once-for-all-heads",
)
def _(heads, length, width, slots):
    return 2 * heads * length * length * width, 2 * (heads + 1) * length * slots * width


@multiplications.misconception(
    "You projected the queries too. Linformer keeps all n of them, and its scores are n × slots.",
    name="projected-the-queries",
)
def _(heads, length, width, slots):
    full = 2 * heads * length * length * width
    return full, 3 * heads * length * slots * width + 2 * heads * slots * slots * width


@multiplications.also_correct
def _(heads, length, width, slots):
    def product(rows, inner, columns):
        return rows * inner * columns

    full = product(length, width, length) + product(length, length, width)
    short = 2 * product(slots, length, width) + product(length, width, slots) + product(length, slots, width)
    return heads * full, heads * short


@multiplications.also_correct
def _(heads, length, width, slots):
    each = heads * width * length
    return [each * length * 2, each * slots * 4]


# -------------------------------------------------------------------------------------------- random_projection


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=1,
    kind="derive",
    hints=(
        "What is the expected value of an entry of EᵀE on the diagonal, if every entry of E has the variance s²?",
        "Entry (i, j) of EᵀE is a sum over the slots. Off the diagonal its expected value is zero; on the diagonal "
        "each slot adds the same.",
        "E is (slots, length), so that EᵀE is (length, length) and each of its entries is a sum of as many terms as "
        "there are slots.",
        "`torch.randn(slots, length, generator=generator)` has variance 1; choose the factor so that the sum is 1.",
    ),
)
def random_projection(slots, length, generator):
    """Return a random projection E for which P Eᵀ E V is, on average over the draws, P V.

    The entries are independent, normal, of mean 0, and all of one variance. Draw them with the single call
    `torch.randn(slots, length, generator=generator)`, and scale that.

    * slots, length: the shape of E
    * generator: a torch.Generator
    * returns: (slots, length), float32
    """
    ### BEGIN SOLUTION
    return torch.randn(slots, length, generator=generator) / math.sqrt(slots)
    ### END SOLUTION


@random_projection.test("has entries of variance 1/4 for four slots", points=1)
def _(random_projection, rng):
    e = random_projection(4, 3000, rng)
    assert e.shape == (4, 3000), f"4 slots of 3000 tokens: expected shape (4, 3000), got {tuple(e.shape)}"
    assert_close(float(e.square().mean()), 0.25, rtol=0.1, message="the mean square of the entries")


@random_projection.hidden("is the identity on average: E[EᵀE] = I, drawn in one call", points=1)
def _(random_projection, rng):
    for slots, length in ((5, 3), (3, 8), (16, 7), (2, 30)):
        seed = int(torch.randint(10**6, (1,), generator=rng))
        e = random_projection(slots, length, torch.Generator().manual_seed(seed))
        expected = torch.randn(slots, length, generator=torch.Generator().manual_seed(seed)) / slots**0.5
        assert_close(e.abs(), expected.abs(), rtol=1e-4, atol=1e-5, message=f"with {slots} slots and {length} tokens")
    total = torch.zeros(7, 7)
    for _ in range(400):
        e = random_projection(16, 7, rng)
        total += e.T @ e
    assert_close(total / 400, torch.eye(7), rtol=0, atol=0.12, message="the mean of EᵀE over 400 draws")


@random_projection.misconception(
    "Your entries have variance 1, so that EᵀE is the number of slots times the identity on average.",
    name="variance-one",
)
def _(slots, length, generator):
    return torch.randn(slots, length, generator=generator)


@random_projection.misconception(
    "You scaled by the number of tokens. An entry of EᵀE is a sum over the slots, so their number decides.",
    name="scaled-by-the-length",
)
def _(slots, length, generator):
    return torch.randn(slots, length, generator=generator) / length**0.5


@random_projection.misconception(
    "You divided by the number of slots: then the variance is 1 over its square. Divide by the root.",
    name="divided-without-the-root",
)
def _(slots, length, generator):
    return torch.randn(slots, length, generator=generator) / slots


@random_projection.misconception(
    "You drew uniformly from ±1/√slots, as the start of a linear layer does. Its variance is 1/(3 · slots), and EᵀE a "
    "third of the identity.",
    name="uniform-as-a-linear-layer",
)
def _(slots, length, generator):
    return (2 * torch.rand(slots, length, generator=generator) - 1) / slots**0.5


@random_projection.misconception(
    "You did not use the generator that you were given, so that the draw cannot be repeated.",
    name="ignored-the-generator",
)
def _(slots, length, generator):
    return torch.randn(slots, length, generator=torch.Generator().manual_seed(8)) / slots**0.5


@random_projection.also_correct
def _(slots, length, generator):
    return slots**-0.5 * torch.randn((slots, length), generator=generator)


@random_projection.also_correct
def _(slots, length, generator):
    return -torch.sqrt(torch.tensor(1 / slots)) * torch.randn(slots, length, generator=generator)


# ------------------------------------------------------------------------------------------------------ encode


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "In which order does a layer normalise, compute and add, if the norm comes first?",
        "Two halves, each added to x: attention of the normalised x, then the feed-forward part of the newly "
        "normalised x. Only the step from q, k and v to their mixture depends on attend.",
        "q, k and v are (B, n, D) after their linear layer and (B, H, n, d) for the attention; the mixture goes back "
        "to (B, n, D) before o.",
        "`F.linear(normed, layer['q.weight'], layer['q.bias']).unflatten(-1, (heads, -1)).transpose(1, 2)`, and back "
        "with `.transpose(1, 2).flatten(2)`; `F.layer_norm(x, x.shape[-1:], weight, bias)`.",
    ),
)
def encode(x, pad, layers, heads, attend):
    """Return what a pre-norm encoder makes of the states x.

    Each layer adds o(attention of norm1(x)) to x, and then down(gelu(up(norm2(x)))) to the sum.

    * x (B, n, D); pad (B, n), bool, or None: they stay as they are
    * layers: one dict for each layer, with the "weight" and "bias" of q, k, v, o, norm1, up, down and norm2 under
      names such as "q.weight", shaped as in `nn.Linear` and `nn.LayerNorm`; nothing in them changes
    * heads: H; head h has the columns h · d to (h + 1) · d - 1 of q, k and v
    * attend: attend(q, k, v, pad) returns (B, H, n, d); or None: then attention is your `linformer_attention`, with "e"
      and "f" of the layer
    * returns: (B, n, D)
    """
    ### BEGIN SOLUTION
    for layer in layers:
        normed = F.layer_norm(x, x.shape[-1:], layer["norm1.weight"], layer["norm1.bias"])
        q, k, v = (
            F.linear(normed, layer[f"{name}.weight"], layer[f"{name}.bias"]).unflatten(-1, (heads, -1)).transpose(1, 2)
            for name in "qkv"
        )  # (B, H, n, d)
        mixed = linformer_attention(q, k, v, layer["e"], layer["f"], pad) if attend is None else attend(q, k, v, pad)
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), layer["o.weight"], layer["o.bias"])
        normed = F.layer_norm(x, x.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
        hidden = F.gelu(F.linear(normed, layer["up.weight"], layer["up.bias"]))
        x = x + F.linear(hidden, layer["down.weight"], layer["down.bias"])
    return x
    ### END SOLUTION


@encode.test("is PyTorch's own encoder layer if it attends to all tokens", points=1)
def _(encode, rng):
    layer = partial(nn.TransformerEncoderLayer, 6, 2, 10, 0.0, "gelu", dtype=torch.float64)
    theirs = drawn(partial(layer, batch_first=True, norm_first=True), rng)
    state = theirs.state_dict()
    own = {"o": "self_attn.out_proj", "norm1": "norm1", "norm2": "norm2", "up": "linear1", "down": "linear2"}
    layer = {f"{name}.{kind}": state[f"{path}.{kind}"] for name, path in own.items() for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        for name, part in zip("qkv", state[f"self_attn.in_proj_{kind}"].chunk(3), strict=True):
            layer[f"{name}.{kind}"] = part
    x = torch.randn(3, 5, 6, generator=rng, dtype=torch.float64)
    expected = theirs(x).detach()
    found = encode(x, None, [layer], 2, lambda q, k, v, pad: F.scaled_dot_product_attention(q, k, v))
    assert_close(found, expected, rtol=1e-6, atol=1e-6, message="one layer of nn.TransformerEncoderLayer, norm first")


@encode.hidden("projects keys and values in every layer, by that layer's own projections", points=3)
def _(encode, rng):
    for count, heads, width, hidden, tokens, slots in ((2, 2, 6, 5, 7, 3), (1, 3, 12, 8, 5, 4), (3, 1, 4, 9, 6, 2)):
        shapes = dict.fromkeys("qkvo", (width, width)) | {"up": (hidden, width), "down": (width, hidden)}
        layers = []
        for _ in range(count):
            layer = {name: torch.randn(slots, tokens, generator=rng, dtype=torch.float64) for name in "ef"}
            for name, shape in (shapes | {"norm1": (width,), "norm2": (width,)}).items():
                layer[f"{name}.weight"] = torch.randn(shape, generator=rng, dtype=torch.float64)
                layer[f"{name}.bias"] = torch.randn(shape[0], generator=rng, dtype=torch.float64)
            layers.append(layer)
        x = torch.randn(3, tokens, width, generator=rng, dtype=torch.float64)
        real = torch.randint(1, tokens, (3, 1), generator=rng)
        for pad in (torch.arange(tokens) < tokens - real, None):
            kept, states, kept_pad = x.clone(), x, None if pad is None else pad.clone()
            before = [{name: weight.clone() for name, weight in layer.items()} for layer in layers]
            alive = torch.ones(3, tokens, dtype=torch.float64) if pad is None else (~pad).double()
            for layer in layers:
                h = nn.functional.layer_norm(states, (width,), layer["norm1.weight"], layer["norm1.bias"])
                q, k, v = (
                    torch.einsum("bnd,od->bno", h, layer[f"{part}.weight"]) + layer[f"{part}.bias"] for part in "qkv"
                )
                k = torch.einsum("sj,bj,bjd->bsd", layer["e"], alive, k)
                v = torch.einsum("sj,bj,bjd->bsd", layer["f"], alive, v)
                mixed = [
                    F.scaled_dot_product_attention(*parts)
                    for parts in zip(*(part.chunk(heads, -1) for part in (q, k, v)), strict=True)
                ]
                states = states + torch.cat(mixed, -1) @ layer["o.weight"].T + layer["o.bias"]
                h = nn.functional.layer_norm(states, (width,), layer["norm2.weight"], layer["norm2.bias"])
                up = h @ layer["up.weight"].T + layer["up.bias"]
                states = states + 0.5 * up * (1 + torch.erf(up / 2**0.5)) @ layer["down.weight"].T + layer["down.bias"]
            which = "without padding" if pad is None else f"with pad {pad.int().tolist()}"
            what = f"{count} layers of width {width}, H={heads}, n={tokens}, {slots} slots, {which}"
            assert_close(encode(x, pad, layers, heads, None), states, rtol=1e-6, atol=1e-6, message=what)
            assert torch.equal(x, kept), "x must stay as it is"
            assert pad is None or torch.equal(pad, kept_pad), "pad must stay as it is"
            assert_close(layers, before, rtol=0, atol=0, message="the weights must stay as they are")


@encode.hidden("hands each layer's heads and the padding to attend, and can be trained", points=2)
def _(encode, rng):
    width, tokens = 6, 4
    shapes = dict.fromkeys("qkvo", (width, width)) | {"up": (5, width), "down": (width, 5)}
    layers = []
    for _ in range(2):
        layer = {
            name: torch.randn(3, tokens, generator=rng, dtype=torch.float64, requires_grad=True) for name in ("e", "f")
        }
        for name, shape in (shapes | {"norm1": (width,), "norm2": (width,)}).items():
            layer[f"{name}.weight"] = torch.randn(shape, generator=rng, dtype=torch.float64, requires_grad=True)
            layer[f"{name}.bias"] = torch.randn(shape[0], generator=rng, dtype=torch.float64, requires_grad=True)
        layers.append(layer)
    x = torch.randn(2, tokens, width, generator=rng, dtype=torch.float64)
    pad = torch.tensor([[False, False, True, True], [False, False, False, True]])
    seen = []

    def attend(q, k, v, pad):
        seen.append((q, k, v, pad))
        return v + q * k

    found = encode(x, pad, layers, 3, attend)
    assert len(seen) == 2, f"two layers attend twice, got {len(seen)} calls of attend"
    h = F.layer_norm(x, (width,), layers[0]["norm1.weight"], layers[0]["norm1.bias"])
    for name, given in zip("qkv", seen[0], strict=False):
        projected = h @ layers[0][f"{name}.weight"].T + layers[0][f"{name}.bias"]
        expected = torch.stack(projected.split(2, -1), 1)
        assert_close(given, expected, rtol=1e-6, atol=1e-6, message=f"{name} of the first layer, as attend gets it")
    assert all(given[3] is not None and torch.equal(given[3], pad) for given in seen), (
        "attend must be given the padding"
    )
    assert found.requires_grad, "gradients must reach the weights: the lesson trains them"
    found.square().sum().backward()
    without = {name for layer in layers for name, weight in layer.items() if weight.grad is None} - {"e", "f"}
    assert not without, f"no gradient reached {', '.join(sorted(without))}"
    encode(x, pad, layers, 3, None).square().sum().backward()
    without = {name for layer in layers for name in "ef" if layer[name].grad is None}
    assert not without, f"no gradient reached {', '.join(sorted(without))} without attend"


@encode.misconception(
    "You normalised after adding, as the first transformers did. Here the norm comes first, and the sum itself is "
    "never normalised.",
    name="norm-after-the-sum",
)
def _(x, pad, layers, heads, attend):
    for layer in layers:
        q, k, v = (
            F.linear(x, layer[f"{name}.weight"], layer[f"{name}.bias"]).unflatten(-1, (heads, -1)).transpose(1, 2)
            for name in "qkv"
        )
        own = linformer_attention.solution(q, k, v, layer["e"], layer["f"], pad) if attend is None else None
        mixed = attend(q, k, v, pad) if attend else own
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), layer["o.weight"], layer["o.bias"])
        x = F.layer_norm(x, x.shape[-1:], layer["norm1.weight"], layer["norm1.bias"])
        hidden = F.gelu(F.linear(x, layer["up.weight"], layer["up.bias"]))
        x = x + F.linear(hidden, layer["down.weight"], layer["down.bias"])
        x = F.layer_norm(x, x.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
    return x


@encode.misconception(
    "You replaced x by the result of each half. Each half is added to x, so that a layer only changes the states.",
    name="nothing-added",
)
def _(x, pad, layers, heads, attend):
    for layer in layers:
        silent = layer | {f"down.{kind}": torch.zeros_like(layer[f"down.{kind}"]) for kind in ("weight", "bias")}
        x = encode.solution(x, pad, [silent], heads, attend) - x
        normed = F.layer_norm(x, x.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
        hidden = F.gelu(F.linear(normed, layer["up.weight"], layer["up.bias"]))
        x = F.linear(hidden, layer["down.weight"], layer["down.bias"])
    return x


@encode.misconception(
    "You reshaped (B, H, n, d) to (B, n, D) without bringing the heads back beside d first: tokens and heads are mixed "
    "up.",
    name="merged-without-transposing",
)
def _(x, pad, layers, heads, attend):
    for layer in layers:

        def reshaped(q, k, v, pad, layer=layer):
            own = linformer_attention.solution(q, k, v, layer["e"], layer["f"], pad) if attend is None else None
            mixed = attend(q, k, v, pad) if attend else own
            return mixed.reshape(q.shape[0], q.shape[2], heads, -1).transpose(1, 2)

        x = encode.solution(x, pad, [layer], heads, reshaped)
    return x


@encode.misconception(
    "You gave head h every H-th column. A head has d columns next to each other: `unflatten(-1, (heads, -1))`.",
    name="columns-of-a-head-apart",
)
def _(x, pad, layers, heads, attend):
    order = torch.arange(x.shape[-1]).view(-1, heads).T.flatten()
    moved = [
        layer
        | {f"{name}.{kind}": layer[f"{name}.{kind}"][order] for name in "qkv" for kind in ("weight", "bias")}
        | {"o.weight": layer["o.weight"][:, order]}
        for layer in layers
    ]
    return encode.solution(x, pad, moved, heads, attend)


@encode.misconception(
    "You projected the values with e as well; they have a projection of their own, f.", name="values-projected-by-e"
)
def _(x, pad, layers, heads, attend):
    same = [layer | {"f": layer["e"]} if "e" in layer else layer for layer in layers]
    return encode.solution(x, pad, same, heads, attend)


@encode.misconception(
    "You did not pass the padding on: attention then reads what a text is filled up with.", name="padding-not-passed-on"
)
def _(x, pad, layers, heads, attend):
    return encode.solution(x, None, layers, heads, attend)


@encode.misconception(
    "You used the projections of the first layer in all layers. That is a variant of the paper, but here every layer "
    "has its own.",
    name="projections-of-the-first-layer",
)
def _(x, pad, layers, heads, attend):
    first = {name: layers[0][name] for name in "ef" if name in layers[0]}
    return encode.solution(x, pad, [layer | first for layer in layers], heads, attend)


@encode.misconception(
    "You normalised with norm1 before the feed-forward part too; its norm has weights of its own.", name="norm1-twice"
)
def _(x, pad, layers, heads, attend):
    same = [layer | {f"norm2.{kind}": layer[f"norm1.{kind}"] for kind in ("weight", "bias")} for layer in layers]
    return encode.solution(x, pad, same, heads, attend)


@encode.also_correct
def _(x, pad, layers, heads, attend):
    def linear(h, layer, name):
        return h @ layer[f"{name}.weight"].mT + layer[f"{name}.bias"]

    def norm(h, layer, name):
        centred = h - h.mean(-1, keepdim=True)
        h = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return h * layer[f"{name}.weight"] + layer[f"{name}.bias"]

    for layer in layers:
        batch, tokens, width = x.shape
        h = norm(x, layer, "norm1")
        q, k, v = (linear(h, layer, c).reshape(batch, tokens, heads, width // heads).permute(0, 2, 1, 3) for c in "qkv")
        mixed = attend(q, k, v, pad) if attend else linformer_attention(q, k, v, layer["e"], layer["f"], pad)
        x = linear(mixed.permute(0, 2, 1, 3).reshape(batch, tokens, width), layer, "o") + x
        x = linear(nn.functional.gelu(linear(norm(x, layer, "norm2"), layer, "up")), layer, "down") + x
    return x


@encode.also_correct
def _(x, pad, layers, heads, attend):
    states = x.clone()
    for layer in layers:
        h = F.layer_norm(states, states.shape[-1:], layer["norm1.weight"], layer["norm1.bias"])
        q, k, v = (
            torch.stack(F.linear(h, layer[f"{c}.weight"], layer[f"{c}.bias"]).chunk(heads, -1), 1) for c in "qkv"
        )
        one = attend or (lambda q, k, v, pad, at=layer: linformer_attention(q, k, v, at["e"], at["f"], pad))
        together = torch.cat(one(q, k, v, pad).unbind(1), -1)
        states = states + F.linear(together, layer["o.weight"], layer["o.bias"])
        h = F.layer_norm(states, states.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
        h = F.linear(
            F.gelu(F.linear(h, layer["up.weight"], layer["up.bias"])), layer["down.weight"], layer["down.bias"]
        )
        states = states + h
    return states


# --------------------------------------------------------------------------------------------------- influence


@exercise(
    points=4,
    minutes=12,
    importance=3,
    kind="measure",
    hints=(
        "How do you find out whether a function reads one of its inputs, if you may only call it?",
        "Change one token and leave all others, call the function again, and look which rows of the result have moved.",
        "One call for each token j gives a column j: the change (n, D'), reduced to (n,). Start each time from the "
        "original x.",
        "`moved = x.clone()`, `moved[j] += noise[j]`, then `(f(moved) - f(x)).abs().amax(-1)`.",
    ),
)
def influence(f, x, noise):
    """Return how far each row of f(x) moves when one token of x is changed.

    Entry (i, j) is the largest absolute change, over the numbers of row i of the result, when noise[j] is added to
    row j of x and to no other row.

    * f: takes (n, D) and returns (n, D'); nothing is known of it
    * x, noise (n, D): they stay as they are
    * returns: (n, n)
    """
    ### BEGIN SOLUTION
    before = f(x)
    columns = []
    for token in range(len(x)):
        moved = x.clone()
        moved[token] += noise[token]
        columns.append((f(moved) - before).abs().amax(-1))
    return torch.stack(columns, 1)
    ### END SOLUTION


@influence.test("finds that a running sum hears of every earlier token, and of itself", points=1)
def _(influence):
    x = torch.zeros(3, 2)
    noise = torch.tensor([[1.0, -2.0], [3.0, 0.5], [-5.0, 4.0]])
    expected = torch.tensor([[2.0, 0.0, 0.0], [2.0, 3.0, 0.0], [2.0, 3.0, 5.0]])
    assert_close(influence(lambda x: x.cumsum(0), x, noise), expected)


@influence.hidden("measures the largest change of each row, also where f is not linear or jumps", points=2)
def _(influence, rng):
    for tokens, width, out in ((5, 3, 4), (4, 6, 2), (6, 1, 3)):
        mixing = torch.randn(tokens, tokens, generator=rng, dtype=torch.float64)
        weight = torch.randn(width, out, generator=rng, dtype=torch.float64)
        x, noise = torch.randn(2, tokens, width, generator=rng, dtype=torch.float64)
        kept = x.clone(), noise.clone()
        functions = {
            "tanh(A x W)": lambda x, a=mixing, w=weight: torch.tanh(a @ x @ w),
            "round(2 A x)": lambda x, a=mixing: (2 * a @ x).round(),
            "x of the next token": lambda x: x.roll(-1, 0),
        }
        for name, f in functions.items():
            expected = torch.zeros(tokens, tokens, dtype=torch.float64)
            for j in range(tokens):
                changed = torch.stack([x[i] + noise[i] if i == j else x[i] for i in range(tokens)])
                expected[:, j] = (f(changed) - f(x)).abs().max(1).values
            what = f"for f(x) = {name} and x of shape {(tokens, width)}"
            assert_close(influence(f, x, noise), expected, rtol=1e-6, atol=1e-6, message=what)
        assert torch.equal(x, kept[0]), "x must stay as it is"
        assert torch.equal(noise, kept[1]), "noise must stay as it is"


@influence.hidden("finds a leak from the future that hides behind a causal mask", points=1)
def _(influence, rng):
    for tokens, slots in ((8, 4), (6, 3)):
        e = torch.rand(slots, tokens, generator=rng, dtype=torch.float64) + 0.1
        mask = torch.arange(slots) * tokens // slots <= torch.arange(tokens)[:, None]

        def f(x, e=e, mask=mask):
            slots = e @ x
            return F.scaled_dot_product_attention(x[None], slots[None], slots[None], attn_mask=mask)[0]

        x, noise = torch.randn(2, tokens, 4, generator=rng, dtype=torch.float64)
        found = influence(f, x, noise)
        assert tuple(found.shape) == (tokens, tokens), f"expected shape {(tokens, tokens)}, got {tuple(found.shape)}"
        leak = float(found.triu(1).max())
        assert leak > 1e-6, f"the masked function reads later tokens, but above the diagonal the largest is {leak}"


@influence.misconception(
    "You exchanged rows and columns: entry (i, j) is about row i of the result and token j of x. A leak from the "
    "future is above the diagonal then, and you would look for it below.",
    name="exchanged-rows-and-columns",
)
def _(f, x, noise):
    rows = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).abs().amax(-1) for j in range(len(x))]
    return torch.stack(rows, 0)


@influence.misconception(
    "You did not start again from x, so that the changes add up: column j has the changes of all tokens up to j.",
    name="changes-add-up",
)
def _(f, x, noise):
    moved, columns = x.clone(), []
    for j in range(len(x)):
        moved[j] += noise[j]
        columns.append((f(moved.clone()) - f(x)).abs().amax(-1))
    return torch.stack(columns, 1)


@influence.misconception(
    "You took the largest signed change: a row that only falls seems not to have moved, or moves by a negative "
    "number. Take the absolute value first.",
    name="signed-change",
)
def _(f, x, noise):
    columns = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).amax(-1) for j in range(len(x))]
    return torch.stack(columns, 1)


@influence.misconception(
    "You averaged the change over the numbers of a row; what is asked for is the largest.", name="mean-change"
)
def _(f, x, noise):
    columns = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).abs().mean(-1) for j in range(len(x))]
    return torch.stack(columns, 1)


@influence.misconception(
    "You took the length of the change; what is asked for is its largest number.", name="length-of-the-change"
)
def _(f, x, noise):
    columns = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).norm(dim=-1) for j in range(len(x))]
    return torch.stack(columns, 1)


@influence.misconception("You replaced the token by the noise; the noise is added to it.", name="replaced-by-the-noise")
def _(f, x, noise):
    columns = []
    for j in range(len(x)):
        moved = x.clone()
        moved[j] = noise[j]
        columns.append((f(moved) - f(x)).abs().amax(-1))
    return torch.stack(columns, 1)


@influence.also_correct
def _(f, x, noise):
    n = x.shape[0]
    found = x.new_zeros(n, n)
    for j in range(n):
        moved = x + torch.where((torch.arange(n, device=x.device) == j)[:, None], noise, torch.zeros_like(noise))
        found[:, j] = (f(moved) - f(x)).abs().max(dim=-1).values
    return found


@influence.also_correct
def _(f, x, noise):
    before, after = f(x), [f(torch.cat([x[:j], x[j : j + 1] + noise[j], x[j + 1 :]])) for j in range(len(x))]
    return torch.stack([torch.maximum(y - before, before - y).max(-1)[0] for y in after], dim=-1)


# -------------------------------------------------------------------------------------------- causal_summaries


@exercise(
    points=3,
    minutes=12,
    level="stretch",
    importance=1,
    kind="find the bug",
    hints=(
        "Take c = 4 and the query at position 5. Which blocks does the code let it see, and what do they contain?",
        "Block 1 begins at position 4, before the query, and ends at position 7, after it. Its summary contains "
        "tokens 6 and 7.",
        "sees_block is (n, n/c). A summary may be read by the queries of later blocks alone.",
        "Compare the number of the block with that of the query's own block, `place // c`.",
    ),
)
def causal_summaries(q, k, v, e, f):
    """Return causal attention to one summary of each earlier block, and to the tokens of the own block.

    ```python
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    sees_block = block * c <= place[:, None]
    sees_token = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([sees_block, sees_token], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    ```

    Query i sees the tokens of its own block up to i. One line is wrong.

    * q, k, v (B, H, n, d): n is a multiple of c
    * e, f (c,): the weights of a block's tokens in its summary, for keys and values
    * returns: (B, H, n, d), with no influence of later tokens
    """
    ### BEGIN SOLUTION
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n, device=q.device), torch.arange(n // c, device=q.device)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)  # (B, H, n/c + n, d)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    sees_block = block < place[:, None] // c
    sees_token = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([sees_block, sees_token], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    ### END SOLUTION


causal_summaries.equivalent(
    "place, block = torch.arange(n, device=q.device), torch.arange(n / c, device=q.device)", "n is a multiple of c"
)


@causal_summaries.test("gives the tokens of the first block causal attention, and keeps the future out", points=1)
def _(causal_summaries, rng):
    q, k, v = torch.randn(3, 2, 1, 6, 4, generator=rng, dtype=torch.float64)
    e, f = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    found = causal_summaries(q, k, v, e, f)
    first = (part[:, :, :3] for part in (q, k, v))
    expected = F.scaled_dot_product_attention(*first, is_causal=True)
    assert_close(found[:, :, :3], expected, rtol=1e-6, atol=1e-6, message="the first block, n = 6 and c = 3")
    others = [part.clone() for part in (k, v)]
    others[0][:, :, 5], others[1][:, :, 5] = 9.0, -9.0
    moved = float((causal_summaries(q, *others, e, f) - found)[:, :, :5].abs().max())
    assert moved == 0, f"token 5 was changed, and an earlier row of the result moved by {moved:.3g}"


@causal_summaries.hidden("attends to the summaries of all earlier blocks and to the own one token by token", points=2)
def _(causal_summaries, rng):
    for batch, heads, blocks, c, size in ((2, 3, 4, 3, 5), (1, 2, 3, 4, 2), (3, 1, 5, 2, 4), (1, 1, 4, 1, 3)):
        n = blocks * c
        q, k, v = torch.randn(3, batch, heads, n, size, generator=rng, dtype=torch.float64)
        e, f = torch.randn(2, c, generator=rng, dtype=torch.float64)
        expected = torch.zeros_like(q)
        for i in range(n):
            own = i // c
            past_k, past_v = (
                [sum(w[t] * x[:, :, b * c + t] for t in range(c)) for b in range(own)] for w, x in ((e, k), (f, v))
            )
            keys = torch.stack([*past_k, *k[:, :, own * c : i + 1].unbind(2)], 2)
            values = torch.stack([*past_v, *v[:, :, own * c : i + 1].unbind(2)], 2)
            expected[:, :, i : i + 1] = F.scaled_dot_product_attention(q[:, :, i : i + 1], keys, values)
        what = f"with q of shape {tuple(q.shape)} in blocks of {c}"
        assert_close(causal_summaries(q, k, v, e, f), expected, rtol=1e-6, atol=1e-6, message=what)


@causal_summaries.misconception(
    "A query still reads the summary of its own block, which contains tokens after it. A block that has begun has not "
    "ended.",
    name="reads-its-own-block",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    own = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([block * c <= place[:, None], own], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.misconception(
    "The last query of a block reads that block's summary as well as its tokens. Nothing leaks, but the own block "
    "counts twice; only earlier blocks are read as summaries.",
    name="counts-its-own-block-twice",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    own = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([(block + 1) * c - 1 <= place[:, None], own], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.misconception(
    "You left out the summary of the block before the own one. All of its tokens are in the past.",
    name="left-out-the-last-block",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    own = (place // c == place[:, None] // c) & (place <= place[:, None])
    mask = torch.cat([block + 1 < place[:, None] // c, own], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.misconception(
    "You removed the summaries altogether. That is causal, and blind to everything before the own block.",
    name="removed-the-summaries",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place = torch.arange(n)
    own = (place // c == place[:, None] // c) & (place <= place[:, None])
    return F.scaled_dot_product_attention(q, k, v, attn_mask=own)


@causal_summaries.misconception(
    "You let a query see its whole block. The own block's tokens are masked one by one, up to the query.",
    name="sees-its-whole-block",
)
def _(q, k, v, e, f):
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n), torch.arange(n // c)
    keys = torch.cat([e @ k.unflatten(-2, (-1, c)), k], -2)
    values = torch.cat([f @ v.unflatten(-2, (-1, c)), v], -2)
    mask = torch.cat([block < place[:, None] // c, place // c == place[:, None] // c], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@causal_summaries.also_correct
def _(q, k, v, e, f):
    c, rows = e.shape[0], []
    for i in range(q.shape[2]):
        start = i // c * c
        keys, values = k[:, :, start : i + 1], v[:, :, start : i + 1]
        if start:
            past = ((e, k), (f, v))
            old = [torch.einsum("t,bhctd->bhcd", w, x[:, :, :start].unflatten(2, (-1, c))) for w, x in past]
            keys, values = torch.cat([old[0], keys], 2), torch.cat([old[1], values], 2)
        scores = q[:, :, i : i + 1] @ keys.mT / math.sqrt(q.shape[-1])
        rows.append(scores.softmax(-1) @ values)
    return torch.cat(rows, 2)


@causal_summaries.also_correct
def _(q, k, v, e, f):
    n, c = q.shape[2], len(e)
    place = torch.arange(n, device=q.device)
    old_k, old_v = ((w[:, None] * x.unflatten(2, (-1, c))).sum(-2) for w, x in ((e, k), (f, v)))
    scores = torch.cat([q @ old_k.mT, q @ k.mT], -1) / q.shape[-1] ** 0.5
    ends = torch.arange(c - 1, n, c, device=q.device)
    seen = torch.cat([ends < (place - place % c)[:, None], (place >= (place - place % c)[:, None])], -1)
    seen[:, n // c :] &= place <= place[:, None]
    return scores.masked_fill(~seen, -math.inf).softmax(-1) @ torch.cat([old_v, v], 2)
