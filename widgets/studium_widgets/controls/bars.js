import { h, put, suppress } from "./element.js";

/**
 * Horizontal bars with their values as text. `draw([{name, value, kind?, mark?}], top?)`; a bar of length `top` fills its
 * row, and `mark` is a value to compare with, drawn as a stroke. `kind` is what its colour says: "chosen" (blue, also for
 * what was learned), "right" (green), "wrong" (orange, also for what is lost) or "context" (grey).
 * With `ask` (see `prediction`), each bar is a slider while it asks, and keeps a mark of what was predicted afterwards.
 */
export function bars(ui, { label, max = 1, format = (value) => value.toFixed(2), ask = null }) {
  const element = h("ul", { class: "st-bars", "aria-label": label });
  const rows = [];
  const draw = (items, top = max) => {
    while (rows.length < items.length) rows.push(row(ui, ask, rows.length));
    rows.length = items.length;
    if (element.children.length !== rows.length) element.replaceChildren(...rows.map((parts) => parts.element));
    items.forEach((item, i) => fill(rows[i], item, top, format));
    if (ask) rows.forEach((parts, i) => question(parts, items[i].name, ask, i, top, format));
  };
  return { element, draw };
}

function row(ui, ask, index) {
  const parts = {
    name: h("span", { class: "st-bar-name" }),
    bar: h("span", { class: "st-bar" }),
    value: h("span", { class: "st-value" }),
  };
  parts.mark = h("span", { class: "st-bar-guess", hidden: true });
  parts.stroke = h("span", { class: "st-mark", hidden: true });
  const track = h("span", { class: "st-track" }, parts.bar, parts.stroke, parts.mark);
  parts.bar.setAttribute("aria-hidden", "true");
  if (ask) {
    parts.input = h("input", { type: "range", min: 0, max: 1, step: 0.01, class: "st-bar-slider", ...suppress });
    parts.input.addEventListener("input", () => ask.put(index, parts.input.valueAsNumber * parts.top), {
      signal: ui.signal,
    });
    track.append(parts.input);
  }
  parts.element = h("li", {}, parts.name, track, parts.value);
  return parts;
}

function fill(parts, { name, value, kind = "chosen", mark }, top, format) {
  put(parts.name, "textContent", name);
  put(parts.value, "textContent", value === null ? "" : format(value));
  parts.bar.style.transform = `scaleX(${Math.min(1, Math.max(0, value / top))})`;
  parts.stroke.hidden = mark === undefined;
  if (mark !== undefined) parts.stroke.style.transform = `translateX(${100 * Math.min(1, Math.max(0, mark / top))}%)`;
  put(parts.element.dataset, "kind", kind);
}

function question(parts, name, ask, index, top, format) {
  const guess = ask.values()[index];
  const [asking, share] = [ask.asking(), Math.min(1, (guess ?? 0) / top)];
  parts.top = top;
  Object.assign(parts.input, { hidden: !asking, value: guess === null ? 0.5 : share });
  parts.mark.hidden = asking || guess === null;
  parts.mark.style.left = `${100 * share}%`;
  const said = guess === null ? "not predicted yet" : format(guess);
  parts.input.setAttribute("aria-label", `Your prediction for ${name}`);
  parts.input.setAttribute("aria-valuetext", said);
  parts.element.classList.toggle("st-asked", asking);
  parts.element.classList.toggle("st-open", asking && guess === null);
  if (!asking) return;
  parts.bar.style.transform = `scaleX(${share})`;
  parts.value.textContent = guess === null ? "?" : said;
}
