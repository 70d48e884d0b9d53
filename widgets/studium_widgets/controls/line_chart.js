import { drawAxes, leftOf, MARGIN, scale, segment } from "./axes.js";
import { canvas, shorten } from "./canvas.js";
import { cellCursor } from "./cell_cursor.js";
import { DASHES, legend } from "./legend.js";
import { nameAt, nameLines } from "./line_names.js";
import { marker, MARKS } from "./markers.js";
import { ink } from "./theme.js";
import { extent, short } from "./ticks.js";

/**
 * Lines over a common x axis, with a reading under the pointer or the arrow keys.
 * `x`, `y`: {label, range?, log?}, read again at each `draw`; `x.names`: texts at 1, 2, 3 … in place of numbers. `height` in px. `moved(index | null)` as the reading moves.
 * `draw({x?, series: [{name, y, dots?, share?, kind?, at?}], marks?: [{x, label}], bands?: [{from, to, label}], layer?, named?})`: x
 * defaults to 0, 1, 2 …; all arrays have one length. `dots` draws markers instead of a line, `share` (0 to 1) only the left
 * part; `kind` is what a line's colour says, as in `bars`; a band is a shaded stretch of x; `layer(context, axes)` draws on top; `named` are more entries of the legend.
 * Lines have their names beside them where there is room for all; a legend above names what has no room. A line with `at`,
 * the index of a point, has its name there, left of it.
 * @param {any} ui
 * @param {{label: string, x: any, y: any, height?: number, moved?: (at: any) => void}} options
 */
export function lineChart(ui, { label, x, y, height = 260, moved = () => {} }) {
  const { element: picture, fit } = canvas(label);
  const key = legend(ui);
  const view = {
    element: document.createElement("div"),
    picture,
    content: null,
    axes: null,
    places: new Map(),
    named: false,
    legend: false,
  };
  view.element.className = "st-chart";
  view.element.append(key.element, picture);
  const compose = () => view.content && drawAll(ui, view, fit);
  const size = () => [1, view.content.x.length];
  const at = (left) => view.axes && [0, nearest(view.content.x, view.axes.x.invert(left))];
  view.cursor = cellCursor(ui, picture, {
    at,
    size,
    moved: (cell) => {
      compose();
      moved(cell ? cell[1] : null);
    },
  });
  view.draw = (content) => {
    view.content = {
      marks: [],
      bands: [],
      named: [],
      ...content,
      x: content.x ?? content.series[0].y.map((_, i) => i),
    };
    const width = Math.max(160, ui.widthOf(view.element) || 480);
    view.axes = axes(view.content, x, y, width, height);
    const mark = (i) => MARKS[i % MARKS.length];
    const names = [
      ...content.series.map(({ name, dots, kind }, i) => ({
        name,
        stroke: ink(ui.theme, i, kind),
        ...(dots && { mark: mark(i) }),
      })),
      ...view.content.named,
    ];
    compose();
    key.draw(names.length > 1 && view.legend ? names : []);
    key.element.style.visibility = view.named ? "hidden" : "";
  };
  return view;
}

function axes(content, x, y, width, height) {
  const up = scale(y, y.range ?? extent(content.series.map((line) => line.y)), height - MARGIN.bottom, MARGIN.top);
  const across = scale(x, x.range ?? extent([content.x]), leftOf(up.ticks), width - MARGIN.right);
  return { x: across, y: up, width, height };
}

function nearest(values, wanted) {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (Math.abs(values[i] - wanted) < Math.abs(values[best] - wanted)) best = i;
  }
  return best;
}

function drawAll(ui, view, fit) {
  const { content, axes: place, cursor } = view;
  const context = fit(place.width, place.height);
  context.font = `12px ${ui.theme.font}`;
  content.bands.forEach((band) => drawBand(context, band, place, ui.theme));
  drawAxes(context, place, ui.theme);
  content.marks.forEach((mark) => drawMark(context, mark, place, ui.theme));
  context.save();
  context.beginPath();
  const [left] = place.x.ends;
  context.rect(left, MARGIN.top - 3, place.width - left - MARGIN.right, place.height - MARGIN.top - MARGIN.bottom + 6);
  context.clip();
  content.series.forEach((line, i) => drawSeries(context, content.x, line, i, place, ui.theme));
  content.layer?.(context, place);
  context.restore();
  content.bands.forEach((band) => nameBand(context, band, place, ui.theme));
  content.marks.forEach((mark) => nameMark(context, mark, place, ui.theme));
  const plain = content.series.every(({ dots, share }) => !dots && share === undefined) && !content.named.length;
  if (content.series.every(({ at }) => at !== undefined)) view.named = nameAt(context, content, place, ui.theme);
  else view.named = plain && content.series.length > 1 && nameLines(context, content, place, ui.theme, view.places);
  view.legend ||= !view.named; // once it is there it keeps its room, so that nothing below it jumps
  if (cursor?.cell) drawReading(context, content, cursor.cell[1], place, ui.theme);
}

function drawSeries(context, x, line, i, place, theme) {
  const shown = line.share === undefined ? x.length : Math.ceil(line.share * x.length);
  const stroke = ink(theme, i, line.kind);
  if (!line.dots)
    return drawLine(context, x, line.y.slice(0, shown), { stroke, dash: DASHES[i % DASHES.length] }, place);
  for (let at = 0; at < shown; at++) {
    if (Number.isFinite(line.y[at]))
      marker(context, i, place.x.place(x[at]), place.y.place(line.y[at]), 5, theme, { fill: stroke });
  }
}

// A shaded stretch of the x axis, cut at the edges: [left, right] in px.
const stretch = ({ from, to }, { x, width }) =>
  [from, to].map((at) => Math.min(width - MARGIN.right, Math.max(x.ends[0], x.place(at))));

function drawBand(context, band, place, theme) {
  const [left, right] = stretch(band, place);
  context.fillStyle = theme.raised;
  context.fillRect(left, MARGIN.top, right - left, place.height - MARGIN.bottom - MARGIN.top);
}

function nameBand(context, band, place, theme) {
  const [left, right] = stretch(band, place);
  if (right - left < 24) return;
  const text = shorten(context, band.label, right - left - 8);
  const [wide, top] = [context.measureText(text).width, place.height - MARGIN.bottom - 18];
  context.fillStyle = theme.raised;
  context.fillRect(right - wide - 8, top, wide + 6, 16);
  context.fillStyle = theme.muted;
  context.textAlign = "right";
  context.textBaseline = "top";
  context.fillText(text, right - 5, top + 2);
}

function drawLine(context, x, values, { stroke, dash }, { x: across, y: up }) {
  context.strokeStyle = stroke;
  context.lineWidth = 2.5;
  context.lineJoin = "round";
  context.setLineDash(dash);
  context.beginPath();
  for (let at = 0; at < values.length; at++) {
    if (Number.isFinite(values[at])) context.lineTo(across.place(x[at]), up.place(values[at]));
  }
  context.stroke();
  context.setLineDash([]);
}

function drawMark(context, mark, { x, height }, theme) {
  const at = Math.round(x.place(mark.x)) + 0.5;
  context.strokeStyle = theme.text;
  context.setLineDash([3, 3]);
  segment(context, at, MARGIN.top, at, height - MARGIN.bottom);
  context.setLineDash([]);
}

// Over the lines, with a rim in the page's colour.
function nameMark(context, { x: value, label: text = "" }, { x, width }, theme) {
  const at = Math.round(x.place(value)) + 0.5;
  const before = at + 5 + context.measureText(text).width > width;
  context.textAlign = before ? "right" : "left";
  context.textBaseline = "top";
  Object.assign(context, { strokeStyle: theme.surface, fillStyle: theme.text, lineWidth: 4, lineJoin: "round" });
  context.strokeText(text, at + (before ? -5 : 5), MARGIN.top);
  context.fillText(text, at + (before ? -5 : 5), MARGIN.top);
  context.lineWidth = 1;
}

function drawReading(context, { x, series }, index, place, theme) {
  const at = place.x.place(x[index]);
  context.strokeStyle = theme.muted;
  segment(context, at, MARGIN.top, at, place.height - MARGIN.bottom);
  const lines = [
    `${place.x.label} ${short(x[index])}`,
    ...series.map((line) => `${line.name} ${short(line.y[index])}`),
  ];
  series.forEach((line, i) => {
    context.fillStyle = ink(theme, i, line.kind);
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
