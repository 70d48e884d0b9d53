import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Row i is a classification with N classes. Which class is the right answer? And in column i?",
        "The loss is the mean of two cross-entropies, one over rows and one over columns.",
        "The columns are the rows of the transposed matrix, and the N targets are the same.",
        "`F.cross_entropy(logits, targets)` takes logits, subtracts each row's maximum before the exponential, and "
        "averages.",
    ),
)
def clip_loss(logits):
    """Return CLIP's symmetric loss of a batch in which image i belongs to text i.

    It is the mean of two cross-entropies, each averaged over the batch: one for choosing the right
    text for each image, and one for choosing the right image for each text. It is finite for logits
    of 100 in float32.

    * logits (N, N): row i is image i with every text
    * returns: a tensor with one number, through which gradients reach the logits
    """
    ### BEGIN SOLUTION
    targets = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2
    ### END SOLUTION


@clip_loss.test("is the mean of the cross-entropies of three rows and three columns", points=1)
def _(clip_loss):
    logits = torch.tensor([[2.0, 3.0, 5.0], [1.0, 4.0, 5.0], [3.0, 1.0, 6.0]]).log()
    right = (2 / 10, 4 / 10, 6 / 10, 2 / 6, 4 / 8, 6 / 16)  # the probability of what is right: rows, then columns
    expected = torch.tensor(-sum(map(math.log, right)) / 6)
    assert_close(clip_loss(logits), expected, rtol=1e-4, atol=1e-5)


@clip_loss.hidden("asks rows and columns the same, for any batch", points=2)
def _(clip_loss, rng):
    for count, scale in ((3, 1.0), (6, 4.0), (1, 2.0), (9, 0.3)):
        logits = scale * torch.randn(count, count, generator=rng, dtype=torch.float64)
        rows = logits.logsumexp(1) - logits.diagonal()
        columns = logits.logsumexp(0) - logits.diagonal()
        expected = (rows.sum() + columns.sum()) / (2 * count)
        assert_close(clip_loss(logits), expected, rtol=1e-6, atol=1e-6, message=f"for N={count}")
    logits.requires_grad_()
    loss = clip_loss(logits)
    assert loss.requires_grad, "gradients must reach the logits: keep the loss a tensor, without `detach` or `item`"
    (found,) = torch.autograd.grad(loss, logits)
    expected = (logits.softmax(1) + logits.softmax(0) - 2 * torch.eye(count, dtype=torch.float64)) / (2 * count)
    assert_close(found, expected.detach(), rtol=1e-6, atol=1e-6, message="the gradient")


@clip_loss.hidden("is ln N for constant logits, and finite for large ones in float32", points=1)
def _(clip_loss, rng):
    for level in (0.0, 100.0, -100.0):
        found = clip_loss(torch.full((64, 64), level, dtype=torch.float32))
        assert_close(found, torch.tensor(math.log(64)), rtol=1e-4, atol=1e-4, message=f"for logits of {level}")
    features = F.normalize(torch.randn(2, 200, 8, generator=rng, dtype=torch.float64), dim=-1)
    logits = 100 * features[0] @ (features[0] + 0.2 * features[1]).mT
    expected = (logits.logsumexp(1) + logits.logsumexp(0) - 2 * logits.diagonal()).mean() / 2
    found = clip_loss(logits.to(torch.float32))
    assert_close(found, expected.to(torch.float32), rtol=1e-3, atol=1e-3, message="for N=200 at scale 100")


@clip_loss.misconception(
    "You took exp of the logits as they are: e^100 is more than a float32 can hold. Subtract each row's maximum first, "
    "or let `F.cross_entropy` or `logsumexp` do it.",
    name="exponential-overflowed",
)
def _(logits):
    shares = [logits.exp() / logits.exp().sum(axis, keepdim=True) for axis in (1, 0)]
    return -sum(share.diagonal().log().mean() for share in shares) / 2


@clip_loss.misconception(
    "You used only the rows, which choose a text for each image; use the columns too, which choose an image for each "
    "text.",
    name="rows-alone",
)
def _(logits):
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


@clip_loss.misconception(
    "You used only the columns, which choose an image for each text; use the rows too, which choose a text for each "
    "image.",
    name="columns-alone",
)
def _(logits):
    return F.cross_entropy(logits.mT, torch.arange(len(logits), device=logits.device))


clip_loss.mistake(
    "summed-over-the-batch",
    "You summed over the batch; average over it, because otherwise the loss grows with the batch.",
    replace="(F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2",
    by='sum(F.cross_entropy(table, targets, reduction="sum") for table in (logits, logits.mT)) / 2',
)

clip_loss.mistake(
    "added-both-directions",
    "You added the two directions; take their mean, so that a model that knows nothing has loss ln N.",
    replace="(F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2",
    by="F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)",
)

clip_loss.mistake(
    "softmax-twice",
    "You took the softmax yourself, and `F.cross_entropy` then takes another one, of numbers from 0 to 1; pass it the "
    "logits.",
    replace="F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)",
    by="F.cross_entropy(logits.softmax(1), targets) + F.cross_entropy(logits.mT.softmax(1), targets)",
)


@clip_loss.misconception(
    "You judged each pair by itself, right or wrong, which is the loss of SigLIP, a later model. CLIP's pairs compete, "
    "in a softmax over the row and one over the column.",
    name="sigmoid-loss",
)
def _(logits):
    return F.binary_cross_entropy_with_logits(logits, torch.eye(len(logits), dtype=logits.dtype, device=logits.device))


@clip_loss.also_correct
def _(logits):
    return (logits.logsumexp(0) + logits.logsumexp(1) - 2 * logits.diagonal()).mean() / 2


@clip_loss.also_correct
def _(logits):
    rows, columns = logits.log_softmax(1), logits.log_softmax(0)
    return -(rows + columns).trace() / (2 * logits.shape[0])
