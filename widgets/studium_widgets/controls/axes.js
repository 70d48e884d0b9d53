// The axes of a chart: values to pixels and back, ticks and names.
import { logTicks, short, ticks } from "./ticks.js";

export const MARGIN = { left: 52, right: 14, top: 12, bottom: 38 }; // px around the plot

const LETTER = 7.8; // px of a digit, 12 px high, in the widest of usual fonts

/** px left of the plot: room for the ticks' numbers and for the name beside them, so that neither lies on the other. */
export const leftOf = (values) =>
  Math.max(MARGIN.left, 26 + LETTER * Math.max(0, ...values.map((value) => short(value).length)));

/** A value of what `label` names, as text. A year is no amount: 2018, and no comma in it. */
export const written = ({ label }, value) => (/\byear\b/i.test(label) ? String(value) : short(value));

/** {label, names, ends, ticks, place(value) → pixel, invert(pixel) → value} of one axis over [low, high], from pixel `from` to `to`. */
export function scale({ log = false, label, names }, [low, high], from, to) {
  const [f, g] = log ? [Math.log10, (value) => 10 ** value] : [Number, Number];
  const [a, b] = [f(low), f(high) === f(low) ? f(low) + 1 : f(high)];
  return {
    label,
    names,
    ends: [from, to],
    ticks: log ? logTicks(low, high) : ticks(low, high, Math.abs(to - from) > 320 ? 6 : 4),
    place: (value) => from + ((f(value) - a) / (b - a)) * (to - from),
    invert: (pixel) => g(a + ((pixel - from) / (to - from)) * (b - a)),
  };
}

/** Grid lines, ticks and names. Both axes come from `scale`. */
export function drawAxes(context, { x, y, width, height }, theme) {
  const bottom = height - MARGIN.bottom;
  const [left] = x.ends;
  context.strokeStyle = theme.line;
  context.fillStyle = theme.muted;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of y.ticks) {
    const at = Math.round(y.place(value)) + 0.5;
    segment(context, left, at, width - MARGIN.right, at);
    context.fillText(written(y, value), left - 8, at);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  if (x.names) nameTicks(context, x, bottom);
  else numberTicks(context, x, bottom, (left + width - MARGIN.right) / 2);
  context.save();
  context.translate(2, (MARGIN.top + bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(y.label, 0, 0);
  context.restore();
}

function numberTicks(context, x, bottom, middle) {
  for (const value of x.ticks) context.fillText(written(x, value), x.place(value), bottom + 6);
  context.fillText(x.label, middle, bottom + 22);
}

// Texts at 1, 2, 3 …, every other one lower where they are too wide for one line.
function nameTicks(context, { names, place }, bottom) {
  const lowered = names.some((name) => context.measureText(name).width + 6 > place(2) - place(1));
  names.forEach((name, i) => context.fillText(name, place(i + 1), bottom + (lowered && i % 2 ? 20 : 6)));
}

export function segment(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}
