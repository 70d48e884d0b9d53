import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=8,
    hints=(
        "What does the classifier see during sampling: x0, or something else that you can make from x0 and eps?",
        "Make x_t as in the lesson on DDPM, then compare the classifier's logits for it with y.",
        "`abar[t]` has the shape (B,); give it the axes of x0 before you multiply.",
        "`F.cross_entropy(logits, y)` takes raw logits and returns the mean over the batch.",
    ),
    level="warm-up",
    importance=2,
)
def noisy_classifier_loss(
    classifier: Callable[[Tensor, Tensor], Tensor], x0: Tensor, y: Tensor, t: Tensor, eps: Tensor, abar: Tensor
) -> Tensor:
    """Return the loss that makes a classifier noise-aware: the mean of -log p(y | x_t) over the batch, one number.

    * classifier(x, t): returns logits (B, C) for noisy x (B, *) and t (B,); call it once
    * x0, eps: (B, *), clean data and noise; x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps, in the dtype of x0
    * y: (B,) long, the classes; t: (B,) long, one level for each row; abar: (T,) float64

    The lesson trains through it, so gradients must reach the classifier.
    """
    ### BEGIN SOLUTION
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)  # (B, 1, ...)
    xt = level.sqrt() * x0 + (1 - level).sqrt() * eps
    return F.cross_entropy(classifier(xt, t), y)
    ### END SOLUTION


@noisy_classifier_loss.test("is ln 4 for a classifier that cannot tell four classes apart", points=1)
def _(noisy_classifier_loss):
    x0, eps, abar = torch.ones(3, 2), torch.zeros(3, 2), torch.tensor([0.9, 0.5], dtype=torch.float64)
    y, t = torch.tensor([0, 3, 1]), torch.tensor([1, 0, 1])
    loss = noisy_classifier_loss(lambda x, t: x.new_full((3, 4), 2.5), x0, y, t, eps, abar)
    assert_close(loss, torch.tensor(math.log(4)), rtol=1e-4, atol=1e-5, message="all logits 2.5, four classes")


@noisy_classifier_loss.hidden("shows the classifier each row at its own noise level", points=1)
def _(noisy_classifier_loss, rng):
    abar = torch.linspace(0.95, 0.05, 6, dtype=torch.float64)
    for shape in ((5, 3), (4, 4), (4, 2, 3, 2)):
        x0, eps = (torch.randn(shape, generator=rng) for _ in range(2))
        y, t = (torch.randint(0, 6, shape[:1], generator=rng) for _ in range(2))
        t[0], seen = (t[1] + 3) % 6, []

        def classifier(x, level, seen=seen):
            seen.append((x, level))
            return x.new_zeros(len(x), 6) + x.flatten(1).sum(1, keepdim=True)

        noisy_classifier_loss(classifier, x0, y, t, eps, abar)
        assert len(seen) == 1, f"one call of the classifier is expected, got {len(seen)}"
        rows = [float(abar[k]) ** 0.5 * a + float(1 - abar[k]) ** 0.5 * b for k, a, b in zip(t, x0, eps, strict=True)]
        assert_close(seen[0][0], torch.stack(rows), rtol=1e-4, atol=1e-5, message=f"x_t of shape {shape}")
        assert seen[0][0].dtype == x0.dtype, f"x_t is expected in the dtype of x0, {x0.dtype}, got {seen[0][0].dtype}"
        assert_close(seen[0][1], t, message="the t that the classifier is told")


@noisy_classifier_loss.hidden("is the mean of -log p(y | x_t), with a gradient", points=1)
def _(noisy_classifier_loss, rng):
    abar = torch.tensor([0.9, 0.4, 0.1], dtype=torch.float64)
    x0, eps = (torch.randn(6, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    y, t = torch.tensor([0, 1, 2, 3, 1, 2]), torch.tensor([2, 0, 1, 1, 0, 2])
    weight = torch.randn(3, 4, generator=rng, dtype=torch.float64).requires_grad_()
    loss = noisy_classifier_loss(lambda x, level: 2 * x @ weight.to(x) + level.unsqueeze(1), x0, y, t, eps, abar)
    xt = torch.einsum("b,bd->bd", abar[t] ** 0.5, x0) + torch.einsum("b,bd->bd", (1 - abar[t]) ** 0.5, eps)
    scores = (2 * xt @ weight.detach()).exp()
    p = scores / scores.sum(1, keepdim=True)
    expected = -sum(math.log(p[i, k]) for i, k in enumerate(y)) / 6
    assert getattr(loss, "requires_grad", False), "gradients must reach the classifier: return a tensor, not a number"
    assert_close(float(loss.detach()), expected, rtol=1e-5, atol=1e-6, message="the loss of a known classifier")
    loss.backward()
    slope = 2 * xt.T @ (p - torch.eye(4, dtype=torch.float64)[y]) / 6
    assert_close(weight.grad, slope, rtol=1e-4, atol=1e-6, message="the gradient for the classifier's weights")


@noisy_classifier_loss.misconception(
    "You gave the classifier the clean x0. During sampling it sees only noisy x_t, and the gradients of a classifier "
    "that was never trained on noise mean little there; add the noise first.",
    name="shown-clean",
)
def _(classifier, x0, y, t, eps, abar):
    return F.cross_entropy(classifier(x0, t), y)


noisy_classifier_loss.mistake(
    "softmax-twice",
    "You took a softmax before the cross-entropy. `F.cross_entropy` takes one itself, so yours squeezes the logits "
    "into 0 to 1 and no classifier can become certain; pass it the raw logits.",
    replace="classifier(xt, t)",
    by="classifier(xt, t).softmax(-1)",
)


@noisy_classifier_loss.misconception(
    "You used the first row's t for the whole batch; use the t of each row, so every batch teaches many levels.",
    name="one-t",
)
def _(classifier, x0, y, t, eps, abar):
    level = abar[t[0]].to(x0.dtype)
    return F.cross_entropy(classifier(level.sqrt() * x0 + (1 - level).sqrt() * eps, t[:1].expand_as(t)), y)


@noisy_classifier_loss.misconception(
    "You mixed with abar and 1 - abar themselves; take their square roots, because it is the variances that add "
    "up to 1.",
    name="no-roots",
)
def _(classifier, x0, y, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return F.cross_entropy(classifier(level * x0 + (1 - level) * eps, t), y)


@noisy_classifier_loss.misconception(
    "You took the mean of the logits of y. -log p(y | x_t) also contains the logarithm of the sum over all classes; "
    "without it, the loss falls without end as all logits grow.",
    name="no-log-softmax",
)
def _(classifier, x0, y, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    logits = classifier(level.sqrt() * x0 + (1 - level).sqrt() * eps, t)
    return -logits.gather(1, y.unsqueeze(1)).mean()


@noisy_classifier_loss.misconception(
    "You summed over the batch; take the mean, because otherwise the size of a training step depends on the size of "
    "the batch.",
    name="batch-sum",
)
def _(classifier, x0, y, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return F.cross_entropy(classifier(level.sqrt() * x0 + (1 - level).sqrt() * eps, t), y, reduction="sum")


@noisy_classifier_loss.also_correct
def _(classifier, x0, y, t, eps, abar):
    mixed = [math.sqrt(abar[k]) * x0[i] + math.sqrt(1 - abar[k]) * eps[i] for i, k in enumerate(t)]
    return -classifier(torch.stack(mixed), t).log_softmax(-1)[torch.arange(len(y)), y].mean()
