/** A key of `steps` on `element`, without a modifier but Shift: calls `moved(steps[key], event)`, and nobody else hears of it. */
export function keys(ui, element, steps, moved) {
  const keyed = (event) => {
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    moved(step, event);
  };
  element.addEventListener("keydown", keyed, { signal: ui.signal });
}
