// The end of a lesson, below its last cell: what one can do now, predictions, mistakes overcome, and the next lesson.
import { button, h, prose } from "./element.js";

/** Puts the end of a lesson below its last cell once every exercise is done, and takes it away where one is not. */
export function markEnding(desk, panel, topic) {
  const last = panel.content.widgets.at(-1);
  const old = endingIn(panel);
  if (!last || topic?.status !== "done") return old?.remove();
  const told = JSON.stringify(topic.exercises.map(({ status, checked_at: at }) => [status, at]));
  if (old?.parentElement === last.node && old.dataset.told === told) return;
  const view = h("section", {
    class: "studium-ending",
    "data-told": told,
    "data-lm-suppress-shortcuts": "true",
    tabindex: -1,
    "aria-label": `The end of ${topic.title}`,
  });
  const focused = old?.contains(document.activeElement);
  old?.remove();
  last.node.append(view);
  if (focused) view.focus({ preventScroll: true });
  fill(desk, view, panel.context.path);
}

// Not in the panel's node: what is far from the screen is taken out of it.
function endingIn({ content }) {
  return content.widgets.map((cell) => cell.node.querySelector(":scope > .studium-ending")).find(Boolean);
}

/** Scrolls to the end of a lesson, as markEnding has put it there. */
export async function goToEnding(panel) {
  const ending = endingIn(panel);
  if (!ending) return;
  panel.content.scrollToItem(panel.content.widgets.length - 1, "end").catch(() => {}); // it may never settle
  await laidOut(ending);
  ending.scrollIntoView({ block: "center" });
  ending.focus({ preventScroll: true });
}

// The application hides, or takes out of the page, what is far from the screen.
function laidOut(element) {
  return new Promise((resolve) => {
    const observer = new ResizeObserver(([{ contentRect }]) => {
      if (!contentRect.height) return;
      observer.disconnect();
      resolve();
    });
    observer.observe(element);
  });
}

async function fill(desk, view, path) {
  const ending = await desk.tried(desk.api.get("ending", { path }));
  if (!ending) return view.remove();
  const next = desk.topics.find(({ slug }) => slug === ending.next);
  const counts = [...predictions(desk, ending.predictions), ...mistakes(ending.mistakes)];
  view.append(
    h("p", { class: "studium-eyebrow" }, "Lesson done"),
    h("h2", {}, ending.title),
    ...abilities(desk, ending.abilities),
    ...(counts.length ? [h("div", { class: "studium-counts" }, counts)] : []),
    ...(next
      ? [button(`Next lesson: ${next.title}`, () => desk.open(next), { kind: "studium-primary studium-begin" })]
      : []),
  );
}

function abilities(desk, lines) {
  if (!lines.length) return [];
  return [
    h("p", {}, h("strong", {}, "You can now")),
    h(
      "ul",
      {},
      lines.map((line) => h("li", {}, desk.markdown(line))),
    ),
  ];
}

function predictions(desk, found) {
  if (!found.length) return [];
  const line = ({ question, guess, value, hit }) =>
    h(
      "li",
      {},
      desk.markdown(question),
      `You expected ${number(guess)}, it was ${number(value)}: ${hit ? "a hit" : "a miss"}.`,
    );
  const words = `of ${found.length} prediction${found.length === 1 ? "" : "s"} hit`;
  return [counted(found.filter(({ hit }) => hit).length, words, found.map(line))];
}

function mistakes(found) {
  if (!found.length) return [];
  const line = ({ exercise, sentence }) => h("li", {}, h("code", {}, exercise), ": ", ...prose(sentence));
  return [counted(found.length, `mistake${found.length === 1 ? "" : "s"} overcome`, found.map(line))];
}

// A number, what it counts, and each of what was counted, to be unfolded.
function counted(total, words, lines) {
  return h("details", {}, h("summary", {}, h("strong", {}, String(total)), ` ${words}`), h("ul", {}, lines));
}

const number = (value) => Number(value.toPrecision(3)).toLocaleString("en");
