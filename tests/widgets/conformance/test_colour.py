"""Contrast and colour vision as numbers, and the palettes that are measured with them."""

from __future__ import annotations

import itertools

import pytest
from studium_widgets.conformance.colour import apart, contrast
from studium_widgets.plots import COLOURS

THEME = """async () => (await import("studium_widgets/controls/theme.js")).SERIES"""
PAGES = {"light": "#ffffff", "dark": "#14171c"}


def channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def test_contrast_is_that_of_wcag():
    assert contrast([0, 0, 0], [255, 255, 255]) == pytest.approx(21)
    assert contrast([119, 119, 119], [255, 255, 255]) == pytest.approx(4.48, abs=0.01)
    assert contrast([9, 9, 9], [9, 9, 9]) == 1


def test_colours_that_only_some_eyes_tell_apart_are_close_for_the_others():
    for first, second, vision in [
        ("#c24e00", "#7a6200", "protanopia"),
        ("#c98a3d", "#98a03d", "deuteranopia"),
        ("#0068a8", "#00805c", "tritanopia"),
    ]:
        distance, found = apart(channels(first), channels(second))
        assert (distance < 0.06, found) == (True, vision)


def test_black_and_white_are_apart_for_all():
    assert apart([0, 0, 0], [255, 255, 255])[0] == pytest.approx(1, abs=0.01)


@pytest.mark.browser
@pytest.mark.parametrize("theme", PAGES)
def test_series_are_apart_for_all_eyes_and_stand_out(open_page, theme):
    series = [channels(colour) for colour in open_page().evaluate(THEME)[theme]]
    assert min(apart(*pair)[0] for pair in itertools.combinations(series, 2)) >= 0.08
    assert min(contrast(colour, channels(PAGES[theme])) for colour in series) >= 3


def test_colours_of_figures_are_apart_for_all_eyes_and_stand_out_on_both_pages():
    for page in ["#ffffff", "#111111"]:
        colours = [channels(colour) for colour in COLOURS]
        assert min(apart(*pair)[0] for pair in itertools.combinations(colours, 2)) >= 0.04
        assert min(contrast(colour, channels(page)) for colour in colours) >= 3
