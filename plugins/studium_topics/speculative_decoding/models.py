"""The target and the drafts of the lesson: what they are trained on, how, and what a pass of each costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor

from studium_topics.kits import text
from studium_topics.kits.tiny_lm import TinyLM, base_model
from studium_topics.kits.training import train
from studium_topics.speculative_decoding.readers import CachedLM, PairTable

TRANSFORMER, PAIRS = "small transformer", "table of pairs"
DRAFTS = (TRANSFORMER, PAIRS)


@dataclass(frozen=True)
class Plan:
    """What a profile affords: the sizes of a model, and how long it is trained."""

    sizes: dict[str, int]
    batch: int
    length: int
    steps: int
    rate: float


def prose() -> tuple[Tensor, Tensor]:
    """Return the text of Python's help as characters, to train on (N,) and held out (M,)."""
    return text.split(text.character_vocabulary().encode(text.prose()))


def target_plan(profile: Profile) -> Plan:
    """Return the plan of the large model."""
    width, layers, hidden = profile.choose(smoke=(32, 2, 64), laptop=(64, 2, 256), gpu=(512, 12, 2048))
    return _plan(profile, width, layers, hidden, profile.choose(smoke=40, laptop=300, gpu=6000), 6e-3)


def draft_plan(profile: Profile) -> Plan:
    """Return the plan of the small model."""
    width, layers, hidden = profile.choose(smoke=(16, 1, 32), laptop=(32, 1, 64), gpu=(128, 1, 512))
    return _plan(profile, width, layers, hidden, profile.choose(smoke=40, laptop=300, gpu=3000), 1e-2)


def _plan(profile: Profile, width: int, layers: int, hidden: int, steps: int, rate: float) -> Plan:
    sizes = {"vocabulary": text.character_vocabulary().size, "width": width, "layers": layers, "hidden": hidden}
    batch, length = profile.choose(smoke=(8, 32), laptop=(16, 64), gpu=(64, 256))
    return Plan(sizes | {"heads": 4}, batch, length, steps, profile.choose(smoke=rate, laptop=rate, gpu=1e-3))


def trained(plan: Plan, profile: Profile, seed: int) -> TinyLM:
    """Return a TinyLM trained on prose by a plan."""
    seen, _ = prose()
    model = base_model(seed=seed, **plan.sizes).to(profile.device)

    def loss(generator: torch.Generator) -> Tensor:
        batch = text.next_token_batch(seen, plan.batch, plan.length, generator)
        ids, following = (part.to(profile.device) for part in batch)
        return F.cross_entropy(model(ids).flatten(0, 1), following.flatten())

    options: dict[str, Any] = {"schedule": "onecycle", "clip": 1.0, "seed": seed, "bf16": True}
    train(model, loss, plan.steps, plan.rate, description="prose", **options)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Pair:
    """A target and a draft, both trained; the drafts of the lesson are the small model, and a table of pairs."""

    target: TinyLM
    draft: TinyLM

    def readers(self, draft: str, temperature: float) -> tuple[CachedLM, CachedLM | PairTable]:
        """Return target and draft with empty caches, for a text at a temperature."""
        large = CachedLM(self.target, temperature=temperature)
        if draft == TRANSFORMER:
            return large, CachedLM(self.draft, temperature=temperature)
        vocabulary = self.target.embedding.num_embeddings
        return large, PairTable(prose()[0], vocabulary, temperature=temperature)

    def cost(self, draft: str) -> float:
        """Return the cost of a pass of the draft in passes of the target: the ratio of the weights that it reads."""
        return matrices(self.draft) / matrices(self.target) if draft == TRANSFORMER else 0.0


def trained_pair(profile: Profile, seed: int = 0) -> Pair:
    """Return target and draft, trained by the plans of a profile."""
    return Pair(trained(target_plan(profile), profile, seed), trained(draft_plan(profile), profile, seed))


def matrices(model: TinyLM) -> int:
    """Return the number of weights that one pass multiplies: all matrices but the embedding, of which it reads rows."""
    table = model.embedding.weight.numel()
    return sum(weight.numel() for weight in model.parameters() if weight.ndim == 2) - table


Speculate = Callable[..., tuple[list[int], list[int]]]
