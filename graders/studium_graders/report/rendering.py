"""Pages in the site's style, one file each: those of the report, and the board of the course server."""

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from studium.site.assets import asset
from studium.site.code import code_block
from studium_widgets.modules import PACKAGE, link

from studium_graders.report.intervals import Interval

_HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src data: 'unsafe-inline'; "
    "frame-src 'self' blob: data:; base-uri 'none'; form-action 'none'"
)


def render(name: str, folder: Path = _HERE, **values: Any) -> str:
    """Fill a template of ``folder``, which may extend those of this package, with the site's style and scripts."""
    parts = {"style": asset("site.css") + (_HERE / "report.css").read_text("utf-8")}
    parts |= {"theme": asset("theme.js"), "script": asset("page.js")}
    safe = {key: Markup(text) for key, text in parts.items()}  # noqa: S704 - our own files
    return _template(name, folder).render({**safe, "policy": POLICY, **values})


def view(script: Path, style: Path) -> dict[str, Markup]:
    """Return a script with all that it imports from the widgets' controls, and its style after theirs, for a page."""
    styles = [(PACKAGE / "controls" / "studium.css"), style]
    text = "\n".join(path.read_text("utf-8") for path in styles)
    return {"view_script": Markup(link(script)), "view_style": Markup(text)}  # noqa: S704 - our own files


@cache
def _template(name: str, folder: Path) -> Template:
    environment = Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
    """Escape a sentence and format text in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S704


def _between(interval: Interval) -> str:
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %"
