"""A guess and what came out: two marks on one line of numbers, in a notebook, on a page and in a terminal."""

from dataclasses import dataclass, field
from html import escape
from typing import Any

PREDICTION = "application/vnd.studium.prediction+json"
_BOX = "position:relative;height:58px;max-width:420px;margin:.2em 0 .3em;font-size:.9em"
_TRACK = "position:absolute;left:0;right:0;top:26px;height:6px;border-radius:3px;background:rgba(128,136,145,.3)"
_DOT = "position:absolute;top:22px;width:8px;height:8px;margin-left:-7px;border-radius:50%"
_WORDS = "margin:.4em 0 .8em;max-width:60em;line-height:1.45"
_GUESSED = "var(--studium-chosen, #2f7fd0)"  # blue is what was chosen, on light and on dark grounds


@dataclass
class Prediction:
    """What came out for ``name``, beside the guess, None where there was none; ``shown`` once it was displayed."""

    name: str
    value: float
    guess: float | None = None
    hit: bool = False
    question: str = ""
    shown: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        if self.guess is None:
            return f"{self.name} is {self.value:g}."
        return f"{self.name} is {self.value:g}; you expected {self.guess:g}{', a hit.' if self.hit else '.'}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        self.shown = True
        about = {"name": self.name, "value": self.value, "guess": self.guess, "hit": self.hit}
        return {PREDICTION: about, "text/html": self._html(), "text/plain": repr(self)}

    def _html(self) -> str:
        question = f"<div>{escape(self.question)}</div>" if self.question and self.guess is not None else ""
        marks = two_marks(self.guess, self.value) if self.guess is not None else ""
        said = f'<div style="font-weight:600">{escape(repr(self))}</div>'
        return f'<div role="group" style="{_WORDS}">{question}{marks}{said}</div>'


def ends(*values: float) -> tuple[float, float]:
    """Return the ends of a line on which 0 and all values have their places, with some room beyond."""
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.15 * (high - low or 1.0)
    return (low - room if low < 0 else low), (high + room if high > 0 else room)


def two_marks(guess: float, value: float) -> str:
    """Return a line as HTML with a ring for the guess, its label above, and a dot for the finding, its label below."""
    low, high = ends(guess, value)
    ring = f"background:var(--jp-layout-color0, Canvas);border:3px solid {_GUESSED}"
    dot = "background:currentColor;border:3px solid currentColor"
    found = _mark(f"found {value:.3g}", 38, (value - low) / (high - low), dot)
    guessed = _mark(f"you {guess:.3g}", 2, (guess - low) / (high - low), ring)
    return f'<div aria-hidden="true" style="{_BOX}"><span style="{_TRACK}"></span>{found}{guessed}</div>'


def _mark(label: str, top: int, share: float, look: str) -> str:
    """Return a mark and its label, which never leaves the line: near an end it is written towards the middle."""
    at = f"left:{100 * share:.1f}%"
    words = f"position:absolute;top:{top}px;white-space:nowrap;transform:translateX(-{100 * share:.0f}%);{at}"
    return f'<span style="{_DOT};{at};{look}"></span><span style="{words}">{escape(label)}</span>'


def line_of_text(guess: float, value: float, width: int = 40) -> str:
    """Return the same line for a terminal: ``o`` is the guess and ``#`` the finding, ``@`` where they meet."""
    low, high = ends(guess, value)
    places = [round((width - 1) * (number - low) / (high - low)) for number in (guess, value)]
    line = ["-"] * width
    for place, mark in zip(places, "o#", strict=True):
        line[place] = "@" if line[place] != "-" else mark
    return f"|{''.join(line)}|  o you {guess:.4g}  # found {value:.4g}"
