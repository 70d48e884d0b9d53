// The pipeline in the page: words to ids, a U-Net that answers with a velocity, guidance, Euler's steps, and pixels.
import { normals } from "studium_widgets/random.js";

export const LENGTH = 9; // tokens of a prompt
const GROUPS = 8; // of each normalisation
const PATCH = 2; // pixels a side that a latent position holds

const wordsOf = (text) => text.toLowerCase().match(/[a-z]+/g) ?? [];

/** The ids of the known words, at most LENGTH; the others are left out. */
export const idsOf = (text, vocabulary) => wordsOf(text).map((word) => vocabulary.indexOf(word)).filter((id) => id > 0).slice(0, LENGTH);

/** The words that are in no vocabulary, each once. */
export const unknownWords = (text, vocabulary) => [...new Set(wordsOf(text))].filter((word) => !vocabulary.includes(word));

/** All parameters by name, {name: {data, shape}}, out of bytes and a scale for each row. */
export function unpack({ weights, scales, names, shapes }) {
  let [byte, row] = [0, 0];
  const parts = names.map((name, i) => {
    const size = shapes[i].reduce((a, b) => a * b, 1);
    const width = size / shapes[i][0];
    const data = Float32Array.from({ length: size }, (_, at) => (weights[byte + at] - 128) * scales[row + Math.floor(at / width)]);
    [byte, row] = [byte + size, row + shapes[i][0]];
    return [name, { data, shape: shapes[i] }];
  });
  return Object.fromEntries(parts);
}

const silu = (value) => value / (1 + Math.exp(-value));

function linear(net, name, vector) {
  const { data } = net[`${name}.weight`];
  const bias = net[`${name}.bias`].data;
  return Float32Array.from(bias, (start, row) => {
    let sum = start;
    for (let i = 0; i < vector.length; i++) sum += data[row * vector.length + i] * vector[i];
    return sum;
  });
}

/** What the text tower says of ids: the sum of the words' vectors, halved, and one hidden layer. */
export function textVector(net, ids) {
  const { data, shape } = net["label.embedding.weight"];
  const sum = new Float32Array(shape[1]);
  for (const id of ids) for (let i = 0; i < sum.length; i++) sum[i] += data[id * sum.length + i] / 2;
  return linear(net, "label.down", linear(net, "label.up", sum).map(silu));
}

function timeVector(net, t) {
  const width = net["enter.weight"].shape[0];
  const half = width / 2;
  const angles = Array.from({ length: half }, (_, i) => 1000 * t * Math.exp((-Math.log(10000) * i) / (half - 1)));
  const told = Float32Array.from([...angles.map(Math.sin), ...angles.map(Math.cos)]);
  return linear(net, "level.2", linear(net, "level.0", told).map(silu));
}

// A convolution of 3 × 3 with a border of zeros; x is {data, channels, side}.
function convolve(net, name, { data, channels, side }) {
  const [weight, bias] = [net[`${name}.weight`].data, net[`${name}.bias`].data];
  const wide = side + 2;
  const padded = new Float32Array(channels * wide * wide);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < side; y++) padded.set(data.subarray((c * side + y) * side, (c * side + y + 1) * side), (c * wide + y + 1) * wide + 1);
  }
  const out = new Float32Array(bias.length * side * side);
  for (let o = 0; o < bias.length; o++) {
    const start = o * side * side;
    out.fill(bias[o], start, start + side * side);
    for (let c = 0; c < channels; c++) addPlane(out, start, side, padded, c * wide * wide, weight, (o * channels + c) * 9);
  }
  return { data: out, channels: bias.length, side };
}

function addPlane(out, start, side, padded, from, w, k) {
  const wide = side + 2;
  const [a, b, c, d, e, f, g, h, i] = [w[k], w[k + 1], w[k + 2], w[k + 3], w[k + 4], w[k + 5], w[k + 6], w[k + 7], w[k + 8]];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const [p, q, r] = [from + y * wide + x, from + (y + 1) * wide + x, from + (y + 2) * wide + x];
      out[start + y * side + x] +=
        a * padded[p] + b * padded[p + 1] + c * padded[p + 2] + d * padded[q] + e * padded[q + 1] + f * padded[q + 2] + g * padded[r] + h * padded[r + 1] + i * padded[r + 2];
    }
  }
}

// A convolution of 1 × 1, or x itself where the block has none.
function bypass(net, name, x) {
  if (!net[`${name}.weight`]) return x;
  const area = x.side * x.side;
  const [weight, bias] = [net[`${name}.weight`].data, net[`${name}.bias`].data];
  const out = new Float32Array(bias.length * area);
  for (let o = 0; o < bias.length; o++) {
    out.fill(bias[o], o * area, (o + 1) * area);
    for (let c = 0; c < x.channels; c++) {
      const w = weight[o * x.channels + c];
      for (let at = 0; at < area; at++) out[o * area + at] += w * x.data[c * area + at];
    }
  }
  return { data: out, channels: bias.length, side: x.side };
}

// Normalised in GROUPS groups of channels, scaled and shifted, and through `after(value, channel)`.
function normalised(net, name, x, after) {
  const [gain, shift] = [net[`${name}.weight`].data, net[`${name}.bias`].data];
  const area = x.side * x.side;
  const size = (x.channels / GROUPS) * area;
  const out = new Float32Array(x.data.length);
  for (let group = 0; group < GROUPS; group++) {
    let [sum, squares] = [0, 0];
    for (let at = group * size; at < (group + 1) * size; at++) sum += x.data[at];
    const mean = sum / size;
    for (let at = group * size; at < (group + 1) * size; at++) squares += (x.data[at] - mean) ** 2;
    const over = 1 / Math.sqrt(squares / size + 1e-5);
    for (let at = group * size; at < (group + 1) * size; at++) {
      const channel = Math.floor(at / area);
      out[at] = after((x.data[at] - mean) * over * gain[channel] + shift[channel], channel);
    }
  }
  return { ...x, data: out };
}

function block(net, name, x, told) {
  const change = linear(net, `${name}.modulate`, told);
  const half = change.length / 2;
  let y = convolve(net, `${name}.first`, normalised(net, `${name}.before`, x, silu));
  y = normalised(net, `${name}.after`, y, (value, channel) => silu(value * (1 + change[channel]) + change[half + channel]));
  y = convolve(net, `${name}.second`, y);
  const around = bypass(net, `${name}.bypass`, x);
  return { ...y, data: y.data.map((value, at) => value + around.data[at]) };
}

function halved({ data, channels, side }) {
  const half = side / 2;
  const out = new Float32Array(channels * half * half);
  for (let at = 0; at < out.length; at++) {
    const [plane, y, x] = [Math.floor(at / (half * half)), Math.floor(at / half) % half, at % half];
    const from = plane * side * side + 2 * y * side + 2 * x;
    out[at] = (data[from] + data[from + 1] + data[from + side] + data[from + side + 1]) / 4;
  }
  return { data: out, channels, side: half };
}

function doubled({ data, channels, side }) {
  const wide = 2 * side;
  const out = Float32Array.from({ length: channels * wide * wide }, (_, at) => {
    const [plane, y, x] = [Math.floor(at / (wide * wide)), Math.floor(at / wide) % wide, at % wide];
    return data[plane * side * side + (y >> 1) * side + (x >> 1)];
  });
  return { data: out, channels, side: wide };
}

function joined(one, other) {
  const data = new Float32Array(one.data.length + other.data.length);
  data.set(one.data);
  data.set(other.data, one.data.length);
  return { ...one, data, channels: one.channels + other.channels };
}

/** The velocity (channels · side²) at the latent z and the time t, for what the text tower said. */
export function velocity(net, z, t, text) {
  const channels = net["enter.weight"].shape[1];
  const told = timeVector(net, t).map((value, i) => silu(value + text[i]));
  const depth = Object.keys(net).filter((name) => /^down\.\d+\.first\.bias$/.test(name)).length;
  let x = convolve(net, "enter", { data: Float32Array.from(z), channels, side: Math.sqrt(z.length / channels) });
  const skips = [];
  for (let i = 0; i < depth; i++) {
    x = block(net, `down.${i}`, i ? halved(x) : x, told);
    skips.push(x);
  }
  x = block(net, "middle", x, told);
  for (let i = 0; i < depth; i++) x = block(net, `up.${i}`, joined(i ? doubled(x) : x, skips.pop()), told);
  return convolve(net, "leave.2", normalised(net, "leave.0", x, silu)).data;
}

/** From the velocity of `away`, through that of `text` at scale 1, and beyond. */
export function guided(net, z, t, text, away, scale) {
  const towards = velocity(net, z, t, text);
  if (scale === 1) return towards;
  return velocity(net, z, t, away).map((value, i) => value + scale * (towards[i] - value));
}

/** The times of `steps` steps, falling to 0: even ones, or those of evenly spaced timesteps of DDPM. */
export function timesOf(spacing, steps, levels) {
  const even = Array.from({ length: steps + 1 }, (_, step) => 1 - step / steps);
  return spacing === "straight" ? even : even.map((share) => (share ? levels[Math.round(levels.length * share) - 1] : 0));
}

/** The noise that an image with this seed begins with. */
export const noiseOf = (seed, size) => normals(seed, 0, size).subarray(0, size);

/** Pixels (side, side, 4) from 0 to 255 of a latent: `mean` and `basis` decode a position to 2 × 2 pixels of 3 colours. */
export function pixelsOf(z, mean, basis) {
  const channels = basis.length / mean.length;
  const area = z.length / channels;
  const small = Math.sqrt(area);
  const side = PATCH * small;
  const out = new Uint8ClampedArray(4 * side * side).fill(255);
  for (let at = 0; at < area; at++) {
    for (let part = 0; part < mean.length; part++) {
      let value = mean[part];
      for (let c = 0; c < channels; c++) value += basis[part * channels + c] * z[c * area + at];
      const [colour, down, right] = [Math.floor(part / PATCH ** 2), Math.floor(part / PATCH) % PATCH, part % PATCH];
      const pixel = (PATCH * Math.floor(at / small) + down) * side + PATCH * (at % small) + right;
      out[4 * pixel + colour] = 127.5 * (value + 1);
    }
  }
  return out;
}

/** The mean colour (red, green, blue; 0 to 255) of the quarter of the pixels that differ most from their mean. */
export function standsOut(pixels) {
  const count = pixels.length / 4;
  const mean = [0, 1, 2].map((part) => Array.from({ length: count }, (_, at) => pixels[4 * at + part]).reduce((a, b) => a + b) / count);
  const far = (at) => [0, 1, 2].reduce((sum, part) => sum + (pixels[4 * at + part] - mean[part]) ** 2, 0);
  const chosen = Array.from({ length: count }, (_, at) => at).sort((a, b) => far(b) - far(a)).slice(0, count / 4);
  return [0, 1, 2].map((part) => Math.round(chosen.reduce((sum, at) => sum + pixels[4 * at + part], 0) / chosen.length));
}
