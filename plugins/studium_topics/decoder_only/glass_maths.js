// A decoder of attention alone, as arithmetic on plain arrays: no DOM. Matrices are rows of an array, as in PyTorch.
import { softmax } from "studium_widgets/token_strip_maths.js";
import { collect, embedded, linear, products, rmsnorm, sum } from "../kits/transformer_maths.js";

const EPS = 1e-6;
const BASE = 10000;

/** Twice `fresh.length` tokens: `fresh` cut after `period`, again and again, with `edits` {place: token} on top. */
export function textOf(fresh, period, edits = {}) {
  return Array.from({ length: 2 * fresh.length }, (_, at) => edits[at] ?? fresh[at % period]);
}

// Turns each head's vectors by angles that grow with the row: halves of a vector are its pairs, as in Llama.
function rotate(x, width, heads) {
  const size = width / heads;
  const half = size / 2;
  const rates = Array.from({ length: half }, (_, i) => BASE ** ((-2 * i) / size));
  const out = new Float32Array(x.length);
  for (let row = 0; row < x.length / width; row++) {
    for (let i = 0; i < half; i++) {
      const cos = Math.cos(row * rates[i]);
      const sin = Math.sin(row * rates[i]);
      for (let at = row * width + i; at < (row + 1) * width; at += size) {
        out[at] = x[at] * cos - x[at + half] * sin;
        out[at + half] = x[at + half] * cos + x[at] * sin;
      }
    }
  }
  return out;
}

/**
 * The whole model on `text`. `weights`: {embedding, head, norm, norms, q, k, v, o} as flat arrays, and {tokens, width,
 * layers, heads}. `silent`: numbers layer · heads + head. Gives {streams: [T × D, one more than layers],
 * attention: [[T × T a head] a layer], scores likewise, logits: [T × V of each stream]}.
 */
export function forward(weights, text, silent = []) {
  const { width, layers } = weights;
  const [streams, attention, scores] = [[embedded(weights.embedding, width, text)], [], []];
  for (let layer = 0; layer < layers; layer++) {
    const found = attend(weights, streams[layer], layer, silent);
    attention.push(found.attention);
    scores.push(found.scores);
    streams.push(found.stream);
  }
  const logits = streams.map((x) => linear(rmsnorm(x, width, weights.norm, EPS), weights.head, width, weights.tokens));
  return { streams, attention, scores, logits };
}

function attend(weights, x, layer, silent) {
  const { width, heads, norms, q, k, v, o } = weights;
  const [rows, size, offset] = [x.length / width, width / heads, layer * width * width];
  const z = rmsnorm(x, width, norms, EPS, layer * width);
  const query = rotate(linear(z, q, width, width, offset), width, heads);
  const key = rotate(linear(z, k, width, width, offset), width, heads);
  const value = linear(z, v, width, width, offset);
  const mixed = new Float32Array(x.length);
  const [attention, scores] = [[], []];
  for (let head = 0; head < heads; head++) {
    const [weights, own] = [0, 1].map(() => new Float32Array(rows * rows).fill(NaN));
    for (let row = 0; row < rows; row++) {
      const place = { row, seen: row + 1, width, at: head * size, size };
      const seen = products(query, key, place).map((product) => product / Math.sqrt(size));
      const odds = softmax(seen);
      own.set(seen, row * rows);
      weights.set(odds, row * rows);
      if (!silent.includes(layer * heads + head)) collect(mixed, odds, value, place);
    }
    attention.push(weights);
    scores.push(own);
  }
  return { attention, scores, stream: sum(x, linear(mixed, o, width, width, offset)) };
}

/** The mean weight of a head (T × T) on what followed the current token last time, over the second and later rounds. */
export function inductionScore(weights, rows, period) {
  let sum = 0;
  for (let row = period; row < rows; row++) sum += weights[row * rows + row - period + 1];
  return sum / (rows - period);
}

/** Probabilities of `logits`: divided by the temperature, then top-k (0: all), then top-p; what goes has 0. */
export function filtered(logits, temperature = 1, topK = 0, topP = 1) {
  const order = Array.from(logits, (_, token) => token).sort((a, b) => logits[b] - logits[a]);
  const top = logits[order[0]];
  const odds = Array.from(logits, (logit) => Math.exp((logit - top) / temperature));
  const weakest = topK ? logits[order[Math.min(topK, order.length) - 1]] : -Infinity;
  const left = order.filter((token) => logits[token] >= weakest);
  const total = left.reduce((sum, token) => sum + odds[token], 0);
  let [before, kept] = [0, 0];
  const out = new Float64Array(logits.length);
  for (const [rank, token] of left.entries()) {
    if (rank && before >= topP * total) break;
    kept += out[token] = odds[token];
    before += odds[token];
  }
  return out.map((weight) => weight / kept);
}

/** How many of the places from half of the text on are followed by the model's first guess: {right, of}. */
export function copied(logits, text, tokens) {
  let right = 0;
  const from = text.length / 2 - 1;
  for (let row = from; row < text.length - 1; row++) {
    let best = 0;
    for (let token = 1; token < tokens; token++)
      if (logits[row * tokens + token] > logits[row * tokens + best]) best = token;
    if (best === text[row + 1]) right += 1;
  }
  return { right, of: text.length - 1 - from };
}
