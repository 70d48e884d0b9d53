"""Parameters as bytes that a wheel can ship and a page can carry: one byte per number, and a scale per row."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Numbers = NDArray[Any]


def packed(model: nn.Module) -> tuple[Numbers, Numbers]:
    """Return all parameters (n,) as uint8, and what a unit is worth in each row of each of them (rows,) as float32.

    A byte is 128 + a whole number from -127 to 127. A row is what the first index of a parameter selects.
    """
    rows = [part.detach().float().cpu().reshape(len(part), -1) for part in model.parameters()]
    scales = [part.abs().amax(1).clamp(min=1e-12) / 127 for part in rows]
    numbers = [128 + (part / scale[:, None]).round() for part, scale in zip(rows, scales, strict=True)]
    return torch.cat([part.flatten() for part in numbers]).byte().numpy(), torch.cat(scales).numpy()


@torch.no_grad()
def unpack(model: nn.Module, weights: Numbers, scales: Numbers) -> None:
    """Set all parameters of a model of the same shape to what `packed` returned."""
    byte = row = 0
    for part in model.parameters():
        numbers = torch.from_numpy(weights[byte : byte + part.numel()].astype(np.float32)) - 128
        factors = torch.from_numpy(scales[row : row + len(part)].copy())
        part.copy_((numbers.view(len(part), -1) * factors[:, None]).view_as(part))
        byte, row = byte + part.numel(), row + len(part)


def layout(model: nn.Module) -> list[str]:
    """Return the name and shape of each parameter in the order of `packed`, such as "enter.weight 16 3 3 3"."""
    return [f"{name} {' '.join(map(str, part.shape))}" for name, part in model.named_parameters()]


def sizes(layout: list[str]) -> tuple[int, int]:
    """Return how many weights and how many scales belong to a layout."""
    shapes = [[int(length) for length in text.split()[1:]] for text in layout]
    return sum(int(np.prod(shape)) for shape in shapes), sum(shape[0] for shape in shapes)


def write(path: Path, model: nn.Module, **more: Numbers) -> None:
    """Write a model, and other arrays, to a compressed NumPy file."""
    weights, scales = packed(model)
    np.savez_compressed(path, weights=weights, scales=scales, **more)


def read(package: str, name: str) -> dict[str, Numbers]:
    """Return the arrays in a file that `write` wrote into a package's folder."""
    with files(package).joinpath(name).open("rb") as file, np.load(file) as kept:
        return dict(kept)
