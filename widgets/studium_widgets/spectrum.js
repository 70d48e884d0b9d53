// Singular values or eigenvalues with a cut to drag: the energy kept, and what the kept part gives back.
import { choice } from "./controls/choice.js";
import { cutBars } from "./controls/cut_bars.js";
import { dataTable } from "./controls/data_table.js";
import { demonstrate } from "./controls/demonstration.js";
import { h, put, suppress } from "./controls/element.js";
import { heatMap } from "./controls/heat_map.js";
import { lineChart } from "./controls/line_chart.js";
import { matrices } from "./controls/matrix.js";
import { select } from "./controls/select.js";
import { short } from "./controls/ticks.js";
import { toggle } from "./controls/toggle.js";
import { widget } from "./controls/widget.js";
import { centred, cutFor, energy, moveRank, svd, tailEnergies } from "./spectrum_maths.js";

const SHARES = [0.5, 0.9, 0.99];
const IMAGES = 8;
const rounded = (value) => short(Number(value.toPrecision(4)));
const percent = (share) => `${(100 * share).toFixed(share > 0.9995 && share < 1 ? 3 : 1)} %`;

export default widget((ui) => {
  const look = source(ui);
  const { chosen, rest } = controls(ui, look);
  ui.controls(...chosen);
  ui.more(...rest);
  ui.invite("drag the cut through the values: how few of them give back what you see?");
  demonstrate(ui, "cut", () => [...Array(Math.min(ui.get("cut"), look().weights.length) + 1).keys()]);
  const bars = cutBars(ui, "cut", { label: "Cut behind value", least: 0 });
  const [x, y] = [{ label: "values kept" }, { label: "energy kept, %", range: [0, 118] }];
  const chart = lineChart(ui, { label: "Energy kept by each cut: arrows read it", x, y, height: 270 });
  const picture = ui.array("matrix") ? (ui.get("image").length ? images(ui) : products(ui)) : null;
  const table = dataTable(ui, { caption: "Values, and the energy that a cut behind each keeps" });
  ui.add(
    h("div", { class: "st-spectrum" }, bars.element, chart.element),
    ...(picture ? [picture.element] : []),
    table.element,
  );
  return () => {
    const now = look();
    bars.draw(barsOf(ui, now));
    chart.draw({
      series: [{ name: "energy kept", y: Array.from(now.kept, (share) => 100 * share) }],
      marks: [{ x: now.cut, label: `${now.cut} keep ${percent(now.kept[now.cut])}` }],
    });
    picture?.draw(now);
    table.draw(() => rowsOf(now));
    ui.say(picture?.spoken(now) || sentence(now));
  };
});

function controls(ui, look) {
  const { names } = look();
  const cases = names.map((name, i) => [String(i), name]);
  const proxy = { ...ui, get: (name) => String(ui.get(name)), set: (name, value) => ui.set(name, Number(value)) };
  const pick = names.length > 4 ? select : choice;
  const share = (part) => {
    const button = h("button", { type: "button", class: "st-button", ...suppress }, `Keep ${100 * part} %`);
    button.addEventListener("click", () => ui.set("cut", cutFor(look().weights, part)), { signal: ui.signal });
    return button;
  };
  const chosen = names.length > 1 ? [pick(proxy, "case", { label: "Matrix", options: cases })] : [];
  return { chosen, rest: [toggle(ui, "logarithmic", { label: "Log scale" }), ...SHARES.map(share)] };
}

// The decomposition of each case is kept, and the product moves with the cut from where it was.
function source(ui) {
  const known = new Map();
  let given = null;
  const decomposed = (index) => {
    if (given !== ui.array("matrix")) [given] = [ui.array("matrix"), known.clear()];
    if (!known.has(index)) known.set(index, decompose(ui, given, index));
    return known.get(index);
  };
  return () => {
    const plain = ui.array("values");
    const base = plain ? { values: plain.data } : decomposed(ui.get("case"));
    const singular = ui.get("kind") === "singular";
    const weights = singular ? base.values.map((value) => value ** 2) : base.values;
    const cut = Math.min(ui.get("cut"), weights.length);
    if (base.factors) follow(base, cut);
    return {
      ...base,
      weights,
      kept: shares(weights),
      cut,
      names: ui.get("names"),
      singular,
      name: ui.get("names")[ui.get("case")],
    };
  };
}

function decompose(ui, { data, shape: [, rows, columns] }, index) {
  const part = Float64Array.from(data.subarray(index * rows * columns, (index + 1) * rows * columns));
  const middle =
    ui.get("kind") === "singular" ? { data: part, means: new Float64Array(columns) } : centred(part, rows, columns);
  const factors = svd(middle.data, rows, columns);
  const values = ui.get("kind") === "singular" ? factors.s : factors.s.map((s) => s ** 2 / Math.max(1, rows - 1));
  const largest = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  return {
    target: part,
    ...middle,
    rows,
    columns,
    factors,
    values,
    largest,
    product: new Float64Array(part.length),
    rank: 0,
  };
}

function follow(base, cut) {
  moveRank(base.product, base.factors, base.rows, base.columns, base.rank, cut);
  base.rank = cut;
}

// The share of the energy that the first 0, 1, 2 … values keep.
function shares(weights) {
  const roots = Float64Array.from(weights, Math.sqrt);
  const tails = tailEnergies(roots);
  return tails.map((tail) => (tails[0] ? Math.max(0, 1 - tail / tails[0]) : 1));
}

function barsOf(ui, { values, cut, kept, singular }) {
  const left = cut < values.length ? `largest left out: ${rounded(values[cut])}` : "nothing is left out";
  const words = [`k = ${cut}`, `keeps ${percent(kept[cut])}`, left];
  const label = singular ? "singular value" : "eigenvalue";
  return {
    values,
    cut,
    logarithmic: ui.get("logarithmic"),
    label,
    words,
    spoken: `${cut} kept, ${percent(kept[cut])} of the energy`,
  };
}

// The matrix, what the kept values give back, and the difference.
function products(ui) {
  const maps = matrices(ui, { titles: ["Matrix", "From the kept values", "Left out"], signs: ["=", "+"] });
  const draw = (now) => {
    const negative = now.target.some((value) => value < 0);
    const shared = { rows: now.rows, columns: now.columns };
    const range = negative || !now.singular ? [-now.largest, now.largest] : [0, now.largest];
    const palette = range[0] ? "diverging" : "sequential";
    const whole = back(now);
    const rest = now.target.map((value, i) => value - whole[i]);
    const error = Math.sqrt(energy(rest) / (energy(now.target) || 1));
    const notes = [
      `${now.rows} × ${now.columns}`,
      `${now.cut} of ${now.values.length} values`,
      `an error of ${percent(error)}`,
    ];
    const pictures = [now.target, whole].map((data, i) => ({ data, range, palette, note: notes[i], ...shared }));
    const reach = Math.max(...rest.map(Math.abs), 1e-12 * now.largest);
    maps.draw(
      [
        ...pictures,
        {
          data: rest,
          range: [-reach, reach],
          palette: "diverging",
          note: `${notes[2]}; colours to ±${rounded(reach)}`,
          ...shared,
        },
      ],
      { from: rounded(range[0]), to: rounded(range[1]), palette },
    );
  };
  const spoken = (now) => {
    const cell = maps.cell();
    if (!cell) return "";
    const at = cell[0] * now.columns + cell[1];
    const whole = now.product[at] + now.means[cell[1]];
    return `Row ${cell[0]}, column ${cell[1]}: ${rounded(now.target[at])} = ${rounded(whole)} + ${rounded(now.target[at] - whole)}.`;
  };
  return { element: maps.element, draw, spoken };
}

const back = ({ product, means, columns }) => product.map((value, at) => value + means[at % columns]);

// The first rows as images, above as they are, below as the kept values give them back.
function images(ui) {
  const map = heatMap(ui, { label: "Images above, their reconstruction below", size: 900, moved: () => {} });
  const note = h("p", { class: "st-note" });
  const draw = (now) => {
    const shown = tiles(now, ui.get("image"));
    map.draw({ ...shown, range: [Math.min(0, ...now.target), now.largest] });
    put(
      note,
      "textContent",
      `Above: ${shown.count} rows as they are. Below: from ${now.cut} of ${now.values.length} components and the mean.`,
    );
  };
  return { element: h("div", { class: "st-images" }, map.element, note), draw, spoken: () => "" };
}

function tiles({ target, product, means, rows, columns }, [height, width]) {
  const count = Math.min(IMAGES, rows);
  const [across, down] = [count * (width + 1) - 1, 2 * height + 1];
  const data = new Float64Array(across * down).fill(NaN);
  for (let image = 0; image < count; image++) {
    for (let at = 0; at < height * width; at++) {
      const place = Math.floor(at / width) * across + image * (width + 1) + (at % width);
      const from = image * columns + at;
      data[place] = target[from];
      data[place + (height + 1) * across] = product[from] + means[at % columns];
    }
  }
  return { data, rows: down, columns: across, count };
}

function sentence({ values, cut, kept, singular, name }) {
  const what = singular ? "singular values" : "eigenvalues";
  const of = name ? ` of “${name}”` : "";
  return `The first ${cut} of ${values.length} ${what}${of} keep ${percent(kept[cut])} of the energy, and ${percent(1 - kept[cut])} is left out.`;
}

function rowsOf({ values, kept, cut }) {
  const rows = Array.from(values, (value, i) => [
    String(i + 1),
    rounded(value),
    percent(kept[i + 1]),
    i < cut ? "kept" : "left out",
  ]);
  return { columns: ["k", "value", "energy kept", ""], rows };
}
