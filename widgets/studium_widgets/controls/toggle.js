import { h, suppress } from "./element.js";

/** A switch bound to the boolean `name`. */
export function toggle(ui, name, { label }) {
  const input = h("input", { type: "checkbox", role: "switch", ...suppress });
  const show = () => (input.checked = ui.get(name));
  input.addEventListener("change", () => ui.set(name, input.checked), { signal: ui.signal });
  ui.on(name, show);
  show();
  return h("label", { class: "st-control st-toggle" }, input, h("span", { class: "st-label" }, label));
}
