"""Particles in the plane under exact scores: Langevin, annealed Langevin, diffusion samplers, and guidance."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Enum, Float, Int, List, TraitError, Unicode, default, observe

from studium_widgets.arrays import Array
from studium_widgets.base import Widget
from studium_widgets.mixtures import check_mixture

__all__ = ["ParticleField"]

SAMPLERS = ("langevin", "annealed", "ancestral", "ddim", "flow")
MISTAKES = (  # particle_field_mistakes.js says what each does
    "none",
    "constant-step",
    "not-squared",
    "linear-ladder",
    "reversed",
    "no-noise",
    "double-noise",
    "sigma-squared",
    "sqrt-one-minus-alpha",
    "off-by-one",
    "sqrt-beta",
    "flipped",
    "gradient-of-p",
    "guide-mean",
    "s-for-w",
    "sum-for-difference",
)
RANGES = {
    "share": (0.01, 0.99),
    "distance": (0.1, 2),
    "steps": (1, 1000),
    "step_size": (1e-4, 2),
    "sigma": (0.01, 50),
    "sigma_max": (0.01, 50),
    "levels": (1, 1000),
    "scale": (0, 20),
    "classifier_temperature": (0.1, 10),
    "guide_from": (0, 1),
    "guide_to": (0, 1),
    "rescale": (0, 1),
    "particles": (50, 1500),
}


class ParticleField(Widget):
    """Thousands of particles under the exact score of a Gaussian mixture, next to the density they should have.

    means (K, 2), variances (K,), weights (K,) sum 1: the mixture, by default eight modes on a ring; classes: K whole
    numbers 0, 1 …, the class of each mode, labels their names. share: the weight of mode 1; distance: a factor on the
    means. sampler: "langevin" (at the noise level sigma), "annealed" (over `levels` levels from sigma_max to sigma),
    "ancestral" (DDPM), "ddim" or "flow" (the probability-flow ODE by Heun's rule), in `steps` steps; step_size: a in
    x + a/2 score + sqrt(a) z, at the last level, times sigma_i² / sigma² at others (Song and Ermon 2019).
    guidance: "none", "classifier" or "classifier-free" towards the class `label` with scale s, where 0 is unconditional
    and 1 conditional; with exact scores both are the same. classifier_temperature; guide_from, guide_to: shares of the
    way from noise to data between which s holds (outside it is 1); rescale: phi (Lin et al. 2023).
    mistake: one of MISTAKES; one that does not concern the sampler has no effect. step: the one shown, 0 to steps.
    beside: "none", a sampler without the mistake, or "yours": trajectory (frames, particles, 2), your own run.
    background: "density" (of p(x) p(class | x)^s), "class" or "none"; arrows: "none", "score" or "change" (coloured
    where a weight changes them); probe_x, probe_y: where they are shown separately. particles: 50 to 1500. seed.
    `mountain_pass`, `tug_of_war` and `three_answers` give known instances. Raises TraitError if options do not fit.
    """

    _script = "particle_field.js"
    _style = "particle_field.css"

    means = Array("float32", ("modes", 2))
    variances = Array("float32", ("modes",))
    weights = Array("float32", ("modes",))
    classes = List(Int()).tag(sync=True, between=(0, 15), each="modes")
    labels = List(Unicode()).tag(sync=True)
    share = Float().tag(sync=True, between=(0.01, 0.99))
    distance = Float(1.0).tag(sync=True, between=(0.1, 2))
    sampler = Enum(SAMPLERS, "ancestral").tag(sync=True)
    steps = Int(200).tag(sync=True, between=(1, 1000))
    step_size = Float(0.1).tag(sync=True, between=(0.0001, 2))
    sigma = Float(1.0).tag(sync=True, between=(0.01, 50))
    sigma_max = Float(20.0).tag(sync=True, between=(0.01, 50))
    levels = Int(10).tag(sync=True, between=(1, 1000))
    guidance = Enum(("none", "classifier", "classifier-free"), "none").tag(sync=True)
    label = Int(0).tag(sync=True, between=(0, 15))
    scale = Float(1.0).tag(sync=True, between=(0, 20))
    classifier_temperature = Float(1.0).tag(sync=True, between=(0.1, 10))
    guide_from = Float(0.0).tag(sync=True, between=(0, 1))
    guide_to = Float(1.0).tag(sync=True, between=(0, 1))
    rescale = Float(0.0).tag(sync=True, between=(0, 1))
    mistake = Enum(MISTAKES, "none").tag(sync=True)
    step = Int().tag(sync=True, between=(0, "steps"))
    beside = Enum(("none", "yours", *SAMPLERS), "none").tag(sync=True)
    trajectory = Array("float32", ("frames", "particles", 2), optional=True)
    background = Enum(("density", "class", "none"), "density").tag(sync=True)
    arrows = Enum(("none", "score", "change"), "none").tag(sync=True)
    probe_x = Float(0.6).tag(sync=True, between=(-100, 100))
    probe_y = Float(-0.5).tag(sync=True, between=(-100, 100))
    particles = Int(1500).tag(sync=True, between=(50, 1500))
    seed = Int(0).tag(sync=True, between=(0, 2**31))

    @classmethod
    def mountain_pass(cls, **state: Any) -> Self:
        """Two modes far apart, weights 0.2 and 0.8 (Song and Ermon 2019, figure 3): Langevin misses the weights."""
        two = {"means": [[-5.0, -5.0], [5.0, 5.0]], "variances": [1.0, 1.0], "weights": [0.2, 0.8]}
        sampling = {"sampler": "annealed", "steps": 1000, "beside": "langevin", "arrows": "change"}
        return cls(**two | sampling | {"probe_x": -2.0, "probe_y": 2.0} | state)

    @classmethod
    def tug_of_war(cls, **state: Any) -> Self:
        """Classifier guidance on the ring: the score pulls to the data, the classifier's gradient to the class."""
        return cls(**{"guidance": "classifier", "background": "class", "step": 120} | state)

    @classmethod
    def three_answers(cls, **state: Any) -> Self:
        """Classifier-free guidance at s = 3: the exact tilted density, and where DDPM and DDIM end instead."""
        return cls(**{"guidance": "classifier-free", "scale": 3.0, "beside": "ddim"} | state)

    @classmethod
    def example(cls) -> Self:
        return cls.three_answers(particles=800, steps=100)

    @classmethod
    def largest(cls) -> Self:
        return cls.three_answers(particles=1500, steps=500)

    @property
    def alt(self) -> str:
        guided = "" if self.guidance == "none" else f" with {self.guidance} guidance of scale {self.scale:g}"
        mistake = "" if self.mistake == "none" else f" and the mistake {self.mistake}"
        place = f"at step {self.step} of {self.steps}"
        cloud = f"{self.particles} particles on {len(self.means)} modes {place} of {self.sampler} sampling"
        return f"Particle field: {cloud}{guided}{mistake}."

    def check(self) -> None:
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise TraitError(f"{name} needs to be from {low} to {high}, got {getattr(self, name)}: choose another")
        check_mixture(self, most=16, each=("variances", "weights", "classes"))
        self._check_classes()
        if not 0 <= self.step <= self.steps:
            raise TraitError(f"step needs to be from 0 to {self.steps}, got {self.step}: steps is how many there are")
        if self.beside == "yours" and self.trajectory is None:
            raise TraitError("beside='yours' needs trajectory, got none: give an array (frames, particles, 2)")

    @default("means")  # type: ignore[untyped-decorator]
    def _ring(self) -> NDArray[np.float64]:
        angle = 2 * np.pi * np.arange(8) / 8
        return 1.4 * np.stack([np.cos(angle), np.sin(angle)], -1)  # (8, 2)

    @default("variances")  # type: ignore[untyped-decorator]
    def _wide(self) -> NDArray[np.float64]:
        return np.full(len(self.means), 0.35**2)

    @default("weights")  # type: ignore[untyped-decorator]
    def _equal(self) -> NDArray[np.float64]:
        return np.full(len(self.means), 1 / len(self.means))

    @default("classes")  # type: ignore[untyped-decorator]
    def _neighbours(self) -> list[int]:
        return [mode // 2 for mode in range(len(self.means))]

    @default("share")  # type: ignore[untyped-decorator]
    def _as_given(self) -> float:
        return float(np.clip(self.weights[0], *RANGES["share"]))

    @default("step")  # type: ignore[untyped-decorator]
    def _at_the_end(self) -> int:
        return int(self.steps)

    @default("beside")  # type: ignore[untyped-decorator]
    def _yours_where_given(self) -> str:
        return "none" if self.trajectory is None else "yours"

    @observe("steps")  # type: ignore[untyped-decorator]
    def _keep_step_inside(self, _change: Any) -> None:
        under_construction = not self._alt  # then a step that does not fit is the author's mistake
        if not under_construction:
            self.step = self.steps

    def _check_classes(self) -> None:
        known = sorted(set(self.classes))
        if known != list(range(len(known))):
            raise TraitError(f"classes need to be 0, 1, 2 … without a gap, got {known}: number them anew")
        if not 0 <= self.label < len(known):
            raise TraitError(f"label needs to be from 0 to {len(known) - 1}, got {self.label}: name a class")
