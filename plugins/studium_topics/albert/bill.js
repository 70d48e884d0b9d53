// The bill: what BERT stores beside what is left with narrow tables and shared layers, and the stack that it unrolls to.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { player } from "studium_widgets/controls/player.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stackedBar } from "studium_widgets/controls/stacked_bar.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";
import { computed, MODELS, PARTS, stored, total, uses, VOCABULARIES } from "./bill_maths.js";

const TOKENS = 128;
const WIDTHS = [16, 32, 64, 128, 256, 512, 768, 1024];
const SETS = [1, 2, 3, 4, 6, 12, 24];
const NAMES = ["word, position and segment tables", "projection from E to H", "layers", "pooler"];
const digits = (count) => count.toLocaleString("en");
const giga = (flops) => `${(flops / 1e9).toFixed(1)} GFLOP`;
const letter = (set) => String.fromCharCode(65 + set);
const times = (ratio) => (ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(1));

export default widget((ui) => {
  const layersNow = () => MODELS[ui.get("model")].layers;
  const model = select(ui, "model", {
    label: "Sizes of",
    options: Object.keys(MODELS).map((name) => [
      name,
      `${name} (H = ${MODELS[name].width}, L = ${MODELS[name].layers})`,
    ]),
  });
  const steps = player(ui, "passed", { label: "Layers passed", ends: () => [0, layersNow()], duration: 5000 });
  const width = slider(ui, "embedding", { label: "E, width of the tables", values: WIDTHS });
  const sets = slider(ui, "sets", {
    label: "Sets of layer parameters",
    values: SETS,
    format: (count) => (count === 24 ? "one a layer" : String(count)),
  });
  ui.controls(sets, steps.element);
  ui.more(model, toggle(ui, "factorised", { label: "Factorise" }), width);
  ui.invite(
    "lower the sets: the bill shrinks, and the operations stay. Then play, and a token still goes through every layer.",
  );
  demonstrate(ui, "sets", () => SETS.filter((count) => count <= layersNow()).reverse());
  const bills = ["BERT", "yours"].map((name) => billOf(name));
  const flops = bars(ui, { label: "Operations for a sentence of 128 tokens", format: giga });
  const numbers = facts(["Parameters", "Times fewer than BERT", "Times BERT's operations"]);
  const stack = stackOf();
  const table = dataTable(ui, { caption: "Parameters by part" });
  ui.add(
    stack.element,
    ...bills.map(({ element }) => element),
    titled(`Operations for a sentence of ${TOKENS} tokens`, flops.element),
    numbers.element,
    table.element,
  );
  return () => {
    steps.draw();
    const name = ui.get("model");
    const embedding = ui.get("factorised") ? ui.get("embedding") : null;
    const both = [
      stored(name, VOCABULARIES.bert, null, layersNow()),
      stored(name, VOCABULARIES.albert, embedding, ui.get("sets")),
    ];
    const spent = [computed(name, null, TOKENS), computed(name, embedding, TOKENS)];
    const [bert, mine] = both.map(total);
    bills.forEach((bill, i) => bill.draw(i ? "Yours" : `BERT-${name}`, both[i], Math.max(bert, mine)));
    flops.draw(
      ["BERT", "yours"].map((one, i) => ({ name: one, value: spent[i], kind: i ? "chosen" : "context" })),
      Math.max(...spent),
    );
    const [fewer, work] = [bert / mine, spent[1] / spent[0]];
    numbers.draw([
      [digits(mine), `BERT-${name} has ${digits(bert)}`],
      [times(fewer), `${((4 * mine) / 1e6).toFixed(0)} MB in float32 in place of ${((4 * bert) / 1e6).toFixed(0)}`],
      [work.toFixed(3), "every layer is still computed"],
    ]);
    stack.draw(uses(layersNow(), ui.get("sets")), Math.min(ui.get("passed"), layersNow()));
    table.draw(() => rows(both));
    ui.say(
      `${digits(mine)} parameters in place of ${digits(bert)}: ${times(fewer)} times fewer, for ${work.toFixed(3)} times the operations.`,
    );
  };
});

const titled = (title, ...parts) => h("div", { class: "st-bill-part" }, h("h4", {}, title), ...parts);

function billOf(name) {
  const bar = stackedBar(`Parameters of ${name}`, NAMES);
  const title = h("h4", {});
  const element = h("div", { class: "st-bill-part" }, title, bar.element);
  const draw = (shown, parts, most) => {
    put(title, "textContent", `${shown}: ${digits(total(parts))} parameters`);
    bar.draw(
      parts.map((count) => [count, digits(count)]),
      most,
    );
  };
  return { element, draw };
}

// What is stored above, what is computed below: one box a set, one box a layer, and the token's place.
function stackOf() {
  const [above, below, note] = [
    h("ol", { class: "st-sets" }),
    h("ol", { class: "st-layers" }),
    h("p", { class: "st-note" }),
  ];
  const [kept, run] = [h("h4", {}), h("h4", {})];
  const element = h("div", { class: "st-bill-part" }, kept, above, run, below, note);
  let shown = "";
  const draw = (sets, passed) => {
    const count = sets.at(-1) + 1;
    if (shown !== (shown = `${sets}`)) {
      above.replaceChildren(...Array.from({ length: count }, (_, set) => h("li", {}, letter(set))));
      below.replaceChildren(...sets.map((set, layer) => h("li", {}, h("span", {}, `${layer + 1}`), letter(set))));
    }
    const now = passed ? sets[passed - 1] : -1;
    [...above.children].forEach((box, set) => box.classList.toggle("st-now", set === now));
    [...below.children].forEach((box, layer) => {
      box.classList.toggle("st-now", layer === passed - 1);
      box.classList.toggle("st-done", layer < passed - 1);
    });
    put(kept, "textContent", `Stored: ${count} ${count === 1 ? "set" : "sets"} of layer parameters`);
    put(run, "textContent", `Computed: ${sets.length} layers`);
    put(
      note,
      "textContent",
      passed ? place(sets, passed) : "Play: a token goes through all layers, however few are stored.",
    );
  };
  return { element, draw };
}

function place(sets, passed) {
  const set = sets[passed - 1];
  const use = sets.slice(0, passed).filter((one) => one === set).length;
  return `Layer ${passed} of ${sets.length} computes with set ${letter(set)}: use ${use} of ${sets.filter((one) => one === set).length}.`;
}

function rows([bert, mine]) {
  const parts = PARTS.map((_, i) => [NAMES[i], digits(bert[i]), digits(mine[i])]);
  return { columns: ["part", "BERT", "yours"], rows: [...parts, ["all", digits(total(bert)), digits(total(mine))]] };
}
