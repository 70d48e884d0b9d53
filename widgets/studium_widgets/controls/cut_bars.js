// Falling values as bars with a cut between two of them, which the pointer drags and the arrow keys move.
import { grid, hatching, line, MARGIN, vertical } from "./cut_axes.js";
import { fit } from "./canvas.js";
import { h, suppress } from "./element.js";
import { keys } from "./keys.js";

const STEPS = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -8,
  PageUp: 8,
  Home: -Infinity,
  End: Infinity,
};

/**
 * Bars with a cut bound to the whole number `name`, from `least` on: so many values are kept, the rest is hatched.
 * `draw({values, cut, logarithmic, label, words, spoken})`: `label` names the axis, `words` stand beside the cut, the first
 * in bold, and `spoken` is what a screen reader says of it.
 */
export function cutBars(ui, name, { label, least = 1, height = 270 }) {
  const roles = { role: "slider", tabindex: 0, "aria-label": label, "aria-valuemin": least, ...suppress };
  const canvas = h("canvas", { class: "st-cut", ...roles });
  const element = h("div", { class: "st-cut-frame" }, canvas);
  const view = { count: 1, width: 300, height };
  steer(ui, name, least, canvas, view);
  const draw = (now) => {
    Object.assign(view, { count: now.values.length, width: Math.max(200, ui.widthOf(element)) });
    const values = { "aria-valuemax": view.count, "aria-valuenow": now.cut, "aria-valuetext": now.spoken };
    for (const [attribute, value] of Object.entries(values)) canvas.setAttribute(attribute, value);
    paint(fit(canvas, view.width, height), now, view, ui.theme);
  };
  return { element, draw };
}

function steer(ui, name, least, canvas, view) {
  const listen = (type, listener) => canvas.addEventListener(type, listener, { signal: ui.signal });
  const cut = (rank) => ui.set(name, Math.min(view.count, Math.max(least, rank)));
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
  keys(ui, canvas, STEPS, (step) => cut(ui.get(name) + step));
}

function paint(context, now, { count, width, height }, theme) {
  context.font = `12px ${theme.font}`;
  const axis = vertical(now.values[0], height, now.logarithmic);
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const step = (right - left) / count;
  const at = left + now.cut * step;
  context.fillStyle = theme.raised;
  context.fillRect(left, MARGIN.top - 6, at - left, axis.bottom - MARGIN.top + 6);
  grid(context, axis, left, right, now.label, theme);
  const gap = step > 4 ? 1 : 0.4;
  for (let i = 0; i < count; i++) {
    const top = axis.place(now.values[i]);
    context.fillStyle = i < now.cut ? theme.accent : hatching(context, theme.warm);
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
  const { words } = now;
  backing(context, words, x, near, theme);
  words.forEach((text, i) => {
    context.font = `${i ? "" : "600 "}12px ${theme.font}`;
    context.fillText(text, x, MARGIN.top + 6 + 17 * i);
  });
  context.fillStyle = theme.muted;
  context.textAlign = "center";
  const every = count > 40 ? 16 : count > 12 ? 4 : 1;
  for (let i = 1; i <= count; i++)
    if (i === 1 || i % every === 0) context.fillText(String(i), left + (i - 0.5) * step, bottom + 11);
  context.fillText("index i", (left + right) / 2, bottom + 27);
}

function backing(context, words, x, near, theme) {
  const width = Math.max(...words.map((text) => context.measureText(text).width)) + 14;
  context.fillStyle = theme.surface;
  context.globalAlpha = 0.9;
  context.beginPath();
  context.roundRect(near ? x - width + 7 : x - 7, MARGIN.top - 6, width, 8 + 17 * words.length, 6);
  context.fill();
  context.globalAlpha = 1;
  context.fillStyle = theme.text;
}
