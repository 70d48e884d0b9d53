import { h } from "./controls/element.js";
import { heatMap } from "./controls/heat_map.js";
import { colourBar } from "./controls/legend.js";
import { amount, percent } from "./rank_explorer_words.js";

const NAMES = ["ΔW, the update", "Product (α/r)·B·A", "Residual ΔW − (α/r)·B·A"];

/** The update, the product and the residual in one colour scale, with one cursor over all three. */
export function maps(ui) {
  let cell = null;
  const follow = (moved) => {
    cell = moved;
    for (const { map } of parts) {
      map.cursor.cell = moved;
      map.overlay();
    }
    ui.redraw();
  };
  const parts = NAMES.map((label) => picture(ui, label, follow));
  const key = colourBar(ui, { label: "entry" });
  const signs = ["=", "+"].map((sign) => h("span", { class: "st-rank-between", "aria-hidden": "true" }, sign));
  const figures = parts.map((part) => part.element);
  const element = h("div", { class: "st-rank-maps" }, figures[0], signs[0], figures[1], signs[1], figures[2], key.element);
  const draw = (now) => {
    const shared = { rows: now.rows, columns: now.columns, range: [-now.largest, now.largest], palette: "diverging" };
    const texts = captions(now);
    [now.target, now.product, now.residual].forEach((data, i) => {
      parts[i].note.textContent = texts[i];
      parts[i].map.draw({ data, ...shared });
    });
    key.draw({ from: amount(-now.largest), to: amount(now.largest), palette: "diverging" });
  };
  return { element, draw, cell: () => cell };
}

function picture(ui, label, moved) {
  const map = heatMap(ui, { label, size: 300, moved });
  const note = h("p", { class: "st-rank-note" });
  const frame = h("div", { class: "st-rank-map" }, map.element);
  return { map, note, element: h("figure", {}, h("figcaption", {}, title(label)), frame, note) };
}

const title = (label) => label.replace("Product ", "").replace(/ .*−.*/, "");

function captions({ rows, columns, rank, scale, total, left, factors }) {
  const numbers = rank * (rows + columns);
  const size = `${numbers.toLocaleString("en")} numbers for ${(rows * columns).toLocaleString("en")} (${percent(numbers / (rows * columns))})`;
  const how = factors === "rescaled" ? "fitted at 1, used at" : "α/r =";
  return [`${rows} × ${columns}, energy ${amount(total)}`, `${size}, ${how} ${amount(scale)}`, `energy ${amount(left)}`];
}
