"""A widget that has one of each control, for the tests."""

from studium_widgets import Array, Widget
from traitlets import Bool, Enum, Float, Int


class Gallery(Widget):
    _script = "gallery.js"
    steps = Int(100).tag(sync=True)
    rate = Float(0.1).tag(sync=True)
    layer = Int(0).tag(sync=True)
    kind = Enum(["sine", "cosine"], "sine").tag(sync=True)
    signed = Bool(False).tag(sync=True)
    matrix = Array("float32", ("rows", "columns"))

    @property
    def alt(self) -> str:
        return f"Two waves of {self.steps} steps."
