"""Modules whose weights come from a test's own generator, so a secret seed changes them too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def drawn(build: Callable[[], Module], rng: torch.Generator, scale: float = 0.5) -> Module:
    """Return the module that build() makes, on the CPU, with parameters and buffers drawn by rng from N(0, scale²).

    Torch's global generator is unchanged.
    """
    with torch.random.fork_rng([]):
        module = build()
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.copy_(scale * torch.randn(tensor.shape, generator=rng))
    return module
