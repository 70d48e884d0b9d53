import { h } from "./element.js";

/** Horizontal bars with their values as text. `draw([{name, value, accent?}])`; a bar of length `max` fills its row. */
export function bars(ui, { label, max = 1, format = (value) => value.toFixed(2) }) {
  const element = h("ul", { class: "st-bars", "aria-label": label });
  const rows = [];
  const row = () => {
    const parts = { name: h("span", { class: "st-bar-name" }), bar: h("span", { class: "st-bar" }), value: h("span", { class: "st-value" }) };
    const track = h("span", { class: "st-track", "aria-hidden": "true" }, parts.bar);
    parts.element = h("li", {}, parts.name, track, parts.value);
    return parts;
  };
  const draw = (items) => {
    while (rows.length < items.length) rows.push(row());
    rows.length = items.length;
    if (element.children.length !== rows.length) element.replaceChildren(...rows.map((parts) => parts.element));
    items.forEach((item, i) => fill(rows[i], item, max, format));
  };
  return { element, draw };
}

function fill(parts, { name, value, accent = false }, max, format) {
  parts.name.textContent = name;
  parts.value.textContent = format(value);
  parts.bar.style.transform = `scaleX(${Math.min(1, Math.max(0, value / max))})`;
  parts.element.classList.toggle("st-accent", accent);
}
