"""The lesson's result figures."""

from __future__ import annotations

from typing import Any

import torch
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots
from studium_widgets.plots import COLOURS, DASHES, figure, template
from torch import Tensor

from studium_topics.classifier_guidance.experiment import ExactResult
from studium_topics.classifier_guidance.learned import LearnedResult
from studium_topics.kits.mixture import Mixture

REACH = 2.6


def clouds(result: ExactResult, mixture: Mixture) -> Figure:
    """Show real data of the class, and the samples at each scale, over the modes of all classes."""
    shown = {f"real, {result.real.accuracy:.0%}": result.real.samples}
    shown |= {f"s = {s:g}, {cloud.accuracy:.0%}": cloud.samples for s, cloud in result.scales.items()}
    made: Any = make_subplots(2, 3, subplot_titles=list(shown), horizontal_spacing=0.03, vertical_spacing=0.09)
    for place, samples in enumerate(shown.values()):
        row, column = place // 3 + 1, place % 3 + 1
        for trace in (_modes(mixture), _points(samples)):
            made.add_trace(trace, row=row, col=column)
    bare = {"range": [-REACH, REACH], "showticklabels": False, "showgrid": False, "zeroline": False, "ticks": ""}
    made.update_xaxes(**bare, constrain="domain", showline=False)
    for place in range(6):
        axis = f"x{place + 1 if place else ''}"
        made.update_yaxes(**bare, scaleanchor=axis, row=place // 3 + 1, col=place % 3 + 1)
    made.update_layout(template=template(), height=520, showlegend=False, margin={"l": 8, "r": 8, "b": 8, "t": 40})
    return made.update_annotations(font_size=13)


def _modes(mixture: Mixture) -> Scatter:
    colours = [COLOURS[k % len(COLOURS)] for k in mixture.classes.tolist()]
    marker = {"size": 12, "color": colours, "symbol": "x-thin-open", "line": {"width": 2}}
    x, y = mixture.means.T.tolist()
    return Scatter(x=x, y=y, mode="markers", marker=marker, hoverinfo="skip")


def _points(samples: Tensor) -> Scatter:
    x, y = samples[:800].round(decimals=3).T.tolist()
    return Scatter(x=x, y=y, mode="markers", marker={"size": 3, "color": COLOURS[0], "opacity": 0.6}, hoverinfo="skip")


def sizes(betas: Tensor) -> Figure:
    """Draw what the gradient is multiplied by at each t: the size of all noise, and that of one step."""
    abar, t = (1 - betas).cumprod(0), list(range(len(betas)))
    lines = {"√(1 − ᾱ), all the noise": (1 - abar).sqrt(), "√β, the noise of one step": betas.sqrt()}
    traces = [Scatter(x=t, y=y.tolist(), name=name, mode="lines") for name, y in lines.items()]
    return figure(*traces, x="timestep t", y="factor of the gradient", height=300)


def trade(result: LearnedResult) -> Figure:
    """Draw the judge's accuracy over the diversity within a class, from scale to scale, for each guide."""
    made = figure(x="Diversity within a class", y="Accuracy, by the judge", height=400, hovermode="closest")
    looks = zip(result.runs.items(), COLOURS, DASHES, ("top right", "bottom left"), strict=False)
    for (name, runs), colour, dash, side in looks:
        path = {0.0: result.unguided} | runs
        made.add_scatter(
            x=[run.diversity for run in path.values()],
            y=[run.accuracy for run in path.values()],
            text=[f"{s:g}" for s in path],
            name=f"{name}, s = 0 to 10",
            mode="lines+markers+text",
            textposition=side,
            line={"color": colour, "dash": dash},
            marker={"size": 9},
        )
    ends = {"exact classifier, s = 1": (result.exact, "diamond"), "real digits": (result.real, "star")}
    for (name, (run, symbol)), colour in zip(ends.items(), COLOURS[2:], strict=False):
        marker = {"size": 12, "color": colour, "symbol": symbol}
        made.add_scatter(x=[run.diversity], y=[run.accuracy], name=name, mode="markers", marker=marker)
    return made.update_yaxes(tickformat=".0%", range=[0, 1.12])


def digit_rows(result: LearnedResult, guide: str) -> tuple[Tensor, list[str]]:
    """Return images (70, 1, 8, 8) of 0 to 9 as asked for, and a name for each.

    The rows of ten are real digits, unguided ones, those of a guide at each scale, and its own without a model.
    """
    rows = {"real": result.real, "unguided": result.unguided}
    rows |= {f"s = {s:g}": run for s, run in result.runs[guide].items()} | {"no model": result.ignorant}
    chosen = torch.cat([(result.y == k).nonzero()[:1, 0] for k in range(10)])
    images = torch.cat([run.images[chosen] for run in rows.values()])
    return images.float().view(-1, 1, 8, 8), [f"{name}: {digit}" for name in rows for digit in range(10)]
