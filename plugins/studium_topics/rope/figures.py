"""The lesson's result figures."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, DASHES, figure
from torch import Tensor

from studium_topics.rope.exact import Decay
from studium_topics.rope.experiment import LENGTH, Shifted, Stretched


def learning(result: Shifted) -> go.Figure:
    """The loss of each step with rotary positions and with a learned table."""
    made = figure(x="Step", y="Loss on the second half (nats)", height=360)
    for (name, losses), colour, dash in zip(result.losses.items(), COLOURS, DASHES, strict=False):
        steps = list(range(1, len(losses) + 1))
        made.add_scatter(x=steps, y=losses, name=name, mode="lines", line={"color": colour, "dash": dash})
    return made


def lengths(result: Stretched) -> go.Figure:
    """The accuracy on texts of each length by way of stretching, and after a little more training at the longest."""
    made = figure(x="Length of the text, tokens", y="Accuracy", height=400)
    for (way, found), colour, dash in zip(result.accuracy.items(), COLOURS, DASHES, strict=False):
        x = [str(length) for length in result.lengths]
        made.add_scatter(x=x, y=list(found), name=way, mode="lines+markers", line={"color": colour, "dash": dash})
    made.update_xaxes(type="category")
    return made.update_yaxes(tickformat=".0%", range=[0, 1.03])


def offsets(scores: dict[str, Tensor]) -> go.Figure:
    """What one head thinks of each offset, (length,), at the speeds that each name stands for."""
    made = figure(x="Offset, query − key", y="Mean score of the head", height=360)
    for (name, row), colour, dash in zip(scores.items(), COLOURS, DASHES, strict=False):
        x = list(range(len(row)))
        made.add_scatter(x=x, y=row.tolist(), name=name, mode="lines", line={"color": colour, "dash": dash})
    return made.add_vline(x=LENGTH, line={"color": "#808891", "dash": "dash"}, annotation_text="trained so far")


def decaying(result: Decay) -> go.Figure:
    """The score of two equal vectors over their offset, and the paper's bound."""
    made = figure(x="Offset, query − key", y="Score and bound, over that at offset 0", height=360)
    for name, row, colour, dash in (
        ("score of q = k = (1, …, 1)", result.score / result.score[0], COLOURS[0], "solid"),
        ("bound", result.bound / result.bound[0], COLOURS[1], "dash"),
    ):
        x = result.offsets.tolist()
        made.add_scatter(x=x, y=row.tolist(), name=name, mode="lines", line={"color": colour, "dash": dash})
    return made
