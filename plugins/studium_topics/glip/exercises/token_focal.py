import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "If a model gives the right answer the probability 0.99, how much smaller is (1 − 0.99)² than 1?",
        "Choose the entries that count first, because −∞ times 0 is not a number. Then compute p, the probability of "
        "the right answer, for both kinds of targets.",
        "`mask` (B, M) has to become (B, N, M) before it can choose entries. The entries it chooses have one axis.",
        '`F.binary_cross_entropy_with_logits(x, t, reduction="none")` is −ln p, computed stably; '
        "`torch.where(t > 0, a, b)` takes a for positive targets.",
    ),
    mutates_args=(),
)
def token_focal(logits, targets, mask, alpha=0.25, gamma=2.0):
    """Return the focal loss of word-region logits, divided by the number of positive entries.

    An entry costs −w (1 − p)^gamma ln p: p is the probability of the right answer, by a sigmoid, and w is
    alpha for target 1, 1 − alpha for target 0. Places without a token, with the logit −∞ or any other,
    do not count. Divide the sum by the number of targets 1 that count, at least 1. Loss and gradients
    are finite for logits of ±100 in float32.

    * logits, targets (B, N, M): targets are 0.0 or 1.0
    * mask (B, M): true where there is a token, else false
    * returns: a tensor with one number
    """
    ### BEGIN SOLUTION
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    losses = -weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)
    return losses.sum() / t.sum().clamp(min=1)
    ### END SOLUTION


@token_focal.test("costs little where the model is right, and much where it is wrong", points=1)
def _(token_focal):
    logits = torch.tensor([[[2.0, -1.0, 7.0], [0.5, 3.0, -7.0]]])
    targets = torch.tensor([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    mask = torch.tensor([[True, True, False]])
    total = 0.0
    for logit, weight in ((2.0, 0.25), (0.5, 0.25), (1.0, 0.75), (-3.0, 0.75)):  # of what is right
        p = 1 / (1 + math.exp(-logit))
        total += -weight * (1 - p) ** 2 * math.log(p)
    assert_close(token_focal(logits, targets, mask), torch.tensor(total / 2), rtol=1e-4, atol=1e-5)


@token_focal.hidden("is the same for any alpha and gamma, however many captions are padded", points=1)
def _(token_focal, rng):
    cases = ((2, 5, 4, 0.25, 2.0), (3, 4, 6, 0.6, 1.0), (1, 7, 3, 0.5, 0.0), (2, 3, 5, 0.1, 3.5))
    for batch, count, tokens, alpha, gamma in cases:
        logits = 2 * torch.randn(batch, count, tokens, generator=rng, dtype=torch.float64)
        targets = (torch.rand(batch, count, tokens, generator=rng) < 0.3).double()
        mask = torch.rand(batch, tokens, generator=rng) < 0.7
        mask[:, 0], mask[0, -1], targets[:, 0, 0] = True, False, 1.0
        logits = logits.masked_fill(~mask[:, None], -math.inf)
        kept = logits.clone(), targets.clone(), mask.clone()
        total, positives = 0.0, 0
        for row, region, token in mask[:, None].expand_as(logits).nonzero().tolist():
            positive, logit = bool(targets[row, region, token]), float(logits[row, region, token])
            p = 1 / (1 + math.exp(-logit if positive else logit))
            total -= (alpha if positive else 1 - alpha) * (1 - p) ** gamma * math.log(p)
            positives += positive
        what = f"for B={batch}, N={count}, M={tokens}, alpha={alpha} and gamma={gamma}"
        expected = torch.tensor(total / positives, dtype=torch.float64)
        assert_close(token_focal(logits, targets, mask, alpha, gamma), expected, rtol=1e-6, atol=1e-6, message=what)
        for name, now, before in zip(("logits", "targets", "mask"), (logits, targets, mask), kept, strict=True):
            assert torch.equal(now, before), f"{name} must stay as they are"


@token_focal.hidden("has finite gradients with padding and with large logits, in float32", points=1)
def _(token_focal, rng):
    logits = 3 * torch.randn(2, 4, 5, generator=rng)
    logits[0, 0, :4] = torch.tensor([100.0, -100.0, 100.0, -100.0])
    targets = torch.zeros(2, 4, 5)
    targets[0, 0, :2], targets[1, 2, 1] = 1.0, 1.0
    mask = torch.tensor([[True, True, True, True, False], [True, True, False, False, False]])
    logits = logits.masked_fill(~mask[:, None], -math.inf).requires_grad_()
    loss = token_focal(logits, targets, mask)
    assert loss.requires_grad, "gradients must reach the logits: keep the loss a tensor, without `detach` or `item`"
    (found,) = torch.autograd.grad(loss, logits)
    exact = logits.detach().double().masked_fill(~mask[:, None], 0.0).requires_grad_()
    right = exact * (2 * targets - 1)
    weight = 0.25 * targets + 0.75 * (1 - targets)
    costs = weight * F.softplus(-right) * F.softplus(right).neg().exp().square()
    expected = (costs * mask[:, None]).sum() / 3
    (wanted,) = torch.autograd.grad(expected, exact)
    assert_close(loss.detach(), expected.detach().to(torch.float32), rtol=1e-4, atol=1e-5, message="the loss")
    assert_close(found, wanted.to(torch.float32), rtol=1e-3, atol=1e-5, message="the gradient at the logits")


@token_focal.hidden("divides by 1 where no entry is positive, and ignores positive entries of padding", points=1)
def _(token_focal, rng):
    logits = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)
    targets = torch.zeros(2, 3, 4, dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    targets[:, :, 3] = 1.0
    p = torch.sigmoid(-logits)
    expected = (-0.75 * (1 - p).square() * p.log() * mask[:, None]).sum()
    assert_close(token_focal(logits, targets, mask), expected, rtol=1e-6, atol=1e-6)


@token_focal.misconception(
    "You took a softmax over the words, so the words compete, and a red ring cannot be both red and a ring; use a "
    "sigmoid, which judges each word by itself and allows all of them to be absent.",
    name="softmax-over-words",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    p = logits.masked_fill(~counts, -math.inf).softmax(-1)[counts].clamp(1e-7, 1 - 1e-7)
    t = targets[counts]
    right = torch.where(t > 0, p, 1 - p)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * (1 - right) ** gamma * right.log()).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You gave alpha to the targets 0; give alpha to the targets 1, and 1 − alpha to the targets 0.",
    name="alpha-swapped",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * (1 - t) + (1 - alpha) * t
    return (-weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You took the mean over the entries. Nearly all of them are easy zeros, so a longer caption would have a smaller "
    "loss; divide by the number of positive entries.",
    name="mean-over-entries",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)).mean()


@token_focal.misconception(
    "You left out the factor (1 − p)^gamma, which leaves a weighted cross-entropy; multiply by it, because otherwise "
    "thousands of easy zeros together outweigh the few entries that matter.",
    name="no-focusing",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * F.logsigmoid(right)).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You raised p to the power gamma, so the loss concentrates on what the model already does well; raise 1 − p "
    "instead.",
    name="focused-on-the-easy",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * right.sigmoid() ** gamma * F.logsigmoid(right)).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You counted all entries; choose the entries of tokens first, because a place without a token must not change the "
    "loss, whatever its logit or target.",
    name="padding-counted",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    right = torch.where(targets > 0, logits, -logits)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    losses = -weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)
    return losses.sum() / targets.sum().clamp(min=1)


@token_focal.misconception(
    "You took the logarithm of the sigmoid. At a logit of −100 the sigmoid is 0 in float32 and its logarithm −∞; "
    "`F.logsigmoid` and `F.binary_cross_entropy_with_logits` stay finite.",
    name="logarithm-of-zero",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    p, t = logits[counts].sigmoid(), targets[counts]
    right = torch.where(t > 0, p, 1 - p)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * (1 - right) ** gamma * right.log()).sum() / t.sum().clamp(min=1)


@token_focal.also_correct
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    keep = mask.unsqueeze(1).expand(logits.shape)
    x, t = logits[keep], targets[keep]
    cross_entropy = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    p = x.sigmoid()
    wrong = p * (1 - t) + (1 - p) * t
    return (cross_entropy * wrong**gamma * (alpha * t + (1 - alpha) * (1 - t))).sum() / max(1.0, float(t.sum()))


@token_focal.also_correct
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    keep = mask[:, None, :].to(logits.dtype)
    x = torch.where(mask[:, None, :], logits, 0)
    ones = alpha * targets * torch.sigmoid(-x) ** gamma * F.softplus(-x)
    zeros = (1 - alpha) * (1 - targets) * torch.sigmoid(x) ** gamma * F.softplus(x)
    return ((ones + zeros) * keep).sum() / (targets * keep).sum().clamp(min=1.0)
