"""The full implementation: projected attention with any leading axes, in any precision, and a module that shares E, F.

On CUDA everything runs in the precision of the inputs, bfloat16 included, through PyTorch's fused attention.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor, nn

from studium_topics.linformer import experiment, model
from studium_topics.linformer.tasks import TASKS

Sharing = Literal["headwise", "kv", "layerwise"]


def kept_energy(p: Tensor, rank: int) -> Tensor:
    """Return the share (...,) of the energy of p (..., n, m) that its best approximation of a rank keeps.

    Source: Eckart and Young 1936. Half precision is decomposed in float32.
    """
    energy = torch.linalg.svdvals(p.to(torch.promote_types(p.dtype, torch.float32))).square()
    return energy[..., :rank].sum(-1) / energy.sum(-1)


def project(x: Tensor, e: Tensor, pad: Tensor | None) -> Tensor:
    """Return the slots (B, H, slots, d) of x (B, H, n, d) by e (slots, n), without tokens where pad (B, n) is true."""
    if pad is not None:
        x = x.masked_fill(pad[:, None, :, None], 0.0)
    return torch.einsum("sj,bhjd->bhsd", e.to(x.dtype), x)


def linformer_attention(q: Tensor, k: Tensor, v: Tensor, e: Tensor, f: Tensor, pad: Tensor | None) -> Tensor:
    """Return softmax(Q (E K)ᵀ / √d) (F V), (B, H, n, d). Source: Wang et al. 2020, section 4."""
    return F.scaled_dot_product_attention(q, project(k, e, pad), project(v, f, pad))


def multiplications(heads: int, length: int, width: int, slots: int) -> tuple[int, int]:
    """Return the multiplications of full and of projected attention for one text."""
    products = 2 * heads * length * width
    return products * length, products * 2 * slots


def random_projection(slots: int, length: int, generator: torch.Generator) -> Tensor:
    """Return E (slots, length) of independent normal entries with E[EᵀE] = I."""
    return torch.randn(slots, length, generator=generator).div_(math.sqrt(slots))


def encode(
    x: Tensor, pad: Tensor | None, layers: list[dict[str, Tensor]], heads: int, attend: Callable[..., Tensor] | None
) -> Tensor:
    """Return the states (B, n, D) of a pre-norm encoder; attend=None projects by each layer's "e" and "f"."""
    for layer in layers:
        x = x + _attention_half(x, pad, layer, heads, attend)
        hidden = F.gelu(_linear(_norm(x, layer, "norm2"), layer, "up"))
        x = x + _linear(hidden, layer, "down")
    return x


def _attention_half(
    x: Tensor, pad: Tensor | None, layer: dict[str, Tensor], heads: int, attend: Callable[..., Tensor] | None
) -> Tensor:
    h = _norm(x, layer, "norm1")
    q, k, v = (_linear(h, layer, name).unflatten(-1, (heads, -1)).transpose(1, 2) for name in "qkv")
    mixed = attend(q, k, v, pad) if attend else linformer_attention(q, k, v, layer["e"], layer["f"], pad)
    return _linear(mixed.transpose(1, 2).flatten(2), layer, "o")


def _linear(x: Tensor, layer: dict[str, Tensor], name: str) -> Tensor:
    return F.linear(x, layer[f"{name}.weight"], layer[f"{name}.bias"])


def _norm(x: Tensor, layer: dict[str, Tensor], name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], layer[f"{name}.weight"], layer[f"{name}.bias"])


def influence(f: Callable[[Tensor], Tensor], x: Tensor, noise: Tensor) -> Tensor:
    """Return (n, n): the largest change of row i of f(x) when noise[j] is added to row j of x (n, D) alone."""
    before = f(x)
    changes = [(f(x + noise * row[:, None]) - before).abs().amax(-1) for row in torch.eye(len(x)).to(x)]
    return torch.stack(changes, 1)


def causal_summaries(q: Tensor, k: Tensor, v: Tensor, e: Tensor, f: Tensor) -> Tensor:
    """Return causal attention (B, H, n, d) to a summary of each earlier block of len(e) tokens and to the own block."""
    n, c = q.shape[-2], len(e)
    place, block = torch.arange(n, device=q.device), torch.arange(n // c, device=q.device)
    own = place[:, None] // c
    keys, values = (torch.cat([w @ x.unflatten(-2, (-1, c)), x], -2) for w, x in ((e, k), (f, v)))
    mask = torch.cat([block < own, (place // c == own) & (place <= place[:, None])], -1)
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


class LinformerAttention(nn.Module):
    """Multi-head self-attention (B, n, D) -> (B, n, D) over `slots` projected keys and values.

    length: n of all texts. sharing, as in section 4 of the paper: "headwise" has an E and an F, "kv" one matrix for
    both; for "layerwise" pass the `projections` of the first layer to all others. Source: Wang et al. 2020.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        length: int,
        slots: int,
        *,
        sharing: Sharing = "headwise",
        projections: nn.ParameterList | None = None,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width needs to be a multiple of the {heads} heads, got {width}")
        if projections is not None and sharing != "layerwise":
            raise ValueError(f'projections are for sharing="layerwise", got sharing={sharing!r}: leave them out')
        self.heads = heads
        self.qkv, self.o = nn.Linear(width, 3 * width), nn.Linear(width, width)
        count = 2 if sharing == "headwise" else 1
        drawn = (nn.Parameter(torch.randn(slots, length) / math.sqrt(slots)) for _ in range(count))
        self.projections = nn.ParameterList(drawn) if projections is None else projections

    def forward(self, x: Tensor, pad: Tensor | None = None) -> Tensor:
        """Return the mixtures of x (B, n, D); pad (B, n) is true at padding."""
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        mixed = linformer_attention(q, k, v, self.projections[0], self.projections[-1], pad)
        return self.o(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


def seconds(
    length: int, slots: int, *, heads: int = 8, width: int = 64, device: str = "cuda", steps: int = 20
) -> float:
    """Return the mean seconds of one attention over a text: by PyTorch's fused one for slots = 0, otherwise projected.

    In bfloat16 and compiled on CUDA, in float32 elsewhere.
    """
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    q, k, v = (torch.randn(1, heads, length, width, device=device, dtype=dtype) for _ in range(3))
    e, f = (torch.randn(max(1, slots), length, device=device, dtype=dtype) / math.sqrt(max(1, slots)) for _ in range(2))
    projected = torch.compile(linformer_attention) if device.startswith("cuda") else linformer_attention

    def once() -> Tensor:
        return projected(q, k, v, e, f, None) if slots else F.scaled_dot_product_attention(q, k, v)

    with torch.no_grad():
        for _ in range(3):
            once()
        _wait(device)
        start = time.perf_counter()
        for _ in range(steps):
            once()
        _wait(device)
    return (time.perf_counter() - start) / steps


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def opening_matrices(profile: Profile, *, seed: int = 0) -> str:
    """Train a reader on each task, and return queries and keys of its first head on one text, as the opening's JSON."""
    saved = {}
    for task in TASKS:
        sizes = model.Sizes(profile.choose(smoke=32, laptop=128, gpu=128))
        reader = model.Reader(sizes, encode, random_projection, seed=seed).to(profile.device)
        experiment.fit(reader, task, profile=profile, seed=seed)
        parts: dict[str, Any] = {}

        def attend(q: Tensor, k: Tensor, v: Tensor, pad: Tensor | None, parts: dict[str, Any] = parts) -> Tensor:
            parts |= {"q": _rounded(q[0, 0]), "k": _rounded(k[0, 0])}
            return model.full_attention(q, k, v, pad)

        reader.attend = attend
        with torch.no_grad():
            reader(experiment.unseen(task, 1, profile, seed))
        saved[task] = parts
    return json.dumps(saved)


def _rounded(x: Tensor) -> dict[str, Any]:
    """Return x (n, d) in 255 steps between its extremes."""
    step = float(x.abs().max()) / 127
    whole = (x / step).round().to(torch.int8).cpu().numpy()
    return {"shape": list(x.shape), "step": step, "bytes": base64.b64encode(whole.tobytes()).decode()}
