"""How a check, a hint or a solution looks in a notebook, as plain text and as HTML in the theme's colours.

A verdict is a card, made only here: the badge, the toolbar's button and the check cell all show this card. JupyterLab's
extension recognises it by its own MIME type and adds buttons below; everywhere else it is HTML.
"""

import re
from dataclasses import dataclass
from html import escape
from typing import Any

from studium.exercises.checking import ShownResult, TestResult, common_cause, shown_failure
from studium.exercises.explaining.requirement import requirement
from studium.exercises.model import in_points

VERDICT = "application/vnd.studium.verdict+json"

_TITLES = {"right": "Right", "wrong": "Not right yet", "not attempted": "Not attempted yet"}
_MARKS = {True: "✓", False: "✗"}
_SIGNS = {"right": "✓", "wrong": "✗", "not attempted": "○"}
_COLOURS = {  # those of the extension and the site, which follow their themes, or else those of JupyterLab's theme
    "right": "var(--studium-good, var(--jp-success-color1, #2e7d32))",
    "wrong": "var(--studium-bad, var(--jp-warn-color1, #b26a00))",
    "not attempted": "var(--studium-open, var(--jp-info-color1, #1565c0))",
}
_VALUES = re.compile(r"(?<!is )(?<!are )\bexpected (.+?), got (.+?)(?=$| \(\d|; )", re.DOTALL)


@dataclass(frozen=True)
class Verdict:
    """The answer to ``lesson.check``. One failed test is shown in full, the others by name, and a remark comes last.

    ``topic`` is the slug of the exercise's topic; ``answer`` is the text that was checked, "" if it is not known.
    """

    result: ShownResult
    topic: str = ""
    public: bool = False
    remark: str = ""
    answer: str = ""

    def __repr__(self) -> str:
        return "\n".join(filter(None, (self._headline(), *self._details())))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return self.forms()

    def forms(self) -> dict[str, Any]:
        """Return what a notebook's cell shows, by MIME type."""
        result = self.result
        about = {"topic": self.topic, "exercise": result.id, "outcome": result.outcome, "differs": result.differs}
        about |= {"tested": result.tested, "answer": self.answer}
        return {VERDICT: about, "text/html": self._html(), "text/plain": repr(self)}

    def _headline(self) -> str:
        result = self.result
        text = f"{_TITLES[result.outcome]}: {result.id}"
        if result.outcome == "not attempted":
            return f"{text} ({in_points(result.max_points)})"
        visible = " in the tests you can see" if self.public else ""
        return f"{text}, {result.points:g} of {in_points(result.max_points)}{visible}"

    def _details(self) -> list[str]:
        return [*self._tests(), self._call(), self.remark]

    def _tests(self) -> list[str]:
        failing = shown_failure(self.result)
        if failing is None:
            return [self._sentence()] if self.result.outcome == "right" else []
        if self._cause():
            return [self._sentence(), self.result.smallest]
        lines = [f"{_MARKS[test.passed]} {test.name}{_reason(test, failing)}" for test in self.result.tests]
        return [self._sentence(), self.result.smallest, *lines]

    def _call(self) -> str:
        """Return how to see the arrays that differ, or "" if none do; the extension has a button instead."""
        if not self.result.differs:
            return ""
        return f"Compare your values with the expected ones: `lesson.difference({self.result.id})`"

    def _sentence(self) -> str:
        """Return the sentence in the largest type: the mistake, the cause or the failed test, or what is right."""
        result, failing = self.result, shown_failure(self.result)
        if result.outcome == "not attempted":
            return ""
        if failing is None:
            return f"`{result.id}` {result.tests[0].name}." if result.tests else ""
        return result.mistake or self._cause() or requirement(result.id, failing.name)

    def _cause(self) -> str:
        """Return why every test failed, as a sentence; "" if the reasons differ or the mistake has a name."""
        cause = "" if self.result.mistake else common_cause(self.result)
        if cause.startswith(f"{self.result.id} "):
            cause = f"`{self.result.id}`{cause.removeprefix(self.result.id)}"
        return cause and f"{cause[0].upper()}{cause[1:]}{'' if cause.endswith('?') else '.'}"

    def _html(self) -> str:
        outcome, colour = self.result.outcome, _COLOURS[self.result.outcome]
        sign = f'<span aria-hidden="true" style="color:{colour}">{_SIGNS[outcome]}</span>'
        parts = [
            _part("headline", f"{sign} {escape(self._headline())}", "font-weight:600"),
            _part(
                "sentence", _code(self._sentence()), "margin:.35em 0;font-size:1.3em;font-weight:600;line-height:1.35"
            ),
            _part("smallest", _code(self.result.smallest), "margin:0 0 .35em"),
            *self._html_of_tests(),
            _part("call", _code(self._call())) if self.result.differs else "",
            _part("remark", _code(self.remark)) if self.remark else "",
        ]
        return _box("".join(parts), colour, f"studium-verdict studium-{outcome.replace(' ', '-')}")

    def _html_of_tests(self) -> list[str]:
        result, failing = self.result, shown_failure(self.result)
        if result.outcome == "not attempted" or self._cause():
            return []
        name = f"{_MARKS[False]} {_code(failing.name)}" if failing and result.mistake else ""
        shown = "<br>".join(filter(None, (name, _values(failing.message) if failing else "")))
        told = failing or result.tests[0] if result.tests else None
        others = [f"{_MARKS[test.passed]} {_code(test.name)}" for test in result.tests if test is not told]
        items = "".join(f'<li style="margin:0">{line}</li>' for line in others)
        style = "margin:.4em 0 0;padding:0;list-style:none;opacity:.85"
        listed = f'<ul class="studium-verdict-tests" style="{style}">{items}</ul>' if items else ""
        return [_part("failure", shown) if shown else "", listed]


@dataclass(frozen=True)
class Note:
    """A hint, a solution or another short message."""

    text: str
    code: str = ""

    def __repr__(self) -> str:
        return "\n\n".join(filter(None, (self.text, self.code.rstrip())))

    def _repr_html_(self) -> str:
        text = "".join(f"<div>{_code(line)}</div>" for line in self.text.splitlines())
        code = f"<pre style='margin:.5em 0 0'>{escape(self.code.rstrip())}</pre>" if self.code else ""
        return _box(text + code, _COLOURS["not attempted"])


def _reason(test: TestResult, failing: TestResult) -> str:
    return f": {test.message}" if test is failing and test.message else ""


def _code(line: str) -> str:
    """Escape a line and format text in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(line))


def _values(message: str) -> str:
    """Escape a test's message and format the expected value and the learner's value in it as code."""
    pieces, end = [], 0
    for found in _VALUES.finditer(message):
        expected, got = (f"<code><strong>{escape(value)}</strong></code>" for value in found.groups())
        pieces += [_code(message[end : found.start()]), f"expected {expected}, got {got}"]
        end = found.end()
    return "".join([*pieces, _code(message[end:])])


def _part(name: str, content: str, style: str = "margin:0") -> str:
    return f'<div class="studium-verdict-{name}" style="{style}">{content}</div>' if content else ""


def _box(content: str, colour: str, kind: str = "") -> str:
    style = (
        f"border:1px solid {colour};border-left-width:4px;border-radius:6px;padding:.6em 1em;margin:.2em 0;"
        "line-height:1.5;overflow-wrap:anywhere"
    )
    return f'<div role="status" class="{kind}" style="{style}">{content}</div>'
