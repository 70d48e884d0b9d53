// Help with an exercise, in the panel and in its card: hints and solutions, shown where they were asked for.
import { button, h, prose } from "./element.js";

/** turn() → show(...content) of one action; false where it is late, and something else was asked for since. */
export function turns(element) {
  let latest = null;
  return () => {
    const show = (...content) => (show === latest ? element.replaceChildren(...content) : false);
    return (latest = show);
  };
}

const drawn = new WeakMap(); // what each element was drawn from

/** Draws an element where what it is drawn from has changed: a button that is replaced while it is pressed is not clicked. The focus stays on the button of the same name. */
export function redraw(element, from, draw) {
  const told = JSON.stringify(from);
  if (drawn.get(element) === told) return;
  drawn.set(element, told);
  const focused = element.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  draw();
  if (focused) [...element.querySelectorAll("button")].find((one) => nameOf(one) === focused)?.focus();
}

const nameOf = (element) => element.textContent.replace(/\d/g, ""); // "Hint 0/3" becomes "Hint 1/3"

/** The buttons for help that an exercise has: its hints, where they are wanted, and its solution once it may be seen. */
export function helpButtons(desk, path, exercise, turn, { hints = true } = {}) {
  const taken = `Hint ${exercise.hints_taken}/${exercise.hints}`;
  const made = [];
  if (hints && exercise.hints)
    made.push(button(taken, () => hint(desk, path, exercise, turn()), { label: `${taken} for ${exercise.id}` }));
  if (exercise.can_reveal)
    made.push(
      button("Solution", () => solution(desk, path, exercise, turn()), { label: `Solution of ${exercise.id}` }),
    );
  return made;
}

async function hint(desk, path, exercise, show) {
  const answer = await desk.hint(path, exercise.id);
  if (answer)
    show(
      h(
        "ol",
        { class: "studium-hints" },
        answer.hints.map((text) => h("li", {}, prose(text))),
      ),
    );
}

async function solution(desk, path, exercise, show) {
  const reveal = async () => {
    const answer = await desk.reveal(path, exercise.id);
    if (answer) show(h("pre", { tabindex: 0 }, answer.solution));
  };
  if (exercise.revealed || exercise.status === "right") return reveal();
  show(
    h("p", { class: "studium-note" }, "Your progress will record that you have seen the solution."),
    h(
      "div",
      { class: "studium-tools" },
      button("Show it", reveal),
      button("Not yet", () => show()),
    ),
  );
}
