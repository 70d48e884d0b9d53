import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import Tensor, nn

from studium_topics.classifier_guidance.exercises.noisy_classifier_loss import noisy_classifier_loss


@exercise(
    points=6,
    minutes=20,
    hints=(
        "What does one training step need from the data, and what from the generator?",
        "In one step: draw images, levels and noise, compute `noisy_classifier_loss`, clear the gradients, go "
        "backward, and let the optimiser move.",
        "Image numbers and t are (batch,), the noise has the shape of the drawn images, and labels go with their "
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
    * each step draws from the generator, in this order: `batch` image numbers and `batch` rows t (`torch.randint`),
      then the noise (`torch.randn`)
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
    "You never cleared the gradients. `backward` adds to what is there, so every step also repeats all steps before "
    "it; call `optimizer.zero_grad()` in each step.",
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
    "You took the first labels of the list for every batch. Use the labels of the drawn images; otherwise the "
    "classifier learns that image and label have nothing to do with each other.",
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
    "You drew one t for the whole batch; draw one for every row, because with a single level per batch the loss jumps "
    "with that level from step to step.",
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
    "You drew t from 1 to T - 1. Rows are counted from 0, so the classifier would never see the cleanest level, where "
    "the sampler needs its last gradient.",
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
    "You left the parameters trainable. Guidance differentiates the classifier, so every guided step would record a "
    "graph through all of them; call `requires_grad_(False)` at the end.",
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
