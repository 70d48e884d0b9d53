import { drawAxes, leftOf, MARGIN, scale } from "./axes.js";
import { canvas } from "./canvas.js";
import { cellCursor } from "./cell_cursor.js";
import { marker } from "./markers.js";

const REACH = 26; // px from which a point is pointed at
const NAMED = 40; // points up to which names are written where there is room

/**
 * Named points in a plane; the arrow keys go through them from left to right.
 * `draw({points: [{name, x, y, kind, radius, faint?}], x, y, path?, chosen?})`: `x`, `y`: {label, log, range}; points sorted
 * by x; `kind` is the number of a shape and colour; `path` is a list of places to join. `moved(index | null)`, `picked(index)`.
 * @param {any} ui
 * @param {{label: string, height?: number, moved?: (at: any) => void, picked?: (at: any) => void}} options
 */
export function scatter(ui, { label, height = 360, moved = () => {}, picked = () => {} }) {
  const { element, fit } = canvas(label);
  const view = /** @type {any} */ ({ element, content: null, axes: null });
  const compose = () => view.content && drawAll(ui, view, fit);
  view.cursor = cellCursor(ui, element, {
    at: (x, y) => view.axes && nearest(view, x, y),
    size: () => [1, Math.max(1, view.content.points.length)],
    moved: (cell) => {
      compose();
      moved(cell ? cell[1] : null);
    },
    picked: ([, index]) => picked(index),
  });
  view.draw = (content) => {
    const width = Math.max(200, ui.widthOf(element.parentElement) || 480);
    const y = scale(content.y, content.y.range, height - MARGIN.bottom, MARGIN.top);
    const x = scale(content.x, content.x.range, leftOf(y.ticks), width - MARGIN.right);
    Object.assign(view, { content, axes: { x, y, width, height } });
    compose();
  };
  return view;
}

const placed = ({ x, y }, point) => [x.place(point.x), y.place(point.y)];

function nearest({ content, axes }, left, top) {
  const gaps = content.points.map((point) => {
    const [x, y] = placed(axes, point);
    return Math.hypot(x - left, y - top);
  });
  const best = gaps.indexOf(Math.min(...gaps));
  return gaps[best] <= REACH ? [0, best] : null;
}

function drawAll(ui, { content, axes, cursor }, fit) {
  const context = fit(axes.width, axes.height);
  context.font = `12px ${ui.theme.font}`;
  drawAxes(context, axes, ui.theme);
  if (content.path) drawPath(context, content.path, axes, ui.theme);
  const under = cursor?.cell?.[1] ?? -1;
  const order = content.points.map((_, i) => i).sort((a, b) => content.points[b].radius - content.points[a].radius); // small ones on top
  order.forEach((i) =>
    drawPoint(context, content.points[i], axes, ui.theme, i === under || content.points[i].name === content.chosen),
  );
  if (content.points.length <= NAMED) names(context, content, axes, ui.theme);
}

function drawPoint(context, point, axes, theme, active) {
  const [x, y] = placed(axes, point);
  context.globalAlpha = point.faint ? 0.5 : 1;
  marker(context, point.kind, x, y, point.radius, theme);
  context.globalAlpha = 1;
  if (!active) return;
  context.strokeStyle = theme.text;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, point.radius + 6, 0, 7);
  context.stroke();
}

function drawPath(context, path, axes, theme) {
  context.strokeStyle = theme.accent;
  context.lineWidth = 2;
  context.setLineDash([5, 4]);
  context.beginPath();
  path.forEach((point) => context.lineTo(...placed(axes, point)));
  context.stroke();
  context.setLineDash([]);
}

// Small boxes along the path, which names keep away from.
function along(path, axes) {
  const places = path.map((point) => placed(axes, point));
  return places.slice(1).flatMap(([x, y], i) => {
    const [x0, y0] = places[i];
    const count = Math.ceil(Math.hypot(x - x0, y - y0) / 4);
    return Array.from({ length: count }, (_, step) => [
      x0 + ((x - x0) * step) / count,
      y0 + ((y - y0) * step) / count,
    ]).map(([a, b]) => [a - 2, b - 2, a + 2, b + 2]);
  });
}

// Names beside the points, each where nothing lies in the way.
function names(context, { points, path }, axes, theme) {
  const taken = points.map((point) => {
    const [x, y] = placed(axes, point);
    return [x - point.radius, y - point.radius, x + point.radius, y + point.radius];
  });
  taken.push(...along(path ?? [], axes));
  const free = ([a, b, c, d]) =>
    a > axes.x.ends[0] &&
    c < axes.width &&
    b > 0 &&
    d < axes.height - MARGIN.bottom &&
    taken.every(([e, f, g, k]) => c < e || a > g || d < f || b > k);
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const point of points.toSorted((a, b) => Number(Boolean(a.faint)) - Number(Boolean(b.faint)))) {
    Object.assign(context, {
      font: `${point.faint ? 400 : 600} 12px ${theme.font}`,
      fillStyle: point.faint ? theme.muted : theme.text,
    });
    const [x, y] = placed(axes, point);
    const width = context.measureText(point.name).width;
    const gap = point.radius + 5;
    const spots = [
      [x + gap, y],
      [x - gap - width, y],
      [x - width / 2, y - gap - 6],
      [x - width / 2, y + gap + 6],
      [x + 4, y - gap - 6],
      [x - 4 - width, y - gap - 6],
      [x + 4, y + gap + 6],
      [x - 4 - width, y + gap + 6],
      [x - width / 2, y + gap + 20],
    ];
    const spot = spots.find(([left, middle]) => free([left, middle - 7, left + width, middle + 7]));
    if (!spot) continue;
    taken.push([spot[0], spot[1] - 7, spot[0] + width, spot[1] + 7]);
    context.fillText(point.name, ...spot);
  }
}
