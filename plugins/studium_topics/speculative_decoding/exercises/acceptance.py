import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=3,
    kind="derive",
    hints=(
        "With what probability is the token x drafted and then kept?",
        "Sum over x the product of two probabilities: that x is drafted, and that x is then kept. The product is "
        "simpler than its factors.",
        "p and q are (..., V); summing over the last axis leaves (...).",
        "`torch.minimum(p, q)` holds the probability that x is drafted and kept.",
    ),
)
def acceptance(p, q):
    """Return the probability that a drafted token is kept.

    The token x is drawn from the draft's distribution q. It is kept with probability 1 if p(x) >= q(x), and with
    probability p(x) / q(x) otherwise, where p is the target's distribution.

    * p, q (..., V): each sums to 1 over the last axis; some entries may be 0.

    Return (...), one probability for each pair of distributions.
    """
    ### BEGIN SOLUTION
    return torch.minimum(p, q).sum(-1)
    ### END SOLUTION


@acceptance.test("weighs each token by how often it is drafted", points=1)
def _(acceptance):
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    found = acceptance(p, q)
    assert_close(found, torch.tensor(0.6), message="for p = (.5, .3, .2) and q = (.2, .2, .6)")


@acceptance.hidden("agrees with the sum over all tokens, also where some are impossible", points=1)
def _(acceptance, rng):
    for shape in ((3, 5), (2, 4, 7), (6,)):
        p, q = (torch.randn(*shape, generator=rng, dtype=torch.float64).mul(2).softmax(-1) for _ in range(2))
        p[..., 1], q[..., 3] = 0, 0
        p[..., 4] = q[..., 4] = 0
        p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
        size = shape[-1]
        expected = torch.tensor(
            [
                sum(b * min(1.0, a / b) for a, b in zip(one, other, strict=True) if b > 0)
                for one, other in zip(p.view(-1, size).tolist(), q.view(-1, size).tolist(), strict=True)
            ],
            dtype=torch.float64,
        ).view(shape[:-1])
        assert_close(acceptance(p, q), expected, rtol=1e-5, atol=1e-6, message=f"for distributions of shape {shape}")
    assert_close(acceptance(p, p), torch.tensor(1.0, dtype=torch.float64), message="for p = q")


acceptance.mistake(
    "tokens-alike",
    "You averaged the probability of being kept over all tokens equally; tokens are drafted with probability q, so "
    "weight each one by q.",
    replace="torch.minimum(p, q).sum(-1)",
    by="torch.where(q > 0, (p / q).clamp(max=1), torch.ones_like(q)).mean(-1)",
)

acceptance.mistake(
    "two-draws-agree",
    "You computed the probability that two independent draws, one from p and one from q, give the same token. Here "
    "only one token is drawn, and p just decides whether to keep it.",
    replace="torch.minimum(p, q)",
    by="(p * q)",
)

acceptance.mistake(
    "rejection-instead",
    "You computed the total variation distance, half the sum of |p - q|. That is the probability of a rejection; "
    "subtract it from 1.",
    replace="torch.minimum(p, q).sum(-1)",
    by="(p - q).abs().sum(-1) / 2",
)

acceptance.mistake(
    "weighed-by-target",
    "You weighted the tokens by p; the draft draws them, so weight them by q.",
    replace="torch.minimum(p, q)",
    by="(p * torch.where(q > 0, (p / q).clamp(max=1), torch.ones_like(q)))",
)

acceptance.mistake(
    "divided-by-zero",
    "You divided p by q even at tokens that the draft never draws. There 0 / 0 gives nan, and the sum becomes nan too.",
    replace="torch.minimum(p, q)",
    by="(q * (p / q).clamp(max=1))",
)


@acceptance.also_correct
def _(p, q):
    return 1 - (p - q).abs().sum(-1) / 2


@acceptance.also_correct
def _(p, q):
    kept = torch.where(q > 0, p / torch.where(q > 0, q, 1), 0).clamp(max=1)
    return torch.einsum("...v,...v->...", q, kept)
