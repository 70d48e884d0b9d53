// Langevin and diffusion samplers on a Gaussian mixture in the plane with exact scores, guidance included: no DOM.
// Every step is x ← A x + B ε̂ + S z + shift d, where ε̂ = base ε + factor d, ε = −√noise ∇log p, and
// d = ε_y − ε = −√noise ∇log p(y | x): the direction in which a classifier pulls, in units of ε.
import { abarOf, betas, density, epsAt, marginals, signalAt } from "./noise_schedule_maths.js";
import { plan as diffusionPlan } from "./noise_schedule_sampler.js";
import { normals, uniforms } from "./random.js";

const T = 1000; // timesteps of the diffusion, linear betas 1e-4 to 0.02
const FINEST = 1e-4; // variance of the noise on what is shown as data

/** The mixture with its means times `distance` and `share` as the weight of its first mode; the rest keep their proportions. */
export function adjusted({ count, means, variances, weights }, share, distance) {
  const rest = 1 - weights[0] || 1;
  const scaled = Float64Array.from(weights, (weight, k) =>
    count === 1 ? 1 : k ? (weight * (1 - share)) / rest : share,
  );
  return { count, means: Float64Array.from(means, (value) => value * distance), variances, weights: scaled };
}

/** Noise levels σ from `first` down to `last`, (L,): a constant ratio, or with the mistake "linear-ladder" a constant gap. */
export function ladder(first, last, L, mistake = "none") {
  const share = (i) => (L === 1 ? 1 : i / (L - 1));
  const level = mistake === "linear-ladder" ? (u) => first + (last - first) * u : (u) => first * (last / first) ** u;
  const sigmas = Float64Array.from({ length: L }, (_, i) => level(share(i)));
  return mistake === "reversed" ? sigmas.reverse() : sigmas;
}

/**
 * The steps of a sampler: {signal, noise, A, B, S, finest, heun, start}. `signal` and `noise` (n + 1,): ᾱ and the variance
 * of the noise at which the score is asked for step i, and behind the last step; `finest`: where the noise should end.
 * `options`: `sampler` ("langevin", "annealed", "ancestral", "ddim", "flow"), `steps` n; for Langevin `stepSize`, `sigma`,
 * and for the ladder `sigmaMax`, `levels`; `mistake`.
 */
export function plan(options) {
  return /langevin|annealed/.test(options.sampler) ? langevinPlan(options) : diffusion(options);
}

function langevinPlan({ sampler, steps: n, stepSize, sigma, sigmaMax, levels, mistake }) {
  const sigmas =
    sampler === "langevin" ? Float64Array.of(sigma) : ladder(sigmaMax, sigma, Math.min(levels, n), mistake);
  const at = (i) => sigmas[Math.floor((Math.min(i, n - 1) * sigmas.length) / n)];
  const power = mistake === "constant-step" ? 0 : mistake === "not-squared" ? 1 : 2;
  const rate = (i) => stepSize * (at(i) / sigma) ** power;
  const fill = (f, size = n) => Float64Array.from({ length: size }, (_, i) => f(i));
  return {
    signal: fill(() => 1, n + 1),
    noise: fill((i) => at(i) ** 2, n + 1),
    A: fill(() => 1),
    B: fill((i) => -rate(i) / 2 / at(i)),
    S: fill((i) => (mistake === "no-noise" ? 0 : Math.sqrt((mistake === "double-noise" ? 2 : 1) * rate(i)))),
    finest: sigma ** 2,
    heun: false,
    start: "uniform",
  };
}

const abar = abarOf(betas("linear", T));

function diffusion({ sampler, steps, mistake }) {
  const table = diffusionPlan({ abar, steps, spacing: "trailing", eta: sampler === "ancestral" ? 1 : 0, bug: mistake });
  const told = Float64Array.from(table.told, (t) => abar[t]);
  const beta = Float64Array.from(table.times, (t, i) => 1 - abar[t] / signalAt(abar, table.times[i + 1] ?? -1));
  const [signal, noise] = [Float64Array.of(...told, 1), Float64Array.of(...told.map((value) => 1 - value), FINEST)];
  return {
    signal,
    noise,
    A: table.A,
    B: table.B,
    S: table.S,
    beta,
    finest: FINEST,
    heun: sampler === "flow",
    start: "normal",
  };
}

/**
 * How a plan is guided: {kind, base, factor, shift, rescale, powered, label, temperature}, the first arrays (n,).
 * `scale` s: 0 unconditional, 1 conditional. `mistake` as in particle_field_mistakes.js. `from`, `to`: the noisiest and
 * the least noisy end of the interval, as shares of the way from noise to data; outside it s = 1.
 */
export function guidance(
  { kind, label, scale, mistake, temperature = 1, from = 0, to = 1, rescale = 0 },
  { S, noise, beta },
) {
  const n = S.length;
  const guide = {
    kind,
    label,
    temperature,
    rescale,
    powered: mistake === "gradient-of-p",
    base: new Float64Array(n).fill(1),
    factor: new Float64Array(n),
    shift: new Float64Array(n),
  };
  if (kind === "none") return guide;
  for (let i = 0; i < n; i++) {
    const place = n === 1 ? 0 : i / (n - 1);
    const s = place < from || place > to ? 1 : scale;
    guide.factor[i] = s;
    if (mistake === "flipped") guide.factor[i] = -s;
    if (mistake === "sqrt-beta" && beta) guide.factor[i] = (s * Math.sqrt(beta[i])) / Math.sqrt(noise[i]);
    if (mistake === "s-for-w") guide.factor[i] = s + 1;
    if (mistake === "sum-for-difference") guide.base[i] = 2 * s - 1;
    if (mistake === "guide-mean") [guide.factor[i], guide.shift[i]] = [0, (-s * S[i] ** 2) / Math.sqrt(noise[i])];
  }
  return guide;
}

/**
 * The mixture at each level of a plan, whole and in groups, ready for `guess`. `groups` (K,): the group of each mode, 0 … G−1.
 */
export function fieldOf(mixture, groups, signal, variance) {
  const { count, means, variances, weights } = mixture;
  const G = Math.max(...groups) + 1;
  const group = (g) => {
    const modes = Array.from({ length: count }, (_, k) => k).filter((k) => groups[k] === g);
    const weight = modes.reduce((sum, k) => sum + weights[k], 0);
    const part = {
      count: modes.length,
      means: modes.flatMap((k) => [means[2 * k], means[2 * k + 1]]),
      variances: modes.map((k) => variances[k]),
      weights: modes.map((k) => weights[k] / weight),
    };
    return { weight, mixture: part };
  };
  const parts = Array.from({ length: G }, (_, g) => group(g));
  const whole = marginals(mixture, signal, variance);
  const tables = parts.map((part) => marginals(part.mixture, signal, variance));
  const scratch = {
    log: new Float64Array(G),
    each: new Float64Array(2 * G),
    one: new Float64Array(2),
    all: new Float64Array(5),
  };
  return {
    mixture,
    parts,
    signal,
    variance,
    whole,
    tables,
    logWeights: parts.map((part) => Math.log(part.weight)),
    ...scratch,
  };
}

/** [ε x, ε y, d x, d y, p(y | x)] of the group `label`, written into `out`; `temperature` is the classifier's. */
export function guess(field, level, x, y, label, temperature, out) {
  const { tables, log, each } = field;
  const top = logGroups(field, level, x, y);
  let [sum, warm, ux, uy, wx, wy] = [0, 0, 0, 0, 0, 0];
  for (let g = 0; g < tables.length; g++) {
    const p = Math.exp(log[g] - top);
    const q = temperature === 1 ? p : Math.exp((log[g] - top) / temperature);
    sum += p;
    warm += q;
    ux += p * each[2 * g];
    uy += p * each[2 * g + 1];
    wx += q * each[2 * g];
    wy += q * each[2 * g + 1];
  }
  out[0] = ux / sum;
  out[1] = uy / sum;
  out[2] = (each[2 * label] - wx / warm) / temperature;
  out[3] = (each[2 * label + 1] - wy / warm) / temperature;
  out[4] = Math.exp(log[label] - top) / sum;
  return out;
}

// log(weight × density) of each group into field.log, its ε into field.each; gives the largest.
function logGroups({ tables, logWeights, log, each, one }, level, x, y) {
  let top = -Infinity;
  for (let g = 0; g < tables.length; g++) {
    log[g] = logWeights[g] + epsAt(tables[g], level, x, y, one);
    each[2 * g] = one[0];
    each[2 * g + 1] = one[1];
    if (log[g] > top) top = log[g];
  }
  return top;
}

/** The group that has (x, y) most likely. */
export function groupAt(field, level, x, y) {
  return field.log.indexOf(logGroups(field, level, x, y));
}

/** ε̂ at step i, written into out[0] and out[1]; d is left in out[2] and out[3]. */
export function guided(field, guide, i, x, y, out, level = i) {
  if (guide.kind === "none") return void epsAt(field.whole, level, x, y, out);
  guess(field, level, x, y, guide.label, guide.temperature, out);
  const factor = guide.factor[i] * (guide.powered ? out[4] : 1);
  const [ex, ey] = [guide.base[i] * out[0] + factor * out[2], guide.base[i] * out[1] + factor * out[3]];
  const fit = guide.rescale
    ? rescaled(guide.rescale, Math.hypot(out[0] + out[2], out[1] + out[3]), Math.hypot(ex, ey))
    : 1;
  out[0] = fit * ex;
  out[1] = fit * ey;
}

// Lin et al. 2023, equation 16, with the length of ε for its standard deviation: two numbers have no useful one.
const rescaled = (phi, conditional, length) => (length ? (phi * conditional) / length + 1 - phi : 1);

/** The picture's frames, in steps: every one of n, or as many as `most` allow. */
export const stride = (n, most = 200) => Math.ceil(n / most);

/**
 * One particle's way into `out` from `at` on, a point (x, y) every `every` steps, the start first and the end last.
 * `half`: the start is uniform over [−half, half]² where the plan says so, else standard normal.
 */
export function walk(plan, field, guide, { seed, particle, half, every }, out, at) {
  const { A, B, S, heun, start } = plan;
  const n = A.length;
  const z = normals(seed, particle, 2 * n + 2);
  const next = uniforms(Math.imul(seed + 11, 0x27d4eb2f) ^ Math.imul(particle + 1, 0x165667b1));
  let [x, y] = start === "uniform" ? [(2 * next() - 1) * half, (2 * next() - 1) * half] : [z[0], z[1]];
  const e = new Float64Array(5);
  let to = write(out, at, x, y);
  for (let i = 0; i < n; i++) {
    guided(field, guide, i, x, y, e);
    let [ex, ey] = [e[0], e[1]];
    const [px, py] = [guide.shift[i] * e[2], guide.shift[i] * e[3]];
    if (heun && i < n - 1) {
      guided(field, guide, i + 1, A[i] * x + B[i] * ex, A[i] * y + B[i] * ey, e);
      [ex, ey] = [(ex + e[0]) / 2, (ey + e[1]) / 2];
    }
    x = A[i] * x + B[i] * ex + S[i] * z[2 * i + 2] + px;
    y = A[i] * y + B[i] * ey + S[i] * z[2 * i + 3] + py;
    if ((i + 1) % every === 0 || i === n - 1) to = write(out, to, x, y);
  }
  return out;
}

function write(out, at, x, y) {
  out[at] = x;
  out[at + 1] = y;
  return at + 2;
}

/** {whole, posterior}: p(x) and p(y | x) of the group `label`, each on a grid over [−half, half]², first row at the top. */
export function grids(field, level, label, side, half) {
  const { mixture, parts, signal, variance } = field;
  const whole = density(mixture, signal[level], side, half, new Float64Array(side * side), variance[level]);
  const own = density(parts[label].mixture, signal[level], side, half, new Float64Array(side * side), variance[level]);
  const posterior = own.map((value, cell) => {
    if (whole[cell] > 1e-280) return Math.min(1, (parts[label].weight * value) / whole[cell]);
    return guess(field, level, ...place(cell, side, half), label, 1, field.all)[4]; // too far out for plain exponentials
  });
  return { whole, posterior };
}

/** p(x) p(y | x)^s on the grid, over its largest value. */
export function tilted({ whole, posterior }, s, out = new Float64Array(whole.length)) {
  let top = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = s === 0 ? whole[i] : whole[i] * posterior[i] ** s;
    if (out[i] > top) top = out[i];
  }
  for (let i = 0; i < out.length; i++) out[i] /= top;
  return out;
}

/** The centre of a cell of such a grid. */
export function place(cell, side, half) {
  return [(((cell % side) + 0.5) / side) * 2 * half - half, half - ((Math.floor(cell / side) + 0.5) / side) * 2 * half];
}

/** `count` draws from a grid of densities, (count, 2): evenly through the cumulated mass, anywhere within a cell. */
export function gridDraws(density, side, half, count, seed) {
  const next = uniforms(seed);
  const total = density.reduce((sum, value) => sum + value, 0);
  const points = new Float64Array(2 * count);
  let [cell, below] = [0, 0];
  for (let i = 0; i < count; i++) {
    const wanted = ((i + next()) / count) * total;
    while (cell < density.length - 1 && below + density[cell] < wanted) below += density[cell++];
    const [x, y] = place(cell, side, half);
    const width = (2 * half) / side;
    points.set([x + (next() - 0.5) * width, y + (next() - 0.5) * width], 2 * i);
  }
  return points;
}
