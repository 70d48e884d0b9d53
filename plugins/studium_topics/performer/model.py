"""A small decoder to which attention is handed as a function, so that one model can read with any kind of attention."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.kits.tiny_lm import TinyLM, rotated

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def softmax_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return exact causal attention of q, k, v (B, H, T, d)."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def average_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return the mean of all values so far, whatever q and k are: attention that cannot choose."""
    seen = torch.arange(1, v.shape[-2] + 1, device=v.device, dtype=v.dtype)
    return v.cumsum(-2) / seen[:, None]


class Decoder(TinyLM):
    """A `TinyLM` that takes its attention with each call: model(ids (B, T), attend) gives logits (B, T, V).

    attend(q, k, v) takes the queries, keys and values of all heads, (B, H, T, d), with rotary positions already in q
    and k, and returns (B, H, T, d). The division by √d is left to it, and so is the causal mask.
    """

    def forward(self, ids: Tensor, attend: Attend = softmax_attention) -> Tensor:
        x = self.embedding(ids)  # (B, T, D)
        for layer in self.layers:
            part = layer.attention
            z = layer.attention_norm(x)
            q, k, v = (linear(z).unflatten(-1, (part.heads, -1)).transpose(1, 2) for linear in (part.q, part.k, part.v))
            x = x + part.o(attend(rotated(q), rotated(k), v).transpose(1, 2).flatten(2))
            x = x + layer.mlp(layer.mlp_norm(x))
        return self.head(self.norm(x))


def decoder(vocabulary: int, seed: int = 0, **sizes: int) -> Decoder:
    """Return a Decoder with the weights of `seed`; the global random state is left as it was found."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed the GPUs
        return Decoder(vocabulary, **sizes)
