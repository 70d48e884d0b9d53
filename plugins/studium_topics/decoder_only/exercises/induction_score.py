import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="core",
    importance=3,
    kind="measure",
    hints=(
        "The text has period 5, and you are at position 7. Where did the same token occur before, and what came after "
        "it?",
        "Only queries from the second round on have an earlier occurrence. Collect one weight for each of them.",
        "The weights lie on one line parallel to the diagonal of the last two axes; taking their mean leaves (L, H).",
        "`attention.diagonal(offset, -2, -1)` holds the weights [i, i + offset] for all i.",
    ),
)
def induction_score(attention, period):
    """Return, for each head, how much it looks at the token that followed the current token's last occurrence.

    attention (L, H, T, T): the weights of L layers and H heads on a text that repeats every `period` tokens;
    attention[l, h, i, j] is the weight that query i gives to key j. 2 <= period < T.

    Average that weight over all queries whose token also occurred one period ago. Return (L, H).
    """
    ### BEGIN SOLUTION
    queries = torch.arange(period, attention.shape[-1], device=attention.device)
    return attention[..., queries, queries - period + 1].mean(-1)
    ### END SOLUTION


induction_score.equivalent(
    "queries = torch.arange(period, attention.shape[-2], device=attention.device)", "there are as many queries as keys"
)


@induction_score.test("reads the right places of a small table", points=1)
def _(induction_score):
    attention = (10.0 * torch.arange(5)[:, None] + torch.arange(5))[None, None] / 100
    found = induction_score(attention, 3)
    what = "with period 3, query 3 should look at key 1 (here 0.31) and query 4 at key 2 (0.42)"
    assert_close(found, torch.tensor([[0.365]]), message=what)


@induction_score.hidden("averages the weight on i - period + 1 over the second and later rounds", points=2)
def _(induction_score, rng):
    for layers, heads, length, period in ((2, 3, 9, 4), (1, 2, 12, 3), (3, 1, 8, 7), (2, 2, 6, 2)):
        attention = torch.randn(layers, heads, length, length, generator=rng, dtype=torch.float64).softmax(-1)
        expected = torch.zeros(layers, heads, dtype=torch.float64)
        for i in range(period, length):
            expected += attention[:, :, i, i - period + 1] / (length - period)
        found = induction_score(attention, period)
        assert_close(found, expected, rtol=1e-6, atol=1e-9, message=f"with T={length} and period {period}")


@induction_score.misconception(
    "You measured the weight on i - period, where the same token occurred; an induction head looks at the token that "
    "*followed* it, one place to the right.",
    name="same-token",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period].mean(-1)


@induction_score.misconception(
    "You measured the weight on i - period - 1, the token before the last occurrence; measure it on the token after "
    "it.",
    name="token-before",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period - 1].mean(-1)


@induction_score.misconception(
    "You started the average one query too early; at i = period - 1 the text has not repeated yet.",
    name="one-query-early",
)
def _(attention, period):
    return attention.diagonal(1 - period, -2, -1).mean(-1)


@induction_score.misconception(
    "You swapped query and key; rows are queries, and columns are keys.", name="swapped-axes"
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i - period + 1, i].mean(-1)


@induction_score.misconception(
    "You summed over the queries; take their mean, which is a number between 0 and 1.",
    name="summed",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period + 1].sum(-1)


@induction_score.misconception(
    "You also averaged over the heads; each head has its own score, so return (L, H).",
    name="averaged-heads",
)
def _(attention, period):
    i = torch.arange(period, attention.shape[-1])
    return attention[..., i, i - period + 1].mean()


@induction_score.also_correct
def _(attention, period):
    return attention.diagonal(1 - period, -2, -1)[..., 1:].mean(-1)


@induction_score.also_correct
def _(attention, period):
    length = attention.shape[-1]
    chosen = torch.zeros(length, length, dtype=attention.dtype)
    for i in range(period, length):
        chosen[i, i - period + 1] = 1 / (length - period)
    return torch.einsum("lhij,ij->lh", attention, chosen)
