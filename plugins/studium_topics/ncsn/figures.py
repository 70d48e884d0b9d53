"""Figures of the lesson."""

from __future__ import annotations

from typing import Any

from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots
from studium_widgets.plots import COLOURS, figure, template
from torch import Tensor

from studium_topics.ncsn.exact import Sight, settled
from studium_topics.ncsn.experiment import Crossing, Regression, heavy

REACH = 9.0  # of the panels
TICKS = [1, 2, 5, 10, 20]


def _cloud(x: Tensor, colour: int) -> Scatter:
    x = x[:1280].round(decimals=2)
    marker = {"size": 3, "color": COLOURS[colour], "opacity": 0.6}
    return Scatter(x=x[:, 0].numpy(), y=x[:, 1].numpy(), mode="markers", marker=marker, hoverinfo="skip")


def clouds(panels: dict[str, Tensor]) -> Figure:
    """Draw clouds (B, 2) side by side, with the share that is in the heavy mode above each.

    Those called "exact" and "start" come from no walk, and have another colour.
    """
    titles = [f"{name}: {heavy(x):.2f}" for name, x in panels.items()]
    made: Any = make_subplots(cols=len(panels), subplot_titles=titles, horizontal_spacing=0.03)
    for column, (name, x) in enumerate(panels.items(), 1):
        made.add_trace(_cloud(x, 0 if name in ("exact", "start") else 1), row=1, col=column)
        anchor = f"x{column if column > 1 else ''}"
        made.update_yaxes(range=[-REACH, REACH], scaleanchor=anchor, col=column)
    made.update_xaxes(range=[-REACH, REACH], constrain="domain", visible=False)
    made.update_yaxes(visible=False)
    made.update_layout(template=template(), height=320, showlegend=False, margin={"l": 16, "b": 16, "t": 40})
    made.update_annotations(font_size=13)
    return made


def seen(result: Sight) -> Figure:
    """Draw how much of the score changes when the modes exchange their weights, over the noise level."""
    line = Scatter(x=list(result.change), y=list(result.change.values()), mode="lines+markers")
    made = figure(line, x="noise level σ", y="change / score", height=320)
    made.update_yaxes(type="log", exponentformat="power", dtick=1)
    return made.update_xaxes(type="log", tickvals=TICKS)


def descent(result: Crossing) -> Figure:
    """Draw the share in the heavy mode after each level of the ladder, and what it would be after endless steps."""
    x = result.sigmas.tolist()
    lines = [
        Scatter(x=x, y=result.by_level[1:].tolist(), mode="lines+markers", name="the walkers"),
        Scatter(x=x, y=[settled(sigma) for sigma in x], mode="lines", name="after endless steps"),
    ]
    made = figure(*lines, x="level σ, from the first to the last", y="share nearer to (5, 5)", height=340)
    return made.update_xaxes(type="log", autorange="reversed", tickvals=TICKS)


def floor(result: Regression) -> Figure:
    """Draw the loss of the exact score at each noise level, beside that of a model that always answers 0."""
    x = result.sigmas.tolist()
    best = Scatter(x=x, y=result.floor.tolist(), mode="lines+markers", name="exact score")
    silent = Scatter(x=x, y=[1.0] * len(x), mode="lines", name="always answers 0")
    made = figure(best, silent, x="noise level σ", y="loss, weighted with σ²", height=320)
    made.update_yaxes(range=[0, 1.1])
    return made.update_xaxes(type="log", tickvals=TICKS)
