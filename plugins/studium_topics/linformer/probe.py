"""Two meters: the largest tensor that a function makes, and the multiplications of its matrix products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits.peak import PeakTensor


def measured(function: Callable[[], Tensor]) -> tuple[int, int]:
    """Return the multiplications and the largest tensor, in numbers, of one call.

    PyTorch's counter sees nothing of its fused attention on CPUs, so the call uses the plain one.
    """
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as counter:
            function()
        with PeakTensor() as peak:
            function()
    return counter.get_total_flops() // 2, peak.largest
