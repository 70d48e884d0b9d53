"""One widget on trial: its example, and a browser page on which the checks show and move it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studium_widgets.base import Widget
from studium_widgets.conformance import pages

__all__ = ["Trial"]

HERE = Path(__file__).parent
SPOKEN = "kit.rests(0, 700, 10000)"  # ms: a sentence may wait until the picture stops changing
SCRIPTS = ("jupyterlab.js", "watch.js", "controls.js", "canvas.js")


class Trial:
    """The page and the example of one widget class; closed as a context manager.

    `page` is a playwright Page, 900 px wide; `kit(call)` runs JavaScript that can use the checks' functions.
    """

    def __init__(self, browser: Any, widget_class: type[Widget]) -> None:
        self.widget_class = widget_class
        self.example = widget_class.example()
        scripts = [(HERE / name).read_text(encoding="utf-8") for name in SCRIPTS]
        self.page = pages.open_page(browser, HERE, scripts=scripts)
        self._at_rest = False
        self._moved: dict[str, Any] = {}
        self._colours: dict[bool, dict[str, Any]] = {}

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_error: object) -> None:
        self.page.context.close()

    def show(self, copies: int = 1, *, kernel: bool = True) -> Any:
        """Return the page with this many new views of the example and no others."""
        self.kit("kit.clear()")
        pages.mount(self.page, [self.example] * copies, kernel=kernel)
        self._at_rest = False
        return self.page

    def resting(self) -> Any:
        """Return the page with two views that nobody has moved; to move one, use `show(2)` instead."""
        if not self._at_rest:
            self.show(2)
        self._at_rest = True
        return self.page

    def moved(self) -> dict[str, Any]:
        """Return the effects of moving every control of the first of two views to its ends.

        "moves": [{"name", "how", "changed": {trait: value}}]; "neighbour_before", "neighbour_after": the state of the
        other view; "said_before", "said_after": the sentences in the aria-live elements of the first.
        """
        if not self._moved:
            self.show(2)
            before = {"neighbour_before": self.kit("kit.state(1)"), "said_before": self._said()}
            moves = self.kit("kit.walk(0)")
            after = {"neighbour_after": self.kit("kit.state(1)"), "said_after": self._said()}
            self._moved = {"moves": moves, **before, **after}
        return self._moved

    def _said(self) -> list[str]:
        self.kit(SPOKEN)
        return self.kit("kit.summary(0)")  # type: ignore[no-any-return]

    def kit(self, script: str, argument: Any = None) -> Any:
        """Return the result of a JavaScript expression, or of a function of `argument`."""
        return self.page.evaluate(script, argument)

    def dark(self, wanted: bool) -> None:
        """Set what the reader's system prefers, and the colour of the page around the view."""
        self.page.emulate_media(color_scheme="dark" if wanted else "light")
        self.kit("colour => (document.body.style.background = colour)", "#0f1115" if wanted else "#ffffff")

    def state(self) -> dict[str, Any]:
        """Return the example's state as a notebook would save it."""
        return json.loads(json.dumps(self.example.snapshot()["state"]))  # type: ignore[no-any-return]

    def colours(self, dark: bool) -> dict[str, Any]:
        """Return what a view draws on canvases: {"surface": colour, "texts": [...], "lines": [[...] per canvas]}."""
        if dark not in self._colours:
            self.dark(dark)
            self.show()
            self._colours[dark] = self.kit("kit.colours(0)")
            self.dark(False)
        return self._colours[dark]
