"""A small trained U-Net that draws shapes of `kits.shapes` at 16 × 16 pixels; its weights are in a file next to this
one.

``python -m studium_topics.kits.shapes_unet`` trains it again and writes the file: one seed, one thread, a few minutes.
`packing` stores the weights as bytes, so a page can carry the network.
"""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from studium_topics.kits import packing, shapes
from studium_topics.kits.diffusion import UNet, linear_betas

LEVELS, SIDE, WIDTHS = 100, 16, (16, 32, 48)
KINDS = [shapes.Shape(*row, 0.0, 0.0, 0.0).caption for row in shapes.kinds().tolist()]  # "a small red disc", …
NO_KIND = len(KINDS)  # the label of images whose kind is not told (Ho and Salimans 2022)
SEED, STEPS, BATCH, LEARNING_RATE, DECAY, UNTOLD = 0, 5000, 48, 3e-3, 0.999, 0.15
FILE = "shapes_unet.npz"


def betas() -> Tensor:
    """Return the noise schedule (LEVELS,) float64: half of DDPM's betas, which leave 0.6 % of the signal's variance.

    With DDPM's own betas, 0.002 % is left, and samplers without noise multiply the error of such a small network by
    200.
    """
    return linear_betas(LEVELS) / 2


def trained() -> UNet:
    """Return the trained network: `model(x, t, y)` predicts the noise in images x (B, 3, 16, 16) in [-1, 1].

    t (B,): the row of `betas()`. y (B,): the index in KINDS, or NO_KIND.
    """
    kept, model = packing.read(__package__, FILE), untrained()
    packing.unpack(model, kept["weights"], kept["scales"])
    return model.eval()


def untrained() -> UNet:
    """Return the network with the parameters of SEED; the global random state is unchanged."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(SEED)
        return UNet(LEVELS, channels=3, widths=WIDTHS, classes=len(KINDS) + 1)


def train(steps: int = STEPS) -> UNet:
    """Return the moving average of a network trained on freshly drawn shapes, one in each image."""
    model, generator = untrained(), torch.Generator().manual_seed(SEED)
    average = copy.deepcopy(model)
    abar = (1 - betas()).cumprod(0).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for step in range(steps):
        loss = _loss(model, abar, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            decay = min(DECAY, step / (step + 10))
            for kept, new in zip(average.parameters(), model.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        if step % 500 == 0:
            logging.info("step %d: loss %.4f", step, loss.item())
    return average


def _loss(model: UNet, abar: Tensor, generator: torch.Generator) -> Tensor:
    kinds = shapes.kinds()
    y = torch.randint(len(kinds), (BATCH,), generator=generator)
    x0 = shapes.draw(shapes.alone(kinds[y], generator), SIDE, generator, noise=0.0).images
    t = torch.randint(LEVELS, (BATCH,), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    signal = abar[t, None, None, None]
    untold = torch.rand(BATCH, generator=generator) < UNTOLD
    return F.mse_loss(model(signal.sqrt() * x0 + (1 - signal).sqrt() * eps, t, y.masked_fill(untold, NO_KIND)), eps)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    packing.write(Path(__file__).with_name(FILE), train())
