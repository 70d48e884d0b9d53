"""The feedback page: one self-contained HTML file that runs nothing and makes no requests."""

import base64
import hashlib
import re
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from studium_graders.feedback.model import Page

_HERE = Path(__file__).parent
_SIGNS = {
    "passed": "✓",
    "partial credit": "◐",
    "failed": "✗",
    "not attempted": "○",
    "waits for marking": "…",
    "marked by hand": "✎",
}


def render(page: Page, written: datetime) -> str:
    """Return the page as HTML. ``written`` is the time shown on it."""
    style = (_HERE / "page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return _template().render(page=page, written=written, style=Markup(style), policy=policy, signs=_SIGNS)  # noqa: S704


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda value: f"{round(value, 2):g}",
        "points": lambda value: f"{round(value, 2):g} point{'' if value == 1 else 's'}",
        "prose": _prose,
        "moment": lambda when: f"{when.day} {when:%B %Y, %H:%M %Z}",
        "duration": _duration,
    }
    return environment.get_template("page.html")


def _prose(text: str) -> Markup:
    """Escape a sentence and format text in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S704


def _duration(seconds: float) -> str:
    """Format a length of time in its two largest units: "1 day 12 hours"."""
    minutes = max(1, round(seconds / 60))
    parts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    return " ".join([f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count][:2])
