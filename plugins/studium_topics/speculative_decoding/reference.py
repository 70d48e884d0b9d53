"""Speculative decoding in full: the exercises' functions, and a loop that stays on the device, with its speed.

The loop has static caches, so that no shape changes from turn to turn: on CUDA each pass can be one CUDA graph, and the
CPU waits for the GPU once a turn. Weights may be bfloat16; probabilities are compared in float32 or better.
Sources: Leviathan et al. 2022 (arXiv 2211.17192), Chen et al. 2023 (2302.01318), Miao et al. 2023 (2305.09781).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.kits.tiny_lm import Layer, TinyLM
from studium_topics.speculative_decoding.chance import Chance
from studium_topics.speculative_decoding.readers import Reader


def acceptance(p: Tensor, q: Tensor) -> Tensor:
    """Return the probability that a token drafted from q is kept: (..., V) and (..., V) to (...).

    It is 1 minus the total variation distance (Leviathan et al., theorem 3.5 and corollary 3.6).
    """
    return torch.minimum(p, q).sum(-1)


def residual(p: Tensor, q: Tensor) -> Tensor:
    """Return the distribution (..., V) that replaces a rejected token: max(0, p - q), normalised; p where p = q."""
    rest = p - torch.minimum(p, q)
    same = ~rest.any(-1, keepdim=True)
    return F.normalize(torch.where(same, p, rest), p=1, dim=-1, eps=0)


def verify(p: Tensor, q: Tensor, drafted: Sequence[int], chance: Chance) -> list[int]:
    """Return the tokens that a pass adds: kept ones of gamma drafted ones, and a replacement or one more.

    p (gamma + 1, V), q (gamma, V): the distributions of target and draft.
    """
    kept = 0
    while kept < len(drafted):
        token = drafted[kept]
        if not chance.happens(min(1.0, float(p[kept, token] / q[kept, token]))):
            return [*drafted[:kept], chance.pick(residual(p[kept], q[kept]))]
        kept += 1
    return [*drafted, chance.pick(p[kept])]


def propose(draft: Reader, text: Sequence[int], gamma: int, chance: Chance) -> tuple[list[int], Tensor]:
    """Return gamma tokens drawn from the draft behind text, and the rows (gamma, V) that they were drawn from."""
    whole, rows = list(text), []
    for _ in range(gamma):
        rows.append(draft.read(whole[draft.length :])[-1])
        whole.append(chance.pick(rows[-1]))
    return whole[len(text) :], torch.stack(rows)


def speculate(
    target: Reader, draft: Reader, prompt: Sequence[int], new: int, gamma: int, stop: int, chance: Chance
) -> tuple[list[int], list[int]]:
    """Return up to `new` tokens behind prompt, the last of them `stop` if it comes, and what each pass kept."""
    found: list[int] = []
    kept: list[int] = []
    while len(found) < new and stop not in found:
        text = [*prompt, *found]
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read([*text, *drafted][target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        if stop in tokens:
            tokens = tokens[: tokens.index(stop) + 1]
        found = [*found, *tokens][:new]
        for reader in (target, draft):
            reader.crop(len(prompt) + len(found) - 1)
    return found, kept


def expected_tokens(alpha: float, gamma: int) -> float:
    """Return the mean number of tokens of a pass (Leviathan et al., equation 1); gamma + 1 at alpha = 1."""
    return float(gamma + 1) if alpha == 1 else (1 - alpha ** (gamma + 1)) / (1 - alpha)


def best_gamma(alpha: float, cost: float, longest: int) -> tuple[int, float]:
    """Return the gamma from 0 to `longest` with the largest speed-up, and that (Leviathan et al., theorem 3.8)."""
    speedups = [expected_tokens(alpha, gamma) / (gamma * cost + 1) for gamma in range(longest + 1)]
    best = max(speedups)
    return speedups.index(best), best


def verify_among(p: Tensor, q: Tensor, candidates: Sequence[int], chance: Chance) -> int:
    """Return a token distributed as p (V,), one of the candidates drawn from q (V,) if possible (Miao et al. 2023)."""
    for token in candidates:
        if chance.happens(min(1.0, float(p[token] / q[token]))):
            return token
        p = residual(p, q)
    return chance.pick(p)


class StaticLM:
    """A TinyLM with room for `capacity` tokens; `read` takes ids (t,) and returns logits (t, V), all on one device.

    compile: let torch.compile make a CUDA graph of each number of tokens t that is read; ignored on the CPU.
    """

    def __init__(self, model: TinyLM, capacity: int, *, compile: bool = False) -> None:  # noqa: A002 - torch's word
        table, heads = model.embedding.weight, model.layers[0].attention.heads
        size = table.shape[1] // heads
        self.model, self.capacity, self.length = model, capacity, 0
        self.keys, self.values = table.new_zeros(2, len(model.layers), 1, heads, capacity, size)
        rate = 10_000.0 ** -(torch.arange(0, size, 2, device=table.device) / size)
        angle = torch.outer(torch.arange(capacity, device=table.device), rate)  # (C, d / 2)
        self._cos, self._sin = angle.cos().to(table.dtype), angle.sin().to(table.dtype)
        fused = compile and table.is_cuda
        if fused:  # a CUDA graph writes to addresses, so it has to be told that these stay
            torch._dynamo.mark_static_address(self.keys)
            torch._dynamo.mark_static_address(self.values)
        self._step = torch.compile(self._run, mode="reduce-overhead", fullgraph=True) if fused else self._run

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        """Read t tokens behind the first `length`; return the logits behind each.

        Raise ValueError if they do not fit.
        """
        end = self.length + len(ids)
        if end > self.capacity:
            raise ValueError(f"the cache needs room for {end} tokens, got {self.capacity}: make a larger one")
        positions = torch.arange(self.length, end, device=ids.device)
        self.length = end
        return self._step(ids, positions).clone()  # the next pass of a CUDA graph writes to the same place

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing is moved."""
        self.length = min(self.length, length)

    def _run(self, ids: Tensor, positions: Tensor) -> Tensor:
        x = self.model.embedding(ids)[None]  # (1, t, D)
        visible = torch.arange(self.capacity, device=ids.device) <= positions[:, None]  # (t, C)
        for number, layer in enumerate(self.model.layers):
            x = x + self._attention(layer, number, layer.attention_norm(x), positions, visible)
            x = x + layer.mlp(layer.mlp_norm(x))
        return self.model.head(self.model.norm(x))[0]

    def _attention(self, layer: Layer, number: int, z: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
        part = layer.attention
        q, k, v = (linear(z).unflatten(-1, (part.heads, -1)).transpose(1, 2) for linear in (part.q, part.k, part.v))
        keys, values = self.keys[number], self.values[number]
        keys.index_copy_(2, positions, self._turned(k, positions))
        values.index_copy_(2, positions, v)
        mixed = F.scaled_dot_product_attention(self._turned(q, positions), keys, values, attn_mask=visible)
        return part.o(mixed.transpose(1, 2).flatten(2))

    def _turned(self, x: Tensor, positions: Tensor) -> Tensor:
        cos, sin = self._cos[positions], self._sin[positions]
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


def probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Return softmax(logits / temperature), in float32 or better; at 0, all weight on the largest."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    return (logits / temperature).softmax(-1)


def judge(p: Tensor, q: Tensor, drafted: Tensor, generator: torch.Generator) -> Tensor:
    """Return how many drafted tokens (gamma,) are kept, then the drafted ones, then the one that follows: (gamma + 2,).

    Nothing leaves the device. p (gamma + 1, V), q (gamma, V). A row of zeros behind q makes the token that follows a
    whole draft a case of the same rule: its residual is p itself.
    """
    needle = torch.rand(len(drafted), device=p.device, generator=generator, dtype=p.dtype)
    p_drafted, q_drafted = (rows[: len(drafted)].gather(1, drafted[:, None])[:, 0] for rows in (p, q))
    kept = (needle * q_drafted < p_drafted).long().cumprod(0).sum()
    rest = residual(p, torch.cat([q, torch.zeros_like(q[:1])]))
    last = torch.multinomial(rest.index_select(0, kept[None])[0], 1, generator=generator)
    return torch.cat([kept[None], drafted, last])


def decode(
    target: StaticLM, draft: StaticLM, prompt: Tensor, new: int, gamma: int, *, temperature: float = 1.0, seed: int = 0
) -> tuple[list[int], int]:
    """Return `new` tokens behind prompt (T,), T >= 2, and the passes of the target after the prompt was read.

    Each turn has the same shapes: the draft reads the last two tokens of the text, since it may have missed one, and
    then one at a time; the target reads gamma + 1. Raises ValueError for a prompt of fewer tokens.
    """
    if len(prompt) < 2:
        raise ValueError(f"the prompt needs at least two tokens, got {len(prompt)}: begin with a token of your own")
    generator = torch.Generator(prompt.device).manual_seed(seed)
    text, passes = prompt.tolist(), 0
    for model in (target, draft):
        model.crop(0)
        model.read(prompt[:-1])
    while len(text) < len(prompt) + new:
        draft.crop(len(text) - 2)
        ids, rows, drafted = torch.tensor(text[-2:], device=prompt.device), [], []
        for _ in range(gamma):
            rows.append(probabilities(draft.read(ids)[-1], temperature))
            ids = torch.multinomial(rows[-1], 1, generator=generator)
            drafted.append(ids)
        proposed = torch.cat(drafted)
        logits = target.read(torch.cat([torch.tensor(text[-1:], device=prompt.device), proposed]))
        kept, *tokens = judge(probabilities(logits, temperature), torch.stack(rows), proposed, generator).tolist()
        text += [*tokens[:kept], tokens[-1]]
        target.crop(len(text) - 1)
        passes += 1
    return text[len(prompt) : len(prompt) + new], passes


def pass_seconds(model: StaticLM, context: int, tokens: int, repeats: int = 20) -> float:
    """Return the seconds of a pass over `tokens` tokens behind `context` others: the median after a warm-up."""
    device = model.keys.device
    ids = torch.randint(model.model.embedding.num_embeddings, (context + tokens,), device=device)
    model.crop(0)
    model.read(ids[:context])
    measured = []
    for _ in range(repeats + 3):
        model.crop(context)
        begun = _now(device)
        model.read(ids[context:])
        measured.append(_now(device) - begun)
    return sorted(measured[3:])[repeats // 2]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
