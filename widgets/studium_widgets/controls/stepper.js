import { h, suppress } from "./element.js";

/** A whole number `name` from `min` to `max`, with − and + beside it. Typing and the arrow keys work too. */
export function stepper(ui, name, { label, min = 0, max }) {
  const { signal } = ui;
  const input = h("input", { type: "number", min, max, step: 1, "aria-label": label, ...suppress });
  const go = (value) => {
    if (Number.isInteger(value)) ui.set(name, Math.min(max, Math.max(min, value)));
    show();
  };
  const button = (sign, text, word) => {
    const made = h("button", { type: "button", "aria-label": `${word} ${label.toLowerCase()}`, ...suppress }, text);
    made.addEventListener("click", () => go(ui.get(name) + sign), { signal });
    return made;
  };
  const less = button(-1, "−", "previous");
  const more = button(+1, "+", "next");
  const show = () => {
    input.value = ui.get(name);
    less.disabled = ui.get(name) <= min;
    more.disabled = ui.get(name) >= max;
  };
  input.addEventListener("change", () => go(input.valueAsNumber), { signal });
  ui.on(name, show);
  show();
  const group = h("span", { class: "st-stepper" }, less, input, more);
  return h("div", { class: "st-control" }, h("span", { class: "st-label", "aria-hidden": "true" }, label), group);
}
