// Where a decoder looks: the source above, the answer below, lines for the weights of one head; the model runs here.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put, suppress } from "studium_widgets/controls/element.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { memo } from "studium_widgets/controls/memo.js";
import { player } from "studium_widgets/controls/player.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { answer, answerOf, EOS, FAULTS, FIRST, otherSource, tensorsOf } from "./widget_maths.js";

const [SHORTEST, LONGEST, GUESSES] = [4, 9, 5];
const percent = (value) => `${(100 * value).toFixed(0)} %`;

export default widget((ui) => {
  const letters = Array.from(ui.get("letters"));
  const models = modelsOf(ui, letters.length);
  const shown = (token) => (token === EOS ? "|" : (letters[token - FIRST] ?? (token ? "~" : "·")));
  const run = memo((task, source, fault) => answer(models[task], source, fault, LONGEST + 1, letters.length));
  const current = () => run(ui.get("task"), ui.get("source"), ui.get("fault"));
  const steps = player(ui, "written", { label: "Letters written", ends: () => [1, LONGEST + 1], duration: 9000 });
  ui.controls(
    steps.element,
    select(ui, "task", { label: "Trained to", options: ui.get("tasks") }),
    select(ui, "fault", {
      label: "Put in a mistake",
      options: Object.entries(FAULTS).map(([name, [label]]) => [name, label]),
    }),
  );
  ui.more(sourceField(ui, letters), slider(ui, "head", { label: "Head", min: 0, max: ui.get("heads") - 1 }));
  ui.invite(
    "write letter by letter, and follow the blue line from each letter to the place in the source where the decoder looks.",
  );
  demonstrate(ui, "written", steps.all, 4000);
  const note = h("p", { class: "st-reader-note" });
  const lines = linesOf();
  const map = heatMap(ui, { label: "Weights of this head: a row a token of the answer, a column a slot", size: 300 });
  const odds = bars(ui, { label: "What the newest token was chosen from", format: percent });
  const table = dataTable(ui, { caption: "The answer, one row a token" });
  const left = h("div", {}, h("h4", {}, "Source above, answer below"), lines.element, note);
  const right = h(
    "div",
    {},
    h("h4", {}, "Where this head looks: answer ↓ source →"),
    map.element,
    h("h4", {}, "What the newest token was chosen from"),
    odds.element,
  );
  ui.add(h("div", { class: "st-reader" }, left, right), table.element);
  return () => {
    steps.draw();
    const [task, source, head, fault] = ["task", "source", "head", "fault"].map((name) => ui.get(name));
    const whole = current();
    const written = Math.min(ui.get("written"), whole.length);
    const slots = [
      ...(fault === "other" ? otherSource(source, letters.length) : source).map((letter) => letters[letter]),
      "|",
    ];
    const wanted = [...answerOf(task, source).map((letter) => FIRST + letter), EOS];
    const now = whole.slice(0, written).map(({ token, looks, odds: all }, at) => ({
      name: shown(token),
      looks: looks[head],
      odds: all,
      right: token === wanted[at],
      token,
    }));
    lines.draw(slots, now);
    put(note, "textContent", FAULTS[fault][1]);
    const data = new Float32Array(written * slots.length);
    now.forEach(({ looks }, row) => data.set(looks, row * slots.length));
    map.draw({
      data,
      rows: written,
      columns: slots.length,
      range: [0, 1],
      rowNames: now.map(({ name }) => name),
      columnNames: slots,
      marked: written - 1,
    });
    const newest = now[written - 1];
    const best = newest.odds
      .map((_, token) => token)
      .sort((a, b) => newest.odds[b] - newest.odds[a])
      .slice(0, GUESSES);
    odds.draw(
      best.map((token) => ({
        name: shown(token),
        value: newest.odds[token],
        kind: token === newest.token ? "chosen" : "context",
      })),
    );
    table.draw(() => rows(slots, now));
    ui.say(sentence(slots, now, source.map((letter) => letters[letter]).join("")));
  };
});

function modelsOf(ui, count) {
  const flat = ui.array("weights");
  const [, numbers] = flat.shape;
  const sizes = { tokens: count + 3, width: ui.get("width"), heads: ui.get("heads"), hidden: ui.get("hidden") };
  return Object.fromEntries(
    ui
      .get("tasks")
      .map((task, row) => [task, tensorsOf(flat.data.subarray(row * numbers, (row + 1) * numbers), sizes)]),
  );
}

// A field for the letters of the source; what is no letter of the model, or there already, is left out.
function sourceField(ui, letters) {
  const label = `Source (${SHORTEST} to ${LONGEST} different letters, ${letters[0]} to ${letters.at(-1)})`;
  const input = h("input", { type: "text", maxlength: LONGEST, autocomplete: "off", spellcheck: "false", ...suppress });
  const read = () =>
    [...new Set(input.value.toLowerCase())].map((letter) => letters.indexOf(letter)).filter((number) => number >= 0);
  const write = () => {
    const source = ui.get("source").map((number) => letters[number]);
    put(input, "value", source.join(""));
  };
  const show = () => document.activeElement !== input && write();
  input.addEventListener("input", () => read().length >= SHORTEST && ui.set("source", read().slice(0, LONGEST)), {
    signal: ui.signal,
  });
  input.addEventListener("blur", show, { signal: ui.signal });
  ui.on("source", show);
  write();
  return h("label", { class: "st-control st-source-field" }, h("span", { class: "st-label" }, label), input);
}

const svg = (name, attributes, text = "") => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
};

// The picture of lines: strong ones for the newest token, faint ones for those before it.
function linesOf() {
  const element = svg("svg", { class: "st-lines", viewBox: "0 0 440 190", "aria-hidden": "true" });
  const at = (column) => 40 + column * 40;
  const box = (column, y, name, kind) => [
    svg("rect", { x: at(column) - 16, y: y - 16, width: 32, height: 32, rx: 6, class: kind }),
    svg("text", { x: at(column), y }, name),
  ];
  const draw = (slots, written) => {
    const parts = [
      svg("text", { x: 2, y: 10, class: "st-name" }, "source"),
      svg("text", { x: 2, y: 182, class: "st-name" }, "answer"),
    ];
    written.forEach(({ looks }, row) => {
      const newest = row === written.length - 1;
      looks.forEach((weight, slot) => {
        if (weight < 0.02) return;
        const stroke = { "stroke-width": (newest ? 7 : 2) * weight, "stroke-opacity": newest ? 1 : 0.35 * weight };
        parts.push(
          svg("line", { x1: at(slot), y1: 56, x2: at(row), y2: 130, class: newest ? "" : "st-earlier", ...stroke }),
        );
      });
    });
    slots.forEach((name, column) => parts.push(...box(column, 38, name, "")));
    written.forEach(({ name, right }, column) =>
      parts.push(...box(column, 148, name, right ? (column === written.length - 1 ? "st-newest" : "") : "st-wrong")),
    );
    element.replaceChildren(...parts);
  };
  return { element, draw };
}

const most = (looks) => looks.indexOf(Math.max(...looks));

function rows(slots, written) {
  const each = written.map(({ name, looks, odds, token, right }) => [
    name,
    percent(odds[token]),
    right ? "yes" : "no",
    slots[most(looks)],
    ...looks.map((weight) => weight.toFixed(2)),
  ]);
  return {
    columns: ["token", "probability", "right", "looks most at", ...slots.map((name, slot) => `${slot}: ${name}`)],
    rows: each,
  };
}

function sentence(slots, written, source) {
  const { name, looks, odds, token, right } = written.at(-1);
  const slot = most(looks);
  const before = written.length > 1 ? `, after ${written.at(-2).name}` : "";
  return `From ${source}: token ${written.length} is ${name}${before}, ${percent(odds[token])}, ${right ? "right" : "wrong"}; this head looks most at ${slots[slot]} (slot ${slot}, weight ${looks[slot].toFixed(2)}).`;
}
