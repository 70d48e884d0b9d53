"""What a cell of a lesson has reproduced: its figure gets the claim as title, and each claim its number below."""

import ast
import contextlib
import math
import os
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from studium.exercises.syntax import parse
from studium.experiments.predictions import Prediction, two_marks
from studium.experiments.published_panels import as_lines, panels
from studium.topics.claims import Claim
from studium.topics.profiles import Profile
from studium.topics.published import BesidePaper
from studium.topics.topic import Topic

_FIGURES = "plotly.graph_objs._figure", "Figure"  # by name, so plotly is not imported needlessly
_WIDTH, _SMALL = 40, 54  # characters in a line of a title and of its subtitle, as many as fit on a phone
_LINE = 20  # px
_WORDS = {True: "reproduced", False: "not reproduced", None: "too small a run to judge, measured"}
_MARKS = {True: "✓", False: "✗", None: "○"}
_COLOURS = {
    True: "var(--jp-success-color1, #2e7d32)",
    False: "var(--jp-warn-color1, #b26a00)",
    None: "var(--jp-info-color1, #1565c0)",
}


Findings = list[Prediction]


@dataclass(frozen=True)
class Measured:
    """One claim and the number that a run found for it; ``holds`` is None if the profile is too small.

    ``paper`` has the paper's numbers for the same comparison next to those of the run, if the claim gives some.
    """

    claim: Claim
    value: float
    holds: bool | None
    paper: BesidePaper | None = None
    guess: float | None = None

    @property
    def beside(self) -> str:
        """The measured number next to the one that the claim needs, and the learner's guess if there is one."""
        bound = "at most" if self.claim.at_least is None else "at least"
        guessed = "" if self.guess is None else f"; you expected {self.guess:.3g}"
        return f"{self.value:.3g} here; the claim needs {bound} {self.claim.threshold:g}{guessed}"


@dataclass(frozen=True)
class Reproduction:
    """The claims of the experiments that one cell has run, and the seconds until they were available."""

    rows: tuple[Measured, ...]
    seconds: float
    machine: str

    @property
    def headline(self) -> Measured:
        """The first claim: what the experiment is about."""
        return self.rows[0]

    def badge(self, holds: bool | None) -> str:
        """Return how the run turned out, where, and in what time: "reproduced on 2 cores in 84 s"."""
        return f"{_WORDS[holds]} on {self.machine} in {max(1, round(self.seconds))} s"

    def __repr__(self) -> str:
        lines = []
        for row in self.rows:
            lines.append(f"{_MARKS[row.holds]} {row.claim.text}: {row.beside}")
            lines += as_lines(row.paper) if row.paper else []
        return "\n".join([*lines, self.badge(_together(self.rows))])

    def _repr_html_(self) -> str:
        badge = escape(self.badge(_together(self.rows)).capitalize())
        return (
            f'<div role="group" aria-label="{badge}" style="margin:.4em 0 .8em;max-width:60em;line-height:1.45">'
            f"{''.join(map(_row, self.rows))}"
            f'<div style="margin-top:.4em;font-size:.9em;opacity:.8">{badge}.</div></div>'
        )


def show_reproductions(shell: Any, topic: Topic, profile: Profile, findings: Findings | None = None) -> None:
    """Make a kernel's shell show, for each cell that runs experiments of ``topic``, what its claims measure.

    What a cell adds to ``findings`` is shown with them: below a claim if it measured the same number, otherwise on a
    line of its own. If such a cell ends with a plotly figure without a title,
    the first claim becomes its title.
    """
    remove_reproductions(shell)
    watch = _Watch(shell, topic, profile, [] if findings is None else findings)
    shell.events.register("pre_run_cell", watch.begin)
    shell.events.register("post_run_cell", watch.end)
    shell.display_formatter.ipython_display_formatter.for_type_by_name(*_FIGURES, watch.show)


def remove_reproductions(shell: Any) -> None:
    """Remove what a lesson opened earlier in the same kernel has registered."""
    for name, method in (("pre_run_cell", "begin"), ("post_run_cell", "end")):
        for old in [one for one in shell.events.callbacks[name] if isinstance(getattr(one, "__self__", None), _Watch)]:
            shell.events.unregister(name, getattr(old.__self__, method))


def measured_in(source: str, names: dict[str, Any], topic: Topic, profile: Profile) -> Iterator[Measured]:
    """Yield the claims of the experiments whose results a cell's code binds to a name, as in ``x = experiment()``."""
    for node in ast.walk(parse(source)):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        function, target = _value(node.value.func, names), _value(node.targets[0], names)
        for claim in topic.claims:
            if function is claim.experiment and target is not None:
                with contextlib.suppress(Exception):  # the result of the learner's own functions may have any form
                    value = float(claim.measure(target))
                    yield Measured(claim, value, claim.holds(value, profile), _beside_paper(claim, target, profile))


def _with_guess(row: Measured, findings: Findings) -> Measured:
    """Return a claim with the guess of the number that it has measured, where somebody guessed it."""
    return replace(row, guess=next((one.guess for one in findings if _is_of(one, row)), None))


def _is_of(finding: Prediction, row: Measured) -> bool:
    """Return whether somebody guessed the number that a claim has measured."""
    return finding.guess is not None and math.isclose(finding.value, row.value)


def _beside_paper(claim: Claim, result: Any, profile: Profile) -> BesidePaper | None:
    """Return the paper's numbers for a claim; None if there are none, or if the learner's result cannot be read."""
    with contextlib.suppress(Exception):
        return claim.beside_paper([result], profile)
    return None


def titled(figure: Any, found: Reproduction) -> None:
    """Set the first claim as the title of a plotly figure without one, keeping the size of its plot."""
    if figure.layout.title.text:
        return
    row = found.headline
    lines = textwrap.wrap(row.claim.text, _WIDTH, break_on_hyphens=False)
    small = [line for text in (row.beside, found.badge(row.holds)) for line in textwrap.wrap(text, _SMALL)]
    title = {"text": f"<b>{'<br>'.join(lines)}</b>", "subtitle": {"text": "<br>".join(small), "font": {"size": 12}}}
    top = 14 if len(lines) == 1 else 25  # plotly sets the first of several lines 11 px higher
    place = {"x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": top}}
    room = _LINE * (len(lines) + len(small)) + 20
    legend = 30 if any(trace.name for trace in figure.data) else 0
    figure.update_layout(title=title | place, margin_t=room + legend)
    if figure.layout.height:
        figure.update_layout(height=figure.layout.height + room)


class _Watch:
    """Tracks the code of the cell that is running, and when it started."""

    def __init__(self, shell: Any, topic: Topic, profile: Profile, findings: Findings) -> None:
        self.shell, self.topic, self.profile, self.findings = shell, topic, profile, findings
        self.source, self.since = "", 0.0

    def begin(self, info: Any) -> None:
        self.source, self.since = info.raw_cell or "", time.perf_counter()
        self.findings.clear()

    def end(self, result: Any) -> None:
        if not result.success:
            return
        found = self.found()
        rows = found.rows if found else ()
        lines = [one for one in self.findings if not (one.shown or any(_is_of(one, row) for row in rows))]
        if shown := [*lines, *([found] if found else [])]:
            from IPython.display import display

            for one in shown:
                display(one)

    def show(self, figure: Any) -> None:
        """Show a figure, with a title if the cell has reproduced something."""
        if found := self.found():
            titled(figure, found)
        figure._ipython_display_()

    def found(self) -> Reproduction | None:
        """Return what the cell has reproduced so far; None if it runs no experiment of a claim."""
        if f"{self.topic.package}.experiment" not in sys.modules:  # then it cannot have been run by a cell
            return None
        with contextlib.suppress(SyntaxError):  # such as a magic
            rows = measured_in(self.source, self.shell.user_ns, self.topic, self.profile)
            if guessed := tuple(_with_guess(row, self.findings) for row in rows):
                return Reproduction(guessed, time.perf_counter() - self.since, _machine(self.profile))
        return None


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """Return the value of a name, or of an attribute of one; None for anything else."""
    match node:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return getattr(names.get(name), attribute, None)
    return None


def _machine(profile: Profile) -> str:
    if profile.device != "cpu":
        return f"a {profile.device.upper()} device"
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return "1 core" if count == 1 else f"{count} cores"


def _together(rows: tuple[Measured, ...]) -> bool | None:
    """Return False if a claim does not hold, None if the run is too small to judge one, and otherwise True."""
    judged = {row.holds for row in rows}
    return False if False in judged else None if None in judged else True


def _row(row: Measured) -> str:
    """Return a claim with its number as a bar, a line at the value that the claim needs, and the paper's result."""
    whole = 1.15 * max(abs(row.value), abs(row.claim.threshold)) or 1.0
    share, bound = (f"{min(100, 100 * abs(value) / whole):.1f}%" for value in (row.value, row.claim.threshold))
    colour = _COLOURS[row.holds]
    bar = (
        f'<span style="position:absolute;inset:0 auto 0 0;width:{share};border-radius:3px;background:{colour}"></span>'
    )
    line = f'<span style="position:absolute;inset:-2px auto -2px {bound};border-left:2px solid currentColor"></span>'
    track = "position:relative;align-self:center;height:8px;border-radius:3px;background:rgba(128,136,145,.25)"
    return (
        '<div style="display:grid;grid-template-columns:1em minmax(0,1fr) minmax(60px,120px);gap:0 .6em;margin:.4em 0">'
        f'<span style="color:{colour};font-weight:700">{_MARKS[row.holds]}</span>'
        f'<span>{escape(row.claim.text)}<br><span style="font-size:.9em;opacity:.8">{escape(row.beside)}</span></span>'
        f'<span aria-hidden="true" style="{track}">{bar}{line}</span></div>'
        f"{two_marks(row.guess, row.value) if row.guess is not None else ''}"
        f"{panels(row.paper) if row.paper else ''}"
    )
