import torch
from studium import exercise


@exercise(
    points=3,
    report=1,
    minutes=12,
    kind="open",
    importance=2,
    hints=(
        "When is the mean of two heads close to both of them?",
        "You need the distance of each head from each other one, and all groups have the same size, so a head can be "
        "taken already.",
        "One way is to begin a group with a head that is still free, and to let its nearest free heads join it.",
    ),
    mutates_args=(),
)
def alike_heads(weight, heads, groups):
    """Return a division of the heads into groups, so that pooling each group to its mean loses little.

    * weight (H · d, D): the key projection, as in `nn.Linear`: head h has the rows h · d to (h + 1) · d - 1
    * heads, groups: H, and G, which divides H
    * returns: G lists with H / G heads each; every head from 0 to H - 1 is in one of them, in any order

    The goal: the loss is at most 10 %. We measure it as the sum over all heads of ‖W_h - mean of its group‖², divided
    by the sum of all ‖W_h‖². In our tests, the heads come in G families whose members are alike, but members are not
    neighbours, so groups of neighbours lose about half.
    """
    ### BEGIN SOLUTION
    rows = weight.unflatten(0, (heads, -1)).flatten(1).double()
    distances = torch.cdist(rows, rows)
    free, found = list(range(heads)), []
    while free:
        nearest = sorted(free, key=lambda head: float(distances[free[0], head]))
        group = nearest[: heads // groups]
        free = [head for head in free if head not in group]
        found.append(group)
    return found
    ### END SOLUTION


@alike_heads.test("loses at most 10 % for eight heads of four families", points=1)
def _(alike_heads, rng):
    families = torch.randn(4, 12, 10, generator=rng, dtype=torch.float64)
    families = families / families.norm(dim=(1, 2), keepdim=True) * 120**0.5
    members = torch.tensor([0, 1, 0, 2, 3, 1, 2, 3])
    weight = families[members] + 0.2 * torch.randn(8, 12, 10, generator=rng, dtype=torch.float64)
    found = [[int(head) for head in group] for group in alike_heads(weight.flatten(0, 1).clone(), 8, 4)]
    assert [len(group) for group in found] == [2] * 4, f"4 groups of 2 heads are expected, got {found}"
    assert sorted(head for group in found for head in group) == list(range(8)), (
        f"each head must be in one group, got {found}"
    )
    lost = sum(float((weight[group] - weight[group].mean(0)).square().sum()) for group in found)
    share = lost / float(weight.square().sum())
    assert share <= 0.1, f"the groups {found} lose {share:.0%}; the goal is 10 %"


@alike_heads.hidden(
    "loses at most 10 % for any number of heads and groups, and any sizes of heads", points=2, mutates_args=()
)
def _(alike_heads, rng):
    for heads, groups, size, width in ((12, 6, 6, 8), (6, 6, 4, 5), (6, 1, 4, 5), (10, 5, 5, 9), (9, 3, 8, 8)):
        families = torch.randn(groups, size, width, generator=rng, dtype=torch.float64)
        families = families / families.norm(dim=(1, 2), keepdim=True) * (size * width) ** 0.5
        members = torch.arange(groups).repeat(heads // groups)[torch.randperm(heads, generator=rng)]
        weight = families[members] + 0.2 * torch.randn(heads, size, width, generator=rng, dtype=torch.float64)
        weight = weight.float() if heads == 9 else weight
        found = [[int(head) for head in group] for group in alike_heads(weight.flatten(0, 1).clone(), heads, groups)]
        what = f"with {heads} heads and {groups} groups"
        assert [len(group) for group in found] == [heads // groups] * groups, f"{what}, the groups are {found}"
        assert sorted(head for group in found for head in group) == list(range(heads)), (
            f"{what}, each head must be in one group, got {found}"
        )
        lost = sum(float((weight[group] - weight[group].mean(0)).square().sum()) for group in found)
        share = lost / float(weight.square().sum())
        assert share <= 0.1, f"{what}, the groups lose {share:.0%}; the goal is 10 %"


alike_heads.mistake(
    "columns-for-heads",
    "You cut the weight into heads along its columns; the rows of `weight` are its outputs, and a head has d of them.",
    replace="weight.unflatten(0, (heads, -1)).flatten(1)",
    by="weight.T.reshape(heads, -1)",
)


@alike_heads.misconception(
    "You grouped neighbours, as `pool_heads` does; heads that are alike can be anywhere.", name="neighbours"
)
def _(weight, heads, groups):
    return torch.arange(heads).reshape(groups, -1).tolist()


@alike_heads.misconception(
    "You compared how large the heads are; two heads of the same size can still point in different directions.",
    name="by-size",
)
def _(weight, heads, groups):
    sizes = weight.unflatten(0, (heads, -1)).flatten(1).norm(dim=1)
    return sizes.argsort().reshape(groups, -1).tolist()


@alike_heads.misconception(
    "You let each head join the nearest of the first G heads; these can be of one family, and the groups get different "
    "sizes.",
    name="first-heads-lead",
)
def _(weight, heads, groups):
    rows = weight.unflatten(0, (heads, -1)).flatten(1)
    leaders = torch.cdist(rows, rows[:groups]).argmin(1).tolist()
    return [[head for head in range(heads) if leaders[head] == group] for group in range(groups)]


@alike_heads.also_correct
def _(weight, heads, groups):
    rows = weight.unflatten(0, (heads, -1)).flatten(1).double()
    found = torch.arange(heads).reshape(groups, -1).tolist()

    def lost(groups_of_heads):
        return sum(float((rows[group] - rows[group].mean(0)).square().sum()) for group in groups_of_heads)

    best, improved = lost(found), True
    while improved:
        improved = False
        for a in range(heads):
            for b in range(a):
                swap = {a: b, b: a}
                other = [[swap.get(head, head) for head in group] for group in found]
                if lost(other) < best - 1e-9:
                    found, best, improved = other, lost(other), True
    return found
