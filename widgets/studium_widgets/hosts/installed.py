"""Look up an installed widget by the name that a saved notebook gives, which can only choose among installed ones."""

from __future__ import annotations

import importlib
import importlib.util
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from studium_widgets.base import Widget

__all__ = ["UnknownWidgetError", "find"]

GROUP = "studium"  # the entry-point group of the course's plugins, ours and others'
NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)+", re.ASCII)
LONGEST = 200  # characters


class UnknownWidgetError(LookupError):
    """No installed widget has that name; one sentence."""


def find(name: str) -> type[Widget]:
    """The class whose `name()` is `name`, such as "studium_widgets/attention".

    Only packages named by an entry point of the group "studium", and studium_widgets, are searched, and in them only
    Python modules with a script of the same name next to them. Raises UnknownWidgetError.
    """
    if len(name) <= LONGEST and NAME.fullmatch(name):
        package, *inner = name.split("/")
        if package in _packages() and _has_script(package, inner):
            for widget in _widgets(".".join((package, *inner))):
                if widget.name() == name:
                    return widget
    raise UnknownWidgetError(f"it needs an installed widget, got {name[:80]!r}: install the package it came from")


def _widgets(module: str) -> list[type[Widget]]:
    from studium_widgets.base import Widget

    try:
        items = vars(importlib.import_module(module)).values()
    except Exception as error:  # somebody's module may fail in any way
        needed = f"it needs a widget that can be loaded, got {module}"
        raise UnknownWidgetError(f"{needed}, which failed: {type(error).__name__}: {error}") from error
    return [item for item in items if isinstance(item, type) and issubclass(item, Widget) and hasattr(item, "_script")]


def _packages() -> set[str]:
    return {"studium_widgets", *(point.module.partition(".")[0] for point in entry_points(group=GROUP))}


def _has_script(package: str, inner: list[str]) -> bool:
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    files = [Path(folder, *inner) for folder in folders]
    return any(file.with_suffix(".py").is_file() and file.with_suffix(".js").is_file() for file in files)
