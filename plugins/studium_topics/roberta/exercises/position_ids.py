import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=7,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "Which number does the third real token of a row get, and does it matter where the padding is?",
        "Count the real tokens from the left up to each position; then give padding its own number.",
        "ids, the mask of real tokens, their counts and the result are all (B, T).",
        "`real.long().cumsum(1)` counts; `torch.where(real, counts + pad, pad)` combines both cases.",
    ),
    mutates_args=(),
)
def position_ids(ids, pad):
    """Return which row of RoBERTa's position table each token uses.

    Number the real tokens of each row from the left, beginning with pad + 1. All padding gets the number pad, so it
    shares one row of the table, and is not counted.

    - ids (B, T): long. Padding may be anywhere in a row.
    - pad: the id of the padding token, 0 or more.
    - Returns long (B, T).
    """
    ### BEGIN SOLUTION
    real = (ids != pad).long()
    return real.cumsum(1) * real + pad
    ### END SOLUTION


position_ids.equivalent("real = (ids != pad)", "cumsum makes long of bool, and long times bool is long")


@position_ids.test("numbers real tokens from pad + 1 on", points=1)
def _(position_ids):
    found = position_ids(torch.tensor([[0, 7, 8, 2, 1], [0, 9, 2, 1, 1]]), 1)
    assert_close(found, torch.tensor([[2, 3, 4, 5, 1], [2, 3, 4, 1, 1]]))


@position_ids.hidden("skips padding wherever it is", points=2)
def _(position_ids, rng):
    for batch, length, pad in ((4, 7, 3), (3, 5, 0), (5, 9, 6), (2, 6, 1)):
        ids = torch.randint(8, (batch, length), generator=rng)
        ids[0, :2], ids[1, -2:], ids[1, 1] = pad, pad, pad
        before = ids.clone()
        expected = torch.full_like(ids, pad)
        for row in range(batch):
            places = [at for at in range(length) if int(ids[row, at]) != pad]
            expected[row, places] = torch.arange(pad + 1, pad + 1 + len(places))
        found = position_ids(ids, pad)
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"positions must be long to index a table, got {found.dtype}"
        assert_close(found, expected, message=f"padding {pad} on the left, on the right and inside")
        assert torch.equal(ids, before), "the argument ids must stay as it is"


@position_ids.misconception(
    "You numbered from 0, as BERT does; begin at pad + 1, which is 2 in the published RoBERTa models.",
    name="from-zero",
)
def _(ids, pad):
    return torch.arange(ids.shape[1]).expand(ids.shape)


position_ids.mistake(
    "begins-at-pad",
    "You began at pad, which is the number for padding; give the first real token pad + 1.",
    replace="real.cumsum(1)",
    by="(real.cumsum(1) - 1)",
)


@position_ids.misconception(
    "You numbered all places of the row, including padding; count only the real tokens.",
    name="counted-padding",
)
def _(ids, pad):
    return torch.where(ids != pad, torch.arange(ids.shape[1]) + pad + 1, pad)


@position_ids.misconception(
    "You gave padding a number that depends on the tokens before it; give all padding the number pad.",
    name="padding-keeps-counting",
)
def _(ids, pad):
    return (ids != pad).long().cumsum(1) + pad


@position_ids.also_correct
def _(ids, pad):
    out = torch.empty_like(ids)
    for row, tokens in enumerate(ids.tolist()):
        following = pad
        for at, token in enumerate(tokens):
            following += token != pad
            out[row, at] = following if token != pad else pad
    return out


@position_ids.also_correct
def _(ids, pad):
    real = ids.ne(pad)
    lower = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.long).triu()
    return (real.long() @ lower).add(pad).masked_fill(real.logical_not(), pad)
