import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.moe.exercises.mixture import mixture
from studium_topics.moe.exercises.route import route
from studium_topics.moe.exercises.router_losses import router_losses
from studium_topics.moe.exercises.seats import seats


@exercise(
    points=7,
    minutes=35,
    level="integrative",
    importance=3,
    hints=(
        "Which of your functions tell you where a token goes, with which weight, on which seat, and at which cost?",
        "Flatten the tokens, route them, seat them, copy those with a seat into one buffer for each expert, compute "
        "all buffers at once, and add the weighted results to the tokens that they came from.",
        "With C seats: buffers (E, C, D), the fused product (E, C, 2 I), its halves (E, C, I), the results (E, C, D). "
        "The choices with a seat are pairs (token, choice).",
        "`buffers.index_put((expert, seat), rows)` fills, `results[expert, seat]` reads, `index_add(0, token, rows)` "
        "adds, and `buffers @ gate_up.mT` multiplies each expert's rows by its own matrix.",
    ),
)
def moe_layer(x, router, gate_up, down, k, factor):
    """Return the output of a mixture whose experts have limited room, its losses, and the share of dropped choices.

    All N = B T tokens are routed together, in order, by x routerᵀ. Each expert has
    ⌊factor · N k / E⌋ seats, at least one, and computes no more rows than that. A choice without a
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
    "You rescaled the remaining weights after dropping, so they sum to 1; leave them as they are, because a dropped "
    "choice contributes nothing and changes no other weight.",
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
    "You computed the capacity for one sequence; use the tokens of all B sequences, because they are routed together.",
    name="capacity-of-one-sequence",
)
def _(x, router, gate_up, down, k, factor):
    return moe_layer(x, router, gate_up, down, k, factor / len(x))


@moe_layer.misconception(
    "You rounded the number of seats up; round it down, but to no fewer than one seat.",
    name="capacity-rounded-up",
)
def _(x, router, gate_up, down, k, factor):
    wanted = -(-factor * x[..., 0].numel() * k // len(router))
    return moe_layer(x, router, gate_up, down, k, (wanted + 1e-6) * len(router) / x[..., 0].numel() / k)


@moe_layer.misconception(
    "You ignored the capacity; with limited seats, drop the choices that come too late.", name="nothing-dropped"
)
def _(x, router, gate_up, down, k, factor):
    return moe_layer(x, router, gate_up, down, k, float(len(router)))


@moe_layer.misconception(
    "You gave a dropped token its own input as output; return zero for it, because the residual connection around the "
    "layer carries the token.",
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
    "You computed the balance loss from the choices that found a seat; count all choices, because the full experts are "
    "the ones that the router has to move away from.",
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
