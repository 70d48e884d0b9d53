// Routing tokens to experts: gates, capacity, losses. Matrices are flat, (tokens, experts) in row order. No DOM.
import { normal } from "./rank_explorer_maths.js";

const RATE = 2; // of descent on the auxiliary loss

/** Logits of the first `experts` columns, with `favour` on expert 0 and Gaussian noise of size `noise` from `seed`. */
export function gateLogits(logits, tokens, columns, { experts, favour = 0, noise = 0, seed = 1 }) {
  const next = normal(seed);
  const out = new Float64Array(tokens * experts);
  for (let t = 0; t < tokens; t++) {
    for (let e = 0; e < experts; e++)
      out[t * experts + e] = logits[t * columns + e] + (e ? 0 : favour) + (noise ? noise * next() : 0);
  }
  return out;
}

/** Softmax of each row: {probabilities, z}, z = mean of the squared log of the row's sum of exponentials. */
export function softmaxRows(logits, tokens, experts) {
  const probabilities = new Float64Array(logits.length);
  let squares = 0;
  for (let t = 0; t < tokens; t++) {
    let [top, sum] = [-Infinity, 0];
    for (let e = 0; e < experts; e++) top = Math.max(top, logits[t * experts + e]);
    for (let e = 0; e < experts; e++) sum += probabilities[t * experts + e] = Math.exp(logits[t * experts + e] - top);
    for (let e = 0; e < experts; e++) probabilities[t * experts + e] /= sum;
    squares += (top + Math.log(sum)) ** 2;
  }
  return { probabilities, z: squares / tokens };
}

/** The `k` most probable experts of each token, best first, (tokens, k); of equal ones the first. */
export function topExperts(probabilities, tokens, experts, k) {
  const chosen = new Int32Array(tokens * k);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < k; i++) chosen[t * k + i] = bestLeft(probabilities, t * experts, experts, chosen, t * k, i);
  }
  return chosen;
}

// The best expert of the row from `start` on that is not among the `count` chosen ones.
function bestLeft(probabilities, start, experts, chosen, first, count) {
  let best = -1;
  for (let e = 0; e < experts; e++) {
    if (best >= 0 && probabilities[start + e] <= probabilities[start + best]) continue;
    let taken = false;
    for (let i = first; i < first + count; i++) taken ||= chosen[i] === e;
    if (!taken) best = e;
  }
  return best;
}

/** {kept, load}: which choices find a place, (tokens, k) of 0 and 1, and how many ask each expert. First choices go first. */
export function dispatch(chosen, tokens, k, experts, limit) {
  const [kept, load] = [new Uint8Array(tokens * k), new Uint32Array(experts)];
  for (let i = 0; i < k; i++) {
    for (let t = 0; t < tokens; t++) kept[t * k + i] = Number(load[chosen[t * k + i]]++ < limit);
  }
  return { kept, load };
}

/** Weights of the chosen experts, (tokens, k): their probabilities, made to sum to 1 where `renormalise`. */
export function gates(probabilities, chosen, tokens, experts, k, renormalise) {
  const out = Float64Array.from(chosen, (e, at) => probabilities[Math.floor(at / k) * experts + e]);
  for (let t = 0; renormalise && t < tokens; t++) {
    const row = out.subarray(t * k, (t + 1) * k);
    const sum = row.reduce((total, value) => total + value, 0);
    row.forEach((value, i) => (row[i] = value / sum));
  }
  return out;
}

/** Column means of the probabilities, P. */
export function meanProbabilities(probabilities, tokens, experts) {
  const means = new Float64Array(experts);
  for (let at = 0; at < probabilities.length; at++) means[at % experts] += probabilities[at] / tokens;
  return means;
}

/** E Σ f P, with f the choices of each expert a token: k where the load or the probabilities are even. */
export function auxiliaryLoss(load, means, tokens) {
  return load.length * load.reduce((sum, count, e) => sum + (count / tokens) * means[e], 0);
}

/** Variance over squared mean (Shazeer 2017): 0 where all are equal. */
export function squaredVariation(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length / mean ** 2;
}

/** Entropy of the shares over that of even ones: from 0, all to one, to 1. */
export function evenness(load) {
  const total = load.reduce((sum, count) => sum + count, 0);
  return (
    -load.reduce((sum, count) => sum + (count ? (count / total) * Math.log(count / total) : 0), 0) /
    Math.log(load.length)
  );
}

/**
 * balancing(logits, tokens, experts, k)(steps) → a bias for each expert after so many steps of gradient descent on the
 * auxiliary loss, in which f counts as a constant. Steps that were taken once are kept.
 */
export function balancing(logits, tokens, experts, k) {
  const path = [new Float64Array(experts)];
  const moved = new Float64Array(logits.length);
  return (steps) => {
    while (path.length <= steps) {
      const bias = path.at(-1);
      for (let at = 0; at < moved.length; at++) moved[at] = logits[at] + bias[at % experts];
      const { probabilities } = softmaxRows(moved, tokens, experts);
      const { load } = dispatch(topExperts(probabilities, tokens, experts, k), tokens, k, experts, Infinity);
      const slope = auxiliarySlope(probabilities, load, tokens, experts);
      path.push(bias.map((value, e) => value - RATE * slope[e]));
    }
    return path[steps];
  };
}

/** The gradient of the auxiliary loss with respect to one bias for each expert: E mean p (f − Σ f p). */
export function auxiliarySlope(probabilities, load, tokens, experts) {
  const slope = new Float64Array(experts);
  for (let start = 0; start < tokens * experts; start += experts) {
    let mean = 0;
    for (let e = 0; e < experts; e++) mean += (probabilities[start + e] * load[e]) / tokens;
    for (let e = 0; e < experts; e++)
      slope[e] += (experts / tokens) * probabilities[start + e] * (load[e] / tokens - mean);
  }
  return slope;
}
