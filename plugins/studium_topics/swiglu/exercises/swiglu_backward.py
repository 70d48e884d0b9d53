import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.swiglu.exercises.gated import gated


@exercise(
    points=4,
    minutes=18,
    importance=2,
    hints=(
        "A product has two factors, and SiLU(z) = z σ(z) is a product as well. What does the product rule give for "
        "each?",
        "Go backwards: from dy to the hidden product, from there to gate and value, each multiplied by the other "
        "factor, and from those to the weights and to x, which was used twice.",
        "dy is (N, O); the gradients of the hidden product, the gate and the value are (N, F) each.",
        "With `s = torch.sigmoid(gate)`, the slope of SiLU is `s * (1 + gate * (1 - s))`; a weight's gradient is "
        "`d_out.T @ d_in_values`.",
    ),
)
def swiglu_backward(x, w_gate, w_up, w_down, dy):
    """Return the gradients of a loss through a SwiGLU layer, without calling autograd.

    * x (N, D), w_gate and w_up (F, D), w_down (O, F): the inputs of the layer; they stay as they are
    * dy (N, O): the gradient of the loss for the layer's output
    * returns: (dx, dw_gate, dw_up, dw_down), each shaped like x, w_gate, w_up and w_down
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
    "You used σ (1 - σ), which is the slope of the logistic function; SiLU(z) = z σ(z) is a product, and its slope is "
    "σ + z σ (1 - σ).",
    name="slope-of-the-sigmoid",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, lambda z: torch.sigmoid(z) * torch.sigmoid(-z))


@swiglu_backward.misconception(
    "You treated σ(z) in z σ(z) as a constant, so your slope of SiLU is just σ; the product rule adds z σ (1 - σ).",
    name="half-of-the-product-rule",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, torch.sigmoid)


@swiglu_backward.misconception(
    "You passed on the gradient of the gate without the slope of SiLU; multiply by that slope.", name="no-slope"
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, torch.ones_like)


@swiglu_backward.misconception(
    "Your dx comes back through the gate only; add the way through the value, because both projections use x.",
    name="dx-through-the-gate-alone",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, _silu_slope, both=False)


@swiglu_backward.misconception(
    "You multiplied each branch by its own factor; multiply by the other one, because the derivative of a product with "
    "respect to one factor is the other factor.",
    name="own-factor",
)
def _(x, w_gate, w_up, w_down, dy):
    return _backward(x, w_gate, w_up, w_down, dy, _silu_slope, swapped=True)


@swiglu_backward.misconception(
    "You averaged the weights' gradients over the tokens; add them up, because dy is already the gradient of the loss.",
    name="averaged-over-tokens",
)
def _(x, w_gate, w_up, w_down, dy):
    dx, *weights = _backward(x, w_gate, w_up, w_down, dy, _silu_slope)
    return dx, *(weight / len(x) for weight in weights)


@swiglu_backward.misconception(
    "You called autograd, which records nothing in these tests; compute the gradients with the product rule.",
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
