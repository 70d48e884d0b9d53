"""Checks for people who read a picture instead of seeing it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from studium_widgets.conformance.browser import UnavailableError
from studium_widgets.conformance.trial import Trial

__all__ = ["alternative_text_says_it", "axe_is_content", "changes_are_announced", "table_agrees"]

NUMBER = re.compile(r"[-−]?\d+(?:[.,]\d+)?(?:e[-−]?\d+)?")


def alternative_text_says_it(trial: Trial) -> Iterator[str]:
    """The alternative text is a sentence, and the view has it as its name."""
    alt = trial.example.alt
    if not alt.strip().endswith((".", "!", "?")) or len(alt.split()) < 4:
        yield f"alt needs one sentence about what the picture shows, got {alt!r}: write it, with a full stop"
    trial.resting()
    names = trial.kit("[...views[0].el.querySelectorAll('[aria-label]')].map((element) => element.ariaLabel)")
    if alt not in names:
        yield "no element of the view has the alternative text as its aria-label: use widget of controls/widget.js"


def changes_are_announced(trial: Trial) -> Iterator[str]:
    """An aria-live element describes the picture in a sentence, which changes with it."""
    scene = trial.moved()
    if not scene["said_before"]:
        yield "the view has no aria-live element: call ui.say with a sentence in every drawing"
    elif not any(scene["said_before"]):
        yield "the aria-live element stays empty: call ui.say with a sentence in every drawing"
    elif scene["moves"] and scene["said_after"] == scene["said_before"]:
        yield "moving the controls does not change the aria-live sentence: name the numbers that change"


def table_agrees(trial: Trial) -> Iterator[str]:
    """“Show as table” has the numbers that the picture's sentence mentions, and follows the controls."""
    trial.show()
    if not trial.kit(OPEN):
        yield "“Show as table” is missing: add dataTable of controls/data_table.js"
        return
    trial.kit("kit.frame()")
    head, cells = trial.kit(TABLE)
    if not head or len(cells) < 2:
        yield f"the table has {len(head)} column headings and {len(cells)} cells: give columns and rows"
        return
    moving = trial.kit("kit.moving(views[0].el).length")
    readings = [_reading(trial, place) for place in range(moving)]
    trial.kit("kit.walk(0, 20)")
    trial.kit(LEAVE)
    readings.append(trial.kit(READING))
    if not moving and not _numbers([readings[0][0]]):  # a still picture made of words: its table has them
        return
    if not any(_shared(sentence, table) for sentence, table in readings):
        yield f"the table has none of the numbers in the sentence ({readings[0][0]!r}): fill it from what is drawn"
    elif len({str(table) for _, table in readings}) == 1 and not _shared(*readings[-1]):
        yield "the table does not change when the picture does: call its draw in every drawing"


def _reading(trial: Trial, place: int) -> tuple[str, list[str]]:
    """Return the sentence and the table after one step of one control."""
    trial.kit(STEP, place)
    return trial.kit(READING)  # type: ignore[no-any-return]


def _shared(sentence: str, cells: list[str]) -> bool:
    """Return whether a number in the sentence appears in a cell, each rounded as written."""
    said, shown = _numbers([sentence]), _numbers(cells)
    return any(abs(a - b) <= max(half, other) * 1.01 for a, half in said for b, other in shown)


def _numbers(texts: list[str]) -> list[tuple[float, float]]:
    """Return each number with half a unit of its last digit."""
    found = []
    for text in texts:
        for match in NUMBER.findall(text.replace("\u202f", "").replace(",", "")):
            plain = match.replace("−", "-")
            digits, _, power = plain.partition("e")
            half = 0.5 * 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
            found.append((float(plain), half if "." in digits else 0.0))
    return found


OPEN = """(() => {
  const openers = [...views[0].el.querySelectorAll("summary, button")];
  const opener = openers.find((element) => /table/i.test(element.textContent));
  opener?.click();
  return Boolean(opener);
})()"""
TABLE = """(() => {
  const texts = (selector) => [...views[0].el.querySelectorAll(selector)].map((cell) => cell.textContent);
  return [texts("table th[scope=col]"), texts("table :is(tbody th, td)")];
})()"""
READING = """(() => {
  const texts = (selector) => [...views[0].el.querySelectorAll(selector)].map((cell) => cell.textContent);
  const said = texts(".st-summary").length ? texts(".st-summary") : kit.summary(0);
  return [said.join(" "), [...texts("table th[scope=col]"), ...texts("table :is(tbody th, td)")]];
})()"""
# A cursor reads out one place; without it the sentence is about the whole.
LEAVE = """(() => {
  const escape = () => new KeyboardEvent("keydown", { key: "Escape", bubbles: true, cancelable: true });
  kit.moving(views[0].el).forEach((element) => element.dispatchEvent(escape()));
  return kit.frame();
})()"""
STEP = """async (place) => {
  const element = kit.moving(views[0].el)[place];
  if (element?.type === "range") {
    element.stepUp();
    element.dispatchEvent(new Event("input", { bubbles: true }));
  } else element?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true }));
  await kit.frame();
}"""


def axe_is_content(trial: Trial) -> Iterator[str]:
    """axe-core finds no violations, on a light and on a dark page."""
    try:
        from axe_core_python.base import AXE_SCRIPT
    except ImportError:
        advice = "pip install 'studium[conformance]'"
        raise UnavailableError(f"this check needs axe-core-python, which is not installed: {advice}") from None
    for dark in (False, True):
        trial.dark(dark)
        trial.show()
        trial.kit(AXE_SCRIPT)
        for problem in trial.kit(
            "axe.run('main > *', { resultTypes: ['violations'] }).then((found) => found.violations)"
        ):
            first = problem["nodes"][0]
            where = f"{first['html'][:90]} on a {'dark' if dark else 'light'} page"
            yield f"axe reports {problem['id']}: {problem['help']} ({where}): see {problem['helpUrl']}"
    trial.dark(False)
