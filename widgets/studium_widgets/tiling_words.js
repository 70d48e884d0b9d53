// Numbers, rows and sentences beside the tiles.
import { h } from "./controls/element.js";
import { span } from "./tiling_maths.js";
import { WRONG } from "./tiling_board.js";

const ROWS = 8; // of the block on the chip that are shown

export const number = (value) => Math.round(value).toLocaleString("en");

const size = (value) =>
  value === 0
    ? "0"
    : value === -Infinity
      ? "−∞"
      : !Number.isFinite(value)
        ? "∞"
        : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4
          ? value.toExponential(1).replace("-", "−")
          : value.toFixed(3).replace("-", "−");

const verdict = (error) => (error <= WRONG ? "exact" : size(error));

/** The rows of the block on the chip: maximum before and after, factor, sum, and how wrong acc / l is. */
export function rowTable({ list, step, rows, size: N, state, before, errors }) {
  const head = h(
    "tr",
    {},
    ...["row", "maximum m", "now m′", "× e^(m − m′)", "sum ℓ", "a / ℓ"].map((name) => h("th", { scope: "col" }, name)),
  );
  if (!step)
    return [
      head,
      h("tr", {}, h("td", { colspan: 6 }, "Nothing is loaded yet: play, or press the arrow keys on the picture.")),
    ];
  const [from, to] = span(list[step - 1][0], rows, N);
  const shown = Array.from({ length: Math.min(ROWS, to - from) }, (_, r) => from + r);
  const cells = (row) => [size(before[row]), size(state.m[row]), size(state.factor[row]), size(state.l[row])];
  const line = (row) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, String(row)),
      ...cells(row).map((text) => h("td", {}, text)),
      h("td", { class: errors[row] <= WRONG ? null : "st-wrong" }, verdict(errors[row])),
    );
  return [head, ...shown.map(line)];
}

/** Values and notes of the two tiles, and whether any row is wrong. */
export function measured({ all, errors, state }) {
  const worst = Math.max(...errors);
  const met = state.seen.reduce((count, seen) => count + (seen > 0), 0);
  const wrong = errors.filter((error) => !(error <= WRONG)).length;
  const work = ({ flops, read, written }) => (flops / (read + written)).toFixed(1);
  const result = !met
    ? ["–", "no row has been met"]
    : wrong
      ? [`${wrong} of ${met} wrong`, `by up to ${size(worst)}`]
      : [`all ${met} exact`, `for the keys seen so far`];
  return { wrong: wrong > 0, tiles: [result, [work(all.flash), `operations; standard ${work(all.standard)}`]] };
}

/** What is on the chip, as `stackedBar` takes it: q and a, k and v, the scores of a tile, m and ℓ. */
export function chipParts({ rows, columns, width }) {
  return [2 * rows * width, 2 * columns * width, rows * columns, 2 * rows].map((count) => [count, number(count)]);
}

export function sentence({ list, step, size: N, rows, columns, all, soFar, errors, state, causal }) {
  const [i, j] = step ? list[step - 1] : [];
  const skipped = causal ? `, ${Math.ceil(N / rows) * Math.ceil(N / columns) - list.length} left out by the mask` : "";
  const place = step
    ? `Tile ${step} of ${list.length}${skipped}: query block ${i} meets key block ${j}`
    : `No tile of ${list.length} is done${skipped}`;
  const moved = soFar.read + soFar.written;
  const whole = all.standard.read + all.standard.written;
  const met = state.seen.some(Boolean);
  const wrong = errors.filter((error) => !(error <= WRONG)).length;
  const result = !met ? "" : wrong ? ` ${wrong} rows are wrong.` : " Every row is exact for the keys that it has seen.";
  return `${place}. ${number(moved)} numbers have moved; the standard algorithm moves ${number(whole)}.${result}`;
}

export function tableRows({ all, soFar, step, list }) {
  const row = (name, { read, written, flops }) => [name, number(read), number(written), number(flops)];
  return {
    columns: ["", "read", "written", "operations"],
    rows: [
      row("standard", all.standard),
      row("tiled", all.flash),
      row(`tiled, ${step} of ${list.length} tiles`, soFar),
    ],
  };
}
