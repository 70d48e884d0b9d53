"""The lesson's figure."""

from __future__ import annotations

from plotly.graph_objects import Bar, Figure
from studium_widgets.plots import COLOURS, figure

from studium_topics.controlnet.experiment import Followed


def overlaps(result: Followed) -> Figure:
    """Draw the mean IoU of each design, and that of the base alone as a line."""
    names = [name for name in result.designs if name != "no control"]
    bars = Bar(x=names, y=[result.designs[name].iou for name in names], marker_color=COLOURS[0], name="IoU")
    made = figure(bars, y="mean IoU with the drawing", height=340)
    base = result.designs["no control"].iou
    made.add_hline(y=base, line={"dash": "dash", "color": COLOURS[1]}, annotation_text="base alone")
    return made.update_yaxes(range=[0, 1])
