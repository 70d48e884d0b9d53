import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="find the bug",
    shows="mean-of-means",
    hints=(
        "Two parts have 1 and 9 chosen tokens. How much does each token count in this version?",
        "Divide the sum of all losses by one number that you know before you run the first part.",
        "Count the chosen tokens in labels (B, T), not in a part (micro, T).",
        '`F.cross_entropy(..., ignore_index=-100, reduction="sum")` adds up; `int((labels != -100).sum())` counts.',
    ),
)
def accumulate(model, inputs, labels, micro):
    """Add the gradient of a big batch's loss to `.grad`, `micro` rows at a time, and return the loss. Find the bug.

    The loss is the mean over all chosen tokens of the whole batch, whatever micro is.

    - model(rows): logits (b, T, V).
    - inputs, labels (B, T): long; a label is -100 where the token was not chosen. At least one token is chosen.
    - micro: from 1 to B. A part goes forward and backward before the next part begins.
    - Returns a number.
    """
    ### BEGIN SOLUTION
    chosen = int((labels != -100).sum())
    total = 0.0
    for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=True):
        logits = model(some).flatten(0, 1)
        loss = F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / chosen
        loss.backward()
        total += loss.item()
    return total
    ### END SOLUTION


accumulate.equivalent(
    "for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=False):",
    "inputs and labels have the same number of rows",
)

accumulate.equivalent(
    'loss = F.cross_entropy(logits, wanted.flatten(), reduction="sum") / chosen', "-100 is ignored by default"
)


@accumulate.test("gives two uneven parts the gradient of the whole", points=1)
def _(accumulate):
    table = drawn(lambda: nn.Embedding(5, 5), torch.Generator().manual_seed(3), scale=1.0)
    inputs = torch.tensor([[0, 1, 2], [3, 4, 0], [1, 1, 3]])
    labels = torch.tensor([[1, 2, 3], [-100, 0, -100], [4, 4, -100]])
    whole = F.cross_entropy(table(inputs).flatten(0, 1), labels.flatten(), ignore_index=-100)
    (expected,) = torch.autograd.grad(whole, table.weight)
    found = accumulate(table, inputs, labels, 2)
    assert_close(float(found), whole.item(), rtol=1e-4, message="the mean loss of the 6 chosen tokens")
    assert_close(table.weight.grad, expected, rtol=1e-4, atol=1e-6, message="the gradient of that mean")


@accumulate.hidden("agrees with the whole batch for every size of the parts", points=2)
def _(accumulate, rng):
    for batch, length, words in ((7, 5, 9), (5, 6, 4)):
        model = drawn(lambda words=words: nn.Sequential(nn.Embedding(words, 6), nn.Linear(6, words)), rng, scale=1.0)
        model = model.double()
        inputs = torch.randint(words, (batch, length), generator=rng)
        labels = torch.randint(words, (batch, length), generator=rng)
        share = torch.linspace(0.1, 0.9, batch)[:, None]  # rows with few and with many chosen tokens
        labels = labels.masked_fill(torch.rand(batch, length, generator=rng) > share, -100)
        labels[0, 0], labels[1] = 1, -100  # a row in which nothing was chosen
        labels[-1, 0], labels[-1, -1] = 0, words - 1
        logits = model(inputs)
        terms = [
            logits[b, t].logsumexp(0) - logits[b, t, labels[b, t]]
            for b in range(batch)
            for t in range(length)
            if int(labels[b, t]) >= 0
        ]
        whole = sum(terms) / len(terms)
        expected = torch.autograd.grad(whole, list(model.parameters()))
        for micro in (2, 1, 3, batch):
            model.zero_grad()
            found = accumulate(model, inputs, labels, micro)
            assert_close(float(found), whole.item(), rtol=1e-6, message=f"the loss, {micro} of {batch} rows at a time")
            for parameter, right in zip(model.parameters(), expected, strict=True):
                assert parameter.grad is not None, "gradients must be added to `.grad`"
                what = f"the gradient, {micro} of {batch} rows at a time"
                assert_close(parameter.grad, right, rtol=1e-6, atol=1e-9, message=what)


@accumulate.hidden("runs the parts one after the other, and adds to the gradient that is there", points=1)
def _(accumulate, rng):
    model = drawn(lambda: nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6)), rng, scale=1.0).double()
    inputs = torch.randint(6, (5, 3), generator=rng)
    labels = torch.randint(6, (5, 3), generator=rng)
    sizes, known = [], []

    def watch(module, arguments):
        sizes.append(len(arguments[0]))
        grad = model[1].bias.grad
        known.append(None if grad is None else grad.clone())

    start = [torch.randn(p.shape, generator=rng, dtype=torch.float64) for p in model.parameters()]
    for parameter, before in zip(model.parameters(), start, strict=True):
        parameter.grad = before.clone()
    handle = model.register_forward_pre_hook(watch)
    accumulate(model, inputs, labels, 2)
    handle.remove()
    assert sizes == [2, 2, 1], f"5 rows, 2 at a time, are parts of 2, 2 and 1 rows, got {sizes}"
    assert known[0] is not None, "add to the gradient that `.grad` holds; it was None when the first part ran"
    assert not torch.equal(known[0], known[1]), "run a part backward before the next one forward, to free its memory"
    assert not torch.equal(known[1], known[2]), "run a part backward before the next one forward, to free its memory"
    loss = F.cross_entropy(model(inputs).flatten(0, 1), labels.flatten())
    right = torch.autograd.grad(loss, list(model.parameters()))
    for parameter, before, one in zip(model.parameters(), start, right, strict=True):
        assert_close(parameter.grad, before + one, rtol=1e-6, atol=1e-9, message="what `.grad` held, plus the gradient")


@accumulate.misconception(
    "You averaged the means of the parts, so a chosen token counts more in a part with few of them. Divide by the "
    "number of chosen tokens in the whole batch.",
    name="mean-of-means",
)
def _(model, inputs, labels, micro):
    parts = list(zip(inputs.split(micro), labels.split(micro), strict=True))
    total = 0.0
    for some, wanted in parts:
        logits = model(some).flatten(0, 1)
        loss = F.cross_entropy(logits, wanted.flatten(), ignore_index=-100) / len(parts)
        loss.backward()
        total += loss.item()
    return total


accumulate.mistake(
    "divided-by-rows",
    "You divided by the number of rows; divide by the number of chosen tokens, which differs from row to row.",
    edits=[
        ("chosen = int((labels != -100).sum())", ""),
        (
            'F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / chosen',
            'F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / len(inputs)',
        ),
    ],
)


@accumulate.misconception(
    "You added up the means of the parts, so the gradient grows with the number of parts; divide the sum of all "
    "losses by the number of chosen tokens in the whole batch.",
    name="sum-of-means",
)
def _(model, inputs, labels, micro):
    total = 0.0
    for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=True):
        if (wanted != -100).any():
            loss = F.cross_entropy(model(some).flatten(0, 1), wanted.flatten(), ignore_index=-100)
            loss.backward()
            total += loss.item()
    return total


accumulate.mistake(
    "divided-by-all-tokens",
    "You counted every token, chosen or not; leave out the labels of -100, which add nothing to the loss.",
    edits=[
        ("chosen = int((labels != -100).sum())", ""),
        (
            'F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / chosen',
            'F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / labels.numel()',
        ),
    ],
)


@accumulate.also_correct
def _(model, inputs, labels, micro):
    chosen = (labels >= 0).sum()
    total = 0.0
    for start in range(0, len(inputs), micro):
        wanted = labels[start : start + micro]
        scores = model(inputs[start : start + micro]).log_softmax(-1)
        right = scores.gather(-1, wanted.clamp(min=0)[..., None]).squeeze(-1)
        loss = -(right * (wanted >= 0)).sum() / chosen
        loss.backward()
        total = total + loss.detach()
    return float(total)


@accumulate.also_correct
def _(model, inputs, labels, micro):
    weights = [float((part != -100).sum()) for part in labels.split(micro)]
    losses = []
    for some, wanted, weight in zip(inputs.split(micro), labels.split(micro), weights, strict=True):
        logits = model(some)
        if weight:
            mean = F.cross_entropy(logits.transpose(1, 2), wanted, ignore_index=-100)
            (mean * weight / sum(weights)).backward()
            losses.append(mean.item() * weight)
    return sum(losses) / sum(weights)
