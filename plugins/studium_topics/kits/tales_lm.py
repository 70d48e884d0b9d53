"""A small trained language model that writes tales of `kits.tales` character by character, and a LoRA for recipes.

``python -m studium_topics.kits.tales_lm`` trains both again and writes their files: one seed, one thread, a few
minutes. `packing` stores the weights as bytes, so a page can carry them; `tales_lm.json` records how they were made.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studium_topics.kits import packing, tales, text
from studium_topics.kits.tiny_lm import TinyLM, base_model, rotated
from studium_topics.kits.training import one_thread, train

CHARACTERS = '\n ",.ABCILMNOPRSTWabcdefghiklmnopqrstuvwxy'
SIZES = {"width": 96, "layers": 2, "heads": 4, "hidden": 256}
LENGTH = 320  # characters that the model has seen at once in training
COMMAND = "python -m studium_topics.kits.tales_lm"
TEXTS, SEED, BATCH = 8000, 0, 8
STEPS, RATE = 1000, 8e-3
RANK, ALPHA, ADAPTER_STEPS, ADAPTER_RATE = 8, 16.0, 400, 8e-3
FILE, ADAPTER_FILE, RECORD = "tales_lm.npz", "recipes_lora.npz", "tales_lm.json"


class LowRank(nn.Module):
    """A frozen Linear (out, in) with a low-rank update added: a (RANK, in), then b (out, RANK), times alpha / RANK.

    `share`, from 0 to 1, is how much of the update is added.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.a = nn.Linear(linear.in_features, RANK, bias=False)
        self.b = nn.Linear(RANK, linear.out_features, bias=False)
        nn.init.zeros_(self.b.weight)
        self.share = 1.0

    def forward(self, x: Tensor) -> Tensor:
        update = self.b(self.a(x))
        return self.linear(x) + update * (self.share * ALPHA / RANK)


def vocabulary() -> text.Vocabulary:
    """Return the characters of both corpora."""
    return text.Vocabulary(CHARACTERS)


def trained() -> TinyLM:
    """Return the model that writes tales."""
    kept, model = packing.read(__package__, FILE), untrained()
    packing.unpack(model, kept["weights"], kept["scales"])
    return model.eval()


def adapted(share: float = 1.0) -> TinyLM:
    """Return the model with `share` (0 to 1) of the adapter that writes recipes."""
    model = trained()
    _load_adapter(model)
    for module in model.modules():
        if isinstance(module, LowRank):
            module.share = share
    return model.eval()


def adapter() -> nn.Module:
    """Return the factors of that adapter, as `inject` names them."""
    return _load_adapter(untrained())


@torch.no_grad()
def word_scores(text: str) -> tuple[list[str], Tensor]:
    """Return the W words of a text and the scores (layers, heads, W, W) of the model that writes tales.

    The model reads characters. Here the last character of a word is the query, and all characters of a word count
    together: the softmax over words, under any mask of words, gives the sums of the softmax over characters.
    """
    model, words = trained(), text.split(" ")
    start = "\n\n"  # like each text of the corpus
    found, x = [], model.embedding(vocabulary().encode(start + text))[None]
    for layer in model.layers:
        z, attention = layer.attention_norm(x), layer.attention
        q, k = (part(z).unflatten(-1, (attention.heads, -1)).transpose(1, 2) for part in (attention.q, attention.k))
        found.append((rotated(q) @ rotated(k).mT)[0, :, len(start) :, len(start) :] / q.shape[-1] ** 0.5)
        x = layer(x)
    lengths = [len(word) + 1 for word in words[:-1]] + [len(words[-1])]  # a space belongs to the word before it
    last = torch.tensor(lengths).cumsum(0) - 1
    columns = [part.logsumexp(-1) for part in torch.stack(found)[:, :, last].split(lengths, -1)]
    return words, torch.stack(columns, -1)


def untrained() -> TinyLM:
    """Return the model with the parameters of SEED; the global random state is unchanged."""
    return base_model(len(CHARACTERS), SEED, **SIZES)


def inject(model: TinyLM) -> nn.Module:
    """Freeze the model, replace each Linear in its layers by a LowRank, and return their factors as a module.

    The factors have names like "layers_0_attention_q.a"; they come from SEED.
    """
    model.requires_grad_(False)
    factors = nn.Module()
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name != "head"]
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(SEED)
        for name in names:
            parent, _, last = name.rpartition(".")
            low = LowRank(model.get_submodule(name))
            setattr(model.get_submodule(parent), last, low)
            factors.add_module(name.replace(".", "_"), nn.ModuleDict({"a": low.a, "b": low.b}))
    return factors


def _load_adapter(model: TinyLM) -> nn.Module:
    factors, kept = inject(model), packing.read(__package__, ADAPTER_FILE)
    packing.unpack(factors, kept["weights"], kept["scales"])
    return factors


@one_thread()
def train_base(steps: int = STEPS) -> TinyLM:
    """Return a model trained on windows of the tales."""
    model = untrained()
    _fit(model, model.parameters(), tales.tales(TEXTS, SEED), steps, RATE)
    return model


@one_thread()
def train_adapter(model: TinyLM, steps: int = ADAPTER_STEPS) -> nn.Module:
    """Add a LoRA to the model, train it on windows of the recipes, and return its factors."""
    factors = inject(model)
    _fit(model, factors.parameters(), tales.recipes(TEXTS, SEED), steps, ADAPTER_RATE)
    return factors


@torch.no_grad()
def loss_on(model: nn.Module, corpus: str, windows: int = 40) -> float:
    """Return the mean loss in nats per character on the first windows of a corpus."""
    ids = vocabulary().encode(corpus)[: windows * (LENGTH + 1)].view(windows, LENGTH + 1)
    return float(F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()))


def settings() -> dict[str, Any]:
    """Return everything that determines what is trained, as JSON."""
    corpora = "".join(make(TEXTS, SEED) for make in (tales.tales, tales.recipes))
    return {
        "command": COMMAND,
        "seed": SEED,
        "sizes": SIZES,
        "characters": CHARACTERS,
        "base": {"length": LENGTH, "batch": BATCH, "steps": STEPS, "rate": RATE},
        "adapter": {"rank": RANK, "alpha": ALPHA, "steps": ADAPTER_STEPS, "rate": ADAPTER_RATE},
        "texts": {"each": TEXTS, "sha256": _sha256(corpora.encode())},
    }


def record() -> dict[str, Any]:
    """Return what `main` wrote next to the weights: settings, the sha256 of each file, and losses on unseen texts."""
    return dict(json.loads(files(__package__).joinpath(RECORD).read_text("utf-8")))


def sums() -> dict[str, str]:
    """Return the sha256 of each file of weights."""
    return {name: _sha256(files(__package__).joinpath(name).read_bytes()) for name in (FILE, ADAPTER_FILE)}


def main() -> None:
    """Train both, and write their files with the record."""
    here = Path(__file__).parent
    packing.write(here / FILE, train_base())
    unseen = {name: make(200, SEED + 1) for name, make in (("tales", tales.tales), ("recipes", tales.recipes))}
    losses = {f"base on {name}": round(loss_on(trained(), corpus), 3) for name, corpus in unseen.items()}
    packing.write(here / ADAPTER_FILE, train_adapter(trained()))
    losses |= {f"adapted on {name}": round(loss_on(adapted(), corpus), 3) for name, corpus in unseen.items()}
    written = {"settings": settings(), "sha256": sums(), "losses": losses}
    (here / RECORD).write_text(json.dumps(written, indent=2) + "\n", "utf-8")
    logging.info("%s", losses)


def _fit(model: TinyLM, parameters: Iterable[nn.Parameter], corpus: str, steps: int, rate: float) -> None:
    ids = vocabulary().encode(corpus)

    def loss(generator: torch.Generator) -> Tensor:
        inputs, targets = text.next_token_batch(ids, BATCH, LENGTH, generator)
        return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())

    train(list(parameters), loss, steps, rate, schedule="onecycle", clip=1.0, seed=SEED, quiet=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
