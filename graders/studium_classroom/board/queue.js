// What needs the instructor now, as buttons: a pressed one leaves those students in the grid alone.
import { h, put } from "studium_widgets/controls/element.js";
import { NEEDS } from "./words.js";

/** `chosen(need | "")` is called when a button is pressed or let go. `draw(queue, need)`. */
export function needsQueue(chosen) {
  const buttons = Object.entries(NEEDS).map(([need, [words, title]]) => {
    const number = h("b", {});
    const button = h("button", { type: "button", "data-need": need, title }, number, ` ${words}`);
    button.addEventListener("click", () => chosen(button.getAttribute("aria-pressed") === "true" ? "" : need));
    return { need, number, button, item: h("li", {}, button) };
  });
  const nothing = h("p", { class: "note" }, "Nothing needs you now.");
  const list = h("ul", {}, ...buttons.map(({ item }) => item));
  const element = h("section", { class: "queue", "aria-label": "What needs you now" }, list, nothing);
  const draw = (queue, pressed) => {
    for (const { need, number, button, item } of buttons) {
      put(number, "textContent", String(queue[need] ?? 0));
      button.setAttribute("aria-pressed", String(need === pressed));
      item.hidden = !queue[need] && need !== pressed;
    }
    list.hidden = buttons.every(({ item }) => item.hidden);
    nothing.hidden = !list.hidden;
  };
  return { element, draw };
}
