// Texts that grow in a view as far as a frame allows, and the controls that they follow.
import { whenSeen } from "studium_widgets/controls/demonstration.js";
import { memo } from "studium_widgets/controls/memo.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { field } from "./field.js";
import { chosen, HIDDEN, idsOf, pen } from "./writing.js";

const BUDGET = 10; // ms of one frame that go into the models
const LONGEST = 38; // characters of a prompt

export const temperature = (ui) =>
  slider(ui, "temperature", { label: "Temperature", min: 0, max: 2, step: 0.05, format: (value) => value.toFixed(2) });

/** Controls of the draw that are not the first to try. */
export function choices(ui) {
  return [
    slider(ui, "top_k", { label: "Top-k", values: [0, 1, 2, 3, 5, 10, 20], format: (k) => (k ? String(k) : "off") }),
    stepper(ui, "seed", { label: "Seed", max: 999 }),
    field(ui, "prompt", { label: "Begin with", longest: LONGEST }),
  ];
}

/**
 * `begun(weights, round)` → a pen that writes with these weights as the controls say; another one when anything of it has
 * changed. `way`: how the pen reads (keep, chunk).
 */
export function penOf(ui, way = {}) {
  const make = memo((weights, asked) => {
    const setting = JSON.parse(asked);
    const choice = (logits, at) => chosen(logits, at, setting);
    const made = pen(weights, {
      start: setting.start,
      count: ui.get("length"),
      choose: (logits, at) => choice(logits, at).token,
      ...way,
    });
    return Object.assign(made, {
      choice: (at) => ({ ...choice(made.rows[at], setting.start.length + at), token: made.written[at] }),
    });
  });
  const asked = () => ({
    temperature: ui.get("temperature"),
    topK: ui.get("top_k"),
    seed: ui.get("seed"),
    start: startOf(ui),
  });
  return (weights, round = 0) => make(weights, JSON.stringify(asked()), round);
}

const startOf = (ui) => idsOf(ui.get("prompt"), ui.get("vocabulary"));

/** The part of the prompt that the model knows. */
export const given = (ui) => worded(ui, startOf(ui).slice(HIDDEN));

/** The characters of some numbers, as text. */
export const worded = (ui, ids) => ids.map((id) => ui.get("vocabulary")[id]).join("");

/**
 * `grown(models)` → {pens, shown, arrived}: one pen for each of the `count` models, and how many characters of each to show.
 * The first time they write a character a frame once `element` is in view, so that one can watch.
 */
export function growing(ui, element, count = 1) {
  const begun = Array.from({ length: count }, () => penOf(ui));
  let [seen, first] = [false, true];
  whenSeen(ui, element, () => {
    seen = true;
    ui.redraw();
  });
  return (models) => {
    const pens = models.map((weights, i) => begun[i](weights));
    const wanted = ui.get("written");
    work(pens, seen ? Math.max(1, wanted) : 1, first && !ui.still ? 1 : Infinity);
    const made = Math.min(...pens.map((pen) => pen.written.length));
    const arrived = made >= wanted;
    if (arrived) first = false;
    else if (seen) ui.redraw();
    return { pens, arrived, shown: arrived || !ui.still ? Math.min(wanted, made) : 0 }; // no motion where less of it is wanted
  };
}

// Each pen in turn, until all have written `wanted` characters, or `most` more, or the frame is full.
function work(pens, wanted, most) {
  const end = performance.now() + BUDGET;
  for (let i = 0; i < most && performance.now() < end; i++) {
    const waiting = pens.filter((pen) => pen.written.length < wanted);
    if (!waiting.length) return;
    waiting.forEach((pen) => pen.advance());
  }
}
