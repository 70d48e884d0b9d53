"""What a function makes while it runs: the largest tensor, whatever library call made it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Largest(TorchDispatchMode):
    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = (leaf.untyped_storage().nbytes() for leaf in tree_leaves(made) if isinstance(leaf, Tensor))
        self.size = max(self.size, *sizes, 0)
        return made


@torch.no_grad()
def largest_made(function: Callable[..., Any], *arguments: Any) -> int:
    """The bytes of the largest tensor that any operation gives while function(*arguments) runs.

    A view counts as what it looks at. The inside of a fused kernel is one operation, and what it keeps is not seen.
    """
    with _Largest() as largest:
        function(*arguments)
    return largest.size
