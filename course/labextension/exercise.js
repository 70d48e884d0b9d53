// One exercise: its state, what is wrong with it, and what one can do: check, hint, solution, start again, old answers.
import { button, h, prose } from "./element.js";
import { helpButtons, redraw, turns } from "./help.js";
import { STATES, stateOf } from "./states.js";

export function exerciseView(desk) {
  const element = h("li", { class: "studium-exercise" });
  const extra = h("div", { class: "studium-extra", role: "status" });
  const turn = turns(extra);
  const draw = (topic, exercise) => {
    const { path } = topic;
    const state = stateOf(desk, path, exercise);
    const job = path && desk.jobOf(path, exercise.id);
    const { mark, word } = STATES[state];
    const points = exercise.points === 1 ? "1 point" : `${exercise.points} points`;
    const name = [exercise.id, word.toLowerCase(), exercise.optional && "optional", points].filter(Boolean).join(", ");
    const folded = isFolded(element, state, exercise);
    element.className = `studium-exercise studium-${state}${folded ? " studium-folded" : ""}`;
    redraw(element, [path, exercise, state, job], () =>
      element.replaceChildren(
        h(
          "div",
          { class: "studium-row" },
          button(
            [h("span", { class: "studium-mark", "aria-hidden": "true" }, mark), exercise.id],
            () => desk.open(topic, exercise.cell),
            { kind: "studium-link", label: `${name}. Go there` },
          ),
          h("span", { class: "studium-note" }, folded ? points : (exercise.label?.text ?? `${exercise.minutes} min`)),
          folded ? arrow(element, exercise) : "",
        ),
        h("p", { class: "studium-note" }, facts(exercise)),
        h("p", { class: "studium-word" }, byYourself(exercise, state, word)),
        ...(exercise.outcome === "wrong" && state !== "unchecked" ? trouble(exercise) : []),
        tools(desk, topic, exercise, job, turn),
        extra,
      ),
    );
  };
  return { element, draw };
}

// What is right is one line, and a check of it changes that only by its result. The arrow at its end opens it (desk.css).
function isFolded(element, state, { outcome }) {
  if (state === "checking") return element.classList.contains("studium-folded");
  return outcome === "right" && (state === "right" || state === "revealed");
}

function arrow(element, { id }) {
  const tell = (open) => made.setAttribute("aria-expanded", String(open));
  const made = button(h("span", { "aria-hidden": "true" }, "▸"), () => tell(element.toggleAttribute("data-open")), {
    kind: "studium-arrow",
    label: `More on ${id}`,
  });
  tell(element.hasAttribute("data-open"));
  return made;
}

const IMPORTANCE = { 1: "good to know", 2: "the lesson uses it", 3: "the lesson's heart" };

// As the notebook says it above the cell.
function facts({ optional, level, kind, importance }) {
  return [optional && "optional", level, kind, IMPORTANCE[importance]].filter(Boolean).join(" · ");
}

function byYourself(exercise, state, word) {
  if (state === "revealed" && exercise.outcome === "right") return "Right, with the solution seen";
  const tries = exercise.attempts === 1 ? "1 attempt" : `${exercise.attempts} attempts`;
  const before = state === "unchecked" && exercise.was_right && "right before";
  return [word, before, exercise.attempts && tries].filter(Boolean).join(" · ");
}

// The first failure alone: one thing at a time.
function trouble(exercise) {
  const lines = [];
  if (exercise.mistake) lines.push(h("p", { class: "studium-mistake" }, prose(exercise.mistake)));
  if (exercise.smallest) lines.push(h("p", { class: "studium-note" }, prose(exercise.smallest)));
  const failed = () =>
    h("p", { class: "studium-note" }, prose([exercise.test, exercise.message].filter(Boolean).join(": ")));
  if (exercise.message && !exercise.mistake) lines.push(failed());
  if (exercise.message && exercise.mistake)
    lines.push(h("details", {}, h("summary", { class: "studium-note" }, "The test that failed"), failed()));
  return lines;
}

function tools(desk, topic, exercise, job, turn) {
  const { path } = topic;
  if (job) {
    const wait = job.position ? `Waiting, ${job.position} before it` : "Waiting, the next one";
    const text = job.state === "running" ? `Running, ${Math.ceil(job.left)} s left` : wait;
    return h(
      "div",
      { class: "studium-row" },
      h("span", { class: "studium-note" }, text),
      button("Cancel", () => desk.cancel(job), { label: `Cancel the check of ${exercise.id}` }),
    );
  }
  if (!path) return "";
  const named = (text) => ({ label: `${text} ${exercise.id}` });
  const made = [
    button("Check", () => checkAt(desk, topic, exercise), named("Check")),
    ...helpButtons(desk, path, exercise, turn),
  ];
  if (exercise.versions || exercise.attempts) {
    made.push(button("Start again", () => reset(desk, path, exercise, turn()), named("Start again with")));
    made.push(button("Old answers", () => versions(desk, path, exercise, turn()), named("Old answers of")));
  }
  return h("div", { class: "studium-tools" }, made);
}

async function checkAt(desk, topic, exercise) {
  if (desk.path !== topic.path) await desk.open(topic, exercise.cell);
  await desk.check(exercise.id);
}

async function reset(desk, path, exercise, show) {
  const body = { path, exercise: exercise.id };
  const answer = await desk.changeFile(path, () => desk.api.post("reset", body));
  if (!answer) return;
  const undo = () => restore(desk, path, exercise, answer.version, show);
  show(
    h("p", { class: "studium-note" }, "The cell is empty again. Your answer is kept under old answers."),
    button("Undo", undo),
  );
}

async function restore(desk, path, exercise, version, show) {
  const body = { path, exercise: exercise.id, version };
  if (!(await desk.changeFile(path, () => desk.api.post("restore", body)))) return;
  show(h("p", { class: "studium-note" }, "The answer is back in its cell."));
  if (desk.path === path) await desk.check(exercise.id);
}

async function versions(desk, path, exercise, show) {
  const answer = await desk.history(path, exercise.id);
  if (!answer) return;
  const line = ({ id, time, reason, outcome, answer: text }) =>
    h(
      "details",
      {},
      h("summary", {}, `${new Date(time).toLocaleString()}, ${reason}${outcome ? `, ${outcome}` : ""}`),
      h("pre", { tabindex: 0 }, text),
      button("Put it back", () => restore(desk, path, exercise, id, show)),
    );
  show(
    ...(answer.versions.length
      ? answer.versions.map(line)
      : [h("p", { class: "studium-note" }, "You have no old answers yet.")]),
  );
}
