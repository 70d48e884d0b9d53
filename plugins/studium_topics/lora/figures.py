"""The lesson's result figures. Their colours can be read on a light and on a dark page."""

from __future__ import annotations

import plotly.graph_objects as go

from studium_topics.lora.experiment import Adaptation, Planted

_GREY = "#808080"
_SERIES = ("#3b82c4", "#d9772b", "#4a9d5b", "#a05fb4", "#b8922a")


def fits(planted: Planted) -> go.Figure:
    """The loss of each step at each rank, and the floor that no matrix of that rank can go below."""
    figure = _figure("Step", "Squared error of the matrix (log scale)")
    for rank, history, tail, colour in zip(planted.ranks, planted.history, planted.tail, _SERIES, strict=False):
        steps = list(range(1, len(history) + 1))
        figure.add_scatter(x=steps, y=history, name=f"r = {rank}", mode="lines", line={"color": colour, "width": 2})
        floor = {"color": colour, "width": 1, "dash": "dash"}
        name = f"tail energy, r = {rank}"
        figure.add_scatter(x=[1, len(history)], y=[tail, tail], name=name, mode="lines", line=floor, showlegend=False)
    return figure.update_yaxes(type="log")


def recoveries(adaptation: Adaptation) -> go.Figure:
    """What each LoRA run recovers of full fine-tuning's gain, against the numbers that it trains."""
    figure = _figure("Trainable numbers (log scale)", "Recovered share of full fine-tuning's gain")
    for name, colour, symbol in (("q, v", _SERIES[1], "diamond"), ("all", _SERIES[0], "circle")):
        runs = [run for run in adaptation.runs if run.name == name]
        figure.add_scatter(
            x=[run.trainable for run in runs],
            y=[run.recovered for run in runs],
            text=[f"r = {run.rank}" for run in runs],
            name="all Linears" if name == "all" else "q and v only",
            mode="lines+markers+text",
            textposition="top center",
            line={"color": colour},
            marker={"size": 10, "symbol": symbol},
        )
    figure.add_hline(y=1, line={"color": _GREY, "dash": "dash"}, annotation_text="full fine-tuning")
    return figure.update_xaxes(type="log", dtick=1).update_yaxes(tickformat=".0%", rangemode="tozero")


def _figure(x: str, y: str) -> go.Figure:
    axis = {"gridcolor": "rgba(128,128,128,.25)", "zeroline": False, "linecolor": _GREY}
    return go.Figure(
        layout={
            "xaxis": {"title": x, **axis},
            "yaxis": {"title": y, **axis},
            "height": 380,
            "margin": {"l": 70, "r": 20, "t": 20, "b": 50},
            "font": {"color": _GREY, "size": 13},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "legend": {"orientation": "h", "y": 1.12},
        }
    )
