import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=5,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "Which positions of `ids` hold a real token?",
        "No query may look at padding, so masking is a property of the key; every head and every query has the same "
        "mask.",
        "The scores have the axes (batch, head, query, key). Put T last, and give the two axes in between length 1.",
        "`ids != pad` is (B, T); each `None` in an index adds an axis of length 1.",
    ),
)
def pad_mask(ids, pad):
    """Return the mask that hides padding: True where the key is a real token.

    - ids (B, T): token ids, integers.
    - pad: the id of the padding token, any integer; it may appear anywhere in a row.

    Returns bool (B, 1, 1, T), which broadcasts over (B, heads, queries, keys).
    """
    ### BEGIN SOLUTION
    return (ids != pad)[:, None, None, :]
    ### END SOLUTION


@pad_mask.test("marks the real tokens of two sentences", points=1)
def _(pad_mask):
    found = pad_mask(torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]]), 0)
    expected = torch.tensor([[[[True, True, True, False]]], [[[True, True, False, False]]]])
    assert getattr(found, "dtype", None) in (torch.bool, "bool"), "the mask must be made of booleans"
    assert_close(found, expected)


@pad_mask.hidden("makes the content of padding irrelevant", points=1)
def _(pad_mask, rng):
    for batch, length, pad in ((3, 5, 4), (2, 7, 0), (6, 6, 1), (4, 5, -1)):
        ids = torch.randint(min(pad, 0), 6, (batch, length), generator=rng)
        ids[:, 0], ids[0, -1], ids[1, 1] = 5, pad, pad
        mask = pad_mask(ids, pad)
        assert tuple(mask.shape) == (batch, 1, 1, length), (
            f"the mask must have shape (B, 1, 1, T) = {(batch, 1, 1, length)}, got {tuple(mask.shape)}"
        )
        mask = torch.as_tensor(mask)
        assert mask.dtype == torch.bool, f"the mask must be made of booleans, got {mask.dtype}"
        q, k, v = torch.randn(3, batch, 2, length, 4, generator=rng, dtype=torch.float64)
        noise = 9 * torch.randn(batch, 2, length, 4, generator=rng, dtype=torch.float64)
        here = torch.stack([row == pad for row in ids]).reshape(batch, 1, length, 1)
        found = F.scaled_dot_product_attention(q, k + here * noise, v + here * noise, attn_mask=mask)
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert_close(found, expected, message="what stands in padded positions must not change any output")
        for row in range(batch):
            for place in range(length):
                real = int(ids[row, place]) != pad
                assert bool(mask[row, 0, 0, place]) is real, (
                    f"row {row}, key {place} holds id {int(ids[row, place])} and pad is {pad}: expected {real}"
                )


pad_mask.mistake(
    "masked-queries",
    "You masked the queries, so every real word still reads the padding; mask the padding as a key instead. Put T "
    "last: (B, 1, 1, T).",
    replace="(ids != pad)[:, None, None, :]",
    by="(ids != pad)[:, None, :, None]",
)

pad_mask.mistake(
    "marked-padding",
    "You marked the padding with True; here True means that the key may be looked at, so mark the real tokens.",
    replace="ids != pad",
    by="ids == pad",
)

pad_mask.mistake(
    "additive",
    "You returned numbers to add to the scores; return a boolean mask. Adding -1 would only make padding a little "
    "less likely anyway: exp(-1) is 0.37, not 0.",
    replace="(ids != pad)[:, None, None, :]",
    by="-1.0 * (ids == pad)[:, None, None, :]",
)

pad_mask.mistake(
    "pad-is-zero",
    "You assumed that padding has the id 0; compare with the argument `pad` instead.",
    replace="ids != pad",
    by="ids != 0",
)

pad_mask.mistake(
    "two-axes",
    "You left the mask at (B, T); against scores of shape (B, heads, queries, keys), its batch axis would line up "
    "with the queries. Return (B, 1, 1, T).",
    replace="(ids != pad)[:, None, None, :]",
    by="ids != pad",
)


@pad_mask.also_correct
def _(ids, pad):
    batch, length = ids.shape
    mask = torch.ones(batch, 1, 1, length, dtype=torch.bool)
    for row in range(batch):
        for place in range(length):
            if ids[row, place] == pad:
                mask[row, 0, 0, place] = False
    return mask


@pad_mask.also_correct
def _(ids, pad):
    return ids.ne(pad).unsqueeze(1).unsqueeze(1)
