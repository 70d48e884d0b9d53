"""A Gaussian inside a wider one under guidance, exact: what should be sampled, and what two samplers give."""

from __future__ import annotations

from typing import Self

from studium_widgets import Widget
from traitlets import Float, Int


class GuidedGaussian(Widget):
    """Densities on a line: all data N(0, 2), those with a label, the tilted density, and the samples of DDPM and DDIM.

    mean, variance: of the data with the label, 0 to 2 and 0.1 to 1.9. scale: s, 0 unconditional, 1 conditional, up to
    10. steps: 2 to 1000, of the linear schedule. high: the noise level sigma up to which s holds, above it is 1; 200 is
    above all levels. Nothing is drawn at random: a step maps a Gaussian to a Gaussian.
    Source: Bradley and Nakkiran 2024, arXiv 2408.09000, section 3.
    """

    _script = "gaussian.js"

    mean = Float(0.0).tag(sync=True, between=(0, 2))
    variance = Float(1.0).tag(sync=True, between=(0.1, 1.9))
    scale = Float(3.0).tag(sync=True, between=(0, 10))
    steps = Int(1000).tag(sync=True, between=(2, 1000))
    high = Float(200.0).tag(sync=True, between=(0, 200))

    @classmethod
    def example(cls) -> Self:
        return cls(mean=1.0)

    @property
    def alt(self) -> str:
        label = f"N({self.mean:g}, {self.variance:g}) in N(0, 2)"
        return f"{label} under guidance with s = {self.scale:g}: tilted density, DDPM and DDIM in {self.steps} steps."
