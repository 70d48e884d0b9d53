// Sizes and numbers as text.

/** Bytes as 1.23 GB. */
export function gigabytes(bytes) {
  const [unit, size] =
    bytes >= 1e12 ? ["TB", 1e12] : bytes >= 1e9 ? ["GB", 1e9] : bytes >= 1e6 ? ["MB", 1e6] : ["kB", 1e3];
  return `${three(bytes / size)} ${unit}`;
}

/** Three digits. */
export const three = (value) =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));

/** Seconds as 1.23 ms. */
export function duration(seconds) {
  if (seconds >= 1) return `${three(seconds)} s`;
  return seconds >= 1e-3 ? `${three(seconds * 1e3)} ms` : `${three(seconds * 1e6)} µs`;
}

/** FLOP or FLOP/s as 1.23 TFLOP. */
export function operations(count, unit = "FLOP") {
  const [prefix, size] = [
    ["P", 1e15],
    ["T", 1e12],
    ["G", 1e9],
    ["M", 1e6],
  ].find(([, least]) => count >= least) ?? ["k", 1e3];
  return `${three(count / size)} ${prefix}${unit}`;
}

/** "MHA", "GQA, 8" or "MQA". */
export const heading = ({ heads, kvHeads }) =>
  kvHeads === heads ? `MHA, ${heads}` : kvHeads === 1 ? "MQA, 1" : `GQA, ${kvHeads}`;
