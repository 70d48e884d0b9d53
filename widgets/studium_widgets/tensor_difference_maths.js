// Comparing two arrays: flat data in C order, and their shapes. No DOM.

/** The number of values in `shape`. */
export const count = (shape) => shape.reduce((product, size) => product * size, 1);

/**
 * {wrong, difference, bad, first, largest}: `wrong[i]` is 1 where |a − e| > atol + rtol |e|; NaN equals NaN, and an infinity
 * its like. `difference` is a − e, NaN where either is not finite. `bad` is how many are wrong, `first` and `largest` the
 * indices of the first and of the largest finite difference, or −1.
 */
export function compare(actual, expected, rtol, atol) {
  const [wrong, difference] = [new Uint8Array(actual.length), new Float64Array(actual.length)];
  let [bad, first, largest] = [0, -1, -1];
  for (let i = 0; i < actual.length; i++) {
    const finite = Number.isFinite(actual[i]) && Number.isFinite(expected[i]);
    difference[i] = finite ? actual[i] - expected[i] : NaN;
    const gap = Math.abs(difference[i]);
    wrong[i] = Number(finite ? gap > atol + rtol * Math.abs(expected[i]) : !Object.is(actual[i], expected[i]));
    if (!wrong[i]) continue;
    bad += 1;
    if (first < 0) first = i;
    if (finite && (largest < 0 || gap > Math.abs(difference[largest]))) largest = i;
  }
  return { wrong, difference, bad, first, largest };
}

/** {nan, infinite}: how many values are not numbers, and how many are infinite. */
export function oddities(data) {
  let [nan, infinite] = [0, 0];
  for (const value of data) {
    if (Number.isNaN(value)) nan += 1;
    else if (!Number.isFinite(value)) infinite += 1;
  }
  return { nan, infinite };
}

/** The index along each axis of the flat index `at`. */
export function place(at, shape) {
  const index = Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = at % shape[axis];
    at = Math.floor(at / shape[axis]);
  }
  return index;
}

/** {rows, columns}, 1 or more: how one slice is laid out; a single long axis is folded into rows of 32. */
export function layout(shape) {
  const size = Math.max(1, count(shape.slice(-1)));
  if (shape.length > 1) return { rows: Math.max(1, shape.at(-2)), columns: size };
  const columns = Math.min(32, size);
  return { rows: Math.ceil(size / columns), columns };
}

/** Where the slice `index` (one number for each axis but the last two) begins in flat data, and how long it is. */
export function slice(shape, index) {
  const size = count(shape.slice(-2));
  return { start: index.reduce((sum, at, axis) => sum * shape[axis] + at, 0) * size, size };
}

/** [{axis, actual, expected}]: the axes whose lengths differ; one whole array of axes more or less is axis −1. */
export function mismatches(actual, expected) {
  if (actual.length !== expected.length) return [{ axis: -1, actual: actual.length, expected: expected.length }];
  const axes = actual.map((size, axis) => ({ axis, actual: size, expected: expected[axis] }));
  return axes.filter((part) => part.actual !== part.expected);
}

/** The last two axes changed over: {data, shape}. */
export function transposed({ data, shape }) {
  const [rows, columns] = shape.slice(-2);
  const out = new Float64Array(data.length);
  for (let start = 0; start < data.length; start += rows * columns) {
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) out[start + j * rows + i] = data[start + i * columns + j];
  }
  return { data: out, shape: [...shape.slice(0, -2), columns, rows] };
}

/**
 * What simple thing explains the whole difference: {kind, value}, kind "" (nothing), "transposed", "scaled" (actual = value ×
 * expected), "shifted" (actual = expected + value), "flipped" (along the last axis). Both: {data, shape}.
 */
export function pattern(actual, expected, rtol, atol) {
  const equal = (one, other) =>
    String(one.shape) === String(other.shape) && compare(one.data, other.data, rtol, atol).bad === 0;
  if (actual.shape.length > 1 && equal(transposed(actual), expected)) return { kind: "transposed", value: 0 };
  if (String(actual.shape) !== String(expected.shape) || !actual.data.every(Number.isFinite))
    return { kind: "", value: 0 };
  const like = (change) => ({ data: Float64Array.from(expected.data, change), shape: expected.shape });
  const scale = ratio(actual.data, expected.data);
  if (
    actual.data.some(Boolean) &&
    equal(
      actual,
      like((value) => value * scale),
    )
  )
    return { kind: "scaled", value: scale };
  const gap = actual.data.reduce((sum, value, i) => sum + value - expected.data[i], 0) / actual.data.length;
  if (
    equal(
      actual,
      like((value) => value + gap),
    )
  )
    return { kind: "shifted", value: gap };
  const width = actual.shape.at(-1) ?? 1;
  const back = (_, i) => expected.data[i - (i % width) + width - 1 - (i % width)];
  return equal(actual, like(back)) ? { kind: "flipped", value: 0 } : { kind: "", value: 0 };
}

// The factor of least squares: Σ a e / Σ e².
function ratio(actual, expected) {
  let [product, square] = [0, 0];
  for (let i = 0; i < actual.length; i++) {
    product += actual[i] * expected[i];
    square += expected[i] ** 2;
  }
  return product / (square || 1);
}
