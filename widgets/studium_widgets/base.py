"""The base class of every widget, and the contract that a widget keeps.

A widget is three files of one name, and a stylesheet if the shared one is not enough:

    rank.py         the Python class: its state as traits, and one sentence that says what it shows
    rank.js         the view: controls, a picture, and a function that draws
    rank_maths.js   the maths: pure functions of numbers and arrays, no DOM, tested against torch

The Python class:

    class RankExplorer(Widget):
        \"\"\"First line: what it shows. Then each option with shape and unit.\"\"\"
        _script = "rank.js"                                       # beside this file
        matrix = Array("float32", ("rows", "columns"))            # numpy, list or torch tensor; bytes on the wire
        rank = Int(1, min=1).tag(sync=True)

        @property
        def alt(self) -> str:                                     # required; must not fail for any state
            return f"A matrix of rank {self.rank}."

If the class needs arguments, `example()` returns a typical instance and `largest()` one of the largest size that is
promised to move at 60 frames per second: the gallery and the conformance kit use these.

State is plain data: bool, int, float, str, list, dict, Array. All synced traits whose name has no leading underscore
are state, and `snapshot()` returns them as JSON. Their types, `min`, `max` and choices are checked again when a
notebook from anywhere is shown without a kernel (schema.py), so limit the numbers that a loop runs to. Give the bounds
of a number as a tag, `.tag(sync=True, between=(0, 9))`, because they may name an axis or another trait. To relate
traits in other ways, override `check` (it runs after construction and after every change) and raise TraitError with one
lowercase sentence: what was needed, what came, what to do next.

The view:

    import { widget } from "./controls/widget.js";                // from another package: "studium_widgets/controls/…"
    import { slider } from "./controls/slider.js";
    import { lineChart } from "./controls/line_chart.js";
    import { spectrum } from "./rank_maths.js";

    export default widget((ui) => {                               // once per view
      ui.controls(slider(ui, "rank", { label: "Rank", min: 1, max: 16 }));
      const chart = lineChart(ui, { label: "Singular values", x: { label: "index" }, y: { label: "size" } });
      ui.add(chart.element);
      return () => {                                              // once per frame if state, size or theme changed
        chart.draw({ series: [{ name: "kept", y: spectrum(ui.array("matrix"), ui.get("rank")), kind: "right" }] });
        ui.say(`Rank ${ui.get("rank")} is kept.`);
      };
    });

controls/widget.js describes `ui`, and docs/controls lists everything you can build a view from. "One idea first" in
docs/widgets.md explains what belongs in sight, below *More* and into a `fold`, and what the `kind` of a line or bar
means. Pass `{ signal: ui.signal }` to every listener that you add yourself, and stop timers on its "abort" event. Put
`suppress` (controls/element.js) on every element that can have the focus, because otherwise JupyterLab swallows the
arrow keys.
"""

from __future__ import annotations

import base64
import datetime
import difflib
import inspect
import json
from pathlib import Path
from typing import Any, ClassVar, Self

import anywidget
import ipywidgets  # type: ignore[import-untyped]
import traitlets

from studium_widgets.hosts.page import frame
from studium_widgets.modules import compressed, link
from studium_widgets.schema import find_out_of_range, rules

__all__ = ["Widget"]

STYLE = Path(__file__).parent / "controls" / "studium.css"
SAVED = "application/vnd.studium.widget+json"  # the MIME type of a snapshot
LARGEST_SAVED = 24_000_000  # characters of JSON: a picture with more state is shown live but not saved
ENTRY = """\
import view from {script};
import {{ {host} }} from "studium_widgets/hosts/{host}.js";
export default {host}(view, {options});
"""
LIVE_MESSAGES_ONLY = ("layout",)  # the one option of ipywidgets that a notebook author uses


class Widget(anywidget.AnyWidget):  # type: ignore[misc]
    """A picture that responds at once. Subclasses set `_script`, declare traits and define `alt`.

    Options can only be passed as keywords. An unknown keyword is a TypeError that names the nearest trait.
    """

    _script: ClassVar[str]
    _style: ClassVar[str] = ""
    _alt = traitlets.Unicode().tag(sync=True)
    _caption = traitlets.Unicode().tag(sync=True)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "_script" in cls.__dict__ and cls.alt is Widget.alt:
            raise TypeError(f"{cls.__name__} needs an alternative text but has none: define the property alt")

    def __init__(self, **state: Any) -> None:
        self._reject_unknown(state)
        for name in self.state_names():  # an echo of an older value would pull a slider back while it is dragged
            type(self).class_traits()[name].tag(echo_update=False)
        super().__init__(**state)
        self._refresh()
        self.observe(self._refresh, names=list(self.state_names()))

    @property
    def alt(self) -> str:
        """One sentence about what the picture shows now, for people who cannot see it."""
        raise NotImplementedError

    @classmethod
    def example(cls) -> Self:
        """Return a typical instance, shown in the gallery and tested by the conformance kit."""
        return cls()

    @classmethod
    def largest(cls) -> Self:
        """Return an instance of the largest size that the class promises to draw at 60 frames per second."""
        return cls.example()

    def captioned(self, lesson: str, claim: str, measured: str) -> Self:
        """Return the widget with a button that saves its picture as an image with this caption and today's date."""
        self._caption = "\n".join([lesson, claim, measured, datetime.date.today().isoformat()])
        return self

    def check(self) -> None:
        """Raise TraitError if the traits contradict each other."""

    @property
    def _esm(self) -> str:
        return compressed(self._hosted("live", {"state": self.state_names()}))

    @classmethod
    def module(cls) -> str:
        """Return the widget as one ES module for a host without a kernel; its default export is {render, show}
        (saved.js).
        """
        return cls._hosted("saved", {"rules": rules(cls, cls.state_names())})

    @classmethod
    def _hosted(cls, host: str, options: dict[str, Any]) -> str:
        script = cls._beside(cls._script)
        own = cls._beside(cls._style).read_text(encoding="utf-8") if cls._style else ""
        style = STYLE.read_text(encoding="utf-8") + own
        options = {"name": cls.name(), "style": style} | options
        source = ENTRY.format(script=json.dumps(f"./{script.name}"), host=host, options=json.dumps(options))
        return link(script.with_suffix(f".{host}.js"), source)

    @classmethod
    def state_names(cls) -> tuple[str, ...]:
        """Return the names of the traits that make up the state, sorted."""
        inherited = ipywidgets.DOMWidget.class_trait_names()
        own = cls.class_trait_names(sync=True)
        return tuple(sorted(name for name in own if name not in inherited and not name.startswith("_")))

    @classmethod
    def name(cls) -> str:
        """Return package and script, "studium_widgets/attention", by which a host without a kernel looks it up."""
        home = cls._home()
        package = inspect.getmodule(home).__name__.rpartition(".")[0]  # type: ignore[union-attr]
        return f"{package.replace('.', '/')}/{Path(cls._script).stem}".lstrip("/")

    def snapshot(self) -> dict[str, Any]:
        """Return the widget as JSON: {"widget": name, "version": 1, "alt": sentence, "state": {name: value}}.

        Bytes become base64 text.
        """
        state = self.get_state(list(self.state_names()))
        return {"widget": self.name(), "version": 1, "alt": self.alt, "state": _text_for_bytes(state)}

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        if bundle is not None:
            bundle[0].update(self._saved())
        return bundle

    def _saved(self) -> dict[str, Any]:
        """Return what a notebook stores of the widget, by MIME type, for hosts without a kernel."""
        shot = self.snapshot()
        try:
            size = len(json.dumps(shot, allow_nan=False))
        except ValueError:  # NaN or infinity outside an array
            return {"text/plain": self.alt}
        if size > LARGEST_SAVED:
            return {"text/plain": self.alt}
        return {SAVED: shot, "text/html": frame(self.module(), shot), "text/plain": self.alt}

    def _refresh(self, _change: Any = None) -> None:
        self.check()
        if problem := find_out_of_range(self, self.state_names()):
            raise traitlets.TraitError(f"{problem}: choose another")
        self._alt = self.alt

    @classmethod
    def _home(cls) -> type:
        return next(base for base in cls.__mro__ if "_script" in base.__dict__)

    @classmethod
    def _beside(cls, file: str) -> Path:
        return Path(inspect.getfile(cls._home())).parent / file

    @classmethod
    def _reject_unknown(cls, state: dict[str, Any]) -> None:
        options = [*cls.state_names(), *LIVE_MESSAGES_ONLY]
        for name in state:
            if name not in options:
                near = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
                advice = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(options)}"
                raise TypeError(f"{cls.__name__} has no option {name!r}: {advice}")


def _text_for_bytes(value: Any) -> Any:
    """Return the same data with bytes as base64 text, so JSON can hold it."""
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {key: _text_for_bytes(item) for key, item in value.items()}
    return [_text_for_bytes(item) for item in value] if isinstance(value, list | tuple) else value
