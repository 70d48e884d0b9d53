// The rubric of a question: items to tick by their number, a form for a new one, and one to change each.
import { h } from "studium_widgets/controls/element.js";
import { points as figure } from "./words.js";

const signed = (value) => `${value < 0 ? "−" : "+"}${figure(Math.abs(value))}`;

/** `changed()`, `add(text, points)`, `change(id, text, points)`, `remove(id)`. `draw(items, chosen)`, `chosen()` gives the ticked items. */
export function rubricView({ changed, add, change, remove }) {
  let known = [];
  const list = h("ol", { class: "items" });
  const empty = h("p", { class: "note" }, "No items yet. An item that you add can be used for all answers.");
  const form = itemForm("Add an item", "a", add);
  const element = h("div", { class: "rubric" }, h("h3", {}, "Rubric"), list, empty, form.element);
  const boxes = () => [...list.querySelectorAll("input[type=checkbox]")];
  const draw = (items, ticked) => {
    known = items;
    empty.hidden = items.length > 0;
    list.replaceChildren(...items.map((item, i) => line(item, i, ticked.includes(item.id))));
    form.clear();
  };
  const line = (item, i, ticked) => {
    const box = h("input", { type: "checkbox" });
    box.checked = ticked;
    box.addEventListener("change", changed);
    const edit = h("button", { type: "button", class: "edit", "aria-label": `Change: ${item.text}` }, "Change");
    const key = i < 9 ? [h("kbd", {}, String(i + 1))] : [];
    const label = h(
      "label",
      {},
      box,
      ...key,
      h("span", { class: "points" }, signed(item.points)),
      h("span", {}, item.text),
    );
    const element = h("li", {}, label, edit);
    edit.addEventListener("click", () =>
      element.replaceChildren(changing(item, () => element.replaceChildren(label, edit))),
    );
    return element;
  };
  const changing = (item, back) => {
    const own = itemForm("Save", "", (text, points) => change(item.id, text, points));
    const button = (text, work) => {
      const one = h("button", { type: "button" }, text);
      one.addEventListener("click", work);
      return one;
    };
    own.fill(item);
    own.element.append(
      button(item.used ? `Remove from ${item.used}` : "Remove", () => remove(item.id)),
      button("Leave as it is", back),
    );
    own.focus(true);
    return own.element;
  };
  return {
    element,
    draw,
    chosen: () => boxes().flatMap((box, i) => (box.checked ? [known[i]] : [])),
    toggle: (i) => boxes()[i]?.click(),
    begin: () => form.focus(),
    owns: (target) => Boolean(target.closest(".item-form")),
  };
}

function itemForm(name, key, done) {
  const text = h("input", {
    type: "text",
    maxlength: 200,
    "aria-label": "What the item is for",
    placeholder: "what it is for",
  });
  const points = h("input", {
    type: "text",
    inputmode: "decimal",
    size: 4,
    "aria-label": "Points of the item",
    placeholder: "±",
  });
  const button = h("button", { type: "button" }, name, ...(key ? [" ", h("kbd", {}, key)] : []));
  const element = h("div", { class: "item-form" }, text, points, button);
  const send = () => {
    const value = Number(points.value.trim().replace(",", ".").replace("−", "-"));
    const [noText, noPoints] = [!text.value.trim(), !points.value.trim() || Number.isNaN(value)];
    text.setAttribute("aria-invalid", String(noText));
    points.setAttribute("aria-invalid", String(noPoints));
    if (noText) return text.focus();
    if (noPoints) return points.focus();
    done(text.value, value);
  };
  button.addEventListener("click", send);
  for (const field of [text, points])
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      send();
    });
  return {
    element,
    focus: (late) => (late ? setTimeout(() => text.focus()) : text.focus()),
    clear: () => {
      for (const field of [text, points]) {
        field.value = "";
        field.removeAttribute("aria-invalid");
      }
      if (element.contains(document.activeElement)) document.activeElement.blur();
    },
    fill: (item) => {
      text.value = item.text;
      points.value = String(item.points);
    },
  };
}
