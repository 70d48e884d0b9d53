"""What the lesson shows before and after its experiments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

import plotly.graph_objects as go
from studium_widgets import AttentionHeatmap
from studium_widgets.plots import COLOURS, figure

from studium_topics.decoder_only.experiment import Induction, Prose


def opening() -> AttentionHeatmap:
    """Return the attention of a trained model on a text that repeats itself.

    `opening_scores` of the reference trained it; each token is a letter.
    """
    saved = json.loads(files(__package__).joinpath("opening.json").read_text("utf-8"))
    return AttentionHeatmap(tokens=list(saved["text"]), scores=saved["scores"], mask="causal", layer=1, locked=9)


def learning(result: Induction) -> go.Figure:
    """Return the loss of each step of the four models on the half that can be copied."""
    made = figure(x="Step", y="Loss on the second half (nats)", height=380)
    runs = (
        ("two layers", result.two),
        ("one layer", result.one),
        ("one layer, as many parameters", result.wide),
        ("one layer, period always 16", result.fixed),
    )
    for (name, run), colour, dash in zip(runs, COLOURS, ("solid", "dash", "dashdot", "dot"), strict=False):
        steps = list(range(1, len(run.losses) + 1))
        made.add_scatter(x=steps, y=run.losses, name=name, mode="lines", line={"color": colour, "dash": dash})
    return made


def reading(losses: Sequence[float], result: Prose) -> go.Figure:
    """Return the loss of each training step on prose, with both losses on held-out prose."""
    made = figure(x="Step", y="Loss (nats a character)", height=380)
    steps = list(range(1, len(losses) + 1))
    made.add_scatter(x=steps, y=losses, name="Llama, training batches", mode="lines", line={"color": COLOURS[0]})
    made.add_hline(
        y=result.bigram, line={"color": "#808891", "dash": "dash"}, annotation_text="table of pairs, held out"
    )
    made.add_hline(
        y=result.loss, line={"color": COLOURS[1], "dash": "dot"}, annotation_text="Llama, held out",
        annotation_position="bottom right",
    )  # fmt: skip
    return made
