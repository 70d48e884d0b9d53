"""Result figures: readable on both pages, and told apart by more than colour."""

from __future__ import annotations

import colorsys
import re
from pathlib import Path

import plotly.graph_objects as go
import plotly.io
from studium_widgets import figure, plots
from studium_widgets.plots import COLOURS, MIDDLE


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def hue(colour: str) -> float:
    return 360 * colorsys.rgb_to_hls(*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)))[0]


def test_figures_have_the_hues_of_the_widgets_in_the_same_order():
    theme = Path(plots.__file__).with_name("controls") / "theme.js"
    light, dark = (
        re.findall(r"#\w{6}", line) for line in re.findall(r"(?:light|dark): (\[.*\])", theme.read_text("utf-8"))
    )
    for colour, *series in zip(COLOURS, light, dark, strict=True):
        low, high = sorted(map(hue, series))
        assert low - 8 <= hue(colour) <= high + 8


def test_each_colour_stands_out_on_light_and_on_dark():
    for page in ["#ffffff", "#111111"]:
        for colour in [*COLOURS, MIDDLE]:
            assert contrast(colour, page) >= 3


def test_the_page_shows_through():
    layout = figure(go.Scatter(y=[1, 2])).layout.template.layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_axis_titles_and_layout_options_arrive():
    made = figure(go.Scatter(y=[1, 2]), x="step", y="loss", title="Loss", yaxis_type="log")
    assert (made.layout.xaxis.title.text, made.layout.yaxis.title.text, made.layout.title.text) == (
        "step",
        "loss",
        "Loss",
    )
    assert made.layout.yaxis.type == "log"


def test_lines_get_dashes_of_their_own_unless_they_name_one():
    made = figure(go.Scatter(y=[1]), go.Scatter(y=[2]), go.Scatter(y=[3], line_dash="dot"), go.Bar(y=[1]))
    assert [trace.line.dash for trace in made.data[:3]] == ["solid", "dash", "dot"]


def test_a_figure_of_nothing_is_a_figure():
    assert len(figure().data) == 0


def test_the_toolbar_saves_an_image_shares_nothing_and_lets_what_is_behind_it_shine_through():
    made = figure(title="A finding")
    assert made.layout.template.layout.modebar.bgcolor == "rgba(0,0,0,0)"
    (shown,) = plotly.io.renderers["plotly_mimetype"].to_mimebundle(made.to_dict()).values()
    assert shown["config"]["modeBarButtons"] == [["toImage"]]
    assert shown["config"]["displaylogo"] is False
    assert shown["config"]["displayModeBar"] == "hover"
