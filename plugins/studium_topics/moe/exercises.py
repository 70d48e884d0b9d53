"""The exercises: routing, the fair dense layers, experts without and with limited room, losses, and a silent router."""

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Over which axis do the experts of one token compete: the tokens or the experts?",
        "Turn each row into probabilities, keep the k largest of them, and rescale what you kept.",
        "The probabilities are (N, E), what is kept is (N, k), and the sums to divide by are (N, 1).",
        "`values, places = probabilities.topk(k)` returns both, the largest first; sum with `keepdim=True`.",
    ),
)
def route(logits, k):
    """Return the experts that each token goes to, and the weights with which their results are added.

    A token goes to the k experts to which the softmax of its row gives the highest
    probabilities. Its weights are these probabilities, divided by their sum.

    * logits: (N, E), one row for each token
    * k: from 1 to E
    * returns: the weights (N, k), and the numbers of the experts (N, k), long; in both,
      the most probable expert comes first

    The router learns through the weights, so their gradient must reach the logits. The
    logits stay as they are.
    """
    ### BEGIN SOLUTION
    weights, chosen = logits.softmax(dim=-1).topk(k)
    return weights / weights.sum(dim=-1, keepdim=True), chosen
    ### END SOLUTION


@route.test("chooses the two most probable experts, with weights that sum to 1", points=1)
def _(route):
    logits = torch.tensor([[0.4, 2.0, -1.0, 1.1], [1.5, -0.3, 0.9, -2.0], [-1.2, 0.1, -0.4, 2.2]])
    weights, chosen = route(logits, 2)
    assert_close(chosen, torch.tensor([[1, 3], [0, 2], [3, 1]]), message="the two experts of each token")
    first = torch.tensor([0.9, 0.6, 2.1]).sigmoid()  # of two experts, the softmax depends on the difference alone
    assert_close(weights, torch.stack([first, 1 - first], dim=1), rtol=1e-4, atol=1e-5, message="their weights")


@route.hidden("agrees with the definition for any number of tokens, experts and choices", points=1)
def _(route, rng):
    for tokens, experts, k, size in ((7, 5, 3, 1.0), (4, 9, 2, 3.0), (11, 3, 1, 0.5), (2, 6, 6, 1.0), (1, 4, 2, 40.0)):
        logits = size * torch.randn(tokens, experts, generator=rng, dtype=torch.float64)
        before = logits.clone()
        weights, chosen = route(logits, k)
        assert torch.equal(logits, before), "the logits must stay as they are, and they were changed"
        what = f"of {tokens} tokens, {experts} experts and k = {k}"
        assert tuple(weights.shape) == (tokens, k), f"the weights {what} must be ({tokens}, {k}), got {weights.shape}"
        assert chosen.dtype == torch.int64, f"the numbers of the experts must be long, got {chosen.dtype}"
        for row in range(tokens):
            best = sorted(range(experts), key=lambda e: -float(before[row, e]))[:k]
            assert chosen[row].tolist() == best, f"token {row} {what} goes to {best}, got {chosen[row].tolist()}"
            powers = [float((before[row, e] - before[row, best[0]]).exp()) for e in best]
            expected = torch.tensor([power / sum(powers) for power in powers], dtype=torch.float64)
            assert_close(weights[row], expected, rtol=1e-5, atol=1e-7, message=f"the weights of token {row} {what}")


@route.hidden("lets the gradient of the weights reach the logits", points=1)
def _(route, rng):
    for tokens, experts, k in ((5, 4, 2), (3, 7, 3)):
        logits = torch.randn(tokens, experts, generator=rng, dtype=torch.float64).requires_grad_()
        g = torch.randn(tokens, k, generator=rng, dtype=torch.float64)
        weights, chosen = route(logits, k)
        assert weights.requires_grad, "the weights do not depend on the logits as far as autograd can see"
        (found,) = torch.autograd.grad((weights * g).sum(), logits)
        w = torch.gather(logits.detach(), 1, chosen).softmax(-1)
        expected = torch.zeros(tokens, experts, dtype=torch.float64)
        expected.scatter_(1, chosen, w * (g - (w * g).sum(1, keepdim=True)))
        assert_close(found, expected, rtol=1e-5, atol=1e-8, message="the gradient of the weights")


@route.misconception(
    "You took the probabilities as weights without dividing by their sum; the weights of a token then sum to less than "
    "1, by an amount that depends on the experts left out.",
    name="not-renormalised",
)
def _(logits, k):
    return logits.softmax(dim=-1).topk(k)


@route.misconception(
    "You took the softmax over the tokens, so that tokens compete for an expert; here the experts compete for a token.",
    name="softmax-over-tokens",
)
def _(logits, k):
    weights, chosen = logits.softmax(dim=0).topk(k)
    return weights / weights.sum(dim=-1, keepdim=True), chosen


@route.misconception(
    "You divided the logits by their sum; logits can be negative, and so are your weights. Divide probabilities.",
    name="raw-logits",
)
def _(logits, k):
    weights, chosen = logits.topk(k)
    return weights / weights.sum(dim=-1, keepdim=True), chosen


@route.misconception(
    "You applied a second softmax to the chosen probabilities; numbers between 0 and 1 become nearly equal weights.",
    name="softmax-twice",
)
def _(logits, k):
    weights, chosen = logits.softmax(dim=-1).topk(k)
    return weights.softmax(dim=-1), chosen


@route.misconception(
    "You gave all chosen experts the same weight; the router can then learn nothing from the result, because its "
    "logits do not change it.",
    name="equal-weights",
)
def _(logits, k):
    chosen = logits.topk(k).indices
    return torch.full(chosen.shape, 1 / k, dtype=logits.dtype), chosen


@route.misconception(
    "You returned the experts in ascending order of probability; the most probable one comes first.",
    name="ascending",
)
def _(logits, k):
    weights, chosen = logits.softmax(dim=-1).topk(k)
    return (weights / weights.sum(dim=-1, keepdim=True)).flip(-1), chosen.flip(-1)


@route.also_correct
def _(logits, k):
    best, chosen = torch.topk(logits, k, dim=-1)
    return torch.softmax(best, dim=-1), chosen


@route.also_correct
def _(logits, k):
    order = torch.argsort(logits, dim=1, descending=True)[:, :k]
    powers = torch.exp(logits - logits.max(dim=1, keepdim=True).values)
    kept = torch.gather(powers, 1, order)
    return [torch.einsum("nk,n->nk", kept, 1 / kept.sum(1)), order]


@exercise(
    points=2,
    minutes=10,
    level="warm-up",
    kind="derive",
    hints=(
        "How many numbers does one expert hold? And how many multiplications does it cost a token?",
        "Set the bill of the dense layer equal to that of the mixture, once for all numbers that it holds, once for "
        "those that one token is multiplied with. The width D cancels.",
        "A gated layer of hidden width h holds three matrices of h D numbers. A router holds E D numbers, and every "
        "token is multiplied with all of them.",
        "Round down with `//`, once, at the end.",
    ),
)
def dense_twins(hidden, experts, k):
    """Return the hidden widths of the two dense layers with which a mixture is compared.

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


@dense_twins.misconception(
    "You left the router out; each token is multiplied with all of its E D numbers, and they are parameters, too.",
    name="forgot-the-router",
)
def _(hidden, experts, k):
    return k * hidden, experts * hidden


@dense_twins.misconception(
    "You charged the router k times; it computes the logits of all experts once.", name="router-k-times"
)
def _(hidden, experts, k):
    return (3 * k * hidden + k * experts) // 3, (3 * experts * hidden + experts) // 3


@dense_twins.misconception(
    "You counted two matrices in a layer, one up and one down; a gated layer has three.", name="two-matrices"
)
def _(hidden, experts, k):
    return (2 * k * hidden + experts) // 2, (2 * experts * hidden + experts) // 2


@dense_twins.misconception(
    "You took k / E of all parameters as the cost; the router is used in full by every token.", name="router-scaled"
)
def _(hidden, experts, k):
    whole = 3 * experts * hidden + experts
    return whole * k // experts // 3, whole // 3


@dense_twins.misconception(
    "You returned the two widths in the other order; the layer of equal cost comes first.", name="swapped"
)
def _(hidden, experts, k):
    return (3 * experts * hidden + experts) // 3, (3 * k * hidden + experts) // 3


@dense_twins.misconception("You rounded up; a layer of that width has more than the mixture.", name="rounded-up")
def _(hidden, experts, k):
    return -(-(3 * k * hidden + experts) // 3), -(-(3 * experts * hidden + experts) // 3)


@dense_twins.also_correct
def _(hidden, experts, k):
    return [active * hidden + experts // 3 for active in (k, experts)]


@dense_twins.also_correct
def _(hidden, experts, k):
    def width(numbers):
        return int(numbers / 3)

    return width(3 * hidden * k + experts), width(experts * (3 * hidden + 1))


@exercise(
    points=4,
    minutes=20,
    importance=3,
    hints=(
        "A loop over the experts is fine. What does one expert need to know: which rows are its own, and what else?",
        "For each expert: find its (row, choice) pairs, compute these rows alone, weigh them, and add them to the rows "
        "of the result that they came from.",
        "For an expert with n rows: its input is (n, D), the fused product (n, 2 I), both halves (n, I), its result "
        "(n, D), and its weights (n, 1).",
        "`row, choice = (chosen == e).nonzero(as_tuple=True)` finds the pairs, `.chunk(2, dim=-1)` splits the halves, "
        "and `index_add(0, row, values)` adds rows.",
    ),
)
def mixture(x, chosen, weights, gate_up, down):
    """Return the weighted sum of the results of the experts that each token chose.

    Expert e turns a row x into downₑ (SiLU(g) ⊙ u), where g is the first half of gate_upₑ x
    and u the second half. It computes the rows that chose it, and no others.

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
    "You assigned rows with `out[row] = …`; the second expert of a token then overwrites the first. Add them.",
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
    "You applied SiLU to the second half; the gate is the first half of the fused product.", name="halves-swapped"
)
def _(x, chosen, weights, gate_up, down):
    out = torch.zeros_like(x)
    for e in range(len(gate_up)):
        row, choice = (chosen == e).nonzero(as_tuple=True)
        up, gate = (x[row] @ gate_up[e].T).chunk(2, dim=-1)
        out = out.index_add(0, row, weights[row, choice, None] * ((F.silu(gate) * up) @ down[e].T))
    return out


@mixture.misconception(
    "You split the fused product into even and odd numbers; gate and up are its two halves.", name="interleaved-halves"
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
    "You left the weights out; then it makes no difference how sure the router is, and the router cannot learn.",
    name="no-weights",
)
def _(x, chosen, weights, gate_up, down):
    return mixture(x, chosen, torch.ones_like(weights), gate_up, down)


@mixture.misconception(
    "You weighed every result of a token with the weight of its first choice; each choice has a weight of its own.",
    name="first-weight-for-all",
)
def _(x, chosen, weights, gate_up, down):
    return mixture(x, chosen, weights[:, :1].expand_as(weights), gate_up, down)


@mixture.misconception(
    "You used the first choice of each token alone; all k experts of a token contribute to its result.",
    name="first-choice-alone",
)
def _(x, chosen, weights, gate_up, down):
    return mixture(x, chosen[:, :1], weights[:, :1], gate_up, down)


@mixture.misconception(
    "You weighed the input of an expert; an expert is not linear, so the weight belongs to its result.",
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


@exercise(
    points=4,
    minutes=15,
    hints=(
        "A choice gets the seat number that equals the number of earlier choices of the same expert. In which order do "
        "the choices come?",
        "Line up all first choices, then all second choices. A running count of each expert along this line gives the "
        "seats.",
        "The line has k N entries, their one-hot rows are (k N, E), and so is the running count. At the end it goes "
        "back to (N, k).",
        "`chosen.T.flatten()` is the line, `F.one_hot(line, experts).cumsum(0)` counts; take one column an entry.",
    ),
)
def seats(chosen, experts, capacity):
    """Return the seat of each choice among the seats of its expert, and -1 where the expert is full.

    Each expert has the seats 0 to capacity - 1 and fills them in this order. First come
    the first choices of all tokens, from token 0 on. Then come their second choices, again
    from token 0 on, and so on.

    * chosen: (N, k), long; column 0 has the first choices
    * experts: how many there are
    * capacity: 1 or more
    * returns: (N, k), long

    The lesson calls this in every training step, so count whole columns at once.
    """
    ### BEGIN SOLUTION
    line = chosen.T.flatten()
    asked = F.one_hot(line, experts)
    seat = ((asked.cumsum(dim=0) - 1) * asked).sum(dim=1)
    seat = seat.masked_fill(seat >= capacity, -1)
    return seat.view(chosen.shape[1], -1).T
    ### END SOLUTION


@seats.test("seats first choices before second ones, and turns the rest away", points=1)
def _(seats):
    chosen = torch.tensor([[1, 2], [2, 1], [1, 0], [1, 2], [0, 1], [2, 0]])
    expected = torch.tensor([[0, 2], [0, -1], [1, 1], [2, -1], [0, -1], [1, 2]])
    assert_close(seats(chosen, 3, 3), expected, message="the seats of 6 tokens, 3 experts with 3 seats each")


@seats.hidden("agrees with a queue that is served one choice at a time", points=2)
def _(seats, rng):
    cases = ((9, 4, 2, 3), (7, 5, 3, 2), (12, 3, 1, 4), (5, 6, 2, 1), (10, 4, 4, 6), (6, 8, 2, 20))
    for tokens, experts, k, capacity in cases:
        liking = torch.rand(tokens, experts, generator=rng) + torch.linspace(1, 0, experts)
        chosen = liking.argsort(dim=1, descending=True)[:, :k]
        before = chosen.clone()
        found = seats(chosen, experts, capacity)
        assert torch.equal(chosen, before), "chosen must stay as it is, and it was changed"
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.int64, f"the seats must be long, got {found.dtype}"
        taken, expected = [0] * experts, torch.zeros(tokens, k, dtype=torch.int64)
        for choice in range(k):
            for token in range(tokens):
                e = int(before[token, choice])
                expected[token, choice] = taken[e] if taken[e] < capacity else -1
                taken[e] += 1
        what = f"the seats of {tokens} tokens with k = {k}, {experts} experts with {capacity} seats each"
        assert_close(found, expected, message=what)


@seats.hidden("seats nobody twice, and turns away exactly what exceeds the capacity", points=1)
def _(seats, rng):
    for tokens, experts, k, capacity in ((40, 6, 2, 9), (33, 5, 1, 7)):
        chosen = torch.rand(tokens, experts, generator=rng).argsort(dim=1)[:, :k]
        found = torch.as_tensor(seats(chosen, experts, capacity))
        assert tuple(found.shape) == (tokens, k), f"seats must be ({tokens}, {k}), got {tuple(found.shape)}"
        for e in range(experts):
            own = found[chosen == e]
            kept = own[own >= 0].sort().values.tolist()
            asked = int((chosen == e).sum())
            expected = list(range(min(asked, capacity)))
            assert kept == expected, f"{asked} choices of an expert with {capacity} seats: its seats are {kept}"


@seats.misconception(
    "You served each token's choices together; a second choice of an early token then takes the seat of a later "
    "token's first choice.",
    name="token-by-token",
)
def _(chosen, experts, capacity):
    line = chosen.flatten()
    asked = F.one_hot(line, experts)
    seat = ((asked.cumsum(dim=0) - 1) * asked).sum(dim=1)
    return seat.masked_fill(seat >= capacity, -1).view(chosen.shape)


@seats.misconception(
    "You began to count anew for the second choices; they then get seats that first choices already have.",
    name="counted-each-column-anew",
)
def _(chosen, experts, capacity):
    asked = F.one_hot(chosen, experts)
    seat = ((asked.cumsum(dim=0) - 1) * asked).sum(dim=-1)
    return seat.masked_fill(seat >= capacity, -1)


@seats.misconception(
    "You numbered the seats from 1; the first seat of an expert is 0, the index of its row in a buffer.",
    name="counted-from-one",
)
def _(chosen, experts, capacity):
    seat = seats(chosen, experts, capacity)
    return torch.where(seat < 0, seat, seat + 1)


@seats.misconception(
    "You turned away one choice too few; with seats from 0 on, seat number `capacity` does not exist.",
    name="one-seat-too-many",
)
def _(chosen, experts, capacity):
    return seats(chosen, experts, capacity + 1)


@seats.misconception(
    "You gave choices that came too late the last seat; it is taken, so they get -1.",
    name="squeezed-into-the-last-seat",
)
def _(chosen, experts, capacity):
    return seats(chosen, experts, chosen.numel()).clamp(max=capacity - 1)


@seats.misconception(
    "You counted all choices together; each expert has seats of its own.", name="one-count-for-all-experts"
)
def _(chosen, experts, capacity):
    seat = torch.arange(chosen.numel()).view(chosen.shape[1], -1).T
    return seat.masked_fill(seat >= capacity * experts, -1)


@seats.misconception("You served the tokens from the last to the first; token 0 comes first.", name="last-token-first")
def _(chosen, experts, capacity):
    return seats(chosen.flip(0), experts, capacity).flip(0)


@seats.also_correct
def _(chosen, experts, capacity):
    taken, rows = [0] * experts, []
    for column in chosen.T.tolist():
        row = []
        for e in column:
            row.append(taken[e] if taken[e] < capacity else -1)
            taken[e] += 1
        rows.append(row)
    return torch.tensor(rows).T


@seats.also_correct
def _(chosen, experts, capacity):
    line, seat = chosen.T, torch.full_like(chosen, -1)
    for e in range(experts):
        choice, token = (line == e).nonzero(as_tuple=True)
        count = min(len(token), capacity)
        seat[token[:count], choice[:count]] = torch.arange(count)
    return seat


@exercise(
    points=4,
    minutes=12,
    importance=3,
    hints=(
        "Which of the two shares, f or P, changes when a logit changes a little and no token changes its expert?",
        "Count the choices of each expert, average the probabilities of each expert, and multiply; z looks at the "
        "logits alone.",
        "f and P are (E,), log Σ exp is (N,), and both losses have no axes.",
        "`torch.bincount(chosen.flatten(), minlength=experts)` counts, and `logits.logsumexp(-1)` cannot overflow.",
    ),
)
def router_losses(logits, chosen):
    """Return the load-balancing loss and the z-loss of a router.

    * balance: E Σₑ fₑ Pₑ, where fₑ is the number of choices of expert e divided by N, and Pₑ
      the mean over all tokens of its softmax probability
    * z: the mean over the tokens of (log Σₑ exp(logitₑ))²

    The arguments and the result:

    * logits: (N, E), in float32 or float64, possibly in the hundreds
    * chosen: (N, k), the numbers of the experts
    * returns: balance and z, two tensors without axes

    Gradients must reach the logits. fₑ is a count, so it has none.
    """
    ### BEGIN SOLUTION
    tokens, experts = logits.shape
    load = torch.bincount(chosen.flatten(), minlength=experts) / tokens
    probability = logits.softmax(dim=-1).mean(dim=0)
    return experts * (load * probability).sum(), logits.logsumexp(dim=-1).square().mean()
    ### END SOLUTION


@router_losses.test("weighs the counted load by the mean probability", points=1)
def _(router_losses):
    p = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.25, 0.35, 0.4], [0.7, 0.1, 0.2], [0.6, 0.3, 0.1]])
    shift = torch.tensor([0.5, 1.0, -2.0, 0.0, 3.0])  # adds to log Σ exp, and to no probability
    chosen = torch.tensor([[0, 1], [1, 2], [2, 1], [0, 2], [0, 1]])
    balance, z = router_losses(p.log() + shift[:, None], chosen)
    assert_close(balance, 3 * (0.6 * 0.43 + 0.8 * 0.33 + 0.6 * 0.24), rtol=1e-4, message="the balance loss")
    assert_close(z, (0.25 + 1 + 4 + 0 + 9) / 5, rtol=1e-4, message="the z-loss")


@router_losses.hidden("agrees with sums over tokens and experts, also for logits in the hundreds", points=1)
def _(router_losses, rng):
    cases = ((7, 4, 2, 1.0, torch.float64), (12, 6, 1, 90.0, torch.float32), (9, 5, 3, 150.0, torch.float64))
    for tokens, experts, k, size, dtype in cases:
        logits = size * torch.randn(tokens, experts, generator=rng, dtype=dtype)
        chosen = torch.rand(tokens, experts - 1, generator=rng).argsort(dim=1)[:, :k]  # nobody chooses the last one
        before = logits.clone()
        balance, z = router_losses(logits, chosen)
        assert torch.equal(logits, before), "the logits must stay as they are, and they were changed"
        rows = before.double()
        top = rows.max(dim=1).values
        powers = (rows - top[:, None]).exp()
        means = (powers / powers.sum(dim=1, keepdim=True)).sum(dim=0) / tokens
        expected = sum(experts * float(means[e]) * int((chosen == e).sum()) / tokens for e in range(experts))
        what = f"of {tokens} tokens, {experts} experts, k = {k}, logits of size {size:g}"
        assert isinstance(balance, torch.Tensor), f"a tensor is expected, got {type(balance).__name__}"
        assert isinstance(z, torch.Tensor), f"a tensor is expected, got {type(z).__name__}"
        assert_close(balance, expected, rtol=1e-4, atol=1e-6, message=f"the balance loss {what}")
        right = float(((powers.sum(dim=1).log() + top) ** 2).mean())
        assert_close(z, right, rtol=1e-4, atol=1e-6, message=f"the z-loss {what}")


@router_losses.hidden("is k where every probability is equal, however the choices fall", points=1)
def _(router_losses, rng):
    for tokens, experts, k in ((6, 5, 2), (11, 4, 1), (8, 7, 3)):
        logits = torch.zeros(tokens, experts) + 0.7 * torch.arange(1, tokens + 1)[:, None] / tokens
        chosen = torch.arange(k).expand(tokens, k)  # all tokens ask for the same experts
        balance, _ = router_losses(logits, chosen)
        assert_close(balance, float(k), rtol=1e-4, message=f"equal probabilities, k = {k}: the balance loss")
        balance, _ = router_losses(60 * F.one_hot(chosen[:, 0], experts).float(), chosen[:, :1])
        assert_close(balance, float(experts), rtol=1e-4, message=f"all of {experts} experts' tokens go to expert 0")


@router_losses.hidden("pulls on the logits through the probabilities alone", points=1)
def _(router_losses, rng):
    for tokens, experts, k in ((6, 5, 2), (9, 4, 1)):
        logits = torch.randn(tokens, experts, generator=rng, dtype=torch.float64).requires_grad_()
        chosen = logits.detach().topk(k).indices
        losses = router_losses(logits, chosen)
        p = logits.detach().softmax(-1)
        load = torch.stack([(chosen == e).sum() for e in range(experts)]).double() / tokens
        log_sum = logits.detach().exp().sum(-1, keepdim=True).log()
        expected = experts / tokens * p * (load - (p @ load)[:, None]), 2 / tokens * log_sum * p
        for name, loss, right in zip(("balance loss", "z-loss"), losses, expected, strict=True):
            assert loss.requires_grad, f"the {name} does not depend on the logits as far as autograd can see"
            (found,) = torch.autograd.grad(loss, logits, retain_graph=True)
            assert_close(found, right, rtol=1e-5, atol=1e-8, message=f"the gradient of the {name}")


@router_losses.misconception(
    "You took the probabilities for both factors; f counts the choices that were really made.", name="load-from-p"
)
def _(logits, chosen):
    probability = logits.softmax(dim=-1).mean(dim=0)
    k, experts = chosen.shape[1], logits.shape[1]
    return experts * k * probability.square().sum(), logits.logsumexp(dim=-1).square().mean()


@router_losses.misconception(
    "You took the counts for both factors; counts have no gradient, so this loss never changes the router.",
    name="p-from-the-load",
)
def _(logits, chosen):
    tokens, experts = logits.shape
    load = torch.bincount(chosen.flatten(), minlength=experts) / tokens
    z = logits.logsumexp(dim=-1).square().mean()
    return experts * (load * load).sum().to(logits.dtype) / chosen.shape[1] + 0 * z, z


@router_losses.misconception(
    "You divided the counts by k as well; here f sums to k, so that the loss is k where the load is even.",
    name="divided-by-k",
)
def _(logits, chosen):
    balance, z = router_losses(logits, chosen)
    return balance / chosen.shape[1], z


@router_losses.misconception(
    "You left out the factor E; with it, the loss at an even load does not depend on the number of experts.",
    name="without-the-experts",
)
def _(logits, chosen):
    balance, z = router_losses(logits, chosen)
    return balance / logits.shape[1], z


@router_losses.misconception(
    "You averaged the probabilities over the tokens that chose the expert; P is a mean over all tokens.",
    name="p-of-the-chosen",
)
def _(logits, chosen):
    tokens, experts = logits.shape
    picked = F.one_hot(chosen, experts).sum(dim=1)
    probability = (logits.softmax(dim=-1) * picked).sum(dim=0) / tokens
    return experts * (picked.sum(0) / tokens * probability).sum(), logits.logsumexp(dim=-1).square().mean()


@router_losses.misconception(
    "You squared the mean of log Σ exp; the z-loss is the mean of the squares, otherwise large positive and negative "
    "values cancel.",
    name="square-of-the-mean",
)
def _(logits, chosen):
    return router_losses(logits, chosen)[0], logits.logsumexp(dim=-1).mean().square()


@router_losses.misconception(
    "You took the mean square of the logits; the z-loss is about log Σ exp of each row.", name="squared-logits"
)
def _(logits, chosen):
    return router_losses(logits, chosen)[0], logits.square().mean()


@router_losses.misconception(
    "You wrote `logits.exp().sum().log()`, which is infinite from about 89 on in float32; subtract the largest logit "
    "first, as `logsumexp` does.",
    name="naive-log-sum-exp",
)
def _(logits, chosen):
    return router_losses(logits, chosen)[0], logits.exp().sum(dim=-1).log().square().mean()


@router_losses.also_correct
def _(logits, chosen):
    experts = logits.size(1)
    load = F.one_hot(chosen, experts).sum(dim=1).to(logits.dtype).mean(dim=0)
    top = logits.amax(dim=1, keepdim=True)
    log_sum = (logits - top).exp().sum(dim=1, keepdim=True).log() + top
    probability = (logits - log_sum).exp().mean(dim=0)
    return [experts * torch.dot(load, probability), (log_sum**2).mean()]


@router_losses.also_correct
def _(logits, chosen):
    tokens, experts = logits.shape
    load = torch.zeros(experts, dtype=logits.dtype)
    load.index_add_(0, chosen.reshape(-1), torch.ones(chosen.numel(), dtype=logits.dtype))
    per_token = torch.softmax(logits, dim=1) @ load
    return experts * per_token.sum() / tokens**2, torch.logsumexp(logits, 1).pow(2).sum() / tokens


@exercise(
    points=4,
    minutes=15,
    importance=3,
    kind="find the bug",
    hints=(
        "Print `weight`. What is the softmax of a single number? And what is the derivative of a count?",
        "There are two ways from the losses back to the router, one through the output and one through the balance "
        "loss. Both are cut, and no error is raised.",
        "The probabilities are (N, E). The weight of a token is one of them, (N, 1); P is their mean over the tokens, "
        "(E,).",
        "`probability = logits.softmax(-1)` serves both: `probability.gather(1, chosen)` and `probability.mean(0)`.",
    ),
)
def switch_layer(x, router, up, down):
    """Find the bug: this layer trains and its loss falls, but the router never changes.

    ```python
    def switch_layer(x, router, up, down):
        logits = x @ router.T
        best, chosen = logits.topk(1)
        weight = best.softmax(-1)
        out = x.new_zeros(x.shape)
        for e in range(len(router)):
            rows = (chosen[:, 0] == e).nonzero()[:, 0]
            out[rows] = weight[rows] * (F.relu(x[rows] @ up[e].T) @ down[e].T)
        share = F.one_hot(chosen[:, 0], len(router)).to(x.dtype).mean(0)
        balance = len(router) * (share * share).sum()
        return out, balance
    ```

    The output must be what the most probable expert computes, times its probability among
    all experts. The second result must be the loss E Σ fₑ Pₑ for k = 1.

    * x: (N, D)
    * router: (E, D)
    * up: (E, I, D)
    * down: (E, D, I)
    * returns: (N, D), and a tensor without axes

    Gradients must reach all four. They stay as they are.
    """
    ### BEGIN SOLUTION
    probability = (x @ router.T).softmax(dim=-1)
    weight, chosen = probability.max(dim=-1)
    out = torch.zeros_like(x)
    for e in range(len(router)):
        rows = (chosen == e).nonzero()[:, 0]
        out = out.index_add(0, rows, weight[rows, None] * (F.relu(x[rows] @ up[e].T) @ down[e].T))
    share = F.one_hot(chosen, len(router)).to(x.dtype).mean(dim=0)
    return out, len(router) * (share * probability.mean(dim=0)).sum()
    ### END SOLUTION


@switch_layer.test("lets the output and the balance loss each move the router", points=1)
def _(switch_layer, rng):
    x, router, up, down = (
        torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((7, 4), (3, 4), (3, 5, 4), (3, 4, 5))
    )
    out, balance = switch_layer(x, router.requires_grad_(), up, down)
    for name, number in (("output", (out * x).sum()), ("balance loss", torch.as_tensor(balance))):
        assert number.requires_grad, f"no gradient goes from the {name} to the router"
        (gradient,) = torch.autograd.grad(number, router, retain_graph=True)
        assert gradient.abs().max() > 1e-6, f"the gradient that the {name} sends to the router is zero"


@switch_layer.hidden("returns the most probable expert's result times its probability, and the loss E Σ f P", points=1)
def _(switch_layer, rng):
    cases = ((9, 4, 3, 5, torch.float64), (6, 5, 7, 4, torch.float32), (12, 3, 2, 6, torch.float64))
    for tokens, width, inner, experts, dtype in cases:
        shapes = (tokens, width), (experts, width), (experts, inner, width), (experts, width, inner)
        given = tuple(torch.randn(*shape, generator=rng, dtype=dtype) for shape in shapes)
        before = [tensor.clone() for tensor in given]
        out, balance = switch_layer(*given)
        for name, tensor, kept in zip(("x", "router", "up", "down"), given, before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        x, router, up, down = (tensor.double() for tensor in before)
        powers = torch.einsum("nd,ed->ne", x, router).exp()
        p = powers / powers.sum(1, keepdim=True)
        expected, load = torch.zeros(tokens, width, dtype=torch.float64), [0.0] * experts
        for n in range(tokens):
            e = max(range(experts), key=lambda e, n=n: float(p[n, e]))
            load[e] += 1 / tokens
            expected[n] = p[n, e] * (down[e] @ (up[e] @ x[n]).clamp(min=0))
        what = f"of {tokens} tokens of width {width}, {experts} experts of width {inner}"
        assert_close(out, expected, rtol=1e-4, atol=1e-4, message=f"the output {what}")
        right = experts * sum(share * float(mean) for share, mean in zip(load, p.mean(0), strict=True))
        assert_close(balance, right, rtol=1e-4, atol=1e-5, message=f"the balance loss {what}")


@switch_layer.hidden("sends every argument the gradient of the formula", points=2)
def _(switch_layer, rng):
    for tokens, width, inner, experts in ((8, 3, 4, 5), (10, 5, 2, 3)):
        shapes = (tokens, width), (experts, width), (experts, inner, width), (experts, width, inner)
        leaves = tuple(torch.randn(*s, generator=rng, dtype=torch.float64).requires_grad_() for s in shapes)
        g = torch.randn(tokens, width, generator=rng, dtype=torch.float64)
        out, balance = switch_layer(*leaves)
        found = [
            torch.autograd.grad(number, leaves, allow_unused=True, retain_graph=True)
            for number in ((out * g).sum(), balance)
        ]
        x, router, up, down = leaves
        p = torch.einsum("nd,ed->ne", x, router).softmax(1)
        mask = F.one_hot(p.argmax(1), experts).double()
        every = torch.einsum("edi,nei->ned", down, torch.einsum("eid,nd->nei", up, x).relu())
        formula = torch.einsum("ne,ned->nd", mask * p, every), experts * (mask.mean(0) * p.mean(0)).sum()
        right = torch.autograd.grad((formula[0] * g).sum(), leaves, retain_graph=True)
        for name, gradient, expected in zip(("x", "router", "up", "down"), found[0], right, strict=True):
            assert gradient is not None, f"no gradient goes from the output to {name}"
            assert_close(gradient, expected, rtol=1e-5, atol=1e-7, message=f"the output's gradient of {name}")
        right = torch.autograd.grad(formula[1], leaves[:2])
        for name, gradient, expected in zip(("x", "router"), found[1][:2], right, strict=True):
            assert gradient is not None, f"no gradient goes from the balance loss to {name}"
            assert_close(gradient, expected, rtol=1e-5, atol=1e-8, message=f"the balance loss's gradient of {name}")


@switch_layer.misconception(
    "You left the weight of the expert at 1; the output is its result times its probability among all experts, and "
    "through that probability the output sends the router a gradient.",
    name="weight-still-one",
)
def _(x, router, up, down):
    probability = (x @ router.T).softmax(dim=-1)
    chosen = probability.argmax(dim=-1)
    out = torch.zeros_like(x)
    for e in range(len(router)):
        rows = (chosen == e).nonzero()[:, 0]
        out = out.index_add(0, rows, F.relu(x[rows] @ up[e].T) @ down[e].T)
    out = out + 0 * probability.sum()
    share = F.one_hot(chosen, len(router)).to(x.dtype).mean(dim=0)
    return out, len(router) * (share * probability.mean(dim=0)).sum()


@switch_layer.misconception(
    "You repaired the weight alone; the balance loss still multiplies counts by counts, which have no gradient.",
    name="balance-still-cut",
)
def _(x, router, up, down):
    out, _ = switch_layer(x, router, up, down)
    share = F.one_hot((x @ router.T).argmax(dim=-1), len(router)).to(x.dtype).mean(dim=0)
    return out, len(router) * (share * share).sum()


@switch_layer.misconception(
    "You took the logit of the expert as its weight; a logit can be negative and of any size, so multiply by the "
    "probability.",
    name="weighed-by-the-logit",
)
def _(x, router, up, down):
    out, balance = switch_layer(x, router, up, down)
    logits = x @ router.T
    best, chosen = logits.max(dim=-1)
    return out * (best / logits.softmax(dim=-1).gather(1, chosen[:, None])[:, 0])[:, None], balance


@switch_layer.misconception(
    "You computed the losses with every expert, each weighted by its probability; gradients then flow everywhere, and "
    "nothing is sparse any more.",
    name="all-experts",
)
def _(x, router, up, down):
    probability = (x @ router.T).softmax(dim=-1)
    hidden = F.relu(torch.einsum("eid,nd->nei", up, x))
    out = torch.einsum("ne,edi,nei->nd", probability, down, hidden)
    return out, switch_layer(x, router, up, down)[1]


@switch_layer.misconception(
    "You built the balance loss from probabilities alone; f counts the tokens that really go to each expert.",
    name="probabilities-alone",
)
def _(x, router, up, down):
    mean = (x @ router.T).softmax(dim=-1).mean(dim=0)
    return switch_layer(x, router, up, down)[0], len(router) * (mean * mean).sum()


@switch_layer.also_correct
def _(x, router, up, down):
    logits = torch.einsum("nd,ed->ne", x, router)
    probability = torch.exp(torch.log_softmax(logits, dim=1))
    chosen = torch.argmax(logits, dim=1)
    out = torch.stack(
        [p[e] * (down[e] @ torch.relu(up[e] @ row)) for row, p, e in zip(x, probability, chosen.tolist(), strict=True)]
    )
    share = torch.bincount(chosen, minlength=len(router)).to(x.dtype) / len(x)
    return out, len(router) * torch.dot(share, probability.mean(0))


@switch_layer.also_correct
def _(x, router, up, down):
    probability = (x @ router.T).softmax(-1)
    mask = F.one_hot(probability.argmax(-1), router.shape[0]).to(probability.dtype)
    out = torch.zeros_like(x)
    for e in range(router.shape[0]):
        rows = torch.where(mask[:, e] > 0)[0]
        out[rows] = probability[rows, e].unsqueeze(-1) * F.linear(F.linear(x[rows], up[e]).relu(), down[e])
    return out, router.shape[0] * torch.sum(mask.mean(0) * probability.mean(0))


@exercise(
    points=7,
    minutes=35,
    level="integrative",
    importance=3,
    hints=(
        "Which of your functions answer these questions: where to, with which weight, on which seat, at which price?",
        "Flatten the tokens, route them, seat them, copy those with a seat into one buffer for each expert, compute "
        "all buffers at once, and add the weighted results to the tokens that they came from.",
        "With C seats: buffers (E, C, D), the fused product (E, C, 2 I), its halves (E, C, I), the results (E, C, D). "
        "The choices with a seat are pairs (token, choice).",
        "`buffers.index_put((expert, seat), rows)` fills, `results[expert, seat]` reads, `index_add(0, token, rows)` "
        "adds, and `buffers @ gate_up.mT` multiplies each expert's rows by its own matrix.",
    ),
)
def moe_layer(x, router, gate_up, down, k, factor):
    """Return the output of a mixture whose experts have limited room, its losses, and what was dropped.

    All N = B T tokens are routed together, in order, by x routerᵀ. Each expert has
    ⌊factor · N k / E⌋ seats, at least one, and computes no more rows. A choice without a
    seat contributes nothing; the token's other weights stay as they are.

    * x: (B, T, D)
    * router: (E, D)
    * gate_up, down, k: as in `mixture`
    * factor: a positive number
    * returns: the output (B, T, D), the balance loss, the z-loss, and the share of choices
      that were dropped

    Gradients must reach all tensors. They stay as they are.
    """
    ### BEGIN SOLUTION
    tokens = x.flatten(0, 1)
    count, experts = len(tokens), len(router)
    logits = tokens @ router.T
    weights, chosen = route(logits, k)
    capacity = max(1, int(factor * count * k / experts))
    seat = seats(chosen, experts, capacity)
    token, choice = (seat >= 0).nonzero(as_tuple=True)
    place = chosen[token, choice], seat[token, choice]
    buffers = tokens.new_zeros(experts, capacity, tokens.shape[1])
    buffers = buffers.index_put(place, tokens[token])
    gate, up = (buffers @ gate_up.mT).chunk(2, dim=-1)
    results = (F.silu(gate) * up) @ down.mT
    added = weights[token, choice, None] * results[place]
    out = torch.zeros_like(tokens).index_add(0, token, added)
    balance, z = router_losses(logits, chosen)
    dropped = 1 - len(token) / chosen.numel()
    return out.view_as(x), balance, z, dropped
    ### END SOLUTION


@moe_layer.test("is the mixture of your earlier functions where there is room for all", points=1)
def _(moe_layer, rng):
    x = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64)
    router = torch.randn(4, 3, generator=rng, dtype=torch.float64)
    gate_up = torch.randn(4, 10, 3, generator=rng, dtype=torch.float64)
    down = torch.randn(4, 3, 5, generator=rng, dtype=torch.float64)
    out, _, _, dropped = moe_layer(x, router, gate_up, down, 2, 4.0)
    logits = x @ router.T
    keep = logits >= logits.sort(dim=-1).values[..., -2:-1]
    share = torch.where(keep, logits, -torch.inf).softmax(-1)
    gate, up = torch.einsum("eid,btd->btei", gate_up, x).chunk(2, dim=-1)
    expected = torch.einsum("bte,edi,btei->btd", share, down, F.silu(gate) * up)
    assert_close(out, expected, rtol=1e-5, atol=1e-6, message="10 tokens, 4 experts, k = 2, capacity factor 4")
    assert_close(dropped, 0.0, atol=1e-6, message="the share that was dropped")


@moe_layer.hidden("drops what finds no seat, and keeps the other weights as they are", points=2)
def _(moe_layer, rng):
    cases = (
        (3, 5, 4, 3, 5, 2, 1.0, torch.float64),
        (3, 4, 5, 2, 3, 1, 0.75, torch.float64),
        (1, 9, 3, 4, 5, 3, 1.25, torch.float32),
        (2, 3, 4, 2, 16, 1, 0.5, torch.float64),
    )
    for batch, length, width, inner, experts, k, factor, dtype in cases:
        x = torch.randn(batch, length, width, generator=rng, dtype=dtype)
        router = 2 * torch.randn(experts, width, generator=rng, dtype=dtype)
        gate_up = torch.randn(experts, 2 * inner, width, generator=rng, dtype=dtype)
        down = torch.randn(experts, width, inner, generator=rng, dtype=dtype)
        given = (x, router, gate_up, down)
        before = [tensor.clone() for tensor in given]
        out, balance, z, dropped = moe_layer(*given, k, factor)
        for name, tensor, kept in zip(("x", "router", "gate_up", "down"), given, before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        x, router, gate_up, down = (tensor.double() for tensor in before)
        rows = [row for sequence in x for row in sequence]
        logits = torch.stack([router @ row for row in rows])
        order = logits.argsort(dim=1, descending=True)[:, :k].tolist()
        capacity, taken, missed = max(1, int(factor * len(rows) * k / experts)), [0] * experts, 0
        expected = torch.zeros(len(rows), width, dtype=torch.float64)
        for choice in range(k):
            for n, row in enumerate(rows):
                e = order[n][choice]
                taken[e] += 1
                if taken[e] > capacity:
                    missed += 1
                    continue
                g, u = gate_up[e, :inner] @ row, gate_up[e, inner:] @ row
                weight = logits[n, order[n]].softmax(0)[choice]
                expected[n] += weight * (down[e] @ (g * g.sigmoid() * u))
        what = f"of {len(rows)} tokens, {experts} experts, k = {k}, capacity factor {factor}"
        assert_close(out, expected.view(x.shape), rtol=1e-4, atol=1e-4, message=f"the output {what}")
        assert_close(dropped, missed / len(rows) / k, rtol=1e-4, atol=1e-6, message=f"the share dropped {what}")
        p = logits.softmax(-1).mean(0)
        right = experts * sum(float(p[e]) * taken[e] / len(rows) for e in range(experts))
        assert_close(balance, right, rtol=1e-4, atol=1e-5, message=f"the balance loss {what}")
        assert_close(z, logits.exp().sum(1).log().square().mean(), rtol=1e-4, atol=1e-4, message=f"the z-loss {what}")


@moe_layer.hidden("puts no more rows through the experts than there are seats", points=1)
def _(moe_layer, rng):
    for batch, length, inner, experts, k, factor in ((4, 10, 6, 4, 2, 0.5), (2, 16, 5, 8, 1, 0.25)):
        tokens = batch * length
        x = 1e10 * torch.eye(tokens).view(batch, length, tokens)  # row n in column n
        router = 1e-10 * torch.randn(experts, tokens, generator=rng)
        order = router.T.argsort(dim=1, descending=True)[:, :k].tolist()
        capacity, taken, seated = int(factor * tokens * k / experts), [0] * experts, torch.zeros(experts, tokens) > 0
        for choice in range(k):
            for n in range(tokens):
                e = order[n][choice]
                seated[e, n] = taken[e] < capacity
                taken[e] += 1
        gate_up = torch.where(seated, 1e-10, 1e30)[:, None] * torch.randn(experts, 2 * inner, tokens, generator=rng)
        down = torch.randn(experts, tokens, inner, generator=rng)
        out, *_ = moe_layer(x, router, gate_up, down, k=k, factor=factor)
        assert isinstance(out, torch.Tensor), f"a tensor is expected as output, got {type(out).__name__}"
        assert out.shape == x.shape, f"the output must be {tuple(x.shape)}, got {tuple(out.shape)}"
        assert torch.isfinite(out).all(), (
            f"{experts} experts have {experts * capacity} seats at capacity factor {factor}; each gives infinity for "
            "rows that have no seat there, and some of it is in your result, with weight 0 perhaps"
        )


@moe_layer.hidden("lets the output and both losses send their gradients back", points=3)
def _(moe_layer, rng):
    for batch, length, width, inner, experts, k, factor in ((2, 7, 3, 4, 6, 2, 1.0), (3, 4, 4, 2, 5, 3, 0.75)):
        shapes = (batch, length, width), (experts, width), (experts, 2 * inner, width), (experts, width, inner)
        leaves = tuple(torch.randn(*s, generator=rng, dtype=torch.float64).requires_grad_() for s in shapes)
        g = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
        out, balance, z, _ = moe_layer(*leaves, k, factor)
        x, router, gate_up, down = leaves
        logits = torch.einsum("btd,ed->bte", x, router).reshape(-1, experts)
        chosen = logits.argsort(dim=1, descending=True)[:, :k]
        capacity, taken = max(1, int(factor * len(chosen) * k / experts)), [0] * experts
        kept = torch.zeros(len(chosen), experts, dtype=torch.float64)
        for choice in range(k):
            for n in range(len(chosen)):
                e = int(chosen[n, choice])
                kept[n, e] = float(taken[e] < capacity)
                taken[e] += 1
        mask = F.one_hot(chosen, experts).sum(1).double()
        share = kept * torch.where(mask > 0, logits, -torch.inf).softmax(1)
        gate, up = torch.einsum("eid,nd->nei", gate_up, x.reshape(-1, width)).chunk(2, dim=-1)
        formula = torch.einsum("ne,edi,nei->nd", share, down, F.silu(gate) * up).view(x.shape)
        losses = experts * (mask.mean(0) * logits.softmax(1).mean(0)).sum(), logits.exp().sum(1).log().square().mean()
        pairs = ("output", (out * g).sum(), (formula * g).sum()), ("balance loss", balance, losses[0])
        for source, number, right in (*pairs, ("z-loss", z, losses[1])):
            assert number.requires_grad, f"no gradient leaves the {source}"
            found = torch.autograd.grad(number, leaves, allow_unused=True, retain_graph=True)
            expected = torch.autograd.grad(right, leaves, allow_unused=True, retain_graph=True)
            for name, one, two in zip(("x", "router", "gate_up", "down"), found, expected, strict=True):
                if two is not None:
                    assert one is not None, f"no gradient goes from the {source} to {name}"
                    assert_close(one, two, rtol=1e-5, atol=1e-7, message=f"the {source}'s gradient of {name}")


@moe_layer.misconception(
    "You rescaled the weights after dropping, so that those left sum to 1; a dropped choice contributes nothing, and "
    "the other weights stay as they are.",
    name="rescaled-after-dropping",
)
def _(x, router, gate_up, down, k, factor):
    tokens, experts = x.flatten(0, 1), len(router)
    logits = tokens @ router.T
    weights, chosen = route(logits, k)
    capacity = max(1, int(factor * len(tokens) * k / experts))
    kept = seats(chosen, experts, capacity) >= 0
    weights = weights * kept
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)
    out = mixture(tokens, chosen, weights, gate_up, down)
    return out.view_as(x), *router_losses(logits, chosen), 1 - kept.double().mean()


@moe_layer.misconception(
    "You left k out of the capacity; N tokens make N k choices, so each expert needs factor · N k / E seats.",
    name="capacity-without-k",
)
def _(x, router, gate_up, down, k, factor):
    return moe_layer(x, router, gate_up, down, k, factor / k)


@moe_layer.misconception(
    "You computed the capacity for one sequence; the tokens of all B sequences are routed together.",
    name="capacity-of-one-sequence",
)
def _(x, router, gate_up, down, k, factor):
    return moe_layer(x, router, gate_up, down, k, factor / len(x))


@moe_layer.misconception(
    "You rounded the number of seats up; the capacity is rounded down, to at least one seat.",
    name="capacity-rounded-up",
)
def _(x, router, gate_up, down, k, factor):
    wanted = -(-factor * x[..., 0].numel() * k // len(router))
    return moe_layer(x, router, gate_up, down, k, (wanted + 1e-6) * len(router) / x[..., 0].numel() / k)


@moe_layer.misconception(
    "You ignored the capacity; with limited seats the choices that come too late are dropped.", name="nothing-dropped"
)
def _(x, router, gate_up, down, k, factor):
    return moe_layer(x, router, gate_up, down, k, float(len(router)))


@moe_layer.misconception(
    "You gave a token that was dropped its own input as output; the layer returns zero for it, and the residual "
    "connection around the layer carries the token.",
    name="passed-dropped-tokens-through",
)
def _(x, router, gate_up, down, k, factor):
    out, *rest = moe_layer(x, router, gate_up, down, k, factor)
    tokens = x.flatten(0, 1)
    chosen = route(tokens @ router.T, k)[1]
    capacity = max(1, int(factor * len(tokens) * k / len(router)))
    lost = (seats(chosen, len(router), capacity) < 0).all(dim=1).view(*x.shape[:2], 1)
    return torch.where(lost, x, out), *rest


@moe_layer.misconception(
    "You computed the balance loss from the choices that found a seat; it counts all choices, because the full expert "
    "is the one that the router has to leave.",
    name="balance-of-the-seated",
)
def _(x, router, gate_up, down, k, factor):
    out, _, z, dropped = moe_layer(x, router, gate_up, down, k, factor)
    logits, experts = x.flatten(0, 1) @ router.T, len(router)
    chosen = route(logits, k)[1]
    capacity = max(1, int(factor * len(chosen) * k / experts))
    load = torch.bincount(chosen.flatten(), minlength=experts).clamp(max=capacity) / len(chosen)
    return out, experts * (load * logits.softmax(-1).mean(0)).sum(), z, dropped


@moe_layer.also_correct
def _(x, router, gate_up, down, k, factor):
    flat = x.reshape(-1, x.shape[-1])
    logits, experts, inner = F.linear(flat, router), router.shape[0], down.shape[-1]
    best, chosen = logits.topk(k)
    weights = best.softmax(dim=-1)
    capacity = max(1, int(factor * len(flat) * k / experts))
    out, kept, columns = torch.zeros_like(flat), 0, chosen.T
    for e in range(experts):
        choice, token = (columns == e).nonzero(as_tuple=True)
        choice, token = choice[:capacity], token[:capacity]
        both = flat[token] @ gate_up[e].T
        result = (F.silu(both[:, :inner]) * both[:, inner:]) @ down[e].T
        out.index_add_(0, token, weights[token, choice].unsqueeze(1) * result)
        kept += len(token)
    load = torch.bincount(chosen.reshape(-1), minlength=experts).to(x.dtype) / len(flat)
    balance = experts * torch.dot(load, logits.softmax(1).mean(0))
    return out.reshape(x.shape), balance, torch.logsumexp(logits, 1).pow(2).mean(), 1 - kept / (len(flat) * k)


@moe_layer.also_correct
def _(x, router, gate_up, down, k, factor):
    tokens, experts = x.flatten(0, 1), len(router)
    logits = torch.einsum("nd,ed->ne", tokens, router)
    weights, chosen = route(logits, k)
    capacity = max(1, int(factor * len(tokens) * k / experts))
    seat = seats(chosen, experts, capacity)
    seated = F.one_hot(seat.clamp(min=0), capacity) * (seat >= 0)[..., None]
    dispatch = torch.einsum("nke,nkc->nkec", F.one_hot(chosen, experts), seated).to(x.dtype)
    buffers = (dispatch.sum(1)[..., None] * tokens[:, None, None]).sum(0)  # no matrix product
    gate, up = (buffers @ gate_up.transpose(1, 2)).chunk(2, -1)
    results = torch.bmm(torch.sigmoid(gate) * gate * up, down.transpose(1, 2))
    combine = (dispatch * weights[..., None, None]).sum(1)
    out = (combine[..., None] * results).sum((1, 2))
    return [out.view(x.shape), *router_losses(logits, chosen), float((seat < 0).double().mean())]
