"""A cell's outputs as HTML: a widget that moves, a plotly figure, a picture, markup, text, or why it failed."""

import json
import re
from html import escape
from typing import Any

from nbformat import NotebookNode

from studium.lesson import STAND_IN
from studium.notebooks.files import SAVED_WIDGET
from studium.site.prose import show_inline
from studium.site.running import summary

PLOTLY = "application/vnd.plotly.v1+json"
FOREIGN_WIDGET = "application/vnd.jupyter.widget-view+json"
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def show_outputs(cell: NotebookNode) -> list[str]:
    """Return the HTML of each output of a code cell that has something to show."""
    return [html for output in cell.get("outputs", ()) if (html := _show(output))]


def show_failures(cell: NotebookNode) -> list[str]:
    """Return the HTML of why a code cell failed; nothing if it ran."""
    return [_show(output) for output in cell.get("outputs", ()) if output.output_type == "error"]


def has_plot(cell: NotebookNode) -> bool:
    """Return whether one of the cell's outputs is a plotly figure."""
    return any(PLOTLY in output.get("data", {}) for output in cell.get("outputs", ()))


def _show(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return _text(output.text, "stderr" if output.name == "stderr" else "stdout")
    if output.output_type == "error":
        return f'<div class="failed" role="note"><p>This cell did not run: {escape(summary(output))}</p></div>'
    return _best(output.data)


def _best(data: dict[str, Any]) -> str:
    """Show the richest format that a page can display."""
    if SAVED_WIDGET in data and "text/html" in data:
        return f'<div class="widget">{_joined(data["text/html"])}</div>'
    if PLOTLY in data:
        return _plot(data[PLOTLY])
    if FOREIGN_WIDGET in data:
        return _still(_joined(data.get("text/plain", "")))
    for mime in _PICTURES:
        if mime in data:
            alt = escape(_joined(data.get("text/plain", "picture")))
            return f'<img src="data:{mime};base64,{"".join(_joined(data[mime]).split())}" alt="{alt}">'
    if "image/svg+xml" in data or "text/html" in data:
        return _markup(_joined(data.get("image/svg+xml") or data["text/html"]))
    for mime in ("text/latex", "text/markdown"):
        if mime in data:
            return f'<div class="markup scroll">{show_inline(_joined(data[mime]))}</div>'
    return _text(_joined(data.get("text/plain", "")), "value")


def _still(alt: str) -> str:
    """Replace a widget from another library by its text. A finished progress bar has left an empty Output()."""
    return "" if alt == "Output()" else f'<p class="still">{escape(alt)} <em>It moves in the notebook.</em></p>'


def _markup(html: str) -> str:
    blank = not re.sub(r"<(?!img|svg|iframe|canvas|video|audio)[^>]*>|\s", "", html)
    return "" if blank else f'<div class="markup scroll">{html}</div>'


def _text(text: str, kind: str) -> str:
    """Show text without terminal colours, and without the lines about whose function ran: the page states it once."""
    lines = (line for line in _TERMINAL.sub("", text).rstrip().split("\n") if not line.endswith(STAND_IN))
    shown = "\n".join(lines).strip("\n")
    return f'<pre class="{kind} scroll">{escape(shown)}</pre>' if shown.strip() else ""


def _plot(figure: dict[str, Any]) -> str:
    """Store a figure's data; plots.js draws it when it scrolls into view."""
    layout = figure.get("layout", {})
    height = int(layout.get("height") or 450)
    data = json.dumps({"data": figure["data"], "layout": layout}, separators=(",", ":"))
    data = data.replace("<", "\\u003c")  # a script element ends at the first "</script" in it
    return (
        f'<figure class="plot" style="min-height:{height}px" aria-label="{escape(_plot_label(figure))}">'
        f'<script type="application/json">{data}</script></figure>'
    )


def _plot_label(figure: dict[str, Any]) -> str:
    """Describe a figure using its title or its axes, and the names of what is drawn."""
    layout = figure.get("layout", {})
    titles = [_title(layout.get(part)) for part in ("yaxis", "xaxis")]
    what = _title(layout) or " against ".join(filter(None, titles))
    names = ", ".join(dict.fromkeys(str(trace["name"]) for trace in figure["data"] if trace.get("name")))
    label = ": ".join(filter(None, ("Figure", what))) + (f" ({names})" if names else "")
    return re.sub(r"<[^>]*>", "", label.replace("<br>", " "))


def _title(part: Any) -> str:
    title = (part or {}).get("title") or {}
    return str(title.get("text") or "") if isinstance(title, dict) else str(title)


def _joined(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)
