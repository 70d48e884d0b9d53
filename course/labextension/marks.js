// What an open lesson is marked with: a badge on each exercise, which tells its state and checks it, and the lesson's end.
import { checking } from "./card.js";
import { button, h } from "./element.js";
import { markEnding } from "./ending.js";
import { STATES, stateOf } from "./states.js";

const GONE = ["untouched", "wrong", "unchecked"]; // the states of a cell that does not hold a right answer

export function markNotebooks(desk, tracker) {
  desk.NotebookActions.executed.connect((_, { notebook, cell }) => afterCheck(desk, notebook, cell));
  const draw = () => tracker.forEach((widget) => markAll(desk, widget));
  for (const name of ["syllabus", "jobs"]) desk.on(name, draw);
  tracker.widgetAdded.connect((_, widget) => {
    widget.context.ready.then(() => {
      widget.model?.cells.changed.connect(() => requestAnimationFrame(() => markAll(desk, widget)));
      let waiting = 0;
      widget.model?.contentChanged.connect(() => {
        cancelAnimationFrame(waiting);
        waiting = requestAnimationFrame(() => statesOf(desk, widget) !== told.get(widget) && markAll(desk, widget)); // what was written may make a mark untrue
      });
      const topic = topicOf(desk, widget);
      if (topic) markAll(desk, widget);
      else desk.load();
      if (widget.model?.getMetadata("studium")?.topic)
        desk.api.get("lesson", { path: widget.context.path }).catch(() => {}); // warms the checks
    });
  });
  desk.settings.changed = draw;
}

const told = new WeakMap(); // notebook → the states that its marks tell

const statesOf = (desk, widget) =>
  topicOf(desk, widget)
    ?.exercises.map((exercise) => stateOf(desk, widget.context.path, exercise))
    .join();

// A check cell was run: the kernel has written down how the answer came out.
function afterCheck(desk, notebook, cell) {
  if (cell.model.getMetadata("studium")?.role !== "check") return;
  const panel = desk.tracker.find(({ content }) => content === notebook);
  if (!panel) return;
  desk.load();
  desk.keep(panel.context.path);
}

function topicOf(desk, widget) {
  const slug = widget.model?.getMetadata("studium")?.topic;
  return desk.lessons.find((topic) => topic.slug === slug);
}

function markAll(desk, widget) {
  const topic = topicOf(desk, widget);
  widget.content.toggleClass("studium-lesson", Boolean(topic));
  for (const cell of widget.content.widgets) {
    const exercise = topic?.exercises.find((one) => one.cell === cell.model.id);
    const old = cell.node.querySelector(":scope > .studium-badge");
    if (!exercise || !desk.settings.get("badges")) old?.remove();
    else mark(desk, widget, cell, exercise, old);
  }
  for (const exercise of topic?.exercises ?? []) {
    standIn(desk, widget, exercise);
    offer(desk, widget, exercise);
  }
  markEnding(desk, widget, topic);
  const states = statesOf(desk, widget);
  if (states === told.get(widget)) return;
  told.set(widget, states);
  desk.tell("jobs"); // the panel and the cards tell them as well
}

// Where no card is below an exercise yet, something stands in for it while the exercise is checked.
function standIn(desk, { content, context }, exercise) {
  const cell = content.widgets.find(({ model }) => model.id === exercise.check_cell);
  const old = cell?.node.querySelector(":scope > .studium-checking");
  const wanted =
    cell &&
    desk.isUnderWay(context.path, exercise.id) &&
    !cell.node.querySelector(".jp-OutputArea .studium-verdict-card");
  if (!wanted) old?.remove();
  else if (!old) cell.node.append(h("div", { class: "studium-verdict-card studium-checking" }, checking(exercise)));
}

// Where a cell does not hold the right answer that it once held, it can be had back.
function offer(desk, { content, context }, exercise) {
  const cell = content.widgets.find(({ model }) => model.id === exercise.cell);
  const old = cell?.node.querySelector(":scope > .studium-offer");
  const wanted = cell && exercise.was_right && GONE.includes(stateOf(desk, context.path, exercise));
  if (!wanted) return old?.remove();
  if (old) return;
  const back = button("Put the right answer back", () => desk.putBack(context.path, exercise), {
    label: `Put the right answer of ${exercise.id} back`,
  });
  cell.node.append(
    h(
      "div",
      { class: "studium-offer", "data-lm-suppress-shortcuts": "true" },
      h("span", { class: "studium-note" }, "You have had this right before."),
      back,
    ),
  );
}

function mark(desk, widget, cell, exercise, old) {
  const badge = old ?? cell.node.appendChild(h("button", { type: "button", "data-lm-suppress-shortcuts": "true" }));
  const state = stateOf(desk, widget.context.path, exercise);
  badge.className = `studium-badge studium-${state}`;
  const { mark, word, call } = STATES[state];
  badge.textContent = `${mark} ${call ?? word}`;
  const said = state === "wrong" ? `: ${exercise.mistake || exercise.message}` : "";
  badge.title = `${exercise.id} is ${word.toLowerCase()}${said}`;
  badge.setAttribute("aria-label", `${badge.title}. ${call ?? "Check again"}`);
  badge.onclick = () => {
    desk.app.shell.activateById(widget.id);
    desk.check(exercise.id);
  };
}
