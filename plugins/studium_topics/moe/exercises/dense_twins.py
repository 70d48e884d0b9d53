import torch
from studium import exercise


@exercise(
    points=2,
    minutes=10,
    level="warm-up",
    kind="derive",
    hints=(
        "How many numbers does one expert hold? And how many multiplications does it cost for each token?",
        "Set the cost of the dense layer equal to the cost of the mixture, once counting all the numbers it holds, "
        "once counting only those that one token is multiplied with. The width D cancels.",
        "A gated layer of hidden width h holds three matrices of h D numbers. A router holds E D numbers, and every "
        "token is multiplied with all of them.",
        "Round down with `//`, once, at the end.",
    ),
)
def dense_twins(hidden, experts, k):
    """Return the hidden widths of the two dense layers that we compare a mixture with.

    A gated layer of hidden width h has matrices (h, D), (h, D) and (D, h). The mixture
    has E of them, each of hidden width I, and a router (E, D). A token uses the router and
    k experts. Only matrix products cost anything.

    * hidden: I
    * experts: E
    * k: from 1 to E
    * returns: two integers, the largest h that costs a token no more than the mixture, and
      the largest h that has no more parameters
    """
    ### BEGIN SOLUTION
    return (3 * k * hidden + experts) // 3, (3 * experts * hidden + experts) // 3
    ### END SOLUTION


@dense_twins.test("finds both layers for 7 experts of width 10, two for each token", points=1)
def _(dense_twins):
    found = [int(width) for width in dense_twins(10, 7, 2)]
    assert found == [22, 72], f"10 · 7 experts and a router hold 217 D numbers, a token meets 67 D of them; got {found}"


@dense_twins.hidden("leaves no room for one hidden unit more, in cost and in parameters", points=1)
def _(dense_twins, rng):
    draws = torch.randint(1, 40, (12, 3), generator=rng).tolist()
    for hidden, experts, k in [(14, 8, 3), (5, 16, 4), *((i, e, 1 + k % e) for i, e, k in draws)]:
        cost, size = dense_twins(hidden, experts, k)
        what = f"I = {hidden}, E = {experts}, k = {k}"
        assert isinstance(cost, int), f"integers are expected, got {type(cost).__name__}"
        assert isinstance(size, int), f"integers are expected, got {type(size).__name__}"
        for found, active, name in ((cost, k, "cost"), (size, experts, "parameters")):
            budget = sum(3 * hidden for _ in range(active)) + experts  # numbers per unit of D
            assert 3 * found <= budget, f"{what}: a dense layer of width {found} exceeds the {name} of the mixture"
            assert 3 * (found + 1) > budget, f"{what}: a dense layer of width {found + 1} still has no more {name}"


dense_twins.mistake(
    "forgot-the-router",
    "You left the router out; add its E D numbers to both counts, because each token is multiplied with all of them "
    "and they are parameters too.",
    replace="(3 * k * hidden + experts) // 3, (3 * experts * hidden + experts) // 3",
    by="k * hidden, experts * hidden",
)

dense_twins.mistake(
    "router-k-times",
    "You counted the router k times; count it once, because it computes the logits of all experts once.",
    replace="3 * k * hidden + experts",
    by="3 * k * hidden + k * experts",
)

dense_twins.mistake(
    "two-matrices",
    "You counted two matrices in a layer, one up and one down; a gated layer has three.",
    replace="(3 * k * hidden + experts) // 3, (3 * experts * hidden + experts) // 3",
    by="(2 * k * hidden + experts) // 2, (2 * experts * hidden + experts) // 2",
)

dense_twins.mistake(
    "router-scaled",
    "You took k / E of all parameters as the cost; count the router in full, because every token uses all of it.",
    replace="return (3 * k * hidden + experts) // 3, (3 * experts * hidden + experts) // 3",
    by="""
        whole = 3 * experts * hidden + experts
        return whole * k // experts // 3, whole // 3
    """,
)

dense_twins.mistake(
    "swapped",
    "You returned the two widths in the wrong order; put the layer of equal cost first.",
    replace="(3 * k * hidden + experts) // 3, (3 * experts * hidden + experts) // 3",
    by="(3 * experts * hidden + experts) // 3, (3 * k * hidden + experts) // 3",
)

dense_twins.mistake(
    "rounded-up",
    "You rounded up; round down, because the wider layer has more than the mixture.",
    replace="(3 * k * hidden + experts) // 3, (3 * experts * hidden + experts) // 3",
    by="-(-(3 * k * hidden + experts) // 3), -(-(3 * experts * hidden + experts) // 3)",
)


@dense_twins.also_correct
def _(hidden, experts, k):
    return [active * hidden + experts // 3 for active in (k, experts)]


@dense_twins.also_correct
def _(hidden, experts, k):
    def width(numbers):
        return int(numbers / 3)

    return width(3 * hidden * k + experts), width(experts * (3 * hidden + 1))
