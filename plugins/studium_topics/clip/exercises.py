"""Exercises: logits, the loss and its floor, names out of prompts, retrieval, and the gap between modalities."""

import copy
import itertools
import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.clip import shapes
from studium_topics.clip.model import drawn

# ------------------------------------------------------------------------------------------------- clip_logits


@exercise(
    points=4,
    minutes=10,
    level="warm-up",
    importance=3,
    hints=(
        "What is the cosine of two vectors whose length is 1?",
        "Make every row a unit vector. log_scale is the logarithm of what cosines are multiplied by, so hold it below "
        "the logarithm of 100 first, and then take the exponential.",
        "Unit vectors (N, d) and (M, d) give cosines (N, M). Stay with tensors all the way, or log_scale gets no "
        "gradient.",
        "`F.normalize(x)` makes every row of a matrix a unit vector; `log_scale.clamp(max=…)` holds it below a number.",
    ),
)
def clip_logits(images, texts, log_scale):
    """Return the logits of each image with each text: cosines times a scale.

    The scale is exp(log_scale), but never more than 100. Gradients have to reach all three
    arguments, which stay as they are.

    * images (N, d), texts (M, d): features from the towers, of any length
    * log_scale: a tensor with one number, which is learned
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
    "You took dot products of the features as they are. A long vector would then be similar to everything; divide each "
    "by its length first.",
    name="dot-products",
)
def _(images, texts, log_scale):
    return log_scale.clamp(max=math.log(100)).exp() * images @ texts.mT


@clip_logits.misconception(
    "You multiplied by log_scale; it is the logarithm of the scale, so take exp of it. What is learned is the "
    "logarithm, so that no step makes the scale negative.",
    name="multiplied-by-log-scale",
)
def _(images, texts, log_scale):
    return log_scale.clamp(max=math.log(100)) * F.normalize(images) @ F.normalize(texts).mT


@clip_logits.misconception(
    "You held log_scale itself below 100, and e^100 is 10^43; the scale stays below 100, so log_scale below ln 100.",
    name="clamped-at-100",
)
def _(images, texts, log_scale):
    return log_scale.clamp(max=100).exp() * F.normalize(images) @ F.normalize(texts).mT


@clip_logits.misconception(
    "You let the scale grow without bound; it is held to at most 100, because beyond that training becomes unstable.",
    name="unbounded-scale",
)
def _(images, texts, log_scale):
    return log_scale.exp() * F.normalize(images) @ F.normalize(texts).mT


@clip_logits.misconception(
    "You divided by exp(log_scale); it is the inverse of the temperature already, so multiply.",
    name="divided-by-the-scale",
)
def _(images, texts, log_scale):
    return F.normalize(images) @ F.normalize(texts).mT / log_scale.clamp(max=math.log(100)).exp()


@clip_logits.misconception(
    "You took log_scale for the temperature and divided by it; it is the logarithm of what cosines are multiplied by.",
    name="log-scale-as-temperature",
)
def _(images, texts, log_scale):
    return F.normalize(images) @ F.normalize(texts).mT / log_scale


@clip_logits.misconception(
    "You normalised along the batch, dim 0; it is each row, one image's or one text's vector, that gets the length 1.",
    name="normalised-the-batch",
)
def _(images, texts, log_scale):
    scale = log_scale.clamp(max=math.log(100)).exp()
    return scale * F.normalize(images, dim=0) @ F.normalize(texts, dim=0).mT


@clip_logits.misconception(
    "You put the texts in the rows; rows are images and columns are texts, (N, M).", name="texts-in-rows"
)
def _(images, texts, log_scale):
    scale = log_scale.clamp(max=math.log(100)).exp()
    return scale * F.normalize(texts) @ F.normalize(images).mT


@clip_logits.also_correct
def _(images, texts, log_scale):
    cosines = F.cosine_similarity(images.unsqueeze(1), texts.unsqueeze(0), dim=2)
    return cosines * torch.where(log_scale < math.log(100), log_scale, math.log(100)).exp()


@clip_logits.also_correct
def _(images, texts, log_scale):
    units = [x / x.norm(dim=-1, keepdim=True) for x in (images, texts)]
    return torch.einsum("id,jd->ij", *units) * torch.clamp(log_scale, max=math.log(100)).exp()


# --------------------------------------------------------------------------------------------------- clip_loss


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

    It is the mean of two cross-entropies, each averaged over the batch: that of choosing the right
    text for each image, and that of choosing the right image for each text. It is finite for logits
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
    "or let `F.cross_entropy` or `logsumexp` do so.",
    name="exponential-overflowed",
)
def _(logits):
    shares = [logits.exp() / logits.exp().sum(axis, keepdim=True) for axis in (1, 0)]
    return -sum(share.diagonal().log().mean() for share in shares) / 2


@clip_loss.misconception(
    "You asked the rows alone, which text belongs to an image; ask the columns too, which image belongs to a text.",
    name="rows-alone",
)
def _(logits):
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


@clip_loss.misconception(
    "You asked the columns alone, which image belongs to a text; ask the rows too, which text belongs to an image.",
    name="columns-alone",
)
def _(logits):
    return F.cross_entropy(logits.mT, torch.arange(len(logits), device=logits.device))


@clip_loss.misconception(
    "You summed over the batch; take the mean, or the loss of a large batch is large for no other reason.",
    name="summed-over-the-batch",
)
def _(logits):
    targets = torch.arange(len(logits), device=logits.device)
    return sum(F.cross_entropy(table, targets, reduction="sum") for table in (logits, logits.mT)) / 2


@clip_loss.misconception(
    "You added the two directions; the loss is their mean, so that a model that knows nothing has loss ln N.",
    name="added-both-directions",
)
def _(logits):
    targets = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)


@clip_loss.misconception(
    "You took the softmax yourself, and `F.cross_entropy` takes it again, of numbers from 0 to 1; hand it the logits.",
    name="softmax-twice",
)
def _(logits):
    targets = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits.softmax(1), targets) + F.cross_entropy(logits.mT.softmax(1), targets)) / 2


@clip_loss.misconception(
    "You judged each pair by itself, right or wrong: that is the loss of SigLIP, which came later. CLIP's pairs "
    "compete, by a softmax over the row and one over the column.",
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


# ---------------------------------------------------------------------------------------- multi_positive_loss


@exercise(
    points=5,
    minutes=12,
    importance=1,
    hints=(
        "Which images and texts match, and what do the targets of one row add up to?",
        "A cross-entropy also takes a probability for each class in place of one right class. With m matches in a row, "
        "each gets 1/m.",
        "The matches are an (N, N) matrix of booleans, which is symmetric.",
        "`caption_ids[:, None] == caption_ids` is that matrix, and `F.cross_entropy` takes probabilities as targets.",
    ),
)
def multi_positive_loss(logits, caption_ids):
    """Return the symmetric loss of a batch in which several images may have the same caption.

    The target of a row is the same probability for each of its matches and 0 for the rest, and so is
    that of a column. Cross-entropies are averaged as in `clip_loss`: over the rows, over the columns,
    and the two.

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
    "You gave each match the target 1; the targets of a row are probabilities, so m matches get 1/m each.",
    name="target-one-for-each-match",
)
def _(logits, caption_ids):
    same = (caption_ids[:, None] == caption_ids).to(logits.dtype)
    return (F.cross_entropy(logits, same) + F.cross_entropy(logits.mT, same)) / 2


@multi_positive_loss.misconception(
    "You did not use caption_ids: text i alone counts as right for image i, and its copies as wrong.",
    name="ignored-caption-ids",
)
def _(logits, caption_ids):
    targets = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2


@multi_positive_loss.misconception(
    "You asked the rows alone; the columns have several matches as well.", name="rows-alone"
)
def _(logits, caption_ids):
    same = (caption_ids[:, None] == caption_ids).to(logits.dtype)
    return F.cross_entropy(logits, same / same.sum(0))


@multi_positive_loss.misconception(
    "You gave the whole target to the first match; the copies of a caption are all equally right.",
    name="first-match-alone",
)
def _(logits, caption_ids):
    targets = (caption_ids[:, None] == caption_ids).to(torch.uint8).argmax(1)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.mT, targets)) / 2


@multi_positive_loss.misconception(
    "You averaged over all matching pairs at once, so that captions with many copies weigh more; each row and each "
    "column counts the same, however many matches it has.",
    name="averaged-over-pairs",
)
def _(logits, caption_ids):
    same = caption_ids[:, None] == caption_ids
    return -(logits.log_softmax(1)[same].mean() + logits.log_softmax(0)[same].mean()) / 2


@multi_positive_loss.misconception(
    "You added up the probabilities of all matches before the logarithm: then it is enough that one of them is found. "
    "Here each match has its own share of the target, so the logarithm comes first.",
    name="added-probabilities",
)
def _(logits, caption_ids):
    other = caption_ids[:, None] != caption_ids
    found = [table.log_softmax(1).masked_fill(other, -math.inf).logsumexp(1).mean() for table in (logits, logits.mT)]
    return -sum(found) / 2


@multi_positive_loss.misconception(
    "You took the copies out of the softmax; they stay in it, as right answers with a share of the target.",
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


# ------------------------------------------------------------------------------------------- zero_shot_weights


@exercise(
    points=4,
    minutes=12,
    importance=3,
    hints=(
        "How long is the mean of two unit vectors that do not agree?",
        "Sentences are compared by their direction, so make each a unit vector before the mean, and the mean a unit "
        "vector again.",
        "The P sentences of a class are (P, d), their mean is (d,), and the C classes are the columns of (d, C).",
        "`template.format(name)` puts a name into a template; `F.normalize(x, dim=0)` normalises a single vector.",
    ),
)
def zero_shot_weights(embed, names, templates):
    """Return a classifier made of names: one unit vector for each class, averaged over prompts.

    The sentences of a class are embedded, each is normalised, they are averaged, and the mean is
    normalised again.

    * embed: a function of a list of n sentences that returns their features (n, d), of any length
    * names: of the C classes
    * templates: sentences with `{}` in place of the name
    * returns: (d, C), so that unit features of images (N, d) times this are N × C cosines
    """
    ### BEGIN SOLUTION
    columns = []
    for name in names:
        sentences = F.normalize(embed([template.format(name) for template in templates]))
        columns.append(F.normalize(sentences.mean(0), dim=0))
    return torch.stack(columns, 1)
    ### END SOLUTION


zero_shot_weights.equivalent(
    "columns.append(F.normalize(sentences.sum(0), dim=0))", "sum and mean have the same direction"
)


@zero_shot_weights.test("gives each class a column of length 1", points=1)
def _(zero_shot_weights):
    features = {"a cat": [3.0, 4.0], "a dog": [0.0, 2.0], "a bee": [-5.0, 0.0]}

    def embed(sentences):
        return torch.tensor([features[sentence] for sentence in sentences])

    expected = torch.tensor([[0.6, 0.0, -1.0], [0.8, 1.0, 0.0]])
    found = zero_shot_weights(embed, ["cat", "dog", "bee"], ["a {}"])
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


@zero_shot_weights.hidden("averages unit vectors, and makes the mean one", points=2)
def _(zero_shot_weights, rng):
    for names, templates, size in (
        (["disc", "red ring"], ["a {}", "a photo of a {}.", "{} in the rain"], 5),
        (["one", "two", "three", "four"], ["{}", "not {}"], 4),
        (["left", "right", "up"], ["{} or so"], 2),
    ):
        said = [[template.format(name) for template in templates] for name in names]
        flat = list(itertools.chain.from_iterable(said))
        drawn = torch.randn(len(flat), size, generator=rng, dtype=torch.float64)
        drawn = drawn * (0.2 + 5 * torch.rand(len(flat), 1, generator=rng, dtype=torch.float64))
        features = dict(zip(flat, drawn, strict=True))

        def embed(sentences, features=features):
            unknown = [sentence for sentence in sentences if sentence not in features]
            assert not unknown, f"embed was asked for {unknown[:1]}, which is no name in a template"
            return torch.stack([features[sentence] for sentence in sentences])

        units = [torch.stack([features[s] / features[s].square().sum().sqrt() for s in of]) for of in said]
        means = torch.stack([unit.sum(0) for unit in units], 1)
        expected = means / means.square().sum(0).sqrt()
        what = f"for names {names} and templates {templates}"
        assert_close(zero_shot_weights(embed, names, templates), expected, rtol=1e-6, atol=1e-6, message=what)


@zero_shot_weights.hidden("lets no template weigh more because its vectors are long", points=1)
def _(zero_shot_weights, rng):
    drawn = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)  # template, class, d

    def embed(sentences, factor=1.0):
        rows = [drawn[int(sentence.startswith("the")), int(sentence[-1])] for sentence in sentences]
        lengths = [factor if sentence.startswith("the") else 1.0 for sentence in sentences]
        return torch.stack(rows) * torch.tensor(lengths, dtype=torch.float64)[:, None]

    names, templates = ["0", "1", "2"], ["a {}", "the {}"]
    plain = zero_shot_weights(embed, names, templates)
    longer = zero_shot_weights(lambda sentences: embed(sentences, 50.0), names, templates)
    assert_close(longer, plain, rtol=1e-6, atol=1e-6, message="with one template's features 50 times as long")
    assert_close(plain.square().sum(0), torch.ones(3, dtype=torch.float64), rtol=1e-6, atol=1e-6)


@zero_shot_weights.misconception(
    "You averaged the features as they are: a sentence with a long vector then outweighs the others. Normalise each "
    "first.",
    name="averaged-raw-features",
)
def _(embed, names, templates):
    means = [embed([template.format(name) for template in templates]).mean(0) for name in names]
    return F.normalize(torch.stack(means, 1), dim=0)


@zero_shot_weights.misconception(
    "You left the mean as it came out. It is shorter than 1, the more so the less the prompts agree, and such a class "
    "would get smaller cosines than it deserves: normalise again.",
    name="mean-not-normalised",
)
def _(embed, names, templates):
    means = [F.normalize(embed([template.format(name) for template in templates])).mean(0) for name in names]
    return torch.stack(means, 1)


@zero_shot_weights.misconception(
    "You normalised nothing; cosines need unit vectors, for sentences and for their mean.", name="normalised-nothing"
)
def _(embed, names, templates):
    return torch.stack([embed([template.format(name) for template in templates]).mean(0) for name in names], 1)


@zero_shot_weights.misconception(
    "You put the classes in the rows; each class is a column, (d, C).", name="classes-in-rows"
)
def _(embed, names, templates):
    means = [F.normalize(embed([template.format(name) for template in templates])).mean(0) for name in names]
    return F.normalize(torch.stack(means))


@zero_shot_weights.misconception(
    "You normalised across the classes, along the rows of (d, C); the unit vectors are its columns.",
    name="normalised-across-classes",
)
def _(embed, names, templates):
    means = [F.normalize(embed([template.format(name) for template in templates])).mean(0) for name in names]
    return F.normalize(torch.stack(means, 1), dim=1)


@zero_shot_weights.misconception(
    "You used the first template alone; a class is averaged over all of them.", name="first-template-alone"
)
def _(embed, names, templates):
    return F.normalize(embed([templates[0].format(name) for name in names])).mT


@zero_shot_weights.also_correct
def _(embed, names, templates):
    sentences = [template.format(name) for template in templates for name in names]
    features = F.normalize(embed(sentences), dim=-1).view(len(templates), len(names), -1)
    return F.normalize(features.sum(0), dim=-1).T


@zero_shot_weights.also_correct
def _(embed, names, templates):
    made = []
    for name in names:
        total = 0
        for template in templates:
            feature = embed([template.format(name)])[0]
            total = total + feature / feature.norm()
        made.append(total / total.norm())
    return torch.stack(made, dim=-1)


# ------------------------------------------------------------------------------------------------- name_images


@exercise(
    points=5,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "Which of your functions are needed for training alone, which for naming alone, and which one for both?",
        "Each step: features from both towers, logits, loss, gradients, step. Afterwards the names become features of "
        "texts, one for each class, and an image is compared with all of them, at the scale that was learned.",
        "`zero_shot_weights` returns (d, C), and `clip_logits` takes texts (C, d) and returns (M, C). The softmax is "
        "over the classes.",
        "`clip_logits(model.image(images), zero_shot_weights(model.text, names, templates).mT, model.log_scale)`, "
        "within `torch.no_grad()`.",
    ),
)
def name_images(model, batches, lr, images, names, templates):
    """Train both towers and the scale on images with captions, then name images by the probability of each name.

    Take one step of `torch.optim.Adam` on all parameters for each batch, in order, with your
    `clip_loss`. The classes come from your `zero_shot_weights`, at the scale that the model learned.

    * model: trained in place; `model.image(pixels)` and `model.text(sentences)` return features of any
      length (n, d), and `model.log_scale` is the logarithm of the scale
    * batches: pairs (pixels, captions) of equal length
    * images: M of them, for `model.image`
    * names, templates: as for `zero_shot_weights`
    * returns: probabilities (M, C) without a gradient, and the loss of each batch, before its step, as floats
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses
    ### END SOLUTION


name_images.equivalent(
    "logits = clip_logits(model.text(captions), model.image(pixels), model.log_scale)",
    "the loss is the same for the transpose of its logits",
)


@name_images.test("lowers the loss, and gives each name a probability", points=1)
def _(name_images, rng):
    model = drawn(int(torch.randint(1000, (1,), generator=rng)))
    kinds = shapes.SEEN[::6]
    batch = (shapes.render(kinds, rng), shapes.captions(kinds))
    probabilities, losses = name_images(model, [batch] * 12, 2e-3, batch[0][:5], shapes.NAMES[:7], shapes.TEMPLATES)
    assert tuple(probabilities.shape) == (5, 7), (
        f"five images and seven names need probabilities (5, 7), got {tuple(probabilities.shape)}"
    )
    assert_close(probabilities.sum(-1), torch.ones(5), rtol=1e-4, atol=1e-4, message="the sum over the names")
    assert not probabilities.requires_grad, "the probabilities must come without a gradient"
    assert len(losses) == 12, f"12 batches have 12 losses, got {len(losses)}"
    assert losses[-1] < losses[0] - 0.2, f"training must lower the loss: from {losses[0]:.3f} to {losses[-1]:.3f}"


@name_images.hidden("trains on the symmetric loss, and names at the scale that was learned", points=4)
def _(name_images, rng):
    for count, lr, templates in ((5, 5e-3, shapes.TEMPLATES), (3, 1e-2, ("{} here",)), (1, 2e-3, ("{}", "a {}"))):
        model = drawn(int(torch.randint(1000, (1,), generator=rng)))
        batches, given = [], []
        for _ in range(count):
            kinds = shapes.SEEN[torch.randperm(48, generator=rng)[:7]]
            pixels = shapes.render(kinds, rng)
            batches.append((pixels, shapes.captions(kinds)))
            given.append((pixels.clone(), shapes.captions(kinds)))
        images, expected, losses = shapes.render(shapes.HELD_OUT[:5], rng), copy.deepcopy(model), []
        optimizer = torch.optim.Adam(expected.parameters(), lr=lr)
        for pixels, captions in given:
            a, b = expected.image(pixels), expected.text(captions)
            cosines = (a @ b.T) / a.norm(dim=1)[:, None] / b.norm(dim=1)
            logits = cosines * expected.log_scale.exp()
            loss = -(logits.log_softmax(0) + logits.log_softmax(1)).diagonal().mean() / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found = name_images(model, batches, lr, images, shapes.NAMES[3:7], templates)
        what = f"with {count} batches, a rate of {lr} and the templates {templates}"
        assert_close(found[1], losses, rtol=1e-3, atol=1e-3, message=f"the loss of each batch {what}")
        with torch.no_grad():
            rows = []
            for name in shapes.NAMES[3:7]:
                each = [expected.text([template.replace("{}", name)])[0] for template in templates]
                mean = sum(vector / vector.norm() for vector in each)
                rows.append(mean / mean.norm())
            unit = expected.image(images)
            unit = unit / unit.norm(dim=1, keepdim=True)
            odds = (unit @ torch.stack(rows).T * expected.log_scale.exp()).exp()
        assert_close(found[0], odds / odds.sum(1, keepdim=True), rtol=1e-2, atol=2e-3, message=f"probabilities {what}")
        scales = float(model.log_scale.detach()), float(expected.log_scale.detach())
        assert_close(*scales, rtol=1e-4, atol=1e-4, message=f"log_scale after training {what}")
        for (pixels, captions), (before, words) in zip(batches, given, strict=True):
            assert torch.equal(pixels, before), "the pixels of the batches must stay as they are"
            assert captions == words, "the captions of the batches must stay as they are"


@name_images.misconception(
    "You took the softmax over the images. The question is which name suits an image, so the names compete.",
    name="softmax-over-the-images",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(0)
    return probabilities, losses


@name_images.misconception(
    "You took the softmax of the plain cosines. They lie between −1 and 1, so all names seem about equally likely; the "
    "learned scale belongs before them.",
    name="cosines-as-logits",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
        logits = F.normalize(model.image(images)) @ classes
        probabilities = logits.softmax(-1)
    return probabilities, losses


@name_images.misconception(
    "You never set the gradients to zero, so each step follows the sum of all gradients so far.",
    name="gradients-added-up",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses


@name_images.misconception(
    "You embedded the bare names. Training had sentences, so put each name into the templates.",
    name="names-without-prompts",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, ("{}",))
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses


@name_images.misconception(
    "You trained on one direction, the text for each image. CLIP's loss asks for the image of each text as well.",
    name="images-choose-texts-alone",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = F.cross_entropy(logits, torch.arange(len(logits)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses


@name_images.misconception(
    "You left the scale as it was. It is a parameter, and the optimiser learns it with the towers.",
    name="fixed-scale",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam([p for p in model.parameters() if p is not model.log_scale], lr=lr)
    losses = []
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses


@name_images.misconception(
    "You embedded the names before training. The text tower has changed since, so these classes belong to a model that "
    "is gone.",
    name="classes-before-training",
)
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    with torch.no_grad():
        classes = zero_shot_weights(model.text, names, templates)
    for pixels, captions in batches:
        logits = clip_logits(model.image(pixels), model.text(captions), model.log_scale)
        loss = clip_loss(logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    with torch.no_grad():
        logits = clip_logits(model.image(images), classes.mT, model.log_scale)
        probabilities = logits.softmax(-1)
    return probabilities, losses


@name_images.also_correct
def _(model, batches, lr, images, names, templates):
    optimizer, losses = torch.optim.Adam(list(model.parameters()), lr), []
    for batch in batches:
        features = F.normalize(model.image(batch[0])), F.normalize(model.text(batch[1]))
        logits = model.log_scale.exp().clamp(max=100) * features[0] @ features[1].T
        right = torch.arange(logits.shape[0])
        loss = 0.5 * F.cross_entropy(logits, right) + 0.5 * F.cross_entropy(logits.T, right)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    classes = zero_shot_weights(model.text, names, templates)
    cosines = F.normalize(model.image(images)) @ classes
    return torch.softmax(cosines * model.log_scale.exp().clamp(max=100), 1).detach(), losses


@name_images.also_correct
def _(model, batches, lr, images, names, templates):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def step(pixels, captions):
        optimizer.zero_grad()
        loss = clip_loss(clip_logits(model.image(pixels), model.text(captions), model.log_scale))
        loss.backward()
        optimizer.step()
        return loss.item()

    losses = [step(*batch) for batch in batches]
    rows = []
    with torch.no_grad():
        weights = zero_shot_weights(model.text, names, templates)
        for i in range(len(images)):
            logits = clip_logits(model.image(images[i : i + 1]), weights.T, model.log_scale)
            rows.append(logits[0].exp() / logits[0].exp().sum())
    return torch.stack(rows), losses


# ------------------------------------------------------------------------------------------------ recall_at_k


@exercise(
    points=4,
    minutes=10,
    importance=2,
    kind="find the bug",
    hints=(
        "What does the wrong code return for a matrix whose entries are all equal? And for one that is not symmetric?",
        "Count how many entries are at least as large as the right one. That includes the right one itself, and every "
        "tie, so it is found if the count is at most k.",
        "The right ones are the diagonal, (N,). For rows compare it as (N, 1), for columns as (1, N).",
        "`(similarity >= similarity.diagonal()[:, None]).sum(1)` counts in the rows.",
    ),
)
def recall_at_k(similarity, k):
    """Find the bugs: this function should return the recall at k of retrieval in both directions.

    ```python
    def recall_at_k(similarity, k):
        right = similarity.diagonal()[:, None]
        ahead = similarity > right
        return (ahead.sum(1) < k).double().mean().item(), (ahead.sum(0) < k).double().mean().item()
    ```

    An image finds its text if that is among the k most similar ones of its row, and a text finds its
    image likewise in its column. Of equally similar ones its own counts as the last, so that a model
    which gives all pairs the same number finds nothing by luck.

    * similarity (N, N): row i is image i with every text, and text i is its own
    * k: 1 or more
    * returns: two numbers from 0 to 1, the shares of images and of texts that find their own
    """
    ### BEGIN SOLUTION
    own = similarity.diagonal()
    found = [(similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k]
    return found[0].double().mean().item(), found[1].double().mean().item()
    ### END SOLUTION


@recall_at_k.test("is 1 where every image is most like its own text, and counts what is found", points=1)
def _(recall_at_k):
    assert_close([float(share) for share in recall_at_k(torch.eye(4), 1)], [1.0, 1.0])
    similarity = torch.tensor([[3.0, 4.0, 9.0], [2.0, 5.0, 1.0], [1.0, 0.0, 8.0]])
    found = [float(share) for share in recall_at_k(similarity, 1)]
    assert_close(found, [2 / 3, 2 / 3], message="rows 1 and 2 find their text; columns 0 and 1 their image")


@recall_at_k.hidden("ranks rows and columns, for any k", points=2)
def _(recall_at_k, rng):
    for count in (5, 9, 12):
        similarity = torch.randn(count, count, generator=rng, dtype=torch.float64)
        similarity = similarity + 0.8 * torch.eye(count, dtype=torch.float64)
        similarity[:, 0] += 1.5  # a text that is near to every image, so that the two directions differ
        for k in (3, 1, 2, count):
            hits = [0, 0]
            for direction, table in enumerate((similarity.tolist(), similarity.mT.tolist())):
                for place, row in enumerate(table):
                    hits[direction] += sorted(row, reverse=True).index(row[place]) < k
            found = [float(share) for share in recall_at_k(similarity, k)]
            assert_close(found, [hit / count for hit in hits], message=f"for N={count} and k={k}")


@recall_at_k.hidden("does not count a tie as found", points=1)
def _(recall_at_k):
    similarity = torch.tensor([[2.0, 2.0, 2.0, 0.0], [1.0, 3.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [5.0, 5.0, 0.0, 4.0]])
    assert_close([float(share) for share in recall_at_k(similarity, 2)], [1 / 2, 1.0], message="with ties, k=2")
    similarity = torch.tensor([[2.0, 2.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 5.0, 0.0, 4.0]])
    assert_close([float(share) for share in recall_at_k(similarity, 1)], [1 / 4, 3 / 4], message="with two ties, k=1")
    assert_close([float(share) for share in recall_at_k(similarity, 2)], [1.0, 1.0], message="with two ties, k=2")
    for k in (1, 3):
        found = [float(share) for share in recall_at_k(torch.full((4, 4), 0.7), k)]
        assert_close(found, [0.0, 0.0], message=f"where all pairs are equally similar, with k={k}")


@recall_at_k.misconception(
    "You ranked the rows in both directions; a text looks through its column.", name="rows-in-both-directions"
)
def _(similarity, k):
    share = ((similarity >= similarity.diagonal()[:, None]).sum(1) <= k).double().mean().item()
    return share, share


@recall_at_k.misconception(
    "You compared the columns with the right entry of each row; a text's own image is on the diagonal of its column.",
    name="columns-against-rows",
)
def _(similarity, k):
    own = similarity.diagonal()[:, None]
    found = (similarity >= own).sum(1) <= k, (similarity >= own).sum(0) <= k
    return found[0].double().mean().item(), found[1].double().mean().item()


@recall_at_k.misconception(
    "You returned the two directions in the wrong order: first images that look for texts, rows.",
    name="swapped-directions",
)
def _(similarity, k):
    own = similarity.diagonal()
    found = (similarity >= own).sum(0) <= k, (similarity >= own[:, None]).sum(1) <= k
    return found[0].double().mean().item(), found[1].double().mean().item()


@recall_at_k.misconception(
    "You asked for fewer than k: the right one counts itself, so it is among the first k if at most k are as large, "
    "not fewer.",
    name="fewer-than-k",
)
def _(similarity, k):
    own = similarity.diagonal()
    found = (similarity >= own[:, None]).sum(1) < k, (similarity >= own).sum(0) < k
    return found[0].double().mean().item(), found[1].double().mean().item()


@recall_at_k.misconception(
    "You let k others come first; with the right one these are k + 1 places.", name="k-others-first"
)
def _(similarity, k):
    own = similarity.diagonal()
    found = (similarity > own[:, None]).sum(1) <= k, (similarity > own).sum(0) <= k
    return found[0].double().mean().item(), found[1].double().mean().item()


@recall_at_k.misconception(
    "You counted ties as found. A model that gives every pair the same number would have a recall of 1: let the right "
    "one come last among equals.",
    name="ties-found",
)
def _(similarity, k):
    own = similarity.diagonal()
    found = (similarity > own[:, None]).sum(1) < k, (similarity > own).sum(0) < k
    return found[0].double().mean().item(), found[1].double().mean().item()


@recall_at_k.misconception("You looked at the most similar one only, whatever k is.", name="only-the-first")
def _(similarity, k):
    own = similarity.diagonal()
    found = (similarity >= own[:, None]).sum(1) <= 1, (similarity >= own).sum(0) <= 1
    return found[0].double().mean().item(), found[1].double().mean().item()


@recall_at_k.misconception(
    "You returned how many are found; a recall is their share, so divide by N.", name="count-not-share"
)
def _(similarity, k):
    own = similarity.diagonal()
    found = (similarity >= own[:, None]).sum(1) <= k, (similarity >= own).sum(0) <= k
    return found[0].sum().item(), found[1].sum().item()


@recall_at_k.also_correct
def _(similarity, k):
    count = len(similarity)
    shares = []
    for table in (similarity, similarity.mT):
        others = table.clone()
        others.fill_diagonal_(math.inf)  # the right one first, then the best of the others
        ranked = others.sort(dim=1, descending=True).values
        enough = ranked[:, k] < table.diagonal() if k < count else torch.ones(count, dtype=torch.bool)
        shares.append(float(enough.sum()) / count)
    return tuple(shares)


@recall_at_k.also_correct
def _(similarity, k):
    table = similarity.tolist()
    count = len(table)
    rows = [sum(other >= row[i] for other in row) <= k for i, row in enumerate(table)]
    columns = [sum(row[i] >= table[i][i] for row in table) <= k for i in range(count)]
    return [sum(rows) / count, sum(columns) / count]


# -------------------------------------------------------------------------------------------------- shift_gap


@exercise(
    points=3,
    minutes=10,
    kind="derive",
    importance=1,
    hints=(
        "In which direction does the gap point, and which side has to move against it?",
        "Normalise first, then take the mean of each side: their difference is the gap. Each side goes half of the "
        "way, and is normalised again at the end.",
        "The means and the gap are (d,), and the features are (N, d) and (M, d).",
        "`F.normalize(images).mean(0)` is the mean of one side.",
    ),
)
def shift_gap(images, texts, amount):
    """Return the features of images and texts, moved towards each other along the gap between their means.

    Each row is first made a unit vector, and at the end again. In between, all images move by one
    vector and all texts by its opposite. Both are parallel to the gap, the mean of the images minus
    that of the texts, and what is left of the gap is 1 − amount of it.

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


@shift_gap.misconception(
    "You took the means of the features as they are; long vectors then decide where the gap is. Normalise rows first.",
    name="means-of-raw-features",
)
def _(images, texts, amount):
    half = amount * (images.mean(0) - texts.mean(0)) / 2
    return F.normalize(images - half), F.normalize(texts + half)


@shift_gap.misconception(
    "You left the moved vectors as they were; they are shorter or longer than 1 now, so normalise again.",
    name="not-normalised-again",
)
def _(images, texts, amount):
    images, texts = F.normalize(images), F.normalize(texts)
    half = amount * (images.mean(0) - texts.mean(0)) / 2
    return images - half, texts + half


@shift_gap.misconception(
    "You moved them apart; the gap points from the texts to the images, so images move against it and texts along it.",
    name="moved-apart",
)
def _(images, texts, amount):
    images, texts = F.normalize(images), F.normalize(texts)
    half = amount * (images.mean(0) - texts.mean(0)) / 2
    return F.normalize(images + half), F.normalize(texts - half)


@shift_gap.misconception(
    "You moved each side by the whole gap, so that with amount = 1 their means swap; each goes half of the way.",
    name="whole-gap-each",
)
def _(images, texts, amount):
    images, texts = F.normalize(images), F.normalize(texts)
    gap = amount * (images.mean(0) - texts.mean(0))
    return F.normalize(images - gap), F.normalize(texts + gap)


@shift_gap.misconception(
    "You moved the texts alone, all of the way; each side goes half of it.", name="moved-the-texts-alone"
)
def _(images, texts, amount):
    images, texts = F.normalize(images), F.normalize(texts)
    gap = amount * (images.mean(0) - texts.mean(0))
    return images, F.normalize(texts + gap)


@shift_gap.misconception(
    "You moved both in the same direction, which leaves the gap as it is: one side moves against it, the other along.",
    name="same-direction",
)
def _(images, texts, amount):
    images, texts = F.normalize(images), F.normalize(texts)
    half = amount * (images.mean(0) - texts.mean(0)) / 2
    return F.normalize(images - half), F.normalize(texts - half)


@shift_gap.also_correct
def _(images, texts, amount):
    units = [x / x.norm(dim=1, keepdim=True) for x in (images, texts)]
    means = [x.mean(dim=0) for x in units]
    moved = [x + 0.5 * amount * (means[1 - side] - means[side]) for side, x in enumerate(units)]
    return [x / torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in moved]
