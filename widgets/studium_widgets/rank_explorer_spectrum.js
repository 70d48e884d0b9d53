import { fit } from "./controls/canvas.js";
import { h, suppress } from "./controls/element.js";
import { toggle } from "./controls/toggle.js";
import { grid, hatching, line, MARGIN, vertical } from "./rank_explorer_axes.js";
import { amount, heading, percent } from "./rank_explorer_words.js";

const HEIGHT = 270;
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -8, PageUp: 8, Home: -Infinity, End: Infinity };

/** Bars of the singular values with a cut behind the r-th, which the pointer drags and the arrow keys move. */
export function spectrumPanel(ui) {
  const roles = { role: "slider", tabindex: 0, "aria-label": "Cut behind singular value", "aria-valuemin": 1, ...suppress };
  const canvas = h("canvas", { class: "st-rank-cut", ...roles });
  const frame = h("div", { class: "st-rank-canvas" }, canvas);
  const title = heading("Singular values: drag the cut", toggle(ui, "logarithmic", { label: "Log scale" }));
  const note = h("p", { class: "st-rank-note" }, "Solid bars are kept; hatched bars are the tail. Their squares add up to ‖ΔW‖², the bar beside the loss.");
  const view = { count: 1, width: 300 };
  steer(ui, canvas, view);
  const draw = (now) => {
    Object.assign(view, { count: now.s.length, width: Math.max(200, frame.clientWidth) });
    const values = { "aria-valuemax": view.count, "aria-valuenow": now.rank, "aria-valuetext": spoken(now) };
    for (const [name, value] of Object.entries(values)) canvas.setAttribute(name, value);
    paint(fit(canvas, view.width, HEIGHT), now, view, ui.theme);
  };
  return { element: h("div", { class: "st-rank-panel" }, title, frame, note), draw };
}

const spoken = ({ rank, kept, tail }) => `rank ${rank}, ${percent(kept)} kept, tail energy ${amount(tail)}`;

function steer(ui, canvas, view) {
  const listen = (type, listener) => canvas.addEventListener(type, listener, { signal: ui.signal });
  const cut = (rank) => ui.set("rank", Math.min(view.count, Math.max(1, rank)));
  const drag = (event) => {
    const x = event.clientX - canvas.getBoundingClientRect().left - MARGIN.left;
    cut(Math.round((x / (view.width - MARGIN.left - MARGIN.right)) * view.count));
  };
  listen("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    drag(event);
  });
  listen("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && drag(event));
  listen("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    cut(ui.get("rank") + step);
  });
}

function paint(context, now, { count, width }, theme) {
  context.font = `12px ${theme.font}`;
  const axis = vertical(now.s[0], HEIGHT, now.logarithmic);
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const step = (right - left) / count;
  const at = left + now.rank * step;
  context.fillStyle = theme.raised;
  context.fillRect(left, MARGIN.top - 6, at - left, axis.bottom - MARGIN.top + 6);
  grid(context, axis, left, right, "singular value", theme);
  const gap = step > 4 ? 1 : 0.4;
  for (let i = 0; i < count; i++) {
    const top = axis.place(now.s[i]);
    context.fillStyle = i < now.rank ? theme.accent : hatching(context, theme.warm);
    context.fillRect(left + i * step + gap, top, step - 2 * gap, axis.bottom - top);
  }
  handle(context, at, axis.bottom, theme);
  labels(context, now, { left, right, at, bottom: axis.bottom, step, count }, theme);
}

function handle(context, at, bottom, theme) {
  context.lineWidth = 2;
  line(context, at, MARGIN.top - 8, at, bottom, theme.text);
  context.lineWidth = 1;
  context.fillStyle = theme.text;
  context.beginPath();
  context.roundRect(at - 9, MARGIN.top + 62, 18, 26, 7);
  context.fill();
  for (const x of [-2.5, 2.5]) line(context, at + x, MARGIN.top + 69, at + x, MARGIN.top + 81, theme.surface);
}

// What the cut keeps and leaves, each on its own side where there is room.
function labels(context, now, { left, right, at, bottom, step, count }, theme) {
  context.textBaseline = "middle";
  context.fillStyle = theme.text;
  const near = at > (left + right) / 2;
  context.textAlign = near ? "right" : "left";
  const x = at + (near ? -16 : 16);
  const words = [`r = ${now.rank}`, `keeps ${percent(now.kept)}`, `leaves Σσᵢ² = ${amount(now.tail)}`];
  backing(context, words, x, near, theme);
  words.forEach((text, i) => {
    context.font = `${i ? "" : "600 "}12px ${theme.font}`;
    context.fillText(text, x, MARGIN.top + 6 + 17 * i);
  });
  context.fillStyle = theme.muted;
  context.textAlign = "center";
  const every = count > 40 ? 16 : count > 12 ? 4 : 1;
  for (let i = 1; i <= count; i++) if (i === 1 || i % every === 0) context.fillText(String(i), left + (i - 0.5) * step, bottom + 11);
  context.fillText("index i", (left + right) / 2, bottom + 27);
}

function backing(context, words, x, near, theme) {
  const width = Math.max(...words.map((text) => context.measureText(text).width)) + 14;
  context.fillStyle = theme.surface;
  context.globalAlpha = 0.9;
  context.beginPath();
  context.roundRect(near ? x - width + 7 : x - 7, MARGIN.top - 6, width, 59, 6);
  context.fill();
  context.globalAlpha = 1;
  context.fillStyle = theme.text;
}
