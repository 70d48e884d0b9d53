// The TinyLM of tiny_lm.py as arithmetic on plain arrays, with a cache and without one: no DOM. Matrices are rows of an
// array, as in PyTorch; the `weights` of all layers stand one behind the other: {embedding, head, norm, norms, q, k, v, o,
// up, down}, with the numbers {tokens, width, hidden, layers, heads}.
import { softmax } from "studium_widgets/token_strip_maths.js";
import { collect, embedded, linear, products, rmsnorm, sum } from "./transformer_maths.js";

const EPS = 1.1920929e-7; // of nn.RMSNorm in float32
const BASE = 10000;
const PARTS = {
  q: "attention.q",
  k: "attention.k",
  v: "attention.v",
  o: "attention.o",
  up: "mlp.up",
  down: "mlp.down",
};

/** The weights of a TinyLM, of its tensors by name ({data, shape}, as in the state dict). */
export function weightsOf(tensors, heads) {
  const layers = [...tensors.keys()].filter((name) => /^layers\.\d+\.attention\.q\.weight$/.test(name)).length;
  const each = (names) =>
    joined(
      Array.from({ length: layers }, (_, n) =>
        names.map((name) => tensors.get(`layers.${n}.${name}.weight`).data),
      ).flat(),
    );
  const stacked = Object.fromEntries(Object.entries(PARTS).map(([part, name]) => [part, each([name])]));
  const [embedding, head, norm] = ["embedding", "head", "norm"].map((name) => tensors.get(`${name}.weight`).data);
  const [tokens, width] = tensors.get("embedding.weight").shape;
  const [hidden] = tensors.get("layers.0.mlp.up.weight").shape;
  return {
    embedding,
    head,
    norm,
    norms: each(["attention_norm", "mlp_norm"]),
    ...stacked,
    tokens,
    width,
    hidden,
    layers,
    heads,
  };
}

/** The weights with `share` · b a added to each matrix that has factors "layers_0_attention_q.a" and "….b" in `factors`. */
export function merged(weights, factors, share) {
  const out = { ...weights };
  for (const [part, name] of Object.entries(PARTS)) {
    out[part] = Float32Array.from(weights[part]);
    const size = out[part].length / weights.layers;
    for (let layer = 0; layer < weights.layers; layer++) {
      const [a, b] = ["a", "b"].map((factor) =>
        factors.get(`layers_${layer}_${name.replace(".", "_")}.${factor}.weight`),
      );
      if (a) addProduct(out[part].subarray(layer * size, (layer + 1) * size), b, a, share);
    }
  }
  return out;
}

/** An empty cache with room for `capacity` tokens: {keys, values: one array (capacity × width) a layer, length, multiplied}. */
export function emptyCache({ layers, width }, capacity) {
  const room = () => Array.from({ length: layers }, () => new Float32Array(capacity * width));
  return { keys: room(), values: room(), length: 0, multiplied: 0 };
}

/**
 * Reads `ids` behind what is in `cache`, and puts them there. Gives the logits (t × tokens), and adds the multiplications
 * that this took to `cache.multiplied`. `fault`: "positions" turns keys as if `ids` stood at the beginning, "top-left"
 * shows them only as many keys as if they did.
 */
export function read(weights, cache, ids, fault = "nothing") {
  const { width, hidden, layers, tokens } = weights;
  const times = (x, matrix, inner, outer, offset) => counted(cache, x, matrix, inner, outer, offset);
  let x = embedded(weights.embedding, width, ids);
  for (let layer = 0; layer < layers; layer++) {
    x = sum(x, attention(weights, rmsnorm(x, width, weights.norms, EPS, 2 * layer * width), layer, cache, fault));
    const z = rmsnorm(x, width, weights.norms, EPS, (2 * layer + 1) * width);
    const up = times(z, weights.up, width, hidden, layer * width * hidden).map(gelu);
    x = sum(x, times(up, weights.down, hidden, width, layer * width * hidden));
  }
  cache.length += ids.length;
  return times(rmsnorm(x, width, weights.norm, EPS), weights.head, width, tokens, 0);
}

function attention(weights, z, layer, cache, fault) {
  const { width, heads, q, k, v, o } = weights;
  const [offset, start, rows, size] = [layer * width * width, cache.length, z.length / width, width / heads];
  const from = fault === "positions" ? 0 : start;
  const project = (x, matrix) => counted(cache, x, matrix, width, width, offset);
  const query = rotate(project(z, q), width, heads, from);
  const [keys, values] = [cache.keys[layer], cache.values[layer]];
  keys.set(rotate(project(z, k), width, heads, from), start * width);
  values.set(project(z, v), start * width);
  const mixed = new Float32Array(z.length);
  for (let row = 0; row < rows; row++) {
    const seen = (fault === "top-left" ? 0 : start) + row + 1;
    for (let at = 0; at < width; at += size) {
      const place = { row, seen, width, size, at };
      const scores = products(query, keys, place);
      collect(mixed, softmax(scores, Math.sqrt(size)), values, place);
    }
    cache.multiplied += 2 * seen * width;
  }
  return project(mixed, o);
}

// As `linear`, and counts.
function counted(count, x, weight, inner, outer, offset) {
  const out = linear(x, weight, inner, outer, offset);
  count.multiplied += out.length * inner;
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

function joined(parts) {
  const out = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => {
    out.set(part, at);
    return at + part.length;
  }, 0);
  return out;
}

// Adds share · b a, of b (out, r) and a (r, in), to a matrix (out, in).
function addProduct(matrix, b, a, share) {
  const [rank, inner] = a.shape;
  for (let o = 0; o < b.shape[0]; o++) {
    for (let r = 0; r < rank; r++) {
      const factor = share * b.data[o * rank + r];
      for (let i = 0; i < inner; i++) matrix[o * inner + i] += factor * a.data[r * inner + i];
    }
  }
}
