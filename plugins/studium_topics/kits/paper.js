// Paper to write on: a text whose beginning is given, with stretches that are marked. And the model of a view's state.
import { h } from "studium_widgets/controls/element.js";
import { unpack } from "./packing.js";
import { weightsOf } from "./tiny_lm.js";

/** The model that the state of a `PageWriter` holds. */
export function modelOf(ui) {
  return weightsOf(unpack(ui.get("tensors"), ui.array("weights").data, ui.array("scales").data), ui.get("heads"));
}

/**
 * A sheet of paper as high as `length` characters need. `draw(given, text, {from, kind, writes})`: `given` is the prompt;
 * the text from character `from` on is marked as `kind`, "repeated" or "other"; while it `writes`, a caret is at the end.
 */
export function paper(label, length) {
  const parts = { given: h("b"), plain: h("span"), marked: h("mark") };
  const element = h("p", { class: "st-paper", role: "img", "aria-label": label }, ...Object.values(parts));
  element.style.setProperty("--st-lines", Math.ceil(length / 30));
  element.style.setProperty("--st-wide-lines", Math.ceil(length / 62));
  let shown = "";
  const draw = (given, text, { from = text.length, kind = "", writes = false }) => {
    const key = JSON.stringify([given, text, from, kind, writes]);
    if (key === shown) return;
    shown = key;
    parts.given.textContent = given;
    parts.plain.textContent = text.slice(0, from);
    parts.marked.textContent = text.slice(from);
    parts.marked.dataset.kind = kind;
    element.classList.toggle("st-writes", writes);
  };
  return { element, draw };
}
