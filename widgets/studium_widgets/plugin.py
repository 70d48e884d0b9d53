"""The widgets' own plugin for the course host. It implements the host's hooks and imports nothing from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from studium_widgets.tensor_difference import TensorDifference

hookimpl = pluggy.HookimplMarker("studium")


@hookimpl
def studium_show_difference(actual: Any, expected: Any, rtol: float, atol: float) -> TensorDifference | None:
    """Show arrays of real numbers as heat maps, yours next to the reference."""
    from traitlets import TraitError

    from studium_widgets.tensor_difference import TensorDifference

    try:
        return TensorDifference.between(actual, expected, rtol=rtol, atol=atol)
    except TraitError:  # not real numbers
        return None


@hookimpl
def studium_topic_checks(topic: Any) -> Mapping[str, Callable[[], Iterable[str]]]:
    """Check the widgets of a topic's package with the conformance kit."""

    def faults() -> Iterable[str]:
        from studium_widgets.topic_widgets import faults

        return faults(topic.package)

    return {"widgets": faults}
