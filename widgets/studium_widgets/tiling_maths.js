// FlashAttention tile by tile with exact numbers, and what crosses between the slow and the fast memory: no DOM.
// q, k, v: (N, d) row by row. A tile is rows i Br … of the scores against columns j Bc …; the last ones may be smaller.
import { normals } from "./random.js";

/** Random q, k, v of `size` × `width`, {q, k, v}: the queries long enough that rows have favourites. */
export function drawn(size, width, seed) {
  const make = (which, scale) =>
    Float64Array.from(normals(seed, which, size * width).subarray(0, size * width), (value) => scale * value);
  return { q: make(1, 1.6), k: make(2, 1), v: make(3, 1) };
}

/** q kᵀ / √d, (N, N). */
export function scores({ q, k }, size, width) {
  const out = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      let sum = 0;
      for (let c = 0; c < width; c++) sum += q[row * width + c] * k[column * width + c];
      out[row * size + column] = sum / Math.sqrt(width);
    }
  }
  return out;
}

/** [first, last + 1] of block `index`. */
export const span = (index, block, size) => [index * block, Math.min(size, (index + 1) * block)];

const extent = (index, block, size) => Math.min(size, (index + 1) * block) - index * block;

/**
 * The tiles in their order, [[i, j], ...]. "rows": a block of queries meets all keys (FlashAttention-2); "columns": a
 * block of keys meets all queries (FlashAttention). `causal` leaves out the tiles above the diagonal.
 */
export function tiles({ size, rows, columns, causal, order }) {
  const [R, C] = [Math.ceil(size / rows), Math.ceil(size / columns)];
  const all = [];
  const add = (i, j) => (!causal || j * columns < Math.min(size, (i + 1) * rows)) && all.push([i, j]);
  if (order === "rows") for (let i = 0; i < R; i++) for (let j = 0; j < C; j++) add(i, j);
  else for (let j = 0; j < C; j++) for (let i = 0; i < R; i++) add(i, j);
  return all;
}

/** Running maximum, sum and accumulator of each row before anything was seen; `seen`: keys that a row has met. */
export function start(size, width) {
  return {
    m: new Float64Array(size).fill(-Infinity),
    l: new Float64Array(size),
    acc: new Float64Array(size * width),
    factor: new Float64Array(size).fill(1),
    seen: new Int32Array(size),
  };
}

/** Mistakes in the update, as the menu names them, and what they do. */
export const MISTAKES = {
  none: ["None: correct code", "Each row's result is exact after every tile, for the keys that it has seen."],
  "no-rescale": [
    "Accumulator not rescaled",
    "Where a later tile raises the maximum, what was gathered before counts too much.",
  ],
  "block-maximum": [
    "Maximum of the tile alone",
    "The maximum may fall again; then exponentials grow, and the first keys come back too large.",
  ],
  inverse: ["Factor turned round: exp(m′ − m)", "What should shrink is blown up."],
};

/** One tile into the state, in place: m′ = max(m, max s), l′ = e^(m − m′) l + Σ p, acc′ = e^(m − m′) acc + p v, p = e^(s − m′). */
export function update(state, S, v, { size, width, rows, columns, causal, mistake }, [i, j]) {
  const [top, bottom] = span(i, rows, size);
  const [left, right] = span(j, columns, size);
  for (let row = top; row < bottom; row++) {
    const end = causal ? Math.min(right, row + 1) : right;
    if (end > left) updateRow(state, S, v, { size, width, mistake }, row, left, end);
  }
}

function updateRow({ m, l, acc, factor, seen }, S, v, { size, width, mistake }, row, left, end) {
  let highest = -Infinity;
  for (let column = left; column < end; column++) highest = Math.max(highest, S[row * size + column]);
  const next = mistake === "block-maximum" ? highest : Math.max(m[row], highest);
  const right = m[row] === -Infinity ? 0 : Math.exp(m[row] - next);
  factor[row] = mistake === "inverse" && right ? 1 / right : mistake === "block-maximum" && right ? 1 : right;
  const kept = mistake === "no-rescale" ? 1 : factor[row];
  l[row] *= factor[row];
  for (let c = 0; c < width; c++) acc[row * width + c] *= kept;
  for (let column = left; column < end; column++) {
    const p = Math.exp(S[row * size + column] - next);
    l[row] += p;
    for (let c = 0; c < width; c++) acc[row * width + c] += p * v[column * width + c];
  }
  m[row] = next;
  seen[row] = end;
}

/** softmax(S) v of a row over its first `seen` keys, (width,): what the row should have by now. */
export function exactRow(S, v, size, width, row, seen, out = new Float64Array(width)) {
  let top = -Infinity;
  for (let column = 0; column < seen; column++) top = Math.max(top, S[row * size + column]);
  let sum = 0;
  out.fill(0);
  for (let column = 0; column < seen; column++) {
    const p = Math.exp(S[row * size + column] - top);
    sum += p;
    for (let c = 0; c < width; c++) out[c] += p * v[column * width + c];
  }
  for (let c = 0; c < width; c++) out[c] /= sum;
  return out;
}

/** The largest error of each row of acc / l, (N,); 0 where nothing was seen. */
export function errors({ l, acc, seen }, S, v, size, width) {
  const exact = new Float64Array(width);
  return Float64Array.from({ length: size }, (_, row) => {
    if (!seen[row]) return 0;
    exactRow(S, v, size, width, row, seen[row], exact);
    let worst = 0;
    for (let c = 0; c < width; c++) worst = Math.max(worst, Math.abs(acc[row * width + c] / l[row] - exact[c]));
    return worst;
  });
}

/**
 * Numbers read from and written to the slow memory by the first `count` tiles, and operations: {read, written, flops}.
 * "rows": Q once, K and V again for each block of queries, O and the logarithm of the sum once. "columns": K and V once;
 * Q, O, m and l again for each block of keys, after O, m and l were set to their first values.
 */
export function traffic(list, count, { size, width, rows, columns, order }) {
  let [read, written, flops] = [0, order === "columns" && count ? size * (width + 2) : 0, 0];
  for (let t = 0; t < count; t++) {
    const [[i, j], before, after] = [list[t], list[t - 1], list[t + 1]];
    const [height, across] = [extent(i, rows, size), extent(j, columns, size)];
    flops += 4 * height * across * width + height * width;
    if (order === "rows") {
      read += 2 * across * width + (before?.[0] === i ? 0 : height * width);
      written += after?.[0] === i ? 0 : height * (width + 1);
    } else {
      read += (before?.[1] === j ? 0 : 2 * across * width) + height * (2 * width + 2);
      written += height * (width + 2);
    }
  }
  return { read, written, flops };
}

/** All the numbers that `traffic` counts for `size` tokens, without going from tile to tile. */
export function moved(size, { width, rows, columns, causal, order }) {
  const blocks = (block) => Array.from({ length: Math.ceil(size / block) }, (_, index) => index);
  const ends = (index, block) => Math.min(size, (index + 1) * block);
  if (order === "rows") {
    const keys = (i) => (causal ? Math.min(size, Math.ceil(ends(i, rows) / columns) * columns) : size);
    return size * (2 * width + 1) + blocks(rows).reduce((sum, i) => sum + 2 * width * keys(i), 0);
  }
  const queries = (j) => (causal ? size - Math.floor((j * columns) / rows) * rows : size);
  return size * (3 * width + 2) + blocks(columns).reduce((sum, j) => sum + (3 * width + 4) * queries(j), 0);
}

/** What the standard algorithm moves: Q, K, V and O once; scores and probabilities written and read. */
export function standard(size, width) {
  return {
    read: 3 * size * width + 2 * size * size,
    written: size * width + 2 * size * size,
    flops: 4 * size * size * width,
  };
}

/** Numbers that the fast memory holds at once: blocks of q, k, v and the accumulator, the tile, m and l. */
export const onChip = ({ width, rows, columns }) => 2 * rows * width + 2 * columns * width + rows * columns + 2 * rows;
