import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    kind="derive",
    importance=1,
    hints=(
        "In which direction does the gap point, and which side has to move against it?",
        "Normalise first, then take the mean of each side: their difference is the gap. Each side goes half of the "
        "way, and you normalise it again at the end.",
        "The means and the gap are (d,), and the features are (N, d) and (M, d).",
        "`F.normalize(images).mean(0)` is the mean of one side.",
    ),
)
def shift_gap(images, texts, amount):
    """Return the features of images and texts, moved towards each other along the gap between their means.

    Normalise each row to a unit vector first, and again at the end. In between, all images move by the
    same vector and all texts by its opposite. Both vectors are parallel to the gap, the mean of the
    images minus the mean of the texts, and the gap that remains is 1 − amount times the old one.

    * images (N, d), texts (M, d): of any length; they stay as they are
    * amount: a number
    * returns: both, (N, d) and (M, d)
    """
    ### BEGIN SOLUTION
    images, texts = F.normalize(images), F.normalize(texts)
    half = amount * (images.mean(0) - texts.mean(0)) / 2
    return F.normalize(images - half), F.normalize(texts + half)
    ### END SOLUTION


@shift_gap.test("moves both sides half of the way, and keeps their length at 1", points=1)
def _(shift_gap):
    images, texts = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 0.5], [0.0, 3.0]])
    whole, half = (shift_gap(images, texts, amount) for amount in (1.0, 0.0))
    middle = torch.tensor([[0.5**0.5, 0.5**0.5]])
    assert_close(list(whole), [middle, middle.expand(2, 2)], rtol=1e-4, atol=1e-4, message="with amount = 1")
    apart = [torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])]
    assert_close(list(half), apart, rtol=1e-4, atol=1e-4, message="with amount = 0")


@shift_gap.hidden("moves along the gap of the unit vectors, by any amount", points=2)
def _(shift_gap, rng):
    for count, sentences, size, amount in ((5, 3, 4, 0.5), (2, 6, 3, 1.0), (4, 4, 4, -0.7), (3, 2, 7, 1.6)):
        images = 2 + torch.randn(count, size, generator=rng, dtype=torch.float64)
        texts = torch.randn(sentences, size, generator=rng, dtype=torch.float64) - 0.5
        images = images * (0.2 + 4 * torch.rand(count, 1, generator=rng, dtype=torch.float64))
        kept = images.clone(), texts.clone()
        found = shift_gap(images, texts, amount)
        assert torch.equal(images, kept[0]), "the features must stay as they are"
        assert torch.equal(texts, kept[1]), "the features must stay as they are"
        units = [x / x.square().sum(1, keepdim=True).sqrt() for x in (images, texts)]
        gap = units[0].sum(0) / count - units[1].sum(0) / sentences
        moved = units[0] - 0.5 * amount * gap, units[1] + 0.5 * amount * gap
        expected = [x / x.square().sum(1, keepdim=True).sqrt() for x in moved]
        what = f"for N={count}, M={sentences}, d={size} and amount={amount}"
        assert_close(list(found), expected, rtol=1e-6, atol=1e-6, message=what)


shift_gap.mistake(
    "means-of-raw-features",
    "You took the means of the features as they are; normalise the rows first, because otherwise the long vectors "
    "decide where the gap is.",
    replace="images, texts = F.normalize(images), F.normalize(texts)",
    by="",
)

shift_gap.mistake(
    "not-normalised-again",
    "You left the moved vectors as they were; normalise them again, because they are now shorter or longer than 1.",
    replace="F.normalize(images - half), F.normalize(texts + half)",
    by="images - half, texts + half",
)

shift_gap.mistake(
    "moved-apart",
    "You moved them apart; the gap points from the texts to the images, so move the images against it and the texts "
    "along it.",
    replace="F.normalize(images - half), F.normalize(texts + half)",
    by="F.normalize(images + half), F.normalize(texts - half)",
)


@shift_gap.misconception(
    "You moved each side by the whole gap, so their means swap with amount = 1; move each side half of the way.",
    name="whole-gap-each",
)
def _(images, texts, amount):
    images, texts = F.normalize(images), F.normalize(texts)
    gap = amount * (images.mean(0) - texts.mean(0))
    return F.normalize(images - gap), F.normalize(texts + gap)


@shift_gap.misconception(
    "You moved only the texts, all of the way; move each side half of it.", name="moved-the-texts-alone"
)
def _(images, texts, amount):
    images, texts = F.normalize(images), F.normalize(texts)
    gap = amount * (images.mean(0) - texts.mean(0))
    return images, F.normalize(texts + gap)


shift_gap.mistake(
    "same-direction",
    "You moved both in the same direction, which leaves the gap as it is; move one side against the gap and the other "
    "along it.",
    replace="texts + half",
    by="texts - half",
)


@shift_gap.also_correct
def _(images, texts, amount):
    units = [x / x.norm(dim=1, keepdim=True) for x in (images, texts)]
    means = [x.mean(dim=0) for x in units]
    moved = [x + 0.5 * amount * (means[1 - side] - means[side]) for side, x in enumerate(units)]
    return [x / torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in moved]
