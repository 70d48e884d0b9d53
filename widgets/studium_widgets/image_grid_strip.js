// Every step of one image in a row, one of them chosen by pointer or arrow keys.
import { h, put, suppress, uniqueName } from "./controls/element.js";
import { keys } from "./controls/keys.js";
import { paint } from "./image_grid_paint.js";

const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };

/** `draw(now)` paints each step of `now.image` and marks `now.step`; `picked(step)` on choosing. */
export function strip(ui, { label, picked, format }) {
  const element = h("div", {
    class: "st-film",
    role: "listbox",
    tabindex: 0,
    "aria-label": label,
    "aria-orientation": "horizontal",
    ...suppress,
  });
  let [cells, chosen, painted] = [[], 0, []];
  const choose = (step) => step >= 0 && step < cells.length && picked(step);
  element.addEventListener("click", (event) => choose(cells.findIndex((cell) => cell.element.contains(event.target))), {
    signal: ui.signal,
  });
  keys(ui, element, STEPS, (step) => choose(Math.max(0, Math.min(cells.length - 1, chosen + step))));
  const draw = (now) => {
    if (cells.length !== now.steps) {
      cells = Array.from({ length: now.steps }, made);
      element.replaceChildren(...cells.map((cell) => cell.element));
    }
    if (painted[0] !== now.array || painted[1] !== now.image)
      cells.forEach(({ canvas }, step) => paint(canvas, now, step, now.image));
    [chosen, painted] = [now.step, [now.array, now.image]];
    cells.forEach((cell, step) => {
      put(cell.name, "textContent", format(step));
      put(cell.element, "ariaSelected", String(step === chosen));
    });
    element.setAttribute("aria-activedescendant", cells[chosen].element.id);
  };
  return { element, draw };
}

function made() {
  const [canvas, name] = [h("canvas", { "aria-hidden": "true" }), h("span")];
  return { canvas, name, element: h("div", { role: "option", id: uniqueName("step") }, canvas, name) };
}
