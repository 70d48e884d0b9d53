"""The small model that reads prose: what it is trained on, and how, at each profile."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Profile
from torch import Tensor

from studium_topics.kits import text
from studium_topics.kits.tiny_lm import TinyLM, base_model
from studium_topics.kits.training import train


@dataclass(frozen=True)
class Reading:
    """What the small model reads, and the size and the training that a profile affords.

    seen (N,) is the text to train on, held_out (M,) the text to test with; the model has `sizes`. Each of `steps` steps
    takes `batch` windows of `length` characters, at a learning rate that rises to `rate` and falls.
    """

    seen: Tensor
    held_out: Tensor
    sizes: dict[str, int]
    batch: int
    length: int
    steps: int
    rate: float


def reading(profile: Profile) -> Reading:
    """Return the prose of Python's help, split, and what the profile affords."""
    vocabulary = text.character_vocabulary()
    seen, held_out = text.split(vocabulary.encode(text.prose()))
    width, layers, hidden = profile.choose(smoke=(32, 1, 64), laptop=(48, 2, 128), gpu=(256, 6, 1024))
    batch, length = profile.choose(smoke=(8, 32), laptop=(16, 64), gpu=(64, 256))
    steps, rate = profile.choose(smoke=(30, 4e-3), laptop=(400, 8e-3), gpu=(5000, 1e-3))
    sizes = {"vocabulary": vocabulary.size, "width": width, "layers": layers, "heads": 4, "hidden": hidden}
    return Reading(seen, held_out, sizes, batch, length, steps, rate)


def prose_model(profile: Profile, seed: int = 0) -> TinyLM:
    """Return a TinyLM of some 50 000 parameters, trained on prose as the lesson's loop does."""
    plan = reading(profile)
    model = base_model(seed=seed, **plan.sizes).to(profile.device)

    def loss(generator: torch.Generator) -> Tensor:
        batch = text.next_token_batch(plan.seen, plan.batch, plan.length, generator)
        ids, following = (part.to(profile.device) for part in batch)
        return F.cross_entropy(model(ids).flatten(0, 1), following.flatten())

    options = {"schedule": "onecycle", "clip": 1.0, "seed": seed, "bf16": True, "description": "prose"}
    train(model, loss, plan.steps, plan.rate, **options)
    return model.eval()
