// Paper to write on: a text whose beginning is given, with stretches that are marked. And the model of a view's state.
import { h } from "studium_widgets/controls/element.js";
import { unpack } from "./packing.js";
import { weightsOf } from "./tiny_lm.js";

/** The model that the state of a `PageWriter` holds. */
export function modelOf(ui) {
  return weightsOf(unpack(ui.get("tensors"), ui.array("weights").data, ui.array("scales").data), ui.get("heads"));
}

/**
 * A sheet of paper. `draw(given, text, {from, kind, writes, room})`: `given` is the prompt; the text from character `from` on
 * is marked as `kind`, "repeated" or "other"; while it `writes`, a caret is at the end; there is room for `room` characters.
 */
export function paper(label) {
  const parts = { given: h("b"), plain: h("span"), marked: h("mark") };
  const element = h("div", { class: "st-paper", role: "group", "aria-label": label }, ...Object.values(parts));
  let shown = "";
  const draw = (given, text, { from = text.length, kind = "", writes = false, room }) => {
    const key = JSON.stringify([given, text, from, kind, writes, room]);
    if (key === shown) return;
    shown = key;
    element.style.setProperty("--st-room", room);
    parts.given.textContent = given;
    parts.plain.textContent = text.slice(0, from);
    parts.marked.textContent = text.slice(from);
    parts.marked.dataset.kind = kind;
    element.classList.toggle("st-writes", writes);
  };
  return { element, draw };
}
