import { canvas, shorten } from "./canvas.js";
import { cellCursor } from "./cell_cursor.js";

const GAP = 7; // px between nodes
const WIDTH = 14; // of a node
const ORANGE = 1; // of the series: here it is what did not fit
const [NAME, NOTED] = [76, 114]; // px for names at the left, and for names with notes at the right

/**
 * Flows from the nodes at the left to those at the right. Up and down go from one right node to the next.
 * `draw({left: [{name, size, colour}], right: [{name, size, limit, note}], links: [{from, to, size, over}]})`: sizes are in
 * one unit. Of a link, `over` did not fit: it is orange, and ends beyond the bucket of `limit` as stripes. `moved(index | null)`.
 * @param {any} ui
 * @param {{label: string, height?: number, moved?: ((at: any) => void)}} options
 */
export function flowGraph(ui, { label, height = 400, moved = () => {} }) {
  const { element, fit } = canvas(label);
  const view = /** @type {any} */ ({ element, content: null, box: null });
  const compose = () => view.content && drawAll(ui, view, fit);
  view.cursor = cellCursor(ui, element, {
    at: (_, y) => view.box && rowAt(view.box.right, y),
    size: () => [view.content.right.length, 1],
    moved: (cell) => {
      compose();
      moved(cell ? cell[0] : null);
    },
  });
  view.chosen = () => view.cursor.cell?.[0] ?? -1;
  view.draw = (content) => {
    const width = Math.max(220, ui.widthOf(element.parentElement) || 480);
    Object.assign(view, { content, box: layout(content, width, height) });
    compose();
  };
  return view;
}

function rowAt(nodes, y) {
  const row = nodes.findIndex(({ top, room }) => y >= top - GAP / 2 && y < top + room + GAP / 2);
  return row < 0 ? null : [row, 0];
}

// Nodes one below the other; both sides share one scale, so that a band is as wide where it starts as where it ends.
function layout({ left, right }, width, height) {
  const needs = (nodes) => nodes.reduce((sum, { size, limit = 0 }) => sum + Math.max(size, limit), 0);
  const gap = Math.min(GAP, 120 / right.length);
  const unit = Math.min(...[left, right].map((nodes) => (height - gap * nodes.length) / (needs(nodes) || 1)));
  const stack = (nodes) => {
    const total = needs(nodes) * unit + gap * (nodes.length - 1);
    let top = (height - total) / 2;
    return nodes.map(({ size, limit = 0 }) => {
      const place = { top, room: Math.max(size, limit) * unit, filled: 0, spilt: 0 };
      top += place.room + gap;
      return place;
    });
  };
  return { width, height, unit, left: stack(left), right: stack(right), x1: NAME + WIDTH, x2: width - NOTED - WIDTH };
}

function drawAll(ui, view, fit) {
  const { content, box } = view;
  const context = fit(box.width, box.height);
  const hues = [...ui.theme.series.filter((_, i) => i !== ORANGE), ui.theme.muted];
  const colours = content.left.map(({ colour }) => hues[colour % hues.length]);
  for (const place of [...box.left, ...box.right]) Object.assign(place, { filled: 0, spilt: 0 });
  buckets(context, content, box, ui.theme);
  content.links.forEach((link) =>
    band(context, link, content, box, { kept: colours[link.from], lost: ui.theme.warm }, view.chosen()),
  );
  names(context, content, box, colours, view.chosen(), ui.theme);
}

function buckets(context, { right }, { right: places, unit, x2 }, theme) {
  right.forEach(({ limit }, e) => {
    context.fillStyle = theme.raised;
    context.fillRect(x2, places[e].top, WIDTH, limit * unit);
  });
}

// What fits goes on from the top of the bucket, what does not from its limit on.
function band(context, { from, to, size, over }, { right }, box, { kept, lost }, chosen) {
  const [start, end] = [box.left[from], box.right[to]];
  const faint = chosen >= 0 && chosen !== to;
  for (const [amount, spilt] of [
    [size - over, false],
    [over, true],
  ]) {
    if (!amount) continue;
    context.fillStyle = context.strokeStyle = spilt ? lost : kept;
    const [y1, thick] = [start.top + start.filled * box.unit, amount * box.unit];
    const y2 = end.top + (spilt ? right[to].limit + end.spilt : end.filled) * box.unit;
    if (thick > 2) {
      context.globalAlpha = faint ? 0.08 : spilt ? 0.3 : 0.5;
      ribbon(context, box.x1, y1, box.x2, y2, thick);
    }
    context.globalAlpha = faint ? 0.3 : 1;
    edges(context, box.x1, y1, box.x2, y2, thick);
    if (spilt) stripes(context, box.x2, y2, thick);
    else context.fillRect(box.x2, y2, WIDTH, thick);
    start.filled += amount;
    end[spilt ? "spilt" : "filled"] += amount;
  }
  context.globalAlpha = 1;
}

function ribbon(context, x1, y1, x2, y2, thick) {
  const middle = (x1 + x2) / 2;
  context.beginPath();
  context.moveTo(x1, y1);
  context.bezierCurveTo(middle, y1, middle, y2, x2, y2);
  context.lineTo(x2, y2 + thick);
  context.bezierCurveTo(middle, y2 + thick, middle, y1 + thick, x1, y1 + thick);
  context.fill();
}

// A fill through which others are seen is pale: its edges have the full colour. A thin band is a line.
function edges(context, x1, y1, x2, y2, thick) {
  const middle = (x1 + x2) / 2;
  context.lineWidth = thick > 2 ? 1 : Math.min(1.4, Math.max(1, thick));
  context.beginPath();
  for (const side of thick > 2 ? [0.5, thick - 0.5] : [thick / 2]) {
    context.moveTo(x1, y1 + side);
    context.bezierCurveTo(middle, y1 + side, middle, y2 + side, x2, y2 + side);
  }
  context.stroke();
}

function stripes(context, x, y, thick) {
  for (let at = 0.5; at < thick; at += 3.5) context.fillRect(x, y + at, WIDTH, 1.5);
}

function names(context, { left, right }, box, colours, chosen, theme) {
  context.textBaseline = "middle";
  context.textAlign = "right";
  left.forEach(({ name }, i) => {
    context.fillStyle = colours[i];
    context.fillRect(NAME, box.left[i].top, WIDTH, box.left[i].room);
    write(context, name, NAME - 6, box.left[i], { active: false, most: NAME, ink: null }, theme);
  });
  context.textAlign = "left";
  right.forEach(({ name, note, limit }, e) => {
    const place = box.right[e];
    context.strokeStyle = e === chosen ? theme.text : theme.muted;
    context.lineWidth = e === chosen ? 2.5 : 1;
    context.strokeRect(box.x2 + 0.5, place.top + 0.5, WIDTH - 1, Math.max(1, limit * box.unit - 1));
    if (place.room >= 9 || e === chosen) tell(context, { name, note }, box.x2 + WIDTH + 6, place, e === chosen, theme);
  });
}

// A note stands below its name where there is room for two lines.
function tell(context, { name, note }, x, { top, room }, active, theme) {
  const line = (text, at, ink) =>
    write(context, text, x, { top: at, room: 0 }, { active: active || ink, most: NOTED, ink }, theme);
  const middle = top + room / 2;
  if (!note) return line(name, middle);
  if (room < 28) return line(`${name}: ${note}`, middle, theme.warm);
  line(name, middle - 8);
  line(note, middle + 8, theme.warm);
}

/** @param {any} context */
function write(context, text, x, { top, room }, { active, most, ink }, theme) {
  context.font = `${active ? "600 " : ""}12px ${theme.font}`;
  context.fillStyle = ink ?? (active ? theme.text : theme.muted);
  context.fillText(shorten(context, text, most - 8), x, top + room / 2);
}
