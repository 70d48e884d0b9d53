import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    importance=3,
    kind="find the bug",
    shows="both-bugs-left-in",
    hints=(
        "Take “no [END] [ASSISTANT] yes [END] [USER]”. Which two losses does this code keep, and which should it keep?",
        "The loss at position t is about token t + 1, so read `lit` at that token, not at the position before it.",
        "logits[:, :-1], ids[:, 1:] and lit[:, 1:] all have T - 1 columns. What does the mean divide by?",
        "`losses[keep]` picks the losses where the bool tensor `keep` is true; `.mean()` then divides by how many "
        "there are.",
    ),
    mutates_args=(),
)
def answer_loss(logits, ids, lit):
    """Find the bugs: this loss trains on the prompt, and it shrinks when prompts get longer.

    Return the mean of -log p(token | the tokens before it) over all lit tokens of the batch.
    A lit token in the first column has no tokens before it and does not count.

    * logits: (B, T, V); row t predicts token t + 1
    * ids: (B, T) long
    * lit: (B, T), true or false, at least one true after the first column
    * returns: a tensor (), through which gradients reach the logits
    """
    ### BEGIN SOLUTION
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return losses[lit[:, 1:].flatten()].mean()
    ### END SOLUTION


@answer_loss.test("is the mean over the lit tokens, each predicted by the position before it", points=1)
def _(answer_loss, rng):
    logits = torch.randn(1, 6, 5, generator=rng, dtype=torch.float64)
    ids = torch.randint(5, (1, 6), generator=rng)
    lit = torch.tensor([[False, False, False, True, True, False]])
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    expected = -(p[0, 2, ids[0, 3]].log() + p[0, 3, ids[0, 4]].log()) / 2
    assert_close(answer_loss(logits, ids, lit), expected, rtol=1e-5, atol=1e-5, message="the loss of two lit tokens")


@answer_loss.hidden("weighs all lit tokens of a batch alike, wherever they are", points=2)
def _(answer_loss, rng):
    for rows, length, size, share in ((3, 7, 11, 0.3), (4, 5, 3, 0.6), (2, 9, 6, 0.15), (5, 4, 8, 1.0)):
        logits = torch.randn(rows, length, size, generator=rng, dtype=torch.float64)
        ids = torch.randint(size, (rows, length), generator=rng)
        lit = torch.rand(rows, length, generator=rng) < share
        lit[0, 1:] = True
        lit[1, 2:] = False
        before = [tensor.clone() for tensor in (logits, ids, lit)]
        found = answer_loss(logits, ids, lit)
        for name, tensor, kept in zip(("logits", "ids", "lit"), (logits, ids, lit), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        terms = []
        for row in range(rows):
            for at in range(1, length):
                if lit[row, at]:
                    scores = logits[row, at - 1]
                    terms.append(float(torch.logsumexp(scores, 0) - scores[ids[row, at]]))
        what = f"for {rows} rows of {length} tokens, {len(terms)} of them lit"
        assert_close(found, sum(terms) / len(terms), rtol=1e-4, atol=1e-5, message=f"the loss {what}")


@answer_loss.hidden("pulls at the logits before lit tokens alone", points=1)
def _(answer_loss, rng):
    logits = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64).requires_grad_()
    ids = torch.randint(4, (2, 5), generator=rng)
    lit = torch.tensor([[True, False, True, False, False], [False, False, False, False, True]])
    loss = answer_loss(logits, ids, lit)
    assert isinstance(loss, torch.Tensor), f"a tensor is expected, got {type(loss).__name__}"
    assert loss.requires_grad, "gradients must reach the logits, and none can"
    (found,) = torch.autograd.grad(loss, logits)
    expected = torch.zeros_like(found)
    for row, at in ((0, 1), (1, 3)):
        expected[row, at] = logits.detach()[row, at].softmax(-1) / 2
        expected[row, at, ids[row, at + 1]] -= 0.5
    assert_close(found, expected, rtol=1e-4, atol=1e-6, message="the gradient at the logits")


answer_loss.mistake(
    "mask-of-the-token-before",
    "You read `lit` at the position that predicts; read it at the predicted token. Otherwise you drop the first token "
    "of an answer and train on the token after it, the next user's header.",
    replace="return losses[lit[:, 1:].flatten()].mean()",
    by="""
        keep = lit[:, :-1].flatten()
        return (losses * keep).sum() / keep.sum()
    """,
)

answer_loss.mistake(
    "divided-by-all-tokens",
    "You divided by the number of all tokens; divide by the number of lit tokens, or the loss and its gradient depend "
    "on how long the prompts are.",
    replace="losses[lit[:, 1:].flatten()]",
    by="(losses * lit[:, 1:].flatten())",
)

answer_loss.mistake(
    "both-bugs-left-in",
    "Both bugs are still there: `lit` is read one place too early, and the mean divides by all tokens.",
    replace="losses[lit[:, 1:].flatten()]",
    by="(losses * lit[:, :-1].flatten())",
)


@answer_loss.misconception(
    "You took the loss of every token; take only the lit ones, or the model mostly learns to write the prompt.",
    name="trained-on-the-prompt",
)
def _(logits, ids, lit):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@answer_loss.misconception(
    "You compared each row of logits with its own token; row t has read token t and predicts token t + 1.",
    name="no-shift",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
    return losses[lit.flatten()].mean()


@answer_loss.misconception(
    "You averaged within each row first; take one mean over the batch, or a token of a short answer counts more than "
    "a token of a long one.",
    name="mean-of-row-means",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    keep = lit[:, 1:]
    rows = keep.any(1)
    return ((losses * keep).sum(1)[rows] / keep.sum(1)[rows]).mean()


answer_loss.mistake(
    "sum-instead-of-mean",
    "You added up the losses; take their mean, or the size of a step depends on how many tokens of the batch are lit.",
    replace="losses[lit[:, 1:].flatten()].mean()",
    by="losses[lit[:, 1:].flatten()].sum()",
)


@answer_loss.also_correct
def _(logits, ids, lit):
    labels = ids.masked_fill(~lit, -100)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], ignore_index=-100)


@answer_loss.also_correct
def _(logits, ids, lit):
    logp = logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1)
    keep = lit[:, 1:].to(logp.dtype)
    return -(logp * keep).sum() / keep.sum()
