import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=2,
    kind="derive",
    hints=(
        "Which two rows of a head need frequency θᵢ, and in which two rows does code for halves look for them?",
        "Row h · d + c of the weight produces coordinate c of head h. Rows 2i and 2i + 1 have to become rows i and i + "
        "d/2.",
        "Split the first axis into (H, d/2, 2) and swap two of its axes.",
        "`weight.unflatten(0, (heads, -1, 2))` splits it; swap, then `reshape`.",
    ),
)
def to_half(weight, heads):
    """Return a projection that was trained with pairs of neighbours, reordered for code that uses halves.

    The weight was trained with code that rotates coordinates 2i and 2i + 1 of each head by θᵢ. With
    the returned weights, code that rotates i and i + d/2 by θᵢ, in the same direction, computes the
    same scores.

    * weight (H·d, D): of queries or keys, as in `F.linear`; head h has the rows h · d to (h + 1) · d; it stays as it is
    * heads: H
    * returns: (H·d, D)
    """
    ### BEGIN SOLUTION
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)
    ### END SOLUTION


@to_half.test("keeps the rows of each head, in another order", points=1)
def _(to_half):
    weight = torch.arange(16.0)[:, None] * torch.tensor([1.0, -1.0])
    found = to_half(weight, 2)
    assert tuple(found.shape) == (16, 2), f"the result must have the shape of weight, got {tuple(found.shape)}"
    for head in range(2):
        mine = slice(8 * head, 8 * head + 8)
        what = f"the rows of head {head}, sorted, must be those that it had"
        assert_close(found[mine, 0].sort().values, weight[mine, 0], message=what)
        assert_close(found[mine, 1], -found[mine, 0], message=f"the numbers of each row of head {head} stay together")
    assert not torch.equal(found, weight), "the rows must be reordered"


@to_half.hidden("gives the same scores with code for halves", points=2)
def _(to_half, rng):
    for heads, d, width in ((3, 8, 5), (1, 12, 4), (2, 6, 7), (4, 2, 3)):
        wq, wk = torch.randn(2, heads * d, width, generator=rng, dtype=torch.float64)
        x = torch.randn(2, 6, width, generator=rng, dtype=torch.float64)
        kept = wq.clone()
        inv = torch.rand(d // 2, generator=rng, dtype=torch.float64) + 0.1
        turn = torch.polar(torch.ones(6, d // 2, dtype=torch.float64), torch.arange(6)[:, None] * inv)
        neighbours, halves = [], []
        for weight in (wq, wk):
            split = (x @ weight.T).unflatten(-1, (heads, d)).transpose(1, 2)
            neighbours.append(torch.view_as_complex(split.unflatten(-1, (-1, 2)).contiguous()) * turn)
            split = (x @ to_half(weight, heads).T).unflatten(-1, (heads, d)).transpose(1, 2)
            halves.append(torch.complex(*(z.contiguous() for z in split.chunk(2, -1))) * turn)
        expected, found = ((q @ k.mH).real for q, k in (neighbours, halves))
        what = f"the scores of {heads} heads of width {d}"
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=what)
        assert torch.equal(wq, kept), "the argument weight must stay as it is"


to_half.mistake(
    "other-direction",
    "You went the other way: this turns halves into neighbours. Put the coordinates 2i first, then the coordinates 2i "
    "+ 1.",
    replace="(heads, -1, 2)",
    by="(heads, 2, -1)",
)

to_half.mistake(
    "all-rows-as-one-head",
    "You reordered all rows as if they were one head; reorder within each head, because each head keeps its own d "
    "rows.",
    replace="weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).reshape(weight.shape)",
    by="torch.cat([weight[0::2], weight[1::2]])",
)

to_half.mistake(
    "second-coordinate-first",
    "You put the second coordinate of each pair first; the pairs then rotate the other way, and scores that contain a "
    "sine change.",
    replace="weight.unflatten(0, (heads, -1, 2)).transpose",
    by="weight.unflatten(0, (heads, -1, 2)).flip(2).transpose",
)


@to_half.misconception(
    "You reordered the columns, which are the layer's inputs; reorder the rows, which are its outputs.",
    name="reordered-columns",
)
def _(weight, heads):
    half = (weight.shape[1] + 1) // 2
    order = [*range(0, weight.shape[1], 2), *range(1, weight.shape[1], 2)][: 2 * half]
    return weight[:, order]


to_half.mistake(
    "swapped-halves",
    "You swapped the two halves of each head; the coordinates 2i have to become the first half.",
    replace="weight.unflatten(0, (heads, -1, 2)).transpose(1, 2)",
    by="weight.unflatten(0, (heads, 2, -1)).flip(1)",
)


@to_half.also_correct
def _(weight, heads):
    d = weight.shape[0] // heads
    order = [head * d + c for head in range(heads) for c in (*range(0, d, 2), *range(1, d, 2))]
    return weight[order]


@to_half.also_correct
def _(weight, heads):
    return torch.cat([torch.cat([rows[0::2], rows[1::2]]) for rows in weight.chunk(heads)]).contiguous()
