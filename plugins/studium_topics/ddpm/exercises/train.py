import itertools

import torch
from studium import assert_close, exercise
from torch import Tensor, nn

from studium_topics.ddpm.exercises.ddpm_loss import ddpm_loss


@exercise(
    points=6,
    minutes=20,
    hints=(
        "What do you have to draw anew in every step, and what do you make only once?",
        "Make the table, the optimiser and the scheduler first. Each step draws, computes the loss, clears the old "
        "gradients, goes backward, and then steps the optimiser and the scheduler.",
        "The image numbers and t have the shape (batch,); the noise has the shape of the chosen images.",
        "`images[torch.randint(len(images), (batch,), generator=generator)]`; `loss.item()` is a float.",
    ),
    level="integrative",
    importance=3,
)
def train(
    model: nn.Module, images: Tensor, betas: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Train the model in place to predict noise, and return the loss of each step as a float.

    * model(x, t): a module, as in `ddpm_loss`; images: (N, *), the clean data; betas: (T,) float64
    * optimiser: `torch.optim.Adam`, with the rate of `OneCycleLR(optimizer, max_lr=lr, total_steps=steps)`
    * each step draws with the generator, in this order: `batch` image numbers and `batch` rows t (`torch.randint`),
      then the noise (`torch.randn`)

    The images stay as they are.
    """
    ### BEGIN SOLUTION
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        loss = ddpm_loss(model, x0, t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


@train.test("finds the one image that a training set consists of", points=1)
def _(train):
    abar = torch.tensor([0.9, 0.6, 0.2], dtype=torch.float64)
    betas = 1 - abar / torch.tensor([1.0, 0.9, 0.6], dtype=torch.float64)

    class OneImage(nn.Module):
        def __init__(self):
            super().__init__()
            self.guess = nn.Parameter(torch.zeros(2, 3))

        def forward(self, x, t):
            level = abar[t].view(-1, 1, 1).float()
            return (x - level.sqrt() * self.guess) / (1 - level).sqrt()

    model, image = OneImage(), torch.tensor([[0.5, -0.5, 0.2], [0.1, 0.8, -0.9]])
    losses = train(model, image.expand(5, 2, 3), betas, 150, 4, 0.05, torch.Generator().manual_seed(0))
    assert len(losses) == 150, f"one loss for each of 150 steps is expected, got {len(losses)}"
    assert all(isinstance(loss, float) for loss in losses), f"floats are expected, got {type(losses[0]).__name__}"
    assert_close(model.guess.detach(), image, rtol=0, atol=0.02, message="the image that the model has learned")


@train.hidden("shows the model fresh images, levels and noise in every step", points=2)
def _(train, rng):
    seed, seen = int(torch.randint(1000, (1,), generator=rng)), []
    images, betas = torch.randn(7, 2, 3, generator=rng), 0.1 + 0.3 * torch.rand(5, generator=rng, dtype=torch.float64)
    kept = images.clone()

    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer = nn.Parameter(torch.zeros(()))

        def forward(self, x, t):
            seen.append((x.detach().clone(), t.clone()))
            return self.answer + 0.5 * x + 0.2 * t.view(-1, 1, 1)

    losses = train(Fixed(), images, betas, 6, 4, 1e-9, torch.Generator().manual_seed(seed))
    generator, signal = torch.Generator().manual_seed(seed), torch.cumprod(1 - betas, 0).float()
    for step, (x, t) in enumerate(seen):
        rows = torch.randint(7, (4,), generator=generator)
        levels = torch.randint(5, (4,), generator=generator)
        eps = torch.randn(4, 2, 3, generator=generator)
        noisy = torch.einsum("b,bij->bij", signal[levels].sqrt(), images[rows])
        noisy += torch.einsum("b,bij->bij", (1 - signal[levels]).sqrt(), eps)
        assert_close(t, levels, message=f"the rows t of step {step}")
        assert_close(x, noisy, rtol=1e-4, atol=1e-5, message=f"the noisy batch of step {step}")
        error = (0.5 * noisy + 0.2 * levels.view(-1, 1, 1) - eps).square().mean()
        assert_close(losses[step], float(error), rtol=1e-3, atol=0, message=f"the loss of step {step}")
    assert len(seen) == len(losses) == 6, f"6 calls of the model and 6 losses are expected, got {len(seen)}"
    assert_close(images, kept, message="the images after the training")


@train.hidden("moves the parameters by the learning rate of a one-cycle schedule", points=3)
def _(train):
    class Far(nn.Module):
        def __init__(self):
            super().__init__()
            self.answer, self.path = nn.Parameter(torch.full((), 1e4, dtype=torch.float64)), []

        def forward(self, x, t):
            self.path.append(float(self.answer.detach()))
            return self.answer.expand_as(x)

    # So far from the noise that the gradient hardly changes: Adam then moves as it does for a gradient of 1.
    betas = torch.tensor([0.1, 0.3], dtype=torch.float64)
    for steps, lr in ((20, 0.02), (33, 0.3)):
        model = Far()
        images = torch.zeros(3, 1, 2, 2, dtype=torch.float32)
        train(model, images, betas, steps, 5, lr, torch.Generator().manual_seed(steps))
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


train.equivalent(
    "optimizer = torch.optim.Adam(model.parameters())",
    "the schedule sets the rate, from the first step on",
)


@train.misconception(
    "You never cleared the gradients, so every step also repeats all the steps before it; call "
    "`optimizer.zero_grad()` in each step, because `backward` adds to the gradients already stored.",
    name="gradients-add-up",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You never moved the scheduler on, so the rate stays at a twenty-fifth of lr; call `scheduler.step()` after each "
    "step of the optimiser, because a one-cycle schedule starts low.",
    name="scheduler-stands",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You kept the learning rate at lr throughout; use the one-cycle schedule, because with a rate that never falls "
    "the last steps jitter, each following its own small batch.",
    name="constant-rate",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You drew one t for the whole batch; draw one for every row, because if a batch sees only one level, the loss "
    "jumps with that level from step to step.",
    name="one-t",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(len(betas), (1,), generator=generator).expand(batch)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train.misconception(
    "You drew t from 1 to T - 1; draw it from 0, because the model would never see the cleanest level, which the "
    "sampler needs in its last step.",
    name="row-0-left-out",
)
def _(model, images, betas, steps, batch, lr, generator):
    abar = torch.cumprod(1 - betas, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    losses = []
    for _ in range(steps):
        x0 = images[torch.randint(len(images), (batch,), generator=generator)]
        t = torch.randint(1, len(betas), (batch,), generator=generator)
        loss = ddpm_loss(model, x0, t, torch.randn(x0.shape, generator=generator), abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@train.also_correct
def _(model, images, betas, steps, batch, lr, generator):
    abar, history = (1 - betas).cumprod(-1), []
    optimizer = torch.optim.Adam(list(model.parameters()), lr, foreach=False)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps)
    while len(history) < steps:
        chosen = torch.randint(0, images.shape[0], [batch], generator=generator)
        t = torch.randint(0, betas.numel(), [batch], generator=generator)
        eps = torch.randn(batch, *images.shape[1:], generator=generator)
        level = abar[t].reshape(batch, *(1 for _ in images.shape[1:])).to(images.dtype)
        model.zero_grad()
        error = nn.functional.mse_loss(model(level**0.5 * images[chosen] + (1 - level) ** 0.5 * eps, t), eps)
        error.backward()
        optimizer.step()
        rates.step()
        history.append(float(error.detach()))
    return history
