// The metric microscope: a hypothesis of the reader's own beside a reference, its matches, and every metric.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { h, put, suppress } from "studium_widgets/controls/element.js";
import { fold } from "studium_widgets/controls/fold.js";
import { select } from "studium_widgets/controls/select.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { widget } from "studium_widgets/controls/widget.js";
import {
  bleu,
  chrf,
  common,
  cut,
  exactMatch,
  matches,
  rougeL,
  rougeN,
  rougeWords,
  stretches,
  tokenF1,
} from "./microscope_maths.js";

const LONGEST = 300;
const TRIES = [
  ["System A: the opposite", "The minister did sign the treaty on Friday."],
  ["System B: the same meaning", "On Friday the minister refused to sign the treaty."],
  ["Repeats", "The the the the minister the the treaty the."],
  ["The reference", null],
];
const CUTS = [
  ["spaces", "cut at spaces"],
  ["punctuation", "punctuation apart"],
  ["lower", "and lower case"],
  ["characters", "characters"],
];
const [, [, RIGHT]] = TRIES; // says what MEANT says
const MEANT = "The minister did not sign the treaty on Friday.";
const FIRST = ["BLEU", "ROUGE-L", "chrF"];
const WORDS = { match: "matched", clipped: "clipped: the reference has fewer", none: "not in the reference" };

export default widget((ui) => {
  ui.controls(line(ui, "hypothesis", "Hypothesis"), tries(ui));
  ui.more(
    line(ui, "reference", "Reference"),
    select(ui, "tokeniser", { label: "BLEU's tokens", options: CUTS }),
    stepper(ui, "n", { label: "Mark n-grams of n =", min: 1, max: 4 }),
  );
  ui.invite("take system A, then system B: the sentence that says the opposite has the higher BLEU, ROUGE-L and chrF.");
  const grams = tape("It says, in n-grams as BLEU counts them");
  const sides = [
    tape("Longest common subsequence: hypothesis"),
    tape("It should say; marked is the longest common subsequence"),
  ];
  const [scores, others] = ["Metrics", "All metrics, and the parts of BLEU"].map((label) =>
    bars(ui, { label, format: (value) => value.toFixed(1) }),
  );
  const stroke = h("p", { class: "st-note" }, "Out of 100. The stroke: system B, which is right in other words.");
  const table = dataTable(ui, { caption: "Metrics" });
  const rest = fold(ui, "All metrics, and the parts of BLEU", [sides[0].element, others.element]);
  ui.add(sides[1].element, grams.element, key(), scores.element, stroke, rest, table.element);
  return () => {
    const now = stateOf(ui);
    grams.draw(now.grams);
    sides.forEach((side, i) => side.draw(now.words[i]));
    const comparable = ui.get("reference") === MEANT;
    const bar = ([name, value, part], mark) => ({
      name,
      value: 100 * value,
      kind: part ? "context" : "chosen",
      ...mark,
    });
    scores.draw(
      now.rows
        .filter(([name]) => FIRST.includes(name))
        .map((row) => bar(row, { mark: comparable ? 100 * now.right(row[0]) : undefined })),
      100,
    );
    stroke.hidden = !comparable;
    others.draw(
      now.rows.filter(([name]) => !FIRST.includes(name)).map((row) => bar(row)),
      100,
    );
    table.draw(() => ({
      columns: ["metric", "score"],
      rows: now.rows.map(([name, value]) => [name, (100 * value).toFixed(1)]),
    }));
    ui.say(now.sentence);
  };
});

function stateOf(ui) {
  const texts = [ui.get("hypothesis"), ui.get("reference")];
  const [mine, theirs] = texts.map(cut[ui.get("tokeniser")]);
  const [n, score] = [ui.get("n"), bleu(mine, theirs)];
  const marks = matches(mine, theirs, n);
  const grams = stretches(mine, n).map((gram, i) => ({ text: gram.replaceAll("\u0001", " "), mark: marks[i] }));
  const lists = texts.map(rougeWords);
  const pairs = common(...lists);
  const words = lists.map((list, side) =>
    list.map((text, at) => ({ text, mark: pairs.some((pair) => pair[side] === at) ? "match" : "none" })),
  );
  const rows = [
    ...score.precisions.map(([matched, all], i) => [
      `${i + 1}-grams, ${matched} of ${all}`,
      all ? matched / all : 0,
      true,
    ]),
    ["brevity penalty", score.brevity, true],
    ["BLEU", score.score],
    ["ROUGE-1", rougeN(...texts, 1)],
    ["ROUGE-2", rougeN(...texts, 2)],
    ["ROUGE-L", rougeL(...texts)],
    ["chrF", chrf(...texts)],
    ["exact match", exactMatch(...texts)],
    ["token F1", tokenF1(...texts)],
  ];
  const [found, clipped] = ["match", "clipped"].map((kind) => marks.filter((mark) => mark === kind).length);
  const right = (name) =>
    ({
      BLEU: () => bleu(cut[ui.get("tokeniser")](RIGHT), theirs).score,
      "ROUGE-L": () => rougeL(RIGHT, texts[1]),
      chrF: () => chrf(RIGHT, texts[1]),
    })[name]();
  const value = (name) => (100 * rows.find(([title]) => title === name)[1]).toFixed(1);
  const sentence = `${found} of ${marks.length} ${n}-grams match, ${clipped} clipped. BLEU ${value("BLEU")}, ROUGE-L ${value("ROUGE-L")}, chrF ${value("chrF")}.`;
  return { grams, words, rows, right, sentence };
}

function line(ui, name, label) {
  const input = h("input", { type: "text", maxlength: LONGEST, autocomplete: "off", spellcheck: "false", ...suppress });
  input.addEventListener("input", () => ui.set(name, input.value), { signal: ui.signal });
  const show = () => put(input, "value", ui.get(name));
  ui.on(name, show);
  show();
  return h("label", { class: "st-control st-scope-line" }, h("span", { class: "st-label" }, label), input);
}

function tries(ui) {
  const buttons = TRIES.map(([name, text]) => {
    const button = h("button", { type: "button", class: "st-button", ...suppress }, name);
    button.addEventListener("click", () => ui.set("hypothesis", text ?? ui.get("reference")), { signal: ui.signal });
    return button;
  });
  const bar = h("div", { class: "st-scope-tries", role: "group", "aria-label": "Hypotheses to try" }, ...buttons);
  return h("div", { class: "st-control" }, h("span", { class: "st-label" }, "Take"), bar);
}

function tape(title) {
  const list = h("ul", { class: "st-scope-tape", "aria-label": title });
  const element = h("div", { class: "st-scope-part" }, h("h4", {}, title), list);
  let before = "";
  const draw = (parts) => {
    if (before === (before = JSON.stringify(parts))) return;
    list.replaceChildren(
      ...parts.map(({ text, mark }) => h("li", { class: `st-scope-gram st-scope-${mark}`, title: WORDS[mark] }, text)),
    );
  };
  return { element, draw };
}

function key() {
  const entry = ([mark, text]) =>
    h("li", {}, h("span", { class: `st-scope-gram st-scope-${mark}`, "aria-hidden": "true" }, "n"), ` ${text}`);
  return h("ul", { class: "st-scope-key" }, ...Object.entries(WORDS).map(entry));
}
