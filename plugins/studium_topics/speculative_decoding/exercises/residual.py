import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="derive",
    hints=(
        "Token x comes out if it is drafted and kept, or as the replacement of a rejected token. How much of p(x) does "
        "the first way bring already?",
        "The first way brings the smaller of p(x) and q(x). The replacement has to bring the rest of p(x), for every x "
        "at once.",
        "The rest is (..., V) and sums to the probability of a rejection over the last axis; a distribution sums to 1.",
        "`(p - q).clamp(min=0)` is the rest; divide by its `sum(-1, keepdim=True)` where that is not 0.",
    ),
)
def residual(p, q):
    """Return the distribution from which a rejected token is replaced.

    A token x is drafted from q and kept with probability min(1, p(x) / q(x)); otherwise a token drawn from your
    distribution takes its place. The token that comes out must have the distribution p, exactly.

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
    p = torch.randn(3, 5, generator=rng, dtype=torch.float64).softmax(-1)
    q = p.clone()
    q[1] = p[1].flip(0)
    found = torch.as_tensor(residual(p, q))
    assert found.isfinite().all(), "rows in which p equals q must be finite, not nan"
    assert (found >= 0).all(), "no probability may be negative"
    assert_close(found.sum(-1), torch.ones(3, dtype=found.dtype), message="each row sums to 1, also where p equals q")


@residual.misconception(
    "You replaced a rejected token by one from p. Tokens that the draft proposes too rarely then come out too rarely, "
    "because the accepted tokens have already brought a part of p.",
    name="from-target",
)
def _(p, q):
    return p.clone()


@residual.misconception(
    "You took |p - q|. Tokens that the draft proposes too often need no further probability: only where p exceeds q is "
    "something missing.",
    name="absolute-difference",
)
def _(p, q):
    gap = (p - q).abs()
    total = gap.sum(-1, keepdim=True)
    return torch.where(total > 0, gap / total, p)


@residual.misconception(
    "You did not divide by the sum, so that the entries add up to the probability of a rejection and not to 1.",
    name="not-normalised",
)
def _(p, q):
    return (p - q).clamp(min=0)


residual.mistake(
    "wrong-sign",
    "You took q - p, which is what the draft has too much of; the replacement brings what it has too little of.",
    replace="p - q",
    by="q - p",
)


@residual.misconception(
    "Where p equals q you divided 0 by 0, which is nan. It is never needed there, but nan breaks whatever reads it.",
    name="nan-where-equal",
)
def _(p, q):
    rest = (p - q).clamp(min=0)
    return rest / rest.sum(-1, keepdim=True)


@residual.misconception(
    "You divided by the sum over all rows; each row is a distribution of its own, so sum over the last axis alone.",
    name="normalised-over-all",
)
def _(p, q):
    rest = (p - q).clamp(min=0)
    total = rest.sum()
    return rest / total if total > 0 else p.clone()


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
