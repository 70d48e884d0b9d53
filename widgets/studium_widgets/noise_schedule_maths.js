// Noise schedules and the exact denoiser of a Gaussian mixture, on plain arrays: no DOM.
// t = 0 … T−1, ᾱ_t = ∏_{s ≤ t} (1 − β_s), ᾱ_{−1} = 1, x_t = √ᾱ x_0 + √(1 − ᾱ) ε, score = −ε / √(1 − ᾱ).

import { normals } from "./random.js";

const LARGEST_BETA = 0.999;
const [FIRST, LAST] = [1e-4, 0.02]; // of DDPM's linear schedule, made for T = 1000

/** β_t, (T,). "linear": 1e-4 to 0.02 whatever T is; "scaled-linear": the same times 1000 / T, at most 0.999; "cosine". */
export function betas(kind, T) {
  if (kind === "cosine") return cosineBetas(T);
  const scale = kind === "scaled-linear" ? 1000 / T : 1;
  return Float64Array.from({ length: T }, (_, t) =>
    Math.min(LARGEST_BETA, scale * (FIRST + ((LAST - FIRST) * t) / (T - 1))),
  );
}

function cosineBetas(T) {
  const signal = (u) => Math.cos(((u / T + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
  return Float64Array.from({ length: T }, (_, t) => Math.min(LARGEST_BETA, 1 - signal(t + 1) / signal(t)));
}

/** ᾱ_t from β_t. */
export function abarOf(beta) {
  let product = 1;
  return Float64Array.from(beta, (value) => (product *= 1 - value));
}

/** β_t from ᾱ_t. */
export function betasOf(abar) {
  return Float64Array.from(abar, (value, t) => 1 - value / (t ? abar[t - 1] : 1));
}

/** The signal-to-noise ratio ᾱ / (1 − ᾱ). */
export function snr(abar) {
  return Float64Array.from(abar, (value) => value / (1 - value));
}

/** ᾱ at t, where t = −1 is the data themselves. */
export const signalAt = (abar, t) => (t < 0 ? 1 : abar[t]);

/** K isotropic Gaussians in the plane: means (K, 2) row by row, variances (K,), weights (K,). */
export function mixtureOf(means, variances, weights) {
  return { count: variances.length, means, variances, weights };
}

/**
 * The mixture noised to each of the levels x = √ᾱ x_0 + √rest ε, ready for `epsAt`. `rest` is 1 − ᾱ where not given.
 * A row of 4 K numbers a level: mean x, mean y, 1 / v, log w − log v, with v = ᾱ s² + rest.
 */
export function marginals({ count, means, variances, weights }, abar, rest = abar.map((value) => 1 - value)) {
  const rows = new Float64Array(abar.length * count * 4);
  for (let level = 0, at = 0; level < abar.length; level++) {
    const root = Math.sqrt(abar[level]);
    for (let k = 0; k < count; k++, at += 4) {
      const v = abar[level] * variances[k] + rest[level];
      rows[at] = root * means[2 * k];
      rows[at + 1] = root * means[2 * k + 1];
      rows[at + 2] = 1 / v;
      rows[at + 3] = Math.log(weights[k] / v);
    }
  }
  return { count, rows, noise: Float64Array.from(rest, Math.sqrt), joint: new Float64Array(count) };
}

/** ε* = E[ε | x_t = (x, y)] at one level of `marginals`, written into `out[0]` and `out[1]`. Gives log 2π p(x, y). */
export function epsAt({ count, rows, noise, joint }, level, x, y, out) {
  const from = level * count * 4;
  let top = -Infinity;
  for (let k = 0, at = from; k < count; k++, at += 4) {
    const [dx, dy] = [rows[at] - x, rows[at + 1] - y];
    joint[k] = rows[at + 3] - 0.5 * (dx * dx + dy * dy) * rows[at + 2];
    if (joint[k] > top) top = joint[k];
  }
  let [sum, pullX, pullY] = [0, 0, 0];
  for (let k = 0, at = from; k < count; k++, at += 4) {
    if (joint[k] - top < -40) continue; // exp(−40) is below the precision of the sum
    const share = Math.exp(joint[k] - top);
    sum += share;
    pullX += share * rows[at + 2] * (rows[at] - x);
    pullY += share * rows[at + 2] * (rows[at + 1] - y);
  }
  out[0] = (-noise[level] * pullX) / sum;
  out[1] = (-noise[level] * pullY) / sum;
  return top + Math.log(sum);
}

/** ε* at the points (N, 2), row by row, all at one ᾱ. */
export function eps(mixture, abar, points) {
  const table = marginals(mixture, [abar]);
  const [out, one] = [new Float64Array(points.length), new Float64Array(2)];
  for (let i = 0; i < points.length; i += 2) {
    epsAt(table, 0, points[i], points[i + 1], one);
    out.set(one, i);
  }
  return out;
}

/**
 * The density of x_t on a grid of `side` × `side` cells over [−half, half]², first row at the top, written into `out`.
 * @param {any} mixture
 * @param {number} abar
 * @param {number} side
 * @param {number} half
 * @param {Float32Array | Float64Array} out
 * @param {number} rest
 */
export function density(mixture, abar, side, half, out = new Float32Array(side * side), rest = 1 - abar) {
  const { count, means, variances, weights } = mixture;
  const root = Math.sqrt(abar);
  const [across, up] = [new Float64Array(side), new Float64Array(side)];
  out.fill(0);
  for (let k = 0; k < count; k++) {
    const v = abar * variances[k] + rest;
    const scale = weights[k] / (2 * Math.PI * v);
    for (let i = 0; i < side; i++) {
      const place = ((i + 0.5) / side) * 2 * half - half;
      across[i] = scale * Math.exp(-((place - root * means[2 * k]) ** 2) / (2 * v));
      up[i] = Math.exp(-((place + root * means[2 * k + 1]) ** 2) / (2 * v)); // −y grows downwards
    }
    addProduct(across, up, out);
  }
  return out;
}

function addProduct(across, up, out) {
  const side = across.length;
  for (let row = 0, at = 0; row < side; row++, at += side) {
    const factor = up[row];
    if (factor === 0) continue;
    for (let i = 0; i < side; i++) out[at + i] += factor * across[i];
  }
}

/** `size` draws x_0 of the mixture and the noise ε of each, (size, 2): the modes in turn, each as often as it weighs. */
export function draws({ count, means, variances, weights }, size, seed) {
  const [x0, noise] = [new Float64Array(2 * size), new Float64Array(2 * size)];
  for (let i = 0; i < size; i++) {
    let [k, left] = [0, ((i + 0.5) * 0.6180339887498949) % 1];
    while (k < count - 1 && left >= weights[k]) left -= weights[k++];
    const [a, b, c, d] = normals(seed + 7919, i, 4);
    const std = Math.sqrt(variances[k]);
    x0.set([means[2 * k] + std * a, means[2 * k + 1] + std * b], 2 * i);
    noise.set([c, d], 2 * i);
  }
  return { x0, noise };
}

/** x_t of such draws at one ᾱ, written into `out`. */
export function noised({ x0, noise }, abar, out = new Float64Array(x0.length)) {
  const [a, b] = [Math.sqrt(abar), Math.sqrt(1 - abar)];
  for (let i = 0; i < x0.length; i++) out[i] = a * x0[i] + b * noise[i];
  return out;
}

const [LOWEST, STEP, LEVELS] = [-24, 0.5, 89]; // log SNR from −24 to 20

/**
 * The least possible loss E‖ε − ε*‖² / 2 over log SNR: it depends on the schedule through the SNR alone.
 * Averages the exact posterior variance over draws; for one Gaussian it is ᾱ s² / (ᾱ s² + 1 − ᾱ) to the last digit.
 */
export function leastLoss(mixture, { x0, noise }) {
  const level = (i) => 1 / (1 + Math.exp(-(LOWEST + STEP * i)));
  const abar = Float64Array.from({ length: LEVELS }, (_, i) => level(i));
  const table = marginals(mixture, abar);
  return abar.map((value, i) => {
    const rest = 1 / (1 + Math.exp(LOWEST + STEP * i)); // 1 − ᾱ without cancellation
    let sum = 0;
    for (let p = 0; p < x0.length; p += 2) {
      const [a, b] = [Math.sqrt(value), Math.sqrt(rest)];
      sum += spread(mixture, table, i, a * x0[p] + b * noise[p], a * x0[p + 1] + b * noise[p + 1], rest);
    }
    return sum / x0.length;
  });
}

// The trace of Cov[ε | x_t], from the responsibilities: within the components, and between their means.
function spread({ count, variances }, { rows, joint, noise }, level, x, y, rest) {
  const abar = 1 - rest;
  const out = [0, 0];
  epsAt({ count, rows, joint, noise }, level, x, y, out);
  const top = Math.max(...joint);
  let [total, sum] = [0, 0];
  for (let k = 0, at = level * count * 4; k < count; k++, at += 4) {
    const share = Math.exp(joint[k] - top);
    const [ex, ey] = [
      Math.sqrt(rest) * rows[at + 2] * (x - rows[at]),
      Math.sqrt(rest) * rows[at + 2] * (y - rows[at + 1]),
    ];
    total += share;
    sum += share * (2 * abar * variances[k] * rows[at + 2] + (ex - out[0]) ** 2 + (ey - out[1]) ** 2);
  }
  return sum / total;
}

/** The least loss at each ᾱ_t, from `leastLoss`. */
export function lossAt(curve, abar) {
  return Float64Array.from(abar, (value) => {
    const place = Math.min(LEVELS - 1.001, Math.max(0, (Math.log(value / (1 - value)) - LOWEST) / STEP));
    const i = Math.floor(place);
    return curve[i] + (curve[i + 1] - curve[i]) * (place - i);
  });
}

/** The weight of each t in the variational bound with σ² = β: β / (2 α (1 − ᾱ)); 1 everywhere for the simple loss. */
export function boundWeights(abar) {
  return betasOf(abar).map((beta, t) => beta / (2 * (1 - beta) * (1 - abar[t])));
}

/** Each value as a multiple of the mean: 1 everywhere where all t have an equal share. */
export function shares(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Float64Array.from(values, (value) => value / mean);
}
