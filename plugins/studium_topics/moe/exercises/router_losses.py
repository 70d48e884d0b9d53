import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    importance=3,
    hints=(
        "If a logit changes a little and no token changes its expert, which of the two changes, f or P?",
        "Count the choices of each expert, average the probabilities of each expert, and multiply; z uses only the "
        "logits.",
        "f and P are (E,), log Σ exp is (N,), and both losses have no axes.",
        "`torch.bincount(chosen.flatten(), minlength=experts)` counts, and `logits.logsumexp(-1)` cannot overflow.",
    ),
    mutates_args=(),
)
def router_losses(logits, chosen):
    """Return the load-balancing loss and the z-loss of a router.

    * balance: E Σₑ fₑ Pₑ, where fₑ is the number of choices of expert e divided by N, and Pₑ
      is the mean over all tokens of its softmax probability
    * z: the mean over the tokens of (log Σₑ exp(logitₑ))²

    The arguments and the result:

    * logits: (N, E), in float32 or float64, possibly in the hundreds
    * chosen: (N, k), the numbers of the experts
    * returns: balance and z, two tensors without axes

    Gradients must reach the logits. fₑ is a count, so it has no gradient.
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
    "You used the probabilities for both factors; let f count the choices that were actually made.", name="load-from-p"
)
def _(logits, chosen):
    probability = logits.softmax(dim=-1).mean(dim=0)
    k, experts = chosen.shape[1], logits.shape[1]
    return experts * k * probability.square().sum(), logits.logsumexp(dim=-1).square().mean()


@router_losses.misconception(
    "You used the counts for both factors; use probabilities for P, because counts have no gradient and this loss "
    "would never change the router.",
    name="p-from-the-load",
)
def _(logits, chosen):
    tokens, experts = logits.shape
    load = torch.bincount(chosen.flatten(), minlength=experts) / tokens
    z = logits.logsumexp(dim=-1).square().mean()
    return experts * (load * load).sum().to(logits.dtype) / chosen.shape[1] + 0 * z, z


@router_losses.misconception(
    "You divided the counts by k as well; divide by N only. Here f sums to k, and the loss is k when the load is even.",
    name="divided-by-k",
)
def _(logits, chosen):
    balance, z = router_losses(logits, chosen)
    return balance / chosen.shape[1], z


@router_losses.misconception(
    "You left out the factor E; multiply by it, because then the loss at an even load does not depend on the number of "
    "experts.",
    name="without-the-experts",
)
def _(logits, chosen):
    balance, z = router_losses(logits, chosen)
    return balance / logits.shape[1], z


@router_losses.misconception(
    "You left out the probabilities of the tokens that did not choose the expert; average over all tokens.",
    name="p-of-the-chosen",
)
def _(logits, chosen):
    tokens, experts = logits.shape
    picked = F.one_hot(chosen, experts).sum(dim=1)
    probability = (logits.softmax(dim=-1) * picked).sum(dim=0) / tokens
    return experts * (picked.sum(0) / tokens * probability).sum(), logits.logsumexp(dim=-1).square().mean()


@router_losses.misconception(
    "You squared the mean of log Σ exp; average the squares, because otherwise large positive and negative values "
    "cancel.",
    name="square-of-the-mean",
)
def _(logits, chosen):
    return router_losses(logits, chosen)[0], logits.logsumexp(dim=-1).mean().square()


@router_losses.misconception(
    "You took the mean square of the logits; take the mean square of log Σ exp of each row.", name="squared-logits"
)
def _(logits, chosen):
    return router_losses(logits, chosen)[0], logits.square().mean()


@router_losses.misconception(
    "You wrote `logits.exp().sum().log()`, which overflows to infinity from about 89 in float32; subtract the largest "
    "logit first, as `logsumexp` does.",
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
