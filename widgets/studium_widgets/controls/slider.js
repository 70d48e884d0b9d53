import { h, suppress } from "./element.js";

/**
 * A range input bound to the number `name`.
 * `values`: run over these values (a log scale, say) instead of min, max and step. `format(value)` → what is shown.
 * @param {any} ui
 * @param {string} name
 * @param {{label: string, min?: number, max?: number, step?: number, values?: number[], format?: (value: any) => string}} options
 */
export function slider(ui, name, { label, min, max, step = 1, values, format = String }) {
  const range = values ? { min: 0, max: values.length - 1, step: 1 } : { min, max, step };
  const input = h("input", { type: "range", "aria-label": label, ...range, ...suppress });
  const shown = h("output", { class: "st-value" });
  const show = () => {
    const value = ui.get(name);
    input.value = values ? nearest(values, value) : value;
    shown.textContent = format(value);
    input.setAttribute("aria-valuetext", shown.textContent);
    input.style.setProperty("--st-filled", `${(100 * (input.value - input.min)) / (input.max - input.min)}%`);
  };
  const read = () => ui.set(name, values ? values[input.valueAsNumber] : input.valueAsNumber);
  input.addEventListener("input", read, { signal: ui.signal });
  ui.on(name, show);
  show();
  return h("label", { class: "st-control st-slider" }, h("span", { class: "st-label" }, label), input, shown);
}

function nearest(values, value) {
  const gaps = values.map((candidate) => Math.abs(candidate - value));
  return gaps.indexOf(Math.min(...gaps));
}
