// Students down, exercises across: a grid with one place in the order of Tab, in which arrow keys move and Enter opens.
import { h, put } from "studium_widgets/controls/element.js";
import { count, plain, points, standingOf, STATES } from "./words.js";

const STEPS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
};
const LABEL = "Students down, exercises across; arrow keys move, Enter opens";

/**
 * `opened({student?, exercise})` is called by a click, Enter or Space on a cell, or on the head of a column.
 * `draw({rows, exercises, sentences, open})`: `rows` in their order, `exercises` with their counts.
 */
export function classGrid(opened) {
  const [head, body] = [h("tr", {}), h("tbody", {})];
  const table = h("table", { role: "grid", "aria-label": LABEL }, h("thead", {}, head), body);
  const element = h("div", { class: "heat" }, table);
  const known = new Map(); // a line of the table for each student
  let columns = [];
  const draw = ({ rows, exercises, sentences, open }) => {
    const names = exercises.map(({ exercise }) => exercise);
    if (names.join("\n") !== columns.join("\n")) {
      columns = names;
      known.clear();
      head.replaceChildren(h("th", { scope: "col", class: "who" }, "Student"), ...names.map(columnHead));
    }
    exercises.forEach((counted, i) => fillHead(head.cells[i + 1], counted, rows, open));
    const lines = rows.map((row) => lineOf(known, row, columns));
    rows.forEach((row, i) => fillLine(lines[i], row, columns, sentences, open));
    if (lines.length !== body.rows.length || lines.some((line, i) => line !== body.rows[i])) replaced(body, lines);
    keepStop(table);
  };
  table.addEventListener("keydown", (event) => keyed(event, table, opened));
  table.addEventListener("focusin", ({ target }) => target.matches("[data-exercise]") && moveStop(table, target));
  table.addEventListener("click", ({ target }) => pick(target.closest("[data-exercise]"), opened));
  return { element, draw };
}

function columnHead(exercise) {
  const [, book, name] = /^(.*?)\.?([^.]+)$/.exec(exercise);
  const bar = Object.keys(STATES).map((state) => h("span", { class: state }));
  const words = [h("span", { class: "book" }, book || "\u00a0"), h("span", { class: "name" }, ...broken(name))];
  return h(
    "th",
    { scope: "col", tabindex: -1, "data-exercise": exercise },
    ...words,
    h("span", { class: "states", "aria-hidden": "true" }, ...bar),
  );
}

// A long name breaks behind an underscore.
const broken = (name) => name.split(/(?<=_)/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

function fillHead(cell, { exercise }, rows, open) {
  const counts = Object.fromEntries(Object.keys(STATES).map((state) => [state, 0]));
  for (const row of rows) counts[standingOf(row, exercise).state]++;
  const said = Object.entries(counts)
    .filter(([, number]) => number)
    .map(([state, number]) => `${number} ${STATES[state].words}`);
  label(cell, `${exercise}: ${said.join(", ") || "no student"}`);
  for (const part of cell.lastChild.children) part.style.flexGrow = counts[part.className];
  select(cell, open && !open.student && open.exercise === exercise);
}

function lineOf(known, row, columns) {
  if (!known.has(row.student)) {
    const cells = columns.map((exercise) =>
      h("td", { tabindex: -1, "data-exercise": exercise, "data-student": row.student }, h("span", {}), h("small", {})),
    );
    const who = h(
      "th",
      { scope: "row", class: "who" },
      h("span", { class: "name" }, row.student),
      h("span", { class: "mark" }),
    );
    known.set(row.student, h("tr", {}, who, ...cells));
  }
  return known.get(row.student);
}

function fillLine(line, row, columns, sentences, open) {
  put(line.cells[0].lastChild, "textContent", mark(row));
  columns.forEach((exercise, i) => {
    const [cell, found] = [line.cells[i + 1], standingOf(row, exercise)];
    const { sign, words } = STATES[found.state];
    if (cell.dataset.state && cell.dataset.state !== found.state) flash(cell);
    if (cell.dataset.state !== found.state) cell.dataset.state = found.state;
    put(cell.firstChild, "textContent", sign);
    put(cell.lastChild, "textContent", found.checks ? String(found.checks) : "");
    const tries = found.checks ? `, ${count(found.checks, "check")}` : "";
    label(
      cell,
      `${row.student}, ${exercise}: ${words}${tries}${found.mistake ? `. ${plain(sentences[found.mistake])}` : ""}`,
    );
    select(cell, open?.student === row.student && open.exercise === exercise);
  });
}

function mark({ state, score, max_score: most, late }) {
  const found = score == null ? state : `${points(score)} of ${points(most)}`;
  return late ? `${found}, late` : found;
}

function flash(cell) {
  cell.classList.remove("changed");
  void cell.offsetWidth; // so that the animation begins anew
  cell.classList.add("changed");
}

const label = (cell, text) => cell.getAttribute("aria-label") !== text && cell.setAttribute("aria-label", text);
const select = (cell, chosen) => cell.setAttribute("aria-selected", String(Boolean(chosen)));

// The element that has the focus keeps it while lines are put into another order.
function replaced(body, lines) {
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  body.replaceChildren(...lines);
  if (focused && body.contains(focused)) focused.focus({ preventScroll: true });
}

const moveStop = (table, cell) => {
  for (const old of table.querySelectorAll('[tabindex="0"]')) old.tabIndex = -1;
  cell.tabIndex = 0;
};

function keepStop(table) {
  const first = table.querySelector("[data-exercise]");
  if (first && !table.querySelector('[tabindex="0"]')) first.tabIndex = 0;
}

function keyed(event, table, opened) {
  const cell = event.target.closest("[data-exercise]");
  const step = STEPS[event.key];
  const enters = event.key === "Enter" || event.key === " ";
  if (!cell || event.altKey || event.metaKey || !(step || enters)) return;
  event.preventDefault();
  if (enters) return pick(cell, opened);
  const [down, across] =
    event.ctrlKey && step[0] === 0 ? [step[1] === Infinity || step[1] === 1 ? Infinity : -Infinity, step[1]] : step;
  const row = table.rows[clamp(cell.parentElement.rowIndex + down, 0, table.rows.length - 1)];
  row.cells[clamp(cell.cellIndex + across, 1, row.cells.length - 1)].focus();
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function pick(cell, opened) {
  if (!cell) return;
  const { student, exercise } = cell.dataset;
  opened(student === undefined ? { exercise } : { student, exercise });
}
