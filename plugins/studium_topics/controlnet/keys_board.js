// The board to draw on: press and drag, or the arrow keys and Enter.
import { canvas } from "studium_widgets/controls/canvas.js";
import { cellCursor } from "studium_widgets/controls/cell_cursor.js";

const LARGEST = 272; // px

/** A canvas of side × side cells over the state `drawing`. `draw(drawing)`. */
export function board(ui) {
  const side = ui.get("side");
  const { element, fit } = canvas("Drawing: arrows move, Enter puts ink down or takes it away");
  element.classList.add("st-keys-board");
  const view = { cell: LARGEST / side };
  const at = (x, y) => {
    const [row, column] = [Math.floor(y / view.cell), Math.floor(x / view.cell)];
    return row >= 0 && column >= 0 && row < side && column < side ? [row, column] : null;
  };
  const pen = penOf(ui, element, at, side);
  const cursor = cellCursor(ui, element, {
    at,
    size: () => [side, side],
    moved: () => ui.redraw(),
    picked: pen.picked,
  });
  const draw = (drawing) => {
    const room = ui.widthOf(element.parentElement) || LARGEST;
    view.cell = Math.max(8, Math.floor(Math.min(LARGEST, room) / side));
    cells(fit(side * view.cell, side * view.cell), ui.theme, drawing, side, view.cell);
    if (cursor.cell) ring(element.getContext("2d"), ui.theme, cursor.cell, view.cell);
  };
  return { element, draw };
}

// The first cell that is pressed says whether the stroke puts ink down or takes it away.
function penOf(ui, element, at, side) {
  const pen = { ink: null, stroked: false };
  const listen = (type, listener) => element.addEventListener(type, listener, { signal: ui.signal });
  const put = ([row, column], ink) => {
    const place = row * side + column;
    const drawing = ui.get("drawing");
    if (drawing[place] !== ink) ui.set("drawing", drawing.slice(0, place) + ink + drawing.slice(place + 1));
  };
  const flipped = ([row, column]) => (ui.get("drawing")[row * side + column] === "1" ? "0" : "1");
  const under = (event) => {
    const box = element.getBoundingClientRect();
    return at(event.clientX - box.left, event.clientY - box.top);
  };
  const stroke = (event) => {
    const cell = under(event);
    if (pen.ink !== null && cell) put(cell, pen.ink);
  };
  listen("pointerdown", (event) => {
    const cell = under(event);
    if (!cell) return;
    Object.assign(pen, { ink: flipped(cell), stroked: true });
    element.setPointerCapture(event.pointerId);
    put(cell, pen.ink);
  });
  listen("pointermove", stroke);
  for (const end of ["pointerup", "pointercancel"]) listen(end, () => (pen.ink = null));
  const picked = (cell) => {
    if (!pen.stroked) put(cell, flipped(cell)); // a click ends a stroke, which has drawn already; a key has not
    pen.stroked = false;
  };
  return { picked };
}

function cells(context, theme, drawing, side, cell) {
  context.fillStyle = theme.raised;
  context.fillRect(0, 0, side * cell, side * cell);
  context.fillStyle = theme.accent;
  for (let p = 0; p < side * side; p++) {
    if (drawing[p] === "1") context.fillRect((p % side) * cell, Math.floor(p / side) * cell, cell, cell);
  }
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  for (let i = 0; i <= side; i++) {
    context.strokeRect(0, 0, Math.min(i * cell, side * cell), side * cell);
    context.strokeRect(0, 0, side * cell, i * cell);
  }
}

function ring(context, theme, [row, column], cell) {
  context.strokeStyle = theme.text;
  context.lineWidth = 2.5;
  context.strokeRect(column * cell + 1, row * cell + 1, cell - 2, cell - 2);
}
