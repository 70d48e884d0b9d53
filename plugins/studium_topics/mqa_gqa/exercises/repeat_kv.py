import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=5,
    level="warm-up",
    importance=2,
    hints=(
        "If neighbours share a head, in which order do the copies of two heads have to follow each other?",
        "Each head is followed by its own copies: g₀ g₀ g₀ g₁ g₁ g₁. One function of PyTorch repeats the whole row of "
        "heads, another repeats each item in its place.",
        "The axis of heads is the second axis of (B, G, T, d).",
        "`x.repeat_interleave(repeats, axis)` repeats each item in its place.",
    ),
)
def repeat_kv(x, repeats):
    """Return keys (or values) in which every query head has its own copy of the head that it shares.

    Query head h shares head h // repeats of x.

    * x (B, G, T, d): the G heads of keys or values
    * repeats: how many query heads share each head, H / G
    * returns: (B, G · repeats, T, d)
    """
    ### BEGIN SOLUTION
    return x.repeat_interleave(repeats, 1)
    ### END SOLUTION


@repeat_kv.test("puts the copies of a head next to each other", points=1)
def _(repeat_kv):
    x = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    assert_close(repeat_kv(x, 3).flatten(), torch.tensor([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]))


@repeat_kv.hidden("gives query head h the head h // repeats, token by token", points=1)
def _(repeat_kv, rng):
    for batch, groups, length, size, repeats in ((2, 3, 4, 5, 2), (1, 4, 2, 3, 4), (3, 1, 5, 2, 3), (2, 5, 3, 4, 1)):
        x = torch.randn(batch, groups, length, size, generator=rng, dtype=torch.float64)
        expected = torch.stack([x[:, head // repeats] for head in range(groups * repeats)], 1)
        what = f"for x of shape {tuple(x.shape)} and repeats={repeats}"
        assert_close(repeat_kv(x, repeats), expected, message=what)


repeat_kv.mistake(
    "order-of-repeat",
    "You repeated the whole row of heads, g₀ g₁ g₀ g₁, as `repeat` does. Query head h shares head h // repeats, so put "
    "the copies of a head next to each other. This is the classic mistake of this field: every shape is right, and "
    "with one head, or with repeats=1, so is the result.",
    replace="x.repeat_interleave(repeats, 1)",
    by="x.repeat(1, repeats, 1, 1)",
)

repeat_kv.mistake(
    "repeated-tokens-cut-into-heads",
    "You repeated the tokens of each head and cut the result into heads; repeat along the axis of heads, the second.",
    replace="x.repeat_interleave(repeats, 1)",
    by="x.repeat_interleave(repeats, 2).reshape(x.shape[0], -1, *x.shape[2:])",
)

repeat_kv.mistake(
    "repeated-tokens",
    "You repeated the tokens, the third axis; repeat the heads, the second axis.",
    replace="x.repeat_interleave(repeats, 1)",
    by="x.repeat_interleave(repeats, 2)",
)

repeat_kv.mistake(
    "repeated-texts",
    "You repeated the texts of the batch, the first axis; repeat the heads, the second axis.",
    replace="x.repeat_interleave(repeats, 1)",
    by="x.repeat_interleave(repeats, 0)",
)

repeat_kv.mistake(
    "named-no-axis",
    "You named no axis, so `repeat_interleave` flattened everything; pass it the second axis.",
    replace="x.repeat_interleave(repeats, 1)",
    by="x.repeat_interleave(repeats)",
)


@repeat_kv.also_correct
def _(x, repeats):
    return x[:, :, None].expand(-1, -1, repeats, -1, -1).flatten(1, 2)


@repeat_kv.also_correct
def _(x, repeats):
    return x[:, torch.arange(x.shape[1] * repeats, device=x.device) // repeats]
