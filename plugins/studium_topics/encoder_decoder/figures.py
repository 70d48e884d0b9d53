"""What the lesson shows before and after its experiments."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.encoder_decoder.experiment import Leak
from studium_topics.encoder_decoder.widget import SourceReader


def opening() -> SourceReader:
    """Return three trained models, each on its task; `opening_weights` of the reference trained them."""
    return SourceReader.example()


def leaking(result: Leak) -> go.Figure:
    """Return the loss of each training step of the two models, on a logarithmic scale."""
    made = figure(x="Step", y="Loss (nats a token)", height=380)
    for name, run, colour, dash in (
        ("shifted", result.shifted, COLOURS[0], "solid"), ("leaky", result.leaky, COLOURS[1], "dash"),
    ):  # fmt: skip
        steps = list(range(1, len(run.losses) + 1))
        made.add_scatter(x=steps, y=run.losses, name=name, mode="lines", line={"color": colour, "dash": dash})
    made.update_yaxes(type="log")
    return made
