"""Llama in full: the exercises' functions as a library would ship them, a module, and its speed on a GPU.

Touvron et al. 2023 (arXiv 2302.13971). Everything follows the device and dtype of its inputs; attention is PyTorch's
fused one, which on CUDA is FlashAttention.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.decoder_only.model import Copier, Rotate, Sizes, fresh_checkpoint
from studium_topics.decoder_only.rotary import rotate
from studium_topics.kits.training import train

NAMES = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
NAMES |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
NAMES |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}


def rmsnorm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """Return x (..., D) over its root mean square, computed in float32 at least, then in x's dtype times gain (D,)."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype) * gain


def causal_attention(
    x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, heads: int, rotate: Rotate | None = None
) -> Tensor:
    """Return multi-head attention in which position t sees 0..t: x (B, T, D), weights (D, D) as in nn.Linear."""
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    if rotate is not None:
        q, k = rotate(q), rotate(k)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D / H)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


def llama_block(
    x: Tensor, weights: Mapping[str, Tensor], heads: int, rotate: Rotate | None = None, eps: float = 1e-6
) -> Tensor:
    """Return the stream after one pre-norm layer with a gated feed-forward network: x (B, T, D) to (B, T, D)."""
    q, k, v, o, gate, up, down = (weights[name] for name in ("q", "k", "v", "o", "gate", "up", "down"))
    attended = causal_attention(rmsnorm(x, weights["attention_norm"], eps), q, k, v, o, heads, rotate)
    z = rmsnorm(x + attended, weights["mlp_norm"], eps)
    return x + attended + (F.silu(z @ gate.mT) * (z @ up.mT)) @ down.mT


def lm_loss(logits: Tensor, ids: Tensor, ignore: int = -100) -> Tensor:
    """Return the mean cross-entropy in nats of each token given those before it: logits (B, T, V), ids (B, T)."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ignore)


def filter_logits(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """Return logits (V,) over temperature, with -inf for the tokens that top-k and then top-p remove."""
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
    """Return how much each head looks at the token that followed last time: attention (L, H, T, T) to (L, H)."""
    return attention.diagonal(1 - period, -2, -1)[..., 1:].mean(-1)


def llama_parameters(vocabulary: int, width: int, layers: int, hidden: int, kv_width: int, tied: bool) -> int:
    """Return the number of parameters; kv_width is the width of keys and values, `width` where no head shares them."""
    attention = 2 * width * width + 2 * width * kv_width
    return (2 - tied) * vocabulary * width + layers * (attention + 3 * width * hidden + 2 * width) + width


def llama(
    checkpoint: Mapping[str, Tensor], ids: Tensor, heads: int, rotate: Rotate | None = None, eps: float = 1e-6
) -> Tensor:
    """Return next-token logits (B, T, V) for ids (B, T), with weights under the names of published checkpoints."""
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers_of(checkpoint)):
        x = llama_block(x, layer_weights(checkpoint, layer), heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    return F.linear(x, checkpoint.get("lm_head.weight", table))


def layers_of(checkpoint: Mapping[str, Tensor]) -> int:
    """Return the number of layers in a checkpoint."""
    return len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})


def layer_weights(checkpoint: Mapping[str, Tensor], layer: int) -> dict[str, Tensor]:
    """Return the weights of one layer under the names that `llama_block` uses."""
    return {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in NAMES.items()}


class Llama(nn.Module):
    """The same model as a module that holds its weights, for `throughput`; its logits are (B, T, V) for ids (B, T).

    compile: let torch.compile fuse the layers, which pays on CUDA alone.
    """

    def __init__(self, sizes: Sizes, *, seed: int = 0, compile: bool = False) -> None:  # noqa: A002 - torch's word
        super().__init__()
        self.sizes = sizes
        weights = fresh_checkpoint(sizes, seed=seed)
        self.weights = nn.ParameterDict({name.replace(".", "/"): nn.Parameter(w) for name, w in weights.items()})
        self._llama = torch.compile(llama) if compile and torch.cuda.is_available() else llama

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits (B, T, V) of the token after each."""
        checkpoint = {name.replace("/", "."): weight for name, weight in self.weights.items()}
        return self._llama(checkpoint, ids, self.sizes.heads, rotate, self.sizes.eps)


@torch.no_grad()
def generate(
    model: Callable[[Tensor], Tensor], ids: Tensor, new: int, generator: torch.Generator, context: int,
    temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
) -> Tensor:  # fmt: skip
    """Return ids (T,) continued by `new` drawn tokens; the model sees the last `context` tokens at most."""
    for _ in range(new):
        logits = model(ids[None, -context:])[0, -1].to(generator.device)
        kept = filter_logits(logits.float(), temperature, top_k, top_p)
        following = torch.multinomial(kept.softmax(-1), 1, generator=generator)
        ids = torch.cat([ids, following.to(ids.device)])
    return ids


def opening_scores(text: str, seed: int = 0) -> Tensor:
    """Return the scores (2, 2, T, T) on `text` of two layers of attention, trained on letters that repeat.

    Rounded to two digits they are the lesson's `opening.json`. Letters are drawn at random and start again after 4 to
    8 of them; the loss counts from the ninth.
    """
    model = Copier(Sizes(26, heads=2), rmsnorm=rmsnorm, causal_attention=causal_attention, seed=seed)

    def loss(generator: torch.Generator) -> Tensor:
        fresh = torch.randint(26, (32, 8), generator=generator)
        ids = fresh.gather(1, torch.arange(20) % torch.randint(4, 9, (32, 1), generator=generator))
        return lm_loss(model(ids), F.pad(ids[:, 8:], (8, 0), value=-100))

    train(model, loss, 400, 1e-2, schedule="onecycle", clip=1.0, seed=seed)
    return model.scores(torch.tensor([ord(letter) - ord("a") for letter in text]))


def flops_per_token(parameters: int, layers: int, width: int, length: int) -> int:
    """Return about how many floating-point operations a token costs in training: 6 N + 12 L D T.

    Source: Kaplan et al. 2020, arXiv 2001.08361, section 2.1, forward (a third of it) and backward.
    """
    return 6 * parameters + 12 * layers * width * length


def throughput(model: nn.Module, ids: Tensor, steps: int = 20) -> float:
    """Return the tokens a second in training (forward and backward) on ids (B, T), after a warm-up."""

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
