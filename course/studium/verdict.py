"""How a check, a hint or a solution looks in a notebook, in plain text and as HTML in the theme's colours."""

import re
from dataclasses import dataclass
from html import escape

from studium.checking import ShownResult, TestResult, shown_failure
from studium.exercises import in_points

_TITLES = {"right": "Right", "wrong": "Not right yet", "not attempted": "Not attempted yet"}
_COLOURS = {
    "right": "var(--jp-success-color1, #2e7d32)",
    "wrong": "var(--jp-warn-color1, #b26a00)",
    "not attempted": "var(--jp-info-color1, #1565c0)",
}
_MARKS = {True: "✓", False: "✗"}


@dataclass(frozen=True)
class Verdict:
    """The answer to ``lesson.check``. One failed test is shown in full, the others by name; last a remark.

    ``differs``: arrays were compared and differ, so that ``lesson.difference`` has something to show.
    """

    result: ShownResult
    public: bool = False
    remark: str = ""
    differs: bool = False

    def __repr__(self) -> str:
        return "\n".join([self._headline(), *self._details()])

    def _repr_html_(self) -> str:
        body = "".join(f"<div>{_code(line)}</div>" for line in self._details())
        return _box(f"<strong>{escape(self._headline())}</strong>{body}", _COLOURS[self.result.outcome])

    def forms(self) -> dict[str, str]:
        """Return what a notebook's cell shows of it, by MIME type."""
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}

    def _headline(self) -> str:
        result = self.result
        text = f"{_TITLES[result.outcome]}: {result.id}"
        if result.outcome == "not attempted":
            return f"{text} ({in_points(result.max_points)})"
        visible = " in the tests that you have" if self.public else ""
        return f"{text}, {result.points:g} of {in_points(result.max_points)}{visible}"

    def _details(self) -> list[str]:
        return [*self._tests(), *filter(None, (self.remark,))]

    def _tests(self) -> list[str]:
        failing = shown_failure(self.result)
        if failing is None:
            return []
        lines = [f"{_MARKS[test.passed]} {test.name}{_reason(test, failing)}" for test in self.result.tests]
        if self.differs:
            lines.append(f"See your values beside the expected ones: `lesson.difference({self.result.id})`")
        return [self.result.mistake, *lines] if self.result.mistake else lines


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
    """Escape a line and set what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(line))


def _box(content: str, colour: str) -> str:
    style = f"border-left:4px solid {colour};padding:.4em .8em;margin:.2em 0;line-height:1.5;overflow-wrap:anywhere"
    return f'<div role="status" style="{style}">{content}</div>'
