import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=8,
    level="warm-up",
    importance=2,
    hints=(
        "What should the number be if the image has the same shape as the drawing but twice its area?",
        "Find the pixels with ink. Then count the pixels with ink in both, and those with ink in at least one of the "
        "two.",
        "The images have three channels and the hints one; in the end there is one number for each image.",
        "`images.amax(1, keepdim=True) > 0.1` is (B, 1, H, W); `&`, `|` and `.sum((1, 2, 3))` do the rest.",
    ),
    mutates_args=(),
)
def mask_iou(images, hints):
    """Return how well the ink of images covers the drawings: intersection over union.

    A pixel has ink if the brightest of its three channels is above 0.1.

    * images: (B, 3, H, W), values in [-1, 1]
    * hints: (B, 1, H, W), 1 where ink is wanted, else 0
    * returns: (B,), from 0 to 1, a tensor; 1 where neither has ink
    """
    ### BEGIN SOLUTION
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    union = (ink | wanted).sum((1, 2, 3))
    both = (ink & wanted).sum((1, 2, 3))
    return torch.where(union > 0, both / union.clamp(min=1), torch.ones(len(images), device=images.device))
    ### END SOLUTION


mask_iou.equivalent(
    "ink, wanted = images.amax(1, keepdim=True) >= 0.1, hints > 0.5", "the limit is no number of single precision"
)

mask_iou.equivalent("ink, wanted = images.amax(1, keepdim=True) > 0.1, hints >= 0.5", "a drawing has 0 and 1 alone")


mask_iou.equivalent(
    "return torch.where(union > 0, both / union.clamp(min=0), torch.ones(len(images), device=images.device))",
    "where the union is empty, the other value is taken",
)


@mask_iou.test("counts ink that both have over ink that either has", points=1)
def _(mask_iou, rng):
    hints = torch.zeros(2, 1, 4, 6)
    hints[0, :, :2, :3], hints[1, :, 1:, :] = 1, 1
    images = torch.full((2, 3, 4, 6), -0.8)
    images[0, 0, 1:4, :3], images[0, 1, 1:4, :3], images[1, 1:, 1:, 2:4] = 0.3, 0.7, 0.9
    assert_close(torch.as_tensor(mask_iou(images, hints)), torch.tensor([3 / 12, 6 / 18]), message="3 of 12, 6 of 18")
    images, hints = torch.full((2, 3, 3, 2), -0.8), torch.zeros(2, 1, 3, 2)
    images[:, 1, 2, 0], hints[0, :, 2, 0] = 0.6, 1
    assert_close(torch.as_tensor(mask_iou(images, hints)), torch.tensor([1.0, 0.0]), message="1 of 1, 0 of 1")


@mask_iou.hidden("judges each image alone, by the brightest channel, and empty ones too", points=1)
def _(mask_iou, rng):
    for count, size in ((5, 4), (3, 7), (4, 6)):
        images = torch.rand(count, 3, size, size, generator=rng) * 1.8 - 1
        hints = (torch.rand(count, 1, size, size, generator=rng) < 0.4).float()
        images[-1], hints[-1] = -0.5, 0
        images[1] = -0.9
        before = images.clone(), hints.clone()
        found = mask_iou(images, hints)
        expected = []
        for image, hint in zip(images.tolist(), hints.tolist(), strict=True):
            cells = [(i, j) for i in range(size) for j in range(size)]
            ink = {(i, j) for i, j in cells if max(image[c][i][j] for c in range(3)) > 0.1}
            wanted = {(i, j) for i, j in cells if hint[0][i][j] == 1}
            expected.append(len(ink & wanted) / len(ink | wanted) if ink | wanted else 1.0)
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6, message=f"{count} images of side {size}")
        same = torch.equal(images, before[0]) and torch.equal(hints, before[1])
        assert same, "the arguments must stay as they are"


@mask_iou.misconception(
    "You divided by the ink of the drawing, so an image full of ink would get a perfect 1; divide by the union.",
    name="divided-by-the-drawing",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return (ink & wanted).sum((1, 2, 3)) / wanted.sum((1, 2, 3))


@mask_iou.misconception(
    "You counted the pixels that agree. Most pixels are background in both, so even an empty image scores high; count "
    "only pixels with ink.",
    name="share-of-equal-pixels",
)
def _(images, hints):
    return ((images.amax(1, keepdim=True) > 0.1) == (hints > 0.5)).float().mean((1, 2, 3))


@mask_iou.misconception(
    "You computed the Dice score, twice the intersection over the sum of both areas; divide by the union, which "
    "counts shared pixels only once.",
    name="dice-score",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return 2 * (ink & wanted).sum((1, 2, 3)) / (ink.sum((1, 2, 3)) + wanted.sum((1, 2, 3)))


@mask_iou.misconception(
    "You looked at the mean of the channels. Pure red ink is dark in two of three, so it would not count; look at the "
    "brightest channel.",
    name="mean-of-the-channels",
)
def _(images, hints):
    ink, wanted = images.mean(1, keepdim=True) > 0.1, hints > 0.5
    union = (ink | wanted).sum((1, 2, 3))
    return torch.where(union > 0, (ink & wanted).sum((1, 2, 3)) / union.clamp(min=1), torch.ones(len(images)))


@mask_iou.misconception(
    "You compared each of the three channels with the drawing; a pixel either has ink or not, whatever its colour.",
    name="channel-by-channel",
)
def _(images, hints):
    ink, wanted = images > 0.1, (hints > 0.5).expand_as(images)
    union = (ink | wanted).sum((1, 2, 3))
    return torch.where(union > 0, (ink & wanted).sum((1, 2, 3)) / union.clamp(min=1), torch.ones(len(images)))


@mask_iou.misconception(
    "You returned one number for the whole batch, in which large drawings count more; return one for each image.",
    name="over-the-batch",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return (ink & wanted).sum() / (ink | wanted).sum()


@mask_iou.misconception(
    "You divided by a union of 0 where neither has ink, which gives nan. Nothing was wanted and nothing drawn, so the "
    "score is 1.",
    name="nan-for-empty",
)
def _(images, hints):
    ink, wanted = images.amax(1, keepdim=True) > 0.1, hints > 0.5
    return (ink & wanted).sum((1, 2, 3)) / (ink | wanted).sum((1, 2, 3))


@mask_iou.also_correct
def _(images, hints):
    scores = []
    for image, hint in zip(images, hints, strict=True):
        ink, wanted = (image > 0.1).any(0), hint[0].bool()
        union = int((ink | wanted).sum())
        scores.append(int((ink & wanted).sum()) / union if union else 1.0)
    return torch.tensor(scores)


@mask_iou.also_correct
def _(images, hints):
    ink, wanted = (images.max(1).values > 0.1).flatten(1).float(), hints.flatten(1)
    both = (ink * wanted).sum(1)
    union = ink.sum(1) + wanted.sum(1) - both
    return torch.nan_to_num(both / union, nan=1.0)
