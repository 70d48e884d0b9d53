// A small T5 of one layer on each side, as arithmetic on plain arrays: no DOM. Matrices are rows of an array, as in
// PyTorch, and `flat` holds all of a model's tensors in the order of `fresh_checkpoint`.
import { softmax } from "studium_widgets/token_strip_maths.js";
import { collect, embedded, linear, products, rmsnorm, sum } from "../kits/transformer_maths.js";

const EPS = 1e-6;
const PAD = 0;
export const EOS = 1;
export const FIRST = 2;
const BUCKETS = 32;
const FARTHEST = 128;

/** What can be wrong with the memory, by name: what it is called, and what it does. */
export const FAULTS = {
  nothing: ["None: correct code", "The decoder reads the memory of this source."],
  other: ["memory of another source", "The decoder reads the memory of another source, and answers that one."],
  closed: ["memory closed", "Keys and values of the memory are zero: nothing tells the decoder what the source was."],
};

/** The tensors of a model by name: `sizes` are {tokens, width, heads, hidden}. */
export function tensorsOf(flat, { tokens, width, heads, hidden }) {
  const attention = (name) => [..."qkvo"].map((part) => [`${name}.${part}`, width * width]);
  const last = (name) => [
    [`${name}.up`, hidden * width],
    [`${name}.down`, hidden * width],
    [`${name}.norm`, width],
  ];
  const order = [
    ["shared", tokens * width],
    ...attention("encoder"),
    ["encoder.norm", width],
    ...last("encoder.mlp"),
    ["encoder.table", BUCKETS * heads],
    ["encoder.end", width],
    ...attention("self"),
    ["self.norm", width],
    ...attention("cross"),
    ["cross.norm", width],
    ...last("mlp"),
    ["decoder.table", BUCKETS * heads],
    ["decoder.end", width],
  ];
  let at = 0;
  const found = Object.fromEntries(order.map(([name, size]) => [name, flat.subarray(at, (at += size))]));
  if (at !== flat.length) throw new Error(`${at} weights are needed for a model of this size, got ${flat.length}`);
  return { ...found, tokens, width, heads, hidden };
}

/** The bucket of a distance, key minus query. */
export function bucket(distance, both) {
  const side = both ? BUCKETS / 2 : BUCKETS;
  const near = side / 2;
  const n = both ? Math.abs(distance) : Math.max(-distance, 0);
  const far = near + Math.floor((Math.log(Math.max(n, 1) / near) / Math.log(FARTHEST / near)) * near + 1e-6);
  return (n < near ? n : Math.min(far, side - 1)) + (both && distance > 0 ? side : 0);
}

/** The other source that `fault` "other" reads: each letter moved on in the alphabet. */
export const otherSource = (letters, count) => letters.map((letter) => (letter + 7) % count);

/** The right answer to a source of letters, for a task. */
export function answerOf(task, letters) {
  if (task === "sort") return [...letters].sort((a, b) => a - b);
  return task === "reverse" ? [...letters].reverse() : letters;
}

/** The keys and values of a source (token ids): one array of S × D each. */
export function memoryOf(model, source) {
  const { width, hidden } = model;
  let x = embedded(model.shared, width, source);
  const z = rmsnorm(x, width, model["encoder.norm"], EPS);
  x = sum(
    x,
    attend(
      model,
      z,
      pairOf(model, z, "encoder"),
      "encoder",
      (t, s, head) => model["encoder.table"][bucket(s - t, true) * model.heads + head],
    ).out,
  );
  x = sum(
    x,
    feedForward(
      rmsnorm(x, width, model["encoder.mlp.norm"], EPS),
      model["encoder.mlp.up"],
      model["encoder.mlp.down"],
      width,
      hidden,
    ),
  );
  return pairOf(model, rmsnorm(x, width, model["encoder.end"], EPS), "cross");
}

/** Logits of the last position (V), and its weights on the slots of the memory, one array a head. */
export function decode(model, ids, memory) {
  const { width, hidden, tokens, heads } = model;
  let x = embedded(model.shared, width, ids);
  let z = rmsnorm(x, width, model["self.norm"], EPS);
  const bias = (t, s, head) => (s > t ? -Infinity : model["decoder.table"][bucket(s - t, false) * heads + head]);
  x = sum(x, attend(model, z, pairOf(model, z, "self"), "self", bias).out);
  z = rmsnorm(x, width, model["cross.norm"], EPS);
  const { out, weights } = attend(model, z, memory, "cross", () => 0);
  x = sum(x, out);
  x = sum(x, feedForward(rmsnorm(x, width, model["mlp.norm"], EPS), model["mlp.up"], model["mlp.down"], width, hidden));
  const end = rmsnorm(x.subarray(x.length - width), width, model["decoder.end"], EPS).map(
    (value) => value / Math.sqrt(width),
  );
  return { logits: linear(end, model.shared, width, tokens), looks: weights.map((rows) => rows[ids.length - 1]) };
}

/** Greedy answer to a source of letters: [{token, looks, odds}], at most `longest`, with something wrong. */
export function answer(model, letters, fault, longest, count) {
  const read = fault === "other" ? otherSource(letters, count) : letters;
  const memory = memoryOf(model, [...read.map((letter) => FIRST + letter), EOS]);
  if (fault === "closed") for (const part of Object.values(memory)) part.fill(0);
  const [steps, ids] = [[], [PAD]];
  while (steps.length < longest && ids.at(-1) !== EOS) {
    const { logits, looks } = decode(model, ids, memory);
    const odds = Array.from(softmax(logits));
    ids.push(odds.indexOf(Math.max(...odds)));
    steps.push({ token: ids.at(-1), looks, odds });
  }
  return steps;
}

function pairOf(model, states, name) {
  const { width } = model;
  return {
    keys: linear(states, model[`${name}.k`], width, width),
    values: linear(states, model[`${name}.v`], width, width),
  };
}

// All heads; `bias(query, key, head)`. `weights`: for each head, one array a query.
function attend(model, z, { keys, values }, name, bias) {
  const { width, heads } = model;
  const [size, rows, slots] = [width / heads, z.length / width, keys.length / width];
  const q = linear(z, model[`${name}.q`], width, width);
  const mixed = new Float32Array(z.length);
  const weights = Array.from({ length: heads }, (_, head) =>
    Array.from({ length: rows }, (__, row) => {
      const place = { row, seen: slots, width, at: head * size, size };
      const odds = softmax(products(q, keys, place).map((product, slot) => product + bias(row, slot, head)));
      collect(mixed, odds, values, place);
      return Array.from(odds);
    }),
  );
  return { out: linear(mixed, model[`${name}.o`], width, width), weights };
}

function feedForward(z, up, down, width, hidden) {
  return linear(
    linear(z, up, width, hidden).map((value) => Math.max(value, 0)),
    down,
    hidden,
    width,
  );
}
