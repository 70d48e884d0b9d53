import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    level="core",
    importance=2,
    kind="find the bug",
    shows="pad-sees-nothing",
    hints=(
        "Take one prompt with 2 pads in 3 columns. Which rows of the mask are empty, and what is their softmax?",
        "Then take one new token and 5 columns. In which column is the token, and where does the code put it?",
        "Columns are (keys,), queries (queries, 1), pads (B, 1, 1); together they broadcast to (B, queries, keys).",
        "`(column <= query) & (real | (column == query))`, where the queries are the last columns.",
    ),
)
def ragged_mask(pads, queries, keys):
    """Return which columns each query may see in a batch of prompts, padded on the left to one length.

    The code below works for a while. Then the shorter prompts give nan, and each new token reads the wrong keys.

    pads (B,), long, 0 to keys - 1: row b begins with pads[b] pads. The last `queries` of the `keys` columns are new.
    A token sees the real tokens up to itself. A pad sees only itself.

    Return bool (B, queries, keys) on the device of pads.
    """
    ### BEGIN SOLUTION
    column = torch.arange(keys, device=pads.device)
    query = column[keys - queries :, None]  # (queries, 1)
    real = column >= pads[:, None, None]  # (B, 1, keys)
    return (column <= query) & (real | (column == query))
    ### END SOLUTION


@ragged_mask.test("hides the pads of the shorter prompt, and leaves each pad itself", points=1)
def _(ragged_mask):
    found = ragged_mask(torch.tensor([0, 2]), 3, 3)
    expected = torch.tensor([[[1, 0, 0], [1, 1, 0], [1, 1, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]]]) == 1
    assert_close(found, expected, message="two prompts in 3 columns, the second with 2 pads")


@ragged_mask.hidden("is right for whole prompts, for chunks and for one new token", points=2)
def _(ragged_mask):
    cases = (((0, 3, 1), 5, 5), ((2, 0), 1, 6), ((1, 4, 0, 2), 3, 7), ((3,), 2, 4), ((5, 1), 4, 6))
    for pads, queries, keys in cases:
        rows = []
        for pad in pads:
            places = range(keys - queries, keys)
            rows.append([[k == q or pad <= k < q for k in range(keys)] for q in places])
        found = ragged_mask(torch.tensor(pads), queries, keys)
        assert torch.as_tensor(found).dtype == torch.bool, f"a bool tensor is needed, got {found.dtype}"
        assert_close(found, torch.tensor(rows), message=f"for pads {pads}, {queries} new columns of {keys}")


@ragged_mask.misconception(
    "You hid the future but not the pads; hide both, or the shorter prompts read their padding as text.",
    name="pads-visible",
)
def _(pads, queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries).expand(len(pads), -1, -1).clone()


@ragged_mask.misconception(
    "You let a pad see nothing, like the given code. A softmax over nothing is nan, and one layer later 0 · nan = nan "
    "has reached every token of the row; let each pad see itself.",
    name="pad-sees-nothing",
)
def _(pads, queries, keys):
    column = torch.arange(keys, device=pads.device)
    query = column[:queries, None]
    return (column <= query) & (column >= pads[:, None, None])


@ragged_mask.misconception(
    "You treated the last pads[b] columns as pads; they are on the left, so all rows end with their newest token.",
    name="pads-on-the-right",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column <= query) & ((column < keys - pads[:, None, None]) | (column == query))


@ragged_mask.misconception(
    "You hid the first real token with the pads: columns 0 … pads[b] - 1 are pads.",
    name="first-token-hidden",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column <= query) & ((column > pads[:, None, None]) | (column == query))


@ragged_mask.misconception(
    "You put query i in column i, like the given code; the new columns are the last ones, so query i is in column "
    "keys - queries + i.",
    name="first-columns",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[:queries, None]
    return (column <= query) & ((column >= pads[:, None, None]) | (column == query))


@ragged_mask.misconception(
    "You hid the pads but not the future; hide the tokens after each token too.",
    name="future-visible",
)
def _(pads, queries, keys):
    column = torch.arange(keys)
    query = column[keys - queries :, None]
    return (column >= pads[:, None, None]) | (column == query)


@ragged_mask.also_correct
def _(pads, queries, keys):
    mask = torch.zeros(len(pads), queries, keys, dtype=torch.bool, device=pads.device)
    for b, pad in enumerate(pads.tolist()):
        for i in range(queries):
            at = keys - queries + i
            mask[b, i, pad : at + 1] = True
            mask[b, i, at] = True
    return mask


@ragged_mask.also_correct
def _(pads, queries, keys):
    triangle = torch.ones(keys, keys, dtype=torch.bool).tril()
    hidden = torch.arange(keys).expand(len(pads), keys) < pads.cpu()[:, None]
    mask = triangle.masked_fill(hidden[:, None, :], False) | torch.eye(keys, dtype=torch.bool)
    return mask[:, -queries:].to(pads.device)
