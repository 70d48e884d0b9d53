import { canvas } from "./canvas.js";
import { cellCursor } from "./cell_cursor.js";
import { DASHES, legend } from "./legend.js";
import { extent, logTicks, short, ticks } from "./ticks.js";

const MARGIN = { left: 52, right: 14, top: 12, bottom: 38 };

/**
 * Lines over a common x axis, with a reading under the pointer or the arrow keys.
 * `x`, `y`: {label, range?, log?}. `height` in px. `moved(index | null)` as the reading moves.
 * `draw({x?, series: [{name, y}], marks?: [{x, label}]})`: x defaults to 0, 1, 2 …; all arrays have one length.
 */
export function lineChart(ui, { label, x, y, height = 260, moved = () => {} }) {
  const { element: picture, fit } = canvas(label);
  const key = legend(ui);
  const view = { element: document.createElement("div"), content: null, axes: null };
  view.element.className = "st-chart";
  view.element.append(key.element, picture);
  const compose = () => view.content && drawAll(ui, view, fit);
  const size = () => [1, view.content.x.length];
  const at = (left) => view.axes && [0, nearest(view.content.x, view.axes.x.invert(left))];
  view.cursor = cellCursor(ui, picture, { at, size, moved: (cell) => (compose(), moved(cell && cell[1])) });
  view.draw = (content) => {
    view.content = { marks: [], ...content, x: content.x ?? content.series[0].y.map((_, i) => i) };
    const width = Math.max(160, view.element.clientWidth || 480);
    view.axes = axes(view.content, x, y, width, height);
    key.draw(content.series.length > 1 ? content.series.map((line) => line.name) : []);
    compose();
  };
  return view;
}

function axes(content, x, y, width, height) {
  const across = scale(x, x.range ?? extent([content.x]), MARGIN.left, width - MARGIN.right);
  const range = y.range ?? extent(content.series.map((line) => line.y));
  return { x: across, y: scale(y, range, height - MARGIN.bottom, MARGIN.top), width, height };
}

// Maps values to pixels: place(value), and invert(pixel) back.
function scale({ log = false, label }, [low, high], from, to) {
  const [f, g] = log ? [Math.log10, (value) => 10 ** value] : [Number, Number];
  const [a, b] = [f(low), f(high) === f(low) ? f(low) + 1 : f(high)];
  return {
    label,
    ticks: log ? logTicks(low, high) : ticks(low, high, Math.abs(to - from) > 320 ? 6 : 4),
    place: (value) => from + ((f(value) - a) / (b - a)) * (to - from),
    invert: (pixel) => g(a + ((pixel - from) / (to - from)) * (b - a)),
  };
}

function nearest(values, wanted) {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (Math.abs(values[i] - wanted) < Math.abs(values[best] - wanted)) best = i;
  }
  return best;
}

function drawAll(ui, { content, axes: place, cursor }, fit) {
  const context = fit(place.width, place.height);
  context.font = `12px ${ui.theme.font}`;
  drawAxes(context, place, ui.theme);
  content.marks.forEach((mark) => drawMark(context, mark, place, ui.theme));
  context.save();
  context.beginPath();
  context.rect(MARGIN.left, MARGIN.top - 3, place.width - MARGIN.left - MARGIN.right, place.height - MARGIN.top - MARGIN.bottom + 6);
  context.clip();
  content.series.forEach((line, i) => drawLine(context, content.x, line, i, place, ui.theme));
  context.restore();
  if (cursor?.cell) drawReading(context, content, cursor.cell[1], place, ui.theme);
}

function drawAxes(context, { x, y, width, height }, theme) {
  const bottom = height - MARGIN.bottom;
  context.strokeStyle = theme.line;
  context.fillStyle = theme.muted;
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of y.ticks) {
    const at = Math.round(y.place(value)) + 0.5;
    segment(context, MARGIN.left, at, width - MARGIN.right, at);
    context.fillText(short(value), MARGIN.left - 8, at);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const value of x.ticks) context.fillText(short(value), x.place(value), bottom + 6);
  context.fillText(x.label, (MARGIN.left + width - MARGIN.right) / 2, bottom + 22);
  context.save();
  context.translate(2, (MARGIN.top + bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(y.label, 0, 0);
  context.restore();
}

function segment(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function drawLine(context, x, { y: values }, i, { x: across, y: up }, theme) {
  context.strokeStyle = theme.series[i % theme.series.length];
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.setLineDash(DASHES[i % DASHES.length]);
  context.beginPath();
  for (let at = 0; at < x.length; at++) {
    if (Number.isFinite(values[at])) context.lineTo(across.place(x[at]), up.place(values[at]));
  }
  context.stroke();
  context.setLineDash([]);
}

function drawMark(context, mark, { x, height }, theme) {
  const at = Math.round(x.place(mark.x)) + 0.5;
  context.strokeStyle = theme.warm;
  context.fillStyle = theme.text;
  context.setLineDash([3, 3]);
  segment(context, at, MARGIN.top, at, height - MARGIN.bottom);
  context.setLineDash([]);
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillText(mark.label ?? "", at + 5, MARGIN.top);
}

function drawReading(context, { x, series }, index, place, theme) {
  const at = place.x.place(x[index]);
  context.strokeStyle = theme.muted;
  segment(context, at, MARGIN.top, at, place.height - MARGIN.bottom);
  const lines = [`${place.x.label} ${short(x[index])}`, ...series.map((line) => `${line.name} ${short(line.y[index])}`)];
  series.forEach((line, i) => {
    context.fillStyle = theme.series[i % theme.series.length];
    context.beginPath();
    context.arc(at, place.y.place(line.y[index]), 4, 0, 7);
    context.fill();
  });
  readingBox(context, lines, at, place, theme);
}

function readingBox(context, lines, at, place, theme) {
  const width = Math.max(...lines.map((line) => context.measureText(line).width)) + 16;
  const left = at + width + 12 > place.width - MARGIN.right ? at - width - 8 : at + 8;
  context.fillStyle = theme.surface;
  context.strokeStyle = theme.line;
  context.beginPath();
  context.roundRect(left, MARGIN.top + 4, width, lines.length * 17 + 10, 6);
  context.fill();
  context.stroke();
  context.fillStyle = theme.text;
  context.textAlign = "left";
  context.textBaseline = "top";
  lines.forEach((line, i) => context.fillText(line, left + 8, MARGIN.top + 11 + i * 17));
}
