"""The two layers of this topic's experiment, trained: what the widget shows before a learner has trained them.

``python -m studium_topics.decoder_only.copier`` trains them again on one thread and writes their file.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from studium_topics.decoder_only import reference
from studium_topics.decoder_only.experiment import HALF, VOCABULARY, repeated
from studium_topics.decoder_only.model import Copier, Sizes
from studium_topics.kits import packing
from studium_topics.kits.training import one_thread, train

FILE = "copier.npz"
STEPS, BATCH, RATE, SEED = 400, 32, 1e-2, 0  # as the experiment on a laptop


def untrained() -> Copier:
    """Return the model with the parameters of SEED."""
    sizes = Sizes(VOCABULARY)
    return Copier(sizes, rmsnorm=reference.rmsnorm, causal_attention=reference.causal_attention, seed=SEED)


def trained() -> Copier:
    """Return the model that this package keeps, one byte a weight."""
    kept, model = packing.read(__package__, FILE), untrained()
    packing.unpack(model, kept["weights"], kept["scales"])
    return model.eval()


@one_thread()
def train_again() -> Copier:
    """Return the model of the file, trained anew."""
    model = untrained()

    def loss(generator: torch.Generator) -> Tensor:
        ids = repeated(BATCH, generator)
        return reference.lm_loss(model(ids), F.pad(ids[:, HALF:], (HALF, 0), value=-100))

    train(model, loss, STEPS, RATE, schedule="onecycle", clip=1.0, seed=SEED, description="two layers")
    return model


if __name__ == "__main__":
    packing.write(Path(__file__).with_name(FILE), train_again())
