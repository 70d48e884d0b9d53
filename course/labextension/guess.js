// Before an experiment runs, its card asks what the learner expects: the lesson's own question, and a field for the number.
import { button, h } from "./element.js";

/** A form with the questions; `run(numbers)` gets what was written, a text for each question, or null for no guess at all. */
export function guessForm(desk, questions, run) {
  const fields = questions.map(({ text, name }) => {
    const field = h("input", {
      type: "number",
      step: "any",
      required: true,
      class: "studium-search",
      "data-lm-suppress-shortcuts": "true",
    });
    return h("label", {}, desk.markdown(text || name), field);
  });
  const form = h(
    "form",
    { class: "studium-guess" },
    h("p", { class: "studium-eyebrow" }, "Before you look"),
    ...fields,
    h(
      "div",
      { class: "studium-tools" },
      h("button", { class: "studium-button studium-primary" }, "Run the experiment with my guess"),
      button("Run it without a guess", () => run(null)),
    ),
  );
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input")) return;
    event.preventDefault(); // the notebook takes this key for itself
    event.stopPropagation();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run([...form.querySelectorAll("input")].map(({ value }) => value));
  });
  requestAnimationFrame(() => form.querySelector("input").focus());
  return form;
}

/** Writes numbers in the place of the dots, as learners who answer in the notebook do. */
export function writeGuesses({ content }, questions, numbers) {
  questions.forEach(({ cell, name }, i) => {
    const { sharedModel } = content.widgets.find(({ model }) => model.id === cell).model;
    const dots = new RegExp(
      `(lesson\\.predict\\(\\s*(["'])${RegExp.escape?.(name) ?? name.replace(/[^\w\s]/g, "\\$&")}\\2\\s*,\\s*)\\.\\.\\.`,
    );
    sharedModel.setSource(sharedModel.getSource().replace(dots, (_, call) => call + numbers[i]));
  });
}
