import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Over which axis do the experts of one token compete: the tokens or the experts?",
        "Turn each row into probabilities, keep the k largest of them, and rescale what you kept.",
        "The probabilities are (N, E), those you keep are (N, k), and the sums to divide by are (N, 1).",
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
    "You took the probabilities as weights; divide them by their sum, because otherwise the weights of a token sum to "
    "less than 1, by an amount that depends on the experts left out.",
    name="not-renormalised",
)
def _(logits, k):
    return logits.softmax(dim=-1).topk(k)


route.mistake(
    "softmax-over-tokens",
    "You took the softmax over the tokens, so the tokens compete for an expert; take it over the experts, because the "
    "experts compete for a token.",
    replace="logits.softmax(dim=-1)",
    by="logits.softmax(dim=0)",
)

route.mistake(
    "raw-logits",
    "You divided the logits by their sum; logits can be negative, and then so are your weights. Divide probabilities "
    "instead.",
    replace="logits.softmax(dim=-1).topk(k)",
    by="logits.topk(k)",
)

route.mistake(
    "softmax-twice",
    "You applied a second softmax to the chosen probabilities, which turns numbers between 0 and 1 into nearly equal "
    "weights; divide by their sum instead.",
    replace="weights / weights.sum(dim=-1, keepdim=True)",
    by="weights.softmax(dim=-1)",
)


@route.misconception(
    "You gave all chosen experts the same weight; use their probabilities, because otherwise the logits do not change "
    "the result and the router learns nothing from it.",
    name="equal-weights",
)
def _(logits, k):
    chosen = logits.topk(k).indices
    return torch.full(chosen.shape, 1 / k, dtype=logits.dtype), chosen


route.mistake(
    "ascending",
    "You returned the experts in ascending order of probability; put the most probable one first.",
    replace="weights / weights.sum(dim=-1, keepdim=True), chosen",
    by="(weights / weights.sum(dim=-1, keepdim=True)).flip(-1), chosen.flip(-1)",
)


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
