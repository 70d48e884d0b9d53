"""Rotary positions, as given: the topic `rope` takes them apart. Here they are how a decoder tells near from far."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x: Tensor, base: float = 10_000.0) -> Tensor:
    """Turn the vectors of queries or keys by angles that grow with their position: (..., T, d) to (..., T, d).

    The score of a query and a key then depends on how far apart they are. d is even; position t is row t; the two
    halves of a vector form its pairs, as in Llama. Source: Su et al. 2021, arXiv 2104.09864, equation 34.
    """
    length, size = x.shape[-2:]
    rate = base ** -(torch.arange(0, size, 2, device=x.device) / size)  # (d / 2,)
    angle = torch.outer(torch.arange(length, device=x.device), rate)  # (T, d / 2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
