"""Write one page with every widget and every control, live, that needs no kernel, server or network.

Run it with `make gallery`. The examples of the controls are the files in `controls/`, and the page shows their source.
"""

from __future__ import annotations

import argparse
import html
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from studium_widgets import Array, Widget
from studium_widgets.modules import UNPACK, pack
from studium_widgets.topic_widgets import widgets_of
from traitlets import Bool, Enum, Float, Int, List, default

HERE = Path(__file__).parent
CONTROLS = HERE.parents[1] / "widgets/studium_widgets/controls"
PACKAGES = ("studium_widgets", "studium_topics")
COMMENT = re.compile(r"/\*\*(.*?)\*/\s*export (?:function|const) (\w+)", re.DOTALL)
QUOTED = re.compile("`(.+?)`")
MARGIN = re.compile(r"^ \*", re.MULTILINE)


class Example(Widget):
    """State for the examples of the controls: one value of each kind."""

    _script = ""
    value = Float(0.4).tag(sync=True)
    number = Int(5).tag(sync=True)
    kind = Enum(("sine", "cosine"), "sine").tag(sync=True)
    on = Bool(False).tag(sync=True)
    prediction = List(Float(allow_none=True)).tag(sync=True)
    revealed = Bool(False).tag(sync=True)
    matrix = Array("float32", ("rows", "columns"))

    @property
    def alt(self) -> str:
        return f"An example of the control {Path(self._script).stem}."

    @default("matrix")
    def _wave(self) -> NDArray[np.float32]:
        return np.sin(np.add.outer(np.arange(12), np.arange(12)) / 3).astype(np.float32)

    @classmethod
    def _beside(cls, file: str) -> Path:
        return HERE / "controls" / file


def main() -> None:
    """Write the page to the file named on the command line."""
    parser = argparse.ArgumentParser(description="Writes the gallery of widgets and controls.")
    parser.add_argument("--out", type=Path, default=Path("build/gallery.html"), metavar="FILE")
    out = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page([*widget_cards(), *control_cards()]), "utf-8")
    sys.stdout.write(f"{out}\n")


def widget_cards() -> Iterator[dict[str, Any]]:
    """Return a card for each widget of the library and of the topics."""
    found = [tuple(name.split(":")) for package in PACKAGES for name in widgets_of(package)]
    for module, name in sorted(found, key=lambda pair: pair[1]):
        shown = getattr(importlib.import_module(module), name)
        home = "studium_widgets" if module.startswith("studium_widgets.") else module
        first, *rest = paragraphs(inspect.getdoc(shown) or "")
        yield card("Widgets", name, [first], rest, f"from {home} import {name}\n\n{name}.example()", shown)


def control_cards() -> Iterator[dict[str, Any]]:
    """Return a card for each control that has an example."""
    for example in sorted((HERE / "controls").glob("*.js")):
        shown = type("Control", (Example,), {"_script": example.name})
        code = example.read_text("utf-8").rstrip()
        yield card("Controls", example.stem, described(example.stem), [], code, shown)


def described(control: str) -> list[str]:
    """Return what the comments in a control's module say about everything it exports."""
    source = (CONTROLS / f"{control}.js").read_text("utf-8")
    return [f"`{name}`: {' '.join(MARGIN.sub(' ', text).split())}" for text, name in COMMENT.findall(source)]


def paragraphs(text: str) -> list[str]:
    """Return a docstring's paragraphs, each on one line."""
    return [" ".join(part.split()) for part in text.split("\n\n")]


def card(group: str, title: str, first: list[str], rest: list[str], code: str, shown: type[Widget]) -> dict[str, Any]:
    """Return everything that the page needs for one example."""
    snapshot = shown.example().snapshot()
    data = f"{pack(shown.module())} {pack(json.dumps(snapshot))}"
    texts = {"group": group, "title": title, "first": first, "rest": rest, "code": code}
    return texts | {"alt": snapshot["alt"], "data": data}


def page(cards: list[dict[str, Any]]) -> str:
    """Return the whole document."""
    groups = list(dict.fromkeys(item["group"] for item in cards))
    parts = {
        "navigation": navigation(cards, groups),
        "main": "\n".join(section(group, [item for item in cards if item["group"] == group]) for group in groups),
        "data": "\n".join(f'<script type="text/plain" id="data-{c["title"]}">{c["data"]}</script>' for c in cards),
        "script": UNPACK + (HERE / "page.js").read_text("utf-8"),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], (HERE / "page.html").read_text("utf-8"))


def navigation(cards: list[dict[str, Any]], groups: list[str]) -> str:
    """Return links to all cards, group by group."""

    def links(group: str) -> str:
        return "".join(f'<li><a href="#{c["title"]}">{c["title"]}</a></li>' for c in cards if c["group"] == group)

    return "".join(f"<h2>{group}</h2><ul>{links(group)}</ul>" for group in groups)


def section(group: str, cards: list[dict[str, Any]]) -> str:
    """Return the cards of one group."""
    return f"<h2>{group}</h2>" + "".join(article(item) for item in cards)


def article(item: dict[str, Any]) -> str:
    """Return one card: a description, the live view, its options and the code."""
    title = html.escape(item["title"])
    options = f"<details><summary>Options</summary>{text(item['rest'])}</details>" if item["rest"] else ""
    code = f'<pre tabindex="0"><code>{html.escape(item["code"])}</code></pre>'
    return (
        f'<article id="{title}" class="{item["group"].lower()}"><h3>{title}</h3>{text(item["first"])}'
        f'<div class="view" data-of="{title}"><p>{html.escape(item["alt"])}</p></div>{options}'
        f"<details><summary>Code</summary>{code}</details></article>"
    )


def text(parts: list[str]) -> str:
    """Return paragraphs of HTML, with text in backticks as code."""
    coded = (QUOTED.sub(r"<code>\1</code>", html.escape(part)) for part in parts)
    return "".join(f"<p>{part}</p>" for part in coded)


if __name__ == "__main__":
    main()
