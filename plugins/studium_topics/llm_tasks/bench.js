// The format bench: a task as a line of tokens, those that the loss sees lit, and the mask of a packed row.
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, put } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { legend } from "studium_widgets/controls/legend.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";
import { LEAK, lights, maskOf, positions, rowOf } from "./bench_maths.js";

const LOSSES = { answer: "the answer", everything: "every token", late: "the answer, one place late" };
const NOTES = {
  answer: "The model learns to write what the assistant writes, and to stop.",
  everything: "Most of each step goes into the prompt, which a user will bring along.",
  late: "The first token of an answer is dark, and the token behind the answer is lit: this model never learns how an answer begins.",
};

export default widget((ui) => {
  const names = ui.get("names");
  ui.controls(
    select(ui, "task", { label: "Task", options: names.map((name, at) => [at, name]) }),
    select(ui, "loss", { label: "The loss sees", options: Object.entries(LOSSES) }),
  );
  ui.more(
    slider(ui, "together", { label: "Conversations in a row", min: 1, max: 3 }),
    toggle(ui, "blocks", { label: "Mask of blocks" }),
    toggle(ui, "reset", { label: "Positions start again" }),
  );
  ui.invite(
    "let the loss see the answer one place late: the first token of each answer goes dark, and the model never learns how to begin.",
  );
  const tape = tapeOf();
  const note = h("p", { class: "st-fb-note" });
  const key = legend(ui);
  const numbers = facts(["Tokens that the loss sees", "Pairs across examples", "Judged by"]);
  const map = heatMap(ui, { label: "Which token looks at which", size: 400 });
  const grid = h(
    "div",
    { class: "st-fb-mask" },
    h("h4", {}, "A row is a token that looks, a column a token that it reads"),
    map.element,
  );
  const table = dataTable(ui, { caption: "Tokens, in order" });
  ui.add(tape.element, key.element, note, numbers.element, grid, table.element);
  return () => {
    const [task, loss, blocks] = ["task", "loss", "blocks"].map((name) => ui.get(name));
    const row = rowOf(ui.get("turns"), task, ui.get("together"));
    const lit = lights(row, loss);
    const at = positions(row, ui.get("reset"));
    const { data, leaks } = maskOf(row, blocks);
    tape.draw(row, lit, at);
    put(note, "textContent", NOTES[loss]);
    key.draw(keys(ui.theme, loss));
    const seen = lit.filter(Boolean).length;
    const share = `${Math.round((100 * seen) / row.length)} %`;
    numbers.draw([
      [`${seen} of ${row.length}`, share],
      [String(leaks), leaks ? "tokens read an example that they will not have later" : "each example is alone"],
      [ui.get("metrics")[task], names[task]],
    ]);
    const texts = row.map(({ text }) => text);
    const dots = Array.from(data, (cell) => Number(cell === LEAK));
    map.draw({ data, rows: row.length, columns: row.length, range: [0, 1], rowNames: texts, columnNames: texts, dots });
    table.draw(() => ({
      columns: ["place in the row", "token", "position", "example", "the loss sees it"],
      rows: row.map(({ text, example }, i) => [i, text, at[i], example + 1, lit[i] ? "yes" : "no"]),
    }));
    const answer = texts.filter((_, i) => lit[i] && row[i].example === 0).join(" ");
    const across = leaks ? ` ${leaks} pairs of tokens reach across examples.` : "";
    ui.say(
      `${names[task]}: the loss sees ${seen} of ${row.length} tokens; in the first example these are: ${answer}.${across}`,
    );
  };
});

// One chip a token: its text, its position, and whether it is lit; a lit prompt and a dark answer are marked as wrong.
function tapeOf() {
  const element = h("ol", { class: "st-fb-tape", "aria-hidden": "true" });
  const draw = (row, lit, at) => {
    const chips = row.map((token, i) => {
      const right = lit[i] === token.lit;
      const names = [
        "st-fb-token",
        token.special && "st-fb-special",
        lit[i] && "st-fb-lit",
        !right && "st-fb-wrong",
        token.place === 0 && i > 0 && "st-fb-first",
      ];
      return h(
        "li",
        { class: names.filter(Boolean).join(" ") },
        h("span", {}, token.text),
        h("small", {}, String(at[i])),
      );
    });
    element.replaceChildren(...chips);
  };
  return { element, draw };
}

function keys(theme, loss) {
  const wrong = loss === "answer" ? [] : [{ name: "should be the other way", mark: "┅", stroke: theme.warm }];
  return [
    { name: "lit: the loss sees it", mark: "■", stroke: theme.accent },
    { name: "dark: only read", mark: "□", stroke: theme.muted },
    ...wrong,
  ];
}
