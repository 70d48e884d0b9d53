import { h, suppress } from "./element.js";

/** A drop-down list bound to the string `name`. `options`: strings, or [value, shown] pairs. */
export function select(ui, name, { label, options }) {
  const items = options.map((option) => [option].flat());
  const input = h("select", { ...suppress }, ...items.map(([value, shown = value]) => h("option", { value }, shown)));
  const show = () => (input.value = ui.get(name));
  input.addEventListener("change", () => ui.set(name, input.value), { signal: ui.signal });
  ui.on(name, show);
  show();
  return h("label", { class: "st-control" }, h("span", { class: "st-label" }, label), input);
}
