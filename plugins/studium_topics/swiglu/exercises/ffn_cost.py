import math

import torch
from studium import assert_close, exercise
from torch.utils.flop_counter import FlopCounterMode


@exercise(
    points=2,
    minutes=5,
    level="warm-up",
    importance=2,
    hints=(
        "How many matrices does each of the two layers have?",
        "Each entry of a matrix is one parameter, and each token multiplies it once and adds the result once.",
        "All matrices have D · F entries. N tokens go through each of them.",
        "The operations are `2 * tokens * parameters`; only the number of matrices depends on `has_gate`.",
    ),
)
def ffn_cost(tokens, width, hidden, has_gate):
    """Return the parameters of a feed-forward layer and the operations of its matrix products.

    Count a multiplication and an addition as two operations, for one forward pass. There are no
    biases, and operations on single entries are not counted.

    * tokens: N, how many go through the layer
    * width, hidden: D and F, whole numbers
    * has_gate: false for φ(x W_uᵀ) W_dᵀ, true for a layer with a gate
    * returns: (parameters, operations), whole numbers
    """
    ### BEGIN SOLUTION
    parameters = (3 if has_gate else 2) * width * hidden
    return parameters, 2 * tokens * parameters
    ### END SOLUTION


@ffn_cost.test("counts the two matrices of an ungated layer", points=1)
def _(ffn_cost):
    found = ffn_cost(5, 3, 7, False)
    assert_close(found, (42, 420), message="5 tokens, two matrices of 3 · 7 entries")


@ffn_cost.hidden("counts what PyTorch counts, with a gate and without", points=1)
def _(ffn_cost):
    for tokens, width, hidden, has_gate in ((7, 5, 11, True), (4, 6, 3, False), (1, 8, 2, True), (9, 1, 4, True)):
        x, way_out = torch.zeros(tokens, width), torch.zeros(width, hidden)
        ways_in = [torch.zeros(hidden, width) for _ in range(1 + has_gate)]
        counter = FlopCounterMode(display=False)
        with counter:
            inside = [x @ way.T for way in ways_in]
            inside[0] @ way_out.T
        parameters = sum(way.numel() for way in (*ways_in, way_out))
        what = f"with {tokens} tokens, D={width}, F={hidden}, {'with' if has_gate else 'without'} a gate"
        assert_close(ffn_cost(tokens, width, hidden, has_gate), (parameters, counter.get_total_flops()), message=what)


@ffn_cost.misconception(
    "You counted two matrices for both layers; a gated layer has three, because the gate needs its own matrix.",
    name="two-matrices-with-a-gate",
)
def _(tokens, width, hidden, has_gate):
    return 2 * width * hidden, 4 * tokens * width * hidden


ffn_cost.mistake(
    "multiply-add-as-one",
    "You counted a multiplication together with its addition as one operation; here they count as two.",
    replace="2 * tokens",
    by="tokens",
)

ffn_cost.mistake(
    "operations-of-one-token",
    "You counted the operations of one token; multiply by N, because all N tokens go through the layer.",
    replace="2 * tokens * parameters",
    by="2 * parameters",
)

ffn_cost.mistake(
    "counted-the-backward-pass",
    "You counted the forward and the backward pass, three times the operations; count only the forward pass.",
    replace="2 * tokens",
    by="6 * tokens",
)


@ffn_cost.misconception(
    "You added biases to the parameters; leave them out, because these layers have none.",
    name="counted-biases",
)
def _(tokens, width, hidden, has_gate):
    ways_in = 2 if has_gate else 1
    return ways_in * (width + 1) * hidden + (hidden + 1) * width, 2 * tokens * (ways_in + 1) * width * hidden


@ffn_cost.also_correct
def _(tokens, width, hidden, has_gate):
    matrices = 3 if has_gate else 2
    return [matrices * width * hidden, sum(2 * tokens * width * hidden for _ in range(matrices))]


@ffn_cost.also_correct
def _(tokens, width, hidden, has_gate):
    shapes = [(hidden, width)] * (1 + has_gate) + [(width, hidden)]
    count = sum(math.prod(shape) for shape in shapes)
    return count, tokens * (count + count)
