import { h, suppress, uniqueName } from "./element.js";

/**
 * Two to four options side by side, bound to the string `name`: native radio buttons. Options as in `select`.
 * @param {any} ui
 * @param {string} name
 * @param {{label: string, options: any[]}} options
 */
export function choice(ui, name, { label, options }) {
  const group = uniqueName(name);
  const inputs = [];
  const part = (/** @type {any[]} */ [value, shown = value]) => {
    const input = h("input", { type: "radio", name: group, value, ...suppress });
    input.addEventListener("change", () => ui.set(name, value), { signal: ui.signal });
    inputs.push(input);
    return h("label", {}, input, h("span", {}, shown));
  };
  const parts = options.map((option) => part([option].flat()));
  const show = () => inputs.forEach((input) => (input.checked = input.value === ui.get(name)));
  ui.on(name, show);
  show();
  const bar = h("div", { class: "st-segments", role: "radiogroup", "aria-label": label }, ...parts);
  return h("div", { class: "st-control" }, h("span", { class: "st-label", "aria-hidden": "true" }, label), bar);
}
