const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const JUMPS = { PageUp: [-10, 0], PageDown: [10, 0], Home: [0, -Infinity], End: [0, Infinity] };

/**
 * A cursor over the cells of a picture, moved by pointer and by keyboard.
 * `at(x, y)` → [row, column] or null; `size()` → [rows, columns]; `moved(cell)` on every change, null when it leaves;
 * `picked(cell)` on click, Enter and Space. Gives {cell} (null or [row, column]) and move(cell).
 * @param {any} ui
 * @param {HTMLElement} element
 * @param {{at: (x: number, y: number) => number[] | null, size: () => number[], moved: (cell: any) => void, picked?: (cell: any) => void}} options
 */
export function cellCursor(ui, element, { at, size, moved, picked = () => {} }) {
  const cursor = /** @type {any} */ ({ cell: null });
  const listen = (type, listener) => element.addEventListener(type, listener, { signal: ui.signal });
  cursor.move = (cell) => {
    if (String(cell) === String(cursor.cell)) return;
    cursor.cell = cell;
    moved(cell);
  };
  const under = (event) => {
    const box = element.getBoundingClientRect();
    return at(event.clientX - box.left, event.clientY - box.top);
  };
  listen("pointermove", (event) => cursor.move(under(event)));
  listen("pointerleave", () => cursor.move(null));
  listen("click", (event) => {
    cursor.move(under(event));
    if (cursor.cell) picked(cursor.cell);
  });
  listen("blur", () => cursor.move(null));
  listen("keydown", (event) => keyed(event, cursor, size, picked));
  return cursor;
}

function keyed(event, cursor, size, picked) {
  const step = STEPS[event.key] ?? JUMPS[event.key];
  const pick = cursor.cell && (event.key === "Enter" || event.key === " ");
  const leave = cursor.cell && event.key === "Escape";
  if (event.ctrlKey || event.metaKey || event.altKey || !(step || pick || leave)) return;
  event.preventDefault();
  event.stopPropagation();
  if (leave) cursor.move(null);
  else if (pick) picked(cursor.cell);
  else cursor.move(stepped(cursor.cell, step, size()));
}

// The first key shows the cursor in the first cell.
function stepped(cell, step, size) {
  return cell ? cell.map((at, axis) => Math.min(size[axis] - 1, Math.max(0, at + step[axis]))) : [0, 0];
}
