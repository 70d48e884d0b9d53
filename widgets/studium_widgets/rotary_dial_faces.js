// The dials: a hand for the query, one for the key, the angle between them, and the angles that training has shown.
import { canvas } from "./controls/canvas.js";
import { cellCursor } from "./controls/cell_cursor.js";
import { short } from "./controls/ticks.js";
import { pairOf, unseen } from "./rotary_dial_maths.js";

const TURN = 2 * Math.PI;

/** `draw(now)`; `cursor` holds the dial that is pointed at as [row, column]; chosen() gives its pair or −1. */
export function faces(ui, { moved }) {
  const { element, fit } = canvas("Dials of the pairs: arrows move from one to the next");
  const view = { element, now: null, box: null };
  const pair = ([row, column]) => row * view.box.columns + column;
  view.chosen = () => (view.cursor.cell && pair(view.cursor.cell) < view.box.count ? pair(view.cursor.cell) : -1);
  const at = (x, y) => {
    if (!view.box) return null;
    const cell = [Math.floor(y / view.box.height), Math.floor(x / view.box.size)];
    return x >= 0 && cell[1] < view.box.columns && y >= 0 && pair(cell) < view.box.count ? cell : null;
  };
  view.cursor = cellCursor(ui, element, { at, size: () => [view.box.rows, view.box.columns], moved });
  view.draw = (now) => {
    view.box = grid(ui.widthOf(element.parentElement) || 600, now.speeds.length);
    const { size, height, rows, columns, count } = view.box;
    const context = fit(size * columns, height * rows);
    const centres = Array.from({ length: count }, (_, i) => [
      (i % columns) * size + size / 2,
      Math.floor(i / columns) * height + size / 2,
    ]);
    discs(context, centres, size / 2 - 5, now, ui.theme);
    const angles = anglesOf(now, count);
    wedges(context, centres, size / 2 - 5, angles, ui.theme);
    hands(context, centres, size / 2 - 5, angles, ui.theme);
    if (view.chosen() >= 0) rings(context, [centres[view.chosen()]], size / 2 - 2, ui.theme.text, 2);
    if (size >= 36) names(context, centres, size, now, ui.theme);
  };
  return view;
}

function grid(width, count) {
  const wanted = count <= 8 ? 96 : count <= 32 ? 62 : 42;
  const rows = Math.ceil(count / Math.min(count, Math.max(4, Math.floor(width / wanted))));
  const columns = Math.ceil(count / rows); // rows of one length, as near as may be
  const size = Math.min(110, width / columns);
  return { size, height: size + (size >= 36 ? 13 : 0), columns, rows, count };
}

// All dials at once. Where positions leave the context, a grey sector from twelve o'clock on holds the offsets' angles that
// training has shown, a whole turn for the fast pairs, and a dial whose angle was never seen has a dotted rim.
function discs(context, centres, radius, now, theme) {
  const { speeds, trained, context: length, m, n } = now;
  const offset = now.mistake === "sign" ? m + n : now.mistake === "key still" ? m : m - n;
  circles(context, centres, radius);
  context.fillStyle = theme.raised;
  context.fill();
  if (beyond(now))
    sectors(
      context,
      centres,
      radius,
      () => -Math.PI / 2,
      (i) => Math.min(TURN, trained[i] * length),
      theme.line,
    );
  const strange = centres.map((_, i) => unseen(speeds[i], offset, trained[i], length));
  rings(
    context,
    centres.filter((_, i) => !strange[i]),
    radius,
    theme.muted,
    1,
  );
  rings(
    context,
    centres.filter((_, i) => strange[i]),
    radius,
    theme.text,
    2.5,
    [2, 2],
  );
}

/** Whether it matters what training has shown: an offset is longer than that, or the context is stretched. */
export const beyond = ({ context, m, n, method }) => method !== "none" || Math.abs(m - n) >= context;

function sectors(context, centres, radius, from, wide, fill) {
  context.beginPath();
  centres.forEach(([x, y], i) => {
    context.moveTo(x, y);
    context.arc(x, y, radius, from(i), from(i) + wide(i), wide(i) < 0);
    context.closePath();
  });
  context.fillStyle = fill;
  context.fill();
}

function circles(context, centres, radius) {
  context.beginPath();
  for (const [x, y] of centres) {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, TURN);
  }
}

function rings(context, centres, radius, stroke, width, dash = []) {
  circles(context, centres, radius);
  context.strokeStyle = stroke;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

// Where the hands of each pair point: radians, clockwise from twelve o'clock, as on a clock.
function anglesOf({ query, key, speeds, layout, mistake, m, n }, count) {
  const start = (vector, i) => {
    const [a, b] = pairOf(i, vector.length, layout);
    return Math.atan2(vector[b], vector[a]) - Math.PI / 4;
  };
  const turned = mistake === "key still" ? 0 : mistake === "sign" ? -n : n;
  return Array.from({ length: count }, (_, i) => ({
    query: start(query, i) + m * speeds[i],
    key: start(key, i) + turned * speeds[i],
  }));
}

// The angle from the key's hand to the query's, the shorter way round: all that the score hears of the positions.
function wedges(context, centres, radius, angles, theme) {
  const between = (i) => {
    const turn = (((angles[i].query - angles[i].key) % TURN) + TURN) % TURN;
    return turn > Math.PI ? turn - TURN : turn;
  };
  context.globalAlpha = 0.28;
  sectors(context, centres, radius * 0.72, (i) => angles[i].key - Math.PI / 2, between, theme.accent);
  context.globalAlpha = 1;
}

// The key's hands, dashed, and the query's upon them.
function hands(context, centres, radius, angles, theme) {
  const dash = radius > 16 ? [4, 3] : [3, 2];
  pointers(context, centres, radius * 0.72, (i) => angles[i].key, theme.muted, dash);
  pointers(context, centres, radius * 0.92, (i) => angles[i].query, theme.accent, []);
}

function pointers(context, centres, length, angleOf, stroke, dash) {
  context.beginPath();
  centres.forEach(([x, y], i) => {
    context.moveTo(x, y);
    context.lineTo(x + length * Math.sin(angleOf(i)), y - length * Math.cos(angleOf(i)));
  });
  context.strokeStyle = stroke;
  context.lineWidth = 2.5;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

// How many tokens a turn takes where there is room for words, and the pair's number where there is not.
function names(context, centres, size, { speeds }, theme) {
  Object.assign(context, {
    fillStyle: theme.muted,
    font: `11px ${theme.font}`,
    textAlign: "center",
    textBaseline: "top",
  });
  const words = centres.map((_, i) => short(Math.round(TURN / speeds[i])));
  const unit = [" tokens a turn", " a turn"].find((text) => context.measureText(words[0] + text).width <= size);
  words[0] += unit ?? "";
  const numbers = centres.map((_, i) => (i ? (i === centres.length - 1 ? `${i}, slow` : String(i)) : "0, fast"));
  const shown = size >= 80 ? words : numbers;
  centres.forEach(([x, y], i) => context.fillText(shown[i], x, y + size / 2 - 2));
}
