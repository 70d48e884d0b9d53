import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="derive",
    hints=(
        "Token x comes out if it is drafted and kept, or if it replaces a rejected token. How much of p(x) does the "
        "first way already supply?",
        "The first way supplies the smaller of p(x) and q(x). The replacement has to supply the rest of p(x), for "
        "every x at once.",
        "The rest is (..., V), and its sum over the last axis is the probability of a rejection; a distribution sums "
        "to 1.",
        "`(p - q).clamp(min=0)` is the rest; divide by its `sum(-1, keepdim=True)` where that is not 0.",
    ),
)
def residual(p, q):
    """Return the distribution from which we draw the replacement of a rejected token.

    A token x is drafted from q and kept with probability min(1, p(x) / q(x)); otherwise a token drawn from your
    distribution takes its place. The token that comes out must have exactly the distribution p.

    * p, q (..., V): distributions over the last axis; they stay as they are.

    Return (..., V). Where p equals q nothing is ever rejected; return any distribution there, without nan.
    """
    ### BEGIN SOLUTION
    rest = (p - q).clamp(min=0)
    total = rest.sum(-1, keepdim=True)  # the probability of a rejection
    return torch.where(total > 0, rest / total, p)
    ### END SOLUTION


@residual.test("brings what the draft has too little of", points=1)
def _(residual):
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    found = residual(p, q)
    assert_close(found, torch.tensor([0.75, 0.25, 0.0]), message="for p = (.5, .3, .2) and q = (.2, .2, .6)")


@residual.hidden("makes what comes out the target's, in every row", points=2)
def _(residual, rng):
    for shape in ((4, 3), (2, 3, 6), (5,)):
        p, q = (torch.randn(*shape, generator=rng, dtype=torch.float64).mul(2).softmax(-1) for _ in range(2))
        before = p.clone(), q.clone()
        found = torch.as_tensor(residual(p, q))
        assert torch.equal(p, before[0]), "the argument p must stay as it is"
        assert torch.equal(q, before[1]), "the argument q must stay as it is"
        assert tuple(found.shape) == shape, f"for distributions {shape} a tensor of that shape is needed"
        kept = torch.minimum(p, q)
        out = kept + (1 - kept.sum(-1, keepdim=True)) * found
        assert_close(out, p, rtol=1e-5, atol=1e-6, message=f"the distribution of what comes out, shape {shape}")
        assert_close(found.sum(-1), torch.ones(shape[:-1], dtype=found.dtype), message="each distribution sums to 1")


@residual.hidden("stays a distribution where nothing is rejected", points=1)
def _(residual, rng):
    p = torch.randn(4, 5, generator=rng, dtype=torch.float64).softmax(-1)
    q = p.clone()
    q[1], q[3] = p[1].flip(0), p[3].roll(1)
    found = torch.as_tensor(residual(p, q))
    assert found.isfinite().all(), "rows in which p equals q must be finite, not nan"
    assert (found >= 0).all(), "no probability may be negative"
    assert_close(found.sum(-1), torch.ones(4, dtype=found.dtype), message="each row sums to 1, also where p equals q")


@residual.misconception(
    "You replaced a rejected token with a draw from p. The accepted tokens have already supplied a part of p, so "
    "tokens that the draft proposes too rarely still come out too rarely.",
    name="from-target",
)
def _(p, q):
    return p.clone()


@residual.misconception(
    "You took |p - q|. Tokens that the draft proposes too often need no more probability: something is missing only "
    "where p exceeds q.",
    name="absolute-difference",
)
def _(p, q):
    gap = (p - q).abs()
    total = gap.sum(-1, keepdim=True)
    return torch.where(total > 0, gap / total, p)


@residual.misconception(
    "You did not divide by the sum, so the entries add up to the probability of a rejection and not to 1.",
    name="not-normalised",
)
def _(p, q):
    return (p - q).clamp(min=0)


residual.mistake(
    "wrong-sign",
    "You took q - p, where the draft has too much probability; the replacement supplies what the draft has too little "
    "of, so take p - q.",
    replace="p - q",
    by="q - p",
)


@residual.misconception(
    "Where p equals q you divided 0 by 0, which gives nan. Such a row is never needed, but nan breaks whatever reads "
    "it; return any distribution there.",
    name="nan-where-equal",
)
def _(p, q):
    rest = (p - q).clamp(min=0)
    return rest / rest.sum(-1, keepdim=True)


@residual.misconception(
    "You divided by the sum over all rows; each row is a separate distribution, so sum only over the last axis.",
    name="normalised-over-all",
)
def _(p, q):
    rest = (p - q).clamp(min=0)
    total = rest.sum()
    return rest / total if total > 0 else p.clone()


@residual.misconception(
    "You returned zeros where p equals q, which is no distribution; return any distribution there, such as p.",
    name="zeros-where-equal",
)
def _(p, q):
    rest = (p - q).clamp(min=0)
    return rest / rest.sum(-1, keepdim=True).clamp(min=1e-12)


@residual.also_correct
def _(p, q):
    rest = torch.relu(p - q)
    total = rest.sum(dim=-1, keepdim=True)
    uniform = torch.full_like(p, 1 / p.shape[-1])
    return torch.where(total == 0, uniform, rest / total.clamp(min=1e-30))


@residual.also_correct
def _(p, q):
    rest = p - torch.minimum(p, q)
    rejected = 1 - torch.minimum(p, q).sum(-1, keepdim=True)
    return torch.where((p == q).all(-1, keepdim=True), p, rest / rejected)
