// The heads of one layer side by side, each a small picture; choosing one shows it large.
import { scaleTop, thumbnail } from "./attention_maths.js";
import { h, suppress, uniqueName } from "./controls/element.js";
import { paint } from "./controls/heat_map.js";

const PIXELS = 48;

/** Radio buttons with pictures, bound to `head`. `draw(scoresOfHead, size, mask, temperature)`. */
export function heads(ui, count) {
  const group = uniqueName("head");
  const canvases = [];
  const part = (_, head) => {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const input = h("input", { type: "radio", name: group, value: head, "aria-label": `Head ${head}`, ...suppress });
    input.addEventListener("change", () => ui.set("head", head), { signal: ui.signal });
    canvases.push({ canvas, input });
    return h("label", { class: "st-head" }, input, canvas, h("span", { "aria-hidden": "true" }, String(head)));
  };
  const title = "Heads of this layer";
  const pictures = h("div", { class: "st-heads", role: "radiogroup", "aria-label": title });
  pictures.append(...Array.from({ length: count }, part));
  const element = h(
    "div",
    { class: "st-control" },
    h("span", { class: "st-label", "aria-hidden": "true" }, title),
    pictures,
  );
  const draw = (scoresOfHead, size, mask, temperature) => {
    canvases.forEach(({ canvas }, head) => {
      const small = thumbnail(scoresOfHead(head), size, mask, temperature, PIXELS);
      paint(canvas, { ...small, range: [0, scaleTop(small.data).range] }, ui.theme.dark);
    });
  };
  const mark = () => canvases.forEach(({ input }, head) => (input.checked = head === ui.get("head")));
  return { element, draw, mark };
}
