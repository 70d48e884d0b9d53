// What an open lesson is marked with: a badge on each exercise, which tells its state and checks it, and the lesson's end.
import { checking } from "./card.js";
import { h } from "./element.js";
import { markEnding } from "./ending.js";
import { STATES, stateOf } from "./states.js";

export function markNotebooks(desk, tracker) {
  const draw = () => tracker.forEach((widget) => markAll(desk, widget));
  for (const name of ["syllabus", "jobs"]) desk.on(name, draw);
  tracker.widgetAdded.connect((_, widget) => {
    widget.context.ready.then(() => {
      widget.model?.cells.changed.connect(() => requestAnimationFrame(() => markAll(desk, widget)));
      const topic = topicOf(desk, widget);
      if (topic) markAll(desk, widget);
      else desk.load();
      if (widget.model?.getMetadata("studium")?.topic) desk.api.get("lesson", { path: widget.context.path }).catch(() => {}); // warms the checks
    });
  });
  desk.settings.changed = draw;
}

function topicOf(desk, widget) {
  const slug = widget.model?.getMetadata("studium")?.topic;
  return desk.lessons.find((topic) => topic.slug === slug);
}

function markAll(desk, widget) {
  const topic = topicOf(desk, widget);
  for (const cell of widget.content.widgets) {
    const exercise = topic?.exercises.find((one) => one.cell === cell.model.id);
    const old = cell.node.querySelector(":scope > .studium-badge");
    if (!exercise || !desk.settings.get("badges")) old?.remove();
    else mark(desk, widget, cell, exercise, old);
  }
  topic?.exercises.forEach((exercise) => standIn(desk, widget, exercise));
  markEnding(desk, widget, topic);
}

// Where no card is below an exercise yet, something stands in for it while the exercise is checked.
function standIn(desk, { content, context }, exercise) {
  const cell = content.widgets.find(({ model }) => model.id === exercise.check_cell);
  const old = cell?.node.querySelector(":scope > .studium-checking");
  const wanted = cell && desk.isUnderWay(context.path, exercise.id) && !cell.node.querySelector(".jp-OutputArea .studium-verdict-card");
  if (!wanted) old?.remove();
  else if (!old) cell.node.append(h("div", { class: "studium-verdict-card studium-checking" }, checking(exercise)));
}

function mark(desk, widget, cell, exercise, old) {
  const badge = old ?? cell.node.appendChild(h("button", { type: "button", "data-lm-suppress-shortcuts": "true" }));
  const state = stateOf(desk, widget.context.path, exercise);
  badge.className = `studium-badge studium-${state}`;
  badge.textContent = `${STATES[state].mark} ${STATES[state].word}`;
  const said = exercise.status === "wrong" ? `: ${exercise.mistake || exercise.message}` : "";
  badge.title = `${exercise.id} is ${STATES[state].word.toLowerCase()}${said}`;
  badge.setAttribute("aria-label", `${badge.title}. Check it`);
  badge.onclick = () => {
    desk.app.shell.activateById(widget.id);
    desk.check(exercise.id);
  };
}
