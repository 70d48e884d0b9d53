// The board: the queue, the heat map of the class and what is behind its cells, drawn anew whenever the server tells of a change.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, put } from "studium_widgets/controls/element.js";
import { summary } from "studium_widgets/controls/summary.js";
import { watchTheme } from "studium_widgets/controls/theme.js";
import { detailPanel } from "./detail.js";
import { follow } from "./events.js";
import { classGrid } from "./grid.js";
import { needsQueue } from "./queue.js";
import { EndedError, openSession, place } from "./session.js";
import { changes, moment, points, sentence, standingOf, STATES } from "./words.js";

const ORDERS = { name: "By name", need: "Who needs you first", right: "Fewest right first" };
const { signal } = new AbortController(); // the page has one end: that it is left
const main = document.getElementById("content");

function frame() {
  const state = { status: null, need: "", section: "", order: "name", open: null, lines: [], ask: null };
  const line = h("p", { class: "connection", role: "status" });
  const problem = h("p", { class: "note problem", role: "alert", hidden: true });
  const { elements, say } = summary(signal, () => {});
  const redraw = () => state.status && draw();
  const set = (values) => {
    Object.assign(state, values);
    redraw();
  };
  const queue = needsQueue((need) => set({ need, lines: [] }));
  const [order, section] = [select("Order", ORDERS), select("Section", {})];
  order.input.addEventListener("change", () => set({ order: order.input.value, lines: [] }));
  section.input.addEventListener("change", () => set({ section: section.input.value, lines: [] }));
  const grid = classGrid((open) => set({ open: JSON.stringify(open) === JSON.stringify(state.open) ? null : open }));
  const detail = detailPanel(
    (path) => state.ask(path),
    () => set({ open: null }),
  );
  const table = dataTable({ signal }, { caption: "The state of each student in each exercise" });
  const twin = h("div", { class: "studium twin" }, table.element);
  const tools = h("div", { class: "tools" }, order.element, section.element, key());
  const stage = h(
    "div",
    { class: "stage" },
    h("div", { class: "map" }, tools, grid.element, ...elements, twin),
    detail.element,
  );
  const course = h("p", { class: "eyebrow" }, place.course);
  const draw = () => {
    const { status } = state;
    put(course, "textContent", status.title);
    const rows = ordered(state, grid.element);
    document.title = `${status.assignment}: board`;
    problem.hidden = !status.problem;
    put(problem, "textContent", status.problem && `Grading has stopped: ${status.problem}.`);
    queue.draw(status.queue, state.need);
    section.offer(
      [...new Set(["", ...status.students.map((row) => row.section)])].sort(),
      (name) => name || "All sections",
    );
    grid.draw({ rows, exercises: status.exercises, sentences: status.sentences, open: state.open });
    table.draw(() => twinRows(status, rows));
    stage.classList.toggle("opened", Boolean(state.open));
    detail.draw(status, state.open);
  };
  watchTheme(twin, signal, redraw);
  main.replaceChildren(
    h("header", { class: "head" }, course, h("h1", {}, place.assignment), line),
    problem,
    queue.element,
    stage,
  );
  return { state, line, say, redraw };
}

function select(name, options) {
  const input = h("select", {});
  const element = h("label", {}, h("span", {}, name), input);
  const offer = (values, words) => {
    element.hidden = values.length < 3; // one section is no choice
    if ([...input.options].map(({ value }) => value).join("\n") === values.join("\n")) return;
    const chosen = input.value;
    input.replaceChildren(...values.map((value) => h("option", { value, selected: value === chosen }, words(value))));
  };
  offer(Object.keys(options), (value) => options[value]);
  return { element, input, offer };
}

function key() {
  const items = Object.entries(STATES).map(([state, { sign, words }]) =>
    h("li", {}, h("span", { "data-state": state, "aria-hidden": "true" }, sign), words),
  );
  return h("ul", { class: "key", "aria-label": "Signs" }, ...items);
}

// Rows keep their places while somebody moves among them: a line must not go away under the hand.
function ordered(state, grid) {
  const rows = state.status.students.filter(
    (row) => (!state.need || row.needs.includes(state.need)) && (!state.section || row.section === state.section),
  );
  if (!grid.matches(":focus-within, :hover") || !state.lines.length)
    state.lines = sorted(rows, state).map((row) => row.student);
  const at = new Map(state.lines.map((student, i) => [student, i]));
  return [...rows].sort((a, b) => (at.get(a.student) ?? Infinity) - (at.get(b.student) ?? Infinity) || 0);
}

function sorted(rows, { order, status }) {
  const urgency = Object.keys(status.queue);
  const rank = {
    name: () => 0,
    need: (row) => Math.min(urgency.length, ...row.needs.map((need) => urgency.indexOf(need))),
    right: (row) => row.exercises.filter((one) => one.state === "right").length,
  }[order];
  return [...rows].sort((a, b) => rank(a) - rank(b) || a.student.localeCompare(b.student));
}

function twinRows({ exercises }, rows) {
  const names = exercises.map(({ exercise }) => exercise);
  const mark = (row) => (row.score == null ? "" : `${points(row.score)} of ${points(row.max_score)}`);
  const cells = (row) => names.map((name) => STATES[standingOf(row, name).state].words);
  return {
    columns: ["student", "section", "handed in", "mark", "needs", ...names],
    rows: rows.map((row) => [row.student, row.section, row.state, mark(row), row.needs.join(", "), ...cells(row)]),
  };
}

async function run() {
  put(document.querySelector(".where"), "textContent", `${place.course} · ${place.assignment}`);
  const { state, line, say, redraw } = frame();
  state.ask = await openSession();
  const tell = (kind, text) => {
    line.dataset.kind = kind;
    put(line, "textContent", text);
  };
  const told = (data) => {
    const before = state.status;
    state.status = JSON.parse(data);
    redraw();
    say(sentence(state.status, before ? changes(before, state.status) : []));
    tell("live", "Live");
  };
  const lost = () =>
    line.dataset.kind !== "lost" &&
    tell("lost", `No connection since ${moment(Date.now())}: what you see may be out of date. Trying again.`);
  await follow({
    connect: (end) => state.ask("live", { signal: end }),
    told,
    lost,
    isEnd: (error) => error instanceof EndedError,
  });
}

function ended(error) {
  const command = `studium classroom board ${place.assignment}`;
  main.replaceChildren(
    h("h1", {}, "The board is closed"),
    h("p", {}, `${error.message[0].toUpperCase()}${error.message.slice(1)}.`),
    h("p", {}, "Make another link with ", h("code", {}, command), "."),
  );
  if (!(error instanceof EndedError)) throw error;
}

run().catch(ended);
export default null;
