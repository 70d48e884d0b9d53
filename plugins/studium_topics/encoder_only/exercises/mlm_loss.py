import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=10,
    level="core",
    importance=2,
    kind="find the bug",
    shows="all-positions",
    hints=(
        "How many positions does the mean divide by, and how many words were hidden?",
        "What is the logarithm of a softmax whose entry has been rounded to 0? And what is 0 times that?",
        "The log-probabilities of the right words are (B, T); the ones that count form a vector with one entry for "
        "each hidden word.",
        "`logits.log_softmax(-1)` does not round to 0, and `right[hidden]` takes only the hidden words.",
    ),
)
def mlm_loss(logits, labels):
    """Return the mean cross-entropy over the hidden words of the batch, in nats. Find the two bugs.

    The loss of an untrained model should start near ln V; with the code below it starts far lower, and later becomes
    nan.

    - logits (B, T, V): may be in the thousands.
    - labels (B, T): the hidden word, or -100; at least one word is hidden.

    Every hidden word counts the same. The result is one number; the lesson trains with it, so gradients flow.
    """
    ### BEGIN SOLUTION
    hidden = labels != -100
    log_probability = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return -log_probability[hidden].mean()
    ### END SOLUTION


@mlm_loss.test("is log V when all words are equally likely", points=1)
def _(mlm_loss):
    labels = torch.tensor([[-100, 3, -100], [1, -100, -100]])
    expected = torch.log(torch.tensor(8.0))
    assert_close(mlm_loss(torch.zeros(2, 3, 8), labels), expected, message="8 words, all equally likely: log 8")


@mlm_loss.hidden("averages over the hidden words of the batch", points=1)
def _(mlm_loss, rng):
    for batch, length, words in ((3, 5, 7), (2, 6, 4)):
        logits = 3 * torch.randn(batch, length, words, generator=rng, dtype=torch.float64)
        labels = torch.full((batch, length), -100)
        labels[0, 0], labels[0, 2], labels[0, 3], labels[1, length - 1] = 1, 0, words - 1, 2
        losses = [
            torch.logsumexp(logits[b, t], 0) - logits[b, t, int(labels[b, t])]
            for b in range(batch)
            for t in range(length)
            if int(labels[b, t]) >= 0
        ]
        found = mlm_loss(logits.clone(), labels.clone())
        assert_close(float(found), float(sum(losses) / len(losses)), rtol=1e-5, message="4 words are hidden")
    found = float(mlm_loss(1000 * logits, labels))
    losses = 1000 * torch.stack([logits[b, t].max() - logits[b, t, labels[b, t]] for b, t in (labels >= 0).nonzero()])
    assert_close(found, float(losses.mean()), rtol=1e-5, message="with logits in the thousands")


@mlm_loss.hidden("does not look at positions that do not count", points=1)
def _(mlm_loss, rng):
    logits = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    labels = torch.full((3, 4), -100)
    labels[0, 1], labels[2, 2], labels[2, 0] = 5, 0, 3
    other = torch.where((labels >= 0)[..., None], logits, 50 * torch.randn(3, 4, 6, generator=rng, dtype=torch.float64))
    assert_close(
        float(mlm_loss(other, labels)),
        float(mlm_loss(logits, labels)),
        rtol=1e-5,
        message="other logits at positions labelled -100 must not change the loss",
    )
    assert_close(float(mlm_loss(logits, labels)), float(F.cross_entropy(logits.transpose(1, 2), labels)), rtol=1e-5)


@mlm_loss.hidden("lets gradients reach the logits of the hidden words, and of no others", points=1)
def _(mlm_loss, rng):
    logits = (2 * torch.randn(3, 5, 6, generator=rng, dtype=torch.float64)).requires_grad_()
    labels = torch.full((3, 5), -100)
    labels[0, 1], labels[0, 4], labels[0, 2], labels[2, 0] = 5, 2, 0, 3
    loss = mlm_loss(logits, labels)
    assert isinstance(loss, torch.Tensor), f"a tensor with one number is expected, got {type(loss).__name__}"
    assert loss.requires_grad, "gradients must reach the logits: keep the loss a tensor, without `detach` or `item`"
    (found,) = torch.autograd.grad(loss, logits)
    expected = torch.zeros(3, 5, 6, dtype=torch.float64)
    for b, t in (labels >= 0).nonzero().tolist():
        expected[b, t] = logits[b, t].detach().softmax(0) / 4
        expected[b, t, labels[b, t]] -= 1 / 4
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the gradient: (softmax − one-hot) / 4 for 4 words")


@mlm_loss.misconception(
    "You counted every position and read -100 as a word; leave out the positions labelled -100 altogether.",
    name="counts-everywhere",
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.clamp(min=0).flatten())


@mlm_loss.misconception(
    "You shifted the labels by one, as for a left-to-right model; BERT predicts the hidden word at its own position.",
    name="shifted",
)
def _(logits, labels):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@mlm_loss.misconception(
    "You summed; take the mean over the hidden words, which does not depend on their number.",
    name="summed",
)
def _(logits, labels):
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")


@mlm_loss.misconception(
    "You divided by all B * T positions; divide by the number of hidden words, or the loss shrinks with their share.",
    name="all-positions",
)
def _(logits, labels):
    hidden = labels != -100
    probability = logits.softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return -(hidden * probability.log()).mean()


@mlm_loss.misconception(
    "You averaged within each sentence first; take one mean over the batch, where every hidden word counts the same, "
    "however many its sentence has.",
    name="by-sentence",
)
def _(logits, labels):
    rows = [F.cross_entropy(one, row) for one, row in zip(logits, labels, strict=True) if (row >= 0).any()]
    return torch.stack(rows).mean()


@mlm_loss.misconception(
    "You took the logarithm of a softmax, which is -inf when a word's probability rounds to 0; use `log_softmax`, "
    "which stays exact.",
    name="log-of-softmax",
)
def _(logits, labels):
    counts = labels != -100
    return -logits[counts].softmax(-1).log().gather(1, labels[counts][:, None]).mean()


@mlm_loss.also_correct
def _(logits, labels):
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100)


@mlm_loss.also_correct
def _(logits, labels):
    total, count = 0.0, 0
    for row, words in zip(logits, labels.tolist(), strict=True):
        for scores, word in zip(row, words, strict=True):
            if word != -100:
                total, count = total + scores.logsumexp(-1) - scores[word], count + 1
    return total / count
