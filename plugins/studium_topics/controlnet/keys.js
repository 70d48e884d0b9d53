// Two keys: a drawing that a model follows, and a control of three weights whose gradients wake one after the other.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put, suppress } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { fold } from "studium_widgets/controls/fold.js";
import { slider } from "studium_widgets/controls/slider.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";
import { board } from "./keys_board.js";
import { descent, inkOf, nearest, overlap } from "./keys_maths.js";
import { kernel } from "./keys_kernel.js";

const SCALES = [0, 0.5, 1, 1.5, 2];
const STEPS = 30;
const percent = (share) => `${Math.round(100 * share)} %`;
const PARTS = [
  ["out", "zero out"],
  ["copy", "copy"],
  ["in", "zero in"],
];
const KEYS = [
  ["zero_out", "Zero out: starts at 0"],
  ["zero_in", "Zero in: starts at 0"],
  ["sees_image", "The copy sees the image"],
  ["pooled", "Pool the hint"],
];

export default widget((ui) => {
  const asked = kernel(ui);
  const follow = followed(ui, asked);
  const small = smallControl(ui);
  ui.controls(
    slider(ui, "scale", { label: "Scale of the control", values: SCALES, format: (value) => value.toFixed(1) }),
  );
  ui.invite("draw on the board, and the images follow. Then take the control away: pull its scale down to 0.");
  demonstrate(ui, "scale", () => SCALES.filter((scale) => scale <= ui.get("scale")), 2000);
  const table = dataTable(ui, { caption: "Gradients of the small control, one row a step" });
  const zeros = fold(ui, "How can zeros learn? The first steps of a control of three weights", [small.element]);
  ui.add(follow.element, zeros, table.element);
  return () => {
    asked.draw();
    const covered = follow.draw();
    const rows = small.draw();
    table.draw(() => tableOf(rows));
    ui.say(sentence(ui, covered, zeros.open ? rows[ui.get("taken")] : null));
  };
});

// The drawing, its buttons and scale, and the images that came of it.
function followed(ui, asked) {
  const grid = board(ui);
  const buttons = ui.get("drawings").map((drawing, i) => button(ui, ui.get("names")[i], drawing));
  const clear = button(ui, "Clear", "0".repeat(ui.get("side") ** 2));
  const [strip, bare] = [0, 1].map(() => h("div", { class: "st-keys-strip", "aria-hidden": "true" }));
  const [made, without] = [0, 1].map(() => h("h4"));
  const note = h("p", { class: "st-note" });
  const from = h(
    "p",
    { class: "st-keys-from", role: "group", "aria-label": "Start from a drawing" },
    ...buttons,
    clear,
  );
  const sides = h(
    "div",
    { class: "st-keys-sides" },
    h("div", {}, grid.element),
    h("div", { class: "st-keys-result" }, made, strip, without, bare),
  );
  const element = h(
    "section",
    { class: "st-keys", "aria-label": "Draw" },
    h("h4", {}, "Draw where the shape should be"),
    from,
    sides,
    note,
  );
  const side = ui.get("side");
  const draw = () => {
    const drawing = ui.get("drawing");
    grid.draw(drawing);
    const shown = asked.fresh() ? { images: ui.array("images"), first: 0 } : stored(ui, drawing, ui.get("scale"));
    const covered = meanOverlap(drawing, paint(strip, shown, side));
    const alone = meanOverlap(drawing, paint(bare, stored(ui, drawing, 0), side));
    put(
      made,
      "textContent",
      `With the control, scale ${ui.get("scale").toFixed(1)}: ${percent(covered)} overlap with your drawing`,
    );
    put(without, "textContent", `The same model without it: ${percent(alone)}`);
    put(note, "textContent", asked.says(shown));
    return covered;
  };
  return { element, draw };
}

const meanOverlap = (drawing, ink) => ink.reduce((sum, image) => sum + overlap(drawing, image), 0) / ink.length;

function button(ui, name, drawing) {
  const element = h("button", { type: "button", class: "st-button", ...suppress }, name);
  element.addEventListener("click", () => ui.set("drawing", drawing), { signal: ui.signal });
  return element;
}

// The stored images of the drawing that is nearest: where they start in `films`, and how near it is.
function stored(ui, drawing, wanted) {
  const films = ui.array("films");
  const [, scales, images, side] = films.shape;
  const found = nearest(drawing, ui.get("drawings"));
  const scale = SCALES.findIndex((value) => value >= wanted);
  const size = images * side * side * 3;
  return {
    images: { data: films.data, shape: [images] },
    first: (found.index * scales + scale) * size,
    near: found,
    name: ui.get("names")[found.index],
  };
}

// One small canvas an image, at its own number of pixels; gives the ink of each as a drawing.
function paint(strip, { images, first }, side) {
  const count = images.shape[0];
  while (strip.childElementCount < count) strip.append(h("canvas", { width: side, height: side }));
  const size = side * side * 3;
  return Array.from({ length: count }, (_, i) => {
    const bytes = images.data.subarray(first + i * size, first + (i + 1) * size);
    const context = strip.children[i].getContext("2d");
    const pixels = context.createImageData(side, side);
    for (let p = 0; p < side * side; p++) {
      for (let part = 0; part < 3; part++) pixels.data[4 * p + part] = bytes[3 * p + part];
      pixels.data[4 * p + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    return inkOf(bytes);
  });
}

// Three weights, their gradients at the chosen step, and what is wrong with the way that they are connected.
function smallControl(ui) {
  const size = bars(ui, {
    label: "Size of each gradient",
    format: (value) => (value === 0 ? "0 exactly" : value.toFixed(3)),
  });
  const tiles = facts(["Loss", "Change of the base's answer"]);
  const taken = slider(ui, "taken", { label: "Steps taken", min: 0, max: STEPS });
  const settings = h(
    "div",
    { class: "st-controls st-keys-zeros" },
    taken,
    ...KEYS.map(([name, label]) => toggle(ui, name, { label })),
  );
  const title = h("h4", {}, "Size of each gradient, where residual = out × copy × (image + in × hint)");
  const element = h(
    "section",
    { class: "st-keys", "aria-label": "Gradients" },
    settings,
    title,
    size.element,
    tiles.element,
  );
  const draw = () => {
    const set = Object.fromEntries(
      [
        ["zeroOut", "zero_out"],
        ["zeroIn", "zero_in"],
        ["seesImage", "sees_image"],
        ["pooled", "pooled"],
      ].map(([key, name]) => [key, ui.get(name)]),
    );
    const rows = descent(set, STEPS);
    const now = rows[ui.get("taken")];
    size.draw(
      PARTS.map(([name, shown]) => ({ name: shown, value: now[name] })),
      Math.max(0.05, ...rows.flatMap((row) => PARTS.map(([name]) => row[name]))),
    );
    tiles.draw([
      [now.loss.toFixed(3), `it began at ${rows[0].loss.toFixed(3)}`],
      [
        now.moved === 0 ? "none" : now.moved.toFixed(2),
        now.moved === 0 ? "bit for bit the base" : "largest, of 8 pixels",
      ],
    ]);
    return rows;
  };
  return { element, draw };
}

function tableOf(rows) {
  const columns = ["steps taken", ...PARTS.map(([, shown]) => shown), "loss"];
  return {
    columns,
    rows: rows.map((row, i) => [i, ...PARTS.map(([name]) => row[name].toFixed(4)), row.loss.toFixed(4)]),
  };
}

function sentence(ui, covered, now) {
  const images = `At scale ${ui.get("scale").toFixed(1)} the images cover the drawing with an overlap of ${percent(covered)}.`;
  if (!now) return images;
  const awake = PARTS.filter(([name]) => now[name] > 0).map(([, shown]) => shown);
  const who = awake.length ? `a gradient reaches ${awake.join(", ")}` : "no gradient reaches any weight";
  const taken = ui.get("taken");
  return `${images} After ${taken} ${taken === 1 ? "step" : "steps"} of the small control ${who}; its loss is ${now.loss.toFixed(4)}.`;
}
