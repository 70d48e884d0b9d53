"""Rotary positions, as given: vectors of queries or keys, rotated by the position of their token in the whole text."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x: Tensor, start: int = 0, base: float = 10_000.0) -> Tensor:
    """Return the vectors of t tokens rotated for positions start, start + 1, …: (..., t, d) to (..., t, d).

    The score of a query and a key then depends on how far apart they are. d is even; coordinates 2i and 2i + 1 form a
    pair, as in `kits.tiny_lm`. Source: Su et al. 2021, arXiv 2104.09864, equation 34.
    """
    length, size = x.shape[-2:]
    rate = base ** -(torch.arange(0, size, 2, device=x.device) / size)  # (d / 2,)
    angle = torch.outer(start + torch.arange(length, device=x.device), rate)  # (t, d / 2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)
