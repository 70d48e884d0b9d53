"""What the lesson shows before and after its experiments."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files

import plotly.graph_objects as go
from studium_widgets.plots import COLOURS, figure

from studium_topics.kv_caching.experiment import Faults
from studium_topics.kv_caching.lanes import TwoLanes
from studium_topics.kv_caching.pages import Paging


def opening() -> TwoLanes:
    """Return both lanes with a small trained model, whose weights `opening_model` of the reference has made."""
    saved = json.loads(files(__package__).joinpath("opening.json").read_text("utf-8"))
    return TwoLanes(**saved, new=40, written=40)


def growth(decode_flops: Callable[..., int], sizes: tuple[int, int, int, int, int], longest: int = 4096) -> go.Figure:
    """Return the work of writing a text of T tokens, without a cache and with one, on axes that double."""
    lengths = [2**power for power in range(1, longest.bit_length())]
    made = figure(x="Tokens T", y="Floating-point operations", height=380)
    for name, cached, colour, dash in (
        ("without a cache", False, COLOURS[1], "dash"), ("with a cache", True, COLOURS[0], "solid"),
    ):  # fmt: skip
        work = [decode_flops(*sizes, length, cached) for length in lengths]
        made.add_scatter(x=lengths, y=work, name=name, mode="lines+markers", line={"color": colour, "dash": dash})
    made.update_xaxes(type="log", dtick=0.30103 * 2)
    made.update_yaxes(type="log")
    return made


def harms(result: Faults) -> go.Figure:
    """Return what each fault costs on held-out prose."""
    names = [name for name in result.losses if name != "nothing"]
    bars = go.Bar(
        x=[result.harm(name) for name in names], y=names, orientation="h", marker_color=COLOURS[0],
        text=[f"{result.harm(name):+.2f}" for name in names], textposition="inside",
    )  # fmt: skip
    return figure(bars, x="Added loss, nats a character", y="", height=280)


def occupancy(result: Paging) -> go.Figure:
    """Return how many of the slots that are reserved hold a token."""
    ways = {"room for the longest text": result.reserved, "pages of 16 slots": result.paged}
    bars = go.Bar(
        x=[100 * share for share in ways.values()], y=list(ways), orientation="h", marker_color=COLOURS[0],
        text=[f"{share:.0%}" for share in ways.values()], textposition="inside",
    )  # fmt: skip
    return figure(bars, x="Slots that hold a token, %", y="", height=220)
