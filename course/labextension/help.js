// Help with an exercise, in the panel and in its card: hints and solutions, shown where they were asked for.
import { button, h, prose } from "./element.js";

/** turn() → show(...content) of one action: a late answer to an earlier one does not take the place of what was asked for since. */
export function turns(element) {
  let latest = null;
  return () => {
    const show = (...content) => show === latest && element.replaceChildren(...content);
    return (latest = show);
  };
}

/** Draws an element anew; whoever has the focus in it keeps it. */
export function redraw(element, draw) {
  const focused = element.contains(document.activeElement) ? document.activeElement.textContent : null;
  draw();
  if (focused) [...element.querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
}

/** The buttons for help that an exercise has: its hints, and its solution once it may be seen. */
export function helpButtons(desk, path, exercise, turn) {
  const taken = `Hint ${exercise.hints_taken}/${exercise.hints}`;
  const made = [];
  if (exercise.hints) made.push(button(taken, () => hint(desk, path, exercise, turn()), { label: `${taken} for ${exercise.id}` }));
  if (exercise.can_reveal) made.push(button("Solution", () => solution(desk, path, exercise, turn()), { label: `Solution of ${exercise.id}` }));
  return made;
}

async function hint(desk, path, exercise, show) {
  const answer = await desk.hint(path, exercise.id);
  if (answer) show(h("ol", { class: "studium-hints" }, answer.hints.map((text) => h("li", {}, prose(text)))));
}

async function solution(desk, path, exercise, show) {
  const reveal = async () => {
    const answer = await desk.reveal(path, exercise.id);
    if (answer) show(h("pre", { tabindex: 0 }, answer.solution));
  };
  if (exercise.revealed || exercise.status === "right") return reveal();
  show(
    h("p", { class: "studium-note" }, "It will be noted that you have seen the solution."),
    h("div", { class: "studium-tools" }, button("Show it", reveal), button("Not yet", () => show())),
  );
}
