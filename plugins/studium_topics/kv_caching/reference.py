"""KV caching in full: the exercises' functions as a library would ship them, a Llama with a static cache, its speed.

Everything follows the device and dtype of its inputs. On CUDA the decoding step can be compiled into a CUDA graph,
which a static cache makes possible: no shape changes from token to token. Heads may share keys and values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.kits.tiny_lm import TinyLM, base_model
from studium_topics.kits.training import train


def write_cache(cache: Tensor, new: Tensor, length: int) -> Tensor:
    """Write new (B, H, t, d) behind the first `length` tokens of cache (B, H, C, d); return a view of all of them.

    Raise ValueError if they do not fit.
    """
    end = length + new.shape[2]
    if end > cache.shape[2]:
        raise ValueError(f"the cache needs room for {end} tokens, got {cache.shape[2]}: make a larger one")
    cache[:, :, length:end] = new
    return cache[:, :, :end]


def cached_mask(queries: int, keys: int) -> Tensor:
    """Return who sees whom among the last `queries` of `keys` tokens: bool (queries, keys)."""
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def cached_attention(
    x: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, heads: int, rotate: Callable[[Tensor, int], Tensor],
    keys: Tensor, values: Tensor, length: int, visible: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return what t new tokens x (B, t, D) read behind `length` tokens in keys and values (B, H, C, d)."""
    q, k, v = (F.linear(x, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wq, wk, wv))
    keys, values = write_cache(keys, rotate(k, length), length), write_cache(values, v, length)
    if visible is None and x.shape[1] > 1:  # one token sees everything
        visible = cached_mask(x.shape[1], keys.shape[2]).to(x.device)
    mixed = F.scaled_dot_product_attention(rotate(q, length), keys, values, attn_mask=visible)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


def generate(step: Callable[..., tuple[Tensor, object]], prompt: Tensor, new: int, chunk: int) -> tuple[Tensor, object]:
    """Return `new` greedy tokens after prompt (B, T), each fed once; step(ids, start, cache) is the model."""
    cache: object = None
    start = 0
    for part in prompt.split(chunk, dim=1):
        logits, cache = step(part, start, cache)
        start += part.shape[1]
    found = [logits[:, -1:].argmax(-1)]
    for at in range(start, start + new - 1):
        logits, cache = step(found[-1], at, cache)
        found.append(logits[:, -1:].argmax(-1))
    return torch.cat(found, 1), cache


def ragged_mask(pads: Tensor, queries: int, keys: int) -> Tensor:
    """Return who sees whom where row b begins with pads[b] pads: bool (B, queries, keys); a pad sees itself alone."""
    column = torch.arange(keys, device=pads.device)
    query = column[keys - queries :, None]
    return (column <= query) & (column >= pads[:, None, None]) | (column == query)


def kv_bytes(layers: int, width: int, heads: int, kv_heads: int, tokens: int, batch: int, bytes_each: float) -> float:
    """Return the bytes of a cache: a key and a value for each layer, head of keys, token and text."""
    return 2 * layers * kv_heads * (width // heads) * tokens * batch * bytes_each


def decode_flops(
    layers: int, width: int, kv_width: int, hidden: int, vocabulary: int, tokens: int, cached: bool
) -> int:
    """Return the operations of writing `tokens` tokens one by one, in closed form."""
    weights = 2 * layers * width * (width + kv_width + hidden) + vocabulary * width
    triangle = tokens * (tokens + 1) // 2  # 1 + 2 + … + T
    if cached:
        return 2 * weights * tokens + 4 * layers * width * triangle
    return 2 * weights * triangle + 4 * layers * width * triangle * (2 * tokens + 1) // 3


def paged_gather(pool: Tensor, table: Tensor, lengths: Tensor) -> list[Tensor]:
    """Return the texts in pool (P, S, G, d) by table (B, M) and lengths (B,): a list of (length, G, d)."""
    return [pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=True)]


def chat(
    step: Callable[..., tuple[Tensor, Any]], ids: list[int], memory: tuple[list[int], Any] | None, new: int, chunk: int,
    stop: int,
) -> tuple[list[int], tuple[list[int], Any]]:  # fmt: skip
    """Return a greedy answer to a conversation and what the next call needs; the common beginning is not read again."""
    fed, cache = memory or ([], None)
    start = next((at for at, (a, b) in enumerate(zip(fed, ids, strict=False)) if a != b), min(len(fed), len(ids)))
    start = min(start, len(ids) - 1)  # the last token's logits choose the answer
    text, answer = list(ids), []
    while len(answer) < new and stop not in answer:
        part = text[start : start + chunk]
        logits, cache = step(torch.tensor([part]), start, cache)
        start += len(part)
        if start == len(text):
            answer.append(int(logits[0, -1].argmax()))
            text.append(answer[-1])
    return answer, (text[:start], cache)


def opening_model(characters: str, seed: int = 0) -> TinyLM:
    """Return a model of 4 688 parameters that knows five sentences of these 16 characters by heart.

    Its weights, rounded to two digits, are the lesson's `opening.json`.
    """
    sentences = "the cat sat on the mat. the dog sat on the rug. the cat saw the dog. the dog saw the cat and ran. "
    ids = torch.tensor([characters.index(character) for character in 2 * (sentences + "the cat ran home. ")])
    model = base_model(len(characters), seed, width=16, layers=2, heads=2, hidden=32)

    def loss(generator: torch.Generator) -> Tensor:
        starts = torch.randint(len(ids) // 2, (8, 1), generator=generator)
        rows = ids[starts + torch.arange(65)]
        return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())

    train(model, loss, 600, 2e-2, schedule="onecycle", clip=1.0, seed=seed)
    return model


@dataclass
class KVCache:
    """Keys and values of all layers (L, B, G, C, d), of which the first `length` of C places are in use."""

    keys: Tensor
    values: Tensor
    length: int = 0

    @classmethod
    def empty(cls, layers: int, batch: int, kv_heads: int, capacity: int, size: int, like: Tensor) -> KVCache:
        """Return a cache with room for `capacity` tokens, of the dtype and on the device of `like`."""
        shape = (layers, batch, kv_heads, capacity, size)
        return cls(like.new_zeros(shape), like.new_zeros(shape))

    @property
    def capacity(self) -> int:
        """Return for how many tokens there is room."""
        return self.keys.shape[3]

    @property
    def nbytes(self) -> int:
        """Return the memory that is reserved, used or not."""
        return self.keys.nbytes + self.values.nbytes

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; nothing is moved.

        Raise ValueError if there are fewer.
        """
        if not 0 <= length <= self.length:
            raise ValueError(f"crop needs a length from 0 to {self.length}, got {length}: it cannot bring tokens back")
        self.length = length


@dataclass(frozen=True)
class Sizes:
    """The shape of a Llama that its weights do not tell."""

    heads: int
    kv_heads: int
    eps: float = 1e-5
    base: float = 10_000.0


class Llama:
    """A Llama with a static cache, from the state dict of transformers' LlamaForCausalLM.

    compile: let torch.compile make a CUDA graph of the step that decodes one token; ignored on the CPU.
    """

    def __init__(self, weights: Mapping[str, Tensor], sizes: Sizes, *, compile: bool = False) -> None:  # noqa: A002 - torch's word
        self.weights, self.sizes = dict(weights), sizes
        self.embedding = self.weights["model.embed_tokens.weight"]
        self.layers = sum(name.endswith("q_proj.weight") for name in self.weights)
        self.size = self.weights["model.layers.0.self_attn.q_proj.weight"].shape[0] // sizes.heads
        self._own = [self._layer_weights(number) for number in range(self.layers)]
        self._fused = compile and self.embedding.is_cuda
        self._decode = torch.compile(self._run, mode="reduce-overhead", fullgraph=True) if self._fused else self._run

    def _layer_weights(self, number: int) -> dict[str, Tensor]:
        prefix = f"model.layers.{number}."
        named = ((name.removeprefix(prefix), weight) for name, weight in self.weights.items() if prefix in name)
        return {name.removesuffix(".weight"): weight for name, weight in named}

    def cache(self, batch: int, capacity: int) -> KVCache:
        """Return an empty cache for this model."""
        cache = KVCache.empty(self.layers, batch, self.sizes.kv_heads, capacity, self.size, self.embedding)
        if self._fused:  # a CUDA graph writes to addresses, so it has to be told that these stay
            torch._dynamo.mark_static_address(cache.keys)
            torch._dynamo.mark_static_address(cache.values)
        return cache

    @torch.no_grad()
    def step(self, ids: Tensor, cache: KVCache, pads: Tensor | None = None) -> Tensor:
        """Return logits (B, t, V) of new tokens ids (B, t), which are put behind those in the cache.

        pads (B,): how many pads each row began with. Raises ValueError if the cache is full.
        """
        t, end = ids.shape[1], cache.length + ids.shape[1]
        if end > cache.capacity:
            raise ValueError(f"the cache needs room for {end} tokens, got {cache.capacity}: make a larger one")
        positions = torch.arange(cache.length, end, device=ids.device)
        visible = cached_mask(t, end).to(ids.device) if pads is None else ragged_mask(pads, t, end)[:, None]
        cache.length = end
        return self._run(ids, positions, cache.keys, cache.values, visible, end)

    @torch.no_grad()
    def static_step(self, ids: Tensor, cache: KVCache) -> Tensor:
        """Return what `step` returns for one token (B, 1), with shapes that never change: the whole room, masked.

        More arithmetic than `step`, and one CUDA graph for all tokens. Raises ValueError if the cache is full.
        """
        if cache.length == cache.capacity:
            raise ValueError(f"the cache needs room for one more token, got {cache.capacity}: make a larger one")
        position = torch.tensor([cache.length], device=ids.device)
        visible = torch.arange(cache.capacity, device=ids.device) <= position
        cache.length += 1
        return self._decode(ids, position, cache.keys, cache.values, visible[None], cache.capacity)

    def _run(self, ids: Tensor, positions: Tensor, keys: Tensor, values: Tensor, visible: Tensor, end: int) -> Tensor:
        x = F.embedding(ids, self.embedding)
        turn = self._turn(positions)
        for number, own in enumerate(self._own):
            z = self._norm(x, own["input_layernorm"])
            x = x + self._attention(z, own, turn, positions, keys[number], values[number], visible, end)
            z = self._norm(x, own["post_attention_layernorm"])
            gated = F.silu(F.linear(z, own["mlp.gate_proj"])) * F.linear(z, own["mlp.up_proj"])
            x = x + F.linear(gated, own["mlp.down_proj"])
        return F.linear(self._norm(x, self.weights["model.norm.weight"]), self.weights["lm_head.weight"])

    def _attention(
        self, z: Tensor, own: dict[str, Tensor], turn: Callable[[Tensor], Tensor], positions: Tensor, keys: Tensor,
        values: Tensor, visible: Tensor, end: int,
    ) -> Tensor:  # fmt: skip
        q, k, v = (
            F.linear(z, own[f"self_attn.{name}_proj"]).unflatten(-1, (-1, self.size)).transpose(1, 2) for name in "qkv"
        )
        keys.index_copy_(2, positions, turn(k))
        values.index_copy_(2, positions, v)
        mixed = F.scaled_dot_product_attention(
            turn(q), keys[:, :, :end], values[:, :, :end], attn_mask=visible, enable_gqa=True
        )
        return F.linear(mixed.transpose(1, 2).flatten(2), own["self_attn.o_proj"])

    def _norm(self, x: Tensor, gain: Tensor) -> Tensor:
        return F.rms_norm(x, gain.shape, gain, self.sizes.eps)

    def _turn(self, positions: Tensor) -> Callable[[Tensor], Tensor]:
        rate = self.sizes.base ** -(torch.arange(0, self.size, 2, device=positions.device) / self.size)
        angle = torch.outer(positions.to(rate.dtype), rate)  # (t, d / 2)
        cos, sin = (table.to(self.embedding.dtype) for table in (angle.cos(), angle.sin()))

        def turn(x: Tensor) -> Tensor:
            first, second = x.chunk(2, -1)
            return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

        return turn


def continuations(model: Llama, prompts: list[Tensor], new: int) -> Tensor:
    """Return `new` greedy tokens (B, new) after prompts of any lengths (T_b,), decoded in one batch."""
    longest = max(map(len, prompts))
    pads = torch.tensor([longest - len(prompt) for prompt in prompts], device=prompts[0].device)
    ids = torch.stack([F.pad(prompt, (longest - len(prompt), 0)) for prompt in prompts])
    cache, found = model.cache(len(prompts), longest + new), []
    for _ in range(new):
        ids = model.step(ids, cache, pads)[:, -1:].argmax(-1)
        found.append(ids)
    return torch.cat(found, 1)


def decoding_speed(model: Llama, batch: int, context: int, new: int = 64, *, way: str = "cached") -> float:
    """Return the tokens a second of decoding behind `context` tokens, after a warm-up.

    way: "cached", "static" (one shape, compiled where the model is), or "without" a cache.
    """
    device = model.embedding.device
    ids = torch.randint(len(model.embedding), (batch, context), device=device)
    cache = model.cache(batch, context + new)

    def decode() -> None:
        if way == "without":
            model.step(ids, model.cache(batch, ids.shape[1]))
            return
        (model.static_step if way == "static" else model.step)(ids[:, -1:], cache)

    if way != "without":
        model.step(ids, cache)
    seconds = 0.0
    warm_up = min(4, new // 2)
    for turn in range(new):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begun = time.perf_counter()
        decode()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - begun if turn >= warm_up else 0.0
    return batch * (new - warm_up) / seconds
