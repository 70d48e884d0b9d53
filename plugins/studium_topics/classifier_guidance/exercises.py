"""The exercises of classifier guidance: a noise-aware classifier, its gradient, two guided steps, a sampler, a report.

Conventions (as in the topic ddpm): t = 0..T-1, abar_t = prod_{s<=t} (1 - beta_s), x_t = sqrt(abar_t) x0 +
sqrt(1 - abar_t) eps. A classifier is called as classifier(x, t), with one t for each row, and returns logits (B, C).
The scale s multiplies the gradient of log p(y | x_t): 0 is unguided, and 1 is Bayes' rule. Source: Dhariwal and Nichol
2021, arXiv 2105.05233, algorithms 1 and 2.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import Tensor, nn

from studium_topics.kits.mixture import ring

# ------------------------------------------------------------------------------------------- noisy_classifier_loss


@exercise(
    points=3,
    minutes=8,
    hints=(
        "What does the classifier see while sampling: x0, or something else that you can make from x0 and eps?",
        "Make x_t as in the lesson on DDPM, then compare the classifier's logits for it with y.",
        "`abar[t]` has the shape (B,): give it the axes of x0 before you multiply.",
        "`F.cross_entropy(logits, y)` takes raw logits, and the mean over the batch.",
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
    * y: (B,) long, the classes; t: (B,) long, a level for each row; abar: (T,) float64

    The lesson trains through it: gradients must reach the classifier.
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
    "You showed the classifier the clean x0; while sampling it sees noisy x_t only, and the gradients of a "
    "classifier that was never trained on noise mean little there: noise x0 first.",
    name="shown-clean",
)
def _(classifier, x0, y, t, eps, abar):
    return F.cross_entropy(classifier(x0, t), y)


@noisy_classifier_loss.misconception(
    "You took a softmax before the cross-entropy; `F.cross_entropy` takes one itself, so that yours squeezes the "
    "logits into 0 to 1 and no classifier can become certain: hand it the raw logits.",
    name="softmax-twice",
)
def _(classifier, x0, y, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    xt = level.sqrt() * x0 + (1 - level).sqrt() * eps
    return F.cross_entropy(classifier(xt, t).softmax(-1), y)


@noisy_classifier_loss.misconception(
    "You used the first row's t for the whole batch; each row has a noise level of its own, so that every batch "
    "teaches all levels.",
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
    "You took the mean of the logits of y; -log p(y | x_t) also contains the logarithm of the sum over all "
    "classes, and without it the loss falls without end as all logits grow.",
    name="no-log-softmax",
)
def _(classifier, x0, y, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    logits = classifier(level.sqrt() * x0 + (1 - level).sqrt() * eps, t)
    return -logits.gather(1, y.unsqueeze(1)).mean()


@noisy_classifier_loss.misconception(
    "You summed over the batch; the loss is its mean, because otherwise the size of a training step would depend "
    "on the size of the batch.",
    name="batch-sum",
)
def _(classifier, x0, y, t, eps, abar):
    level = abar[t].view(-1, *[1] * (x0.ndim - 1)).to(x0.dtype)
    return F.cross_entropy(classifier(level.sqrt() * x0 + (1 - level).sqrt() * eps, t), y, reduction="sum")


@noisy_classifier_loss.also_correct
def _(classifier, x0, y, t, eps, abar):
    mixed = [math.sqrt(abar[k]) * x0[i] + math.sqrt(1 - abar[k]) * eps[i] for i, k in enumerate(t)]
    return -classifier(torch.stack(mixed), t).log_softmax(-1)[torch.arange(len(y)), y].mean()


# ------------------------------------------------------------------------------------------------ train_classifier


@exercise(
    points=6,
    minutes=20,
    hints=(
        "What does one training step need from the data, and what from the generator?",
        "One step: draw images, levels and noise, compute `noisy_classifier_loss`, clear the gradients, go backward, "
        "let the optimiser move.",
        "Image numbers and t are (batch,), the noise has the shape of the images drawn, and labels go with their "
        "images.",
        "`torch.randint(len(images), (batch,), generator=generator)`; at the end "
        "`classifier.eval().requires_grad_(False)`.",
    ),
    level="integrative",
    importance=3,
)
def train_classifier(
    classifier: nn.Module,
    images: Tensor,
    labels: Tensor,
    abar: Tensor,
    steps: int,
    batch: int,
    lr: float,
    generator: torch.Generator,
) -> list[float]:
    """Train the classifier in place on noisy images, and return the loss of each step as a float.

    * classifier(x, t): a module; images: (N, *) float32; labels: (N,) long; abar: (T,) float64
    * optimiser: `torch.optim.Adam` with the constant rate lr; the classifier is in training mode
    * each step draws with the generator, in this order: `batch` image numbers and `batch` rows t (`torch.randint`), the
      noise (`torch.randn`)
    * afterwards the classifier is in evaluation mode, and no parameter requires a gradient
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(classifier.parameters(), lr=lr)
    classifier.train()
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        t = torch.randint(len(abar), (batch,), generator=generator)
        x0 = images[chosen]
        eps = torch.randn(x0.shape, generator=generator)
        loss = noisy_classifier_loss(classifier, x0, labels[chosen], t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    classifier.eval().requires_grad_(False)
    return losses
    ### END SOLUTION


@train_classifier.test("learns to tell two clusters apart at any level of noise", points=1)
def _(train_classifier):
    images, labels = torch.tensor([[1.0, 0.5], [-1.0, 0.5], [1.5, -0.5], [-1.5, 0.0]]), torch.tensor([0, 1, 0, 1])
    abar = torch.tensor([0.95, 0.8, 0.6], dtype=torch.float64)

    class Linear(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([[0.0, 0.3], [-0.2, 0.1]]))

        def forward(self, x, t):
            return x @ self.weight

    classifier = Linear()
    losses = train_classifier(classifier, images, labels, abar, 150, 8, 0.05, torch.Generator().manual_seed(0))
    assert len(losses) == 150, f"one loss for each of 150 steps is expected, got {len(losses)}"
    assert all(isinstance(loss, float) for loss in losses), f"floats are expected, got {type(losses[0]).__name__}"
    logits = images @ classifier.weight.detach()
    assert torch.equal(logits.argmax(1), labels), f"labels {labels.tolist()} are expected, got logits {logits.tolist()}"


@train_classifier.hidden("shows fresh images, levels and noise in every step, each image with its label", points=2)
def _(train_classifier, rng):
    seed, classes = int(torch.randint(1000, (1,), generator=rng)), 4
    images, labels = torch.randn(7, 2, 3, generator=rng), torch.randint(0, classes, (7,), generator=rng)
    labels[:3] = torch.tensor([3, 0, 2])
    kept, abar = (images.clone(), labels.clone()), 0.1 + 0.8 * torch.rand(5, generator=rng, dtype=torch.float64)
    start, seen = 0.3 * torch.randn(6, classes, generator=rng), []

    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(start.clone())

        def forward(self, x, t):
            seen.append((x.detach().clone(), t.clone()))
            return x.flatten(1) @ self.weight

    # The rate is so small that the parameters do not move.
    losses = train_classifier(Recorder(), images, labels, abar, 6, 4, 1e-9, torch.Generator().manual_seed(seed))
    generator, weight = torch.Generator().manual_seed(seed), start.double()
    assert len(seen) == len(losses) == 6, f"6 calls and 6 losses are expected, got {len(seen)} and {len(losses)}"
    for step, (x, t) in enumerate(seen):
        rows = torch.randint(7, (4,), generator=generator)
        levels = torch.randint(5, (4,), generator=generator)
        eps = torch.randn(4, 2, 3, generator=generator).double()
        noisy = torch.einsum("b,bij->bij", abar[levels] ** 0.5, kept[0][rows].double())
        noisy += torch.einsum("b,bij->bij", (1 - abar[levels]) ** 0.5, eps)
        assert_close(t, levels, message=f"the rows t of step {step}")
        assert_close(x.double(), noisy, rtol=1e-4, atol=1e-5, message=f"the noisy images of step {step}")
        scores = (noisy.flatten(1) @ weight).exp()
        expected = -sum(math.log(scores[i, kept[1][k]] / scores[i].sum()) for i, k in enumerate(rows)) / 4
        assert_close(losses[step], expected, rtol=1e-4, atol=1e-5, message=f"the loss of step {step}")
    assert_close([images, labels], list(kept), message="images and labels after the training")


@train_classifier.hidden("moves the parameters as Adam does, and leaves the classifier ready to guide", points=3)
def _(train_classifier, rng):
    images, labels = torch.randn(6, 3, generator=rng), torch.tensor([0, 1, 2, 3, 1, 2])
    abar = torch.tensor([0.9, 0.5, 0.2, 0.1], dtype=torch.float64)
    start = 0.3 * torch.randn(3, 4, generator=rng)

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.modes = nn.Parameter(start.clone()), []

        def forward(self, x, t):
            self.modes.append(self.training)
            return x @ self.weight

    for steps, lr in ((9, 0.05), (14, 0.2)):
        classifier, weight = Watched(), start.double()
        classifier.eval()
        train_classifier(classifier, images, labels, abar, steps, 5, lr, torch.Generator().manual_seed(steps))
        assert all(classifier.modes), "training mode is expected in every step, got evaluation mode"
        assert not classifier.training, "evaluation mode is expected after the training, got training mode"
        assert not classifier.weight.requires_grad, "parameters are expected without requires_grad after the training"
        generator, first, second = torch.Generator().manual_seed(steps), 0 * weight, 0 * weight
        for step in range(1, steps + 1):  # Adam, written out
            rows = torch.randint(6, (5,), generator=generator)
            levels = torch.randint(4, (5,), generator=generator)
            signal = abar[levels].unsqueeze(1)
            noise = torch.randn(5, 3, generator=generator).double()
            x = signal**0.5 * images[rows].double() + (1 - signal) ** 0.5 * noise
            slope = x.T @ ((x @ weight).softmax(1) - torch.eye(4, dtype=torch.float64)[labels[rows]]) / 5
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            size = (second / (1 - 0.999**step)) ** 0.5 + 1e-8
            weight = weight - lr * first / (1 - 0.9**step) / size
        found = classifier.weight.detach().double()
        assert_close(found, weight, rtol=1e-2, atol=1e-3, message=f"the parameters after {steps} steps, lr = {lr}")


@train_classifier.misconception(
    "You never cleared the gradients; `backward` adds to what is there, so that every step also repeats all steps "
    "before it: call `optimizer.zero_grad()` once a step.",
    name="gradients-add-up",
)
def _(classifier, images, labels, abar, steps, batch, lr, generator):
    optimizer, losses = torch.optim.Adam(classifier.parameters(), lr=lr), []
    classifier.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        t = torch.randint(len(abar), (batch,), generator=generator)
        eps = torch.randn(images[chosen].shape, generator=generator)
        loss = noisy_classifier_loss(classifier, images[chosen], labels[chosen], t, eps, abar)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    classifier.eval().requires_grad_(False)
    return losses


@train_classifier.misconception(
    "You took the first labels of the list for every batch; the labels must be those of the images drawn, because "
    "otherwise the classifier learns that image and label have nothing to do with each other.",
    name="labels-not-drawn",
)
def _(classifier, images, labels, abar, steps, batch, lr, generator):
    optimizer, losses = torch.optim.Adam(classifier.parameters(), lr=lr), []
    classifier.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        t = torch.randint(len(abar), (batch,), generator=generator)
        eps = torch.randn(images[chosen].shape, generator=generator)
        first = labels[torch.arange(batch) % len(labels)]
        loss = noisy_classifier_loss(classifier, images[chosen], first, t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    classifier.eval().requires_grad_(False)
    return losses


@train_classifier.misconception(
    "You drew one t for the whole batch; draw one for every row, because a batch that sees a single level makes the "
    "loss jump with that level from step to step.",
    name="one-t",
)
def _(classifier, images, labels, abar, steps, batch, lr, generator):
    optimizer, losses = torch.optim.Adam(classifier.parameters(), lr=lr), []
    classifier.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        t = torch.randint(len(abar), (1,), generator=generator).expand(batch)
        eps = torch.randn(images[chosen].shape, generator=generator)
        loss = noisy_classifier_loss(classifier, images[chosen], labels[chosen], t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    classifier.eval().requires_grad_(False)
    return losses


@train_classifier.misconception(
    "You drew t from 1 to T - 1; rows are counted from 0, so that the classifier would never see the cleanest level, "
    "at which the sampler asks for its gradient last.",
    name="row-0-left-out",
)
def _(classifier, images, labels, abar, steps, batch, lr, generator):
    optimizer, losses = torch.optim.Adam(classifier.parameters(), lr=lr), []
    classifier.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        t = torch.randint(1, len(abar), (batch,), generator=generator)
        eps = torch.randn(images[chosen].shape, generator=generator)
        loss = noisy_classifier_loss(classifier, images[chosen], labels[chosen], t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    classifier.eval().requires_grad_(False)
    return losses


@train_classifier.misconception(
    "You left the parameters trainable; every guided step would then record a graph through all of them, because "
    "guidance differentiates the classifier: call `requires_grad_(False)` at the end.",
    name="left-trainable",
)
def _(classifier, images, labels, abar, steps, batch, lr, generator):
    optimizer, losses = torch.optim.Adam(classifier.parameters(), lr=lr), []
    classifier.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        t = torch.randint(len(abar), (batch,), generator=generator)
        eps = torch.randn(images[chosen].shape, generator=generator)
        loss = noisy_classifier_loss(classifier, images[chosen], labels[chosen], t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    classifier.eval()
    return losses


@train_classifier.also_correct
def _(classifier, images, labels, abar, steps, batch, lr, generator):
    history, size = [], images.shape[1:]
    optimizer = torch.optim.Adam(list(classifier.parameters()), lr, foreach=False)
    classifier.train(True)
    while len(history) < steps:
        rows = torch.randint(0, images.shape[0], [batch], generator=generator)
        t = torch.randint(0, abar.numel(), [batch], generator=generator)
        level = abar[t].reshape(batch, *(1 for _ in size)).to(images.dtype)
        eps = torch.randn([batch, *size], generator=generator)
        log_p = classifier(level**0.5 * images[rows] + (1 - level) ** 0.5 * eps, t).log_softmax(1)
        loss = F.nll_loss(log_p, labels[rows])
        classifier.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    classifier.train(False)
    for parameter in classifier.parameters():
        parameter.requires_grad = False
    return history


# -------------------------------------------------------------------------------------------------- class_gradient


@exercise(
    points=5,
    minutes=15,
    hints=(
        "What does PyTorch need before it can differentiate with respect to x, and who switched recording off?",
        "Differentiate one number: the sum over the batch of each row's log p. Logits are no log-probabilities yet; "
        "`log_softmax` makes them so.",
        "log p has the shape (B, C), of which each row contributes the one entry of its own y; the gradient is (B, *).",
        "`x.detach().requires_grad_()`, `with torch.enable_grad():` around classifier and sum, `.gather(-1, "
        "y.unsqueeze(-1))`, and `torch.autograd.grad(number, x)[0]`, which leaves the parameters alone.",
    ),
    level="core",
    importance=3,
)
def class_gradient(classifier: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of log p(y | x_t = x) with respect to x, each row's own, as (B, *) without a graph.

    * classifier(x, t): returns logits (B, C), not normalised; each row depends on its own x only
    * x: (B, *), stays as it is; t: (B,) long; y: (B,) long, the class that each row should have

    It works inside `torch.no_grad()` too, where samplers run, and leaves no gradient in the classifier's parameters.
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
    "You took the gradient of the mean over the batch, which makes each row's gradient B times too short; take "
    "the sum, because rows do not depend on each other, so that its gradient has each row's own.",
    name="batch-mean",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).log_softmax(-1).gather(-1, y.unsqueeze(-1)).mean()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You differentiated p, not log p; the gradient of p is p times that of log p, so that it vanishes where the "
    "class is unlikely, which is where guidance is needed.",
    name="gradient-of-p",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).softmax(-1).gather(-1, y.unsqueeze(-1)).sum()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You differentiated the logit of y; log p also falls where the other classes gain, so take the log_softmax first.",
    name="gradient-of-logit",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).gather(-1, y.unsqueeze(-1)).sum()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You returned the gradient of the loss, -log p; it points away from the class, while guidance goes uphill on "
    "log p: change the sign.",
    name="downhill",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(classifier(x, t), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


@class_gradient.misconception(
    "You returned the gradient of the mean cross-entropy; that is -log p averaged, so it points away from the "
    "class and is B times too short: differentiate the sum of log p.",
    name="gradient-of-mean-loss",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(classifier(x, t), y)
    return torch.autograd.grad(loss, x)[0]


@class_gradient.misconception(
    "You left the recording of gradients to the caller; samplers run inside torch.no_grad(), where nothing can "
    "then be differentiated: open torch.enable_grad() around the classifier and the sum.",
    name="recording-off",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    own = classifier(x, t).log_softmax(-1).gather(-1, y.unsqueeze(-1))
    return torch.autograd.grad(own.sum(), x)[0]


@class_gradient.misconception(
    "You indexed with `[:, y]`, which takes from every row the classes of all rows, B times B numbers; each row "
    "needs the one entry of its own y, as `gather` returns it.",
    name="classes-of-all-rows",
)
def _(classifier, x, t, y):
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        total = classifier(x, t).log_softmax(-1)[:, y].sum()
    return torch.autograd.grad(total, x)[0]


@class_gradient.misconception(
    "You went towards the class that the classifier finds most likely; the class that counts is the one asked for, y.",
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


# ------------------------------------------------------------------------------------------------------- guide_eps


@exercise(
    points=3,
    minutes=8,
    hints=(
        "Which score does the new prediction stand for? Write it down in two ways.",
        "Set the score of the new eps equal to the old score plus s times the gradient, and solve for the new eps.",
        "abar_t is one number for the whole batch: the product of 1 - beta from 0 up to and including t.",
        "`torch.prod(1 - betas[: t + 1])`.",
    ),
    level="warm-up",
    importance=3,
    kind="derive",
)
def guide_eps(eps: Tensor, gradient: Tensor, t: int, betas: Tensor, s: float) -> Tensor:
    """Return the noise prediction (B, *) whose score is the score of eps plus s times the classifier's gradient.

    * eps: (B, *), predicted in x_t, stands for the score -eps / sqrt(1 - abar_t), abar_t = (1 - beta_0) ⋯ (1 - beta_t)
    * gradient: (B, *), of log p(y | x_t) with respect to x_t
    * t: an int in 0..T-1; betas: (T,) float64; s: any number, also negative

    eps and gradient stay as they are.
    """
    ### BEGIN SOLUTION
    abar = torch.prod(1 - betas[: t + 1])
    return eps - s * (1 - abar).sqrt() * gradient
    ### END SOLUTION


@guide_eps.test("takes 0.8 of the gradient where abar is 0.36, and leaves eps alone where s is 0", points=1)
def _(guide_eps):
    betas, eps = torch.tensor([0.5, 0.28, 0.1], dtype=torch.float64), torch.tensor([[1.0, -2.0]])
    gradient = torch.tensor([[10.0, 5.0]])
    assert_close(guide_eps(eps, gradient, 1, betas, 2.0), torch.tensor([[-15.0, -10.0]]), message="s = 2, t = 1")
    assert_close(guide_eps(eps, gradient, 1, betas, 0.0), eps, message="s = 0")


@guide_eps.hidden("adds s times the gradient to the score at every step", points=1)
def _(guide_eps, rng):
    betas = 0.02 + 0.4 * torch.rand(6, generator=rng, dtype=torch.float64)
    for t, s in ((3, 2.5), (2, -1.0), (5, 0.3), (0, 1.0)):
        eps, gradient = (torch.randn(3, 2, 2, generator=rng, dtype=torch.float64) for _ in range(2))
        kept, left = (eps.clone(), gradient.clone()), math.prod((1 - betas[: t + 1]).tolist())
        noise = math.sqrt(1 - left)
        found = guide_eps(eps, gradient, t, betas, s)
        assert_close(-found / noise, -eps / noise + s * gradient, rtol=1e-6, atol=1e-7, message=f"t = {t}, s = {s}")
        assert_close([eps, gradient], list(kept), message="the arguments after the call")


@guide_eps.hidden("turns the perfect unconditional prediction into the conditional one at s = 1", points=1)
def _(guide_eps, rng):
    mixture, betas = ring(std=0.35, classes=4), torch.linspace(0.02, 0.4, 8, dtype=torch.float64)
    abar = (1 - betas).cumprod(0)
    x, y = torch.randn(16, 2, generator=rng, dtype=torch.float64), torch.arange(16) % 4
    for t in (5, 3, 7, 1, 0):
        gradient = mixture.vp(abar[t]).class_gradient(x, y)
        found = guide_eps(mixture.eps(x, abar[t]), gradient, t, betas, 1.0)
        assert_close(found, mixture.eps(x, abar[t], y), rtol=1e-6, atol=1e-7, message=f"t = {t}, four classes")


@guide_eps.misconception(
    "You added the gradient to eps; eps points away from the data, against the score, so what is added to the "
    "score is subtracted from eps: with the plus, samples move away from their class.",
    name="plus",
)
def _(eps, gradient, t, betas, s):
    return eps + s * (1 - torch.prod(1 - betas[: t + 1])).sqrt() * gradient


@guide_eps.misconception(
    "You multiplied by sqrt(beta_t), the noise of one step; eps is the noise of all steps so far, whose size is "
    "sqrt(1 - abar_t). The two agree at t = 0 only, and a large s can hide the difference.",
    name="one-step-noise",
)
def _(eps, gradient, t, betas, s):
    return eps - s * betas[t].sqrt() * gradient


@guide_eps.misconception(
    "You multiplied by 1 - abar_t; take its square root, because score and eps differ by the size of the noise "
    "and not by its variance.",
    name="variance-for-size",
)
def _(eps, gradient, t, betas, s):
    return eps - s * (1 - torch.prod(1 - betas[: t + 1])) * gradient


@guide_eps.misconception(
    "You subtracted s times the gradient as it is; the gradient belongs to the score, so bring it to the units of"
    " eps first.",
    name="no-factor",
)
def _(eps, gradient, t, betas, s):
    return eps - s * gradient


@guide_eps.misconception(
    "You divided by sqrt(1 - abar_t); that leads from eps to the score, and here you go back, so multiply.",
    name="divided",
)
def _(eps, gradient, t, betas, s):
    return eps - s * gradient / (1 - torch.prod(1 - betas[: t + 1])).sqrt()


@guide_eps.misconception(
    "You stopped the product one factor early; abar_t includes the step t itself, so the slice ends at t + 1.",
    name="product-short",
)
def _(eps, gradient, t, betas, s):
    return eps - s * (1 - torch.prod(1 - betas[:t])).sqrt() * gradient


@guide_eps.misconception(
    "You multiplied the betas with each other; abar_t is the product of 1 - beta, the share of the signal that is"
    " left.",
    name="product-of-betas",
)
def _(eps, gradient, t, betas, s):
    return eps - s * (1 - torch.prod(betas[: t + 1])).sqrt() * gradient


@guide_eps.misconception(
    "You used sqrt(abar_t), the size of the signal; score and eps differ by the size of the noise, sqrt(1 - abar_t).",
    name="signal-size",
)
def _(eps, gradient, t, betas, s):
    return eps - s * torch.prod(1 - betas[: t + 1]).sqrt() * gradient


@guide_eps.misconception(
    "You guided by 1 + s; here s itself is the factor: 0 is no guidance, and 1 is Bayes' rule.",
    name="one-plus-s",
)
def _(eps, gradient, t, betas, s):
    return eps - (1 + s) * (1 - torch.prod(1 - betas[: t + 1])).sqrt() * gradient


@guide_eps.also_correct
def _(eps, gradient, t, betas, s):
    noise = math.sqrt(1 - math.prod(1 - beta for beta in betas[: t + 1]))
    return -noise * (-eps / noise + s * gradient)


# ----------------------------------------------------------------------------------------------------- guided_step


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Which densities have a logarithm that is quadratic in x? Is the logarithm of this product one of them?",
        "Write the logarithm of the product, and complete the square in x. What has moved, and what has not?",
        "Mean and gradient are (B, *); the variance is one number or (B, *), and z is multiplied by its square root.",
        "`variance**0.5` works for a number and for a tensor.",
    ),
    level="core",
    importance=2,
    kind="derive",
)
def guided_step(mean: Tensor, variance: float | Tensor, gradient: Tensor, s: float, z: Tensor) -> Tensor:
    """Return a draw x (B, *) from the density proportional to N(x; mean, variance) · exp(s · gradient · x).

    * mean, gradient: (B, *); coordinates are independent of each other
    * variance: at least 0, one number or (B, *); where it is 0, the draw is the mean
    * s: any number; z: (B, *), the standard normal noise that the draw uses

    It is again a Gaussian. Which one? All arguments stay as they are.
    """
    ### BEGIN SOLUTION
    return mean + s * variance * gradient + variance**0.5 * z
    ### END SOLUTION


@guided_step.test("moves and spreads as it should where the variance is a quarter", points=1)
def _(guided_step):
    mean, gradient, zero = torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, -8.0]]), torch.zeros(1, 2)
    assert_close(guided_step(mean, 0.25, gradient, 2.0, zero), torch.tensor([[3.0, -2.0]]), message="z = 0, s = 2")
    assert_close(guided_step(mean, 0.25, zero, 2.0, zero + 2), torch.tensor([[2.0, 3.0]]), message="z = 2, no gradient")


@guided_step.hidden("draws from the Gaussian step times the classifier's probability", points=1)
def _(guided_step):
    # A classifier whose log-probability is linear, g x: the product with the Gaussian, summed up on a fine grid.
    grid = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    for mean, variance, slope, s in ((0.5, 0.3, 1.2, 1.0), (-1.0, 0.8, -0.7, 2.5), (0.2, 1.7, 0.9, 0.5)):
        log = -((grid - mean) ** 2) / (2 * variance) + s * slope * grid
        weight = (log - log.max()).exp()
        weight = weight / weight.sum()
        middle = (weight * grid).sum()
        width = (weight * (grid - middle) ** 2).sum() ** 0.5
        centre, pull, z = (torch.full((2, 1), v, dtype=torch.float64) for v in (mean, slope, 1.0))
        z[1] = -2.0
        expected = torch.stack([middle + width, middle - 2 * width]).unsqueeze(1)
        found = guided_step(centre, variance, pull, s, z)
        assert_close(found, expected, rtol=1e-5, atol=1e-6, message=f"mean {mean}, variance {variance}, s = {s}")


@guided_step.hidden("takes a variance for each coordinate, and 0", points=2)
def _(guided_step, rng):
    mean, gradient, z = (torch.randn(3, 2, 4, generator=rng, dtype=torch.float64) for _ in range(3))
    variance = torch.rand(3, 2, 4, generator=rng, dtype=torch.float64)
    variance[0] = 0.0
    kept = [part.clone() for part in (mean, gradient, variance, z)]
    for s in (2.5, -3.0):
        deviation = torch.tensor([math.sqrt(v) for v in variance.flatten()], dtype=torch.float64).view(3, 2, 4)
        expected = torch.stack([mean[i] + deviation[i] * (s * deviation[i] * gradient[i] + z[i]) for i in range(3)])
        found = guided_step(mean, variance, gradient, s, z)
        assert_close(found, expected, rtol=1e-6, atol=1e-7, message=f"s = {s}, a variance for each coordinate")
    assert_close(guided_step(mean, variance[1, 0, 0], gradient, 0.0, 0 * z), mean, message="s = 0 and z = 0")
    assert_close([mean, gradient, variance, z], kept, message="the arguments after the call")


@guided_step.misconception(
    "You moved the mean by the standard deviation times s times the gradient; completing the square gives the "
    "variance there, because the exponent of the Gaussian has (x - mean)² over the variance.",
    name="deviation-shift",
)
def _(mean, variance, gradient, s, z):
    return mean + variance**0.5 * (s * gradient + z)


@guided_step.misconception(
    "You multiplied z by the variance; noise of size one gets that variance when it is multiplied by the square root.",
    name="variance-noise",
)
def _(mean, variance, gradient, s, z):
    return mean + variance * (s * gradient + z)


@guided_step.misconception(
    "You scaled the noise by s too; the factor exp(s · gradient · x) moves the mean, and the variance stays what "
    "it was.",
    name="scaled-noise",
)
def _(mean, variance, gradient, s, z):
    return mean + s * (variance * gradient + variance**0.5 * z)


@guided_step.misconception(
    "You moved the mean by s times the gradient; the shift is also proportional to the variance, because a nearly"
    " certain step can hardly be moved.",
    name="no-variance",
)
def _(mean, variance, gradient, s, z):
    return mean + s * gradient + variance**0.5 * z


@guided_step.misconception(
    "You returned the new mean; the product is still a Gaussian with the old variance, so add z times the "
    "standard deviation.",
    name="no-noise",
)
def _(mean, variance, gradient, s, z):
    return mean + s * variance * gradient


@guided_step.misconception(
    "You subtracted the gradient; the density is largest where gradient · x is large, so the mean moves along the"
    " gradient. (It is eps that gets a minus.)",
    name="minus",
)
def _(mean, variance, gradient, s, z):
    return mean - s * variance * gradient + variance**0.5 * z


@guided_step.also_correct
def _(mean, variance, gradient, s, z):
    deviation = torch.as_tensor(variance).sqrt()
    return torch.addcmul(mean, deviation, s * deviation * gradient + z)


# --------------------------------------------------------------------------------------------------- guided_sample


@exercise(
    points=6,
    minutes=18,
    hints=(
        "In which order are the levels visited, and which two models are asked about each x_t?",
        "In each step: the gradient, then the guided eps, then `step`. Both models look at the x before the step.",
        "The models want t as a tensor (B,), `guide_eps` and `step` as an int; the film has T + 1 frames (B, *).",
        "`torch.full((len(x),), t)`, and `torch.stack(frames)` under `with torch.no_grad():`.",
    ),
    level="core",
    importance=3,
)
def guided_sample(
    model: Callable[[Tensor, Tensor], Tensor],
    classifier: Callable[[Tensor, Tensor], Tensor],
    step: Callable[[Tensor, Tensor, int, Tensor], Tensor],
    start: Tensor,
    y: Tensor,
    s: float,
    betas: Tensor,
    noise: Tensor,
) -> Tensor:
    """Return the film (T + 1, B, *) of a batch guided from noise to its classes y (B,), without a graph.

    * model(x, t), classifier(x, t): eps, logits (B, C); t: (B,) long; one call of each in a step
    * step(eps, x, t, z): x_{t-1} for an int t, from the guided eps and z = noise[t], which is (B, *)
    * start: (B, *), the first frame; each step adds one, t = T-1, …, 0; clip nothing
    * s: the scale; betas: (T,) float64
    """
    ### BEGIN SOLUTION
    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            gradient = class_gradient(classifier, x, rows, y)
            eps = guide_eps(model(x, rows), gradient, t, betas, s)
            x = step(eps, x, t, noise[t])
            frames.append(x)
    return torch.stack(frames)
    ### END SOLUTION


@guided_sample.test("guides three steps of a batch, and is the unguided sampler where s is 0", points=1)
def _(guided_sample, rng):
    betas = torch.tensor([0.36, 0.4375, 0.6], dtype=torch.float64)
    start, noise = torch.randn(4, 2, generator=rng), torch.randn(3, 4, 2, generator=rng)
    weight, y = torch.randn(2, 3, generator=rng), torch.tensor([1, 0, 2, 0])

    def step(eps, x, t, z):
        return 0.9 * x - 0.2 * eps + 0.1 * t * z

    def model(x, t):
        return x.tanh() * t.unsqueeze(1)

    sizes = [(1 - math.prod(1 - float(beta) for beta in betas[: t + 1])) ** 0.5 for t in range(3)]
    for s in (2.0, 0.0):
        film = guided_sample(model, lambda x, t: x @ weight.to(x), step, start, y, s, betas, noise)
        assert tuple(film.shape) == (4, 4, 2), f"T + 1 = 4 frames are expected, (4, 4, 2), got {tuple(film.shape)}"
        x = start
        assert_close(film[0], x, message=f"the first frame, s = {s}")
        for frame, t in enumerate((2, 1, 0), 1):
            pull = weight.T[y] - (x @ weight).softmax(1) @ weight.T
            x = step(t * x.tanh() - s * sizes[t] * pull, x, t, noise[t])
            assert_close(film[frame], x, rtol=1e-4, atol=1e-4, message=f"frame {frame}, after t = {t}, s = {s}")


@guided_sample.hidden("walks the conditional model's path where the classifier is exact and s is 1", points=2)
def _(guided_sample, rng):
    mixture, betas = ring(std=0.35, classes=4), torch.linspace(0.01, 0.4, 12, dtype=torch.float64)
    abar = (1 - betas).cumprod(0)
    start, noise = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((6, 2), (12, 6, 2)))
    y = torch.tensor([2, 0, 1, 3, 3, 1])

    def step(eps, x, t, z):
        mean = (x - betas[t] / (1 - abar[t]) ** 0.5 * eps) / (1 - betas[t]) ** 0.5
        return mean + betas[t] ** 0.5 * z if t else mean

    def classifier(x, t):
        return mixture.to(x.device).vp(abar.to(x.device)[t]).class_log_prob(x) - 3 * x[:, :1]

    def model(x, t):
        return mixture.to(x.device).noise_predictor(abar)(x, t)

    film = guided_sample(model, classifier, step, start, y, 1.0, betas, noise)
    x, conditional = start, mixture.noise_predictor(abar, y)
    for frame, t in enumerate(reversed(range(12)), 1):
        x = step(conditional(x, t), x, t, noise[t])
        assert_close(film[frame], x, rtol=1e-4, atol=1e-5, message=f"frame {frame} of 12 steps, y = {y.tolist()}")


@guided_sample.hidden("asks model and classifier once a step, from T - 1 down to 0, about the same x", points=1)
def _(guided_sample, rng):
    betas = torch.linspace(0.05, 0.3, 5, dtype=torch.float64)
    start, noise = torch.randn(3, 2, 2, generator=rng), torch.randn(5, 3, 2, 2, generator=rng)
    asked, told = [], []

    def model(x, t):
        asked.append((x, t))
        return 0.5 * x

    def classifier(x, t):
        told.append((x.detach(), t))
        return x.flatten(1)

    film = guided_sample(
        model, classifier, lambda eps, x, t, z: x - 0.1 * eps + z, start, torch.tensor([0, 3, 1]), 2.0, betas, noise
    )
    assert len(asked) == 5, f"5 calls of the model are expected for 5 steps, got {len(asked)}"
    assert len(told) == 5, f"5 calls of the classifier are expected for 5 steps, got {len(told)}"
    expected = [torch.full((3,), t) for t in (4, 3, 2, 1, 0)]
    assert_close([t for _, t in asked], expected, message="the t that the model is told")
    assert_close([t for _, t in told], expected, message="the t that the classifier is told")
    assert_close([x for x, _ in told], [x for x, _ in asked], message="the x that the classifier sees, and the model")
    assert_close(film[:-1], torch.stack([x for x, _ in asked]), message="the frames, and the x that the model sees")


@guided_sample.hidden("guides by s towards each row's own class, and keeps no graph", points=2)
def _(guided_sample, rng):
    betas = 0.05 + 0.3 * torch.rand(4, generator=rng, dtype=torch.float64)
    share = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    start, noise = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((3, 2), (4, 3, 2)))
    weight, y = torch.randn(2, 4, generator=rng, dtype=torch.float64), torch.tensor([1, 0, 3])
    kept = start.clone(), noise.clone()

    def step(eps, x, t, z):
        return 1.1 * x - 0.3 * eps + 0.2 * z

    for s in (2.5, -1.0):
        film = guided_sample(
            lambda x, t: share.to(x) * x, lambda x, t: x @ weight.to(x), step, start, y, s, betas, noise
        )
        x = kept[0]
        for frame, t in enumerate((3, 2, 1, 0), 1):
            pull = weight.T[y] - (x @ weight).softmax(1) @ weight.T
            size = (1 - math.prod((1 - betas[: t + 1]).tolist())) ** 0.5
            x = step(0.7 * x - s * size * pull, x, t, kept[1][t])
            assert_close(film[frame], x, rtol=1e-5, atol=1e-6, message=f"frame {frame} of four steps with s = {s}")
        assert not film.requires_grad, "frames are expected without a graph, or memory grows with every step"
    assert_close([start, noise], list(kept), message="start and noise after the call")


@guided_sample.misconception(
    "You guided every row to the class of the first; y has one class for each row.", name="first-class"
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y[:1].expand_as(y))
        return step(guide_eps(eps, gradient, t, betas, s), x, t, noise[t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You clipped x to [-1, 1] after each step; x_t is mostly noise and is meant to leave that range, so that clipping "
    "bends every path.",
    name="clipped-x",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y)
        return step(guide_eps(eps, gradient, t, betas, s), x, t, noise[t]).clamp(-1, 1)

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You added s times the gradient to x after the step; a gradient of log p is no distance, and how far it moves x "
    "depends on the noise level: guide eps, and let `step` do the rest.",
    name="added-after-the-step",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        return step(eps, x, t, noise[t]) + s * class_gradient(classifier, x, rows, y)

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You took the steps upwards, from t = 0; sampling starts at the noise, at t = T - 1, and ends at 0.",
    name="upwards",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y)
        return step(guide_eps(eps, gradient, t, betas, s), x, t, noise[t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in range(len(betas)):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You counted the noise from the first step; noise[t] belongs to the step at t, so that it is used from the back.",
    name="noise-from-the-front",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y)
        return step(guide_eps(eps, gradient, t, betas, s), x, t, noise[len(betas) - 1 - t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You told the classifier t = 0; it was trained to judge each x_t by how noisy it is, so it needs the t of this "
    "step.",
    name="classifier-told-0",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, torch.zeros_like(rows), y)
        return step(guide_eps(eps, gradient, t, betas, s), x, t, noise[t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You guided by 1 whatever s is; s is the factor of the gradient, and 0 has to mean no guidance.", name="s-unused"
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y)
        return step(guide_eps(eps, gradient, t, betas, 1.0), x, t, noise[t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You stopped before t = 0; that is a step like all others, the one that takes away the last of the noise.",
    name="stops-early",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y)
        return step(guide_eps(eps, gradient, t, betas, s), x, t, noise[t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in range(len(betas) - 1, 0, -1):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You scaled the gradient by sqrt(beta_t) in the loop; your `guide_eps` has the right factor, the size of all noise "
    "in x_t, sqrt(1 - abar_t).",
    name="one-step-noise",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y)
        return step(eps - s * betas[t].sqrt() * gradient, x, t, noise[t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)


@guided_sample.misconception(
    "You returned the last batch alone; the film has every frame, (T + 1, B, *), because the lesson shows how an image "
    "comes out of the noise.",
    name="last-frame-alone",
)
def _(model, classifier, step, start, y, s, betas, noise):
    def move(eps, x, t, rows):
        gradient = class_gradient(classifier, x, rows, y)
        return step(guide_eps(eps, gradient, t, betas, s), x, t, noise[t])

    x, frames = start, [start]
    with torch.no_grad():
        for t in reversed(range(len(betas))):
            rows = torch.full((len(x),), t, device=x.device)
            x = move(model(x, rows), x, t, rows)
            frames.append(x)
    return torch.stack(frames)[-1]


@guided_sample.also_correct
def _(model, classifier, step, start, y, s, betas, noise):
    film = start.new_empty(len(betas) + 1, *start.shape)
    film[0], size = start, (1 - torch.cumprod(1 - betas, 0)).sqrt()
    for frame, t in enumerate(range(len(betas) - 1, -1, -1)):
        x, level = film[frame].clone(), torch.tensor([t] * len(start), device=start.device)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            loss = F.cross_entropy(classifier(leaf, level), y, reduction="sum")
            slope = torch.autograd.grad(loss, leaf)[0]
        eps = model(x, level).detach()
        film[frame + 1] = step(eps + s * size[t] * slope, x, t, noise[t]).detach()
    return film


# ---------------------------------------------------------------------------------------------------- class_report


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Which pairs of samples say something about the variety within a class, and which of all B times B do not?",
        "All distances at once make a table (B, B); a mask of the same shape says which of them count.",
        "A pair counts where both have the same y, and no sample is a pair with itself: the diagonal does not count.",
        "`torch.cdist(x.flatten(1), x.flatten(1))`, and `y.unsqueeze(0) == y.unsqueeze(1)` for pairs of one class.",
    ),
    level="core",
    importance=2,
)
def class_report(
    x: Tensor, y: Tensor, judge: Callable[[Tensor], Tensor], guide: Callable[..., Tensor]
) -> tuple[float, float]:
    """Return two floats: the share of samples that the judge puts into their class y, and the diversity within classes.

    * x: (B, *); y: (B,) long, the class asked for, one of them at least twice
    * judge(x): scores (B, C), of which the largest wins
    * diversity: the mean Euclidean distance over all pairs of two samples with the same y

    Raises ValueError if judge is guide, the model that guided the samples.
    """
    ### BEGIN SOLUTION
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    accuracy = (judge(x).argmax(-1) == y).double().mean()
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    same = (y.unsqueeze(0) == y.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float(accuracy), float(apart[same].mean())
    ### END SOLUTION


class_report.equivalent(
    "return (accuracy), float(apart[same].mean())", "a tensor with one number is as good as a float"
)
class_report.equivalent(
    "return float(accuracy), (apart[same].mean())", "a tensor with one number is as good as a float"
)


@class_report.test("counts hits, and measures within a class", points=1)
def _(class_report):
    x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0], [100.0, 0.0], [100.0, 7.0]]), torch.tensor([0, 0, 1, 1])

    def judge(x):
        return x.new_tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 3.0], [0.0, 1.0]])

    found = class_report(x, y, judge, None)
    assert_close(
        [float(part) for part in found], [0.75, 6.0], rtol=1e-4, atol=1e-5, message="3 of 4 hits; 5 and 7 apart"
    )


@class_report.hidden("asks each row for its best class, in any order of the rows", points=1)
def _(class_report, rng):
    y = torch.tensor([0, 1, 2, 2, 0])
    x = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    weight = torch.randn(3, 5, generator=rng, dtype=torch.float64)
    hits = [int((row @ weight).tolist().index(max((row @ weight).tolist())) == k) for row, k in zip(x, y, strict=True)]
    gaps = [float((x[i] - x[j]).norm()) for i, j in ((0, 4), (2, 3))]
    expected = [sum(hits) / 5, sum(gaps) / 2]
    for order in ([0, 1, 2, 3, 4], [3, 0, 4, 1, 2]):
        found = class_report(x[order], y[order], lambda x: x @ weight.to(x), lambda x: x @ weight.to(x))
        assert_close([float(part) for part in found], expected, rtol=1e-5, atol=1e-6, message=f"rows {order}")


@class_report.hidden("counts every pair of a class once, images too, however large its class is", points=1)
def _(class_report, rng):
    for shape in ((9, 2), (7, 1, 2, 3), (40, 3)):
        x = 5 + torch.randn(shape, generator=rng, dtype=torch.float64)
        y = torch.randint(0, 3, shape[:1], generator=rng)
        y[:4] = torch.tensor([2, 2, 2, 0])
        x[y == 2] = x[y == 2] + 20
        rows = range(len(y))
        gaps = [float((x[i] - x[j]).square().sum()) ** 0.5 for i in rows for j in rows if i < j and y[i] == y[j]]
        right = torch.eye(3, dtype=torch.float64)[y.roll(1)]
        found = class_report(x, y, lambda x, right=right: right.to(x), None)
        expected = [float(sum(int(a == b) for a, b in zip(y, y.roll(1), strict=True))) / len(y), sum(gaps) / len(gaps)]
        assert_close([float(part) for part in found], expected, rtol=1e-5, atol=1e-6, message=f"samples {shape}")


@class_report.hidden("refuses to let the guide judge", points=1)
def _(class_report):
    x, y = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.5, 0.0]]), torch.tensor([0, 0, 1])

    def guide(x, t=None):
        return x

    try:
        class_report(x, y, guide, guide)
    except ValueError:
        pass
    else:
        raise AssertionError("a ValueError is expected where judge is guide, got a result")
    found = class_report(x, y, lambda x: x, guide)
    assert_close([float(part) for part in found], [1 / 3, 2.0], rtol=1e-4, atol=1e-5, message="another judge")


@class_report.misconception(
    "You averaged over all pairs; two samples of different classes are far apart anyway, so that their distance "
    "says nothing about diversity within a class: take pairs of the same y.",
    name="all-pairs",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    other = ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[other].mean())


@class_report.misconception(
    "You counted each sample's distance to itself; these zeros make small classes look less diverse than large "
    "ones: leave out the diagonal.",
    name="diagonal",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[y.unsqueeze(0) == y.unsqueeze(1)].mean())


@class_report.misconception(
    "You took the argmax over the samples; each row of the scores belongs to one sample, so look for the largest "
    "along the last axis, the classes.",
    name="argmax-over-samples",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    same = (y.unsqueeze(0) == y.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((judge(x).argmax(0) == y).double().mean()), float(apart[same].mean())


@class_report.misconception(
    "You grouped the samples by the class that the judge chose; the question is how much the samples differ that "
    "were asked to be of one class, so group them by y.",
    name="judged-classes",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    given = judge(x).argmax(-1)
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    same = (given.unsqueeze(0) == given.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((given == y).double().mean()), float(apart[same].mean())


@class_report.misconception(
    "You averaged squared distances; the report wants distances, in the units of x.",
    name="squared",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    apart = torch.cdist(x.flatten(1), x.flatten(1)).square()
    same = (y.unsqueeze(0) == y.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[same].mean())


@class_report.misconception(
    "You averaged class by class first; a pair of a small class then counts for more than one of a large class. "
    "Take one mean over all pairs.",
    name="mean-of-classes",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    means = [torch.pdist(x[y == k].flatten(1)).mean() for k in y.unique() if int((y == k).sum()) > 1]
    return float((judge(x).argmax(-1) == y).double().mean()), float(torch.stack(means).mean())


@class_report.misconception(
    "You let the guide judge its own work; the samples were optimised until the guide agreed, so that its "
    "approval says little: raise ValueError if judge is guide.",
    name="guide-judges",
)
def _(x, y, judge, guide):
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    same = (y.unsqueeze(0) == y.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[same].mean())


@class_report.misconception(
    "You averaged class by class, and a class with a single sample has no pair: the mean of nothing is nan. Take one "
    "mean over all pairs of all classes.",
    name="nan-of-a-single",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    means = [torch.pdist(x[y == k].flatten(1)).mean() for k in y.unique()]
    return float((judge(x).argmax(-1) == y).double().mean()), float(torch.stack(means).mean())


@class_report.also_correct
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("choose another judge")
    hits = [int(row.argmax()) == int(k) for row, k in zip(judge(x), y, strict=True)]
    gaps = torch.cat([torch.pdist(x[y == k].flatten(1)) for k in y.unique()])
    return sum(hits) / len(hits), gaps.mean().item()
