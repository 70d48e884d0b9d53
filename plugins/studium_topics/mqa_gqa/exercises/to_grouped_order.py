import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    importance=2,
    kind="derive",
    hints=(
        "With the old code, which query heads use shared head 0? Which query heads should use it after the move?",
        "Heads 0, G, 2G, … have to become neighbours and come first. The result of a head goes through the head's own "
        "columns of wo, so move them along with its rows of wq.",
        "Split the rows of wq into (H/G, G, d): the old head m · G + g is at [m, g]. Swap the first two axes.",
        "`wq.unflatten(0, (heads // groups, groups, -1))`, and for wo the same along axis 1.",
    ),
)
def to_grouped_order(wq, wo, heads, groups):
    """Return a model's query and output weights with the heads in a different order.

    The model was trained by code that gave query head h the shared head h % G. With the returned
    weights, code that gives it h // (H / G) computes the same result. Keys and values stay as they are;
    the order of the heads within a group is up to you.

    * wq (H · d, D), wo (D, H · d), as in `nn.Linear`: head h has the rows h · d to (h + 1) · d - 1
      of wq, and those columns of wo
    * heads, groups: H and G
    * returns: new (wq, wo), with the same shapes
    """
    ### BEGIN SOLUTION
    rows = wq.unflatten(0, (heads // groups, groups, -1))  # old head m · G + g at [m, g]
    columns = wo.unflatten(1, (heads // groups, groups, -1))
    return rows.transpose(0, 1).flatten(0, 2), columns.transpose(1, 2).flatten(1, 3)
    ### END SOLUTION


@to_grouped_order.test("brings the heads of a group together", points=1)
def _(to_grouped_order):
    wq, wo = to_grouped_order(torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([[0.0, 1.0, 2.0, 3.0]]), 4, 2)
    assert sorted(wq[:2, 0].tolist()) == [0.0, 2.0], f"heads 0 and 2 share head 0, so they come first: got {wq[:, 0]}"
    assert_close(wo[0], wq[:, 0], message="what heads give leaves through columns in the same order as their rows")


@to_grouped_order.hidden("makes the usual code compute what the other one did", points=3)
def _(to_grouped_order, rng):
    for heads, groups, size, width in ((6, 2, 3, 5), (8, 4, 2, 16), (6, 3, 4, 24), (4, 1, 3, 7), (5, 5, 2, 10)):
        x = torch.randn(2, 4, width, generator=rng, dtype=torch.float64)
        wq = torch.randn(heads * size, width, generator=rng, dtype=torch.float64)
        wo = torch.randn(width, heads * size, generator=rng, dtype=torch.float64)
        k, v = torch.randn(2, 2, groups, 4, size, generator=rng, dtype=torch.float64)
        kept = wq.clone(), wo.clone()

        moved = to_grouped_order(wq, wo, heads, groups)
        assert torch.equal(wq, kept[0]), "the wq that you are given must stay as it is"
        assert torch.equal(wo, kept[1]), "the wo that you are given must stay as it is"
        results = []
        for (rows, columns), own in (
            ((wq, wo), [head % groups for head in range(heads)]),
            (moved, [head * groups // heads for head in range(heads)]),
        ):
            q = F.linear(x, rows).unflatten(-1, (heads, size)).transpose(1, 2)
            mixed = F.scaled_dot_product_attention(q, k[:, own], v[:, own], is_causal=True)
            results.append(F.linear(mixed.transpose(1, 2).flatten(2), columns))
        what = f"with H={heads}, G={groups}, d={size}, D={width}"
        assert_close(results[1], results[0], rtol=1e-6, atol=1e-6, message=what)


@to_grouped_order.misconception(
    "You moved the rows of wq but not the columns of wo, so each head's result goes through another head's columns; "
    "move both.",
    name="moved-wq-alone",
)
def _(wq, wo, heads, groups):
    return wq.unflatten(0, (heads // groups, groups, -1)).transpose(0, 1).flatten(0, 2), wo


@to_grouped_order.misconception(
    "You moved the columns of wo but not the rows of wq, so the queries keep the old order and their results go "
    "through other heads' columns; move both.",
    name="moved-wo-alone",
)
def _(wq, wo, heads, groups):
    return wq, wo.unflatten(1, (heads // groups, groups, -1)).transpose(1, 2).flatten(1, 3)


@to_grouped_order.misconception(
    "You went the other way: this takes a model from the usual order to h % G. Where was head m · G + g before?",
    name="other-direction",
)
def _(wq, wo, heads, groups):
    rows = wq.unflatten(0, (groups, heads // groups, -1))
    columns = wo.unflatten(1, (groups, heads // groups, -1))
    return rows.transpose(0, 1).flatten(0, 2), columns.transpose(1, 2).flatten(1, 3)


@to_grouped_order.misconception(
    "You moved single coordinates; keep the d rows of a head together as a block: `unflatten(0, (H / G, G, d))`.",
    name="moved-coordinates",
)
def _(wq, wo, heads, groups):
    order = torch.arange(len(wq)).view(-1, groups).T.flatten()
    return wq[order], wo[:, order]


@to_grouped_order.misconception(
    "You moved rows of wo, which are the model's coordinates; move its columns, because a head's result enters through "
    "them.",
    name="moved-rows-of-wo",
)
def _(wq, wo, heads, groups):
    rows = wq.unflatten(0, (heads // groups, groups, -1)).transpose(0, 1).flatten(0, 2)
    order = torch.arange(len(wo)).view(heads // groups, groups, -1).transpose(0, 1).flatten()
    return rows, wo[order]


@to_grouped_order.misconception(
    "You returned the weights in their old order; the two orders are the same only with G = 1 or G = H.",
    name="changed-nothing",
)
def _(wq, wo, heads, groups):
    return wq, wo


@to_grouped_order.also_correct
def _(wq, wo, heads, groups):
    size = len(wq) // heads
    order = sorted(range(heads), key=lambda head: (head % groups, -head))
    places = [head * size + row for head in order for row in range(size)]
    return wq[places], wo[:, places]


@to_grouped_order.also_correct
def _(wq, wo, heads, groups):
    order = torch.arange(heads, device=wq.device).view(-1, groups).T.reshape(-1)
    size = wq.shape[0] // heads
    return wq.view(heads, size, -1)[order].reshape(wq.shape), wo.view(-1, heads, size)[:, order].reshape(wo.shape)
