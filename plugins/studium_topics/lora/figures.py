"""The lesson's result figures."""

from __future__ import annotations

import math

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.lora.experiment import EQUAL, OTHERS, Adaptation, Planted


def fits(planted: Planted) -> go.Figure:
    """Return the loss of each step at each rank, and the floor that no matrix of that rank can go below."""
    made = figure(x="Step", y="Squared error of the matrix", height=400)
    for rank, history, tail, colour in zip(planted.ranks, planted.history, planted.tail, COLOURS, strict=False):
        line = {"x": list(range(1, len(history) + 1)), "y": history, "name": f"r = {rank}", "mode": "lines"}
        made.add_scatter(**line, line={"color": colour, "dash": "solid"})
        floor = {"x": [1, len(history)], "y": [tail, tail], "name": f"tail energy at r = {rank}", "mode": "lines"}
        made.add_scatter(**floor, line={"color": colour, "dash": "dash", "width": 1.5}, showlegend=False)
        made.add_annotation(
            x=len(history), y=_log(tail), text=f"tail, r = {rank}", showarrow=False, yshift=9, xshift=-40
        )
    return made.update_yaxes(type="log")


def recoveries(adaptation: Adaptation) -> go.Figure:
    """Return what each LoRA run recovers of full fine-tuning's gain, the runs of about equal budget first."""
    groups = ((f"about {adaptation.run('v', 8).trainable} trained", EQUAL), ("more or fewer trained", OTHERS))
    made = figure(x="Recovered share of the gain", height=400, bargap=0.35)
    for (name, plan), colour in zip(groups, COLOURS, strict=False):
        runs = [adaptation.run(*item) for item in plan]
        made.add_bar(
            x=[run.recovered for run in runs],
            y=[f"{run.name}, r = {run.rank}" for run in runs],
            text=[f"{run.recovered:.0%}" for run in runs],
            textposition="outside",
            cliponaxis=False,
            orientation="h",
            name=name,
            marker={"color": colour},
        )
    made.add_vline(x=1, line={"color": "#808891", "dash": "dash"})
    made.add_annotation(x=1, y=1, yref="paper", text="full fine-tuning", xanchor="right", xshift=-6, showarrow=False)
    shares = [0, 1, *(run.recovered for run in adaptation.runs)]
    made.update_yaxes(autorange="reversed")
    return made.update_xaxes(tickformat=".0%", range=[min(shares) - 0.02, max(shares) + 0.12])


def _log(value: float) -> float:
    return math.log10(value)  # plotly places annotations on a logarithmic axis by the exponent
