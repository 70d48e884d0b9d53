"""The lesson's result figures."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.performer.experiment import Estimates, Outputs, Trained

LOOKS = {"positive": (COLOURS[0], "solid"), "sine-cosine": (COLOURS[1], "dash")}


def errors(result: Estimates) -> go.Figure:
    """Return the error of a single estimate over the number of vectors, for both kinds."""
    made = figure(x="Random vectors m", y="Relative error of exp(q · k)", height=360)
    for kind, (colour, dash) in LOOKS.items():
        line = {"color": colour, "dash": dash}
        made.add_scatter(x=result.counts, y=result.errors[kind], name=kind, mode="lines+markers", line=line)
    made.update_xaxes(type="log", tickvals=result.counts, ticktext=[str(count) for count in result.counts])
    made.update_yaxes(type="log")
    return made


def sizes(result: Outputs) -> go.Figure:
    """Return the error of attention's outputs over the size of queries and keys, with 64 vectors, and the mean's."""
    made = figure(x="Standard deviation of the numbers in q and k", y="Error of the outputs", height=380)
    for kind, (colour, dash) in LOOKS.items():
        line = {"color": colour, "dash": dash}
        made.add_scatter(x=result.sizes, y=result.errors[kind, 64], name=kind, mode="lines+markers", line=line)
    line = {"color": COLOURS[2], "dash": "dot"}
    made.add_scatter(x=result.sizes, y=result.mean, name="plain mean of all values", mode="lines+markers", line=line)
    made.update_yaxes(type="log")
    return made


def learning(result: Trained) -> go.Figure:
    """Return the training losses of the four decoders, each the mean of ten steps."""
    made = figure(x="Step", y="Loss (nats a character)", height=380)
    dashes = ("solid", "dot", "dashdot", "dash")
    for number, (name, losses) in enumerate(result.history.items()):
        means = [sum(losses[at : at + 10]) / len(losses[at : at + 10]) for at in range(0, len(losses), 10)]
        line = {"color": COLOURS[number % len(COLOURS)], "dash": dashes[number]}
        made.add_scatter(x=list(range(0, len(losses), 10)), y=means, name=name, line=line)
    return made
