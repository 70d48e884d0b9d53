// Charts over t with one marker: ᾱ, and β, the signal-to-noise ratio and the share of the loss.
import { canvas, fit } from "./controls/canvas.js";
import { keys } from "./controls/keys.js";
import { DASHES } from "./controls/legend.js";

export const NAMES = { linear: "linear", "scaled-linear": "linear × 1000 / T", cosine: "cosine", yours: "yours" };
const HEIGHT = 160;
const STEPS = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -10,
  PageUp: 10,
  Home: -Infinity,
  End: Infinity,
};
const MARGIN = { left: 36, right: 10, top: 42, bottom: 24 };
/** The panels of the one curve that says it all, and of those that follow from it. */
export const SIGNAL = [
  {
    title: "Share of the signal that is left, ᾱ",
    part: "abar",
    named: true,
    range: [0, 1],
    ticks: [
      [0, "0"],
      [0.5, "½"],
      [1, "1"],
    ],
  },
];
export const LOSS = [
  {
    title: "Noise added, β",
    part: "beta",
    log: true,
    range: [1e-5, 1],
    ticks: [
      [1e-4, "10⁻⁴"],
      [1e-2, "10⁻²"],
      [1, "1"],
    ],
  },
  {
    title: "Signal to noise, ᾱ / (1 − ᾱ)",
    part: "snr",
    log: true,
    range: [1e-5, 1e5],
    ticks: [
      [1e-4, "10⁻⁴"],
      [1, "1"],
      [1e4, "10⁴"],
    ],
  },
  {
    title: "Loss at t, × its mean",
    log: true,
    range: [1e-3, 1e3],
    ticks: [
      [1e-2, "10⁻²"],
      [1, "1"],
      [100, "10²"],
    ],
  },
];

/** `draw(now)` with what `model` reads; a pointer on a chart, or a key, calls `moved(t)`. Gives {element, draw}. */
export function curves(ui, { panels, moved }) {
  const { element } = canvas(`${panels.map(({ title }) => title.split(",")[0]).join("; ")} over t: arrows move t`);
  element.classList.add("st-noise-curves");
  const still = document.createElement("canvas");
  let [key, boxes, latest] = [[], [], null];
  const draw = (now) => {
    const width = Math.max(240, ui.widthOf(element.parentElement));
    latest = now;
    const { times } = now.steps.wrong;
    const parts = [
      now.lines,
      now.loss,
      now.kind,
      times.length,
      times[0],
      width,
      ...Object.values(ui.theme),
      window.devicePixelRatio,
    ];
    if (parts.some((part, i) => part !== key[i])) {
      key = parts;
      boxes = layout(width, panels.length);
      const context = fit(still, width, boxes.height);
      boxes.forEach((box, i) => paint(context, box, panels[i], now, ui.theme));
    }
    const context = fit(element, width, boxes.height);
    context.drawImage(still, 0, 0, width, boxes.height);
    boxes.forEach((box, i) => mark(context, box, panels[i], now, ui.theme));
  };
  const go = (t) => moved(Math.max(0, Math.min(latest.T - 1, Math.round(t))));
  const at = (x, y) => {
    const box = boxes.find((b) => x >= b.x && x < b.x + b.width && y >= b.y && y < b.y + HEIGHT);
    if (box) go(((x - box.left) / (box.right - box.left)) * (latest.T - 1));
  };
  draggable(ui, element, at);
  keys(ui, element, STEPS, (step) => go(latest.t + step));
  return { element, draw };
}

function draggable(ui, element, at) {
  const listen = (type, listener) => element.addEventListener(type, listener, { signal: ui.signal });
  listen("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    at(event.offsetX, event.offsetY);
  });
  listen("pointermove", (event) => event.buttons && at(event.offsetX, event.offsetY));
}

function layout(width, count) {
  const columns = Math.min(count, width > 620 ? 3 : 2);
  const each = width / columns;
  const boxes = Array.from({ length: count }, (_, i) => {
    const [x, y] = [(i % columns) * each, Math.floor(i / columns) * HEIGHT];
    return {
      x,
      y,
      width: each,
      left: x + MARGIN.left,
      right: x + each - MARGIN.right,
      top: y + MARGIN.top,
      bottom: y + HEIGHT - MARGIN.bottom,
    };
  });
  return Object.assign(boxes, { height: Math.ceil(count / columns) * HEIGHT });
}

const across = ({ left, right }, share) => left + share * (right - left);

function up({ top, bottom }, { range, log }, value) {
  const f = log ? (v) => Math.log10(Math.max(v, 1e-12)) : Number;
  return bottom + ((f(value) - f(range[0])) / (f(range[1]) - f(range[0]))) * (top - bottom);
}

function paint(context, box, panel, now, theme) {
  context.font = `12px ${theme.font}`;
  axes(context, box, panel, now, theme);
  context.save();
  context.beginPath();
  context.rect(box.left, box.top - 2, box.right - box.left, box.bottom - box.top + 4);
  context.clip();
  const lines = series(panel, now, theme);
  for (const line of lines) trace(context, box, panel, line);
  context.restore();
  rug(context, box, now, theme);
  if (panel.named) names(context, box, panel, lines, theme);
  if (!panel.part)
    key(
      context,
      box,
      lines.filter((line) => line.name),
      theme,
    );
}

// Which timesteps the sampler visits, as a row of strokes under the axis.
function rug(context, box, { T, steps: { wrong } }, theme) {
  context.fillStyle = theme.accent;
  for (const t of wrong.times) context.fillRect(across(box, t / (T - 1)) - 0.5, box.bottom + 1, 1, 5);
}

function key(context, box, lines, theme) {
  context.textAlign = "right";
  context.textBaseline = "alphabetic";
  let right = box.right;
  for (const { name, colour, dash } of lines) {
    Object.assign(context, { fillStyle: theme.muted, strokeStyle: colour, lineWidth: 2 });
    context.fillText(name, right, box.y + 31);
    right -= context.measureText(name).width + 4;
    stroke(context, dash, [right - 12, box.y + 27], [right, box.y + 27]);
    right -= 18;
  }
}

// Each line's name where half of the signal is left, the chosen one's first, and none upon another.
function names(context, box, panel, lines, theme) {
  const taken = [];
  Object.assign(context, {
    textAlign: "left",
    textBaseline: "middle",
    strokeStyle: theme.surface,
    lineWidth: 4,
    lineJoin: "round",
  });
  for (const { name, y, width } of [lines.at(-1), ...lines.slice(0, -1)]) {
    const at = y.findIndex((value) => value < 0.5);
    const from = Math.max(at < 0 ? y.length - 1 : at, 0);
    context.font = `${width > 2 ? "600 " : ""}12px ${theme.font}`;
    const wide = context.measureText(name).width;
    const left = Math.min(box.right - wide, across(box, from / (y.length - 1)) + 10);
    if (taken.some(([a, b]) => left < b + 10 && left + wide > a - 10)) continue;
    taken.push([left, left + wide]);
    context.fillStyle = width > 2 ? theme.text : theme.muted;
    for (const write of ["strokeText", "fillText"]) context[write](name, left, up(box, panel, y[from]) - 9);
  }
}

function stroke(context, dash, from, to) {
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  context.setLineDash([]);
}

function axes(context, box, panel, { T }, theme) {
  context.fillStyle = theme.text;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.fillText(panel.title, box.x + 2, box.y + 14);
  Object.assign(context, {
    strokeStyle: theme.line,
    fillStyle: theme.muted,
    lineWidth: 1,
    textBaseline: "middle",
    textAlign: "right",
  });
  for (const [tick, name] of panel.ticks) {
    const y = Math.round(up(box, panel, tick)) + 0.5;
    stroke(context, [], [box.left, y], [box.right, y]);
    context.fillText(name, box.left - 5, y);
  }
  context.textBaseline = "top";
  context.fillText(`t = ${T - 1}`, box.right, box.bottom + 8);
  context.textAlign = "left";
  context.fillText("0", box.left, box.bottom + 8);
}

// The lines of one chart, the chosen one last: [{y, colour, dash, width, alpha, name?}].
function series(panel, now, theme) {
  if (!panel.part) return lossSeries(now, theme);
  const kinds = Object.keys(now.lines);
  const line = (kind) => ({
    ...look(kind, theme),
    name: NAMES[kind],
    y: now.lines[kind][panel.part],
    width: kind === now.kind ? 3 : 1.5,
    alpha: kind === now.kind ? 1 : 0.75,
  });
  return [...kinds.filter((kind) => kind !== now.kind), now.kind].map(line);
}

const look = (kind, theme) => {
  const i = Object.keys(NAMES).indexOf(kind);
  return { colour: theme.series[i], dash: DASHES[i] };
};

function lossSeries({ loss, kind }, theme) {
  const bound = { name: "bound", y: loss.bound, colour: theme.text, dash: DASHES[4], width: 2, alpha: 0.8 };
  const simple = { ...look(kind, theme), name: "simple", y: loss.simple, width: 3, alpha: 1 };
  const yours = { ...look("yours", theme), y: loss.yours, width: 1.5, alpha: 0.9 };
  return [bound, simple, ...(loss.yours ? [yours] : [])];
}

function trace(context, box, panel, { y, colour, dash, width, alpha }) {
  const every = Math.max(1, Math.floor(y.length / (box.right - box.left)));
  Object.assign(context, { strokeStyle: colour, lineWidth: width, globalAlpha: alpha, lineJoin: "round" });
  context.setLineDash(dash);
  context.beginPath();
  for (let t = 0; t < y.length; t += every) context.lineTo(across(box, t / (y.length - 1)), up(box, panel, y[t]));
  context.lineTo(across(box, 1), up(box, panel, y.at(-1)));
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function mark(context, box, panel, now, theme) {
  const values = panel.part ? now.chosen[panel.part] : now.loss.simple;
  const value = now.t < 0 ? (panel.part === "abar" ? 1 : NaN) : values[now.t];
  const x = across(box, Math.max(0, now.t) / (now.T - 1));
  Object.assign(context, {
    strokeStyle: theme.text,
    fillStyle: theme.text,
    lineWidth: 1.5,
    textAlign: "left",
    textBaseline: "alphabetic",
  });
  stroke(context, [], [x, box.top - 4], [x, box.bottom]);
  context.font = `600 13px ${theme.font}`;
  context.fillText(Number.isNaN(value) ? "–" : reading(value), box.x + 2, box.y + 31);
  if (Number.isNaN(value)) return;
  context.beginPath();
  context.arc(x, Math.min(box.bottom, Math.max(box.top, up(box, panel, value))), 4.5, 0, 7);
  Object.assign(context, { fillStyle: theme.text, strokeStyle: theme.surface });
  context.fill();
  context.stroke();
}

/** Three digits, so that a reading keeps its width while it runs. */
export const reading = (value) =>
  value !== 0 && (value < 1e-3 || value >= 1e4) ? value.toExponential(1).replace("+", "") : value.toPrecision(3);
