"""A widget with one of each control. The pages that show it come from the plugin `studium-widgets`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from studium_widgets import Array, Widget
from traitlets import Bool, Enum, Float, Int


class Gallery(Widget):
    """One of each control."""

    _script = "gallery.js"
    steps = Int(100).tag(sync=True)
    rate = Float(0.1).tag(sync=True)
    layer = Int(0).tag(sync=True)
    kind = Enum(["sine", "cosine"], "sine").tag(sync=True)
    signed = Bool(False).tag(sync=True)
    matrix = Array("float32", ("rows", "columns"), finite=None)

    @property
    def alt(self) -> str:
        return f"Two waves of {self.steps} steps."


@pytest.fixture
def gallery() -> Callable[..., Gallery]:
    """gallery(**state) → a widget with one of each control."""
    values = np.random.default_rng(0).uniform(-1, 1, (12, 12))
    return lambda **state: Gallery(**({"matrix": values} | state))
