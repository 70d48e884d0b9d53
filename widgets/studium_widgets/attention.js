// Attention of one head as a matrix or as arcs, recomputed here from scores at every change of mask or temperature.
import { arcs } from "./attention_arcs.js";
import { heads } from "./attention_heads.js";
import { attend, heaviestCell, scaleTop, scoresOf, spread, strongestKey } from "./attention_maths.js";
import { question } from "./attention_question.js";
import { predictions, sentence, shownTokens } from "./attention_words.js";
import { choice } from "./controls/choice.js";
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h } from "./controls/element.js";
import { heatMap } from "./controls/heat_map.js";
import { colourBar } from "./controls/legend.js";
import { slider } from "./controls/slider.js";
import { stepper } from "./controls/stepper.js";
import { settle } from "./controls/timing.js";
import { toggle } from "./controls/toggle.js";
import { widget } from "./controls/widget.js";

const TEMPERATURES = Array.from({ length: 41 }, (_, i) => Number((0.1 * 10 ** (i / 20)).toPrecision(2))); // 0.1 … 10
const MASKS = [
  ["bidirectional", "Bidirectional"],
  ["causal", "Causal"],
];
const VIEWS = [
  ["matrix", "Matrix"],
  ["arcs", "Arcs"],
];
const TABLE_ROWS = 64;
const LIVE = 128; // tokens up to which the small pictures follow a moving slider; above, they wait until it rests

export default widget((ui) => {
  const head = source(ui);
  const temperature = slider(ui, "temperature", {
    label: "Temperature",
    values: TEMPERATURES,
    format: (value) => value.toFixed(2),
  });
  ui.controls(choice(ui, "mask", { label: "Mask", options: MASKS }), temperature);
  ui.more(...further(ui, head()));
  ui.invite(invitation(ui));
  demonstrate(ui, "temperature", () => TEMPERATURES.filter((value) => value >= ui.get("temperature")).reverse());
  const { pictures, words, panel, thumbnails, key, table } = build(ui, head());
  let drawn = null;
  const small = (now) => thumbnails.draw(now.scoresOf, now.size, now.mask, ui.get("temperature"));
  const whenStill = settle(small, 80, ui.signal);
  return () => {
    const now = head();
    words?.draw();
    panel?.draw();
    if (thumbnails && now.allHeads !== drawn) (now.size > LIVE ? whenStill : small)(now);
    drawn = now.allHeads;
    thumbnails?.mark();
    pictures.draw(now);
    key.draw({ from: "0", to: now.clipped ? `≥ ${now.range}` : String(now.range) });
    table.draw(() => rowsOf(ui, now));
    ui.say(sentenceFor(ui, now, pictures.cell()));
  };
});

function invitation(ui) {
  if (ui.get("predictions").length)
    return "hide another word, then switch the mask: what can still be read from the words that it sees?";
  if (ui.get("asks")) return "write a sentence of your own, and point at a row: where does this word look?";
  return "point at a row to see where one word looks. Then switch the mask: what lies to the right is gone, and the rest shares the weight.";
}

function further(ui, { layers, headCount }) {
  const made = [choice(ui, "view", { label: "View", options: VIEWS })];
  if (layers > 1) made.push(stepper(ui, "layer", { label: "Layer", max: layers - 1 }));
  if (headCount > 1) made.push(stepper(ui, "head", { label: "Head", max: headCount - 1 }));
  if (ui.get("padding").some(Boolean)) made.push(toggle(ui, "mask_padding", { label: "Hide padding" }));
  return made;
}

function build(ui, { headCount }) {
  const pictures = figure(ui);
  const key = colourBar(ui, { label: "query ↓ key → weight" });
  const asked = ui.get("predictions").length > 0;
  const [words, panel] = asked ? [sentence(ui), predictions(ui)] : [];
  const thumbnails = headCount > 1 ? heads(ui, headCount) : null;
  const table = dataTable(ui, { caption: "Weights, one row a query" });
  const parts = [panel, thumbnails].filter(Boolean).map((part) => part.element);
  const main = h("div", { class: "st-figure" }, ...pictures.elements, key.element);
  const side = parts.length ? [h("div", { class: "st-side" }, ...parts)] : [];
  if (ui.get("asks")) ui.add(question(ui));
  if (words) ui.add(words.element);
  ui.add(h("div", { class: "st-attention" }, main, ...side), table.element);
  return { pictures, words, panel, thumbnails, key, table };
}

// Both views of one matrix; the one that is not chosen is hidden.
function figure(ui) {
  let now = null;
  const moved = () => now && ui.say(sentenceFor(ui, now, cell()));
  const picked = ([row]) => ui.set("locked", ui.get("locked") === row ? -1 : row);
  const listeners = { moved, picked };
  const matrix = heatMap(ui, { label: "Attention matrix: arrows move, Enter locks a row", ...listeners });
  const curves = arcs(ui, { label: "Attention arcs: arrows move, Enter locks a query", ...listeners });
  const current = () => (ui.get("view") === "arcs" ? curves : matrix);
  const cell = () => current().cursor.cell;
  const draw = (latest) => {
    now = latest;
    matrix.element.hidden = current() !== matrix;
    curves.element.hidden = current() !== curves;
    const { weights, size, range } = now;
    const names = shownTokens(ui);
    const marked = ui.get("locked") >= 0 ? ui.get("locked") : ui.get("masked");
    const shared = { data: weights, weights, size, names, marked };
    if (current() === curves) curves.draw({ ...shared, range });
    else matrix.draw({ ...shared, rows: size, columns: size, range: [0, range], rowNames: names, columnNames: names });
  };
  return { elements: [matrix.element, curves.element], cell, draw };
}

// The weights of the chosen head, computed again only when something that they depend on has changed.
function source(ui) {
  let last = { key: [] };
  let logarithms = {};
  return () => {
    const given = ui.array("scores") ?? ui.array("weights");
    const isScores = Boolean(ui.array("scores"));
    if (logarithms.given !== given) logarithms = { given, data: isScores ? given.data : scoresOf(given.data) };
    const hidden = ui.get("mask_padding") && ui.get("padding").some(Boolean) ? ui.get("padding") : null;
    const shared = [given, ui.get("layer"), ui.get("mask"), ui.get("temperature"), hidden];
    const key = [...shared, ui.get("head")];
    if (key.every((part, i) => part === last.key[i])) return last;
    const same = shared.every((part, i) => part === last.key[i]);
    last = { key, ...compute(ui, given.shape, logarithms.data, hidden, last.weights) };
    last.allHeads = same ? last.allHeads : {};
    return last;
  };
}

function compute(ui, [layers, headCount, size], scores, hidden, reuse) {
  const mask = { causal: ui.get("mask") === "causal", hidden };
  const scoresOfHead = (head) => {
    const start = (ui.get("layer") * headCount + head) * size * size;
    return scores.subarray(start, start + size * size);
  };
  const out = reuse?.length === size * size ? reuse : undefined;
  const weights = attend(scoresOfHead(ui.get("head")), size, mask, ui.get("temperature"), NaN, out);
  return { layers, headCount, size, mask, weights, ...scaleTop(weights), scoresOf: scoresOfHead };
}

function sentenceFor(ui, { weights, size }, cell) {
  const names = shownTokens(ui);
  const row = cell ? cell[0] : ui.get("locked") >= 0 ? ui.get("locked") : ui.get("masked");
  if (row < 0) return overview(ui, weights, size, names);
  const key = cell ? cell[1] : strongestKey(weights, size, row).key;
  const weight = weights[row * size + key];
  const seen = Number.isNaN(weight) ? "may not look at" : `gives weight ${weight.toFixed(4)} to`;
  const { tokens, right } = spread(weights, size, row);
  const share = `${Math.round(100 * right)} % of its attention lies to the right`;
  return `“${names[row]}” (${row}) ${seen} “${names[key]}” (${key}). It spreads over ${tokens.toFixed(1)} tokens; ${share}.`;
}

// The head as a whole, and how to ask for more.
function overview(ui, weights, size, names) {
  const cell = heaviestCell(weights);
  const [query, key] = [names[Math.floor(cell / size)], names[cell % size]];
  const head = `Head ${ui.get("head")} of layer ${ui.get("layer")}, ${ui.get("mask")}, temperature ${ui.get("temperature")}`;
  return `${head}: the heaviest weight is ${weights[cell].toFixed(3)}, from “${query}” to “${key}”. Point at a cell, or press arrow keys, to read others.`;
}

function rowsOf(ui, { weights, size }) {
  const names = shownTokens(ui).slice(0, TABLE_ROWS);
  const cell = (row) => (_, key) =>
    Number.isNaN(weights[row * size + key]) ? "–" : weights[row * size + key].toFixed(3);
  return { columns: ["query", ...names], rows: names.map((name, row) => [name, ...names.map(cell(row))]) };
}
