from collections.abc import Callable

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import Tensor, nn

from studium_topics.kits.mixture import ring


@exercise(
    points=5,
    minutes=15,
    hints=(
        "What does PyTorch need before it can differentiate with respect to x, and who switched recording off?",
        "Differentiate one number: the sum over the batch of each row's log p. Logits are not log-probabilities yet; "
        "`log_softmax` makes them so.",
        "log p has the shape (B, C), and each row contributes the one entry of its own y; the gradient is (B, *).",
        "`x.detach().requires_grad_()`, `with torch.enable_grad():` around classifier and sum, `.gather(-1, "
        "y.unsqueeze(-1))`, and `torch.autograd.grad(number, x)[0]`, which leaves the parameters alone.",
    ),
    level="core",
    importance=3,
)
def class_gradient(classifier: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of log p(y | x_t = x) with respect to x, for each row separately, as (B, *) without a graph.

    * classifier(x, t): returns logits (B, C), not normalised; each row depends only on its own x
    * x: (B, *), stays as it is; t: (B,) long; y: (B,) long, the class that each row should have

    It also works inside `torch.no_grad()`, where samplers run, and leaves no gradient in the classifier's parameters.
    """
    ### BEGIN SOLUTION
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        log_p = classifier(x, t).log_softmax(-1)  # (B, C)
        total = log_p.gather(-1, y.unsqueeze(-1)).sum()
    return torch.autograd.grad(total, x)[0]
    ### END SOLUTION


@class_gradient.test("points away from the mean of all classes where a linear classifier is undecided", points=1)
def _(class_gradient):
    weight = torch.tensor([[3.0, 0.0], [0.0, 6.0], [0.0, 0.0]])
    found = class_gradient(
        lambda x, t: x @ weight.T.to(x), torch.zeros(2, 2), torch.tensor([0, 0]), torch.tensor([0, 1])
    )
    assert_close(found, torch.tensor([[2.0, -2.0], [-1.0, 4.0]]), rtol=1e-4, atol=1e-5, message="weights minus mean")


@class_gradient.hidden("is that of the exact classifier of a mixture, row by row", points=2)
def _(class_gradient, rng):
    mixture, abar = ring(std=0.35, classes=4), torch.tensor([0.99, 0.7, 0.2], dtype=torch.float64)
    for rows in (6, 4):
        x = torch.randn(rows, 2, generator=rng, dtype=torch.float64)
        t, y = (torch.randint(0, high, (rows,), generator=rng) for high in (3, 4))
        y[:2], kept = torch.tensor([1, 3]), x.clone()

        def classifier(x, t):
            return mixture.to(x.device).vp(abar.to(x.device)[t]).class_log_prob(x) + 4 * x.sum(-1, keepdim=True)

        found = class_gradient(classifier, x, t, y)
        expected = mixture.vp(abar[t]).class_gradient(kept, y)
        assert_close(found, expected, rtol=1e-6, atol=1e-7, message=f"{rows} rows, y = {y.tolist()}")


@class_gradient.hidden("works where gradients are switched off, and leaves everything else as it was", points=1)
def _(class_gradient, rng):
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 4, generator=rng, dtype=torch.float64))

        def forward(self, x, t):
            return x @ self.weight.to(x)

    classifier, x = Classifier(), torch.randn(5, 3, generator=rng, dtype=torch.float64)
    weight, y, kept = classifier.weight, torch.tensor([3, 0, 2, 1, 1]), x.clone()
    with torch.no_grad():
        found = class_gradient(classifier, x, torch.zeros(5, dtype=torch.long), y)
        p = (kept @ weight).softmax(1)
        expected = weight.T[y] - p @ weight.T
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="inside torch.no_grad()")
    assert not found.requires_grad, "the result is expected without a graph: the sampler would drag it along"
    assert not x.requires_grad, "x is expected as it was, without requires_grad: work on a tensor of your own"
    assert_close(x, kept, message="x after the call")
    assert weight.grad is None, "no gradient may be left in the classifier's weights: ask for that of x alone"


@class_gradient.hidden("has the shape of images, and a row's gradient does not depend on the batch", points=1)
def _(class_gradient, rng):
    weight = torch.randn(2 * 3 * 2, 5, generator=rng, dtype=torch.float64)

    def classifier(x, t):
        return x.flatten(1) @ weight.to(x) * (1 + t.unsqueeze(1))

    x = torch.randn(4, 2, 3, 2, generator=rng, dtype=torch.float64)
    t, y = torch.tensor([0, 2, 1, 0]), torch.tensor([4, 0, 2, 2])
    rows = [class_gradient(classifier, x[i : i + 1], t[i : i + 1], y[i : i + 1]) for i in range(4)]
    p = classifier(x, t).softmax(1)
    expected = ((weight.T[y] - p @ weight.T) * (1 + t.unsqueeze(1))).view(4, 2, 3, 2)
    assert_close(torch.cat(list(rows)), expected, rtol=1e-5, atol=1e-6, message="one row at a time")
    assert_close(class_gradient(classifier, x, t, y), expected, rtol=1e-5, atol=1e-6, message="four at once")


@class_gradient.misconception(
    "You took the gradient of the mean over the batch, so each row's gradient is B times too short. Take the sum: "
    "rows do not depend on each other, so its gradient holds each row's own.",
    name="batch-mean",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).log_softmax(-1).gather(-1, y.unsqueeze(-1)).mean()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You differentiated p instead of log p. The gradient of p is p times the gradient of log p, so it vanishes where "
    "the class is unlikely, which is where guidance is needed.",
    name="gradient-of-p",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).softmax(-1).gather(-1, y.unsqueeze(-1)).sum()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You differentiated the logit of y. log p also falls where the other classes gain, so take the log_softmax first.",
    name="gradient-of-logit",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).gather(-1, y.unsqueeze(-1)).sum()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You returned the gradient of the loss, -log p, which points away from the class. Guidance goes uphill on log p, "
    "so change the sign.",
    name="downhill",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(classifier(x, t), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


@class_gradient.misconception(
    "You returned the gradient of the mean cross-entropy. That is -log p averaged, so it points away from the class "
    "and is B times too short; differentiate the sum of log p.",
    name="gradient-of-mean-loss",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(classifier(x, t), y)
    return torch.autograd.grad(loss, x)[0]


@class_gradient.misconception(
    "You left it to the caller to record gradients. Samplers run inside torch.no_grad(), where nothing can be "
    "differentiated, so open torch.enable_grad() around the classifier and the sum.",
    name="recording-off",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    own = classifier(x, t).log_softmax(-1).gather(-1, y.unsqueeze(-1))
    return torch.autograd.grad(own.sum(), x)[0]


@class_gradient.misconception(
    "You indexed with `[:, y]`, which takes the classes of all rows from every row, B times B numbers. Each row needs "
    "only the entry of its own y, as `gather` returns it.",
    name="classes-of-all-rows",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).log_softmax(-1)[:, y].sum()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You went towards the class that the classifier finds most likely; go towards the requested class, y.",
    name="likeliest-class",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).log_softmax(-1).amax(-1).sum()
    return torch.autograd.grad(total, x)[0]


@class_gradient.also_correct
def _(classifier, x, t, y):
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_(True)
        loss = F.cross_entropy(classifier(leaf, t), y, reduction="sum")
        (slope,) = torch.autograd.grad(loss, [leaf])
    return -slope


@class_gradient.also_correct
def _(classifier, x, t, y):
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_(True)
        logits = classifier(leaf, t)
        chosen = logits[range(len(y)), y] - logits.logsumexp(1)
        return torch.autograd.grad(chosen, leaf, torch.ones_like(chosen))[0]
