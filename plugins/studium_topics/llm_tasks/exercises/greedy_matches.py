import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    importance=3,
    kind="derive",
    hints=(
        "Decoding writes the first lit token. If that token is right, what does the model read next?",
        "Until the first mistake the model reads the right text. After a mistake the answer is wrong, whatever "
        "follows.",
        "The best token of row t, of shape (B, T - 1), has to equal ids[:, 1:] wherever lit[:, 1:] is true.",
        "`logits.argmax(-1)` is the best token of each row, `~lit` negates a bool tensor, and `x.all(1)` checks each "
        "row.",
    ),
    mutates_args=(),
)
def greedy_matches(logits, ids, lit):
    """Return, for each conversation, whether greedy decoding would write all its answers exactly.

    Greedy decoding reads the dark tokens as they are. From left to right, it replaces each lit
    token with the token that has the largest logit, given all tokens so far. You get the logits
    of only *one* pass over the right text, and they are enough. Why?

    * logits: (B, T, V); row t predicts token t + 1; the largest logit of a row is never tied
    * ids: (B, T) long, the right text
    * lit: (B, T) bool, false in the first column
    * returns: a bool tensor (B,), true for a row without lit tokens
    """
    ### BEGIN SOLUTION
    right = logits[:, :-1].argmax(-1) == ids[:, 1:]
    return (right | ~lit[:, 1:]).all(1)
    ### END SOLUTION


@greedy_matches.test("is false as soon as one lit token is not the likeliest", points=1)
def _(greedy_matches):
    ids = torch.tensor([[2, 0, 1, 3, 0]] * 5)
    lit = torch.tensor([[False, False, True, True, True]] * 5)
    best = [[1, 1, 3, 0, 2], [0, 1, 0, 1, 3], [0, 1, 3, 2, 0], [1, 0, 3, 0, 1], [0, 1, 3, 0, 2]]
    logits = F.one_hot(torch.tensor(best), 4).double()  # the likeliest token after each position
    found = torch.as_tensor(greedy_matches(logits, ids, lit))
    assert_close(found, torch.tensor([True, False, False, False, True]), message="five answers of three tokens")


@greedy_matches.hidden("says what decoding token by token says", points=2)
def _(greedy_matches, rng):
    ids = torch.tensor([[0, 1, 2, 1], [0, 1, 1, 2], [3, 0, 0, 0]])
    lit = torch.tensor([[False, True, True, False]] * 3)
    best = torch.tensor([[1, 2, 0, 1], [2, 1, 0, 2], [0, 0, 3, 3]])
    found = torch.as_tensor(greedy_matches(20 * F.one_hot(best, 5).double(), ids, lit))
    assert_close(found, torch.tensor([True, False, True]), message="three conversations of four tokens")
    for rows, length, size in ((9, 8, 5), (12, 6, 3), (7, 11, 4)):
        weight = torch.randn(size, size, size, generator=rng, dtype=torch.float64)

        def following(tokens, weight=weight):  # a model that looks at the first token and at the last
            return weight[tokens[0], tokens[-1]]

        ids = torch.randint(size, (rows, length), generator=rng)
        lit = torch.rand(rows, length, generator=rng) < 0.5
        lit[:, 0] = False
        lit[1], lit[2, -1] = False, True
        expected = []
        for row in range(rows):
            text = ids[row].tolist()
            for at in range(1, length):  # most rows become what decoding writes, and some of those get one wrong token
                if lit[row, at] and row % 4:
                    text[at] = int(following(text[:at]).argmax())
            if row % 4 == 2:
                text[-1] = (text[-1] + 1) % size
            ids[row] = torch.tensor(text)
            written = list(text)
            for at in range(1, length):
                if lit[row, at]:
                    written[at] = int(following(written[:at]).argmax())
            expected.append(written == text)
        logits = torch.stack([torch.stack([following(row[: at + 1]) for at in range(length)]) for row in ids])
        before = [tensor.clone() for tensor in (logits, ids, lit)]
        found = greedy_matches(logits, ids, lit)
        for name, tensor, kept in zip(("logits", "ids", "lit"), (logits, ids, lit), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        assert isinstance(found, torch.Tensor), f"a bool tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.bool, f"a bool tensor is expected, got {found.dtype}"
        assert_close(found, torch.tensor(expected), message=f"{rows} conversations of {length} tokens")


greedy_matches.mistake(
    "any-token",
    "You counted a row as right if any of its lit tokens is right; an exact match needs all of them.",
    replace="(right | ~lit[:, 1:]).all(1)",
    by="(right & lit[:, 1:]).any(1)",
)


@greedy_matches.misconception(
    "You required the prompt to match too. Greedy decoding reads the dark tokens and does not have to guess them, so "
    "ignore them.",
    name="asked-the-prompt",
)
def _(logits, ids, lit):
    return (logits[:, :-1].argmax(-1) == ids[:, 1:]).all(1)


@greedy_matches.misconception("You compared row t with token t; its logits predict token t + 1.", name="no-shift")
def _(logits, ids, lit):
    return ((logits.argmax(-1) == ids) | ~lit).all(1)


@greedy_matches.misconception(
    "You read `lit` at the position that predicts; read it at the token that is predicted, one place to the right.",
    name="mask-of-the-token-before",
)
def _(logits, ids, lit):
    return ((logits[:, :-1].argmax(-1) == ids[:, 1:]) | ~lit[:, :-1]).all(1)


@greedy_matches.misconception(
    "You returned the share of right tokens; an answer with four right tokens out of five is still wrong.",
    name="token-accuracy",
)
def _(logits, ids, lit):
    right = (logits[:, :-1].argmax(-1) == ids[:, 1:]) & lit[:, 1:]
    return right.sum(1) / lit[:, 1:].sum(1).clamp(min=1)


@greedy_matches.misconception(
    "You accepted a row if at least half of its lit tokens are right; an exact match needs all of them.",
    name="most-tokens",
)
def _(logits, ids, lit):
    right = (logits[:, :-1].argmax(-1) == ids[:, 1:]) & lit[:, 1:]
    return 2 * right.sum(1) >= lit[:, 1:].sum(1)


@greedy_matches.misconception(
    "You returned one answer for the whole batch; each row is a conversation, so return one for each row.",
    name="one-for-the-batch",
)
def _(logits, ids, lit):
    return ((logits[:, :-1].argmax(-1) == ids[:, 1:]) | ~lit[:, 1:]).all()


@greedy_matches.also_correct
def _(logits, ids, lit):
    best = logits.max(-1).indices
    wrong = (best[:, :-1] != ids[:, 1:]) & lit[:, 1:]
    return wrong.sum(1) == 0


@greedy_matches.also_correct
def _(logits, ids, lit):
    rows = [
        all(not lit[b, t] or int(logits[b, t - 1].argmax()) == int(ids[b, t]) for t in range(1, ids.shape[1]))
        for b in range(len(ids))
    ]
    return torch.tensor(rows)
