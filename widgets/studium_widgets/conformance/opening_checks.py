"""Checks of what a reader sees first, and of how numbers are written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studium_widgets.conformance.trial import Trial

__all__ = ["numbers_read_alike", "opens_with_one_idea"]

MOST = 2  # controls in sight
SPACED = re.compile("[0-9]{1,3}(?:[\u00a0\u2009\u202f][0-9]{3})+(?![0-9])")
PLAIN = re.compile(r"(?<![\w.,])[0-9]{5,}(?![\w])")


def opens_with_one_idea(trial: Trial) -> Iterator[str]:
    """If there is something to set, a line “Try: …” tells what to do, with one or two controls in sight."""
    trial.resting()
    line, first, rest = trial.kit(OPENING)
    if (first or rest) and not line.startswith("Try: "):
        yield "the reader is not told what to try: call ui.invite with a sentence about what to do and what to watch"
    if len(first) > MOST:
        names = ", ".join(f"“{name}”" for name in first)
        yield (
            f"{len(first)} controls are in sight ({names}): leave the one or two that carry the idea, "
            "and pass the others to ui.more"
        )


def numbers_read_alike(trial: Trial) -> Iterator[str]:
    """A number of five digits or more has commas between its thousands, as in 12,000."""
    trial.show()
    trial.kit(UNFOLD)
    trial.kit("kit.frame()")
    words = [trial.kit("views[0].el.innerText"), *(text["text"] for text in trial.colours(dark=False)["texts"])]
    found = {match for text in words for match in (*SPACED.findall(text), *PLAIN.findall(text))}
    for number in sorted(found):
        digits = re.sub("[^0-9]", "", number)
        yield f"{number} is hard to read: write it as {int(digits):,}, with short of controls/ticks.js"


# “Put in a mistake” may be there next to the controls that carry the idea. A control that the state hides is not in
# sight.
OPENING = """(() => {
  const view = views[0].el.querySelector(".studium");
  const name = (part) => (part.querySelector(".st-label") ?? part).textContent.trim();
  const inSight = (part) => part.checkVisibility() && name(part) !== "Put in a mistake";
  const parts = (row) => [...(view?.querySelector(row)?.children ?? [])];
  const line = view?.querySelector(".st-try:not([hidden])")?.textContent ?? "";
  return [line, parts(":scope > .st-controls").filter(inSight).map(name), parts(".st-more > .st-controls").length];
})()"""
UNFOLD = "views[0].el.querySelectorAll('details').forEach((part) => (part.open = true))"
