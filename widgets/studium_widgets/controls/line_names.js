// Names beside the lines that they belong to, where there is room.

const PLACES = [0.93, 0.85, 0.77, 0.69, 0.61, 0.57, 0.53, 0.45, 0.37, 0.29, 0.21, 0.13, 0.07]; // shares of a line, the preferred ones first
const [LETTERS, NEAR, FARTHER] = [13, 2, 6]; // px: the height of a name, around it to its own line, and how much more to others

/**
 * Writes the name of each line of `series` beside it, nearer to it than to any other, and none where one finds no room;
 * gives whether all found room. `kept`: a Map from a name to its place, so that it stays there while the lines move.
 */
export function nameLines(context, { series, x }, axes, theme, kept) {
  const lines = series.map(({ name, y }) => ({
    name,
    wide: context.measureText(name).width,
    points: pixels(x, y, axes),
  }));
  const boxes = [];
  for (const line of lines) {
    const places = [kept.get(line.name), ...placesOf(line)].filter((place) => place && line.points[place.at]);
    const found = places.find((place) => isFree(line, place, { lines, axes, boxes }));
    kept.set(line.name, found);
    if (!found) return false;
    boxes.push(boxOf(line, found));
  }
  boxes.forEach((box, i) => write(context, lines[i].name, box, theme));
  return true;
}

/** Writes the name of each line left of its point `at`, off the line, one below the other where points are near; gives true. */
export function nameAt(context, { series, x }, axes, theme) {
  const off = (y, at) => (at && axes.y.place(y[at - 1]) < axes.y.place(y[at]) ? LETTERS : -LETTERS) * 0.7; // a falling line's name stands below it
  const found = series
    .map(({ name, y, at }) => ({ name, left: axes.x.place(x[at]), top: axes.y.place(y[at]) + off(y, at) }))
    .sort((a, b) => a.top - b.top);
  found.forEach((line, i) => (line.top = Math.max(line.top, i ? found[i - 1].top + LETTERS + 2 : LETTERS)));
  Object.assign(context, {
    strokeStyle: theme.surface,
    lineWidth: 4,
    lineJoin: "round",
    fillStyle: theme.text,
    textAlign: "right",
    textBaseline: "middle",
  });
  for (const draw of ["strokeText", "fillText"])
    for (const { name, left, top } of found) context[draw](name, left - 8, top);
  return true;
}

const pixels = (x, y, axes) =>
  Array.from(y, (value, i) => (Number.isFinite(value) ? [axes.x.place(x[i]), axes.y.place(value)] : null));

// At the line's top, then from its end to its beginning: above, below, to the right and to the left, nearer and farther.
function placesOf({ points }) {
  const top = points.reduce((best, point, i) => (point && (!points[best] || point[1] < points[best][1]) ? i : best), 0);
  const all = [top, ...PLACES.map((share) => Math.round(share * (points.length - 1)))];
  const sides = [5, 12, 20].flatMap((far) => [
    [0, -far],
    [0, far],
  ]);
  return [...sides, [8, 0], [-8, 0]].flatMap((side) => all.map((at) => ({ at, side })));
}

function boxOf({ points, wide }, { at, side: [dx, dy] }) {
  const [x, y] = points[at];
  const across = x + Math.sign(dx) * (wide / 2) + dx;
  const up = y + Math.sign(dy) * (LETTERS / 2) + dy;
  return { left: across - wide / 2, right: across + wide / 2, top: up - LETTERS / 2, bottom: up + LETTERS / 2 };
}

function isFree(own, place, { lines, axes, boxes }) {
  const box = boxOf(own, place);
  const far = Math.max(...place.side.map(Math.abs)) + FARTHER;
  const [[left, right], [bottom, top]] = [axes.x.ends, axes.y.ends];
  if (!(box.left >= left && box.right <= right && box.top >= top && box.bottom <= bottom)) return false;
  if (
    boxes.some(
      (other) =>
        box.left < other.right + far &&
        box.right > other.left - far &&
        box.top < other.bottom &&
        box.bottom > other.top,
    )
  )
    return false;
  return !lines.some((line) => crosses(grown(box, line === own ? NEAR : far), line.points));
}

const grown = ({ left, right, top, bottom }, by) => ({
  left: left - by,
  right: right + by,
  top: top - by,
  bottom: bottom + by,
});

// Whether a line passes through a box: each piece of it, by its ends.
function crosses(box, points) {
  for (let i = 1; i < points.length; i++) {
    const [from, to] = [points[i - 1], points[i]];
    if (!from || !to || to[0] < box.left || from[0] > box.right) continue;
    if (Math.max(from[1], to[1]) >= box.top && Math.min(from[1], to[1]) <= box.bottom) return true;
  }
  return false;
}

function write(context, name, { left, right, top, bottom }, theme) {
  Object.assign(context, { textAlign: "center", textBaseline: "middle", fillStyle: theme.text });
  context.fillText(name, (left + right) / 2, (top + bottom) / 2 + 0.5);
}
