"""The lesson's result figure."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.llm_evaluation_metrics.comparison import Comparison

NAMES = {"twin": "the twin, another seed", "short": "a third of the training"}


def decided(race: Comparison) -> go.Figure:
    """Return the share of benchmarks of each size that tell a model from the base."""
    made = figure(x="Items of the benchmark", y="Benchmarks that decide", height=400)
    for (name, shares), colour, dash in zip(race.decided.items(), COLOURS, ("dash", "solid"), strict=False):
        made.add_scatter(
            x=list(race.sizes), y=shares, name=NAMES[name], mode="lines+markers", line={"color": colour, "dash": dash}
        )
    made.add_hline(y=0.05, line={"color": "#808891", "dash": "dot"})
    made.add_annotation(x=0, xref="paper", y=0.05, yshift=9, xshift=30, text="5 %", showarrow=False)
    made.update_xaxes(type="log", tickvals=list(race.sizes))
    return made.update_yaxes(tickformat=".0%", range=[-0.03, 1.05])
