import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=14,
    hints=(
        "How large must a region around one real image be to reach its k nearest other real images?",
        "A point counts as covered if it is inside the region of any centre. Ask this twice, with the roles exchanged.",
        "The distances are (M, N); the radii (N,) come from (N, N), where each point is its own nearest; covered is "
        "(M,).",
        "`torch.cdist`, `.kthvalue(k + 1, dim=1).values`, `(distances <= radius).any(1)`, and the mean of that.",
    ),
    level="core",
    importance=2,
)
def precision_recall(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """Return the precision and the recall of generated images, as two floats.

    Around each point of a set is a ball that reaches to its k-th nearest other point of that set, surface included.

    * precision: the share of fakes that are in a ball of the real images
    * recall: the share of real images that are in a ball of the fakes
    * real: features (N, D); fake: features (M, D); k: at least 1, less than N and M
    """

    ### BEGIN SOLUTION
    def covered(points: Tensor, centres: Tensor) -> float:
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        inside = torch.cdist(points, centres) <= radius
        return float(inside.any(1).double().mean())

    return covered(fake, real), covered(real, fake)
    ### END SOLUTION


precision_recall.equivalent(
    "radius = torch.cdist(centres, centres).kthvalue(k + 1).values", "dim is the last one where it is left out"
)

precision_recall.equivalent(
    "radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=0).values", "distances are the same both ways"
)

precision_recall.equivalent("return (inside.any(1).double().mean())", "a tensor of one number is a number")


@precision_recall.test("covers fakes by real images, and real images by fakes", points=1)
def _(precision_recall):
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.5]])
    fake = torch.tensor([[3.0], [1.5], [5.0], [5.25]])
    got = precision_recall(real, fake, 1)
    assert_close(got, (0.5, 0.6), message="real 0, 1, 2, 10, 11.5 and fake 3, 1.5, 5, 5.25, k = 1")


@precision_recall.hidden("is what counting one point at a time gives", points=2)
def _(precision_recall, rng):
    for n, m, size, k, shift in ((35, 28, 4, 3, 1.0), (8, 25, 3, 5, 0.3), (22, 31, 2, 1, 0.5), (15, 15, 2, 2, 0.0)):
        real = torch.randn(n, size, generator=rng, dtype=torch.float64)
        fake = 0.6 * torch.randn(m, size, generator=rng, dtype=torch.float64) + shift
        expected = []
        for points, centres in ((fake, real), (real, fake)):
            reaches = [(centres - centre).square().sum(1).sqrt().sort().values[k] for centre in centres]
            inside = [((centres - point).square().sum(1).sqrt() <= torch.stack(reaches)).any() for point in points]
            expected.append(sum(map(float, inside)) / len(points))
        got = precision_recall(real, fake, k)
        assert_close(got, tuple(expected), rtol=1e-6, atol=1e-6, message=f"{n} real, {m} fakes, k = {k}")
    real, fake = torch.tensor([[0.0], [0.0], [10.0], [10.5]]), torch.tensor([[5.0], [6.0], [0.0]])
    got = precision_recall(real, fake, 1)
    assert_close(got, (1 / 3, 1 / 2), message="real 0, 0, 10, 10.5 and fake 5, 6, 0, k = 1: a twin is another point")


@precision_recall.hidden("tells a fake set that is too narrow from one that is too wide", points=1)
def _(precision_recall, rng):
    real = torch.randn(150, 3, generator=rng, dtype=torch.float64)
    narrow, wide = (spread * torch.randn(130, 3, generator=rng, dtype=torch.float64) for spread in (0.2, 5.0))
    precision, recall = precision_recall(real, narrow, 3)
    assert precision > 0.9 > 0.4 > recall, (
        f"narrow fakes: high precision, low recall, got {precision:.2f}, {recall:.2f}"
    )
    precision, recall = precision_recall(real, wide, 3)
    assert precision < 0.4 < 0.9 < recall, f"wide fakes: low precision, high recall, got {precision:.2f}, {recall:.2f}"


@precision_recall.misconception(
    "You counted each point as its own nearest neighbour, so the balls reach only to the neighbour before the k-th.",
    name="itself-as-neighbour",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(centres, centres).kthvalue(k, dim=1).values
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    return covered(fake, real), covered(real, fake)


@precision_recall.misconception(
    "You exchanged the two. Precision is about the fakes: are they like real images? Recall is about the real images: "
    "do the fakes reach them?",
    name="exchanged",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    return covered(real, fake), covered(fake, real)


@precision_recall.misconception(
    "You drew the balls around the points that you test; draw them around the set that you compare with.",
    name="balls-around-the-points",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(points, points).kthvalue(k + 1, dim=1).values
        return float((torch.cdist(points, centres) <= radius[:, None]).any(1).double().mean())

    return covered(fake, real), covered(real, fake)


@precision_recall.misconception(
    "You gave all balls the mean radius; each ball has its own radius, small where points are dense and large where "
    "they are few.",
    name="one-radius",
)
def _(real, fake, k):
    def covered(points, centres):
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values.mean()
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    return covered(fake, real), covered(real, fake)


@precision_recall.also_correct
def _(real, fake, k):
    def balls(centres):
        return torch.stack([torch.linalg.norm(centres - centre, dim=1).sort().values[k] for centre in centres])

    apart = torch.cdist(real, fake)
    inside_real, inside_fake = apart <= balls(real)[:, None], apart <= balls(fake)[None]
    return inside_real.any(0).double().mean().item(), inside_fake.any(1).double().mean().item()


@precision_recall.also_correct
def _(real, fake, k):
    found = []
    for points, centres in ((fake, real), (real, fake)):
        reach = torch.cdist(centres, centres).topk(k + 1, largest=False).values[:, -1]
        found.append(float((torch.cdist(points, centres) <= reach[None]).sum(1).gt(0).double().mean()))
    return tuple(found)
