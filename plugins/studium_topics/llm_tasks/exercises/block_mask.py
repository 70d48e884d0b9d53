import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=3,
    hints=(
        "Two conditions decide whether one token may look at another. Which of them has nothing to do with packing?",
        "Compare the numbers of all pairs of tokens, and keep the pairs in which the second is not later.",
        "segments[:, :, None] is (B, T, 1) and segments[:, None, :] is (B, 1, T).",
        "`x.tril()` keeps the lower triangle of the last two axes, and sets the rest to zero, or false.",
    ),
)
def block_mask(segments):
    """Return which tokens of packed rows may look at which.

    A token may look at itself and at the tokens before it that have its number. So do the
    tokens of the padding among themselves, so that every token may look at one at least.

    * segments: (B, T) long, as `pack` returns them
    * returns: a bool tensor (B, T, T); the row is the token that looks
    """
    ### BEGIN SOLUTION
    return (segments[:, :, None] == segments[:, None, :]).tril()
    ### END SOLUTION


@block_mask.test("separates two examples and looks back only", points=1)
def _(block_mask):
    expected = torch.tensor([[[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]])
    assert_close(block_mask(torch.tensor([[1, 1, 2, 2, 0]])), expected.bool(), message="segments 1 1 2 2 0")


@block_mask.hidden("is the mask of each row, padding included", points=2)
def _(block_mask, rng):
    for rows, length in ((3, 7), (5, 4), (1, 9), (2, 1)):
        segments = torch.randint(0, 2, (rows, length), generator=rng).cumsum(1)
        segments[-1, length // 2 + 1 :] = 0
        before = segments.clone()
        found = block_mask(segments)
        assert torch.equal(segments, before), "segments must stay as they are"
        assert isinstance(found, torch.Tensor), f"a bool tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.bool, f"a bool tensor is expected, got {found.dtype}"
        expected = torch.zeros(rows, length, length, dtype=torch.bool)
        for row in range(rows):
            for looks in range(length):
                for seen in range(looks + 1):
                    expected[row, looks, seen] = bool(segments[row, looks] == segments[row, seen])
        assert_close(found, expected, message=f"the mask of segments {segments.tolist()}")


block_mask.mistake(
    "no-triangle",
    "You left out the causal triangle; a token would see those that come after it, its own label among them.",
    replace="(segments[:, :, None] == segments[:, None, :]).tril()",
    by="segments[:, :, None] == segments[:, None, :]",
)

block_mask.mistake(
    "triangle-alone",
    "You took the causal triangle alone; the second example then reads the first one.",
    replace="return (segments[:, :, None] == segments[:, None, :]).tril()",
    by="""
        rows, length = segments.shape
        return torch.ones(rows, length, length, dtype=torch.bool).tril()
    """,
)

block_mask.mistake(
    "padding-sees-nothing",
    "You forbade the padding to look at anything; the softmax of a row without any key is 0/0, which is nan.",
    replace="(segments[:, :, None] == segments[:, None, :]).tril()",
    by="(segments[:, :, None] == segments[:, None, :]).tril() & (segments > 0)[:, :, None]",
)

block_mask.mistake(
    "upper-triangle",
    "You took the upper triangle; the row is the token that looks, and it looks to the left.",
    replace="(segments[:, :, None] == segments[:, None, :]).tril()",
    by="(segments[:, :, None] == segments[:, None, :]).triu()",
)

block_mask.mistake(
    "greater-or-equal",
    "You let each token look at the examples before its own as well; with `>=` the numbers order the examples but do "
    "not separate them.",
    replace="segments[:, :, None] == segments[:, None, :]",
    by="segments[:, :, None] >= segments[:, None, :]",
)

block_mask.mistake(
    "without-the-diagonal",
    "You left the diagonal out; a token reads itself too, and the first token of an example has nothing else.",
    replace="(segments[:, :, None] == segments[:, None, :]).tril()",
    by="(segments[:, :, None] == segments[:, None, :]).tril(-1)",
)


@block_mask.also_correct
def _(segments):
    at = torch.arange(segments.shape[1], device=segments.device)
    return (segments.unsqueeze(2) == segments.unsqueeze(1)) & (at[:, None] >= at)


@block_mask.also_correct
def _(segments):
    same = (segments[:, :, None] - segments[:, None, :]).abs() < 0.5
    return torch.tril(same.long()).bool()
