"""What a mixture of Gaussians in the plane must be, for the widgets that show one."""

from __future__ import annotations

from typing import Any

from traitlets import TraitError

__all__ = ["check_mixture"]


def check_mixture(widget: Any, most: int, each: tuple[str, ...] = ("variances", "weights")) -> None:
    """Raise TraitError if means (K, 2), variances (K,) and weights (K,) of a widget are not a mixture.

    most: the largest K. each: the traits that need one number for each mode.
    """
    modes = len(widget.means)
    if not 1 <= modes <= most:
        raise TraitError(f"means need 1 to {most} rows, got {modes}: draw fewer modes")
    for name in each:
        if (got := len(getattr(widget, name))) != modes:
            raise TraitError(f"{name} need one number for each of the {modes} means, got {got}: set both at once")
    variances, weights = widget.variances, widget.weights
    if not variances.min() > 0:
        raise TraitError(f"variances need to be above 0, got {variances.min():g}: a point mass has no density")
    total = float(weights.sum(dtype="float64"))
    if weights.min() <= 0 or abs(total - 1) > 1e-3:
        raise TraitError(f"weights need to be above 0 and sum to 1, got a sum of {total:.4g}: divide by their sum")
