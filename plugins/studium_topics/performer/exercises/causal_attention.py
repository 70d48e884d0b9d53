import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise


@exercise(
    points=6,
    minutes=25,
    importance=3,
    hints=(
        "What do you have to know about all earlier chunks, if you never want to read their keys again?",
        "One (m, dv) matrix and one (m,) vector sum up the past. Inside a chunk, a small table with a causal mask is "
        "cheap. The denominator has the same two parts as the numerator.",
        "If you add a column of ones to v, both sums become one: the state is (..., m, dv + 1), a chunk's table is "
        "(..., c, c), and the last column of the result is the denominator.",
        "`(q @ k.mT).tril()` is a chunk's table, diagonal included, and `k.mT @ v` is what the chunk adds to the state "
        "once it has been read.",
    ),
)
def causal_attention(qf, kf, v, chunk):
    """Return causal attention whose weights are products of features.

    Query i attends only to the keys j <= i: key j gets the weight qf_i · kf_j, divided by the
    sum of the weights of those keys.

    * qf, kf (..., n, m): features, of any sign; v (..., n, dv): values
    * chunk: int, 1 or more; go through the text in pieces of this many tokens (the last piece
      may be smaller), and carry sums from each piece to the next
    * returns: (..., n, dv), the same for every chunk; gradients must reach qf, kf and v, which stay as they are

    For each head, no tensor may hold more than n (m + dv) numbers, or a chunk's table if that
    is larger.
    """
    ### BEGIN SOLUTION
    v = F.pad(v, (0, 1), value=1.0)  # the column of ones becomes the denominator
    state = torch.zeros_like(kf[..., :1, :].mT @ v[..., :1, :])  # (..., m, dv + 1)
    pieces = []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        inside = (q @ k.mT).tril()  # (..., c, c)
        pieces.append(inside @ values + q @ state)
        state = state + k.mT @ values
    sums = torch.cat(pieces, -2)
    return sums[..., :-1] / sums[..., -1:]
    ### END SOLUTION


causal_attention.equivalent(
    "for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=False):",
    "the three have the same number of chunks",
)


@causal_attention.test("is the masked quadratic form, whatever the chunk", points=2)
def _(causal_attention, rng):
    qf, kf = torch.rand(2, 7, 3, generator=rng, dtype=torch.float64) + 0.1
    v = torch.randn(7, 2, generator=rng, dtype=torch.float64)
    weights = (qf @ kf.T) * torch.ones(7, 7, dtype=torch.float64).tril()
    expected = weights / weights.sum(1, keepdim=True) @ v
    for chunk in (3, 2, 7, 1, 20):
        assert_close(causal_attention(qf, kf, v, chunk), expected, rtol=1e-9, atol=1e-9, message=f"chunks of {chunk}")


@causal_attention.hidden("is exact for all sizes and for batches of heads", points=1)
def _(causal_attention, rng):
    for batch, n, m, dv, chunk in (((2, 3), 10, 4, 5, 4), ((3,), 9, 2, 1, 3), ((), 1, 3, 2, 2), ((2,), 13, 6, 3, 5)):
        qf = torch.rand(*batch, n, m, generator=rng, dtype=torch.float64) + 0.05
        kf = torch.rand(*batch, n, m, generator=rng, dtype=torch.float64) + 0.05
        v = torch.randn(*batch, n, dv, generator=rng, dtype=torch.float64)
        mask = torch.ones(n, n, dtype=torch.float64).tril()
        weights = torch.einsum("...im,...jm->...ij", qf, kf) * mask
        expected = torch.einsum("...ij,...jd->...id", weights / weights.sum(-1, keepdim=True), v)
        before = [part.clone() for part in (qf, kf, v)]
        what = f"{n} tokens in chunks of {chunk}, {m} features, batch {batch}"
        assert_close(causal_attention(qf, kf, v, chunk), expected, rtol=1e-9, atol=1e-9, message=what)
        for part, old in zip((qf, kf, v), before, strict=True):
            assert_close(part, old, rtol=0, atol=0, message="the arguments stay as they are")
        what += ", all weights negative"
        assert_close(causal_attention(-qf, kf, v, chunk), expected, rtol=1e-9, atol=1e-9, message=what)


@causal_attention.hidden("does not see the future, inside a chunk or beyond it", points=1)
def _(causal_attention, rng):
    qf, kf = torch.rand(2, 12, 4, generator=rng, dtype=torch.float64) + 0.1
    v = torch.randn(12, 3, generator=rng, dtype=torch.float64)
    for chunk in (5, 12):
        before = causal_attention(qf, kf, v, chunk)
        for token in (6, 9):
            others = [part.clone() for part in (qf, kf, v)]
            for part in others:
                part[token:] = 3 + torch.rand(12 - token, part.shape[1], generator=rng, dtype=torch.float64)
            after = causal_attention(*others, chunk)
            what = f"results before token {token}, after that token and later ones were changed, chunk {chunk}"
            assert_close(after[:token], before[:token], rtol=1e-9, atol=1e-9, message=what)
            assert not torch.allclose(after[token:], before[token:]), f"token {token} and later ones read themselves"


@causal_attention.hidden("holds no table of the whole text, and no state for each token", points=1)
def _(causal_attention, rng):
    for n, m, dv in ((6100, 80, 64), (6000, 64, 96)):  # 2 MB each; a table or all states are 120 MB and more
        qf, kf, v = (torch.rand(n, width, generator=rng) for width in (m, m, dv))
        why = f"for {n} tokens with {m} features and values of width {dv}, keep one state, and tables of one chunk"
        with at_most_mb(48, why):
            found = causal_attention(qf, kf, v, 200)
        weights = (qf[::50].double() @ kf.double().T).masked_fill(torch.arange(n) > torch.arange(0, n, 50)[:, None], 0)
        expected = weights / weights.sum(1, keepdim=True) @ v.double()
        assert_close(found[::50].double(), expected, rtol=1e-4, atol=1e-4, message=f"{n} tokens in float32")


@causal_attention.hidden("has the gradients of the quadratic form", points=1)
def _(causal_attention, rng):
    parts = [
        torch.rand(2, 8, width, generator=rng, dtype=torch.float64).add(0.1).requires_grad_() for width in (3, 3, 2)
    ]
    pull = torch.randn(2, 8, 2, generator=rng, dtype=torch.float64)
    qf, kf, v = parts
    weights = (qf @ kf.mT).tril()
    expected = torch.autograd.grad((weights / weights.sum(-1, keepdim=True) @ v * pull).sum(), parts)
    out = causal_attention(*parts, 3)
    assert out.requires_grad, "the result does not depend on qf, kf and v as far as autograd can see"
    found = torch.autograd.grad((out * pull).sum(), parts, allow_unused=True)
    for name, one, other in zip(("qf", "kf", "v"), found, expected, strict=True):
        assert one is not None, f"the result does not depend on {name} as far as autograd can see"
        assert_close(one, other, rtol=1e-8, atol=1e-10, message=f"the gradient for {name}")


@causal_attention.misconception(
    "Your queries see later keys of their own chunk, a leak that grows with the chunk. Inside a chunk, a query reads "
    "only the keys up to its own.",
    name="leak-inside-the-chunk",
)
def _(qf, kf, v, chunk):
    v = F.pad(v, (0, 1), value=1.0)
    state, pieces = 0.0, []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        state = state + k.mT @ values
        pieces.append(q @ state)
    sums = torch.cat(pieces, -2)
    return sums[..., :-1] / sums[..., -1:]


@causal_attention.misconception(
    "You left out the diagonal. Query i attends to the keys up to and *including* its own.",
    name="without-itself",
)
def _(qf, kf, v, chunk):
    v = F.pad(v, (0, 1), value=1.0)
    state, pieces = torch.zeros_like(kf[..., :1, :].mT @ v[..., :1, :]), []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        pieces.append((q @ k.mT).tril(-1) @ values + q @ state)
        state = state + k.mT @ values
    sums = torch.cat(pieces, -2)
    return sums[..., :-1] / sums[..., -1:]


@causal_attention.misconception(
    "You carried nothing from one chunk to the next, so each chunk is read as if the text began there; carry the sums "
    "along.",
    name="state-not-carried",
)
def _(qf, kf, v, chunk):
    v = F.pad(v, (0, 1), value=1.0)
    pieces = []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        pieces.append((q @ k.mT).tril() @ values)
    sums = torch.cat(pieces, -2)
    return sums[..., :-1] / sums[..., -1:]


@causal_attention.misconception(
    "You kept only the last chunk in the state; it has to be the sum over all earlier chunks.",
    name="last-chunk-alone",
)
def _(qf, kf, v, chunk):
    v = F.pad(v, (0, 1), value=1.0)
    state, pieces = torch.zeros_like(kf[..., :1, :].mT @ v[..., :1, :]), []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        pieces.append((q @ k.mT).tril() @ values + q @ state)
        state = k.mT @ values
    sums = torch.cat(pieces, -2)
    return sums[..., :-1] / sums[..., -1:]


@causal_attention.misconception(
    "You added the chunk to the state before its queries read the state, so the chunk's keys count twice and later "
    "ones are seen; add it afterwards.",
    name="state-updated-too-early",
)
def _(qf, kf, v, chunk):
    v = F.pad(v, (0, 1), value=1.0)
    state, pieces = 0.0, []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        state = state + k.mT @ values
        pieces.append((q @ k.mT).tril() @ values + q @ state)
    sums = torch.cat(pieces, -2)
    return sums[..., :-1] / sums[..., -1:]


@causal_attention.misconception(
    "You divided by the sum of the chunk's own weights. The keys of earlier chunks are in the numerator, so they "
    "belong in the denominator too.",
    name="denominator-of-the-chunk",
)
def _(qf, kf, v, chunk):
    state, pieces = torch.zeros_like(kf[..., :1, :].mT @ v[..., :1, :]), []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        inside = (q @ k.mT).tril()
        pieces.append((inside @ values + q @ state) / inside.sum(-1, keepdim=True))
        state = state + k.mT @ values
    return torch.cat(pieces, -2)


@causal_attention.misconception(
    "You divided by the sum over all keys of the text, later ones too. That is a leak, and the weights of a row do "
    "not add up to 1; sum only over the keys up to i.",
    name="denominator-of-the-text",
)
def _(qf, kf, v, chunk):
    state, pieces = torch.zeros_like(kf[..., :1, :].mT @ v[..., :1, :]), []
    for q, k, values in zip(qf.split(chunk, -2), kf.split(chunk, -2), v.split(chunk, -2), strict=True):
        pieces.append((q @ k.mT).tril() @ values + q @ state)
        state = state + k.mT @ values
    return torch.cat(pieces, -2) / (qf @ kf.sum(-2).unsqueeze(-1))


@causal_attention.also_correct
def _(qf, kf, v, chunk):
    out, numerator, denominator = [], 0.0, 0.0
    for start in range(0, qf.shape[-2], chunk):
        q, k, u = (part[..., start : start + chunk, :] for part in (qf, kf, v))
        mask = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).tril()
        inside = torch.einsum("...im,...jm->...ij", q, k).masked_fill(~mask, 0.0)
        above, below = inside @ u, inside.sum(-1)
        if start:
            above = above + torch.einsum("...im,...md->...id", q, numerator)
            below = below + torch.einsum("...im,...m->...i", q, denominator)
        out.append(above / below[..., None])
        numerator = numerator + torch.einsum("...jm,...jd->...md", k, u)
        denominator = denominator + k.sum(-2)
    return torch.cat(out, dim=-2)


@causal_attention.also_correct
def _(qf, kf, v, chunk):
    rows = []
    state = (kf[..., 0, :, None] * v[..., 0, None, :]) * 0
    total = kf[..., 0, :] * 0
    for i in range(qf.shape[-2]):
        q, k, value = qf[..., i, :], kf[..., i, :], v[..., i, :]
        state = state + k[..., :, None] * value[..., None, :]
        total = total + k
        rows.append((q[..., None, :] @ state).squeeze(-2) / (q * total).sum(-1, keepdim=True))
    return torch.stack(rows, -2)
