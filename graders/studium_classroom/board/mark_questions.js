// The questions of an assignment, with how far each of them is, and whether names are shown.
import { h, put } from "studium_widgets/controls/element.js";
import { count, points } from "./words.js";

/** `chosen(question, marked)` is called by the buttons, `hidden()` when names are shown or hidden. `draw(found)` takes what the server says; `names()` tells whether to show them. */
export function questionList(chosen, hidden) {
  const hide = h("input", { type: "checkbox", checked: true });
  hide.addEventListener("change", hidden);
  const rows = h("tbody", {});
  const heads = ["Question", "", "Done", "Waiting", "By you", "Held by others", "Points"];
  const table = h(
    "table",
    {},
    h("caption", {}, "Questions with answers for a person to mark"),
    h("thead", {}, h("tr", {}, ...heads.map((text) => (text ? h("th", { scope: "col" }, text) : h("td", {}))))),
    rows,
  );
  const nothing = h("p", { class: "note" }, "No answer waits for a person, and none was marked by hand.");
  const after = h(
    "p",
    { class: "note" },
    "Marks and comments are in the gradebook as soon as you save them. Students see them after an instructor has run ",
    h("code", {}),
    ".",
  );
  const element = h(
    "section",
    { class: "questions", "aria-label": "Questions" },
    h("label", { class: "anonymous" }, hide, " Hide the students' names"),
    h("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Questions" }, table),
    nothing,
    after,
  );
  const draw = ({ assignment, questions }) => {
    put(after.querySelector("code"), "textContent", `studium classroom grade ${assignment}`);
    nothing.hidden = questions.length > 0;
    table.hidden = after.hidden = !nothing.hidden;
    rows.replaceChildren(...questions.map((question) => row(question, chosen)));
  };
  return {
    element,
    draw,
    names: () => !hide.checked,
    focus: () => element.querySelector("tbody button:not([disabled])")?.focus(),
  };
}

function row(question, chosen) {
  const { title, max_score, waiting, marked, mine, held } = question;
  const all = waiting + marked;
  const bar = h("progress", { max: all, value: marked, "aria-label": `${title}: ${marked} of ${all} are marked` });
  const button = (text, number, isMarked) => {
    const one = h("button", { type: "button", disabled: !number, "aria-label": `${text}: ${title}` }, text);
    one.addEventListener("click", () => chosen(question, isMarked));
    return one;
  };
  const figure = (value) => h("td", { class: "figure" }, String(value));
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, title),
    h("td", {}, h("div", { class: "buttons" }, button("Mark", waiting, false), button("Look again", marked, true))),
    h("td", {}, bar, h("span", { class: "figure" }, ` ${marked} of ${count(all, "answer")}`)),
    figure(waiting),
    figure(mine),
    figure(held),
    figure(points(max_score)),
  );
}
