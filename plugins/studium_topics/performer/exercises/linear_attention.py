import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "You have to multiply three matrices. Which of the two products should you compute first, to avoid a table "
        "with n rows and n columns?",
        "The sum of a row of weights is a product too: the query's features times the sum of all keys' features.",
        "Keys and values make one (m, dv) matrix, and the keys by themselves make one (m,) vector; the queries read "
        "both.",
        "`kf.mT @ v` is the matrix, and `kf.sum(-2)` is the vector.",
    ),
)
def linear_attention(qf, kf, v):
    """Return attention whose weights are products of features.

    Query i gives key j the weight qf_i · kf_j, divided by the sum of its weights over all keys.

    * qf (..., n, m), kf (..., s, m): features of the queries and of the keys, of any sign
    * v (..., s, dv): values; they stay as they are
    * returns: the weighted means of the values, (..., n, dv)

    No tensor may hold n · s numbers.
    """
    ### BEGIN SOLUTION
    mixed = qf @ (kf.mT @ v)  # (..., n, dv)
    total = qf @ kf.sum(-2).unsqueeze(-1)  # (..., n, 1)
    return mixed / total
    ### END SOLUTION


@linear_attention.test("takes the weighted mean of the values", points=1)
def _(linear_attention):
    qf = torch.tensor([[1.0, 2.0], [0.5, 0.0], [3.0, 1.0]], dtype=torch.float64)
    kf = torch.tensor([[2.0, 1.0], [1.0, 5.0]], dtype=torch.float64)
    v = torch.tensor([[1.0, 0.0, 4.0], [3.0, -2.0, 0.0]], dtype=torch.float64)
    weights = torch.tensor([[4.0, 11.0], [1.0, 0.5], [7.0, 8.0]], dtype=torch.float64)
    expected = weights / weights.sum(1, keepdim=True) @ v
    assert_close(linear_attention(qf, kf, v), expected, rtol=1e-9, atol=1e-9, message="three queries, two keys")


@linear_attention.hidden("is exact for all sizes and for batches of heads", points=1)
def _(linear_attention, rng):
    for batch, n, s, m, dv in (((), 5, 7, 3, 2), ((2, 3), 4, 6, 5, 3), ((3,), 1, 9, 2, 4), ((), 6, 1, 4, 5)):
        qf = torch.rand(*batch, n, m, generator=rng, dtype=torch.float64) + 0.1
        kf = torch.rand(*batch, s, m, generator=rng, dtype=torch.float64) + 0.1
        v = torch.randn(*batch, s, dv, generator=rng, dtype=torch.float64)
        weights = torch.einsum("...im,...jm->...ij", qf, kf)
        expected = torch.einsum("...ij,...jd->...id", weights / weights.sum(-1, keepdim=True), v)
        kept = [part.clone() for part in (qf, kf, v)]
        what = f"{n} queries, {s} keys, {m} features, batch {batch}"
        assert_close(linear_attention(qf, kf, v), expected, rtol=1e-9, atol=1e-9, message=what)
        assert all(map(torch.equal, kept, (qf, kf, v))), "qf, kf and v must stay as they are"
        what += ", all weights negative"
        assert_close(linear_attention(-qf, kf, v), expected, rtol=1e-9, atol=1e-9, message=what)


@linear_attention.hidden("makes no table of queries by keys", points=1)
def _(linear_attention, rng):
    qf, kf, v = (torch.rand(size, width, generator=rng) for size, width in ((5500, 5), (6500, 5), (6500, 7)))
    with at_most_mb(32, "5500 queries by 6500 keys are 136 MB: multiply in another order"):
        found = linear_attention(qf, kf, v)
    weights = qf[::50].double() @ kf.double().T
    expected = weights / weights.sum(1, keepdim=True) @ v.double()
    assert_close(found[::50].double(), expected, rtol=1e-4, atol=1e-4, message="5500 queries, 6500 keys, in float32")


@linear_attention.misconception(
    "You did not divide by the sum of the weights, so the result is a sum of values that grows with the number of "
    "keys; attention is a mean.",
    name="no-denominator",
)
def _(qf, kf, v):
    return qf @ (kf.mT @ v)


@linear_attention.misconception(
    "You divided by the sum of the query's own features, which ignores the keys. The sum of the weights is the "
    "query's features times the summed features of all keys.",
    name="summed-the-features",
)
def _(qf, kf, v):
    return qf @ (kf.mT @ v) / qf.sum(-1, keepdim=True)


@linear_attention.misconception(
    "You took a softmax over the products of features. These products are the weights already: the exponential is "
    "inside the features, and a second one gives a different attention.",
    name="softmax-on-top",
)
def _(qf, kf, v):
    return (qf @ kf.mT).softmax(-1) @ v


@linear_attention.misconception(
    "You divided by the number of keys, as if each query's weights had mean 1. Their sum differs from query to query, "
    "so divide by that.",
    name="divided-by-the-count",
)
def _(qf, kf, v):
    return qf @ (kf.mT @ v) / kf.shape[-2]


@linear_attention.also_correct
def _(qf, kf, v):
    both = qf @ (kf.mT @ F.pad(v, (0, 1), value=1.0))
    return both[..., :-1] / both[..., -1:]


@linear_attention.also_correct
def _(qf, kf, v):
    total = torch.einsum("...nm,...m->...n", qf, kf.sum(dim=-2))
    return torch.einsum("...nm,...md->...nd", qf, torch.einsum("...sm,...sd->...md", kf, v)) / total[..., None]
