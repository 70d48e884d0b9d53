import { canvas, shorten } from "./canvas.js";
import { cellCursor } from "./cell_cursor.js";
import { table } from "./palette.js";

const NAMED = 48; // rows or columns up to which each has its name on the axis
const NAME_WIDTH = 84; // px at most

/**
 * A matrix as coloured cells. Hover or arrow keys move a cursor; click, Enter or Space picks a cell.
 * `moved([row, column] | null)`, `picked([row, column])`. `size`: largest width in px. `square`: cells are square.
 * `draw({data, rows, columns, range: [low, high], palette?, rowNames?, columnNames?, marked?})`: `data` has rows × columns
 * numbers, NaN is striped; `marked` is a row to point out. `overlay()` redraws the cursor alone.
 */
export function heatMap(ui, { label, size = 460, square = true, moved = () => {}, picked = () => {} }) {
  const { element, fit } = canvas(label);
  const image = document.createElement("canvas");
  const view = { element, picture: null, box: null };
  const overlay = () => view.picture && compose(ui, view, image, fit);
  view.overlay = overlay;
  view.cursor = cellCursor(ui, element, {
    at: (x, y) => cellAt(view, x, y),
    size: () => [view.picture.rows, view.picture.columns],
    moved: (cell) => (overlay(), moved(cell)),
    picked,
  });
  view.draw = (picture) => {
    view.picture = picture;
    paint(image, picture, ui.theme.dark);
    view.box = layout(element, picture, size, square, ui.theme.font);
    overlay();
  };
  return view;
}

/** Writes one pixel a cell into the canvas `image`; cells that are not numbers stay clear. */
export function paint(image, { data, rows, columns, range: [low, high], palette = "sequential" }, dark) {
  if (image.width !== columns || image.height !== rows) Object.assign(image, { width: columns, height: rows });
  const context = image.getContext("2d");
  const pixels = context.createImageData(columns, rows);
  const out = new Uint32Array(pixels.data.buffer);
  const colours = table(palette, dark);
  const scale = 255 / (high - low || 1);
  for (let i = 0; i < out.length; i++) {
    const level = (data[i] - low) * scale;
    if (level === level) out[i] = colours[level < 0 ? 0 : level > 255 ? 255 : level | 0];
  }
  context.putImageData(pixels, 0, 0);
}

function layout(element, { rows, columns, rowNames, columnNames }, size, square, font) {
  const width = Math.max(120, Math.min(size, element.parentElement?.clientWidth || size));
  const context = element.getContext("2d");
  const longest = (names, count) => {
    if (!names || count > NAMED) return 0;
    context.font = `12px ${font}`;
    return Math.min(NAME_WIDTH, width / 4, 8 + Math.max(...names.map((name) => context.measureText(name).width)));
  };
  const [left, top] = [longest(rowNames, rows), longest(columnNames, columns)];
  const cell = (width - left - 1) / columns;
  const inner = square ? cell * rows : Math.min(width - left, cell * rows);
  return { left, top, width, cell, rowHeight: inner / rows, height: top + inner + 1 };
}

function cellAt({ picture, box }, x, y) {
  if (!picture) return null;
  const [row, column] = [Math.floor((y - box.top) / box.rowHeight), Math.floor((x - box.left) / box.cell)];
  const inside = row >= 0 && column >= 0 && row < picture.rows && column < picture.columns;
  return inside ? [row, column] : null;
}

function compose(ui, { picture, box, cursor, element }, image, fit) {
  const context = fit(box.width, box.height);
  context.imageSmoothingEnabled = false;
  hatch(context, box, [box.cell * picture.columns, box.rowHeight * picture.rows], ui.theme);
  context.drawImage(image, box.left, box.top, box.cell * picture.columns, box.rowHeight * picture.rows);
  if (box.cell >= 14) gaps(context, picture, box, ui.theme.surface);
  const cell = cursor?.cell ?? null;
  names(context, picture, box, ui.theme, cell);
  if (picture.marked >= 0) outline(context, box, [picture.marked, 0], picture.columns, ui.theme, 2);
  if (cell) outline(context, box, cell, 1, ui.theme, element.matches(":focus-visible") ? 3 : 2);
}

// What shows where a cell is not a number: stripes, which no colour of a palette can be taken for.
function hatch(context, { left, top }, [width, height], theme) {
  context.save();
  context.fillStyle = theme.raised;
  context.strokeStyle = theme.line;
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.fill();
  context.beginPath();
  for (let x = left - height; x < left + width; x += 7) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}

// Thin gaps between large cells, so that neighbours of one colour can be told apart.
function gaps(context, { rows, columns }, { left, top, cell, rowHeight }, surface) {
  context.fillStyle = surface;
  for (let i = 1; i < columns; i++) context.fillRect(left + i * cell - 0.5, top, 1, rows * rowHeight);
  for (let i = 1; i < rows; i++) context.fillRect(left, top + i * rowHeight - 0.5, columns * cell, 1);
}

function outline(context, { left, top, cell, rowHeight }, [row, column], span, theme, width) {
  const [x, y, w] = [left + column * cell, top + row * rowHeight, Math.max(cell * span, 3)];
  for (const [stroke, thick] of [[theme.surface, width + 2], [theme.warm, width]]) {
    context.lineWidth = thick;
    context.strokeStyle = stroke;
    context.strokeRect(x, y, w, Math.max(rowHeight, 3));
  }
}

function names(context, { rowNames, columnNames }, box, theme, cell) {
  context.textBaseline = "middle";
  const write = (text, at, active, width) => {
    context.font = `${active ? "600 " : ""}${Math.min(12, at)}px ${theme.font}`;
    context.fillStyle = active ? theme.text : theme.muted;
    context.fillText(shorten(context, text, width - 6), 0, 0);
  };
  context.textAlign = "right";
  if (box.left && box.rowHeight > 6) {
    rowNames.forEach((name, row) => {
      context.save();
      context.translate(box.left - 6, box.top + (row + 0.5) * box.rowHeight);
      write(name, box.rowHeight, cell?.[0] === row, box.left);
      context.restore();
    });
  }
  context.textAlign = "left";
  if (box.top && box.cell > 6) columnNames.forEach((name, column) => columnName(context, write, name, column, box, cell));
}

// Column names stand upright where they fit across the cell, and are turned where they do not.
function columnName(context, write, name, column, box, cell) {
  context.save();
  context.translate(box.left + (column + 0.5) * box.cell, box.top - 6);
  context.rotate(-Math.PI / 2);
  write(name, box.cell, cell?.[1] === column, box.top);
  context.restore();
}
