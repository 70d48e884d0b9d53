"""Recurrent layers of torch's: compiled code takes their word for the shapes of their weights, and reads as far."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import nn

_check_input: Any = nn.RNNBase.check_input


def require_fitting_weights() -> None:
    """Let recurrent layers in this process compute only with weights of the shapes that follow from their sizes."""
    nn.RNNBase.check_input = _check  # type: ignore[method-assign, assignment]


def _check(layer: nn.RNNBase, given: torch.Tensor, batch_sizes: torch.Tensor | None) -> None:
    _check_input(layer, given, batch_sizes)
    found = [tuple(weight.shape) for weight in layer._flat_weights if weight is not None]
    if found != list(islice(_shapes(layer), len(found) + 1)):
        raise RuntimeError(f"the weights of this {type(layer).__name__} do not fit its sizes")


def _shapes(layer: nn.RNNBase) -> Iterator[tuple[int, ...]]:
    """Give the shapes of a layer's weights, in the order in which they are handed over."""
    gates = (4 if isinstance(layer, nn.LSTM) else 3 if isinstance(layer, nn.GRU) else 1) * layer.hidden_size
    directions, given = 2 if layer.bidirectional else 1, layer.proj_size or layer.hidden_size
    for number in range(layer.num_layers):
        for _ in range(directions):
            yield gates, given * directions if number else layer.input_size
            yield gates, given
            if layer.bias:
                yield from ((gates,), (gates,))
            if layer.proj_size:
                yield layer.proj_size, layer.hidden_size
