import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    importance=3,
    kind="find the bug",
    shows="rows-of-the-choice",
    hints=(
        "The model computes the logits in row 0 from only token 0. Which token do they predict?",
        "Row t of the logits gives the distribution of token t + 1. The last row of the context predicts the first "
        "token of a choice.",
        "A context of C tokens and a choice of L tokens have C + L rows, and the L rows that matter end one before "
        "the last.",
        "`logprobs[len(context) - 1 : -1]` are the rows that predict the choice.",
    ),
    mutates_args=(),
)
def choice_logprobs(model, context, choices):
    """Find the bug: this function should return ln p(choice | context) of each choice.

    * model: takes ids (B, T), returns logits (B, T, V), causal; row t predicts token t + 1
    * context: (C,) token numbers, C ≥ 1
    * choices: a list of tensors (Lᵢ,) of token numbers, Lᵢ ≥ 1
    * returns: a tensor with one number for each choice
    """
    ### BEGIN SOLUTION
    scores = []
    for choice in choices:
        ids = torch.cat([context, choice])[None]
        logprobs = model(ids)[0].log_softmax(-1)
        rows = logprobs[len(context) - 1 : -1]
        scores.append(rows.gather(-1, choice[:, None]).sum())
    return torch.stack(scores)
    ### END SOLUTION


@choice_logprobs.test("multiplies the probabilities of the tokens of each choice", points=1)
def _(choice_logprobs, rng):
    table = torch.randn(9, 9, generator=rng, dtype=torch.float64)
    context, choices = torch.tensor([4, 1, 7, 2]), [torch.tensor([3, 8, 5]), torch.tensor([6, 0])]
    found = choice_logprobs(lambda ids: table[ids], context, choices)
    p = table.exp() / table.exp().sum(-1, keepdim=True)
    expected = torch.stack([p[2, 3] * p[3, 8] * p[8, 5], p[2, 6] * p[6, 0]]).log()
    assert_close(found, expected, rtol=1e-5, atol=1e-5, message="a model that looks at the last token alone")


@choice_logprobs.hidden("agrees with feeding one prefix after the other, for any lengths", points=3)
def _(choice_logprobs, rng):
    for size, length, lengths in ((11, 5, (2, 4, 1)), (7, 1, (3, 1)), (13, 8, (6,)), (5, 3, (1, 1, 2, 5))):
        embedding = torch.randn(size, 6, generator=rng, dtype=torch.float64)
        head = torch.randn(6, size, generator=rng, dtype=torch.float64)

        def model(ids, embedding=embedding, head=head):
            places = torch.arange(1, ids.shape[1] + 1, dtype=torch.float64)[:, None]
            return (embedding[ids] * places.sqrt()).cumsum(1) / places @ head

        context = torch.randint(size, (length,), generator=rng)
        choices = [torch.randint(size, (number,), generator=rng) for number in lengths]
        kept = [tensor.clone() for tensor in (context, *choices)]
        found = choice_logprobs(model, context, choices)
        assert len(choices) == len(lengths), f"choices must stay as they are, and {len(choices)} are left"
        assert all(map(torch.equal, (context, *choices), kept)), "the arguments must stay as they are"
        expected = []
        for choice in kept[1:]:
            prefix, total = kept[0].tolist(), 0.0
            for token in choice.tolist():
                last = model(torch.tensor([prefix]))[0, -1]
                total += float(last[token] - last.exp().sum().log())
                prefix.append(token)
            expected.append(total)
        what = f"a context of {length} tokens, choices of {', '.join(map(str, lengths))}"
        assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-4, message=what)


@choice_logprobs.misconception(
    "You read the rows at the tokens of the choice, like the given code; row t predicts the token after it, so start "
    "at the last row of the context.",
    name="rows-of-the-choice",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        ids = torch.cat([context, choice])[None]
        logprobs = model(ids)[0].log_softmax(-1)
        rows = logprobs[len(context) :]
        scores.append(rows.gather(-1, choice[:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You shifted twice: the row before the last row of the context predicts the context's last token.",
    name="shifted-twice",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logprobs = model(torch.cat([context, choice])[None])[0].log_softmax(-1)
        start = max(len(context) - 2, 0)
        scores.append(logprobs[start : start + len(choice)].gather(-1, choice[:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You left out the first token of each choice; the last row of the context predicts it.",
    name="without-the-first-token",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logprobs = model(torch.cat([context, choice])[None])[0].log_softmax(-1)
        scores.append(logprobs[len(context) : -1].gather(-1, choice[1:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You added the log-probabilities of the context's own tokens; leave them out. They are the same for every choice, "
    "and dividing by a choice's length would then compare different things.",
    name="with-the-context",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        ids = torch.cat([context, choice])
        logprobs = model(ids[None])[0].log_softmax(-1)
        scores.append(logprobs[:-1].gather(-1, ids[1:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You averaged over the tokens of a choice; add them up, because the logarithm of a product is a sum.",
    name="took-the-mean",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logprobs = model(torch.cat([context, choice])[None])[0].log_softmax(-1)
        scores.append(logprobs[len(context) - 1 : -1].gather(-1, choice[:, None]).mean())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You added up logits; use log-probabilities, because logits are not comparable from one row to the next.",
    name="raw-logits",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logits = model(torch.cat([context, choice])[None])[0]
        scores.append(logits[len(context) - 1 : -1].gather(-1, choice[:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.also_correct
def _(model, context, choices):
    found = []
    for choice in choices:
        ids = torch.cat([context, choice])
        losses = F.cross_entropy(model(ids[None, :-1])[0], ids[1:], reduction="none")
        found.append(-losses[-len(choice) :].sum())
    return torch.stack(found)


@choice_logprobs.also_correct
def _(model, context, choices):
    longest, start = max(len(choice) for choice in choices), len(context) - 1
    rows = torch.stack([torch.cat([context, F.pad(choice, (0, longest - len(choice)))]) for choice in choices])
    logprobs = torch.log_softmax(model(rows), dim=-1)
    found = [
        sum(logprobs[i, start + t, token] for t, token in enumerate(choice.tolist()))
        for i, choice in enumerate(choices)
    ]
    return torch.stack(found)
