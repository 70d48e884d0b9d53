"""The report as one HTML file that needs nothing else: the site's style, and our widgets in frames."""

import re
from functools import cache
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from studium.site.assets import asset
from studium.site.code import code_block
from studium_widgets import Widget
from studium_widgets.hosts.page import frame

from studium_graders.report.class_data import ClassData
from studium_graders.report.class_map import ClassMap
from studium_graders.report.item_map import ItemMap
from studium_graders.report.items import GOOD, WORDS, Interval, Verdict, scores_of
from studium_graders.report.making import ItemRow, Report

_HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src data: 'unsafe-inline'; "
    "frame-src 'self' blob: data:; base-uri 'none'; form-action 'none'"
)
LOOK: tuple[Verdict, ...] = ("negative", "bad", "hard", "easy")  # what is said first, in this order
_COMMON, _MOST = 0.05, 5  # share from which a mistake without a name is said first, and how many of them
_SIGNS: dict[Verdict, str] = {
    "good": "✓",
    "weak": "~",
    "bad": "!",
    "negative": "✗",
    "easy": "▲",
    "hard": "▼",
    "few": "…",
}


def report_page(report: Report, data: ClassData) -> str:
    """Return the page of a report on ``data``."""
    tests = [row.name for row in report.tests]
    label = {row: f"{row.exercise}: {row.name}" for row in report.tests}
    scores, _ = scores_of(data)
    whole = ClassMap(earned=scores, students=data.students, tests=[label[row] for row in report.tests])
    items = ItemMap(
        tests=[_item(row, label[row]) for row in report.tests],
        exercises=[_item(row, row.name) for row in report.exercises],
    )
    flagged = [(verdict, [row for row in report.tests if row.statistics.verdict == verdict]) for verdict in LOOK]
    common = [one for found in report.clusters for one in found.clusters if one.share.value >= _COMMON]
    return render(
        "page.html",
        report=report,
        largest=sorted(common, key=lambda cluster: -len(cluster.students))[:_MOST],
        flagged=[(verdict, rows) for verdict, rows in flagged if rows],
        by_exercise=[(name, list(rows)) for name, rows in groupby(report.tests, lambda row: row.exercise)],
        whole={row.name: row for row in report.exercises},
        items_map=shown(items) if tests else "",
        class_map=shown(whole) if tests and report.students else "",
    )


def shown(widget: Widget) -> Markup:
    """Return a widget as HTML that is alive without a kernel."""
    return Markup(frame(widget.module(), widget.snapshot()))  # noqa: S704 - frame escapes


def render(name: str, **values: Any) -> str:
    """Fill a template of this package, with the style and the scripts of the site."""
    parts = {"style": asset("site.css") + (_HERE / "report.css").read_text("utf-8")}
    parts |= {"theme": asset("theme.js"), "script": asset("page.js")}
    safe = {key: Markup(text) for key, text in parts.items()}  # noqa: S704 - our own files
    return _template(name).render(**safe, **values, policy=POLICY, words=WORDS, signs=_SIGNS, good=GOOD)


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": lambda share: f"{100 * share:.0f} %",
        "between": _between,
        "prose": _prose,
        "signed": lambda value: "–" if value is None else f"{value:.2f}".replace("-", "−"),
        "number": lambda value: f"{round(value, 2):g}",
        "count": lambda number, noun: f"{number} {noun}{'' if number == 1 else 's'}",
        "code": lambda source: Markup(code_block(source)),  # noqa: S704 - pygments escapes
    }
    return environment.get_template(name)


def _prose(text: str) -> Markup:
    """Escape a sentence and set what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S704


def _between(interval: Interval) -> str:
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %"


def _item(row: ItemRow, name: str) -> dict[str, Any]:
    """Return an item as the map takes it."""
    found = row.statistics
    discrimination = found.discrimination
    return {
        "name": name,
        "exercise": row.exercise,
        "verdict": found.verdict,
        "words": WORDS[found.verdict],
        "count": found.count,
        "points": row.points,
        "solved": found.solved.value,
        "solved_low": found.solved.low,
        "solved_high": found.solved.high,
        "discrimination": discrimination and discrimination.value,
        "low": discrimination and discrimination.low,
        "high": discrimination and discrimination.high,
        "upper_lower": found.upper_lower,
        "alpha_without": found.alpha_without,
        "mistakes": [list(pair) for pair in row.failing],
    }
