"""What the lesson shows of its experiments."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, DASHES, figure

from studium_topics.text_to_image.exact import SPACINGS, STEPS, Bias
from studium_topics.text_to_image.experiment import NETWORKS


def fewer_samples(result: Bias) -> go.Figure:
    """Return the FID of both generators over 1 / N."""
    made = figure(x="1 / N", y="FID", height=360)
    rows = (("perfect generator", result.perfect), ("spread × 0.9", result.narrow))
    for (name, fids), colour, symbol in zip(rows, COLOURS, ("circle", "square"), strict=False):
        x = [1 / count for count in fids]
        marker = {"color": colour, "symbol": symbol, "size": 9}
        text = [f"N = {count}" for count in fids]
        made.add_scatter(x=x, y=list(fids.values()), name=name, mode="lines+markers", marker=marker, text=text)
    return made


def equal_steps(equal: dict[tuple[str, str, int], float]) -> go.Figure:
    """Return the accuracy of both networks with both spacings over the number of steps."""
    made = figure(x="Steps", y="Colour, form and size right", height=360)
    for network, dash in zip(NETWORKS, DASHES, strict=False):
        for spacing, colour in zip(SPACINGS, COLOURS, strict=False):
            y = [equal[network, spacing, steps] for steps in STEPS]
            line, name = {"color": colour, "dash": dash}, f"{network} network, {spacing} times"
            made.add_scatter(x=STEPS, y=y, name=name, mode="lines+markers", line=line)
    return made.update_xaxes(type="log", tickvals=STEPS).update_yaxes(range=[0, 1])


def interval(wins: int, pairs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval for the share of comparisons that are won."""
    z = 1.96
    centre = (wins + z**2 / 2) / (pairs + z**2)
    half = z / (pairs + z**2) * (wins * (pairs - wins) / pairs + z**2 / 4) ** 0.5
    return centre - half, centre + half
