import { h, put } from "./element.js";
import { heatMap } from "./heat_map.js";
import { colourBar } from "./legend.js";

/**
 * Matrices side by side in one colour scale, with one cursor over all. `titles`: one each; `signs`: what stands between them.
 * `draw(pictures, {from, to, palette})`: pictures as `heatMap` takes them, with `note`, a line below; null hides one.
 * `moved`, `picked` as in `heatMap`. Gives {element, draw, cell(), go(cell)}.
 * @param {any} ui
 * @param {{titles: string[], signs: string[], key?: string, size?: number, moved?: (at: any) => void, picked?: (at: any) => void}} options
 */
export function matrices(
  ui,
  { titles, signs, key: keyLabel = "entry", size = 300, moved = () => ui.redraw(), picked },
) {
  let cell = null;
  const follow = (next) => {
    cell = next;
    for (const { map } of parts) {
      map.cursor.cell = next;
      map.overlay();
    }
    moved(next);
  };
  const parts = titles.map((title) => part(ui, title, { size, moved: follow, picked }));
  const key = colourBar(ui, { label: keyLabel });
  const between = signs.map((sign) => h("span", { class: "st-between", "aria-hidden": "true" }, sign));
  const element = h(
    "div",
    { class: "st-matrices" },
    ...parts.flatMap(({ figure }, i) => [figure, ...between.slice(i, i + 1)]),
    key.element,
  );
  const draw = (pictures, scale) => {
    between.forEach((sign) => (sign.style.visibility = pictures.includes(null) ? "hidden" : ""));
    pictures.forEach((picture, i) => {
      parts[i].figure.hidden = picture === null;
      if (picture === null) return;
      put(parts[i].note, "textContent", picture.note ?? "");
      parts[i].map.draw(picture);
    });
    key.draw(scale);
  };
  return { element, draw, cell: () => cell, go: follow };
}

function part(ui, title, options) {
  const map = heatMap(ui, { label: title, ...options });
  const note = h("p", { class: "st-note" });
  const figure = h("figure", {}, h("figcaption", {}, title), h("div", { class: "st-map" }, map.element), note);
  return { map, note, figure };
}
