"""Figures of the lesson."""

from __future__ import annotations

from typing import Any

from plotly.graph_objects import Figure, Scatter
from plotly.subplots import make_subplots
from studium_widgets.plots import COLOURS, DASHES, figure, template

from studium_topics.cfg.exact import Answers, Variances
from studium_topics.cfg.handwriting import Digits


def variances(result: Variances) -> Figure:
    """Draw the variance over the scale: what should be sampled, and the limit and the samples of each solver."""
    made = figure(x="scale s", y="variance of the samples", height=380)
    for (name, row), colour, dash in zip(result.theory.items(), COLOURS, DASHES, strict=False):
        label = "tilted density" if name == "tilted" else f"{name}, theory"
        made.add_scatter(x=result.scales, y=row, name=label, mode="lines", line={"color": colour, "dash": dash})
    for (name, row), colour, symbol in zip(result.found.items(), COLOURS[1:], ("circle", "square"), strict=False):
        marker = {"color": colour, "size": 9, "symbol": symbol}
        made.add_scatter(x=result.scales, y=row, name=f"{name}, yours", mode="markers", marker=marker)
    return made.update_yaxes(type="log", tickvals=[0.05, 0.1, 0.2, 0.5, 1])


def answers(result: Answers, scale: float) -> Figure:
    """Show the exact tilted density, DDPM and DDIM at one scale, side by side."""
    clouds = {"exact": result.tilted[scale]} | {name: result.clouds[name, scale] for name in ("DDPM", "DDIM")}
    made: Any = make_subplots(cols=3, subplot_titles=[f"{name}, s = {scale:g}" for name in clouds])
    for column, (cloud, colour) in enumerate(zip(clouds.values(), COLOURS, strict=False), 1):
        x = cloud[:1000].round(decimals=3)
        marker = {"size": 3, "color": colour, "opacity": 0.6}
        dots = Scatter(x=x[:, 0].numpy(), y=x[:, 1].numpy(), mode="markers", marker=marker, hoverinfo="skip")
        made.add_trace(dots, row=1, col=column)
        made.update_yaxes(scaleanchor=f"x{column if column > 1 else ''}", constrain="domain", row=1, col=column)
    made.update_xaxes(range=[-0.8, 3.2], constrain="domain")
    made.update_yaxes(range=[-1.2, 2.8])
    made.update_layout(template=template(), height=320, showlegend=False, margin={"l": 32, "b": 28, "t": 40})
    return made.update_annotations(font_size=13)


def trade(result: Digits) -> Figure:
    """Draw accuracy and diversity over the scale, and below them the energy distance of both networks."""
    made: Any = make_subplots(rows=3, shared_xaxes=True, vertical_spacing=0.06)
    rows = (("accuracy", "accuracy"), ("diversity", "diversity"), ("distance", "distance to real"))
    ideal = Scatter(
        x=list(result.perfect), y=[found.distance for found in result.perfect.values()], mode="lines+markers",
        line={"color": COLOURS[3], "dash": "dot"}, name="distance, perfect network",
    )  # fmt: skip
    made.add_trace(ideal, row=3, col=1)
    for row, ((name, title), colour) in enumerate(zip(rows, COLOURS, strict=False), 1):
        y = [getattr(measured, name) for measured in result.by_scale.values()]
        x = list(result.by_scale)
        made.add_trace(Scatter(x=x, y=y, mode="lines+markers", line={"color": colour}, name=title), row=row, col=1)
        made.update_yaxes(title_text=title, rangemode="tozero" if name != "diversity" else "normal", row=row, col=1)
        if name != "accuracy":
            real = getattr(result.real, name)
            made.add_hline(y=real, line={"color": "#808891", "dash": "dash", "width": 1.5}, row=row, col=1)
    made.update_xaxes(title_text="scale s", row=3, col=1)
    return made.update_layout(template=template(), height=520, showlegend=False, margin={"l": 64, "t": 16})
