"""One gated unit over the plane of its inputs: the gate, the value and their product as images."""

from __future__ import annotations

from typing import Self

from studium_widgets import Widget
from traitlets import Bool, Enum, Float

HALF = 2.0  # the inputs shown are from -HALF to HALF


class GateLab(Widget):
    """Gate φ(w_g · x), value w_u · x and their product for inputs x in [-2, 2]², and a point that is dragged.

    kind: the activation φ, "glu", "bilinear", "reglu", "geglu" or "swiglu". gate_angle, value_angle: the directions of
    w_g and w_u, both of length 1, in degrees from -180 to 180. beta: sharpness of SwiGLU's gate z σ(βz), from 0.05 to
    20. pair: whether a second unit with the opposite gate and the opposite value is added. x1, x2: the point.
    """

    _script = "gate.js"
    _style = "gate.css"

    kind = Enum(("glu", "bilinear", "reglu", "geglu", "swiglu"), "swiglu").tag(sync=True)
    gate_angle = Float(0.0).tag(sync=True, between=(-180, 180))
    value_angle = Float(90.0).tag(sync=True, between=(-180, 180))
    beta = Float(1.0).tag(sync=True, between=(0.05, 20))
    pair = Bool(False).tag(sync=True)
    x1 = Float(1.0).tag(sync=True, between=(-HALF, HALF))
    x2 = Float(-1.0).tag(sync=True, between=(-HALF, HALF))

    @classmethod
    def example(cls) -> Self:
        return cls(gate_angle=20.0)

    @property
    def alt(self) -> str:
        units = "a unit and its opposite" if self.pair else "a unit"
        return (
            f"Gate, value and product of {units} of kind {self.kind} over the plane, gate at {self.gate_angle:g}° and "
            f"value at {self.value_angle:g}°, with a point at ({self.x1:.2f}, {self.x2:.2f})."
        )
