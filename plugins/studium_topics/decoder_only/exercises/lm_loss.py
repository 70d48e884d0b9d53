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
        "Take T = 3. Which logits does the code compare with which token, and what should it compare them with?",
        "Shift the text against the logits exactly once. And count padding neither in the sum nor in the number you "
        "divide by.",
        "There are B · (T - 1) rows of logits, each (V,), and as many targets. The logits of the last position have "
        "no target.",
        "`F.cross_entropy` takes (N, V) and (N,); with `ignore_index` its own mean counts only real targets.",
    ),
)
def lm_loss(logits, ids, ignore=-100):
    """Return the mean cross-entropy of the next-token predictions, in nats.

    The code below has two bugs. A model trained with it writes nonsense, and the loss falls when there is more padding.

    * logits (B, T, V): at position t, the prediction of the token at t + 1.
    * ids (B, T), integers: the text; `ignore` marks padding, which is not a target.

    Return a scalar: the mean over all targets of the batch, each counted once; there is at least one. The lesson
    trains with it, so gradients flow.
    """
    ### BEGIN SOLUTION
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)
    ### END SOLUTION


lm_loss.equivalent(
    "return F.cross_entropy(logits[:, :-1].float().mT, ids[:, 1:], ignore_index=ignore)",
    "the statement leaves the precision of the loss open",
)


@lm_loss.test("is near zero when every next token is known", points=1)
def _(lm_loss):
    ids = torch.tensor([[2, 0, 1, 2], [1, 1, 0, 2]])
    sure = torch.tensor([20.0, 30.0, 40.0, 50.0])[:, None] * F.one_hot(ids.roll(-1, 1), 3)
    assert_close(lm_loss(sure, ids), torch.tensor(0.0), atol=1e-4, message="position t knows the token at t + 1")


@lm_loss.hidden("averages -log p(next token) over the batch", points=1)
def _(lm_loss, rng):
    logits = torch.randn(2, 4, 5, generator=rng, dtype=torch.float64).requires_grad_()
    (gradient,) = torch.autograd.grad(lm_loss(logits, torch.tensor([[1, 2, 3, 4], [4, 0, 2, 1]])), logits)
    assert bool(gradient[:, :-1].abs().amin() > 0), (
        "the gradient of every logit that predicts a target must not be zero"
    )
    for batch, length, vocabulary in ((3, 5, 7), (1, 2, 4), (4, 9, 3)):
        logits = 3 * torch.randn(batch, length, vocabulary, generator=rng, dtype=torch.float64)
        ids = torch.randint(vocabulary, (batch, length), generator=rng)
        logp = logits.log_softmax(-1)
        terms = [-logp[b, t, ids[b, t + 1]] for b in range(batch) for t in range(length - 1)]
        found = lm_loss(logits, ids)
        assert_close(
            found, torch.stack(terms).mean(), rtol=1e-5, atol=1e-5, message=f"for logits {tuple(logits.shape)}"
        )


@lm_loss.hidden("counts each token once, and padding not at all", points=1)
def _(lm_loss, rng):
    for ignore in (-100, 0):
        logits = 3 * torch.randn(3, 6, 5, generator=rng, dtype=torch.float64)
        ids = torch.randint(1, 5, (3, 6), generator=rng)
        ids[0, 2:], ids[1, 4:], ids[2, 0] = ignore, ignore, ignore
        logp = logits.log_softmax(-1)
        places = [(b, t) for b in range(3) for t in range(5) if ids[b, t + 1] != ignore]
        expected = torch.stack([-logp[b, t, ids[b, t + 1]] for b, t in places]).mean()
        what = f"with rows of different length and ignore={ignore}"
        assert_close(lm_loss(logits, ids, ignore), expected, rtol=1e-5, atol=1e-5, message=what)


lm_loss.mistake(
    "shifted-twice",
    "You shifted twice, like the given code: you compared the logits at t with the token at t + 2, so the model "
    "learns to predict the token two places ahead.",
    replace="F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)",
    by="F.cross_entropy(logits[:, :-2].flatten(0, 1), ids[:, 2:].flatten(), ignore_index=ignore)",
)


@lm_loss.misconception(
    "You divided by all positions, like the given code; padding adds no loss, so leave it out of the count too.",
    name="averaged-over-padding",
)
def _(logits, ids, ignore=-100):
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore, reduction="none")
    return losses.mean()


lm_loss.mistake(
    "not-shifted",
    "You did not shift at all: you compared the logits at t with the token at t, which the model has just read. They "
    "predict the token at t + 1.",
    replace="F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)",
    by="F.cross_entropy(logits.flatten(0, 1), ids.flatten(), ignore_index=ignore)",
)

lm_loss.mistake(
    "shifted-backwards",
    "You shifted the other way: the logits at position t predict the token after it, not the token before it.",
    replace="F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)",
    by="F.cross_entropy(logits[:, 1:].flatten(0, 1), ids[:, :-1].flatten(), ignore_index=ignore)",
)

lm_loss.mistake(
    "rolled-around",
    "You rolled the ids around, so the last position got the first token as its target. It has no target; leave it "
    "out.",
    replace="F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)",
    by="F.cross_entropy(logits.flatten(0, 1), ids.roll(-1, 1).flatten(), ignore_index=ignore)",
)


@lm_loss.misconception(
    "You took the mean of each row and then the mean of those means; a target in a short row then counts more than a "
    "target in a long row. Take one mean over all targets.",
    name="mean-of-row-means",
)
def _(logits, ids, ignore=-100):
    rows = [F.cross_entropy(row[:-1], i[1:], ignore_index=ignore) for row, i in zip(logits, ids, strict=True)]
    return torch.stack(rows).mean()


@lm_loss.misconception("You returned the sum; return the mean, which does not grow with the batch.", name="summed")
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore, reduction="sum")


lm_loss.mistake(
    "ignored-ignore",
    "You did not use `ignore`; pass it on, because PyTorch skips only -100 by default, and another number may mark "
    "padding.",
    replace="F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)",
    by="F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())",
)


@lm_loss.misconception(
    "Both bugs are still there: the targets are shifted twice, and the mean includes padding.",
    name="both-bugs",
)
def _(logits, ids, ignore=-100):
    logits, targets = logits[:, :-1], ids[:, 1:]
    flat, targets = logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten()
    losses = F.cross_entropy(flat, targets, ignore_index=ignore, reduction="none")
    return losses.mean()


@lm_loss.also_correct
def _(logits, ids, ignore=-100):
    return F.cross_entropy(logits[:, :-1].float().mT, ids[:, 1:], ignore_index=ignore).to(logits.dtype)


@lm_loss.also_correct
def _(logits, ids, ignore=-100):
    target = ids[:, 1:]
    counted = target != ignore
    logp = logits[:, :-1].log_softmax(-1).gather(-1, target.where(counted, 0).unsqueeze(-1)).squeeze(-1)
    return -(logp * counted).sum() / counted.sum()


@lm_loss.also_correct
def _(logits, ids, ignore=-100):
    flat, target = logits[:, :-1].reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1)
    flat, target = flat[target != ignore], target[target != ignore]
    return (flat.logsumexp(-1) - flat[torch.arange(len(flat)), target]).mean()
