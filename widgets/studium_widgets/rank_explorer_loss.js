import { choice } from "./controls/choice.js";
import { fit } from "./controls/canvas.js";
import { h, suppress } from "./controls/element.js";
import { slider } from "./controls/slider.js";
import { grid, hatching, line, MARGIN, vertical } from "./controls/cut_axes.js";
import { MOMENTS, STEPS } from "./rank_explorer_learning.js";
import { amount } from "./rank_explorer_words.js";

const HEIGHT = 270;
const BAR = 40; // px: the bar of all the energy, left of the curve
const PLAYING = 5000; // ms for a whole run
const METHODS = [
  ["adam", "Adam"],
  ["descent", "Gradient descent"],
];

/** The energy of ΔW as one bar, kept and tail, beside the loss of learning in the same scale: the floor is the tail. */
export function lossPanel(ui) {
  const canvas = h("canvas", { role: "img" });
  const frame = h("div", { class: "st-cut-frame" }, canvas);
  const settings = h(
    ...["div", { class: "st-controls st-rank-learning" }, player(ui)],
    slider(ui, "steps", { label: "Learning steps", values: MOMENTS, format: (step) => `${step}` }),
    choice(ui, "optimiser", { label: "Method", options: METHODS }),
  );
  ui.on("steps", () => ui.set("factors", "learned"));
  const draw = (now) => {
    const width = Math.max(200, ui.widthOf(frame));
    canvas.setAttribute("aria-label", spoken(now));
    paint(fit(canvas, width, HEIGHT), now, width, ui.theme, ui.still);
  };
  return { elements: [frame, settings], draw };
}

const spoken = ({ total, tail, run }) =>
  `Loss from ${amount(total)} down to ${amount(run.losses[run.done])} at step ${run.done}; the floor is the tail energy ${amount(tail)}.`;

/** A button that runs the steps from 0 to the end; with reduced motion it goes to the end at once. */
function player(ui) {
  const button = h("button", { type: "button", class: "st-rank-play", ...suppress });
  let frame = 0;
  const show = () => (button.textContent = frame ? "❚❚ Pause" : "▶ Learn");
  const stop = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    show();
  };
  const play = (from) => {
    const start = performance.now();
    const tick = (time) => {
      const at = Math.min(MOMENTS.length - 1, from + Math.floor(((time - start) / PLAYING) * MOMENTS.length));
      ui.set("steps", MOMENTS[Math.max(0, at)]);
      if (at >= MOMENTS.length - 1) return stop();
      frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    show();
  };
  const pressed = () => {
    if (frame) return stop();
    ui.set("factors", "learned");
    if (ui.still) ui.set("steps", STEPS);
    else play(ui.get("steps") >= STEPS ? 0 : MOMENTS.findIndex((moment) => moment >= ui.get("steps")));
  };
  button.addEventListener("click", pressed, { signal: ui.signal });
  ui.signal.addEventListener("abort", stop, { once: true });
  show();
  return button;
}

function paint(context, now, width, theme, still) {
  context.font = `12px ${theme.font}`;
  const axis = vertical(now.total, HEIGHT, now.logarithmic);
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  grid(context, axis, left, right, "energy, loss", theme);
  stack(context, now, axis, left + 4, theme);
  const from = left + BAR + 22;
  const across = (step) => from + (Math.log1p(step) / Math.log1p(STEPS)) * (right - from - 4);
  steps(context, across, axis.bottom, (from + right) / 2, theme);
  if (now.run.complete || !still) curve(context, now, axis, across, theme);
  floor(context, now, axis, left + 4, right, theme);
}

// The tail at the foot, one piece for each σᵢ² that is left, and what rank r keeps upon it.
function stack(context, { s, tails, rank, total, tail, logarithmic }, axis, left, theme) {
  const [top, cut] = [axis.place(total), axis.place(tail)];
  context.fillStyle = theme.accent;
  context.fillRect(left, top, BAR, cut - top);
  context.fillStyle = hatching(context, theme.warm);
  context.fillRect(left, cut, BAR, axis.bottom - cut);
  if (logarithmic) return;
  for (let i = 1; i < s.length; i++) {
    const at = axis.place(tails[i]);
    if (i !== rank && axis.bottom - at > 3) line(context, left, at, left + BAR, at, theme.surface);
  }
}

function steps(context, across, bottom, middle, theme) {
  context.fillStyle = theme.muted;
  context.textAlign = "center";
  for (const step of [0, 3, 10, 30, 100, 300, 800]) {
    line(context, across(step), bottom, across(step), bottom + 4, theme.muted);
    context.fillText(String(step), across(step), bottom + 12);
  }
  context.fillText("learning step", middle, bottom + 28);
}

function curve(context, { run, steps: chosen, factors }, axis, across, theme) {
  const until = factors === "learned" ? Math.min(chosen, run.done) : run.done;
  trace(context, run.losses, until, run.done, axis, across, theme.muted, 1.5);
  trace(context, run.losses, 0, until, axis, across, theme.accent, 3);
  if (factors !== "learned" || !Number.isFinite(run.losses[until])) return;
  context.fillStyle = theme.surface;
  context.strokeStyle = theme.accent;
  context.lineWidth = 3;
  context.beginPath();
  context.arc(across(until), axis.place(run.losses[until]), 5.5, 0, 7);
  context.fill();
  context.stroke();
}

// One point a step at first; later steps share a pixel, and every eighth is enough.
function trace(context, losses, from, to, axis, across, stroke, width) {
  context.strokeStyle = stroke;
  context.lineWidth = width;
  context.lineJoin = "round";
  context.beginPath();
  for (let step = from; step <= to; step += step < 64 ? 1 : Math.min(8, Math.max(1, to - step))) {
    if (Number.isFinite(losses[step])) context.lineTo(across(step), axis.place(losses[step]));
  }
  context.stroke();
  context.lineWidth = 1;
}

function floor(context, { tail, rank }, axis, left, right, theme) {
  const at = axis.place(tail);
  context.lineWidth = 2;
  line(context, left, at, right, at, theme.warm, [6, 4]);
  context.font = `600 12px ${theme.font}`;
  context.textAlign = "right";
  context.fillStyle = theme.text;
  const text = `floor = Σ σᵢ² for i > ${rank} = ${amount(tail)}`;
  context.fillText(text, right, 9);
  const start = right - context.measureText(text).width - 8;
  line(context, start - 24, 9, start, 9, theme.warm, [6, 4]);
  context.lineWidth = 1;
}
