// Three images of a gated unit, gate, value and product, with one point that is dragged over all of them.
import { canvas } from "studium_widgets/controls/canvas.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { paint } from "studium_widgets/controls/heat_map.js";
import { keys } from "studium_widgets/controls/keys.js";
import { colourBar } from "studium_widgets/controls/legend.js";
import { memo } from "studium_widgets/controls/memo.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";
import { images, unit } from "./gate_maths.js";

const [HALF, SIDE, MOST] = [2, 81, 240]; // of the plane, its points along a side, and px of an image at most
const KINDS = [
  ["swiglu", "SwiGLU: z σ(βz)"],
  ["geglu", "GEGLU: z Φ(z)"],
  ["reglu", "ReGLU: max(0, z)"],
  ["glu", "GLU: σ(z)"],
  ["bilinear", "Bilinear: z"],
];
const BETAS = [0.05, 0.1, 0.2, 0.5, 1, 1.7, 3, 5, 10, 20];
const STEPS = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const TURN = Array.from({ length: 25 }, (_, i) => 5 * i - 120); // degrees, before what is in force
const PARTS = ["gate", "value", "product"];
const two = (value) => (Math.abs(value) < 0.005 ? 0 : value).toFixed(2).replace("-", "−");
const degrees = (value) => `${String(value).replace("-", "−")}°`;

export default widget((ui) => {
  const angle = { min: -180, max: 180, step: 5, format: degrees };
  ui.controls(
    select(ui, "kind", { label: "Gate", options: KINDS }),
    toggle(ui, "pair", { label: "Add the opposite unit" }),
  );
  ui.more(
    slider(ui, "gate_angle", { label: "Gate direction", ...angle }),
    slider(ui, "value_angle", { label: "Value direction", ...angle }),
    slider(ui, "beta", { label: "β of SwiGLU", values: BETAS }),
  );
  ui.invite(
    "drag the ring over the images. Then add the opposite unit: two SwiGLU units together give the exact product.",
  );
  const boards = PARTS.map((part) => board(ui, part));
  const key = colourBar(ui, { label: "Colours" });
  const tiles = facts(["Product at the ring", "Off the exact product"]);
  const table = dataTable(ui, { caption: "The unit at some inputs" });
  ui.add(
    h("div", { class: "st-gates" }, ...boards.map(({ element }) => element)),
    key.element,
    tiles.element,
    table.element,
  );
  demonstrate(ui, "value_angle", () => TURN.map((by) => ui.get("value_angle") + by));
  const painted = memo((...settings) => images(named(settings), SIDE, HALF));
  return () => {
    const settings = ["kind", "beta", "gate_angle", "value_angle", "pair"].map(ui.get);
    const found = painted(...settings);
    const now = {
      ...unit(named(settings))(ui.get("x1"), ui.get("x2")),
      x1: ui.get("x1"),
      x2: ui.get("x2"),
      off: found.off,
      pair: ui.get("pair"),
    };
    boards.forEach((each, i) => each.draw(found[PARTS[i]], [now.x1, now.x2], now[PARTS[i]]));
    key.draw({ from: "−", to: "+", palette: "diverging" });
    tiles.draw(tilesOf(now));
    table.draw(() => rowsOf(now, unit(named(settings))));
    ui.say(sentence(now));
  };
});

const named = ([kind, beta, gateAngle, valueAngle, pair]) => ({ kind, beta, gateAngle, valueAngle, pair });

// One image with its ring; a pointer drags the ring, arrow keys move it.
function board(ui, part) {
  const { element: picture, fit } = canvas(`The ${part} over the plane of inputs: arrows move the point`);
  const note = h("p", { class: "st-note" });
  const place = h("div", {}, picture);
  const element = h("figure", {}, h("figcaption", {}, part[0].toUpperCase() + part.slice(1)), place, note);
  const image = document.createElement("canvas");
  const view = { size: MOST };
  steer(ui, picture, view);
  const draw = (data, point, here) => {
    view.size = Math.max(100, Math.min(MOST, ui.widthOf(place) || MOST));
    const most = data.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    paint(image, { data, rows: SIDE, columns: SIDE, range: [-most, most], palette: "diverging" }, ui.theme.dark);
    const context = fit(view.size, view.size);
    context.drawImage(image, 0, 0, view.size, view.size);
    ring(
      context,
      ui.theme,
      point.map((value, axis) => ((axis ? HALF - value : value + HALF) / (2 * HALF)) * view.size),
    );
    put(note, "textContent", `${two(here)} at the ring; from ${two(Math.min(...data))} to ${two(Math.max(...data))}`);
  };
  return { element, draw };
}

function steer(ui, picture, view) {
  const go = (point) => {
    point.forEach((value, axis) =>
      ui.set(axis ? "x2" : "x1", Math.max(-HALF, Math.min(HALF, Number(value.toFixed(2))))),
    );
  };
  const drag = ({ offsetX, offsetY }) =>
    go([(offsetX / view.size) * 2 * HALF - HALF, HALF - (offsetY / view.size) * 2 * HALF]);
  picture.addEventListener(
    "pointerdown",
    (event) => {
      picture.setPointerCapture(event.pointerId);
      drag(event);
    },
    {
      signal: ui.signal,
    },
  );
  picture.addEventListener("pointermove", (event) => event.buttons && drag(event), { signal: ui.signal });
  keys(ui, picture, STEPS, (step, { shiftKey }) =>
    go(["x1", "x2"].map((name, axis) => ui.get(name) + step[axis] * (shiftKey ? 0.5 : 0.1))),
  );
}

function ring(context, theme, [x, y]) {
  for (const [stroke, width] of [
    [theme.surface, 6],
    [theme.text, 2.5],
  ]) {
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, 8, 0, 2 * Math.PI);
    context.stroke();
  }
}

function tilesOf({ gate, value, product, off, pair, x1, x2 }) {
  const made = pair ? "with the opposite unit" : `${two(gate)} · ${two(value)}, gate times value`;
  return [
    [two(product), `${made}, at (${two(x1)}, ${two(x2)})`],
    [`${Math.round(100 * off)} %`, "over the plane, of (w_g · x)(w_u · x)"],
  ];
}

function sentence({ gate, value, product, off, pair, x1, x2 }) {
  const units = pair ? "product with the opposite unit" : "product";
  const far = `over the plane, the image is ${Math.round(100 * off)} % off the exact product (w_g · x)(w_u · x)`;
  return `At (${two(x1)}, ${two(x2)}) the gate is ${two(gate)}, the value ${two(value)}, the ${units} ${two(product)}; ${far}.`;
}

function rowsOf({ x1, x2, off }, at) {
  const points = [
    [x1, x2],
    [-2, -2],
    [-2, 2],
    [2, -2],
    [2, 2],
    [0, 0],
  ];
  const rows = points.map(([a, b]) => {
    const { gate, value, product, exact } = at(a, b);
    return [`(${two(a)}, ${two(b)})`, ...[gate, value, product, exact].map(two)];
  });
  return {
    columns: ["input", "gate", "value", "product", "exact product"],
    rows: [...rows, ["over the plane", "", "", `${Math.round(100 * off)} % off`, ""]],
  };
}
