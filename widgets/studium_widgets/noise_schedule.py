"""A diffusion's noise schedule and its exact sampler: particles up to noise, and back down to the data."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Enum, Float, Int, TraitError, default, observe

from studium_widgets.arrays import Array
from studium_widgets.base import Widget
from studium_widgets.mixtures import check_mixture

__all__ = ["NoiseSchedule"]

LARGEST_BETA = 0.999
BUGS = (
    "none",
    "noise-at-0",
    "sigma-squared",
    "sqrt-one-minus-alpha",
    "off-by-one",
    "first-timesteps",
    "no-noise",
    "clip-x",
)


class NoiseSchedule(Widget):
    """The forward and backward ladder of a diffusion on a mixture of Gaussians in the plane, exact and with no network.

    schedule: "linear" (betas 1e-4 to 0.02 whatever T is), "scaled-linear" (times 1000 / T, at most 0.999; not the
    square-root schedule that some libraries give this name), "cosine", or "yours" (needs abar). steps: T, 4 to 1000. t:
    the level that is shown, 0 to T - 1, or -1 for the data. means (K, 2), variances (K,), weights (K,) sum 1: the
    mixture, by default eight modes on a ring. sampling_steps: n, of which at most T are taken; spacing: "leading" or
    "trailing"; eta: 0 (DDIM) to 1 (ancestral); variance: "beta-tilde" or "beta"; bug: a mistake to put in the sampler,
    one of BUGS. abar (T,), losses (one number per timestep): your own, drawn for comparison. seed: of the pseudo-random
    numbers. Raises TraitError if they do not fit together.
    """

    _script = "noise_schedule.js"
    _style = "noise_schedule.css"

    schedule = Enum(("linear", "scaled-linear", "cosine", "yours"), "cosine").tag(sync=True)
    steps = Int(1000).tag(sync=True, between=(4, 1000))
    t = Int().tag(sync=True, between=(-1, 999))
    means = Array("float32", ("modes", 2))
    variances = Array("float32", ("modes",))
    weights = Array("float32", ("modes",))
    sampling_steps = Int(50).tag(sync=True, between=(1, 1000))
    spacing = Enum(("leading", "trailing"), "leading").tag(sync=True)
    eta = Float(1.0).tag(sync=True, between=(0, 1))
    variance = Enum(("beta-tilde", "beta"), "beta-tilde").tag(sync=True)
    bug = Enum(BUGS, "none").tag(sync=True)
    abar = Array("float32", ("steps",), optional=True)
    losses = Array("float32", ("timesteps",), optional=True)
    seed = Int(0).tag(sync=True, between=(0, 2**31))

    @classmethod
    def largest(cls) -> Self:
        return cls(sampling_steps=1000)

    @property
    def alt(self) -> str:
        signal = 1.0 if self.t < 0 else float(self._signal()[self.t])
        place = f"{self.schedule} schedule of {self._length()} steps at t = {self.t}, where abar is {signal:.3g}"
        sampler = f"a sampler of {min(self.sampling_steps, self._length())} steps with eta {self.eta:g}"
        mistake = "" if self.bug == "none" else f" and the mistake {self.bug}"
        return f"Noise schedule: {place}; beside it {sampler}{mistake} on {len(self.means)} modes."

    def check(self) -> None:
        self._check_ranges()
        check_mixture(self, most=32)
        if self.schedule == "yours" and self.abar is None:
            raise TraitError(
                "the schedule 'yours' needs abar, got none: pass abar= an array with one number per timestep"
            )
        if self.abar is not None:
            _check_abar(self.abar)
        if self.losses is not None and not (self.losses.min() >= 0 and self.losses.max() > 0):
            raise TraitError(f"losses need to be 0 or more and not all 0, got {self.losses.min():g} at the least")
        if not -1 <= self.t < self._length():
            raise TraitError(f"t needs to be from -1 (the data) to {self._length() - 1}, got {self.t}")

    @default("t")  # type: ignore[untyped-decorator]
    def _modes_still_apart(self) -> int:
        return self._length() // 5

    @default("means")  # type: ignore[untyped-decorator]
    def _ring(self) -> NDArray[np.float64]:
        angle = 2 * np.pi * np.arange(8) / 8
        return 1.4 * np.stack([np.cos(angle), np.sin(angle)], -1)  # (8, 2)

    @default("variances")  # type: ignore[untyped-decorator]
    def _narrow(self) -> NDArray[np.float64]:
        return np.full(len(self.means), 0.01)

    @default("weights")  # type: ignore[untyped-decorator]
    def _equal(self) -> NDArray[np.float64]:
        return np.full(len(self.means), 1 / len(self.means))

    @observe("steps", "schedule", "abar")  # type: ignore[untyped-decorator]
    def _keep_t_inside(self, _change: Any) -> None:
        under_construction = not self._alt  # then a t that does not fit is the author's mistake
        if not under_construction and self.t >= self._length():
            self.t = self._length() - 1

    def _length(self) -> int:
        """Return T, the length of the array if the schedule is yours."""
        return len(self.abar) if self.schedule == "yours" and self.abar is not None else self.steps

    def _signal(self) -> NDArray[np.float64]:
        """Return abar (T,) of the chosen schedule, as the browser computes it."""
        if self.schedule == "yours":
            return np.asarray(self.abar, dtype=np.float64)
        if self.schedule == "cosine":
            level = np.cos((np.arange(self.steps + 1) / self.steps + 0.008) / 1.008 * math.pi / 2) ** 2
            betas = 1 - level[1:] / level[:-1]
        else:
            scale = 1000 / self.steps if self.schedule == "scaled-linear" else 1
            betas = scale * np.linspace(1e-4, 0.02, self.steps)
        return np.cumprod(1 - np.minimum(LARGEST_BETA, betas))

    def _check_ranges(self) -> None:
        for name, low, high in (("steps", 4, 1000), ("sampling_steps", 1, 1000), ("eta", 0, 1)):
            if not low <= getattr(self, name) <= high:
                raise TraitError(f"{name} needs to be from {low} to {high}, got {getattr(self, name)}")


def _check_abar(abar: NDArray[np.float32]) -> None:
    if not 4 <= len(abar) <= 1000:
        raise TraitError(f"abar needs 4 to 1000 numbers, got {len(abar)}: one per timestep")
    if not (abar.min() > 0 and abar.max() < 1):
        raise TraitError(f"abar needs to lie between 0 and 1, got {abar.min():g} to {abar.max():g}: is it betas?")
    if (falls := np.diff(abar) < 0).sum() < len(falls):
        first = int(np.argmin(falls)) + 1
        got = f"{abar[first]:g} after {abar[first - 1]:g} at index {first}"
        raise TraitError(f"abar needs to fall from step to step, got {got}: look at what made it")
