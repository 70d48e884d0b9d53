// A film of images that come out of noise: the sampler's states, made one image and one step at a time. No DOM.
import { plan } from "studium_widgets/noise_schedule_sampler.js";
import { normals } from "studium_widgets/random.js";

/** Each mistake: its name, what the menu calls it, and what to look for. */
export const MISTAKES = [
  ["none", "None: correct code", ""],
  [
    "noise-at-0",
    "Noise added at t = 0",
    "The last step should give its mean alone. Look at the flat ground: can you see the noise?",
  ],
  ["no-noise", "Noise left out", "The ancestral mean needs its noise. Without it the images lose their contrast."],
  ["sigma-squared", "σ² used for σ", "σ is below 1, so its square is too little noise."],
  [
    "sqrt-one-minus-alpha",
    "√(1 − α) for √(1 − ᾱ)",
    "Each step takes away too much of the noise that the network sees.",
  ],
  ["first-timesteps", "First n timesteps", "The sampler takes pure noise for an image that is nearly clean."],
];

/**
 * A film that makes itself: {steps, states, advance()}. `states[i]` holds, for each image, its pixels after i steps;
 * `advance()` moves one image by one step and says whether there was one to move.
 * `predict(x, t, label)`: the network. `abar`, `steps`, `eta`, `mistake`: the sampler's. `label`, `none`: the label asked
 * for, and that of images without one; `scale` 1 asks for the label alone, and more goes further from `none`.
 */
export function film({ predict, abar, steps, eta, mistake, label, none, scale, seed, images, size }) {
  const way = plan({ abar, steps, spacing: "trailing", eta, bug: mistake });
  const count = way.times.length;
  const states = [Array.from({ length: images }, (_, image) => normals(seed, image, size).slice(0, size))];
  const guess = (x, t) => guided(predict, x, t, label, none, scale);
  const advance = () => {
    const last = states.at(-1);
    if (last.length === images && states.length > count) return false;
    const at = last.length === images ? states.length : states.length - 1; // the state that is being made
    if (last.length === images) states.push([]);
    const image = states[at].length;
    states[at].push(moved(way, at - 1, states[at - 1][image], guess, normals(seed + 7919 * at, image, size)));
    return true;
  };
  const made = () => states.length - (states.at(-1).length < images ? 2 : 1);
  return { steps: count, times: way.times, states, advance, made };
}

function moved({ A, B, S, told }, i, x, guess, z) {
  const eps = guess(x, told[i]);
  return x.map((value, p) => A[i] * value + B[i] * eps[p] + S[i] * z[p]);
}

// Classifier-free guidance (Ho and Salimans 2022): from the answer without a label towards that with one, and past it.
function guided(predict, x, t, label, none, scale) {
  const told = predict(x, t, label);
  if (scale === 1 || label === none || none < 0) return told;
  const untold = predict(x, t, none);
  return told.map((value, p) => untold[p] + scale * (value - untold[p]));
}

/** Pixels (C, S, S) in −1 to 1 as red, green, blue and opacity, row by row; what lies outside is clipped. */
export function rgba(x, channels) {
  const area = x.length / channels;
  const out = new Uint8ClampedArray(4 * area).fill(255);
  for (let pixel = 0; pixel < area; pixel++) {
    for (let colour = 0; colour < 3; colour++)
      out[4 * pixel + colour] = 127.5 * (x[Math.min(colour, channels - 1) * area + pixel] + 1);
  }
  return out;
}

/** Mean and standard deviation of all numbers of a state. */
export function spread(images) {
  let [sum, squares, count] = [0, 0, 0];
  for (const x of images)
    for (const value of x) [sum, squares, count] = [sum + value, squares + value * value, count + 1];
  const mean = sum / count;
  return { mean, deviation: Math.sqrt(Math.max(0, squares / count - mean * mean)) };
}
