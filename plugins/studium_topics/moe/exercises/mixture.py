import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=20,
    importance=3,
    hints=(
        "A loop over the experts is fine. What does an expert need to know: which rows chose it, and what else?",
        "For each expert: find its (row, choice) pairs, compute only these rows, multiply them by their weights, and "
        "add them to the rows of the result that they came from.",
        "For an expert with n rows: its input is (n, D), the fused product (n, 2 I), both halves (n, I), its result "
        "(n, D), and its weights (n, 1).",
        "`row, choice = (chosen == e).nonzero(as_tuple=True)` finds the pairs, `.chunk(2, dim=-1)` splits the halves, "
        "and `index_add(0, row, values)` adds rows.",
    ),
)
def mixture(x, chosen, weights, gate_up, down):
    """Return the weighted sum of the results of the experts that each token chose.

    Expert e turns a row x into downₑ (SiLU(g) ⊙ u), where g is the first half of gate_upₑ x
    and u the second half. It computes only the rows that chose it.

    * x: (N, D)
    * chosen: (N, k), long, the k different experts of each token
    * weights: (N, k)
    * gate_up: (E, 2 I, D)
    * down: (E, D, I)
    * returns: (N, D)

    Gradients must reach x, weights, gate_up and down. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    out = torch.zeros_like(x)
    for e in range(len(gate_up)):
        row, choice = (chosen == e).nonzero(as_tuple=True)
        gate, up = (x[row] @ gate_up[e].T).chunk(2, dim=-1)
        result = (F.silu(gate) * up) @ down[e].T
        out = out.index_add(0, row, weights[row, choice, None] * result)
    return out
    ### END SOLUTION


@mixture.test("adds the results of two experts for each token, by their weights", points=1)
def _(mixture, rng):
    x = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    gate_up = torch.randn(4, 4, 3, generator=rng, dtype=torch.float64)
    down = torch.randn(4, 3, 2, generator=rng, dtype=torch.float64)
    chosen = torch.tensor([[2, 0], [0, 3], [3, 2], [2, 3], [0, 2]])  # nobody asks for expert 1
    weights = torch.tensor([[0.8, 0.2], [0.7, 0.3], [0.9, 0.1], [0.6, 0.4], [0.75, 0.25]], dtype=torch.float64)
    expected = torch.zeros(5, 3, dtype=torch.float64)
    for row in range(5):
        for choice in range(2):
            e = int(chosen[row, choice])
            g, u = gate_up[e, :2] @ x[row], gate_up[e, 2:] @ x[row]
            expected[row] += weights[row, choice] * (down[e] @ (g * g.sigmoid() * u))
    out = mixture(x, chosen, weights, gate_up, down)
    assert_close(out, expected, rtol=1e-5, atol=1e-6, message="5 tokens, 4 experts, k = 2")


@mixture.hidden("equals the sum over all experts in which those not chosen have weight 0", points=1)
def _(mixture, rng):
    cases = ((9, 5, 4, 6, 3, torch.float64), (6, 4, 7, 3, 1, torch.float32), (8, 3, 5, 4, 4, torch.float64))
    for tokens, width, inner, experts, k, dtype in cases:
        x = torch.randn(tokens, width, generator=rng, dtype=dtype)
        gate_up = torch.randn(experts, 2 * inner, width, generator=rng, dtype=dtype)
        down = torch.randn(experts, width, inner, generator=rng, dtype=dtype)
        chosen = torch.rand(tokens, experts, generator=rng).argsort(dim=1)[:, :k]
        weights = torch.rand(tokens, k, generator=rng, dtype=dtype)
        given = (x, chosen, weights, gate_up, down)
        before = [tensor.clone() for tensor in given]
        out = mixture(*given)
        for name, tensor, kept in zip(("x", "chosen", "weights", "gate_up", "down"), given, before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        x, weights, gate_up, down = (tensor.double() for tensor in (x, weights, gate_up, down))
        share = torch.zeros(tokens, experts, dtype=torch.float64).scatter(1, chosen, weights)
        both = torch.einsum("eid,nd->nei", gate_up, x)
        hidden = both[..., :inner] * both[..., :inner].sigmoid() * both[..., inner:]
        expected = torch.einsum("ne,edi,nei->nd", share, down, hidden)
        what = f"{tokens} tokens of width {width}, {experts} experts of width {inner}, k = {k}"
        assert_close(out, expected, rtol=1e-4, atol=1e-4, message=what)


@mixture.hidden("computes each expert for the rows that chose it alone", points=1)
def _(mixture, rng):
    for tokens, inner, experts, k in ((30, 5, 8, 2), (17, 3, 5, 1)):
        chosen = torch.rand(tokens, experts, generator=rng).argsort(dim=1)[:, :k]
        own = F.one_hot(chosen, experts).sum(1).T.bool()
        x = 1e10 * torch.eye(tokens)  # row n in column n, where every other expert has weights of 1e30
        gate_up = torch.where(own, 1e-10, 1e30)[:, None] * torch.randn(experts, 2 * inner, tokens, generator=rng)
        down = torch.randn(experts, tokens, inner, generator=rng)
        out = mixture(x, chosen, torch.rand(tokens, k, generator=rng), gate_up, down)
        assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
        assert tuple(out.shape) == (tokens, tokens), f"({tokens}, {tokens}) is expected, got {tuple(out.shape)}"
        assert torch.isfinite(out).all(), (
            f"{tokens} tokens with k = {k}: every expert gives infinity for rows that did not choose it, and some of "
            "it is in your result, with weight 0 perhaps"
        )


@mixture.hidden("lets gradients reach x, the weights and both matrices", points=1)
def _(mixture, rng):
    tokens, width, inner, experts, k = 7, 4, 3, 5, 2
    shapes = ((tokens, width), (tokens, k), (experts, 2 * inner, width), (experts, width, inner))
    x, weights, gate_up, down = (torch.randn(*s, generator=rng, dtype=torch.float64).requires_grad_() for s in shapes)
    chosen = torch.rand(tokens, experts, generator=rng).argsort(dim=1)[:, :k]
    g = torch.randn(tokens, width, generator=rng, dtype=torch.float64)
    out = mixture(x, chosen, weights, gate_up, down)
    assert out.requires_grad, "the result does not depend on the arguments as far as autograd can see"
    leaves = (x, weights, gate_up, down)
    found = torch.autograd.grad((out * g).sum(), leaves, allow_unused=True)
    share = torch.zeros(tokens, experts, dtype=torch.float64).scatter(1, chosen, weights)
    both = torch.einsum("eid,nd->nei", gate_up, x)
    hidden = F.silu(both[..., :inner]) * both[..., inner:]
    expected = torch.autograd.grad((torch.einsum("ne,edi,nei->nd", share, down, hidden) * g).sum(), leaves)
    for name, gradient, right in zip(("x", "weights", "gate_up", "down"), found, expected, strict=True):
        assert gradient is not None, f"no gradient reaches {name}"
        assert_close(gradient, right, rtol=1e-5, atol=1e-7, message=f"the gradient of {name}")


@mixture.misconception(
    "You assigned rows with `out[row] = …`, so the second expert of a token overwrites the first; add the rows "
    "instead.",
    name="assigned-instead-of-added",
)
def _(x, chosen, weights, gate_up, down):
    out = torch.zeros_like(x)
    for e in range(len(gate_up)):
        row, choice = (chosen == e).nonzero(as_tuple=True)
        gate, up = (x[row] @ gate_up[e].T).chunk(2, dim=-1)
        out[row] = weights[row, choice, None] * ((F.silu(gate) * up) @ down[e].T)
    return out


@mixture.misconception(
    "You applied SiLU to the second half; apply it to the first half of the fused product, which is the gate.",
    name="halves-swapped",
)
def _(x, chosen, weights, gate_up, down):
    out = torch.zeros_like(x)
    for e in range(len(gate_up)):
        row, choice = (chosen == e).nonzero(as_tuple=True)
        up, gate = (x[row] @ gate_up[e].T).chunk(2, dim=-1)
        out = out.index_add(0, row, weights[row, choice, None] * ((F.silu(gate) * up) @ down[e].T))
    return out


@mixture.misconception(
    "You split the fused product into even and odd numbers; split it into two halves, gate first and up second.",
    name="interleaved-halves",
)
def _(x, chosen, weights, gate_up, down):
    out = torch.zeros_like(x)
    for e in range(len(gate_up)):
        row, choice = (chosen == e).nonzero(as_tuple=True)
        both = x[row] @ gate_up[e].T
        result = (F.silu(both[:, ::2]) * both[:, 1::2]) @ down[e].T
        out = out.index_add(0, row, weights[row, choice, None] * result)
    return out


@mixture.misconception(
    "You left the weights out; multiply each result by its weight, because otherwise it makes no difference how sure "
    "the router is, and the router cannot learn.",
    name="no-weights",
)
def _(x, chosen, weights, gate_up, down):
    return mixture(x, chosen, torch.ones_like(weights), gate_up, down)


@mixture.misconception(
    "You multiplied every result of a token by the weight of its first choice; use the weight that belongs to each "
    "choice.",
    name="first-weight-for-all",
)
def _(x, chosen, weights, gate_up, down):
    return mixture(x, chosen, weights[:, :1].expand_as(weights), gate_up, down)


@mixture.misconception(
    "You used only the first choice of each token; all k experts of a token contribute to its result.",
    name="first-choice-alone",
)
def _(x, chosen, weights, gate_up, down):
    return mixture(x, chosen[:, :1], weights[:, :1], gate_up, down)


@mixture.misconception(
    "You multiplied the input of an expert by the weight; multiply its result, because an expert is not linear.",
    name="weighed-the-input",
)
def _(x, chosen, weights, gate_up, down):
    out = torch.zeros_like(x)
    for e in range(len(gate_up)):
        row, choice = (chosen == e).nonzero(as_tuple=True)
        gate, up = ((weights[row, choice, None] * x[row]) @ gate_up[e].T).chunk(2, dim=-1)
        out = out.index_add(0, row, (F.silu(gate) * up) @ down[e].T)
    return out


@mixture.also_correct
def _(x, chosen, weights, gate_up, down):
    inner = down.shape[-1]
    order = chosen.flatten().argsort()  # the choices, sorted by expert
    row = order // chosen.shape[1]
    sizes = torch.bincount(chosen.flatten(), minlength=len(down)).tolist()
    results = []
    for e, part in enumerate(x[row].split(sizes)):
        both = F.linear(part, gate_up[e])
        results.append(F.linear(F.silu(both[:, :inner]) * both[:, inner:], down[e]))
    results = torch.cat(results) * weights.flatten()[order].unsqueeze(1)
    return torch.zeros_like(x).index_add_(0, row, results)


@mixture.also_correct
def _(x, chosen, weights, gate_up, down):
    inner, rows = down.shape[2], []
    for token, experts, shares in zip(x, chosen.tolist(), weights, strict=True):
        total = 0
        for e, share in zip(experts, shares, strict=True):
            both = gate_up[e] @ token
            total = total + share * (down[e] @ (both[:inner] * torch.sigmoid(both[:inner]) * both[inner:]))
        rows.append(total)
    return torch.stack(rows)
