import torch
from studium import assert_close, exercise

from studium_topics.swiglu.exercises._shared import _ACTIVATIONS
from studium_topics.swiglu.exercises.gated import gated


@exercise(
    points=4,
    minutes=15,
    importance=2,
    kind="measure",
    hints=(
        "A unit is dead if no loss can move it. How can you test all losses at once?",
        "A loss matters only through the gradient that it gives to the outputs. If that gradient is random, "
        "contributions do not cancel one another, so a gradient of zero means that there is no way back at all.",
        "The gradients of w_gate and w_up, (F, D) each, have a row for each unit; the gradient of w_down, (O, F), has "
        "a column.",
        "Make copies with `.detach().clone().requires_grad_()`, call `gated`, then `y.backward(noise)`; "
        "`(w.grad != 0).any(1)` looks at rows.",
    ),
)
def dead_units(x, w_gate, w_up, w_down, kind):
    """Return which hidden units of a gated layer are dead on a batch.

    A unit is dead if it gets no gradient, whatever the loss: its row of w_gate, its row of w_up
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
    "w_down adds nothing either, but it still gets a gradient and works after one step.",
    name="adds-nothing",
)
def _(x, w_gate, w_up, w_down, kind):
    _, hidden = _hidden_parts(x, w_gate, w_up, kind)
    return ((hidden == 0).all(0)) | (w_down == 0).all(0)


@dead_units.misconception(
    "You only looked at the hidden product. Where the value is zero and the gate is open, the unit's row of w_up gets "
    "a gradient, so the unit is not dead.",
    name="product-is-zero",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_hidden_parts(x, w_gate, w_up, kind)[1] == 0).all(0)


@dead_units.misconception(
    "You checked whether the gate is zero for all tokens. That settles it only for ReLU; the other activations have a "
    "slope where they are zero, so the row of w_gate can still get a gradient.",
    name="gate-is-zero",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_hidden_parts(x, w_gate, w_up, kind)[0] == 0).all(0)


@dead_units.misconception(
    "You took the sign of x W_gᵀ, but a negative gate is dead only with ReLU. SiLU and GELU let a little through, and "
    "sigmoid and identity have no closed side at all.",
    name="negative-gate",
)
def _(x, w_gate, w_up, w_down, kind):
    return (x.detach() @ w_gate.detach().T <= 0).all(0)


@dead_units.misconception(
    "You called a unit dead if its gate is closed for some token; it gets a gradient as soon as a single token opens "
    "the gate.",
    name="closed-for-some-token",
)
def _(x, w_gate, w_up, w_down, kind):
    return (_hidden_parts(x, w_gate, w_up, kind)[0] == 0).any(0)


@dead_units.misconception(
    "You only looked at the gradient of w_gate; check w_up and w_down too, because a unit that still gets a gradient "
    "there can come back.",
    name="gradient-of-the-gate-alone",
)
def _(x, w_gate, w_up, w_down, kind):
    weight = w_gate.detach().clone().requires_grad_(True)
    y = gated(x.detach(), weight, w_up.detach(), w_down.detach(), kind)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(0)).to(y)
    return ~(torch.autograd.grad(y, weight, noise)[0] != 0).any(1)


@dead_units.misconception(
    "You tested only one loss, the sum of the outputs. A column of w_down that sums to zero, or values that cancel, "
    "hide a way back that another loss would find.",
    name="sum-of-the-outputs",
)
def _(x, w_gate, w_up, w_down, kind):
    weights = [weight.detach().requires_grad_(True) for weight in (w_gate, w_up, w_down)]
    summed = gated(x.detach(), *weights, kind).sum()
    in_gate, in_up, in_down = (found.abs() > 1e-12 for found in torch.autograd.grad(summed, weights))
    return ~(in_gate.any(1) | in_up.any(1) | in_down.any(0))


@dead_units.misconception(
    "You tested only one loss, the square of the outputs. Where the outputs are zero it has no gradient, but other "
    "losses do.",
    name="square-of-the-outputs",
)
def _(x, w_gate, w_up, w_down, kind):
    weights = [weight.detach().requires_grad_(True) for weight in (w_gate, w_up, w_down)]
    squared = gated(x.detach(), *weights, kind).square().sum()
    in_gate, in_up, in_down = (found != 0 for found in torch.autograd.grad(squared, weights))
    return ~(in_gate.any(1) | in_up.any(1) | in_down.any(0))


@dead_units.misconception(
    "You returned the units that are alive; return those that are dead.", name="returned-the-living"
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
