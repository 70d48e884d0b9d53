"""Parameters as text that ships with the lesson: one byte for each number, and a scale for each row."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Numbers = np.ndarray[Any, Any]


def packed(model: nn.Module) -> tuple[Numbers, Numbers]:
    """Return all parameters, each number as 128 + a whole number from -127 to 127, and the scale of each row."""
    rows = [part.detach().float().cpu().flatten(1) if part.ndim > 1 else part.detach().float().cpu()[:, None]
            for part in model.parameters()]  # fmt: skip
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


def as_text(**arrays: Numbers | Tensor) -> dict[str, str]:
    """Return arrays of bytes or of float32 numbers as base64."""
    return {name: base64.b64encode(np.asarray(array).tobytes()).decode("ascii") for name, array in arrays.items()}


def from_file(name: str) -> dict[str, Any]:
    """Return the content of a JSON file of this folder; arrays are read back, `weights` as bytes, others as float32."""
    saved = json.loads(files(__package__).joinpath(name).read_text("utf-8"))
    for key, value in saved.items():
        if isinstance(value, str):
            saved[key] = np.frombuffer(base64.b64decode(value), np.uint8 if key == "weights" else "<f4")
    return saved
