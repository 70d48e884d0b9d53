"""The nodes of tensors that are sent by their contents."""

from typing import TYPE_CHECKING, Any

import torch

from studium_graders.engine.remote import arrays
from studium_graders.engine.remote.strides import shape_node
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import TooLargeError

if TYPE_CHECKING:
    from studium_graders.engine.remote.encode import Encoder


def contents(value: torch.Tensor, encoder: "Encoder", message_mb: int) -> list[Any]:
    """Give dtype, shape and bytes of a dense tensor. Raise TooLargeError beyond ``message_mb``."""
    if value.is_quantized:
        raise TypeError("a quantized tensor cannot be sent; give its int_repr() or dequantize() it")
    data = arrays.tensor_bytes(value, message_mb << 20)
    return [str(value.dtype).removeprefix("torch."), shape_node(value), encoder.buffer(data)]


def plain_node(value: torch.Tensor, encoder: "Encoder", message_mb: int) -> list[Any]:
    """Give the node of a tensor without a history, dense or sparse. Raise TooLargeError for other layouts."""
    encoder.register(value)
    if value.layout is torch.strided:
        return [Tag.TENSOR, *contents(value, encoder, message_mb)]
    if value.layout is not torch.sparse_coo:
        raise TooLargeError(f"a tensor of layout {value.layout} cannot be sent; make it dense with to_dense()")
    plain = value.detach().coalesce()
    return [Tag.SPARSE, encoder.encode(plain.indices()), encoder.encode(plain.values()), list(plain.shape)]
