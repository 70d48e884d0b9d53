"""All widgets of the library and of the topics, found by their source, so that none is left out."""

from __future__ import annotations

import importlib

from studium_widgets import Widget
from studium_widgets.topic_widgets import widgets_of

PACKAGES = ("studium_widgets", "studium_topics", "studium_graders")
WIDGETS = sorted(name for package in PACKAGES for name in widgets_of(package))


def load(name: str) -> type[Widget]:
    """The class package.module:Class."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def largest_sizes() -> dict[str, str]:
    """{what is shown: a cell of code that shows it}: each widget at its largest, AttentionHeatmap in both views."""
    cells = {}
    for name in WIDGETS:
        module, _, attribute = name.partition(":")
        cells[attribute] = f"from {module} import {attribute}\nwidget = {attribute}.largest()\nwidget"
    arcs = cells["AttentionHeatmap"].removesuffix("widget") + 'widget.view = "arcs"\nwidget'
    return cells | {"AttentionHeatmap, arcs": arcs}


def run(cell: str) -> Widget:
    """The widget that a cell shows."""
    names: dict[str, Widget] = {}
    exec(cell, names)
    return names["widget"]
