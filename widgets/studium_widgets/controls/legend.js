import { h, put } from "./element.js";
import { gradient } from "./palette.js";

/** The dash patterns of a chart's lines, in order: a line is known by its pattern as well as by its colour. */
export const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [1, 4]];

/** Names beside short pieces of line. `draw([name | {name, stroke?, dash? or mark}, ...])`, in the order of the chart's series. */
export function legend(ui) {
  const element = h("ul", { class: "st-legend" });
  let shown = "";
  const draw = (names) => {
    const entries = names.map((name, i) => {
      const [stroke, dash] = [ui.theme.series, DASHES].map((list) => list[i % list.length]);
      return { stroke, dash, ...(Object(name) === name ? name : { name }) };
    });
    if (shown === (shown = JSON.stringify(entries))) return;
    element.replaceChildren(...entries.map(entry));
  };
  return { element, draw };
}

function entry({ name, stroke, dash, mark }) {
  const sign = mark ? h("span", { style: `color:${stroke}` }, mark) : piece(stroke, dash);
  return h("li", {}, h("span", { class: "st-swatch", "aria-hidden": "true" }, sign), name);
}

function piece(stroke, dash) {
  const [svg, line] = ["svg", "line"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  const place = { x1: 1, y1: 4, x2: 27, y2: 4, stroke, "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") };
  for (const [name, value] of Object.entries(place)) line.setAttribute(name, String(value));
  for (const [name, value] of Object.entries({ width: 28, height: 8 })) svg.setAttribute(name, String(value));
  svg.append(line);
  return svg;
}

/** The key of a heat map: a strip of its colours between two numbers. `draw({from, to, palette})`. */
export function colourBar(ui, { label }) {
  const [from, to] = [h("span", { class: "st-value" }), h("span", { class: "st-value" })];
  const strip = h("span", { class: "st-strip", "aria-hidden": "true" });
  const element = h("div", { class: "st-colour-bar" }, h("span", { class: "st-label" }, label), from, strip, to);
  const draw = (key) => {
    put(from, "textContent", key.from);
    put(to, "textContent", key.to);
    strip.style.background = gradient(key.palette ?? "sequential", ui.theme.dark);
  };
  return { element, draw };
}
