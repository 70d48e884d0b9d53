"""The lesson's result figures."""

from __future__ import annotations

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.swiglu.experiment import KINDS, Products, Table

NAMES = {"relu": "ReLU", "silu": "SiLU", "swiglu": "SwiGLU"}


def diagonal(found: Products) -> go.Figure:
    """Return what a ReLU and a SwiGLU layer of equal size make of t² on the diagonal."""
    made = figure(x="t, with both inputs equal to t", y="Output less t²", height=340)
    x = found.line.tolist()
    for kind, colour, dash in zip(("relu", "swiglu"), COLOURS, ("solid", "dash"), strict=False):
        line = {"color": colour, "dash": dash}
        error = (found.fits[kind] - found.line.square()).tolist()
        made.add_scatter(x=x, y=error, name=NAMES[kind], mode="lines", line=line)
    return made


def differences(found: Table) -> go.Figure:
    """Return the paired differences from ReLU, one dot for each seed, and their mean with its 95 % interval."""
    made = figure(x="Loss less ReLU's, nats a character", height=320)
    kinds = [kind for kind in KINDS if kind != "relu"]
    for kind in kinds:
        apart = [ours - base for ours, base in zip(found.losses[kind], found.losses["relu"], strict=True)]
        dots = {"color": COLOURS[0], "symbol": "circle-open", "size": 9}
        seeds = {"name": "one seed", "legendgroup": "seeds", "showlegend": kind == kinds[0]}
        made.add_scatter(x=apart, y=[NAMES[kind]] * len(apart), mode="markers", marker=dots, **seeds)
    mean, low, high = zip(*(found.against_relu[kind] for kind in kinds), strict=True)
    error = {
        "array": [h - m for m, h in zip(mean, high, strict=True)],
        "arrayminus": [m - w for m, w in zip(mean, low, strict=True)],
        "thickness": 3,
        "width": 9,
    }
    made.add_scatter(
        x=mean,
        y=[NAMES[kind] for kind in kinds],
        error_x=error,
        mode="markers",
        marker={"color": COLOURS[1], "symbol": "diamond", "size": 11},
        name="mean and 95 % interval",
    )
    made.add_vline(x=0, line={"color": "#808891", "dash": "dash"})
    return made.update_yaxes(autorange="reversed")
