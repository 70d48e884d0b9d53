"""The lesson's result figures."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.llm_tasks.experiment import InContext, PromptLoss

DASHES = ("solid", "dash", "dot", "dashdot")


def losses(history: Sequence[float]) -> go.Figure:
    """Return the loss of each step of a fine-tuning run."""
    made = figure(x="Step", y="Loss, nats a lit token", height=320)
    return made.add_scatter(y=list(history), name="answers", line={"color": COLOURS[0]})


def prompt_curves(result: PromptLoss) -> go.Figure:
    """Return the exact match while training, for each choice of the tokens that the loss sees."""
    made = figure(x="Step", y="Exact match, mean of three tasks", height=360)
    for (name, curve), colour, dash in zip(result.curves.items(), COLOURS, DASHES, strict=False):
        made.add_scatter(x=result.steps, y=curve, name=name, line={"color": colour, "dash": dash})
    return made.update_yaxes(range=[-0.03, 1.03])


def turns(result: InContext) -> go.Figure:
    """Return the exact match of each turn of a conversation that never names its task."""
    made = figure(x="Turn", y="Exact match", height=360)
    curves = {**result.by_turn, "a new task": result.new_by_turn}
    for (name, curve), colour, dash in zip(curves.items(), COLOURS, DASHES, strict=False):
        made.add_scatter(x=list(range(1, len(curve) + 1)), y=curve, name=name, line={"color": colour, "dash": dash})
    return made.update_xaxes(dtick=1).update_yaxes(range=[-0.03, 1.03])
