"""Where a decoder looks in its source while it writes: a small T5 that runs in the browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Self

import numpy as np
from studium_widgets import Array, Widget
from torch import Tensor
from traitlets import Enum, Int, List, TraitError, Unicode

FAULTS = ("nothing", "other", "closed")
SHORTEST, LONGEST = 4, 9  # letters of a source


class SourceReader(Widget):
    """A source and its answer, with lines from the newest letter to the slots of the memory that its head has read.

    weights (tasks, numbers): for each task a model of one layer on each side, as `of` takes it from a checkpoint.
    tasks: their names, of copy, reverse and sort. letters: what the tokens from 2 on are written as; the last token is
    a mark behind them. width, heads, hidden: D, H and F. source: 4 to 9 different letters, numbers from 0. task, head:
    which model and which of its heads. written: how many tokens of the answer are shown. fault: what is wrong with the
    memory, one of FAULTS. Raises TraitError where they do not fit together.
    """

    _script = "widget.js"
    _style = "widget.css"

    weights = Array("float32", ("tasks", "numbers"))
    tasks = List(Enum(("copy", "reverse", "sort")), minlen=1, maxlen=3).tag(sync=True)
    letters = Unicode().tag(sync=True)
    width = Int(32, min=1, max=128).tag(sync=True)
    heads = Int(4, min=1, max=16).tag(sync=True)
    hidden = Int(64, min=1, max=512).tag(sync=True)
    source = List(Int(min=0, max=63), minlen=SHORTEST, maxlen=LONGEST).tag(sync=True)
    task = Enum(("copy", "reverse", "sort"), "copy").tag(sync=True)
    head = Int(0, min=0, max=15).tag(sync=True, between=(0, 15))
    written = Int(1, min=1, max=LONGEST + 1).tag(sync=True)
    fault = Enum(FAULTS, "nothing").tag(sync=True)

    @classmethod
    def of(cls, checkpoints: Mapping[str, Mapping[str, Tensor]], letters: str, heads: int, **options: Any) -> Self:
        """Return the widget for the checkpoints of one or more tasks; other options as above."""
        first = next(iter(checkpoints.values()))
        hidden, width = first["encoder.block.0.layer.1.DenseReluDense.wi.weight"].shape
        options = {"source": [6, 0, 11, 3, 17, 8], "written": 3, "task": next(iter(checkpoints))} | options
        rows = np.stack([_numbers(checkpoint) for checkpoint in checkpoints.values()])
        options = {"width": width, "heads": heads, "hidden": hidden} | options
        return cls(weights=rows, tasks=list(checkpoints), letters=letters, **options)

    @classmethod
    def example(cls) -> Self:
        from studium_topics.encoder_decoder.experiment import LETTERS, SIZES

        saved = json.loads(files(__package__).joinpath("opening.json").read_text("utf-8"))
        rows = [np.frombuffer(base64.b64decode(text), "<f2").astype("float32") for text in saved["weights"].values()]
        return cls(
            weights=np.stack(rows), tasks=list(saved["weights"]), letters=LETTERS, width=SIZES.width,
            heads=SIZES.heads, hidden=SIZES.hidden, source=saved["source"], task="reverse", head=saved["head"],
            written=3,
        )  # fmt: skip

    @property
    def alt(self) -> str:
        source = "".join(self.letters[number] for number in self.source if number < len(self.letters))
        wrong = "" if self.fault == "nothing" else f", with something wrong: {self.fault}"
        return (
            f"A model that was trained to {self.task} has read {source} and written {self.written} tokens{wrong}; "
            f"lines show where head {self.head} looks in the source."
        )

    def check(self) -> None:
        _require(len(self.tasks) == len(self.weights), f"{len(self.weights)} tasks are needed, got {len(self.tasks)}")
        _require(self.task in self.tasks, f"task needs to be one of {', '.join(self.tasks)}, got {self.task}")
        _require(self.width % self.heads == 0, f"heads must divide {self.width}, got {self.heads}")
        _require(self.head < self.heads, f"head goes up to {self.heads - 1}, got {self.head}")
        _require(len(set(self.source)) == len(self.source), f"the letters of source need to differ, got {self.source}")
        _require(max(self.source) < len(self.letters), f"source needs numbers up to {len(self.letters) - 1}")
        tokens = 3 + len(self.letters)
        size = tokens * self.width + 12 * self.width**2 + 4 * self.width * self.hidden
        size += 64 * self.heads + 7 * self.width
        found = self.weights.shape[1]
        _require(found == size, f"{size} weights are needed for a model of this size, got {found}")


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise TraitError(sentence)


def _numbers(checkpoint: Mapping[str, Tensor]) -> Any:
    return np.concatenate([tensor.detach().float().cpu().numpy().ravel() for tensor in checkpoint.values()])
