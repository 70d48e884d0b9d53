"""Classifier guidance as one would ship it: on any device, in any floating type, and what a guided step costs.

Dhariwal and Nichol 2021 (arXiv 2105.05233): algorithm 1 is `guided_step`, algorithm 2 `guide_eps`. As in the authors'
code, the gradient is taken at x_t for both; algorithm 1 expands log p around the mean, where the two hardly differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.classifier_guidance.networks import NoisyNet

Classifier = Callable[[Tensor, Tensor], Tensor]


def noisy_classifier_loss(
    classifier: Classifier, x0: Tensor, y: Tensor, t: Tensor, eps: Tensor, abar: Tensor
) -> Tensor:
    """Return the mean of -log p(y | x_t), with x_t (B, *) noised to each row's own level."""
    signal, noise = (
        root.to(x0.dtype).reshape(-1, *[1] * (x0.ndim - 1)) for root in (abar[t].sqrt(), (1 - abar[t]).sqrt())
    )
    return F.cross_entropy(_wide(classifier(signal * x0 + noise * eps, t)), y)


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
    """Return the losses of Adam on noisy images, drawn on the CPU; the classifier is left frozen, on its own device."""
    device = next(classifier.parameters()).device
    images, labels, abar = (part.to(device) for part in (images, labels, abar))
    optimizer, losses = torch.optim.Adam(classifier.parameters(), lr), []
    classifier.train()
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        t = torch.randint(len(abar), (batch,), generator=generator).to(device)
        eps = torch.randn(batch, *images.shape[1:], generator=generator).to(device)
        loss = noisy_classifier_loss(classifier, images[chosen], labels[chosen], t, eps, abar)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    classifier.eval().requires_grad_(False)
    return torch.stack(losses).tolist()


def class_gradient(classifier: Classifier, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """Return the gradient of log p(y | x_t) for each row of x (B, *), in the dtype of x."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        loss = F.cross_entropy(_wide(classifier(leaf, t)), y.clone(), reduction="sum")
        return -torch.autograd.grad(loss, leaf)[0]


def _wide(logits: Tensor) -> Tensor:
    """Return the logits in float32 at least."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def guide_eps(eps: Tensor, gradient: Tensor, t: int, betas: Tensor, s: float) -> Tensor:
    """Return eps (B, *) whose score is that of eps plus s times the gradient."""
    noise = (1 - (1 - betas[: t + 1]).prod()).sqrt().to(eps.dtype)
    return torch.addcmul(eps, noise, gradient, value=-s)


def guided_step(mean: Tensor, variance: float | Tensor, gradient: Tensor, s: float, z: Tensor) -> Tensor:
    """Return a draw from N(mean + s variance gradient, variance); variance is one number or (B, *)."""
    variance = torch.as_tensor(variance, dtype=mean.dtype, device=mean.device)
    return mean + variance * (s * gradient) + variance.sqrt() * z


@torch.no_grad()
def guided_sample(
    model: Callable[[Tensor, Tensor], Tensor],
    classifier: Classifier,
    step: Callable[[Tensor, Tensor, int, Tensor], Tensor],
    start: Tensor,
    y: Tensor,
    s: float,
    betas: Tensor,
    noise: Tensor,
) -> Tensor:
    """Return the film (T + 1, B, *) of samples guided in the eps form; noise[t] is the z of step t."""
    film = start.new_empty(len(betas) + 1, *start.shape)
    film[0] = x = start
    for t in range(len(betas) - 1, -1, -1):
        rows = torch.full((len(x),), t, device=x.device)
        eps = guide_eps(model(x, rows), class_gradient(classifier, x, rows, y), t, betas, s)
        film[len(betas) - t] = x = step(eps, x, t, noise[t])
    return film


def class_report(
    x: Tensor, y: Tensor, judge: Callable[[Tensor], Tensor], guide: Callable[..., Tensor]
) -> tuple[float, float]:
    """Return the judge's accuracy and the mean distance of two samples of one class; ValueError if judge is guide."""
    if judge is guide:
        raise ValueError("class_report needs a judge that is not the guide, got the same model twice: train another")
    flat, hits = x.flatten(1), judge(x).argmax(-1) == y
    apart = torch.cat([torch.pdist(flat[y == k]) for k in y.unique()])
    return float(hits.double().mean()), float(apart.mean())


def step_seconds(
    way: str, *, device: str = "cuda", pixels: int = 3072, batch: int = 256, width: int = 2048, steps: int = 20,
    dtype: torch.dtype = torch.bfloat16,
) -> float:  # fmt: skip
    """Return the seconds that the networks of one sampling step take, by way of guidance.

    way: "none", one forward pass of a denoiser; "classifier", that and a classifier's forward and backward pass, its
    body a quarter as wide; "classifier-free", two forward passes of the denoiser, as one batch. Random weights and data
    of `pixels` numbers; on CUDA the networks are compiled, and so launched as few kernels.
    """
    denoiser = NoisyNet(pixels, pixels, 1000, width).to(device, dtype).eval().requires_grad_(False)
    classifier = NoisyNet(pixels, 1000, 1000, width // 4).to(device, dtype).eval().requires_grad_(False)
    x, t = torch.randn(batch, pixels, device=device, dtype=dtype), torch.full((batch,), 500, device=device)
    y = torch.zeros_like(t)
    if x.is_cuda:
        denoiser.compile()
        classifier.compile()
    ways: dict[str, Callable[[], Tensor]] = {
        "none": lambda: denoiser(x, t),
        "classifier": lambda: denoiser(x, t) - class_gradient(classifier, x, t, y),
        "classifier-free": lambda: denoiser(x.repeat(2, 1), t.repeat(2)),
    }
    run, wait = ways[way], torch.cuda.synchronize if x.is_cuda else lambda: None
    with torch.no_grad():
        for _ in range(3):  # the first calls compile, and fill caches
            run()
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            run()
        wait()
    return (time.perf_counter() - start) / steps
