"""Figures of the lesson."""

from __future__ import annotations

from typing import Any

import torch
from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots
from studium_widgets.plots import COLOURS, figure, template
from torch import Tensor

from studium_topics.ddpm.experiment import (
    SPREADS,
    MemoryResult,
    RollResult,
    SamplerVerdict,
    StepsResult,
    VarianceResult,
)


def _points(x: Tensor, name: str, colour: int, size: float = 3, symbol: str = "circle") -> Scatter:
    marker = {"size": size, "color": COLOURS[colour], "opacity": 0.6, "symbol": symbol}
    x = x.cpu()[:1500].round(decimals=3)
    return Scatter(x=x[:, 0].numpy(), y=x[:, 1].numpy(), mode="markers", name=name, marker=marker, hoverinfo="skip")


def _panels(panels: dict[str, list[Scatter]], reach: float, height: int = 320) -> Figure:
    """Draw square panels side by side, all from -reach to reach."""
    made: Any = make_subplots(cols=len(panels), subplot_titles=list(panels), horizontal_spacing=0.03)
    for column, traces in enumerate(panels.values(), 1):
        for trace in traces:
            made.add_trace(trace, row=1, col=column)
    made.update_xaxes(range=[-reach, reach], showticklabels=False, constrain="domain")
    for column in range(1, len(panels) + 1):
        anchor = f"x{column if column > 1 else ''}"
        made.update_yaxes(range=[-reach, reach], scaleanchor=anchor, showticklabels=False, col=column)
    made.update_layout(template=template(), height=height, showlegend=False, margin={"l": 16, "b": 16, "t": 56})
    made.update_annotations(font_size=13)
    return made


def roll_samples(result: RollResult) -> Figure:
    """Show fresh data beside the samples of each variant, each with its energy distance to more fresh data."""
    names = {"eps": "predicts ε", "x0": "predicts x₀", "no time": "ε, not told t"}
    panels = {f"data<br>{result.floor:.4f}": [_points(result.data, "data", 0)]}
    for variant, run in result.runs.items():
        panels[f"{names[variant]}<br>{run.distance:.4f}"] = [_points(run.samples, variant, 1)]
    return _panels(panels, 2.2)


def eyes_on_samplers(verdicts: dict[str, SamplerVerdict]) -> Figure:
    """Show the samples of a right sampler and of two wrong ones, without their names."""
    names = ("noise after the last step", "none", "table off by one row")
    panels = {letter: [_points(verdicts[name].samples, letter, 1)] for letter, name in zip("ABC", names, strict=True)}
    return _panels(panels, 2.2)


def losses_over_time(losses: Tensor) -> Figure:
    """Draw the loss (T,) of the trained network at each t, beside the 1 of a network that answers 0."""
    t = torch.arange(len(losses)).numpy()
    trained = Scatter(x=t, y=losses.cpu().numpy(), mode="lines", name="trained network")
    silent = Scatter(x=t, y=torch.ones(len(losses)).numpy(), mode="lines", name="always answers 0")
    return figure(trained, silent, x="row t", y="mean squared error of ε", height=300)


def variance_paths(result: VarianceResult) -> Figure:
    """Draw the variance of the samples over the true one, from noise (left) to data (right)."""
    traces, steps = [], len(result.betas)
    names = {"beta": "σ² = β", "posterior": "σ² = β̃"}
    for kind, path in result.paths.items():
        for column, spread in list(enumerate(SPREADS))[:3]:
            line = {"color": COLOURS[column], "dash": "solid" if kind == "beta" else "dash"}
            label = f"{names[kind]}, s² = {spread:g}"
            x = torch.arange(steps - 1, -1, -1).numpy()
            traces.append(Scatter(x=x, y=path[:, column].numpy(), mode="lines", name=label, line=line))
    made = figure(*traces, x="row t, from noise to data", y="variance / true variance", height=380)
    made.update_xaxes(autorange="reversed")
    return made


def memory(result: MemoryResult) -> Figure:
    """Show training points as crosses and what the minimiser of the loss generates as dots."""
    panels = {}
    for count, points in result.points.items():
        samples = _points(result.samples[count], "samples", 1, 4)
        panels[f"{count} points (crosses)"] = [
            samples,
            _points(points, "training points", 0, 7, "x-thin-open"),
        ]
    return _panels(panels, 2.2, height=420)


def spread_by_steps(result: StepsResult) -> Figure:
    """Draw the spread within a mode, over the true one, by the number of steps."""
    traces = []
    for eta, name in ((0.0, "η = 0, DDIM"), (1.0, "η = 1, DDPM")):
        counts = sorted(k for e, k in result.spread if e == eta)
        spreads = [result.spread[eta, k] for k in counts]
        traces.append(Scatter(x=counts, y=spreads, mode="lines+markers", name=name))
    made = figure(*traces, x="sampling steps", y="spread within a mode / truth", height=320)
    made.update_xaxes(type="log", tickvals=counts)
    return made
