// Predict, then reveal: the learner draws first what the data will say, and only then sees them.
import { h, suppress } from "./element.js";
import { drawn, extended, judge, ordered } from "./prediction_score.js";
import { short } from "./ticks.js";

const SHOWING = 900; // ms in which the truth runs in from the left

/**
 * The question and its buttons, over the state `prediction` (one number or null a point) and `revealed`.
 * Gives {element, asking(), values(), put(index, value, from), extend(), predicted(), share()}.
 * `count()` points are asked for, with the names `called(index)`; `how` says in one sentence how to answer. `extend()`: ends that a
 * stroke has just missed are filled. `share()`: how much of the truth to draw now.
 */
export function prediction(ui, { count, how, called }) {
  let since = -Infinity;
  const values = () => (ui.get("prediction").length === count() ? ui.get("prediction") : Array(count()).fill(null));
  const missing = () => values().filter((value) => value == null).length;
  const asking = () => !ui.get("revealed");
  const reveal = () => {
    since = ui.still ? -Infinity : performance.now();
    ui.set("revealed", true);
  };
  const again = () => {
    ui.set("prediction", []);
    ui.set("revealed", false);
  };
  const button = (text, action) => {
    const made = h("button", { type: "button", class: "st-button", ...suppress }, text);
    made.addEventListener("click", action, { signal: ui.signal });
    return made;
  };
  const pass = () => {
    ui.set("prediction", []);
    reveal();
  };
  const [show, skip, retry] = [
    button("Reveal", reveal),
    button("Show without predicting", pass),
    button("Predict again", again),
  ];
  show.classList.add("st-main");
  const question = h("span", { class: "st-prediction-question" });
  const element = h("div", { class: "st-prediction" }, question, show, skip, retry);
  const told = (left) => {
    if (left === 0) return "Your prediction stands. Change it, or reveal the truth.";
    return left === count() ? how : `Still missing: ${gap(values(), called)}.`;
  };
  const refresh = () => {
    const left = missing();
    question.textContent = asking() ? told(left) : "";
    for (const part of [show, skip]) part.hidden = !asking();
    show.disabled = left > 0;
    retry.hidden = asking();
  };
  for (const name of ["prediction", "revealed"]) ui.on(name, refresh);
  refresh();
  const share = () => {
    const part = Math.min(1, (performance.now() - since) / SHOWING);
    if (part < 1) ui.redraw();
    return part;
  };
  const put = (index, value, from = -1) => ui.set("prediction", drawn(values(), from, index, value));
  const extend = () => ui.set("prediction", extended(values()));
  return { element, asking, values, put, extend, share, predicted: () => missing() === 0 };
}

// The first stretch that has no value yet.
function gap(values, called) {
  const first = values.findIndex((value) => value == null);
  const after = values.findIndex((value, i) => i > first && value != null);
  const last = (after < 0 ? values.length : after) - 1;
  return first === last ? called(first) : `${called(first)} to ${called(last)}`;
}

const WAYS = { "-1": "falls", 0: "ends where it began", 1: "rises" };

/** One sentence about a drawn curve: the score, how far off it was, where most, and whether it goes the same way. */
export function curveVerdict(values, truth, x, { name, label, range, log }) {
  const { score, distance, worst, rises } = judge(values, truth, range, log);
  const off = log ? `by a factor of ${short(round(distance))}` : `by ${short(round(distance))}`;
  const where = `most at ${label} ${short(x[worst])}, where it is ${short(truth[worst])} and you said ${short(round(values[worst]))}`;
  const way =
    rises[0] === rises[1] ? `You saw that it ${WAYS[rises[1]]}` : `It ${WAYS[rises[1]]}; yours ${WAYS[rises[0]]}`;
  return `${score} of 100 for ${name}. ${way}. On average you were off ${off}, ${where}.`;
}

/** One sentence about predicted bars: the score, the order, and the bar furthest off. */
export function barsVerdict(values, truth, labels, { name, range }) {
  const { score, worst } = judge(values, truth, range);
  const { right, pairs } = ordered(values, truth);
  const order = right === pairs ? "The order is right" : `${right} of ${pairs} pairs are in the right order`;
  return `${score} of 100 for ${name}. ${order}; furthest off is ${labels[worst]}, ${short(truth[worst])} where you said ${short(round(values[worst]))}.`;
}

const round = (value) => Number(value.toPrecision(3));
