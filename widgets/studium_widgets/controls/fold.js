import { h, suppress } from "./element.js";

/** A further part of the picture, below its sentence, which opens at its `title`. `open`: whether it is open at first. */
export function fold(ui, title, parts, open = false) {
  const element = h(
    "details",
    { class: "st-more st-fold", open },
    h("summary", { ...suppress }, title),
    h("div", { class: "st-stage" }, ...parts),
  );
  element.addEventListener("toggle", ui.redraw, { signal: ui.signal });
  return element;
}
