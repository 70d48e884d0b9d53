// The score matrix with its tiles, the blocks of Q, K, V and O around it, and which of them are on the chip.
import { canvas } from "./controls/canvas.js";
import { paint } from "./controls/heat_map.js";
import { keys } from "./controls/keys.js";
import { memo } from "./controls/memo.js";
import { span } from "./tiling_maths.js";

const [EDGE, GAP] = [26, 6]; // px: the strips around the matrix, and what lies between
export const WRONG = 1e-9; // error above which a row counts as wrong

/** A click on a tile calls `picked(step)`, arrow keys `moved(by)`. `draw(now)` with what `model` reads. Gives {element, draw}. */
export function board(ui, { label, picked, moved }) {
  const { element, fit } = canvas(label);
  const image = document.createElement("canvas");
  const colour = memo((S, size, dark) =>
    paint(image, { data: S, rows: size, columns: size, range: extremes(S) }, dark),
  );
  let [now, place] = [null, null];
  const draw = (latest) => {
    now = latest;
    const side = Math.max(160, Math.min(440, ui.widthOf(element.parentElement)));
    const cell = (side - 2 * EDGE - 3 * GAP) / now.size;
    place = { left: EDGE + GAP, top: 2 * EDGE * 0.62 + GAP, cell, inner: cell * now.size, side };
    colour(now.S, now.size, ui.theme.dark);
    drawAll(fit(side, place.top + place.inner + 20), now, place, image, ui.theme);
  };
  steer(ui, element, () => [now, place], picked, moved);
  return { element, draw };
}

const extremes = (S) => [Math.min(...S), Math.max(...S)];

function steer(ui, element, read, picked, moved) {
  const listen = (type, listener) => element.addEventListener(type, listener, { signal: ui.signal });
  listen("click", ({ offsetX, offsetY }) => {
    const [{ list, rows, columns, size }, { left, top, cell }] = read();
    const [row, column] = [Math.floor((offsetY - top) / cell), Math.floor((offsetX - left) / cell)];
    if (row < 0 || column < 0 || row >= size || column >= size) return;
    const at = list.findIndex(([i, j]) => i === Math.floor(row / rows) && j === Math.floor(column / columns));
    if (at >= 0) picked(at + 1);
  });
  keys(ui, element, { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }, moved);
}

function drawAll(context, now, place, image, theme) {
  const { left, top, inner } = place;
  context.font = `600 12px ${theme.font}`;
  context.imageSmoothingEnabled = false;
  Object.assign(context, { fillStyle: theme.raised, globalAlpha: 1 });
  context.fillRect(left, top, inner, inner);
  now.list.slice(0, now.step).forEach((tile, t) => reveal(context, now, place, image, tile, t === now.step - 1));
  if (now.causal) hatch(context, now, place, theme);
  grid(context, now, place, theme);
  strips(context, now, place, theme);
  outcome(context, now, place, theme);
  if (now.step) current(context, now, place, theme);
  words(context, now, place, theme);
}

// A tile's scores are gone once it is done: it fades.
function reveal(context, { size, rows, columns }, { left, top, cell }, image, [i, j], last) {
  const [[r0, r1], [c0, c1]] = [span(i, rows, size), span(j, columns, size)];
  context.globalAlpha = last ? 1 : 0.4;
  context.drawImage(
    image,
    c0,
    r0,
    c1 - c0,
    r1 - r0,
    left + c0 * cell,
    top + r0 * cell,
    (c1 - c0) * cell,
    (r1 - r0) * cell,
  );
  context.globalAlpha = 1;
}

// What no query may see: stripes over the cells above the diagonal.
function hatch(context, { size }, { left, top, cell, inner }, theme) {
  context.save();
  context.beginPath();
  context.moveTo(left + cell, top);
  for (let row = 0; row < size; row++) {
    context.lineTo(left + (row + 1) * cell, top + row * cell);
    context.lineTo(left + (row + 1) * cell, top + (row + 1) * cell);
  }
  context.lineTo(left + inner, top);
  context.clip();
  Object.assign(context, { fillStyle: theme.surface, strokeStyle: theme.line, lineWidth: 1 });
  context.fillRect(left, top, inner, inner);
  context.beginPath();
  for (let x = left - inner; x < left + inner; x += 7) {
    context.moveTo(x, top + inner);
    context.lineTo(x + inner, top);
  }
  context.stroke();
  context.restore();
}

function grid(context, { size, rows, columns }, { left, top, cell, inner }, theme) {
  Object.assign(context, { strokeStyle: theme.surface, lineWidth: 1.5 });
  context.beginPath();
  for (let row = rows; row < size; row += rows) {
    context.moveTo(left, top + row * cell);
    context.lineTo(left + inner, top + row * cell);
  }
  for (let column = columns; column < size; column += columns) {
    context.moveTo(left + column * cell, top);
    context.lineTo(left + column * cell, top + inner);
  }
  context.stroke();
}

// K and V above, Q at the left: the blocks that are on the chip are filled.
function strips(context, now, { left, top, cell }, theme) {
  const { size, rows, columns, list, step } = now;
  const [i, j] = step ? list[step - 1] : [-1, -1];
  const [thin, across] = [EDGE * 0.62, Math.ceil(size / columns)];
  for (const [name, y] of [
    ["keys K", top - GAP - 2 * thin],
    ["values V", top - GAP - thin],
  ]) {
    for (let block = 0; block < across; block++) {
      const [from, to] = span(block, columns, size);
      box(context, [left + from * cell, y, (to - from) * cell, thin - 3], block === j, theme);
    }
    label(context, name, left + size * cell - 4, y + thin / 2 - 1, {
      textAlign: "right",
      fillStyle: j === across - 1 ? theme.surface : theme.text,
    });
  }
  for (let block = 0; block < Math.ceil(size / rows); block++) {
    const [from, to] = span(block, rows, size);
    box(context, [left - GAP - thin, top + from * cell, thin - 3, (to - from) * cell], block === i, theme);
  }
  label(context, "queries Q", 0, top + size * cell + 11, { textAlign: "left", fillStyle: theme.text });
}

function box(context, [x, y, width, height], held, theme) {
  context.fillStyle = held ? theme.accent : theme.raised;
  context.strokeStyle = held ? theme.accent : theme.line;
  context.lineWidth = 1;
  context.fillRect(x + 0.5, y + 0.5, width - 1, height - 1);
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
}

function label(context, text, x, y, style) {
  Object.assign(context, { textBaseline: "middle", ...style });
  context.fillText(text, x, y);
}

const same = ([row, column], [otherRow, otherColumn]) => row === otherRow && column === otherColumn;

// What has become of the tiles, on the tiles: the last one, the first one, and those to come; no word lies on another.
function words(context, { list, step, size, rows, columns, causal }, { left, top, cell, inner }, theme) {
  const middle = ([i, j]) =>
    [span(j, columns, size), span(i, rows, size)].map(([from, to]) => ((from + to) / 2) * cell);
  const last = list.findLast(([, j]) => j === 0);
  const said = [
    step && ["on the chip", ...middle(list[step - 1])],
    causal && ["hidden by the mask", 0.68 * inner, 0.3 * inner],
    step > 1 && !same(list[0], list[step - 1]) && ["thrown away", ...middle(list[0])],
    list.indexOf(last) >= step && ["to come", ...middle(last)],
  ];
  Object.assign(context, {
    textAlign: "center",
    textBaseline: "middle",
    fillStyle: theme.text,
    strokeStyle: theme.surface,
    lineWidth: 4,
    lineJoin: "round",
  });
  const taken = [];
  for (const [text, x, y] of said.filter(Boolean)) {
    const half = context.measureText(text).width / 2 + 2;
    const at = Math.max(half, Math.min(inner - half, x));
    if (taken.some((other) => Math.abs(other.y - y) < 15 && Math.abs(other.at - at) < other.half + half)) continue;
    taken.push({ at, y, half });
    for (const write of ["strokeText", "fillText"]) context[write](text, left + at, top + y);
  }
}

// O at the right: how much of each row has been seen; a wrong row is warm and crossed.
function outcome(context, { size, state, errors, causal }, { left, top, cell, inner }, theme) {
  const x = left + inner + GAP;
  for (let row = 0; row < size; row++) {
    const share = state.seen[row] / (causal ? row + 1 : size);
    const wrong = !(errors[row] <= WRONG);
    context.fillStyle = theme.raised;
    context.fillRect(x, top + row * cell, EDGE - 4, Math.max(1, cell - 1));
    context.fillStyle = wrong ? theme.warm : theme.accent;
    context.fillRect(x, top + row * cell, (EDGE - 4) * share, Math.max(1, cell - 1));
    if (wrong && share) {
      context.fillStyle = theme.surface;
      context.fillRect(x + (EDGE - 4) / 2 - 5, top + (row + 0.5) * cell - 1.2, 10, 1.8);
    }
  }
  label(context, "output O", x + EDGE - 4, top + size * cell + 11, { textAlign: "right", fillStyle: theme.text });
}

function current(context, { size, rows, columns, list, step }, { left, top, cell }, theme) {
  const [[r0, r1], [c0, c1]] = [span(list[step - 1][0], rows, size), span(list[step - 1][1], columns, size)];
  for (const [colour, width] of [
    [theme.surface, 5],
    [theme.text, 2.5],
  ]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.strokeRect(left + c0 * cell, top + r0 * cell, (c1 - c0) * cell, (r1 - r0) * cell);
  }
}
