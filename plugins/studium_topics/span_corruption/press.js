// The span press: a text of the reader's own, corrupted at once; inputs, targets and what a step reads.
import { bars } from "studium_widgets/controls/bars.js";
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put, suppress } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { player } from "studium_widgets/controls/player.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { widget } from "studium_widgets/controls/widget.js";
import { corrupted, mask, spansOf, wordsOf } from "./press_maths.js";

const LONGEST = 600;
const MOST_BACK = 20;

export default widget((ui) => {
  const text = textLine(ui);
  const spanCount = () => Math.min(MOST_BACK, Math.max(1, 1 + Math.max(...stateOf(ui).spans)));
  const back = player(ui, "back", { label: "Spans put back", ends: () => [0, spanCount()], duration: 3000 });
  ui.controls(
    slider(ui, "rate", { label: "Hidden words", min: 5, max: 60, format: (value) => `${value} %` }),
    slider(ui, "mean", { label: "Mean span length", min: 1, max: 8, step: 0.5, format: (value) => value.toFixed(1) }),
  );
  ui.more(
    choice(ui, "hiding", {
      label: "Hide",
      options: [
        ["spans", "spans"],
        ["coin", "a coin a word"],
      ],
    }),
    choice(ui, "task", {
      label: "The decoder writes",
      options: [
        ["missing", "what is missing"],
        ["whole", "the whole text"],
      ],
    }),
    stepper(ui, "seed", { label: "Mask", max: 99 }),
    back.element,
  );
  ui.invite("lengthen the spans at the same rate: as many words are hidden, and the decoder has less to write.");
  demonstrate(ui, "rate", () => Array.from({ length: ui.get("rate") - 4 }, (_, i) => 5 + i));
  const tapes = {
    text: tape("Text"),
    inputs: tape("Inputs: the encoder reads"),
    targets: tape("Targets: the decoder writes"),
  };
  const numbers = facts(["Hidden words", "Spans", "Tokens a step"]);
  const cost = bars(ui, { label: "Tokens", format: String });
  const table = dataTable(ui, { caption: "Spans" });
  ui.add(text, ...Object.values(tapes).map(({ element }) => element), numbers.element, cost.element, table.element);
  return () => {
    const now = stateOf(ui);
    const shown = Math.min(ui.get("back"), now.count);
    back.draw();
    tapes.text.draw(now.words.map((word, at) => ({ word, span: now.spans[at], mark: false })));
    tapes.inputs.draw(
      now.inputs.flatMap((part) => (part.mark && part.span >= 0 && part.span < shown ? now.parts[part.span] : [part])),
    );
    tapes.targets.draw(now.targets, ui.get("task") === "whole" ? 0 : shown);
    numbers.draw([
      [`${now.hidden} of ${now.words.length}`, `${((100 * now.hidden) / now.words.length).toFixed(0)} %`],
      [String(now.count), now.count ? `mean length ${(now.hidden / now.count).toFixed(2)}` : "nothing is hidden"],
      [
        String(now.inputs.length + now.targets.length),
        `${Math.round(100 * now.share)} % of the ${now.inputs.length + now.whole} for the whole text`,
      ],
    ]);
    const rows = [
      ["inputs", now.inputs.length],
      ["targets", now.targets.length],
      ["whole text", now.whole],
    ];
    cost.draw(
      rows.map(([name, value], i) => ({ name, value, kind: i === 2 ? "context" : "chosen" })),
      now.whole + 1,
    );
    table.draw(() => tableOf(now));
    ui.say(sentence(ui, now, shown));
  };
});

function stateOf(ui) {
  const words = wordsOf(ui.get("text"));
  const flags = mask(words.length, ui.get("rate") / 100, ui.get("mean"), ui.get("seed"), ui.get("hiding"));
  const spans = spansOf(flags);
  const missing = corrupted(words, spans);
  const parts = [];
  words.forEach((word, at) => spans[at] >= 0 && (parts[spans[at]] ??= []).push({ word, span: spans[at], mark: false }));
  const all = [
    ...words.map((word, at) => ({ word, span: spans[at], mark: false })),
    { word: "</s>", span: -1, mark: true },
  ];
  const targets = ui.get("task") === "whole" ? all : missing.targets;
  const [hidden, count, whole] = [flags.filter(Boolean).length, parts.length, all.length];
  const share = (missing.inputs.length + targets.length) / (missing.inputs.length + whole);
  return { words, spans, parts, inputs: missing.inputs, targets, hidden, count, whole, share };
}

function textLine(ui) {
  const input = h("input", {
    type: "text",
    maxlength: LONGEST,
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "Your text",
    ...suppress,
  });
  input.addEventListener("input", () => ui.set("text", input.value), { signal: ui.signal });
  const show = () => put(input, "value", ui.get("text"));
  ui.on("text", show);
  show();
  return h("label", { class: "st-control st-own-text" }, h("span", { class: "st-label" }, "Your text"), input);
}

// A line of words; those of a span and its sentinel have the span's colour, and the first `gone` spans are struck out.
function tape(title) {
  const words = h("p", { class: "st-tape" });
  const element = h("div", { class: "st-tape-part" }, h("h4", {}, title), words);
  let before = "";
  const draw = (parts, gone = 0) => {
    if (before === (before = JSON.stringify([parts, gone]))) return;
    words.replaceChildren(
      ...parts.flatMap(({ word, span, mark }) => [h("span", { class: classOf(span, mark, gone) }, word), " "]),
    );
  };
  return { element, draw };
}

function classOf(span, mark, gone) {
  if (span < 0) return mark ? "st-end" : "st-kept";
  return `st-span st-span-${span % 2}${mark ? " st-sentinel" : ""}${span < gone ? " st-gone" : ""}`;
}

function tableOf({ parts, inputs, targets }) {
  const names = inputs.filter(({ span, mark }) => mark && span >= 0).map(({ word }) => word);
  const rows = parts.map((part, span) => [names[span], part.map(({ word }) => word).join(" "), part.length]);
  return {
    columns: ["sentinel", "hidden words", "length"],
    rows: [...rows, ["inputs", "", inputs.length], ["targets", "", targets.length]],
  };
}

function sentence(ui, now, shown) {
  const spans = now.count === 1 ? "1 span" : `${now.count} spans`;
  const restored = shown ? ` ${shown} of ${spans} put back into ${shown === 1 ? "its gap" : "their gaps"}.` : "";
  return `${now.hidden} of ${now.words.length} words hidden in ${spans}: inputs ${now.inputs.length} tokens, targets ${now.targets.length}, of ${now.whole} for the whole text.${restored}`;
}
