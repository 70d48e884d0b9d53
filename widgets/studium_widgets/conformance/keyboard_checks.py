"""Checks with only the keyboard, under JupyterLab's own shortcuts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from studium_widgets.conformance.trial import Trial

__all__ = ["controls_have_names", "controls_move_by_arrows", "shortcuts_are_kept_away", "tab_reaches_controls"]

NAMED = {
    *("button", "checkbox", "combobox", "grid", "link", "listbox", "menuitem", "radio", "radiogroup", "searchbox"),
    *("slider", "spinbutton", "switch", "tab", "textbox", "tree", "application"),
}
ARROWS = ("ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp")


def controls_have_names(trial: Trial) -> Iterator[str]:
    """Every control has a name that a screen reader can read out."""
    page = trial.resting()
    session = page.context.new_cdp_session(page)
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if role in NAMED and not node.get("ignored") and not node.get("name", {}).get("value", "").strip():
            html = session.send("DOM.getOuterHTML", {"backendNodeId": node["backendDOMNodeId"]})["outerHTML"]
            yield f"a {role} has no name: give it a label or aria-label ({html[:90]})"
    session.detach()


def shortcuts_are_kept_away(trial: Trial) -> Iterator[str]:
    """Every element that can have the focus keeps JupyterLab's shortcuts away itself, not through a parent."""
    trial.resting()
    bare = "kit.focusable(views[0].el).filter((e) => !e.hasAttribute('data-lm-suppress-shortcuts')).map(kit.call)"
    for name in trial.kit(bare):
        yield f"{name} lacks data-lm-suppress-shortcuts: spread `suppress` of controls/element.js into its attributes"


def tab_reaches_controls(trial: Trial) -> Iterator[str]:
    """The Tab key reaches every control, and leaves the view again."""
    page = trial.resting()
    wanted = trial.kit(START)
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
    missed, trapped = trial.kit(MISSED)
    yield from (f"Tab does not reach {name}: give it no tabindex, or 0" for name in missed)
    if trapped:
        yield f"Tab does not leave the view, it stays in {trapped}: handle no Tab key"
    for name in trial.kit(MOUSE_ONLY):
        yield f"{name} answers the mouse, but cannot have the focus: make it a button, or give it tabindex and keys"


# One element of a group is enough: arrows reach the others.
START = """(() => {
  document.activeElement.blur();
  const first = document.createElement("a");
  Object.assign(first, { href: "#", id: "start" });
  document.querySelector("main").prepend(first);
  first.focus();
  kit.reached = new Set();
  document.addEventListener("focusin", ({ target }) => kit.reached.add(target));
  return kit.focusable(views[0].el).length;
})()"""
MISSED = """(() => {
  document.getElementById("start").remove();
  const parts = ["listbox", "tablist", "grid", "radiogroup", "menu", "tree", "toolbar"];
  const groups = parts.map((name) => `[role=${name}]`);
  const group = (element) => (element.type === "radio" && element.name) || element.closest(groups);
  const reached = new Set([...kit.reached].map(group).filter(Boolean));
  const found = (element) => kit.reached.has(element) || reached.has(group(element));
  const missed = [...views[0].el.querySelectorAll("input, select, textarea, button, summary, [tabindex]")]
    .filter((element) => !element.disabled && element.checkVisibility({ visibilityProperty: true }) && !found(element));
  const inside = views[0].el.contains(document.activeElement);
  return [missed.map(kit.call), inside ? kit.call(document.activeElement) : ""];
})()"""
MOUSE_ONLY = """(() => {
  const focusable = "label, button, summary, select, input, a[href], [tabindex]";
  const events = ["click", "pointerdown", "pointermove", "mousedown", "mousemove", "touchstart"];
  const answers = (element) => kit.pointed.has(element) || events.some((name) => element[`on${name}`]);
  return [views[0].el, ...views[0].el.querySelectorAll("*")]
    .filter((element) => answers(element) && !element.closest(focusable) && !element.querySelector(focusable))
    .map(kit.call);
})()"""


def controls_move_by_arrows(trial: Trial) -> Iterator[str]:
    """Sliders, steppers, lists and pictures move with the arrow keys, in JupyterLab too."""
    page = trial.show()
    for place in range(trial.kit("kit.moving(views[0].el).length")):
        name = trial.kit(FOCUS, place)
        trial.kit("kit.focused?.value === undefined && kit.rests(0, 450, 2500)")
        if name and not _moves(trial, page):
            taken = trial.kit("kit.swallowed.includes(kit.focused)")
            advice = "JupyterLab takes them: spread `suppress` into the element itself" if taken else "handle them"
            yield f"{name} does not move with the arrow keys: {advice}"


def _moves(trial: Trial, page: Any) -> bool:
    before = trial.kit(SEEN)
    for key in ARROWS:
        page.keyboard.press(key)
        trial.kit("kit.frame()")
        if trial.kit(SEEN) != before:
            return True
    return False


FOCUS = """(place) => {
  kit.swallowed.length = 0;
  kit.focused = kit.moving(views[0].el)[place];
  kit.focused?.focus();
  return kit.focused ? kit.call(kit.focused) : "";
}"""
# An element with a value moves if the value changes; a picture if the view looks different.
SEEN = """(() => {
  const { value, checked, ariaValueNow } = kit.focused;
  const own = value !== undefined || ariaValueNow !== null;
  return [value, checked, ariaValueNow, document.activeElement === kit.focused, own || kit.look(0)];
})()"""
