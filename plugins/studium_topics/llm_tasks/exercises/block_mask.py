import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=3,
    hints=(
        "Two conditions decide whether one token may attend to another. Which of them has nothing to do with packing?",
        "Compare the numbers of every pair of tokens, then keep only the pairs where the second token does not come "
        "later.",
        "segments[:, :, None] is (B, T, 1) and segments[:, None, :] is (B, 1, T).",
        "`x.tril()` keeps the lower triangle of the last two axes and sets everything else to zero, or to False.",
    ),
    mutates_args=(),
)
def block_mask(segments):
    """Return which tokens of packed rows may attend to which.

    A token may attend to itself and to earlier tokens with the same number. The same rule
    holds for padding, so every token can attend to at least one token.

    * segments: (B, T) long, as `pack` returns them
    * returns: a bool tensor (B, T, T); its rows are the tokens that attend
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
    "You left out the causal mask, so each token can read the tokens after it, including the one it has to predict; "
    "keep only the pairs that look back.",
    replace="(segments[:, :, None] == segments[:, None, :]).tril()",
    by="segments[:, :, None] == segments[:, None, :]",
)

block_mask.mistake(
    "triangle-alone",
    "You used only the causal mask, so the second example in a row reads the first; compare their numbers too.",
    replace="return (segments[:, :, None] == segments[:, None, :]).tril()",
    by="""
        rows, length = segments.shape
        return torch.ones(rows, length, length, dtype=torch.bool).tril()
    """,
)

block_mask.mistake(
    "padding-sees-nothing",
    "You stopped the padding from attending to anything. The softmax of a row without any key is 0/0, which is nan; "
    "let padding attend to padding.",
    replace="(segments[:, :, None] == segments[:, None, :]).tril()",
    by="(segments[:, :, None] == segments[:, None, :]).tril() & (segments > 0)[:, :, None]",
)

block_mask.mistake(
    "upper-triangle",
    "You took the upper triangle. The rows are the tokens that attend, and they look to the left, so take the lower "
    "one.",
    replace="(segments[:, :, None] == segments[:, None, :]).tril()",
    by="(segments[:, :, None] == segments[:, None, :]).triu()",
)

block_mask.mistake(
    "greater-or-equal",
    "You let each token read the earlier examples in its row as well. Comparing numbers with `>=` orders the examples "
    "but does not separate them; use `==`.",
    replace="segments[:, :, None] == segments[:, None, :]",
    by="segments[:, :, None] >= segments[:, None, :]",
)

block_mask.mistake(
    "without-the-diagonal",
    "You left out the diagonal. A token attends to itself too, and the first token of an example has nothing else to "
    "attend to.",
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
