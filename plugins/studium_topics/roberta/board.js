// The recipe board: the rows that a recipe makes of a text, what each epoch asks for, and the held-out losses.
import { bars } from "studium_widgets/controls/bars.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { fold } from "studium_widgets/controls/fold.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { legend } from "studium_widgets/controls/legend.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { memo } from "studium_widgets/controls/memo.js";
import { player } from "studium_widgets/controls/player.js";
import { select } from "studium_widgets/controls/select.js";
import { slider } from "studium_widgets/controls/slider.js";
import { widget } from "studium_widgets/controls/widget.js";
import { asked, coverage, KEPT, MASK, masksOf, NONE, RANDOM, rowsOf } from "./board_maths.js";

const RECIPES = { nsp: "sentence pairs, with NSP", pairs: "sentence pairs", full: "full sentences" };
const CLASSES = { [MASK]: "st-chosen", [RANDOM]: "st-random", [KEPT]: "st-kept" };
const FUTURE = 0.12; // the shade of what later epochs will ask for
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const maskings = (copies) => ({
  once: "static, drawn once",
  copies: `static, ${copies} masks in turn`,
  dynamic: "dynamic, a new mask each epoch",
});
const LINES = {
  once: ["drawn once", "wrong"],
  copies: ["masks in turn", "context"],
  dynamic: ["new each epoch", "right"],
};

export default widget((ui) => {
  const text = memo((sentences, documents, recipe, length, seed) => rowsOf(sentences, documents, recipe, length, seed));
  const masksFor = memo(masksOf);
  const names = maskings(ui.get("copies"));
  const epoch = player(ui, "epoch", { label: "Epoch", ends: () => [1, ui.get("epochs")] });
  ui.controls(epoch.element, select(ui, "masking", { label: "Masks", options: Object.entries(names) }));
  ui.more(
    select(ui, "recipe", { label: "Rows", options: Object.entries(RECIPES) }),
    slider(ui, "rate", { label: "Rate", min: 0.05, max: 0.5, step: 0.05, format: percent }),
  );
  ui.invite(
    "play the epochs with masks that are drawn once, then with a new mask each epoch: which words does the loss never ask for?",
  );
  demonstrate(ui, "epoch", epoch.all);
  const board = rowList();
  const key = legend(ui);
  const numbers = facts(["Words asked for so far", "Never asked for", "Expected of such masks"]);
  const raster = heatMap(ui, { label: "Words that each epoch asks for", size: 440, square: false });
  const chart = lineChart(ui, {
    label: "Held-out loss",
    x: { label: "epoch" },
    y: { label: "nats a token" },
    height: 230,
  });
  const nouns = bars(ui, { label: "Loss of a hidden noun", format: (nats) => `${nats.toFixed(2)} nats` });
  const table = dataTable(ui, { caption: "What each epoch asks for, and the held-out loss" });
  const part = (title, ...parts) => h("div", {}, h("h4", {}, title), ...parts);
  const curve = part("Masks: loss on held-out rows, measured", chart.element);
  const pictures = h(
    "div",
    { class: "st-board" },
    part("One row per epoch, one column per word: what stands out is asked for", raster.element),
    curve,
  );
  const padded = h("p", { class: "st-note" });
  const formats = fold(ui, "Rows: sentence pairs, or full sentences", [
    part("Rows: loss of a hidden noun, measured", nouns.element),
    padded,
  ]);
  const ground = h(
    "p",
    { class: "st-note" },
    "The stronger a word's background, the more often it was asked for. Grey words were never asked for.",
  );
  ui.add(h("div", {}, board.element, key.element, ground), numbers.element, pictures, formats, table.element);
  return () => {
    epoch.draw();
    const [recipe, masking, now, epochs] = ["recipe", "masking", "epoch", "epochs"].map((name) => ui.get(name));
    const [copies, rate, seed] = ["copies", "rate", "seed"].map((name) => ui.get(name));
    const rows = text(ui.get("sentences"), ui.get("documents"), recipe, ui.get("length"), seed);
    const all = rows.flatMap((row) => row.tokens);
    const words = all.filter((token) => !token.special).map((token) => token.text);
    const masks = masksFor(seed, masking, copies, epochs, words.length, rate);
    const found = asked(masks, now);
    const hoped = coverage(masking, copies, now, rate);
    const padding = all.filter((token) => token.text === "<pad>").length / all.length;
    board.draw(rows, masks, now, words);
    key.draw(keys(ui.theme));
    numbers.draw([
      [percent(found), `of ${words.length} words, by epoch ${now}`],
      [
        `${words.length - Math.round(found * words.length)} of ${words.length}`,
        "words: the loss learns nothing from them",
      ],
      [percent(hoped), `of all words after ${now} epoch${now > 1 ? "s" : ""}`],
    ]);
    padded.textContent = `${rows.length} rows; ${percent(padding)} of the tokens are padding.`;
    raster.draw({ ...picture(masks, now), range: [0, 1], marked: now - 1 });
    const hidden = Array.from(ui.array("nouns").data);
    const losses = ui.array("losses") ? curves(ui.array("losses")) : [];
    curve.hidden = !losses.length;
    const measured = ui.get("measured");
    if (losses.length) chart.draw({ x: measured, series: losses, marks: [{ x: now, label: `epoch ${now}` }] });
    nouns.draw(
      Object.entries(RECIPES).map(([name, shown], i) => ({
        name: shown,
        value: hidden[i],
        kind: name === recipe ? "chosen" : "context",
      })),
      Math.max(...hidden),
    );
    table.draw(() => content(masks, measured, losses, hidden));
    const at = Math.max(0, measured.filter((after) => after <= now).length - 1);
    const loss = losses[Object.keys(names).indexOf(masking)]?.y[at].toFixed(2);
    const measure = loss ? `; the held-out loss after epoch ${measured[at]} is ${loss} nats` : "";
    ui.say(
      `Epoch ${now}, ${RECIPES[recipe]}, ${names[masking]}: ${percent(found)} of ${words.length} words were asked for so far${measure}; the loss of a hidden noun is ${hidden[Object.keys(RECIPES).indexOf(recipe)].toFixed(2)} nats.`,
    );
  };
});

// The rows as chips; what this epoch asks for has a sign of its own.
function rowList() {
  const list = h("ol");
  const draw = (rows, masks, now, words) => {
    const mask = masks[now - 1];
    const times = words.map((_, word) => masks.slice(0, now).filter((one) => one[word] !== NONE).length);
    let at = 0;
    const chip = (token) => {
      if (token.special) return h("span", { class: "st-special" }, token.text);
      const what = mask[at];
      const shown = {
        [NONE]: token.text,
        [MASK]: "<mask>",
        [RANDOM]: words[(at * 7 + 3) % words.length],
        [KEPT]: token.text,
      }[what];
      const depth = `--st-asked: ${Math.round(Math.min(1, times[at] / 5) * 30)}%`;
      const kind = what === NONE ? (times[at] ? null : "st-never") : CLASSES[what];
      at += 1;
      return h("span", { class: kind, style: depth }, shown);
    };
    const line = ({ tokens, note }) =>
      h("li", {}, ...shortened(tokens).map(chip), ...(note ? [h("em", {}, note)] : []));
    list.replaceChildren(...rows.map(line));
  };
  return { element: h("div", { class: "st-recipe", "aria-hidden": "true" }, list), draw };
}

// A run of padding as one chip.
function shortened(tokens) {
  const real = tokens.filter((token) => token.text !== "<pad>");
  const padding = tokens.length - real.length;
  return padding ? [...real, { text: `<pad> × ${padding}`, special: true }] : real;
}

function keys(theme) {
  return [
    { name: "asked for now, hidden", mark: "▭", stroke: theme.accent },
    { name: "asked for now, another word in its place", mark: "┅", stroke: theme.warm },
    { name: "asked for now, left as it is", mark: "⋯", stroke: theme.text },
  ];
}

function picture(masks, now) {
  const columns = masks[0].length;
  const data = new Float32Array(masks.length * columns);
  masks.forEach((mask, row) =>
    mask.forEach((what, column) => (data[row * columns + column] = what === NONE ? 0 : row < now ? 1 : FUTURE)),
  );
  return { data, rows: masks.length, columns };
}

function curves({ data, shape: [, points] }) {
  return Object.values(LINES).map(([name, kind], i) => ({
    name,
    kind,
    y: Array.from(data.subarray(i * points, (i + 1) * points)),
  }));
}

function content(masks, measured, losses, hidden) {
  const lossesAfter = (epoch) =>
    losses.map(({ y }) => (measured.includes(epoch) ? y[measured.indexOf(epoch)].toFixed(2) : ""));
  const rows = masks.map((mask, i) => [
    i + 1,
    mask.filter((what) => what !== NONE).length,
    percent(asked(masks, i + 1)),
    "",
    ...lossesAfter(i + 1),
  ]);
  const shares = Object.values(RECIPES).map((name, i) => [
    `hidden noun, ${name}`,
    "",
    "",
    hidden[i].toFixed(2),
    ...losses.map(() => ""),
  ]);
  return {
    columns: ["epoch", "words asked for", "so far", "hidden noun", ...losses.map(({ name }) => name)],
    rows: [...rows, ...shares],
  };
}
