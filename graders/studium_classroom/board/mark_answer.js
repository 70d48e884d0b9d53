// What a student answered, as harmless HTML of the server: the only markup on this page that is not ours.
import { h, put } from "studium_widgets/controls/element.js";
import { points as figure } from "./words.js";

const policy = globalThis.trustedTypes?.createPolicy("answer", { createHTML: (html) => html }) ?? {
  createHTML: (html) => html,
};

/** `draw(shown, opened)`. */
export function answerView() {
  const element = h("div", { class: "shown" });
  const draw = (shown, opened) => {
    const test = opened.auto === null ? "" : `The test itself gave ${figure(opened.auto)}.`;
    element.replaceChildren(
      ...(shown.question_html ? [folded("The question", shown.question_html, true)] : []),
      ...(shown.notice ? [h("p", { class: "note" }, shown.notice)] : []),
      ...shown.answers.flatMap(answer),
      ...(shown.checks.length > 1 || shown.checks.some(({ message }) => message) ? [checks(shown.checks)] : []),
      ...(test ? [h("p", { class: "note" }, test)] : []),
      ...(shown.test_html ? [folded("The test", shown.test_html)] : []),
      ...(shown.solution_html ? [folded("The course's solution", shown.solution_html)] : []),
    );
  };
  return { element, draw };
}

function answer({ label, html, outputs_html }, i) {
  const outputs = outputs_html.map((output, j) => markup(output, "output", `Output ${j + 1} of answer ${i + 1}`));
  return [
    h("h3", {}, label),
    markup(html, "answer", `${label} ${i + 1}`),
    ...(outputs.length ? [h("p", { class: "label" }, "Output"), ...outputs] : []),
  ];
}

function checks(found) {
  const lines = found.map(({ name, word, points, max_points, message, mistake, own }) =>
    h(
      "li",
      own ? { class: "own" } : {},
      h("p", {}, h("span", {}, name), ` ${word}, ${figure(points)} of ${figure(max_points)}`),
      ...[message, mistake].filter(Boolean).map((text) => h("p", { class: "said" }, ...prose(text))),
    ),
  );
  return h(
    "section",
    { class: "checks", "aria-label": "What was checked" },
    h("h3", {}, "What was checked"),
    h("ul", {}, ...lines),
  );
}

function folded(title, html, open = false) {
  return h("details", { open }, h("summary", {}, title), markup(html, "given", title));
}

function markup(html, kind, name) {
  const element = h("div", { class: `scroll ${kind}`, tabindex: "0", role: "group", "aria-label": name });
  put(element, "innerHTML", policy.createHTML(html));
  for (const link of element.querySelectorAll("a")) link.target = "_blank";
  return element;
}

// What stands between backticks is code, as in the report.
const prose = (text) => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? h("code", {}, part) : part));
