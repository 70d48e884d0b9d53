// Fits B A to a matrix by gradient steps, a few at a time: pure, no DOM.
import { normal } from "./rank_explorer_maths.js";
import { energy } from "./spectrum_maths.js";

export const STEPS = 800;
/** Steps whose A and B are kept: all of the first, then ever fewer, evenly spaced on a logarithmic axis. */
export const MOMENTS = [...new Set(Array.from({ length: 97 }, (_, i) => Math.round((STEPS + 1) ** (i / 96) - 1)))];
const RATE = { adam: 0.02, descent: 0.025 }; // for a matrix whose largest singular value is 4
const LARGEST = 4;
const [BETA1, BETA2, TINY] = [0.9, 0.999, 1e-8];

/**
 * A run that has not yet begun: A (rank × columns) is normal with variance 1 / columns, B (rows × rank) is zero.
 * The loss is ‖target − scale B A‖², scale = alpha / rank. `method`: "adam" (rate falls by a half cosine) or "descent".
 * `largest`: the largest singular value. Steps are taken in units in which it is 4, so the rates suit every target;
 * losses and copies are in the target's own units.
 */
export function beginRun(target, rows, columns, { rank, scale, method = "adam", seed = 1, largest = LARGEST }) {
  const next = normal(seed);
  const unit = largest / LARGEST || 1;
  const a = Float64Array.from({ length: rank * columns }, () => next() / Math.sqrt(columns));
  const b = new Float64Array(rows * rank);
  const factor = (value) => ({ value, slope: new Float64Array(value.length), moments: moments(value.length, method) });
  return {
    ...{
      rows,
      columns,
      rank,
      scale,
      method,
      unit,
      rate: RATE[method],
      target: Float64Array.from(target, (value) => value / unit),
    },
    ...{ a: factor(a), b: factor(b), error: new Float64Array(rows * columns) },
    ...{ losses: new Float64Array(STEPS + 1).fill(NaN), copies: [], done: -1 },
  };
}

const moments = (length, method) => (method === "adam" ? [new Float64Array(length), new Float64Array(length)] : []);

/** Goes on until `ready()` or the last step. losses[t] for t ≤ done are known; copies[i] is {a, b} at MOMENTS[i]. */
export function advance(run, ready = () => false) {
  while (run.done < STEPS && !ready()) {
    if (run.done >= 0) for (const factor of [run.a, run.b]) step(factor, run);
    run.done += 1;
    look(run);
    run.losses[run.done] = run.unit ** 2 * energy(run.error);
    if (run.done === MOMENTS[run.copies.length]) {
      run.copies.push({
        a: Float32Array.from(run.a.value),
        b: Float32Array.from(run.b.value, (value) => run.unit * value),
      });
    }
  }
  return run;
}

/** The last kept copy that is not later than `step`; undefined where the run is not there yet. */
export const copyAt = (run, step) => run.copies[MOMENTS.findLastIndex((moment) => moment <= step)];

/** The losses of a whole run, step 0 to STEPS. */
export const losses = (target, rows, columns, options) => advance(beginRun(target, rows, columns, options)).losses;

// The error scale B A − target and the slopes of the loss: 2 scale error Aᵀ for B, 2 scale Bᵀ error for A.
function look({ target, rows, columns, rank, scale, a, b, error }) {
  multiply(b.value, a.value, rows, columns, rank, scale, error);
  for (let at = 0; at < error.length; at++) error[at] -= target[at];
  a.slope.fill(0);
  for (let i = 0; i < rows; i++) {
    const row = i * columns;
    for (let k = 0; k < rank; k++) {
      const [from, weight] = [k * columns, 2 * scale * b.value[i * rank + k]];
      let sum = 0;
      for (let j = 0; j < columns; j++) {
        sum += error[row + j] * a.value[from + j];
        a.slope[from + j] += weight * error[row + j];
      }
      b.slope[i * rank + k] = 2 * scale * sum;
    }
  }
}

/** scale B A into `out`. */
export function multiply(b, a, rows, columns, rank, scale, out) {
  out.fill(0);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < rank; k++) {
      const weight = scale * b[i * rank + k];
      if (weight)
        for (let j = 0, at = i * columns, from = k * columns; j < columns; j++) out[at + j] += weight * a[from + j];
    }
  }
  return out;
}

function step({ value, slope, moments: [first, second] }, { method, rate, done }) {
  if (method === "descent") {
    for (let i = 0; i < value.length; i++) value[i] -= rate * slope[i];
    return;
  }
  const now = rate * 0.5 * (1 + Math.cos((Math.PI * done) / STEPS));
  const [unbias1, unbias2] = [1 - BETA1 ** (done + 1), 1 - BETA2 ** (done + 1)];
  for (let i = 0; i < value.length; i++) {
    first[i] += (1 - BETA1) * (slope[i] - first[i]);
    second[i] += (1 - BETA2) * (slope[i] ** 2 - second[i]);
    value[i] -= (now * (first[i] / unbias1)) / (Math.sqrt(second[i] / unbias2) + TINY);
  }
}
