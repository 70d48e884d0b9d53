// The end of a lesson: what one can do now, how one's predictions came out, the mistakes overcome, and the next lesson.
import { button, h, prose } from "./element.js";

/** What stands below the last verdict of the lesson at `path`. */
export async function endingView(desk, path) {
  const ending = await desk.tried(desk.api.get("ending", { path }));
  if (!ending) return [];
  const next = desk.topics.find(({ slug }) => slug === ending.next);
  return [
    h("section", { class: "studium-ending", "aria-label": `The end of ${ending.title}` },
      h("p", { class: "studium-eyebrow" }, "Lesson done"),
      h("h3", {}, ending.title),
      ...abilities(desk, ending.abilities),
      h("div", { class: "studium-results-row" }, ...predictions(desk, ending.predictions), ...mistakes(desk, ending.mistakes)),
      next ? button(`Next lesson: ${next.title}`, () => desk.open(next), { kind: "studium-primary studium-begin" }) : "",
    ),
  ];
}

function abilities(desk, lines) {
  if (!lines.length) return [];
  return [h("p", {}, h("strong", {}, "You can now")), h("ul", {}, lines.map((line) => h("li", {}, desk.markdown(line))))];
}

function predictions(desk, found) {
  if (!found.length) return [];
  const line = ({ question, guess, value, hit }) => h("li", {}, desk.markdown(question), h("span", { class: "studium-note" }, `You expected ${number(guess)}, it was ${number(value)}: ${hit ? "a hit" : "a miss"}`));
  return [counted(found.filter(({ hit }) => hit).length, `of ${count(found, "prediction")} hit`, found.map(line))];
}

function mistakes(desk, found) {
  if (!found.length) return [];
  const line = ({ exercise, sentence }) => h("li", {}, h("code", {}, exercise), ": ", prose(sentence));
  return [counted(found.length, `${found.length === 1 ? "mistake" : "mistakes"} overcome`, found.map(line))];
}

// A number that counts, and what it counts, to be unfolded.
function counted(total, words, lines) {
  return h("details", { class: "studium-counted" }, h("summary", {}, h("strong", {}, String(total)), ` ${words}`), h("ul", {}, lines));
}

const count = ({ length }, word) => `${length} ${word}${length === 1 ? "" : "s"}`;
const number = (value) => Number(value.toPrecision(3)).toLocaleString("en");
