import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    importance=3,
    kind="derive",
    hints=(
        "Which terms of the sum σᵢ uᵢ vᵢᵀ would you keep, if you may keep `rank` of them?",
        "Truncate the singular value decomposition. The product B A must then be the truncated matrix times rank / "
        "alpha.",
        "u[:, :rank] is (out, rank), s[:rank] is (rank,), and vh[:rank] is (rank, in).",
        "`u, s, vh = torch.linalg.svd(delta, full_matrices=False)` gives delta = u @ diag(s) @ vh, with the largest s "
        "first.",
    ),
)
def svd_lora(delta, rank, alpha):
    """Return the factors (A, B) of the adapter that is closest to a given update.

    Of all adapters of this rank, yours must have the smallest ‖delta - (alpha / rank) B A‖², the sum of the squares of
    all entries.

    * delta: ΔW (out, in), float32 or float64; it stays as it is
    * rank: from 1 to min(out, in)
    * alpha: a positive number
    * returns: A (rank, in) and B (out, rank), which may share the singular values in any way
    """
    ### BEGIN SOLUTION
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    a = vh[:rank]
    b = u[:, :rank] * s[:rank] * rank / alpha
    return a, b
    ### END SOLUTION


@svd_lora.test("gives the matrix back at full rank", points=1)
def _(svd_lora, rng):
    delta = torch.randn(6, 4, generator=rng, dtype=torch.float64)
    a, b = svd_lora(delta, 4, 10.0)
    assert tuple(a.shape) == (4, 4), f"A must be (rank, in) = (4, 4), got {tuple(a.shape)}"
    assert tuple(b.shape) == (6, 4), f"B must be (out, rank) = (6, 4), got {tuple(b.shape)}"
    assert_close(2.5 * b @ a, delta, rtol=1e-5, atol=1e-5, message="(alpha / rank) B A at full rank, alpha = 10")


@svd_lora.hidden("leaves an error equal to the sum of the squared singular values that were cut", points=2)
def _(svd_lora, rng):
    cases = ((7, 5, 2, 5.0), (9, 9, 4, 6.0), (4, 8, 3, 1.0), (8, 6, 1, 3), (5, 6, 5, 0.5), (30, 20, 7, 16.0))
    for size_out, size_in, rank, alpha in cases:
        delta = torch.randn(size_out, size_in, generator=rng, dtype=torch.float64)
        if size_out == 30:
            delta = delta.float()
        before = delta.clone()
        a, b = svd_lora(delta, rank, alpha)
        assert torch.equal(delta, before), "delta must stay as it is, and it was changed"
        assert tuple(a.shape) == (rank, size_in), f"A must be (rank, in) = ({rank}, {size_in}), got {tuple(a.shape)}"
        assert tuple(b.shape) == (size_out, rank), f"B must be ({size_out}, {rank}), got {tuple(b.shape)}"
        update = alpha / rank * torch.as_tensor(b).double() @ torch.as_tensor(a).double()
        delta = before.double()
        squares = torch.linalg.eigvalsh(delta.T @ delta if size_out >= size_in else delta @ delta.T)  # ascending
        what = f"the squared error of a {size_out} x {size_in} matrix at rank {rank} and alpha {alpha}"
        tail = squares[: len(squares) - rank].clamp(min=0).sum()
        assert_close(((delta - update) ** 2).sum(), tail, rtol=1e-4, atol=1e-8, message=what)


@svd_lora.misconception(
    "You made B A the best matrix of this rank; multiply it by rank / alpha, because the layer adds (alpha / rank) B "
    "A.",
    name="forgot-the-scale",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank]


@svd_lora.misconception(
    "You multiplied the factors by alpha / rank; divide by it instead, because the layer multiplies by it again.",
    name="scaled-twice",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank] * alpha / rank


@svd_lora.misconception(
    "You put each singular value into the product twice; put s into A or into B, or its square root into both.",
    name="singular-values-twice",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return s[:rank, None] * vh[:rank], u[:, :rank] * s[:rank] * rank / alpha


@svd_lora.misconception(
    "You left out the singular values; u and vh hold only directions, and s says how much of each there is.",
    name="left-out-the-singular-values",
)
def _(delta, rank, alpha):
    u, _, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * rank / alpha


@svd_lora.misconception(
    "You kept the smallest singular values; `torch.linalg.svd` gives the largest first, so keep the first `rank`.",
    name="kept-the-smallest",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[-rank:], u[:, -rank:] * s[-rank:] * rank / alpha


@svd_lora.misconception(
    "You took columns of `vh` for A; take rows, because `torch.linalg.svd` gives Vᵀ, whose rows are the right "
    "singular vectors.",
    name="columns-of-vh",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:, :rank].T, u[:, :rank] * s[:rank] * rank / alpha


@svd_lora.misconception(
    "You put the square root of the singular values into only one factor, so the product holds √s instead of s.",
    name="root-in-one-factor",
)
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    return vh[:rank], u[:, :rank] * s[:rank].sqrt() * rank / alpha


@svd_lora.misconception(
    "You kept the first rows of the matrix itself; use its singular vectors, because the best directions mix all the "
    "rows.",
    name="first-rows",
)
def _(delta, rank, alpha):
    return delta[:rank].clone(), torch.eye(len(delta), rank, dtype=delta.dtype) * rank / alpha


@svd_lora.also_correct
def _(delta, rank, alpha):
    u, s, vh = torch.linalg.svd(delta, full_matrices=False)
    root = (s[:rank] * rank / alpha).sqrt()
    return root[:, None] * vh[:rank, :], u[:, :rank] @ torch.diag(root)


@svd_lora.also_correct
def _(delta, rank, alpha):
    _, vectors = torch.linalg.eigh(delta @ delta.T)
    b = vectors[:, -rank:]
    return b.T @ delta * (rank / alpha), b


svd_lora.equivalent(
    "u, s, vh = torch.linalg.svd(delta, full_matrices=True)",
    "the slices take the first `rank` vectors either way",
)
