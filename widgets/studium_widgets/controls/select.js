import { h, suppress } from "./element.js";

/** A drop-down list bound to `name`. `options`: values, or [value, shown] pairs; the values all strings or all numbers. */
export function select(ui, name, { label, options }) {
  const items = options.map((option) => [option].flat());
  const input = h("select", { ...suppress }, ...items.map(([value, shown = value]) => h("option", { value }, shown)));
  const show = () => (input.value = ui.get(name));
  const read = typeof items[0][0] === "number" ? Number : String;
  input.addEventListener("change", () => ui.set(name, read(input.value)), { signal: ui.signal });
  ui.on(name, show);
  show();
  return h("label", { class: "st-control" }, h("span", { class: "st-label" }, label), input);
}
