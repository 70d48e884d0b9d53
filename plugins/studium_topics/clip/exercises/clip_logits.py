import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=10,
    level="warm-up",
    importance=3,
    hints=(
        "What is the cosine of two vectors whose length is 1?",
        "Make every row a unit vector. log_scale is the logarithm of the number that multiplies the cosines, so first "
        "limit it to the logarithm of 100, and then take the exponential.",
        "Unit vectors (N, d) and (M, d) give cosines (N, M). Use tensors all the way through, or log_scale gets no "
        "gradient.",
        "`F.normalize(x)` makes every row of a matrix a unit vector; `log_scale.clamp(max=…)` limits it to a number.",
    ),
)
def clip_logits(images, texts, log_scale):
    """Return the logits of each image with each text: cosines times a scale.

    The scale is exp(log_scale), but never more than 100. Gradients have to reach all three
    arguments, which stay as they are.

    * images (N, d), texts (M, d): features from the towers, of any length
    * log_scale: a learned tensor with one number
    * returns: (N, M), in which row i is image i with every text
    """
    ### BEGIN SOLUTION
    scale = log_scale.clamp(max=math.log(100)).exp()
    return scale * F.normalize(images) @ F.normalize(texts).mT
    ### END SOLUTION


clip_logits.equivalent(
    "cosines = F.cosine_similarity(texts.unsqueeze(0), images.unsqueeze(1), dim=2)", "the cosine is symmetric"
)

clip_logits.equivalent(
    "return cosines * torch.where(log_scale <= math.log(100), log_scale, math.log(100)).exp()",
    "at the limit both are the limit",
)


@clip_logits.test("multiplies the cosine of each pair by exp(log_scale)", points=1)
def _(clip_logits):
    images, texts = torch.tensor([[3.0, 0.0], [0.0, 0.5]]), torch.tensor([[2.0, 0.0], [0.6, 0.8], [0.0, 7.0]])
    expected = torch.tensor([[10.0, 6.0, 0.0], [0.0, 8.0, 10.0]])
    assert_close(clip_logits(images, texts, torch.tensor(math.log(10.0))), expected, rtol=1e-4, atol=1e-4)


@clip_logits.hidden("does not depend on how long the vectors are", points=1)
def _(clip_logits, rng):
    for count, sentences, size, scale in ((5, 7, 3, -0.7), (4, 4, 4, 1.3), (2, 3, 6, 3.1), (3, 1, 2, 0.0)):
        images = torch.randn(count, size, generator=rng, dtype=torch.float64)
        texts = torch.randn(sentences, size, generator=rng, dtype=torch.float64)
        images = images * (0.1 + 9 * torch.rand(count, 1, generator=rng, dtype=torch.float64))
        kept = images.clone(), texts.clone()
        lengths = images.square().sum(1).sqrt()[:, None] * texts.square().sum(1).sqrt()
        expected = math.exp(scale) * torch.einsum("nd,md->nm", images, texts) / lengths
        found = clip_logits(images, texts, torch.tensor(scale, dtype=torch.float64))
        what = f"for N={count}, M={sentences}, d={size} and log_scale={scale}"
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)
        assert torch.equal(images, kept[0]), "the features must stay as they are"
        assert torch.equal(texts, kept[1]), "the features must stay as they are"


@clip_logits.hidden("never multiplies by more than 100", points=1)
def _(clip_logits, rng):
    images, texts = torch.randn(2, 4, 3, generator=rng, dtype=torch.float64)
    cosines = F.cosine_similarity(images[:, None], texts[None], dim=-1)
    for number in (120.0, 4.4, 4.62, 6.0):
        expected = cosines * min(math.exp(number), 100.0)
        found = clip_logits(images, texts, torch.tensor(number, dtype=torch.float64))
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"for log_scale={number}")


@clip_logits.hidden("lets gradients reach both towers and the scale", points=1)
def _(clip_logits, rng):
    images, texts = (torch.randn(4, 3, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2))
    log_scale = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    logits = clip_logits(images, texts, log_scale)
    assert logits.requires_grad, "gradients must reach the features: leave `detach` and `no_grad` away"
    found = torch.autograd.grad(logits.square().sum(), (images, texts, log_scale), allow_unused=True)
    for name, gradient in zip(("images", "texts", "log_scale"), found, strict=True):
        assert gradient is not None, f"no gradient reaches {name}: it must stay a tensor, without `item` or `float`"
    expected = log_scale.exp() * F.cosine_similarity(images[:, None], texts[None], dim=-1)
    wanted = torch.autograd.grad(expected.square().sum(), (images, texts, log_scale))
    assert_close(list(found), list(wanted), rtol=1e-6, atol=1e-6, message="the gradients of Σ logits²")


@clip_logits.misconception(
    "You took dot products of the features as they are, so a long vector is similar to everything; divide each vector "
    "by its length first.",
    name="dot-products",
)
def _(images, texts, log_scale):
    return log_scale.clamp(max=math.log(100)).exp() * images @ texts.mT


@clip_logits.misconception(
    "You multiplied by log_scale; take its exp first, because it is the logarithm of the scale. The model learns the "
    "logarithm, so no step can make the scale negative.",
    name="multiplied-by-log-scale",
)
def _(images, texts, log_scale):
    return log_scale.clamp(max=math.log(100)) * F.normalize(images) @ F.normalize(texts).mT


@clip_logits.misconception(
    "You limited log_scale itself to 100, but e^100 is about 10^43; limit log_scale to ln 100, because the scale must "
    "not exceed 100.",
    name="clamped-at-100",
)
def _(images, texts, log_scale):
    return log_scale.clamp(max=100).exp() * F.normalize(images) @ F.normalize(texts).mT


@clip_logits.misconception(
    "You let the scale grow without bound; limit it to 100, because beyond that training becomes unstable.",
    name="unbounded-scale",
)
def _(images, texts, log_scale):
    return log_scale.exp() * F.normalize(images) @ F.normalize(texts).mT


@clip_logits.misconception(
    "You divided by exp(log_scale); multiply by it, because it is already the inverse of the temperature.",
    name="divided-by-the-scale",
)
def _(images, texts, log_scale):
    return F.normalize(images) @ F.normalize(texts).mT / log_scale.clamp(max=math.log(100)).exp()


@clip_logits.misconception(
    "You divided by log_scale as if it were the temperature; it is the logarithm of the scale, so multiply the cosines "
    "by its exp.",
    name="log-scale-as-temperature",
)
def _(images, texts, log_scale):
    return F.normalize(images) @ F.normalize(texts).mT / log_scale


clip_logits.mistake(
    "normalised-the-batch",
    "You normalised along the batch, dim 0; normalise each row, because a row is the vector of one image or one text.",
    replace="scale * F.normalize(images) @ F.normalize(texts).mT",
    by="scale * F.normalize(images, dim=0) @ F.normalize(texts, dim=0).mT",
)

clip_logits.mistake(
    "texts-in-rows",
    "You put the texts in the rows; put the images in the rows and the texts in the columns, (N, M).",
    replace="scale * F.normalize(images) @ F.normalize(texts).mT",
    by="scale * F.normalize(texts) @ F.normalize(images).mT",
)


@clip_logits.also_correct
def _(images, texts, log_scale):
    cosines = F.cosine_similarity(images.unsqueeze(1), texts.unsqueeze(0), dim=2)
    return cosines * torch.where(log_scale < math.log(100), log_scale, math.log(100)).exp()


@clip_logits.also_correct
def _(images, texts, log_scale):
    units = [x / x.norm(dim=-1, keepdim=True) for x in (images, texts)]
    return torch.einsum("id,jd->ij", *units) * torch.clamp(log_scale, max=math.log(100)).exp()
