"""The lesson's result figures."""

from __future__ import annotations

import plotly.graph_objects as go
import torch
from studium_widgets.plots import COLOURS, figure
from torch import Tensor

from studium_topics.albert.experiment import Orders, Sharing, steps_between


def shares(rows: Tensor) -> go.Figure:
    """Return how long the gradient of each use is, and its angle to their sum, for the rows (L, ...)."""
    flat = rows.flatten(1)
    cosines = torch.nn.functional.cosine_similarity(flat, flat.sum(0, keepdim=True), dim=-1)
    made = figure(x="use of the layer", y="length of its gradient", height=320)
    made.add_bar(
        x=[f"{use}" for use in range(1, len(rows) + 1)],
        y=flat.norm(dim=-1).tolist(),
        text=[f"{angle:.0f}° to the sum" for angle in cosines.clamp(-1, 1).acos().rad2deg().tolist()],
        marker={"color": COLOURS[0]},
    )
    return made


def moves(result: Sharing) -> go.Figure:
    """Return by which angle each layer turns a token, for both stacks of four layers (the paper's figure 1)."""
    made = figure(x="layer", y="angle from input to output (degrees)", height=320)
    for run, colour, dash in zip((result.shared, result.own), COLOURS, ("solid", "dash"), strict=False):
        _, angles = steps_between(run.states)
        layers = list(range(1, len(angles) + 1))
        made.add_scatter(x=layers, y=angles, name=run.name, line={"color": colour, "dash": dash})
    return made.update_xaxes(dtick=1)


def learning(result: Orders, window: int = 10) -> go.Figure:
    """Return the losses of both encoders, each smoothed over a few steps."""
    made = figure(x="training step", y="loss (nats a pair)", height=320)
    names = {"order": "sentence order", "next": "next sentence"}
    for (task, losses), colour, dash in zip(result.losses.items(), COLOURS, ("solid", "dash"), strict=False):
        smooth = torch.tensor(losses).unfold(0, min(window, len(losses)), 1).mean(-1)
        made.add_scatter(y=smooth.tolist(), name=names[task], line={"color": colour, "dash": dash})
    made.add_hline(y=0.6931, line_dash="dot", line_color="#808891", annotation_text="a coin, ln 2")
    return made
