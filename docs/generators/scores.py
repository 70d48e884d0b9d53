"""The page of score cards."""

from __future__ import annotations

from typing import Any


def scores_page(scores: list[dict[str, Any]]) -> str:
    """Lay out the score cards of all topics that have been measured."""
    text = (
        "# Score cards\n\nThese are the figures that `studium topic check` and `studium reproduce` measured for "
        "Studium's own topics, on the day and at the profile shown with each. Times depend on the machine, and on what "
        "else was running on it. To measure again, run `python docs/measure_topics.py` on an idle machine.\n"
    )
    return "\n".join([text, *map(score_card, scores)])


def score_card(score: dict[str, Any]) -> str:
    """Lay out the score card of one topic."""
    failed = [name for name, passed in score["checks"].items() if not passed]
    mutants = score["mutants"]
    judged = [claim for claim in score["claims"] if claim["holds"] is not None]
    rows = {
        "checks": f"{len(score['checks']) - len(failed)} of {len(score['checks'])} pass"
        + (f"; {', '.join(failed)} fail" if failed else ""),
        "mutants": f"{mutants['killed']} of {mutants['total']} fail a test",
        "exercises": f"{score['exercises']}, with {score['misconceptions']} misconceptions by name",
        "lesson": f"{score['lesson_seconds']:g} s, at most {score['lesson_mb']:g} MB",
        "claims": f"{sum(claim['holds'] for claim in judged)} of {len(judged)} that can be judged hold, "
        f"of {len(score['claims'])} in all",
        "widgets": ", ".join(score["widgets"]) or "none",
        "languages": ", ".join(score["languages"]),
        "measured": f"{score['day']} at {score['profile']}, {score['machine']}",
    }
    lines = [
        f"## {score['title']}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
    ]
    claims = [
        f"| {text} | {figure(c['measured'])} | {figure(c['threshold'])} | {said(c['holds'])} |"
        for c in score["claims"]
        if (text := c["claim"].replace("|", "&#124;"))
    ]
    return "\n".join([*lines, "", "| claim | measured | bound | |", "|---|---|---|---|", *claims, ""])


def figure(value: float | None) -> str:
    """Format a figure; one that could not be measured at this size, NaN, is null in JSON."""
    return "–" if value is None else f"{value:.4g}"


def said(holds: bool | None) -> str:
    """Return whether a claim holds, in words."""
    return {True: "holds", False: "does not hold", None: "too small to judge"}[holds]
