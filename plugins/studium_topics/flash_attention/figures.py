"""The lesson's result figures."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.flash_attention.experiment import Exactness, Moved


def memory(result: Exactness) -> go.Figure:
    """The largest tensor of tiled and of standard attention at each length."""
    made = figure(x="Tokens", y="Largest tensor (numbers)", height=380)
    for name, numbers, colour, dash in (
        ("standard", result.standard, COLOURS[1], "dash"), ("tiled", result.tiled, COLOURS[0], "solid"),
    ):  # fmt: skip
        made.add_scatter(x=result.lengths, y=numbers, name=name, line={"color": colour, "dash": dash})
    made.update_xaxes(type="log", tickvals=result.lengths, ticktext=[str(length) for length in result.lengths])
    made.update_yaxes(type="log", dtick="D2")
    return made


def traffic(result: Moved, standard: int) -> go.Figure:
    """Numbers moved at 4096 tokens of width 64 over the size of the fast memory, and those of standard attention."""
    made = figure(x="Fast memory (numbers)", y="Numbers moved", height=380)
    made.add_scatter(x=result.sizes, y=result.curve, name="tiled", line={"color": COLOURS[0]})
    made.add_hline(
        y=standard, line={"color": COLOURS[1], "dash": "dash"}, annotation_text="standard",
        annotation_position="bottom right",
    )  # fmt: skip
    made.update_xaxes(type="log", tickvals=result.sizes, ticktext=[f"{size // 1024}k" for size in result.sizes])
    made.update_yaxes(type="log", dtick="D2")
    return made
