// A decoder of attention alone, as arithmetic on plain arrays: no DOM. Matrices are rows of an array, as in PyTorch.

const EPS = 1e-6;
const BASE = 10000;

/** Twice `fresh.length` tokens: `fresh` cut after `period`, again and again, with `edits` {place: token} on top. */
export function textOf(fresh, period, edits = {}) {
  return Array.from({ length: 2 * fresh.length }, (_, at) => edits[at] ?? fresh[at % period]);
}

/** x (rows × width) over its root mean square, times `gain`, from `offset` on. */
export function rmsnorm(x, width, gain, offset = 0) {
  const out = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[row + i] ** 2;
    const scale = 1 / Math.sqrt(sum / width + EPS);
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
      let sum = 0;
      for (let i = 0; i < inner; i++) sum += x[from + i] * weight[at + i];
      out[row * outer + o] = sum;
    }
  }
  return out;
}

/** Turns each head's vectors by angles that grow with the row: halves of a vector are its pairs, as in Llama. */
export function rotate(x, width, heads) {
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
  const first = new Float32Array(text.length * width);
  text.forEach((token, row) => first.set(weights.embedding.slice(token * width, (token + 1) * width), row * width));
  const [streams, attention, scores] = [[first], [], []];
  for (let layer = 0; layer < layers; layer++) {
    const found = attend(weights, streams[layer], layer, silent);
    attention.push(found.attention);
    scores.push(found.scores);
    streams.push(found.stream);
  }
  const logits = streams.map((x) => linear(rmsnorm(x, width, weights.norm), weights.head, width, weights.tokens));
  return { streams, attention, scores, logits };
}

function attend(weights, x, layer, silent) {
  const { width, heads, norms, q, k, v, o } = weights;
  const [rows, size, offset] = [x.length / width, width / heads, layer * width * width];
  const z = rmsnorm(x, width, norms, layer * width);
  const query = rotate(linear(z, q, width, width, offset), width, heads);
  const key = rotate(linear(z, k, width, width, offset), width, heads);
  const value = linear(z, v, width, width, offset);
  const mixed = new Float32Array(x.length);
  const [attention, scores] = [[], []];
  for (let head = 0; head < heads; head++) {
    const found = oneHead(query, key, rows, width, head * size, size);
    attention.push(found.weights);
    scores.push(found.scores);
    if (!silent.includes(layer * heads + head)) mix(mixed, found.weights, value, rows, width, head * size, size);
  }
  const added = linear(mixed, o, width, width, offset);
  return { attention, scores, stream: x.map((before, i) => before + added[i]) };
}

function oneHead(query, key, rows, width, start, size) {
  const [scores, weights] = [new Float32Array(rows * rows).fill(NaN), new Float32Array(rows * rows).fill(NaN)];
  for (let row = 0; row < rows; row++) {
    let top = -Infinity;
    for (let at = 0; at <= row; at++) {
      let sum = 0;
      for (let i = start; i < start + size; i++) sum += query[row * width + i] * key[at * width + i];
      scores[row * rows + at] = sum / Math.sqrt(size);
      top = Math.max(top, scores[row * rows + at]);
    }
    let total = 0;
    for (let at = 0; at <= row; at++) total += weights[row * rows + at] = Math.exp(scores[row * rows + at] - top);
    for (let at = 0; at <= row; at++) weights[row * rows + at] /= total;
  }
  return { scores, weights };
}

function mix(mixed, weights, value, rows, width, start, size) {
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at <= row; at++) {
      const weight = weights[row * rows + at];
      for (let i = start; i < start + size; i++) mixed[row * width + i] += weight * value[at * width + i];
    }
  }
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
    for (let token = 1; token < tokens; token++) if (logits[row * tokens + token] > logits[row * tokens + best]) best = token;
    right += best === text[row + 1];
  }
  return { right, of: text.length - 1 - from };
}
