import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=15,
    hints=(
        "Which root do we need: the root of each number of the matrix, or the root of the matrix?",
        "The trace of a root is the sum of the roots of the eigenvalues. The product's eigenvalues are real and at "
        "least 0.",
        "Rounding can make an eigenvalue of 0 slightly negative or complex. The result has no axis.",
        "`torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt().sum()`.",
    ),
    level="core",
    importance=3,
)
def frechet(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Return the squared Fréchet distance of two Gaussians, the formula of FID.

    ‖mean1 - mean2‖² + tr(cov1 + cov2 - 2 (cov1 cov2)^½), where M^½ is the matrix whose square is M.

    * means (D,), covariances (D, D), which may be singular
    * returns: one real number, as a tensor without axes
    """
    ### BEGIN SOLUTION
    roots = torch.linalg.eigvals(cov1 @ cov2).real.clamp(min=0).sqrt()
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * roots.sum()
    ### END SOLUTION


frechet.equivalent(
    "roots = torch.linalg.eigvals(cov2 @ cov1).real.clamp(min=0).sqrt()", "A B and B A have the same eigenvalues"
)


@frechet.test("is the squared distance of means, and of standard deviations, in one dimension", points=1)
def _(frechet):
    got = frechet(torch.tensor([1.0]), torch.tensor([[4.0]]), torch.tensor([4.0]), torch.tensor([[25.0]]))
    assert_close(got, torch.tensor(18.0), rtol=1e-4, atol=1e-4, message="N(1, 2²) and N(4, 5²)")


@frechet.hidden("is right for covariances that do not commute, and is 0 for equal ones", points=2)
def _(frechet, rng):
    for size in (2, 3, 6, 9):
        a, b = torch.randn(2, size, size, generator=rng, dtype=torch.float64)
        mean1, mean2 = torch.randn(2, size, generator=rng, dtype=torch.float64)
        cov1, cov2 = a @ a.T, b @ b.T
        shared = torch.linalg.svdvals(a.T @ b).sum()  # the trace of the root, from factors of the two
        expected = (mean1 - mean2).square().sum() + a.square().sum() + b.square().sum() - 2 * shared
        got = frechet(mean1, cov1, mean2, cov2)
        assert_close(got, expected, rtol=1e-5, atol=1e-5, message=f"two Gaussians in {size} dimensions")
        same = frechet(mean1, cov1, mean1, cov1)
        assert_close(same, expected.new_zeros(()), rtol=0, atol=1e-5, message="a Gaussian and itself")


@frechet.hidden("is a real number for singular covariances", points=1)
def _(frechet, rng):
    for size, rank in ((5, 2), (8, 3), (4, 1)):
        a, b = torch.randn(2, size, rank, generator=rng, dtype=torch.float64)
        mean1, mean2 = torch.randn(2, size, generator=rng, dtype=torch.float64)
        got = frechet(mean1, a @ a.T, mean2, b @ b.T)
        assert not torch.is_complex(torch.as_tensor(got)), "a real number is expected, got a complex one"
        shared = torch.linalg.svdvals(a.T @ b).sum()
        expected = (mean1 - mean2).square().sum() + a.square().sum() + b.square().sum() - 2 * shared
        assert_close(got, expected, rtol=1e-4, atol=1e-4, message=f"covariances of rank {rank} in {size} dimensions")


@frechet.misconception(
    "You took the root of each number of the product; take the root of the matrix, the one whose square is the "
    "product.",
    name="elementwise-root",
)
def _(mean1, cov1, mean2, cov2):
    root = (cov1 @ cov2).clamp(min=0).sqrt()
    return (mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * root).trace()


@frechet.misconception(
    "You took the root of each covariance and multiplied the roots. That is right only if the two commute; take the "
    "root of the product.",
    name="product-of-roots",
)
def _(mean1, cov1, mean2, cov2):
    roots = []
    for cov in (cov1, cov2):
        values, vectors = torch.linalg.eigh(cov)
        roots.append(vectors * values.clamp(min=0).sqrt() @ vectors.T)
    return (mean1 - mean2).square().sum() + (cov1 + cov2 - 2 * roots[0] @ roots[1]).trace()


frechet.mistake(
    "factor-of-two",
    "You subtracted the root once; subtract it twice, because equal Gaussians then have the distance 0.",
    replace="2 * roots.sum()",
    by="roots.sum()",
)

frechet.mistake(
    "mean-not-squared",
    "You took the distance of the means without squaring it; the formula is a squared distance.",
    replace="(mean1 - mean2).square().sum",
    by="(mean1 - mean2).norm",
)


@frechet.misconception(
    "You compared only the variances and left out the correlations; two Gaussians with the same variances can still "
    "point in different directions.",
    name="diagonal-only",
)
def _(mean1, cov1, mean2, cov2):
    return (mean1 - mean2).square().sum() + (cov1.diagonal().sqrt() - cov2.diagonal().sqrt()).square().sum()


@frechet.also_correct
def _(mean1, cov1, mean2, cov2):
    values, vectors = torch.linalg.eigh(cov1)
    half = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    shared = torch.linalg.eigvalsh(half @ cov2 @ half).clamp(min=0).sqrt().sum()
    return torch.dot(mean1 - mean2, mean1 - mean2) + torch.trace(cov1 + cov2) - 2 * shared


@frechet.also_correct
def _(mean1, cov1, mean2, cov2):
    factors = []
    for cov in (cov1, cov2):
        values, vectors = torch.linalg.eigh(cov)
        factors.append(vectors * values.clamp(min=0).sqrt())
    apart = (mean1 - mean2).pow(2).sum()
    return apart + cov1.trace() + cov2.trace() - 2 * torch.linalg.svdvals(factors[0].mT @ factors[1]).sum()
