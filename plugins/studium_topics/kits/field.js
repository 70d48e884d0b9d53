import { h, put, suppress } from "studium_widgets/controls/element.js";

/** A line of text bound to the string `name`, of at most `longest` characters. */
export function field(ui, name, { label, longest }) {
  const input = h("input", {
    type: "text",
    maxlength: longest,
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": label,
    ...suppress,
  });
  const read = () => put(input, "value", ui.get(name));
  input.addEventListener("input", () => ui.set(name, input.value), { signal: ui.signal });
  ui.on(name, read);
  read();
  return h("label", { class: "st-control" }, h("span", { class: "st-label" }, label), input);
}
