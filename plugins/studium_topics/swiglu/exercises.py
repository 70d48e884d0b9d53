"""The exercises: gated layers, their cost, multiplying, gradients by hand, dead units, and a fair comparison."""

import copy
import math
import statistics

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits.weights import drawn

# ------------------------------------------------------------------------------------------------------- gated


@exercise(
    points=4,
    minutes=12,
    importance=3,
    hints=(
        "Two projections of x meet in an elementwise product. Which of the two goes through the activation?",
        "The activation belongs to the gate alone. The product of both has F numbers for each token; the third matrix "
        "brings them back to the width of the model. Let a dictionary map each kind to its function.",
        "x is (..., D), both projections are (..., F), and w_down is (O, F).",
        "`F.silu(x @ w_gate.T) * (x @ w_up.T)` is the hidden layer of SwiGLU; `F.gelu` is exact by default.",
    ),
)
def gated(x, w_gate, w_up, w_down, kind):
    """Return the output of a gated feed-forward layer, (φ(x W_gᵀ) ∘ x W_uᵀ) W_dᵀ.

    * x: (..., D), any number of leading axes, none included
    * w_gate, w_up: W_g and W_u, (F, D) each; w_down: W_d (O, F)
    * kind, which chooses φ(z): "glu" σ(z), "bilinear" z, "reglu" max(0, z), "geglu" z Φ(z), "swiglu" z σ(z)
    * returns: (..., O)

    σ is the logistic function, Φ the exact distribution function of N(0, 1), ∘ the product of entries.
    Gradients must reach all four tensors, which stay as they are.
    """
    ### BEGIN SOLUTION
    activations = {
        "glu": torch.sigmoid,
        "bilinear": torch.clone,
        "reglu": torch.relu,
        "geglu": F.gelu,
        "swiglu": F.silu,
    }
    gate = activations[kind](x @ w_gate.T)
    value = x @ w_up.T
    return (gate * value) @ w_down.T
    ### END SOLUTION


@gated.test("opens and closes its gate as SwiGLU does", points=1)
def _(gated):
    x = torch.tensor([[2.0, -1.0], [-3.0, 0.5]], dtype=torch.float64)
    w_gate = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    w_up = torch.tensor([[0.0, 4.0]], dtype=torch.float64)
    w_down = torch.tensor([[1.0], [10.0]], dtype=torch.float64)
    # SiLU(2) = 2 / (1 + e⁻²) = 1.76159416, SiLU(-3) = -3 / (1 + e³) = -0.14227762; the values are -4 and 2
    expected = torch.tensor([[-7.04637662, -70.4637662], [-0.28455524, -2.8455524]], dtype=torch.float64)
    assert_close(gated(x, w_gate, w_up, w_down, "swiglu"), expected, rtol=1e-5, atol=1e-5)


@gated.hidden("knows all five kinds, for any leading axes", points=2)
def _(gated, rng):
    activations = {
        "geglu": lambda z: 0.5 * z * (1 + torch.erf(z / math.sqrt(2))),
        "swiglu": lambda z: z / (1 + torch.exp(-z)),
        "reglu": lambda z: z * (z > 0),
        "glu": lambda z: 1 / (1 + torch.exp(-z)),
        "bilinear": lambda z: z,
    }
    sizes = (((2, 3), 5, 4, 6, torch.float64), ((), 3, 7, 2, torch.float64), ((4,), 4, 4, 4, torch.float32))
    for leading, width, hidden, out, dtype in sizes:
        for kind, activation in activations.items():
            x = 2 * torch.randn(*leading, width, generator=rng, dtype=dtype)
            w_gate, w_up = torch.randn(2, hidden, width, generator=rng, dtype=dtype)
            w_down = torch.randn(out, hidden, generator=rng, dtype=dtype)
            before = [tensor.clone() for tensor in (x, w_gate, w_up, w_down)]
            found = gated(x, w_gate, w_up, w_down, kind)
            for name, tensor, kept in zip(
                ("x", "w_gate", "w_up", "w_down"), (x, w_gate, w_up, w_down), before, strict=True
            ):
                assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
            x, w_gate, w_up, w_down = (tensor.double() for tensor in before)
            gate = activation(torch.einsum("...d,fd->...f", x, w_gate))
            value = torch.einsum("...d,fd->...f", x, w_up)
            expected = torch.einsum("...f,of->...o", gate * value, w_down)
            what = f"kind {kind!r} with D={width}, F={hidden}, O={out}"
            assert_close(found, expected, rtol=2e-5, atol=2e-5, message=what)


@gated.hidden("lets gradients reach the input and all three weights", points=1)
def _(gated, rng):
    for kind, activation, slope in (
        ("reglu", lambda z: z.clamp(min=0), lambda z: (z > 0).double()),
        ("bilinear", lambda z: z, torch.ones_like),
        ("glu", torch.sigmoid, lambda z: torch.sigmoid(z) * torch.sigmoid(-z)),
    ):
        x = torch.randn(5, 3, generator=rng, dtype=torch.float64)
        w_gate, w_up = torch.randn(2, 4, 3, generator=rng, dtype=torch.float64)
        w_down, dy = torch.randn(2, 4, generator=rng, dtype=torch.float64), torch.randn(5, 2, generator=rng).double()
        parts = [tensor.clone().requires_grad_(True) for tensor in (x, w_gate, w_up, w_down)]
        out = gated(*parts, kind)
        assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
        assert out.requires_grad, (
            "the lesson trains through this function, and autograd sees no way back from its output"
        )
        found = torch.autograd.grad((out * dy).sum(), parts, allow_unused=True)
        gate, value, back = x @ w_gate.T, x @ w_up.T, dy @ w_down
        d_gate, d_value = back * value * slope(gate), back * activation(gate)
        wanted = (d_gate @ w_gate + d_value @ w_up, d_gate.T @ x, d_value.T @ x, dy.T @ (activation(gate) * value))
        for name, gradient, right in zip(("x", "w_gate", "w_up", "w_down"), found, wanted, strict=True):
            assert gradient is not None, f"no gradient reaches {name} with kind {kind!r}"
            assert_close(gradient, right, rtol=1e-5, atol=1e-5, message=f"the gradient of {name}, kind {kind!r}")


_ACTIVATIONS = {
    "glu": torch.sigmoid,
    "bilinear": torch.clone,
    "reglu": torch.relu,
    "geglu": F.gelu,
    "swiglu": F.silu,
}


@gated.misconception(
    "You put the activation on the value, x W_uᵀ; it belongs to the gate, x W_gᵀ. A checkpoint's two matrices are not "
    "interchangeable.",
    name="activated-the-value",
)
def _(x, w_gate, w_up, w_down, kind):
    return ((x @ w_gate.T) * _ACTIVATIONS[kind](x @ w_up.T)) @ w_down.T


@gated.misconception(
    "You activated gate and value both; the value stays linear, so that an open gate lets it through unchanged.",
    name="activated-both",
)
def _(x, w_gate, w_up, w_down, kind):
    phi = _ACTIVATIONS[kind]
    return (phi(x @ w_gate.T) * phi(x @ w_up.T)) @ w_down.T


@gated.misconception(
    "You multiplied first and activated the product; the activation decides how far the gate is open, so it comes "
    "before the product.",
    name="activated-the-product",
)
def _(x, w_gate, w_up, w_down, kind):
    return _ACTIVATIONS[kind]((x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@gated.misconception(
    "You added gate and value; a gate multiplies, and with a sum no unit can compute a product.",
    name="added-the-branches",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_ACTIVATIONS[kind](x @ w_gate.T) + x @ w_up.T) @ w_down.T


@gated.misconception(
    "Your SwiGLU uses the logistic function σ(z); that is GLU. SiLU, also called Swish, is z σ(z).",
    name="sigmoid-for-silu",
)
def _(x, w_gate, w_up, w_down, kind):
    phi = _ACTIVATIONS["glu" if kind == "swiglu" else kind]
    return (phi(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@gated.misconception(
    "Your GEGLU uses the tanh approximation; z Φ(z) needs the exact distribution function, which `F.gelu` computes by "
    "default.",
    name="tanh-gelu",
)
def _(x, w_gate, w_up, w_down, kind):
    phi = (lambda z: F.gelu(z, approximate="tanh")) if kind == "geglu" else _ACTIVATIONS[kind]
    return (phi(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@gated.misconception(
    "You computed SwiGLU for every kind; `kind` chooses the activation.",
    name="swiglu-for-every-kind",
)
def _(x, w_gate, w_up, w_down, kind):
    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@gated.misconception(
    'You used `F.glu`, which knows the logistic function alone; it is the kind "glu", and none of the others.',
    name="library-glu-for-every-kind",
)
def _(x, w_gate, w_up, w_down, kind):
    return F.glu(torch.cat([x @ w_up.T, x @ w_gate.T], -1)) @ w_down.T


@gated.also_correct
def _(x, w_gate, w_up, w_down, kind):
    z = F.linear(x, w_gate)
    if kind in ("glu", "swiglu"):
        gate = torch.sigmoid(z) * (z if kind == "swiglu" else 1)
    elif kind == "geglu":
        gate = 0.5 * z * torch.erfc(-z / 2**0.5)
    else:
        gate = z.clamp(min=0) if kind == "reglu" else z
    return F.linear(gate * F.linear(x, w_up), w_down)


@gated.also_correct
def _(x, w_gate, w_up, w_down, kind):
    fused = torch.einsum("...d,fd->...f", x, torch.cat([w_gate, w_up]))
    z, value = fused.chunk(2, -1)
    match kind:
        case "glu":
            hidden = F.glu(torch.cat([value, z], -1))
        case "bilinear":
            hidden = z * value
        case "reglu":
            hidden = torch.where(z > 0, z, torch.zeros_like(z)) * value
        case "geglu":
            hidden = z * torch.special.ndtr(z) * value
        case _:
            hidden = z / (1 + torch.exp(-z)) * value
    return torch.einsum("...f,of->...o", hidden, w_down)


# ------------------------------------------------------------------------------------------------------ ffn_cost


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
    biases, and what is done entry by entry is not counted.

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
    "You gave both layers two matrices; the gate has a matrix of its own, so a gated layer has three.",
    name="two-matrices-with-a-gate",
)
def _(tokens, width, hidden, has_gate):
    return 2 * width * hidden, 4 * tokens * width * hidden


@ffn_cost.misconception(
    "You counted a multiplication together with its addition as one operation; here they are two.",
    name="multiply-add-as-one",
)
def _(tokens, width, hidden, has_gate):
    parameters = (3 if has_gate else 2) * width * hidden
    return parameters, tokens * parameters


@ffn_cost.misconception(
    "You counted the operations of one token; all N of them go through the layer.", name="operations-of-one-token"
)
def _(tokens, width, hidden, has_gate):
    parameters = (3 if has_gate else 2) * width * hidden
    return parameters, 2 * parameters


@ffn_cost.misconception(
    "You counted forward and backward pass, three times the operations; the question is one forward pass.",
    name="counted-the-backward-pass",
)
def _(tokens, width, hidden, has_gate):
    parameters = (3 if has_gate else 2) * width * hidden
    return parameters, 6 * tokens * parameters


@ffn_cost.misconception(
    "You added biases to the parameters; these layers have none.",
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


# ------------------------------------------------------------------------------------------------- matched_width


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    kind="derive",
    hints=(
        "Write both parameter counts down and set them equal. Which of the sizes cancels?",
        "The exact width is a fraction of `hidden`, and in general no whole number. Round it in the direction that the "
        "statement asks for, to the next multiple.",
        "Let m be the multiple and k whole: you look for the smallest k for which 3 D k m is at least 2 D F.",
        "`-(-a // b)` is a / b rounded up, in whole numbers.",
    ),
)
def matched_width(hidden, multiple_of=1):
    """Return the width F' at which a gated layer is as large as an ungated one of hidden width F.

    F' is the smallest multiple of `multiple_of` for which the gated layer has at least as many
    parameters. Both layers have the same D and no biases.

    * hidden: F, a whole number, 1 or more
    * multiple_of: a whole number, 1 or more (fast kernels like multiples of 64 or 256)
    * returns: F', a whole number
    """
    ### BEGIN SOLUTION
    return -(-2 * hidden // (3 * multiple_of)) * multiple_of
    ### END SOLUTION


@matched_width.test("finds the width of a gated layer beside one of 3072", points=1)
def _(matched_width):
    found = matched_width(3072)
    assert isinstance(found, int), f"a width is a whole number, got {type(found).__name__}"
    assert found == 2048, f"3 · 2048 · D = 2 · 3072 · D parameters, got {found}"


@matched_width.hidden("rounds up to the multiple, and never below the parameters of the ungated layer", points=2)
def _(matched_width):
    even = matched_width(768, 64)
    assert even == 512, f"for hidden=768, multiple_of=64 the width is 512, got {even}"
    llama = matched_width(16384, 256)
    assert llama == 11008, f"Llama 7B has D = 4096, 4 D = 16384, multiples of 256 and a width of 11008, got {llama}"
    for hidden, multiple in ((1000, 7), (257, 64), (96, 32), (97, 32), (10, 1), (11, 1), (12, 5), (3, 2), (1, 1)):
        found = matched_width(hidden, multiple)
        expected = next(f for f in range(multiple, 4 * hidden + multiple, multiple) if 3 * f >= 2 * hidden)
        assert found == expected, f"for hidden={hidden}, multiple_of={multiple} the width is {expected}, got {found}"


@matched_width.misconception(
    "You multiplied by 8/3; that is the rule for a multiple of the model's width D. The argument is the ungated "
    "hidden width, usually 4 D already, so the factor is 2/3.",
    name="eight-thirds-of-hidden",
)
def _(hidden, multiple_of=1):
    return -(-8 * hidden // (3 * multiple_of)) * multiple_of


@matched_width.misconception(
    "You made the layer wider: three matrices in place of two, at equal size, leave room for fewer units.",
    name="three-halves",
)
def _(hidden, multiple_of=1):
    return -(-3 * hidden // (2 * multiple_of)) * multiple_of


@matched_width.misconception(
    "You halved the width. Only the way in is doubled by the gate; the way out has one matrix as before.",
    name="halved",
)
def _(hidden, multiple_of=1):
    return -(-hidden // (2 * multiple_of)) * multiple_of


@matched_width.misconception(
    "You rounded down; the gated layer is to have at least as many parameters.", name="rounded-down"
)
def _(hidden, multiple_of=1):
    return 2 * hidden // (3 * multiple_of) * multiple_of


@matched_width.misconception(
    "You rounded to the nearest multiple, which is sometimes below; the gated layer is to have at least as many "
    "parameters.",
    name="rounded-to-nearest",
)
def _(hidden, multiple_of=1):
    return round(2 * hidden / (3 * multiple_of)) * multiple_of


@matched_width.misconception(
    "You left `multiple_of` out; the width has to be a multiple of it.", name="left-out-the-multiple"
)
def _(hidden, multiple_of=1):
    return -(-2 * hidden // 3)


@matched_width.misconception(
    "You went one multiple further than needed where the width fits already.", name="one-multiple-too-far"
)
def _(hidden, multiple_of=1):
    return (2 * hidden // (3 * multiple_of) + 1) * multiple_of


@matched_width.also_correct
def _(hidden, multiple_of=1):
    return multiple_of * math.ceil(2 * hidden / (3 * multiple_of))


@matched_width.also_correct
def _(hidden, multiple_of=1):
    found = multiple_of
    while 3 * found < 2 * hidden:
        found += multiple_of
    return found


# ---------------------------------------------------------------------------------------------------- multiplier


@exercise(
    points=4,
    minutes=15,
    importance=3,
    kind="derive",
    hints=(
        "With φ(z) = z, one unit could multiply two numbers. What is left of SiLU(a) when you subtract SiLU(-a)?",
        "σ(a) + σ(-a) = 1. So two units whose gates are opposite give, together, what one linear gate would give.",
        "Row j of w_gate picks one number of p, or its negative; row j of w_up picks the same number of q. The output "
        "adds up the units, with signs.",
        "`torch.eye(size)` picks; `torch.cat([...], 1)` puts the half for p beside the half for q.",
    ),
)
def multiplier(size):
    """Return the weights of a SwiGLU layer that computes a dot product.

    Wherever x (..., 2 · size) holds two vectors p and q of `size` numbers, p first, the layer
    `gated(x, w_gate, w_up, w_down, "swiglu")` gives p · q, up to rounding, however large the
    numbers are. Use no more than two hidden units for each of the products.

    * size: a whole number, 1 or more
    * returns: floating-point tensors w_gate (F, 2 · size), w_up (F, 2 · size), w_down (1, F), with F at most 2 · size
    """
    ### BEGIN SOLUTION
    picks, nothing = torch.eye(size), torch.zeros(size, size)
    p = torch.cat([picks, nothing], 1)  # (size, 2 · size)
    q = torch.cat([nothing, picks], 1)
    return torch.cat([p, -p]), torch.cat([q, -q]), torch.ones(1, 2 * size)
    ### END SOLUTION


multiplier.equivalent("return torch.cat([q, -q]), torch.cat([p, -p]), torch.ones(1, 2 * size)", "p · q is q · p")


@multiplier.test("multiplies two numbers with two units", points=1)
def _(multiplier):
    found = [torch.as_tensor(weight) for weight in multiplier(1)]
    kinds = [weight.dtype for weight in found if not weight.is_floating_point()]
    assert not kinds, f"the weights of a layer are floating-point numbers, got {kinds[0]}"
    w_gate, w_up, w_down = (weight.double() for weight in found)
    shapes = tuple(w_gate.shape), tuple(w_up.shape), tuple(w_down.shape)
    assert shapes == ((2, 2), (2, 2), (1, 2)), f"the shapes must be (2, 2), (2, 2) and (1, 2), got {shapes}"
    x = torch.tensor([[3.0, -2.0], [-0.5, -4.0], [2.0, 5.0]], dtype=torch.float64)
    found = (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T
    expected = torch.tensor([[-6.0], [2.0], [10.0]], dtype=torch.float64)
    assert_close(found, expected, rtol=1e-5, atol=1e-5, message="3 · (-2), (-0.5) · (-4) and 2 · 5")


@multiplier.hidden("computes dot products of small and of large numbers, with two units for each product", points=3)
def _(multiplier, rng):
    for size in (3, 1, 2, 5):
        w_gate, w_up, w_down = (torch.as_tensor(weight).double() for weight in multiplier(size))
        units = w_gate.shape[0]
        assert units <= 2 * size, f"for size={size} at most {2 * size} hidden units are allowed, and there are {units}"
        shapes = tuple(w_gate.shape), tuple(w_up.shape), tuple(w_down.shape)
        right = ((units, 2 * size), (units, 2 * size), (1, units))
        assert shapes == right, f"for size={size} the shapes must be {right}, got {shapes}"
        for scale in (1.0, 0.01, 20.0):
            p, q = scale * torch.randn(2, 6, size, generator=rng, dtype=torch.float64)
            x = torch.cat([p, q], 1)
            found = (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T / scale**2
            what = f"p · q for size={size} and numbers of about {scale:g}, in units of {scale:g}²"
            assert_close(found, (p * q).sum(1, keepdim=True) / scale**2, rtol=1e-4, atol=1e-4, message=what)


@multiplier.misconception(
    "You used one unit for each product, as if φ(z) were z. SiLU lets a positive gate through and closes for a "
    "negative one, so half of the products are missing.",
    name="as-if-bilinear",
)
def _(size):
    picks, nothing = torch.eye(size), torch.zeros(size, size)
    p, q = torch.cat([picks, nothing], 1), torch.cat([nothing, picks], 1)
    return torch.cat([p, 0 * p]), torch.cat([q, 0 * q]), torch.ones(1, 2 * size)


@multiplier.misconception(
    "You added the two units of a pair with the same sign; SiLU(a) + SiLU(-a) is no multiple of a, while "
    "SiLU(a) - SiLU(-a) is a.",
    name="same-sign",
)
def _(size):
    picks, nothing = torch.eye(size), torch.zeros(size, size)
    p, q = torch.cat([picks, nothing], 1), torch.cat([nothing, picks], 1)
    return torch.cat([p, -p]), torch.cat([q, q]), torch.ones(1, 2 * size)


@multiplier.misconception(
    "You averaged the two units of a pair; together they already make one product, so the result is half of it.",
    name="averaged-the-pair",
)
def _(size):
    picks, nothing = torch.eye(size), torch.zeros(size, size)
    p, q = torch.cat([picks, nothing], 1), torch.cat([nothing, picks], 1)
    return torch.cat([p, -p]), torch.cat([q, -q]), torch.full((1, 2 * size), 0.5)


@multiplier.misconception(
    "Gate and value read the same vector: you computed p · p. The value has to pick from q.",
    name="multiplied-p-with-itself",
)
def _(size):
    p = torch.cat([torch.eye(size), torch.zeros(size, size)], 1)
    return torch.cat([p, -p]), torch.cat([p, -p]), torch.ones(1, 2 * size)


@multiplier.misconception(
    "You summed p and q before multiplying, which gives every number of p times every number of q. A dot product "
    "needs a pair of units for each place.",
    name="multiplied-the-sums",
)
def _(size):
    p = torch.cat([torch.ones(1, size), torch.zeros(1, size)], 1)
    q = p.flip(1)
    return torch.cat([p, -p]), torch.cat([q, -q]), torch.ones(1, 2)


@multiplier.misconception(
    "You opened the gates wide and undid that in the output. For small numbers a gate is then half open, and for all "
    "numbers only half of the pairs count: subtract the opposite gate.",
    name="sharp-gates",
)
def _(size):
    picks, nothing = torch.eye(size), torch.zeros(size, size)
    p, q = torch.cat([picks, nothing], 1), torch.cat([nothing, picks], 1)
    return torch.cat([100 * p, 0 * p]), torch.cat([q, 0 * q]), torch.full((1, 2 * size), 0.01)


@multiplier.also_correct
def _(size):
    w_gate, w_up, w_down = torch.zeros(2 * size, 2 * size), torch.zeros(2 * size, 2 * size), torch.empty(1, 2 * size)
    for i in range(size):
        for unit, sign in ((2 * i, 1.0), (2 * i + 1, -1.0)):
            w_gate[unit, size + i] = 0.5 * sign
            w_up[unit, i] = 4.0
            w_down[0, unit] = 0.5 * sign
    return w_gate, w_up, w_down


@multiplier.also_correct
def _(size):
    signs = torch.tensor([1.0, -1.0]).repeat(size)
    place = torch.arange(size).repeat_interleave(2)
    both = torch.eye(2 * size)
    return both[place] * signs[:, None], both[size + place], signs[None]


# ----------------------------------------------------------------------------------------------- swiglu_backward


@exercise(
    points=4,
    minutes=18,
    importance=2,
    hints=(
        "A product has two factors, and SiLU(z) = z σ(z) is a product as well. What does the product rule say of each?",
        "Go backwards: from dy to the hidden product, from there to gate and value, each multiplied by the other "
        "factor, and from those to the weights and to x, which was read twice.",
        "dy is (N, O); the gradients of hidden product, gate and value are (N, F) each.",
        "With `s = torch.sigmoid(gate)`, the slope of SiLU is `s * (1 + gate * (1 - s))`; a weight's gradient is "
        "`d_out.T @ d_in_values`.",
    ),
)
def swiglu_backward(x, w_gate, w_up, w_down, dy):
    """Return the gradients of a loss through a SwiGLU layer, without calling autograd.

    * x (N, D), w_gate and w_up (F, D), w_down (O, F): what the layer was given; they stay as they are
    * dy (N, O): the gradient of the loss for the layer's output
    * returns: (dx, dw_gate, dw_up, dw_down), each with the shape of what it belongs to
    """
    ### BEGIN SOLUTION
    gate, value = x @ w_gate.T, x @ w_up.T
    share = torch.sigmoid(gate)
    opened = gate * share
    d_hidden = dy @ w_down  # (N, F)
    d_value = d_hidden * opened
    d_gate = d_hidden * value * share * (1 + gate * (1 - share))
    dx = d_gate @ w_gate + d_value @ w_up
    return dx, d_gate.T @ x, d_value.T @ x, dy.T @ (opened * value)
    ### END SOLUTION


@swiglu_backward.test("moves an output as its gradients say, weight by weight", points=1)
def _(swiglu_backward, rng):
    x, dy = torch.randn(4, 3, generator=rng).double(), torch.randn(4, 2, generator=rng).double()
    w_gate, w_up = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64)
    parts = [x, w_gate, w_up, torch.randn(2, 5, generator=rng, dtype=torch.float64)]

    def loss(x, w_gate, w_up, w_down):
        return ((F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T * dy).sum()

    with torch.inference_mode():
        found = swiglu_backward(*parts, dy)
    assert len(found) == 4, f"four gradients are expected, got {len(found)}"
    for place, name in enumerate(("x", "w_gate", "w_up", "w_down")):
        shape, wanted = tuple(found[place].shape), tuple(parts[place].shape)
        assert shape == wanted, f"the gradient of {name} must have its shape {wanted}, got {shape}"
        for at in ((0, 0), (1, 2)):
            step = torch.zeros_like(parts[place])
            step[at] = 1e-5
            sides = [loss(*parts[:place], parts[place] + sign * step, *parts[place + 1 :]) for sign in (1, -1)]
            slope = (sides[0] - sides[1]) / 2e-5
            assert_close(found[place][at], slope, rtol=1e-4, atol=1e-5, message=f"{name}{list(at)}, by a small step")


@swiglu_backward.hidden("equals autograd, and changes nothing", points=3)
def _(swiglu_backward, rng):
    for tokens, width, hidden, out in ((5, 3, 7, 4), (1, 6, 2, 6), (8, 4, 4, 4), (3, 1, 5, 2)):
        x = 2 * torch.randn(tokens, width, generator=rng, dtype=torch.float64)
        w_gate, w_up = 1.5 * torch.randn(2, hidden, width, generator=rng, dtype=torch.float64)
        w_down = torch.randn(out, hidden, generator=rng, dtype=torch.float64)
        dy = torch.randn(tokens, out, generator=rng, dtype=torch.float64)
        handed = [x.clone(), w_gate.clone(), w_up.clone(), w_down.clone(), dy.clone()]
        with torch.inference_mode():
            found = swiglu_backward(*handed)
        for name, tensor, kept in zip(
            ("x", "w_gate", "w_up", "w_down", "dy"), handed, (x, w_gate, w_up, w_down, dy), strict=True
        ):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        parts = [tensor.requires_grad_(True) for tensor in (x, w_gate, w_up, w_down)]
        output = (F.silu(F.linear(x, w_gate)) * F.linear(x, w_up)) @ w_down.T
        wanted = torch.autograd.grad(output, parts, dy)
        for name, gradient, right in zip(("x", "w_gate", "w_up", "w_down"), found, wanted, strict=True):
            what = f"the gradient of {name} with N={tokens}, D={width}, F={hidden}, O={out}"
            assert_close(gradient, right, rtol=1e-7, atol=1e-7, message=what)


def _backward(x, w_gate, w_up, w_down, dy, slope, *, both=True, swapped=False):
    gate, value = x @ w_gate.T, x @ w_up.T
    opened, d_hidden = F.silu(gate), dy @ w_down
    d_value = d_hidden * (value if swapped else opened)
    d_gate = d_hidden * (opened if swapped else value) * slope(gate)
    dx = d_gate @ w_gate + (d_value @ w_up if both else 0)
    return dx, d_gate.T @ x, d_value.T @ x, dy.T @ (opened * value)


def _silu_slope(z):
    return torch.sigmoid(z) * (1 + z * torch.sigmoid(-z))


@swiglu_backward.misconception(
    "You took σ (1 - σ), the slope of the logistic function, for that of SiLU; SiLU(z) = z σ(z) is a product, and its "
    "slope is σ + z σ (1 - σ).",
    name="slope-of-the-sigmoid",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, lambda z: torch.sigmoid(z) * torch.sigmoid(-z))


@swiglu_backward.misconception(
    "You treated σ(z) in z σ(z) as a constant, so the slope of SiLU came out as σ; the product rule adds z σ (1 - σ).",
    name="half-of-the-product-rule",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, torch.sigmoid)


@swiglu_backward.misconception("You sent the gradient of the gate on without the slope of SiLU.", name="no-slope")
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, torch.ones_like)


@swiglu_backward.misconception(
    "Your dx comes back through the gate alone; x was read twice, by gate and value, so both ways back add up.",
    name="dx-through-the-gate-alone",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, _silu_slope, both=False)


@swiglu_backward.misconception(
    "You multiplied each branch by its own factor; the derivative of a product for one factor is the other one.",
    name="own-factor",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, _silu_slope, swapped=True)


@swiglu_backward.misconception(
    "You averaged the weights' gradients over the tokens; dy is already the gradient of the loss, so they add up.",
    name="averaged-over-tokens",
)
def _(x, w_gate, w_up, w_down, dy):
    dx, *weights = _backward(x, w_gate, w_up, w_down, dy, _silu_slope)
    return dx, *(weight / len(x) for weight in weights)


@swiglu_backward.misconception(
    "You called autograd, which records nothing in these tests; compute the gradients from the product rule.",
    name="called-autograd",
)
def _(x, w_gate, w_up, w_down, dy):
    parts = [tensor.detach().clone().requires_grad_(True) for tensor in (x, w_gate, w_up, w_down)]
    return torch.autograd.grad(gated(*parts, "swiglu"), parts, dy)


@swiglu_backward.misconception(
    "Your weights' gradients are transposed: a weight is (out, in), so its gradient is d_outᵀ times the input.",
    name="transposed-weights",
)
def _(x, w_gate, w_up, w_down, dy):
    dx, *weights = _backward(x, w_gate, w_up, w_down, dy, _silu_slope)
    return dx, *(weight.T for weight in weights)


@swiglu_backward.also_correct
def _(x, w_gate, w_up, w_down, dy):
    gate, value = F.linear(x, w_gate), F.linear(x, w_up)
    slope = torch.sigmoid(gate) + F.silu(gate) * torch.sigmoid(-gate)
    back = torch.einsum("no,of->nf", dy, w_down)
    pair = torch.cat([back * value * slope, back * F.silu(gate)], 1)
    d_gate, d_up = torch.einsum("nf,nd->fd", pair, x).chunk(2)
    d_down = torch.einsum("no,nf->of", dy, F.silu(gate) * value)
    return [pair @ torch.cat([w_gate, w_up]), d_gate, d_up, d_down]


@swiglu_backward.also_correct
def _(x, w_gate, w_up, w_down, dy):
    dx, d_gate, d_up, d_down = (torch.zeros_like(tensor) for tensor in (x, w_gate, w_up, w_down))
    for n in range(len(x)):
        z, value, back = w_gate @ x[n], w_up @ x[n], w_down.T @ dy[n]
        share = 1 / (1 + torch.exp(-z))
        to_gate, to_value = back * value * (share + z * share * (1 - share)), back * z * share
        dx[n] = w_gate.T @ to_gate + w_up.T @ to_value
        d_gate += torch.outer(to_gate, x[n])
        d_up += torch.outer(to_value, x[n])
        d_down += torch.outer(dy[n], z * share * value)
    return dx, d_gate, d_up, d_down


# ---------------------------------------------------------------------------------------------------- dead_units


@exercise(
    points=4,
    minutes=15,
    importance=2,
    kind="measure",
    hints=(
        "A unit is dead if no loss can move it. How can you ask about all losses at once?",
        "A loss enters only through the gradient that it gives to the outputs. With a random one no contribution "
        "cancels another, so that a gradient of zero means that there is no way back at all.",
        "The gradients of w_gate and w_up, (F, D) each, have a row for each unit; that of w_down, (O, F), a column.",
        "Make copies with `.detach().clone().requires_grad_()`, call `gated`, then `y.backward(noise)`; "
        "`(w.grad != 0).any(1)` looks at rows.",
    ),
)
def dead_units(x, w_gate, w_up, w_down, kind):
    """Return which hidden units of a gated layer are dead on a batch.

    A unit is dead if, whatever the loss, it gets no gradient: its row of w_gate, its row of w_up
    and its column of w_down all have gradient zero.

    * x (N, D), w_gate and w_up (F, D), w_down (O, F), kind: as for `gated`; they stay as they are, and nothing is
      added to their `grad`
    * returns: a tensor of F booleans
    """
    ### BEGIN SOLUTION
    weights = [weight.detach().requires_grad_(True) for weight in (w_gate, w_up, w_down)]
    y = gated(x, *weights, kind)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
    in_gate, in_up, in_down = (gradient != 0 for gradient in torch.autograd.grad(y, weights, noise))
    return ~(in_gate.any(1) | in_up.any(1) | in_down.any(0))
    ### END SOLUTION


@dead_units.test("finds the units that a closed ReLU gate has cut off", points=1)
def _(dead_units):
    x = torch.tensor([[1.0, 2.0], [3.0, 0.5], [2.0, 1.0]])
    w_gate = torch.tensor([[1.0, -1.0], [-1.0, -1.0], [-1.0, 0.4], [-2.0, 0.1]])
    w_up = torch.tensor([[1.0, 1.0], [2.0, 1.0], [1.0, -3.0], [0.5, 1.0]])
    w_down = torch.tensor([[1.0, -1.0, 2.0, 3.0]])
    expected = torch.tensor([False, True, True, True])
    found = torch.as_tensor(dead_units(x, w_gate, w_up, w_down, "reglu"))
    assert found.dtype == torch.bool, f"booleans are expected, got {found.dtype}"
    what = "the gates of unit 1, -3, -3.5 and -3, are never open; unit 0 opens for two tokens"
    assert_close(found, expected, message=what)
    alive = torch.as_tensor(dead_units(x, 6 * w_gate, w_up, w_down, "swiglu"))
    assert_close(alive, torch.zeros(4, dtype=torch.bool), message="SiLU lets a little through everywhere")


@dead_units.hidden("tells units that cannot learn from units that add nothing yet", points=3)
def _(dead_units, rng):
    for tokens, width, out in ((4, 5, 3), (3, 7, 4), (5, 6, 2)):
        x = torch.rand(tokens, width, generator=rng, dtype=torch.float64) + 0.2
        x[:, 1] = 0.0
        w_gate, w_up = torch.rand(2, 8, width, generator=rng, dtype=torch.float64) + 0.1
        w_down = torch.randn(out, 8, generator=rng, dtype=torch.float64)
        w_gate[1] *= -1  # closed for all tokens
        w_gate[2] = 0.0
        w_up[3] = 0.0  # adds nothing, and learns through w_up
        w_down[:, 3] -= w_down[:, 3].mean()
        w_down[:, 4] = 0.0  # adds nothing, and learns through w_down
        w_gate[5], w_up[5] = 0.0, 0.0
        w_up[6], w_down[:, 6] = 0.0, 0.0
        one_token = torch.full((tokens, 1), -1.0, dtype=torch.float64)
        one_token[0] = 1.0
        w_gate[7] = (torch.linalg.pinv(x) @ one_token)[:, 0]  # open for the first token alone
        dead = {"swiglu": {5, 6}, "reglu": {1, 2, 5, 6}, "glu": {6}, "bilinear": {5, 6}, "geglu": {5, 6}}
        silent = {"swiglu": {2, 3, 5, 6}, "reglu": {1, 2, 3, 5, 6}}  # dead where w_down is zero
        cases = [(kind, w_down, units) for kind, units in dead.items()]
        cases += [(kind, torch.zeros_like(w_down), units) for kind, units in silent.items()]
        closed = w_gate.clone()
        closed[2] = -0.1  # at 0 itself max(0, z) has no slope, and libraries differ
        for case, (kind, down, units) in enumerate(cases):
            parts = [x, closed if kind == "reglu" else w_gate, w_up, down]
            before = [tensor.clone() for tensor in parts]
            for tensor in parts:
                tensor.requires_grad_(case % 2 == 1)
            found = torch.as_tensor(dead_units(*parts, kind))
            expected = torch.tensor([unit in units for unit in range(8)])
            what = "and w_down zero" if case >= len(dead) else f"and {out} outputs"
            assert_close(found, expected, message=f"which of 8 units are dead, kind {kind!r} {what}")
            for name, tensor, kept in zip(("x", "w_gate", "w_up", "w_down"), parts, before, strict=True):
                assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
                asks = "asks" if tensor.requires_grad else "does not ask"
                same = tensor.requires_grad == (case % 2 == 1)
                assert same, f"the arguments must stay as they are, and {name} now {asks} for a gradient"
                assert tensor.grad is None, f"nothing may be added to grad, and {name} has one now"


dead_units.equivalent(
    "noise = torch.randn(y.shape).to(y)", "any noise without a pattern shows whether there is a way back"
)
dead_units.equivalent(
    "noise = torch.rand(y.shape, generator=torch.Generator().manual_seed(0)).to(y)",
    "any noise without a pattern shows whether there is a way back",
)
dead_units.equivalent(
    "noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y)",
    "any noise without a pattern shows whether there is a way back",
)
dead_units.equivalent(
    "outputs.backward(torch.rand_like(outputs))", "any noise without a pattern shows whether there is a way back"
)
dead_units.equivalent(
    "return ~(in_gate.any(1) | in_up.any(1) | in_down.all(0))",
    "noise reaches every output, so a column has gradients everywhere or nowhere",
)


def _hidden_parts(x, w_gate, w_up, kind):
    gate = _ACTIVATIONS[kind](x.detach() @ w_gate.detach().T)
    return gate, gate * (x.detach() @ w_up.detach().T)


@dead_units.misconception(
    "You called a unit dead if it adds nothing to the output. A unit with a zero row of w_up or a zero column of "
    "w_down adds nothing either, and still gets a gradient: after one step it works.",
    name="adds-nothing",
)
def _(x, w_gate, w_up, w_down, kind):
    _, hidden = _hidden_parts(x, w_gate, w_up, kind)
    return ((hidden == 0).all(0)) | (w_down == 0).all(0)


@dead_units.misconception(
    "You looked at the hidden product alone. Where the value is zero and the gate is open, the unit's row of w_up "
    "gets a gradient, so it is not dead.",
    name="product-is-zero",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_hidden_parts(x, w_gate, w_up, kind)[1] == 0).all(0)


@dead_units.misconception(
    "You looked whether the gate is zero for all tokens. That decides for ReLU; the other activations have a slope "
    "where they are zero, so that the row of w_gate can still get a gradient.",
    name="gate-is-zero",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_hidden_parts(x, w_gate, w_up, kind)[0] == 0).all(0)


@dead_units.misconception(
    "You took the sign of x W_gᵀ: a negative gate is dead only under ReLU. SiLU and GELU let a little through, and "
    "sigmoid and identity have no closed side at all.",
    name="negative-gate",
)
def _(x, w_gate, w_up, w_down, kind):
    return (x.detach() @ w_gate.detach().T <= 0).all(0)


@dead_units.misconception(
    "You called a unit dead if its gate is closed for some token; one token that opens it is enough for a gradient.",
    name="closed-for-some-token",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_hidden_parts(x, w_gate, w_up, kind)[0] == 0).any(0)


@dead_units.misconception(
    "You looked at the gradient of w_gate alone; a unit whose w_up or w_down still gets a gradient can come back.",
    name="gradient-of-the-gate-alone",
)
def _(x, w_gate, w_up, w_down, kind):
    weight = w_gate.detach().clone().requires_grad_(True)
    y = gated(x.detach(), weight, w_up.detach(), w_down.detach(), kind)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
    return ~(torch.autograd.grad(y, weight, noise)[0] != 0).any(1)


@dead_units.misconception(
    "You asked one loss alone, the sum of the outputs. A column of w_down that sums to zero, or values that cancel, "
    "hide a way back that another loss would find.",
    name="sum-of-the-outputs",
)
def _(x, w_gate, w_up, w_down, kind):
    weights = [weight.detach().requires_grad_(True) for weight in (w_gate, w_up, w_down)]
    summed = gated(x.detach(), *weights, kind).sum()
    in_gate, in_up, in_down = (found.abs() > 1e-12 for found in torch.autograd.grad(summed, weights))
    return ~(in_gate.any(1) | in_up.any(1) | in_down.any(0))


@dead_units.misconception(
    "You asked one loss alone, the square of the outputs. Where the outputs are zero it has no gradient, and other "
    "losses do.",
    name="square-of-the-outputs",
)
def _(x, w_gate, w_up, w_down, kind):
    weights = [weight.detach().requires_grad_(True) for weight in (w_gate, w_up, w_down)]
    squared = gated(x.detach(), *weights, kind).square().sum()
    in_gate, in_up, in_down = (found != 0 for found in torch.autograd.grad(squared, weights))
    return ~(in_gate.any(1) | in_up.any(1) | in_down.any(0))


@dead_units.misconception(
    "You returned the units that are alive; the question is which are dead.", name="returned-the-living"
)
def _(x, w_gate, w_up, w_down, kind):
    return ~dead_units.solution(x, w_gate, w_up, w_down, kind)


@dead_units.also_correct
def _(x, w_gate, w_up, w_down, kind):
    parts = [tensor.detach().requires_grad_() for tensor in (w_gate, w_up, w_down)]
    outputs = gated(x.detach(), *parts, kind)
    outputs.backward(torch.randn_like(outputs))
    gate, up, down = parts[0].grad.norm(dim=1), parts[1].grad.norm(dim=1), parts[2].grad.norm(dim=0)
    return (gate == 0) & (up == 0) & (down == 0)


@dead_units.also_correct
def _(x, w_gate, w_up, w_down, kind):
    copies = [tensor.detach().requires_grad_() for tensor in (w_gate, w_up, w_down)]
    alive = set()
    for output in gated(x, *copies, kind).flatten():
        gate, up, down = torch.autograd.grad(output, copies, retain_graph=True)
        alive |= {unit for unit in range(len(gate)) if gate[unit].any() or up[unit].any() or down[:, unit].any()}
    return torch.tensor([unit not in alive for unit in range(len(w_gate))])


# ----------------------------------------------------------------------------------------------- paired_interval


@exercise(
    points=3,
    minutes=10,
    importance=3,
    hints=(
        "Both runs of a seed saw the same batches. What do you lose if you forget which run belongs to which?",
        "Take the difference seed by seed first. Its mean has a standard error that shrinks with the number of seeds.",
        "n differences give one mean and one standard deviation, with n - 1 in the denominator.",
        "`statistics.stdev(differences) / math.sqrt(len(differences))` is the standard error.",
    ),
)
def paired_interval(losses, baseline, critical):
    """Return the mean paired difference of two kinds of layer, and the ends of its confidence interval.

    Run i of both kinds had the same seed and saw the same batches. The interval is Student's: the
    mean plus or minus `critical` standard errors of the mean.

    * losses, baseline: two lists of n losses, 2 or more, seed by seed
    * critical: the quantile of Student's distribution with n - 1 degrees of freedom, 2.776 for n = 5 and 95 %
    * returns: (mean, low, high), numbers; negative where `losses` are the lower ones
    """
    ### BEGIN SOLUTION
    differences = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return mean, mean - critical * error, mean + critical * error
    ### END SOLUTION


paired_interval.equivalent(
    "differences = [ours - theirs for ours, theirs in zip(losses, baseline, strict=False)]",
    "both lists have one loss for each seed",
)


@paired_interval.test("finds a small difference that all seeds share", points=1)
def _(paired_interval):
    baseline = [2.0, 2.3, 1.8, 2.1]
    losses = [1.98, 2.25, 1.77, 2.06]  # differences -.02 -.05 -.03 -.04: standard deviation .0129099
    mean, low, high = paired_interval(losses, baseline, 3.182)
    assert_close(mean, -0.035, rtol=1e-4, atol=1e-7, message="the mean difference")
    assert_close((low, high), (-0.0555397, -0.0144603), rtol=1e-4, atol=1e-6, message="the ends of the interval")


@paired_interval.hidden("covers the true difference as often as it says", points=2)
def _(paired_interval, rng):
    for count, critical in ((5, 2.776), (3, 4.303), (10, 2.262), (2, 12.706)):
        noise = torch.randn(2, count, generator=rng, dtype=torch.float64)
        baseline = (2 + noise[0]).tolist()
        losses = (2.05 + noise[0] + 0.6 * noise[1]).tolist()
        kept = list(losses), list(baseline)
        apart = torch.tensor(losses, dtype=torch.float64) - torch.tensor(baseline, dtype=torch.float64)
        half = critical * float(apart.std()) / count**0.5
        found = paired_interval(losses, baseline, critical)
        expected = (float(apart.mean()), float(apart.mean()) - half, float(apart.mean()) + half)
        assert_close(tuple(float(x) for x in found), expected, rtol=1e-5, atol=5e-6, message=f"{count} seeds")
        assert (losses, baseline) == kept, "the arguments must stay as they are"
    covered, trials = 0, 300
    for _ in range(trials):
        noise = torch.randn(2, 5, generator=rng, dtype=torch.float64)
        _, low, high = paired_interval((noise[0] + 0.2 * noise[1] - 0.1).tolist(), noise[0].tolist(), 2.776)
        covered += low <= -0.1 <= high
    assert 0.89 < covered / trials < 0.99, f"a 95 % interval covered the truth in {covered} of {trials} trials"


@paired_interval.misconception(
    "You treated the two lists as unrelated. What a seed does to both runs cancels in their difference, and without "
    "pairing it makes your interval far too wide.",
    name="unpaired",
)
def _(losses, baseline, critical):
    mean = statistics.fmean(losses) - statistics.fmean(baseline)
    error = math.sqrt((statistics.variance(losses) + statistics.variance(baseline)) / len(losses))
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You sorted the two lists, each for itself; run i of both has the same seed, so the order must stay.",
    name="sorted-each-list",
)
def _(losses, baseline, critical):
    return paired_interval.solution(sorted(losses), sorted(baseline), critical)


@paired_interval.misconception(
    "You divided by n in the standard deviation; the mean was estimated from the same n numbers, so it is n - 1.",
    name="divided-by-n",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.pstdev(apart) / math.sqrt(len(apart))
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You gave the spread of single runs; the mean of n runs is known √n times better, so divide by √n.",
    name="spread-of-single-runs",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart)
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You divided the standard deviation by n; the standard error of a mean falls with √n.",
    name="divided-the-error-by-n",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart) / len(apart)
    return mean, mean - critical * error, mean + critical * error


@paired_interval.misconception(
    "You used 1.96, which is the normal quantile; with few seeds the standard deviation is itself uncertain, and "
    "Student's quantile in `critical` is larger.",
    name="normal-quantile",
)
def _(losses, baseline, critical):
    apart = [ours - theirs for ours, theirs in zip(losses, baseline, strict=True)]
    mean, error = statistics.fmean(apart), statistics.stdev(apart) / math.sqrt(len(apart))
    return mean, mean - 1.96 * error, mean + 1.96 * error


@paired_interval.misconception(
    "You subtracted the other way round; the difference is negative where `losses` are lower than `baseline`.",
    name="baseline-minus-losses",
)
def _(losses, baseline, critical):
    mean, low, high = paired_interval.solution(losses, baseline, critical)
    return -mean, -high, -low


@paired_interval.also_correct
def _(losses, baseline, critical):
    apart = torch.tensor(losses) - torch.tensor(baseline)
    half = critical * apart.std() / len(apart) ** 0.5
    return apart.mean(), apart.mean() - half, apart.mean() + half


@paired_interval.also_correct
def _(losses, baseline, critical):
    n = len(losses)
    mean = sum(losses) / n - sum(baseline) / n
    squares = sum((losses[i] - baseline[i] - mean) ** 2 for i in range(n))
    half = critical * (squares / (n - 1) / n) ** 0.5
    return [mean, mean - half, mean + half]


# ------------------------------------------------------------------------------------------------------- compare


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "Which things must be the same for all kinds at one seed, and which must be new for each run?",
        "The batches of a seed serve all kinds; the model and the optimizer are made anew for each pair of seed and "
        "kind. Losses are collected seed by seed, so that run i of one kind belongs to run i of the other.",
        "A model's logits are (B, T, V) and the labels (B, T): flatten both for the cross-entropy. The rate is written "
        'to `optimizer.param_groups`, one dictionary with the key "lr" each.',
        "`group['lr'] = lr * (1 - i / len(pairs))` before each step; at the end "
        "`paired_interval(losses[kind], losses[kinds[0]], critical)`.",
    ),
)
def compare(build, batches, held_out, kinds, seeds, lr, critical):
    """Train every kind of layer with every seed, and compare each with the first kind.

    A run takes, for each batch in order, one step of `torch.optim.Adam` on the mean cross-entropy, at
    rate lr · (1 - i / n) for batch i = 0, …, n - 1. Its loss is that on held_out, after the last step.

    * build(kind, seed): a new model, ids (B, T) to logits (B, T, V)
    * batches(seed): a list of pairs (ids, labels), each (B, T); held_out: one such pair
    * kinds, seeds: lists; lr, critical: numbers
    * returns: {kind: (losses, interval)}, losses in the order of seeds, interval by `paired_interval` against kinds[0]
    """

    ### BEGIN SOLUTION
    def loss_on(model, batch):
        ids, labels = batch
        return F.cross_entropy(model(ids).flatten(0, 1), labels.flatten())

    losses = {kind: [] for kind in kinds}
    for seed in seeds:
        pairs = batches(seed)
        for kind in kinds:
            model = build(kind, seed)
            optimizer = torch.optim.Adam(model.parameters())
            for i, batch in enumerate(pairs):
                for group in optimizer.param_groups:
                    group["lr"] = lr * (1 - i / len(pairs))
                optimizer.zero_grad()
                loss_on(model, batch).backward()
                optimizer.step()
            with torch.no_grad():
                losses[kind].append(loss_on(model, held_out).item())
    baseline = losses[kinds[0]]
    return {kind: (losses[kind], paired_interval(losses[kind], baseline, critical)) for kind in kinds}
    ### END SOLUTION


compare.equivalent('with __import__("contextlib").nullcontext():', "no gradient is asked for there")


@compare.test("trains, and compares every kind with the first one", points=2)
def _(compare, rng):
    tables = [torch.randn(7, 7, generator=rng) for _ in range(3)]

    def build(kind, seed):
        model = nn.Sequential(nn.Embedding(7, 7))
        model[0].weight.data = tables[seed] * {"wide": 1.0, "flat": 0.3}[kind]
        return model

    ids = torch.randint(7, (4, 6), generator=rng)
    pair = (ids, (ids + 1) % 7)
    found = compare(build, lambda seed: [pair] * 12, pair, ["wide", "flat"], [0, 1, 2], 0.1, 4.303)
    assert set(found) == {"wide", "flat"}, f"one entry for each kind is expected, got {sorted(found)}"
    for kind in ("wide", "flat"):
        losses, _ = found[kind]
        assert len(losses) == 3, f"one loss for each of 3 seeds is expected, got {len(losses)}"
        for seed, after in enumerate(losses):
            before = F.cross_entropy(build(kind, seed)(ids).flatten(0, 1), pair[1].flatten()).item()
            assert after < before - 0.1, f"12 steps on one batch must lower its loss, from {before:.3f} to {after:.3f}"
    apart = [ours - theirs for ours, theirs in zip(found["flat"][0], found["wide"][0], strict=True)]
    assert_close(found["flat"][1][0], sum(apart) / 3, rtol=1e-4, atol=1e-6, message="the mean of flat minus wide")


@compare.hidden("takes Adam steps at a falling rate, with the same batches for every kind", points=3)
def _(compare, rng):
    def layers():
        return nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 9, bias=False))

    for seeds, lr, count, critical in (([3, 8, 5], 0.05, 6, 4.303), ([0, 1], 0.02, 3, 12.706)):
        kinds = ["a", "b", "c"]
        models = {(kind, seed): drawn(layers, rng) for seed in seeds for kind in kinds}
        data = {seed: [tuple(torch.randint(9, (2, 3, 5), generator=rng)) for _ in range(count)] for seed in seeds}
        held_out = tuple(torch.randint(9, (2, 4, 7), generator=rng))
        built = []

        def build(kind, seed, models=models, built=built):
            built.append((kind, seed))
            return copy.deepcopy(models[kind, seed])

        found = compare(
            build, lambda seed, data=data: list(data[seed]), held_out, list(kinds), list(seeds), lr, critical
        )
        assert sorted(built) == sorted(models), f"one model for each kind and seed is expected, got {sorted(built)}"
        expected = {}
        for kind in kinds:
            expected[kind] = []
            for seed in seeds:
                start = models[kind, seed].state_dict()
                w = {name: part.clone().requires_grad_() for name, part in start.items()}
                moments = {name: (torch.zeros_like(part), torch.zeros_like(part)) for name, part in w.items()}
                for i, (ids, labels) in enumerate([*data[seed], held_out]):
                    hidden = torch.tanh(F.embedding(ids, w["0.weight"]) @ w["1.weight"].T + w["1.bias"])
                    logits = (hidden @ w["3.weight"].T).flatten(0, 1)
                    loss = (logits.logsumexp(1) - logits.gather(1, labels.flatten()[:, None])[:, 0]).mean()
                    if i == count:
                        expected[kind].append(loss.item())
                        break
                    for (name, part), slope in zip(w.items(), torch.autograd.grad(loss, list(w.values())), strict=True):
                        first, second = moments[name]
                        first.mul_(0.9).add_(slope, alpha=0.1)
                        second.mul_(0.999).add_(slope * slope, alpha=0.001)
                        size = (second / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8
                        part.data -= lr * (1 - i / count) * first / (1 - 0.9 ** (i + 1)) / size
        for kind in kinds:
            what = f"the losses of kind {kind!r} with seeds {seeds}, lr={lr} and {count} batches"
            assert_close(list(found[kind][0]), expected[kind], rtol=2e-5, atol=2e-5, message=what)


@compare.hidden("gives the interval of each kind against the first, seed by seed", points=1)
def _(compare, rng):
    seeds, kinds, critical = [2, 0, 3, 1], ["z", "y", "x"], 3.182
    sizes = {"z": 2.0, "y": 0.5, "x": 1.0}  # confident guesses at random labels: the first kind is the worst
    tables = {(kind, seed): sizes[kind] * torch.randn(6, 6, generator=rng) for seed in seeds for kind in kinds}

    def build(kind, seed):
        model = nn.Sequential(nn.Embedding(6, 6))
        model[0].weight.data = tables[kind, seed].clone()
        return model

    held_out = tuple(torch.randint(6, (2, 5, 8), generator=rng))
    found = compare(build, lambda seed: [held_out], held_out, kinds, seeds, 1e-6, critical)
    losses = {}
    for kind in kinds:
        logits = [tables[kind, seed][held_out[0]].flatten(0, 1) for seed in seeds]
        losses[kind] = torch.tensor([F.cross_entropy(each, held_out[1].flatten()).item() for each in logits])
    for kind in kinds:
        apart = losses[kind] - losses["z"]
        half = critical * apart.std() / 2
        expected = [float(apart.mean()), float(apart.mean() - half), float(apart.mean() + half)]
        interval = [float(number) for number in found[kind][1]]
        assert_close(interval, expected, rtol=1e-3, atol=1e-4, message=f"the interval of {kind!r} against 'z'")


def _compare(build, batches, held_out, kinds, seeds, lr, critical, **wrong):
    def loss_on(model, batch):
        return F.cross_entropy(model(batch[0]).flatten(0, 1), batch[1].flatten())

    losses = {kind: [] for kind in kinds}
    for seed in seeds:
        pairs = batches(seed)
        for kind in kinds:
            model = build(kind, seed)
            optimizer = wrong.get("optimizer", torch.optim.Adam)(model.parameters(), lr=lr)
            last = 0.0
            for i, batch in enumerate(pairs):
                if wrong.get("new_optimizer"):
                    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
                for group in optimizer.param_groups:
                    group["lr"] = wrong.get("rate", lambda i, n: lr * (1 - i / n))(i, len(pairs))
                if not wrong.get("pile_up"):
                    optimizer.zero_grad()
                loss = loss_on(model, batch)
                loss.backward()
                last = loss.item()
                optimizer.step()
            with torch.no_grad():
                losses[kind].append(last if wrong.get("training_loss") else loss_on(model, held_out).item())
    against = losses[wrong["against"](losses)] if "against" in wrong else losses[kinds[0]]
    return {kind: (losses[kind], paired_interval.solution(losses[kind], against, critical)) for kind in kinds}


@compare.misconception(
    "You kept the rate at lr; it falls to zero in a straight line, and without that the noise of the last steps is "
    "larger than what you want to see.",
    name="constant-rate",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, rate=lambda i, n: lr)


@compare.misconception(
    "Your rate is one step ahead: batch i has the rate lr · (1 - i / n), so the first one has lr, and the last one is "
    "not wasted at rate 0.",
    name="rate-one-step-ahead",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, rate=lambda i, n: lr * (1 - (i + 1) / n))


@compare.misconception(
    "You never set the gradients back to zero, so each step follows the sum of all gradients so far.",
    name="gradients-pile-up",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, pile_up=True)


@compare.misconception(
    "You made a new optimizer for each batch; Adam then forgets its moments, and every step is a first step.",
    name="new-optimizer-each-step",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, new_optimizer=True)


@compare.misconception(
    "You used AdamW, whose weight decay also pulls every weight towards zero; the steps are those of Adam.",
    name="weight-decay",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, optimizer=torch.optim.AdamW)


@compare.misconception(
    "You reported the loss of the last training batch; what counts is the loss on held_out, after the last step.",
    name="training-loss",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, batches, held_out, kinds, seeds, lr, critical, training_loss=True)


@compare.misconception(
    "You compared with the kind that came out best; the baseline is chosen before looking, and it is the first kind.",
    name="compared-with-the-best",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    def best(losses):
        return min(losses, key=lambda kind: statistics.fmean(losses[kind]))

    return _compare(build, batches, held_out, kinds, seeds, lr, critical, against=best)


@compare.misconception(
    "You built the model of every run with the first seed, so that the seeds differ in their batches alone.",
    name="one-start-for-all-seeds",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(lambda kind, seed: build(kind, seeds[0]), batches, held_out, kinds, seeds, lr, critical)


@compare.misconception(
    "You trained every run on the batches of the first seed; each seed has its own, the same for all kinds.",
    name="one-set-of-batches",
)
def _(build, batches, held_out, kinds, seeds, lr, critical):
    return _compare(build, lambda seed: batches(seeds[0]), held_out, kinds, seeds, lr, critical)


@compare.also_correct
def _(build, batches, held_out, kinds, seeds, lr, critical):
    def run(kind, seed):
        model, pairs = build(kind, seed), batches(seed)
        optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 1 - i / len(pairs))
        criterion = nn.CrossEntropyLoss()
        for ids, labels in pairs:
            logits = model(ids)
            criterion(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        with torch.inference_mode():
            return float(criterion(model(held_out[0]).mT, held_out[1]))

    losses = {kind: [run(kind, seed) for seed in seeds] for kind in kinds}
    return {
        kind: [found, paired_interval.solution(found, losses[kinds[0]], critical)] for kind, found in losses.items()
    }


@compare.also_correct
def _(build, batches, held_out, kinds, seeds, lr, critical):
    table = torch.empty(len(kinds), len(seeds))
    for row, kind in enumerate(kinds):
        for column, seed in enumerate(seeds):
            model, pairs = build(kind, seed), batches(seed)
            optimizer = torch.optim.Adam(model.parameters())
            for step, (ids, labels) in enumerate(pairs):
                optimizer.param_groups[0]["lr"] = lr * (len(pairs) - step) / len(pairs)
                model.zero_grad()
                F.cross_entropy(model(ids).transpose(1, 2), labels).backward()
                optimizer.step()
            table[row, column] = F.cross_entropy(model(held_out[0]).mT, held_out[1]).item()
    result = {}
    for row, kind in enumerate(kinds):
        apart = table[row] - table[0]
        half = critical * apart.std().item() / len(seeds) ** 0.5
        result[kind] = (
            table[row].tolist(),
            (apart.mean().item(), apart.mean().item() - half, apart.mean().item() + half),
        )
    return result
