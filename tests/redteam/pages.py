"""What in a page could run: scripts, event handlers, frames, links to scripts. A page of ours has none of it."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

_ELEMENTS = {"script", "iframe", "object", "embed", "base", "form", "foreignobject", "animate", "set"}
_LINKS = {"href", "src", "action", "formaction", "srcdoc", "data", "xlink:href", "poster", "background"}
_SCRIPTS = ("javascript:", "vbscript:", "data:text")
_PASSIVE = ("text/plain", "image/png", "image/jpeg", "image/gif", "image/webp", "text/latex", "application/json")


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _ELEMENTS:
            self.found.append(f"<{tag}>")
        if tag == "meta" and any(name == "http-equiv" and value == "refresh" for name, value in attrs):
            self.found.append("<meta refresh>")
        for name, value in attrs:
            target = "".join((value or "").split()).lower()
            if name.startswith("on") or (
                name in _LINKS and target.startswith(("javascript:", "vbscript:", "data:text"))
            ):
                self.found.append(f"<{tag} {name}>")


def active_content(html: str) -> list[str]:
    """Name what in a page could run."""
    parser = _Parser()
    parser.feed(html)
    return parser.found


def active_outputs(notebook: dict[str, Any]) -> list[str]:
    """Name what in a notebook's outputs and texts could run where formgrader shows it."""
    return [found for text in _shown(notebook) for found in (active_content(text) if text else ["a script type"])]


def _shown(notebook: dict[str, Any]) -> Iterator[str]:
    """Give each part that a page would show as HTML; "" for what is run by its type alone."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            for kind, value in output.get("data", {}).items():
                if kind in ("text/html", "text/markdown", "image/svg+xml"):
                    yield value if isinstance(value, str) else "".join(value)
                elif kind not in _PASSIVE:
                    yield ""
