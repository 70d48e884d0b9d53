// Names beside the lines that they belong to, where there is room.

const PLACES = [0.9, 0.78, 0.66, 0.54, 0.42, 0.3, 0.18, 0.1]; // shares of a line, the preferred ones first
const [LETTERS, APART] = [13, 5]; // px: the height of a name, and what is between it and any line

/**
 * Writes the name of each line of `series` above or below it, clear of all lines and names. Gives whether all found room.
 * `kept`: a Map from a name to its place, so that it stays there while the lines move.
 */
export function nameLines(context, { series, x }, axes, theme, kept) {
  const boxes = [];
  for (const line of series) {
    const known = kept.get(line.name);
    const places = [...(known ? [known] : []), ...placesOf(line)];
    const found = places.find((place) => isFree(boxOf(context, line, place, x, axes), { series, x, axes, boxes }));
    if (found) boxes.push({ ...boxOf(context, line, found, x, axes), name: line.name });
    kept.set(line.name, found);
  }
  for (const box of boxes) write(context, box, theme);
  return boxes.length === series.length;
}

// Above, then below: at the line's top, and then from its end to its beginning.
function placesOf({ y }) {
  const top = y.indexOf(Math.max(...y.filter(Number.isFinite)));
  const all = [top, ...PLACES.map((share) => Math.round(share * (y.length - 1)))];
  return [-1, 1].flatMap((side) => all.map((at) => ({ at, side })));
}

function boxOf(context, line, { at, side }, x, axes) {
  const half = context.measureText(line.name).width / 2 + 2;
  const [across, up] = [axes.x.place(x[at]), axes.y.place(line.y[at]) + side * (LETTERS / 2 + APART)];
  return { left: across - half, right: across + half, top: up - LETTERS / 2, bottom: up + LETTERS / 2 };
}

function isFree(box, { series, x, axes, boxes }) {
  const [[left, right], [bottom, top]] = [axes.x.ends, axes.y.ends];
  if (!(box.left >= left && box.right <= right && box.top >= top && box.bottom <= bottom)) return false;
  if (boxes.some((other) => box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top)) return false;
  return !series.some(({ y }) => crosses(box, x, y, axes));
}

// Whether a line passes through a box: each piece of it, by its ends.
function crosses(box, x, y, axes) {
  const room = { left: box.left, right: box.right, top: box.top - 2, bottom: box.bottom + 2 };
  for (let i = 1; i < y.length; i++) {
    const [from, to] = [axes.x.place(x[i - 1]), axes.x.place(x[i])];
    if (to < room.left || from > room.right) continue;
    const ends = [axes.y.place(y[i - 1]), axes.y.place(y[i])];
    if (Math.max(...ends) >= room.top && Math.min(...ends) <= room.bottom) return true;
  }
  return false;
}

function write(context, { name, left, right, top, bottom }, theme) {
  Object.assign(context, { textAlign: "center", textBaseline: "middle", fillStyle: theme.text });
  context.fillText(name, (left + right) / 2, (top + bottom) / 2 + 0.5);
}
