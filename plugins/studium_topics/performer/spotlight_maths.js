// Softmax attention and its estimates from random features, as arithmetic on plain arrays: no DOM.
import { normals } from "studium_widgets/random.js";

export const DRAWS = 24; // for the error bars

/** Rows of `data` (rows × width), each multiplied by size / width^(1/4), as arrays. */
export function rowsOf({ data, shape: [rows, width] }, size) {
  const factor = size / width ** 0.25;
  return Array.from({ length: rows }, (_, row) =>
    Array.from(data.slice(row * width, (row + 1) * width), (value) => value * factor),
  );
}

export const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Attention of queries to keys, both already scaled, as a row of shares for each query. */
export function attention(queries, keys) {
  return queries.map((query) => {
    const scores = keys.map((key) => dot(query, key));
    const top = Math.max(...scores);
    return shares(scores.map((score) => Math.exp(score - top)));
  });
}

/** `count` random vectors of `width` numbers, the same for the same draw; orthogonal in blocks of `width` if asked. */
export function vectors(draw, count, width, orthogonal) {
  const drawn = Array.from({ length: count }, (_, i) => Array.from(normals(draw, i, width).slice(0, width)));
  return orthogonal ? drawn.map((_, i) => direction(drawn, i, width)) : drawn;
}

// Gram and Schmidt within the block: the rows before are orthogonal already. Each keeps a normal vector's length.
function direction(drawn, i, width) {
  const row = drawn[i];
  const length = Math.sqrt(dot(row, row));
  for (let other = i - (i % width); other < i; other++) {
    const along = dot(row, drawn[other]) / dot(drawn[other], drawn[other]);
    for (let at = 0; at < width; at++) row[at] -= along * drawn[other][at];
  }
  const left = Math.sqrt(dot(row, row)) || 1;
  for (let at = 0; at < width; at++) row[at] *= length / left;
  return row;
}

/** The estimate of attention with `kind` of features: {rows: shares of each query, negative: rows whose sum is below 0}. */
export function estimate(queries, keys, drawn, kind) {
  const features = kind === "positive" ? positive : sineCosine;
  const keyFeatures = keys.map((key) => features(key, drawn));
  let negative = 0;
  const rows = queries.map((query) => {
    const own = features(query, drawn);
    const weights = keyFeatures.map((of) => dot(own, of));
    if (weights.reduce((sum, weight) => sum + weight, 0) < 0) negative += 1;
    return shares(weights);
  });
  return { rows, negative };
}

function positive(x, drawn) {
  const half = dot(x, x) / 2;
  return drawn.map((w) => Math.exp(dot(w, x) - half));
}

function sineCosine(x, drawn) {
  const size = Math.exp(dot(x, x) / 2);
  const angles = drawn.map((w) => dot(w, x));
  return [...angles.map((angle) => size * Math.cos(angle)), ...angles.map((angle) => size * Math.sin(angle))];
}

/** The standard deviation of the estimate of exp(q · k), relative to it, for `count` independent vectors. */
export function relativeError(query, key, count, kind) {
  const sign = kind === "positive" ? 1 : -1;
  const length = query.reduce((sum, value, i) => sum + (value + sign * key[i]) ** 2, 0);
  return Math.sqrt((kind === "positive" ? Math.expm1(length) : Math.cosh(length) - 1) / count);
}

/** The 10th and the 90th percentile of each key's share over many estimates of one query's row. */
export function bars(estimates, query) {
  const keys = estimates[0].rows[query].map((_, key) =>
    estimates.map(({ rows }) => rows[query][key]).sort((a, b) => a - b),
  );
  const at = (part) => Math.round(part * (estimates.length - 1));
  return keys.map((sorted) => [sorted[at(0.1)], sorted[at(0.9)]]);
}

/** Half the sum of the differences of two tables of shares, a row on average: 0 for the same, 1 for nothing in common. */
export function distance(one, other) {
  const rows = one.map((row, i) => row.reduce((sum, share, j) => sum + Math.abs(share - other[i][j]), 0) / 2);
  return rows.reduce((sum, value) => sum + value, 0) / rows.length;
}

function shares(weights) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
