// A small decoder that reads new tokens through a cache, as arithmetic on plain arrays: no DOM. Matrices are rows of an
// array, as in PyTorch; `weights` are those of a TinyLM with {tokens, width, hidden, layers, heads}.

const EPS = 1.1920929e-7; // of nn.RMSNorm in float32
const BASE = 10000;

/** An empty cache with room for `capacity` tokens: {keys, values: one array (capacity × width) a layer, length}. */
export function emptyCache({ layers, width }, capacity) {
  const room = () => Array.from({ length: layers }, () => new Float32Array(capacity * width));
  return { keys: room(), values: room(), length: 0 };
}

/** Reads `ids` behind what is in `cache`, and puts them there. `fault` as in `FAULTS`. Gives the logits (t × tokens). */
export function read(weights, cache, ids, fault = "nothing") {
  const { width, hidden, layers, tokens } = weights;
  let x = new Float32Array(ids.length * width);
  ids.forEach((token, row) => x.set(weights.embedding.slice(token * width, (token + 1) * width), row * width));
  for (let layer = 0; layer < layers; layer++) {
    x = sum(x, attention(weights, rmsnorm(x, width, weights.norms, 2 * layer * width), layer, cache, fault));
    const z = rmsnorm(x, width, weights.norms, (2 * layer + 1) * width);
    const up = linear(z, weights.up, width, hidden, layer * width * hidden).map(gelu);
    x = sum(x, linear(up, weights.down, hidden, width, layer * width * hidden));
  }
  cache.length += ids.length;
  return linear(rmsnorm(x, width, weights.norm), weights.head, width, tokens);
}

/** What can go wrong, by name: what it is called, and what it does. */
export const FAULTS = {
  nothing: ["nothing", "Every token is the same: a cache changes the work, not the result."],
  positions: ["positions start again", "Each new token says that it stands at the beginning; its distance to all that came before is wrong."],
  "top-left": ["mask at the top left", "The one new query is taken for the first: it sees the oldest key alone. This is is_causal=True with a cache."],
  stale: ["the last text left in", "The cache was not emptied: the model reads this text as if another one stood before it."],
};

/** `count` greedy tokens behind `prompt`, reading everything anew for each. */
export function without(weights, prompt, count) {
  const text = [...prompt];
  for (let i = 0; i < count; i++) text.push(last(weights, read(weights, emptyCache(weights, text.length), text)));
  return text.slice(prompt.length);
}

/** `count` greedy tokens behind `prompt` through a cache, with something wrong. */
export function through(weights, prompt, count, fault = "nothing") {
  const cache = emptyCache(weights, 2 * prompt.length + count);
  if (fault === "stale") read(weights, cache, [...prompt].reverse());
  const found = [last(weights, read(weights, cache, prompt, fault))];
  while (found.length < count) found.push(last(weights, read(weights, cache, found.slice(-1), fault)));
  return found;
}

/** Floating-point operations of the first `passes` passes behind a prompt, as `decode_flops` counts them. */
export function work({ width, hidden, layers, tokens }, prompt, passes, cached) {
  const matrices = layers * (4 * width * width + 2 * width * hidden) + tokens * width;
  let total = 0;
  for (let pass = 0; pass < passes; pass++) {
    const seen = prompt + pass;
    const fresh = cached && pass ? 1 : seen;
    total += 2 * fresh * matrices + layers * 4 * fresh * seen * width;
  }
  return total;
}

/** Bytes of keys and values of `count` tokens in float32. */
export const bytes = ({ layers, width }, count) => 2 * layers * width * count * 4;

/** Which token each pass computes: passes × columns of 0 not there, `again`, `kept` or 1 computed for the first time. */
export function lane(prompt, passes, shown, cached, { again, kept }) {
  const columns = prompt + passes - 1;
  const data = new Float32Array(passes * columns);
  for (let pass = 0; pass < shown; pass++) {
    for (let token = 0; token < prompt + pass; token++) {
      const first = pass ? token === prompt + pass - 1 : true;
      data[pass * columns + token] = first ? 1 : cached ? kept : again;
    }
  }
  return { data, rows: passes, columns };
}

function last({ tokens }, logits) {
  const from = logits.length - tokens;
  let best = 0;
  for (let token = 1; token < tokens; token++) if (logits[from + token] > logits[from + best]) best = token;
  return best;
}

function attention(weights, z, layer, cache, fault) {
  const { width, heads, q, k, v, o } = weights;
  const [offset, start, rows, size] = [layer * width * width, cache.length, z.length / width, width / heads];
  const from = fault === "positions" ? 0 : start;
  const query = rotate(linear(z, q, width, width, offset), width, heads, from);
  const [keys, values] = [cache.keys[layer], cache.values[layer]];
  keys.set(rotate(linear(z, k, width, width, offset), width, heads, from), start * width);
  values.set(linear(z, v, width, width, offset), start * width);
  const mixed = new Float32Array(z.length);
  for (let row = 0; row < rows; row++) {
    const seen = (fault === "top-left" ? 0 : start) + row + 1;
    for (let head = 0; head < heads; head++) look(mixed, query, keys, values, { row, seen, width, size, at: head * size });
  }
  return linear(mixed, o, width, width, offset);
}

// One query of one head looks at the first `seen` keys, and takes from their values.
function look(mixed, query, keys, values, { row, seen, width, size, at }) {
  const scores = new Float64Array(seen);
  let top = -Infinity;
  for (let key = 0; key < seen; key++) {
    let dot = 0;
    for (let i = at; i < at + size; i++) dot += query[row * width + i] * keys[key * width + i];
    scores[key] = dot / Math.sqrt(size);
    top = Math.max(top, scores[key]);
  }
  const odds = scores.map((score) => Math.exp(score - top));
  const total = odds.reduce((before, weight) => before + weight, 0);
  for (let key = 0; key < seen; key++) {
    for (let i = at; i < at + size; i++) mixed[row * width + i] += (odds[key] / total) * values[key * width + i];
  }
}

const sum = (x, y) => x.map((value, i) => value + y[i]);

function rmsnorm(x, width, gain, offset = 0) {
  const out = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[row + i] ** 2;
    const scale = 1 / Math.sqrt(squares / width + EPS);
    for (let i = 0; i < width; i++) out[row + i] = x[row + i] * scale * gain[offset + i];
  }
  return out;
}

// x (rows × inner) times the transpose of the (outer × inner) matrix that starts at `offset` of `weight`.
function linear(x, weight, inner, outer, offset = 0) {
  const rows = x.length / inner;
  const out = new Float32Array(rows * outer);
  for (let row = 0, from = 0; row < rows; row++, from += inner) {
    for (let o = 0, at = offset; o < outer; o++, at += inner) {
      let dot = 0;
      for (let i = 0; i < inner; i++) dot += x[from + i] * weight[at + i];
      out[row * outer + o] = dot;
    }
  }
  return out;
}

// Turns pairs 2i, 2i + 1 of each head's vectors; row 0 stands at position `start`.
function rotate(x, width, heads, start) {
  const size = width / heads;
  const out = new Float32Array(x.length);
  for (let row = 0; row < x.length / width; row++) {
    for (let i = 0; i < size; i += 2) {
      const angle = (start + row) * BASE ** (-i / size);
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      for (let at = row * width + i; at < (row + 1) * width; at += size) {
        out[at] = x[at] * cos - x[at + 1] * sin;
        out[at + 1] = x[at] * sin + x[at + 1] * cos;
      }
    }
  }
  return out;
}

const gelu = (x) => (x * (1 + erf(x / Math.SQRT2))) / 2;

// Abramowitz and Stegun 7.1.26, right to 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - poly * Math.exp(-x * x));
}
