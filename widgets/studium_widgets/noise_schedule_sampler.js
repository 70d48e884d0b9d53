// Ancestral and DDIM sampling as a table of affine steps x ← A x + B ε* + S z, with the mistakes one can make: no DOM.
import { epsAt, signalAt } from "./noise_schedule_maths.js";

/** Each mistake: its name, what the menu calls it, and what it does. */
export const BUGS = [
  ["none", "None: correct code", "The denoiser is exact, so what is still wrong comes from the number of steps alone."],
  [
    "noise-at-0",
    "Noise added at t = 0",
    "The last step should give its mean. The dots do not show this one. The variance in theory does, where η > 0: open More curves.",
  ],
  ["sigma-squared", "σ² used for σ", "σ is below 1, so its square is too little noise: the modes come out tight."],
  [
    "sqrt-one-minus-alpha",
    "√(1 − α) for √(1 − ᾱ)",
    "Each step takes away too much of ε*, by the factor √((1 − ᾱ) / (1 − α)).",
  ],
  [
    "off-by-one",
    "Network told t − 1",
    "It takes each xₜ for less noisy than it is. The dots look right, and the variance in theory moves: open More curves.",
  ],
  [
    "first-timesteps",
    "First n timesteps",
    "Pure noise is taken for xₜ at t = n − 1. The strokes under the axes show where the sampler stops.",
  ],
  [
    "no-noise",
    "Noise left out",
    "The ancestral mean alone, which needs its noise: samples shrink onto the modes. DDIM has another mean.",
  ],
  [
    "clip-x",
    "xₜ clipped",
    "xₜ may leave the dashed box of the data; clip the estimate of x₀ instead. No longer affine: V has no closed form.",
  ],
];

/** The n timesteps that the sampler visits, from the noisiest on. "leading" multiples of ⌊T / n⌋; "trailing" starts at T − 1. */
export function timesteps(T, n, spacing = "leading") {
  const count = Math.min(n, T);
  const ratio = Math.floor(T / count);
  const leading = (i) => (count - 1 - i) * ratio;
  const trailing = (i) => halfToEven(T - (i * T) / count) - 1;
  return Int32Array.from({ length: count }, (_, i) => (spacing === "trailing" ? trailing(i) : leading(i)));
}

// As numpy rounds.
function halfToEven(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}

/**
 * The sampler's steps: {times, told, A, B, S, clip}. `told`: the timestep that ε* is asked about.
 * `abar` (T,), `steps` n, `spacing`, `eta` (0: DDIM, 1: ancestral), `variance` ("beta" or "beta-tilde", of the step's
 * own β = 1 − ᾱ_t / ᾱ_prev), `bug`, `box`: where "clip-x" clips.
 */
export function plan({
  abar,
  steps,
  spacing = "leading",
  eta = 1,
  variance = "beta-tilde",
  bug = "none",
  box = Infinity,
}) {
  const n = Math.min(steps, abar.length);
  const times = bug === "first-timesteps" ? timesteps(n, n) : timesteps(abar.length, n, spacing);
  const told = bug === "off-by-one" ? times.map((t) => Math.max(t - 1, 0)) : times;
  const table = { times, told, A: new Float64Array(n), B: new Float64Array(n), S: new Float64Array(n) };
  for (let i = 0; i < n; i++) fill(table, i, abar, eta, variance, bug);
  return { ...table, clip: bug === "clip-x" ? box : Infinity };
}

function fill({ times, A, B, S }, i, abar, eta, variance, bug) {
  const last = i === times.length - 1;
  const [now, before] = [abar[times[i]], last ? 1 : signalAt(abar, times[i + 1])];
  const beta = 1 - now / before;
  const tilde = eta * eta * ((beta * (1 - before)) / (1 - now)); // the variance of DDIM's equation 16
  A[i] = Math.sqrt(before / now);
  B[i] = Math.sqrt(Math.max(0, 1 - before - tilde)) - A[i] * Math.sqrt(1 - now);
  S[i] = last ? 0 : variance === "beta" ? eta * Math.sqrt(beta) : Math.sqrt(tilde);
  if (bug === "noise-at-0" && last) S[i] = eta * Math.sqrt(beta);
  if (bug === "sigma-squared") S[i] *= S[i];
  if (bug === "no-noise") S[i] = 0;
  if (bug === "sqrt-one-minus-alpha") B[i] *= Math.sqrt((1 - now) / beta);
}

/** One step at the points (N, 2): x ← A x + B ε + S z, then clipped where the plan clips. */
export function step({ A, B, S, clip }, i, points, noise, z) {
  return points.map((x, p) => Math.min(clip, Math.max(-clip, A[i] * x + B[i] * noise[p] + S[i] * z[p])));
}

/**
 * V / s² of the samples when the data are one Gaussian N(m, s² I): every step is affine, so V is exact:
 * V ← (A + B c)² V + S², c = √(1 − ᾱ) / (ᾱ s² + 1 − ᾱ), from V = 1. NaN where the plan clips.
 */
export function varianceRatio({ told, A, B, S, clip }, abar, s2) {
  let V = 1;
  for (let i = 0; i < told.length; i++) {
    const signal = abar[told[i]];
    const c = Math.sqrt(1 - signal) / (signal * s2 + 1 - signal);
    V = (A[i] + B[i] * c) ** 2 * V + S[i] ** 2;
  }
  return clip < Infinity ? NaN : V / s2;
}

/**
 * One particle's way, from noise to data, written into `out` from `at` on: n + 1 points (x, y).
 * `table`: `marginals` at the timesteps in `told`; `z`: 2 (n + 1) normal numbers, the first two are the start. Gives `out`.
 */
export function walk({ A, B, S, clip, told }, table, z, out, at) {
  const guess = [0, 0];
  let [x, y] = [z[0], z[1]];
  out[at] = x;
  out[at + 1] = y;
  for (let i = 0; i < told.length; i++) {
    epsAt(table, i, x, y, guess);
    x = A[i] * x + B[i] * guess[0] + S[i] * z[2 * i + 2];
    y = A[i] * y + B[i] * guess[1] + S[i] * z[2 * i + 3];
    if (clip < Infinity) [x, y] = [Math.min(clip, Math.max(-clip, x)), Math.min(clip, Math.max(-clip, y))];
    out[at + 2 * i + 2] = x;
    out[at + 2 * i + 3] = y;
  }
  return out;
}

/** How far the sampler has come at time t: the number of steps done on the way down to t, 0 … n. */
export function stateAt(times, t) {
  if (t < 0) return times.length;
  let done = 0;
  while (done < times.length - 1 && times[done + 1] >= t) done += 1;
  return done;
}

/**
 * {onMode, ratio}: the fraction of points (N, 2) within three standard deviations of a mode (0.989 of true samples are),
 * and the spread about the nearest mode over the true one (1 for true samples).
 */
export function quality(points, { count, means, variances }) {
  let [near, square] = [0, 0];
  for (let p = 0; p < points.length; p += 2) {
    let least = Infinity;
    for (let k = 0; k < count; k++) {
      const [dx, dy] = [points[p] - means[2 * k], points[p + 1] - means[2 * k + 1]];
      least = Math.min(least, (dx * dx + dy * dy) / variances[k]);
    }
    square += least;
    if (least <= 9) near += 1;
  }
  return { onMode: (2 * near) / points.length, ratio: Math.sqrt(square / points.length) };
}
