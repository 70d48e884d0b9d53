"""Checks of a widget as a guest: its state, its neighbours, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from traitlets import TraitError

from studium_widgets.base import Widget
from studium_widgets.conformance.trial import Trial

__all__ = [
    "asks_for_nothing_outside",
    "leaves_nothing_running",
    "lives_twice",
    "lives_without_a_kernel",
    "state_crosses",
]


def state_crosses(trial: Trial) -> Iterator[str]:
    """The state goes from Python to JSON to JavaScript and back, and Python accepts whatever the controls set."""
    saved = trial.state()
    again = trial.widget_class(**_decoded(trial.example, saved))
    if again.snapshot()["state"] != saved:
        yield f"recreated from its own state, it has a different state{_difference(again.snapshot()['state'], saved)}"
    trial.show()
    drawn = {name: value for name, value in trial.kit("kit.state(0)").items() if name in saved}
    if drawn != saved:
        yield f"drawing changes the state{_difference(drawn, saved)}: set it only when a control moves"
    for move in trial.moved()["moves"]:
        yield from _accepted(again, move)


def _accepted(widget: Widget, move: dict[str, Any]) -> Iterator[str]:
    """Return Python's reaction to one move: {"name", "how", "changed": {trait: value}}."""
    changed = move["changed"]
    told = f"moving {move['name']} {move['how']}"
    if strange := sorted(set(changed) - set(widget.state_names())):
        yield f"{told} sets {', '.join(strange)}, which Python does not have: declare a synced trait"
        return
    try:
        widget.set_state(dict(changed))
    except TraitError as refused:
        yield f"{told} sets {str(changed)[:80]}, which Python refuses ({refused}): let both have the same limits"
        return
    kept = {name: widget.snapshot()["state"][name] for name in changed}
    if kept != changed:
        yield f"{told}: Python keeps a different value{_difference(kept, changed)}"


def lives_twice(trial: Trial) -> Iterator[str]:
    """Two views on one page do not touch each other."""
    before, after = trial.moved()["neighbour_before"], trial.moved()["neighbour_after"]
    if before != after:
        yield f"moving one view changes the other{_difference(after, before)}: keep state in the view"
    trial.resting()
    ids = trial.kit("[...document.querySelectorAll('main [id]')].map((element) => element.id)")
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        yield f"the id {twice[0]!r} appears twice on the page: use uniqueName of controls/element.js"
    groups = "views.map(({el}) => [...el.querySelectorAll('input[type=radio]')].map((input) => input.name))"
    first, second = trial.kit(groups)
    if shared := sorted(set(first) & set(second)):
        yield f"radio buttons of both views share the group {shared[0]!r}: use uniqueName of controls/element.js"


def lives_without_a_kernel(trial: Trial) -> Iterator[str]:
    """Drawn from a notebook's saved data alone, it looks the same, and its controls work."""
    trial.show()
    live = [trial.kit(RESTS), trial.kit("kit.look(0)")]
    trial.show(kernel=False)
    saved = [trial.kit(RESTS), trial.kit("kit.look(0)")]
    if saved != live:
        yield "it looks different without a kernel: read arrays with ui.array, and draw random numbers from a seed"
    for refusal in trial.kit("[...document.querySelectorAll('[role=alert]')].map((element) => element.textContent)"):
        yield f"without a kernel it reports: {refusal}"
    trial.kit("kit.walk(0, 6)")
    if trial.kit("kit.moving(views[0].el).length") and trial.kit("kit.look(0)") == saved[1]:
        yield "no control changes anything without a kernel: compute in JavaScript"


RESTS = "kit.rests(0, 450, 10000)"  # ms: a sentence is heard 400 ms after the picture is still


def asks_for_nothing_outside(trial: Trial) -> Iterator[str]:
    """It loads nothing from outside, and nothing fails in the browser's console."""
    trial.moved()
    for address in trial.page.outside:
        yield f"it asks for {address}: put whatever it needs into its module or its state"
    for error in trial.page.errors:
        yield f"the console says: {error[:200]}"


def leaves_nothing_running(trial: Trial) -> Iterator[str]:
    """When a view ends, no timer, frame, observer, worker or listener of it is left."""
    trial.kit("kit.clear()")
    trial.page.wait_for_timeout(50)
    trial.kit("kit.running.clear()")
    trial.show()
    trial.kit("kit.walk(0, 6)")
    # Whatever plays keeps playing.
    trial.kit("views[0].el.querySelectorAll('button').forEach((button) => button.click())")
    trial.kit("views.forEach((view) => view.abort())")
    trial.page.wait_for_timeout(50)
    for left in sorted(set(trial.kit("[...kit.running.values()]"))):
        yield f"it leaves {left}: end it on ui.signal's “abort”"
    if listening := trial.kit("views[0].model.listening"):
        yield f"it leaves {listening} listeners on the model: use ui.on"


def _decoded(widget: Widget, state: dict[str, Any]) -> dict[str, Any]:
    def decode(name: str, value: Any) -> Any:
        from_json = widget.trait_metadata(name, "from_json")
        return from_json(value, widget) if from_json else value

    return {name: decode(name, value) for name, value in state.items()}


def _difference(got: dict[str, Any], wanted: dict[str, Any]) -> str:
    for name in sorted(set(got) | set(wanted)):
        if got.get(name) != wanted.get(name):
            return f" ({name} is {str(got.get(name))[:60]}, was {str(wanted.get(name))[:60]})"
    return ""
