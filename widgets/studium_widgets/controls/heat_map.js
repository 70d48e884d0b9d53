import { canvas, shorten } from "./canvas.js";
import { cellCursor } from "./cell_cursor.js";
import { memo } from "./memo.js";
import { table } from "./palette.js";

const FLAT = 18; // px above the columns, of names that are not turned
const NAMED = 11; // px of a row or column from which each has its name on the axis
const NAME_WIDTH = 84; // px at most
const STRIPE = 7; // px from one stripe to the next

/**
 * A matrix as coloured cells. Hover or arrow keys move a cursor; click, Enter or Space picks a cell.
 * `moved([row, column] | null)`, `picked([row, column])`. `size`: largest width in px. `square`: cells are square.
 * `draw({data, rows, columns, range: [low, high], palette?, rowNames?, columnNames?, marked?, flag?, dots?})`: `data` has rows × columns
 * numbers, NaN is striped; `marked` is a row to point out, `flag` a cell [row, column], `dots` a 1 for each cell that gets a dot.
 * `overlay()` redraws the cursor alone.
 * @param {any} ui
 * @param {{label: string, size?: number, square?: boolean, moved?: (at: any) => void, picked?: (at: any) => void}} options
 */
export function heatMap(ui, { label, size = 460, square = true, moved = () => {}, picked = () => {} }) {
  const { element, fit } = canvas(label);
  const image = document.createElement("canvas");
  const view = /** @type {any} */ ({ element, picture: null, holes: false, box: null, font: null, widths: null });
  const overlay = () => view.picture && compose(ui, view, image, fit);
  view.overlay = overlay;
  view.cursor = cellCursor(ui, element, {
    at: (x, y) => cellAt(view, x, y),
    size: () => [view.picture.rows, view.picture.columns],
    moved: (cell) => {
      overlay();
      moved(cell);
    },
    picked,
  });
  view.draw = (picture) => {
    view.picture = picture;
    view.holes = paint(image, picture, ui.theme.dark);
    if (view.font !== ui.theme.font) Object.assign(view, { font: ui.theme.font, widths: new Map() });
    view.box = layout(ui, view, size, square);
    overlay();
  };
  return view;
}

/** Writes one pixel a cell into the canvas `image`; cells that are not numbers stay clear. True where there are some. */
export function paint(image, { data, rows, columns, range: [low, high], palette = "sequential" }, dark) {
  if (image.width !== columns || image.height !== rows) Object.assign(image, { width: columns, height: rows });
  const context = image.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  const out = new Uint32Array(pixels.data.buffer);
  const colours = table(palette, dark);
  const scale = 255 / (high - low || 1);
  let holes = false;
  for (let i = 0; i < out.length; i++) {
    const level = (data[i] - low) * scale;
    if (!Number.isNaN(level)) out[i] = colours[level < 0 ? 0 : level > 255 ? 255 : level | 0];
    else holes = true;
  }
  context.putImageData(pixels, 0, 0);
  return holes;
}

function layout(ui, { element, picture: { rows, columns, rowNames, columnNames }, widths }, size, square) {
  const width = Math.max(48, Math.min(size, ui.widthOf(element.parentElement) || size));
  const context = element.getContext("2d");
  const measure = (name) => {
    if (!widths.has(name)) widths.set(name, context.measureText(name).width);
    return widths.get(name);
  };
  const longest = (names, count) => {
    if (!names || width / count < NAMED) return 0;
    context.font = `12px ${ui.theme.font}`;
    return Math.min(NAME_WIDTH, width / 4, 8 + Math.max(...names.map(measure)));
  };
  const [left, above] = [longest(rowNames, rows), longest(columnNames, columns)];
  const cell = (width - left - 1) / columns;
  const flat = above > 0 && above - 8 <= cell - 4; // every column's name fits above its column
  const top = flat ? FLAT : above;
  const inner = square ? cell * rows : Math.min(width - left, cell * rows);
  return { left, top, width, cell, rowHeight: inner / rows, height: top + inner + 1, flat };
}

function cellAt({ picture, box }, x, y) {
  if (!picture) return null;
  const [row, column] = [Math.floor((y - box.top) / box.rowHeight), Math.floor((x - box.left) / box.cell)];
  const inside = row >= 0 && column >= 0 && row < picture.rows && column < picture.columns;
  return inside ? [row, column] : null;
}

function compose(ui, { picture, holes, box, cursor, element, widths }, image, fit) {
  const context = fit(box.width, box.height);
  context.imageSmoothingEnabled = false;
  if (holes) hatch(context, box, [box.cell * picture.columns, box.rowHeight * picture.rows], ui.theme);
  context.drawImage(image, box.left, box.top, box.cell * picture.columns, box.rowHeight * picture.rows);
  if (box.cell >= 14) gaps(context, picture, box, ui.theme.surface);
  const cell = cursor?.cell ?? null;
  names(context, picture, box, ui.theme, cell, widths);
  if (picture.dots && box.cell >= 6) dots(context, picture, box, ui.theme);
  if (picture.flag) flag(context, box, picture.flag, ui.theme);
  if (picture.marked >= 0) outline(context, box, [picture.marked, 0], picture.columns, ui.theme, 2);
  if (cell) outline(context, box, cell, 1, ui.theme, element.matches(":focus-visible") ? 3 : 2);
}

// What shows where a cell is not a number: stripes, which no colour of a palette can be taken for.
function hatch(context, { left, top }, [width, height], { raised, line }) {
  context.fillStyle = context.createPattern(stripes(raised, line), "repeat");
  context.fillRect(left, top, width, height);
}

const stripes = memo((raised, line) => {
  const tile = document.createElement("canvas");
  Object.assign(tile, { width: STRIPE, height: STRIPE });
  const context = tile.getContext("2d");
  context.fillStyle = raised;
  context.fillRect(0, 0, STRIPE, STRIPE);
  context.strokeStyle = line;
  context.beginPath();
  for (const right of [1, STRIPE + 1, 2 * STRIPE + 1]) {
    context.moveTo(right, -1);
    context.lineTo(right - STRIPE - 2, STRIPE + 1);
  }
  context.stroke();
  return tile;
});

// Thin gaps between large cells, so that neighbours of one colour can be told apart.
function gaps(context, { rows, columns }, { left, top, cell, rowHeight }, surface) {
  context.fillStyle = surface;
  for (let i = 1; i < columns; i++) context.fillRect(left + i * cell - 0.5, top, 1, rows * rowHeight);
  for (let i = 1; i < rows; i++) context.fillRect(left, top + i * rowHeight - 0.5, columns * cell, 1);
}

function dots(context, { dots: shown, columns }, { left, top, cell, rowHeight }, theme) {
  for (let i = 0; i < shown.length; i++) {
    if (!shown[i]) continue;
    context.beginPath();
    context.arc(
      left + ((i % columns) + 0.5) * cell,
      top + (Math.floor(i / columns) + 0.5) * rowHeight,
      Math.min(3, cell / 5),
      0,
      7,
    );
    context.fillStyle = theme.text;
    context.strokeStyle = theme.surface;
    context.lineWidth = 1.5;
    context.stroke();
    context.fill();
  }
}

// A ring around a cell, large enough to be seen around a small one; smaller, and moved inwards, where it would be cut off.
function flag(context, { left, top, width, height, cell, rowHeight }, [row, column], theme) {
  const radius = Math.max(1, Math.min(Math.max(7, 0.62 * Math.max(cell, rowHeight)), Math.min(width, height) / 2 - 3));
  const inside = (at, size) => Math.max(radius + 3, Math.min(size - radius - 3, at));
  const [x, y] = [inside(left + (column + 0.5) * cell, width), inside(top + (row + 0.5) * rowHeight, height)];
  for (const [stroke, width] of [
    [theme.surface, 5],
    [theme.text, 2],
  ]) {
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    context.stroke();
  }
}

function outline(context, { left, top, cell, rowHeight }, [row, column], span, theme, width) {
  const [x, y, w] = [left + column * cell, top + row * rowHeight, Math.max(cell * span, 3)];
  for (const [stroke, thick] of [
    [theme.surface, width + 2],
    [theme.text, width],
  ]) {
    context.lineWidth = thick;
    context.strokeStyle = stroke;
    context.strokeRect(x, y, w, Math.max(rowHeight, 3));
  }
}

// Row names to the left, column names above, turned where one is wider than its column. A font costs as much as a word: it is set once for all that share it.
function names(context, { rowNames, columnNames }, box, theme, cell, widths) {
  const write = (list, at, most, chosen, place) => {
    const size = Math.min(12, at);
    const short = (name) => ((widths.get(name) * size) / 12 < most - 6 ? name : shorten(context, name, most - 6));
    const fill = (name, i) => context.fillText(short(name), ...place((i + 0.5) * at));
    Object.assign(context, { font: `${size}px ${theme.font}`, fillStyle: theme.muted });
    list.forEach((name, i) => i !== chosen && fill(name, i));
    if (!(chosen < list.length)) return;
    Object.assign(context, { font: `600 ${size}px ${theme.font}`, fillStyle: theme.text });
    context.fillText(shorten(context, list[chosen], most - 6), ...place((chosen + 0.5) * at));
  };
  context.save();
  Object.assign(context, { textBaseline: "middle", textAlign: "right" });
  if (box.left && box.rowHeight > 6)
    write(rowNames, box.rowHeight, box.left, cell?.[0], (y) => [box.left - 6, box.top + y]);
  if (box.flat) {
    context.textAlign = "center";
    write(columnNames, box.cell, box.cell, cell?.[1], (x) => [box.left + x, box.top / 2]);
  } else if (box.top && box.cell > 6) {
    context.rotate(-Math.PI / 2);
    context.textAlign = "left";
    write(columnNames, box.cell, box.top, cell?.[1], (x) => [6 - box.top, box.left + x]);
  }
  context.restore();
}
