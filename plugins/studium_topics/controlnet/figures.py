"""The lesson's figure."""

from __future__ import annotations

from plotly.graph_objects import Bar, Figure
from studium_widgets.plots import COLOURS, figure

from studium_topics.controlnet.experiment import Followed


def overlaps(result: Followed) -> Figure:
    """Draw the mean IoU of each design, and that of the base alone as a line."""
    names = [name for name in result.designs if name != "no control"]
    found = [result.designs[name].iou for name in names]
    bars = Bar(x=found, y=names, orientation="h", marker_color=COLOURS[0], name="IoU")
    made = figure(bars, x="mean IoU with the drawing", height=300, hovermode="y unified")
    base = result.designs["no control"].iou
    above = {"text": "base alone", "y": 1, "yanchor": "bottom"}
    made.add_vline(x=base, line={"dash": "dash", "color": COLOURS[1]}, annotation=above)
    made.update_yaxes(autorange="reversed", showgrid=False)
    return made.update_xaxes(range=[0, 1], showgrid=True)
