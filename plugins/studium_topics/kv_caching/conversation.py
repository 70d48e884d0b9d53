"""A chat on a cache: what a turn, and an edit, leave to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.tiny_lm import base_model
from studium_topics.kits.training import one_thread
from studium_topics.kv_caching.model import CHUNK, SIZES, VOCABULARY, Block, Cache, CachedLM


@dataclass(frozen=True)
class Conversation:
    """A chat with a memory and without one, turn by turn.

    turns: what happened. tokens: the length of the conversation before the answer. fed: the tokens that the model read
    with a memory. again: those that it read without one. differing: tokens of the answers that are not the same.
    wasted: the tokens fed with a memory although the cache held them.
    """

    turns: list[str]
    tokens: list[int]
    fed: list[int]
    again: list[int]
    differing: int
    wasted: int


TURNS = ("first message", "second message", "third message", "fourth message", "second message edited")


class _Counted:
    """A random model in double precision, and how many tokens its `step` has read.

    As initialised, the newest token alone would decide what comes next; larger weights of attention change that.
    """

    def __init__(self, cached_attention: Block, capacity: int, device: str, seed: int) -> None:
        model = base_model(VOCABULARY, seed, **SIZES).to(device, torch.float64).requires_grad_(False)
        for layer in model.layers:
            for linear in layer.attention.children():
                linear.weight.mul_(4)
        self.cached, self.device, self.tokens = CachedLM(model, cached_attention, capacity), device, 0

    def step(self, ids: Tensor, start: int, cache: Cache | None) -> tuple[Tensor, Cache]:
        self.tokens += ids.shape[1]
        return self.cached.step(ids.to(self.device), start, cache)


@one_thread()
def conversation(
    cached_attention: Block, chat: Callable[..., tuple[list[int], object]], *, profile: Profile, seed: int = 0
) -> Conversation:
    """Hold a conversation of four turns with a random model, edit one token of its second turn, and ask again.

    Exact at every profile: no token of an answer differs, and none is read twice.
    """
    message, new = profile.choose(smoke=(5, 8), laptop=(20, 16), gpu=(200, 100))
    model = _Counted(cached_attention, 5 * (message + new), profile.device, seed)
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = []
    memory: object = None
    valid, rows, differing, wasted = 0, [], 0, 0
    for turn in TURNS:
        if turn.endswith("edited"):
            valid = message + new + 2  # the third token of the second message
            ids[valid] = (ids[valid] + 1) % VOCABULARY
        else:
            ids = [*ids, *torch.randint(VOCABULARY, (message,), generator=generator).tolist()]
        start = model.tokens
        plain, _ = chat(model.step, ids, None, new, CHUNK, -1)
        again = model.tokens - start
        answer, memory = chat(model.step, ids, memory, new, CHUNK, -1)
        fed = model.tokens - start - again
        rows.append((turn, len(ids), fed, again))
        differing += sum(a != b for a, b in zip(answer, plain, strict=True))
        wasted += fed - (len(ids) - valid + new - 1)
        valid, ids = len(ids) + new - 1, [*ids, *answer]
    return Conversation(*(list(column) for column in zip(*rows, strict=True)), differing, wasted)
