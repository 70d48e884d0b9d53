import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "How is the sum of the squares of a matrix's entries related to its singular values?",
        "The squares of the singular values add up to the energy, and the best approximation of a given rank keeps "
        "the largest of them.",
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
    "You added up the singular values themselves; the energy is the sum of their squares.", name="values-not-squared"
)
def _(p, rank):
    s = torch.linalg.svdvals(p)
    return s[..., :rank].sum(-1) / s.sum(-1)


kept_energy.mistake(
    "lost-share",
    "You returned the share that is lost, the energy of the tail; return the share that is kept.",
    replace="energy[..., :rank]",
    by="energy[..., rank:]",
)

kept_energy.mistake(
    "ratio-of-norms",
    "You took the square root of the share, which is a ratio of norms; leave the root out, because an energy is a sum "
    "of squares.",
    replace="energy[..., :rank].sum(-1) / energy.sum(-1)",
    by="(energy[..., :rank].sum(-1) / energy.sum(-1)).sqrt()",
)

kept_energy.mistake(
    "all-matrices-together",
    "You divided by the energy of all matrices together; divide by the energy of each matrix instead.",
    replace="energy.sum(-1)",
    by="energy.sum()",
)

kept_energy.mistake(
    "smallest-values",
    "You kept the smallest singular values; keep the largest, which come first.",
    replace="torch.linalg.svdvals(p).square()",
    by="torch.linalg.svdvals(p).square().flip(-1)",
)

kept_energy.mistake(
    "one-value-too-many",
    "You kept one value too many: rank r keeps the values 0 to r - 1, which is the slice `:rank`.",
    replace="energy[..., :rank]",
    by="energy[..., : rank + 1]",
)


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
