// What every transformer in a page is made of, as arithmetic on plain arrays: no DOM. Matrices are rows of an array, as in
// PyTorch; heads lie side by side in a row.

/** x (rows × width) over its root mean square, times `gain` from `offset` on. */
export function rmsnorm(x, width, gain, eps, offset = 0) {
  const out = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[row + i] ** 2;
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) out[row + i] = x[row + i] * scale * gain[offset + i];
  }
  return out;
}

/** x (rows × inner) times the transpose of the (outer × inner) matrix that starts at `offset` of `weight`. */
export function linear(x, weight, inner, outer, offset = 0) {
  const rows = x.length / inner;
  const out = new Float32Array(rows * outer);
  for (let row = 0, from = 0; row < rows; row++, from += inner) {
    for (let o = 0, at = offset; o < outer; o++, at += inner) {
      let dot = 0;
      for (let i = 0; i < inner; i++) dot += x[from + i] * weight[at + i];
      out[row * outer + o] = dot;
    }
  }
  return out;
}

/** The rows `ids` of a table (tokens × width), (ids.length × width). */
export function embedded(table, width, ids) {
  const out = new Float32Array(ids.length * width);
  ids.forEach((token, row) => out.set(table.slice(token * width, (token + 1) * width), row * width));
  return out;
}

export const sum = (x, y) => x.map((value, i) => value + y[i]);

/** q · k of row `row` of the queries with the first `seen` rows of the keys, in the numbers `at` to `at + size` of each row. */
export function products(queries, keys, { row, seen, width, at, size }) {
  const out = new Float64Array(seen);
  for (let key = 0; key < seen; key++) {
    let dot = 0;
    for (let i = at; i < at + size; i++) dot += queries[row * width + i] * keys[key * width + i];
    out[key] = dot;
  }
  return out;
}

/** Adds the values, each times its weight, to row `row` of `mixed`; places as in `products`. */
export function collect(mixed, weights, values, { row, width, at, size }) {
  for (let key = 0; key < weights.length; key++) {
    for (let i = at; i < at + size; i++) mixed[row * width + i] += weights[key] * values[key * width + i];
  }
}
