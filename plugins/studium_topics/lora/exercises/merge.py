import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=4,
    level="warm-up",
    importance=3,
    kind="derive",
    hints=(
        "Which matrix M gives x Mᵀ = x W₀ᵀ + (alpha / r) (x Aᵀ) Bᵀ for every x?",
        "Both terms are linear in x, so you can add their matrices. The base may be needed again, so leave it as it "
        "is.",
        "(x Aᵀ) Bᵀ = x (B A)ᵀ, and B A has the same shape (out, in) as W₀.",
        "`weight + …` makes a new tensor; `weight += …` changes the caller's tensor.",
    ),
)
def merge(weight, a, b, alpha):
    """Return the single matrix that replaces a frozen weight and its adapter together.

    For every x, `F.linear(x, merged)` must equal `lora_linear(x, weight, None, a, b, alpha)`.

    * weight: W₀ (out, in)
    * a: A (r, in)
    * b: B (out, r)
    * alpha: a positive number
    * returns: a new tensor (out, in), which shares no memory with `weight`

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    return weight + alpha / a.shape[0] * (b @ a)
    ### END SOLUTION


@merge.test("acts as the frozen layer and its adapter together", points=1)
def _(merge, rng):
    weight = torch.randn(5, 7, generator=rng, dtype=torch.float64)
    a = torch.randn(3, 7, generator=rng, dtype=torch.float64)
    b = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    x = torch.randn(4, 7, generator=rng, dtype=torch.float64)
    both = x @ weight.T + 8 / 3 * (x @ a.T) @ b.T
    merged = merge(weight, a, b, 8.0)
    assert tuple(merged.shape) == (5, 7), f"the merged weight must be (out, in) = (5, 7), got {tuple(merged.shape)}"
    assert_close(x @ torch.as_tensor(merged).T, both, rtol=1e-8, atol=1e-8, message="x times the merged weight")


@merge.hidden("holds for any shape and scale, and leaves its arguments alone", points=1)
def _(merge, rng):
    for size_in, size_out, rank, alpha, dtype in (
        (6, 4, 2, 5.0, torch.float64),
        (5, 5, 5, 0.5, torch.float64),
        (3, 8, 1, 7, torch.float64),
        (40, 30, 6, 16.0, torch.float32),
    ):
        weight = torch.randn(size_out, size_in, generator=rng, dtype=dtype) / size_in**0.5
        a = torch.randn(rank, size_in, generator=rng, dtype=dtype) / size_in**0.5
        b = torch.randn(size_out, rank, generator=rng, dtype=dtype) / rank**0.5
        before = [tensor.clone() for tensor in (weight, a, b)]
        merged = torch.as_tensor(merge(weight, a, b, alpha))
        for name, tensor, kept in zip(("weight", "a", "b"), (weight, a, b), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        expected = weight.double() + sum(
            alpha * torch.outer(b.double()[:, i], a.double()[i]) / rank for i in range(rank)
        )
        tolerance = 1e-9 if dtype == torch.float64 else 1e-5
        what = f"with in={size_in}, out={size_out}, r={rank}, alpha={alpha}"
        assert_close(merged, expected, rtol=tolerance, atol=tolerance, message=what)


merge.mistake(
    "scaled-by-alpha",
    "You added alpha times B A; scale it by `alpha / r`, so the merged model gives the same outputs as before.",
    replace="alpha / a.shape[0]",
    by="alpha",
)

merge.mistake(
    "left-out-the-scale",
    "You added B A without its scale; multiply it by `alpha / r`.",
    replace="alpha / a.shape[0] * (b @ a)",
    by="b @ a",
)

merge.mistake(
    "rounded-the-scale",
    "You divided with `//`, which rounds `alpha / r` down; divide with `/`, which gives a scale of 2.5 for alpha = 5 "
    "at rank 2.",
    replace="alpha / a.shape[0]",
    by="alpha // a.shape[0]",
)

merge.mistake(
    "changed-the-weight",
    "You changed `weight` itself, so the frozen weight is lost for the next adapter; return a new tensor.",
    replace="return weight + alpha / a.shape[0] * (b @ a)",
    by="""
        weight += alpha / a.shape[0] * (b @ a)
        return weight
    """,
)

merge.mistake(
    "update-alone",
    "You returned only the update; add it to the frozen weight.",
    replace="weight + alpha / a.shape[0] * (b @ a)",
    by="alpha / a.shape[0] * (b @ a)",
)

merge.mistake(
    "rank-from-the-wrong-axis",
    "You divided by `a.shape[1]`, the width of the layer; A is (r, in), so r is `a.shape[0]`.",
    replace="a.shape[0]",
    by="a.shape[1]",
)

merge.mistake(
    "merged-twice",
    "You added the update twice; add it once.",
    replace="alpha / a.shape[0]",
    by="2 * alpha / a.shape[0]",
)


@merge.also_correct
def _(weight, a, b, alpha):
    return torch.addmm(weight, b, a, alpha=alpha / a.shape[0])


@merge.also_correct
def _(weight, a, b, alpha):
    merged = weight.clone()
    merged += torch.einsum("or,ri->oi", b, a).mul(alpha).div(b.shape[1])
    return merged
