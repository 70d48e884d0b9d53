import math

import torch
import torch.nn.functional as F
from studium import exercise


@exercise(
    points=2,
    minutes=8,
    level="warm-up",
    importance=2,
    hints=(
        "Which query of a block sees the most keys?",
        "A tile is needed as soon as its last query sees its first key. Compare positions in the text, not block "
        "numbers.",
        "The last block of queries may be smaller; its last query is `min(queries, (i + 1) * block_rows) - 1`.",
    ),
)
def causal_tiles(queries, keys, block_rows, block_columns):
    """Return the tiles in which a causal mask leaves at least one score.

    The queries are the last tokens of the text: query i sees the keys j <= i + keys - queries. Tile
    (i, j) begins at query i · block_rows and key j · block_columns; the last tile of each side may be
    smaller. If there are more queries than keys, the first queries see no key.

    * queries, keys, block_rows, block_columns: ints of 1 or more
    * returns: a list of pairs (i, j), each once, in any order
    """
    ### BEGIN SOLUTION
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        last = min(queries, (i + 1) * block_rows) - 1 + keys - queries  # the last key that the block sees
        tiles += [(i, j) for j in range(last // block_columns + 1)]
    return tiles
    ### END SOLUTION


@causal_tiles.test("keeps the diagonal and what is below it", points=1)
def _(causal_tiles):
    found = sorted((int(i), int(j)) for i, j in causal_tiles(6, 6, 2, 2))
    expected = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
    assert found == expected, f"6 queries and keys in tiles of 2 × 2 need {expected}, got {found}"


@causal_tiles.hidden("returns exactly the tiles with a visible score", points=1)
def _(causal_tiles):
    sizes = [
        (7, 7, 3, 2),
        (5, 9, 2, 4),
        (9, 5, 2, 2),
        (4, 4, 8, 8),
        (1, 6, 1, 2),
        (6, 6, 4, 1),
        (6, 7, 1, 4),
        (8, 3, 3, 5),
    ]
    for queries, keys, rows, columns in [*sizes, (12, 12, 3, 4), (3, 11, 2, 3), (10, 9, 4, 4)]:
        seen = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries).nonzero().tolist()
        expected = sorted({(i // rows, j // columns) for i, j in seen})
        found = sorted((int(i), int(j)) for i, j in causal_tiles(queries, keys, rows, columns))
        what = f"{queries} queries and {keys} keys in tiles of {rows} × {columns}"
        assert len(set(found)) == len(found), f"{what}: no tile may be listed twice, got {found}"
        missing, extra = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        assert not missing, f"{what}: the tiles {missing} have scores that are seen, and were left out"
        assert not extra, f"{what}: in the tiles {extra} nothing is seen, or they do not exist"


@causal_tiles.misconception(
    "You aligned the first query with the first key; the queries are the last tokens of the text, so query i sees the "
    "keys up to i + keys - queries.",
    name="aligned-at-the-first-key",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        last = min(queries, (i + 1) * block_rows) - 1
        tiles += [(i, j) for j in range(math.ceil(keys / block_columns)) if j * block_columns <= last]
    return tiles


@causal_tiles.misconception(
    "You left out tiles that the diagonal crosses: a tile is needed as soon as its *last* query sees its first key.",
    name="left-out-the-diagonal",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        first = i * block_rows + keys - queries
        last_of = [min(keys, (j + 1) * block_columns) - 1 for j in range(math.ceil(keys / block_columns))]
        tiles += [(i, j) for j, last in enumerate(last_of) if last <= first]
    return tiles


@causal_tiles.misconception(
    "You tested the first query of the block; test its *last* query, because later queries see more keys.",
    name="first-query-of-the-block",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        first = i * block_rows + keys - queries
        tiles += [(i, j) for j in range(math.ceil(keys / block_columns)) if j * block_columns <= first]
    return tiles


@causal_tiles.misconception(
    "You returned all tiles; leave out those in which the mask hides every score, because they need no work at all.",
    name="all-tiles",
)
def _(queries, keys, block_rows, block_columns):
    return [(i, j) for i in range(math.ceil(queries / block_rows)) for j in range(math.ceil(keys / block_columns))]


@causal_tiles.misconception(
    "You compared the numbers of the blocks, j <= i, which is right only for square tiles. Compare positions.",
    name="compared-block-numbers",
)
def _(queries, keys, block_rows, block_columns):
    return [
        (i, j) for i in range(math.ceil(queries / block_rows)) for j in range(math.ceil(keys / block_columns)) if j <= i
    ]


@causal_tiles.misconception(
    "You forgot the smaller tile at the end, when the sizes do not divide evenly: there are ⌈queries / block_rows⌉ "
    "blocks.",
    name="forgot-the-smaller-tiles",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(queries // block_rows):
        last = (i + 1) * block_rows - 1 + keys - queries
        tiles += [(i, j) for j in range(keys // block_columns) if j * block_columns <= last]
    return tiles


@causal_tiles.misconception(
    "You let the last block of queries extend beyond the last query; stop at the last query, because this block may be "
    "smaller than block_rows.",
    name="beyond-the-last-query",
)
def _(queries, keys, block_rows, block_columns):
    tiles = []
    for i in range(math.ceil(queries / block_rows)):
        last = (i + 1) * block_rows - 1 + keys - queries
        tiles += [(i, j) for j in range(math.ceil((last + 1) / block_columns)) if last >= 0]
    return tiles


@causal_tiles.also_correct
def _(queries, keys, block_rows, block_columns):
    return {
        (i // block_rows, j // block_columns) for i in range(queries) for j in range(keys) if j <= i + keys - queries
    }


@causal_tiles.also_correct
def _(queries, keys, block_rows, block_columns):
    seen = torch.ones(queries, keys, dtype=torch.int).tril(keys - queries)
    seen = F.pad(seen, (0, -keys % block_columns, 0, -queries % block_rows))
    tiles = seen.unflatten(1, (-1, block_columns)).unflatten(0, (-1, block_rows)).sum((1, 3))
    return [tuple(pair) for pair in tiles.nonzero().tolist()]
