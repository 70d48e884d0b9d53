import torch
from studium import assert_close, exercise
from torch import Tensor
from torch.nn import functional as F


@exercise(
    points=2,
    minutes=5,
    hints=(
        "Which number says how well two directions agree, and what score should an image get if it contradicts its "
        "caption?",
        "Take the cosine of each image with its own caption, and let no score fall below 0.",
        "Two (N, D) become one (N,): row i of one belongs to row i of the other.",
        "`F.cosine_similarity(images, texts, dim=1)`, and `.clamp(min=0)`.",
    ),
    level="warm-up",
    importance=2,
)
def clip_score(images: Tensor, texts: Tensor, weight: float = 2.5) -> Tensor:
    """Return the CLIP score of each image with its caption: `weight` times the cosine, where that is positive, else 0.

    * images, texts: features (N, D) of any length; row i of one belongs to row i of the other
    * returns: (N,)
    """
    ### BEGIN SOLUTION
    return weight * F.cosine_similarity(images, texts, dim=1).clamp(min=0)
    ### END SOLUTION


clip_score.equivalent(
    "return weight * F.cosine_similarity(texts, images, dim=1).clamp(min=0)", "a cosine is the same both ways"
)

clip_score.equivalent(
    "return weight * F.cosine_similarity(images, texts).clamp(min=0)", "dim is 1 where it is left out"
)


@clip_score.test("is the weighted cosine of each row", points=1)
def _(clip_score):
    images = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]])
    texts = torch.tensor([[8.0, 6.0, 0.0], [1.0, 0.0, -1.0]])
    assert_close(clip_score(images, texts), torch.tensor([2.4, 0.0]), message="cosines of 0.96 and below 0")


@clip_score.hidden("does not depend on lengths, is 0 for opposites, and knows its weight", points=1)
def _(clip_score, rng):
    for shape, weight in (((5, 3), 2.5), ((2, 7), 1.0), ((30, 4), 100.0)):
        images, texts = torch.randn(2, *shape, generator=rng, dtype=torch.float64)
        lengths = images.square().sum(1).sqrt() * texts.square().sum(1).sqrt()
        cosines = (images * texts).sum(1) / lengths
        expected = weight * torch.where(cosines > 0, cosines, torch.zeros_like(cosines))
        assert_close(clip_score(images, texts, weight), expected, rtol=1e-5, atol=1e-6, message=f"weight {weight}")
        longer = torch.rand(shape[0], 1, generator=rng, dtype=torch.float64) * 9 + 0.1
        got = clip_score(longer * images, texts / longer, weight)
        assert_close(got, expected, rtol=1e-5, atol=1e-6, message="features of other lengths")


clip_score.mistake(
    "negative-scores",
    "You let negative cosines through; an image that contradicts its caption scores 0.",
    replace="F.cosine_similarity(images, texts, dim=1).clamp(min=0)",
    by="F.cosine_similarity(images, texts, dim=1)",
)

clip_score.mistake(
    "absolute-value",
    "You took the absolute value, which gives an image that contradicts its caption the score of one that fits; give "
    "it 0.",
    replace="F.cosine_similarity(images, texts, dim=1).clamp(min=0)",
    by="F.cosine_similarity(images, texts, dim=1).abs()",
)

clip_score.mistake(
    "not-normalised",
    "You took the inner product of the features as they are, so long features score high whatever they show; take the "
    "cosine.",
    replace="F.cosine_similarity(images, texts, dim=1)",
    by="(images * texts).sum(1)",
)

clip_score.mistake(
    "all-pairs",
    "You compared every image with every caption; compare each image only with its own caption.",
    replace="F.cosine_similarity(images, texts, dim=1)",
    by="(F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T)",
)


@clip_score.also_correct
def _(images, texts, weight=2.5):
    return weight * (F.normalize(images) * F.normalize(texts)).sum(-1).relu()


@clip_score.also_correct
def _(images, texts, weight=2.5):
    cosines = torch.einsum("nd,nd->n", images, texts) / (images.norm(dim=1) * texts.norm(dim=1))
    return torch.maximum(weight * cosines, torch.zeros_like(cosines))
