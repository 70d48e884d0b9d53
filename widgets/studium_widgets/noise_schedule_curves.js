// Four small charts over t with one marker: ᾱ, β, the signal-to-noise ratio and the share of the loss.
import { fit } from "./controls/canvas.js";
import { h } from "./controls/element.js";
import { DASHES } from "./controls/legend.js";
import { short } from "./controls/ticks.js";

export const NAMES = { linear: "linear", "scaled-linear": "linear × 1000 / T", cosine: "cosine", yours: "yours" };
const HEIGHT = 150;
const MARGIN = { left: 36, right: 10, top: 40, bottom: 20 };
const PANELS = [
  { title: "Signal ᾱ", range: [0, 1], ticks: [0, 0.5, 1], value: (now) => now.lines, part: "abar" },
  { title: "Noise added β", range: [1e-5, 1], ticks: [1e-4, 1e-2, 1], log: true, value: (now) => now.lines, part: "beta" },
  { title: "SNR ᾱ / (1 − ᾱ)", range: [1e-5, 1e5], ticks: [1e-4, 1, 1e4], log: true, value: (now) => now.lines, part: "snr" },
  { title: "Share of the loss, × mean", range: [1e-3, 1e3], ticks: [1e-2, 1, 1e2], log: true },
];

/** `draw(now)` with what `model` reads; a pointer on a chart calls `moved(t)`. Gives {element}. */
export function curves(ui, { moved }) {
  const element = h("canvas", { role: "img", class: "st-noise-curves", "aria-label": "Signal, noise, signal-to-noise ratio and share of the loss over t" });
  const still = document.createElement("canvas");
  let [key, boxes, T] = [[], [], 0];
  const draw = (now) => {
    const width = Math.max(240, element.parentElement.clientWidth);
    T = now.T;
    const latest = [now.lines, now.loss, now.kind, width, ui.theme.dark, window.devicePixelRatio];
    if (latest.some((part, i) => part !== key[i])) {
      key = latest;
      boxes = layout(width);
      const context = fit(still, width, boxes.height);
      boxes.forEach((box, i) => paint(context, box, PANELS[i], now, ui.theme));
    }
    const context = fit(element, width, boxes.height);
    context.drawImage(still, 0, 0, width, boxes.height);
    boxes.forEach((box, i) => mark(context, box, PANELS[i], now, ui.theme));
  };
  draggable(ui, element, (x, y) => {
    const box = boxes.find((b) => x >= b.x && x < b.x + b.width && y >= b.y && y < b.y + HEIGHT);
    if (box) moved(Math.max(0, Math.min(T - 1, Math.round(((x - box.left) / (box.right - box.left)) * (T - 1)))));
  });
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

function layout(width) {
  const columns = width > 620 ? 4 : 2;
  const each = width / columns;
  const boxes = PANELS.map((_, i) => {
    const [x, y] = [(i % columns) * each, Math.floor(i / columns) * HEIGHT];
    return { x, y, width: each, left: x + MARGIN.left, right: x + each - MARGIN.right, top: y + MARGIN.top, bottom: y + HEIGHT - MARGIN.bottom };
  });
  return Object.assign(boxes, { height: (PANELS.length / columns) * HEIGHT });
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
  for (const line of series(panel, now, theme)) trace(context, box, panel, line);
  context.restore();
  context.globalAlpha = 1;
}

function axes(context, box, panel, { T }, theme) {
  context.fillStyle = theme.text;
  context.textBaseline = "alphabetic";
  context.textAlign = "left";
  context.fillText(panel.title, box.x + 2, box.y + 14);
  Object.assign(context, { strokeStyle: theme.line, fillStyle: theme.muted, lineWidth: 1, textBaseline: "middle", textAlign: "right" });
  for (const tick of panel.ticks) {
    const y = Math.round(up(box, panel, tick)) + 0.5;
    context.beginPath();
    context.moveTo(box.left, y);
    context.lineTo(box.right, y);
    context.stroke();
    context.fillText(short(tick).replace("e", "e"), box.left - 5, y);
  }
  context.textBaseline = "top";
  context.fillText(`t = ${T - 1}`, box.right, box.bottom + 5);
  context.textAlign = "left";
  context.fillText("0", box.left, box.bottom + 5);
}

/** The lines of one chart, the chosen one last: [{y, colour, dash, width, alpha}]. */
export function series(panel, now, theme) {
  if (!panel.part) return lossSeries(now, theme);
  const kinds = Object.keys(now.lines);
  const line = (kind) => ({ ...look(kind, theme), y: now.lines[kind][panel.part], width: kind === now.kind ? 3 : 1.5, alpha: kind === now.kind ? 1 : 0.75 });
  return [...kinds.filter((kind) => kind !== now.kind), now.kind].map(line);
}

const look = (kind, theme) => {
  const i = Object.keys(NAMES).indexOf(kind);
  return { colour: theme.series[i], dash: DASHES[i] };
};

function lossSeries({ loss, kind }, theme) {
  const bound = { y: loss.bound, colour: theme.muted, dash: [2, 3], width: 2, alpha: 1 };
  const simple = { ...look(kind, theme), y: loss.simple, dash: [], width: 3, alpha: 1 };
  const yours = { y: loss.yours, colour: theme.warm, dash: [], width: 1.5, alpha: 0.9 };
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
}

function mark(context, box, panel, now, theme) {
  const values = panel.part ? now.chosen[panel.part] : now.loss.simple;
  const value = now.t < 0 ? (panel.part === "abar" ? 1 : NaN) : values[now.t];
  const x = across(box, Math.max(0, now.t) / (now.T - 1));
  Object.assign(context, { strokeStyle: theme.warm, fillStyle: theme.text, lineWidth: 1.5, textAlign: "left", textBaseline: "alphabetic" });
  context.beginPath();
  context.moveTo(x, box.top - 4);
  context.lineTo(x, box.bottom);
  context.stroke();
  context.font = `600 13px ${theme.font}`;
  context.fillText(Number.isNaN(value) ? "–" : reading(value), box.x + 2, box.y + 31);
  if (Number.isNaN(value)) return;
  context.beginPath();
  context.arc(x, Math.min(box.bottom, Math.max(box.top, up(box, panel, value))), 4.5, 0, 7);
  Object.assign(context, { fillStyle: theme.warm, strokeStyle: theme.surface });
  context.fill();
  context.stroke();
}

/** Three digits, so that a reading keeps its width while it runs. */
export const reading = (value) => (value !== 0 && (value < 1e-3 || value >= 1e4) ? value.toExponential(1).replace("+", "") : value.toPrecision(3));
