// All that follows from the state, each part computed again only when what it depends on has changed: no DOM.
import { memo } from "./controls/memo.js";
import * as maths from "./tiling_maths.js";

const LENGTHS = Array.from({ length: 15 }, (_, i) => Math.round(128 * 2 ** (i / 2))); // up to 16384 tokens
const SHAPE = {
  size: "length",
  width: "width",
  rows: "block_rows",
  columns: "block_columns",
  order: "order",
  causal: "causal",
  mistake: "mistake",
};

/** `read()` → what to draw now; `count()` → how many tiles there are. */
export function model(ui) {
  const parts = {
    given: memo(given),
    drawn: memo(maths.drawn),
    scores: memo(maths.scores),
    tiles: memo(tilesOf),
    run: memo(run),
    all: memo(totals),
    growth: memo(growth),
  };
  const shape = () => Object.fromEntries(Object.entries(SHAPE).map(([key, name]) => [key, ui.get(name)]));
  const tiles = ({ size, rows, columns, causal, order }) => parts.tiles(size, rows, columns, causal, order);
  const read = () => {
    const now = shape();
    const own = ["q", "k", "v"].map((name) => ui.array(name));
    const input = own[0] ? parts.given(...own) : parts.drawn(now.size, now.width, ui.get("seed"));
    const S = parts.scores(input, now.size, now.width);
    const list = tiles(now);
    const step = Math.min(ui.get("step"), list.length);
    const values = Object.values(now);
    return {
      ...now,
      S,
      list,
      step,
      ...parts.run(S, input.v, list, step, ...values),
      all: parts.all(list, ...values),
      growth: parts.growth(...values),
      soFar: maths.traffic(list, step, now),
    };
  };
  return { read, count: () => tiles(shape()).length };
}

const given = (...arrays) =>
  Object.fromEntries(["q", "k", "v"].map((name, i) => [name, Float64Array.from(arrays[i].data)]));

const tilesOf = (size, rows, columns, causal, order) => maths.tiles({ size, rows, columns, causal, order });

const shaped = (values) => Object.fromEntries(Object.keys(SHAPE).map((key, i) => [key, values[i]]));

// The state after `step` tiles, the maxima before the last of them, and how wrong each row is.
function run(S, v, list, step, ...values) {
  const now = shaped(values);
  const state = maths.start(now.size, now.width);
  let before = state.m.slice();
  for (let t = 0; t < step; t++) {
    if (t === step - 1) before = state.m.slice();
    maths.update(state, S, v, now, list[t]);
  }
  return { state, before, errors: maths.errors(state, S, v, now.size, now.width) };
}

function totals(list, ...values) {
  const now = shaped(values);
  return {
    flash: maths.traffic(list, list.length, now),
    standard: maths.standard(now.size, now.width),
    chip: maths.onChip(now),
  };
}

// Numbers moved over the number of tokens, as a chart takes them.
function growth(...values) {
  const now = shaped(values);
  const whole = (N) => {
    const { read, written } = maths.standard(N, now.width);
    return read + written;
  };
  return {
    x: LENGTHS,
    series: [
      { name: "standard", y: LENGTHS.map(whole), kind: "context" },
      { name: "tiled", y: LENGTHS.map((N) => maths.moved(N, now)), kind: "chosen" },
    ],
  };
}
