import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "How many real tokens are before this one in its row?",
        "Count real tokens from the left, over all columns including the cached ones; return only the newest counts.",
        "The counts of all columns have the shape (B, L), like the mask; you need the last `new` columns.",
        "`mask.long().cumsum(-1)` counts up to each column, the column itself included.",
    ),
)
def decode_positions(mask, new):
    """Return the positions of the newest tokens, where the keys of earlier tokens are in a cache.

    Padding takes no position: the offset between two tokens of a row counts how many tokens further
    the second one is. The first token of a row may have any position, but it keeps that position in
    later calls, when the mask has grown. The result for padding is ignored.

    * mask (B, L): bool, or 0 and 1; true where a column holds a token, over all columns so far
    * new: how many of the last columns are new, from 1 to L
    * returns: integers (B, new)
    """
    ### BEGIN SOLUTION
    return mask.cumsum(-1)[:, -new:] - 1
    ### END SOLUTION


for _line in ("+ 1", "- 2", "- 0"):
    decode_positions.equivalent(
        f"return mask.cumsum(-1)[:, -new:] {_line}", "a row's positions all move by the same number: offsets stay"
    )


decode_positions.equivalent("return mask.cumsum(-1)[:, -new:]", "the first token is at 1, and offsets stay")


decode_positions.equivalent("positions = mask.int().cumsum(-1) + 1", "the first token is at 2, and offsets stay")


@decode_positions.test("continues where the cache ends, and skips padding", points=1)
def _(decode_positions):
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 0, 1]])
    prompt, following = decode_positions(mask[:, :5], 5), decode_positions(mask, 3)
    assert tuple(prompt.shape) == (2, 5), f"for 5 new columns positions (2, 5) were needed, got {tuple(prompt.shape)}"
    full = prompt[0, 1:] - prompt[0, :-1]
    assert_close(full, torch.ones(4), message="in a row without padding each token is one after the last")
    assert_close(following[0] - prompt[0, -1], torch.tensor([1, 2, 3]), message="three more after the five cached")
    padded = following[1, [0, 2]] - prompt[1, -1]
    assert_close(padded, torch.tensor([1, 2]), message="two more tokens, with padding between, after those cached")


@decode_positions.hidden("counts tokens and no padding, from call to call", points=2)
def _(decode_positions, rng):
    left = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]])
    right = torch.tensor([[1, 1, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 1, 1, 1]])
    holes = (torch.rand(4, 9, generator=rng) < 0.6).long()
    holes[:, 0], holes[:, -1], holes[0, 2:4], holes[1, 3], holes[1, 4:] = 1, 1, 0, 0, 1
    masks = (("left padding", left), ("right-padded prompts", right), ("holes", holes), ("holes", holes.bool()))
    for kind, mask in masks:
        for chunks in ([7], [4, 1, 1, 1], [3, 2, 2], [1] * 7):
            chunks = [*chunks, mask.shape[1] - 7] if mask.shape[1] > 7 else chunks
            seen, parts = 0, []
            for new in chunks:
                seen += new
                parts.append(decode_positions(mask[:, :seen], new))
                what = f"the positions of {new} new columns"
                assert tuple(parts[-1].shape) == (len(mask), new), f"{what} must be {(len(mask), new)}"
            positions = torch.cat(parts, -1)
            for row, real in zip(positions, mask.bool(), strict=True):
                offsets = row[real] - row[real][0]
                what = f"with {kind} and the columns {real.int().tolist()} in calls of {chunks}, tokens from the first"
                assert_close(offsets, torch.arange(len(offsets)), message=what)


decode_positions.mistake(
    "started-at-zero",
    "You started at 0 again; continue after the tokens in the cache, because their keys were rotated by their own "
    "positions.",
    replace="mask.cumsum(-1)[:, -new:] - 1",
    by="torch.arange(new).expand(mask.shape[0], new)",
)

decode_positions.mistake(
    "counted-padding",
    "You counted the padding too; count only tokens. Padding on the left moves a whole row, which changes no score, "
    "but padding between two tokens pushes them apart.",
    replace="mask.cumsum(-1)[:, -new:] - 1",
    by="torch.arange(mask.shape[1])[-new:].expand(mask.shape[0], new)",
)

decode_positions.mistake(
    "counted-new-padding",
    "You counted tokens in the cache but columns among the new ones; count only tokens there too, because new padding "
    "takes no position either.",
    replace="return mask.cumsum(-1)[:, -new:] - 1",
    by="""
        before = mask[:, : mask.shape[1] - new].long().sum(-1, keepdim=True)
        return before + torch.arange(new)
    """,
)

decode_positions.mistake(
    "one-position-for-all",
    "You gave all new tokens the same position, the number of tokens; each of them needs its own.",
    replace="mask.cumsum(-1)[:, -new:]",
    by="mask.long().sum(-1, keepdim=True).expand(-1, new)",
)

decode_positions.mistake(
    "counted-from-the-end",
    "You counted from the end; count from the start. Otherwise each added token changes all earlier positions, "
    "although their keys have already been rotated.",
    replace="mask.cumsum(-1)[:, -new:] - 1",
    by="-mask.long().flip(-1).cumsum(-1).flip(-1)[:, -new:]",
)

decode_positions.mistake(
    "counted-down-the-batch",
    "You counted down the batch; count along the last axis, because each row counts its own tokens.",
    replace="mask.cumsum(-1)",
    by="mask.long().cumsum(0)",
)

decode_positions.mistake(
    "first-columns",
    "You returned the first `new` columns; return the last ones, because the newest tokens are at the end.",
    replace="mask.cumsum(-1)[:, -new:]",
    by="mask.long().cumsum(-1)[:, :new]",
)

decode_positions.mistake(
    "new-columns-alone",
    "You counted only within the new columns; count the tokens in the cache as well, because they come first.",
    replace="mask.cumsum(-1)[:, -new:]",
    by="mask[:, -new:].long().cumsum(-1)",
)


@decode_positions.also_correct
def _(mask, new):
    positions = mask.int().cumsum(-1) - 1
    return positions.masked_fill(mask == 0, 1)[:, mask.shape[1] - new :]


@decode_positions.also_correct
def _(mask, new):
    before = mask[:, : mask.shape[1] - new].long().sum(-1, keepdim=True)
    return before + mask[:, -new:].long().cumsum(-1) + 7


@decode_positions.also_correct
def _(mask, new):
    rows = []
    for row in mask.tolist():
        count, found = 0, []
        for real in row:
            found.append(count)
            count += int(real)
        rows.append(found[len(row) - new :])
    return torch.tensor(rows)
