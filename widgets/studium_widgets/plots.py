"""Result figures in the widgets' own style, readable on light and on dark pages. Plotly is imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["COLOURS", "DASHES", "figure"]

# The hues of the widgets' series, in the same order. Each has a contrast of 3:1 or more on white and on #111111, and
# they differ for every kind of colour vision.
COLOURS = ("#1398e5", "#e86717", "#2a8970", "#c965ae", "#71632b", "#6353c4")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

MIDDLE = "#808891"  # of axes and text: 3:1 or more on both pages
FAINT = "rgba(128, 136, 145, 0.3)"  # of grid lines
SEQUENTIAL = ("#2c2150", "#3c4a86", "#35789f", "#46a9ab", "#86d0b6", "#e4f6ea")
# More tools would cover titles, and one of them would upload the figure.
TOOLBAR = {
    "modeBarButtons": [["toImage"]],
    "displaylogo": False,
    "displayModeBar": "hover",
    "toImageButtonOptions": {"format": "png", "scale": 2, "filename": "studium-figure"},
}
DIVERGING = ("#12408a", "#3f7cc4", "#9fc4e8", "#f6f6f4", "#f8c590", "#dc7d1c", "#8f3d00")


def figure(*traces: Any, x: str = "", y: str = "", title: str = "", height: int = 340, **layout: Any) -> Figure:
    """Return a plotly figure of `traces` in the template "studium", with axis titles `x` and `y`; height in px.

    `layout` goes to `update_layout`. Lines without a dash get different ones, so colour is never the only key.
    """
    import plotly.graph_objects as go

    made = go.Figure(data=list(traces))
    made.update_layout(template=template(), height=height, xaxis_title=x or None, yaxis_title=y or None, **layout)
    if title:
        made.update_layout(title_text=title, title_y=0.97, title_yanchor="top", margin_t=72)
    _tell_apart(made)
    return made


def template() -> Any:
    """Return the plotly template, registered as "studium" in `plotly.io.templates`; figures get one tool, "save"."""
    import plotly.graph_objects as go
    import plotly.io

    if "studium" not in plotly.io.templates:
        plotly.io.templates["studium"] = go.layout.Template(layout=_layout(), data={"scatter": [{"line_width": 2.5}]})
        for name in ("plotly_mimetype", "notebook"):
            plotly.io.renderers[name].config = TOOLBAR
    return plotly.io.templates["studium"]


def _layout() -> dict[str, Any]:
    axis: dict[str, Any] = {
        "gridcolor": FAINT,
        "linecolor": MIDDLE,
        "zerolinecolor": FAINT,
        "ticks": "outside",
        "tickcolor": FAINT,
    }
    axis |= {"title": {"font": {"size": 13}}}
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "colorway": COLOURS,
        "colorscale": {"sequential": _scale(SEQUENTIAL), "diverging": _scale(DIVERGING)},
        "font": {"family": "system-ui, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": MIDDLE},
        "title": {"x": 0, "xref": "paper", "font": {"size": 15}},
        "margin": {"l": 60, "r": 16, "t": 36, "b": 52},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
        "xaxis": {**axis, "showgrid": False, "showline": True, "automargin": True},
        "yaxis": {**axis, "automargin": True, "title": {**axis["title"], "standoff": 8}},  # else on wide numbers
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MIDDLE, "activecolor": MIDDLE},
        "hovermode": "x unified",
        "hoverlabel": {"bgcolor": "#ffffff", "font": {"color": "#1d232b"}},
    }


def _scale(colours: tuple[str, ...]) -> list[tuple[float, str]]:
    return [(step / (len(colours) - 1), colour) for step, colour in enumerate(colours)]


def _tell_apart(made: Figure) -> None:
    lines = [trace for trace in made.data if trace.type == "scatter" and "lines" in (trace.mode or "lines")]
    for trace, dash in zip(lines, DASHES * len(lines), strict=False):
        if trace.line.dash is None:
            trace.line.dash = dash
