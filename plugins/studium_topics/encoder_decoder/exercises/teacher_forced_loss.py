import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=3,
    kind="find the bug",
    shows="both-bugs",
    hints=(
        "Take three labels. What does the decoder read at the second position, and what should it predict there?",
        "At each position the decoder may read the previous label, never the label it predicts. And padding is not a "
        "target.",
        "The inputs are (B, T): the start token, then the first T - 1 labels. All T labels are targets.",
        "`torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], 1)` shifts; `F.cross_entropy` ignores "
        "-100 by itself.",
    ),
)
def teacher_forced_loss(decoder, labels, start, pad):
    """Return the mean cross-entropy of the labels, each predicted from the start token and the labels before it.

    The code below has two bugs. Its loss falls to almost nothing, but the trained model writes nonsense.

    - decoder(ids (B, T)) → logits (B, T, V): position t reads ids 0 to t. Call it once.
    - labels (B, T): tokens; -100 after the end of a row is padding, not a target. The labels stay as they are.
    - start: the first input. pad: what the decoder reads in place of -100.

    Returns a scalar: the mean over all targets, each counted once. The lesson trains with it, so gradients flow.
    """
    ### BEGIN SOLUTION
    known = labels.masked_fill(labels == -100, pad)
    inputs = torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1)
    logits = decoder(inputs)  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    ### END SOLUTION


teacher_forced_loss.equivalent(
    "return F.cross_entropy(logits.flatten(0, 1), labels.flatten())", "-100 is what cross_entropy ignores by default"
)


@teacher_forced_loss.test("feeds the start token and then the labels, one place to the right", points=1)
def _(teacher_forced_loss):
    read = []

    def decoder(ids):
        read.append(ids)
        return torch.zeros(*ids.shape, 8)

    labels = torch.tensor([[5, 6, 7, 1], [4, 1, -100, -100]])
    found = teacher_forced_loss(decoder, labels, 2, 0)
    assert len(read) == 1, f"the decoder needs to be called once, got {len(read)} calls"
    message = "what the decoder reads for the labels [[5, 6, 7, 1], [4, 1, -100, -100]], with start 2 and pad 0"
    assert_close(read[0], torch.tensor([[2, 5, 6, 7], [2, 4, 1, 0]]), message=message)
    assert_close(found, torch.tensor(math.log(8)), message="a decoder that knows nothing of 8 tokens has loss ln 8")


@teacher_forced_loss.hidden("averages -log p(label | labels before it) over the targets alone", points=1)
def _(teacher_forced_loss, rng):
    for batch, length, vocabulary, start, pad in ((3, 4, 9, 3, 5), (2, 5, 7, 0, 0), (4, 6, 5, 4, 2)):
        table = 3 * torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
        labels = torch.randint(vocabulary, (batch, length), generator=rng)
        labels[0, 2:], labels[1, -1], labels[1, 0] = -100, -100, pad
        labels[2:, -1] = (pad + 1) % vocabulary
        before = labels.clone()
        terms = []
        for row in labels.tolist():
            known = [start, *row]
            for t, target in enumerate(row):
                context = sum(known[: t + 1]) % vocabulary
                terms += [] if target == -100 else [-table[context].log_softmax(-1)[target]]

        def decoder(ids, table=table, vocabulary=vocabulary):
            return table[ids.cumsum(1) % vocabulary]

        found = teacher_forced_loss(decoder, labels, start, pad)
        what = f"{batch} rows of {length} labels, start {start}, pad {pad}"
        assert_close(found, torch.stack(terms).mean(), rtol=1e-5, atol=1e-5, message=what)
        assert torch.equal(labels, before), "labels must stay as they are: change a copy"


@teacher_forced_loss.hidden("trains the decoder at every target, and nowhere else", points=1)
def _(teacher_forced_loss, rng):
    logits = torch.randn(2, 4, 6, generator=rng, dtype=torch.float64).requires_grad_()
    labels = torch.tensor([[3, 2, 5, 1], [4, 1, -100, -100]])
    loss = teacher_forced_loss(lambda ids: logits, labels, 0, 0)
    assert loss.ndim == 0, f"the loss must be a scalar, got shape {tuple(loss.shape)}"
    (gradient,) = torch.autograd.grad(loss, logits)
    counted = labels != -100
    expected = (logits.softmax(-1) - F.one_hot(labels.clamp(min=0), 6)) * counted[..., None] / counted.sum()
    assert_close(gradient, expected, rtol=1e-5, atol=1e-6, message="the gradient of the logits, (p - label) / targets")


@teacher_forced_loss.misconception(
    "You wrote the start token over the first label, like the given code; from the second position on, the decoder "
    "still reads the label that it should predict. Shift the labels to the right.",
    name="start-overwrites",
)
def _(decoder, labels, start, pad):
    inputs = labels.masked_fill(labels == -100, pad)
    inputs[:, 0] = start
    return F.cross_entropy(decoder(inputs).flatten(0, 1), labels.flatten())


@teacher_forced_loss.misconception(
    "You counted padding as targets, like the given code; this rewards the model for writing pad, and a batch of "
    "short rows has a small loss. Leave -100 in the targets.",
    name="padding-is-target",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    inputs = torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1)
    return F.cross_entropy(decoder(inputs).flatten(0, 1), known.flatten())


@teacher_forced_loss.misconception(
    "You rolled the labels around, so the last label became the first input. In a full row that is the answer's last "
    "token; the first input is the start token.",
    name="rolled-around",
)
def _(decoder, labels, start, pad):
    inputs = labels.masked_fill(labels == -100, pad).roll(1, 1)
    return F.cross_entropy(decoder(inputs).flatten(0, 1), labels.flatten())


teacher_forced_loss.mistake(
    "starts-with-pad",
    "You began with `pad`, as T5 does; begin with `start`, which may be another token.",
    replace="torch.full_like(labels[:, :1], start)",
    by="torch.full_like(labels[:, :1], pad)",
)


@teacher_forced_loss.misconception(
    "You shifted the targets to the left instead of the inputs to the right, so the decoder never reads `start` and "
    "never learns the first label.",
    name="targets-shifted",
)
def _(decoder, labels, start, pad):
    logits = decoder(labels.masked_fill(labels == -100, pad))
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@teacher_forced_loss.misconception(
    "You shifted twice: you moved the inputs to the right and the targets to the left, so the model never learns the "
    "first label. Shift only the inputs.",
    name="shifted-twice",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    logits = decoder(torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1))
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@teacher_forced_loss.misconception(
    "You ignored the pad token in the targets; a real token may have the same id, and T5 even starts with it. Ignore "
    "-100, which marks padding in the labels.",
    name="ignored-pad",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    inputs = torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1)
    return F.cross_entropy(decoder(inputs).flatten(0, 1), known.flatten(), ignore_index=pad)


@teacher_forced_loss.misconception(
    "You took the mean of each row and then the mean of those means; take one mean over all targets, or a target in a "
    "short row counts more than a target in a long row.",
    name="mean-of-row-means",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    logits = decoder(torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1))
    return torch.stack([F.cross_entropy(row, one) for row, one in zip(logits, labels, strict=True)]).mean()


@teacher_forced_loss.misconception(
    "Both bugs are still there: the start token replaces the first label instead of shifting the "
    "labels, and padding counts as a target.",
    name="both-bugs",
)
def _(decoder, labels, start, pad):
    inputs = labels.masked_fill(labels == -100, pad)
    inputs[:, 0] = start
    logits = decoder(inputs)
    targets = labels.masked_fill(labels == -100, pad)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


@teacher_forced_loss.also_correct
def _(decoder, labels, start, pad):
    inputs = torch.empty_like(labels)
    inputs[:, 1:] = labels[:, :-1]
    inputs[:, 0] = start
    inputs = torch.where(inputs == -100, torch.full_like(inputs, pad), inputs)
    logp = decoder(inputs).log_softmax(-1)
    counted = labels != -100
    return -logp[counted].gather(-1, labels[counted][:, None]).mean()


@teacher_forced_loss.also_correct
def _(decoder, labels, start, pad):
    shifted = F.pad(labels[:, :-1], (1, 0), value=start)
    shifted = shifted.masked_fill(shifted.eq(-100), pad)
    return F.cross_entropy(decoder(shifted).transpose(1, 2), labels)
