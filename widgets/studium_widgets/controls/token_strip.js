import { h, put, suppress, uniqueName } from "./element.js";
import { keys } from "./keys.js";

const NOTES = 12; // chips that get new words in a frame: to lay out a hundred texts would cost a drag its pace
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };

/**
 * A line of tokens, one of them chosen by pointer or arrow keys. `picked(index)` on choosing.
 * `draw([{text, share?, note?, mark?, spoken?}], chosen)`: `share` (0 to 1) is a bar under the token and `note` a number
 * below it; `mark` is "kept", "cut", "late" or "new" and shows as a sign and a line, not as a colour alone; `spoken` is
 * what a screen reader adds.
 */
export function tokenStrip(ui, { label, picked }) {
  const element = h("div", {
    class: "st-tokens",
    role: "listbox",
    tabindex: 0,
    "aria-label": label,
    "aria-orientation": "horizontal",
    ...suppress,
  });
  let [chips, chosen] = [[], -1];
  const waiting = new Set(); // chips whose words are old, the oldest first
  const choose = (index) => {
    if (index < 0 || index >= chips.length) return;
    chosen = index; // at once: the next key may come before the next frame, which asks the widget
    picked(index);
    ui.redraw();
    element.focus();
    chips[index].element.scrollIntoView({ block: "nearest" });
  };
  element.addEventListener("click", (event) => choose(chips.findIndex((chip) => chip.element.contains(event.target))), {
    signal: ui.signal,
  });
  keys(ui, element, STEPS, (step) => choose(Math.max(0, Math.min(chips.length - 1, chosen + step))));
  const draw = (items, index) => {
    chosen = index;
    if (chips.length !== items.length) {
      chips = items.map(chip);
      waiting.clear();
      element.replaceChildren(...chips.map((part) => part.element));
    }
    element.setAttribute("aria-activedescendant", chips[index]?.element.id ?? "");
    items.forEach((item, i) => fill(chips[i], { ...item, chosen: i === index }) && waiting.add(chips[i]));
    describe();
  };
  const describe = () => {
    for (const chip of [...waiting].slice(0, NOTES)) {
      waiting.delete(chip);
      annotate(chip);
    }
    if (waiting.size) ui.redraw();
  };
  return { element, draw };
}

function chip() {
  const parts = {
    text: h("span", { class: "st-chip-text" }),
    bar: h("span", { class: "st-chip-bar" }),
    note: h("span", { class: "st-chip-note" }),
    shown: {},
  };
  parts.element = h(
    "div",
    { class: "st-chip", role: "option", id: uniqueName("token") },
    parts.text,
    h("span", { class: "st-chip-track" }, parts.bar),
    parts.note,
  );
  return parts;
}

// Writes only what has changed, and says whether the chip needs new words.
function fill(chip, { text, note = "", share = 0, mark = "", spoken = "", chosen }) {
  const { element, shown } = chip;
  if (shown.text !== text) chip.text.textContent = visible(text);
  if (shown.share !== share) chip.bar.style.transform = `scaleX(${share})`;
  if (shown.mark !== mark) element.dataset.mark = mark;
  if (shown.chosen !== chosen) element.ariaSelected = String(chosen);
  chip.shown = { text, note, share, mark, spoken, chosen };
  return shown.text !== text || shown.note !== note || shown.spoken !== spoken;
}

function annotate({ element, note, shown }) {
  put(note, "textContent", shown.note);
  element.ariaLabel = [visible(shown.text), shown.note, shown.spoken].filter(Boolean).join(", ");
}

/** A token as it can be seen: spaces and line ends have signs. */
export const visible = (text) =>
  text === "" ? "∅" : text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
