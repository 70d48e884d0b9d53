// Three minutes of questions about one's own mistakes, one at a time.
import { button, h, prose } from "./element.js";

export function reviewView(desk) {
  const element = h("div", { class: "studium-review" });
  let questions = [];
  const load = async () => {
    const answer = await desk.tried(desk.api.get("review"));
    questions = answer?.questions ?? [];
    if (questions.length) return ask();
    const next = answer?.next ? `The next one is due on ${new Date(answer.next).toLocaleString()}.` : "They are made from mistakes that you made and predictions that missed.";
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
    const choices = question.choices.map((text, i) => h("li", {}, button(prose(text), () => choose(i), { kind: "studium-choice" })));
    element.replaceChildren(
      h("p", { class: "studium-note" }, `${question.slug} · ${question.exercise} · ${questions.length} left`),
      desk.markdown(question.prompt),
      question.code ? h("pre", { tabindex: 0 }, question.code) : "",
      h("ol", { class: "studium-choices" }, choices),
    );
  };
  const tell = (question, choice, { right, answer, explanation, due }) => {
    questions = questions.slice(1);
    const go = button(questions.length ? "Next" : "Done", () => (questions.length ? ask() : load()), { kind: "studium-primary" });
    element.replaceChildren(
      h("p", { role: "status", class: right ? "studium-right" : "studium-wrong" }, right ? "✓ Right." : "✗ No."),
      right ? "" : h("p", {}, prose(question.choices[answer])),
      desk.markdown(explanation),
      h("p", { class: "studium-note" }, `Again on ${new Date(due).toLocaleDateString()}.`),
      go,
    );
    go.focus();
  };
  return { element, shown: load };
}
