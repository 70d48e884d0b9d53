// What a decoder does with its logits: temperature, filters, a draw, and the check of a draft. Plain arrays: no DOM.
import { uniforms } from "./random.js";

/**
 * softmax(logits / temperature) of `size` numbers from `start` on, written into `out`. Temperature 0: all on the largest.
 * @param {ArrayLike<number>} logits
 * @param {number} temperature
 * @param {number} start
 * @param {number} size
 * @param {Float64Array} out
 */
export function softmax(logits, temperature = 1, start = 0, size = logits.length, out = new Float64Array(size)) {
  let top = -Infinity;
  for (let i = 0; i < size; i++) if (logits[start + i] > top) top = logits[start + i];
  let sum = 0;
  for (let i = 0; i < size; i++) {
    const gap = logits[start + i] - top;
    out[i] = temperature === 0 ? Number(gap === 0) : Math.exp(gap / temperature);
    sum += out[i];
  }
  for (let i = 0; i < size; i++) out[i] /= sum;
  return out;
}

/**
 * Indices from the largest value to the smallest; equal ones keep their order.
 * @param {Float64Array} values
 */
export function ranking(values) {
  return Int32Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
}

/** Why a token is out: the index into these names is its entry in `cut`. */
export const FILTERS = ["kept", "top-k", "top-p", "min-p"];

/**
 * The filters in turn on probabilities `p` in the order `rank`, each on what the one before has left, renormalised:
 * {q, cut, count, mass}: q sums to 1, cut has an index into FILTERS for each token, mass is what p had on the kept ones.
 * topK 0: off; equal probabilities stay together. topP: the fewest tokens with at least this mass; 1: off.
 * minP: at least this fraction of the likeliest; 0: off. The likeliest token always stays.
 * @param {Float64Array} p
 * @param {Int32Array} rank
 * @param {{topK?: number, topP?: number, minP?: number}} filters
 */
export function filter(p, rank, { topK = 0, topP = 1, minP = 0 }) {
  const cut = new Uint8Array(p.length);
  const last = topK > 0 && topK < p.length ? p[rank[topK - 1]] : 0;
  let within = 0;
  for (let i = 0; i < p.length; i++) {
    if (p[i] < last) cut[i] = 1;
    else within += p[i];
  }
  let before = 0;
  for (const i of rank) {
    if (cut[i]) break;
    if (topP < 1 && before > 0 && before / within >= topP) cut[i] = 2;
    else if (p[i] < minP * p[rank[0]]) cut[i] = 3;
    before += p[i];
  }
  return renormalised(p, cut);
}

/**
 * @param {Float64Array} p
 * @param {Uint8Array} cut
 */
function renormalised(p, cut) {
  let [mass, count] = [0, 0];
  for (let i = 0; i < p.length; i++) {
    if (cut[i]) continue;
    mass += p[i];
    count += 1;
  }
  return { q: p.map((value, i) => (cut[i] ? 0 : value / mass)), cut, count, mass };
}

/**
 * Σ −p log₂ p: bits.
 * @param {ArrayLike<number>} p
 */
export function entropy(p) {
  let sum = 0;
  for (let i = 0; i < p.length; i++) if (p[i] > 0) sum -= p[i] * Math.log2(p[i]);
  return sum;
}

/**
 * The token at which the cumulated probabilities, in the order `rank`, pass `u` in (0, 1].
 * @param {ArrayLike<number>} q
 * @param {Iterable<number> & ArrayLike<number>} rank
 * @param {number} u
 */
export function pick(q, rank, u) {
  let sum = 0;
  for (const i of rank) {
    sum += q[i];
    if (sum >= u - 1e-12 && q[i] > 0) return i;
  }
  return rank[0];
}

/**
 * The probability of each token of the text, (T,): row t of the logits (positions, vocabulary) at `ids[t]`.
 * @param {ArrayLike<number>} logits
 * @param {number} vocabulary
 * @param {ArrayLike<number>} ids
 * @param {number} temperature
 */
export function likelihoods(logits, vocabulary, ids, temperature) {
  const row = new Float64Array(vocabulary);
  return Float64Array.from(ids, (id, t) => softmax(logits, temperature, t * vocabulary, vocabulary, row)[id]);
}

/**
 * {nats, perplexity, bitsPerByte}: the mean of −ln p, its exponential, and Σ −log₂ p over the text's bytes.
 * @param {Float64Array} probabilities
 * @param {number} bytes
 */
export function score(probabilities, bytes) {
  const nats = probabilities.reduce((sum, p) => sum - Math.log(p), 0);
  const mean = nats / probabilities.length;
  return { nats: mean, perplexity: Math.exp(mean), bitsPerByte: nats / Math.LN2 / bytes };
}

/**
 * max(0, p − q), renormalised: what a rejected draft is drawn from. p itself where the two are equal.
 * @param {Float64Array} p
 * @param {Float64Array} q
 */
export function residual(p, q) {
  const rest = p.map((value, i) => Math.max(0, value - q[i]));
  const sum = rest.reduce((total, value) => total + value, 0);
  return sum > 0 ? rest.map((value) => value / sum) : p;
}

/** Mistakes in the check of a draft. */
export const MISTAKES = {
  none: ["None: correct code", "What comes out is distributed as the target, whatever the draft."],
  "resample-target": [
    "Resample from p, not from the residual",
    "Tokens that the draft likes too little come out too rarely, for they were counted twice.",
  ],
  "swapped-ratio": ["Accept with q / p", "Just what the draft overrates is always accepted."],
  "always-accept": ["Accept every draft", "Then the draft speaks, not the target."],
};

/**
 * The probability that a drafted token is kept: min(1, p / q), or what a mistake makes of it.
 * @param {number} p
 * @param {number} q
 */
export function acceptance(p, q, mistake = "none") {
  if (mistake === "always-accept") return 1;
  if (mistake === "swapped-ratio") return p === 0 ? 1 : Math.min(1, q / p);
  return q === 0 ? 1 : Math.min(1, p / q);
}

/**
 * {alpha, out, distance}: the share of drafts kept, the distribution of what comes out, its total variation from p.
 * @param {Float64Array} p
 * @param {Float64Array} q
 */
export function verified(p, q, mistake = "none") {
  const kept = q.map((value, i) => value * acceptance(p[i], value, mistake));
  const alpha = kept.reduce((sum, value) => sum + value, 0);
  const again = mistake === "resample-target" ? p : residual(p, q);
  const out = kept.map((value, i) => value + (1 - alpha) * again[i]);
  return { alpha, out, again, distance: out.reduce((sum, value, i) => sum + Math.abs(value - p[i]) / 2, 0) };
}

/**
 * One call of the target over a draft: {kept, token, bonus, draws}. `rows`: {p, q} at each drafted position, q missing at
 * the one behind; `ids`: the draft. kept: how many are accepted; token: what the target adds; bonus: all were accepted.
 * @param {{p: Float64Array, q: Float64Array}[]} rows
 * @param {ArrayLike<number>} ids
 * @param {number} seed
 */
export function check(rows, ids, seed, mistake = "none") {
  const next = uniforms(seed);
  const draws = [];
  for (let t = 0; t < ids.length; t++) {
    draws.push(next());
    const { p, q } = rows[t];
    if (draws[t] <= acceptance(p[ids[t]], q[ids[t]], mistake)) continue;
    const { again } = verified(p, q, mistake);
    return { kept: t, token: pick(again, ranking(again), next()), bonus: false, draws };
  }
  const last = rows[ids.length];
  return { kept: ids.length, token: last ? pick(last.p, ranking(last.p), next()) : -1, bonus: Boolean(last), draws };
}

/**
 * Tokens a call gives on average, 1 + α₁ + α₁α₂ + …, and how much faster that is where a draft costs `cost` calls.
 * @param {number[]} alphas
 * @param {number} cost
 */
export function gain(alphas, cost) {
  let [tokens, product] = [1, 1];
  for (const alpha of alphas) tokens += product *= alpha;
  return { tokens, speedup: tokens / (alphas.length * cost + 1) };
}

/**
 * How often each token comes out in `trials` drafts and checks at one position, (V,): counts.
 * @param {Float64Array} p
 * @param {Float64Array} q
 * @param {number} trials
 * @param {number} seed
 */
export function trial(p, q, trials, seed, mistake = "none") {
  const next = uniforms(seed + 101);
  const { again } = verified(p, q, mistake);
  const [byDraft, byRest] = [ranking(q), ranking(again)];
  const counts = new Float64Array(p.length);
  for (let i = 0; i < trials; i++) {
    const drafted = pick(q, byDraft, next());
    const kept = next() <= acceptance(p[drafted], q[drafted], mistake);
    counts[kept ? drafted : pick(again, byRest, next())] += 1;
  }
  return counts;
}
