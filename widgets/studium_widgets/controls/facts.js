import { h, put } from "./element.js";

/** A row of large numbers. `titles`: one a tile. `draw([[value, note], ...])`. */
export function facts(titles) {
  const tiles = titles.map((title) => ({
    title: h("dt", {}, title),
    value: h("dd"),
    note: h("dd", { class: "st-label" }),
  }));
  const element = h(
    "dl",
    { class: "st-facts" },
    ...tiles.map(({ title, value, note }) => h("div", {}, title, value, note)),
  );
  const draw = (texts) =>
    tiles.forEach((tile, i) =>
      ["value", "note"].forEach((part, at) => put(tile[part], "textContent", String(texts[i][at]))),
    );
  return { element, draw };
}
