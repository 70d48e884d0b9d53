// A random spotlight: softmax attention, its estimate from one draw of random vectors, and error bars over many draws.
import { choice } from "studium_widgets/controls/choice.js";
import { dataTable } from "studium_widgets/controls/data_table.js";
import { demonstrate } from "studium_widgets/controls/demonstration.js";
import { h, put } from "studium_widgets/controls/element.js";
import { facts } from "studium_widgets/controls/facts.js";
import { heatMap } from "studium_widgets/controls/heat_map.js";
import { lineChart } from "studium_widgets/controls/line_chart.js";
import { memo } from "studium_widgets/controls/memo.js";
import { slider } from "studium_widgets/controls/slider.js";
import { stepper } from "studium_widgets/controls/stepper.js";
import { toggle } from "studium_widgets/controls/toggle.js";
import { widget } from "studium_widgets/controls/widget.js";
import { attention, bars, distance, DRAWS, estimate, relativeError, rowsOf, vectors } from "./spotlight_maths.js";

const DEMONSTRATED = Array.from({ length: 10 }, (_, i) => i + 2); // draws
const RANGE = [-0.4, 1];
const percent = (share) =>
  Number.isFinite(share) ? `${(100 * share).toFixed(Math.abs(share) < 0.0995 ? 1 : 0)} %` : "–";
const times = (value) =>
  !Number.isFinite(value) ? "over 100 ×" : value < 100 ? `${value.toPrecision(2)} ×` : "over 100 ×";

export default widget((ui) => {
  const [count, width] = ui.array("q").shape;
  const others = memo((m, orthogonal) =>
    Array.from({ length: DRAWS }, (_, i) => vectors(1000 + i, m, width, orthogonal)),
  );
  const shown = memo((draw, m, orthogonal) => vectors(draw, m, width, orthogonal));
  const found = memo((...state) => findings(ui, others, shown, ...state));
  ui.controls(
    choice(ui, "kind", { label: "Features", options: ["positive", "sine-cosine"] }),
    slider(ui, "size", {
      label: "Size of q and k",
      min: 0.25,
      max: 2,
      step: 0.05,
      format: (value) => `${value.toFixed(2)} ×`,
    }),
  );
  ui.more(...further(ui, count));
  ui.invite(
    "switch the features, then enlarge q and k: with one kind, the error bars explode where the weights are small.",
  );
  demonstrate(ui, "draw", () => DEMONSTRATED, 3000);
  const words = ui.get("words");
  if (words.length && !(words.length === count && words.length === ui.array("k").shape[0]))
    throw new Error("a word is needed for each query and each key");
  const maps = ["Softmax attention", "Estimate of this draw"].map((title) => titled(ui, title));
  const named = (query) => (words.length ? `“${words[query]}”` : `query ${query + 1}`);
  const chart = lineChart(ui, {
    label: "Weights of one query, with error bars",
    x: { label: "key", names: words.length ? words : undefined, range: [0.4, ui.array("k").shape[0] + 0.6] },
    y: { label: "weight", range: RANGE },
    height: 270,
  });
  const heading = h("h4");
  const numbers = facts(["Attention in the wrong place", "Rows with a negative sum", "Error of a single exp(q·k)"]);
  const table = dataTable(ui, {
    caption: "Weights of the query: exact, in this draw, and the middle 80 % of 24 draws",
  });
  const right = h("div", { class: "st-spot-part" }, heading, chart.element);
  ui.add(h("div", { class: "st-spot" }, ...maps.map(({ element }) => element), right), numbers.element, table.element);
  return () => {
    const query = ui.get("query") - 1;
    const now = found(...["kind", "vectors", "orthogonal", "size", "draw"].map(ui.get), ui.array("q"), ui.array("k"));
    const spread = bars(now.estimates, query);
    const off = percent(distance(now.exact, now.now.rows));
    const titles = [
      `Exact: the softmax${words.length ? ", mostly the word before" : ""}`,
      `Estimate from ${ui.get("vectors")} random vectors: ${off} misplaced`,
    ];
    [now.exact, now.now.rows].forEach((rows, i) => maps[i].draw(rows, query, titles[i], words));
    put(heading, "textContent", `Where ${named(query)} looks. Bars: the middle 80 % of ${DRAWS} draws`);
    chart.draw(lines(now, query, spread, ui.theme));
    numbers.draw(tiles(now, query, ui));
    table.draw(() => tableOf(now, query, spread));
    ui.say(sentence(now, query, spread, words));
  };
});

function further(ui, count) {
  return [
    slider(ui, "vectors", { label: "Vectors m", values: [4, 8, 16, 32, 64, 128] }),
    toggle(ui, "orthogonal", { label: "Orthogonal" }),
    stepper(ui, "draw", { label: "Draw", min: 1, max: 99 }),
    stepper(ui, "query", { label: "Query", min: 1, max: count }),
  ];
}

function findings(ui, others, shown, kind, m, orthogonal, size, draw, ...arrays) {
  const [queries, keys] = arrays.map((array) => rowsOf(array, size));
  const exact = attention(queries, keys);
  const estimates = others(m, orthogonal).map((drawn) => estimate(queries, keys, drawn, kind));
  const even = exact.map((row) => row.map(() => 1 / row.length));
  return { queries, keys, exact, estimates, even, now: estimate(queries, keys, shown(draw, m, orthogonal), kind) };
}

// A table of shares below its heading: negative ones have a dot, and what is beyond the scale has the colour of its end.
function titled(ui, title) {
  const map = heatMap(ui, { label: title, size: 400, picked: ([row]) => ui.set("query", row + 1) });
  const heading = h("h4");
  const draw = (rows, query, words, tokens) => {
    put(heading, "textContent", words);
    const data = Float32Array.from(rows.flat());
    const dots = Uint8Array.from(data, (share) => share < 0);
    map.draw({
      data,
      rows: rows.length,
      columns: rows[0].length,
      range: [0, 0.7],
      marked: query,
      dots,
      ...(tokens.length && { rowNames: tokens, columnNames: tokens }),
    });
  };
  return { element: h("div", { class: "st-spot-part" }, heading, map.element), draw };
}

function lines({ exact, now }, query, spread, theme) {
  const layer = (context, { x, y }) => {
    context.strokeStyle = theme.accent;
    context.lineWidth = 2;
    spread.forEach((ends, key) =>
      whisker(
        context,
        x.place(key + 1),
        ends.map((end) => y.place(clipped(end))),
      ),
    );
  };
  const series = [
    { name: "softmax", y: exact[query], dots: true, kind: "right" },
    { name: "this draw", y: now.rows[query].map(clipped), dots: true, kind: "chosen" },
  ];
  return { x: exact[query].map((_, key) => key + 1), series, layer };
}

const clipped = (share) => Math.min(RANGE[1], Math.max(RANGE[0], share));

function whisker(context, x, [low, high]) {
  context.beginPath();
  context.moveTo(x, low);
  context.lineTo(x, high);
  for (const end of [low, high]) {
    context.moveTo(x - 4, end);
    context.lineTo(x + 4, end);
  }
  context.stroke();
}

function tiles({ queries, keys, exact, even, now, estimates }, query, ui) {
  const errors = keys.map((key) => relativeError(queries[query], key, ui.get("vectors"), ui.get("kind")));
  const negative = estimates.reduce((sum, one) => sum + one.negative, 0) / (estimates.length * queries.length);
  return [
    [percent(distance(exact, now.rows)), `equal weights for all keys: ${percent(distance(exact, even))}`],
    [`${now.negative} of ${queries.length}`, `in ${DRAWS} draws: ${percent(negative)}`],
    [
      `${times(Math.min(...errors))} to ${times(Math.max(...errors))}`,
      `of its value, for independent vectors and query ${query + 1}`,
    ],
  ];
}

function tableOf({ exact, now }, query, spread) {
  const rows = exact[query].map((share, key) => [key + 1, share, now.rows[query][key], ...spread[key]]);
  return {
    columns: ["key", "softmax", "this draw", "10th percentile", "90th percentile"],
    rows: rows.map(([key, ...rest]) => [key, ...rest.map(percent)]),
  };
}

function sentence({ exact, now }, query, spread, words) {
  const key = exact[query].indexOf(Math.max(...exact[query]));
  const [low, high] = spread[key].map(percent);
  const [from, to] = words.length
    ? [words[query], words[key]].map((word) => `“${word}”`)
    : [`Query ${query + 1}`, `key ${key + 1}`];
  return `${from} gives ${to} ${percent(exact[query][key])} of its attention, and ${percent(now.rows[query][key])} in this draw; most draws lie between ${low} and ${high}.`;
}
