"""The parameter bill of an encoder: what two sliders take off it, and a stack that shares its layers, unrolled."""

from __future__ import annotations

from studium_widgets import Widget
from traitlets import Bool, Enum, Int

MODELS = ("base", "large", "xlarge", "xxlarge")


class ParameterBill(Widget):
    """Parameters and operations of a BERT and of the same model with shared layers and factorised tables.

    model: the sizes, as in table 1 of the ALBERT paper, one of MODELS. factorised: whether the tables have width E.
    embedding: E. sets: how many sets of layer parameters are stored, at most one a layer. passed: how many layers the
    token has gone through.
    """

    _script = "bill.js"
    _style = "bill.css"

    model = Enum(MODELS, "base").tag(sync=True)
    factorised = Bool(True).tag(sync=True)
    embedding = Int(128, min=1, max=4096).tag(sync=True)
    sets = Int(1, min=1, max=24).tag(sync=True)
    passed = Int(0, min=0, max=24).tag(sync=True)

    @property
    def alt(self) -> str:
        tables = f"tables of width {self.embedding}" if self.factorised else "tables of full width"
        return (
            f"The parameter bill of BERT-{self.model} beside one with {tables} and at most {self.sets} stored sets of "
            f"layer parameters, and its stack of layers, {self.passed} of them passed."
        )
