"""The two stages, trained with the learner's functions: an autoencoder, and a denoiser of its scaled latents."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits.latents import Attend, Autoencoder, CaptionUNet
from studium_topics.kits.training import train
from studium_topics.latent_diffusion.world import WORDS, Drawings, drop_captions

Block = Callable[..., Tensor]
LEVELS = 100
CHANNELS = 4
KL_WEIGHT = 0.01  # a border of 0.005, about the variance of the noise in a pixel
FIRST_RATE, SECOND_RATE = 3e-3, 4e-3
BATCH, DROP = 64, 0.1
WIDTHS = {1: 0, 2: 32, 4: 64, 8: 96, 16: 128}  # of the autoencoder, by its factor; 1 has none


def cosine_abar(levels: int = LEVELS) -> Tensor:
    """Return abar (T,) float64 that falls as a squared cosine (Nichol and Dhariwal 2021), no beta above 0.999."""
    u = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
    level = ((u + 0.008) / 1.008 * math.pi / 2).cos() ** 2  # (T + 1,)
    return torch.cumprod((level[1:] / level[:-1]).clamp(min=0.001), 0)


def autoencoder(factor: int, seed: int) -> Autoencoder:
    """Return an untrained autoencoder; the global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Autoencoder(factor, CHANNELS, WIDTHS[factor])


def unet(channels: int, attend: Attend, seed: int) -> CaptionUNet:
    """Return an untrained U-Net that reads captions by `attend`; the global random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return CaptionUNet(LEVELS, channels, len(WORDS), attend, widths=(16, 32))


def noise_in(model: Callable[[Tensor, Tensor, Tensor], Tensor], abar: Tensor) -> Block:
    """Return denoiser(z, t, words), the noise in z, of a model that predicts v = sqrt(abar) eps - sqrt(1 - abar) z0."""

    def denoiser(z: Tensor, t: Tensor, words: Tensor) -> Tensor:
        share = abar[t].to(z.dtype)[:, None, None, None]
        return share.sqrt() * model(z, t, words) + (1 - share).sqrt() * z

    return denoiser


def noised(z0: Tensor, abar: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return z_t, random levels t (B,) and the target v for clean z0 (B, C, h, w); noise from the CPU `generator`."""
    t = torch.randint(len(abar), (len(z0),), generator=generator)
    eps = torch.randn(z0.shape, generator=generator).to(z0.device)
    share = abar[t].float().to(z0.device)[:, None, None, None]
    v = share.sqrt() * eps - (1 - share).sqrt() * z0
    return share.sqrt() * z0 + (1 - share).sqrt() * eps, t.to(z0.device), v


def first_stage(
    model: Autoencoder, images: Tensor, reparameterise: Block, first_stage_loss: Block, steps: int, seed: int
) -> list[float]:
    """Train an autoencoder on images (N, 3, S, S), and return the loss of each step."""

    def loss(generator: torch.Generator) -> Tensor:
        x = images[torch.randint(len(images), (BATCH,), generator=generator)]
        mean, logvar = model.encode(x)
        z = reparameterise(mean, logvar, torch.randn(mean.shape, generator=generator).to(x.device))
        return first_stage_loss(x, model.decode(z), mean, logvar, KL_WEIGHT)

    return train(model, loss, steps, FIRST_RATE, schedule="onecycle", clip=50.0, seed=seed, bf16=True, description="f")


def second_stage(
    model: CaptionUNet, latents: Tensor, words: Tensor, abar: Tensor, steps: int, batch: int, seed: int
) -> list[float]:
    """Train a U-Net on scaled latents (N, C, h, w) with captions (N, L), and return the loss of each step."""

    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(latents), (batch,), generator=generator)
        z, t, v = noised(latents[rows], abar, generator)
        told = drop_captions(words[rows], DROP, generator).to(z.device)
        return (model(z, t, told) - v).square().mean()

    return train(model, loss, steps, SECOND_RATE, schedule="onecycle", seed=seed, bf16=True, description="diffusion")


def step_flops(model: nn.Module, latents: Tensor, words: Tensor, batch: int) -> int:
    """Return the floating-point operations of one training step on a batch, both passes, as PyTorch counts them."""
    t = torch.zeros(batch, dtype=torch.long, device=latents.device)
    with FlopCounterMode(display=False) as counter:
        model(latents[:batch], t, words[:batch]).square().mean().backward()
    model.zero_grad()
    return int(counter.get_total_flops())


@torch.no_grad()
def encoded(model: Autoencoder, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return means and logarithms of variances of all images, in pieces that need little memory."""
    parts = [model.encode(piece) for piece in images.split(500)]
    mean, logvar = (torch.cat(list(part)) for part in zip(*parts, strict=True))
    return mean, logvar


def captioned(data: Drawings, count: int) -> tuple[Tensor, Tensor]:
    """Return the words and kinds of the first `count` drawings, which go through all 30 kinds."""
    return data.words[:count], data.kinds[:count]
