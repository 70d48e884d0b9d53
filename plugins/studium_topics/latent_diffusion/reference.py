"""Latent diffusion as one would ship it, and what a step costs on pixels and on latents.

Rombach et al. 2022 (arXiv 2112.10752). Everything follows the device and the dtype of its inputs; on CUDA attention
runs in PyTorch's fused kernel, and `step_seconds` measures bfloat16 with and without `torch.compile`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from studium_topics.kits.latents import CaptionUNet
from studium_topics.latent_diffusion.world import WORDS

Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]


def reparameterise(mean: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Return draws (B, C, h, w) from N(mean, exp(logvar)), made of standard normal eps."""
    return torch.addcmul(mean, torch.exp(logvar / 2), eps)


def kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Return the divergence (B,) of N(mean, exp(logvar)) from the standard normal, in nats, of all latents (B, *)."""
    return (mean.square() + torch.expm1(logvar) - logvar).flatten(1).sum(1) / 2


def first_stage_loss(x: Tensor, reconstruction: Tensor, mean: Tensor, logvar: Tensor, weight: float) -> Tensor:
    """Return the mean over the images of the squared error plus weight times the divergence, both sums; a scalar."""
    error = F.mse_loss(reconstruction, x, reduction="sum")
    return (error + weight * kl(mean, logvar).sum()) / len(x)


def active_dims(x: Tensor, d: int, a: float, b: float) -> int:
    """Return how many of d latents of a linear VAE are active at the optimum for data x (N, D).

    A direction of variance v pays for its latent where v > b / (2 a) (Lucas et al. 2019, arXiv 1911.02469).
    """
    strengths = torch.linalg.svdvals(x - x.mean(0)) ** 2 / len(x)
    return min(d, int(torch.count_nonzero(strengths > b / a / 2)))


def latent_scale(mean: Tensor, logvar: Tensor) -> float:
    """Return one over the standard deviation of draws from N(mean, exp(logvar)), all entries together."""
    return 1 / math.sqrt(float(mean.var(correction=0)) + float(torch.exp(logvar).mean()))


def cross_attend(
    x: Tensor, context: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, heads: int, mask: Tensor
) -> Tensor:
    """Return what each place of x (B, C, H, W) reads in words (B, L, E) that the mask (B, L) allows, (B, C, H, W)."""

    def split(rows: Tensor, weight: Tensor) -> Tensor:
        return F.linear(rows, weight).unflatten(-1, (heads, -1)).transpose(1, 2)

    places = x.flatten(2).transpose(1, 2)  # (B, H W, C)
    read = F.scaled_dot_product_attention(
        split(places, wq), split(context, wk), split(context, wv), attn_mask=mask[:, None, None]
    )
    return F.linear(read.transpose(1, 2).flatten(2), wo).transpose(1, 2).reshape(x.shape)


@torch.no_grad()
def draw_images(
    denoiser: Denoiser, decode: Callable[[Tensor], Tensor], scale: float, z: Tensor, words: Tensor, s: float,
    abar: Tensor, count: int,
) -> Tensor:  # fmt: skip
    """Return the film (count + 1, B, 3, H, W) of guided DDIM on scaled latents, decoded; one call of 2 B rows each."""
    levels = list(range(len(abar) - 1, -1, -(len(abar) // count)))
    shares = [*abar[levels].tolist(), 1.0]  # read at once: reading one at a time waits for the GPU
    told = torch.cat([words, words * (torch.arange(words.shape[1], device=words.device) == 0)])
    film = [decode(z / scale)]
    for t, now, after in zip(levels, shares, shares[1:], strict=False):
        times = torch.full((2 * len(z),), t, device=z.device)
        eps_c, eps_u = denoiser(torch.cat([z, z]), times, told).chunk(2)
        eps = torch.lerp(eps_u, eps_c, s)
        z = math.sqrt(after) * (z - math.sqrt(1 - now) * eps) / math.sqrt(now) + math.sqrt(1 - after) * eps
        film.append(decode(z / scale))
    return torch.stack(film)


def step_seconds(sides: tuple[int, ...] = (64, 8), *, batch: int = 64, steps: int = 20) -> dict[str, float]:
    """Return the seconds of one training step of one U-Net on images of each side, plain and, on CUDA, compiled.

    Widths 64 and 128, 4 channels, captions of 3 words; bfloat16 autocast on CUDA. A factor f divides the side by f.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = {}
    for side in sides:
        net: nn.Module = CaptionUNet(100, 4, len(WORDS), cross_attend, widths=(64, 128)).to(device)
        found[f"side {side}"] = _seconds(net, side, batch, steps, device)
        if device.type == "cuda":
            found[f"side {side}, compiled"] = _seconds(torch.compile(net), side, batch, steps, device)
    return found


def _seconds(net: Denoiser, side: int, batch: int, steps: int, device: torch.device) -> float:
    z, t = torch.randn(batch, 4, side, side, device=device), torch.zeros(batch, dtype=torch.long, device=device)
    words = torch.ones(batch, 3, dtype=torch.long, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = (net(z, t, words) - z).square().mean()
        loss.backward()

    for _ in range(3):  # the first calls compile and choose kernels
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - start) / steps
