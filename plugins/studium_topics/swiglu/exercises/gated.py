import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.swiglu.exercises._shared import _ACTIVATIONS


@exercise(
    points=4,
    minutes=12,
    importance=3,
    hints=(
        "Two projections of x meet in an elementwise product. Which of the two goes through the activation?",
        "The activation applies only to the gate. The product of gate and value has F numbers for each token; the "
        "third matrix takes them back to the width of the model. Let a dictionary map each kind to its function.",
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


@gated.misconception(
    "You put the activation on the value, x W_uᵀ; put it on the gate, x W_gᵀ, because the two matrices of a checkpoint "
    "are not interchangeable.",
    name="activated-the-value",
)
def _(x, w_gate, w_up, w_down, kind):
    return ((x @ w_gate.T) * _ACTIVATIONS[kind](x @ w_up.T)) @ w_down.T


@gated.misconception(
    "You activated both the gate and the value; leave the value linear, so that an open gate lets it through "
    "unchanged.",
    name="activated-both",
)
def _(x, w_gate, w_up, w_down, kind):
    phi = _ACTIVATIONS[kind]
    return (phi(x @ w_gate.T) * phi(x @ w_up.T)) @ w_down.T


@gated.misconception(
    "You multiplied first and activated the product; activate the gate before you multiply, because the activation "
    "decides how far the gate is open.",
    name="activated-the-product",
)
def _(x, w_gate, w_up, w_down, kind):
    return _ACTIVATIONS[kind]((x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@gated.misconception(
    "You added gate and value; multiply them, because with a sum no unit can compute a product.",
    name="added-the-branches",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_ACTIVATIONS[kind](x @ w_gate.T) + x @ w_up.T) @ w_down.T


@gated.misconception(
    "Your SwiGLU uses the logistic function σ(z), which makes it GLU. Use SiLU, also called Swish: z σ(z).",
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
    "You computed SwiGLU for every kind; choose the activation by `kind`.",
    name="swiglu-for-every-kind",
)
def _(x, w_gate, w_up, w_down, kind):
    return (F.silu(x @ w_gate.T) * (x @ w_up.T)) @ w_down.T


@gated.misconception(
    'You used `F.glu` for every kind; it only knows the logistic function, so it only computes the kind "glu".',
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
