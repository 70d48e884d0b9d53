import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    kind="derive",
    hints=(
        "Take one row of delta. Which vectors can the same row of B A be, if A stays as it is?",
        "Each row of B A is a combination of the rows of A. The nearest combination is the projection onto the space "
        "that they span.",
        "If P (in, in) is that projection, then delta - delta P is what is left, of shape (out, in).",
        "`torch.linalg.lstsq(a.T, delta.T).solution` solves Aᵀ Bᵀ = deltaᵀ as closely as possible.",
    ),
)
def b_only_floor(delta, a):
    """Return the smallest squared error that training only B can reach while A stays as it was drawn.

    The error is ‖delta - B A‖², the sum of the squares of all entries; B may be any matrix.

    * delta: ΔW (out, in), float32 or float64
    * a: A (r, in) of the same dtype, with r < in independent rows
    * returns: one number, a float or a tensor with one entry

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    b = delta @ torch.linalg.pinv(a)
    left_over = delta - b @ a
    return left_over.square().sum()
    ### END SOLUTION


@b_only_floor.test("finds the part of the update that A can express, and counts the rest", points=1)
def _(b_only_floor, rng):
    a = torch.tensor([[2.0, 0.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0]], dtype=torch.float64)
    delta = torch.tensor([[5.0, -7.0, 1.0, 2.0], [1.0, 1.0, 0.0, 3.0], [4.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    found = float(b_only_floor(delta, a))
    assert_close(found, 14.0, rtol=1e-6, message="A spans the first two inputs, so that 1² + 2² + 3² is left")


@b_only_floor.hidden("equals the error of the best B, for any shapes", points=2)
def _(b_only_floor, rng):
    for size_out, size_in, rank, dtype in (
        (5, 9, 3, torch.float64),
        (8, 8, 5, torch.float64),
        (12, 4, 2, torch.float64),
        (20, 30, 6, torch.float32),
    ):
        delta = torch.randn(size_out, size_in, generator=rng, dtype=dtype)
        a = torch.randn(rank, size_in, generator=rng, dtype=dtype) + 0.5  # rows that are not orthogonal
        before = [delta.clone(), a.clone()]
        found = float(b_only_floor(delta, a))
        for name, tensor, kept in zip(("delta", "a"), (delta, a), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        beyond = torch.linalg.qr(before[1].double().T, mode="complete").Q[:, rank:]  # what no row of B A can hold
        expected = float((before[0].double() @ beyond).square().sum())
        what = f"the smallest squared error for a {size_out} x {size_in} update and an A with {rank} rows"
        assert_close(found, expected, rtol=1e-4, atol=1e-6, message=what)


@b_only_floor.misconception(
    "You returned the tail energy, which is the smallest error when A is trained as well; here A keeps its "
    "directions, so project onto its rows.",
    name="tail-energy",
)
def _(delta, a):
    return torch.linalg.svdvals(delta)[len(a) :].square().sum()


@b_only_floor.misconception(
    "You projected with Aᵀ A, which is a projection only if the rows of A are orthogonal and have length 1; these "
    "rows can be any independent ones.",
    name="assumed-orthonormal-rows",
)
def _(delta, a):
    return (delta - delta @ a.T @ a).square().sum()


@b_only_floor.misconception(
    "You scaled each row of A to length 1 and projected onto one row at a time; rows that are not orthogonal overlap, "
    "so you subtracted part of the update more than once. Project onto all the rows together.",
    name="one-row-at-a-time",
)
def _(delta, a):
    unit = a / a.norm(dim=1, keepdim=True)
    return (delta - delta @ unit.T @ unit).square().sum()


@b_only_floor.misconception(
    "You returned (1 - r / in) ‖delta‖², the mean over random choices of A; compute the error for this A.",
    name="mean-over-random-a",
)
def _(delta, a):
    return (1 - len(a) / a.shape[1]) * delta.square().sum()


@b_only_floor.misconception(
    "You measured the part of the update that A can express; the error is the part that is left over.", name="kept-part"
)
def _(delta, a):
    return (delta @ torch.linalg.pinv(a) @ a).square().sum()


@b_only_floor.misconception("You returned the norm; the error is the square of the norm.", name="norm-not-squared")
def _(delta, a):
    return (delta - delta @ torch.linalg.pinv(a) @ a).norm()


@b_only_floor.misconception(
    "You averaged the squares over the entries; the error is their sum.", name="mean-of-the-squares"
)
def _(delta, a):
    return (delta - delta @ torch.linalg.pinv(a) @ a).square().mean()


@b_only_floor.also_correct
def _(delta, a):
    basis = torch.linalg.qr(a.T).Q
    return float(delta.pow(2).sum() - (delta @ basis).pow(2).sum())


@b_only_floor.also_correct
def _(delta, a):
    b = torch.linalg.solve(a @ a.T, a @ delta.T).T
    return ((delta - b @ a) ** 2).sum().item()


@b_only_floor.also_correct
def _(delta, a):
    return torch.linalg.matrix_norm(a.T @ torch.linalg.lstsq(a.T, delta.T).solution - delta.T) ** 2
