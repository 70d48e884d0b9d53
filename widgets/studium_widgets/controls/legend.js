import { h } from "./element.js";
import { gradient } from "./palette.js";

/** The dash patterns of a chart's lines, in order: a line is known by its pattern as well as by its colour. */
export const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [1, 4]];

/** Names beside short pieces of line. `draw([name, ...])`, in the order of the chart's series. */
export function legend(ui) {
  const element = h("ul", { class: "st-legend" });
  const draw = (names) => {
    const key = names.map((name, i) => {
      const swatch = h("span", { class: "st-swatch", "aria-hidden": "true" });
      swatch.innerHTML = piece(ui.theme.series[i % ui.theme.series.length], DASHES[i % DASHES.length]);
      return h("li", {}, swatch, name);
    });
    element.replaceChildren(...key);
  };
  return { element, draw };
}

const piece = (stroke, dash) =>
  `<svg width="28" height="8"><line x1="1" y1="4" x2="27" y2="4" stroke="${stroke}" stroke-width="2.5" stroke-dasharray="${dash.join(" ")}"/></svg>`;

/** The key of a heat map: a strip of its colours between two numbers. `draw({from, to, palette})`. */
export function colourBar(ui, { label }) {
  const [from, to] = [h("span", { class: "st-value" }), h("span", { class: "st-value" })];
  const strip = h("span", { class: "st-strip", "aria-hidden": "true" });
  const element = h("div", { class: "st-colour-bar" }, h("span", { class: "st-label" }, label), from, strip, to);
  const draw = (key) => {
    from.textContent = key.from;
    to.textContent = key.to;
    strip.style.background = gradient(key.palette ?? "sequential", ui.theme.dark);
  };
  return { element, draw };
}
