"""The report as a single HTML file: the site's style, and our widgets in frames."""

from itertools import groupby
from typing import Any

from markupsafe import Markup
from studium_widgets import Widget
from studium_widgets.hosts.page import frame

from studium_graders.report.class_data import ClassData
from studium_graders.report.class_map import ClassMap
from studium_graders.report.item_map import ItemMap
from studium_graders.report.items import GOOD, WORDS, Verdict, scores_of
from studium_graders.report.making import ItemRow, Report
from studium_graders.report.rendering import render

LOOK: tuple[Verdict, ...] = ("negative", "bad", "hard", "easy")  # what is mentioned first, in this order
_COMMON, _MOST = 0.05, 5  # share from which a mistake without a name is mentioned first, and how many of them
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
        telling=sum(not group.expected for group in report.same.groups),
        words=WORDS,
        signs=_SIGNS,
        good=GOOD,
    )


def shown(widget: Widget) -> Markup:
    """Return a widget as HTML that works without a kernel."""
    return Markup(frame(widget.module(), widget.snapshot()))  # noqa: S704 - frame escapes


def _item(row: ItemRow, name: str) -> dict[str, Any]:
    """Return an item in the form that the map takes."""
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
