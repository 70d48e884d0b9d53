"""Llama in full: the exercises' functions as one would ship them, the model, and what it costs on a GPU.

Touvron et al. 2023 (arXiv 2302.13971). Everything follows the device and dtype of its inputs; attention is PyTorch's
fused one, which on CUDA is FlashAttention.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.decoder_only.model import Rotate, Sizes, block
from studium_topics.decoder_only.rotary import rotate


def rmsnorm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """x (..., D) over its root mean square, computed in float32 at least, then in x's dtype times gain (D,)."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype) * gain


def causal_attention(
    x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, heads: int, rotate: Rotate | None = None
) -> Tensor:
    """Multi-head self-attention in which position t sees 0..t: x (B, T, D), weights (D, D) as in nn.Linear."""
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    if rotate is not None:
        q, k = rotate(q), rotate(k)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D / H)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


def llama_block(
    x: Tensor, weights: Mapping[str, Tensor], heads: int, rotate: Rotate | None = None, eps: float = 1e-6
) -> Tensor:
    """One pre-norm layer with a gated feed-forward network: x (B, T, D) to (B, T, D)."""
    attention = (weights[name] for name in ("q", "k", "v", "o"))
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])  # (B, T, F)
    return x + F.linear(gated, weights["down"])


def lm_loss(logits: Tensor, ids: Tensor, ignore: int = -100) -> Tensor:
    """Mean cross-entropy in nats of each token given those before it: logits (B, T, V), ids (B, T)."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)


def filter_logits(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """logits (V,) over temperature, with -inf for what top-k and then top-p take away."""
    scaled = logits / temperature
    if top_k is not None:
        weakest = scaled.topk(min(top_k, len(scaled))).values[-1]
        scaled = scaled.masked_fill(scaled < weakest, float("-inf"))
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True, stable=True)
        beyond = probability.cumsum(-1) - probability >= top_p  # what stands before it is enough already
        beyond[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(beyond).scatter(0, order, beyond), float("-inf"))
    return scaled


def induction_score(attention: Tensor, period: int) -> Tensor:
    """How much each head looks at what followed last time: attention (L, H, T, T) to (L, H)."""
    return attention.diagonal(1 - period, -2, -1)[..., 1:].mean(-1)


def llama_parameters(vocabulary: int, width: int, layers: int, hidden: int, kv_width: int, tied: bool) -> int:
    """How many numbers a Llama has; kv_width is the width of keys and values, `width` where no head shares them."""
    attention = 2 * width * width + 2 * width * kv_width
    return (2 - tied) * vocabulary * width + layers * (attention + 3 * width * hidden + 2 * width) + width


class Llama(nn.Module):
    """The whole model, its logits (B, T, V) for ids (B, T); dtype and device as one moves it.

    compile: let torch.compile fuse the layers, which pays on CUDA alone.
    """

    def __init__(self, sizes: Sizes, *, seed: int = 0, compile: bool = False) -> None:  # noqa: A002 - torch's word
        super().__init__()
        self.sizes = sizes
        self.embedding = nn.Embedding(sizes.vocabulary, sizes.width)
        self.layers = nn.ModuleList(block(sizes) for _ in range(sizes.layers))
        self.norm = nn.Parameter(torch.ones(sizes.width))
        self.head = nn.Linear(sizes.width, sizes.vocabulary, bias=False)
        self._initialise(torch.Generator().manual_seed(seed))
        self._layer = torch.compile(llama_block) if compile and torch.cuda.is_available() else llama_block

    def _initialise(self, generator: torch.Generator) -> None:
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5, generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        """The logits (B, T, V) of the token after each."""
        x = self.embedding(ids)
        for layer in self.layers:
            x = self._layer(x, dict(layer.named_parameters()), self.sizes.heads, rotate, self.sizes.eps)
        return self.head(rmsnorm(x, self.norm, self.sizes.eps))


@torch.no_grad()
def generate(
    model: nn.Module, ids: Tensor, new: int, generator: torch.Generator, *, temperature: float = 1.0,
    top_k: int | None = None, top_p: float | None = None,
) -> Tensor:  # fmt: skip
    """Continue ids (T,) by `new` sampled tokens, each from the filtered logits of the whole text so far."""
    for _ in range(new):
        logits = filter_logits(model(ids[None])[0, -1].float().cpu(), temperature, top_k, top_p)
        following = torch.multinomial(logits.softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, following.to(ids.device)])
    return ids


def flops_per_token(parameters: int, layers: int, width: int, length: int) -> int:
    """About how many floating-point operations a token costs in training: 6 N + 12 L D T.

    Source: Kaplan et al. 2020, arXiv 2001.08361, section 2.1, forward (a third of it) and backward.
    """
    return 6 * parameters + 12 * layers * width * length


def throughput(model: nn.Module, ids: Tensor, steps: int = 20) -> float:
    """Tokens a second in training (forward and backward) on ids (B, T), after a warm-up."""

    def step() -> None:
        with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.is_cuda):
            loss = lm_loss(model(ids), ids)
        loss.backward()

    for _ in range(3):
        step()
    if ids.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if ids.is_cuda:
        torch.cuda.synchronize()
    return steps * ids.numel() / (time.perf_counter() - start)
