"""The lesson's result figures, and the losses that the recipe board opens with."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.roberta.board import RecipeBoard
from studium_topics.roberta.formats import Formats
from studium_topics.roberta.masking import Masking


def opening_board() -> RecipeBoard:
    """Return the board with what the reference reached in the experiments at laptop, seed 0."""
    saved = json.loads(files(__package__).joinpath("opening.json").read_text("utf-8"))
    return RecipeBoard(**saved, epoch=40)


def board_of(masking: Masking, formats: Formats) -> RecipeBoard:
    """Return the board with measured losses."""
    runs = (masking.once, masking.copied, masking.dynamic)
    nouns = [run.noun for run in (formats.with_nsp, formats.pairs, formats.full)]
    epochs = masking.once.epochs
    losses = np.array([run.held_out for run in runs])
    return RecipeBoard(losses=losses, measured=epochs, nouns=nouns, epochs=epochs[-1], epoch=epochs[-1])


def masks(masking: Masking) -> go.Figure:
    """Return the held-out loss of the three maskings over the epochs."""
    made = figure(x="epoch", y="held-out loss (nats a token)", height=380)
    runs = {"one mask": masking.once, "ten masks": masking.copied, "dynamic": masking.dynamic}
    for (name, run), colour, dash in zip(runs.items(), COLOURS, ("solid", "dash", "dot"), strict=False):
        made.add_scatter(x=run.epochs, y=run.held_out, name=name, mode="lines", line={"color": colour, "dash": dash})
    return made


def formats(found: Formats) -> go.Figure:
    """Return the loss of a hidden noun under each input format, and the lowest loss that the format allows."""
    names = [run.name.replace(", ", ",<br>") for run in found.runs]
    made = figure(x="loss of a hidden noun (nats)", y="", height=340)
    made.add_bar(
        x=[run.noun for run in found.runs], y=names, orientation="h", name="measured", marker={"color": COLOURS[0]}
    )
    floors = {"x": [run.floor for run in found.runs], "y": names, "name": "lowest that is possible", "mode": "markers"}
    made.add_scatter(**floors, marker={"symbol": "line-ns", "size": 22, "line": {"width": 3, "color": COLOURS[1]}})
    return made.update_yaxes(autorange="reversed")
