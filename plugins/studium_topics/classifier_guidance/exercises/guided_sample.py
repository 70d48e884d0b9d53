import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.classifier_guidance.exercises.class_gradient import class_gradient
from studium_topics.classifier_guidance.exercises.guide_eps import guide_eps
from studium_topics.kits.mixture import ring


@exercise(
    points=6,
    minutes=18,
    hints=(
        "In which order do you visit the levels, and which two models do you call at each x_t?",
        "In each step: the gradient, then the guided eps, then `step`. Both models look at the x before the step.",
        "The models take t as a tensor (B,), `guide_eps` and `step` as an int; the film has T + 1 frames (B, *).",
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

    * model(x, t), classifier(x, t): eps, logits (B, C); t: (B,) long; call each of them once per step
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
    "You guided every row to the class of the first row; y has one class for each row.", name="first-class"
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
    "You clipped x to [-1, 1] after each step. x_t is mostly noise and is meant to leave that range, so clipping "
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
    "You added s times the gradient to x after the step. A gradient of log p is not a distance, and how far it should "
    "move x depends on the noise level; guide eps, and let `step` do the rest.",
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
    "You went upwards from t = 0; sampling starts at the noise, at t = T - 1, and ends at 0.",
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
    "You counted the noise from the first step; noise[t] belongs to the step at t, so you use it from the back.",
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
    "You passed t = 0 to the classifier. It was trained to judge each x_t by how noisy it is, so pass it the t of "
    "this step.",
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
    "You guided by 1 whatever s is; multiply the gradient by s, so 0 means no guidance.", name="s-unused"
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
    "You stopped before t = 0. That is a step like all the others, and it takes away the last of the noise.",
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
    "You scaled the gradient by sqrt(beta_t) in the loop; use your `guide_eps`, which has the right factor, sqrt(1 - "
    "abar_t), the size of all noise in x_t.",
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
    "You returned only the last batch; the film has every frame, (T + 1, B, *), because the lesson shows how an image "
    "emerges from the noise.",
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
