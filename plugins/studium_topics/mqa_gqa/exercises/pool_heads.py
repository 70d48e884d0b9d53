import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "Which rows of the weight belong to a head, and which heads belong to a group?",
        "The rows of a projection are its outputs. The mean runs only over the heads of a group.",
        "Split the rows into (G, H/G, d). A bias has one number for each row, so split it in the same way.",
        "`weight.unflatten(0, (groups, heads // groups, -1))` is (G, H/G, d, D).",
    ),
    mutates_args=(),
)
def pool_heads(weight, bias, heads, groups):
    """Return a key (or value) projection in which the heads of each group are merged into their mean.

    Heads g · H / G to (g + 1) · H / G - 1 form group g. (Ainslie et al. 2023, section 2.1.)

    * weight (H · d, D), as in `nn.Linear`: head h has the rows h · d to (h + 1) · d - 1
    * bias (H · d,), or None
    * heads, groups: H, and G, which divides H
    * returns: weight (G · d, D), and bias (G · d,) or None, in the dtype that they had
    """
    ### BEGIN SOLUTION
    pooled = weight.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1)
    if bias is not None:
        bias = bias.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten()
    return pooled, bias
    ### END SOLUTION


@pool_heads.test("merges four heads of one row into the means of two neighbours each", points=1)
def _(pool_heads):
    weight, bias = pool_heads(torch.tensor([[1.0], [3.0], [10.0], [20.0]]), None, 4, 2)
    assert_close(weight, torch.tensor([[2.0], [15.0]]))
    assert bias is None, f"without a bias there is none to pool: expected None, got {bias!r}"


@pool_heads.hidden("gives each group the mean of its heads, row by row, and of their biases", points=1)
def _(pool_heads, rng):
    for heads, groups, size, width in ((6, 2, 4, 5), (8, 4, 3, 7), (4, 1, 2, 3), (6, 3, 5, 2)):
        weight = torch.randn(heads * size, width, generator=rng, dtype=torch.float64)
        bias = torch.randn(heads * size, generator=rng, dtype=torch.float64)
        kept = weight.clone(), bias.clone()
        members = heads // groups
        rows = [
            [(group * members + member) * size + row for member in range(members)]
            for group in range(groups)
            for row in range(size)
        ]
        found, found_bias = pool_heads(weight, bias, heads, groups)
        what = f"with {heads} heads in {groups} groups, d={size} and D={width}"
        expected = torch.stack([weight[row].mean(0) for row in rows])
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"the weight {what}")
        expected = torch.stack([bias[row].mean() for row in rows])
        assert_close(found_bias, expected, rtol=1e-6, atol=1e-6, message=f"the bias {what}")
        assert torch.equal(weight, kept[0]), "the weight that you are given must stay as it is"
        assert torch.equal(bias, kept[1]), "the bias that you are given must stay as it is"


@pool_heads.hidden("changes nothing where every head is its own group, and keeps the dtype", points=1)
def _(pool_heads, rng):
    for dtype in (torch.float64, torch.bfloat16):
        weight = torch.randn(6 * 3, 5, generator=rng).to(dtype)
        bias = torch.randn(6 * 3, generator=rng).to(dtype)
        found, found_bias = pool_heads(weight, bias, 6, 6)
        assert_close(found, weight, rtol=0, atol=0, message="with as many groups as heads")
        assert_close(found_bias, bias, rtol=0, atol=0, message="with as many groups as heads, the bias")
        half, half_bias = pool_heads(weight, bias, 6, 3)
        for name, tensor in (("weight", half), ("bias", half_bias)):
            assert tensor.dtype == dtype, f"the {name} came as {dtype} and has to stay that, got {tensor.dtype}"
        expected = weight.double().view(3, 2, 3, 5).mean(1).view(9, 5)
        assert_close(half.double(), expected, rtol=2e-2, atol=2e-2, message=f"3 groups of 2 heads in {dtype}")


@pool_heads.misconception(
    "You summed the heads; take their mean, because with a sum scores and values grow with the size of the group.",
    name="sum-of-heads",
)
def _(weight, bias, heads, groups):
    shape = (groups, heads // groups, -1)
    pooled = weight.unflatten(0, shape).sum(1).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).sum(1).flatten()


@pool_heads.misconception(
    "You merged heads h with the same h % G; a group consists of neighbouring heads, those with the same h // (H / G).",
    name="order-of-repeat",
)
def _(weight, bias, heads, groups):
    shape = (heads // groups, groups, -1)
    pooled = weight.unflatten(0, shape).mean(0).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).mean(0).flatten()


@pool_heads.misconception(
    "You averaged neighbouring rows, which are coordinates of the same head; coordinate i of a group is the mean of "
    "coordinate i of its heads.",
    name="averaged-coordinates",
)
def _(weight, bias, heads, groups):
    pooled = weight.unflatten(0, (-1, heads // groups)).mean(1)
    return pooled, None if bias is None else bias.unflatten(0, (-1, heads // groups)).mean(1)


@pool_heads.misconception(
    "You split the rows as (d, H), as if each head had a row of every block; head h has d rows together: `unflatten(0, "
    "(groups, heads // groups, -1))`.",
    name="split-as-d-by-h",
)
def _(weight, bias, heads, groups):
    shape = (-1, groups, heads // groups)
    pooled = weight.unflatten(0, shape).mean(2).transpose(0, 1).flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape).mean(2).T.flatten()


@pool_heads.misconception(
    "You took the first head of each group; take the mean of its heads. The first head would also give a working "
    "checkpoint, but the paper found it worse than the mean.",
    name="first-head",
)
def _(weight, bias, heads, groups):
    shape = (groups, heads // groups, -1)
    pooled = weight.unflatten(0, shape)[:, 0].flatten(0, 1)
    return pooled, None if bias is None else bias.unflatten(0, shape)[:, 0].flatten()


@pool_heads.misconception(
    "You left the bias as it was; it belongs to the same rows as the weight, so pool it in the same way.",
    name="bias-unchanged",
)
def _(weight, bias, heads, groups):
    return weight.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1), bias


@pool_heads.misconception("You dropped the bias; pool it like the rows that it belongs to.", name="dropped-the-bias")
def _(weight, bias, heads, groups):
    return weight.unflatten(0, (groups, heads // groups, -1)).mean(1).flatten(0, 1), None


@pool_heads.also_correct
def _(weight, bias, heads, groups):
    members = heads // groups
    mixing = torch.eye(groups, dtype=torch.float64, device=weight.device).repeat_interleave(members, 1) / members
    size = weight.shape[0] // heads
    pooled = torch.einsum("gh,hdw->gdw", mixing, weight.double().view(heads, size, -1)).reshape(groups * size, -1)
    if bias is not None:
        bias = (mixing @ bias.double().view(heads, size)).view(-1).to(bias.dtype)
    return pooled.to(weight.dtype), bias


@pool_heads.also_correct
def _(weight, bias, heads, groups):
    size = len(weight) // heads
    members = heads // groups
    blocks = weight.split(size)
    pooled = torch.cat([sum(blocks[g * members : (g + 1) * members]) / members for g in range(groups)])
    if bias is not None:
        parts = bias.split(size)
        bias = torch.cat([sum(parts[g * members : (g + 1) * members]) / members for g in range(groups)])
    return pooled, bias
