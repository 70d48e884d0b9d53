import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=12,
    importance=1,
    hints=(
        "Which images and texts match, and what do the targets of one row add up to?",
        "A cross-entropy can also take a probability for each class instead of one right class. With m matches in a "
        "row, each gets 1/m.",
        "The matches form an (N, N) matrix of booleans, which is symmetric.",
        "`caption_ids[:, None] == caption_ids` is that matrix, and `F.cross_entropy` takes probabilities as targets.",
    ),
)
def multi_positive_loss(logits, caption_ids):
    """Return the symmetric loss of a batch in which several images may have the same caption.

    The target of a row has the same probability for each of its matches and 0 for the rest; the target
    of a column likewise. Average the cross-entropies as in `clip_loss`: over the rows, over the
    columns, and then the two averages.

    * logits (N, N): row i is image i with every text
    * caption_ids (N,): whole numbers; image i and text j match where their numbers are equal
    * returns: a tensor with one number, through which gradients reach the logits
    """
    ### BEGIN SOLUTION
    same = (caption_ids[:, None] == caption_ids).to(logits.dtype)
    targets = same / same.sum(0)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2
    ### END SOLUTION


multi_positive_loss.equivalent(
    "same = (caption_ids[:, None] == caption_ids)", "booleans over counts are fractions too, in single precision"
)

multi_positive_loss.equivalent(
    "targets = same / same.sum(1)", "who matches whom is mutual, so row and column have as many matches"
)


@multi_positive_loss.test("is the ordinary loss where every caption is there once", points=1)
def _(multi_positive_loss):
    logits = torch.tensor([[2.0, 3.0], [1.0, 4.0]]).log()
    expected = torch.tensor(-math.log(2 / 5 * 4 / 5 * 2 / 3 * 4 / 7) / 4)
    assert_close(multi_positive_loss(logits, torch.tensor([7, 3])), expected, rtol=1e-4, atol=1e-5)


@multi_positive_loss.hidden("shares the target among all matches, in rows and in columns", points=2)
def _(multi_positive_loss, rng):
    for ids in ([0, 1, 0, 2, 0], [4, 4, 9, 9], [1, 2, 3], [5, 5, 5, 5, 5, 8]):
        count = len(ids)
        logits = 2 * torch.randn(count, count, generator=rng, dtype=torch.float64)
        total = 0.0
        for table in (logits, logits.mT):
            shares = table.log_softmax(1)
            for row in range(count):
                matches = [column for column in range(count) if ids[column] == ids[row]]
                total = total - sum(shares[row, column] for column in matches) / len(matches)
        found = multi_positive_loss(logits, torch.tensor(ids))
        assert_close(found, total / (2 * count), rtol=1e-6, atol=1e-6, message=f"for caption_ids {ids}")


@multi_positive_loss.hidden("has the floor ln m for captions that are there m times", points=1)
def _(multi_positive_loss, rng):
    for copies in (1, 2, 3):
        ids = torch.arange(4).repeat(copies)[torch.randperm(4 * copies, generator=rng)]
        logits = 60.0 * (ids[:, None] == ids)
        found = multi_positive_loss(logits, ids)
        expected = torch.tensor(math.log(copies))
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=f"with every caption {copies} times")


@multi_positive_loss.hidden("lets gradients reach the logits", points=1)
def _(multi_positive_loss, rng):
    logits = torch.randn(4, 4, generator=rng, dtype=torch.float64).requires_grad_()
    loss = multi_positive_loss(logits, torch.tensor([3, 8, 3, 1]))
    assert loss.requires_grad, "gradients must reach the logits: keep the loss a tensor, without `detach` or `item`"
    (found,) = torch.autograd.grad(loss, logits)
    targets = [[0.5, 0.0, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0], [0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 1.0]]
    wanted = (logits.softmax(0) + logits.softmax(1) - 2 * torch.tensor(targets)) / 8
    assert_close(found, wanted.detach(), rtol=1e-6, atol=1e-6, message="the gradient")


@multi_positive_loss.misconception(
    "You gave each match the target 1; give m matches 1/m each, because the targets of a row are probabilities.",
    name="target-one-for-each-match",
)
def _(logits, caption_ids):
    same = (caption_ids[:, None] == caption_ids).to(logits.dtype)
    return (F.cross_entropy(logits, same) + F.cross_entropy(logits.mT, same)) / 2


@multi_positive_loss.misconception(
    "You did not use caption_ids, so only text i counts as right for image i, and its copies count as wrong; count "
    "every text with the same caption as right.",
    name="ignored-caption-ids",
)
def _(logits, caption_ids):
    targets = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2


@multi_positive_loss.misconception(
    "You used only the rows; use the columns too, because they also have several matches.", name="rows-alone"
)
def _(logits, caption_ids):
    same = (caption_ids[:, None] == caption_ids).to(logits.dtype)
    return F.cross_entropy(logits, same / same.sum(0))


@multi_positive_loss.misconception(
    "You gave the whole target to the first match; share it among all matches, because the copies of a caption are all "
    "equally right.",
    name="first-match-alone",
)
def _(logits, caption_ids):
    targets = (caption_ids[:, None] == caption_ids).to(torch.uint8).argmax(1)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2


@multi_positive_loss.misconception(
    "You averaged over all matching pairs at once, so captions with many copies count more; give each row and each "
    "column the same weight, however many matches it has.",
    name="averaged-over-pairs",
)
def _(logits, caption_ids):
    same = caption_ids[:, None] == caption_ids
    return -(logits.log_softmax(1)[same].mean() + logits.log_softmax(0)[same].mean()) / 2


@multi_positive_loss.misconception(
    "You added up the probabilities of all matches before the logarithm, so it is enough to find one of them. Take the "
    "logarithm first, because each match has its own share of the target.",
    name="added-probabilities",
)
def _(logits, caption_ids):
    other = caption_ids[:, None] != caption_ids
    found = [table.log_softmax(1).masked_fill(other, -math.inf).logsumexp(1).mean() for table in (logits, logits.mT)]
    return -sum(found) / 2


@multi_positive_loss.misconception(
    "You took the copies out of the softmax; keep them in, as right answers with a share of the target.",
    name="left-copies-out",
)
def _(logits, caption_ids):
    copies = caption_ids[:, None] == caption_ids
    copies = copies & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    targets = torch.arange(len(logits), device=logits.device)
    kept = [table.masked_fill(copies, -math.inf) for table in (logits, logits.mT)]
    return sum(F.cross_entropy(table, targets) for table in kept) / 2


@multi_positive_loss.also_correct
def _(logits, caption_ids):
    same = caption_ids.unsqueeze(0) == caption_ids.unsqueeze(1)
    shares = logits.log_softmax(1) + logits.log_softmax(0)
    return -((shares * same).sum(1) / same.sum(1)).mean() / 2


@multi_positive_loss.also_correct
def _(logits, caption_ids):
    loss = logits.logsumexp(0).mean() + logits.logsumexp(1).mean()
    for own in range(len(logits)):
        matches = caption_ids == caption_ids[own]
        loss = loss - (logits[own][matches].mean() + logits[:, own][matches].mean()) / len(logits)
    return loss / 2
