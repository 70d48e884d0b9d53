// A sentence of the learner's own: typed here, computed by the kernel, shown like any other.
import { h, suppress, uniqueName } from "./controls/element.js";

const PATIENCE = 5000; // ms in which a kernel is expected to answer

/** A text field over `sentence`; `answered` and `problem` tell what came of it. */
export function question(ui) {
  const id = uniqueName("sentence");
  const input = h("input", { type: "text", id, maxlength: 2000, autocomplete: "off", ...suppress });
  const button = h("button", { type: "submit", class: "st-button", ...suppress }, "Show");
  const note = h("p", { class: "st-note", role: "status" });
  const form = h(
    "form",
    { class: "st-question" },
    h("label", { for: id, class: "st-label" }, "Your own sentence"),
    input,
    button,
    note,
  );
  let timer = 0;
  const say = (text) => {
    clearTimeout(timer);
    note.textContent = text;
  };
  const ask = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text) return say("Type a sentence first.");
    if (text === ui.get("answered")) return answer();
    say("The kernel is asked …");
    timer = setTimeout(() => say(NOBODY), PATIENCE);
    if (ui.get("sentence") === text) ui.set("sentence", ""); // asked before, in vain: a change is what the kernel sees
    ui.set("sentence", text);
  };
  const answer = () => say(ui.get("problem") ? `The model could not take it: ${ui.get("problem")}` : "Shown below.");
  form.addEventListener("submit", ask, { signal: ui.signal });
  ui.on("answered", answer);
  ui.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  input.value = ui.get("sentence");
  return form;
}

const NOBODY = "No kernel answers. Run this notebook's cells to try your own sentence; until then the example stays.";
