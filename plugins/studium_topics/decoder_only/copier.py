"""The two layers of this topic's experiment, trained: what the widget shows before a learner has trained them.

``python -m studium_topics.decoder_only.copier`` trains them again on one thread and writes their file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.decoder_only.experiment import HALF, VOCABULARY, repeated
from studium_topics.decoder_only.model import Copier, Sizes
from studium_topics.kits import packing
from studium_topics.kits.training import one_thread, train

FILE = "copier.npz"
STEPS, BATCH, RATE, SEED = 400, 32, 1e-2, 0  # as the experiment on a laptop


def untrained(parts: Any) -> Copier:
    """Return the model with the parameters of SEED; ``parts`` has the functions of this topic's exercises."""
    return Copier(Sizes(VOCABULARY), rmsnorm=parts.rmsnorm, causal_attention=parts.causal_attention, seed=SEED)


def trained(parts: Any) -> Copier:
    """Return the model that this package keeps, one byte a weight."""
    kept, model = packing.read(__package__, FILE), untrained(parts)
    packing.unpack(model, kept["weights"], kept["scales"])
    return model.eval()


@one_thread()
def train_again(parts: Any) -> Copier:
    """Return the model of the file, trained anew."""
    model = untrained(parts)

    def loss(generator: torch.Generator) -> Tensor:
        ids = repeated(BATCH, generator)
        return parts.lm_loss(model(ids), F.pad(ids[:, HALF:], (HALF, 0), value=-100))

    train(model, loss, STEPS, RATE, schedule="onecycle", clip=1.0, seed=SEED, description="two layers")
    return model


if __name__ == "__main__":
    packing.write(Path(__file__).with_name(FILE), train_again(import_module(".reference", __package__)))
