// What is behind a cell, or behind a column: a student's way through an exercise, or the mistakes that were made in it.
import { bars } from "studium_widgets/controls/bars.js";
import { h } from "studium_widgets/controls/element.js";
import { moment, plain, STATES, standingOf } from "./words.js";

const SIGNS = { right: "✓", wrong: "✗", "not attempted": "·" };
const percent = ({ value }) => `${Math.round(100 * value)} %`;
const between = ({ low, high }) => `${Math.round(100 * low)} to ${Math.round(100 * high)} %`;

/** `ask(path)` fetches a history; `closed()` is called by Escape and by the button. `draw(status, open)`: `open` is null, or as the grid gives it. */
export function detailPanel(ask, closed) {
  const title = h("h2", {});
  const content = h("div", {});
  const close = h("button", { type: "button", "aria-label": "Close" }, "×");
  const element = h("aside", { class: "detail", "aria-label": "Details", hidden: true }, close, title, content);
  let shown = "";
  close.addEventListener("click", closed);
  addEventListener("keydown", ({ key }) => key === "Escape" && !element.hidden && closed());
  const draw = async (status, open) => {
    element.hidden = !open;
    const key = open ? JSON.stringify([open, open.student ? standing(status, open) : counted(status, open)]) : "";
    if (key === shown) return;
    shown = key;
    if (!open) return;
    title.textContent = open.student ? `${open.student}, ${open.exercise}` : open.exercise;
    if (!open.student) return content.replaceChildren(...mistakes(status, counted(status, open)));
    const nodes = await history(ask, standing(status, open), open);
    if (key === shown) content.replaceChildren(...nodes);
  };
  return { element, draw };
}

const counted = (status, { exercise }) => status.exercises.find((one) => one.exercise === exercise);

function standing(status, { student, exercise }) {
  const row = status.students.find((one) => one.student === student);
  return row && { ...standingOf(row, exercise), sentence: row.sentence, attempts: row.attempts };
}

async function history(ask, found, { student, exercise }) {
  const said = [
    h(
      "p",
      { class: `verdict ${found?.state}` },
      h("span", { "aria-hidden": "true" }, `${STATES[found?.state ?? "untouched"].sign} `),
      STATES[found?.state ?? "untouched"].words,
    ),
  ];
  if (found?.sentence) said.push(h("p", { class: "note" }, found.sentence));
  try {
    const answer = await ask(`status/${[student, exercise].map(encodeURIComponent).join("/")}`);
    const { findings, sentences } = await answer.json();
    const lines = findings.map((one) => line(one, sentences));
    return [
      ...said,
      lines.length
        ? h("ol", { class: "history" }, ...lines)
        : h("p", { class: "note" }, "No check and no graded submission yet."),
    ];
  } catch (error) {
    return [...said, h("p", { class: "note", role: "alert" }, `The checks could not be loaded: ${error.message}.`)];
  }
}

function line({ at, outcome, mistake, attempt }, sentences) {
  const what = attempt ? `attempt ${attempt} was graded: ${outcome}` : `check: ${outcome}`;
  const head = h(
    "p",
    {},
    h("time", { datetime: at }, moment(at)),
    h(
      "span",
      { class: `outcome ${outcome.split(" ")[0]}` },
      h("span", { "aria-hidden": "true" }, `${SIGNS[outcome]} `),
      what,
    ),
  );
  return h("li", {}, head, ...(mistake ? [h("p", { class: "sentence" }, ...prose(sentences[mistake]))] : []));
}

function mistakes(status, found) {
  const missing = found.missing ? `, ${found.missing} without a check or a mark` : "";
  const outcomes = h(
    "p",
    {},
    `${found.right} right, ${found.wrong} wrong, ${found.not_attempted} not attempted${missing}.`,
  );
  if (!found.wrong) return [outcomes, h("p", { class: "note" }, "None of the newest answers is wrong.")];
  const [named, rest] = [found.mistakes, found.unnamed];
  const chart = bars(null, {
    label: `Mistakes in ${found.exercise}`,
    format: (value) => `${value} · ${Math.round((100 * value) / found.wrong)} %`,
  });
  const items = named.map(({ mistake, count }) => ({ name: plain(status.sentences[mistake]), value: count }));
  chart.draw(
    [...items, { name: "without a name", value: rest.count, accent: true }],
    Math.max(rest.count, ...named.map(({ count }) => count), 1),
  );
  const unnamed = `No name for ${rest.count} of ${found.wrong} wrong answers (${percent(found.unnamed_of_wrong)}, ${between(found.unnamed_of_wrong)}).`;
  return [
    outcomes,
    h("p", { class: "note" }, "The newest wrong answers, by mistake:"),
    h("div", { class: "studium" }, chart.element),
    h("p", { class: "note" }, unnamed),
  ];
}

// What stands between backticks is code, as in the report.
const prose = (text) => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? h("code", {}, part) : part));
