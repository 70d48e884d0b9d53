"""Exercises: attention without its square, positive features and their variance, orthogonal draws, a causal decoder."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise

from studium_topics.performer.model import decoder

# -------------------------------------------------------------------------------------------- linear_attention


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Three matrices are multiplied. Which of the two products should be made first, so that none has n rows and n "
        "columns?",
        "The sum of a row of weights is a product, too: that of the query's features with the sum of all keys' "
        "features.",
        "Keys and values make one (m, dv) matrix, the keys alone one (m,) vector; the queries read both.",
        "`kf.mT @ v` is the matrix, and `kf.sum(-2)` the vector.",
    ),
)
def linear_attention(qf, kf, v):
    """Return attention whose weights are products of features.

    Query i gives key j the weight qf_i · kf_j, divided by the sum of its weights over all keys.

    * qf (..., n, m), kf (..., s, m): features of the queries and of the keys, of any sign
    * v (..., s, dv): values
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
    "You did not divide by the sum of the weights, so the result is a sum of values and grows with the number of keys; "
    "attention is a mean.",
    name="no-denominator",
)
def _(qf, kf, v):
    return qf @ (kf.mT @ v)


@linear_attention.misconception(
    "You divided by the sum of the query's own features, which ignores the keys; the sum of the weights is the query's "
    "features times the summed features of all keys.",
    name="summed-the-features",
)
def _(qf, kf, v):
    return qf @ (kf.mT @ v) / qf.sum(-1, keepdim=True)


@linear_attention.misconception(
    "You took a softmax over the products of features. They are the weights already: the exponential is in the "
    "features, and a second one gives a different attention.",
    name="softmax-on-top",
)
def _(qf, kf, v):
    return (qf @ kf.mT).softmax(-1) @ v


@linear_attention.misconception(
    "You divided by the number of keys, as if each query's weights had mean 1; their sum differs from query to query.",
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


# ------------------------------------------------------------------------------------------------ log_features


@exercise(
    points=4,
    minutes=15,
    importance=3,
    kind="derive",
    hints=(
        "Write the mean of the product of one feature of q and the same feature of k. Which single vector does w meet "
        "in it?",
        "w meets q + k. Take the mean with the formula of the lesson, expand the squared length of q + k, and see "
        "which two factors are too much.",
        "x is (..., n, d) and w (m, d): the products are (..., n, m), and c has one number a vector, (..., n, 1).",
        "Each of the two factors belongs to one vector alone, and is made of `x.square().sum(-1, keepdim=True)`. "
        "Do not forget the logarithm of √m.",
    ),
)
def log_features(x, w):
    """Return the logarithms of m positive features of each vector.

    The features of x are exp(w_i · x + c(x)) / √m for i = 1 … m, where c(x) depends on x alone.
    Derive c: for all q and k, the product φ(q) · φ(k) has to have the mean exp(q · k), if the
    numbers in w are independent and standard normal.

    * x (..., n, d): vectors
    * w (m, d): the random vectors
    * returns: (..., n, m), the logarithms, finite for any x
    """
    ### BEGIN SOLUTION
    projected = x @ w.mT  # (..., n, m)
    half = x.square().sum(-1, keepdim=True) / 2
    return projected - half - math.log(len(w)) / 2
    ### END SOLUTION


@log_features.test("has products with the mean exp(q · k)", points=1)
def _(log_features):
    # Gauss and Hermite's rule: these 24 × 24 points, with these weights, replace the mean over all random w
    points, shares = np.polynomial.hermite_e.hermegauss(24)
    w = torch.cartesian_prod(torch.tensor(points), torch.tensor(points))
    share = torch.outer(torch.tensor(shares), torch.tensor(shares)).flatten() / (2 * math.pi)
    x = torch.tensor([[0.4, -0.9], [1.1, 0.3], [-0.7, 0.2]], dtype=torch.float64)
    products = torch.exp(log_features(x[:1], w) + log_features(x[1:], w))  # (2, m)
    means = (products * share * len(w)).sum(-1)
    assert_close(means, torch.exp(x[1:] @ x[0]), rtol=1e-8, atol=1e-8, message="the mean of φ(q) · φ(k) for two keys k")


@log_features.hidden("is unbiased in any dimension, for vectors of any length", points=1)
def _(log_features, rng):
    points, shares = np.polynomial.hermite_e.hermegauss(60)
    for d, size in ((1, 1.5), (3, 0.8), (5, 0.5), (2, 2.0)):
        q, k = size * torch.randn(2, d, generator=rng, dtype=torch.float64)
        unit = (q + k) / (q + k).norm()  # the product depends on w along q + k alone
        w = torch.outer(torch.tensor(points), unit)
        products = torch.exp(log_features(q[None], w) + log_features(k[None], w))[0]
        mean = (products * torch.tensor(shares)).sum() * len(w) / math.sqrt(2 * math.pi)
        assert_close(mean, torch.exp(q @ k), rtol=1e-6, atol=1e-6, message=f"the mean for vectors of {d} numbers")


@log_features.hidden("is the same feature for each row, with no variance where k = -q", points=1)
def _(log_features, rng):
    for batch, n, d, m in (((), 4, 3, 5), ((2, 3), 3, 4, 7), ((2,), 1, 2, 6)):
        x = torch.randn(*batch, n, d, generator=rng, dtype=torch.float64)
        w = torch.randn(m, d, generator=rng, dtype=torch.float64)
        logs = log_features(x, w)
        assert logs.shape == (*batch, n, m), f"the features of {(*batch, n, d)} need shape {(*batch, n, m)}"
        total = torch.exp(logs + log_features(-x, w)).sum(-1)
        expected = torch.exp(-x.square().sum(-1))
        assert_close(total, expected, rtol=1e-9, atol=1e-9, message="φ(x) · φ(-x), which is exp(-|x|²) for any w")
        ratio = logs[..., :1] - logs
        turned = torch.einsum("...nd,md->...nm", x, w[:1] - w)
        assert_close(ratio, turned, rtol=1e-9, atol=1e-9, message="one feature's logarithm minus another's")


@log_features.hidden("stays finite for long vectors, and has a gradient", points=1)
def _(log_features, rng):
    x = 60 * torch.randn(3, 4, generator=rng)
    w = torch.randn(6, 4, generator=rng)
    logs = log_features(x, w)
    assert torch.isfinite(logs).all(), "logarithms of features are finite where the features themselves underflow"
    assert_close(
        torch.logsumexp(logs.double() + log_features(-x, w).double(), -1), -x.double().square().sum(-1),
        rtol=1e-4, atol=1e-2, message="the logarithm of φ(x) · φ(-x) for long x",
    )  # fmt: skip
    x = torch.randn(2, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    w = torch.randn(3, 4, generator=rng, dtype=torch.float64)
    (found,) = torch.autograd.grad(log_features(x, w).sum(), x, allow_unused=True)
    assert found is not None, "the result does not depend on x as far as autograd can see"
    assert_close(found, w.sum(0) - 3 * x, rtol=1e-9, atol=1e-9, message="the gradient of the sum for x")


@log_features.misconception(
    "You left c out. The mean of the product is then exp(|q + k|² / 2), which has |q|² and |k|² in it; c has to take "
    "them out again.",
    name="no-length-term",
)
def _(x, w):
    return (x @ w.mT - math.log(len(w)) / 2).expand(*x.shape[:-1], len(w))


@log_features.misconception(
    "You added half the squared length where it has to be subtracted: the plus sign belongs to sine-cosine features, "
    "whose mean without it is too small.",
    name="plus-instead-of-minus",
)
def _(x, w):
    return x @ w.mT + x.square().sum(-1, keepdim=True) / 2 - math.log(len(w)) / 2


@log_features.misconception(
    "You took half the length, not half the *squared* length of x.",
    name="length-not-squared",
)
def _(x, w):
    return x @ w.mT - x.norm(dim=-1, keepdim=True) / 2 - math.log(len(w)) / 2


@log_features.misconception(
    "You subtracted the whole squared length. What is too much is half of |q|² and half of |k|², no more.",
    name="length-not-halved",
)
def _(x, w):
    return x @ w.mT - x.square().sum(-1, keepdim=True) - math.log(len(w)) / 2


@log_features.misconception(
    "You divided the features by m. A product has two of them, so each is divided by √m, that is ln(m)/2 in the "
    "logarithm.",
    name="divided-by-m",
)
def _(x, w):
    return x @ w.mT - x.square().sum(-1, keepdim=True) / 2 - math.log(len(w))


@log_features.misconception(
    "You left the 1/√m out: the sum over m features is then m times too large, where their mean is meant.",
    name="sum-instead-of-mean",
)
def _(x, w):
    return x @ w.mT - x.square().sum(-1, keepdim=True) / 2


@log_features.misconception(
    "You subtracted half the squared length of w. The mean over w has that factor already, in the normal density; what "
    "is left over depends on x.",
    name="length-of-w",
)
def _(x, w):
    return x @ w.mT - w.square().sum(-1) / 2 - math.log(len(w)) / 2


@log_features.also_correct
def _(x, w):
    m = w.shape[0]
    return torch.einsum("...nd,md->...nm", x, w) - 0.5 * (x * x).sum(dim=-1)[..., None] - 0.5 * math.log(m)


@log_features.also_correct
def _(x, w):
    return torch.stack([(x * row).sum(-1) - x.pow(2).sum(-1) / 2 for row in w], -1) - math.log(math.sqrt(len(w)))


# ---------------------------------------------------------------------------------------------------- variance


@exercise(
    points=4,
    minutes=20,
    importance=2,
    kind="derive",
    hints=(
        "A mean of m independent terms: how does its variance follow from that of one term?",
        "The variance of one term is the mean of its square minus the square of its mean, and both means are those of "
        "an exponential or a cosine of one normal number.",
        "w · (q + k) is normal with variance |q + k|², w · (q - k) with |q - k|². For a cosine, cos² u is "
        "(1 + cos 2u)/2, and the mean of cos(u) is exp(-s²/2) if u has variance s².",
        "`(q + k).square().sum(-1)` is one of the two variances. Check yourself: k = -q has to give 0 for positive "
        "features, and k = q has to give 0 for sine-cosine features.",
    ),
)
def variance(q, k, m, kind):
    """Return the variance of an estimate of exp(q · k) from m independent random vectors.

    The estimate is the mean over w_1 … w_m, whose numbers are standard normal, of

    * "positive": exp(w · (q + k)) exp(-(|q|² + |k|²) / 2)
    * "sine-cosine": cos(w · (q - k)) exp((|q|² + |k|²) / 2)

    Both are unbiased. Derive their variances.

    * q, k (..., d): any number of pairs; kind: one of the two names
    * returns: (...), a variance for each pair
    """
    ### BEGIN SOLUTION
    sizes = q.square().sum(-1) + k.square().sum(-1)
    mean = torch.exp((q * k).sum(-1))
    if kind == "positive":
        square = torch.exp(2 * (q + k).square().sum(-1) - sizes)
    else:
        square = torch.exp(sizes) * (1 + torch.exp(-2 * (q - k).square().sum(-1))) / 2
    return (square - mean.square()) / m
    ### END SOLUTION


@variance.test("is that of positive features", points=1)
def _(variance):
    points, shares = np.polynomial.hermite_e.hermegauss(80)
    q = torch.tensor([[0.5, -0.2, 0.7], [0.1, 0.9, -0.3]], dtype=torch.float64)
    k = torch.tensor([[0.3, 0.4, 0.1], [0.6, 0.2, 0.5]], dtype=torch.float64)
    spread = (q + k).norm(dim=-1, keepdim=True)  # w · (q + k) is normal with this standard deviation
    share = torch.tensor(shares) / math.sqrt(2 * math.pi)
    terms = torch.exp(spread * torch.tensor(points) - (q.square() + k.square()).sum(-1, keepdim=True) / 2)
    expected = (terms.square() * share).sum(-1) - (terms * share).sum(-1) ** 2
    assert_close(variance(q, k, 5, "positive"), expected / 5, rtol=1e-7, atol=1e-9, message="m = 5")
    assert_close(variance(q, k, 1, "positive"), expected, rtol=1e-7, atol=1e-9, message="m = 1")


@variance.hidden("is that of both kinds, for pairs near, far and opposite", points=2)
def _(variance, rng):
    points, shares = np.polynomial.hermite_e.hermegauss(120)
    share = torch.tensor(shares) / math.sqrt(2 * math.pi)
    for kind in ("positive", "sine-cosine"):
        for shape, size in (((4, 3), 0.5), ((2, 3, 5), 0.3), ((6,), 0.4), ((5, 2), 0.8)):
            q = size * torch.randn(*shape, generator=rng, dtype=torch.float64)
            k = size * torch.randn(*shape, generator=rng, dtype=torch.float64)
            half = ((q.square() + k.square()).sum(-1) / 2)[..., None]
            if kind == "positive":
                terms = torch.exp((q + k).norm(dim=-1)[..., None] * torch.tensor(points) - half)
            else:
                terms = torch.cos((q - k).norm(dim=-1)[..., None] * torch.tensor(points)) * torch.exp(half)
            expected = (terms.square() * share).sum(-1) - (terms * share).sum(-1) ** 2
            for m in (3, 16):
                found = variance(q, k, m, kind)
                assert_close(found, expected / m, rtol=1e-6, atol=1e-9, message=f"{kind}, m = {m}, q of shape {shape}")


@variance.hidden("vanishes for k = -q and for k = q, each with its own kind", points=1)
def _(variance, rng):
    q = torch.randn(5, 4, generator=rng, dtype=torch.float64)
    zero = torch.zeros(5, dtype=torch.float64)
    for kind, near, far in (("positive", -q, q), ("sine-cosine", q, -q)):
        mean = torch.exp((q * near).sum(-1))
        assert_close(variance(q, near, 7, kind) / mean**2, zero, rtol=0, atol=1e-8, message=f"{kind}: no variance here")
        relative = variance(q, far, 7, kind) / torch.exp(2 * (q * far).sum(-1))
        assert (relative > 1e-3).all(), f"{kind}: for the opposite pairs the variance is not 0, got {relative.tolist()}"


@variance.misconception(
    "You returned the mean of the square alone; the variance is that minus the square of the mean.",
    name="second-moment",
)
def _(q, k, m, kind):
    sizes = q.square().sum(-1) + k.square().sum(-1)
    if kind == "positive":
        return torch.exp(2 * (q + k).square().sum(-1) - sizes) / m
    return torch.exp(sizes) * (1 + torch.exp(-2 * (q - k).square().sum(-1))) / 2 / m


@variance.misconception(
    "You returned the variance of a single term. The mean of m independent terms has a variance m times smaller.",
    name="not-divided-by-m",
)
def _(q, k, m, kind):
    return m * variance(q, k, m, kind)


@variance.misconception(
    "You returned a standard deviation; the variance is its square, and it is the variance that falls as 1/m.",
    name="standard-deviation",
)
def _(q, k, m, kind):
    return variance(q, k, m, kind).clamp(min=0).sqrt()


@variance.misconception(
    "You used the mean of exp(u) for that of exp(2u): squaring doubles u, which makes the exponent of its mean *four* "
    "times as large.",
    name="doubled-once",
)
def _(q, k, m, kind):
    if kind != "positive":
        return variance(q, k, m, kind)
    sizes = q.square().sum(-1) + k.square().sum(-1)
    return (torch.exp((q + k).square().sum(-1) - sizes) - torch.exp(2 * (q * k).sum(-1))) / m


@variance.misconception(
    "You exchanged |q + k| and |q - k|: positive features meet the sum of the two vectors, and sine-cosine features "
    "their difference.",
    name="sum-and-difference-exchanged",
)
def _(q, k, m, kind):
    sizes = q.square().sum(-1) + k.square().sum(-1)
    mean = torch.exp((q * k).sum(-1))
    if kind == "positive":
        return (torch.exp(2 * (q - k).square().sum(-1) - sizes) - mean.square()) / m
    return (torch.exp(sizes) * (1 + torch.exp(-2 * (q + k).square().sum(-1))) / 2 - mean.square()) / m


@variance.misconception(
    "You divided by 2m, as if sine and cosine of the same w were two independent terms. Together they make one: "
    "cos(w · (q - k)).",
    name="two-terms-for-one",
)
def _(q, k, m, kind):
    return variance(q, k, m, kind) / (1 if kind == "positive" else 2)


@variance.also_correct
def _(q, k, m, kind):
    exact = torch.exp((q * k).sum(-1))
    apart, together = ((q - k) ** 2).sum(-1), ((q + k) ** 2).sum(-1)
    if kind == "positive":
        return torch.exp(together) * exact**2 * (1 - torch.exp(-together)) / m
    return torch.exp(together) / exact**2 * (1 - torch.exp(-apart)) ** 2 / (2 * m)


@variance.also_correct
def _(q, k, m, kind):
    sizes = torch.linalg.vector_norm(q, dim=-1) ** 2 + torch.linalg.vector_norm(k, dim=-1) ** 2
    product = torch.linalg.vecdot(q, k)
    if kind == "positive":
        return (torch.exp(2 * product) * torch.expm1(sizes + 2 * product)) / m
    return torch.exp(sizes) * torch.expm1(-(sizes - 2 * product)).square() / (2 * m)


# ------------------------------------------------------------------------------------------ orthogonal_gaussian


@exercise(
    points=5,
    minutes=15,
    importance=2,
    hints=(
        "How many vectors of d numbers can be orthogonal to each other, and what do you do when more are wanted?",
        "Orthogonalise a square normal matrix by QR, and give its directions lengths that normal vectors would have. "
        "Then look at the corner of Q over several draws: is its sign random?",
        "Each block is (d, d); lengths are (d,), one for each row; the blocks together are cut to (m, d).",
        "`torch.linalg.qr` chooses the signs of R's diagonal by itself: multiply the columns of Q by "
        "`r.diagonal().sign()`. A length is that of d fresh standard normal numbers.",
    ),
)
def orthogonal_gaussian(m, d, generator):
    """Return m random vectors, of which each by itself looks like d independent standard normal numbers.

    Rows 0 to d - 1 are orthogonal to each other, rows d to 2d - 1 again, and so on; the last
    block may be smaller. The blocks are independent of each other. Each row's direction is
    uniform, so that the mean of every entry is 0.
    The lengths are independent of the directions and of each other, and have the
    distribution of the length of d independent standard normal numbers.

    * m, d: ints of 1 or more
    * generator: a `torch.Generator`; everything random is drawn from it
    * returns: (m, d), float32
    """
    ### BEGIN SOLUTION
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        directions = (q * r.diagonal().sign()).mT
        lengths = torch.randn(d, d, generator=generator).norm(dim=1)
        blocks.append(directions * lengths[:, None])
    return torch.cat(blocks)[:m]
    ### END SOLUTION


orthogonal_gaussian.equivalent(
    "lengths = torch.randn(d, d, generator=generator).norm(dim=0)", "rows and columns are normal alike"
)
orthogonal_gaussian.equivalent("for _ in range(math.ceil(m)):", "the blocks that are too many are cut off")
orthogonal_gaussian.equivalent("for _ in range(math.ceil(m * d)):", "the blocks that are too many are cut off")
orthogonal_gaussian.equivalent(
    "directions = (q * r.diagonal().sign())", "the transpose of a uniform orthogonal matrix is one, too"
)
orthogonal_gaussian.equivalent("directions = (q / r.diagonal().sign()).mT", "a sign is its own inverse")


@orthogonal_gaussian.test("makes blocks of orthogonal rows, with lengths that differ", points=2)
def _(orthogonal_gaussian, rng):
    for m, d in ((5, 3), (8, 4), (3, 7), (9, 2)):
        w = orthogonal_gaussian(m, d, rng)
        assert w.shape == (m, d), f"m = {m} and d = {d} need shape {(m, d)}, got {tuple(w.shape)}"
        for start in range(0, m, d):
            block = w[start : start + d]
            products = block @ block.T
            off = products - torch.diag(products.diagonal())
            assert_close(off, torch.zeros_like(off), rtol=0, atol=1e-4, message=f"products of rows {start} and on")
    lengths = torch.stack([orthogonal_gaussian(6, 3, rng) for _ in range(20)]).norm(dim=-1)
    assert lengths.std() > 0.3, f"lengths of normal vectors differ from row to row; yours have std {lengths.std():.3f}"


@orthogonal_gaussian.hidden("has the lengths of normal vectors, independent of each other", points=1)
def _(orthogonal_gaussian, rng):
    m, d = 5, 4
    squares = torch.stack([orthogonal_gaussian(m, d, rng) for _ in range(150)]).square().sum(-1)  # (150, m)
    mean, spread = squares.mean(), squares.var()
    assert abs(mean - d) < 0.5, f"the mean of |w|² is d = {d} for normal vectors; yours is {mean:.2f}"
    assert abs(spread / (2 * d) - 1) < 0.45, (
        f"the variance of |w|² is 2d = {2 * d} for normal vectors; yours is {spread:.2f}"
    )
    largest = (torch.corrcoef(squares.T) - torch.eye(m)).abs().max()
    assert largest < 0.45, f"lengths of two rows are independent; yours have a correlation of {largest:.2f}"


@orthogonal_gaussian.hidden("has directions that are uniform, and orthogonal", points=1)
def _(orthogonal_gaussian, rng):
    for m, d in ((3, 3), (2, 5)):
        w = torch.stack([orthogonal_gaussian(m, d, rng) for _ in range(130)])  # (130, m, d)
        mean = w.mean(0).abs().max()
        assert mean < 0.5, (
            f"m = {m}, d = {d}: the mean of every entry is 0, and one of yours has mean {mean:.2f}, so that the "
            "estimate is biased; look at the signs"
        )
        worst = (w.square().mean(0) - 1).abs().max()
        assert worst < 0.75, f"m = {m}, d = {d}: the variance of every entry is 1, and one is off by {worst:.2f}"
        products = (w[:, 0] * w[:, 1]).sum(-1)
        assert_close(products, torch.zeros(130), rtol=0, atol=1e-4, message="products of rows 0 and 1, 130 draws")


@orthogonal_gaussian.hidden("draws from the generator alone, and new blocks each time", points=1)
def _(orthogonal_gaussian):
    one, other = (orthogonal_gaussian(7, 3, torch.Generator().manual_seed(seed)) for seed in (5, 5))
    assert_close(one, other, rtol=0, atol=0, message="two calls with generators of the same seed")
    assert one.dtype == torch.float32, f"float32 is needed, got {one.dtype}"
    generator = torch.Generator().manual_seed(5)
    w = torch.stack([orthogonal_gaussian(6, 3, generator) for _ in range(3)])
    assert not torch.allclose(w[0], w[1]), "a second call with the same generator gives other vectors"
    first, second = (block / block.norm(dim=-1, keepdim=True) for block in (w[:, :3], w[:, 3:]))
    assert not torch.allclose(first.abs(), second.abs(), atol=1e-4), "each block has directions of its own"


@orthogonal_gaussian.misconception(
    "You returned rows of length 1. A normal vector of d numbers has about the length √d, and the estimate needs it: "
    "exp(w · x) would hardly vary.",
    name="unit-lengths",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        blocks.append((q * r.diagonal().sign()).mT)
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.misconception(
    "You gave all rows the length √d. The mean of |w|² is right then, but the lengths of normal vectors vary, and "
    "without that the mean of the estimate is not exp(q · k).",
    name="fixed-lengths",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        blocks.append((q * r.diagonal().sign()).mT * math.sqrt(d))
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.misconception(
    "You used Q as QR returns it. Its signs are not random (the corner of Q always has the same one), so its "
    "directions are not uniform and the estimate is biased. Correct the signs by those of R's diagonal.",
    name="signs-of-qr",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, _r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        lengths = torch.randn(d, d, generator=generator).norm(dim=1)
        blocks.append(q.mT * lengths[:, None])
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.misconception(
    "You returned independent normal vectors; no two of them are orthogonal.",
    name="independent-rows",
)
def _(m, d, generator):
    return torch.randn(m, d, generator=generator)


@orthogonal_gaussian.misconception(
    "You orthogonalised the columns of one m by d matrix. It is the *rows* that have to be orthogonal, d at a time.",
    name="orthogonal-columns",
)
def _(m, d, generator):
    q, r = torch.linalg.qr(torch.randn(max(m, d), d, generator=generator))
    lengths = torch.randn(max(m, d), d, generator=generator).norm(dim=1)
    return (q * r.diagonal().sign() * lengths[:, None])[:m]


@orthogonal_gaussian.misconception(
    "You scaled the columns of a block in place of its rows; then its rows are not orthogonal any more.",
    name="scaled-columns",
)
def _(m, d, generator):
    blocks = []
    for _ in range(math.ceil(m / d)):
        q, r = torch.linalg.qr(torch.randn(d, d, generator=generator))
        blocks.append((q * r.diagonal().sign()).mT * torch.randn(d, d, generator=generator).norm(dim=1))
    return torch.cat(blocks)[:m]


@orthogonal_gaussian.also_correct
def _(m, d, generator):
    rows = []
    while len(rows) < m:
        block = []
        for _ in range(d):
            row = torch.randn(d, generator=generator, dtype=torch.float64)
            for _ in range(2):  # once more, against rounding
                for other in block:
                    row = row - (row @ other) * other
            block.append(row / row.norm())
        rows += [row * torch.randn(d, generator=generator).norm() for row in block]
    return torch.stack(rows[:m]).float()


@orthogonal_gaussian.also_correct
def _(m, d, generator):
    w = torch.empty(0, d)
    while len(w) < m:
        block = torch.nn.init.orthogonal_(torch.empty(d, d), generator=generator)
        size = torch.randn(d, d, generator=generator).square().sum(1).sqrt()
        w = torch.cat([w, torch.diag(size) @ block])
    return w[:m]


# --------------------------------------------------------------------------------------------------- stabilise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=2,
    kind="find the bug",
    hints=(
        "Which factors can you multiply a query's features by without changing the result of attention? And a key's?",
        "A factor of a query is in the numerator and in the denominator. A factor of one key changes its weight "
        "against the other keys, unless all keys have the same one.",
        "The logarithms are (..., n, m): a query's own maximum is over m, that of all keys of a head over n and m.",
        "`amax` takes several axes at once, as in `logs.amax((-2, -1), keepdim=True)`.",
    ),
)
def stabilise(logs, keys):
    """Return features from their logarithms, multiplied by factors that keep them from underflow.

    This code computes wrong attention. Correct it:

    ```python
    def stabilise(logs, keys):
        return torch.exp(logs - logs.amax(-1, keepdim=True))
    ```

    The largest feature has to be 1: for queries that of each query, for keys that of each head.
    The factors may not change the result of `linear_attention`.

    * logs (..., n, m): logarithms of one head's features in the last two axes
    * keys: True for keys, False for queries
    * returns: (..., n, m)
    """
    ### BEGIN SOLUTION
    axes = (-2, -1) if keys else (-1,)
    return torch.exp(logs - logs.amax(axes, keepdim=True))
    ### END SOLUTION


@stabilise.test("leaves the result of attention as it is", points=1)
def _(stabilise):
    q = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.5, 1.0]], dtype=torch.float64)
    k = torch.tensor([[0.5, -1.0, 0.0], [3.0, 1.0, 2.0], [1.0, 1.5, -2.0], [0.0, 0.2, 0.1]], dtype=torch.float64)
    v = torch.eye(4, dtype=torch.float64)
    weights = torch.exp(q) @ torch.exp(k).T
    expected = weights / weights.sum(1, keepdim=True)
    kf, qf = stabilise(k, True), stabilise(q, False)
    weights = qf @ kf.T
    assert_close(weights / weights.sum(1, keepdim=True) @ v, expected, rtol=1e-9, atol=1e-9, message="the attention")
    assert_close(kf.max(), torch.tensor(1.0, dtype=torch.float64), message="the largest feature of the keys")
    assert_close(qf.amax(1), torch.ones(2, dtype=torch.float64), message="the largest feature of each query")


@stabilise.hidden("does so in every head, whatever the size of the logarithms", points=1)
def _(stabilise, rng):
    for shape, shift in (((2, 3, 4, 6), 800.0), ((2, 5, 3), -900.0), ((3, 5), 0.0)):
        logs = 2 * torch.randn(*shape, generator=rng, dtype=torch.float64) + shift
        logs = logs + 300 * torch.arange(shape[0], dtype=torch.float64).reshape(-1, *[1] * (len(shape) - 1)) * (
            len(shape) > 2
        )
        top = logs.flatten(-2).max(-1).values[..., None, None]
        assert_close(stabilise(logs, True), torch.exp(logs - top), rtol=1e-9, atol=1e-12, message=f"keys {shape}")
        top = logs.max(-1).values[..., None]
        assert_close(stabilise(logs, False), torch.exp(logs - top), rtol=1e-9, atol=1e-12, message=f"queries {shape}")


@stabilise.hidden("lets the gradient through", points=1)
def _(stabilise, rng):
    for keys in (True, False):
        logs = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64, requires_grad=True)
        other = logs.detach().clone().requires_grad_()
        found, expected = (), ()
        features = stabilise(logs, keys)
        assert features.requires_grad, "the result does not depend on logs as far as autograd can see"
        aims = torch.rand(4, generator=rng, dtype=torch.float64)
        ratio = (features @ aims) / features.sum((-2, -1) if keys else -1, keepdim=not keys).reshape(2, -1)
        right = (other.exp() @ aims) / other.exp().sum((-2, -1) if keys else -1, keepdim=not keys).reshape(2, -1)
        pull = torch.rand(2, 3, generator=rng, dtype=torch.float64)
        (found,) = torch.autograd.grad((ratio * pull).sum(), logs)
        (expected,) = torch.autograd.grad((right * pull).sum(), other)
        assert_close(found, expected, rtol=1e-8, atol=1e-10, message="the gradient of a ratio of features for logs")


@stabilise.misconception(
    "You gave each key a factor of its own, as the code with the bug does: that changes the key's weight against the "
    "other keys. All keys of a head need the same factor.",
    name="own-factor-for-each-key",
)
def _(logs, keys):
    return torch.exp(logs - logs.amax(-1, keepdim=True))


@stabilise.misconception(
    "You took one maximum over the whole tensor. Where another head, or another query, has far larger logarithms, the "
    "features here become 0, and 0 / 0 is not a number.",
    name="one-maximum-for-all",
)
def _(logs, keys):
    return torch.exp(logs - logs.max())


@stabilise.misconception(
    "You took one maximum for all queries of a head, as for its keys. Each query has a largest feature of its own, and "
    "that has to be 1: a query whose logarithms are far smaller than another's would have features that are all 0.",
    name="one-maximum-for-all-queries",
)
def _(logs, keys):
    return torch.exp(logs - logs.amax((-2, -1), keepdim=True))


@stabilise.misconception(
    "You took the maximum of each feature over the vectors: that divides the m features by different numbers, and the "
    "products of queries and keys are no longer the same sum.",
    name="maximum-of-each-feature",
)
def _(logs, keys):
    return torch.exp(logs - logs.amax(-2 if keys else -1, keepdim=True))


@stabilise.misconception(
    "You exchanged queries and keys: it is each query that may have a factor of its own.",
    name="queries-and-keys-exchanged",
)
def _(logs, keys):
    return torch.exp(logs - logs.amax((-1,) if keys else (-2, -1), keepdim=True))


@stabilise.misconception(
    "You normalised the features to a sum of 1; the statement asks that the largest one is 1.",
    name="normalised-the-sum",
)
def _(logs, keys):
    return logs.softmax(-1) if not keys else logs.flatten(-2).softmax(-1).reshape(logs.shape)


@stabilise.also_correct
def _(logs, keys):
    top = logs.max(dim=-1, keepdim=True).values
    if keys:
        top = top.max(dim=-2, keepdim=True).values
    return (logs - top.detach()).exp()


@stabilise.also_correct
def _(logs, keys):
    if not keys:
        return torch.exp(logs - torch.amax(logs, -1)[..., None])
    rows, columns = logs.shape[-2:]
    flat = logs.reshape(*logs.shape[:-2], rows * columns)
    return torch.exp(flat - flat.amax(-1, keepdim=True)).reshape(logs.shape)


# ------------------------------------------------------------------------------------------- causal_attention


@exercise(
    points=6,
    minutes=25,
    importance=3,
    hints=(
        "What has to be known of all earlier chunks, so that none of their keys is read again?",
        "One (m, dv) matrix and one (m,) vector sum up the past. Inside a chunk, a small table with a causal mask is "
        "cheap. The denominator has the same two parts as the numerator.",
        "With a column of ones added to v, both sums are one: the state is (..., m, dv + 1), a chunk's table (..., c, "
        "c), and the last column of the result is the denominator.",
        "`(q @ k.mT).tril()` is a chunk's table, diagonal included, and `k.mT @ v` is what the chunk adds to the state "
        "once it has been read.",
    ),
)
def causal_attention(qf, kf, v, chunk):
    """Return causal attention whose weights are products of features.

    Query i sees the keys j <= i alone: key j gets the weight qf_i · kf_j, divided by the sum of
    the weights of those keys.

    * qf, kf (..., n, m): features, of any sign; v (..., n, dv): values
    * chunk: int, 1 or more; go through the text in pieces of so many tokens, the last one may
      be smaller, and carry sums from one to the next
    * returns: (..., n, dv), the same for every chunk

    No tensor may hold more than n (m + dv) numbers of a head, or a chunk's table if that is larger.
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
    "You did not mask a chunk's own table, so its queries see later keys of the same chunk: a leak that grows with the "
    "chunk.",
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
    "You left out the diagonal. Query i sees the keys up to and *including* its own.",
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
    "You carried nothing from one chunk to the next, so each chunk reads as if the text began there.",
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
    "ones are seen.",
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
    "belong into the denominator, too.",
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
    "You divided by the sum over all keys of the text, later ones too: that is a leak, and the weights of a row do not "
    "add up to 1.",
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


# -------------------------------------------------------------------------------------------- train_performer


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "Features estimate exp(q · k), and attention needs exp(q · k / √d). By what do you multiply q, and by what k?",
        "Inside the loop: the vectors of this step, a function `attend` from three of your functions, the loss, "
        "one step.",
        "q, k, v are (B, H, T, d) and w (m, d): your functions keep the leading axes as they are. The logits are "
        "(B, T, V), labels (B, T).",
        "`stabilise(log_features(q * d**-0.25, w), False)` are the features of the queries, and "
        "`F.cross_entropy(logits.flatten(0, 1), labels.flatten())` is the loss.",
    ),
)
def train_performer(model, batches, vectors, redraw, chunk, lr):
    """Train a decoder whose heads attend by your features; return the loss of each step.

    For each batch in order, take one step of `torch.optim.Adam` at rate lr on the mean
    cross-entropy. All heads use vectors[0] for the first `redraw` steps, vectors[1] for the
    next, and so on.

    * model(ids, attend): ids (B, T) to logits (B, T, V), trained in place. It calls
      attend(q, k, v), (B, H, T, d) each, for causal softmax attention with scores q · k / √d
    * batches: list of pairs (ids, labels), each (B, T)
    * vectors: list of random vectors for the features, (m, d) each
    * chunk: as for `causal_attention`
    * returns: list of floats, each loss before its step
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            qf = stabilise(log_features(q * scale, w), False)
            kf = stabilise(log_features(k * scale, w), True)
            return causal_attention(qf, kf, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


@train_performer.test("reads with the features of the first vectors, and learns", points=2)
def _(train_performer, rng):
    model = decoder(11, seed=4, width=16, layers=1, heads=2, hidden=24).double()
    for layer in model.layers:  # queries and keys of some length, so that attention has favourites
        for part in (layer.attention.q, layer.attention.k):
            part.weight.data.mul_(3)
    ids = torch.randint(11, (3, 9), generator=rng)
    w = torch.randn(12, 8, generator=rng, dtype=torch.float64)

    def oracle(q, k, v):
        q, k = (part / 8**0.25 for part in (q, k))
        qf, kf = (torch.exp(part @ w.T - part.square().sum(-1, keepdim=True) / 2) for part in (q, k))
        weights = (qf @ kf.mT) * torch.ones(9, 9, dtype=torch.float64).tril()
        return weights / weights.sum(-1, keepdim=True) @ v

    labels = (ids + 1) % 11
    with torch.no_grad():
        first = F.cross_entropy(model(ids, oracle).flatten(0, 1), labels.flatten())
    losses = train_performer(model, [(ids, labels)] * 6, [w, w, w], 2, 4, 0.04)
    assert len(losses) == 6, f"one loss for each of 6 batches is needed, got {len(losses)}"
    assert all(isinstance(loss, float) for loss in losses), f"floats are expected, got {type(losses[0]).__name__}"
    assert_close(float(losses[0]), first.item(), rtol=1e-6, atol=1e-6, message="the loss before the first step")
    assert losses[-1] < losses[0] - 0.3, (
        f"6 steps on one batch lower its loss; yours: {losses[0]:.3f}, {losses[-1]:.3f}"
    )


@train_performer.hidden("takes one Adam step for each batch, and changes the vectors in time", points=3)
def _(train_performer, rng):
    for heads, length, redraw, chunk, lr, steps in (
        (2, 7, 2, 3, 0.03, 4),
        (4, 5, 9, 8, 0.02, 3),
    ):
        model, twin = (decoder(9, seed=heads, width=16, layers=1, heads=heads, hidden=20).double() for _ in range(2))
        for one in (model, twin):
            for layer in one.layers:
                for part in (layer.attention.q, layer.attention.k):
                    part.weight.data.mul_(3)
        ids = torch.randint(9, (steps, 2, length), generator=rng)
        batches = [(part, (2 * part + 3) % 9) for part in ids]
        drawn = [torch.randn(6, 16 // heads, generator=rng, dtype=torch.float64) for _ in range(steps)]
        losses = train_performer(model, batches, drawn, redraw, chunk, lr)
        expected = []
        optimizer = torch.optim.Adam(twin.parameters(), lr=lr)
        for step, (inputs, labels) in enumerate(batches):
            w = drawn[step // redraw]

            def oracle(q, k, v, w=w, heads=heads):
                q, k = (part / (16 // heads) ** 0.25 for part in (q, k))
                qf, kf = (torch.exp(part @ w.T - part.square().sum(-1, keepdim=True) / 2) for part in (q, k))
                weights = (qf @ kf.mT).tril()
                return weights / weights.sum(-1, keepdim=True) @ v

            loss = F.cross_entropy(twin(inputs, oracle).flatten(0, 1), labels.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
        what = f"{steps} steps with new vectors every {redraw}: "
        assert_close([float(loss) for loss in losses], expected, rtol=1e-5, atol=1e-6, message=what + "the losses")
        for found, right in zip(model.parameters(), twin.parameters(), strict=True):
            assert_close(found.detach(), right.detach(), rtol=1e-4, atol=1e-5, message=what + "the weights afterwards")


@train_performer.hidden("survives long queries and keys in float32", points=1)
def _(train_performer, rng):
    model = decoder(9, seed=1, width=16, layers=1, heads=2, hidden=16)
    for part in (model.layers[0].attention.q, model.layers[0].attention.k):
        part.weight.data.mul_(10)
    ids = torch.arange(12).reshape(2, 6) % 9
    vectors = [torch.randn(20, 8, generator=rng) for _ in range(3)]
    losses = train_performer(model, [(ids, ids)] * 3, vectors, 1, 5, 1e-3)
    assert len(losses) == 3, f"one loss for each of 3 batches is needed, got {len(losses)}"
    assert all(math.isfinite(loss) for loss in losses), (
        f"the losses stay finite for long queries and keys, got {losses}"
    )


@train_performer.misconception(
    "You left `stabilise` out. Features of long queries and keys underflow to 0 in float32; attention is then 0 / 0.",
    name="not-stabilised",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            features = [log_features(part * scale, w).exp() for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You divided q and k by √d each, so that the scores are q · k / d; each of the two takes only half of the root, "
    "the fourth root of d.",
    name="root-on-both-sides",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.5
            features = [stabilise(log_features(part * scale, w), part is k) for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You did not scale q and k; the features then estimate exp(q · k), where attention has exp(q · k / √d).",
    name="not-scaled",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            features = [stabilise(log_features(part, w), part is k) for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You used attention without a mask: each token reads the token that it should predict, and the loss falls for the "
    "wrong reason.",
    name="not-causal",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            features = [stabilise(log_features(part * scale, w), part is k) for part in (q, k)]
            return linear_attention(*features, v)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You kept the first vectors to the end; the model can then fit itself to the error of one draw.",
    name="never-redrawn",
)
def _(model, batches, vectors, redraw, chunk, lr):
    return train_performer(model, batches, vectors, len(batches) + 1, chunk, lr)


@train_performer.misconception(
    "You took other vectors in every step, where each of them should serve for `redraw` steps.",
    name="redrawn-each-step",
)
def _(model, batches, vectors, redraw, chunk, lr):
    return train_performer(model, batches, vectors * redraw, 1, chunk, lr)


@train_performer.misconception(
    "You never set the gradients back to zero, so each step follows the sum of all gradients so far.",
    name="gradients-pile-up",
)
def _(model, batches, vectors, redraw, chunk, lr):
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for step, (ids, labels) in enumerate(batches):
        w = vectors[step // redraw]

        def attend(q, k, v, w=w):
            scale = q.shape[-1] ** -0.25
            features = [stabilise(log_features(part * scale, w), part is k) for part in (q, k)]
            return causal_attention(*features, v, chunk)

        loss = F.cross_entropy(model(ids, attend).flatten(0, 1), labels.flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_performer.misconception(
    "You made a new optimizer in each step; Adam then forgets its moments, and every step is a first step.",
    name="new-optimizer-each-step",
)
def _(model, batches, vectors, redraw, chunk, lr):
    losses = []
    for step, batch in enumerate(batches):
        losses += train_performer(model, [batch], [vectors[step // redraw]], 1, chunk, lr)
    return losses


@train_performer.also_correct
def _(model, batches, vectors, redraw, chunk, lr):
    current = {}

    def features(x, keys):
        return stabilise(log_features(x / x.shape[-1] ** 0.25, current["w"]), keys)

    def attend(q, k, v):
        return causal_attention(features(q, False), features(k, True), v, chunk)

    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.0)
    losses = []
    for step, (ids, labels) in enumerate(batches):
        current["w"] = vectors[step // redraw]
        model.zero_grad()
        logits = model(ids, attend)
        loss = torch.nn.CrossEntropyLoss()(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@train_performer.also_correct
def _(model, batches, vectors, redraw, chunk, lr):
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=lr)
    losses = []
    served = [w for w in vectors for _ in range(redraw)]
    for (ids, labels), w in zip(batches, served, strict=False):

        def attend(q, k, v, w=w):
            q, k = (part * part.shape[-1] ** -0.25 for part in (q, k))
            logs = [part @ w.mT - part.square().sum(-1, keepdim=True) / 2 for part in (q, k)]
            weights = (stabilise(logs[0], False) @ stabilise(logs[1], True).mT).tril()
            return weights / weights.sum(-1, keepdim=True) @ v

        loss = -model(ids, attend).log_softmax(-1).gather(-1, labels[..., None]).mean()
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
        losses.append(loss.item())
    return losses
