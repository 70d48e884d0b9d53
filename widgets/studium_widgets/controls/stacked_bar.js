import { h, put } from "./element.js";

/**
 * One bar of named parts, each with a colour and a pattern of its own, up to seven, and a key.
 * `draw([[value, text], ...], most, marks?)`: values as long as the names, 0 hides a part; `most` fills the row;
 * marks: [{at, text}], strokes across the bar.
 */
export function stackedBar(label, names) {
  const pieces = names.map((_, i) => h("span", { class: `st-piece st-piece-${i}` }));
  const values = names.map(() => h("span", { class: "st-value" }));
  const items = names.map((name, i) =>
    h(
      "li",
      {},
      h("span", { class: `st-piece-key st-piece-${i}`, "aria-hidden": "true" }),
      h("span", {}, name),
      values[i],
    ),
  );
  const bar = h("div", { class: "st-stack", "aria-hidden": "true" }, ...pieces);
  const ruler = h("div", { class: "st-ruler", "aria-hidden": "true" });
  const element = h(
    "div",
    {},
    h("div", { class: "st-stack-box" }, bar, ruler),
    h("ul", { class: "st-stack-key", "aria-label": label }, ...items),
  );
  let strokes = "";
  const draw = (parts, most, marks = []) => {
    parts.forEach(([value, text], i) => {
      pieces[i].style.width = `${(100 * value) / most}%`;
      items[i].hidden = value === 0;
      put(values[i], "textContent", text);
    });
    const wanted = marks.map(({ at, text }) => `${((100 * at) / most).toFixed(1)} ${text}`).join("|");
    if (wanted === strokes) return;
    strokes = wanted;
    ruler.replaceChildren(
      ...marks.map(({ at, text }) =>
        h("span", { class: at > most / 2 ? "st-before" : null, style: `left: ${(100 * at) / most}%` }, text),
      ),
    );
  };
  return { element, draw };
}
