"""The lesson's result figures."""

from __future__ import annotations

import math

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.lora.experiment import Adaptation, Planted


def fits(planted: Planted) -> go.Figure:
    """The loss of each step at each rank, and the floor that no matrix of that rank can go below."""
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
    """What each LoRA run recovers of full fine-tuning's gain, against the numbers that it trains."""
    made = figure(x="Trained numbers", y="Recovered share of the gain", height=400, hovermode="closest")
    looks = {
        "q": ("q only", "square", "middle left"),
        "q, v": ("q and v", "diamond", "bottom center"),
        "all": ("all six Linears", "circle", "bottom right"),
    }
    for (name, (label, symbol, beside)), colour in zip(looks.items(), COLOURS, strict=False):
        runs = [run for run in adaptation.runs if run.name == name]
        made.add_scatter(
            x=[run.trainable for run in runs],
            y=[run.recovered for run in runs],
            text=[f"r = {run.rank}" for run in runs],
            name=label,
            mode="lines+markers+text",
            textposition=beside,
            line={"color": colour},
            marker={"size": 11, "symbol": symbol},
        )
    made.add_hline(
        y=1,
        line={"color": "#808891", "dash": "dash"},
        annotation_text="full fine-tuning",
        annotation_position="top left",
    )
    made.update_xaxes(type="log", range=[2.5, 5], tickvals=[500, 1000, 2000, 5000, 10_000, 20_000, 50_000])
    shares = [0, 1, *(run.recovered for run in adaptation.runs)]
    return made.update_yaxes(tickformat=".0%", range=[min(shares) - 0.1, max(shares) + 0.1])


def _log(value: float) -> float:
    return math.log10(value)  # plotly places annotations on a logarithmic axis by the exponent
