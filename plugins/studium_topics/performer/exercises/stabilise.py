import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=2,
    kind="find the bug",
    shows="own-factor-for-each-key",
    hints=(
        "By which factors can you multiply a query's features without changing the result of attention? And a key's?",
        "A query's factor appears in the numerator and in the denominator. A key's factor changes its weight against "
        "the other keys, unless all keys share the same factor.",
        "The logarithms are (..., n, m): the maximum for one query is over m, the maximum for all keys of a head over "
        "n and m.",
        "`amax` takes several axes at once, as in `logs.amax((-2, -1), keepdim=True)`.",
    ),
)
def stabilise(logs, keys):
    """Return features from their logarithms, multiplied by factors that keep them from underflow.

    With the code below, attention comes out wrong. Correct it.

    The largest feature has to be 1: for queries, the largest of each query; for keys, the largest of each head.
    The factors must not change the result of `linear_attention`.

    * logs (..., n, m): logarithms of one head's features in the last two axes
    * keys: True for keys, False for queries
    * returns: (..., n, m); gradients must reach logs
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
    "You gave each key its own factor, like the given code: that changes the key's weight against the other keys. All "
    "keys of a head need the same factor.",
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
    "You took one maximum for all queries of a head, as for its keys. The largest feature of each query has to be 1; "
    "otherwise, a query whose logarithms are far smaller than another's gets features that are all 0.",
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
    "You exchanged queries and keys: each query may have its own factor, and the keys of a head share one.",
    name="queries-and-keys-exchanged",
)
def _(logs, keys):
    return torch.exp(logs - logs.amax((-1,) if keys else (-2, -1), keepdim=True))


@stabilise.misconception(
    "You normalised the features to a sum of 1; scale them until the largest feature is 1.",
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
