// The same weights as curves from each query on the left to its keys on the right.
import { canvas, fit as fitCanvas, shorten } from "./controls/canvas.js";
import { cellCursor } from "./controls/cell_cursor.js";
import { heaviest, strongestKey } from "./attention_maths.js";

const MOST = 500; // curves in the overview: more would be one grey field, and take longer than a frame
const LEVELS = 8; // shades of a curve: each is drawn as one path
const SPACE = 24; // px from token to token, less where there are many
const TALLEST = 520;

/** `draw({weights, size, names, range, marked})`; `moved`, `picked`, `cursor` and `overlay` as in `heatMap`. */
export function arcs(ui, { label, moved = () => {}, picked = () => {} }) {
  const { element, fit } = canvas(label);
  const behind = document.createElement("canvas");
  const view = { element, picture: null, box: null };
  view.overlay = () => view.picture && compose(ui, view, behind, fit);
  view.cursor = cellCursor(ui, element, {
    at: (x, y) => view.picture && cellAt(view, x, y),
    size: () => [view.picture.size, view.picture.size],
    moved: (cell) => {
      view.overlay();
      moved(cell);
    },
    picked,
  });
  view.draw = (picture) => {
    view.picture = picture;
    view.box = layout(ui, element, picture);
    paintAll(ui, view, behind);
    view.overlay();
  };
  return view;
}

function layout(ui, element, { size, names }) {
  const width = Math.max(220, Math.min(520, ui.widthOf(element.parentElement) || 460));
  const step = Math.min(SPACE, TALLEST / size);
  const context = element.getContext("2d");
  context.font = `600 13px ${ui.theme.font}`;
  const widest = Math.max(...names.slice(0, 200).map((name) => context.measureText(name).width));
  const side = Math.min(Math.max(widest + 20, 48), width / 3);
  return { width, step, left: side, right: width - side, height: step * size + 22, top: 22 };
}

const middle = ({ top, step }, token) => top + (token + 0.5) * step;

function cellAt({ picture: { weights, size, marked }, box }, x, y) {
  const token = Math.floor((y - box.top) / box.step);
  if (token < 0 || token >= size) return null;
  return x < box.width / 2 || marked < 0 ? [token, strongestKey(weights, size, token).key] : [marked, token];
}

// The overview: all the heaviest curves, on a canvas of its own, so that moving the cursor does not draw them again.
function paintAll(ui, { picture: { weights, size, range }, box }, behind) {
  const context = fitCanvas(behind, box.width, box.height);
  const levels = Array.from({ length: LEVELS }, () => new Path2D());
  for (const cell of heaviest(weights, range, MOST)) {
    const level = Math.min(LEVELS - 1, Math.floor((weights[cell] / range) * LEVELS));
    curve(levels[level], box, Math.floor(cell / size), cell % size);
  }
  context.strokeStyle = ui.theme.accent;
  levels.forEach((path, level) => {
    const strength = (level + 0.6) / LEVELS;
    context.globalAlpha = 0.1 + 0.8 * strength;
    context.lineWidth = thickness(strength, box);
    context.stroke(path);
  });
}

const thickness = (strength, { step }) => 0.4 + strength * Math.min(5, step / 3);

function curve(path, box, query, key) {
  const [from, to, bend] = [middle(box, query), middle(box, key), (box.right - box.left) * 0.45];
  path.moveTo(box.left, from);
  path.bezierCurveTo(box.left + bend, from, box.right - bend, to, box.right, to);
}

function compose(ui, { picture, box, cursor }, behind, fit) {
  const context = fit(box.width, box.height);
  const cell = cursor?.cell ?? null;
  const row = cell ? cell[0] : picture.marked;
  context.globalAlpha = row >= 0 ? 0.16 : 1;
  context.drawImage(behind, 0, 0, box.width, box.height);
  context.globalAlpha = 1;
  if (row >= 0) fan(context, ui.theme, picture, box, row, cell?.[1]);
  labels(context, ui.theme, picture, box, row, cell?.[1] ?? -1);
}

// The curves of one query, each as strong as its weight.
function fan(context, theme, { weights, size, range }, box, row, chosen) {
  for (let key = 0; key < size; key++) {
    const strength = (weights[row * size + key] || 0) / range;
    if (strength < 0.01 && key !== chosen) continue;
    const path = new Path2D();
    curve(path, box, row, key);
    context.strokeStyle = key === chosen ? theme.text : theme.accent;
    context.globalAlpha = key === chosen ? 1 : Math.min(1, 0.15 + strength);
    context.lineWidth = Math.max(key === chosen ? 2 : 0, thickness(strength, box) * 1.2);
    context.stroke(path);
  }
  context.globalAlpha = 1;
}

function labels(context, theme, { names, size }, box, row, key) {
  const write = (text, x, y, active, width) => {
    context.font = `${active ? "600 " : ""}${Math.min(13, Math.max(11, box.step - 3))}px ${theme.font}`;
    context.fillStyle = active ? theme.text : theme.muted;
    context.fillText(shorten(context, text, width), x, y);
  };
  context.textBaseline = "middle";
  for (const [align, x, active, title] of [
    ["right", box.left - 8, row, "query"],
    ["left", box.right + 8, key, "key"],
  ]) {
    context.textAlign = align;
    write(title, x, 9, false, box.left);
    for (let token = 0; token < size; token++) {
      if (box.step >= 10 || token === active)
        write(names[token], x, middle(box, token), token === active, box.left - 10);
    }
  }
}
