// The glass transformer: the model runs here, at every change, and nothing of it is hidden.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put, suppress } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { fold } from "studium_widgets/controls/fold.js";
import { heatMap, paint } from "studium_widgets/controls/heat_map.js";
import { colourBar } from "studium_widgets/controls/legend.js";
import { memo } from "studium_widgets/controls/memo.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { widget } from "studium_widgets/controls/widget.js";
import { copied, filtered, forward, inductionScore, textOf } from "./glass_maths.js";
import { nameOf, textLines } from "./glass_text.js";

const percent = (value) => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;
const GUESSES = 4;
const LONGEST = 24; // tokens that a text is made from, as in glass.py

export default widget((ui) => {
  const weights = weightsOf(ui);
  const { layers, heads, tokens } = weights;
  const run = memo((text, silent) => ({ text, ...forward(weights, text, silent) }));
  const text = memo((fresh, period, edits) => textOf(fresh, period, edits));
  const current = () => run(text(ui.get("fresh"), ui.get("period"), ui.get("edits")), ui.get("silent"));
  const { first, rest } = controls(ui, tokens);
  ui.controls(...first);
  ui.more(...rest);
  ui.invite(
    "move the place. The chosen head finds where this letter came before, and copies what followed it there. Then silence it.",
  );
  demonstrate(
    ui,
    "place",
    () =>
      [...Array(ui.get("period")).keys()]
        .map((at) => at + ui.get("place") - ui.get("period") + 1)
        .filter((at) => at >= 0),
    4000,
  );
  const line = textLines(ui);
  const grid = glassHeads(ui, layers, heads);
  const numbers = facts([
    "Letters copied in the second half",
    "This head's weight on the letter that followed",
    "The model's next letter",
  ]);
  const map = heatMap(ui, {
    label: "The chosen head: arrows move, Enter looks at that query",
    size: 620,
    moved: () => ui.redraw(),
    picked: ([row]) => ui.set("place", Math.min(row, current().text.length - 2)),
  });
  const key = colourBar(ui, { label: "query ↓ key → weight" });
  const lens = Array.from({ length: layers + 1 }, (_, after) =>
    guesses(ui, after ? `after layer ${after - 1}` : "before any layer"),
  );
  const drawn = bars(ui, { label: "What the next token is drawn from", format: percent });
  const next = h("div", { class: "st-lens" }, h("h4", {}, "What would be drawn"), drawn.element);
  const table = dataTable(ui, { caption: "Weights of the chosen head, one row a query" });
  const large = h("div", { class: "st-figure" }, map.element, key.element);
  const read = h("div", { class: "st-lenses" }, ...lens.map(({ element }) => element), next);
  const weighed = fold(ui, "All weights of the chosen head", [large]);
  const said = fold(ui, "What the model would say before, between and after the layers", [read]);
  ui.add(line.element, numbers.element, grid.element, weighed, said, table.element);
  return () => {
    if (ui.get("fresh").length > LONGEST)
      throw new Error(`at most ${LONGEST} tokens are needed for a text, got ${ui.get("fresh").length}`);
    const now = current();
    const [layer, head, place] = [ui.get("layer"), Math.min(ui.get("shown"), heads - 1), ui.get("place")];
    if (!now.logits[layers].every(Number.isFinite))
      throw new Error("weights are needed whose sums a number can hold, got larger ones");
    const rows = now.text.length;
    const shown = now.attention[layer][head];
    const names = now.text.map(nameOf);
    map.draw({ data: shown, rows, columns: rows, range: [0, 1], rowNames: names, columnNames: names, marked: place });
    key.draw({ from: "0", to: "1" });
    grid.draw(now.attention, rows, ui.get("period"));
    lens.forEach((panel, after) =>
      panel.draw(now.logits[after].subarray(place * tokens, (place + 1) * tokens), now.text[place + 1]),
    );
    const last = now.logits[layers];
    const odds = filtered(
      last.subarray(place * tokens, (place + 1) * tokens),
      ui.get("temperature"),
      ui.get("top_k"),
      ui.get("top_p"),
    );
    drawn.draw(
      best(odds, 6).map((token) => ({
        name: nameOf(token),
        value: odds[token],
        kind: token === now.text[place + 1] ? "right" : "context",
      })),
    );
    const { right, of } = copied(last, now.text, tokens);
    const [guess] = best(odds, 1);
    const source = most(shown, rows, place);
    const told =
      layer && source ? Math.max(...now.attention[layer - 1].map((below) => below[source * rows + source - 1])) : null;
    line.draw({
      text: now.text,
      place,
      period: ui.get("period"),
      edits: ui.get("edits"),
      weights: shown.subarray(place * rows, (place + 1) * rows),
      best: source,
      told,
      guess,
    });
    numbers.draw([
      [`${right} of ${of}`, ui.get("silent").length ? `${ui.get("silent").length} heads silent` : "all heads speak"],
      [percent(inductionScore(shown, rows, ui.get("period"))), `of its weight, head ${layer}.${head}, on average`],
      [nameOf(guess), guess === now.text[place + 1] ? "right" : `wrong: it is ${nameOf(now.text[place + 1])}`],
    ]);
    table.draw(() => ({
      columns: ["query", ...names],
      rows: names.map((name, row) => [name, ...cells(shown, rows, row)]),
    }));
    ui.say(sentence(now, layer, head, map.cursor.cell ?? [place, null], rows));
  };
});

function weightsOf(ui) {
  const flat = Object.fromEntries(
    ["embedding", "head", "norm", "norms", "q", "k", "v", "o"].map((name) => [name, ui.array(name).data]),
  );
  const [tokens, width] = ui.array("embedding").shape;
  if (width % (2 * ui.get("heads")))
    throw new Error(`heads of even width are needed, got ${width} numbers for ${ui.get("heads")} heads`);
  return { ...flat, tokens, width, layers: ui.array("q").shape[0], heads: ui.get("heads") };
}

function controls(ui, tokens) {
  const edit = h("button", { type: "button", class: "st-button", ...suppress }, "Another token here");
  edit.addEventListener("click", () => change(ui, tokens), { signal: ui.signal });
  const undo = h("button", { type: "button", class: "st-button", ...suppress }, "Undo edits");
  undo.addEventListener("click", () => ui.set("edits", {}), { signal: ui.signal });
  const mute = h(
    "button",
    { type: "button", class: "st-button", "aria-pressed": "false", ...suppress },
    "Silence this head",
  );
  mute.addEventListener("click", () => silence(ui), { signal: ui.signal });
  const show = () => mute.setAttribute("aria-pressed", String(ui.get("silent").includes(numberOf(ui))));
  for (const name of ["silent", "layer", "shown"]) ui.on(name, show);
  show();
  const place = slider(ui, "place", { label: "Look from place", min: 0, max: 2 * ui.get("fresh").length - 2 });
  const rest = [
    slider(ui, "period", { label: "Starts again after", min: 2, max: ui.get("fresh").length }),
    slider(ui, "temperature", {
      label: "Temperature",
      min: 0.1,
      max: 3,
      step: 0.1,
      format: (value) => value.toFixed(1),
    }),
    stepper(ui, "top_k", { label: "Top-k (0: all)", max: tokens }),
    slider(ui, "top_p", { label: "Top-p", min: 0, max: 1, step: 0.05, format: (value) => value.toFixed(2) }),
    h("div", { class: "st-buttons" }, edit, undo),
  ];
  return { first: [place, mute], rest };
}

const numberOf = (ui) => ui.get("layer") * ui.get("heads") + ui.get("shown");

function silence(ui) {
  const [number, silent] = [numberOf(ui), ui.get("silent")];
  ui.set("silent", silent.includes(number) ? silent.filter((other) => other !== number) : [...silent, number]);
}

function change(ui, tokens) {
  const place = ui.get("place");
  const [now] = textOf(ui.get("fresh"), ui.get("period"), ui.get("edits")).slice(place);
  ui.set("edits", { ...ui.get("edits"), [place]: (now + 1) % tokens });
}

// All heads of all layers as small pictures: radio buttons that choose the one shown large.
function glassHeads(ui, layers, heads) {
  const parts = Array.from({ length: layers * heads }, (_, number) => {
    const [layer, head] = [Math.floor(number / heads), number % heads];
    const canvas = h("canvas", { "aria-hidden": "true" });
    const label = h("span", {});
    const button = h("button", { type: "button", class: "st-glass-head", ...suppress }, canvas, label);
    button.addEventListener(
      "click",
      () => {
        ui.set("layer", layer);
        ui.set("shown", head);
      },
      { signal: ui.signal },
    );
    return { layer, head, canvas, label, button };
  });
  const rows = Array.from({ length: layers }, (_, layer) => {
    const own = parts.filter((part) => part.layer === layer).map(({ button }) => button);
    return h(
      "div",
      {},
      h("h4", {}, `Layer ${layer}`),
      h("div", { class: "st-glass-layer", role: "group", "aria-label": `Layer ${layer}` }, ...own),
    );
  });
  const painted = memo((attention, rowCount, dark) => {
    for (const { layer, head, canvas } of parts)
      paint(canvas, { data: attention[layer][head], rows: rowCount, columns: rowCount, range: [0, 1] }, dark);
    return {};
  });
  const labelled = memo((attention, rowCount, period, chosenLayer, chosenHead, silenced) => {
    parts.forEach(({ layer, head, label, button }, number) => {
      const [chosen, silent] = [layer === chosenLayer && head === chosenHead, silenced.includes(number)];
      const score = percent(inductionScore(attention[layer][head], rowCount, period));
      put(label, "textContent", silent ? `${layer}.${head} silent` : `${layer}.${head}: ${score}`);
      button.setAttribute("aria-label", `Head ${layer}.${head}, induction score ${score}${silent ? ", silent" : ""}`);
      button.setAttribute("aria-pressed", String(chosen));
      button.classList.toggle("st-muted", silent);
    });
    return {};
  });
  const draw = (attention, rowCount, period) => {
    painted(attention, rowCount, ui.theme.dark);
    labelled(attention, rowCount, period, ui.get("layer"), ui.get("shown"), ui.get("silent"));
  };
  return { element: h("div", { class: "st-glass-heads" }, ...rows), draw };
}

// The logit lens: what the stream would say of the next token if it were read out here.
function guesses(ui, title) {
  const odds = bars(ui, { label: `The next token, ${title}`, format: percent });
  const element = h("div", { class: "st-lens" }, h("h4", {}, title), odds.element);
  const draw = (logits, right) => {
    const probability = filtered(logits);
    odds.draw(
      best(probability, GUESSES).map((token) => ({
        name: nameOf(token),
        value: probability[token],
        kind: token === right ? "right" : "context",
      })),
    );
  };
  return { element, draw };
}

function best(odds, count) {
  return Array.from(odds, (_, token) => token)
    .sort((a, b) => odds[b] - odds[a])
    .slice(0, count);
}

// The key that a query gives the most weight.
function most(weights, size, row) {
  let at = 0;
  for (let i = 1; i <= row; i++) if (weights[row * size + i] > weights[row * size + at]) at = i;
  return at;
}

function cells(weights, size, row) {
  return Array.from({ length: size }, (_, at) => (at > row ? "–" : weights[row * size + at].toFixed(2)));
}

function sentence({ text, attention, scores }, layer, head, [row, column], size) {
  const own = attention[layer][head];
  const at = column ?? most(own, size, row);
  if (at > row) return `Place ${row} may not look at place ${at}: it lies ahead.`;
  const after = at ? `after ${nameOf(text[at - 1])}` : "the first token";
  const weight = own[row * size + at];
  const dot = scores[layer][head][row * size + at];
  return `Head ${layer}.${head}: from ${nameOf(text[row])} at place ${row} to ${nameOf(text[at])} at place ${at} (${after}), score ${dot.toFixed(2)}, weight ${weight.toFixed(3)}.`;
}
