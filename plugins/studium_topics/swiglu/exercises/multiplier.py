import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    importance=3,
    kind="derive",
    hints=(
        "With φ(z) = z, a single unit could multiply two numbers. What is left of SiLU(a) when you subtract SiLU(-a)?",
        "σ(a) + σ(-a) = 1. So two units with opposite gates together give what one linear gate would give.",
        "Row j of w_gate picks one number of p, or its negative; row j of w_up picks the same number of q. The output "
        "adds up the units, with signs.",
        "`torch.eye(size)` picks; `torch.cat([...], 1)` puts the half for p next to the half for q.",
    ),
)
def multiplier(size):
    """Return the weights of a SwiGLU layer that computes a dot product.

    If x (..., 2 · size) holds two vectors p and q of `size` numbers, p first, then the layer
    `gated(x, w_gate, w_up, w_down, "swiglu")` gives p · q, up to rounding, however large the
    numbers are. Use at most two hidden units for each of the products.

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
    "You added the two units of a pair with the same sign; subtract one, because SiLU(a) - SiLU(-a) is a, while "
    "SiLU(a) + SiLU(-a) is not even a multiple of a.",
    name="same-sign",
)
def _(size):
    picks, nothing = torch.eye(size), torch.zeros(size, size)
    p, q = torch.cat([picks, nothing], 1), torch.cat([nothing, picks], 1)
    return torch.cat([p, -p]), torch.cat([q, q]), torch.ones(1, 2 * size)


@multiplier.misconception(
    "You averaged the two units of a pair, which gives half of the result; together, the two already make one product.",
    name="averaged-the-pair",
)
def _(size):
    picks, nothing = torch.eye(size), torch.zeros(size, size)
    p, q = torch.cat([picks, nothing], 1), torch.cat([nothing, picks], 1)
    return torch.cat([p, -p]), torch.cat([q, -q]), torch.full((1, 2 * size), 0.5)


@multiplier.misconception(
    "Your gate and value both pick from p, so you computed p · p; let the value pick from q.",
    name="multiplied-p-with-itself",
)
def _(size):
    p = torch.cat([torch.eye(size), torch.zeros(size, size)], 1)
    return torch.cat([p, -p]), torch.cat([p, -p]), torch.ones(1, 2 * size)


@multiplier.misconception(
    "You summed p and q before multiplying, which gives every number of p times every number of q. A dot product needs "
    "a pair of units for each place.",
    name="multiplied-the-sums",
)
def _(size):
    p = torch.cat([torch.ones(1, size), torch.zeros(1, size)], 1)
    q = p.flip(1)
    return torch.cat([p, -p]), torch.cat([q, -q]), torch.ones(1, 2)


@multiplier.misconception(
    "You opened the gates wide and undid this in the output. For small numbers a gate is then half open, and for all "
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
