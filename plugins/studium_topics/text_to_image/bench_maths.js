// The pipeline in the page: words to ids, a text tower, a U-Net that answers with a velocity, guidance, and pixels.
import { normals } from "studium_widgets/random.js";
import { unpack } from "../kits/packing.js";
import { linearOf, silu, unet } from "../kits/unet.js";

export const LENGTH = 9; // tokens of a prompt
const PATCH = 2; // pixels a side that a latent position holds

const wordsOf = (text) => text.toLowerCase().match(/[a-z]+/g) ?? [];

/** The ids of the known words, at most LENGTH; the others are left out. */
export const idsOf = (text, vocabulary) =>
  wordsOf(text)
    .map((word) => vocabulary.indexOf(word))
    .filter((id) => id > 0)
    .slice(0, LENGTH);

/** The words that are in no vocabulary, each once. */
export const unknownWords = (text, vocabulary) =>
  [...new Set(wordsOf(text))].filter((word) => !vocabulary.includes(word));

/**
 * A painter out of its packed parameters: {text(ids), velocity(z, t, text)}. `text`: the sum of the words' vectors, halved,
 * and one hidden layer; `velocity`: (channels · side²) at the latent z and the time t, for what the text tower said.
 */
export function painter(layout, weights, scales) {
  const tensors = unpack(layout, weights, scales);
  const { data, shape } = tensors.get("label.embedding.weight");
  const [up, down] = [linearOf(tensors, "label.up"), linearOf(tensors, "label.down")];
  const text = (ids) => {
    const sum = new Float32Array(shape[1]);
    for (const id of ids) for (let i = 0; i < sum.length; i++) sum[i] += data[id * sum.length + i] / 2;
    return down(silu(up(sum)));
  };
  return { text, velocity: unet(tensors, 1) };
}

/** From the velocity of `away`, through that of `text` at scale 1, and beyond. */
export function guided({ velocity }, z, t, text, away, scale) {
  const towards = velocity(z, t, text);
  if (scale === 1) return towards;
  return velocity(z, t, away).map((value, i) => value + scale * (towards[i] - value));
}

/** The times of `steps` steps, falling to 0: even ones, or those of evenly spaced timesteps of DDPM. */
export function timesOf(spacing, steps, levels) {
  const even = Array.from({ length: steps + 1 }, (_, step) => 1 - step / steps);
  return spacing === "straight"
    ? even
    : even.map((share) => (share ? levels[Math.round(levels.length * share) - 1] : 0));
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
  const mean = [0, 1, 2].map(
    (part) => Array.from({ length: count }, (_, at) => pixels[4 * at + part]).reduce((a, b) => a + b) / count,
  );
  const far = (at) => [0, 1, 2].reduce((sum, part) => sum + (pixels[4 * at + part] - mean[part]) ** 2, 0);
  const chosen = Array.from({ length: count }, (_, at) => at)
    .sort((a, b) => far(b) - far(a))
    .slice(0, count / 4);
  return [0, 1, 2].map((part) =>
    Math.round(chosen.reduce((sum, at) => sum + pixels[4 * at + part], 0) / chosen.length),
  );
}
