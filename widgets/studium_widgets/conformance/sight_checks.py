"""Checks for people who can see: contrast, colours, motion, and narrow pages."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from typing import Any

from studium_widgets.conformance.colour import apart, contrast
from studium_widgets.conformance.trial import Trial

__all__ = ["colours_tell_apart", "lines_stand_out", "page_may_be_narrow", "reduced_motion_is_kept", "text_stands_out"]

TEXT, LARGE_TEXT, GRAPHICS = 4.5, 3.0, 3.0  # WCAG 2.2, criteria 1.4.3 and 1.4.11
HALO = 1.2  # a line with less contrast is meant to disappear: it only separates what it surrounds from the rest
NOTICED = 0.04  # in Oklab: twice what is just noticeable side by side
QUIET, PATIENCE = 250, 3500  # ms


def text_stands_out(trial: Trial) -> Iterator[str]:
    """Text on canvases has a contrast of 4.5 : 1, light and dark (axe measures everything else)."""
    for page, colours in _both_pages(trial):
        worst: dict[str, float] = {}
        for text in colours["texts"]:
            found = statistics.median(contrast(*pair) for pair in text["pairs"])
            if found < (LARGE_TEXT if _is_large(text["font"]) else TEXT):
                worst[text["text"]] = min(found, worst.get(text["text"], 21))
        if worst:
            text, found = min(worst.items(), key=lambda item: item[1])
            yield (
                f"{len(worst)} texts on a canvas are too faint on a {page} page, “{text}” with {found:.1f} : 1: "
                "write in theme.text or theme.muted"
            )


def _is_large(font: str) -> bool:
    size = next((float(part[:-2]) for part in font.split() if part.endswith("px")), 0.0)
    return size >= 24 or (size >= 18.66 and any(weight in font for weight in ("bold", "600", "700")))


def lines_stand_out(trial: Trial) -> Iterator[str]:
    """Lines of 1.5 px or more on canvases have a contrast of 3 : 1 to the page, light and dark."""
    for page, colours in _both_pages(trial):
        faint = {
            _hex(line["colour"]): contrast(line["seen"], colours["surface"])
            for line in itertools.chain(*colours["lines"])
            if HALO < contrast(line["seen"], colours["surface"]) < GRAPHICS
        }
        for colour, found in sorted(faint.items()):
            yield f"a line in {colour} has {found:.1f} : 1 on a {page} page: draw in theme.series, accent or warm"


def colours_tell_apart(trial: Trial) -> Iterator[str]:
    """Lines of one picture differ in colour for every kind of colour vision, and series also differ in their dashes."""
    for page, colours in _both_pages(trial):
        series = colours["series"]
        for lines in colours["lines"]:
            shown = [line for line in lines if contrast(line["seen"], colours["surface"]) >= HALO]
            for one, other in itertools.combinations(shown, 2):
                if one["colour"] == other["colour"] or one["dash"] != other["dash"]:
                    continue
                pair = f"{_hex(one['colour'])} and {_hex(other['colour'])}"
                distance, vision = apart(one["seen"], other["seen"])
                if distance < NOTICED:
                    yield f"{pair} look alike on a {page} page with {vision}: give one of the lines a dash"
                elif one["colour"] in series and other["colour"] in series:
                    yield f"only colour distinguishes {pair} on a {page} page: give each series its dash of DASHES"


def reduced_motion_is_kept(trial: Trial) -> Iterator[str]:
    """If the reader prefers less motion, nothing keeps moving on its own, whatever is pressed."""
    trial.page.emulate_media(reduced_motion="reduce")
    trial.show()
    if not trial.kit(f"kit.rests(0, {QUIET}, {3 * PATIENCE})"):  # computing may take its time
        yield (
            f"the picture is still changing {3 * PATIENCE / 1000} s after it was drawn: ask ui.still before you animate"
        )
    if moving := trial.kit(ANIMATIONS):
        yield f"CSS animates {moving[0]}: stop it under @media (prefers-reduced-motion: reduce)"
    for place in range(trial.kit(f"{BUTTONS}.length")):
        name = trial.kit(PRESS, place)
        if name and not trial.kit(RESTS):
            yield f"{name} starts a lasting motion: if ui.still, go to the end at once or step by step"
            trial.kit(PRESS, place)
    trial.page.emulate_media(reduced_motion="no-preference")


RESTS = f"kit.rests(0, {QUIET}, {PATIENCE})"
# Buttons with their own state (pressed, expanded), and those of a stepper, start nothing.
BUTTONS = '[...views[0].el.querySelectorAll("button:not([aria-pressed], [aria-expanded], .st-stepper *)")].slice(0, 12)'
PRESS = f"(place) => {{ const button = {BUTTONS}[place]; button?.click(); return button && kit.call(button); }}"
ANIMATIONS = """document.getAnimations().filter((one) => one.playState === "running")
  .map((one) => kit.call(one.effect.target))"""


def page_may_be_narrow(trial: Trial) -> Iterator[str]:
    """Nothing sticks out of a page that is 320 px wide, nor at a zoom of 200 % on a small screen."""
    trial.show()
    session = trial.page.context.new_cdp_session(trial.page)
    for width, scale, words in ((320, 1, "320 px wide"), (512, 2, "1024 px wide at a zoom of 200 %")):
        metrics = {"width": width, "height": 800, "deviceScaleFactor": scale, "mobile": False}
        session.send("Emulation.setDeviceMetricsOverride", metrics)
        trial.page.wait_for_timeout(60)
        trial.kit("kit.frame()")
        page_width = trial.kit("document.documentElement.scrollWidth")
        out = trial.kit("kit.outside(0)")
        if page_width > width or out:
            what = out[0] if out else f"something {page_width} px wide"
            yield f"on a page {words} {what} sticks out: let it wrap or shrink"
    session.send("Emulation.clearDeviceMetricsOverride")
    session.detach()


def _both_pages(trial: Trial) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return what is drawn on canvases: {"surface", "texts", "lines"}, on a light and on a dark page."""
    for page in ("light", "dark"):
        yield page, trial.colours(dark=page == "dark")


def _hex(colour: list[int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in colour)
