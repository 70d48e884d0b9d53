import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    importance=3,
    kind="find the bug",
    shows="both-gradients-cut",
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
    """Find the bugs: this layer trains and its loss falls, but the router never changes.

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
    "You left the weight of the expert at 1; multiply its result by its probability among all experts, which carries "
    "a gradient from the output to the router.",
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
    "You repaired only the weight; the balance loss still multiplies counts by counts, which have no gradient.",
    name="balance-still-cut",
)
def _(x, router, up, down):
    out, _ = switch_layer(x, router, up, down)
    share = F.one_hot((x @ router.T).argmax(dim=-1), len(router)).to(x.dtype).mean(dim=0)
    return out, len(router) * (share * share).sum()


@switch_layer.misconception(
    "You took the expert's logit as its weight; multiply by the probability, because a logit can be negative and of "
    "any size.",
    name="weighed-by-the-logit",
)
def _(x, router, up, down):
    out, balance = switch_layer(x, router, up, down)
    logits = x @ router.T
    best, chosen = logits.max(dim=-1)
    return out * (best / logits.softmax(dim=-1).gather(1, chosen[:, None])[:, 0])[:, None], balance


@switch_layer.misconception(
    "You ran every expert and weighted each by its probability; run only the most probable one, or nothing is sparse "
    "any more.",
    name="all-experts",
)
def _(x, router, up, down):
    probability = (x @ router.T).softmax(dim=-1)
    hidden = F.relu(torch.einsum("eid,nd->nei", up, x))
    out = torch.einsum("ne,edi,nei->nd", probability, down, hidden)
    return out, switch_layer(x, router, up, down)[1]


@switch_layer.misconception(
    "You built the balance loss only from probabilities; f counts the tokens that really go to each expert.",
    name="probabilities-alone",
)
def _(x, router, up, down):
    mean = (x @ router.T).softmax(dim=-1).mean(dim=0)
    return switch_layer(x, router, up, down)[0], len(router) * (mean * mean).sum()


@switch_layer.misconception(
    "Both gradients are still cut: the weight is a softmax of one number, which is always 1, and the balance "
    "loss multiplies counts by counts.",
    name="both-gradients-cut",
)
def _(x, router, up, down):
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
