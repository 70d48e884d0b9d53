"""The pipeline and its measures as one would ship them, and what drawing costs on a GPU.

Rectified flow: Liu et al. 2022 (arXiv 2209.03003), Esser et al. 2024 (2403.03206). DDIM: Song et al. 2020 (2010.02502).
Measures: Heusel et al. 2017 (1706.08500), Chong and Forsyth 2019 (1911.07023), Kynkäänniemi et al. 2019 (1904.06991),
Hessel et al. 2021 (2104.08718). Everything follows the device and dtype of its inputs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.text_to_image import model as parts

Model = Callable[[Tensor, Tensor, Tensor], Tensor]


def flow_loss(model: Model, x0: Tensor, ids: Tensor, drop: float, generator: torch.Generator) -> Tensor:
    """Return the mean squared error of the velocity at one random time for each image, a scalar.

    x0 (B, *), ids (B, L), of which a share `drop` is set to 0. Random numbers come from a CPU generator and are moved.
    """
    t = torch.rand(len(x0), generator=generator, dtype=x0.dtype).to(x0.device)
    noise = torch.randn(x0.shape, generator=generator, dtype=x0.dtype).to(x0.device)
    kept = torch.rand(len(x0), 1, generator=generator).to(x0.device) >= drop
    mixed = torch.lerp(x0, noise, t.view(-1, *[1] * (x0.ndim - 1)))
    return F.mse_loss(model(mixed, t, ids * kept), noise - x0)


def as_flow(x: Tensor, eps: Tensor, abar: float) -> tuple[Tensor, float, Tensor]:
    """Return DDPM's x (B, *) as (z, t, v) of the straight path: its point, its time in [0, 1) and its velocity."""
    signal, noise = abar**0.5, (1 - abar) ** 0.5
    total = signal + noise
    return x / total, noise / total, eps - (x - noise * eps) / signal


def guided_velocity(model: Model, z: Tensor, t: float, ids: Tensor, other: Tensor, scale: float) -> Tensor:
    """Return v_other + scale (v - v_other), (B, *): one call on 2 B rows, or on B rows where scale is 1."""
    times = torch.full((len(z),), t, dtype=z.dtype, device=z.device)
    if scale == 1:
        return model(z, times, ids)
    away, towards = model(torch.cat([z, z]), torch.cat([times, times]), torch.cat([other, ids])).chunk(2)
    return torch.lerp(away, towards, scale)


@torch.no_grad()
def text_to_image(
    model: Model, tokens: Callable[[Sequence[str]], Tensor], noise: Callable[[int], Tensor],
    decode: Callable[[Tensor], Tensor], prompts: Sequence[str], seeds: Sequence[int], times: Sequence[float],
    scale: float, negative: str = "", batch: int = 64,
) -> Tensor:  # fmt: skip
    """Return images (P, S, 3, H, W) of P prompts and S seeds, drawn by Euler steps, `batch` at a time."""
    start = times[0] * torch.stack([noise(seed) for seed in seeds])
    ids, other = tokens(prompts).to(start.device), tokens([negative]).to(start.device)
    images = []
    for rows in torch.arange(len(prompts) * len(seeds)).split(batch):
        z, words = start[rows % len(seeds)], ids[rows // len(seeds)]
        for now, then in itertools.pairwise(times):
            z = z + (then - now) * guided_velocity(model, z, now, words, other.expand_as(words), scale)
        images.append(decode(z))
    return torch.cat(images).unflatten(0, (len(prompts), len(seeds)))


def clip_score(images: Tensor, texts: Tensor, weight: float = 2.5) -> Tensor:
    """Return weight * max(cosine, 0) of each pair of rows, (N,)."""
    return weight * F.cosine_similarity(images, texts).relu()


def frechet(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Return the squared Fréchet distance of two Gaussians, means (D,) and covariances (D, D), a scalar.

    With R the symmetric root of cov1, cov1 cov2 and R cov2 R have the same eigenvalues, and the latter is symmetric.
    """
    values, vectors = torch.linalg.eigh(cov1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    shared = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    return (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * shared


def fid_inf(counts: Sequence[int], fids: Sequence[float]) -> float:
    """Return the FID for infinitely many images: where the line through FID over 1 / N meets 0 (least squares)."""
    rows = torch.tensor([[1.0, 1 / count] for count in counts], dtype=torch.float64)
    target = torch.tensor(fids, dtype=torch.float64)[:, None]
    return float(torch.linalg.lstsq(rows, target).solution[0, 0])


def precision_recall(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """Return the shares of fakes near the real images and of real images near the fakes (features (N, D), (M, D))."""

    def covered(points: Tensor, centres: Tensor) -> float:
        radius = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values  # each is its own nearest one
        return float((torch.cdist(points, centres) <= radius).any(1).double().mean())

    return covered(fake, real), covered(real, fake)


def trained_model(seed: int = 0, steps: int = 1600) -> tuple[nn.Module, parts.Patches]:
    """Return the model that the lesson opens with, trained longer than the lesson's own, and its autoencoder.

    `kits.packing.write` makes the lesson's `opening.npz` of them, with mean, basis times scale, and levels.
    """
    from studium_topics.kits.training import train

    data = parts.Captioned.drawn(20_000, seed)
    patches = parts.Patches.fit(data.images)
    latents, ids = patches.encode(data.images), parts.tokens(data.captions)
    model = parts.painter(seed)

    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(ids), (64,), generator=generator)
        return flow_loss(model, latents[rows], ids[rows], 0.1, generator)

    train(model, loss, steps, 4e-3, schedule="onecycle", clip=1.0, seed=seed)
    return model.eval(), patches


def images_a_second(
    batch: int = 256, steps: int = 16, device: str = "cuda", widths: tuple[int, ...] = (96, 192)
) -> float:
    """Return guided images a second of a wide, untrained model: bfloat16 and compiled on a GPU, as it is on a CPU."""
    model = parts.painter(0, widths).to(device).eval()
    on_gpu = device.startswith("cuda")
    if on_gpu:
        model.compile(mode="max-autotune-no-cudagraphs")
    z = torch.stack([parts.noise_of(seed) for seed in range(batch)]).to(device)
    ids = parts.tokens(["a small red ring"] * batch).to(device)

    def run() -> None:
        x = z
        for step in range(steps):
            x = x - guided_velocity(model, x, 1 - step / steps, ids, torch.zeros_like(ids), 3.0).float() / steps
        if on_gpu:
            torch.cuda.synchronize()

    with torch.inference_mode(), torch.autocast(device.split(":")[0], torch.bfloat16, enabled=on_gpu):
        run()  # compiles
        start = time.perf_counter()
        run()
    return batch / (time.perf_counter() - start)
