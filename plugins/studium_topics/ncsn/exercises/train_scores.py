import itertools

import torch
from studium import assert_close, exercise
from torch import Tensor, nn

from studium_topics.ncsn.exercises.dsm_loss import dsm_loss


@exercise(
    points=7,
    minutes=20,
    hints=(
        "What do you have to draw again in every step, and what do you create once?",
        "Create the optimiser and the scheduler first. A step draws, computes the loss, clears the old gradients, runs "
        "the backward pass, and then steps the optimiser and the scheduler.",
        "Image numbers and level numbers have the shape (batch,); the noise has the shape of the chosen images.",
        "`images[torch.randint(len(images), (batch,), generator=generator)]`; `loss.item()` is a float.",
    ),
    level="integrative",
    importance=3,
)
def train_scores(
    model: nn.Module, images: Tensor, sigmas: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Train the model in place by denoising score matching, and return the loss of each step as a float.

    * model(x, sigma): a module, like `score` in `dsm_loss`
    * images: (N, *), clean data; sigmas: (L,), levels in the same dtype
    * optimiser: `torch.optim.Adam`, rate of `OneCycleLR(optimizer, max_lr=lr, total_steps=steps)`
    * each step draws with the generator, in this order: `batch` image numbers and `batch` level numbers
      (`torch.randint`), the noise (`torch.randn`)
    * loss of a step: the mean of `dsm_loss`

    Images and levels stay as they are.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        sigma = sigmas[torch.randint(len(sigmas), (batch,), generator=generator)]
        z = torch.randn(x0.shape, generator=generator)
        loss = dsm_loss(model, x0, sigma, z).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


@train_scores.test("finds the one image that a training set consists of", points=1)
def _(train_scores):
    class OneImage(nn.Module):
        def __init__(self):
            super().__init__()
            self.guess = nn.Parameter(torch.zeros(2, 3))

        def forward(self, x, sigma):
            return (self.guess - x) / sigma.view(-1, 1, 1) ** 2

    model, image = OneImage(), torch.tensor([[0.5, -0.5, 0.2], [0.1, 0.8, -0.9]])
    sigmas, generator = torch.tensor([2.0, 1.0, 0.5]), torch.Generator().manual_seed(0)
    losses = train_scores(model, image.expand(5, 2, 3), sigmas, 150, 4, 0.05, generator)
    assert len(losses) == 150, f"one loss for each of 150 steps is expected, got {len(losses)}"
    assert all(isinstance(loss, float) for loss in losses), f"floats are expected, got {type(losses[0]).__name__}"
    assert_close(model.guess.detach(), image, rtol=0, atol=0.02, message="the image that the model has learned")


@train_scores.hidden("shows the model fresh images, levels and noise in every step", points=3)
def _(train_scores, rng):
    seed, seen = int(torch.randint(1000, (1,), generator=rng)), []
    images, sigmas = torch.randn(7, 2, 3, generator=rng), 0.3 + torch.rand(5, generator=rng).cumsum(0).flip(0)
    kept = [images.clone(), sigmas.clone()]

    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer = nn.Parameter(torch.zeros(()))

        def forward(self, x, sigma):
            seen.append((x.detach().clone(), sigma.clone()))
            return self.answer + 0.5 * x + 0.2 * sigma.view(-1, 1, 1)

    losses = train_scores(Fixed(), images, sigmas, 6, 4, 1e-9, torch.Generator().manual_seed(seed))
    generator = torch.Generator().manual_seed(seed)
    for step, (x, sigma) in enumerate(seen):
        rows = torch.randint(7, (4,), generator=generator)
        levels = sigmas[torch.randint(5, (4,), generator=generator)]
        z = torch.randn(4, 2, 3, generator=generator)
        noisy = images[rows] + torch.einsum("b,bij->bij", levels, z)
        assert_close(sigma, levels, message=f"the levels of step {step}")
        assert_close(x, noisy, rtol=1e-4, atol=1e-5, message=f"the noisy batch of step {step}")
        answer = 0.5 * noisy + 0.2 * levels.view(-1, 1, 1)
        error = (torch.einsum("b,bij->bij", levels, answer) + z).square().sum() / 8
        assert_close(losses[step], float(error), rtol=1e-3, atol=0, message=f"the loss of step {step}")
    assert len(seen) == len(losses) == 6, f"6 calls of the model and 6 losses are expected, got {len(seen)}"
    assert_close([images, sigmas], kept, message="images and levels after the training")


@train_scores.hidden("moves the parameters by the learning rate of a one-cycle schedule", points=3)
def _(train_scores):
    class Far(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer, self.path = nn.Parameter(torch.full((), 1e4, dtype=torch.float64)), []

        def forward(self, x, sigma):
            self.path.append(float(self.answer.detach()))
            return self.answer.expand_as(x)

    # So far from the target that the gradient hardly changes: Adam then moves as it does for a gradient of 1.
    for steps, lr in ((20, 0.02), (33, 0.3)):
        model, images = Far(), torch.zeros(3, 1, 2, 4)
        sigmas, generator = torch.full((2,), 0.7), torch.Generator().manual_seed(steps)
        train_scores(model, images, sigmas, steps, 5, lr, generator)
        moves = [before - after for before, after in itertools.pairwise([*model.path, float(model.answer.detach())])]
        point = nn.Parameter(torch.zeros((), dtype=torch.float64))
        optimizer, expected = torch.optim.Adam([point], lr=lr), []
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
        for _ in range(steps):
            before, point.grad = float(point.detach()), torch.ones_like(point)
            optimizer.step()
            schedule.step()
            expected.append(before - float(point.detach()))
        assert_close(
            moves, expected, rtol=1e-3, atol=lr * 1e-4, message=f"how far each of {steps} steps moved, lr = {lr}"
        )


@train_scores.misconception(
    "You never cleared the gradients; `backward` adds to the gradients that are already there, so every step also "
    "repeats all the steps before it. Call `optimizer.zero_grad()` once in each step.",
    name="gradients-add-up",
)
def _(model, images, sigmas, steps, batch, lr, generator):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        sigma = sigmas[torch.randint(len(sigmas), (batch,), generator=generator)]
        loss = dsm_loss(model, x0, sigma, torch.randn(x0.shape, generator=generator)).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train_scores.misconception(
    "You never moved the scheduler on; a one-cycle schedule begins low, so your rate stays at a twenty-fifth of lr. "
    "Call `scheduler.step()` after each step of the optimiser.",
    name="scheduler-stands",
)
def _(model, images, sigmas, steps, batch, lr, generator):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        sigma = sigmas[torch.randint(len(sigmas), (batch,), generator=generator)]
        loss = dsm_loss(model, x0, sigma, torch.randn(x0.shape, generator=generator)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_scores.misconception(
    "You kept the learning rate at lr throughout; use the one-cycle schedule, because with a rate that never falls the "
    "last steps jitter, each following its own small batch.",
    name="constant-rate",
)
def _(model, images, sigmas, steps, batch, lr, generator):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        sigma = sigmas[torch.randint(len(sigmas), (batch,), generator=generator)]
        loss = dsm_loss(model, x0, sigma, torch.randn(x0.shape, generator=generator)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_scores.misconception(
    "You drew one level for the whole batch; draw one for every row, because otherwise the loss jumps from step to "
    "step with the level that happened to be drawn.",
    name="one-level-a-step",
)
def _(model, images, sigmas, steps, batch, lr, generator):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        sigma = sigmas[torch.randint(len(sigmas), (1,), generator=generator)].expand(batch)
        loss = dsm_loss(model, x0, sigma, torch.randn(x0.shape, generator=generator)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train_scores.misconception(
    "You summed the losses of the batch; average them, because otherwise the loss grows with the batch.",
    name="summed-over-the-batch",
)
def _(model, images, sigmas, steps, batch, lr, generator):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        sigma = sigmas[torch.randint(len(sigmas), (batch,), generator=generator)]
        loss = dsm_loss(model, x0, sigma, torch.randn(x0.shape, generator=generator)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


train_scores.mistake(
    "one-noise",
    "You drew the noise once for all steps; draw it again in each step, because a model that meets the same noise "
    "every time learns that noise by heart.",
    edits=[
        ("losses = []", "losses, z = [], None"),
        (
            "torch.randn(x0.shape, generator=generator)",
            "torch.randn(x0.shape, generator=generator) if z is None else z",
        ),
    ],
)


@train_scores.misconception(
    "You drew the noise without the generator; pass `generator` to `torch.randn`, because training has to be "
    "repeatable.",
    name="noise-without-generator",
)
def _(model, images, sigmas, steps, batch, lr, generator):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        sigma = sigmas[torch.randint(len(sigmas), (batch,), generator=generator)]
        loss = dsm_loss(model, x0, sigma, torch.randn_like(x0)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train_scores.also_correct
def _(model, images, sigmas, steps, batch, lr, generator):
    optimizer, history = torch.optim.Adam(list(model.parameters()), lr, foreach=False), []
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps)
    while len(history) < steps:
        chosen = torch.randint(0, images.shape[0], [batch], generator=generator)
        sigma = sigmas.index_select(0, torch.randint(0, sigmas.numel(), [batch], generator=generator))
        z = torch.randn(batch, *images.shape[1:], generator=generator)
        column = sigma.reshape(batch, *(1 for _ in images.shape[1:]))
        model.zero_grad()
        error = (column * model(images[chosen] + column * z, sigma) + z).pow(2).sum() / (2 * batch)
        error.backward()
        optimizer.step()
        rates.step()
        history.append(float(error.detach()))
    return history
