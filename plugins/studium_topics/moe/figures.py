"""The lesson's result figures."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.moe.experiment import Collapse, Layers

DASHES = ("dot", "solid", "dashdot", "dash")
SYMBOLS = ("circle", "square", "diamond", "cross")


def evenness(fallen: Collapse) -> go.Figure:
    """Return the evenness of each run's load in each training step."""
    made = figure(x="Step", y="Evenness of the load", height=360)
    for run, colour, dash in zip(fallen.runs, COLOURS, DASHES, strict=False):
        steps = list(range(1, len(run.history) + 1))
        made.add_scatter(x=steps, y=run.history, name=run.name, mode="lines", line={"color": colour, "dash": dash})
    return made.update_yaxes(range=[0, 1.05])


def costs(compared: Layers) -> go.Figure:
    """Return the error of each layer over its cost, with an area that grows with its number of parameters."""
    made = figure(x="FLOPs a token", y="Error", height=380)
    largest = max(run.parameters for run in compared.runs)
    for run, colour, symbol in zip(compared.runs, COLOURS, SYMBOLS, strict=False):
        made.add_scatter(
            x=[run.flops],
            y=[run.error],
            mode="markers",
            name=f"{run.name}, {run.parameters:,} parameters",
            marker={"color": colour, "symbol": symbol, "size": 26 * (run.parameters / largest) ** 0.5},
        )
    return made.update_yaxes(rangemode="tozero").update_xaxes(rangemode="tozero")
