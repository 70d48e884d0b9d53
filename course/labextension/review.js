// Three minutes of questions about one's own mistakes, one at a time.
import { button, h, prose } from "./element.js";

export function reviewView(desk) {
  const element = h("div", { class: "studium-review" });
  let questions = [];
  const load = async () => {
    const answer = await desk.tried(desk.api.get("review"));
    questions = answer?.questions ?? [];
    if (questions.length) return ask();
    const next = answer?.next
      ? `The next one is due ${moment(new Date(answer.next))}.`
      : "Questions come from mistakes you made and predictions that missed.";
    element.replaceChildren(h("p", {}, "There is nothing to review now."), h("p", { class: "studium-note" }, next));
  };
  const ask = () => {
    const [question] = questions;
    const begun = Date.now();
    const choose = async (choice) => {
      const body = { card: question.card, choice, seconds: (Date.now() - begun) / 1000 };
      const answer = await desk.tried(desk.api.post("review", body));
      if (answer) tell(question, choice, answer);
    };
    const choices = question.choices.map((text, i) =>
      h(
        "li",
        {},
        button(prose(text), () => choose(i), { kind: "studium-choice" }),
      ),
    );
    element.replaceChildren(
      h(
        "p",
        { class: "studium-note" },
        `${desk.topics.find(({ slug }) => slug === question.slug)?.title ?? question.slug} · ${question.exercise} · ${questions.length} left`,
      ),
      ...asked(desk, question),
      h("ol", { class: "studium-choices" }, choices),
    );
  };
  const tell = (question, choice, { right, answer, explanation, due }) => {
    questions = questions.slice(1);
    const go = button(questions.length ? "Next" : "Done", () => (questions.length ? ask() : load()), {
      kind: "studium-primary",
    });
    element.replaceChildren(
      h(
        "p",
        { role: "status", class: right ? "studium-right" : "studium-wrong" },
        right ? "✓ Right." : "✗ Not this one.",
      ),
      ...asked(desk, question),
      h(
        "ol",
        { class: "studium-choices" },
        question.choices.map((text, i) => h("li", {}, judged(text, i, choice, answer))),
      ),
      explanation === question.choices[answer] ? "" : desk.markdown(explanation),
      h("p", { class: "studium-note" }, `Again ${moment(new Date(due))}.`),
      go,
    );
    go.focus();
  };
  return { element, shown: load };
}

function asked(desk, { prompt, code }) {
  return [desk.markdown(prompt), code ? h("pre", { tabindex: 0, class: "studium-code" }, code) : ""];
}

// A choice after the answer: which one is right, and which one was chosen.
function judged(text, i, choice, answer) {
  if (i === answer) return h("p", { class: "studium-right" }, `✓ `, prose(text));
  return h(
    "p",
    { class: i === choice ? "studium-wrong" : "studium-note" },
    i === choice ? "✗ Your choice: " : "",
    prose(text),
  );
}

/** "today at 14:05", "on Tuesday, 1 December": a time from now on. */
function moment(time) {
  const today = time.toDateString() === new Date().toDateString();
  if (today) return `today at ${time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`;
  return `on ${time.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" })}`;
}
